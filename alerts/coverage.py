"""Coverage: where an instrument's records are missing."""

from __future__ import annotations

import msgspec


class CoverageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where an instrument's records are missing, and while when its book was in doubt."""

    instrument: str
    first_missing_seq: int
    next_seq: int
    """First seq that came after the gap."""
    opened_ns: int
    closed_ns: int | None = None
    """When the book was whole again, event time; None = still in doubt."""
    reason: str = "gap"
