"""Small enriched batches written out by hand, for the examples in docstrings and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ingest.events import (
    BOOK,
    ORDERED,
    PASSED_OVER,
    TAGS,
    WIRE,
    Array,
    Batch,
    Column,
    Kind,
    Role,
    Side,
    empty,
)
from ingest.instruments import Instrument, Instruments, Matching

COLUMNS: Mapping[str, Column] = {**WIRE, **TAGS, **ORDERED, **BOOK}


def example_instruments(
    names: Sequence[str] = ("BTC-USD",), matching: Matching = "price_time"
) -> Instruments:
    """Return instruments with tick 0.5 and lot 0.001."""
    return Instruments(
        Instrument(
            instrument=name,
            base=name.split("-")[0],
            quote="USD",
            kind="spot",
            tick_size=Decimal("0.5"),
            lot_size=Decimal("0.001"),
            matching=matching,
        )
        for name in names
    )


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Column]) -> dict[str, Array]:
    """Return rows as arrays; what a row does not name has its column's absent value."""
    arrays = empty(columns, len(rows))
    for place, row in enumerate(rows):
        for name, value in row.items():
            arrays[name][place] = value
    return arrays


def batch_of(
    rows: Iterable[Mapping[str, Any]],
    instruments: Instruments,
    *,
    passed_over: Iterable[Mapping[str, Any]] = (),
) -> Batch:
    """Return an enriched batch of rows that name only the columns that matter.

    `seq` counts up an instrument's rows, `clock_ns` is `engine_ns`, `instrument` 0, unless given.
    """
    filled: list[dict[str, Any]] = []
    seqs: dict[int, int] = {}
    for row in rows:
        code = row.get("instrument", 0)
        seqs[code] = row.get("seq", seqs.get(code, 0) + 1)
        filled.append(
            {"instrument": code, "seq": seqs[code], "clock_ns": row.get("engine_ns", 0), **row}
        )
    judged = [{"instrument": 0, **row} for row in passed_over]
    return Batch(table(filled, COLUMNS), instruments, passed_over=table(judged, PASSED_OVER))


def trade(buyer: int, seller: int, **columns: Any) -> dict[str, Any]:
    """Return a trade's row: a buyer's aggression at tick 100 for 10 lots, both clients."""
    row: dict[str, Any] = {
        "kind": Kind.TRADE,
        "side": Side.BUY,
        "price": 100,
        "quantity": 10,
        "buy_account": buyer,
        "sell_account": seller,
        "buy_owner": buyer,
        "sell_owner": seller,
        "buy_role": Role.CLIENT,
        "sell_role": Role.CLIENT,
    }
    return {**row, **columns}


def jumped(group: int, client: int, **columns: Any) -> dict[str, Any]:
    """Return a `passed_over` row: a maker's ask filled for 5 lots past a client's 20.

    `older` = 1 says that all of it was filled out of turn.
    """
    row: dict[str, Any] = {
        "done_seq": 1,
        "side": Side.SELL,
        "price": 100,
        "group_account": group,
        "group_role": Role.AFFILIATED_MM,
        "group_lots": 5,
        "group_trade_seq": 1,
        "client_entry_seq": client,
        "client_account": client,
        "client_role": Role.CLIENT,
        "client_lots": 20,
        "client_orders": 1,
    }
    row |= columns
    row["jumped_lots"] = row["group_lots"] if row.pop("older", 0) else row.get("jumped_lots", 0)
    row.setdefault("client_leaves", row["client_lots"])
    return row


def across() -> tuple[Batch, Instruments]:
    """Return a client's large purchase that waits 20 ms while the group buys the perpetual."""
    instruments = example_instruments(("BTC-PERP", "BTC-USD"))
    second, spot = 1_000_000_000, 1
    rows = [
        trade(n, 60, instrument=spot, seq=n, buy_role=Role.CLIENT, incoming_seq=n,
              engine_ns=n * second, incoming_received_ns=n * second, quantity=10)
        for n in range(1, 20)
    ]  # fmt: skip
    at = 30 * second
    rows.append(
        trade(50, 61, instrument=0, seq=3, buy_complex=1, incoming_seq=2, quantity=40,
              engine_ns=at + 10_000_000, incoming_received_ns=at + 9_000_000)
    )  # fmt: skip
    rows.append(
        trade(40, 60, instrument=spot, seq=30, buy_role=Role.CLIENT, incoming_seq=29, quantity=500,
              engine_ns=at + 20_000_000, incoming_received_ns=at)
    )  # fmt: skip
    batch = batch_of(sorted(rows, key=lambda row: (row["instrument"], row["seq"])), instruments)
    batch.watermark_ns = 60 * second
    return batch, instruments
