"""The compiled pass of information_leak: who had taken the side of a client's order before it came.

Each client's episode of taking orders is looked at as it begins: which units had executed on its
side in the times before. It is counted once, as large as it has come to: when it is over, or as
soon as it is as large as any that are told apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.leak_note import note, regrade
from detectors.leak_screen import (
    DELTA,
    GAP,
    LARGE,
    LEADS,
    MOST,
    ahead_by_clients,
    client_executes,
    screen_leaders,
)
from detectors.leak_state import (
    A_ACCOUNT,
    A_DOUBT,
    A_INCOMING,
    A_LOTS,
    A_RECEIVED,
    A_SEQ,
    A_SIDE,
    A_SLOT,
    ACTS,
    COMPLEX,
    E_ACT,
    E_BEGAN,
    E_COUNTED,
    E_DOUBT,
    E_GRADE,
    E_HIT,
    E_LAST,
    E_LOTS,
    E_NOTED,
    E_ORIGINATOR,
    E_OWNER,
    E_SEQ,
    E_SIDE,
    E_STATE,
    EACH,
    FLOWS,
    FULL,
    GRADES,
    GROUP_SLOTS,
    HIT_BITS,
    KNOWN_BITS,
    LAST_INCOMING,
    LAST_LOTS,
    MAKER_A,
    MAKER_B,
    N_GROUP,
    N_PEERS,
    N_SIZES,
    OPEN,
    P_ACCOUNT,
    P_CLOCK,
    P_CODE,
    P_DOUBT,
    P_GROUP,
    P_INCOMING,
    P_LOTS,
    P_ORIGINATOR,
    P_OWNER,
    P_RECEIVED,
    P_RESTING,
    P_RESTING_ROLE,
    P_ROLE,
    P_SEQ,
    P_SIDE,
    PEERS,
    RELATED,
    SCALES,
    SCREENED_GRADE,
    SECONDS,
    SIZES,
    SUSPECTS,
    T_ALL,
    T_HITS,
    T_KNOWN,
    T_LARGE,
    UNITS,
    USUAL,
    USUAL_EVERY,
)  # fmt: skip
from ingest.compiled import kernel, njit
from ingest.events import NULL, Array, Role
from ingest.times import SECOND

FEW: Final = 16
"""Client orders below which none is large."""
_NULL: Final = int(NULL)
_CLIENT, _MAKER = int(Role.CLIENT), int(Role.EXTERNAL_MM)


@njit(cache=True)
def _median(sizes: Array, made: int) -> int:
    n = min(made, SIZES)
    return int(np.partition(sizes[:n].copy(), n // 2)[n // 2])


@kernel()
def _size(own: Array, sizes: Array, incoming: int, lots: int) -> None:
    """Begin a client's order, and add the last one to what usual sizes are."""
    if own[LAST_INCOMING]:
        sizes[own[N_SIZES] % SIZES] = own[LAST_LOTS]
        own[N_SIZES] += 1
        if own[N_SIZES] >= FEW and own[N_SIZES] % USUAL_EVERY == 0:
            own[USUAL] = _median(sizes, own[N_SIZES])
    own[LAST_INCOMING], own[LAST_LOTS] = incoming, lots


@kernel()
def _slot(slots: Array, account: int) -> int:
    """Return an account's slot, from 1; 0 where all are taken by others."""
    for n in range(GROUP_SLOTS):
        if slots[n] == 0:
            slots[n] = account + 1
        if slots[n] == account + 1:
            return n + 1
    return 0


@kernel()
def _execute(row: Array, own: Array, acts: Array, slots: Array, group: bool) -> None:
    """Add a fill of the group's, or of an external maker's, to its executions."""
    made = own[N_GROUP] if group else own[N_PEERS]
    last = acts[(made - 1) % ACTS]
    if made and last[A_INCOMING] == row[P_INCOMING]:
        last[A_LOTS] += row[P_LOTS]
        last[A_DOUBT] |= row[P_DOUBT]
        return
    act = acts[made % ACTS]
    act[A_RECEIVED], act[A_SIDE], act[A_LOTS] = row[P_RECEIVED], row[P_SIDE], row[P_LOTS]
    act[A_SEQ], act[A_INCOMING] = row[P_SEQ], row[P_INCOMING]
    act[A_ACCOUNT], act[A_DOUBT] = row[P_ACCOUNT], row[P_DOUBT]
    act[A_SLOT] = _slot(slots, row[P_ACCOUNT]) if group else 0
    if group:
        own[N_GROUP] += 1
    else:
        own[N_PEERS] += 1


@kernel()
def _maker(own: Array, account: int) -> None:
    """Note that an external maker trades."""
    if own[MAKER_A] == 0:
        own[MAKER_A] = account + 1
    elif own[MAKER_B] == 0 and own[MAKER_A] != account + 1:
        own[MAKER_B] = account + 1


