"""A case of front running in another instrument, or by another owner, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from detectors.across_params import FrontRunningAcrossParams
from detectors.across_pool import Act, Execution, Parent, Pool
from detectors.across_trades import GROUP
from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.statistics import poisson_tail
from ingest.instruments import Instruments
from ingest.times import SECOND

WAYS: Final = 3
"""Ways to be seen: by the hits in one underlying, by those in all, by the size of one."""

_Place = tuple[str, int]
"""Instrument and seq."""


class Case(msgspec.Struct, kw_only=True):
    """One client's parent episode and what one actor executed before its instructions matched."""

    instrument: str
    """The client's."""
    side: int
    client: int
    originator: int
    actor: int
    first_seq: int
    first_ns: int
    first_accounts: tuple[int, ...]
    opened_ns: int
    last_ns: int
    accounts: list[int] = []
    clients: list[int] = []
    hit: list[_Place] = []
    """The client's instructions in whose windows there were executions."""
    counted: int = 0
    """How many hits of it the day's include."""
    acts: list[_Place] = []
    refs: list[_Place] = []
    """Trades to be cited by the next finding."""
    amount: float = 0.0
    """Executed, base units."""
    hedge: float = 0.0
    parent: float = 0.0
    usual: float = 0.0
    gap_ns: int = 0
    window_ns: int = 0
    latest: Act | None = None
    p: float = 1.0
    p_hits: float = 1.0
    hits: int = 0
    windows: int = 0
    expected: float = 0.0
    traded: str = ""
    """Instrument of the first execution."""
    price: int = 0
    """Of the first execution, ticks."""
    due_s: list[int] = []
    """Horizons of marks that are still to come, s after `opened_ns`."""
    marks: dict[int, float] = {}
    """Horizon, s, to markout in ticks."""
    unwound: float = 0.0
    profit: float = 0.0
    """What was got for that beyond `price`, ticks times base units."""
    incomplete: bool = False
    told: int = 0

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What sets it apart from the others that are open."""
        return self.client, self.originator, self.side, self.actor

    @property
    def own_hits(self) -> int:
        """How many of those were hit by an act of their own: who acts once has done so once."""
        return min(len(self.hit), len(self.acts))

    @property
    def net(self) -> float:
        """What was executed beyond what may have been a hedge, base units."""
        return self.amount - self.hedge

    @property
    def gained(self) -> bool:
        """Whether the price went the actor's way at any horizon, or was so unwound."""
        return any(mark > 0 for mark in self.marks.values()) or self.profit > 0


def open_case(params: FrontRunningAcrossParams, act: Act, at_ns: int) -> Case:
    """Return a new case."""
    client = act.client
    return Case(
        instrument=client.instrument,
        side=client.side,
        client=client.actor,
        originator=client.originator,
        actor=act.done.actor,
        first_seq=client.first,
        first_ns=client.received_ns,
        first_accounts=(act.done.account, client.account),
        opened_ns=at_ns,
        last_ns=at_ns,
        traded=act.done.instrument,
        price=act.done.price,
        due_s=params.marks_s,
    )


def take(case: Case, act: Act, at_ns: int) -> None:
    """Add an execution that was sent within the window of a client's instruction."""
    done, client = act.done, act.client
    case.latest = act
    if (done.instrument, done.seq) not in case.acts:
        case.acts.append((done.instrument, done.seq))
        case.amount += done.amount
        case.refs += [(done.instrument, done.first), (done.instrument, done.last)]
    if (client.instrument, client.seq) not in case.hit:
        case.hit.append((client.instrument, client.seq))
        case.refs += [(client.instrument, client.first), (client.instrument, client.last)]
    case.hedge = max(case.hedge, act.hedge)
    for account, names in ((done.account, case.accounts), (client.account, case.clients)):
        if account not in names:
            names.append(account)
    gap_ns = done.received_ns - client.received_ns
    case.gap_ns = min(case.gap_ns or gap_ns, gap_ns)
    case.window_ns = max(case.window_ns, client.clock_ns - client.received_ns)
    case.last_ns = max(case.last_ns, at_ns)
    case.incomplete |= done.doubt or client.doubt


