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
    P_CODE,
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
from ingest.compiled import kernel
from ingest.events import Array
from ingest.times import SECOND

DELTA, GAP, MOST, LEAST, CHANCE, LARGE = range(6)
LEADS: Final = LARGE + GRADES
"""Places in the numbers that a pass is given; ratios are in thousandths, the chance in millionths.
Sizes from which an order is large, and leads, are several each."""
HINTS: Final = 256
"""Remembered places of accounts in what is screened, an instrument: by the end of their code."""
_NEGLIGIBLE: Final = 1e-12
"""Part of a tail at which its sum is as good as done."""


@kernel()
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


@kernel()
def _place(screen: Array, screened: Array, y: int, account: int) -> int:
    """Return where an account is screened in an instrument; -1 = nowhere."""
    hint = account & (HINTS - 1)
    place = screened[y, hint]
    if screen[y, place, S_ACCOUNT] == account + 1:
        return int(place)
    for n in range(SCREENED):
        if screen[y, n, S_ACCOUNT] == account + 1:
            screened[y, hint] = n
            return n
    return -1


@kernel()
def forget(own: Array, entry: Array) -> None:
    """Take an account out of what is screened, and its runs out of those of all."""
    own[N_RUNS] -= entry[S_RUNS]
    for way in range(WAYS):
        own[N_FOLLOWED + way] -= entry[S_FOLLOWED + way]
    entry[:] = 0


@kernel()
def _enter(own: Array, screen: Array, account: int) -> int:
    """Return the place of an account not screened yet: of one followed least, and longest ago."""
    place: int = 0
    least: int = -1
    for n in range(SCREENED):
        if screen[n, S_ACCOUNT] == 0:
            place = n
            break
        followed: int = 0
        for way in range(WAYS):
            followed += screen[n, S_FOLLOWED + way]
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


@kernel()
def client_executes(  # noqa: PLR0917
    numbers: Array,
    rows: Array,
    i: int,
    who: int,
    own: Array,
    acts: Array,
    screen: Array,
    suspects: Array,
    screened: Array,
) -> None:
    """Add a fill of a client's account to its executions, and those to its run."""
    x, account = rows[i, P_CODE], rows[i, P_ACCOUNT]
    made, received, side = own[x, N_CLIENTS], rows[i, P_RECEIVED], rows[i, P_SIDE]
    last = (made - 1) % CLIENT_ACTS
    if made and acts[x, last, A_INCOMING] == rows[i, P_INCOMING]:
        acts[x, last, A_LOTS] += rows[i, P_LOTS]
        acts[x, last, A_DOUBT] |= rows[i, P_DOUBT]
        return
    place = _place(screen, screened, x, account)
    if place < 0:
        place = _enter(own[x], screen[x], account)
    paused = received - screen[x, place, S_LAST] > numbers[GAP]
    if screen[x, place, S_SIDE] != side or paused:
        screen[x, place, S_SIDE], screen[x, place, S_RUN] = side, made
        screen[x, place, S_RUNS] += 1
        own[x, N_RUNS] += 1
    screen[x, place, S_LAST] = received
    act = acts[x, made % CLIENT_ACTS]
    act[A_RECEIVED], act[A_SIDE], act[A_LOTS] = received, side, rows[i, P_LOTS]
    act[A_SEQ], act[A_INCOMING] = rows[i, P_SEQ], rows[i, P_INCOMING]
    act[A_ACCOUNT], act[A_OWNER], act[A_ORIGINATOR] = account, who, rows[i, P_ORIGINATOR]
    act[A_RUN], act[A_WAYS], act[A_SLOT] = screen[x, place, S_RUN], 0, 0
    act[A_DOUBT] = rows[i, P_DOUBT]
    for n in range(SUSPECTS):
        if suspects[x, n, ACCOUNT] == account + 1:
            act[A_SLOT] = n + 1
    own[x, N_CLIENTS] += 1


@kernel()
def _leads(  # noqa: PLR0917
    numbers: Array, episode: Array, own: Array, acts: Array, y: int, place: int
) -> bool:
    """Return whether an execution that is not too early is another's, ahead on an order's side."""
    originator = acts[y, place, A_ORIGINATOR]
    return (
        episode[E_BEGAN] - acts[y, place, A_RECEIVED] > numbers[DELTA]
        and acts[y, place, A_SIDE] == episode[E_SIDE]
        and acts[y, place, A_OWNER] != episode[E_OWNER]
        and not (originator >= 0 and originator == episode[E_ORIGINATOR])
        and 1_000 * acts[y, place, A_LOTS] <= own[y, USUAL] * numbers[MOST]
    )


