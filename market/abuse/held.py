"""A client's order that does not get to the book while the group trades: what either came to."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

from ingest.times import MICRO, SECOND
from market.abuse.base import Venue
from market.book import BookSide
from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.orders import Order

SWIFT_S: Final = 1e-4
"""The group's way to the gate and the engine's time: what must be left of a hold."""
RETRY_S: Final = 5.0
"""Until it is looked at again whether what was taken back is gone."""


class Held:
    """Watches a case in which a client's order is held.

    Parameters
    ----------
    venue : Venue
    case : Case
    port : Port
    side : int
        The client's.
    limit : int or None
        The client's price, ticks; None takes any.
    tag : int
        Of the client's decision.
    until_ns : int
        When the order is let go.
    quotes : bool
        Whether the group's own quotes, when they are hit at a price that would have satisfied the
        client, are part of the case too.
    """

    def __init__(
        self,
        venue: Venue,
        case: Case,
        port: Port,
        *,
        side: int,
        limit: int | None,
        tag: int,
        until_ns: int,
        quotes: bool = False,
    ) -> None:
        self.taken: list[tuple[int, int]] = []
        """Price and lots of what the group got while the client's order was held."""
        self.got: list[tuple[int, int]] = []
        """Price and lots of what the client got."""
        self.until_ns = until_ns
        self._venue, self._case, self._port, self._quotes = venue, case, port, quotes
        self._side, self._limit, self._tag = side, limit, tag
        case.wrong_tags(tag)
        case.on_trade = self.trade

    @property
    def is_held(self) -> bool:
        """Whether the order has not been let go."""
        return self._venue.loop.now_ns < self.until_ns

    def order(self, account: str) -> Order | None:
        """Return the client's order where it lives, entered or not triggered."""
        for order in self._port.engine.trading.owned.get(account, ()):
            if order.tag == self._tag:
                return order
        return None

    def lots_at(self, fills: Sequence[tuple[int, int]], price: int) -> int:
        """Return how much of some fills was at a price or better."""
        return sum(lots for at, lots in fills if at * self._side <= price * self._side)

    def trade(self, buy: Order, sell: Order, price: int, lots: int) -> bool:
        """Take in a trade; return whether it is one of the group's quotes that counts."""
        order = buy if self._side > 0 else sell
        if order.tag == self._tag:
            self.got.append((price, lots))
        elif self.is_held and (
            self._limit is None or price * self._side <= self._limit * self._side
        ):
            if order.tag == self._case.tag:
                self.taken.append((price, lots))
            elif self._quotes and order.account.is_afmm:
                self.taken.append((price, lots))
                self._case.order_ids[order.id] = None
                self._case.accounts[order.account.name] = None
                return True
        return False


def is_quick(port: Port, entry: Entry) -> bool:
    """Return whether what comes in now by a client's gate is matched at once."""
    gate = entry.client.gate
    now_ns = port.loop.now_ns
    return now_ns >= max(gate.slow_until_ns, gate.busy_ns)


def takes(entry: Entry, opposite: int | None) -> bool:
    """Return whether an order trades as soon as it is entered, at this best opposite price."""
    if opposite is None or "stop_price" in entry.options or entry.options.get("tif") == "POST_ONLY":
        return False
    return entry.price is None or entry.price * entry.side >= opposite * entry.side


def joins(entry: Entry, own: int | None, opposite: int | None) -> bool:
    """Return whether an order is displayed in whole and rests alone at the new best."""
    if own is None or opposite is None or entry.price is None or takes(entry, opposite):
        return False
    if entry.options.get("tif", "GTC") not in ("GTC", "DAY", "POST_ONLY"):
        return False
    if "display" in entry.options or "stop_price" in entry.options:
        return False
    return own * entry.side < entry.price * entry.side < opposite * entry.side


def best_level(book: BookSide) -> list[Order]:
    """Return the orders at the best price, in the order in which they are matched."""
    if not book.keys:
        return []
    level = book.levels[book.keys[-1]]
    return [*level.front, *level.behind, *level.hidden]


def key_of(entry: Entry) -> str:
    """Return what self-trade prevention compares of a client's order."""
    key: str = entry.options.get("stp_key", entry.client.account.stp_key)
    return key


def cut(lots: int, pieces: int, rng: random.Random) -> list[int]:
    """Return a quantity in pieces of like size, none empty."""
    pieces = max(1, min(pieces, lots))
    weights = [rng.uniform(0.6, 1.4) for _ in range(pieces)]
    parts = [max(1, int(lots * weight / sum(weights))) for weight in weights]
    parts[0] = max(1, parts[0] + lots - sum(parts))
    return parts


def moment(hold_s: float, share: float) -> float:
    """Return a time within a hold, s, that leaves the way to the engine."""
    return max(0.0, min(hold_s * share, hold_s - SWIFT_S))


def around(rng: random.Random, bounds: tuple[float, float], severity: float) -> float:
    """Return a value between two bounds, log-uniform in a third of their range that severity moves.

    >>> lows = [around(random.Random(n), (0.1, 100.0), 0.0) for n in range(9)]
    >>> 0.1 < min(lows) < max(lows) < 1 < around(random.Random(1), (0.1, 100.0), 1.0)
    True
    """
    low, high = (math.log(bound) for bound in bounds)
    begin = low + (high - low) * severity * 2 / 3
    return math.exp(rng.uniform(begin, begin + (high - low) / 3))


def later(port: Port, seconds: float) -> int:
    """Return the ns at which a hold from now ends, right after all that is due by then."""
    return port.loop.now_ns + int(seconds * SECOND) + MICRO


def withdraw(venue: Venue, case: Case, port: Port, orders: Sequence[Order]) -> None:
    """Take back what is left of a case's orders, as often as it takes: maintenance refuses it."""
    left = [order for order in orders if order.live]
    if not left:
        return
    if port.engine.phase != "maintenance":
        venue.cancel(case, port, *left, waits=True)
    venue.after(RETRY_S, lambda: withdraw(venue, case, port, left))
