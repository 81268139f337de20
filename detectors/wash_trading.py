"""wash_trading: trades that change no beneficial ownership."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import (
    Detector,
    Evidence,
    Feature,
    Finding,
    Params,
    Ref,
    Spec,
    Status,
    rounded,
)
from detectors.busts import BustMemory, CountedTrade
from detectors.episodes import Episode, Episodes
from detectors.trades import money, quantity, wide
from detectors.wash_kernel import (
    BUST,
    COLUMNS,
    COMPLEX,
    FIRST_SLOTS,
    MARKS,
    OMNIBUS,
    OWNER,
    SELF,
    by_key,
    filled,
    grown,
    room_for,
    scan,
)
from detectors.wash_params import WashTradingParams
from ingest.axes import ByCode, Rows
from ingest.errors import SnapshotError
from ingest.events import NULL, Batch, Coverage, Phase, Role
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND

SCENARIOS: Final = (
    (SELF, "wash_self"),
    (OWNER, "wash_common_owner"),
    (COMPLEX, "wash_affiliate"),
)
"""Strongest first."""
OUT_ROWS: Final = 4096
TRADED: Final = (
    "instrument", "seq", "clock_ns", "quantity", "price", "phase", "coverage", "buy_account",
    "sell_account", "incoming_seq", "entry_seq", "trade_hi", "trade_lo", "leaves_before",
    "lifetime_ns", "buy_role", "sell_role",
)  # fmt: skip


class WashTrading(Detector):
    """Trades whose buyer and seller are one account, one beneficial owner, or the complex.

    State grows by one open episode a pair, one slot an account seen with originators (an
    instrument each), 66 volume marks an instrument, and at most `max_trades` remembered trades an
    instrument, dropped after `bust_horizon_s`; a trade dropped sooner is counted as overflow.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> instruments = example_instruments()
    >>> detector = WashTrading(WashTradingParams(), instruments)
    >>> hit, = detector.step(batch_of([trade(7, 7), trade(7, 8)], instruments))
    >>> hit.scenario, hit.evidence, hit.features["trades"].value
    ('wash_self', 'proved', 1)

    Two clients behind one omnibus account are two owners:

    >>> row = trade(9, 9, buy_originator=1, sell_originator=2)
    >>> detector.step(batch_of([row], instruments))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="wash_trading",
        version=2,
        title="Wash trading",
        scope="instrument",
        evidence_class="rule",
        scenarios=tuple(name for _, name in SCENARIOS),
        looks_for=(
            "Trades whose buyer and seller are the same account (wash_self), have the same "
            "beneficial owner in the register (wash_common_owner), or both belong to the complex "
            "(wash_affiliate). The strongest names the alert, the others are facets. One alert a "
            "pair, in either direction, and episode. An omnibus account is one on whose orders "
            "in the instrument several originators have been seen; where originators are missing "
            "on the orders of a trade of its own, or on one of two, the clients behind it cannot "
            "be told apart and the trade is an indicator, weak until it is material. Where both "
            "are present and differ there are two owners, except inside the complex. A match in an "
            "auction is supported, not proved: the uncross, not the trader, chose the "
            "counterparty. An employee's own account is another beneficial owner: its trades with "
            "the group are weak until one takes the whole of a resting order entered `answer_s` "
            "before at most, as orders entered for each other do, or they are a pattern "
            "(`pattern_instructions`)."
        ),
        legal_basis=(
            "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
            (
                "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, guard "
                "against falsification [V]"
            ),
            (
                "SFO s.274(5)/295(5), securities and futures only: wash sales presumed false "
                "trading [S]"
            ),
            "SFC AML Guideline 12.16.4: same-owner trades in close sequence [V]",
            "FINRA 5210.02, for its 5 % mark: self-trades as a pattern [S]",
        ),
        look_alikes=(
            "omnibus account with two originators",
            "unknown owners on both sides",
            "two external makers crossing at a tight spread",
            "a maker's quotes hit by both sides",
            "self-trade-prevention skip",
            "trade that was busted",
            "an employee who happens to meet the group's quotes",
        ),
        blind_spots=(
            "nominees: accounts of one owner registered under two",
            "circles through a third account (wash_rings looks for those)",
            "false originators declared on an omnibus account",
        ),
        runbook=(
            (
                "Read `features.volume_share` and `features.instructions` over window_start_ns to "
                "window_end_ns: is it a pattern or one slip?"
            ),
            (
                "Compare buy_order_id and sell_order_id of trade_ids in the orders topic from 60 s "
                "before window_start_ns: received_ns, session, user, algo_id. One hand or two?"
            ),
            "Read `features.net_ratio` over the episode: near 0 means the position came back.",
            (
                "Look up owner and linked_to of both accounts in accounts.csv as in force at "
                "window_start_ns; ask the owner for the purpose of the trades of the episode."
            ),
            (
                "Check reason = stp on cancels of the pair in the hour before window_start_ns: was "
                "self-trade prevention switched off?"
            ),
        ),
        needs=("buy_account", "sell_account", "price", "quantity", "engine_ns"),
        wants=("owner", "originator", "linked_to", "busts"),
    )
    Params: ClassVar[type[Params]] = WashTradingParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **BustMemory.layout,
        "totals": ByCode(),
        "marks": ByCode(),
        "marked": ByCode(),
        "omnibus": Rows("omnibus", high=True),
        "originators": Rows("omnibus", high=True),
    }

    def __init__(self, params: WashTradingParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._memory = BustMemory(params.bust_horizon_s * SECOND, params.max_trades)
        self._totals = np.zeros((len(instruments), 2), np.int64)
        self._marks = np.zeros((len(instruments), MARKS, 3), np.int64)
        self._marked = np.zeros(len(instruments), np.int64)
        self._table = np.zeros(FIRST_SLOTS, np.int64)
        self._origin = np.zeros(FIRST_SLOTS, np.int64)
        self._used = 0
        self._out = np.zeros((OUT_ROWS, 6), np.int64)  # room only: kept between calls

    @property
    def overflow(self) -> int:
        """Trades no longer remembered though a bust could still come."""
        return self._memory.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return wash trades, busts and closings."""
        findings: list[Finding] = []
        for row, bits, total, base in self._hits(batch):
            if bits == BUST:
                findings.extend(self._bust(batch, row))
            else:
                findings.extend(self._trade(batch, row, bits, total, base))
        findings.extend(self._closing(e) for e in self._episodes.close_before(batch))
        self._memory.forget(batch)
        return findings

    def _hits(self, batch: Batch) -> Iterator[tuple[int, int, int, int]]:
        """Yield (row, bits, volume so far, volume before the window), lots."""
        columns = tuple(batch[name] for name in COLUMNS)
        out, row = self._out, 0
        while row < len(batch):
            if 2 * self._used >= len(self._table):
                self._table, self._origin = grown(self._table, self._origin)
            row, self._used, hits = scan(
                columns, self._params.volume_window_s * SECOND, row,
                self._totals, self._marks, self._marked, self._table, self._origin, self._used, out,
            )  # fmt: skip
            for at, bits, high, low, base_high, base_low in out[:hits].tolist():
                yield at, bits, wide(high, low), wide(base_high, base_low)

    def _trade(self, batch: Batch, row: int, bits: int, total: int, base: int) -> Iterator[Finding]:
        cell = {name: int(batch[name][row]) for name in TRADED}
        code, seq, at_ns = cell["instrument"], cell["seq"], cell["clock_ns"]
        buyer, seller = cell["buy_account"], cell["sell_account"]
        key = (code, min(buyer, seller), max(buyer, seller), bits)
        episode, expired = self._episodes.fact(
            key,
            seq=seq,
            at_ns=at_ns,
            accounts=(buyer,) if buyer == seller else (buyer, seller),
            incomplete=cell["coverage"] == Coverage.INCOMPLETE,
        )
        if expired is not None:
            yield self._closing(expired)
        sums = episode.sums
        sums.setdefault("base", base)
        sums["total"] = total
        incoming = cell["incoming_seq"]
        counted = CountedTrade(
            key=key,
            first_seq=episode.first_seq,
            clock_ns=at_ns,
            lots=cell["quantity"],
            price=cell["price"],
            forward=buyer == episode.first_accounts[0],
            auction=cell["phase"] != Phase.CONTINUOUS,
            new_instruction=incoming == 0 or incoming != sums.get("incoming"),
            whole=(
                cell["quantity"] == cell["leaves_before"]
                and NULL < cell["lifetime_ns"] <= self._params.answer_s * SECOND
            ),
        )
        if bits == COMPLEX and Role.STAFF in (cell["buy_role"], cell["sell_role"]):
            sums["employee"] = 1
        sums["incoming"] = incoming
        _count(sums, counted, 1)
        self._memory.keep(code, (cell["trade_hi"], cell["trade_lo"]), counted)
        legs = sorted({seq, incoming, cell["entry_seq"]} - {0})
        yield self._finding(episode, at_ns, tuple(Ref(code, leg) for leg in legs))

    def _bust(self, batch: Batch, row: int) -> Iterator[Finding]:
        code, at_ns = int(batch["instrument"][row]), int(batch["clock_ns"][row])
        busted = (int(batch["busts_hi"][row]), int(batch["busts_lo"][row]))
        trade = self._memory.take(code, busted, at_ns)
        if trade is None:
            return
        expired = self._episodes.expire(trade.key, at_ns)
        if expired is not None:
            yield self._closing(expired)
        found = self._memory.episode_of(trade, self._episodes)
        if found is None:  # the episode's last trade lies beyond the horizon
            return
        episode, closed = found
        _count(episode.sums, trade, -1)
        episode.sums["busted"] = episode.sums.get("busted", 0) + 1
        episode.sums["busted_lots"] = episode.sums.get("busted_lots", 0) + trade.lots
        episode.facts += 1
        ref = Ref(code, int(batch["seq"][row]))
        yield self._finding(episode, at_ns, (ref,), closed=closed)

    def _closing(self, episode: Episode) -> Finding:
        self._memory.keep_closed(episode)
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        code, bits, sums = episode.key[0], episode.key[-1], episode.sums
        trades, lots = sums["trades"], sums["forward_lots"] + sums["backward_lots"]
        volume = sums["total"] - sums["base"] - sums.get("busted_lots", 0)
        share = lots / volume if volume > 0 else 0.0
        pattern = sums["instructions"] >= self._params.pattern_instructions
        material = pattern and share >= self._params.material_share_ratio
        evidence = _evidence(bits, trades, sums["auction"], material)
        by_chance = sums.get("employee", 0) > 0 and not sums["whole"] and not pattern
        if by_chance and evidence == "proved":
            evidence = "weak"
        names = [name for bit, name in SCENARIOS if bits & bit]
        status: Status = "provisional"
        if trades == 0:
            status = "retracted"
        elif closed and not episode.incomplete:
            status = "confirmed"
        base_score = {"proved": 0.5, "supported": 0.3, "weak": 0.1}[evidence]
        score = base_score + 0.25 * trades / (trades + 4) + 0.25 * min(1.0, share)
        imbalance = abs(sums["forward_lots"] - sums["backward_lots"])
        same = len(episode.first_accounts) == 1
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario=names[0],
            facets=tuple(names[1:]),
            evidence_class="indicator" if bits & OMNIBUS else "rule",
            evidence=evidence,
            instrument=code,
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=episode.first_accounts,
            window_start_ns=episode.first_ns,
            window_end_ns=episode.last_ns,
            detected_ns=at_ns,
            evidence_refs=refs,
            features={
                "trades": Feature(trades, "count"),
                "instructions": Feature(
                    sums["instructions"], "count", self._params.pattern_instructions
                ),
                "volume": quantity(self._instruments, code, lots),
                "notional": money(self._instruments, code, sums["notional"]),
                "volume_share": Feature(rounded(share), "ratio", self._params.material_share_ratio),
                "net_ratio": Feature(
                    0.0 if same or not lots else rounded(imbalance / lots), "ratio"
                ),
                "auction_trades": Feature(sums["auction"], "count"),
                "busted_trades": Feature(sums.get("busted", 0), "count"),
                **(
                    {"employee_whole_orders": Feature(sums["whole"], "count", 1)}
                    if sums.get("employee")
                    else {}
                ),
            },
            score=rounded(score if trades else 0.0),
            all_legs=evidence == "proved",
            significant=material,
            notify_clock="asap" if evidence == "proved" else "none",
            coverage="incomplete" if episode.incomplete else "complete",
            status=status,
        )

    def snapshot(self) -> Snapshot:
        """Return volumes, marks, the originator set, open episodes and remembered trades."""
        held = by_key(self._table)
        return {
            **self._episodes.snapshot(),
            **self._memory.snapshot(),
            "totals": self._totals.copy(),
            "marks": self._marks.copy(),
            "marked": self._marked.copy(),
            "omnibus": self._table[held],
            "originators": self._origin[held],
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        if snapshot["marked"].shape != self._marked.shape:
            raise SnapshotError(
                f"wash_trading: expected state of {len(self._marked)} instruments, "
                f"found {len(snapshot['marked'])}"
            )
        self._episodes.restore(snapshot)
        self._memory.restore(snapshot)
        self._totals, self._marks = snapshot["totals"].copy(), snapshot["marks"].copy()
        self._marked = snapshot["marked"].copy()
        keys = snapshot["omnibus"]
        self._used = len(keys)
        self._table, places = filled(keys, room_for(len(keys)))
        self._origin = np.zeros(len(self._table), np.int64)
        self._origin[places] = snapshot["originators"]


def _evidence(bits: int, trades: int, auction: int, material: bool) -> Evidence:
    if bits & OMNIBUS:
        return "supported" if material else "weak"
    return "proved" if trades > auction else "supported"


def _count(sums: dict[str, int], trade: CountedTrade, sign: int) -> None:
    """Add a trade to an episode's sums, or take it back."""
    for name, amount in (
        ("trades", 1),
        ("instructions", int(trade.new_instruction)),
        ("auction", int(trade.auction)),
        ("whole", int(trade.whole)),
        ("forward_lots", trade.lots if trade.forward else 0),
        ("backward_lots", 0 if trade.forward else trade.lots),
        ("notional", trade.lots * trade.price),
    ):
        sums[name] = sums.get(name, 0) + sign * amount
