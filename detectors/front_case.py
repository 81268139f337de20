"""A case of front running while it is followed, and what is said of it."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Key
from detectors.front_chance import (
    EPISODES,
    NEVER,
    NO_RATE,
    ORDERS,
    RESTS,
    Rate,
    is_complete,
    is_rate,
    rate_of_rests,
    rate_shown,
    rates_of,
)
from detectors.front_params import FrontRunningParams
from detectors.knowledge import Known
from detectors.trades import quantity, shown
from ingest.events import NULL, Batch
from ingest.instruments import Instruments
from ingest.times import SECOND

WINDOWS_OF: Final = (
    "instructions of large episodes",
    "orders large by themselves",
    "instructions of large episodes a second after the last, ahead of which orders came to rest",
    "instructions of large episodes a second after the last, ahead of which as large ones did",
)
MOST_FURTHER: Final = 256
"""Further instructions of the client kept as evidence; one sliced finer than that is cut short."""
COUNTERFACTUAL: Final = (
    "the client filled at the price of the execution ahead of it, all else unchanged; what stayed "
    "unfilled marked to mid when the client cancelled or moved it, or after the horizon"
)


class Case(msgspec.Struct, kw_only=True):
    """One client's parent episode and what the group did before its instructions were matched."""

    instrument: int
    side: int
    client: int
    originator: int
    first_seq: int
    first_ns: int
    """`received_ns` of the client's first instruction that was known."""
    first_accounts: tuple[int, ...]
    opened_ns: int
    last_ns: int
    accounts: list[int] = []
    clients: list[int] = []
    held: list[int] = []
    """Seqs of the client's instructions in whose windows the group acted."""
    hit: list[int] = []
    """Those of them in whose windows it executed."""
    hit_alone: list[int] = []
    """Those of these that are large by themselves."""
    rested_in: list[int] = []
    """Those of `held` with quiet windows in which it entered to rest."""
    counted: int = 0
    counted_alone: int = 0
    counted_rested: int = 0
    """How many of each were there when last judged: the day's hits include them."""
    acts: list[int] = []
    """Seqs of the instructions executed."""
    quotes: list[int] = []
    """Seqs of those that rest in the book."""
    refs: list[int] = []
    """Seqs to be cited by the next finding."""
    context: list[int] = []
    """Seqs of what the episode's size is measured by, likewise: kept as evidence, not named."""
    further: int = 0
    """How many instructions of the client only made the episode large."""
    cost_price: int = 0
    cost_extra: int = 0
    """Mean price = cost_price + cost_extra / all_lots, ticks."""
    all_lots: int = 0
    hedge_lots: int = 0
    ahead: bool = False
    """Whether one took what the client would have been filled with, within its limit."""
    parent_lots: int = 0
    usual_lots: int = 0
    gap_ns: int = 0
    """From the client's instruction to the execution's, the shortest."""
    window_ns: int = 0
    p: float = 1.0
    p_alike: float = 1.0
    """Of one instruction as large, the largest of them."""
    rates: list[Rate] = msgspec.field(default_factory=lambda: [NO_RATE] * 3)
    """Of the day's windows, counted in each way."""
    rate: float = 0.0
    """How often the group executes on that side, per ns."""
    rate_rests: float = NEVER
    """How often it enters there to rest what is as large as the largest of the case, per ns."""
    rate_alike: float = NEVER
    """How often it does the like of the rarest of its instructions here, and as large; per ns."""
    rate_alone: float = NEVER
    """The same of those in windows of orders large by themselves; `NEVER` = none."""
    exposed_ns: int = 0
    windows: int = 0
    """Length and count of the day's windows of large episodes on that side."""
    quiet_exposed_ns: int = 0
    """Length of the quiet ones: of instructions that came a while after the client's last."""
    alone_ns: int = 0
    alone_windows: int = 0
    """The same of orders large by themselves."""
    day: int = 0
    """UTC day that these are of."""
    day_hits: tuple[int, int] = (0, 0)
    """How many of either had executions, when last counted."""
    due_s: list[int] = []
    """Horizons of the marks that are still to come, s after `opened_ns`; the last ends the case."""
    marks: dict[int, float] = {}
    """Horizon, s, to markout in ticks."""
    harm: int = 0
    """Half ticks times lots."""
    measured: int = 0
    unwound_lots: int = 0
    unwound_extra: int = 0
    """What was got for them over the mean price, ticks times lots."""
    incomplete: bool = False
    told: int = 0
    """Findings so far."""

    @property
    def key(self) -> Key:
        """What sets it apart from the others that are open."""
        return (self.instrument, self.side, self.client, self.originator)

    @property
    def next_ns(self) -> int:
        """Event time of its next mark, ns."""
        return self.opened_ns + self.due_s[0] * SECOND

    @property
    def lots(self) -> int:
        """Lots executed beyond what may have been a hedge."""
        return self.all_lots - self.hedge_lots

    @property
    def mean_price(self) -> float:
        """Mean price of the executions, ticks."""
        return self.cost_price + self.cost_extra / max(self.all_lots, 1)

    @property
    def way(self) -> int:
        """How the day's windows are counted for this case."""
        if self.hit:
            return ORDERS if self.hit_alone else EPISODES
        return RESTS

    @property
    def is_counted(self) -> bool:
        """Whether it was judged by what the group did in its windows."""
        return self.counted > 0 or self.counted_rested > 0

    @property
    def p_hits(self) -> float:
        """Probability of as many hits in that way, without regard to size."""
        return self.rates[self.way].p

    def is_large(self, params: FrontRunningParams) -> bool:
        """Return whether the client's episode is worth running in front of."""
        least = params.large_ratio * self.usual_lots
        return self.usual_lots > 0 and self.parent_lots >= least

    @property
    def gained(self) -> bool:
        """Whether the price went the way of who executed, at any horizon, or was so unwound."""
        return any(mark > 0 for mark in self.marks.values()) or self.unwound_extra > 0


