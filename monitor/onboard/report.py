"""What a venue is told about its sample: fields, detectors, first alerts."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from alerts.output import read_alerts
from alerts.record import Alert
from detectors.catalogue import DETECTORS
from ingest.errors import UsageError
from ingest.events import Topic
from ingest.records import WIRE_FIELDS
from monitor.config import Config
from monitor.onboard.mapping import FeedMap
from monitor.onboard.preview import Preview, accounts_of, fill_in, preview, write_preview_tape
from monitor.onboard.samples import Sample, read_sample, table_of
from monitor.replay import replay
from monitor.summary import Summary

Sight = Literal["sees", "narrowed", "blind"]
REGISTRY_FIELDS: Final = ("owner", "legal_entity", "role", "linked_to", "group", "desk", "lei")


class FieldReport(msgspec.Struct, frozen=True, kw_only=True):
    """One contract field in the sample."""

    topic: str
    field: str
    required: bool
    present_ratio: float
    """Share of the topic's records that carry it, 0 to 1."""


class DetectorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one detector can do with the sample."""

    detector: str
    sight: Sight
    missing: tuple[str, ...]
    """Fields that it needs and the sample never has: with any of them it is blind."""
    narrowed_by: tuple[str, ...]
    """Fields that would let it see more."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer to `ringfence onboard`."""

    rows: int
    unreadable: int
    unassigned: int
    orders: int
    trades: int
    fields: tuple[FieldReport, ...]
    detectors: tuple[DetectorReport, ...]
    assumed: tuple[str, ...]
    notes: tuple[str, ...]
    accounts: int
    summary: Summary | None
    """None when nothing could be replayed."""
    alerts: tuple[Alert, ...]


def onboard(
    files: Sequence[Path], feed: FeedMap | None, config: Config, *, keep: Path | None = None
) -> Report:
    """Return what a sample lacks, what that blinds, and the alerts of a first look.

    Parameters
    ----------
    files : paths
        Samples of events, and tables (`accounts*.csv`, `instruments*.csv`, ...) as they are.
    keep : Path, optional
        Where to leave the preview tape and its alerts; a temporary folder otherwise.

    Raises
    ------
    UsageError
        A file cannot be read, or nothing in it is recognised.
    """
    tables = {table_of(path): path for path in files if table_of(path)}
    for path in tables.values():
        if not path.is_file():
            raise UsageError(f"table {path} is not a file")
    samples = [read_sample(path) for path in files if not table_of(path)]
    if not samples:
        raise UsageError("give at least one sample of events (CSV, NDJSON or a FIX drop copy)")
    found = preview(samples, feed)
    fields = _fields(found)
    registry = _registry_fields(tables)
    detectors = _detectors(found, registry)
    fill_in(found)
    summary: Summary | None = None
    alerts: list[Alert] = []
    if any(record.get("instrument") for records in found.records.values() for record in records):
        with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
            folder = keep or Path(scratch)
            write_preview_tape(folder / "tape", found, tables)
            summary = replay(folder / "tape", folder / "out", config)
            alerts = read_alerts(folder / "out" / "alerts.ndjson")
    else:
        found.assumed.append("nothing was replayed: no record has an instrument; map that field")
    return Report(
        rows=sum(len(s.rows) for s in samples),
        unreadable=sum(s.unreadable for s in samples),
        unassigned=found.unassigned,
        orders=len(found.records[Topic.ORDERS]),
        trades=len(found.records[Topic.TRADES]),
        fields=fields,
        detectors=detectors,
        assumed=tuple(found.assumed),
        notes=(*_notes(samples), *_unmapped(samples, feed)),
        accounts=len(accounts_of(found)),
        summary=summary,
        alerts=tuple(alerts),
    )


def _fields(found: Preview) -> tuple[FieldReport, ...]:
    reports = []
    for topic, fields in WIRE_FIELDS.items():
        records = len(found.records[topic])
        for name, field in fields.items():
            ratio = found.present[topic][name] / records if records else 0.0
            reports.append(
                FieldReport(
                    topic=topic.name.lower(),
                    field=name,
                    required=bool(field.required_for),
                    present_ratio=round(ratio, 4),
                )
            )
    return tuple(reports)


def _detectors(found: Preview, registry: frozenset[str]) -> tuple[DetectorReport, ...]:
    seen = {name for counts in found.present.values() for name in counts} | registry
    reports = []
    for name, detector in DETECTORS.items():
        missing = tuple(field for field in detector.spec.needs if field not in seen)
        narrowed = tuple(field for field in detector.spec.wants if field not in seen)
        sight: Sight = "blind" if missing else "narrowed" if narrowed else "sees"
        reports.append(
            DetectorReport(detector=name, sight=sight, missing=missing, narrowed_by=narrowed)
        )
    return tuple(reports)


def _registry_fields(tables: Mapping[str, Path]) -> frozenset[str]:
    """Return which registry columns are there and filled at least once."""
    path = tables.get("accounts")
    if path is None:
        return frozenset()
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return frozenset(name for name in REGISTRY_FIELDS if any(row.get(name) for row in rows))


def _notes(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(
        f"{sample.path.name}: {', '.join(sorted(sample.numbers))} came as JSON numbers; the "
        "contract wants decimals as strings, since a float cannot carry every price"
        for sample in samples
        if sample.numbers
    )


def _unmapped(samples: Sequence[Sample], feed: FeedMap | None) -> tuple[str, ...]:
    """Return a note for each column that a mapping names and no row has."""
    seen = {column for sample in samples for row in sample.rows for column in row}
    notes = []
    for topic in Topic if feed else ():
        for field, rule in feed.topic(topic).fields.items() if feed else ():
            column = rule if isinstance(rule, str) else rule.source
            if column and column not in seen:
                notes.append(
                    f"map: {topic.name.lower()}.{field} takes the column {column!r}, "
                    "which no row has"
                )
    return tuple(notes)
