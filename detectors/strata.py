"""Exact tests in strata: like is held against like, and what each stratum says is added up.

Of each stratum some are marked and some are drawn. Were they drawn blindly, those that are both
would be hypergeometric; strata are independent, so their sum has an exact tail (Birch 1964).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from ingest.compiled import kernel, njit
from ingest.events import Array


class Tails(msgspec.Struct, frozen=True):
    """How likely so many marked ones among those drawn are."""

    p: float
    """P(X >= hits)."""
    beyond: float
    """P(X > hits)."""
    least: float
    """P(X = the most that could be): the least p that the test can give."""


def tails(every: Array, marked: Array, drawn: Array, hits: int) -> Tails:
    """Return how likely at least so many are, were they drawn blindly.

    Parameters
    ----------
    every, marked, drawn : (n,) int64
        As in `masses`.
    hits : int
        Marked ones among those drawn, of all strata together.

    >>> one = lambda x: np.array([x], np.int64)
    >>> found = tails(one(8), one(4), one(4), 3)
    >>> round(found.p, 6), round(found.beyond, 6), round(found.least, 6)
    (0.242857, 0.014286, 0.014286)
    """
    # One layout in memory, so that the kernel is compiled once.
    return tails_of(masses(*(np.ascontiguousarray(each) for each in (every, marked, drawn))), hits)


def tails_of(mass: Array, hits: int) -> Tails:
    """Return the tails of the probabilities of 0, 1, … marked ones among those drawn."""
    return Tails(
        p=min(1.0, math.fsum(mass[hits:].tolist())),
        beyond=min(1.0, math.fsum(mass[hits + 1 :].tolist())),
        least=min(1.0, float(mass[-1])),
    )


@kernel()
def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)


@njit(cache=True)
def masses(every: Array, marked: Array, drawn: Array) -> Array:
    """Return the probabilities of 0, 1, … marked ones among those drawn in all strata together.

    Parameters
    ----------
    every, marked, drawn : (n,) int64
        Of each stratum: how many there are, how many of them are marked, how many are drawn.
    """
    total = np.ones(1, np.float64)
    for s in range(len(every)):
        n, m, d = every[s], marked[s], drawn[s]
        least, most = max(0, d + m - n), min(d, m)
        if most == 0:
            continue  # none, for sure
        whole = _log_choose(n, d)
        longer = np.zeros(len(total) + most, np.float64)
        for k in range(least, most + 1):
            mass = math.exp(_log_choose(m, k) + _log_choose(n - m, d - k) - whole)
            for j in range(len(total)):
                longer[j + k] += total[j] * mass
        total = longer
    return total
