"""Pins: what is kept with an alert so that it can be checked years later."""

from __future__ import annotations

import msgspec

from alerts.parts import Part
from alerts.segments import SourceEvent
from ingest.registry import RegistryRow


class PinnedEvent(msgspec.Struct, frozen=True):
    """A source event that a part cites, and when it did, ns."""

    part_id: str
    event: SourceEvent
    cited_ns: int


class PinnedRow(msgspec.Struct, frozen=True):
    """A registry row of an account in a part, of the version in force when it was met."""

    part_id: str
    version: str
    row: RegistryRow


class Pins(msgspec.Struct):
    """What one step adds to the store beside its alerts."""

    events: list[PinnedEvent] = []
    rows: list[PinnedRow] = []
    parts: dict[str, tuple[str, Part]] = {}
    """By part id: the id of the alert it belongs to, and the part."""
