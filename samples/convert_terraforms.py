"""Turn on-chain sales of unique items into a trade-only tape.

    python samples/convert_terraforms.py terraforms_sales.parquet samples/terraforms

The same sales give the same bytes. `write_tape` serves other collections too.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import polars as pl


def write_tape(
    sales: pl.DataFrame, folder: Path, *, collection: str, quote: str, price: str, tick: str
) -> None:
    """Write trades.ndjson, accounts.csv and instruments.csv.

    Parameters
    ----------
    sales : polars.DataFrame
        Columns `ts` (UTC), `token_id`, `seller`, `buyer`, `sale_id` and the one named by `price`;
        one row a sale, no duplicates.
    folder : Path
        Where the tape goes; made when it is not there.
    collection : str
        Base of every instrument; an instrument is named COLLECTION-token_id.
    quote, price, tick : str
        Quote currency, the column that holds prices in it, and the tick they are rounded to.

    Notes
    -----
    Sales of one second are ordered by sale_id. The chain has no order book: order ids are null and
    the quantity is 1. The sales do not say whether a listing or a bid was taken: no aggressor.
    Beneficial owners are unknown: each account is its own owner, and a client.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sales.sort("ts", "sale_id").with_columns(
        seq=pl.int_range(1, pl.len() + 1).over("token_id"),
        engine_ns=pl.col("ts").dt.epoch("ns"),
    )
    with (folder / "trades.ndjson").open("w", encoding="utf-8", newline="\n") as out:
        for row in ordered.iter_rows(named=True):
            amount = Decimal(repr(row[price])).quantize(Decimal(tick), rounding=ROUND_HALF_EVEN)
            record = {
                "v": 1,
                "instrument": f"{collection}-{row['token_id']}",
                "seq": row["seq"],
                "trade_id": row["sale_id"],
                "price": f"{amount:f}",
                "quantity": "1",
                "aggressor": None,
                "buy_order_id": None,
                "sell_order_id": None,
                "buy_account": row["buyer"],
                "sell_account": row["seller"],
                "engine_ns": row["engine_ns"],
            }
            out.write(json.dumps(record, separators=(",", ":")) + "\n")
    first_day = ordered["ts"].min().strftime("%Y-%m-%dT00:00:00Z")
    accounts = sorted(set(sales["seller"]) | set(sales["buyer"]))
    _write_csv(
        folder / "accounts.csv",
        ("account", "owner", "legal_entity", "role", "valid_from", "valid_to"),
        ((account, account, "", "client", first_day, "") for account in accounts),
    )
    _write_csv(
        folder / "instruments.csv",
        ("instrument", "base", "quote", "kind", "tick_size", "lot_size"),
        (
            (f"{collection}-{token}", collection, quote, "unique", tick, "1")
            for token in sorted(set(sales["token_id"]))
        ),
    )


def terraforms(path: Path) -> pl.DataFrame:
    """Return the Terraforms sales, each (tx_hash, token_id) once."""
    sales = pl.read_parquet(path)
    return sales.unique(["tx_hash", "token_id"], keep="first", maintain_order=True).with_columns(
        sale_id="tx_hash"
    )


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main(arguments: list[str]) -> int:
    """Write the Terraforms tape; return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: convert_terraforms.py SALES.parquet FOLDER\n")
        return 2
    write_tape(
        terraforms(Path(arguments[0])),
        Path(arguments[1]),
        collection="TERRAFORMS",
        quote="USD",
        price="price_usd",
        tick="0.01",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
