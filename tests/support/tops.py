"""Best prices of a tape at given records, by a small book of its own."""

from __future__ import annotations

from decimal import Decimal

from market.reading import records

NEVER_RESTS = ("IOC", "FOK")


def tops(folder, wanted):
    """Return (best bid, best ask) before each wanted record, by (instrument, seq); None = empty."""
    found, books = {}, {}
    for record in records(folder):
        book = books.setdefault(record["instrument"], {})
        where = record["instrument"], record["seq"]
        if where in wanted:
            prices = {side: [p for s, p, _ in book.values() if s == side] for side in "bs"}
            found[where] = (max(prices["b"], default=None), min(prices["s"], default=None))
        if "trade_id" in record:
            for side in ("buy", "sell"):
                _fill(book, record[f"{side}_order_id"], Decimal(record["quantity"]))
        elif "order_id" in record:
            _take(book, record)
    return found


def _fill(book, id_, lots):
    if id_ in book:
        side, price, leaves = book.pop(id_)
        if leaves > lots:
            book[id_] = side, price, leaves - lots


def _take(book, record):
    id_, action = record["order_id"], record["action"]
    book.pop(record.get("replaces"), None)
    leaves = Decimal(record["leaves"])
    if action in ("cancel", "expire") or not leaves:
        book.pop(id_, None)
        return
    stops = record["type"] in ("stop", "stop_limit") and action != "trigger"
    if action == "reject" or stops or record["price"] is None or record["tif"] in NEVER_RESTS:
        return
    book[id_] = record["side"][0], Decimal(record["price"]), leaves
