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
from ingest.compiled import njit
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


@njit(cache=True)
def _size(own: Array, sizes: Array, incoming: int, lots: int) -> None:
    """Add a client's fill to what usual sizes are."""
    if own[LAST_INCOMING] == incoming:
        own[LAST_LOTS] += lots
        return
    if own[LAST_INCOMING]:
        sizes[own[N_SIZES] % SIZES] = own[LAST_LOTS]
        own[N_SIZES] += 1
        if own[N_SIZES] >= FEW and own[N_SIZES] % USUAL_EVERY == 0:
            own[USUAL] = _median(sizes, own[N_SIZES])
    own[LAST_INCOMING], own[LAST_LOTS] = incoming, lots


@njit(cache=True)
def _slot(slots: Array, account: int) -> int:
    """Return an account's slot, from 1; 0 where all are taken by others."""
    for n in range(GROUP_SLOTS):
        if slots[n] == 0:
            slots[n] = account + 1
        if slots[n] == account + 1:
            return n + 1
    return 0


@njit(cache=True)
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


@njit(cache=True)
def _maker(own: Array, account: int) -> None:
    """Note that an external maker trades."""
    if own[MAKER_A] == 0:
        own[MAKER_A] = account + 1
    elif own[MAKER_B] == 0 and own[MAKER_A] != account + 1:
        own[MAKER_B] = account + 1


@njit(cache=True)
def _ahead(  # noqa: PLR0917
    numbers: Array, own: Array, acts: Array, flow: Array, side: int, began: int
) -> tuple[int, int]:
    """Return the packed state of an instrument before a client's order, and the latest execution.

    That is its place in the group's ring + 1; 0 = none.
    """
    state: int = 0
    latest: int = 0
    second = began // SECOND
    most = own[USUAL] * numbers[MOST]
    for scale in range(SCALES):
        net: int = 0
        for back in range(numbers[LEADS + scale] + 1):
            bucket = flow[(second - back) % SECONDS]
            if bucket[0] == second - back:
                net += bucket[1]
        net *= side
        state |= (0 if net < 0 else 1 if net == 0 else 2) << (2 * scale)
    for c in range(2):
        made = own[N_GROUP] if c == 0 else own[N_PEERS]
        for back in range(min(made, ACTS)):
            act = acts[c, (made - 1 - back) % ACTS]
            lead = began - act[A_RECEIVED]
            if lead > numbers[LEADS + SCALES - 1] * SECOND:
                break
            if lead <= numbers[DELTA] or act[A_SIDE] != side or 1_000 * act[A_LOTS] > most:
                continue
            bits = (1 << COMPLEX) if c == 0 else (1 << PEERS)
            if c == 0 and act[A_SLOT]:
                bits |= 1 << act[A_SLOT]
            if c == 0 and latest == 0:
                latest = (made - 1 - back) % ACTS + 1
            for scale in range(SCALES):
                if lead <= numbers[LEADS + scale] * SECOND:
                    state |= bits << (HIT_BITS + scale * UNITS)
    return state, latest


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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
) -> None:
    """Take trades of all instruments, in order of event time, instrument and seq.

    Parameters
    ----------
    kin : (instruments, RELATED) int64
        Codes of an instrument and of others on its underlying; -1 = none.
    """
    for i in range(len(rows)):
        row = rows[i]
        x, side, clock = row[P_CODE], row[P_SIDE], row[P_CLOCK]
        if row[P_ROLE] == _MAKER:
            _maker(own[x], row[P_ACCOUNT])
        if row[P_RESTING_ROLE] == _MAKER:
            _maker(own[x], row[P_RESTING])
        if row[P_GROUP]:
            if row[P_RECEIVED] != _NULL:
                _execute(row, own[x], acts[x, 0], slots[x], True)
            continue
        if row[P_ROLE] == _MAKER:
            if row[P_RECEIVED] != _NULL:
                _execute(row, own[x], acts[x, 1], slots[x], False)
        elif row[P_ROLE] == _CLIENT and row[P_RECEIVED] != _NULL:
            _size(own[x], sizes[x], row[P_INCOMING], row[P_LOTS])
            who = row[P_OWNER] if row[P_OWNER] >= 0 else -row[P_ACCOUNT] - 2
            found, free, oldest = -1, -1, 0
            for n in range(OPEN):
                episode = episodes[x, n]
                if episode[E_SIDE] != 0 and episode[E_LAST] + numbers[GAP] < clock:
                    if not episode[E_COUNTED]:
                        _count(episode, tallies[x])
                    episode[E_SIDE] = 0
                if episode[E_SIDE] == 0:
                    free = n
                    continue
                if episode[E_LAST] < episodes[x, oldest, E_LAST]:
                    oldest = n
                if (
                    episode[E_SIDE] == side
                    and episode[E_OWNER] == who
                    and episode[E_ORIGINATOR] == row[P_ORIGINATOR]
                ):
                    found = n
            if found < 0:
                if free < 0:
                    if not episodes[x, oldest, E_COUNTED]:
                        _count(episodes[x, oldest], tallies[x])
                    free = oldest
                    lost[0] += 1
                found = free
                episode = episodes[x, found]
                episode[E_OWNER], episode[E_ORIGINATOR] = who, row[P_ORIGINATOR]
                episode[E_SIDE], episode[E_BEGAN], episode[E_LOTS] = side, row[P_RECEIVED], 0
                episode[E_SEQ], episode[E_DOUBT], episode[E_COUNTED] = row[P_SEQ], 0, 0
                episode[E_GRADE], episode[E_HIT], episode[E_NOTED] = 0, 0, 0
                for related in range(RELATED):
                    y = kin[x, related]
                    episode[E_STATE + related], episode[E_ACT + related] = -1, 0
                    if y == x or (y >= 0 and own[y, USUAL] > 0):
                        state, place = _ahead(
                            numbers, own[y], acts[y], flow[y], side, row[P_RECEIVED]
                        )
                        state |= ahead_by_clients(numbers, episode, own[y], clients[y], suspects[y])
                        episode[E_STATE + related], episode[E_ACT + related] = state, place
            episode = episodes[x, found]
            episode[E_LAST], episode[E_DOUBT] = clock, episode[E_DOUBT] | row[P_DOUBT]
            episode[E_LOTS] += row[P_LOTS]
            usual, was = own[x, USUAL], episode[E_GRADE]
            while (
                usual > 0
                and episode[E_GRADE] < GRADES
                and 1_000 * episode[E_LOTS] >= numbers[LARGE + episode[E_GRADE]] * usual
            ):
                episode[E_GRADE] += 1
            grade = episode[E_GRADE]
            if grade > was:
                if was == 0:
                    note(clock, numbers, episode, x, own, hits[x], acts, clients, kin[x])
                else:
                    regrade(episode, own[x], hits[x])
                if was <= SCREENED_GRADE < grade:
                    for related in range(RELATED):
                        y = kin[x, related]
                        if y >= 0:
                            screen_leaders(
                                numbers, episode, y == x, own[y], clients[y], screen[y], suspects[y]
                            )
                if grade == GRADES:
                    _count(episode, tallies[x])
            client_executes(numbers, row, who, own[x], clients[x], screen[x], suspects[x])
        bucket = flow[x, clock // SECOND % SECONDS]
        if bucket[0] != clock // SECOND:
            bucket[0], bucket[1] = clock // SECOND, 0
        bucket[1] += side * row[P_LOTS]