@kernel()
def ahead_by_clients(  # noqa: PLR0917
    numbers: Array, episode: Array, own: Array, acts: Array, suspects: Array, y: int
) -> int:
    """Return the bits of a packed state: which suspects there are, and which clients were ahead.

    Nobody is ahead of his own orders: they say nothing of a suspect, and do not count for it.
    """
    state: int = 0
    some = False
    for n in range(SUSPECTS):
        if suspects[y, n, ACCOUNT] and suspects[y, n, OWNER] != episode[E_OWNER]:
            state |= 1 << (KNOWN_BITS + n)
            some = True
    made = own[y, N_CLIENTS]
    for back in range(min(made, CLIENT_ACTS)):
        place = (made - 1 - back) % CLIENT_ACTS
        lead = episode[E_BEGAN] - acts[y, place, A_RECEIVED]
        if lead > numbers[LEADS + SCALES - 1] * SECOND:
            break
        if not _leads(numbers, episode, own, acts, y, place):
            continue
        slot = acts[y, place, A_SLOT]
        if slot and not state >> (KNOWN_BITS + slot - 1) & 1:
            continue  # its owner has changed since, and is this order's
        unit = SUSPECTED + slot - 1 if slot else CROWD
        for scale in range(SCALES):
            if lead <= numbers[LEADS + scale] * SECOND:
                state |= 1 << (HIT_BITS + scale * UNITS + unit)
        if not some and state >> (HIT_BITS + CROWD) & 1:
            break  # there is nothing more to be seen
    return state


@kernel()
def latest_of(  # noqa: PLR0917
    numbers: Array, episode: Array, own: Array, acts: Array, y: int, slot: int
) -> int:
    """Return the place of a suspect's latest execution ahead of an order; -1 = no longer kept."""
    made = own[y, N_CLIENTS]
    for back in range(min(made, CLIENT_ACTS)):
        place = (made - 1 - back) % CLIENT_ACTS
        if acts[y, place, A_SLOT] == slot and _leads(numbers, episode, own, acts, y, place):
            return int(place)
    return -1


@kernel()
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


@kernel()
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


@kernel()
def screen_leaders(  # noqa: PLR0917
    numbers: Array,
    episode: Array,
    same: bool,
    own: Array,
    acts: Array,
    screen: Array,
    suspects: Array,
    screened: Array,
    y: int,
) -> None:
    """Note whose runs a large order follows, and suspect whose are followed too often.

    Parameters
    ----------
    same : bool
        Whether the order is in the instrument whose executions these are.
    y : int
        That instrument's code.
    """
    made = own[y, N_CLIENTS]
    first_way = 0 if same else SCALES
    for back in range(min(made, CLIENT_ACTS)):
        at = (made - 1 - back) % CLIENT_ACTS
        lead = episode[E_BEGAN] - acts[y, at, A_RECEIVED]
        if lead > numbers[LEADS + SCALES - 1] * SECOND:
            break
        if acts[y, at, A_SLOT] or not _leads(numbers, episode, own, acts, y, at):
            continue
        run = acts[y, at, A_RUN]
        if made - run > CLIENT_ACTS:
            continue
        followed = acts[y, run % CLIENT_ACTS, A_WAYS] >> first_way
        due: int = 0
        for scale in range(SCALES):
            if lead <= numbers[LEADS + scale] * SECOND:
                due |= 1 << scale
        due &= ~followed
        if due == 0:
            continue
        place = _place(screen, screened, y, acts[y, at, A_ACCOUNT])
        if place < 0 or run < screen[y, place, S_SINCE]:
            continue
        acts[y, run % CLIENT_ACTS, A_WAYS] |= due << first_way
        entry = screen[y, place]
        for scale in range(SCALES):
            if due >> scale & 1:
                way = first_way + scale
                entry[S_FOLLOWED + way] += 1
                own[y, N_FOLLOWED + way] += 1
                if _suspicious(numbers, own[y], entry, way):
                    _suspect(own[y], suspects[y], entry[S_ACCOUNT], acts[y, at, A_OWNER])
