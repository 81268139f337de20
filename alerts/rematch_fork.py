"""A fork of a book: a breach undone, and how an instruction is carried out on either book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from alerts.rematch_book import Book, Fill, Order
from alerts.rematch_steps import Event, Step
from ingest.events import GROUP_ROLES, NULL, Kind, OrderType, Phase, TimeInForce


class Outcome(msgspec.Struct):
    """What one lot or more of an order came to: a fill, or a mark where it was not filled."""

    lots: int
    double_price: int | None
    """Half ticks; None where the book had no mid."""
    at_seq: int
    """Step in which it came about: two runs agree on a fill when step and price are the same."""
    trade_seq: int = 0
    """Seq of the trade's record; 0 = a mark, or a fill that was never recorded."""
    why: str = "filled"
    """filled | busted | cancelled | reduced | expired | prevented | open."""


class Course(msgspec.Struct):
    """What an order of a client came to, as recorded and in the fork."""

    order: int
    account: int
    side: int
    recorded: list[Outcome] = []
    rematched: list[Outcome] = []
    root: int = 0
    """The order that it replaced in the end, through all its names; 0 = itself."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A client's instruction that is matched before its recorded time."""

    event: Event
    from_ns: int
    """When it reached the gateway, or its stop price was reached: it is matched before the first
    instruction that came later."""
    after_seq: int
    """It is matched behind this record."""
    before_seq: int
    """It is matched before this one at the latest: the group's instruction that overtook it."""

    def is_due(self, event: Event) -> bool:
        """Return whether it is matched before a step that begins with a record."""
        later = event.received_ns != NULL and event.received_ns > self.from_ns
        return event.seq >= self.before_seq or (event.seq > self.after_seq and later)


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """One breach, as what has to be done otherwise."""

    instrument: int
    first_seq: int
    """Record at whose step the fork begins at the latest."""
    first_ns: int
    """Event time before which it does not begin, ns."""
    enforced: frozenset[int] = frozenset()
    """Trades, by seq, that are made anew by the rules with all the others of their step."""
    moved: tuple[Moved, ...] = ()
    """In order of arrival."""
    omitted: frozenset[int] = frozenset()
    """Steps left out."""
    parents: tuple[tuple[int, int, int], ...] = ()
    """Accounts and sides of clients whose later orders that take count too, while their parent goes
    on, and when the last one that was overtaken came to the engine."""
    parent_gap_ns: int = 0
    """Silence that ends a parent."""
    last_seq: int = 0
    """Last record of the breach: the horizon is counted from its step."""
    alerts: tuple[str, ...] = ()


def one_a_step(due: Sequence[Repair]) -> list[Repair]:
    """Return repairs that begin at one step, those that make its trades anew as one."""
    anew = [repair for repair in due if repair.enforced]
    rest = [repair for repair in due if not repair.enforced]
    if len(anew) > 1:
        anew = [
            msgspec.structs.replace(
                anew[0],
                enforced=frozenset().union(*(repair.enforced for repair in anew)),
                last_seq=max(repair.last_seq for repair in anew),
                alerts=tuple(dict.fromkeys(id_ for repair in anew for id_ in repair.alerts)),
            )
        ]
    return [*anew, *rest]


def order_of(event: Event, leaves: int | None = None) -> Order:
    """Return the order that an instruction enters; a price binds it, whatever its type."""
    return Order(
        event.order,
        event.side,
        event.limit,
        event.leaves if leaves is None else leaves,
        display=None if event.display == NULL else event.display,
        in_group=event.role in GROUP_ROLES,
        is_stop=event.type in (OrderType.STOP, OrderType.STOP_LIMIT),
    )


