"""How large clients' orders usually are: a rolling, compiled histogram, and what is large."""

from __future__ import annotations

from typing import Final

from detectors.quarter_octaves import BINS_AN_OCTAVE, halve_when_full, quarter_of, upper_edge
from ingest.compiled import kernel
from ingest.events import Array

BINS: Final = 63 * BINS_AN_OCTAVE
TOTAL, SINCE, LARGE = range(BINS, BINS + 3)
SIZE_FIELDS: Final = BINS + 3
LARGE_RATIO: Final = 4
"""Times the median from which an order is large: venues' checks ask for size, and few are so."""
ENOUGH: Final = 50
"""Orders before any is large."""
REFRESH: Final = 32
"""Orders between two readings of the median."""


@kernel()
def learn_size(sizes: Array, lots: int) -> None:
    """Take an order's size into the rolling distribution."""
    sizes[quarter_of(float(lots), BINS)] += 1
    sizes[TOTAL] += 1
    sizes[SINCE] += 1
    if sizes[TOTAL] < ENOUGH or (sizes[SINCE] < REFRESH and sizes[LARGE] > 0):
        return
    sizes[SINCE] = 0
    halve_when_full(sizes, BINS)
    seen, b = sizes[0], 0
    while 2 * seen < sizes[TOTAL]:
        b += 1
        seen += sizes[b]
    sizes[LARGE] = int(LARGE_RATIO * upper_edge(b))


@kernel()
def is_large(sizes: Array, lots: int) -> bool:
    """Return whether an order is large beside clients' usual ones."""
    return bool(sizes[LARGE] > 0 and lots >= sizes[LARGE])
