"""What the scan of client_interaction keeps of an instrument: which field is where, and how much.

Slots are those whose quotes are compared: the group as one, then external makers one by one.
"""

from __future__ import annotations

from typing import Final

from detectors.maker_orders import ORDERED_SLOT_FIELDS

GROUP: Final = 0
"""Slot of the group: its affiliated market makers and sister companies together."""
SLOTS: Final = 7
"""The group and six external makers; of more, those longest unseen lose their place."""
ORDERS: Final = 64
"""Live orders kept a slot: sixteen levels a side of two accounts."""
SAMPLES: Final = 64
"""Looks at the quotes that are kept: twice the longest horizon."""
FILLS: Final = 2048
"""Fills of clients kept until their last markout."""
KEPT_BUCKETS: Final = 48
SIDES: Final = 2

LOOK_NS: Final = 250_000_000
"""From one look at the quotes to the next: as often as makers re-quote, and no oftener."""
BLOCK_NS: Final = 10_000_000_000
"""What lies within ten seconds is one observation of fills."""
HORIZONS: Final = ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32))
"""Of quotes: moves from the first to the second are foreseen at 0, in looks."""
BLOCKS_NS: Final = tuple(5 * LOOK_NS * end // 2 for _, end in HORIZONS)
"""What lies within two and a half of a horizon is one observation of quotes: 1.25 to 20 s. The
moves of two blocks overlap by a tenth of one at most, and a short spell has as many as can be."""
MARKOUT_NS: Final = (100_000_000, 1_000_000_000, 5_000_000_000, 30_000_000_000, 300_000_000_000)
"""Of fills: 0.1, 1, 5, 30 and 300 s."""

PARTS: Final = 3
"""Of a quote: its mid, what clients buy at (asks), what they sell at (bids)."""
STRATA: Final = 2
"""All looks; and again, those alone at which prices move much more than they usually do."""
SEEN: Final = 2
"""Whose moves count: makers that have acted since the look; those whose own mid has changed."""
TESTS: Final = PARTS * len(HORIZONS)
"""Tests of quotes in a stratum: every horizon of every part."""
KINDS: Final = STRATA * SEEN * TESTS
"""What is tallied of quotes: TESTS by whose moves count, of all looks, then of volatile ones."""
KNOWN_HABIT: Final = PARTS
"""Of a peer's habits: by how much each part of the group's quotes leans of late; 1 once known."""
HABIT_FIELDS: Final = PARTS + 1

# The instrument's own fields; times and numbers are 0 where there are none.
LAST_NS, NEXT_NS, N_SAMPLES, BUCKET, TESTED, BLOCK, RESTATING, PHASE, N_FILLS = range(9)
DUE: Final = 9
"""Number of the first fill whose n-th markout is to come; one field a markout."""
N_DUE: Final = len(MARKOUT_NS)
DOUBT: Final = DUE + N_DUE
"""Last bucket in which the book was in doubt."""
LAST_BID, LAST_ASK = DOUBT + 1, DOUBT + 2
DUE_NS: Final = LAST_ASK + 1
"""No markout falls due before it."""
FLIGHT: Final = DUE_NS + 1
"""Key of the maker's order in flight: the last order record was its `new` or `replace`."""
IN_DOUBT: Final = FLIGHT + 1
TOLD_UNTIL: Final = IN_DOUBT + 1
"""The last bucket that was told of: what lies before is told."""
OWN_FIELDS: Final = TOLD_UNTIL + 1
# Of a slot, behind what `maker_orders` names (of the group the account is the last seen): when its
# mid last changed.
S_MOVED: Final = ORDERED_SLOT_FIELDS
SLOT_FIELDS: Final = S_MOVED + 1
# Of a look at a slot: twice the mid of its own quotes (0 = not on both sides), when it last acted,
# when that mid last changed, and 1 where it is a quote to hold the group's against.
# The row behind the slots is the market's: twice its mid, its spread, and 1 where it is volatile.
Q_MID, Q_ACTED, Q_MOVED, Q_HELD = range(4)
Q_SPREAD, Q_VOLATILE = Q_ACTED, Q_MOVED
SAMPLE_FIELDS: Final = 4
# Of how much external makers' mids move from one look to the next, as a share of the price: mean
# of late, what is usual, and of how many looks.
M_LATELY, M_USUAL, M_LOOKS = range(3)
MOVE_FIELDS: Final = 3
# Of the running block of a slot, and a horizon of quotes of makers that have acted, then of those
# whose mid has changed, then both of volatile looks: count, sum of squared moves; of products, one
# a part.
B_COUNT, B_MOVES, B_SUM = range(3)
BLOCK_ROWS: Final = STRATA * SEEN * len(HORIZONS)
BLOCK_FIELDS: Final = B_SUM + PARTS
# Of a tally: blocks, sum of block means, of their squares, of squared moves.
T_BLOCKS, T_SUM, T_SQUARES, T_MOVES = range(4)
TALLY_FIELDS: Final = 4
# Of a fill.
F_NS, F_SEQ, F_SLOT, F_SIDE, F_PRICE, F_MID, F_SPREAD, F_LOTS, F_ACCOUNT, F_INCOMING = range(10)
F_SWEPT: Final = 10
"""1 where the same instruction was filled by another maker too: it tells nothing of either."""
FILL_FIELDS: Final = 11
# What fills of a bucket add up to, by slot: fills, lots, notional (ticks times lots), effective
# spread weighted by it; then, a markout each, the move and the notional for which it is known.
P_FILLS, P_LOTS, P_NOTIONAL, P_EFFECTIVE, P_MOVE = range(5)
P_KNOWN: Final = P_MOVE + N_DUE
PAID_FIELDS: Final = P_KNOWN + N_DUE
# Of the drift: the cumulative sum, and the bucket since which it has not been 0.
D_SUM, D_SINCE = range(2)
# Of presence in a bucket: looks, the group's share of the size at the touch, summed.
V_LOOKS, V_SHARE = range(2)
