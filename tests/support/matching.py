"""A small matching engine for tests: it obeys the matching semantics and writes wire records.

What it writes is simulated data. It is plain Python and no part of the product.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from decimal import Decimal

GROUP = ("affiliated_mm", "affiliated", "house", "staff")


@dataclass(slots=True, eq=False)
class Order:
    """One order of the venue; prices in ticks, quantities in lots."""

    id: str
    account: str
    side: str
    type: str
    tif: str
    price: int | None
    stop_price: int | None
    quantity: int
    leaves: int
    display: int | None
    extra: dict
    shown: int = 0


@dataclass
class Book:
    """One instrument: its orders, levels (first displayed, then hidden), stops and phase."""

    name: str
    tick: Decimal
    lot: Decimal
    matching: str
    seq: int = 0
    lost: int = 0
    phase: str = "continuous"
    last: int | None = None
    orders: dict = field(default_factory=dict)
    levels: dict = field(default_factory=lambda: {"buy": {}, "sell": {}})
    keys: dict = field(default_factory=lambda: {"buy": [], "sell": []})
    stops: list = field(default_factory=list)
    texts: dict = field(default_factory=dict)


class Venue:
    """Order entry and matching over several instruments.

    Parameters
    ----------
    instruments : rows of instruments.csv, as dicts
    roles, owners : by account
    stp : "off", "cancel_resting", "cancel_incoming" or "decrement"; compares owners
    """

    def __init__(self, instruments, roles, owners, *, stp="cancel_resting", start_ns=10**18):
        self.books = {
            row["instrument"]: Book(
                row["instrument"],
                Decimal(row["tick_size"]),
                Decimal(row["lot_size"]),
                row.get("matching") or "price_time",
            )
            for row in instruments
        }
        self.roles, self.owners, self.stp = roles, owners, stp
        self.now_ns = start_ns
        self.records = []
        self.favoured = None
        """When set, an account that is matched before its turn: a cheat of the engine."""
        self._ids = 0
        self._trades = 0

    # --- instructions -------------------------------------------------------------------------

    def new(
        self,
        name,
        account,
        side,
        quantity,
        price=None,
        *,
        kind="limit",
        tif="GTC",
        display=None,
        stop_price=None,
        replaces=None,
        received_ns=None,
        order_id=None,
        **extra,
    ):
        """Enter an order; return its id. `kind` is the order type."""
        book = self.books[name]
        self._ids += 1
        order = Order(
            order_id or f"{name}-{self._ids}",
            account,
            side,
            kind,
            tif,
            price,
            stop_price,
            quantity,
            quantity,
            display,
            extra,
        )
        if replaces is not None and replaces not in book.orders:
            replaces = None
        if tif == "POST_ONLY" and self._would_trade(book, order) and self._ids % 2:
            self._order(book, "reject", order, received_ns, leaves=0)
            return order.id
        if replaces is not None:
            self._remove(book, book.orders[replaces])
        self._order(book, "new", order, received_ns, replaces=replaces)
        if kind in ("stop", "stop_limit"):
            book.orders[order.id] = order
            book.stops.append(order)
        elif tif == "POST_ONLY" and self._would_trade(book, order):
            order.leaves = 0
            self._order(book, "reject", order, received_ns)
        else:
            self._enter(book, order)
        return order.id

    def replace(self, name, order_id, *, price=None, quantity=None, received_ns=None):
        """Amend a live order: it keeps its place when only the quantity falls."""
        book = self.books[name]
        order = book.orders[order_id]
        filled = order.quantity - order.leaves
        quantity = order.quantity if quantity is None else quantity
        if quantity <= filled:
            return self.cancel(name, order_id, received_ns=received_ns)
        stays = (price is None or price == order.price) and quantity < order.quantity
        waiting = order in book.stops
        if not waiting and not stays:
            self._unlink(book, order)
        order.quantity, order.leaves = quantity, quantity - filled
        order.price = order.price if price is None else price
        order.shown = min(order.shown, order.leaves)
        self._order(book, "replace", order, received_ns)
        if not waiting and not stays:
            del book.orders[order.id]
            if order.tif == "POST_ONLY" and self._would_trade(book, order):
                order.leaves = 0
                self._order(book, "reject", order, received_ns)
            else:
                self._enter(book, order)
        return None

    def cancel(self, name, order_id, *, reason="user", action="cancel", received_ns=None):
        """Cancel (or with action="expire", expire) a live order."""
        book = self.books[name]
        order = book.orders[order_id]
        self._remove(book, order)
        order.leaves = 0
        self._order(book, action, order, received_ns, reason=reason)

    def status(self, name, phase, *, reason="other", actor="venue"):
        """Begin a phase; leaving an auction uncrosses first."""
        book = self.books[name]
        if book.phase == "auction" and phase != "auction":
            self._uncross(book)
        book.phase = phase
        self._emit(book, {"action": "status", "phase": phase, "reason": reason, "actor": actor})

    def restate(self, name):
        """Write `book` records of every live order in queue order, then `book_end`."""
        book = self.books[name]
        for side in ("buy", "sell"):
            for key in book.keys[side]:
                for queue in book.levels[side][key]:
                    for order in queue:
                        order.shown = self._tranche(order)
                        self._order(book, "book", order, None)
        for order in book.stops:
            self._order(book, "book", order, None)
        self._emit(book, {"action": "book_end"})

    def bust(self, trade):
        """Cancel a trade that was written: a record of its own on the trades topic."""
        book = self.books[trade["instrument"]]
        self._trades += 1
        fields = {k: v for k, v in trade.items() if k not in ("v", "instrument", "seq", "trade_id")}
        fields |= {"trade_id": f"B{self._trades}", "busts": trade["trade_id"]}
        self._emit(book, fields | {"engine_ns": self.now_ns})

    def lose(self, name, count):
        """Have the feed lose the next records of an instrument."""
        self.books[name].lost += count

    def touch(self, name):
        """Return best bid and ask (hidden orders included), ticks or None."""
        keys = self.books[name].keys
        bid = -keys["buy"][0] if keys["buy"] else None
        return bid, (keys["sell"][0] if keys["sell"] else None)

    # --- matching -----------------------------------------------------------------------------

    def _enter(self, book, order):
        if book.phase == "continuous":
            self._match(book, order)
        if order.leaves and (order.type == "market" or order.tif in ("IOC", "FOK")):
            order.leaves = 0
            self._order(book, "expire", order, None)
        elif order.leaves:
            book.orders[order.id] = order
            order.shown = self._tranche(order)
            self._link(book, order)
        if book.phase == "continuous":
            self._trigger(book)

    def _match(self, book, order):
        if order.tif == "FOK" and self._available(book, order) < order.leaves:
            return
        while order.leaves and self._would_trade(book, order):
            other = self._first(book, "sell" if order.side == "buy" else "buy")
            if self.stp != "off" and self._same_owner(order, other):
                self._prevent(book, order, other)
            else:
                self._trade(book, order, other, other.price, order.side)

    def _trade(self, book, order, other, price, aggressor, *, quantity=None):
        if quantity is None:
            quantity = min(order.leaves, other.shown or other.leaves)
        self._trades += 1
        book.last = price
        buy, sell = (order, other) if order.side == "buy" else (other, order)
        for one in (order, other):
            one.leaves -= quantity
            if one.id in book.orders:
                one.shown -= quantity
                if not one.leaves:
                    self._remove(book, one)
                elif one.shown <= 0 and one.display != 0:
                    self._unlink(book, one)
                    one.shown = self._tranche(one)
                    self._link(book, one)
                one.shown = max(one.shown, 0)
        self._emit(
            book,
            {
                "trade_id": f"T{self._trades}",
                "price": self._text(book, "tick", price),
                "quantity": self._text(book, "lot", quantity),
                "aggressor": aggressor,
                "buy_order_id": buy.id,
                "sell_order_id": sell.id,
                "buy_account": buy.account,
                "sell_account": sell.account,
                "afmm_flag": self._flag(buy, sell),
            },
        )

    def _prevent(self, book, order, other):
        if self.stp == "cancel_incoming":
            order.leaves = 0
            self._order(book, "cancel", order, None, reason="stp")
        elif self.stp == "cancel_resting" or order.leaves >= other.leaves:
            less = other.leaves
            self.cancel(book.name, other.id, reason="stp")
            if self.stp == "decrement" and order.leaves > less:
                order.leaves, order.quantity = order.leaves - less, order.quantity - less
                self._order(book, "replace", order, None, reason="stp")
            elif self.stp == "decrement":
                order.leaves = 0
                self._order(book, "cancel", order, None, reason="stp")
        else:
            less = order.leaves
            other.leaves, other.quantity = other.leaves - less, other.quantity - less
            other.shown = min(other.shown, other.leaves)
            self._order(book, "replace", other, None, reason="stp")
            order.leaves = 0
            self._order(book, "cancel", order, None, reason="stp")

    def _trigger(self, book):
        for order in list(book.stops):
            up = order.side == "buy"
            if book.last is None or order not in book.stops:
                continue
            if book.last >= order.stop_price if up else book.last <= order.stop_price:
                book.stops.remove(order)
                del book.orders[order.id]
                self._order(book, "trigger", order, None)
                order.type = "market" if order.type == "stop" else "limit"
                self._enter(book, order)

    def _uncross(self, book):
        bids, asks = book.keys["buy"], book.keys["sell"]
        if not bids or not asks or -bids[0] < asks[0]:
            return
        price = (-bids[0] + asks[0]) // 2
        while bids and asks and -bids[0] >= price >= asks[0]:
            buy, sell = self._first(book, "buy"), self._first(book, "sell")
            self._trade(book, buy, sell, price, "buy", quantity=min(buy.leaves, sell.leaves))

    # --- the book -----------------------------------------------------------------------------

    def _would_trade(self, book, order):
        if book.phase != "continuous" or order.type in ("stop", "stop_limit"):
            return False
        keys = book.keys["sell" if order.side == "buy" else "buy"]
        if not keys:
            return False
        if order.type == "market":
            return True
        return order.price >= keys[0] if order.side == "buy" else order.price <= -keys[0]

    def _available(self, book, order):
        side = "sell" if order.side == "buy" else "buy"
        sign = 1 if side == "sell" else -1
        total = 0
        for key in book.keys[side]:
            if order.price is not None and (key * sign - order.price) * sign > 0:
                break
            total += sum(o.leaves for queue in book.levels[side][key] for o in queue)
        return total

    def _first(self, book, side):
        shown, hidden = book.levels[side][book.keys[side][0]]
        queue = shown or hidden
        if self.favoured is not None:
            for order in queue:
                if order.account == self.favoured:
                    return order
        if book.matching == "price_class_time":
            for order in queue:
                if self.roles.get(order.account) not in GROUP:
                    return order
        return queue[0]

    def _link(self, book, order):
        key = -order.price if order.side == "buy" else order.price
        levels = book.levels[order.side]
        if key not in levels:
            levels[key] = ([], [])
            insort(book.keys[order.side], key)
        levels[key][order.display == 0].append(order)

    def _unlink(self, book, order):
        key = -order.price if order.side == "buy" else order.price
        level = book.levels[order.side][key]
        level[order.display == 0].remove(order)
        if not level[0] and not level[1]:
            del book.levels[order.side][key]
            keys = book.keys[order.side]
            del keys[bisect_left(keys, key)]

    def _remove(self, book, order):
        del book.orders[order.id]
        if order in book.stops:
            book.stops.remove(order)
        else:
            self._unlink(book, order)

    def _same_owner(self, one, other):
        owner = self.owners.get(one.account)
        return one.account == other.account or (
            owner is not None and owner == self.owners.get(other.account)
        )

    @staticmethod
    def _tranche(order):
        return order.leaves if order.display is None else min(order.display, order.leaves)

    # --- records ------------------------------------------------------------------------------

    def _order(self, book, action, order, received_ns, *, leaves=None, reason=None, replaces=None):
        record = {
            "action": action,
            "order_id": order.id,
            "account": order.account,
            "side": order.side,
            "type": order.type,
            "tif": order.tif,
            "price": self._text(book, "tick", order.price),
            "stop_price": self._text(book, "tick", order.stop_price),
            "quantity": self._text(book, "lot", order.quantity),
            "leaves": self._text(book, "lot", order.leaves if leaves is None else leaves),
            "received_ns": received_ns,
        }
        if order.display is not None:
            record["display"] = self._text(book, "lot", order.display)
        if reason is not None:
            record["reason"] = reason
        if replaces is not None:
            record["replaces"] = replaces
        self._emit(book, record | order.extra)

    def _emit(self, book, fields):
        book.seq += 1
        if book.lost:
            book.lost -= 1
            return
        self.records.append(
            {"v": 1, "instrument": book.name, "seq": book.seq, "engine_ns": self.now_ns} | fields
        )

    def _text(self, book, unit, count):
        if count is None:
            return None
        found = book.texts.get((unit, count))
        if found is None:
            found = str((book.tick if unit == "tick" else book.lot) * count)
            book.texts[unit, count] = found
        return found

    def _flag(self, buy, sell):
        bought = self.roles.get(buy.account) == "affiliated_mm"
        sold = self.roles.get(sell.account) == "affiliated_mm"
        return ("both" if sold else "buy") if bought else ("sell" if sold else "none")
