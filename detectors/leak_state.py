"""What information_leak keeps of an instrument: which field is where, and how much of it.

Units are what is tested: the complex as one, each of its accounts that takes, and external makers
together, which are the control.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.events import Array

DAY_NS: Final = 86_400 * 1_000_000_000
RELATED: Final = 3
"""Instruments of one underlying in which executions are looked for: the order's own first."""
SCALES: Final = 3
"""Lengths of time before a client's order."""
GROUP_SLOTS: Final = 4
"""Accounts of the group that are a unit of their own in an instrument and day, the first."""
COMPLEX: Final = 0
PEERS: Final = GROUP_SLOTS + 1
UNITS: Final = GROUP_SLOTS + 2
FLOWS: Final = 3
"""Net taking by others in the window: against the client's side, none, with it."""
STRATA: Final = 2 * FLOWS

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
HITS: Final = 256
"""Large client orders that the group was ahead of, kept until a look tells of them."""

# A trade that waits for its turn.
P_CLOCK, P_CODE, P_SEQ, P_SIDE, P_LOTS, P_ACCOUNT, P_OWNER, P_ORIGINATOR = range(8)
P_ROLE, P_GROUP, P_RECEIVED, P_INCOMING, P_DOUBT = range(8, 13)
PENDING_FIELDS: Final = 13
# The instrument's own fields.
N_SIZES, USUAL, LAST_INCOMING, LAST_LOTS, N_HITS, FRESH, N_GROUP, N_PEERS = range(8)
MAKER_A, MAKER_B = range(8, 10)
"""The first two external makers seen taking, account + 1."""
OWN_FIELDS: Final = 10
# Of an execution; the account's slot is 0 where it has none.
A_RECEIVED, A_SIDE, A_LOTS, A_SLOT, A_SEQ, A_INCOMING, A_ACCOUNT, A_DOUBT = range(8)
ACT_FIELDS: Final = 8
# Of an open episode; a free place has E_SIDE 0. From E_STATE on there is one field an instrument
# related: flow a scale, then hits a scale and unit, two bits and one bit each.
E_OWNER, E_ORIGINATOR, E_SIDE, E_BEGAN, E_LAST, E_LOTS, E_SEQ, E_DOUBT, E_COUNTED = range(9)
E_STATE: Final = 9
E_ACT: Final = E_STATE + RELATED
"""Places in the ring of executions, + 1, of the group's latest on that side."""
EPISODE_FIELDS: Final = E_ACT + RELATED
HIT_BITS: Final = 2 * SCALES
# Of a hit.
H_NS, H_BEGAN, H_SEQ, H_SIDE, H_RELATED, H_STATE, H_ACT_RECEIVED, H_ACT_SEQ = range(8)
H_ACCOUNT, H_LOTS, H_DOUBT = range(8, 11)
HIT_FIELDS: Final = 11
# Of a tally: client episodes, large ones; then a unit's hits among all, and among large ones.
T_ALL, T_LARGE, T_HITS = range(3)
TALLY_FIELDS: Final = T_HITS + 2 * UNITS


def shapes(looks: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """Return, by name, the part of one instrument of each array kept, and its kind.

    Parameters
    ----------
    looks : int
        Looks a day.
    """
    return {
        "leak": ((OWN_FIELDS,), np.int64),
        "leak_until": ((), np.int64),
        "leak_sizes": ((SIZES,), np.int64),
        "leak_slots": ((GROUP_SLOTS,), np.int64),
        "leak_acts": ((2, ACTS, ACT_FIELDS), np.int64),
        "leak_flow": ((SECONDS, 2), np.int64),
        "leak_open": ((OPEN, EPISODE_FIELDS), np.int64),
        "leak_hits": ((HITS, HIT_FIELDS), np.int64),
        "leak_tallies": ((RELATED, looks, SCALES, STRATA, TALLY_FIELDS), np.uint16),
    }


def fresh(instruments: int, looks: int) -> dict[str, Array]:
    """Return the arrays of instruments of which nothing was seen."""
    made: dict[str, Array] = {}
    for name, (shape, kind) in shapes(looks).items():
        made[name] = np.zeros((instruments, *shape), kind)
    return made
