"""front_running_across: ahead of a client, in another instrument or by another owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from detectors.across_case import (
    Case,
    finding,
    is_complete,
    is_telling,
    mark,
    next_due_ns,
    open_case,
    take,
    unwind,
    weigh,
)
from detectors.across_params import FrontRunningAcrossParams
from detectors.across_pool import DAY, GROUP, SECOND, Act, Execution, Fill, Parent, Pool
from detectors.base import Detector, Finding, Params, Spec
from ingest.axes import Count, Entries, Least
from ingest.events import NULL, Batch, Phase, Role
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

_Row = tuple[Execution, tuple[Fill, ...], str]
"""An execution with what it filled, and the underlying it belongs to."""


class _Cases(msgspec.Struct):
    """The cases of one underlying: those that are followed, and the day's that were not told."""

    place: str
    open: list[Case] = []
    earlier: list[Case] = []


class FrontRunningAcross(Detector):
    """Executions ahead of clients that one instrument's feed does not show, or not as the group's.

    State, by underlying seen: `Pool` (some 200 kB when full), at most `max_cases` open cases and as
    many of the day; executions since the last watermark.

    Examples
    --------
    The gateway has a client's purchase for 20 ms; the maker buys the perpetual meanwhile.

    >>> from detectors.examples import across
    >>> batch, instruments = across()
    >>> hit, = FrontRunningAcross(FrontRunningAcrossParams(), instruments).step(batch)
    >>> hit.scenario, hit.features["traded"].value, hit.features["gap"].value
    ('front_running', 'BTC-PERP', 9000000)
    """

    spec: ClassVar[Spec] = Spec(
        id="front_running_across",
        version=1,
        title="Front running across instruments and accounts",
        scope="platform",
        evidence_class="indicator",
        scenarios=("front_running",),
        looks_for=(
            "A client instruction is in the gateway: the platform knows of it, the market does "
            "not. In that time, more than δ after the gateway had it and before its first trade, "
            "another instruction is received and executed on its side: by the group in another "
            "instrument of the underlying, or by any other owner in any of them. The client's "
            "parent episode (one owner's, or originator's, on one side, over all instruments of "
            "the underlying, with gaps below `parent_gap_s`) executes `large_ratio` times the "
            "median client instruction. Up to what the actor had traded net on the other side "
            "within `hedge_s`, in any of the instruments, it is a hedge. Chance: executions "
            "come as a Poisson process at the actor's own rate, of the last `local_s` or of all "
            "that is kept, whichever is greater, in the time for which instructions of large "
            "episodes were in the gateway that UTC day. A case is told when so many hits, in the "
            "underlying or in all, or one as large, have a probability of at most `chance`; of an "
            "owner that is not the group only the number counts, from `least_hits` on, and p is "
            "multiplied by `accounts`. It is complete with a gain (markout, or unwind), or at "
            "`plain_chance`. With it, the day's earlier cases of the same actor are told. Only "
            "trades are looked at: they are what all instruments' feeds have in common."
        ),
        legal_basis=(
            "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders [V]",
            "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
            "VATP Guidelines 8.2: surveillance for market manipulation and abusive conduct [V]",
            "VATP Guidelines 13.1-13.9: dealing by staff and others who know of orders [V]",
        ),
        look_alikes=(
            "hedging in the perpetual of fills made in spot",
            "the group trading the perpetual all the time",
            "a client who trades often, beside another client",
            "a client who executed ahead of another once",
            "an execution that came with the client's, within the clock uncertainty",
            "a small client order",
            "auctions, halts, maintenance",
            "instruments of another underlying",
        ),
        blind_spots=(
            "passive entry in another instrument",
            "an owner that is not the group and does it once a day",
            "a client's order that never executes",
            "another venue",
        ),
        runbook=(
            (
                "Compare received_ns and engine_ns of the trades in trade_ids, 1 s on each side of "
                "window_start_ns, with the gateway's log: who could see the client's order?"
            ),
            (
                "Read `features.traded` (baseline: the client's instrument), `features.hits` "
                "(baseline: by chance) and `features.n` of the UTC day of detected_ns: once, or a "
                "habit?"
            ),
            (
                "Read `features.executed`, `features.hedged` and `features.parent` for the "
                "episode; ask which fills were hedged in the 3 s before."
            ),
            (
                "Where accounts names one that is not the group's, look at owner, session and user "
                "of the last day for links with the group (hidden_affiliates)."
            ),
            (
                "Read `features.markout_30s` and `features.unwind_profit` up to 300 s after "
                "window_end_ns; list the client's orders from order_ids."
            ),
        ),
        needs=("buy_account", "sell_account", "price", "quantity", "received_ns", "engine_ns"),
        wants=("originator", "underlying"),
    )
    Params: ClassVar[type[Params]] = FrontRunningAcrossParams
    layout: ClassVar[Layout] = {
        "pools": Entries(kind=Pool, place=lambda pool: pool.place),
        "cases": Entries(kind=_Cases, place=lambda cases: cases.place),
        "waiting": Entries(kind=_Row, place=lambda row: row[0].instrument),
        "until": Least(NULL),
        "lost": Count(),
    }

    def __init__(self, params: FrontRunningAcrossParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._lot = [float(row.lot_size) for row in instruments.rows]
        self._pools: dict[str, Pool] = {}
        self._cases: dict[str, _Cases] = {}
        self._waiting: list[_Row] = []
        self._until_ns = NULL
        self._lost = 0

    @property
    def reach_ns(self) -> int:
        """A day: cases are kept so long for the rate that may explain them, ns."""
        return DAY

    @property
    def overflow(self) -> int:
        """Late trades, and cases that were not followed or kept."""
        return self._lost

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next batch; return what is known up to its watermark."""
        self._wait(batch)
        if batch.watermark_ns == NULL:
            return []
        due = [row for row in self._waiting if row[0].clock_ns < batch.watermark_ns]
        self._waiting = [row for row in self._waiting if row[0].clock_ns >= batch.watermark_ns]
        due.sort(key=lambda row: (row[0].clock_ns, row[0].instrument, row[0].first))
        findings: list[Finding] = []
        for done, fills, underlying in due:
            if done.clock_ns < self._until_ns:
                self._lost += 1
                continue
            findings.extend(self._take(done, fills, underlying))
        self._until_ns = max(self._until_ns, batch.watermark_ns)
        for cases in self._cases.values():
            findings.extend(self._due(cases, batch.watermark_ns, None))
        return sorted(findings, key=lambda f: (f.detected_ns, f.instrument, f.first_seq))

    def _wait(self, batch: Batch) -> None:
        """Add a batch's executions to those that wait; the rest of one that does goes with it."""
        known = {(row[0].instrument, row[0].seq): at for at, row in enumerate(self._waiting)}
        for done, fills, underlying in self._executions(batch):
            at = known.get((done.instrument, done.seq))
            if at is None:
                self._waiting.append((done, fills, underlying))
                continue
            first, filled, _ = self._waiting[at]
            first.amount += done.amount
            first.last = done.last
            first.doubt |= done.doubt
            self._waiting[at] = (first, filled + fills, underlying)

    def _executions(self, batch: Batch) -> Iterator[_Row]:
        """Yield the batch's executions by incoming instructions, each with what it filled."""
        plain = (batch["incoming_seq"] != 0) & (batch["phase"] == Phase.CONTINUOUS)
        plain &= (batch["busts_lo"] == 0) & (batch["busts_hi"] == 0) & (batch["side"] != 0)
        plain &= batch["incoming_received_ns"] != NULL
        rows = np.flatnonzero(plain)
        if not len(rows):
            return
        names = (
            "instrument", "incoming_seq", "incoming_received_ns", "clock_ns", "side", "price",
            "quantity", "seq", "best_bid", "best_ask", "coverage",
            "buy_account", "buy_owner", "buy_complex", "buy_role", "buy_originator",
            "sell_account", "sell_owner", "sell_complex", "sell_role", "sell_originator",
        )  # fmt: skip
        open_: Execution | None = None
        fills: list[Fill] = []
        last: tuple[int, int] = (-1, 0)
        for (
            code, incoming, received, clock, side, price, lots, seq, bid, ask, doubt,
            *parties,
        ) in zip(*(batch[name][rows].tolist() for name in names), strict=True):  # fmt: skip
            taker, maker = (parties[:5], parties[5:]) if side > 0 else (parties[5:], parties[:5])
            amount = lots * self._lot[code]
            traded = [
                Fill(clock, _actor(*party[:3]), way * amount)
                for party, way in ((maker, -side), (taker, side))
            ]
            if open_ is not None and last == (code, incoming):
                open_.amount += amount
                open_.last = seq
                open_.doubt |= bool(doubt)
                fills.extend(traded)
                continue
            if open_ is not None:
                yield self._row(open_, fills, last[0])
            last, fills = (code, incoming), traded
            account, owner, group, role, originator = taker
            open_ = Execution(
                instrument=self._instruments[code].instrument,
                seq=incoming,
                received_ns=received,
                clock_ns=clock,
                side=side,
                account=account,
                actor=_actor(account, owner, group),
                originator=originator,
                client=role == Role.CLIENT and not group,
                amount=amount,
                price=price,
                first=seq,
                last=seq,
                double_mid=None if NULL in (bid, ask) else bid + ask,
                doubt=bool(doubt),
            )
        if open_ is not None:
            yield self._row(open_, fills, last[0])

    def _row(self, done: Execution, fills: Sequence[Fill], code: int) -> _Row:
        return done, tuple(fills), self._instruments[code].collection

    def _take(self, done: Execution, fills: Sequence[Fill], underlying: str) -> Iterator[Finding]:
        pool = self._pools.get(underlying)
        if pool is None:
            pool = Pool(place=done.instrument, since_ns=done.clock_ns)
            self._pools[underlying] = pool
            self._cases[underlying] = _Cases(done.instrument)
        cases = self._cases[underlying]
        yield from self._due(cases, done.clock_ns, done)
        parent, acts = pool.add(done, self._params)
        for fill in fills:
            pool.traded(fill)
        for case in cases.open:
            who_and_how = (case.actor, case.traded, -case.side)
            if who_and_how == (done.actor, done.instrument, done.side):
                unwind(case, done)
        if parent is not None:
            yield from self._knew(pool, cases, parent, done, acts)

    def _knew(
        self, pool: Pool, cases: _Cases, parent: Parent, client: Execution, acts: Sequence[Act]
    ) -> Iterator[Finding]:
        """Open, extend and judge the cases of a client's episode."""
        by_key = {case.key: case for case in cases.open}
        pools = [self._pools[name] for name in sorted(self._pools)]
        for act in acts:
            key = (*parent.key, act.done.actor)
            if key not in by_key:
                if len(cases.open) >= self._params.max_cases:
                    self._lost += 1
                    continue
                by_key[key] = open_case(self._params, act, client)
                cases.open.append(by_key[key])
            take(by_key[key], act, client)
        for key, case in by_key.items():
            if key[:3] != parent.key or self._told_already(cases, case):
                continue
            fresh = weigh(pools, pool, self._params, case, parent)
            if not is_telling(self._params, case):
                continue
            if not case.told:
                yield self._finding(case, client.clock_ns)
            if fresh:
                yield from self._shed_light(case, client.clock_ns)

    @staticmethod
    def _told_already(cases: _Cases, case: Case) -> bool:
        """Return whether what was executed counts for another client who waited as well."""
        acts = set(case.acts)
        return any(
            other is not case and other.counted and acts & set(other.acts) for other in cases.open
        )

    def _shed_light(self, case: Case, at_ns: int) -> Iterator[Finding]:
        """Tell of the actor's cases of the day that were not complete: they are so many."""
        for name in sorted(self._cases):
            cases = self._cases[name]
            for other in [*cases.earlier, *cases.open]:
                if (
                    other is not case
                    and other.actor == case.actor
                    and other.counted
                    and other.opened_ns // DAY == case.opened_ns // DAY
                    and not is_complete(self._params, other)
                ):
                    other.p_hits = min(other.p_hits, case.p_hits)
                    other.p = min(other.p, case.p_hits)
                    other.hits, other.expected = case.hits, case.expected
                    yield self._finding(other, at_ns)
            cases.earlier = [o for o in cases.earlier if not is_complete(self._params, o)]

    def _due(self, cases: _Cases, before_ns: int, done: Execution | None) -> Iterator[Finding]:
        """Make the marks that are due, by the book before an execution; end cases.

        A mark is taken from the first execution in the instrument that was traded, within once
        more its horizon; after that there is none.
        """
        for case in list(cases.open):
            while case.due_s and next_due_ns(case) < before_ns:
                at_ns, double_mid = next_due_ns(case) + SECOND * case.due_s[0], None
                if done is not None and done.instrument == case.traded and done.clock_ns <= at_ns:
                    at_ns, double_mid = done.clock_ns, done.double_mid
                elif at_ns >= before_ns:
                    break
                mark(case, case.due_s.pop(0), double_mid)
                if case.told and not case.due_s:
                    yield self._finding(case, at_ns)
            if not case.due_s:
                cases.open.remove(case)
                self._keep(cases, case)

    def _keep(self, cases: _Cases, case: Case) -> None:
        """Keep a case that ends incomplete: the day's hits may yet become significant."""
        cases.earlier = [o for o in cases.earlier if o.opened_ns // DAY == case.opened_ns // DAY]
        if not case.counted or is_complete(self._params, case):
            return
        if len(cases.earlier) < self._params.max_cases:
            cases.earlier.append(case)
        else:
            self._lost += 1

    def _finding(self, case: Case, at_ns: int) -> Finding:
        return finding(self.spec, self._params, self._instruments, case, at_ns)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            "pools": pack_exact(sorted(self._pools.values(), key=lambda pool: pool.place)),
            "cases": pack_exact(sorted(self._cases.values(), key=lambda cases: cases.place)),
            "waiting": pack_exact(
                sorted(self._waiting, key=lambda row: (row[0].instrument, row[0].first))
            ),
            "until": np.array([self._until_ns], np.int64),
            "lost": np.array([self._lost], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it does not fit."""
        self._pools = {
            self._collection(pool.place): pool
            for pool in unpack_exact(snapshot["pools"], list[Pool])
        }
        self._cases = {}
        self._lost = int(snapshot["lost"][0])
        for cases in unpack_exact(snapshot["cases"], list[_Cases]):
            self._cases[self._collection(cases.place)] = cases
            cases.open, cases.earlier = self._listed(cases.open), self._listed(cases.earlier)
        self._waiting = unpack_exact(snapshot["waiting"], list[_Row])
        self._until_ns = int(snapshot["until"][0])

    def _listed(self, cases: list[Case]) -> list[Case]:
        """Return the cases all of whose instruments are still listed; the others are lost."""
        known = self._instruments.codes
        listed = [
            case
            for case in cases
            if {case.instrument, case.traded, *(name for name, _ in case.refs)} <= known.keys()
        ]
        self._lost += len(cases) - len(listed)
        return listed

    def _collection(self, name: str) -> str:
        return self._instruments[self._instruments.codes[name]].collection


def _actor(account: int, owner: int, group: int) -> int:
    if group:
        return GROUP
    return owner if owner >= 0 else -account - 2
