"""One instrument's book for a rematch: what trades with what, by the matching semantics alone.

Written from the wire contract (docs/flow.md), and from nothing that the simulator or the
detectors' book uses. Plain Python, since a rematch sees a few minutes around a breach and not a
feed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

SHOWN, BEHIND, HIDDEN = range(3)
"""Rank within a price: displayed, displayed of the group under price_class_time, hidden."""


class Fill(NamedTuple):
    """One trade: the resting and the incoming order, ticks, lots."""

    resting: int
    incoming: int
    price: int
    lots: int


class Order:
    """One live order; side as its sign, prices in ticks, quantities in lots."""

    __slots__ = (
        "display", "in_group", "is_stop", "key", "leaves",
        "place", "price", "rank", "shown", "side",
    )  # fmt: skip

    def __init__(
        self,
        key: int,
        side: int,
        price: int | None,
        leaves: int,
        *,
        display: int | None = None,
        in_group: bool = False,
        is_stop: bool = False,
    ) -> None:
        self.key = key
        """Hash of its id."""
        self.side, self.price, self.leaves, self.display = side, price, leaves, display
        self.in_group, self.is_stop = in_group, is_stop
        self.shown = 0
        self.rank = SHOWN
        self.place = 0
        """Order of joining; 0 while it is not in a queue."""

    @property
    def tranche(self) -> int:
        """What a fresh tranche shows, lots."""
        return self.leaves if self.display is None else min(self.display, self.leaves)

    def copy(self) -> Order:
        """Return the same order, apart."""
        other = Order.__new__(Order)
        for name in Order.__slots__:
            setattr(other, name, getattr(self, name))
        return other


class _Left:
    """What is left of a resting order while a plan is made."""

    __slots__ = ("leaves", "order", "shown")

    def __init__(self, order: Order) -> None:
        self.order, self.leaves, self.shown = order, order.leaves, order.shown

    @property
    def ready(self) -> int:
        """Lots that trade before the order queues again."""
        return self.leaves if self.order.rank == HIDDEN else self.shown

    def beside(self, other: _Left) -> bool:
        """Return whether another stands at its price and in its rank."""
        one, two = self.order, other.order
        return (one.price, one.rank) == (two.price, two.rank)

    def keeps_place(self, lots: int) -> bool:
        """Take a fill; return whether the order stays where it is. A fresh tranche does not."""
        self.leaves -= lots
        self.shown -= lots
        if self.leaves and (self.order.rank == HIDDEN or self.shown > 0):
            return True
        display = self.order.display
        self.shown = self.leaves if display is None else min(display, self.leaves)
        return False


def _rank(order: Order) -> tuple[int, int]:
    return (order.rank, order.place)


class Book:
    """Live orders by key, and the queues of those that rest.

    State: the live orders.

    Parameters
    ----------
    by_class : bool
        Whether clients' displayed orders come before the group's at one price
        (`matching` = price_class_time).

    Examples
    --------
    Two orders wait at one price; the older is filled first, the younger with what is left.

    >>> book = Book()
    >>> book.join(Order(1, -1, 100, 3)); book.join(Order(2, -1, 100, 5))
    >>> fills = book.plan(Order(9, 1, 100, 4), 4)
    >>> fills
    [Fill(resting=1, incoming=9, price=100, lots=3), Fill(resting=2, incoming=9, price=100, lots=1)]

    One tick below, nothing trades:

    >>> book.plan(Order(9, 1, 99, 4), 4)
    []
    """

    def __init__(self, *, by_class: bool = False) -> None:
        self.by_class = by_class
        self.orders: dict[int, Order] = {}
        """All that live: resting, waiting outside the book (stops, market orders in an auction)."""
        self._levels: dict[int, dict[int, list[Order]]] = {1: {}, -1: {}}
        self._prices: dict[int, list[int]] = {1: [], -1: []}
        """Price times side, ascending: the best stands last."""
        self._joined = 0

    def copy(self) -> Book:
        """Return the same book, apart."""
        other = Book(by_class=self.by_class)
        other.orders = {key: order.copy() for key, order in self.orders.items()}
        for side, levels in self._levels.items():
            other._levels[side] = {
                price: [other.orders[order.key] for order in queue]
                for price, queue in levels.items()
            }
            other._prices[side] = list(self._prices[side])
        other._joined = self._joined
        return other

    # --- queues -------------------------------------------------------------------------------

    def join(self, order: Order) -> None:
        """Put an order with a fresh tranche at the back of its queue."""
        assert order.price is not None  # noqa: S101 - what has no price never rests
        self._joined += 1
        order.place = self._joined
        order.shown = order.tranche
        order.rank = SHOWN
        if order.display == 0:
            order.rank = HIDDEN
        elif self.by_class and order.in_group:
            order.rank = BEHIND
        self.orders[order.key] = order
        level = self._levels[order.side].get(order.price)
        if level is None:
            level = self._levels[order.side][order.price] = []
            insort(self._prices[order.side], order.price * order.side)
        insort(level, order, key=_rank)

    def park(self, order: Order) -> None:
        """Keep an order outside the book."""
        order.place = 0
        self.orders[order.key] = order

    def leave(self, order: Order) -> None:
        """Take an order out of its queue, or from outside the book; it is not forgotten."""
        if not order.place:
            return
        assert order.price is not None  # noqa: S101 - it rests
        level = self._levels[order.side][order.price]
        del level[bisect_left(level, _rank(order), key=_rank)]
        if not level:
            del self._levels[order.side][order.price]
            prices = self._prices[order.side]
            del prices[bisect_left(prices, order.price * order.side)]
        order.place = 0

    def remove(self, key: int) -> Order | None:
        """Take an order out for good; None when it does not live."""
        order = self.orders.pop(key, None)
        if order is not None:
            self.leave(order)
        return order

    def reduce(self, order: Order, leaves: int) -> None:
        """Lower an order's open quantity; it keeps its place. Nothing left takes it out."""
        if leaves <= 0:
            self.remove(order.key)
            order.leaves = 0
            return
        order.leaves = leaves
        order.shown = min(order.shown, leaves)

    def fill(self, order: Order, lots: int) -> None:
        """Take a fill out of a resting or an incoming order; a new tranche queues last."""
        order.leaves -= lots
        if order.leaves <= 0:
            self.remove(order.key)
        elif order.place and order.rank != HIDDEN:
            order.shown -= lots
            if order.shown <= 0:
                self.leave(order)
                self.join(order)

    # --- questions ----------------------------------------------------------------------------

    def double_mid(self) -> int | None:
        """Return twice the mid of the displayed touch, ticks; None when a side is empty."""
        bid, ask = self._touch(1), self._touch(-1)
        return None if bid is None or ask is None else bid + ask

    def _touch(self, side: int) -> int | None:
        for price in reversed(self._prices[side]):
            if self._levels[side][price * side][0].rank != HIDDEN:
                return price * side
        return None

    def crosses(self, side: int, limit: int | None) -> bool:
        """Return whether an order of a side and limit would trade at once."""
        return next(self._opposite(side, limit), None) is not None

    def _opposite(self, side: int, limit: int | None) -> Iterator[int]:
        for signed in reversed(self._prices[-side]):
            price = -signed * side
            if limit is not None and side * (price - limit) > 0:
                return
            yield price

    # --- matching -----------------------------------------------------------------------------

    def plan(
        self,
        incoming: Order,
        lots: int,
        *,
        whole: bool = False,
        barred: Collection[int] = (),
        favoured: Mapping[int, int] | None = None,
        hidden_by_class: bool = False,
    ) -> list[Fill]:
        """Return the trades of an incoming order, best price first; nothing is changed.

        Parameters
        ----------
        incoming : Order
            Its side and limit count.
        lots : int
            How much of it may trade.
        whole : bool
            All of it or nothing (fill-or-kill).
        barred : collection of int
            Orders that it must not trade with: self-trade prevention, as recorded.
        favoured : mapping of key to lots, optional
            Resting orders that are served before their turn at their price, up to so much.
        hidden_by_class : bool
            Whether clients' hidden orders come before the group's too: hidden quantity is owed no
            priority, so the contract leaves it open.
        """
        fills: list[Fill] = []
        early = dict(favoured or ())
        for price in self._opposite(incoming.side, incoming.price):
            if not lots:
                break
            level = self._levels[-incoming.side][price]
            if hidden_by_class:
                level = sorted(level, key=lambda o: (o.rank, o.rank == HIDDEN and o.in_group))
            queue = [_Left(order) for order in level if order.key not in barred]
            while queue and lots:
                at = next((i for i, left in enumerate(queue) if early.get(left.order.key)), 0)
                left = queue.pop(at)
                key = left.order.key
                got = min(lots, left.ready, early.get(key) or lots)
                fills.append(Fill(key, incoming.key, price, got))
                lots -= got
                if key in early:
                    early[key] -= got
                if left.keeps_place(got):
                    queue.insert(at, left)
                elif left.leaves:
                    rank = left.order.rank
                    later = (i for i, other in enumerate(queue) if other.order.rank > rank)
                    queue.insert(next(later, len(queue)), left)
        return [] if whole and lots else fills

    def uncross(self, price: int, *, by_tranche: bool = False) -> list[Fill]:
        """Return the trades of an auction at a price that is given; nothing is changed.

        Orders that wait outside the book come first, then by price, then by place. The buyer is
        named as incoming. The contract does not say whether an iceberg that is filled beyond what
        it shows queues again (`by_tranche`) or trades on in its place.
        """
        buys, sells = self._willing(1, price), self._willing(-1, price)
        fills = []
        while buys and sells:
            lots = min(buys[0].leaves, sells[0].leaves)
            fills.append(Fill(sells[0].order.key, buys[0].order.key, price, lots))
            for queue in (buys, sells):
                left = queue[0]
                stays = left.keeps_place(lots) or (left.leaves > 0 and not by_tranche)
                if not stays:
                    queue.pop(0)
                if not stays and left.leaves:
                    queue.insert(sum(left.beside(other) for other in queue), left)
        return fills

    def _willing(self, side: int, price: int) -> list[_Left]:
        waiting = [
            order
            for order in self.orders.values()
            if order.side == side and not order.place and not order.is_stop
        ]
        queue = [o for o in waiting if o.price is None or side * (o.price - price) >= 0]
        for signed in reversed(self._prices[side]):
            if signed < price * side:
                break
            queue += self._levels[side][signed * side]
        return [_Left(order) for order in queue]

    def take(self, fills: Sequence[Fill], incoming: Order | None = None) -> None:
        """Carry trades out; orders that are not known are left out."""
        for fill in fills:
            for key in (fill.resting, fill.incoming):
                order = incoming if incoming and key == incoming.key else self.orders.get(key)
                if order is not None:
                    self.fill(order, fill.lots)
