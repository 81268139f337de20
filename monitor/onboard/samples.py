"""Samples as venues have them: CSV, NDJSON or a FIX drop copy, into rows of plain strings."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import simplefix

from ingest.errors import UsageError

Format = Literal["csv", "ndjson", "fix"]
Row = dict[str, Any]
"""Column (or FIX tag) to text; None for null. A repeated FIX tag keeps its first value, further
ones stand as TAG#2, TAG#3."""

SOH: Final = "\x01"
TABLES: Final = ("accounts", "instruments", "obligations", "disclosures")
"""Files of a tape that are tables, not events; recognised by the beginning of their name."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One file of events."""

    path: Path
    format: Format
    rows: Sequence[Row]
    unreadable: int
    """Lines that are no record of that format."""
    numbers: frozenset[str] = frozenset()
    """Columns that came as JSON numbers with a fraction, where the contract wants strings."""


def read_sample(path: Path) -> Sample:
    """Return the rows of a file; its first line tells the format.

    Raises
    ------
    UsageError
        The file cannot be read, is empty, or has no row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"sample {path} cannot be read: {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"sample {path} is empty")
    first = lines[0].lstrip()
    if first.startswith("{"):
        sample = _ndjson(path, lines)
    elif "8=FIX" in first:
        sample = _fix(path, lines)
    else:
        sample = _csv(path, lines)
    if not sample.rows:
        raise UsageError(f"sample {path} has no row that can be read as {sample.format}")
    return sample


def table_of(path: Path) -> str:
    """Return which table a file is by its name; empty for events.

    >>> table_of(Path("in/accounts_2026.csv")), table_of(Path("fills.csv"))
    ('accounts', '')
    """
    return next((t for t in TABLES if path.stem.startswith(t) and path.suffix == ".csv"), "")


def _csv(path: Path, lines: Sequence[str]) -> Sample:
    dialect: type[csv.Dialect] = csv.excel
    with contextlib.suppress(csv.Error):  # one column, or one row: a comma it is
        dialect = csv.Sniffer().sniff("\n".join(lines[:20]), delimiters=",;\t|")
    reader = csv.DictReader(lines, dialect=dialect)
    rows = [{k: (v or None) for k, v in row.items() if k} for row in reader]
    return Sample(path=path, format="csv", rows=rows, unreadable=0)


def _ndjson(path: Path, lines: Sequence[str]) -> Sample:
    rows: list[Row] = []
    numbers: set[str] = set()
    for line in lines:
        try:
            found = json.loads(line, parse_float=_Number)
        except ValueError:
            continue
        if isinstance(found, dict):
            numbers |= {key for key, value in found.items() if isinstance(value, _Number)}
            rows.append({k: _text(v) for k, v in found.items()})
    return Sample(
        path=path,
        format="ndjson",
        rows=rows,
        unreadable=len(lines) - len(rows),
        numbers=frozenset(numbers),
    )


class _Number(str):
    """The digits of a JSON number as they stood, so that no float comes between."""

    __slots__ = ()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return json.dumps(value)


def _fix(path: Path, lines: Sequence[str]) -> Sample:
    rows: list[Row] = []
    for line in lines:
        message = line[line.index("8=FIX") :] if "8=FIX" in line else ""
        separator = SOH if SOH in message else "|"
        parser = simplefix.FixParser()
        parser.append_buffer(message.replace(separator, SOH).rstrip(SOH).encode() + SOH.encode())
        found = parser.get_message()
        if found is None:
            continue
        row: Row = {}
        for tag, value in found.pairs:
            name = tag.decode()
            n = 2
            while name in row:
                name, n = f"{tag.decode()}#{n}", n + 1
            row[name] = value.decode(errors="replace")
        rows.append(row)
    return Sample(path=path, format="fix", rows=rows, unreadable=len(lines) - len(rows))
