"""A maker's quotes that are in a client's way, and how they are taken out of it."""

from __future__ import annotations

from dataclasses import dataclass

from market.case import Case
from market.clients import Entry
from market.loop import Port
from market.makers import Maker
from market.orders import Order


def in_the_way(maker: Maker, touch: tuple[int, int], entry: Entry) -> list[tuple[int, Order]]:
    """Return the maker's quotes that an order would hit, by level: none unless it is at the touch.

    As many as the order's size may reach, were nobody else there, and its price.
    """
    side, (_, best) = entry.side, touch
    bound = entry.price
    if "stop_price" in entry.options or (bound is not None and (bound - best) * side < 0):
        return []
    found: list[tuple[int, Order]] = []
    lots = 0
    for level in range(maker.quoting.levels):
        order = maker.quotes.get((-side, level))
        if order is None or not order.live or order.price is None:
            continue
        if not found and order.price != best:
            return []
        if lots >= entry.lots or (bound is not None and (bound - order.price) * side < 0):
            break
        found.append((level, order))
        lots += order.leaves
    return found


@dataclass(slots=True, eq=False)
class Withdrawal:
    """What is done at the engine to quotes that are in a client's way."""

    port: Port
    case: Case
    evasion: str
    orders: list[Order]
    kept: float
    aside_bps: float

    def __call__(self, engine_ns: int, received_ns: int, _: object) -> None:
        """Withdraw them, as far as the evasion has it."""
        engine = self.port.engine
        for order in self.orders:
            if not order.live or order.price is None:
                continue
            self.case.act(order.account.name, order)
            if self.evasion == "partial":
                lots = max(1, int(order.leaves * self.kept))
                quantity = order.quantity - order.leaves + lots
                engine.replace(order, quantity=quantity, now_ns=engine_ns, received_ns=received_ns)
            elif self.evasion == "masked_as_requote":
                away = max(1, round(order.price * self.aside_bps * 1e-4))
                price = max(1, order.price - order.side * away)
                engine.replace(order, price=price, now_ns=engine_ns, received_ns=received_ns)
            else:
                engine.cancel(order, now_ns=engine_ns, received_ns=received_ns)
