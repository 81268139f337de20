"""The matching engine of one instrument: instructions in, wire records out.

It follows the matching semantics of the wire contract to the letter, so that a book replayed from
what it writes is its own. What the contract leaves to the venue is decided here:

- A post-only order that would trade is refused before it is entered, and what it would have
  replaced stands; an amended one is taken out by a `reject`.
- FOK counts hidden quantity, and is killed when self-trade prevention could cut it short.
- Outside continuous trading IOC and FOK are refused; in a halt market orders are; in cancel_only
  whatever is no cancel; in maintenance everything that a user sends.
- Return to continuous trading uncrosses whatever the phase before has let cross.
- In an auction self-trade prevention acts before the price is found: the younger order leaves
  (both policies that cancel, and decrement).
- A restatement begins a fresh tranche of each iceberg: the contract has no field for what is left
  of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from ingest.instruments import Instrument
from market.book import BookSide, Stops
from market.orders import (
    BUY,
    SELL,
    Account,
    Favour,
    Order,
    OrderTypeWord,
    TimeInForceWord,
    Watch,
)
from market.uncross import equilibrium, self_crossing
from market.wire import Recorder, Write, fields

Prevention = Literal["cancel_resting", "cancel_incoming", "decrement", "off"]
PhaseWord = Literal["continuous", "auction", "halt", "cancel_only", "maintenance"]
_STP: Final = fields(reason="stp")
_OTHER: Final = fields(reason="other")


class Engine:
    """Matches one instrument.

    State: its live orders, and by account which are its own.

    Parameters
    ----------
    instrument : Instrument
        `matching` decides who is first at a price.
    orders, trades : functions of a line
        Take each record with its newline.
    prevention : str
        What happens when two orders with one `stp_key` would trade.
    """

    def __init__(
        self,
        instrument: Instrument,
        orders: Write,
        trades: Write,
        *,
        prevention: Prevention = "cancel_resting",
    ) -> None:
        by_class = instrument.matching == "price_class_time"
        self.instrument = instrument
        self.name = instrument.instrument
        self.bids, self.asks = BookSide(BUY, by_class=by_class), BookSide(SELL, by_class=by_class)
        self.phase: PhaseWord = "continuous"
        self.last: int | None = None
        """Price of the last trade, ticks."""
        self.wire = Recorder(instrument, orders, trades)
        self.prevention = prevention
        self.owned: dict[str, dict[Order, None]] = {}
        """Live orders by account, oldest first."""
        self.prevented = 0
        """Trades that self-trade prevention stopped."""
        self.protected = 0
        """Times that maker protection took an account's orders away."""
        self.watch: Watch | None = None
        self.guards: list[Callable[[Order], bool]] = []
        """Asked of each stop that has triggered whether to withhold it (`release`): abuse alone."""
        self.favour: Favour | None = None
        """How it departs from the rules for somebody: abuse alone."""
        self._stops = Stops()
        self._released: list[Order] = []
        self._parked: dict[Order, None] = {}
        self._ids = self._joins = 0
        self._hits: dict[str, list[tuple[int, int]]] = {}
        self._tripped: list[Account] = []

    # --- instructions -------------------------------------------------------------------------

    def new(
        self,
        account: Account,
        side: int,
        quantity: int,
        price: int | None = None,
        *,
        now_ns: int,
        received_ns: int | None = None,
        type_: OrderTypeWord = "limit",
        tif: TimeInForceWord = "GTC",
        display: int | None = None,
        stop_price: int | None = None,
        replaces: Order | None = None,
        stp_key: str | None = None,
        text: str = "",
        tag: int = 0,
    ) -> Order:
        """Enter an order and return it; `live` says whether it stands.

        `replaces` is ignored when that order is gone. `stp_key` stands in for the account's, for
        an originator behind an omnibus account; `text` holds rendered fields of the order.
        `tag` says which of the clients' decisions this is.
        """
        self._ids += 1
        id_ = f"{self.name}-{self._ids}"
        order = Order(
            id_,
            account,
            side,
            type_,
            tif,
            price,
            stop_price,
            quantity,
            quantity,
            display,
            account.stp_key if stp_key is None else stp_key,
            text,
            self.name,
            tag=tag,
        )
        word = "buy" if side > 0 else "sell"
        order.head = f'"order_id":"{id_}","account":"{account.name}","side":"{word}"'
        if self._refused(order):
            if self.watch is not None:
                self.watch.gone(order)
            order.leaves = 0
            self.wire.order("reject", order, 0, now_ns, received_ns, _OTHER)
            return order
        tail = ""
        if replaces is not None and replaces.live:
            tail = f',"replaces":"{replaces.id}"'
            self._remove(replaces)
        self.wire.order("new", order, quantity, now_ns, received_ns, tail)
        order.live = True
        self.owned.setdefault(account.name, {})[order] = None
        if order.is_stop:
            self._stops.add(order)
            self._parked[order] = None
        else:
            self._enter(order, now_ns)
        self._settle(now_ns)
        return order

    def replace(
        self,
        order: Order,
        *,
        now_ns: int,
        received_ns: int | None = None,
        quantity: int | None = None,
        price: int | None = None,
        stop_price: int | None = None,
    ) -> None:
        """Amend a live order: it keeps its place when only the quantity falls.

        An order that is gone, or a phase that takes no amendment, leaves a `reject` that changes
        nothing; a quantity that is filled already cancels.
        """
        if not order.live or self.phase in ("cancel_only", "maintenance"):
            self.wire.order("reject", order, order.leaves, now_ns, received_ns, _OTHER)
            return
        filled = order.quantity - order.leaves
        quantity = order.quantity if quantity is None else quantity
        price = order.price if price is None else price
        if quantity <= filled:
            self.cancel(order, now_ns=now_ns, received_ns=received_ns)
            return
        stays = price == order.price and quantity < order.quantity
        if order in self._parked:
            order.quantity, order.leaves, order.price = quantity, quantity - filled, price
            if stop_price not in (None, order.stop_price):
                order.stop_price = stop_price
                self._stops.add(order)
            self.wire.order("replace", order, order.leaves, now_ns, received_ns)
        elif stays:
            order.quantity, order.leaves = quantity, quantity - filled
            order.shown = min(order.shown, order.leaves)
            self.wire.order("replace", order, order.leaves, now_ns, received_ns)
        else:
            self._side(order).leave(order)
            order.quantity, order.leaves, order.price = quantity, quantity - filled, price
            self.wire.order("replace", order, order.leaves, now_ns, received_ns)
            if order.tif == "POST_ONLY" and self._would_trade(order):
                self._forget(order)
                self.wire.order("reject", order, 0, now_ns, received_ns, _OTHER)
            else:
                self._enter(order, now_ns)
        self._settle(now_ns)

    def cancel(
        self,
        order: Order,
        *,
        now_ns: int,
        received_ns: int | None = None,
        reason: str = "user",
        action: str = "cancel",
    ) -> None:
        """Cancel (or expire) a live order; one that is gone, or maintenance, leaves a `reject`."""
        by_user = received_ns is not None
        if not order.live or (by_user and self.phase == "maintenance"):
            self.wire.order("reject", order, order.leaves, now_ns, received_ns, _OTHER)
            return
        self._remove(order)
        self.wire.order(action, order, 0, now_ns, received_ns, f',"reason":"{reason}"')

    def cancel_all(self, account: str, *, now_ns: int, reason: str) -> int:
        """Cancel an account's orders, oldest first, by the engine itself; return how many."""
        mine = list(self.owned.get(account, ()))
        for order in mine:
            self.cancel(order, now_ns=now_ns, reason=reason)
        return len(mine)

    def end_day(self, *, now_ns: int) -> int:
        """Expire every DAY order, account by account; return how many."""
        gone = [o for mine in self.owned.values() for o in mine if o.tif == "DAY"]
        for order in gone:
            self.cancel(order, now_ns=now_ns, reason="expiry", action="expire")
        return len(gone)

    def set_phase(
        self, phase: PhaseWord, *, now_ns: int, reason: str = "other", actor: str = "venue"
    ) -> None:
        """Begin a phase; return to continuous trading uncrosses first."""
        if phase == "continuous" and self.phase != "continuous":
            self._uncross(now_ns)
        self.phase = phase
        self.wire.status(phase, now_ns, reason, actor)
        self._settle(now_ns)

    def restate(self, *, now_ns: int) -> None:
        """Write every live order in queue order, then the end."""
        for side in (self.bids, self.asks):
            for order in side.queued():
                order.shown = order.tranche
                self.wire.order("book", order, order.leaves, now_ns, None)
        for order in self._parked:
            self.wire.order("book", order, order.leaves, now_ns, None)
        self.wire.book_end(now_ns)

    def release(self, stop: Order, *, now_ns: int) -> None:
        """Trigger a stop that was withheld, as soon as trading is continuous: its record is late.

        That the last price had crossed its stop price before is all that tells of it.
        """
        self._released.append(stop)
        self._settle(now_ns)

    def waiting_stops(self) -> list[Order]:
        """Return the stops that have not triggered, oldest first."""
        return [order for order in self._parked if order.is_stop]

    def live_orders(self) -> Iterator[Order]:
        """Yield all live orders: those that rest, in queue order, then those that wait."""
        yield from self.bids.queued()
        yield from self.asks.queued()
        yield from self._parked

    # --- matching -----------------------------------------------------------------------------

    def _refused(self, order: Order) -> bool:
        if self.phase == "continuous":
            if self.favour is not None and self.favour.refuses(order):
                return True
            return order.tif == "POST_ONLY" and self._would_trade(order)
        if self.phase in ("cancel_only", "maintenance") or order.tif in ("IOC", "FOK"):
            return not (self.phase == "auction" and order.type == "market" and order.tif == "IOC")
        return self.phase == "halt" and order.type == "market"

    def _enter(self, order: Order, now_ns: int) -> None:
        if self.phase == "continuous":
            self._match(order, now_ns)
            if not order.live:
                return
            if order.never_rests:
                self._forget(order)
                self.wire.order("expire", order, 0, now_ns, None)
                return
        if order.never_rests:
            self._parked[order] = None
        else:
            self._rest(order)

    def _rest(self, order: Order) -> None:
        self._joins += 1
        order.priority = self._joins
        self._side(order).join(order)

    def _match(self, order: Order, now_ns: int) -> None:
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

    def _would_trade(self, order: Order) -> bool:
        if self.phase != "continuous" or order.is_stop:
            return False
        others = self.asks if order.side > 0 else self.bids
        if not others.keys:
            return False
        return order.price is None or others.keys[-1] >= order.price * others.sign

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
            self._remove(order)
        elif order.queue is not None and order.display != 0:
            order.shown -= lots
            if order.shown <= 0:
                self._side(order).leave(order)
                self._rest(order)

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
        self._remove(order)
        self.wire.order("cancel", order, 0, now_ns, None, _STP)

    def _lessen(self, order: Order, lots: int, now_ns: int) -> None:
        if lots >= order.leaves:
            self._withdraw(order, now_ns)
            return
        order.leaves -= lots
        order.quantity -= lots
        order.shown = min(order.shown, order.leaves)
        self.wire.order("replace", order, order.leaves, now_ns, None, _STP)

    def _uncross(self, now_ns: int) -> None:
        waiting = [order for order in self._parked if not order.is_stop]
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
                self._remove(order)
                self.wire.order("expire", order, 0, now_ns, None)

    # --- after an instruction -----------------------------------------------------------------

    def _settle(self, now_ns: int) -> None:
        """Do what follows from an instruction: maker protection, then stops, one at a time."""
        while self.phase == "continuous":
            if self._tripped:
                account = self._tripped.pop(0)
                self.protected += 1
                self.cancel_all(account.name, now_ns=now_ns, reason="mmp")
                continue
            if self._released:
                order = self._released.pop(0)
                if order not in self._parked or not order.is_stop:
                    continue  # It was cancelled, or another stop price triggered it.
            else:
                ready = self._stops.ready(self.last)
                if ready is None:
                    return
                order = ready
                if any(guard(order) for guard in self.guards):
                    continue
            del self._parked[order]
            self.wire.order("trigger", order, order.leaves, now_ns, None)
            order.type = "market" if order.type == "stop" else "limit"
            self._enter(order, now_ns)

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
            self._tripped.append(account)

    # --- the book -----------------------------------------------------------------------------

    def _side(self, order: Order) -> BookSide:
        return self.bids if order.side > 0 else self.asks

    def _remove(self, order: Order) -> None:
        if order.queue is not None:
            self._side(order).leave(order)
        else:
            self._parked.pop(order, None)
        self._forget(order)

    def _forget(self, order: Order) -> None:
        order.live = False
        if self.watch is not None:
            self.watch.gone(order)
        del self.owned[order.account.name][order]
