"""The rate of spoofing: size withdrawn after fills, against other size that stood as long.

Size that stands longer meets more fills, and it is other size that stands long: counted together,
the two would look like one following the other. So like is held against like in time stood.
"""

from __future__ import annotations

from typing import Final

from detectors import strata
from detectors.strata import Tails
from ingest.compiled import njit
from ingest.events import Array

OWN_FILLED, OWN_FILLED_GONE, OWN_CALM, OWN_CALM_GONE, PEER, PEER_CYCLES = range(6)
TALLIES: Final = 6
"""Surges of the complex with and without a fill, of external makers with one, and how many went."""
SHORTEST_NS: Final = 1 << 25
"""A thirtieth of a second: the first of the classes ends there, each other is twice as long."""
CLASSES: Final = 13
"""Of time stood: the last begins at a minute and more."""
SIZES: Final = 4
"""Classes of size beyond habit at its height, over what is usual: less than once as much, less than
twice, less than four times, and more."""


@njit(cache=True)
def class_of(stood_ns: int) -> int:
    """Return the class of a time stood, by doubling.

    >>> class_of(0), class_of(1 << 25), class_of(3 << 25), class_of(10**12)
    (0, 1, 2, 12)
    """
    found, left = 0, stood_ns // SHORTEST_NS
    while left > 0 and found < CLASSES - 1:
        found, left = found + 1, left >> 1
    return found


@njit(cache=True)
def size_class(size: int, usual: int) -> int:
    """Return the class of a size beyond habit, by doubling.

    >>> size_class(9, 10), size_class(10, 10), size_class(39, 10), size_class(400, 10)
    (0, 1, 2, 3)
    """
    found, most = 0, usual
    while found < SIZES - 1 and size >= most:
        found, most = found + 1, 2 * most
    return found


def is_refuted(tallies: Array, most_p: float, fewest: int) -> tuple[float, bool]:
    """Return p of the complex's own size alone, and whether that speaks against a pattern.

    It does where p is greater than `most_p`, and would not be had none gone without a fill, of at
    least `fewest` that stood as long as those with one: of a few that one went says nothing.

    >>> import numpy as np
    >>> is_refuted(np.array([[9, 9, 9, 9, 40, 0]]), 0.05, 6)
    (1.0, True)
    >>> is_refuted(np.array([[9, 9, 1, 1, 40, 0]]), 0.05, 6)
    (1.0, False)
    >>> is_refuted(np.array([[20, 18, 4, 2, 60, 0]]), 0.05, 6)[1]
    False
    """
    own = tallies.copy()
    own[:, [PEER, PEER_CYCLES]] = 0
    stood = own.copy()
    stood[:, OWN_CALM_GONE] = 0
    p = tails(own).p
    like = int(own[own[:, OWN_FILLED] > 0, OWN_CALM].sum())
    return p, like >= fewest and p > most_p >= tails(stood).p


def tails(tallies: Array) -> Tails:
    """Return how likely so many withdrawals after fills are, were they as likely as others.

    In each class, of all size some went, and some had met a fill: Fisher's exact test in strata,
    one-sided.

    Parameters
    ----------
    tallies : (CLASSES, TALLIES) int64

    >>> import numpy as np
    >>> found = tails(np.array([[4, 3, 2, 1, 2, 0]]))
    >>> round(found.p, 6), round(found.beyond, 6), round(found.least, 6)
    (0.242857, 0.014286, 0.014286)

    As many, but none of the others stood as long:

    >>> tails(np.array([[4, 3, 0, 0, 0, 0], [0, 0, 2, 1, 2, 0]]))
    Tails(p=1.0, beyond=0.0, least=1.0)
    """
    filled, gone_after, calm, calm_gone, peers, peers_gone = tallies.T
    every, gone = filled + calm + peers, gone_after + calm_gone + peers_gone
    return strata.tails(every, gone, filled, int(gone_after.sum()))
