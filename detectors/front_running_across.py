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
    lapses_ns,
    mark,
    next_due_ns,
    open_case,
    take,
    unwind,
    weigh,
)
from detectors.across_kernel import (
    CASE_FIELDS,
    E_ACCOUNT,
    E_ACTOR,
    E_CLOCK,
    E_DOUBT,
    E_FIRST,
    E_INSTRUMENT,
    E_LAST,
    E_ORIGINATOR,
    E_PRICE,
    E_RECEIVED,
    E_SEQ,
    E_SIDE,
    EXECUTION_FIELDS,
    MOST_ACTS,
    run,
)
from detectors.across_params import FrontRunningAcrossParams
from detectors.across_pool import Act, Execution, Parent, Pool, Pools, Stored
from detectors.across_spec import SPEC
from detectors.across_trades import (
    COLUMNS,
    T_ACCOUNT,
    T_ACTOR,
    T_CLIENT,
    T_CLOCK,
    T_DOUBT,
    T_INCOMING,
    T_INSTRUMENT,
    T_MID,
    T_ORIGINATOR,
    T_PRICE,
    T_RECEIVED,
    T_SEQ,
    T_SIDE,
    TRADE_FIELDS,
    collect,
    due_of,
    last_of,
    most_of,
)
from detectors.base import Detector, Finding, Params, Spec
from ingest.axes import Count, Entries, Least, Rows
from ingest.compiled import plain
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import DAY, SECOND


class _Cases(msgspec.Struct):
    """The cases of one underlying: those that are followed, and the day's that were not told."""

    place: str
    open: list[Case] = []
    earlier: list[Case] = []


def _episode_of(done: Execution, amount: float) -> Parent:
    return Parent(client=done.actor, originator=done.originator, side=done.side, amount=amount)


