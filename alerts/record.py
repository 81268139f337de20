"""The alert record: the one shape that the file, the topic and the interface carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from detectors.base import (
    CoverageWord,
    Evidence,
    EvidenceClass,
    Feature,
    NotifyClock,
    Status,
)

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: Final[Sequence[Severity]] = ("low", "medium", "high", "critical")


class Source(msgspec.Struct, frozen=True, order=True):
    """Where evidence stood in a feed; on a tape, topic is the file and partition 0."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One real-world episode. Times are integer UTC nanoseconds since 1970."""

    alert_id: str
    revision: int
    detector: str
    detector_version: int
    scenario: str
    facets: tuple[str, ...]
    evidence_class: EvidenceClass
    evidence: Evidence
    severity: Severity
    score: float
    instrument: str
    accounts: tuple[str, ...]
    owners: tuple[str, ...]
    """Beneficial owner of each account, in the order of `accounts`; empty where unknown."""
    roles: tuple[str, ...]
    """Role of each account, in the order of `accounts`."""
    window_start_ns: int
    window_end_ns: int
    detected_ns: int
    client_harm: float | None
    currency: str
    counterfactual: str
    notify_clock: NotifyClock
    order_ids: tuple[str, ...]
    trade_ids: tuple[str, ...]
    features: dict[str, Feature]
    params_hash: str
    registry_version: str
    coverage: CoverageWord
    status: Status
    source: tuple[Source, ...]


def encode(alert: Alert) -> bytes:
    """Return an alert as one line of JSON, keys in the record's order."""
    return msgspec.json.encode(alert)


def decode(line: bytes | str) -> Alert:
    """Return the alert of one line; raises msgspec.ValidationError when it is not one."""
    return msgspec.json.decode(line, type=Alert)
