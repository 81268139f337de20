"""Two hand-written batches: a maker that leaves for half of its hour, and one that stays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Role, Side, TimeInForce
from ingest.instruments import Instruments
from ingest.registry import ALWAYS, FOREVER
from ingest.terms import Obligation, Party, Terms
from ingest.times import HOUR, SECOND

START_NS: Final = 1_763_900_400 * SECOND - 1_763_900_400 % 3600 * SECOND
"""A full hour."""


def left(instruments: Instruments) -> Batch:
    """Return an hour of whose second half a maker has no bid, and has one again after it."""
    return _batch(instruments, back_ns=HOUR)


def stayed(instruments: Instruments) -> Batch:
    """Return the same hour of one that is back after five minutes."""
    return _batch(instruments, back_ns=HOUR // 2 + 300 * SECOND)


def _batch(instruments: Instruments, *, back_ns: int) -> Batch:
    rows = [
        _quote(0, 1, Side.BUY, 10_000),
        _quote(0, 2, Side.SELL, 10_010),
        _quote(HOUR // 2, 1, Side.BUY, 10_000, kind=Kind.CANCEL, leaves=0),
        _quote(back_ns, 3, Side.BUY, 10_000),
        _quote(HOUR, 4, Side.BUY, 9_999),
    ]
    batch = batch_of(rows, instruments)
    agreed = Obligation(
        account="MM1",
        instrument=instruments[0].instrument,
        max_spread_bps=Decimal(20),
        min_quantity=Decimal("0.01"),
        min_presence_ratio=Decimal("0.85"),
        window_s=3600,
        valid_from_ns=ALWAYS,
        valid_to_ns=FOREVER,
    )
    batch.terms, batch.parties = Terms((agreed,)), {"MM1": Party(1, (1,))}
    return batch


def _quote(after_ns: int, key: int, side: Side, price: int, **columns: Any) -> dict[str, Any]:
    at_ns = START_NS + after_ns
    row: dict[str, Any] = {
        "kind": Kind.NEW, "engine_ns": at_ns, "received_ns": at_ns - 1000, "account": 1,
        "role": Role.AFFILIATED_MM, "in_complex": 1, "side": side, "type": OrderType.LIMIT,
        "tif": TimeInForce.GTC, "price": price, "quantity": 10, "leaves": 10, "order_lo": key,
    }  # fmt: skip
    return row | columns
