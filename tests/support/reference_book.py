"""The book once more, in plain Python from the matching semantics, to compare the product's with.

Dicts and lists, nothing shared with the product but the vocabulary. Slow on purpose: every quantity
is recounted when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.events import (
    BOOK,
    CLIENT_ROLES,
    GROUP_ROLES,
    NO_CODE,
    NULL,
    PASSED_MOST,
    PASSED_OVER,
    Batch,
    Conflict,
    Kind,
    OrderType,
    Phase,
    Reason,
    Role,
    Side,
    TimeInForce,
)

_RELEASED = {OrderType.STOP: OrderType.MARKET, OrderType.STOP_LIMIT: OrderType.LIMIT}


@dataclass(eq=False)
class Live:
    """A live order."""

    id: tuple
    side: int
    type: int
    tif: int
    price: int
    leaves: int
    filled: int
    display: int
    role: int
    account: int
    owner: int
    originator: int
    session: int
    user: int
    entry_seq: int = 0
    entry_ns: int = 0
    received: int = NULL
    joined: int = 0
    shown: int = 0

    @property
    def immediate(self):
        return (
            self.type == OrderType.MARKET
            or self.tif in (TimeInForce.IOC, TimeInForce.FOK)
            or self.price == NULL
        )


@dataclass
class Flight:
    """The incoming order between its record and the one that ends it."""

    id: tuple
    order: Live | None
    side: int
    account: int
    owner: int
    seq: int
    touch: tuple
    announced: bool = True
    fills: list = field(default_factory=list)
    done: tuple = (0, 0)
    incomplete: bool = False


class Book:
    """One instrument."""

    def __init__(self, code):
        self.code = code
        self.orders = {}  # id → Live: all that is live
        self.resting = []  # in order of joining
        self.waiting = []  # stops, and market orders while nothing trades
        self.flight = None
        self.phase = Phase.CONTINUOUS
        self.last_seq = 0
        self.joins = 0
        self.named = False
        self.doubt = False
        self.before_gap = None  # the orders whose end dispels the doubt
        self.run = None
        self.passed = []

    # --- questions ----------------------------------------------------------------------------

    def at(self, side, price, hidden=False):
        return [
            o
            for o in self.resting
            if o.side == side and o.price == price and (o.display == 0) == hidden
        ]

    def touch(self):
        prices = {
            side: [o.price for o in self.resting if o.side == side and o.display != 0]
            for side in (Side.BUY, Side.SELL)
        }
        bid = max(prices[Side.BUY], default=NULL)
        ask = min(prices[Side.SELL], default=NULL)
        return (
            bid,
            ask,
            sum(o.shown for o in self.at(Side.BUY, bid)),
            sum(o.shown for o in self.at(Side.SELL, ask)),
        )

    def client_lots(self, side, price):
        return sum(o.shown for o in self.at(side, price) if o.role in CLIENT_ROLES)

    def crosses(self, order):
        others = [o.price for o in self.resting if o.side == -order.side]
        if order.side == Side.BUY:
            return any(price <= order.price for price in others)
        return any(price >= order.price for price in others)

    # --- moves --------------------------------------------------------------------------------

    def rest(self, order):
        order.shown = order.leaves if order.display == NULL else min(order.display, order.leaves)
        self.joins += 1
        order.joined = self.joins
        self.resting.append(order)

    def leave(self, order):
        """Out of queue or waiting room; still live."""
        for place in (self.resting, self.waiting):
            if order in place:
                place.remove(order)

    def renewed(self, order):
        if self.before_gap and order in self.before_gap:
            self.before_gap.remove(order)
            if not self.before_gap:
                self.doubt = False

    def remove(self, order):
        self.leave(order)
        del self.orders[order.id]
        self.renewed(order)
        if self.flight and self.flight.order is order:
            self.flight.order = None

    def end(self, order):
        if self.flight and self.flight.order is order:
            self.judge()
            self.flight = None
        self.remove(order)

    def reduce(self, order, lots):
        if lots >= order.leaves:
            over = lots > order.leaves
            self.remove(order)
            return over
        order.leaves -= lots
        order.filled += lots
        if order in self.resting and order.display != 0:
            order.shown -= lots
            if order.shown <= 0:
                self.resting.remove(order)
                self.rest(order)
        return False

    def land(self):
        """End the flight; return whether its remainder crosses the book."""
        if self.flight is None:
            return False
        self.judge()
        order, self.flight = self.flight.order, None
        if order is None:
            return False
        if order.immediate:
            self.remove(order)
            return False
        crossed = self.crosses(order)
        self.rest(order)
        return crossed

    def clear(self):
        for order in list(self.orders.values()):
            self.remove(order)

    def judge(self):
        flight = self.flight
        told = set()
        for price, account, role, *_ in flight.fills:
            if (price, account) in told:
                continue
            told.add((price, account))
            owed = CLIENT_ROLES | ({Role.UNKNOWN} if role in GROUP_ROLES else set())

            def counts(order, owed=owed, account=account):
                return order.role in owed and order.account != account

            standing = [o for o in self.at(-flight.side, price) if counts(o)]
            own = [
                o
                for o in standing
                if (flight.account != NO_CODE and o.account == flight.account)
                or (flight.owner != NO_CODE and o.owner == flight.owner)
            ]
            passed = [o for o in standing if o not in own]
            if not passed:
                continue
            filled = sum(f[3] for f in flight.fills if f[0] == price)
            same = [f for f in flight.fills if f[:2] == (price, account)]
            due = []
            for number, order in enumerate(passed):
                before = [
                    o
                    for o in passed[:number]
                    if (o.role == Role.UNKNOWN) == (order.role == Role.UNKNOWN)
                ]
                later = order.joined > same[0][7] and NULL != order.received < same[0][6]
                if sum(o.shown for o in before) < filled or later:
                    due.append(order)
            hidden = sum(counts(o) for o in self.at(-flight.side, price, True))
            unknown = [o for o in due if o.role == Role.UNKNOWN][:PASSED_MOST]
            known = [o for o in due if o.role != Role.UNKNOWN][:PASSED_MOST]
            for order in [o for o in due if o in unknown or o in known]:
                jumped = [f for f in same if f[7] > order.joined]
                shown = (jumped or same)[0]
                self.passed.append(
                    {
                        "instrument": self.code,
                        "incoming_seq": flight.seq,
                        "done_ns": flight.done[0],
                        "done_seq": flight.done[1],
                        "side": -flight.side,
                        "price": price,
                        "group_account": account,
                        "group_role": role,
                        "group_lots": sum(f[3] for f in same),
                        "jumped_lots": sum(f[3] for f in jumped),
                        "group_trade_seq": shown[4],
                        "group_entry_seq": shown[5],
                        "group_received_ns": shown[6],
                        "client_account": order.account,
                        "client_role": order.role,
                        "client_entry_seq": order.entry_seq,
                        "client_received_ns": order.received,
                        "client_lots": order.shown,
                        "client_leaves": order.leaves,
                        "client_orders": len(passed),
                        "exempt_hidden": hidden,
                        "exempt_stp": len(own),
                        "phase": int(self.phase),
                        "coverage": int(flight.incomplete),
                    }
                )
        flight.fills = []


class ReferenceBooks:
    """Replays batches; `apply` returns a list of BOOK dicts and a list of PASSED_OVER dicts."""

    def __init__(self):
        self.books = {}

    def apply(self, batch: Batch):
        names = batch.names
        columns = {name: batch[name].tolist() for name in names}
        rows, passed = [], []
        for at in range(len(batch)):
            event = {name: columns[name][at] for name in names}
            book = self.books.setdefault(event["instrument"], Book(event["instrument"]))
            rows.append(_step(book, event))
            passed += book.passed
            book.passed = []
        assert all(row.keys() == BOOK.keys() for row in rows)
        assert all(row.keys() == PASSED_OVER.keys() for row in passed)
        return rows, passed


def _id(event, name):
    pair = (event[f"{name}_hi"], event[f"{name}_lo"])
    return pair if pair != (0, 0) else None


def _step(book, event):
    kind = event["kind"]
    row = {name: column.absent for name, column in BOOK.items()}
    buy, sell, bust = _id(event, "buy"), _id(event, "sell"), _id(event, "busts")
    gap = _continuity(book, event, kind == Kind.TRADE and buy is None and sell is None)
    if kind == Kind.BOOK and book.run is None:
        book.land()
        book.clear()
        book.run = "whole"
    incomplete = gap or book.doubt or book.run is not None or event["clock_fault"] != 0
    row["coverage"] = int(incomplete)
    crossed = False
    if book.flight is not None and not _belongs(book.flight, event, (buy, sell, bust)):
        crossed = book.land()
    touch = book.touch()
    row["best_bid"], row["best_ask"], row["bid_lots"], row["ask_lots"] = touch
    conflict = Conflict.NONE
    if kind == Kind.TRADE:
        if bust is None and (buy, sell) != (None, None):
            conflict = _trade(book, event, row, (buy, sell), incomplete)
    elif kind == Kind.STATUS:
        if event["phase_to"] != -1:
            book.phase = Phase(event["phase_to"])
    elif kind == Kind.BOOK_END:
        if book.run is None and not gap:
            book.clear()
            book.run = "whole"
        if book.run == "whole":
            book.doubt, book.before_gap = False, None
        book.run = None
    else:
        conflict = _order(book, event, row, touch)
    row["phase"] = int(book.phase)
    row["conflict"] = int(Conflict.CROSSED if crossed and not conflict else conflict)
    return row


def _continuity(book, event, nameless):
    if not nameless:
        book.named = True
    last, book.last_seq = book.last_seq, event["seq"]
    gap = event["seq"] != last + 1 and not (last == 0 and event["kind"] == Kind.BOOK)
    if gap and book.named:
        book.doubt = True
        book.before_gap = list(book.orders.values())
        if book.run is not None:
            book.run = "broken"
    if book.run == "broken" and event["kind"] not in (Kind.BOOK, Kind.BOOK_END):
        book.run = None
    return gap


def _belongs(flight, event, ids):
    kind = event["kind"]
    buy, sell, bust = ids
    if kind == Kind.TRADE:
        own = buy if flight.side == Side.BUY else sell
        return bust is None and flight.id is not None and own == flight.id
    if kind in (Kind.CANCEL, Kind.REPLACE) and event["reason"] == Reason.STP:
        return True
    ending = kind in (Kind.CANCEL, Kind.EXPIRE, Kind.REJECT)
    return ending and flight.announced and _id(event, "order") == flight.id


def _describe(book, row, order, now):
    row["entry_seq"] = order.entry_seq
    row["entry_received_ns"] = order.received
    row["lifetime_ns"] = now - order.entry_ns
    row["leaves_before"] = order.leaves
    if order in book.waiting or order.price == NULL:
        return
    row["client_at_price"] = book.client_lots(order.side, order.price)
    if order in book.resting:
        queue = book.at(order.side, order.price)
        ahead = queue if order.display == 0 else queue[: queue.index(order)]
        row["queue_ahead"] = sum(o.shown for o in ahead)


def _place(book, order, event, row, touch):
    order.entry_seq, order.entry_ns = event["seq"], event["engine_ns"]
    order.received = event["received_ns"]
    stop = order.type in _RELEASED
    row["queue_ahead"], row["client_at_price"] = NULL, 0
    if not stop and order.price != NULL:
        row["client_at_price"] = book.client_lots(order.side, order.price)
        if not order.immediate:
            row["queue_ahead"] = sum(o.shown for o in book.at(order.side, order.price))
    trading = book.phase == Phase.CONTINUOUS and event["kind"] != Kind.BOOK and book.flight is None
    if stop or (order.immediate and not trading):
        order.shown = 0
        book.joins += 1
        order.joined = book.joins
        book.waiting.append(order)
    elif trading and (order.immediate or book.crosses(order)):
        book.flight = Flight(
            order.id, order, order.side, order.account, order.owner, event["seq"], touch
        )
    else:
        book.rest(order)


def _enter(book, event, row, touch):
    quantity, leaves = event["quantity"], event["leaves"]
    mismatch = event["kind"] == Kind.NEW and NULL not in (quantity, leaves) and quantity != leaves
    leaves = quantity if leaves == NULL else leaves
    if leaves <= 0 or event["side"] == Side.NONE:
        return Conflict.LEAVES_MISMATCH
    type_ = event["type"] or OrderType.LIMIT
    if event["kind"] == Kind.TRIGGER:
        type_ = _RELEASED.get(type_, type_)
    order = Live(
        _id(event, "order"),
        event["side"],
        type_,
        event["tif"],
        event["price"],
        leaves,
        0 if quantity == NULL else max(quantity - leaves, 0),
        event["display"],
        event["role"],
        event["account"],
        event["owner"],
        event["originator"],
        event["session"],
        event["user"],
    )
    book.orders[order.id] = order
    _place(book, order, event, row, touch)
    return Conflict.LEAVES_MISMATCH if mismatch else Conflict.NONE


def _order(book, event, row, touch):
    kind, id_ = event["kind"], _id(event, "order")
    if id_ is None:
        return Conflict.NONE if kind == Kind.REJECT else Conflict.UNKNOWN_ORDER
    if kind in (Kind.NEW, Kind.BOOK):
        return _new(book, event, row, touch, id_)
    order = book.orders.get(id_)
    if kind == Kind.REJECT:
        if order is not None:
            _describe(book, row, order, event["engine_ns"])
            if book.flight and book.flight.order is order:
                book.end(order)
        return Conflict.NONE
    if order is None:
        if kind in (Kind.REPLACE, Kind.TRIGGER):
            _enter(book, event, row, touch)
        return Conflict.UNKNOWN_ORDER
    _describe(book, row, order, event["engine_ns"])
    if kind in (Kind.CANCEL, Kind.EXPIRE):
        book.end(order)
        return Conflict.NONE if event["leaves"] in (NULL, 0) else Conflict.LEAVES_MISMATCH
    if kind == Kind.TRIGGER:
        return _trigger(book, order, event, row, touch)
    return _replace(book, order, event, row, touch)


def _new(book, event, row, touch, id_):
    conflict, replaced = Conflict.NONE, None
    if _id(event, "replaces") is not None:
        replaced = book.orders.get(_id(event, "replaces"))
        if replaced is None:
            conflict = Conflict.UNKNOWN_ORDER
        else:
            _describe(book, row, replaced, event["engine_ns"])
            book.remove(replaced)
    if replaced is None:
        row["entry_seq"], row["entry_received_ns"] = event["seq"], event["received_ns"]
        row["lifetime_ns"] = row["leaves_before"] = 0
    if id_ in book.orders:
        conflict = Conflict.DUPLICATE_ORDER
        book.remove(book.orders[id_])
    entered = _enter(book, event, row, touch)
    return conflict or entered


def _trigger(book, order, event, row, touch):
    conflict = Conflict.NONE
    if event["leaves"] not in (NULL, order.leaves):
        conflict = Conflict.LEAVES_MISMATCH
        order.leaves = event["leaves"]
    if order.leaves <= 0:
        book.end(order)
        return conflict
    book.leave(order)
    book.renewed(order)
    order.type = _RELEASED.get(order.type, order.type)
    order.price = order.price if event["price"] == NULL else event["price"]
    _place(book, order, event, row, touch)
    return conflict


def _replace(book, order, event, row, touch):
    quantity, leaves = event["quantity"], event["leaves"]
    conflict = Conflict.NONE
    if leaves == NULL:
        leaves = order.leaves if quantity == NULL else quantity - order.filled
    elif quantity != NULL and quantity != order.filled + leaves:
        total = order.filled + order.leaves
        prevented = event["reason"] == Reason.STP and quantity == total
        if not prevented or leaves > order.leaves:
            conflict = Conflict.LEAVES_MISMATCH
            order.filled = max(quantity - leaves, 0)
    if leaves <= 0:
        book.end(order)
        return conflict
    if book.flight and book.flight.order is order:
        order.leaves = leaves
        return conflict
    price = order.price if event["price"] == NULL else event["price"]
    tif = event["tif"] or order.tif
    type_ = event["type"] or order.type
    if order not in book.waiting:
        type_ = _RELEASED.get(type_, type_)
    after = (price, tif, type_, event["display"])
    only_less = after == (order.price, order.tif or tif, order.type, order.display)
    if only_less and leaves < order.leaves:
        order.leaves = leaves
        order.shown = min(order.shown, leaves)
        return conflict
    book.leave(order)
    book.renewed(order)
    order.price, order.tif, order.type, order.display = after
    order.leaves = leaves
    _place(book, order, event, row, touch)
    return conflict


def _trade(book, event, row, ids, incomplete):
    buy_id, sell_id = ids
    lots, price, aggressor = event["quantity"], event["price"], event["side"]
    if book.flight is None and book.phase == Phase.CONTINUOUS and aggressor != Side.NONE:
        word = "buy" if aggressor == Side.BUY else "sell"
        id_ = buy_id if aggressor == Side.BUY else sell_id
        book.flight = Flight(
            id_, None, aggressor, event[f"{word}_account"], event[f"{word}_owner"], 0, book.touch()
        )
        book.flight.announced = False
    flight = book.flight
    announced = flight is not None and flight.announced
    orders = {Side.BUY: book.orders.get(buy_id), Side.SELL: book.orders.get(sell_id)}
    conflict = Conflict.NONE
    for side, id_, word in ((Side.BUY, buy_id, "buy"), (Side.SELL, sell_id, "sell")):
        if orders[side] is not None:
            row[f"{word}_originator"] = orders[side].originator
            row[f"{word}_session"] = orders[side].session
            row[f"{word}_user"] = orders[side].user
        elif id_ is not None:
            conflict = Conflict.UNKNOWN_ORDER
    others = {
        word
        for side, word in ((Side.BUY, "buy"), (Side.SELL, "sell"))
        if orders[side] is not None
        and NO_CODE not in (orders[side].account, event[f"{word}_account"])
        and orders[side].account != event[f"{word}_account"]
    }
    if others:
        told = {"buy": Conflict.OTHER_BUYER, "sell": Conflict.OTHER_SELLER}
        conflict = Conflict.OTHER_PARTIES if len(others) > 1 else told[others.pop()]
    if flight is not None:
        side = -flight.side
    elif aggressor != Side.NONE:
        side = -aggressor
    elif orders[Side.BUY] is None:
        side = Side.SELL
    elif orders[Side.SELL] is None:
        side = Side.BUY
    else:
        side = min(orders, key=lambda one: orders[one].joined)
    resting, incoming = orders[side], orders[-side]
    if flight is not None:
        row["best_bid"], row["best_ask"], row["bid_lots"], row["ask_lots"] = flight.touch
        row["incoming_seq"] = flight.seq
        if incoming is not None:
            row["incoming_received_ns"] = incoming.received
        flight.done = (event["clock_ns"], event["seq"])
        flight.incomplete |= incomplete
        word = "buy" if side == Side.BUY else "sell"
        account, role = event[f"{word}_account"], event[f"{word}_role"]
        if account == NO_CODE and resting is not None:
            account, role = resting.account, resting.role
        if role in GROUP_ROLES | {Role.UNKNOWN}:
            facts = (0, NULL, 0)
            if resting is not None:
                facts = (resting.entry_seq, resting.received, resting.joined)
            flight.fills.append((price, account, role, lots, event["seq"], *facts))
    if resting is not None:
        _describe(book, row, resting, event["engine_ns"])
    over = resting is not None and book.reduce(resting, lots)
    if incoming is not None and incoming is not resting:
        over |= book.reduce(incoming, lots)
    if over and not conflict:
        conflict = Conflict.OVERFILL
    row["client_at_price"] = book.client_lots(side, price)
    if announced and flight.order is None:
        book.judge()
        book.flight = None
    return conflict