def take(case: Case, known: Known) -> None:
    """Add an instruction of the group to a case."""
    rate, alike = rates_of(known)
    case.rate_alike = min(case.rate_alike, alike)
    if known.alone:
        case.rate_alone = min(case.rate_alone, alike)
    if not known.resting:
        case.rate = rate
    if known.resting:
        if known.rested:
            case.rate_rests = min(case.rate_rests, alike)
            found = (case.rates[RESTS], rate_of_rests(known))
            case.rates[RESTS] = min(found, key=lambda each: each.p)
            if known.seq not in case.rested_in:
                case.rested_in.append(known.seq)
        if known.act_seq not in case.quotes:
            case.quotes.append(known.act_seq)
            case.refs.append(known.act_seq)
            if known.filled:
                case.acts.append(known.act_seq)
                _execute(case, known.act_price, known.filled, 0)
                case.refs += [known.act_first, known.act_last]
    elif known.act_seq not in case.acts:
        case.acts.append(known.act_seq)
        _execute(case, known.act_price, known.act_lots, known.act_extra)
        case.refs += [known.act_seq, known.act_first, known.act_last]
    case.hedge_lots = max(case.hedge_lots, known.hedge_lots)
    if known.seq not in case.held:
        case.held.append(known.seq)
        case.refs.append(known.seq)
    if not known.resting and known.seq not in case.hit:
        case.hit.append(known.seq)
        if known.alone:
            case.hit_alone.append(known.seq)
    for account, names in ((known.act_account, case.accounts), (known.account, case.clients)):
        if account not in names:
            names.append(account)
    gap_ns = known.act_received_ns - known.received_ns
    case.gap_ns = min(case.gap_ns or gap_ns, gap_ns)
    case.window_ns = max(case.window_ns, known.engine_ns - known.received_ns)
    case.last_ns = max(case.last_ns, known.clock_ns)
    case.incomplete |= bool(known.doubt)


def extend(case: Case, known: Known) -> None:
    """Keep a further instruction of the client: with the others it makes the episode large.

    It waited for nobody, and nothing was done ahead of it: it is what the size is measured by.
    """
    if case.further < MOST_FURTHER:
        case.further += 1
        case.context.append(known.seq)


def fill(case: Case, batch: Batch, row: int) -> None:
    """Add a fill of an order that rested: a row of a trade."""
    quote = int(batch["entry_seq"][row])
    if quote not in case.acts:
        case.acts.append(quote)
    _execute(case, int(batch["price"][row]), int(batch["quantity"][row]), 0)
    case.refs.append(int(batch["seq"][row]))
    case.last_ns = max(case.last_ns, int(batch["clock_ns"][row]))


