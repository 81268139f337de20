"""How windows are counted in quote_fading: a client's with its placebos, a matched set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.fading_state import (
    COMPLEX,
    DOUBTFUL,
    GROUP_SLOTS,
    HIT_LEVEL,
    LEAST_PLACEBOS,
    LEVEL,
    LEVELS,
    PEERS,
    PLACEBO_WITHDRAWN,
    PLACEBOS,
    SLOTS,
    WINDOWS,
    WITHDRAWN,
)
from ingest.compiled import kernel
from ingest.events import Array

NET, OTHER, MADE, MADE_WITHDRAWN = range(4)
"""Rows of what is counted of one client order, a number each slot and the complex."""
_ALL: Final = SLOTS
"""Place of the complex beside the slots in what is counted of one window."""


@kernel()
def tally(  # noqa: PLR0917
    tallies: Array, numbers: Array, direction: int, here: int, counts: Array, fresh: int, doubt: int
) -> int:
    """Count a window with its placebos for each unit; return the group's that withdrew: a bit each.

    `here` says who was at the touch, `fresh` who withdrew what had not been counted (the window of
    who did not is left out). `counts` has what each withdrew there, how many placebos each has,
    and those in which it withdrew.
    """
    units: Any = np.int64(0)
    for slot in range(SLOTS + 1):
        made = counts[MADE, slot]
        if not here >> 2 * slot & 1 or made < numbers[LEAST_PLACEBOS]:
            continue
        unit = COMPLEX if slot == _ALL else (slot + 1 if slot < GROUP_SLOTS else PEERS)
        sums = tallies[unit, 0 if direction > 0 else 1]
        real = 1 if counts[NET, slot] > 0 else 0
        if real and unit != PEERS:
            units |= np.int64(1) << unit
        if real and not fresh >> 2 * slot & 1:
            continue
        sums[WINDOWS] += 1
        sums[WITHDRAWN] += real
        sums[PLACEBOS] += made
        sums[PLACEBO_WITHDRAWN] += counts[MADE_WITHDRAWN, slot]
        sums[DOUBTFUL] += doubt
        both = counts[MADE_WITHDRAWN, slot] + real
        if both:
            # Rounded up: a chance is never told smaller than it is.
            level = (LEVELS * both + made) // (made + 1) - 1
            sums[LEVEL + level] += 1
            sums[HIT_LEVEL + level] += real
    return int(units)
