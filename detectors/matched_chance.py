"""How often parties' orders would meet, and be alike, if nobody had arranged it.

Meetings: in each quarter of an hour, who rested and who took are two margins of one table; were
they independent, the parties of a set would meet as often as the margins say. Where their orders of
unlike sizes meet more often than that, by whatever cause, those alike may do so as well. Sizes: two
meeting orders are alike as often as a member's orders are with others', or as a member's other
orders have the sizes at hand, or as all orders are, whichever is most. Neither needs to know what
is usual on a venue, in an instrument, at an hour or of an account.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from detectors import matched_kernel as k
from detectors.matched_kernel import ONE, P_ALIKE, P_KEY, P_MET, P_NOTED, SIZES, alike, pair_key
from detectors.statistics import binomial_tail, poisson_tail
from detectors.wash_kernel import slot
from ingest.compiled import njit
from ingest.events import Array

E_MET, E_ALIKE, E_EXPECTED, E_SHARE = range(4)
EXPECTED: Final = 4


class Chance(msgspec.Struct, frozen=True):
    """What chance says of a set of parties in an instrument and day."""

    meetings: int
    """Of two of them."""
    alike: int
    expected: float
    """Meetings of orders alike that chance would give."""
    share: float
    """Of their meetings, those that would be alike by chance."""

    @property
    def p(self) -> float:
        """P(so many alike or more): Poisson, with the expected mean."""
        return poisson_tail(self.alike, self.expected)

    @property
    def beyond(self) -> float:
        """P(more alike)."""
        return poisson_tail(self.alike + 1, self.expected)

    @property
    def of_sizes(self) -> float:
        """P(so many alike or more, of so many meetings): binomial."""
        return binomial_tail(self.alike, self.meetings, self.share)


@njit(cache=True)
def _member(keys: Array, key: int) -> bool:
    """Return whether a key is one of a few."""
    found = False
    for one in keys:
        found |= one == key
    return bool(found)


@njit(cache=True)
def _usual(  # noqa: PLR0917
    keys: Array, one: int, other: int, sizes: Array, partners: Array, parties: Array, ratio: float
) -> tuple[float, int]:
    """Return how many of one's sizes with outsiders are like a size at hand, and of how many.

    Sizes at hand are those of the other's orders that met one of the set; the mean over them.
    """
    outside, hits, at_hand = 0, 0, 0
    noted = min(SIZES, parties[one, P_NOTED])
    for i in range(noted):
        outside += not _member(keys, partners[one, i])
    for j in range(min(SIZES, parties[other, P_NOTED])):
        if not _member(keys, partners[other, j]):
            continue
        at_hand += 1
        for i in range(noted):
            if not _member(keys, partners[one, i]):
                hits += alike(sizes[one, i], sizes[other, j], ratio)
    return hits / max(1, at_hand), outside


@njit(cache=True)
def _meetings(met: Array, rests: Array, takes: Array) -> float:
    """Return how often one party's orders would be taken by another's, by activity alone.

    Nobody meets himself: rests × takes / total, divided by the shares of takes that are not the
    one's and of rests that are not the other's; the caller multiplies by what all have left for
    others (quasi-independence, shares by the margins).
    """
    mean = 0.0
    for t in range(len(met)):
        rested, took = rests[0, t], takes[1, t]
        if rested > 0 and took > 0:
            mean += rested * took * met[t] / ((met[t] - rests[1, t]) * (met[t] - takes[0, t]))
    return mean


@njit(cache=True)
def expected(  # noqa: PLR0917
    rows: Array,
    members: int,
    ratio: float,
    weight: float,
    head: Array,
    met: Array,
    parties: Array,
    bins: Array,
    sizes: Array,
    partners: Array,
    pairs: Array,
    pair_counts: Array,
) -> Array:
    """Return meetings of a set, those alike, those that chance would give, and the chance of one.

    Parameters
    ----------
    rows : (n,) int64
        Where the members of the set are, then others that are no outsiders either.
    members : int
    ratio, weight : float
        As in the parameters: `alike_ratio`, `habit_meetings`.
    head, met : (HEAD,), (BINS,) int64
        Of the instrument.
    parties, bins, sizes, partners, pairs, pair_counts
        As in `scan`.
    """
    n = len(rows)
    between = np.zeros((n, n), np.int64)
    both = np.zeros((n, n), np.int64)
    keys = np.zeros(n, np.int64)
    for i in range(n):
        keys[i] = parties[rows[i], P_KEY]
        for j in range(n):
            key = pair_key(rows[i], rows[j])
            at = slot(pairs, key)
            if i != j and pairs[at] == key:
                between[i, j] = pair_counts[at] & ONE
                both[i, j] = pair_counts[at] >> 32
    meetings, hits = between[:members, :members].sum() // 2, both[:members, :members].sum() // 2
    others = max(0, head[k.H_MET] - meetings)
    usual = (head[k.H_ALIKE] - hits + 1.0) / (others + 2.0)
    own = np.zeros(members, np.float64)
    for i in range(members):
        outside = max(0, parties[rows[i], P_MET] - between[i].sum())
        like = max(0, parties[rows[i], P_ALIKE] - both[i].sum())
        own[i] = max(usual, (like + weight * usual) / (outside + weight))
    left = 1.0 - head[k.H_SELF] / max(1.0, float(head[k.H_MET])) ** 2
    by_chance, ordinary, shares = 0.0, 0.0, 0.0
    for i in range(members):
        for j in range(i):
            a, b = rows[i], rows[j]
            share = max(own[i], own[j])
            for one, other in ((a, b), (b, a)):
                like, outside = _usual(keys, one, other, sizes, partners, parties, ratio)
                share = max(share, (like + weight * usual) / (outside + weight))
            share = min(1.0, share)
            mean = _meetings(met, bins[a], bins[b]) + _meetings(met, bins[b], bins[a])
            by_chance += mean * share * left
            ordinary += mean * (1.0 - share) * left
            shares += between[i, j] * share
    if ordinary > 0.0:
        by_chance *= max(1.0, (meetings - hits) / ordinary)
    return np.array([meetings, hits, by_chance, shares / max(1, meetings)])
