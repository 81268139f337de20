"""Rows of the store: alerts and what is pinned with them, as the tables have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row

from alerts.compose import MERGED_INTO
from alerts.coverage import CoverageRecord
from alerts.database import insert_for
from alerts.pins import Pins
from alerts.record import Alert, encode
from alerts.schema import ALERTS, COVERAGE, EVIDENCE, PARTS, REGISTRY_ROWS
from alerts.segments import SourceEvent
from ingest.events import Topic

COPIED: Final = (
    "alert_id",
    "revision",
    "detected_ns",
    "detector",
    "scenario",
    "evidence_class",
    "severity",
    "status",
    "coverage",
    "instrument",
)
"""Fields of the record that are columns too."""


def save_alerts(connection: Connection, alerts: Sequence[Alert]) -> None:
    """Write alerts; one whose revision is not higher than what is there changes nothing."""
    if not alerts:
        return
    statement = insert_for(connection)(ALERTS)
    values = {c: statement.excluded[c] for c in (*COPIED, "merged_into", "record")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["alert_id"],
            set_=values,
            where=statement.excluded.revision > ALERTS.c.revision,
        ),
        [alert_row(alert) for alert in alerts],
    )


def save_coverage(connection: Connection, records: Sequence[CoverageRecord]) -> None:
    """Write gaps; one that is there already gets its end, unless it has one."""
    if not records:
        return
    statement = insert_for(connection)(COVERAGE)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["instrument", "first_missing_seq"],
            set_={"closed_ns": statement.excluded.closed_ns},
            where=COVERAGE.c.closed_ns.is_(None),
        ),
        [msgspec.structs.asdict(record) for record in records],
    )


def save_pins(connection: Connection, pins: Pins) -> None:
    """Write what is pinned; rows that are there already stay as they are."""
    insert = insert_for(connection)
    if pins.parts:
        statement = insert(PARTS)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["part_id"],
                set_={c: statement.excluded[c] for c in ("alert_id", "ordinal", "state")},
                where=statement.excluded.ordinal >= PARTS.c.ordinal,
            ),
            [
                {
                    "part_id": part_id,
                    "alert_id": alert_id,
                    "ordinal": part.ordinal,
                    "state": msgspec.msgpack.encode(
                        msgspec.structs.replace(
                            part, orders={}, traded={}, trades={}, cited={}, ranges={}, events=0
                        )
                    ),
                }
                for part_id, (alert_id, part) in pins.parts.items()
            ],
        )
    if pins.events:
        connection.execute(
            insert(EVIDENCE).on_conflict_do_nothing(),
            [
                {
                    "part_id": pin.part_id,
                    "instrument": pin.event.instrument,
                    "seq": pin.event.seq,
                    "cited_ns": pin.cited_ns,
                    "engine_ns": pin.event.engine_ns,
                    "topic": int(pin.event.topic),
                    "topic_partition": pin.event.partition,
                    "topic_offset": pin.event.offset,
                    "raw": pin.event.raw,
                }
                for pin in pins.events
            ],
        )
    if pins.rows:
        connection.execute(
            insert(REGISTRY_ROWS).on_conflict_do_nothing(),
            [
                {
                    "part_id": pin.part_id,
                    "version": pin.version,
                    "account": pin.row.account,
                    "valid_from_ns": pin.row.valid_from_ns,
                    "record": msgspec.json.encode(pin.row).decode(),
                }
                for pin in pins.rows
            ],
        )


def alert_row(alert: Alert) -> dict[str, object]:
    """Return an alert as a row of `alerts`."""
    merged = alert.features.get(MERGED_INTO)
    return {
        **{name: getattr(alert, name) for name in COPIED},
        "merged_into": None if merged is None else str(merged.value),
        "record": encode(alert).decode(),
    }


def source_event(row: Row[Any]) -> SourceEvent:
    """Return the source event in a row of `evidence`."""
    return SourceEvent(
        instrument=row.instrument,
        seq=row.seq,
        engine_ns=row.engine_ns,
        topic=Topic(row.topic),
        partition=row.topic_partition,
        offset=row.topic_offset,
        raw=bytes(row.raw),
    )