@kernel()
def _ahead(  # noqa: PLR0917
    numbers: Array, own: Array, acts: Array, flow: Array, y: int, side: int, began: int
) -> tuple[int, int]:
    """Return the packed state of an instrument before a client's order, and the latest execution.

    That is its place in the group's ring + 1; 0 = none.
    """
    state: int = 0
    latest: int = 0
    second = began // SECOND
    most = own[y, USUAL] * numbers[MOST]
    net: int = 0
    summed: int = 0  # seconds, of the shorter time before
    for scale in range(SCALES):
        for back in range(summed, numbers[LEADS + scale] + 1):
            at = (second - back) % SECONDS
            if flow[y, at, 0] == second - back:
                net += flow[y, at, 1]
        summed = numbers[LEADS + scale] + 1
        with_it = side * net
        state |= (0 if with_it < 0 else 1 if with_it == 0 else 2) << (2 * scale)
    for c in range(2):
        made = own[y, N_GROUP] if c == 0 else own[y, N_PEERS]
        place = made % ACTS
        for _ in range(min(made, ACTS)):
            place = place - 1 if place > 0 else ACTS - 1
            lead = began - acts[y, c, place, A_RECEIVED]
            if lead > numbers[LEADS + SCALES - 1] * SECOND:
                break
            if (
                lead <= numbers[DELTA]
                or acts[y, c, place, A_SIDE] != side
                or 1_000 * acts[y, c, place, A_LOTS] > most
            ):
                continue
            bits = (1 << COMPLEX) if c == 0 else (1 << PEERS)
            slot = acts[y, c, place, A_SLOT]
            if c == 0 and slot:
                bits |= 1 << slot
            if c == 0 and latest == 0:
                latest = place + 1
            for scale in range(SCALES):
                if lead <= numbers[LEADS + scale] * SECOND:
                    state |= bits << (HIT_BITS + scale * UNITS)
    return state, latest


@kernel()
def _count(episode: Array, tallies: Array) -> None:
    """Add a client's episode to the tallies of the look that is going on, as large as it is."""
    grade = episode[E_GRADE]
    for related in range(RELATED):
        state = episode[E_STATE + related]
        if state < 0:
            continue
        for scale in range(SCALES):
            flow = state >> (2 * scale) & 3
            tally = tallies[related, scale, (FLOWS if episode[E_SIDE] < 0 else 0) + flow]
            if tally[T_ALL] == FULL:
                continue
            for place in range(T_ALL, T_LARGE + grade):
                tally[place] += 1
            for unit in range(UNITS):
                if state >> (HIT_BITS + scale * UNITS + unit) & 1:
                    first = T_HITS + EACH * unit
                    for place in range(first, first + 1 + grade):
                        tally[place] += 1
            for n in range(SUSPECTS):
                if state >> (KNOWN_BITS + n) & 1:
                    first = T_KNOWN + EACH * n
                    for place in range(first, first + 1 + grade):
                        tally[place] += 1
    episode[E_COUNTED] = 1


@kernel()
def over(numbers: Array, episodes: Array, tallies: Array, before_ns: int) -> int:
    """Count and free an instrument's episodes that are over before a time; return how many stay."""
    left = 0
    for n in range(OPEN):
        episode = episodes[n]
        if episode[E_SIDE] == 0:
            continue
        if episode[E_LAST] + numbers[GAP] < before_ns:
            if not episode[E_COUNTED]:
                _count(episode, tallies)
            episode[E_SIDE] = 0
        else:
            left += 1
    return left


@kernel()
def _find(  # noqa: PLR0917
    numbers: Array,
    rows: Array,
    i: int,
    who: int,
    episodes: Array,
    tallies: Array,
    lowest: Array,
) -> tuple[int, int]:
    """Return the place of a client's open episode, and the last free one; -1 = none.

    Episodes that are over are counted, and their places free.
    """
    x, clock = rows[i, P_CODE], rows[i, P_CLOCK]
    found, free, first = -1, -1, OPEN
    for n in range(lowest[x], OPEN):
        if episodes[x, n, E_SIDE] == 0:
            free = n
            continue
        if episodes[x, n, E_LAST] + numbers[GAP] < clock:
            if not episodes[x, n, E_COUNTED]:
                _count(episodes[x, n], tallies[x])
            episodes[x, n, E_SIDE] = 0
            free = n
            continue
        first = min(first, n)
        if (
            episodes[x, n, E_SIDE] == rows[i, P_SIDE]
            and episodes[x, n, E_OWNER] == who
            and episodes[x, n, E_ORIGINATOR] == rows[i, P_ORIGINATOR]
        ):
            found = n
    if free < 0:
        free = lowest[x] - 1
    lowest[x] = first if found >= 0 else min(first, max(free, 0))
    return found, free


