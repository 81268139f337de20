"""A small enriched batch on which stops are run, for the example of stop_hunting."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of
from ingest.events import Batch, Kind, OrderType, Role, Side, TimeInForce
from ingest.instruments import Instruments

MM, MAKER, FIRST, SECOND = 1, 2, 3, 4
"""Accounts: the affiliated maker, another, and two clients with stops."""
ENTERED_NS: Final = 10_000_000_000
"""When the order that catches is entered: its habit has been seen by then."""
LEAD_NS: Final = 10_000_000


def hunted(instruments: Instruments, *, caught: bool = True) -> Batch:
    """Return a batch in which the maker's push to tick 102 triggers two clients' buy stops.

    With `caught` its own order at 103, entered 10 ms before, trades with them; else another's.
    """
    group: dict[str, Any] = {"account": MM, "role": Role.AFFILIATED_MM, "in_complex": 1}
    rows: list[dict[str, Any]] = [
        {"kind": Kind.CANCEL, "side": Side.SELL, "order_lo": order, **group} for order in (7, 8)
    ]
    rows.append(
        {"kind": Kind.NEW, "side": Side.SELL, "type": OrderType.LIMIT, "order_lo": 9, **group}
        | {"price": 103, "quantity": 10, "leaves": 10, "tif": TimeInForce.POST_ONLY}
        | {"engine_ns": ENTERED_NS}
    )
    at_ns = ENTERED_NS + LEAD_NS
    rows.append(
        {"kind": Kind.NEW, "side": Side.BUY, "type": OrderType.LIMIT, "order_lo": 10, **group}
        | {"price": 102, "quantity": 50, "leaves": 50, "tif": TimeInForce.IOC, "engine_ns": at_ns}
    )
    touch = {"best_bid": 98, "best_ask": 99}
    trade: dict[str, Any] = {"kind": Kind.TRADE, "side": Side.BUY, "engine_ns": at_ns, **touch}
    rows.append(
        {**trade, "incoming_seq": 4, "price": 102, "quantity": 50, "buy_account": MM}
        | {"buy_complex": 1, "buy_role": Role.AFFILIATED_MM, "sell_account": MAKER}
    )
    other = {"sell_account": MM, "sell_complex": 1} if caught else {"sell_account": MAKER}
    for client in (FIRST, SECOND):
        trigger = {"kind": Kind.TRIGGER, "account": client, "role": Role.CLIENT, "leaves": 5}
        rows.append({**trigger, "side": Side.BUY, "engine_ns": at_ns})
        rows.append(
            {**trade, "incoming_seq": len(rows), "price": 103, "quantity": 5, **other}
            | {"buy_account": client, "sell_lo": 9, "entry_seq": 3, "lifetime_ns": LEAD_NS}
        )
    rows.extend(
        {"kind": Kind.CANCEL, "engine_ns": at_ns + after_s * 10**9, **touch} for after_s in (1, 100)
    )
    return batch_of(rows, instruments)
