"""What the matching engine works on: accounts as it sees them, live orders, who looks on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

BUY: Final = 1
SELL: Final = -1
OrderTypeWord = Literal["limit", "market", "stop", "stop_limit"]
TimeInForceWord = Literal["GTC", "IOC", "FOK", "DAY", "POST_ONLY"]
GROUP: Final = frozenset({"affiliated_mm", "affiliated", "house", "staff"})
"""Roles of the platform's own group, as accounts.csv writes them."""


@dataclass(slots=True, eq=False)
class Account:
    """An account at the gateway.

    Parameters
    ----------
    name, role : str
        As in accounts.csv.
    stp_key : str
        Orders with one key never trade with each other; the beneficial owner, or the whole complex.
    text : str
        Fields that each of its order records carries, rendered (`wire.fields`).
    protection_lots : int
        Maker protection: its orders leave once this much of them was hit within
        `protection_ns`; 0 = none.
    on_fill : function of (order, lots, price in ticks, engine_ns), optional
        Called after each fill of its orders.
    fees_bps : tuple of float, optional
        What it pays of the notional as a maker and as a taker; None: its trades tell no fee.
    """

    name: str
    role: str
    stp_key: str
    text: str = ""
    protection_lots: int = 0
    protection_ns: int = 0
    on_fill: Callable[[Order, int, int, int], None] | None = None
    fees_bps: tuple[float, float] | None = None
    in_group: bool = field(init=False)
    is_afmm: bool = field(init=False)

    def __post_init__(self) -> None:
        self.in_group = self.role in GROUP
        self.is_afmm = self.role == "affiliated_mm"


@dataclass(slots=True, eq=False)
class Order:
    """One order; prices in ticks, quantities in lots, side as its sign."""

    id: str
    account: Account
    side: int
    type: OrderTypeWord
    tif: TimeInForceWord
    price: int | None
    stop_price: int | None
    quantity: int
    leaves: int
    display: int | None
    stp_key: str
    text: str
    """Rendered fields of its own, such as the originator behind an omnibus account."""
    instrument: str
    head: str = ""
    """Rendered fields that no amendment changes."""
    shown: int = 0
    priority: int = 0
    """Place in the instrument's order of joining; of a stop, its ticket in the stop heap."""
    queue: dict[Order, None] | None = None
    """The queue it stands in; None while it is in flight or waits outside the book."""
    live: bool = False
    tag: int = 0
    """Above 0, which of the clients' decisions it carries out: the same in a paired run. Below 0,
    which case of abuse it is part of."""

    @property
    def never_rests(self) -> bool:
        """Whether its remainder must not rest."""
        return self.type == "market" or self.tif in ("IOC", "FOK")

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a trigger."""
        return self.type in ("stop", "stop_limit")

    @property
    def tranche(self) -> int:
        """What a fresh tranche of it shows, lots."""
        return self.leaves if self.display is None else min(self.display, self.leaves)


class Favour(Protocol):
    """How an engine departs from the venue's rules for somebody: abuse alone."""

    def refuses(self, order: Order) -> bool:
        """Return whether a new order that the rules allow is refused."""

    def trips(self, account: Account, lots: int) -> bool:
        """Return whether maker protection acts once so much was hit within its time."""

    def prevention(self, order: Order, other: Order) -> str | None:
        """Return how an order and a resting one are kept from trading; None: by the rules."""


class Watch(Protocol):
    """Who is told of what happens in an engine, beside the wire."""

    def traded(  # noqa: PLR0917 - called for every fill
        self, buy: Order, sell: Order, price: int, lots: int, seq: int, now_ns: int
    ) -> None:
        """Take in a trade: price in ticks, seq of its record; `leaves` are those before it."""

    def reduced(self, order: Order, lots: int) -> None:
        """Take in that an order is about to be made smaller by its owner, by so many lots."""

    def gone(self, order: Order) -> None:
        """Take in that an order is gone; `leaves` is what was not filled."""
