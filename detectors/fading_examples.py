"""Two hand-written batches: a maker that fades, and one that only re-quotes."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Role, Side, TimeInForce
from ingest.instruments import Instruments
from ingest.times import MILLI

START_NS: Final = 1_763_900_100_000 * MILLI
"""A full five minutes."""
CLIENTS: Final = 12
APART_NS: Final = 20_000 * MILLI


def faded(instruments: Instruments) -> Batch:
    """Return a maker whose ask goes 1 ms after each client's order came, 4 ms before its match."""
    return _batch(instruments, before_ms=-1.0)


def quoted(instruments: Instruments) -> Batch:
    """Return the same maker, whose ask goes and comes as often, but between clients' orders."""
    return _batch(instruments, before_ms=7_000.0)


def _batch(instruments: Instruments, *, before_ms: float) -> Batch:
    at_ns = START_NS
    rows = [
        _row(at_ns, 1, 2, Role.CLIENT, Side.BUY, 100, None, None),
        _row(at_ns, 2, 2, Role.CLIENT, Side.SELL, 104, 100, None),
        _row(at_ns, 3, 1, Role.AFFILIATED_MM, Side.SELL, 102, 100, 104),
    ]
    for number in range(CLIENTS):
        came_ns = START_NS + (number + 1) * APART_NS
        gone_ns = came_ns - int(before_ms * MILLI)
        key = number + 3
        gone = {"kind": Kind.CANCEL, "leaves": 0}
        ask = 104 if before_ms < 0 else 102
        taker = {
            "received_ns": came_ns, "type": OrderType.MARKET, "tif": TimeInForce.IOC,
            "quantity": 5, "leaves": 5,
        }  # fmt: skip
        rows += sorted(
            [
                _row(gone_ns, key, 1, Role.AFFILIATED_MM, Side.SELL, 102, 100, 102, **gone),
                _row(
                    gone_ns + 50 * MILLI, key + 1, 1, Role.AFFILIATED_MM, Side.SELL, 102, 100, 104
                ),
                _row(came_ns + 5 * MILLI, 100 + number, 3, Role.CLIENT, Side.BUY, 0, 100, ask,
                     **taker),
            ],
            key=lambda row: row["engine_ns"],
        )  # fmt: skip
    rows.append(_row(START_NS + 300_000 * MILLI, 200, 2, Role.CLIENT, Side.BUY, 90, 100, 102))
    return batch_of(rows, instruments)


def _row(  # noqa: PLR0917
    at_ns: int, key: int, account: int, role: Role, side: Side, price: int, bid: int | None,
    ask: int | None, **columns: Any,
) -> dict[str, Any]:  # fmt: skip
    row: dict[str, Any] = {
        "kind": Kind.NEW, "engine_ns": at_ns, "received_ns": at_ns - MILLI // 100,
        "account": account, "role": role, "in_complex": int(role == Role.AFFILIATED_MM),
        "side": side,
        "type": OrderType.LIMIT, "tif": TimeInForce.GTC, "price": price, "quantity": 10,
        "leaves": 10, "order_lo": key,
    }  # fmt: skip
    row |= {} if bid is None else {"best_bid": bid}
    row |= {} if ask is None else {"best_ask": ask}
    return row | columns
