"""What the scan behind stop_hunting keeps of an instrument: how many of each, and their fields."""

from __future__ import annotations

from typing import Final

from detectors.hunt_quotes import ADDED, HEAD_OWN
from detectors.hunt_reach import TALLY

FLIGHTS: Final = 64
STOPS: Final = 128
LEGS: Final = 256
RUNS: Final = 16
"""Kept an instrument: flights, triggered stops, legs of open runs, open runs; of more than so many
the oldest is forgotten."""
SAMPLE_NS: Final = 1_000_000_000
"""Least time between two moments at which the habit is seen: what was added is there for seconds,
so that looks closer together see the same thing twice."""

# Head of an instrument: what hunt_quotes keeps there; how many were made of each, the stop in
# flight, the next deadline; the order before, and what an order of the group met that may trade;
# when the habit is to be seen again.
H_FLIGHTS, H_STOPS, H_LEGS, H_RUNS, H_OPEN, H_TRIGGER, H_NEXT_NS = range(HEAD_OWN, HEAD_OWN + 7)
H_LAST, H_COME_SEQ, H_COME_ADDED, H_COME_SET, H_SEEN_BUY, H_SEEN_SELL, H_SEEN_OWN = range(
    HEAD_OWN + 7, HEAD_OWN + 14
)
HEAD_FIELDS: Final = HEAD_OWN + 14

# A flight. F_RUN: run of the stop that it is, 0 = none; F_MET: of the resting stop-limit that its
# latest trade filled. F_ADDED: orders that the group had just
# added on the side that it meets; F_SET: not by their number alone. F_STOP: it is a stop that
# triggered.
F_SEQ, F_NS, F_SIDE, F_ACCOUNT, F_COMPLEX, F_LOTS, F_BID, F_ASK = range(8)
F_EXTREME, F_FIRST, F_LAST, F_RUN, F_DOUBT, F_ADDED, F_ROLE, F_MET, F_STOP, F_SET = range(8, 18)
FLIGHT_FIELDS: Final = 18

# A stop that triggered; S_RUN 0 = by nobody's push. S_COST: half ticks times lots beyond the price
# before the push.
S_SEQ, S_ENTRY, S_ACCOUNT, S_RUN, S_DUE, S_FILLED, S_CAUGHT, S_COST, S_SIDE, S_NS = range(10)
STOP_FIELDS: Final = 10

# A leg of a run. PUSH: seq, first and last trade; of another's run also the group's beside it.
# CATCH: trade seq, entry seq, when it was entered (0: it was moved since, or it took a stop-limit
# that rests). TAKE: the same of one that took a stop-limit within the longest push of the trigger.
L_RUN, L_KIND, L_SEQ, L_FIRST, L_LAST, L_ACCOUNT, L_LOTS, L_PRICE, L_NS = range(9)
LEG_FIELDS: Final = 9
PUSH, CATCH, STOP, NEAR, TAKE = range(1, 6)
"""Kinds of legs; STOP and NEAR (a stop of that side and time that others triggered) are made on
writing out."""

# A run. R_BESIDE: lots that the group pushed beside another's run. R_KNOWN_NS: event time at which
# it was over. R_MANY: of the moments seen, those at which at least 1, 2, ... orders had been added;
# R_OWN the same of R_OWN_SEEN moments at which the group took, and not by their number alone.
# R_BEYOND: of the group's run, lots that it had taken beyond a hedge.
R_NUMBER, R_SIDE, R_COMPLEX, R_ACCOUNT, R_SEQ, R_FROM_NS, R_FIRST_NS, R_LAST_NS = range(8)
R_BID, R_ASK, R_EXTREME, R_ORDERS, R_LOTS, R_AGAINST, R_ADVANCE, R_ALL = range(8, 16)
R_STOPS, R_DUE, R_FILLED, R_CAUGHT, R_BACK, R_DOUBT, R_PUSHED, R_INSTRUMENT = range(16, 24)
R_PEAK, R_ADDED, R_SEEN, R_ROLE, R_BESIDE, R_KNOWN_NS, R_SET, R_OWN_SEEN, R_MANY = range(24, 33)
R_OWN: Final = R_MANY + ADDED
R_BEYOND: Final = R_OWN + ADDED
R_REACH: Final = R_BEYOND + 1
RUN_FIELDS: Final = R_REACH + TALLY
FAR: Final = 2**62
"""No touch has been seen since the last trigger."""
