"""How long quotes were what they were: a window's time, interval by interval, compiled."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.presence_state import (
    ABSENT,
    CLOSED,
    I_HIGH,
    I_LAST_NS,
    I_LAST_SEQ,
    I_LOW,
    I_MINUTE,
    I_NEXT,
    I_PHASE,
    I_RANGES,
    K_FIRST,
    K_FROM,
    K_KINDS,
    K_LAST,
    K_TO,
    KEPT,
    N_NOW,
    N_RATIO,
    N_SPREAD,
    PRESENT,
    RANGES,
    S_ABSENT,
    S_AT_SEQ,
    S_BROKEN,
    S_CALM_OPEN,
    S_CAP,
    S_CLOSED,
    S_EVEN,
    S_EXCUSED,
    S_FORCED,
    S_IN_FORCE,
    S_LAST_NS,
    S_LEAST,
    S_LENGTH,
    S_LONGEST,
    S_MINUTE_OPEN,
    S_MINUTE_PRESENT,
    S_MISS_KINDS,
    S_MISS_NS,
    S_MISS_SEQ,
    S_MISSES,
    S_NOW,
    S_OPEN,
    S_PRESENT,
    S_SEGMENT,
    S_SEQ,
    S_STRESS_OPEN,
    S_TWO_SIDED,
    S_UNEVEN,
    S_UNKNOWN,
    S_UNTIL,
    THIN,
    UNKNOWN,
    WIDE,
)
from ingest.compiled import kernel, njit
from ingest.events import Array, Phase
from ingest.times import MINUTE

_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_FOREVER: Final = 2**63 - 1
ENOUGH: Final = 20
"""Minutes before anything is high: their median then rests on ten on each side."""


@kernel()
def breaks_at(slots: Array, s: int, numbers: Array, own: Array, x: int) -> int:
    """Return when a window can no longer be met if nothing happens before it; never: far away.

    What is still to come of it can only make what is allowed less: a halt, or time excused.
    """
    is_missed = ABSENT <= slots[s, S_NOW] <= WIDE and own[x, I_PHASE] == _CONTINUOUS
    if slots[s, S_BROKEN] != 0 or slots[s, S_IN_FORCE] == 0 or not is_missed:
        return _FOREVER
    excused = max(0, slots[s, S_CAP] - slots[s, S_EXCUSED]) if slots[s, S_FORCED] != 0 else 0
    missed = slots[s, S_OPEN] - slots[s, S_PRESENT]
    owed = slots[s, S_LENGTH] - slots[s, S_CLOSED] - slots[s, S_EXCUSED] - excused
    # A nanosecond beyond what is allowed, and one for rounding: as `is_missed` has it.
    left = np.int64(np.floor((1 - numbers[s, N_RATIO]) * owed + 0.25)) + 2 - missed
    at_ns = slots[s, S_LAST_NS] + excused + max(left, slots[s, S_LEAST] - slots[s, S_OPEN], 1)
    return int(at_ns) if at_ns < slots[s, S_UNTIL] else _FOREVER


@kernel()
def end_stretch(slots: Array, s: int, kept: Array, at_ns: int, seq: int) -> None:
    """Close the interval missed that is open, if one is."""
    if slots[s, S_MISS_NS] == 0:
        return
    length = at_ns - slots[s, S_MISS_NS]
    place = slots[s, S_MISSES]
    if place >= KEPT:
        place = 0
        for j in range(KEPT):
            if (
                kept[s, j, K_TO] - kept[s, j, K_FROM]
                < kept[s, place, K_TO] - kept[s, place, K_FROM]
            ):
                place = j
    if slots[s, S_MISSES] < KEPT or length > kept[s, place, K_TO] - kept[s, place, K_FROM]:
        kept[s, place, K_FROM], kept[s, place, K_TO] = slots[s, S_MISS_NS], at_ns
        kept[s, place, K_KINDS], kept[s, place, K_FIRST] = (
            slots[s, S_MISS_KINDS],
            slots[s, S_MISS_SEQ],
        )
        kept[s, place, K_LAST] = max(seq, slots[s, S_MISS_SEQ])
    slots[s, S_MISSES] += 1
    slots[s, S_LONGEST] = max(slots[s, S_LONGEST], length)
    slots[s, S_MISS_NS], slots[s, S_MISS_KINDS] = 0, 0


@kernel()
def advance(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, kept: Array, own: Array, x: int, to: int
) -> None:
    """Count the time up to `to` as what the quotes were."""
    begin = slots[s, S_LAST_NS]
    if to <= begin or begin == 0:
        return
    slots[s, S_LAST_NS] = to
    what = (
        slots[s, S_NOW] if slots[s, S_IN_FORCE] != 0 and own[x, I_PHASE] == _CONTINUOUS else CLOSED
    )
    is_missed = ABSENT <= what <= WIDE
    if is_missed and slots[s, S_FORCED] != 0:
        excused = min(to - begin, max(0, slots[s, S_CAP] - slots[s, S_EXCUSED]))
        if excused > 0:
            end_stretch(slots, s, kept, begin, slots[s, S_SEQ])
            slots[s, S_EXCUSED] += excused
            begin += excused
    length = to - begin
    if length == 0:
        return
    if not is_missed:
        end_stretch(slots, s, kept, begin, slots[s, S_SEQ])
    if what == CLOSED:
        slots[s, S_CLOSED] += length
        return
    if what == UNKNOWN:
        slots[s, S_UNKNOWN] += length
        return
    slots[s, S_OPEN] += length
    slots[s, S_MINUTE_OPEN] += length
    if what in (PRESENT, THIN, WIDE):
        slots[s, S_TWO_SIDED] += length
        numbers[s, N_SPREAD] += numbers[s, N_NOW] * (length / 1e9)
    if what == PRESENT:
        slots[s, S_PRESENT] += length
        slots[s, S_MINUTE_PRESENT] += length
        slots[s, S_UNEVEN] += length if slots[s, S_EVEN] == 0 else 0
        return
    slots[s, S_ABSENT + what - ABSENT] += length
    if slots[s, S_MISS_NS] == 0:
        slots[s, S_MISS_NS] = begin
        # What began before this window is told by the last event before it: it is at hand.
        slots[s, S_MISS_SEQ] = (
            slots[s, S_SEQ] if begin > slots[s, S_SEGMENT] else slots[s, S_AT_SEQ]
        )
    slots[s, S_MISS_KINDS] |= np.int64(1) << what


@njit(cache=True)
def end_minute(  # noqa: PLR0917
    own: Array, x: int, ranges: Array, slots: Array, base: int, count: int, factor: float
) -> None:
    """Add the minute's presence to that of calm or of restless times, by the mid's range in it."""
    if own[x, I_HIGH] > 0:
        spread = (own[x, I_HIGH] - own[x, I_LOW]) / own[x, I_HIGH]
        known = min(own[x, I_RANGES], RANGES)
        if known >= ENOUGH:
            is_restless = spread > factor * np.median(ranges[x, :known])
            at = S_STRESS_OPEN if is_restless else S_CALM_OPEN
            for s in range(base, base + count):
                slots[s, at] += slots[s, S_MINUTE_OPEN]
                slots[s, at + 1] += slots[s, S_MINUTE_PRESENT]
        ranges[x, own[x, I_RANGES] % RANGES] = spread
        own[x, I_RANGES] += 1
    for s in range(base, base + count):
        slots[s, S_MINUTE_OPEN], slots[s, S_MINUTE_PRESENT] = 0, 0
    own[x, I_HIGH], own[x, I_LOW] = 0, 0


@kernel()
def look(  # noqa: PLR0917
    own: Array, x: int, ranges: Array, slots: Array, numbers: Array, kept: Array, base: int,
    count: int, now: int, factor: float,
) -> int:  # fmt: skip
    """End the minute and the windows that are over at `now`; return a slot that is, or -1.

    Or one whose window can no longer be met, with S_BROKEN 1.
    """
    while True:
        first, until, is_broken = base, slots[base, S_UNTIL], False
        for s in range(base, base + count):
            breaks = breaks_at(slots, s, numbers, own, x)
            if min(breaks, slots[s, S_UNTIL]) < until or (s == base and breaks < until):
                first, until = s, min(breaks, slots[s, S_UNTIL])
                is_broken = breaks < slots[s, S_UNTIL]
        if own[x, I_MINUTE] <= min(now, until):
            for s in range(base, base + count):
                advance(slots, s, numbers, kept, own, x, own[x, I_MINUTE])
            end_minute(own, x, ranges, slots, base, count, factor)
            own[x, I_MINUTE] = (now // MINUTE + 1) * MINUTE
        elif until <= now:
            if is_broken:
                advance(slots, first, numbers, kept, own, x, until)
                slots[first, S_BROKEN] = 1
            elif slots[first, S_LAST_NS] != 0:
                advance(slots, first, numbers, kept, own, x, until)
                end_stretch(slots, first, kept, until, own[x, I_LAST_SEQ])
            return int(first)
        else:
            own[x, I_NEXT] = min(own[x, I_MINUTE], until)
            return -1


@kernel()
def settle(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, kept: Array, own: Array, x: int
) -> None:
    """Count a slot's time up to its instrument's last event, and close what is open."""
    advance(slots, s, numbers, kept, own, x, own[x, I_LAST_NS])
    end_stretch(slots, s, kept, own[x, I_LAST_NS], own[x, I_LAST_SEQ])
