"""front_running: the platform knows of a large client order, and somebody takes its side first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec
import numpy as np

from detectors.base import Detector, Finding, Params, Spec
from detectors.episodes import Key
from detectors.front_case import (
    Case,
    extend,
    fill,
    finding,
    mark,
    take,
    unwind,
)
from detectors.front_chance import (
    EPISODES,
    NO_RATE,
    ORDERS,
    RESTS,
    is_complete,
    is_rate,
    judge,
    shed,
)
from detectors.front_params import FrontRunningParams
from detectors.front_spec import SPEC
from detectors.harm import Harm, Settled, Watch
from detectors.knowledge import Knowledge, Known
from ingest.axes import Count, Entries
from ingest.events import NULL, Array, Batch, Kind, Phase
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import DAY, SECOND

_KNOWN, _FLIGHT, _WATCHED, _FILL, _UNWIND = range(5)


def _under(case: Case, code: int) -> Case:
    return msgspec.structs.replace(case, instrument=code)


_Day = tuple[int, int, list[int]]
"""An instrument, its UTC day, and in how many windows there were executions: of large episodes,
selling and buying, and likewise of orders large by themselves."""


class FrontRunning(Detector):
    """Executions of the group on a client's side while it may have known of the client's order.

    State: 54 kB an instrument of recent instructions (`Knowledge`); at most `max_cases` cases
    followed for `horizon_s`, with a watch for each client order concerned, and `max_earlier` of
    the day that were not told.

    Examples
    --------
    The gateway has a client's purchase for 20 ms; the maker buys meanwhile.

    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> from ingest.events import Role
    >>> rows = [dict(kind=Kind.NEW, role=Role.CLIENT, account=n, owner=n, side=1, type=1, price=100,
    ...     quantity=10, engine_ns=n * SECOND, received_ns=n * SECOND) for n in range(1, 20)]
    >>> rows += [trade(50, 3, buy_complex=1, incoming_seq=20, engine_ns=30 * SECOND + 10_000_000,
    ...     incoming_received_ns=30 * SECOND + 9_000_000)]
    >>> rows += [dict(kind=Kind.NEW, role=Role.CLIENT, account=40, owner=40, side=1, type=2,
    ...     quantity=500, engine_ns=30 * SECOND + 20_000_000, received_ns=30 * SECOND)]
    >>> found = FrontRunning(FrontRunningParams(), example_instruments()).step(
    ...     batch_of(rows, example_instruments()))
    >>> [(f.scenario, f.accounts, f.features["gap"].value) for f in found]
    [('front_running', (50, 40), 9000000)]
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = FrontRunningParams
    layout: ClassVar[Layout] = {
        **Knowledge.layout,
        **Harm.layout,
        "cases": Entries(kind=Case, place=lambda case: case.instrument, moved=_under),
        "earlier": Entries(kind=Case, place=lambda case: case.instrument, moved=_under),
        "days": Entries(kind=_Day, place=lambda day: day[0], moved=lambda day, to: (to, *day[1:])),
        "not_followed": Count(),
    }

    def __init__(self, params: FrontRunningParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._knowledge = Knowledge(len(instruments), params)
        self._harm = Harm(params.horizon_s * SECOND, params.max_cases)
        self._cases: dict[int, dict[Key, Case]] = {}
        self._earlier: dict[int, list[Case]] = {}
        self._days: dict[int, _Day] = {}
        self._not_followed = 0

    @property
    def overflow(self) -> int:
        """Cases and client orders that were not followed."""
        return self._not_followed + self._harm.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return cases that became large, their marks and ends."""
        facts: dict[int, list[Known]] = {}
        for known in self._knowledge.scan(batch):
            facts.setdefault(known.instrument, []).append(known)
        if not facts and not self._cases:
            return []
        findings: list[Finding] = []
        for code, start, end in batch.by_instrument():
            if code in facts or code in self._cases:
                findings.extend(self._run(batch, code, start, end, facts.get(code, [])))
                if not self._cases.get(code):
                    self._cases.pop(code, None)
        return findings

    def _run(
        self, batch: Batch, code: int, start: int, end: int, facts: Sequence[Known]
    ) -> Iterator[Finding]:
        cases = self._cases.setdefault(code, {})
        events = [
            (int(batch["seq"][row]), what, int(batch["clock_ns"][row]), row)
            for what, rows in self._rows(batch, code, start, end, facts)
            for row in rows
        ]
        events += [(known.seq, _KNOWN, known.clock_ns, at) for at, known in enumerate(facts)]
        for _, what, at_ns, place in sorted(events):
            yield from self._due(batch, code, start, end, at_ns)
            if what == _KNOWN:
                yield from self._knew(cases, facts[place])
            elif what == _FILL:
                yield from self._filled(cases, batch, place)
            elif what == _UNWIND:
                _unwound(cases, batch, place)
            else:
                names = "incoming_seq" if what == _FLIGHT else "entry_seq"
                for settled in self._harm.record(batch, code, place, names=names):
                    self._settled(cases, settled)
        yield from self._due(batch, code, start, end, int(batch["clock_ns"][end - 1]))

    def _rows(
        self, batch: Batch, code: int, start: int, end: int, facts: Sequence[Known]
    ) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield rows that may matter to a case: fills of watched orders, of quotes, unwinds."""
        cases = self._cases[code].values()
        held = {seq for case in cases for seq in case.held} | {known.seq for known in facts}
        quotes = {seq for case in cases for seq in case.quotes}
        quotes |= {known.act_seq for known in facts if known.resting}

        def column(name: str) -> Array:
            return batch[name][start:end]

        def found(mask: Array) -> list[int]:
            return [start + row for row in np.flatnonzero(mask).tolist()]

        trades = column("kind") == Kind.TRADE
        yield _FLIGHT, found(trades & np.isin(column("incoming_seq"), list(held)))
        watched = self._harm.rows(batch, code, start, end, list(held))
        # Not the record by which it came: of a new order `entry_seq` is its own.
        yield _WATCHED, [r for r in watched if batch["seq"][r] != batch["entry_seq"][r]]
        plain = trades & (column("incoming_seq") != 0) & (column("phase") == Phase.CONTINUOUS)
        plain &= column("busts_lo") == 0
        if quotes:
            outside = column("buy_complex") != column("sell_complex")  # else nothing was gained
            yield _FILL, found(plain & outside & np.isin(column("entry_seq"), list(quotes)))
        mine = np.where(column("side") > 0, column("buy_complex"), column("sell_complex")) == 1
        yield _UNWIND, found(plain & mine)

    def _knew(self, cases: dict[Key, Case], known: Known) -> Iterator[Finding]:
        """Open or extend the case of an instruction of the group, or of its client's next."""
        key = (known.instrument, known.side, known.client, known.originator)
        case = cases.get(key)
        if case is None:
            if not known.act_seq:
                return
            if len(cases) >= self._params.max_cases:
                self._not_followed += 1
                return
            case = cases[key] = Case(
                instrument=known.instrument,
                side=known.side,
                client=known.client,
                originator=known.originator,
                first_seq=known.act_seq,
                first_ns=known.received_ns,
                first_accounts=(known.act_account, known.account),
                opened_ns=known.clock_ns,
                last_ns=known.clock_ns,
                due_s=self._params.marks_s,
            )
        small = not case.is_large(self._params)
        case.parent_lots, case.usual_lots = known.parent_lots, known.usual_lots
        if known.act_seq or known.clock_ns // DAY == case.opened_ns // DAY:
            # A new day's windows, hardly any yet, say nothing of what was done the day before.
            case.exposed_ns, case.windows = known.exposed_ns, known.windows
            case.alone_ns, case.alone_windows = known.alone_ns, known.alone_windows
            case.quiet_exposed_ns = known.quiet_ns
            if case.day != known.clock_ns // DAY:
                case.day = known.clock_ns // DAY
                case.rates[RESTS] = NO_RATE
        if known.act_seq:
            take(case, known)
            if not known.resting:
                self._watch(case, known)
        elif small:
            extend(case, known)
        yield from self._weigh(cases, case, known.clock_ns)

    def _weigh(self, cases: dict[Key, Case], case: Case, at_ns: int) -> Iterator[Finding]:
        """Judge a case whose client's episode is large; tell of it, and of what it sheds light on.

        What was executed once is told once: not again for another client who waited as well.
        """
        if not case.is_large(self._params) or case.lots <= 0:
            return
        acts = set(case.acts)
        if any(other is not case and acts & set(other.acts) and (other.counted or other.told)
               for other in cases.values()):  # fmt: skip
            return
        fresh = self._count(case, at_ns)
        judge(self._params, case)
        if (case.p <= self._params.chance or case.ahead) and not case.told:
            yield self._finding(case, at_ns)
        if fresh and case.day == at_ns // DAY and is_rate(self._params, case):
            yield from self._shed_light(cases, case, at_ns)

    def _shed_light(self, cases: dict[Key, Case], case: Case, at_ns: int) -> Iterator[Finding]:
        """Tell of the day's cases on that side that were not complete: they are so many.

        Of those in the windows that are hit so often: of large orders, or of any large episode.
        """
        earlier = self._earlier.get(case.instrument, [])
        for other in [*earlier, *cases.values()]:
            if (
                other.side == case.side
                and not is_complete(self._params, other)
                and shed(self._params, other, case)
            ):
                yield self._finding(other, at_ns, closed=not other.due_s)
        kept = [other for other in earlier if not is_complete(self._params, other)]
        self._earlier[case.instrument] = kept

    def _count(self, case: Case, at_ns: int) -> int:
        """Add a case's windows with executions to the day's; return how many hits are new.

        Those in which the group entered to rest are new too; the day's are counted where it did.

        Where its windows are of the day before, that day's count is what it stands by: the new
        day's says nothing of it.
        """
        fresh = len(case.hit) - case.counted
        alone = len(case.hit_alone) - case.counted_alone
        rested = len(case.rested_in) - case.counted_rested
        case.counted, case.counted_alone = len(case.hit), len(case.hit_alone)
        case.counted_rested = len(case.rested_in)
        if case.day == at_ns // DAY:
            hits, buys = self._hits(case, at_ns), int(case.side > 0)
            hits[buys] += fresh
            hits[2 + buys] += alone
            case.day_hits = (hits[buys], hits[2 + buys])
        else:
            case.day_hits = (case.day_hits[EPISODES] + fresh, case.day_hits[ORDERS] + alone)
        return fresh + rested

    def _hits(self, case: Case, at_ns: int) -> list[int]:
        """Return the day's counts of windows with executions, as in `_Day`."""
        today = at_ns // DAY
        day = self._days.get(case.instrument)
        if day is None or day[1] != today:
            day = self._days[case.instrument] = (case.instrument, today, [0] * 4)
            self._earlier.pop(case.instrument, None)
        return day[2]

    def _filled(self, cases: dict[Key, Case], batch: Batch, row: int) -> Iterator[Finding]:
        """Take in a fill of an order of the group that rested."""
        quote, at_ns = int(batch["entry_seq"][row]), int(batch["clock_ns"][row])
        for case in list(cases.values()):
            if quote in case.quotes:
                fill(case, batch, row)
                yield from self._weigh(cases, case, at_ns)

    def _watch(self, case: Case, known: Known) -> None:
        """Follow what the client pays beyond the price of the execution."""
        price = known.act_price + round(known.act_extra / known.act_lots)
        within = known.limit == NULL or known.side * (known.limit - price) >= 0
        lots = min(known.act_lots, known.lots)
        if not within or lots <= 0:
            return
        case.ahead = True
        self._harm.watch(
            known.instrument,
            Watch(
                key=case.key,
                first_seq=case.first_seq,
                entry_seq=known.seq,
                side=known.side,
                displaced=lots,
                cost=price * lots,
                leaves=known.lots,
                price=known.limit,
                deadline_ns=case.opened_ns + self._params.horizon_s * SECOND,
            ),
        )

    @staticmethod
    def _settled(cases: dict[Key, Case], settled: Settled) -> None:
        case = cases.get(tuple(settled.watch.key))
        if case is not None and settled.measured:
            case.harm += max(0, settled.watch.harm)
            case.measured += 1
            case.incomplete |= settled.incomplete

    def _due(
        self, batch: Batch, code: int, start: int, end: int, before_ns: int
    ) -> Iterator[Finding]:
        """Make the marks whose time lies before an event's, in order."""
        cases = self._cases[code]
        while cases:
            case = min(cases.values(), key=lambda each: (each.next_ns, each.first_seq, each.key))
            at_ns = case.next_ns
            if at_ns >= before_ns:
                break
            for settled in self._harm.due(batch, code, start, end, at_ns + 1):
                self._settled(cases, settled)
            horizon_s = case.due_s.pop(0)
            row = start + int(np.searchsorted(batch["clock_ns"][start:end], at_ns, side="right"))
            mark(case, horizon_s, int(batch["best_bid"][row]), int(batch["best_ask"][row]))
            if not case.due_s:
                del cases[case.key]
                self._keep(case, at_ns)
            if case.told:
                yield self._finding(case, at_ns, closed=not case.due_s)
        for settled in self._harm.due(batch, code, start, end, before_ns):
            self._settled(cases, settled)

    def _keep(self, case: Case, at_ns: int) -> None:
        """Keep a case that ends incomplete: the day's rate may yet become significant."""
        if (
            is_complete(self._params, case)
            or not case.is_counted
            or case.opened_ns // DAY != at_ns // DAY
        ):
            return
        earlier = self._earlier.setdefault(case.instrument, [])
        if len(earlier) < self._params.max_earlier:
            earlier.append(case)
        else:
            self._not_followed += 1

    def _finding(self, case: Case, at_ns: int, *, closed: bool = False) -> Finding:
        case.told += 1
        return finding(self.spec, self._params, self._instruments, case, at_ns, closed=closed)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        cases = [case for code in sorted(self._cases) for case in self._cases[code].values()]
        earlier = [case for code in sorted(self._earlier) for case in self._earlier[code]]
        return {
            **self._knowledge.snapshot(),
            **self._harm.snapshot(),
            "cases": pack_exact(cases),
            "earlier": pack_exact(earlier),
            "days": pack_exact([self._days[code] for code in sorted(self._days)]),
            "not_followed": np.array([self._not_followed], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._knowledge.restore(snapshot)
        self._harm.restore(snapshot)
        self._cases, self._earlier = {}, {}
        for case in unpack_exact(snapshot["cases"], list[Case]):
            self._cases.setdefault(case.instrument, {})[case.key] = case
        for case in unpack_exact(snapshot["earlier"], list[Case]):
            self._earlier.setdefault(case.instrument, []).append(case)
        days = unpack_exact(snapshot["days"], list[_Day])
        self._days = {code: (code, day, hits) for code, day, hits in days}
        self._not_followed = int(snapshot["not_followed"][0])


def _unwound(cases: dict[Key, Case], batch: Batch, row: int) -> None:
    side = int(batch["side"][row])
    for case in cases.values():
        if case.side == -side:
            unwind(case, int(batch["price"][row]), int(batch["quantity"][row]))
