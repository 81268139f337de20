"""Laps: what went from hand to hand until everyone stood where they stood before."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ingest.compiled import kernel, njit
from ingest.events import Array

_NONE: Final = -1
_ROUNDING: Final = 1e-9
"""More than a mean of sizes may be off by their largest for being summed in floats."""
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads neighbouring keys


@kernel()
def _place(node: int, lots: int, mask: int) -> int:
    mixed = (np.uint64(node) * _MIX ^ np.uint64(lots)) * _MIX
    return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))  # type: ignore[return-value]


@njit(cache=True)
def handed_on(src: Array, dst: Array, lots: Array) -> Array:
    """Return for each meeting the next one in which its buyer sells exactly as much, or -1.

    Parameters
    ----------
    src, dst : (n,) int64
        Seller and buyer of each meeting, in event order.
    lots : (n,) int64

    Examples
    --------
    >>> handed_on(np.array([0, 1, 1]), np.array([1, 2, 2]), np.array([5, 4, 5])).tolist()
    [2, -1, -1]
    """
    room = 2
    while room < 2 * len(src):
        room *= 2
    mask = room - 1
    table = np.full(room, _NONE, np.int32)
    following = np.full(len(src), _NONE, np.int32)
    for t in range(len(src) - 1, -1, -1):
        at = _place(dst[t], lots[t], mask)
        while table[at] != _NONE and (src[table[at]] != dst[t] or lots[table[at]] != lots[t]):
            at = (at + 1) & mask
        following[t] = table[at]
        at = _place(src[t], lots[t], mask)
        while table[at] != _NONE and (src[table[at]] != src[t] or lots[table[at]] != lots[t]):
            at = (at + 1) & mask
        table[at] = t
    return following


@njit(cache=True)
def parcels(src: Array, dst: Array, following: Array, max_members: int) -> tuple[Array, Array]:
    """Return the meetings of each lap of one parcel, one lap after the other, and their begins.

    A lap follows a meeting to those that hand its parcel on (`handed_on`) until it is back with
    its first seller: at most `max_members` meetings, nobody in it twice. No meeting is in two
    laps: the one that began first has it.

    Examples
    --------
    >>> src, dst = np.array([0, 1, 2, 0]), np.array([1, 2, 0, 3])
    >>> rows, begin = parcels(src, dst, np.array([1, 2, 3, -1]), 8)
    >>> rows.tolist(), begin.tolist()
    ([0, 1, 2], [0, 3])
    """
    rows = np.empty(len(src), np.int64)
    begin = np.zeros(len(src) // 2 + 2, np.int64)
    taken = np.zeros(len(src), np.bool_)
    path = np.empty(max_members, np.int64)
    found = 0
    for start in range(len(src)):
        t, steps, back = start, 0, False
        while t != _NONE and not taken[t] and steps < max_members:
            path[steps] = t
            steps += 1
            back = dst[t] == src[start]
            met = back
            for k in range(1, steps):
                met |= src[path[k]] == dst[t]
            t = _NONE if met else following[t]
        if not back:
            continue
        for k in range(steps):
            taken[path[k]] = True
            rows[begin[found] + k] = path[k]
        begin[found + 1] = begin[found] + steps
        found += 1
    return rows[: begin[found]].copy(), begin[: found + 1].copy()


@kernel()
def _stray(seller: Array, buyer: Array, lots: Array, net: Array, bound: float) -> int:
    """Return the last meeting but those at the ends that explains all nets past a bound, or -1."""
    short, long = -1, -1
    for m in range(len(net)):
        if net[m] < -bound:
            if short >= 0:
                return -1
            short = m
        elif net[m] > bound:
            if long >= 0:
                return -1
            long = m
    if short < 0 or long < 0:
        return -1
    for k in range(len(lots) - 2, 0, -1):
        if (
            seller[k] == short
            and buyer[k] == long
            and abs(net[short] + lots[k]) <= bound
            and abs(net[long] - lots[k]) <= bound
        ):
            return k
    return -1


@njit(cache=True)
def returns(  # noqa: PLR0917 - a kernel
    seller: Array, buyer: Array, lots: Array, members: int, tolerance: float, longest: int
) -> tuple[Array, int]:
    """Return which meetings lie in laps, and the number of laps: runs that share no meeting.

    A lap is the run that ends first, and of those the shortest, after which every member's
    |bought - sold| is at most `tolerance` times the mean size; one meeting between its first and
    its last may be left out where there are more than two members, for they also meet by chance.

    Parameters
    ----------
    seller, buyer : (n,) int64
        Members, numbered from 0, of each meeting, in event order.
    lots : (n,) int64
        Sizes, positive.
    members : int
        Number of members.
    tolerance : float
    longest : int
        Meetings of the longest lap.

    Examples
    --------
    >>> one, two = np.array([0, 1, 0, 0, 1]), np.array([1, 0, 1, 1, 0])
    >>> inside, laps = returns(one, two, np.array([500, 500, 300, 70, 300]), 3, 0.01, 64)
    >>> inside.tolist(), laps
    ([True, True, True, False, True], 2)
    """
    inside = np.zeros(len(lots), np.bool_)
    net = np.zeros(members, np.int64)
    since, laps = 0, 0
    slack = (members * tolerance + (2.0 if members > 2 else 0.0)) * (1.0 + _ROUNDING)
    for j in range(1, len(lots)):
        net[:] = 0
        total, away, largest = 0.0, 0, 0
        for i in range(j, max(since, j - longest + 1) - 1, -1):
            s, b = seller[i], buyer[i]
            away -= abs(net[s]) + abs(net[b])
            net[s] -= lots[i]
            net[b] += lots[i]
            away += abs(net[s]) + abs(net[b])
            total += lots[i]
            largest = max(largest, lots[i])
            # What is away from home is more than rounding and one stray meeting can be; most is,
            # whatever the mean, which the largest is at least.
            if i == j or away > slack * largest:
                continue
            bound = tolerance * total / (j - i + 1)
            if away > members * bound + (2 * largest if members > 2 else 0):
                continue
            off = 0
            for m in range(members):
                off += abs(net[m]) > bound
            stray = -1
            if off == 2 and members > 2:
                stray = _stray(seller[i : j + 1], buyer[i : j + 1], lots[i : j + 1], net, bound)
            if off == 0 or stray > 0:
                inside[i : j + 1] = True
                if stray > 0:
                    inside[i + stray] = False
                since = j + 1
                laps += 1
                break
    return inside, laps


class Runs(NamedTuple):
    """Runs of a pair's meetings one way, nothing of the pair the other way between them.

    In order of their first, then of their last meeting: `first`, `last`, `lots` together,
    `pieces` meetings. `onward` (meetings): the pair's next one in such a run, or -1.
    """

    first: Array
    last: Array
    lots: Array
    pieces: Array
    onward: Array


@njit(cache=True)
def next_of_pair(seller: Array, buyer: Array, members: int) -> Array:
    """Return for each meeting the pair's next one that way, nothing between the other way, or -1.

    >>> next_of_pair(np.array([0, 0, 1, 0]), np.array([1, 1, 0, 1]), 2).tolist()
    [1, -1, -1, -1]
    """
    onward = np.full(len(seller), _NONE, np.int64)
    later = np.full((members, members), _NONE, np.int64)  # the pair's next one, that way
    for t in range(len(seller) - 1, -1, -1):
        onward[t] = later[seller[t], buyer[t]]
        later[seller[t], buyer[t]] = t
        later[buyer[t], seller[t]] = _NONE
    return onward


@njit(cache=True)
def _runs(seller: Array, buyer: Array, lots: Array, members: int, pieces: int) -> Runs:
    """Return all runs of at most `pieces` meetings."""
    onward = next_of_pair(seller, buyer, members)
    run = np.empty((4, pieces * len(lots)), np.int64)
    count = 0
    for t in range(len(lots)):
        at, held = t, 0
        for piece in range(pieces):
            held += lots[at]
            run[0, count], run[1, count], run[2, count], run[3, count] = t, at, held, piece + 1
            count += 1
            at = onward[at]
            if at == _NONE:
                break
    return Runs(run[0, :count], run[1, :count], run[2, :count], run[3, :count], onward)


@njit(cache=True)
def _next_runs(seller: Array, buyer: Array, runs: Runs) -> Array:
    """Return for each run the first one after it that passes the same lots on, or -1."""
    room = 2
    while room < 2 * len(runs.first):
        room *= 2
    mask = room - 1
    table = np.full(room, _NONE, np.int64)
    later = np.full(len(runs.first), _NONE, np.int64)  # the next run of the same seller and lots
    following = np.full(len(runs.first), _NONE, np.int64)
    for run in range(len(runs.first) - 1, -1, -1):
        lots = runs.lots[run]
        for node in (buyer[runs.first[run]], seller[runs.first[run]]):
            at = _place(node, lots, mask)
            while table[at] != _NONE and (
                seller[runs.first[table[at]]] != node or runs.lots[table[at]] != lots
            ):
                at = (at + 1) & mask
            if node == buyer[runs.first[run]]:
                other = table[at]
                while other != _NONE and runs.first[other] <= runs.last[run]:
                    other = later[other]
                following[run] = other
            else:
                later[run] = table[at]
                table[at] = run
    return following


@kernel()
def use(start: int, pieces: int, onward: Array, used: Array) -> None:
    """Mark a run of meetings of one pair, from its first on, as used."""
    at = start
    for _ in range(pieces):
        used[at] = True
        at = onward[at]


@njit(cache=True)
def passed(
    seller: Array, buyer: Array, lots: Array, members: int, pieces: int
) -> tuple[Array, int]:
    """Return which meetings of a set pass a parcel round, and the number of such laps.

    As `parcels`, among the members of one set alone, where a parcel may be handed on in up to
    `pieces` meetings of one pair; other meetings in between do not matter.

    Parameters
    ----------
    seller, buyer : (n,) int64
        Members, numbered from 0, of each meeting, in event order.
    lots : (n,) int64
        Sizes, positive.
    members, pieces : int

    Examples
    --------
    >>> one, two = np.array([0, 0, 1, 2, 1]), np.array([1, 1, 2, 1, 0])
    >>> inside, laps = passed(one, two, np.array([300, 200, 40, 7, 500]), 3, 4)
    >>> inside.tolist(), laps
    ([True, True, False, False, True], 1)
    """
    inside = np.zeros(len(lots), np.bool_)
    runs = _runs(seller, buyer, lots, members, pieces)
    following = _next_runs(seller, buyer, runs)
    path = np.empty(members, np.int64)
    laps = 0
    for start in range(len(runs.first)):
        run, steps, back = start, 0, False
        while run != _NONE and steps < members:
            at, is_free = runs.first[run], True
            for _ in range(runs.pieces[run]):
                is_free &= not inside[at]
                at = runs.onward[at]
            if not is_free:
                break
            path[steps] = run
            steps += 1
            to = buyer[runs.first[run]]
            back = to == seller[runs.first[start]]
            met = back
            for k in range(1, steps):
                met |= seller[runs.first[path[k]]] == to
            run = _NONE if met else following[run]
        if not back:
            continue
        laps += 1
        for k in range(steps):
            use(runs.first[path[k]], runs.pieces[path[k]], runs.onward, inside)
    return inside, laps
