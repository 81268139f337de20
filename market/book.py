"""The order book of one instrument: queues by price, and orders that wait outside."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import heappop, heappush

from market.orders import BUY, SELL, Order


class Level:
    """The queues at one price, best first: displayed, displayed of the group, hidden.

    Under price_time all displayed orders stand in `front`. A queue is a dict used as an ordered
    set: joining and leaving cost the same wherever an order stands.
    """

    __slots__ = ("behind", "front", "hidden")

    def __init__(self) -> None:
        self.front: dict[Order, None] = {}
        self.behind: dict[Order, None] = {}
        self.hidden: dict[Order, None] = {}


class BookSide:
    """One side. `keys` are prices times the side's sign, ascending: the best stands last."""

    __slots__ = ("by_class", "keys", "levels", "sign")

    def __init__(self, sign: int, *, by_class: bool) -> None:
        self.sign = sign
        self.by_class = by_class
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    @property
    def best(self) -> int | None:
        """The best price, hidden orders included, ticks."""
        return self.keys[-1] * self.sign if self.keys else None

    def first(self) -> Order:
        """Return the order that is matched next; the side must not be empty."""
        level = self.levels[self.keys[-1]]
        return next(iter(level.front or level.behind or level.hidden))

    def join(self, order: Order) -> None:
        """Put an order with a fresh tranche at the back of its queue."""
        assert order.price is not None  # noqa: S101 - what has no price never rests
        key = order.price * self.sign
        level = self.levels.get(key)
        if level is None:
            level = self.levels[key] = Level()
            insort(self.keys, key)
        order.shown = order.tranche
        if order.display == 0:
            queue = level.hidden
        elif self.by_class and order.account.in_group:
            queue = level.behind
        else:
            queue = level.front
        queue[order] = None
        order.queue = queue

    def leave(self, order: Order) -> None:
        """Take an order out of its queue."""
        assert order.price is not None and order.queue is not None  # noqa: S101, PT018
        del order.queue[order]
        if not order.queue:
            key = order.price * self.sign
            level = self.levels[key]
            if not level.front and not level.behind and not level.hidden:
                del self.levels[key]
                del self.keys[bisect_left(self.keys, key)]
        order.queue = None

    def promote(self, order: Order) -> None:
        """Have a resting order served before all others at its price: abuse alone."""
        front = self._level(order).front
        others = [other for other in front if other is not order]
        self._move(order, front)
        for other in others:
            del front[other]
            front[other] = None

    def demote(self, order: Order) -> None:
        """Take a promotion back: an order stands where its age puts it, whatever joined since."""
        level = self._level(order)
        queue = level.behind if self.by_class and order.account.in_group else level.front
        self._move(order, queue)
        for other in sorted(queue, key=lambda one: one.priority):
            del queue[other]
            queue[other] = None

    def _level(self, order: Order) -> Level:
        assert order.price is not None  # noqa: S101 - it rests
        return self.levels[order.price * self.sign]

    def _move(self, order: Order, queue: dict[Order, None]) -> None:
        assert order.queue is not None  # noqa: S101 - it rests
        del order.queue[order]
        queue[order] = None
        order.queue = queue

    def queued(self) -> Iterator[Order]:
        """Yield the orders in the order in which they would be matched."""
        for key in reversed(self.keys):
            level = self.levels[key]
            for queue in (level.front, level.behind, level.hidden):
                yield from queue


class Stops:
    """Untriggered stops of one instrument, ready by stop price and then by age.

    State: two heaps in which what was amended or cancelled stays until it comes up.
    """

    def __init__(self) -> None:
        self._heaps: dict[int, list[tuple[int, int, Order]]] = {BUY: [], SELL: []}
        self._tickets = 0

    def add(self, order: Order) -> None:
        """Take in a stop, new or with another stop price."""
        assert order.stop_price is not None  # noqa: S101 - the gateway refuses a stop without
        self._tickets += 1
        order.priority = self._tickets
        heappush(self._heaps[order.side], (order.stop_price * order.side, self._tickets, order))

    def ready(self, last: int | None) -> Order | None:
        """Take out and return the next stop that a last price triggers: buys first."""
        if last is None:
            return None
        for side, heap in self._heaps.items():
            while heap and heap[0][0] <= last * side:
                _, ticket, order = heappop(heap)
                if order.live and order.is_stop and order.priority == ticket:
                    return order
        return None
