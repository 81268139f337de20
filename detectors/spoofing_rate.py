"""The rate of spoofing: size withdrawn after fills, against other size that stood as long.

Size that stands longer meets more fills, and it is other size that stands long: counted together,
the two would look like one following the other. So like is held against like in time stood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from ingest.events import Array

OWN_FILLED, OWN_FILLED_GONE, OWN_CALM, OWN_CALM_GONE, PEER, PEER_CYCLES = range(6)
TALLIES: Final = 6
"""Surges of the complex with and without a fill, of external makers with one, and how many went."""
SHORTEST_NS: Final = 1 << 25
"""A thirtieth of a second: the first of the classes ends there, each other is twice as long."""
CLASSES: Final = 13
"""Of time stood: the last begins at a minute and more."""


def class_of(stood_ns: int) -> int:
    """Return the class of a time stood, by doubling.

    >>> class_of(0), class_of(1 << 25), class_of(3 << 25), class_of(10**12)
    (0, 1, 2, 12)
    """
    return min(CLASSES - 1, max(0, stood_ns // SHORTEST_NS).bit_length())


class Tails(msgspec.Struct, frozen=True):
    """How many withdrawals come after fills, against chance."""

    p: float
    """P(X >= x)."""
    beyond: float
    """P(X > x)."""
    least: float
    """P(X >= x) had every withdrawal that could be one come after a fill: what the test can say."""


def tails(tallies: Sequence[Sequence[int]]) -> Tails:
    """Return how likely so many withdrawals after fills are, were they as likely as others.

    Given, in each class, how much size there was with and without a fill and how much of it went,
    X is a sum of hypergeometric counts: Fisher's exact test in strata (Birch 1964), one-sided.

    Parameters
    ----------
    tallies : (CLASSES, TALLIES)

    >>> found = tails([[4, 3, 2, 1, 2, 0]])
    >>> round(found.p, 6), round(found.beyond, 6), round(found.least, 6)
    (0.242857, 0.014286, 0.014286)

    As many, but none of the others stood as long:

    >>> tails([[4, 3, 0, 0, 0, 0], [0, 0, 2, 1, 2, 0]])
    Tails(p=1.0, beyond=0.0, least=1.0)
    """
    chances, seen = np.ones(1), 0
    for row in tallies:
        hits, trials = row[OWN_FILLED_GONE], row[OWN_FILLED]
        others = row[OWN_CALM] + row[PEER]
        gone = hits + row[OWN_CALM_GONE] + row[PEER_CYCLES]
        least = max(0, gone - others)
        chances = np.convolve(chances, _hypergeometric(trials, others, gone))
        seen += hits - least
    return Tails(
        p=min(1.0, math.fsum(chances[seen:])),
        beyond=min(1.0, math.fsum(chances[seen + 1 :])),
        least=min(1.0, float(chances[-1])),
    )


def _hypergeometric(trials: int, others: int, gone: int) -> Array:
    """Return the chances of the least number of hits among the trials, one more, and so on."""
    log_all = _log_choose(trials + others, gone)
    return np.array(
        [
            math.exp(_log_choose(trials, x) + _log_choose(others, gone - x) - log_all)
            for x in range(max(0, gone - others), min(trials, gone) + 1)
        ]
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
