"""How large clients' orders usually are: a rolling, compiled histogram, and what is large."""

from __future__ import annotations

import math
from typing import Final

from ingest.compiled import njit
from ingest.events import Array

BINS_AN_OCTAVE: Final = 4
BINS: Final = 63 * BINS_AN_OCTAVE
TOTAL, SINCE, LARGE = range(BINS, BINS + 3)
SIZE_FIELDS: Final = BINS + 3
LARGE_RATIO: Final = 4
"""Times the median from which an order is large: venues' checks ask for size, and few are so."""
ENOUGH: Final = 50
"""Orders before any is large."""
REFRESH: Final = 32
"""Orders between two readings of the median."""
ROLLING: Final = 65_536
"""Orders after which all counts are halved: what is usual is of the latest."""


@njit(cache=True)
def size_bin(lots: int) -> int:
    """Return the bin of a size: quarters of each doubling from one lot.

    >>> size_bin(1), size_bin(2), size_bin(3), size_bin(1000)
    (0, 4, 6, 39)
    """
    fraction, exponent = math.frexp(float(max(lots, 1)))
    return min(BINS - 1, BINS_AN_OCTAVE * (exponent - 1) + int((fraction - 0.5) * 8.0))


@njit(cache=True)
def learn_size(sizes: Array, lots: int) -> None:
    """Take an order's size into the rolling distribution."""
    sizes[size_bin(lots)] += 1
    sizes[TOTAL] += 1
    sizes[SINCE] += 1
    if sizes[TOTAL] < ENOUGH or (sizes[SINCE] < REFRESH and sizes[LARGE] > 0):
        return
    sizes[SINCE] = 0
    if sizes[TOTAL] >= ROLLING:
        sizes[TOTAL] = 0
        for b in range(BINS):
            sizes[b] //= 2
            sizes[TOTAL] += sizes[b]
    seen, b = sizes[0], 0
    while 2 * seen < sizes[TOTAL]:
        b += 1
        seen += sizes[b]
    octave, quarter = divmod(b, BINS_AN_OCTAVE)
    sizes[LARGE] = int(LARGE_RATIO * 2.0**octave * (1.0 + (quarter + 1) / BINS_AN_OCTAVE))


@njit(cache=True)
def is_large(sizes: Array, lots: int) -> bool:
    """Return whether an order is large beside clients' usual ones."""
    return bool(sizes[LARGE] > 0 and lots >= sizes[LARGE])
