"""What a window of an agreement came to, read from the state that is kept of it."""

from __future__ import annotations

from detectors.agreements import Stretch, Window
from detectors.presence_state import (
    I_LAST_SEQ,
    I_REASONED,
    KEPT,
    MEMBERS,
    N_LIMIT,
    N_RATIO,
    N_SPREAD,
    S_ABSENT,
    S_AT_SEQ,
    S_CALM_OPEN,
    S_CALM_PRESENT,
    S_CODE,
    S_EXCUSED,
    S_GAP,
    S_IN_FORCE,
    S_LONGEST,
    S_MEMBER,
    S_MIN_LOTS,
    S_MISS_KINDS,
    S_MISS_NS,
    S_MISS_SEQ,
    S_MISSES,
    S_ONE_SIDED,
    S_OPEN,
    S_PARTY,
    S_PRESENT,
    S_SEGMENT,
    S_START,
    S_STRESS_OPEN,
    S_STRESS_PRESENT,
    S_THIN,
    S_TWO_SIDED,
    S_UNEVEN,
    S_UNKNOWN,
    S_UNTIL,
    S_WIDE,
    S_WINDOW_NS,
)
from ingest.events import Array
from ingest.times import SECOND


def window_of(
    fields: Array, numbers: Array, intervals: Array, own: Array, end_ns: int, *, is_over: bool
) -> Window:
    """Return a slot's window as it stands at a time, its latest interval missed included.

    Parameters
    ----------
    fields : (SLOT_FIELDS,) int64
        The slot.
    numbers : (NUMBERS,) float64
        Its terms and its spread.
    intervals : (KEPT, KEPT_FIELDS) int64
        The longest intervals that it missed.
    own : (OWN_FIELDS,) int64
        Its instrument.
    end_ns : int
        Up to when its time has been counted.
    is_over : bool
        Whether that is the window's end.
    """
    slot = fields.tolist()
    kept = intervals[: min(KEPT, slot[S_MISSES])].tolist()
    if slot[S_MISS_NS]:
        last_seq = max(int(own[I_LAST_SEQ]), slot[S_MISS_SEQ])
        kept.append([slot[S_MISS_NS], end_ns, slot[S_MISS_KINDS], slot[S_MISS_SEQ], last_seq])
        slot[S_LONGEST] = max(slot[S_LONGEST], end_ns - slot[S_MISS_NS])
        slot[S_MISSES] += 1
    members = slot[S_MEMBER : S_MEMBER + MEMBERS]
    two_sided = slot[S_TWO_SIDED]
    return Window(
        instrument=slot[S_CODE],
        party=slot[S_PARTY],
        accounts=tuple(member - 1 for member in members if member),
        in_force=bool(slot[S_IN_FORCE]),
        start_ns=slot[S_START],
        from_ns=slot[S_SEGMENT],
        end_ns=end_ns,
        until_ns=slot[S_UNTIL],
        is_over=is_over,
        window_ns=slot[S_WINDOW_NS],
        min_lots=slot[S_MIN_LOTS],
        max_spread_bps=float(numbers[N_LIMIT]) * 2e4,
        min_ratio=float(numbers[N_RATIO]),
        open_ns=slot[S_OPEN],
        present_ns=slot[S_PRESENT],
        absent_ns=slot[S_ABSENT],
        one_sided_ns=slot[S_ONE_SIDED],
        thin_ns=slot[S_THIN],
        wide_ns=slot[S_WIDE],
        uneven_ns=slot[S_UNEVEN],
        unknown_ns=slot[S_UNKNOWN],
        excused_ns=slot[S_EXCUSED],
        two_sided_ns=two_sided,
        spread_bps=float(numbers[N_SPREAD]) * SECOND / two_sided if two_sided else 0.0,
        longest_ns=slot[S_LONGEST],
        misses=slot[S_MISSES],
        calm_open_ns=slot[S_CALM_OPEN],
        calm_present_ns=slot[S_CALM_PRESENT],
        stress_open_ns=slot[S_STRESS_OPEN],
        stress_present_ns=slot[S_STRESS_PRESENT],
        gap=bool(slot[S_GAP]),
        at_seq=slot[S_AT_SEQ],
        stretches=tuple(sorted((Stretch(*row) for row in kept), key=lambda s: s.from_ns)),
        has_reasons=bool(own[I_REASONED]),
    )
