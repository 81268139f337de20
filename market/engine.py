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
from market.book import Stops
from market.orders import (
    Account,
    Order,
    OrderTypeWord,
    TimeInForceWord,
)
from market.trading import Prevention, Trading
from market.wire import Recorder, Write, fields

PhaseWord = Literal["continuous", "auction", "halt", "cancel_only", "maintenance"]
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
        self.phase: PhaseWord = "continuous"
        self.wire = Recorder(instrument, orders, trades)
        self.trading = Trading(self.wire, by_class=by_class, prevention=prevention)
        self.bids, self.asks = self.trading.bids, self.trading.asks
        self.protected = 0
        """Times that maker protection took an account's orders away."""
        self.guards: list[Callable[[Order], bool]] = []
        """Asked of each stop that has triggered whether to withhold it (`release`): abuse alone."""
        self._stops = Stops()
        self._released: list[Order] = []
        self._ids = 0

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
            if self.trading.watch is not None:
                self.trading.watch.gone(order)
            order.leaves = 0
            self.wire.order("reject", order, 0, now_ns, received_ns, _OTHER)
            return order
        tail = ""
        if replaces is not None and replaces.live:
            tail = f',"replaces":"{replaces.id}"'
            self.trading.remove(replaces)
        self.wire.order("new", order, quantity, now_ns, received_ns, tail)
        self.trading.add(order)
        if order.is_stop:
            self._stops.add(order)
            self.trading.park(order)
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
        if self.trading.watch is not None and quantity - filled < order.leaves:
            self.trading.watch.reduced(order, order.leaves - quantity + filled)
        if order in self.trading.parked:
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
            self.trading.side(order).leave(order)
            order.quantity, order.leaves, order.price = quantity, quantity - filled, price
            self.wire.order("replace", order, order.leaves, now_ns, received_ns)
            if (
                order.tif == "POST_ONLY"
                and self.phase == "continuous"
                and self.trading.would_trade(order)
            ):
                self.trading.forget(order)
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
        self.trading.remove(order)
        self.wire.order(action, order, 0, now_ns, received_ns, f',"reason":"{reason}"')

    def cancel_all(self, account: str, *, now_ns: int, reason: str) -> int:
        """Cancel an account's orders, oldest first, by the engine itself; return how many."""
        mine = list(self.trading.owned.get(account, ()))
        for order in mine:
            self.cancel(order, now_ns=now_ns, reason=reason)
        return len(mine)

    def end_day(self, *, now_ns: int) -> int:
        """Expire every DAY order, account by account; return how many."""
        gone = [o for mine in self.trading.owned.values() for o in mine if o.tif == "DAY"]
        for order in gone:
            self.cancel(order, now_ns=now_ns, reason="expiry", action="expire")
        return len(gone)

    def set_phase(
        self, phase: PhaseWord, *, now_ns: int, reason: str = "other", actor: str = "venue"
    ) -> None:
        """Begin a phase; return to continuous trading uncrosses first."""
        if phase == "continuous" and self.phase != "continuous":
            self.trading.uncross(now_ns)
        self.phase = phase
        self.wire.status(phase, now_ns, reason, actor)
        self._settle(now_ns)

    def restate(self, *, now_ns: int) -> None:
        """Write every live order in queue order, then the end."""
        for side in (self.bids, self.asks):
            for order in side.queued():
                order.shown = order.tranche
                self.wire.order("book", order, order.leaves, now_ns, None)
        for order in self.trading.parked:
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
        return [order for order in self.trading.parked if order.is_stop]

    def live_orders(self) -> Iterator[Order]:
        """Yield all live orders: those that rest, in queue order, then those that wait."""
        yield from self.bids.queued()
        yield from self.asks.queued()
        yield from self.trading.parked

    # --- matching -----------------------------------------------------------------------------

    def _refused(self, order: Order) -> bool:
        if self.phase == "continuous":
            if self.trading.favour is not None and self.trading.favour.refuses(order):
                return True
            return order.tif == "POST_ONLY" and self.trading.would_trade(order)
        if self.phase in ("cancel_only", "maintenance") or order.tif in ("IOC", "FOK"):
            return not (self.phase == "auction" and order.type == "market" and order.tif == "IOC")
        return self.phase == "halt" and order.type == "market"

    def _enter(self, order: Order, now_ns: int) -> None:
        if self.phase == "continuous":
            self.trading.match(order, now_ns)
            if not order.live:
                return
            if order.never_rests:
                self.trading.forget(order)
                self.wire.order("expire", order, 0, now_ns, None)
                return
        if order.never_rests:
            self.trading.park(order)
        else:
            self.trading.rest(order)

    # --- after an instruction -----------------------------------------------------------------

    def _settle(self, now_ns: int) -> None:
        """Do what follows from an instruction: maker protection, then stops, one at a time."""
        while self.phase == "continuous":
            if self.trading.tripped:
                account = self.trading.tripped.pop(0)
                self.protected += 1
                self.cancel_all(account.name, now_ns=now_ns, reason="mmp")
                continue
            if self._released:
                order = self._released.pop(0)
                if order not in self.trading.parked or not order.is_stop:
                    continue  # It was cancelled, or another stop price triggered it.
            else:
                ready = self._stops.ready(self.trading.last)
                if ready is None:
                    return
                order = ready
                if any(guard(order) for guard in self.guards):
                    continue
            del self.trading.parked[order]
            self.wire.order("trigger", order, order.leaves, now_ns, None)
            order.type = "market" if order.type == "stop" else "limit"
            self._enter(order, now_ns)
