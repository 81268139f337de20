"""What information_leak keeps of an instrument: which field is where, and how much of it.

Units are what is tested: the complex as one, each of its accounts that takes, and clients' accounts
that are suspected; external makers together, and clients who are not suspected, are the controls.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.events import Array
from ingest.instruments import Instruments

RELATED: Final = 3
"""Instruments of one underlying in which executions are looked for: the order's own first."""
SCALES: Final = 3
"""Lengths of time before a client's order."""
GROUP_SLOTS: Final = 4
"""Accounts of the group that are a unit of their own in an instrument and day, the first."""
COMPLEX: Final = 0
PEERS: Final = GROUP_SLOTS + 1
CROWD: Final = GROUP_SLOTS + 2
"""Clients' accounts that are not suspected, as one."""
SUSPECTED: Final = GROUP_SLOTS + 3
"""The first of the units that are suspected accounts of clients."""
SUSPECTS: Final = 4
"""Clients' accounts suspected at once, an instrument and day: the first."""
UNITS: Final = SUSPECTED + SUSPECTS
TESTED: Final = (COMPLEX, *range(1, GROUP_SLOTS + 1), *range(SUSPECTED, UNITS))
"""Units that are no control."""
GRADES: Final = 3
"""Sizes from which a client's order is large, each tested apart."""
SCREENED_GRADE: Final = 1
"""Which of them makes an order large where clients' accounts are screened: the middle one, for from
the first on some client is ahead of most."""
FLOWS: Final = 3
"""Net taking by others in the window: against the client's side, none, with it."""
STRATA: Final = 2 * FLOWS
SPANS: Final = 32
"""Parts of a UTC day, of three quarters of an hour, of each of which its tallies are kept."""
ODDS: Final = (1.5, 2.5, 5.0, 12.0)
"""What being ahead of large orders is bet to be as odds, over those before others: from long times,
over which one is ahead of many by chance, to short ones, in which one is of hardly any."""
RESERVE: Final = len(ODDS)
"""The field of a bet that is not put in yet."""
BET_FIELDS: Final = RESERVE + 1

ACTS: Final = 96
"""Executions kept of the group, and as many of external makers, an instrument."""
SIZES: Final = 128
"""Sizes of clients' taking orders kept: what a usual one is."""
USUAL_EVERY: Final = 16
"""Orders after which the median is taken anew."""
OPEN: Final = 96
"""Clients' episodes open at once that are kept, an instrument."""
SECONDS: Final = 128
"""Seconds of which the net taking is kept."""
HITS: Final = 512
"""Large client orders that the group or a suspect was ahead of, kept until a look tells of them."""
CLIENT_ACTS: Final = 512
"""Executions kept of clients' accounts, an instrument: 50 s of ten a second."""
SCREENED: Final = 128
"""Clients' accounts of which it is kept how often large orders followed, an instrument and day."""

FULL: Final = 65_535
"""Most that a tally can hold."""