def weigh(
    pools: Sequence[Pool],
    pool: Pool,
    params: FrontRunningAcrossParams,
    case: Case,
    parent: Parent,
) -> bool:
    """Judge a case; return whether it brought new hits of a large episode.

    Executions are taken as a Poisson process; the least of the probabilities that chance gives is
    multiplied by the ways there are to be seen and, unless it is the group, by the owners there
    are (Bonferroni).
    """
    case.parent, case.usual = parent.amount, pool.usual
    act, actor = case.latest, case.actor
    if act is None or not pool.is_large(parent, params) or case.net <= 0:
        return False
    fresh, at_ns = case.own_hits - case.counted, act.client.received_ns
    case.counted += fresh
    pool.hits[actor] = pool.hits.get(actor, 0) + fresh
    looks = WAYS if actor == GROUP else WAYS * params.accounts
    today = [each for each in pools if each.day == pool.day and each.knows(actor)]
    case.hits = sum(each.hits.get(actor, 0) for each in today)
    case.windows = sum(sum(each.windows) for each in today)
    case.expected = math.fsum(each.expected(params, actor, at_ns) for each in today)
    here = poisson_tail(pool.hits[actor], pool.expected(params, actor, at_ns))
    case.p_hits = min(1.0, looks * min(here, poisson_tail(case.hits, case.expected)))
    as_large = -math.expm1(-act.rate_as_large * pool.exposed_ns[case.side > 0])
    case.p = min(case.p_hits, looks * as_large)
    return fresh > 0


def is_telling(params: FrontRunningAcrossParams, case: Case) -> bool:
    """Return whether chance does not explain a case."""
    if case.actor == GROUP:
        return case.p <= params.chance
    least = max(params.least_hits, params.least_excess * case.expected)
    return case.p_hits <= params.chance and case.hits >= least


def is_complete(params: FrontRunningAcrossParams, case: Case) -> bool:
    """Return whether a case has all its legs: a gain, or so little chance that none is asked."""
    return is_telling(params, case) and (case.gained or case.p <= params.plain_chance)


def mark(case: Case, horizon_s: int, double_mid: int | None) -> None:
    """Note how far the price went the actor's way; nothing where there is no mid."""
    if double_mid is not None:
        case.marks[horizon_s] = case.side * (double_mid / 2 - case.price)


def unwind(case: Case, done: Execution) -> None:
    """Take in an execution the other way, up to what is left to be unwound."""
    amount = min(done.amount, case.net - case.unwound)
    if amount > 0:
        case.unwound += amount
        case.profit += case.side * (done.price - case.price) * amount


def finding(
    spec: Spec,
    params: FrontRunningAcrossParams,
    instruments: Instruments,
    case: Case,
    at_ns: int,
) -> Finding:
    """Return what is known of a case now."""
    code = instruments.codes[case.instrument]
    refs = {Ref(instruments.codes[name], seq) for name, seq in case.refs}
    case.refs = []
    case.told += 1
    complete = is_complete(params, case)
    share = min(1.0, case.net / case.parent) if case.parent else 0.0
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="front_running",
        evidence_class=spec.evidence_class,
        evidence="supported",
        instrument=code,
        first_seq=case.first_seq,
        first_accounts=case.first_accounts,
        revision=case.told,
        accounts=(*case.accounts, *case.clients),
        window_start_ns=case.first_ns,
        window_end_ns=case.last_ns,
        detected_ns=at_ns,
        evidence_refs=tuple(sorted(refs)),
        features=_features(params, instruments, case),
        score=rounded(0.3 + 0.3 * share + 0.3 * (1.0 - min(1.0, case.p / params.chance))),
        all_legs=complete,
        notify_clock="asap" if complete else "none",
        coverage="incomplete" if case.incomplete else "complete",
        status="confirmed" if not case.due_s and not case.incomplete else "provisional",
    )


def _features(
    params: FrontRunningAcrossParams, instruments: Instruments, case: Case
) -> dict[str, Feature]:
    traded = instruments[instruments.codes[case.traded]]
    tick, base = float(traded.tick_size), traded.base
    features = {
        "traded": Feature(case.traded, "instrument", case.instrument),
        "executed": Feature(rounded(case.amount), base),
        "hedged": Feature(rounded(case.hedge), base),
        "parent": Feature(rounded(case.parent), base, rounded(params.large_ratio * case.usual)),
        "gap": Feature(case.gap_ns, "ns", params.clock_uncertainty_ns),
        "window": Feature(case.window_ns, "ns"),
        "n": Feature(case.windows, "windows"),
        "hits": Feature(case.hits, "count", rounded(case.expected)),
        "p": Feature(rounded(case.p), "probability", params.chance),
    }
    for horizon_s, ticks in sorted(case.marks.items()):
        features[f"markout_{horizon_s}s"] = Feature(rounded(ticks * tick), traded.quote, 0.0)
    if case.unwound:
        features["unwound"] = Feature(rounded(case.unwound), base)
        features["unwind_profit"] = Feature(rounded(case.profit * tick), traded.quote, 0.0)
    return features


def next_due_ns(case: Case) -> int:
    """Return the event time of a case's next mark, ns."""
    return case.opened_ns + case.due_s[0] * SECOND


def lapses_ns(case: Case) -> int:
    """Return the event time after which that mark is not made: once more its horizon, ns."""
    return next_due_ns(case) + case.due_s[0] * SECOND
