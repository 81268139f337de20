"""Pairs that meet far more often for a while than both are then active, and sets of such pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from ingest.compiled import njit
from ingest.events import Array

LEAST: Final = 3
"""Meetings of the shortest burst."""
LOG_PAIR: Final = tuple(math.log(p) for p in (1e-3, 1e-4, 1e-6, 1e-8))
"""Surprise from which a burst is kept, weakest first; not a finding, but where to look for one.

At the weakest a tape of strangers has a burst in a thousand; what these join is parted again at
the stronger ones."""
LOG_JOINS: Final = math.log(1e-2)
"""Surprise at which one more account is taken into a set; whether it belongs is told by laps."""


@njit(cache=True)
def excess(met: float, by_chance: float) -> float:
    """Return the Chernoff bound of log P(so many or more), Poisson; 0 if no more than chance.

    >>> round(excess(6.0, 1.0), 2), excess(1.0, 2.0)
    (-5.75, 0.0)
    """
    if met <= by_chance:
        return 0.0
    return met - by_chance - met * math.log(met / by_chance)


@njit(cache=True)
def bursts(  # noqa: PLR0917 - a kernel
    src: Array, dst: Array, bought: Array, position: Array, begin: Array, log_p: float
) -> tuple[Array, Array]:
    """Return bursts of pairs, and how surprising each is.

    A burst is a row of meetings of one pair. Who rested and who took are two margins of one table:
    were they independent, two accounts would meet rests x takes / trades times while it lasts,
    both ways, their own meetings left out (rule of succession: + 1, + 2 trades).

    Parameters
    ----------
    src, dst : (n,) int64
        Seller and buyer of each meeting, nodes, in event order.
    bought : (n,) bool
        Whether the buyer took.
    position : (n,) int64
        Meetings sorted by pair, in order within one.
    begin : (pairs + 1,) int64
        Where each pair begins in `position`.
    log_p : float
        Bursts less surprising are left out.

    Returns
    -------
    found : (bursts, 4) int64
        The pair's nodes, first and last meeting.
    log_p : (bursts,) float64
    """
    nodes = 0
    for t in range(len(src)):
        nodes = max(nodes, src[t] + 1, dst[t] + 1)
    rests = np.zeros(nodes, np.int32)
    takes = np.zeros(nodes, np.int32)
    seen = np.empty((len(src), 4), np.int32)  # rests and takes so far, of the seller and the buyer
    for t in range(len(src)):
        if bought[t]:
            rests[src[t]] += 1
            takes[dst[t]] += 1
        else:
            rests[dst[t]] += 1
            takes[src[t]] += 1
        seen[t, 0], seen[t, 1] = rests[src[t]], takes[src[t]]
        seen[t, 2], seen[t, 3] = rests[dst[t]], takes[dst[t]]
    found = np.empty((1024, 4), np.int64)
    surprise = np.empty(1024, np.float64)
    count = 0
    rested = np.zeros(len(src) + 1, np.int32)  # meetings so far in which the first one rested
    for p in range(len(begin) - 1):
        of_pair = position[begin[p] : begin[p + 1]]
        if len(of_pair) < LEAST:
            continue
        one, other = src[of_pair[0]], dst[of_pair[0]]
        for k in range(len(of_pair)):
            t = of_pair[k]
            rested[k + 1] = rested[k] + (bought[t] == (src[t] == one))
        size = LEAST
        while size <= len(of_pair):
            met = size - 1  # the first one opens it
            k = -1
            while k + 1 < len(of_pair) - met:
                k += 1
                i, j = of_pair[k], of_pair[k + met]
                a, b = (0, 2) if src[i] == one else (2, 0)
                c, d = (0, 2) if src[j] == one else (2, 0)
                x = rested[k + size] - rested[k + 1]
                y = met - x
                by_chance = (
                    (seen[j, c] - seen[i, a] - x + 1.0)
                    * (seen[j, d + 1] - seen[i, b + 1] - x + 1.0)
                    + (seen[j, c + 1] - seen[i, a + 1] - y + 1.0)
                    * (seen[j, d] - seen[i, b] - y + 1.0)
                ) / (j - i - met + 2.0)
                if met < 2.0 * by_chance:
                    continue
                log_here = excess(met, by_chance)
                if log_here > log_p:
                    continue
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                    surprise = np.concatenate((surprise, np.empty_like(surprise)))
                found[count] = (one, other, i, j)
                surprise[count] = log_here
                count += 1
                k += met // 2  # bursts of one size overlap by half: enough to join them
            size += max(1, size // 2)
    return found[:count].copy(), surprise[:count].copy()


def sets_of(found: Array, surprise: Array, max_members: int) -> dict[tuple[int, ...], range]:
    """Return the sets of nodes that bursts at one time join, with the meetings that these span.

    Parameters
    ----------
    found, surprise
        See `bursts`.
    max_members : int
        Larger sets are left out.
    """
    sets: dict[tuple[int, ...], range] = {}
    for log_p in LOG_PAIR:
        for part in _joined(found[surprise <= log_p]):
            who = tuple(sorted(set(part[:, :2].ravel().tolist())))
            if len(who) <= max_members:
                sets.setdefault(who, range(int(part[:, 2].min()), int(part[:, 3].max()) + 1))
    return sets


def _joined(found: Array) -> Iterator[Array]:
    """Yield the bursts that share a node while they overlap, together."""
    node = found[:, :2].T.ravel()
    burst = np.tile(np.arange(len(found)), 2)
    order = np.lexsort((found[burst, 2], node))
    root = _roots(found, node[order], burst[order])
    by_root = np.argsort(root, kind="stable")
    ends = np.flatnonzero(np.diff(root[by_root])) + 1
    for ones in np.split(by_root, ends):
        if len(ones):
            yield found[ones]


@njit(cache=True)
def _roots(found: Array, node: Array, burst: Array) -> Array:
    """Return for each burst the one that stands for all that it is joined with."""
    root = np.arange(len(found))
    last, until, before = -1, -1, -1
    for k in range(len(node)):
        one = burst[k]
        if node[k] == last and found[one, 2] <= until:
            a, b = one, before
            while root[a] != a:
                a = root[a]
            while root[b] != b:
                root[b] = root[root[b]]
                b = root[b]
            root[a] = b
            until = max(until, found[one, 3])
        else:
            last, until = node[k], found[one, 3]
        before = one
    for one in range(len(root)):
        top = one
        while root[top] != top:
            root[top] = root[root[top]]
            top = root[top]
        root[one] = top
    return root


@njit(cache=True)
def joins(who: Array, rests: Array, takes: Array, nodes: int, log_p: float) -> int:
    """Return the node that meets a set's members most surprisingly often, or -1.

    Parameters
    ----------
    who : (k,) int64
        Nodes of the set.
    rests, takes : (n,) int64
        Who rested and who took in each meeting of a while.
    nodes : int
        Number of nodes.
    log_p : float
        The least surprise.
    """
    within = np.zeros(nodes, np.bool_)
    within[who] = True
    rested = np.zeros(nodes, np.int64)
    took = np.zeros(nodes, np.int64)
    rested_in = np.zeros(nodes, np.int64)  # while a member took
    took_in = np.zeros(nodes, np.int64)
    members_rested, members_took = 0, 0
    for t in range(len(rests)):
        rested[rests[t]] += 1
        took[takes[t]] += 1
        if within[rests[t]] and not within[takes[t]]:
            took_in[takes[t]] += 1
            members_rested += 1
        elif within[takes[t]] and not within[rests[t]]:
            rested_in[rests[t]] += 1
            members_took += 1
    best, most = -1, log_p
    for w in range(nodes):
        met = rested_in[w] + took_in[w]
        if within[w] or met == 0:
            continue
        x, y = rested_in[w], took_in[w]
        by_chance = (
            (rested[w] - x + 1.0) * (members_took - x + 1.0)
            + (took[w] - y + 1.0) * (members_rested - y + 1.0)
        ) / (len(rests) - met + 2.0)
        surprise = excess(met, by_chance)
        if surprise < most:
            best, most = w, surprise
    return best
