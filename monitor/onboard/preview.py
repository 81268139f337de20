"""A sample as a tape: contract records, with what the sample lacks filled in for a look only.

What is filled in is listed in `Preview.assumed`: the look is worth having, and nobody may take it
for surveillance.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import msgspec

from ingest.errors import UsageError
from ingest.events import Topic
from ingest.records import VERSION
from monitor.onboard.fix import FIX_MAP, joined_trades
from monitor.onboard.mapping import FeedMap, contract_record, topic_of
from monitor.onboard.samples import Row, Sample

Record = dict[str, Any]
INSTRUMENTS: Final = ("instrument", "base", "quote", "kind", "tick_size", "lot_size")
ACCOUNTS: Final = ("account", "owner", "legal_entity", "role", "valid_from", "valid_to")
NO_ACCOUNT: Final = ("(no registry given)", "", "", "client", "2000-01-01T00:00:00Z", "")
"""The one row of a made-up accounts.csv: an account that no event names."""


class Preview(msgspec.Struct, kw_only=True):
    """The records that a sample makes, and what had to be assumed."""

    records: dict[Topic, list[Record]]
    present: dict[Topic, Counter[str]]
    """How many records carry each contract field, before anything was assumed."""
    unassigned: int
    """Rows of which nothing says whether they are orders or trades."""
    assumed: list[str]


def preview(samples: Sequence[Sample], feed: FeedMap | None) -> Preview:
    """Return the contract records of samples, before anything is filled in.

    Raises
    ------
    UsageError
        A time cannot be read, or no row could be assigned to a topic.
    """
    records: dict[Topic, list[Record]] = {topic: [] for topic in Topic}
    unassigned = 0
    for sample in samples:
        mapped = feed or (FIX_MAP if sample.format == "fix" else FeedMap())
        fills: list[tuple[Row, Record]] = []
        for row in sample.rows:
            topic = topic_of(row, sample.path.stem, mapped)
            if topic is None:
                unassigned += 1
                continue
            record = contract_record(row, topic, mapped)
            if sample.format == "fix" and topic is Topic.TRADES:
                fills.append((row, record))
            else:
                records[topic].append(record)
        records[Topic.TRADES] += joined_trades(fills)
    if not any(records.values()):
        raise UsageError(
            f"none of {unassigned} rows is recognised as an order or a trade: give --map MAP with "
            "[orders.when] and [trades.when], or name the files orders* and trades*"
        )
    present = {
        topic: Counter(
            name for record in found for name, value in record.items() if value is not None
        )
        for topic, found in records.items()
    }
    return Preview(records=records, present=present, unassigned=unassigned, assumed=[])


def fill_in(found: Preview) -> None:
    """Give records the version, seq and trade ids that they lack, for the look."""
    every = [(topic, r) for topic, records in found.records.items() for r in records]
    for _, record in every:
        record.setdefault("v", VERSION)
    if any("seq" not in record for _, record in every):
        _number(every)
        found.assumed.append(
            "seq: numbered here by engine_ns; the feed must number in matching order, "
            "or a lost record is not noticed"
        )
    for n, record in enumerate(found.records[Topic.TRADES], start=1):
        if "trade_id" not in record:
            record["trade_id"] = f"row-{n}"
            if n == 1:
                found.assumed.append("trade_id: the row's number; busts cannot be followed")
    for record in found.records[Topic.ORDERS]:
        if record.get("action") == "new" and "leaves" not in record and "quantity" in record:
            record["leaves"] = record["quantity"]


def _number(every: Sequence[tuple[Topic, Record]]) -> None:
    counts: Counter[str] = Counter()
    for _, record in sorted(every, key=lambda item: (item[1].get("engine_ns", 0), item[0])):
        instrument = str(record.get("instrument"))
        counts[instrument] += 1
        record["seq"] = counts[instrument]


def write_preview_tape(folder: Path, found: Preview, tables: Mapping[str, Path]) -> None:
    """Write the records as a tape; tables that were not given are made up and said to be."""
    folder.mkdir(parents=True, exist_ok=True)
    for topic, records in found.records.items():
        if records:
            ordered = sorted(records, key=lambda r: (r.get("engine_ns", 0), r.get("seq", 0)))
            lines = (msgspec.json.encode(record) + b"\n" for record in ordered)
            (folder / f"{topic.name.lower()}.ndjson").write_bytes(b"".join(lines))
    for name, path in tables.items():
        (folder / f"{name}.csv").write_bytes(path.read_bytes())
    if "instruments" not in tables:
        _table(folder / "instruments.csv", INSTRUMENTS, _instruments(found))
        found.assumed.append(
            "instruments.csv: tick and lot are the greatest that divide the sample's prices and "
            "quantities; every instrument taken for spot with price_time matching"
        )
    if "accounts" not in tables:
        _table(folder / "accounts.csv", ACCOUNTS, (NO_ACCOUNT,))
        found.assumed.append(
            "accounts.csv: none given, so every account is unknown: tag_integrity tells of each as "
            "unregistered, and all else is at most weak"
        )


def accounts_of(found: Preview) -> Sequence[str]:
    """Return every account of the records, by name: the rows that accounts.csv needs."""
    names = {
        str(record[field])
        for records in found.records.values()
        for record in records
        for field in ("account", "buy_account", "sell_account")
        if record.get(field)
    }
    return sorted(names)


def _instruments(found: Preview) -> Iterable[Sequence[str]]:
    every = [record for records in found.records.values() for record in records]
    names = sorted({str(r["instrument"]) for r in every if r.get("instrument")})
    for name in names:
        mine = [r for r in every if r.get("instrument") == name]
        base, _, quote = name.replace("/", "-").partition("-")
        yield (
            name,
            base,
            quote or "unknown",
            "spot",
            _step(r.get(field) for r in mine for field in ("price", "stop_price")),
            _step(r.get(field) for r in mine for field in ("quantity", "leaves", "display")),
        )


def _step(texts: Iterable[Any]) -> str:
    """Return the greatest decimal step that divides all of the given texts.

    >>> _step(["10.25", "10.5", None, "x"])
    '0.25'
    """
    values = [v for v in map(_decimal, texts) if v]
    if not values:
        return "1"
    digits = max(max(0, -int(v.as_tuple().exponent)) for v in values)
    step = math.gcd(*(int(v.scaleb(digits)) for v in values))
    return format(Decimal(step or 1).scaleb(-digits).normalize(), "f")


def _decimal(text: Any) -> Decimal | None:
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
