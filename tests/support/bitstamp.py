"""Real order flow of 2015 (bitcoin, one venue, no accounts) as rows of the wire contract.

The source gives every order's volume as it is made, changed and deleted, and prints apart from it,
without order ids. So a fill is seen as a `replace` with less leaves or a `cancel`, and a print is a
trade of nameless orders, which moves no book: what explains it has to be found.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl

from ingest.events import ORDERED, TAGS, WIRE, Batch, Kind, OrderType, Side, TimeInForce, empty
from ingest.instruments import Instrument, Instruments

TABLE = Instruments(
    [
        Instrument(
            instrument="BTC-USD",
            base="BTC",
            quote="USD",
            kind="spot",
            tick_size=Decimal("0.01"),
            lot_size=Decimal("0.00000001"),
        )
    ]
)


@dataclass
class Flow:
    """The source, adapted."""

    batch: Batch
    best: np.ndarray
    """By row of the batch: the source's own best bid and ask before it, in ticks (0 = none)."""
    left_out: dict
    """How many events contradict what came before and are left out."""


def read_flow(folder: Path) -> Flow:
    """Return the order flow in a folder that has bitstamp_l3_orders and _trades.parquet."""
    orders = pl.read_parquet(folder / "bitstamp_l3_orders.parquet")
    prints = pl.read_parquet(folder / "bitstamp_l3_trades.parquet")
    events = [
        (ms, order, round(price * 100), volume, action, Side.BUY if way == "bid" else Side.SELL)
        for order, ms, _, price, volume, action, way in orders.iter_rows()
    ]
    events, left_out = _consistent(events)
    trades = [(ms, id_, round(p * 100), round(a * 1e8)) for ms, p, a, id_ in prints.iter_rows()]
    rows = [*_opening(events), {"kind": Kind.BOOK_END}]
    rows += _in_time(events, trades)
    columns = empty({**WIRE, **TAGS, **ORDERED}, len(rows))
    columns["instrument"][:] = 0
    columns["seq"] = np.arange(1, len(rows) + 1)
    for at, row in enumerate(rows):
        for name, value in row.items():
            columns[name][at] = value
    columns["clock_ns"] = columns["engine_ns"]
    return Flow(Batch(columns, TABLE), _best(rows), left_out)


def _consistent(events):
    """Return the events without those that follow their order's end."""
    ended, kept = set(), []
    left_out = {"said of an order after its end": 0, "order made after its end": 0}
    for event in events:
        _, order, _, _, action, _ = event
        if order in ended:
            late = action == "created"
            left_out["order made after its end" if late else "said of an order after its end"] += 1
        else:
            kept.append(event)
        if action == "deleted":
            ended.add(order)
    return kept, left_out


def _named(order, side):
    return {"order_lo": order, "side": side, "type": OrderType.LIMIT, "tif": TimeInForce.GTC}


def _opening(events):
    """Yield a `book` record for each order that the file does not see made, as it is first seen.

    One whose end by being filled is all that is seen had a volume that nobody knows, and one that
    is younger than the first order made was not there at the start.
    """
    seen, first = set(), min(order for _, order, _, _, action, _ in events if action == "created")
    for _, order, price, volume, action, side in events:
        if order not in seen and action != "created" and volume > 0 and order < first:
            known = {"price": price, "quantity": volume, "leaves": volume}
            yield {"kind": Kind.BOOK, **_named(order, side), **known}
        seen.add(order)


def _in_time(events, trades):
    waiting = list(reversed(trades))
    for ms, order, price, volume, action, side in events:
        while waiting and waiting[-1][0] < ms:
            at, id_, traded, lots = waiting.pop()
            known = {"price": traded, "quantity": lots, "trade_lo": id_, "side": Side.NONE}
            yield {"kind": Kind.TRADE, "engine_ns": at * 10**6, **known}
        named = {"engine_ns": ms * 10**6, **_named(order, side), "price": price}
        if action == "created":
            yield {"kind": Kind.NEW, "quantity": volume, "leaves": volume, **named}
        elif action == "changed":
            yield {"kind": Kind.REPLACE, "leaves": volume, **named}
        else:
            # What was open at the end is kept as the quantity: 0 where the last of it was filled.
            yield {"kind": Kind.CANCEL, "leaves": 0, "quantity": volume, **named}
    while waiting:
        at, id_, traded, lots = waiting.pop()
        known = {"price": traded, "quantity": lots, "trade_lo": id_, "side": Side.NONE}
        yield {"kind": Kind.TRADE, "engine_ns": at * 10**6, **known}


def _best(rows):
    """Return the best prices before each row by the source alone: a dict of prices, no queues."""
    live, best = {}, np.zeros((len(rows), 2), dtype=np.int64)
    counts = {Side.BUY: {}, Side.SELL: {}}

    def move(order, add):
        side, price = live[order]
        left = counts[side].get(price, 0) + add
        counts[side][price] = left
        if not left:
            del counts[side][price]

    for at, row in enumerate(rows):
        best[at] = max(counts[Side.BUY], default=0), min(counts[Side.SELL], default=0)
        order = row.get("order_lo")
        if order in live:
            move(order, -1)
            del live[order]
        if order is not None and row["kind"] != Kind.CANCEL and row["leaves"] > 0:
            live[order] = (row["side"], row["price"])
            move(order, 1)
    return best
