"""Random draws of a simulation: streams by name, and draws by number.

A paired run of the same seed must meet the same luck. A stream serves where the number of draws
follows from the seed alone; where it depends on what happens in the market (is the order still
there?), a draw is a hash of what it decides about, so that it is the same in whatever order, and
whether or not, the others are made.
"""

from __future__ import annotations

import random
from statistics import NormalDist
from typing import Final

_MASK: Final = (1 << 64) - 1
_INVERSE: Final = 2.0**-53
_NORMAL: Final = NormalDist()


def stream(seed: int, name: str) -> random.Random:
    """Return a random source of one part's own: what another part draws never moves it."""
    return random.Random(f"{seed}/{name}")  # noqa: S311 - a simulation, repeated by its seed


def unit(seed: int, number: int) -> float:
    """Return the draw, in [0, 1), that belongs to a seed and a number: splitmix64.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".

    >>> unit(7, 1) == unit(7, 1), unit(7, 1) == unit(7, 2), 0 <= unit(-3, 0) < 1
    (True, False, True)
    """
    x = (seed + number * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((x ^ (x >> 31)) >> 11) * _INVERSE


def normal(draw: float) -> float:
    """Return the standard normal value of a draw in [0, 1).

    >>> round(normal(0.5), 6), round(normal(0.975), 2)
    (0.0, 1.96)
    """
    return _NORMAL.inv_cdf(min(max(draw, 1e-12), 1 - 1e-12))
