"""Like against like: the difference between two groups of fills in strata, with its interval.

Fills of two groups are compared within strata only, weighted by the notional of the first group.
Clusters are drawn with replacement (a cluster bootstrap), since fills of one moment share their
luck. Draws are a hash of integers, so the same fills give the same interval.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from ingest.events import Array

REPLICATES: Final = 999
"""Draws of the bootstrap: the bounds of a 95 % interval are its 25th and 975th value."""
FEWEST_CLUSTERS: Final = 10
"""With fewer clusters the interval of a bootstrap is too narrow, so none is given."""
TAIL: Final = 0.025
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of means, first group less second."""

    difference: float
    low: float | None
    """Lower bound of the 95 % interval; None = too few clusters."""
    high: float | None
    first: int
    """Fills of the first group that were compared."""
    second: int
    strata: int
    """In which both groups have fills."""
    clusters: int
    weight: float
    """Of the first group's fills that were compared."""
    left_out: float
    """Weight of the first group's fills in strata where the second has none."""


def uniforms(count: int, *words: int) -> Array:
    """Return numbers in [0, 1) that are a function of integers (SplitMix64).

    >>> first = uniforms(3, 5, 1)
    >>> bool((first == uniforms(3, 5, 1)).all()), bool((first == uniforms(3, 5, 2)).any())
    (True, False)
    """
    with np.errstate(over="ignore"):
        state = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        for word in words:
            state = (state ^ np.uint64(word & (2**64 - 1))) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    found: Array = (state >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return found


@lru_cache(maxsize=8)
def draws(first: int, clusters: int) -> Array:
    """Return how often each cluster is drawn, a row each replicate, shape (REPLICATES, clusters).

    `first` is the first cluster's number; the draws are a function of it and of how many there are.
    """
    picks = (uniforms(REPLICATES * clusters, first, clusters) * clusters).astype(np.int64)
    rows = np.repeat(np.arange(REPLICATES), clusters)
    counts = np.bincount(rows * clusters + picks, minlength=REPLICATES * clusters)
    found: Array = counts.reshape(REPLICATES, clusters).astype(np.float64)
    return found


def compare(
    values: Array, weights: Array, is_first: Array, strata: Array, clusters: Array
) -> Estimate | None:
    """Return the difference between two groups; None where no stratum has both.

    In a stratum it is the difference of the groups' weighted means; strata count by the first
    group's weight. A stratum that a draw leaves with one group is left out of that draw.

    Parameters
    ----------
    values : (n,) float64
        One measure of each fill.
    weights : (n,) float64
        Above 0, such as notional.
    is_first : (n,) bool
    strata, clusters : (n,) int64
        What each fill is compared within, and what it was drawn together with.

    Examples
    --------
    One stratum in which the first group pays 3 more, and a fill of it that has no like:

    >>> found = compare(np.array([5.0, 2.0, 9.0]), np.ones(3), np.array([True, False, True]),
    ...     np.array([0, 0, 1]), np.array([0, 0, 0]))
    >>> found.difference, found.first, found.strata, found.left_out, found.low
    (3.0, 1, 1, 1.0, None)
    """
    if not len(values):
        return None
    places, stratum = np.unique(strata, return_inverse=True)
    size = len(places)
    first = np.bincount(stratum[is_first], minlength=size)
    second = np.bincount(stratum[~is_first], minlength=size)
    both = (first > 0) & (second > 0)
    if not both.any():
        return None
    kept = both[stratum]
    known, cluster = np.unique(clusters[kept], return_inverse=True)
    sums = _Sums(values[kept], weights[kept], is_first[kept], stratum[kept], cluster, size)
    difference = sums.difference(np.ones(len(known)))
    low = high = None
    if len(known) >= FEWEST_CLUSTERS:
        drawn = [sums.difference(counts) for counts in draws(int(known[0]), len(known))]
        ranked = np.sort(np.array([one for one in drawn if not np.isnan(one)]))
        low = float(ranked[int(TAIL * len(ranked))])
        high = float(ranked[min(len(ranked) - 1, int((1 - TAIL) * len(ranked)))])
    mine = is_first & kept
    return Estimate(
        difference=float(difference),
        low=low,
        high=high,
        first=int(np.count_nonzero(mine)),
        second=int(np.count_nonzero(kept & ~is_first)),
        strata=int(np.count_nonzero(both)),
        clusters=len(known),
        weight=float(weights[mine].sum()),
        left_out=float(weights[is_first & ~kept].sum()),
    )


class _Sums:
    """Weighted sums by cluster, stratum and group: what each draw adds up anew."""

    def __init__(  # noqa: PLR0917 - one row of each is one fill
        self,
        values: Array,
        weights: Array,
        is_first: Array,
        stratum: Array,
        cluster: Array,
        strata: int,
    ) -> None:
        place = (cluster * strata + stratum) * 2 + is_first
        places, at = np.unique(place, return_inverse=True)
        self._weight = np.bincount(at, weights=weights)
        self._value = np.bincount(at, weights=weights * values)
        self._cluster = places // 2 // strata
        self._cell = places % (2 * strata)
        self._strata = strata

    def difference(self, counts: Array) -> float:
        """Return the difference when each cluster counts so often; NaN when nothing compares."""
        times = counts[self._cluster]
        cells = 2 * self._strata
        weight = np.bincount(self._cell, weights=times * self._weight, minlength=cells)
        value = np.bincount(self._cell, weights=times * self._value, minlength=cells)
        second, first = weight[0::2], weight[1::2]
        both = (first > 0) & (second > 0)
        if not both.any():
            return float("nan")
        gap = value[1::2][both] / first[both] - value[0::2][both] / second[both]
        return float((gap * first[both]).sum() / first[both].sum())
