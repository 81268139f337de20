"""The rate of spoofing: size withdrawn after fills, against other size that stood as long.

Size that stands longer meets more fills, and it is other size that stands long: counted together,
the two would look like one following the other. So like is held against like in time stood.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from detectors import strata
from detectors.strata import Tails
from ingest.compiled import kernel, njit
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


@kernel()
def class_of(stood_ns: int) -> int:
    """Return the class of a time stood, by doubling.

    >>> class_of(0), class_of(1 << 25), class_of(3 << 25), class_of(10**12)
    (0, 1, 2, 12)
    """
    found, left = 0, stood_ns // SHORTEST_NS
    while left > 0 and found < CLASSES - 1:
        found, left = found + 1, left >> 1
    return found


@kernel()
def size_class(size: int, usual: int) -> int:
    """Return the class of a size beyond habit, by doubling.

    >>> size_class(9, 10), size_class(10, 10), size_class(39, 10), size_class(400, 10)
    (0, 1, 2, 3)
    """
    found, most = 0, usual
    while found < SIZES - 1 and size >= most:
        found, most = found + 1, 2 * most
    return found


class Own(msgspec.Struct, frozen=True):
    """What size of the complex's own says: that with a fill against that without."""

    p: float
    """Of as many withdrawals after fills, were they as likely without."""
    ratio: float
    """Times as likely after a fill, in like time stood (Mantel and Haenszel 1959)."""
    known: bool
    """Whether enough stood as long without a fill to tell, had none of it gone."""
    refutes: bool


def own_of(tallies: Array, most_p: float, fewest: int) -> Own:
    """Return what the complex's own size says, and whether that speaks against a pattern.

    It does where p is greater than `most_p`, and would not be had none gone without a fill, of at
    least `fewest` that stood as long as those with one: of a few that one went says nothing.

    >>> import numpy as np
    >>> own_of(np.array([[9, 9, 9, 9, 40, 0]]), 0.05, 6)
    Own(p=1.0, ratio=1.0, known=True, refutes=True)
    >>> own_of(np.array([[9, 9, 1, 1, 40, 0]]), 0.05, 6).refutes
    False
    >>> own_of(np.array([[20, 18, 4, 2, 60, 0]]), 0.05, 6).refutes
    False
    >>> own_of(np.array([[20, 18, 40, 12, 60, 0]]), 0.05, 6).ratio
    3.0
    """
    p = _own_tails(tallies, calm_goes=True).p
    known = _is_known(tallies, most_p, fewest)
    return Own(p, _times(tallies), known, known and p > most_p)


def _is_known(tallies: Array, most_p: float, fewest: int) -> bool:
    calm = sum(row[OWN_CALM] for row in tallies.tolist() if row[OWN_FILLED] > 0)
    return calm >= fewest and _own_tails(tallies, calm_goes=False).p <= most_p


def _own_tails(tallies: Array, *, calm_goes: bool) -> Tails:
    """Return what `tails` does of the complex's own size alone, as it went or as had none else."""
    mass, hits = _masses(np.ascontiguousarray(tallies), False, calm_goes)
    return strata.tails_of(mass, hits)


def _times(own: Array) -> float:
    """Return how many times as likely to go size with a fill was; infinite where none else went."""
    filled, gone, calm, calm_gone = own[:, :PEER].T
    weight = np.maximum(filled + calm, 1)
    after, else_ = float((gone * calm / weight).sum()), float((calm_gone * filled / weight).sum())
    if not else_:
        return math.inf if after else 1.0
    return after / else_


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
    mass, hits = _masses(np.ascontiguousarray(tallies), True, True)
    return strata.tails_of(mass, hits)


@njit(cache=True)
def _masses(tallies: Array, with_peers: bool, calm_goes: bool) -> tuple[Array, int]:
    """Return the probabilities of 0, 1, … withdrawals after fills, and how many there were."""
    n = len(tallies)
    every, gone, filled = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    hits = 0
    for c in range(n):
        filled[c] = tallies[c, OWN_FILLED]
        every[c] = filled[c] + tallies[c, OWN_CALM]
        gone[c] = tallies[c, OWN_FILLED_GONE]
        hits += gone[c]
        if calm_goes:
            gone[c] += tallies[c, OWN_CALM_GONE]
        if with_peers:
            every[c] += tallies[c, PEER]
            gone[c] += tallies[c, PEER_CYCLES]
    return strata.masses(every, gone, filled), hits
