"""The live orders of one instrument, and how they come to trade with each other.

What is written, and in which order, follows the wire contract; `market.engine` says what the
contract leaves to the venue.
"""

from __future__ import annotations

from typing import Final, Literal

from market.book import BookSide
from market.orders import BUY, SELL, Account, Favour, Order, Watch
from market.uncross import equilibrium, self_crossing
from market.wire import Recorder, fields

Prevention = Literal["cancel_resting", "cancel_incoming", "decrement", "off"]
_STP: Final = fields(reason="stp")


class Trading:
    """Live orders, in the book or waiting outside, and their trades.

    State: the live orders, by account which are its own; of accounts with maker protection what
    was hit of them within its time.

    Parameters
    ----------
    wire : Recorder
        Takes the records.
    by_class : bool
        Whether clients come before the group at a price.
    prevention : str
        What happens when two orders with one `stp_key` would trade.
    """

    def __init__(self, wire: Recorder, *, by_class: bool, prevention: Prevention) -> None:
        self.wire = wire
        self.bids, self.asks = BookSide(BUY, by_class=by_class), BookSide(SELL, by_class=by_class)
        self.parked: dict[Order, None] = {}
        """Live orders outside the book: stops, and market orders that wait for an uncross."""
        self.owned: dict[str, dict[Order, None]] = {}
        """Live orders by account, oldest first."""
        self.last: int | None = None
        """Price of the last trade, ticks."""
        self.prevention = prevention
        self.prevented = 0
        """Trades that self-trade prevention stopped."""
        self.tripped: list[Account] = []
        """Accounts whose maker protection is due to take their orders away, in order."""
        self.watch: Watch | None = None
        self.favour: Favour | None = None
        """How it departs from the rules for somebody: abuse alone."""
        self._hits: dict[str, list[tuple[int, int]]] = {}
        self._joins = 0

    def add(self, order: Order) -> None:
        """Take in an order that was entered; it stands nowhere yet."""
        order.live = True
        self.owned.setdefault(order.account.name, {})[order] = None

    def park(self, order: Order) -> None:
        """Let an order wait outside the book."""
        self.parked[order] = None

    def rest(self, order: Order) -> None:
        """Put an order at the back of its queue."""
        self._joins += 1
        order.priority = self._joins
        self.side(order).join(order)

    def side(self, order: Order) -> BookSide:
        """Return the side of the book that an order is of."""
        return self.bids if order.side > 0 else self.asks

    def remove(self, order: Order) -> None:
        """Take a live order out, wherever it stands."""
        if order.queue is not None:
            self.side(order).leave(order)
        else:
            self.parked.pop(order, None)
        self.forget(order)

    def forget(self, order: Order) -> None:
        """Have an order that stands nowhere live no more."""
        order.live = False
        if self.watch is not None:
            self.watch.gone(order)
        del self.owned[order.account.name][order]

    def would_trade(self, order: Order) -> bool:
        """Return whether an order would trade in continuous trading; a stop waits."""
        if order.is_stop:
            return False
        others = self.asks if order.side > 0 else self.bids
        if not others.keys:
            return False
        return order.price is None or others.keys[-1] >= order.price * others.sign

    def match(self, order: Order, now_ns: int) -> None:
        """Trade an incoming order as far as the other side goes."""
        others = self.asks if order.side > 0 else self.bids
        bound = None if order.price is None else order.price * others.sign
        if order.tif == "FOK" and not self._fillable(order, others, bound):
            return
        keys = others.keys
        while keys and order.live and (bound is None or keys[-1] >= bound):
            other = others.first()
            if other.stp_key == order.stp_key and self.prevention != "off":
                self._prevent(order, other, now_ns)
            else:
                lots = min(order.leaves, other.shown or other.leaves)
                assert other.price is not None  # noqa: S101 - it rests
                self._trade(order, other, other.price, lots, now_ns, order.side)

    def uncross(self, now_ns: int) -> None:
        """End an auction: trade at one price; market orders that are left expire."""
        waiting = [order for order in self.parked if not order.is_stop]
        buys = [o for o in waiting if o.side == BUY] + list(self.bids.queued())
        sells = [o for o in waiting if o.side == SELL] + list(self.asks.queued())
        if self.prevention != "off":
            for order in self_crossing(buys, sells):
                self.prevented += 1
                self._withdraw(order, now_ns)
            buys = [order for order in buys if order.live]
            sells = [order for order in sells if order.live]
        price = equilibrium(buys, sells, self.last)
        if price is not None:
            buys = [o for o in buys if o.price is None or o.price >= price]
            sells = [o for o in sells if o.price is None or o.price <= price]
            b = s = 0
            while b < len(buys) and s < len(sells):
                lots = min(buys[b].leaves, sells[s].leaves)
                self._trade(buys[b], sells[s], price, lots, now_ns, 0)
                b += not buys[b].leaves
                s += not sells[s].leaves
        for order in waiting:
            if order.live:
                self.remove(order)
                self.wire.order("expire", order, 0, now_ns, None)

    def _trade(  # noqa: PLR0917 - called for every fill
        self, order: Order, other: Order, price: int, lots: int, now_ns: int, aggressor: int
    ) -> None:
        self.last = price
        buy, sell = (order, other) if order.side > 0 else (other, order)
        self.wire.trade(buy, sell, price, lots, now_ns, aggressor)
        if self.watch is not None:
            self.watch.traded(buy, sell, price, lots, self.wire.seq, now_ns)
        self._reduce(order, lots)
        self._reduce(other, lots)
        for one in (other, order):
            account = one.account
            if aggressor and account.protection_lots and one is other:
                self._count_hit(account, lots, now_ns)
            if account.on_fill is not None:
                account.on_fill(one, lots, price, now_ns)

    def _reduce(self, order: Order, lots: int) -> None:
        order.leaves -= lots
        if not order.leaves:
            self.remove(order)
        elif order.queue is not None and order.display != 0:
            order.shown -= lots
            if order.shown <= 0:
                self.side(order).leave(order)
                self.rest(order)

    def _count_hit(self, account: Account, lots: int, now_ns: int) -> None:
        hits = self._hits.setdefault(account.name, [])
        hits.append((now_ns, lots))
        while hits[0][0] <= now_ns - account.protection_ns:
            hits.pop(0)
        lots = sum(hit for _, hit in hits)
        if lots >= account.protection_lots or (
            self.favour is not None and self.favour.trips(account, lots)
        ):
            hits.clear()
            self.tripped.append(account)

    def _fillable(self, order: Order, others: BookSide, bound: int | None) -> bool:
        wanted = order.leaves
        for key in reversed(others.keys):
            if bound is not None and key < bound:
                break
            level = others.levels[key]
            for queue in (level.front, level.behind, level.hidden):
                for other in queue:
                    if other.stp_key != order.stp_key or self.prevention == "off":
                        wanted -= other.leaves
                    elif self.prevention != "cancel_resting":
                        return False
            if wanted <= 0:
                return True
        return False

    def _prevent(self, order: Order, other: Order, now_ns: int) -> None:
        self.prevented += 1
        less = min(order.leaves, other.leaves)
        how: str = self.prevention
        if self.favour is not None:
            how = self.favour.prevention(order, other) or how
        if how == "cancel_incoming":
            self._withdraw(order, now_ns)
        elif how == "cancel_resting":
            self._withdraw(other, now_ns)
        else:
            # The resting order first: what ends the incoming one ends its step.
            self._lessen(other, less, now_ns)
            self._lessen(order, less, now_ns)

    def _withdraw(self, order: Order, now_ns: int) -> None:
        self.remove(order)
        self.wire.order("cancel", order, 0, now_ns, None, _STP)

    def _lessen(self, order: Order, lots: int, now_ns: int) -> None:
        if lots >= order.leaves:
            self._withdraw(order, now_ns)
            return
        order.leaves -= lots
        order.quantity -= lots
        order.shown = min(order.shown, order.leaves)
        self.wire.order("replace", order, order.leaves, now_ns, None, _STP)