@kernel()
def _make_room(episodes: Array, tallies: Array, lost: Array) -> int:
    """Return the place of the episode that traded longest ago, counted before its end."""
    oldest: int = 0
    for n in range(1, OPEN):
        if episodes[n, E_LAST] < episodes[oldest, E_LAST]:
            oldest = n
    if not episodes[oldest, E_COUNTED]:
        _count(episodes[oldest], tallies)
    lost[0] += 1
    return oldest


@kernel()
def scan(  # noqa: PLR0917
    rows: Array,
    numbers: Array,
    kin: Array,
    own: Array,
    sizes: Array,
    slots: Array,
    acts: Array,
    flow: Array,
    episodes: Array,
    hits: Array,
    tallies: Array,
    clients: Array,
    screen: Array,
    suspects: Array,
    lost: Array,
    lowest: Array,
    screened: Array,
) -> None:
    """Take trades of all instruments, in order of event time, instrument and seq.

    Parameters
    ----------
    kin : (instruments, RELATED) int64
        Codes of an instrument and of others on its underlying; -1 = none.
    lowest : (instruments,) int64
        A place below which no episode is open.
    screened : (instruments, HINTS) int64
        Where accounts may be screened.
    """
    for i in range(len(rows)):
        x, side, clock = rows[i, P_CODE], rows[i, P_SIDE], rows[i, P_CLOCK]
        role, lots = rows[i, P_ROLE], rows[i, P_LOTS]
        if own[x, MAKER_B] == 0:
            if role == _MAKER:
                _maker(own[x], rows[i, P_ACCOUNT])
            if rows[i, P_RESTING_ROLE] == _MAKER:
                _maker(own[x], rows[i, P_RESTING])
        if rows[i, P_GROUP]:
            if rows[i, P_RECEIVED] != _NULL:
                _execute(rows[i], own[x], acts[x, 0], slots[x], True)
            continue
        if role == _MAKER:
            if rows[i, P_RECEIVED] != _NULL:
                _execute(rows[i], own[x], acts[x, 1], slots[x], False)
        elif role == _CLIENT and rows[i, P_RECEIVED] != _NULL:
            if own[x, LAST_INCOMING] == rows[i, P_INCOMING]:
                own[x, LAST_LOTS] += lots
            else:
                _size(own[x], sizes[x], rows[i, P_INCOMING], lots)
            who = rows[i, P_OWNER] if rows[i, P_OWNER] >= 0 else -rows[i, P_ACCOUNT] - 2
            found, free = _find(numbers, rows, i, who, episodes, tallies, lowest)
            if found < 0:
                found = free if free >= 0 else _make_room(episodes[x], tallies[x], lost)
                episode = episodes[x, found]
                episode[E_OWNER], episode[E_ORIGINATOR] = who, rows[i, P_ORIGINATOR]
                episode[E_SIDE], episode[E_BEGAN], episode[E_LOTS] = side, rows[i, P_RECEIVED], 0
                episode[E_SEQ], episode[E_DOUBT], episode[E_COUNTED] = rows[i, P_SEQ], 0, 0
                episode[E_GRADE], episode[E_HIT], episode[E_NOTED] = 0, 0, 0
                for related in range(RELATED):
                    y = kin[x, related]
                    episode[E_STATE + related], episode[E_ACT + related] = -1, 0
                    if y == x or (y >= 0 and own[y, USUAL] > 0):
                        state, place = _ahead(
                            numbers, own, acts, flow, y, side, rows[i, P_RECEIVED]
                        )
                        state |= ahead_by_clients(numbers, episode, own, clients, suspects, y)
                        episode[E_STATE + related], episode[E_ACT + related] = state, place
            episodes[x, found, E_LAST] = clock
            episodes[x, found, E_DOUBT] |= rows[i, P_DOUBT]
            episodes[x, found, E_LOTS] += lots
            usual, was = own[x, USUAL], episodes[x, found, E_GRADE]
            grade = was
            while (
                usual > 0
                and grade < GRADES
                and 1_000 * episodes[x, found, E_LOTS] >= numbers[LARGE + grade] * usual
            ):
                grade += 1
            if grade > was:
                episode = episodes[x, found]
                episode[E_GRADE] = grade
                if was == 0:
                    note(clock, numbers, episode, x, own, hits[x], acts, clients, kin[x])
                else:
                    regrade(episode, own[x], hits[x])
                if was <= SCREENED_GRADE < grade:
                    for related in range(RELATED):
                        y = kin[x, related]
                        if y >= 0:
                            screen_leaders(
                                numbers, episode, y == x, own, clients, screen, suspects, screened,
                                y,
                            )  # fmt: skip
                if grade == GRADES:
                    _count(episode, tallies[x])
            client_executes(numbers, rows, i, who, own, clients, screen, suspects, screened)
        second = clock // SECOND
        at = second % SECONDS
        if flow[x, at, 0] != second:
            flow[x, at, 0], flow[x, at, 1] = second, 0
        flow[x, at, 1] += side * lots
