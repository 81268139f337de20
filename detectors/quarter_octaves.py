"""Rolling, compiled histograms whose bins are quarters of each doubling from one unit.

A histogram is an int64 array that begins with `bins` counts and, behind them, their total; what its
owner keeps behind that is the owner's. It says what is usual of the latest: its counts are halved
once they are many.
"""

from __future__ import annotations

import math
from typing import Final

from ingest.compiled import kernel
from ingest.events import Array

BINS_AN_OCTAVE: Final = 4
ROLLING: Final = 65_536
"""Values after which all counts are halved: what is usual is of the latest."""


@kernel()
def quarter_of(value: float, bins: int) -> int:
    """Return the bin of a value in units; the first is for all below one, the last for all above.

    >>> [quarter_of(value, 252) for value in (0.5, 1.0, 2.0, 3.0, 1_000.0)]
    [0, 0, 4, 6, 39]
    """
    if value < 1.0:
        return 0
    fraction, exponent = math.frexp(value)
    return min(bins - 1, BINS_AN_OCTAVE * (exponent - 1) + int((fraction - 0.5) * 8.0))


@kernel()
def upper_edge(bin_: int) -> float:
    """Return where a bin ends, in units.

    >>> upper_edge(0), upper_edge(6)
    (1.25, 3.5)
    """
    octave, quarter = divmod(bin_, BINS_AN_OCTAVE)
    return float(2.0**octave * (1.0 + (quarter + 1) / BINS_AN_OCTAVE))


@kernel()
def halve_when_full(histogram: Array, bins: int) -> None:
    """Halve all counts once they are `ROLLING`; the total is then of what is left."""
    if histogram[bins] < ROLLING:
        return
    histogram[bins] = 0
    for b in range(bins):
        histogram[b] //= 2
        histogram[bins] += histogram[b]
