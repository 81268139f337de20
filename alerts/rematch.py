"""Rematch: a window replayed through the venue's rules, as it was and as it would have been.

The recorded book is led by the records. Beside it run forks: the same book from some step on, in
which a breach is undone and every later instruction is the recorded one. What a fork holds fixed:
every other instruction, its time and its order; triggers, maker protection and phases as recorded;
the price of an uncross; what self-trade prevention took; an order that was refused stays refused,
and a fill-or-kill that was killed stays killed; where the engine departed from the rules elsewhere,
it departs there too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from alerts.rematch_book import Book, Order
from alerts.rematch_fork import Fork, Outcome, Repair, Run, one_a_step, order_of
from alerts.rematch_steps import Event, Step
from ingest.events import Coverage, Kind
from ingest.times import SECOND


class Count(msgspec.Struct):
    """What a replay came to: the identity of the record with the rules."""

    trades: int = 0
    reproduced: int = 0
    """Trades of steps whose trades the rules give exactly: orders, prices, quantities, sequence."""
    departures: list[int] = []
    """Seqs of the steps where they do not."""

    def add(self, step: Step) -> None:
        """Take in a step."""
        self.trades += len(step.trades)
        if not step.departs:
            self.reproduced += len(step.trades)
            return
        self.departures.append(step.seq)


class Replay:
    """The recorded book and its forks, step by step.

    State: the book; a copy of it for each fork that is not over.

    Parameters
    ----------
    book : Book
        As it stood before the first step.
    repairs : sequence of Repair
        Of this instrument.
    horizon_ns : int
        How long after a breach clients are followed.
    is_client : callable
        Whether the account of an order's instruction is owed priority.
    clients : mapping of order to (account, side)
        Of the orders that were live before the first step, those that are owed priority.
    roots : dict of order to order
        Of orders that replaced others, the first of the chain; those that come are added.
    busted : collection of int
        Trades, by id, that the venue took back later.
    """

    def __init__(
        self,
        book: Book,
        repairs: Sequence[Repair] = (),
        *,
        horizon_ns: int = 300 * SECOND,
        is_client: Callable[[Event], bool] = lambda _: False,
        clients: Mapping[int, tuple[int, int]] | None = None,
        roots: dict[int, int] | None = None,
        busted: Collection[int] = frozenset(),
    ) -> None:
        self.count = Count()
        """Of all steps; where there are repairs, of those during which a breach is followed."""
        self.forks: list[Fork] = []
        """Those that are over, in the order in which they ended."""
        self._run = Run(book)
        self._waiting = sorted(repairs, key=lambda repair: (repair.first_ns, repair.first_seq))
        self._open: list[Fork] = []
        self._horizon_ns = horizon_ns
        self._is_client = is_client
        self._clients = dict(clients or {})
        self._roots = {} if roots is None else roots
        self._busted = busted
        self._counts_all = not repairs
        self.noted: set[int] = set()
        """Records at which an order that is followed came to something; the caller may empty it."""
        self._restated: list[Event] | None = None
        self._seq = self._clock_ns = 0
        self._doubt = False

    @property
    def book(self) -> Book:
        """The recorded book."""
        return self._run.book

    @property
    def waiting(self) -> Sequence[Repair]:
        """The repairs that have not begun, in order."""
        return self._waiting

    @property
    def is_idle(self) -> bool:
        """Whether no fork is open."""
        return not self._open

    def run(self, steps: Iterable[Step]) -> Replay:
        """Take all steps; what is open then is marked as it stands."""
        self.take(steps)
        self.close()
        return self

    def take(self, steps: Iterable[Step]) -> None:
        """Take the next steps."""
        for step in steps:
            self._step(step)

    def close(self) -> None:
        """Mark what is open as it stands: there are no more records."""
        for fork in list(self._open):
            fork.unfinished = fork.until_ns is None or self._clock_ns < fork.until_ns
            self._close(fork, self._seq)

    # --- one step -----------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        event, book = step.event, self._run.book
        for fork in list(self._open):
            if fork.until_ns is not None and event.clock_ns > fork.until_ns:
                self._close(fork, event.seq)
        self._seq = max([event.seq, *(e.seq for e in (*step.trades, *step.prevented))])
        self._clock_ns = max(self._clock_ns, self._last_ns(step))
        self._doubt = event.coverage == Coverage.INCOMPLETE
        if self._waiting and self._waiting[0].first_ns <= event.clock_ns:
            due = [each for each in self._waiting if self._is_due(each, event)]
            for repair in due:
                self._waiting.remove(repair)
            for repair in one_a_step(due):
                self._begin(repair)
        if event.kind in (Kind.NEW, Kind.BOOK) or step.can_trade:
            self._owed(event)
        if event.kind in (Kind.BOOK, Kind.BOOK_END):
            self._restate(event)
            return
        if step.can_trade:
            self._instruction(step)
        elif event.kind == Kind.TRADE:
            self._unannounced(step)
        else:
            for fork in self._open:
                fork.end(event)
                fork.incomplete |= self._doubt
            self._gone(event, book.orders.get(event.order))
            self._run.end(event)
        self._forget(step)
        for fork in list(self._open):
            if self._seq >= fork.repair.last_seq and fork.until_ns is None:
                fork.until_ns = self._last_ns(step) + self._horizon_ns
            if fork.until_ns is not None and self._is_over(fork):
                self._close(fork, self._seq)

    def _owed(self, event: Event) -> None:
        """Note whether the order of an instruction, or of a restated book, is owed priority."""
        if self._is_client(event):
            self._clients[event.order] = (event.account, event.side)
        elif event.kind in (Kind.NEW, Kind.BOOK):
            self._clients.pop(event.order, None)

    def _forget(self, step: Step) -> None:
        """Forget clients' orders that ended with a step: their ids may come again."""
        live = self._run.book.orders
        touched = [step.event.order, step.event.replaces, *(e.order for e in step.prevented)]
        touched += [key for trade in step.trades for key in (trade.buy, trade.sell)]
        for key in touched:
            if key not in live:
                self._clients.pop(key, None)

    def _root(self, order: int) -> int:
        return self._roots.get(order, order)

    def _is_due(self, repair: Repair, event: Event) -> bool:
        if repair.first_ns > event.clock_ns:
            return False
        due = any(moved.is_due(event) for moved in repair.moved)
        return due or self._seq >= repair.first_seq

    @staticmethod
    def _last_ns(step: Step) -> int:
        return max([step.event.clock_ns, *(trade.clock_ns for trade in step.trades)])

    def _begin(self, repair: Repair) -> None:
        fork = Fork(repair, self._run.book.copy())
        fork.incomplete = self._doubt
        self._open.append(fork)

    def _instruction(self, step: Step) -> None:
        run, event = self._run, step.event
        recorded = run.book
        trial = recorded.orders.get(event.order)
        before = trial.leaves if trial is not None else 0
        if event.kind == Kind.NEW:
            if event.replaces:
                self._roots[event.order] = self._root(event.replaces)
            else:
                self._roots.pop(event.order, None)
        # The forks first: they ask the recorded book as it stood before the step.
        ready = self._trial(step)
        step.planned = run.plan(step, ready) if ready is not None else []
        if ready is not None and recorded.by_class and step.departs:
            # Another venue's way with hidden orders, which the contract leaves open.
            usual, step.hidden_by_class = step.planned, True
            step.planned = run.plan(step, ready)
            if step.departs:
                step.planned, step.hidden_by_class = usual, False
        for fork in self._open:
            self._in_fork(fork, step, recorded)
        self._note(step)
        if event.kind == Kind.NEW and event.replaces:
            self._succeeded(event, recorded.orders.get(event.replaces))
        elif event.kind == Kind.REPLACE and before > event.leaves >= 0:
            why = "prevented" if event.is_prevention else "reduced"
            self._marked(event.order, before - event.leaves, event, why)
        order = run.lots_of(step, recorded)
        if order is not None:
            run.book.take(step.recorded, order)
        elif step.trades:
            run.book.take(step.recorded)
        left = order.leaves if order is not None else 0
        for each in step.prevented:
            other = recorded.orders.get(each.order)
            if other is not None and each.order != event.order:
                kept = each.leaves if each.kind == Kind.REPLACE else 0
                self._marked(each.order, other.leaves - kept, each, "prevented")
        run.settle(step, order, recorded)
        if left > 0 and event.order not in run.book.orders:
            self._marked(event.order, left, event, "expired")

    def _trial(self, step: Step) -> Order | None:
        """Return the incoming order of a step as it would be matched; the book is unchanged."""
        event, book = step.event, self._run.book
        if event.kind == Kind.NEW:
            return order_of(event)
        order = book.orders.get(event.order)
        if order is None:
            return None
        if event.kind == Kind.TRIGGER:
            order = order.copy()
            order.is_stop = False
            return order
        if not order.place or (event.limit in (None, order.price) and event.leaves < order.leaves):
            return None
        return order_of(event)

    def _in_fork(self, fork: Fork, step: Step, recorded: Book) -> None:
        repair = fork.repair
        fork.incomplete |= self._doubt
        while fork.pending and fork.pending[0].is_due(step.event):
            moved = fork.pending.pop(0).event
            fork.follow(moved, self._root(moved.replaces or moved.order))
            # As if it came now, without what the engine did by it.
            fork.enter(Step(moved, step.phase), recorded, by_rules=True)
        if step.seq in fork.elsewhere or step.seq in repair.omitted:
            return
        if step.event.kind == Kind.NEW and step.event.order != step.event.replaces:
            fork.forget(step.event.order)
            if self._is_client(step.event) and fork.is_of_parent(step.event) and step.takes:
                fork.follow(step.event, self._root(step.event.order))
        by_rules = any(trade.seq in repair.enforced for trade in step.trades)
        if by_rules:
            self._serve(fork, step)
        fork.enter(step, recorded, by_rules=by_rules)

    def _serve(self, fork: Fork, step: Step) -> None:
        """Follow the clients whom an enforced step serves better than the record."""
        got: dict[int, int] = {}
        for fills, sign in ((step.planned, 1), (step.recorded, -1)):
            for fill in fills:
                got[fill.resting] = got.get(fill.resting, 0) + sign * fill.lots
        for key, lots in got.items():
            if lots > 0 and key in self._clients:
                fork.serve(key, *self._clients[key], self._root(key))

    def _unannounced(self, step: Step) -> None:
        book = self._run.book
        if step.is_uncross:
            price, by_tranche = step.event.price, False
            step.planned = book.uncross(price)
            if step.departs:
                # Another venue's way with icebergs, which the contract leaves open.
                other = book.uncross(price, by_tranche=True)
                by_tranche = other == step.recorded
                step.planned = other if by_tranche else step.planned
            for fork in self._open:
                fills = fork.book.uncross(price, by_tranche=by_tranche)
                fork.book.take(fills)
                fork.filled(step, fills)
        self._note(step)
        book.take(step.recorded)

    def _note(self, step: Step) -> None:
        """Count the step's trades, and note those of orders that are followed."""
        if self._counts_all or self._open:
            self.count.add(step)
        for trade in step.trades:
            for key in (trade.buy, trade.sell):
                for fork in self._open:
                    course = fork.courses.get(key)
                    if course is not None:
                        why = "busted" if trade.trade in self._busted else "filled"
                        course.recorded.append(
                            Outcome(trade.quantity, 2 * trade.price, step.seq, trade.seq, why)
                        )
                        self.noted.add(trade.seq)

    # --- ends ---------------------------------------------------------------------------------

    def _gone(self, event: Event, order: Order | None) -> None:
        if order is not None and event.kind in (Kind.CANCEL, Kind.EXPIRE):
            why = "cancelled" if event.kind == Kind.CANCEL else "expired"
            why = "prevented" if event.is_prevention else why
            self._marked(order.key, order.leaves, event, why)

    def _marked(self, key: int, lots: int, event: Event, why: str) -> None:
        if lots <= 0:
            return
        for fork in self._open:
            course = fork.courses.get(key)
            if course is not None:
                mid = self._run.book.double_mid()
                course.recorded.append(Outcome(lots, mid, event.seq, why=why))
                self.noted.add(event.seq)

    def _succeeded(self, event: Event, old: Order | None) -> None:
        """Follow an order that replaces another under that one's name."""
        for fork in self._open:
            course = fork.courses.get(event.replaces)
            if course is not None:
                fork.courses.setdefault(event.order, course)
        if old is not None:
            self._marked(old.key, old.leaves - event.leaves, event, "reduced")

    def _is_over(self, fork: Fork) -> bool:
        awaited = any(seq > self._seq for seq in fork.elsewhere)
        if awaited or fork.awaits_more(self._clock_ns):
            return False
        books = (self._run.book.orders, fork.book.orders)
        return not any(key in orders for key in fork.courses for orders in books)

    def _close(self, fork: Fork, seq: int) -> None:
        self._open.remove(fork)
        fork.incomplete |= self._doubt
        for key in fork.courses:
            order = self._run.book.orders.get(key)
            if order is not None:
                mid = self._run.book.double_mid()
                fork.courses[key].recorded.append(Outcome(order.leaves, mid, seq, why="open"))
                self.noted.add(seq)
        self.forks.append(fork)

    def _restate(self, event: Event) -> None:
        """Take a restated book over; forks go on as they are."""
        book = self._run.book
        if event.kind == Kind.BOOK:
            self._restated = [*(self._restated or ()), event]
            return
        told = self._restated or []
        self._restated = None
        for key in set(book.orders) - {each.order for each in told}:
            book.remove(key)
            self._clients.pop(key, None)
        for each in told:
            for fork in self._open:
                course = fork.courses.get(each.order)
                if course is not None and course.account != each.account:
                    fork.forget(each.order)
            book.remove(each.order)
            order = order_of(each)
            if order.is_stop or order.price is None:
                book.park(order)
            else:
                book.join(order)
