"""The wire contract v1: one record of each topic, field by field, and which actions need which.

Null and absent mean the same. An empty string in a field that names or identifies something is an
absent one; in an enum it is an unknown word. Numbers with a fraction travel as strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Literal

import msgspec

from ingest.events import AfmmFlag, Kind, OrderType, Origin, Phase, Reason, Side, TimeInForce, Topic

Form = Literal["integer", "decimal", "id", "name", "enum"]
Action = Literal[
    "new",
    "replace",
    "cancel",
    "reject",
    "expire",
    "trigger",
    "status",
    "book",
    "book_end",
]
SideWord = Literal["buy", "sell"]
OrderTypeWord = Literal["limit", "market", "stop", "stop_limit"]
TimeInForceWord = Literal["GTC", "IOC", "FOK", "DAY", "POST_ONLY"]
PhaseWord = Literal["continuous", "auction", "halt", "cancel_only", "maintenance"]
OriginWord = Literal["api", "gui", "rfq", "internal"]
AfmmFlagWord = Literal["none", "buy", "sell", "both"]


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the orders topic; types are strict, unknown fields are ignored."""

    v: int
    instrument: str
    seq: int
    action: Action
    order_id: str | None = None
    account: str | None = None
    side: SideWord | None = None
    type: OrderTypeWord | None = None
    tif: TimeInForceWord | None = None
    price: str | None = None
    stop_price: str | None = None
    quantity: str | None = None
    leaves: str | None = None
    received_ns: int | None = None
    engine_ns: int
    display: str | None = None
    replaces: str | None = None
    reason: str | None = None
    """user | mmp | disconnect | kill | stp | speed_bump | expiry | other; free words on status."""
    session: str | None = None
    user: str | None = None
    originator: str | None = None
    algo_id: str | None = None
    client_order_id: str | None = None
    parent_order_id: str | None = None
    priority_ns: int | None = None
    source: OriginWord | None = None
    fee_tier: str | None = None
    phase: PhaseWord | None = None
    actor: str | None = None


class TradeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the trades topic; types are strict, unknown fields are ignored."""

    v: int
    instrument: str
    seq: int
    trade_id: str | None = None
    price: str | None = None
    quantity: str | None = None
    aggressor: SideWord | None = None
    """Absent where there is none: an uncross, or a feed that does not say."""
    buy_order_id: str | None = None
    sell_order_id: str | None = None
    buy_account: str | None = None
    sell_account: str | None = None
    engine_ns: int
    buy_fee: str | None = None
    sell_fee: str | None = None
    afmm_flag: AfmmFlagWord | None = None
    busts: str | None = None


def _words(kind: type[IntEnum], *absent: str) -> Mapping[str, int]:
    return {member.name.lower(): int(member) for member in kind if member.name not in absent}


ACTIONS: Final = _words(Kind, "TRADE")
"""Kind by the wire word of an order record's action."""
ENUMS: Final[Mapping[Topic, Mapping[str, Mapping[str, int]]]] = {
    Topic.ORDERS: {
        "action": ACTIONS,
        "side": _words(Side, "NONE"),
        "type": _words(OrderType, "NONE"),
        "tif": {member.name: int(member) for member in TimeInForce if member.name != "NONE"},
        "reason": _words(Reason, "NONE"),
        "phase": _words(Phase),
        "source": _words(Origin, "NONE"),
    },
    Topic.TRADES: {
        "aggressor": _words(Side, "NONE"),
        "afmm_flag": _words(AfmmFlag, "ABSENT"),
    },
}
"""By topic and field: the code of each word that the contract knows."""

