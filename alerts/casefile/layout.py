"""Layout of a case file: names and shapes of what is in the bag. See docs/case-file.md."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from alerts.casefile.legal import AssetClass
from alerts.segments import SourceEvent
from ingest.errors import RingfenceError
from ingest.times import SECOND

CASE_FORMAT: Final = 1
ALERT: Final = "alert.json"
CASE: Final = "case.json"
EVENTS: Final = "events.ndjson"
REGISTRY: Final = "registry.csv"
PARAMETERS: Final = "parameters.json"
VERSIONS: Final = "versions.json"
REPORT: Final = "report.html"
PAYLOAD: Final = (ALERT, CASE, EVENTS, PARAMETERS, REGISTRY, REPORT, VERSIONS)
TAG_FILES: Final = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt")
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
REGISTRY_COLUMNS: Final = (
    "registry_version",
    "account",
    "owner",
    "legal_entity",
    "role",
    "valid_from",
    "valid_to",
    "group",
    "desk",
    "lei",
    "linked_to",
    "line",
)


class CaseFileError(RingfenceError):
    """A case file that cannot be written; says what is missing."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of the alert beside its record."""

    case_format: int
    alert_id: str
    revision: int
    platform: str
    legal_entity: str
    conflicts_officer: str
    """Responsible Officer or Manager-in-Charge, 26EC6 7(c); empty when none is configured."""
    detector: str
    detector_version: int
    title: str
    looks_for: str
    asset_class: AssetClass
    legal_basis: tuple[str, ...]
    exceptions_considered: tuple[str, ...]
    blind_spots: tuple[str, ...]
    events: int
    files: tuple[str, ...] = PAYLOAD


class CaseEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of events.ndjson: a source record as it came, and where it stood."""

    instrument: str
    seq: int
    feed: str
    """orders or trades."""
    partition: int
    offset: int
    engine_ns: int
    raw: str | None = None
    """The record's text; absent when it is not UTF-8."""
    raw_base64: str | None = None

    @property
    def content(self) -> bytes:
        """The record's bytes."""
        if self.raw is not None:
            return self.raw.encode()
        return base64.b64decode(self.raw_base64 or "", validate=True)


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that the alert was found with; null when the store never had them."""

    detector: str
    params_hash: str
    params: dict[str, Any] | None


def case_event(event: SourceEvent) -> CaseEvent:
    """Return a source event as it stands in events.ndjson."""
    try:
        raw, encoded = event.raw.decode(), None
    except UnicodeDecodeError:
        raw, encoded = None, base64.b64encode(event.raw).decode()
    return CaseEvent(
        instrument=event.instrument,
        seq=event.seq,
        feed=event.topic.name.lower(),
        partition=event.partition,
        offset=event.offset,
        engine_ns=event.engine_ns,
        raw=raw,
        raw_base64=encoded,
    )


def manifest(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a manifest of (path, content): SHA-256, two spaces, path; sorted by path."""
    digests = sorted((path, hashlib.sha256(content).hexdigest()) for path, content in files)
    return "".join(f"{digest}  {path}\n" for path, digest in digests).encode()


def write_tag_manifest(folder: Path) -> None:
    """Write the tag manifest in its one form; the BagIt library leaves the order to the disk."""
    files = [(name, (folder / name).read_bytes()) for name in TAG_FILES]
    (folder / TAG_MANIFEST).write_bytes(manifest(files))


def utc(at_ns: int) -> str:
    """Return a time as ISO-8601 with nanoseconds, UTC.

    >>> utc(1_700_000_000_000_000_001)
    '2023-11-14T22:13:20.000000001Z'
    """
    second, rest = divmod(at_ns, SECOND)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
