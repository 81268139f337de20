"""A feed with layers in it, written out by hand, for the examples of spoofing."""

from __future__ import annotations

from typing import Any

from detectors.examples import trade
from ingest.events import Kind, OrderType, Role, Side


def layered(*, cycles: int, reposts: bool = False) -> list[dict[str, Any]]:
    """Return rows of a maker (account 1) that quotes both sides, and layers the bid `cycles` times.

    Client 2 buys from it while the layers stand; with `reposts` they come back a tick lower.
    """
    second = 10**9
    maker = {"account": 1, "role": Role.AFFILIATED_MM, "in_complex": 1, "type": OrderType.LIMIT}
    quote = {**maker, "best_bid": 100, "best_ask": 102}

    def new(name: int, side: Side, price: int, at_ns: int, lots: int = 10) -> dict[str, Any]:
        order = {"kind": Kind.NEW, "order_lo": name, "side": side, "price": price}
        return {**quote, **order, "quantity": lots, "leaves": lots, "engine_ns": at_ns}

    rows = [new(1, Side.BUY, 100, second), new(2, Side.SELL, 102, second, 1000)]
    rows += [new(3 + n, Side.BUY, 99, (60 + 20 * n) * second, 1) for n in range(6)]
    for cycle in range(cycles):
        at, names = (200 + 10 * cycle) * second, range(100 + 10 * cycle, 103 + 10 * cycle)
        rows += [new(name, Side.BUY, 99, at) for name in names]
        sale = trade(2, 1, sell_role=Role.AFFILIATED_MM, sell_complex=1, sell_lo=2)
        rows.append({**sale, "price": 102, "engine_ns": at + second})
        gone = {**quote, "kind": Kind.CANCEL, "side": Side.BUY, "leaves": 0}
        rows += [{**gone, "order_lo": name, "engine_ns": at + 2 * second} for name in names]
        if reposts:
            rows += [new(50 + name, Side.BUY, 98, at + 2 * second) for name in names]
        rows.append(new(1000 + cycle, Side.SELL, 103, at + 4 * second, 1))
    return rows