# A trade that waits for its turn.
P_CLOCK, P_CODE, P_SEQ, P_SIDE, P_LOTS, P_ACCOUNT, P_OWNER, P_ORIGINATOR = range(8)
P_ROLE, P_GROUP, P_RECEIVED, P_INCOMING, P_DOUBT, P_RESTING, P_RESTING_ROLE = range(8, 15)
PENDING_FIELDS: Final = 15
# The instrument's own fields.
N_SIZES, USUAL, LAST_INCOMING, LAST_LOTS, N_HITS, N_GROUP, N_PEERS = range(7)
MAKER_A, MAKER_B = range(7, 9)
"""The first two external makers that were seen to trade, account + 1."""
N_CLIENTS, N_RUNS, N_FOLLOWED = range(9, 12)
"""Executions of clients' accounts; their runs; and from there on, a way each, runs followed."""
WAYS: Final = 2 * SCALES
"""Ways to be followed: by a large order in the same instrument or in another, a scale each."""
N_SUSPECTED: Final = N_FOLLOWED + WAYS
"""Suspects of the day so far, those let go included."""
OWN_FIELDS: Final = N_SUSPECTED + 1
# Of an execution; the account's slot is 0 where it has none.
A_RECEIVED, A_SIDE, A_LOTS, A_SLOT, A_SEQ, A_INCOMING, A_ACCOUNT, A_DOUBT = range(8)
A_OWNER, A_ORIGINATOR, A_RUN, A_WAYS = range(8, 12)
"""Of clients' accounts only: the first execution of its run, as a number of the ring, and, in that
one, a bit for each way in which the run was followed."""
ACT_FIELDS: Final = 12
# Of an account that is screened, account + 1; since which execution; and its latest run, which is
# executions on one side without a pause.
S_ACCOUNT, S_SINCE, S_SIDE, S_LAST, S_RUN, S_RUNS, S_FOLLOWED = range(7)
SCREEN_FIELDS: Final = S_FOLLOWED + WAYS
# Of a suspect: account + 1, 0 = a free place; owner, as in E_OWNER; and which of the day's it is,
# from 1.
ACCOUNT, OWNER, NUMBER = range(3)
# Of an open episode; a free place has E_SIDE 0. From E_STATE on there is one field an instrument
# related: flow a scale, then hits a scale and unit, two bits and one bit each; then a bit for each
# suspect that there was, unless the episode is its own.
E_OWNER, E_ORIGINATOR, E_SIDE, E_BEGAN, E_LAST, E_LOTS, E_SEQ, E_DOUBT, E_COUNTED = range(9)
E_GRADE, E_HIT, E_NOTED = range(9, 12)
"""How many of the sizes it has come to; and the number of its first hit that is kept, and of how
many, since it came to the first of them."""
E_STATE: Final = 12
E_ACT: Final = E_STATE + RELATED
"""Places in the ring of executions, + 1, of the group's latest on that side."""
EPISODE_FIELDS: Final = E_ACT + RELATED
HIT_BITS: Final = 2 * SCALES
KNOWN_BITS: Final = HIT_BITS + SCALES * UNITS
EVERY_SCALE: Final = sum(1 << (HIT_BITS + scale * UNITS) for scale in range(SCALES))
"""The hits of unit 0 at all scales; shifted by a unit, that unit's."""
# Of a hit.
H_NS, H_BEGAN, H_SEQ, H_SIDE, H_RELATED, H_STATE, H_ACT_RECEIVED, H_ACT_SEQ = range(8)
H_ACCOUNT, H_LOTS, H_DOUBT, H_OWNER, H_ORIGINATOR = range(8, 13)
H_GRADE, H_CITED = range(13, 15)
"""How many of the sizes its order has come to; and whether an alert has cited it."""
HIT_FIELDS: Final = 15
# Of a tally: client episodes, and large ones, a size each; then a unit's hits among all, and among
# large ones; then for each suspect the episodes of others, and large ones, that began when it was
# one already.
EACH: Final = 1 + GRADES
T_ALL, T_LARGE, T_HITS = 0, 1, EACH
T_KNOWN: Final = T_HITS + EACH * UNITS
TALLY_FIELDS: Final = T_KNOWN + EACH * SUSPECTS


def shapes() -> dict[str, tuple[tuple[int, ...], type]]:
    """Return, by name, the part of one instrument of each array kept, and its kind."""
    return {
        "leak": ((OWN_FIELDS,), np.int64),
        "leak_until": ((), np.int64),
        "leak_sizes": ((SIZES,), np.int64),
        "leak_slots": ((GROUP_SLOTS,), np.int64),
        "leak_acts": ((2, ACTS, ACT_FIELDS), np.int64),
        "leak_clients": ((CLIENT_ACTS, ACT_FIELDS), np.int64),
        "leak_screen": ((SCREENED, SCREEN_FIELDS), np.int64),
        "leak_suspects": ((SUSPECTS, 3), np.int64),
        "leak_flow": ((SECONDS, 2), np.int64),
        "leak_open": ((OPEN, EPISODE_FIELDS), np.int64),
        "leak_hits": ((HITS, HIT_FIELDS), np.int64),
        "leak_tallies": ((RELATED, SCALES, STRATA, TALLY_FIELDS), np.uint16),
        "leak_day": ((RELATED, SPANS, SCALES, STRATA, TALLY_FIELDS), np.uint16),
        "leak_bets": ((RELATED, SCALES, GRADES, UNITS, BET_FIELDS), np.float64),
        "leak_group": ((SCALES, GRADES, BET_FIELDS), np.float64),
    }


def fresh(instruments: int) -> dict[str, Array]:
    """Return the arrays of instruments of which nothing was seen."""
    made: dict[str, Array] = {}
    for name, (shape, kind) in shapes().items():
        made[name] = np.zeros((instruments, *shape), kind)
    return made


def kin_of(instruments: Instruments) -> Array:
    """Return each instrument's code and those of others on its underlying, by name; -1 = none."""
    kin = np.full((len(instruments), RELATED), -1, np.int64)
    for code, row in enumerate(instruments.rows):
        same = [n for n, other in enumerate(instruments.rows) if other.collection == row.collection]
        family = [code, *(n for n in same if n != code)][:RELATED]
        kin[code, : len(family)] = family
    return kin
