"""What the scan behind spoofing keeps of an instrument, and tells of a cycle: its fields."""

from __future__ import annotations

from typing import Final

from detectors.spoofing_rate import CLASSES, SIZES, TALLIES
from ingest.events import NULL

ORDERS: Final = 512
"""Slots for live orders of the parties, an instrument; a power of two."""
FULL: Final = ORDERS - ORDERS // 4
"""How many of them are used at most."""
PARTIES: Final = 24
"""Parties followed, an instrument: first the complex as one."""
SAMPLES: Final = 96
"""Samples of displayed size that make a habit, for each party and side."""
FILLS: Final = 8
LAYERS: Final = 32
"""Latest fills on the other side, and withdrawn orders, that are told of a surge."""

# Fields of a live order.
(
    O_KEY, O_PARTY, O_GROUP, O_SIDE, O_PRICE, O_SHOWN, O_SEQ, O_SINCE, O_MOST, O_HALVED, O_ACCOUNT,
) = range(11)  # fmt: skip
ORDER_FIELDS: Final = 11
# Fields of an instrument.
I_SAMPLE_NS, I_SAMPLED, I_DUE_NS, I_HELD, I_BOOK, I_BLOCK = range(6)
INSTRUMENT_FIELDS: Final = 6
# Fields of a party; stale = what it shows, or its habit, has changed since it was last looked at.
P_ACCOUNT, P_GROUP, P_STALE = range(3)
PARTY_FIELDS: Final = 3
BLOCKS: Final = 6
"""Parts of the window in which surges are counted; the oldest is forgotten as a new one begins."""
W_MAKERS, W_NS = range(2)
WATCHED_FIELDS: Final = 2
"""Of a block: samples, one for each external maker that showed anything; and the time of all."""
MEASURES: Final = 2
LANES: Final = 2 * MEASURES
"""Sides of a party by measure: lots bid, lots offered, orders bid, orders offered.

Of a lane, `lane ^ 1` is the other side in the same measure, `lane ^ 2` the same side in the other.
"""
ORDERS_LANE: Final = 2
"""The first lane that counts orders."""
# Fields of a lane. X_MADE and X_MADE_GONE count what is kept of a side, in its lane of lots.
# X_HIT_COST is the ticks times lots of fills beyond the first's price: a sum that stays small.
# X_LURES: whether the other side showed an order beyond its habit as a surge came (1), and as it
# fell (2). X_TAKEN_NS, in a lane of lots: when resting orders of that side were last filled;
# X_PAUSE_NS: how long after one another, a mean of the last eight or so. X_AFTER_NS: how long after
# such a fill of its other side a surge last rose before it was filled itself; 0 where it is filled
# all the time. X_HIT_KEPT: the most that a lane showed at a fill of its other side, as if none of
# its own were filled.
(
    X_SHOWN, X_HABIT, X_SCALE, X_STATE, X_LOW, X_ON_NS, X_PEAK, X_PEAK_SHOWN, X_RISE_NS,
    X_RISE_PEAK, X_FALL_NS, X_FILLED, X_FORCED, X_FILLED_AT, X_FORCED_AT, X_HITS, X_HIT_LOTS,
    X_HIT_PRICE, X_HIT_COST, X_HIT_NS, X_MADE, X_MADE_GONE, X_OTHER, X_OTHER_AT, X_USUAL, X_DOUBT,
    X_TWIN, X_LURES, X_TAKEN_NS, X_PAUSE_NS, X_AFTER_NS, X_HIT_KEPT,
) = range(32)  # fmt: skip
LANE_FIELDS: Final = 32
QUIET, SURGING = 0, 1
LURED: Final = 3
"""X_LURES, both as it came and as it fell."""
FILLED, CHOSEN, FORCED = 0, 1, 2
"""Why displayed size went."""
# Fields of a kept fill, and of a withdrawn order.
F_SEQ, F_NS, F_FRESH, F_OWN = range(4)
FILL_FIELDS: Final = 4
L_ENTRY, L_SEQ, L_NS, L_LOTS, L_SINCE, L_PRICE, L_ACCOUNT = range(7)
LAYER_FIELDS: Final = 7

# Fields of a row that is written of a cycle of the group; then fills, layers and tallies.
(
    R_INSTRUMENT, R_SIDE, R_MEASURE, R_ON_NS, R_RISE_NS, R_FALL_NS, R_DUE_NS, R_PEAK, R_USUAL,
    R_RATIO, R_WITHDRAWN, R_HITS, R_HIT_LOTS, R_HIT_PRICE, R_HIT_COST, R_HIT_NS, R_BID, R_ASK,
    R_DOUBT, R_WATCHED, R_SAMPLED_NS, R_PEERS, R_SIZE, R_FILLS, R_LAYERS, R_KNOWN_NS, R_WHOLE,
    R_STOOD,
) = range(28)  # fmt: skip
ROW_FIELDS: Final = 28
R_FIRST_FILL: Final = ROW_FIELDS
R_FIRST_LAYER: Final = R_FIRST_FILL + FILLS * FILL_FIELDS
R_FIRST_TALLY: Final = R_FIRST_LAYER + LAYERS * LAYER_FIELDS
ROW: Final = R_FIRST_TALLY + MEASURES * SIZES * CLASSES * TALLIES

ABSENT: Final = int(NULL)
"""No best price."""
NEVER: Final = 2**63 - 1
MOST_COST: Final = 2**62
"""Where what fills cost beyond the first's price stops growing, ticks times lots."""
FEWEST_ORDERS: Final = 2
"""Of a withdrawal that is seen by number alone: one order is no layers."""
PARTS: Final = 10**9
"""Ratios are told as integers of so many parts."""