EVERY: Final = tuple(ACTIONS)
STATES_ORDER: Final = ("new", "replace", "book")
"""Actions whose record states the order whole, so that a book can be built on it alone."""
TRADE: Final = ("trade",)
LIMITED: Final = ("limit", "stop_limit")
STOPS: Final = ("stop", "stop_limit")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the contract and where it is required."""

    form: Form
    required_for: tuple[str, ...] = ()
    """Actions whose record is rejected without it (`trade` on the trades topic); else optional."""
    order_types: tuple[str, ...] = ()
    """When given, it is required of orders of these types only."""
    waived_by_bust: bool = False
    """Not required of a trade record that cancels another."""


WIRE_FIELDS: Final[Mapping[Topic, Mapping[str, Field]]] = {
    Topic.ORDERS: {
        "v": Field(form="integer", required_for=EVERY),
        "instrument": Field(form="name", required_for=EVERY),
        "seq": Field(form="integer", required_for=EVERY),
        "action": Field(form="enum", required_for=EVERY),
        "order_id": Field(
            form="id", required_for=(*STATES_ORDER, "cancel", "reject", "expire", "trigger")
        ),
        "account": Field(form="name", required_for=STATES_ORDER),
        "side": Field(form="enum", required_for=STATES_ORDER),
        "type": Field(form="enum", required_for=STATES_ORDER),
        "tif": Field(form="enum"),
        "price": Field(form="decimal", required_for=STATES_ORDER, order_types=LIMITED),
        "stop_price": Field(form="decimal", required_for=STATES_ORDER, order_types=STOPS),
        "quantity": Field(form="decimal", required_for=STATES_ORDER),
        "leaves": Field(form="decimal"),
        "received_ns": Field(form="integer"),
        "engine_ns": Field(form="integer", required_for=EVERY),
        "display": Field(form="decimal"),
        "replaces": Field(form="id"),
        "reason": Field(form="enum"),
        "session": Field(form="name"),
        "user": Field(form="name"),
        "originator": Field(form="name"),
        "algo_id": Field(form="name"),
        "client_order_id": Field(form="id"),
        "parent_order_id": Field(form="id"),
        "priority_ns": Field(form="integer"),
        "source": Field(form="enum"),
        "fee_tier": Field(form="name"),
        "phase": Field(form="enum", required_for=("status",)),
        "actor": Field(form="name"),
    },
    Topic.TRADES: {
        "v": Field(form="integer", required_for=TRADE),
        "instrument": Field(form="name", required_for=TRADE),
        "seq": Field(form="integer", required_for=TRADE),
        "trade_id": Field(form="id", required_for=TRADE),
        "price": Field(form="decimal", required_for=TRADE, waived_by_bust=True),
        "quantity": Field(form="decimal", required_for=TRADE, waived_by_bust=True),
        "aggressor": Field(form="enum"),
        "buy_order_id": Field(form="id"),
        "sell_order_id": Field(form="id"),
        "buy_account": Field(form="name", required_for=TRADE, waived_by_bust=True),
        "sell_account": Field(form="name", required_for=TRADE, waived_by_bust=True),
        "engine_ns": Field(form="integer", required_for=TRADE),
        "buy_fee": Field(form="decimal"),
        "sell_fee": Field(form="decimal"),
        "afmm_flag": Field(form="enum"),
        "busts": Field(form="id"),
    },
}
"""Every field of the contract by topic, in the contract's order. A cancel, reject, expire or
trigger needs no more than its order id; `leaves` follows from `quantity` where it is absent; order
ids of a trade and its aggressor may be absent (an uncross, a trade-only feed); a bust needs
`trade_id` and `busts`."""

KNOWN_KEYS: Final[Mapping[Topic, frozenset[str]]] = {
    topic: frozenset(fields) for topic, fields in WIRE_FIELDS.items()
}
"""Keys of a record that are not counted as unknown."""

VERSION: Final = 1
FIRST_NS: Final = 946_684_800 * 10**9
"""2000-01-01T00:00:00Z. An earlier time is one in seconds, milli- or microseconds."""
LAST_NS: Final = 7_258_118_400 * 10**9
"""2200-01-01T00:00:00Z; exclusive."""
FEE_DIGITS: Final = 9
"""Fees are kept in 1e-9 of the quote currency; a finer one is rounded half away from zero."""
MAX_DECIMAL_CHARACTERS: Final = 80
"""Longest decimal that is read; a longer one is out of range, whatever it says."""
