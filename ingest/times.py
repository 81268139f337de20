"""Spans of time in nanoseconds, the unit of every clock in a record."""

from __future__ import annotations

from typing import Final

MICRO: Final = 1_000
MILLI: Final = 1_000 * MICRO
SECOND: Final = 1_000 * MILLI
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
DAY_S: Final = DAY // SECOND
"""A day in seconds, the unit of parameters."""
