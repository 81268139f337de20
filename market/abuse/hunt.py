"""How clients' stops are hunted: orders beyond them, a burst through them, and the way back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from ingest.times import MILLI, SECOND
from market.abuse.base import Venue
from market.abuse.held import cut, withdraw
from market.case import Case
from market.loop import Port
from market.orders import Order

BURSTS: Final = {"split": ((3, 6), (0.15, 0.7)), "steps": ((5, 10), (0.01, 0.06))}
"""By evasion: how many orders the burst has, and the pause between two, s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A cluster of clients' stops, and what stands before them."""

    side: int
    """Of the stops, and of the burst."""
    stops: tuple[Order, ...]
    price: int
    """Of the last level that has to be taken, ticks."""
    lots: int
    """What has to be taken."""


@dataclass(slots=True, eq=False)
class Hunt:
    """One case as it goes on."""

    venue: Venue
    port: Port
    case: Case
    rng: random.Random
    target: Target
    account: str
    """Of the burst; what is caught is the maker's."""
    evasion: str
    catches: list[Order] = field(default_factory=list)
    caught: int = 0
    """Lots that the group's resting orders, its quotes among them, traded with triggered stops."""
    taken: int = 0
    """Lots that the burst got."""
    triggered: list[Order] = field(default_factory=list)

    def begin(self, share: float) -> None:
        """Rest orders beyond the cluster for a share of it, then make the burst."""
        rng, target, venue = self.rng, self.target, self.venue
        self.case.on_trade = self._traded
        due = sum(stop.leaves for stop in target.stops)
        beyond = target.price
        for lots in cut(max(1, int(due * share)), rng.randint(1, 3), rng):
            beyond += target.side * rng.randint(1, 2)
            venue.enter(
                self.case,
                self.port,
                venue.afmm,
                -target.side,
                lots,
                beyond,
                tif="POST_ONLY",
                waits=True,
                done=lambda order, _: self.catches.append(order),
            )
        (least, most), pause = BURSTS.get(self.evasion, ((1, 1), (0.0, 0.0)))
        orders = rng.randint(least, most)
        after_s = rng.uniform(0.01, 0.15)
        for number in range(1, orders + 1):
            self._later(after_s, number / orders)
            after_s += rng.uniform(*pause)
        venue.after(after_s + 0.05, self._look)

    def _later(self, after_s: float, way: float) -> None:
        self.venue.after(after_s, lambda: self._take(way))

    def _take(self, way: float) -> None:
        """Take all levels on some part of the way to the cluster, or through it."""
        engine, side = self.port.engine, self.target.side
        book = engine.asks if side > 0 else engine.bids
        if book.best is None or not self.catches or engine.phase != "continuous":
            return
        bound = self._bound(book.best, way)
        grouped = self.venue.accounts[self.account].in_group
        lots = 0
        for key in reversed(book.keys):
            if key * book.sign * side > bound * side:
                break
            level = book.levels[key]
            for queue in (level.front, level.behind, level.hidden):
                lots += sum(o.leaves for o in queue if not (grouped and o.account.in_group))
        if lots:
            self.venue.enter(
                self.case, self.port, self.account, side, lots, bound, tif="IOC", waits=grouped
            )

    def _bound(self, best: int, way: float) -> int:
        """Return up to what price it takes: short of the cluster until the last, then all of it.

        What others have quoted just before the group's resting orders since is taken too.
        """
        side, target = self.target.side, self.target
        if way < 1:
            nearest = min((stop.stop_price or 0) * side for stop in target.stops) * side - side
            return best + round((nearest - best) * way)
        first = min((order.price or 0) * side for order in self.catches) * side
        return first - side

    def _traded(self, buy: Order, sell: Order, _: int, lots: int) -> bool:
        mine, other = (buy, sell) if buy.side == self.target.side else (sell, buy)
        if mine.tag == self.case.tag:
            self.taken += lots
        elif other.account.in_group and mine in self.target.stops:
            self.caught += lots
            if other.tag != self.case.tag:  # One of its ordinary quotes was there first.
                self.case.accounts[other.account.name] = None
                self.case.order_ids[other.id] = None
                return True
        return False

    def _look(self) -> None:
        """See what has triggered, take back what is left, and sell (buy) back after a while."""
        venue, rng = self.venue, self.rng
        self.triggered = [stop for stop in self.target.stops if not stop.is_stop]
        self.case.wrong(*self.triggered)
        venue.after(rng.uniform(0.02, 1.0), lambda: self._withdraw(self.catches))
        venue.after(rng.uniform(3.0, 15.0), self._unwind)

    def _withdraw(self, orders: list[Order]) -> None:
        withdraw(self.venue, self.case, self.port, orders)

    def _unwind(self) -> None:
        venue, side = self.venue, -self.target.side
        back: list[Order] = []
        lots = self.taken - self.caught
        if lots > 0 and self.port.engine.phase == "continuous":
            price = venue.flows[self.port.engine.name].touch(side)[0]
            venue.enter(
                self.case,
                self.port,
                self.account,
                side,
                lots,
                price,
                tif="POST_ONLY",
                waits=True,
                done=lambda order, _: back.append(order),
            )
        after_s = self.rng.uniform(5.0, 15.0)
        venue.after(after_s, lambda: self._withdraw(back))
        venue.after(after_s + 5 * MILLI / SECOND, self._end)

    def _end(self) -> None:
        self.case.end(keep=len(self.triggered) >= 2 and self.caught > 0)