class FrontRunningAcross(Detector):
    """Executions ahead of clients that one instrument's feed does not show, or not as the group's.

    State, by underlying seen: its executions, fills and sizes (`Pools`: 290 kB), at most
    `max_cases` open cases and as many of the day; trades since the last watermark, 120 B each.

    Examples
    --------
    The gateway has a client's purchase for 20 ms; the maker buys the perpetual meanwhile.

    >>> from detectors.examples import across
    >>> batch, instruments = across()
    >>> hit, = FrontRunningAcross(FrontRunningAcrossParams(), instruments).step(batch)
    >>> hit.scenario, hit.features["traded"].value, hit.features["gap"].value
    ('front_running', 'BTC-PERP', 9000000)
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = FrontRunningAcrossParams
    layout: ClassVar[Layout] = {
        "pools": Entries(kind=Stored, place=lambda pool: pool.place),
        "cases": Entries(kind=_Cases, place=lambda cases: cases.place),
        "waiting": Rows("waiting", column=T_INSTRUMENT),
        "until": Least(NULL),
        "lost": Count(),
    }

    def __init__(self, params: FrontRunningAcrossParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        rows = instruments.rows
        self._lot = np.array([float(row.lot_size) for row in rows])
        self._rank = np.argsort(np.argsort(np.array([row.instrument for row in rows])))
        self._pool_of = np.full(len(rows), -1, np.int64)
        self._pools = Pools()
        self._cases: list[_Cases] = []
        self._waiting = np.empty((0, TRADE_FIELDS), np.int64)
        self._acts = np.empty((MOST_ACTS, EXECUTION_FIELDS), np.int64)  # room: kept between calls
        self._of_acts = np.empty((MOST_ACTS, 3))
        self._until_ns = NULL
        self._lost = 0

    @property
    def reach_ns(self) -> int:
        """A day: cases are kept so long for the rate that may explain them, ns."""
        return DAY

    @property
    def overflow(self) -> int:
        """Late executions, and cases that were not followed or kept."""
        return self._lost

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next batch; return what is known up to its watermark."""
        self._wait(batch)
        if batch.watermark_ns == NULL:
            return []
        findings: list[Finding] = []
        if len(self._waiting):
            findings.extend(self._run(batch.watermark_ns))
        self._until_ns = max(self._until_ns, batch.watermark_ns)
        for cases in self._cases:
            findings.extend(self._due(cases, batch.watermark_ns, None))
        return sorted(findings, key=lambda f: (f.detected_ns, f.instrument, f.first_seq))

    def _wait(self, batch: Batch) -> None:
        """Add a batch's trades to those that wait, each instrument's together in seq order."""
        taken = np.empty((most_of(batch), TRADE_FIELDS), np.int64)
        if not len(taken):
            return
        taken = taken[: collect(tuple(plain(batch[name]) for name in COLUMNS), taken)]
        if len(self._waiting):
            taken = np.concatenate([self._waiting, taken])
            taken = taken[np.argsort(taken[:, T_INSTRUMENT], kind="stable")]
        self._waiting = taken

    def _run(self, watermark_ns: int) -> Iterator[Finding]:
        """Take in the executions that began before the watermark, in the order of event time."""
        trades = self._waiting
        spans, waits, late = due_of(trades, self._until_ns, watermark_ns, self._rank)
        self._waiting = trades[waits]
        self._lost += late
        self._meet(trades[spans[:, 0]])
        params, at = self._params, 0
        times = (params.clock_uncertainty_ns, params.parent_gap_s * SECOND, params.local_s * SECOND)
        while at <= len(spans):
            at, written, met, amount, parent = run(
                trades, spans, at, self._pool_of, self._lot, times, params.large_ratio,
                self._pools.state, self._followed(), self._acts, self._of_acts,
            )  # fmt: skip
            if at <= len(spans):
                done = trades[slice(*spans[at - 1])]
                yield from self._take(done, amount, parent, written, met)

    def _meet(self, trades: Array) -> None:
        """Make pools of the underlyings that are new."""
        for row in np.flatnonzero(self._pool_of[trades[:, T_INSTRUMENT]] < 0).tolist():
            code = int(trades[row, T_INSTRUMENT])
            if self._pool_of[code] < 0:
                place = self._instruments[code].instrument
                self._place(self._pools.add(place, int(trades[row, T_CLOCK])))
                self._cases.append(_Cases(place))

    def _place(self, pool: Pool) -> None:
        """Note of which instruments a pool is."""
        collection = self._instruments[self._instruments.codes[pool.place]].collection
        for code, row in enumerate(self._instruments.rows):
            if row.collection == collection:
                self._pool_of[code] = pool.at

    def _followed(self) -> Array:
        """Return the open cases as the kernel takes them."""
        rows = [
            (at, case.client, case.originator, case.side, case.actor,
             self._instruments.codes[case.traded], next_due_ns(case), lapses_ns(case),
             case.net > case.unwound)
            for at, cases in enumerate(self._cases)
            for case in cases.open
        ]  # fmt: skip
        return np.array(rows, np.int64).reshape(-1, CASE_FIELDS)

    def _take(
        self, trades: Array, amount: float, parent: float, written: int, met: int
    ) -> Iterator[Finding]:
        """Bring an execution that concerns a case to those of its underlying."""
        done, first = self._execution(trades, amount), trades[0]
        pool = self._pools.all[self._pool_of[first[T_INSTRUMENT]]]
        cases = self._cases[pool.at]
        yield from self._due(cases, done.clock_ns, done)
        for case in cases.open:
            who_and_how = (case.actor, case.traded, -case.side)
            if who_and_how == (done.actor, done.instrument, done.side):
                unwind(case, done)
        for at, row in enumerate(self._acts[written:met], written):
            waited = self._kept(row, 0.0)
            act = self._act(pool, at, done, waited)
            episode = _episode_of(waited, float(self._of_acts[at, 2]))
            yield from self._knew(pool, cases, episode, [act], done.clock_ns)
        if first[T_CLIENT]:
            acts = [
                self._act(pool, at, self._kept(row, float(self._of_acts[at, 0])), done)
                for at, row in enumerate(self._acts[:written])
            ]
            yield from self._knew(pool, cases, _episode_of(done, parent), acts, done.clock_ns)

    def _act(self, pool: Pool, at: int, done: Execution, client: Execution) -> Act:
        return Act(
            done=done,
            client=client,
            rate_as_large=float(self._of_acts[at, 1]),
            hedge=pool.hedge(self._params, done.actor, done.received_ns, client.side),
        )

    def _knew(
        self, pool: Pool, cases: _Cases, parent: Parent, acts: Sequence[Act], at_ns: int
    ) -> Iterator[Finding]:
        """Open, extend and judge the cases of a client's episode."""
        by_key = {case.key: case for case in cases.open}
        for act in acts:
            key = (*parent.key, act.done.actor)
            if key not in by_key:
                if len(cases.open) >= self._params.max_cases:
                    self._lost += 1
                    continue
                by_key[key] = open_case(self._params, act, at_ns)
                cases.open.append(by_key[key])
            take(by_key[key], act, at_ns)
        for key, case in by_key.items():
            if key[:3] != parent.key or self._told_already(cases, case):
                continue
            fresh = weigh(self._pools.all, pool, self._params, case, parent)
            if not is_telling(self._params, case):
                continue
            if not case.told:
                yield self._finding(case, at_ns)
            if fresh:
                yield from self._shed_light(case, at_ns)

    @staticmethod
    def _told_already(cases: _Cases, case: Case) -> bool:
        """Return whether what was executed counts for another client who waited as well."""
        acts = set(case.acts)
        return any(
            other is not case and other.counted and acts & set(other.acts) for other in cases.open
        )

    def _shed_light(self, case: Case, at_ns: int) -> Iterator[Finding]:
        """Tell of the actor's cases of the day that were not complete: they are so many."""
        for cases in sorted(self._cases, key=lambda cases: cases.place):
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

    def _execution(self, trades: Array, amount: float) -> Execution:
        values = trades[0].tolist()
        return Execution(
            instrument=self._instruments[values[T_INSTRUMENT]].instrument,
            seq=values[T_INCOMING],
            received_ns=values[T_RECEIVED],
            clock_ns=values[T_CLOCK],
            side=values[T_SIDE],
            account=values[T_ACCOUNT],
            actor=values[T_ACTOR],
            originator=values[T_ORIGINATOR],
            amount=amount,
            price=values[T_PRICE],
            first=values[T_SEQ],
            last=last_of(trades),
            double_mid=None if values[T_MID] == NULL else values[T_MID],
            doubt=bool(trades[:, T_DOUBT].any()),
        )

    def _kept(self, row: Array, amount: float) -> Execution:
        values = row.tolist()
        return Execution(
            instrument=self._instruments[values[E_INSTRUMENT]].instrument,
            seq=values[E_SEQ],
            received_ns=values[E_RECEIVED],
            clock_ns=values[E_CLOCK],
            side=values[E_SIDE],
            account=values[E_ACCOUNT],
            actor=values[E_ACTOR],
            originator=values[E_ORIGINATOR],
            amount=amount,
            price=values[E_PRICE],
            first=values[E_FIRST],
            last=values[E_LAST],
            doubt=bool(values[E_DOUBT]),
        )

    def _finding(self, case: Case, at_ns: int) -> Finding:
        return finding(self.spec, self._params, self._instruments, case, at_ns)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        order = np.argsort(self._waiting[:, T_INSTRUMENT], kind="stable")
        return {
            "pools": pack_exact(self._pools.stored(self._instruments)),
            "cases": pack_exact(sorted(self._cases, key=lambda cases: cases.place)),
            "waiting": self._waiting[order],
            "until": np.array([self._until_ns], np.int64),
            "lost": np.array([self._lost], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it does not fit."""
        stored = unpack_exact(snapshot["pools"], list[Stored])
        self._pools.restore(stored, self._instruments)
        self._pool_of[:] = -1
        for pool in self._pools.all:
            self._place(pool)
        self._lost = int(snapshot["lost"][0])
        self._cases = unpack_exact(snapshot["cases"], list[_Cases])
        for cases in self._cases:
            cases.open, cases.earlier = self._listed(cases.open), self._listed(cases.earlier)
        self._waiting = snapshot["waiting"].copy()
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
