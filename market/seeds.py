"""Seeds, by what they may be used for: three ranges that share none.

A figure that is reported comes of seeds that no test and no choice of a parameter has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ingest.errors import UsageError

TEST: Final = range(101, 200)
"""Tests of the repository."""
SETTING: Final = range(201, 900)
"""Choice of a detector's parameters, as often as one likes."""
REPORTING: Final = range(901, 1000)
"""Figures that are reported; looked at once a version."""
RANGES: Final[Mapping[str, range]] = {"test": TEST, "setting": SETTING, "reporting": REPORTING}


def first_seeds(name: str, count: int) -> tuple[int, ...]:
    """Return the first so many seeds of a range.

    >>> first_seeds("reporting", 3)
    (901, 902, 903)

    Raises
    ------
    UsageError
        There is no such range, or it has fewer.
    """
    if name not in RANGES:
        raise UsageError(f"--seeds must be one of {', '.join(RANGES)}, was {name}")
    seeds = RANGES[name]
    if not 1 <= count <= len(seeds):
        raise UsageError(f"--count must be 1 to {len(seeds)} for {name} seeds, was {count}")
    return tuple(seeds[:count])
