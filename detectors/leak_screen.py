"""Clients' accounts that are ahead of other clients' large orders: who of them is suspected.

An account's executions on one side without a pause are a run. A run is followed, within a time,
when a large order of another owner and originator on its side began so soon after one of them.
Whose runs are followed more often than other clients' is suspected. That only chooses: what is
told rests on what comes after.
"""

from __future__ import annotations

import math
from typing import Final

from detectors.leak_state import (
    A_ACCOUNT,
    A_DOUBT,
    A_INCOMING,
    A_LOTS,
    A_ORIGINATOR,
    A_OWNER,
    A_RECEIVED,
    A_RUN,
    A_SEQ,
    A_SIDE,
    A_SLOT,
    A_WAYS,
    ACCOUNT,
    CLIENT_ACTS,
    CROWD,
    E_BEGAN,
    E_ORIGINATOR,
    E_OWNER,
    E_SIDE,
    GRADES,
    HIT_BITS,
    KNOWN_BITS,
    N_CLIENTS,
    N_FOLLOWED,
    N_RUNS,
    N_SUSPECTED,
    NUMBER,
    OWNER,
    P_ACCOUNT,
    P_DOUBT,
    P_INCOMING,
    P_LOTS,
    P_ORIGINATOR,
    P_RECEIVED,
    P_SEQ,
    P_SIDE,
    S_ACCOUNT,
    S_FOLLOWED,
    S_LAST,
    S_RUN,
    S_RUNS,
    S_SIDE,
    S_SINCE,
    SCALES,
    SCREENED,
    SUSPECTED,
    SUSPECTS,
    UNITS,
    USUAL,
    WAYS,
)
from ingest.compiled import njit
from ingest.events import Array
from ingest.times import SECOND

DELTA, GAP, MOST, LEAST, CHANCE, LARGE = range(6)
LEADS: Final = LARGE + GRADES
"""Places in the numbers that a pass is given; ratios are in thousandths, the chance in millionths.
Sizes from which an order is large, and leads, are several each."""
_NEGLIGIBLE: Final = 1e-12
"""Part of a tail at which its sum is as good as done."""


@njit(cache=True)
def binomial_beyond(hits: int, trials: int, chance: float) -> float:
    """Return P(X >= hits), X ~ binomial(trials, chance), 0 < chance < 1, hits above the mean."""
    log = math.lgamma(trials + 1.0) - math.lgamma(hits + 1.0) - math.lgamma(trials - hits + 1.0)
    mass = math.exp(log + hits * math.log(chance) + (trials - hits) * math.log1p(-chance))
    total = mass
    for k in range(hits, trials):
        mass *= (trials - k) / (k + 1.0) * chance / (1.0 - chance)
        total += mass
        if mass < total * _NEGLIGIBLE:
            break
    return min(total, 1.0)


@njit(cache=True)
def _place(screen: Array, account: int) -> int:
    for n in range(SCREENED):
        if screen[n, S_ACCOUNT] == account + 1:
            return n
    return -1


@njit(cache=True)
def forget(own: Array, entry: Array) -> None:
    """Take an account out of what is screened, and its runs out of those of all."""
    own[N_RUNS] -= entry[S_RUNS]
    for way in range(WAYS):
        own[N_FOLLOWED + way] -= entry[S_FOLLOWED + way]
    entry[:] = 0


@njit(cache=True)
def _enter(own: Array, screen: Array, account: int) -> int:
    """Return the place of an account not screened yet: of one followed least, and longest ago."""
    place: int = 0
    least: int = -1
    for n in range(SCREENED):
        if screen[n, S_ACCOUNT] == 0:
            place = n
            break
        followed = screen[n, S_FOLLOWED:].sum()
        if (
            least < 0
            or followed < least
            or (followed == least and screen[n, S_LAST] < screen[place, S_LAST])
        ):
            place, least = n, followed
    entry = screen[place]
    forget(own, entry)
    entry[S_ACCOUNT], entry[S_SINCE] = account + 1, own[N_CLIENTS]
    return place


@njit(cache=True)
def client_executes(  # noqa: PLR0917
    numbers: Array, row: Array, who: int, own: Array, acts: Array, screen: Array, suspects: Array
) -> None:
    """Add a fill of a client's account to its executions, and those to its run."""
    made, account = own[N_CLIENTS], row[P_ACCOUNT]
    last = acts[(made - 1) % CLIENT_ACTS]
    if made and last[A_INCOMING] == row[P_INCOMING]:
        last[A_LOTS] += row[P_LOTS]
        last[A_DOUBT] |= row[P_DOUBT]
        return
    place = _place(screen, account)
    if place < 0:
        place = _enter(own, screen, account)
    entry = screen[place]
    paused = row[P_RECEIVED] - entry[S_LAST] > numbers[GAP]
    if entry[S_SIDE] != row[P_SIDE] or paused:
        entry[S_SIDE], entry[S_RUN] = row[P_SIDE], made
        entry[S_RUNS] += 1
        own[N_RUNS] += 1
    entry[S_LAST] = row[P_RECEIVED]
    act = acts[made % CLIENT_ACTS]
    act[A_RECEIVED], act[A_SIDE], act[A_LOTS] = row[P_RECEIVED], row[P_SIDE], row[P_LOTS]
    act[A_SEQ], act[A_INCOMING], act[A_DOUBT] = row[P_SEQ], row[P_INCOMING], row[P_DOUBT]
    act[A_ACCOUNT], act[A_OWNER], act[A_ORIGINATOR] = account, who, row[P_ORIGINATOR]
    act[A_RUN], act[A_WAYS], act[A_SLOT] = entry[S_RUN], 0, 0
    for n in range(SUSPECTS):
        if suspects[n, ACCOUNT] == account + 1:
            act[A_SLOT] = n + 1
    own[N_CLIENTS] += 1


