"""A labelled tape read back record by record, by whoever wants to know what is on it."""

from __future__ import annotations

import csv
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

Record = dict[str, Any]


class Reader(Protocol):
    """Takes the records of a tape, each instrument's in seq order."""

    def order(self, record: Record) -> None:
        """Take in a record of orders.ndjson."""

    def trade(self, record: Record) -> None:
        """Take in a record of trades.ndjson."""


def read(tape: Path, *readers: Reader) -> int:
    """Have readers take in a tape; return how many records it has. State: one record a file."""
    count = 0
    for record in records(tape):
        count += 1
        if "trade_id" in record:
            for reader in readers:
                reader.trade(record)
        else:
            for reader in readers:
                reader.order(record)
    return count


def records(tape: Path) -> Iterator[Record]:
    """Yield all records, each instrument's in seq order, and all of them nearly in order of time.

    The files have to be in seq order by instrument. State: trades that are not due.
    """
    decode = msgspec.json.Decoder().decode
    with (tape / "orders.ndjson").open("rb") as orders, (tape / "trades.ndjson").open("rb") as rest:
        trades = map(decode, rest)
        waiting: dict[str, deque[Record]] = defaultdict(deque)
        last: dict[str, int] = defaultdict(int)

        def due(name: str) -> Iterator[Record]:
            queue = waiting[name]
            while queue and queue[0]["seq"] == last[name] + 1:
                last[name] += 1
                yield queue.popleft()

        ahead = next(trades, None)
        for line in orders:
            record = decode(line)
            name, now_ns, before = record["instrument"], record["engine_ns"], record["seq"] - 1
            while ahead is not None and (ahead["engine_ns"] <= now_ns or last[name] < before):
                waiting[ahead["instrument"]].append(ahead)
                yield from due(ahead["instrument"])
                ahead = next(trades, None)
            last[name] = record["seq"]
            yield record
            yield from due(name)
        for queue in waiting.values():
            yield from queue
        if ahead is not None:
            yield ahead
        yield from trades


def table(tape: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of one of a tape's tables, by its name without the ending."""
    with (tape / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
