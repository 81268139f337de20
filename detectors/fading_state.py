"""What the scan of quote_fading keeps of an instrument: which field is where, and how much of it.

Slots are the accounts looked at: of the group first, then external makers. Units are what is
tested: the complex, each account of the group, the external makers together.
"""

from __future__ import annotations

from typing import Final

GROUP_SLOTS: Final = 6
MAKER_SLOTS: Final = 6
SLOTS: Final = GROUP_SLOTS + MAKER_SLOTS
ORDERS: Final = 32
"""Live orders kept a slot: ten levels a side and half as many again."""
STATES: Final = 512
"""Changes of the touch, or of who is at it, kept an instrument."""
EVENTS: Final = 512
"""Withdrawals, postings and fills at the touch kept an instrument."""
HITS: Final = 128
"""Client orders withdrawn from that are kept until a test, an instrument."""

COMPLEX: Final = 0
PEERS: Final = GROUP_SLOTS + 1
"""Units: the complex, then the group's accounts (slot + 1), then external makers together."""
UNITS: Final = GROUP_SLOTS + 2

# The instrument's own fields; times and numbers are 0 where there are none.
LAST_NS, SINCE_NS, N_STATES, N_EVENTS, N_HITS, BUCKET, BUCKET_HITS, RESTATING = range(8)
C_SEQ, C_HIT, C_SIDE, C_TOUCH, C_LEFT, PEERS_SEEN, LAST_BID, LAST_ASK, CHANGED = range(8, 17)
OWN_FIELDS: Final = 17
# Of a state: from when on, best bid and ask (0 = none), and who is there (two bits a slot).
T_NS, T_BID, T_ASK, T_MASK = range(4)
STATE_FIELDS: Final = 4
# Of an event: lots are above 0 withdrawn, below 0 posted, 0 filled.
E_NS, E_RECEIVED, E_SLOT, E_SIDE, E_PRICE, E_LOTS, E_SEQ, E_COUNTED = range(8)
EVENT_FIELDS: Final = 8
# Of a tally: windows, those with a withdrawal, placebos, those likewise, windows with doubt, then
# matched sets by what part of their windows had a withdrawal, rounded up to a fortieth, and those
# of them in which the client's had.
WINDOWS, WITHDRAWN, PLACEBOS, PLACEBO_WITHDRAWN, DOUBTFUL, LEVEL = range(6)
LEVELS: Final = 40
HIT_LEVEL: Final = LEVEL + LEVELS
TALLY_FIELDS: Final = HIT_LEVEL + LEVELS
# Of a client order withdrawn from; refs and accounts of up to REFS withdrawals.
REFS: Final = 4
H_NS, H_RECEIVED, H_SEQ, H_SIDE, H_UNITS, H_LOTS, H_COST, H_PAID, H_DOUBT, H_REF = range(10)
H_ACCOUNT: Final = H_REF + REFS
HIT_FIELDS: Final = H_ACCOUNT + REFS

DELTA, BUCKET_NS, HISTORY_NS, MOST_NS, PLACEBO_WINDOWS, DRAWS, LEAST_PLACEBOS = range(7)
CELL_SHIFT: Final = 7
"""Places in the numbers that a scan is given."""