class Run:
    """One book and how a step is carried out on it."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def lots_of(self, step: Step, recorded: Book) -> Order | None:
        """Take an instruction's order out of the queue, with what is open of it; None: not here.

        In a fork it has as much less (or more) open as was filled for it more (or less) than in
        the recorded book, which is the one before the step.
        """
        if step.event.kind == Kind.NEW:
            return self._entered(step.event, recorded)
        order = self.book.orders.get(step.event.order)
        if order is None or step.event.kind != Kind.TRIGGER:
            return None if order is None else self._amended(step.event, order, recorded)
        self.book.remove(order.key)
        order.is_stop = False
        return order

    def _entered(self, event: Event, recorded: Book) -> Order | None:
        less = 0
        if event.replaces:
            old, was = self.book.remove(event.replaces), recorded.orders.get(event.replaces)
            if was is not None and self.book is not recorded:
                less = was.leaves - (old.leaves if old else 0)
        leaves = event.leaves - max(less, 0)
        return order_of(event, leaves) if leaves > 0 else None

    def _amended(self, event: Event, order: Order, recorded: Book) -> Order | None:
        was = recorded.orders.get(event.order)
        before = was.leaves if was is not None else order.leaves
        leaves = event.leaves + (order.leaves - before)
        if not order.place:
            # It waits outside the book, where an amendment moves nothing.
            order.leaves, order.price = leaves, event.limit
            if leaves <= 0:
                self.book.remove(order.key)
            return None
        if event.limit in (None, order.price) and event.leaves < before:
            self.book.reduce(order, leaves)
            return None
        self.book.remove(order.key)
        return order_of(event, leaves) if leaves > 0 else None

    def plan(
        self, step: Step, order: Order, favoured: Mapping[int, int] | None = None
    ) -> list[Fill]:
        """Return an incoming order's trades by the rules."""
        event = step.event
        if step.phase != Phase.CONTINUOUS or order.is_stop or event.tif == TimeInForce.POST_ONLY:
            return []
        killed = event.tif == TimeInForce.FOK and not step.trades
        lots = order.leaves - step.prevented_lots(order.leaves)
        if killed or lots <= 0:
            return []
        return self.book.plan(
            order,
            lots,
            whole=event.tif == TimeInForce.FOK,
            barred=step.barred,
            favoured=favoured,
            hidden_by_class=step.hidden_by_class,
        )

    def settle(self, step: Step, order: Order | None, recorded: Book) -> None:
        """Rest what is left of an incoming order; do what prevention did."""
        event, book = step.event, self.book
        if order is not None and order.leaves > 0:
            order.leaves -= min(step.prevented_lots(event.leaves), order.leaves)
        if order is not None and order.leaves > 0:
            continuous = step.phase == Phase.CONTINUOUS
            never_rests = step.never_rests or order.price is None
            if order.is_stop or (never_rests and not continuous):
                book.park(order)
            elif not never_rests:
                book.join(order)
        for each in step.prevented:
            if each.order == event.order:
                continue
            other, was = book.orders.get(each.order), recorded.orders.get(each.order)
            if other is None:
                continue
            if each.kind == Kind.CANCEL:
                book.remove(other.key)
            else:
                lost = (was.leaves if was is not None else other.leaves) - each.leaves
                book.reduce(other, other.leaves - max(lost, 0))

    def end(self, event: Event) -> None:
        """Take an order out: a cancel, an expiry, the refusal of one that was just entered."""
        if event.kind in (Kind.CANCEL, Kind.EXPIRE) or (
            event.kind == Kind.REJECT and event.leaves == 0
        ):
            self.book.remove(event.order)


class Fork(Run):
    """The book with a breach undone, from the breach on."""

    def __init__(self, repair: Repair, book: Book) -> None:
        super().__init__(book)
        self.repair = repair
        self.courses: dict[int, Course] = {}
        """By order; of an order that replaced another, that one's."""
        self.ended: list[Course] = []
        """Those of orders whose id another order bears since."""
        self.unfinished = False
        """Whether the records ended before its horizon did."""
        self.until_ns: int | None = None
        """When the horizon ends; None before the breach is over."""
        self.incomplete = False
        self.pending = list(repair.moved)
        self.elsewhere = frozenset(moved.event.seq for moved in repair.moved)
        """Steps that were matched before their time."""
        self._parents = {(account, side): at_ns for account, side, at_ns in repair.parents}
        """When the last order of each came, event time."""

    @property
    def all_courses(self) -> list[Course]:
        """The courses, each once, whatever its order was called."""
        courses = {id(course): course for course in (*self.ended, *self.courses.values())}
        return list(courses.values())

    def is_of_parent(self, event: Event) -> bool:
        """Take a client's new order into account; return whether it is of a parent."""
        key = event.account, event.side
        last_ns = self._parents.get(key)
        if last_ns is None or event.clock_ns > last_ns + self.repair.parent_gap_ns:
            return False
        self._parents[key] = event.clock_ns
        return True

    def awaits_more(self, now_ns: int) -> bool:
        """Return whether more of a parent may come."""
        gap_ns = self.repair.parent_gap_ns
        return any(last_ns + gap_ns >= now_ns for last_ns in self._parents.values())

    def follow(self, event: Event, root: int) -> None:
        """Follow the order of a client's instruction from now on; `root`: see `Course`."""
        if event.kind == Kind.NEW and event.replaces in self.courses:
            self.courses.setdefault(event.order, self.courses[event.replaces])
        else:
            self.serve(event.order, event.account, event.side, root)

    def serve(self, order: int, account: int, side: int, root: int) -> None:
        """Follow an order that rests from now on."""
        self.courses.setdefault(order, Course(order, account, side, root=root))

    def forget(self, order: int) -> None:
        """Follow an order no more: another one has its id now."""
        course = self.courses.pop(order, None)
        if course is not None:
            self.ended.append(course)
            self.book.remove(order)

    def filled(self, step: Step, fills: Sequence[Fill]) -> None:
        """Note the trades of orders that are followed."""
        for fill in fills:
            for key in (fill.resting, fill.incoming):
                course = self.courses.get(key)
                if course is not None:
                    course.rematched.append(Outcome(fill.lots, 2 * fill.price, step.seq))

    def enter(self, step: Step, recorded: Book, *, by_rules: bool) -> None:
        """Carry an instruction out."""
        order = self.lots_of(step, recorded)
        if order is None:
            self.settle(step, None, recorded)
            return
        favoured: dict[int, int] = {}
        if step.departs and not by_rules:
            for fill in step.recorded:
                favoured[fill.resting] = favoured.get(fill.resting, 0) + fill.lots
        if (
            step.event.tif == TimeInForce.POST_ONLY
            and step.phase == Phase.CONTINUOUS
            and not order.is_stop
            and self.book.crosses(order.side, order.price)
            and not step.departs
        ):
            self.settle(step, None, recorded)
            return
        fills = self.plan(step, order, favoured)
        self.book.take(fills, order)
        self.filled(step, fills)
        self.settle(step, order, recorded)
