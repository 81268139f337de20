"""What hidden_affiliates keeps of an instrument and UTC day: which field is where, and how much.

Units are what accounts are held against: the complex as one, and external makers as its placebo.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.events import Array

EVER: Final = 2**63 - 1
MAKERS: Final = 3
"""External makers that are placebo units, an instrument: the first seen."""
UNITS: Final = 1 + MAKERS
GROUP: Final = 0
SCALES: Final = 3
"""Half-lives over which a unit's trading is remembered."""
ACCOUNTS: Final = 512
"""Accounts kept, an instrument and day; another takes the place of one that traded least."""
SLOTS: Final = 2 * ACCOUNTS
"""Places of the table that finds an account's row."""
CITED: Final = 8
"""Latest telling executions kept, an account."""

# A trade that waits for its turn: what happened, then who took and who rested.
P_CLOCK, P_CODE, P_SEQ, P_SIDE, P_LOTS, P_INCOMING, P_DOUBT = range(7)
TAKER: Final = 7
RESTER: Final = 13
W_ACCOUNT, W_ROLE, W_GROUP, W_OWNER, W_SESSION, W_USER = range(6)
PENDING_FIELDS: Final = 19

# The instrument's own fields; LOTS are those that the instruction in flight took, and from MAKER
# on stand the makers' accounts, + 1.
LAST_NS, INCOMING, LAST_TAKER, N_ACCOUNTS, COUNTED, FRESH, LOTS, MAKER = range(8)
OWN_FIELDS: Final = MAKER + MAKERS

# Of a unit's trading that is remembered: net of all, net of what it took.
NET, TAKEN = range(2)
# Of what it got from an account there is besides, at the longest half-life: bought and sold.
OWED: Final = 2
BOUGHT, SOLD = range(2)
# Of a unit's last times: of any trade, of a fill of a resting order; of any trade that was for
# another than whom the last was for; who that is, + 1; and who last hit it, + 1, on which side.
TRADED, RESTED, BEFORE, FOR, HIT_BY, HIT_SIDE = range(6)
TIMES: Final = 6
MARKET: Final = UNITS
"""Where last times of everybody's stand that are not of the group; for is who took."""

# Of an account: account + 1, its events of the day, telling executions met, and of them told,
# how often it took on another side than before; and each kind's open run: side and last time.
ACCOUNT, EVENTS, BEGAN_NS, ENDED_NS, FIRST_SEQ, DOUBT, MET, TOLD, TURNS, GIVEN_NS, RUN = range(11)
KINDS: Final = 2
"""Kinds of events: instructions that take, and resting orders that are filled."""
TAKES, RESTS = range(KINDS)
SIDES: Final = 2
"""Runs of buying, and of selling, are summed apart."""
SEQS: Final = RUN + 2 * KINDS
ACCOUNT_FIELDS: Final = SEQS + CITED

# What an event shows of a unit: three scales of two measures, quickness, quickness less that
# after others alone, and absence.
AGAINST, ALIKE, QUICK, BESIDE, ABSENT = 0, SCALES, 2 * SCALES, 2 * SCALES + 1, 2 * SCALES + 2
MEASURES: Final = 2 * SCALES + 3
KIND_OF: Final = (*(TAKES for _ in range(ABSENT)), RESTS)
"""The kind of event that each measure is of."""
# Sums of a measure: of the open run, the group's and the makers'; then over closed runs, with
# n the weight of a run's events.
RUN_G, RUN_M, SUM_G, SUM_M, SUM_GG, SUM_GM, SUM_MM, SUM_GN, SUM_MN = range(9)
SUMS: Final = 9
# Sums of a kind, events by their weight: of the open run; closed runs, their events, and squares.
RUN_N, RUNS, SUM_N, SUM_NN = range(4)
COUNTS: Final = 4


def shapes() -> dict[str, tuple[tuple[int, ...], type]]:
    """Return, by name, the part of one instrument of each array kept, and its kind."""
    return {
        "hidden": ((OWN_FIELDS,), np.int64),
        "hidden_until": ((), np.int64),
        "hidden_flow": ((UNITS, 2, SCALES), np.float64),
        "hidden_size": ((UNITS, 2, SCALES), np.float64),
        "hidden_times": ((UNITS + 1, TIMES), np.int64),
        "hidden_now": ((2, MEASURES), np.float64),
        "hidden_accounts": ((ACCOUNTS, ACCOUNT_FIELDS), np.int64),
        "hidden_given": ((ACCOUNTS, UNITS, OWED + 1, SCALES), np.float64),
        "hidden_sums": ((ACCOUNTS, SIDES, MEASURES, SUMS), np.float64),
        "hidden_counts": ((ACCOUNTS, SIDES, KINDS, COUNTS), np.float64),
    }


def fresh(instruments: int) -> dict[str, Array]:
    """Return the arrays of instruments of which nothing was seen."""
    made: dict[str, Array] = {}
    for name, (shape, kind) in shapes().items():
        made[name] = np.zeros((instruments, *shape), kind)
    return made
