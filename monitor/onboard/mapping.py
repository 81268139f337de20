"""Mapping files: from a venue's columns to the fields of the wire contract.

A mapping is TOML: for `orders` and `trades`, which rows they are (`when`) and where each contract
field comes from. A field is a column's name, or a table with `from`, `unit` (of a time: s, ms, us,
ns, iso, fix), `values` (the venue's word to the contract's) or `value` (a constant). A column that
is already called as the contract calls it needs no entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ingest.errors import ConfigurationError, UsageError
from ingest.events import Topic
from ingest.records import WIRE_FIELDS
from monitor.config import convert
from monitor.onboard.samples import Row

Unit = Literal["s", "ms", "us", "ns", "iso", "fix"]
SCALE: Final[Mapping[str, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class Rule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}
):
    """Where one contract field comes from."""

    source: str = ""
    unit: Unit | None = None
    values: dict[str, str] = {}
    value: str | int | None = None


class TopicMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One topic's rows and fields."""

    when: dict[str, list[str]] = {}
    """Column to the values that mark a row of this topic; all must hold."""
    fields: dict[str, str | Rule] = {}


class FeedMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole mapping file."""

    orders: TopicMap = TopicMap()
    trades: TopicMap = TopicMap()

    def topic(self, topic: Topic) -> TopicMap:
        """Return the map of a topic."""
        return self.orders if topic is Topic.ORDERS else self.trades


def read_map(path: Path) -> FeedMap:
    """Return the mapping in a TOML file.

    Raises
    ------
    ConfigurationError
        It cannot be read, or names a contract field that does not exist.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"mapping file {path} cannot be read: {error}") from error
    found = convert(table, FeedMap, str(path), "map")
    for topic in Topic:
        for field in found.topic(topic).fields:
            if field not in WIRE_FIELDS[topic]:
                known = ", ".join(WIRE_FIELDS[topic])
                raise ConfigurationError(
                    f"{path}: {topic.name.lower()} have no field {field!r}; they have {known}"
                )
    return found


def topic_of(row: Row, file: str, feed: FeedMap) -> Topic | None:
    """Return which topic a row belongs to, or None when nothing says so."""
    for topic in Topic:
        when = feed.topic(topic).when
        if when and all(str(row.get(column)) in values for column, values in when.items()):
            return topic
    if feed.orders.when and feed.trades.when:
        return None
    if file.startswith("trade") or ("trade_id" in row and "action" not in row):
        return Topic.TRADES
    return Topic.ORDERS if file.startswith("order") or "action" in row else None


def contract_record(row: Row, topic: Topic, feed: FeedMap) -> dict[str, Any]:
    """Return a row as a wire record: the contract fields that it has, in the contract's forms.

    Raises
    ------
    UsageError
        A time cannot be read in its unit; the field is named.
    """
    rules = feed.topic(topic).fields
    record: dict[str, Any] = {}
    for name, field in WIRE_FIELDS[topic].items():
        rule = rules.get(name, name)
        rule = Rule(source=rule) if isinstance(rule, str) else rule
        found = rule.value if rule.value is not None else row.get(rule.source or name)
        if found is None or found == "":
            continue
        text = rule.values.get(str(found), str(found))
        record[name] = _integer(text, rule.unit, name) if field.form == "integer" else text
    return record


def _integer(text: str, unit: Unit | None, field: str) -> int:
    try:
        if unit == "iso" or (unit is None and "T" in text):
            return _iso(text)
        if unit == "fix":
            day, _, clock = text.partition("-")
            return _iso(f"{day[:4]}-{day[4:6]}-{day[6:8]}T{clock}")
        return int(Decimal(text) * SCALE[unit or "ns"])
    except (ValueError, InvalidOperation) as error:
        raise UsageError(
            f"{field} must be a number{f' or a time in {unit}' if unit else ''}, was {text!r}"
        ) from error


def _iso(text: str) -> int:
    """Return ISO-8601 UTC with up to nine decimals as ns; datetime alone would drop three."""
    body, _, fraction = text.removesuffix("Z").partition(".")
    digits, _, zone = fraction.partition("+")
    at = datetime.fromisoformat(body + (f"+{zone}" if zone else ""))
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp()) * 10**9 + int((digits or "0").ljust(9, "0")[:9])
