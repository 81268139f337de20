"""The check that a clean tape holds no truth: read from its records alone, not from the market.

Each rule is one that a deterministic breach would break. It is written once more here, so that
neither the engine nor a detector is asked about itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from market.orders import GROUP
from market.reading import Reader, Record, read, table

EXAMPLES: Final = 5
"""Cases that are told one by one."""
_IMMEDIATE: Final = ("IOC", "FOK")
_OPPOSITE: Final = {"buy": "sell", "sell": "buy"}


class Truths(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape holds of the kinds that a clean one must not; all 0 when it is clean."""

    same_account: int
    """Trades of an account with itself, but between two originators of an omnibus account."""
    same_owner: int
    """Trades between two accounts of one beneficial owner."""
    within_complex: int
    """Trades between two accounts of the platform's group."""
    overtaken: int
    """Client instructions stamped before one of the group on the same side, but matched later."""
    out_of_turn: int
    """Fills of resting orders of the group while a client's displayed order was due before it."""
    records: int
    examples: tuple[str, ...]
    """The first few cases."""

    @property
    def clean(self) -> bool:
        """Whether there is none."""
        return not (
            self.same_account
            + self.same_owner
            + self.within_complex
            + self.overtaken
            + self.out_of_turn
        )


@dataclass(slots=True, eq=False)
class _Order:
    account: str
    side: str
    price: str | None
    originator: str | None
    leaves: Decimal
    display: Decimal | None
    shown: Decimal
    place: tuple[str, str] | None = None
    """Side and price of the queue it stands in."""


@dataclass(slots=True)
class _Book:
    by_class: bool
    orders: dict[str, _Order] = field(default_factory=dict)
    queues: dict[tuple[str, str], dict[_Order, None]] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=lambda: {"buy": 0, "sell": 0})
    """By side: the latest stamp of the group's instructions so far."""


def check_clean(tape: Path, *others: Reader) -> Truths:
    """Return what a tape's records hold of the kinds that a clean one must not.

    Roles and owners are those of the accounts' first rows. State: the live orders. `others` take
    in the tape in the same reading.
    """
    check = _Check(tape)
    count = read(tape, check, *others)
    kinds = {name: check.found[name] for name in Truths.__struct_fields__[:5]}
    return Truths(**kinds, records=count, examples=tuple(check.examples))


class _Check:
    def __init__(self, tape: Path) -> None:
        self.found: Counter[str] = Counter()
        self.examples: list[str] = []
        self._role: dict[str, str] = {}
        self._owner: dict[str, str] = {}
        for row in table(tape, "accounts"):
            self._role.setdefault(row["account"], row["role"])
            self._owner.setdefault(row["account"], row["owner"])
        self._books = {
            row["instrument"]: _Book(row.get("matching") == "price_class_time")
            for row in table(tape, "instruments")
        }

    def _find(self, kind: str, record: Record) -> None:
        self.found[kind] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{kind}: {record['instrument']} seq {record['seq']}")

    def _in_group(self, account: str) -> bool:
        return self._role.get(account) in GROUP

    # --- orders -------------------------------------------------------------------------------

    def order(self, record: Record) -> None:
        """Take in an order record."""
        book, action = self._books[record["instrument"]], record["action"]
        if action in ("status", "book_end"):
            return
        id_ = record["order_id"]
        if action in ("new", "replace"):
            self._stamped(book, record)
        if action == "new":
            self._drop(book, record.get("replaces"))
            self._enter(book, record)
        elif action == "trigger":
            self._drop(book, id_)
            self._enter(book, record | {"type": record["type"].replace("stop_limit", "limit")})
        elif action == "replace":
            self._amend(book, record)
        elif action == "book":
            order = book.orders[id_]
            order.shown = self._tranche(order)
        elif action in ("cancel", "expire") or not Decimal(record["leaves"]):
            self._drop(book, id_)

    def _stamped(self, book: _Book, record: Record) -> None:
        received, side = record["received_ns"], record["side"]
        if received is None:
            return
        if self._in_group(record["account"]):
            book.latest[side] = max(book.latest[side], received)
        elif received < book.latest[side]:
            self._find("overtaken", record)

    def _enter(self, book: _Book, record: Record) -> None:
        display = record.get("display")
        order = book.orders[record["order_id"]] = _Order(
            record["account"],
            record["side"],
            record["price"],
            record.get("originator"),
            Decimal(record["leaves"]),
            None if display is None else Decimal(display),
            Decimal(0),
        )
        # Only a displayed order that may rest is owed a turn.
        if record["type"] == "limit" and record["tif"] not in _IMMEDIATE and order.display != 0:
            self._join(book, order)

    def _amend(self, book: _Book, record: Record) -> None:
        order = book.orders[record["order_id"]]
        leaves = Decimal(record["leaves"])
        stays = record["price"] == order.price and leaves < order.leaves
        order.price, order.leaves = record["price"], leaves
        order.shown = min(order.shown, leaves)
        if order.place is not None and not stays:
            self._join(book, order)

    def _join(self, book: _Book, order: _Order) -> None:
        self._leave(book, order)
        assert order.price is not None  # noqa: S101 - limit orders only
        order.place = (order.side, order.price)
        book.queues.setdefault(order.place, {})[order] = None
        order.shown = self._tranche(order)

    @staticmethod
    def _leave(book: _Book, order: _Order) -> None:
        if order.place is not None:
            queue = book.queues[order.place]
            del queue[order]
            if not queue:
                del book.queues[order.place]
            order.place = None

    def _drop(self, book: _Book, id_: str | None) -> None:
        order = book.orders.pop(id_ or "", None)
        if order is not None:
            self._leave(book, order)

    @staticmethod
    def _tranche(order: _Order) -> Decimal:
        return order.leaves if order.display is None else min(order.display, order.leaves)

    # --- trades -------------------------------------------------------------------------------

    def trade(self, record: Record) -> None:
        """Take in a trade."""
        book = self._books[record["instrument"]]
        orders = {side: book.orders[record[f"{side}_order_id"]] for side in ("buy", "sell")}
        buy, sell = orders["buy"], orders["sell"]
        owners = {self._owner.get(order.account) or order.account for order in (buy, sell)}
        if buy.account == sell.account:
            if None in (buy.originator, sell.originator) or buy.originator == sell.originator:
                self._find("same_account", record)
        elif len(owners) == 1:
            self._find("same_owner", record)
        elif self._in_group(buy.account) and self._in_group(sell.account):
            self._find("within_complex", record)
        aggressor = record["aggressor"]
        if aggressor is not None:
            self._turn(book, orders[_OPPOSITE[aggressor]], orders[aggressor], record)
        lots = Decimal(record["quantity"])
        for side, order in orders.items():
            order.leaves -= lots
            order.shown -= lots
            if not order.leaves:
                self._drop(book, record[f"{side}_order_id"])
            elif order.place is not None and side == aggressor:
                order.shown = self._tranche(order)  # It rests only once it is done.
            elif order.place is not None and order.shown <= 0:
                self._join(book, order)

    def _turn(self, book: _Book, resting: _Order, incoming: _Order, record: Record) -> None:
        if not self._in_group(resting.account):
            return
        standing = book.queues.get((resting.side, record["price"]), {})
        for order in standing:
            if order is resting and not book.by_class:
                return
            due = not self._in_group(order.account)
            same = self._owner.get(order.account) == self._owner.get(incoming.account)
            if due and not same:
                self._find("out_of_turn", record)
                return
