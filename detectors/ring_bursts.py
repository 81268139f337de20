"""Pairs that meet far more often for a while than both are then active, and sets of such pairs."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.ring_sieve import Asked, bit_of, counted, sieved, surprise_of
from ingest.compiled import njit
from ingest.events import Array

_TOGETHER: Final = 2048
"""Meetings of pairs that are sieved together: enough to fill vectors, few enough for the cache."""


def longest_burst(log_p: float, least_ratio: float) -> int:
    """Return the meetings from which a pair at `least_ratio` times chance is past a surprise.

    Longer bursts tell no more: their pieces are past it already.

    >>> longest_burst(math.log(1e-8), 2.0)
    96
    """
    return math.ceil(-log_p / (math.log(least_ratio) - 1.0 + 1.0 / least_ratio))


@njit(cache=True)
def bursts(  # noqa: PLR0917 - a kernel
    src: Array,
    dst: Array,
    bought: Array,
    so_far: Array,
    position: Array,
    begin: Array,
    log_p: float,
    asked: Asked,
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
    asked : Asked
        Of bursts; larger ones are looked at in pieces.

    Returns
    -------
    found : (bursts, 4) int64
        The pair's nodes, first and last meeting.
    log_p : (bursts,) float64
    """
    found = np.empty((256, 4), np.int64)
    surprise = np.empty(256, np.float64)
    count, last, sizes = 0, 0, asked.sizes
    met_by_pair = np.diff(begin)
    pairs = np.flatnonzero(met_by_pair >= sizes[0])
    room = _TOGETHER + (met_by_pair.max() if len(pairs) else 0)
    counts, need = np.empty((6, room), np.float32), np.empty(room, np.float32)
    may, picked = np.empty(room, np.int32), np.empty(room, np.int64)
    while last < len(pairs):
        first, held = last, 0
        while last < len(pairs) and held < _TOGETHER:
            of_pair = position[begin[pairs[last]] : begin[pairs[last] + 1]]
            counted(src, bought, so_far, of_pair, counts, held)
            held += len(of_pair)
            last += 1
        sieved(counts, met_by_pair[pairs[first:last]], asked, need, may)
        at = 0
        for pair in pairs[first:last]:
            met_in_all, opens = met_by_pair[pair], position[begin[pair]]
            chances = math.log(met_in_all / sizes[0])
            some = 0
            for bits in may[at : at + met_in_all]:
                some |= bits
            for s in range(len(sizes)):
                met = sizes[s] - 1  # the first one opens it
                if not some >> bit_of(s) & 1 or met_in_all <= met:
                    continue
                rows = may[at : at + met_in_all - met]
                so_many = _picked(
                    counts, at, rows, bit_of(s), met, asked.ratio, chances, log_p, picked
                )
                while count + so_many > len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                    surprise = np.concatenate((surprise, np.empty_like(surprise)))
                for k in picked[:so_many]:
                    found[count, 0], found[count, 1] = src[opens], dst[opens]
                    found[count, 2] = position[begin[pair] + k]
                    found[count, 3] = position[begin[pair] + k + met]
                    surprise[count] = surprise_of(counts, at + k, met, asked.ratio) + chances
                    count += 1
            at += met_in_all
    return found[:count].copy(), surprise[:count].copy()


@njit(cache=True)
def _picked(  # noqa: PLR0917 - a kernel
    counts: Array,
    at: int,
    may: Array,
    bit: int,
    met: int,
    ratio: float,
    chances: float,
    log_p: float,
    picked: Array,
) -> int:
    """Write the first meetings of a pair's bursts of one size; return how many there are.

    Apart from `bursts`, which makes room for them: this is the loop that all meetings go through.
    Bursts of one size overlap by half at most: enough to join them.
    """
    count, k = 0, 0
    while k < len(may):
        if may[k] >> bit & 1 and surprise_of(counts, at + k, met, ratio) + chances <= log_p:
            picked[count] = k
            count += 1
            k += met // 2
        k += 1
    return count


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