@njit(cache=True)
def _leads(numbers: Array, episode: Array, own: Array, act: Array) -> bool:
    """Return whether an execution that is not too early is another's, ahead on an order's side."""
    same_person = act[A_ORIGINATOR] >= 0 and act[A_ORIGINATOR] == episode[E_ORIGINATOR]
    return (
        episode[E_BEGAN] - act[A_RECEIVED] > numbers[DELTA]
        and act[A_SIDE] == episode[E_SIDE]
        and act[A_OWNER] != episode[E_OWNER]
        and not same_person
        and 1_000 * act[A_LOTS] <= own[USUAL] * numbers[MOST]
    )


@njit(cache=True)
def ahead_by_clients(
    numbers: Array, episode: Array, own: Array, acts: Array, suspects: Array
) -> int:
    """Return the bits of a packed state: which suspects there are, and which clients were ahead.

    Nobody is ahead of his own orders: they say nothing of a suspect, and do not count for it.
    """
    state: int = 0
    some = False
    for n in range(SUSPECTS):
        if suspects[n, ACCOUNT] and suspects[n, OWNER] != episode[E_OWNER]:
            state |= 1 << (KNOWN_BITS + n)
            some = True
    made = own[N_CLIENTS]
    for back in range(min(made, CLIENT_ACTS)):
        act = acts[(made - 1 - back) % CLIENT_ACTS]
        lead = episode[E_BEGAN] - act[A_RECEIVED]
        if lead > numbers[LEADS + SCALES - 1] * SECOND:
            break
        if not _leads(numbers, episode, own, act):
            continue
        if act[A_SLOT] and not state >> (KNOWN_BITS + act[A_SLOT] - 1) & 1:
            continue  # its owner has changed since, and is this order's
        unit = SUSPECTED + act[A_SLOT] - 1 if act[A_SLOT] else CROWD
        for scale in range(SCALES):
            if lead <= numbers[LEADS + scale] * SECOND:
                state |= 1 << (HIT_BITS + scale * UNITS + unit)
        if not some and state >> (HIT_BITS + CROWD) & 1:
            break  # there is nothing more to be seen
    return state


@njit(cache=True)
def latest_of(numbers: Array, episode: Array, own: Array, acts: Array, slot: int) -> int:
    """Return the place of a suspect's latest execution ahead of an order; -1 = no longer kept."""
    made = own[N_CLIENTS]
    for back in range(min(made, CLIENT_ACTS)):
        place = (made - 1 - back) % CLIENT_ACTS
        if acts[place, A_SLOT] == slot and _leads(numbers, episode, own, acts[place]):
            return int(place)
    return -1


@njit(cache=True)
def _suspicious(numbers: Array, own: Array, entry: Array, way: int) -> bool:
    """Return whether an account's runs were followed more often than other clients' by chance."""
    followed, runs = entry[S_FOLLOWED + way], entry[S_RUNS]
    if followed < numbers[LEAST]:
        return False
    others = own[N_RUNS] - runs
    chance = (own[N_FOLLOWED + way] - followed + 1.0) / (others + 2.0)
    if followed <= runs * chance:
        return False
    return bool(1e6 * binomial_beyond(followed, runs, chance) <= numbers[CHANCE])


@njit(cache=True)
def _suspect(own: Array, suspects: Array, account: int, owner: int) -> None:
    """Suspect an account that is not suspected yet, where there is a place."""
    place: int = -1
    for n in range(SUSPECTS):
        if suspects[n, ACCOUNT] == account:
            return
        if suspects[n, ACCOUNT] == 0 and place < 0:
            place = n
    if place >= 0:
        own[N_SUSPECTED] += 1
        suspects[place, ACCOUNT], suspects[place, OWNER] = account, owner
        suspects[place, NUMBER] = own[N_SUSPECTED]


@njit(cache=True)
def screen_leaders(  # noqa: PLR0917
    numbers: Array,
    episode: Array,
    same: bool,
    own: Array,
    acts: Array,
    screen: Array,
    suspects: Array,
) -> None:
    """Note whose runs a large order follows, and suspect whose are followed too often.

    Parameters
    ----------
    same : bool
        Whether the order is in the instrument whose executions these are.
    """
    made = own[N_CLIENTS]
    for back in range(min(made, CLIENT_ACTS)):
        act = acts[(made - 1 - back) % CLIENT_ACTS]
        lead = episode[E_BEGAN] - act[A_RECEIVED]
        if lead > numbers[LEADS + SCALES - 1] * SECOND:
            break
        if act[A_SLOT] or not _leads(numbers, episode, own, act):
            continue
        place = _place(screen, act[A_ACCOUNT])
        run = act[A_RUN]
        if place < 0 or run < screen[place, S_SINCE] or made - run > CLIENT_ACTS:
            continue
        entry, first = screen[place], acts[run % CLIENT_ACTS]
        for scale in range(SCALES):
            way = scale if same else SCALES + scale
            if lead > numbers[LEADS + scale] * SECOND or first[A_WAYS] >> way & 1:
                continue
            first[A_WAYS] |= 1 << way
            entry[S_FOLLOWED + way] += 1
            own[N_FOLLOWED + way] += 1
            if _suspicious(numbers, own, entry, way):
                _suspect(own, suspects, entry[S_ACCOUNT], act[A_OWNER])
