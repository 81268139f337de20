"""Pairs that meet far more often for a while than both are then active, and sets of such pairs."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.ring_tallies import KINDS
from ingest.compiled import njit
from ingest.events import Array

_HALVINGS: Final = 60
_ROUNDING: Final = 1e-9
"""What a product may be off by, far more than it is: what passes is looked at exactly."""


@njit(cache=True)
def excess(met: float, by_chance: float) -> float:
    """Return the Chernoff bound of log P(so many or more), Poisson; 0 if no more than chance.

    >>> round(excess(6.0, 1.0), 2), excess(1.0, 2.0)
    (-5.75, 0.0)
    """
    if met <= by_chance:
        return 0.0
    return met - by_chance - met * math.log(met / by_chance)


def longest_burst(log_p: float, least_ratio: float) -> int:
    """Return the meetings from which a pair at `least_ratio` times chance is past a surprise.

    Longer bursts tell no more: their pieces are past it already.

    >>> longest_burst(math.log(1e-8), 2.0)
    96
    """
    return math.ceil(-log_p / (math.log(least_ratio) - 1.0 + 1.0 / least_ratio))


@njit(cache=True)
def _most_by_chance(met: int, log_p: float) -> float:
    """Return how many meetings chance may give for so many to be past a surprise."""
    low, high = 0.0, float(met)
    for _ in range(_HALVINGS):
        by_chance = 0.5 * (low + high)
        if excess(float(met), by_chance) <= log_p:
            low = by_chance
        else:
            high = by_chance
    return high


@njit(cache=True)
def _may_burst(did: Array, met_so_far: Array, starts: int, met: int, ratio: float) -> bool:
    """Return whether a row of meetings is at least `ratio` times chance; see `bursts`.

    Without branches or divisions, for nearly all rows are not.
    """
    rest, take, rest_too, take_too = did[0, met:], did[1, met:], did[2, met:], did[3, met:]
    time, rested = met_so_far[0, met:], met_so_far[1, met:]
    found = 0
    for k in range(starts):
        x = rested[k] - met_so_far[1, k]
        y = met - x
        ways = (rest[k] - did[0, k] - x + 1.0) * (take_too[k] - did[3, k] - x + 1.0) + (
            take[k] - did[1, k] - y + 1.0
        ) * (rest_too[k] - did[2, k] - y + 1.0)
        found += met * (time[k] - met_so_far[0, k] - met + 2.0) >= ratio * ways
    return found > 0


@njit(cache=True)
def bursts(  # noqa: PLR0917 - a kernel
    src: Array,
    dst: Array,
    bought: Array,
    so_far: Array,
    position: Array,
    begin: Array,
    log_p: float,
    least: int,
    most: int,
    ratio: float,
) -> tuple[Array, Array]:
    """Return bursts of pairs, and how surprising each is.

    A burst is a row of meetings of one pair. Who rested and who took are two margins of one table:
    were they independent, two accounts would meet rests x takes / trades times while it lasts,
    both ways, their own meetings left out (rule of succession: + 1, + 2 trades). A pair that meets
    n times has n / `least` chances of a burst, and its surprise is so much less.

    Parameters
    ----------
    src, dst : (n,) int64
        Seller and buyer of each meeting, nodes, in event order.
    bought : (n,) bool
        Whether the buyer took.
    so_far : (n, 8) int32
        See `ring_tallies.tallied`.
    position : (n,) int64
        Meetings sorted by pair, in order within one.
    begin : (pairs + 1,) int64
        Where each pair begins in `position`.
    log_p : float
        Bursts less surprising are left out.
    least, most : int
        Meetings of the shortest burst; bursts of `most` or more are looked at in pieces.
    ratio : float
        Meetings over those by chance, at least.

    Returns
    -------
    found : (bursts, 4) int64
        The pair's nodes, first and last meeting.
    log_p : (bursts,) float64
    """
    found = np.empty((256, 4), np.int64)
    surprise = np.empty(256, np.float64)
    count = 0
    at_least = np.empty(most + 1, np.float64)  # meetings over those by chance, by meetings
    for met in range(1, most + 1):
        at_least[met] = max(ratio, met / _most_by_chance(met, log_p)) * (1.0 - _ROUNDING)
    room = np.diff(begin).max() if len(begin) > 1 else 0
    rested = np.zeros(room + 1, np.int32)  # meetings so far in which the first one rested
    did = np.empty((KINDS, room), np.float64)  # the pair's rests and takes so far; exact
    met_so_far = np.empty((2, room), np.float64)  # meetings: all, and in which one rested
    for p in range(len(begin) - 1):
        if begin[p + 1] - begin[p] < least:
            continue
        of_pair = position[begin[p] : begin[p + 1]]
        one, other = src[of_pair[0]], dst[of_pair[0]]
        chances = math.log(len(of_pair) / least)
        for k in range(len(of_pair)):
            t = of_pair[k]
            rested[k + 1] = rested[k] + (bought[t] == (src[t] == one))
            a, b = (0, KINDS) if src[t] == one else (KINDS, 0)
            did[0, k], did[1, k] = so_far[t, a], so_far[t, a + 1]
            did[2, k], did[3, k] = so_far[t, b], so_far[t, b + 1]
            met_so_far[0, k], met_so_far[1, k] = t, rested[k + 1]
        size = least
        while size <= min(len(of_pair), most):
            met = size - 1  # the first one opens it
            starts = len(of_pair) - met
            if not _may_burst(did, met_so_far, starts, met, at_least[met]):
                size += max(1, size // 2)
                continue
            k = -1
            while k + 1 < starts:
                k += 1
                i, j = of_pair[k], of_pair[k + met]
                x = rested[k + size] - rested[k + 1]
                y = met - x
                by_chance = (
                    (did[0, k + met] - did[0, k] - x + 1.0)
                    * (did[3, k + met] - did[3, k] - x + 1.0)
                    + (did[1, k + met] - did[1, k] - y + 1.0)
                    * (did[2, k + met] - did[2, k] - y + 1.0)
                ) / (j - i - met + 2.0)
                if met < ratio * by_chance:
                    continue
                log_here = excess(met, by_chance) + chances
                if log_here > log_p:
                    continue
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                    surprise = np.concatenate((surprise, np.empty_like(surprise)))
                found[count, 0], found[count, 1] = one, other
                found[count, 2], found[count, 3] = i, j
                surprise[count] = log_here
                count += 1
                k += met // 2  # bursts of one size overlap by half: enough to join them
            size += max(1, size // 2)
    return found[:count].copy(), surprise[:count].copy()


@njit(cache=True)
def sets_of(
    found: Array, surprise: Array, levels: Array, max_members: int, meetings: int
) -> tuple[Array, Array]:
    """Return the sets of nodes that bursts at one time join, and the meetings that these span.

    Parameters
    ----------
    found, surprise
        See `bursts`.
    levels : (levels,) float64
        Surprises from which bursts are joined, one level after the other: what weaker ones join
        to a set too large is parted again at stronger ones.
    max_members : int
        Larger sets are left out.
    meetings : int
        Of the window.

    Returns
    -------
    who : (sets, max_members) int64
        Nodes, ascending; -1 fills up. One set may stand there more than once.
    span : (sets, 2) int64
        First meeting, and the one after the last.
    """
    count = len(found)
    key = np.empty(2 * count, np.int64)
    for k in range(count):
        key[2 * k] = found[k, 0] * meetings + found[k, 2]
        key[2 * k + 1] = found[k, 1] * meetings + found[k, 2]
    order = np.argsort(key, kind="mergesort")
    who = np.full((64, max_members), -1, np.int64)
    span = np.empty((64, 2), np.int64)
    sets = 0
    root = np.empty(count, np.int64)
    members = np.empty(max_members + 1, np.int64)
    for log_p in levels:
        _join(found, surprise, order, log_p, root)
        kept = np.flatnonzero(surprise <= log_p)
        by_root = kept[np.argsort(root[kept], kind="mergesort")]
        k = 0
        while k < len(by_root):
            size, first, end = 0, meetings, 0
            start = k
            while k < len(by_root) and root[by_root[k]] == root[by_root[start]]:
                one = by_root[k]
                for side in range(2):
                    if size <= max_members:
                        size = put(members, size, found[one, side])
                first, end = min(first, found[one, 2]), max(end, found[one, 3] + 1)
                k += 1
            if size > max_members:
                continue
            if sets == len(who):
                who = np.concatenate((who, np.full_like(who, -1)))
                span = np.concatenate((span, np.empty_like(span)))
            who[sets, :size] = members[:size]
            span[sets, 0], span[sets, 1] = first, end
            sets += 1
    return who[:sets].copy(), span[:sets].copy()


@njit(cache=True)
def put(members: Array, size: int, node: int) -> int:
    """Put a node in its place in a sorted row unless it is there; return the new size."""
    at = size
    while at > 0 and members[at - 1] >= node:
        at -= 1
    if at < size and members[at] == node:
        return size
    for k in range(size, at, -1):
        members[k] = members[k - 1]
    members[at] = node
    return size + 1


@njit(cache=True)
def _join(found: Array, surprise: Array, order: Array, log_p: float, root: Array) -> None:
    """Write for each burst the one that stands for all that share a node with it in time."""
    for one in range(len(root)):
        root[one] = one
    last, until, before = -1, -1, -1
    for entry in order:
        one = entry // 2
        if surprise[one] > log_p:
            continue
        node = found[one, entry % 2]
        if node == last and found[one, 2] <= until:
            a, b = one, before
            while root[a] != a:
                a = root[a]
            while root[b] != b:
                root[b] = root[root[b]]
                b = root[b]
            root[a] = b
            until = max(until, found[one, 3])
        else:
            last, until = node, found[one, 3]
        before = one
    for one in range(len(root)):
        top = one
        while root[top] != top:
            root[top] = root[root[top]]
            top = root[top]
        root[one] = top