def _execute(case: Case, price: int, lots: int, extra: int) -> None:
    if not case.all_lots:
        case.cost_price = price
    case.cost_extra += (price - case.cost_price) * lots + extra
    case.all_lots += lots


def finding(
    spec: Spec,
    params: FrontRunningParams,
    instruments: Instruments,
    case: Case,
    at_ns: int,
    *,
    closed: bool,
) -> Finding:
    """Return what is known of a case now."""
    by_chance = case.p <= params.chance
    significant = is_rate(params, case)
    seqs = set(case.refs) - {0}
    refs = tuple(Ref(case.instrument, seq) for seq in sorted(seqs))
    context = tuple(Ref(case.instrument, seq) for seq in sorted(set(case.context) - seqs))
    case.refs, case.context = [], []
    harm = instruments.money(case.instrument, case.harm) / 2 if case.measured else None
    share = min(1.0, case.lots / max(case.parent_lots, 1))
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="front_running",
        evidence_class=spec.evidence_class,
        evidence="supported" if by_chance else "weak",
        instrument=case.instrument,
        first_seq=case.first_seq,
        first_accounts=case.first_accounts,
        revision=case.told,
        accounts=(*case.accounts, *case.clients),
        window_start_ns=min(case.first_ns, at_ns),
        window_end_ns=case.last_ns,
        detected_ns=at_ns,
        evidence_refs=refs,
        context_refs=context,
        features=_features(params, instruments, case),
        score=rounded(0.3 + 0.3 * share + 0.3 * (1.0 - min(1.0, case.p / params.chance))),
        all_legs=is_complete(params, case),
        significant=significant,
        client_harm=None if harm is None else shown(harm),
        counterfactual=COUNTERFACTUAL if harm is not None else "",
        notify_clock="asap" if is_complete(params, case) else "none",
        coverage="incomplete" if case.incomplete else "complete",
        status="confirmed" if closed and not case.incomplete else "provisional",
    )


def _features(
    params: FrontRunningParams, instruments: Instruments, case: Case
) -> dict[str, Feature]:
    code, row = case.instrument, instruments[case.instrument]
    tick = float(row.tick_size)
    large = params.large_ratio * float(instruments.quantity(code, case.usual_lots))
    rate = rate_shown(params, case)
    features = {
        "executed": quantity(instruments, code, case.all_lots),
        "hedged": quantity(instruments, code, case.hedge_lots),
        "parent": Feature(
            shown(instruments.quantity(code, case.parent_lots)), row.base, rounded(large)
        ),
        "gap": Feature(case.gap_ns, "ns", params.clock_uncertainty_ns),
        "window": Feature(case.window_ns, "ns"),
        "n": Feature(rate.windows, "windows"),
        "windows_of": Feature(WINDOWS_OF[rate.of], "text"),
        "hits": Feature(rate.hits, "count", rounded(rate.expected)),
        "other_hits": Feature(rate.other_hits, "count", rounded(rate.other_expected)),
        "p": Feature(rounded(case.p), "probability", params.chance),
        "p_alike": Feature(rounded(case.p_alike), "probability", params.chance),
        "mean_price": Feature(rounded(case.mean_price * tick), row.quote),
    }
    for horizon_s, mark in sorted(case.marks.items()):
        features[f"markout_{horizon_s}s"] = Feature(rounded(mark * tick), row.quote, 0.0)
    if case.unwound_lots:
        gain = instruments.money(code, case.unwound_extra)
        features["unwound"] = quantity(instruments, code, case.unwound_lots)
        features["unwind_profit"] = Feature(shown(gain), row.quote, 0.0)
    return features


def mark(case: Case, horizon_s: int, bid: int, ask: int) -> None:
    """Note how far the price has gone the way of who executed, if one did and a mid is known."""
    if case.all_lots and NULL not in (bid, ask):
        case.marks[horizon_s] = case.side * ((bid + ask) / 2 - case.mean_price)


def unwind(case: Case, price: int, lots: int) -> None:
    """Take in an execution the other way, up to what is left to be unwound."""
    lots = min(lots, case.lots - case.unwound_lots)
    if lots > 0:
        case.unwound_lots += lots
        case.unwound_extra += round(case.side * (price - case.mean_price) * lots)
