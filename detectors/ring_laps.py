"""Laps: what went from hand to hand until everyone stood where they stood before."""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import njit
from ingest.events import Array

LONGEST: Final = 64
"""Meetings of the longest lap: eight hands that pass on eight pieces each."""

_NONE: Final = -1
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads neighbouring keys


@njit(cache=True)
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


@njit(cache=True)
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
def returns(
    seller: Array, buyer: Array, lots: Array, members: int, tolerance: float
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

    Examples
    --------
    >>> one, two = np.array([0, 1, 0, 0, 1]), np.array([1, 0, 1, 1, 0])
    >>> inside, laps = returns(one, two, np.array([500, 500, 300, 70, 300]), 2, 0.01)
    >>> inside.tolist(), laps
    ([True, True, True, False, True], 2)
    """
    inside = np.zeros(len(lots), np.bool_)
    net = np.zeros(members, np.int64)
    since, laps = 0, 0
    for j in range(1, len(lots)):
        net[:] = 0
        total = 0.0
        for i in range(j, max(since, j - LONGEST + 1) - 1, -1):
            net[seller[i]] -= lots[i]
            net[buyer[i]] += lots[i]
            total += lots[i]
            if i == j:
                continue
            bound = tolerance * total / (j - i + 1)
            off = 0
            for m in range(members):
                off += abs(net[m]) > bound
                if off > 2:
                    break
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
