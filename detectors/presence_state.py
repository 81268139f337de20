"""What is kept of each agreement's presence: which field is where, and how much of it.

A slot is one account or owner that owes quotes in one instrument. Its orders are kept best first,
so that what it shows is read from the touch outwards.
"""

from __future__ import annotations

from typing import Final

ROOM: Final = 128
"""Live orders kept a side of a slot; of more, those furthest from the touch are counted only."""
KEPT: Final = 32
"""Intervals kept a window, the longest: more are no reading matter; all are counted and summed."""
RANGES: Final = 60
"""Minutes by which a minute's range is judged high."""
MEMBERS: Final = 6
"""Accounts of an owner that are named."""

PRESENT, ABSENT, ONE_SIDED, THIN, WIDE, UNKNOWN, CLOSED = 0, 1, 2, 3, 4, 5, 6
"""What a slot's quotes are: as agreed; none; on one side; fewer lots on a side than agreed; too far
apart; not known; not owed."""

O_KEY, O_PRICE, O_SHOWN, O_LEAVES, O_DISPLAY, ORDER_FIELDS = 0, 1, 2, 3, 4, 5
K_FROM, K_TO, K_KINDS, K_FIRST, K_LAST, KEPT_FIELDS = 0, 1, 2, 3, 4, 5
"""An interval missed: from, to, a bit for each way of it, seqs of the events at its ends."""

(
    S_CODE, S_PARTY, S_IN_FORCE, S_WINDOW_NS, S_START, S_SEGMENT, S_UNTIL, S_MIN_LOTS, S_CAP,
    S_ACCOUNTS, S_UNSURE, S_LAST_NS, S_NOW, S_EVEN, S_SEQ, S_AT_SEQ, S_FORCED, S_BIDS, S_ASKS,
    S_LOST_BIDS, S_LOST_ASKS, S_ENTERED, S_ENTERED_SEQ, S_LENGTH,
    S_LEAST, S_BROKEN,
    S_OPEN, S_PRESENT, S_ABSENT, S_ONE_SIDED, S_THIN, S_WIDE, S_UNEVEN, S_UNKNOWN, S_EXCUSED,
    S_CLOSED, S_TWO_SIDED, S_GAP, S_LONGEST, S_MISSES, S_MISS_NS, S_MISS_SEQ, S_MISS_KINDS,
    S_CALM_OPEN, S_CALM_PRESENT, S_STRESS_OPEN, S_STRESS_PRESENT, S_MINUTE_OPEN, S_MINUTE_PRESENT,
    S_MEMBER,
) = range(50)  # fmt: skip
SLOT_FIELDS: Final = S_MEMBER + MEMBERS
SURE, UNSURE, LEARNING = 0, 1, 2
"""`S_UNSURE`: whether orders may stand that came before a slot could know them. A restatement that
it sees from its beginning on (LEARNING) to `book_end` names all that stand: nothing else does."""
FIRST_SUM: Final = S_OPEN
"""From here to `S_MINUTE_PRESENT` a window's own: 0 when the next begins."""
LAST_SUM: Final = S_MINUTE_PRESENT

N_LIMIT, N_RATIO, N_SPREAD, N_NOW, NUMBERS = 0, 1, 2, 3, 4
"""Of a slot, floats: widest spread as a share of twice the mid, agreed presence, sum of the spread
of its best quotes in bps times seconds, that spread now."""

I_PHASE, I_DOUBT, I_RESTATING, I_LAST_NS, I_LAST_SEQ, I_NEXT, I_MINUTE = 0, 1, 2, 3, 4, 5, 6
I_HIGH, I_LOW, I_RANGES, I_REASONED, OWN_FIELDS = 7, 8, 9, 10, 11
"""Of an instrument: phase, whether its book is in doubt or being restated, its last event, when
something has to be looked at next, end of the minute, twice the mid's extremes in it, how many
minutes' ranges have been kept, and whether a record has ever had a reason."""
