"""Rows of a pair's meetings that may be bursts: a sieve in single precision, many rows at a time.

What passes is looked at exactly (`ring_bursts`), and nothing that is a burst is left out.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from detectors.ring_tallies import KINDS, RESTED, TOOK
from ingest.compiled import njit
from ingest.events import Array

_HALVINGS: Final = 60
_ROUNDING: Final = 1e-5
"""What a product in single precision may be off by, and far more.

Counts are exact in it up to 2**24 meetings, the most that a window holds.
"""
_BITS: Final = 31
_CLASSES: Final = 24
"""Pairs are told apart by how many times their meetings, and so their chances, double."""


class Asked(NamedTuple):
    """What is asked of bursts.

    `sizes` (sizes,) int64: their meetings, rising · `ratio` float: of meetings over those by
    chance, at least · `need` (classes, sizes) float32: the same, where the surprise asks for more;
    a pair's class is how often its meetings are twice the smallest size.
    """

    sizes: Array
    ratio: float
    need: Array


@njit(cache=True)
def excess(met: float, by_chance: float) -> float:
    """Return the Chernoff bound of log P(so many or more), Poisson; 0 if no more than chance.

    >>> round(excess(6.0, 1.0), 2), excess(1.0, 2.0)
    (-5.75, 0.0)
    """
    if met <= by_chance:
        return 0.0
    return met - by_chance - met * math.log(met / by_chance)


@cache
def asked(log_p: float, least: int, most: int, ratio: float) -> Asked:
    """Return what is asked of bursts of `least` to `most` meetings, half as long again each.

    >>> asked(math.log(0.01), 3, 20, 2.0).sizes.tolist()
    [3, 4, 6, 9, 13, 19]
    """
    sizes = [least]
    while (size := sizes[-1] + max(1, sizes[-1] // 2)) <= most:
        sizes.append(size)
    need = np.empty((_CLASSES, len(sizes)), np.float32)
    for doubled in range(_CLASSES):
        for s, size in enumerate(sizes):
            met = size - 1  # the first one opens it
            by_chance = _most_by_chance(met, log_p - doubled * math.log(2.0))
            need[doubled, s] = max(ratio, met / by_chance) * (1.0 - _ROUNDING)
    return Asked(np.array(sizes), ratio, need)


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
def bit_of(size: int) -> int:
    """Return the bit that stands for a size, by its place; more than 31 sizes share them."""
    return size % _BITS


@njit(cache=True)
def counted(  # noqa: PLR0917 - a kernel
    src: Array, bought: Array, so_far: Array, of_pair: Array, counts: Array, at: int
) -> None:
    """Write what a pair's two sides did up to each of its meetings, from column `at` on.

    Parameters
    ----------
    of_pair : (m,) int64
        The pair's meetings, ascending.
    counts : (6, n) float32
        Rests and takes of the one, then of the other, all meetings, and those of the two in which
        the one rested; written.
    """
    rest, take, rest_too = counts[0, at:], counts[1, at:], counts[2, at:]
    take_too, time, rested = counts[3, at:], counts[4, at:], counts[5, at:]
    one, so_often = src[of_pair[0]], 0
    for k in range(len(of_pair)):
        t = of_pair[k]
        sells = src[t] == one
        so_often += bought[t] == sells
        if sells:
            rest[k], take[k] = so_far[t, RESTED], so_far[t, TOOK]
            rest_too[k], take_too[k] = so_far[t, KINDS + RESTED], so_far[t, KINDS + TOOK]
        else:
            rest[k], take[k] = so_far[t, KINDS + RESTED], so_far[t, KINDS + TOOK]
            rest_too[k], take_too[k] = so_far[t, RESTED], so_far[t, TOOK]
        time[k], rested[k] = t, so_often


@njit(cache=True)
def sieved(counts: Array, met_by_pair: Array, asked: Asked, need: Array, may: Array) -> None:
    """Write which rows of pairs' meetings may be bursts, a bit for each size.

    Parameters
    ----------
    counts : (6, n) float32
        See `counted`; of pairs one after the other.
    met_by_pair : (pairs,) int64
        Meetings of each.
    asked : Asked
    need : (n,) float32
        Written over.
    may : (n,) int32
        By a row's first meeting, `bit_of` its size; written. Rows that reach over the end of their
        pair say nothing.
    """
    held = met_by_pair.sum()
    may[:held] = 0
    for s in range(len(asked.sizes)):
        at = 0
        for met in met_by_pair:
            doubled = 0
            while asked.sizes[0] << (doubled + 1) <= met:
                doubled += 1
            need[at : at + met] = asked.need[doubled, s] if met >= asked.sizes[s] else np.inf
            at += met
        _sieve(counts, need[:held], asked.sizes[s] - 1, bit_of(s), may)


@njit(cache=True)
def _sieve(counts: Array, need: Array, met: int, bit: int, may: Array) -> None:
    """Set a bit for each row of so many meetings that may be as often chance as it needs to be.

    Without branches or divisions, for nearly all rows are not.
    """
    held = len(need)
    rest, take, rest_too = counts[0, met:held], counts[1, met:held], counts[2, met:held]
    take_too, time, rested = counts[3, met:held], counts[4, met:held], counts[5, met:held]
    one, many, set_bit = np.float32(1.0), np.float32(met), np.int32(1 << bit)
    for k in range(len(rest)):
        x = rested[k] - counts[5, k]
        y = many - x
        ways = (rest[k] - counts[0, k] - x + one) * (take_too[k] - counts[3, k] - x + one) + (
            take[k] - counts[1, k] - y + one
        ) * (rest_too[k] - counts[2, k] - y + one)
        passes = many * (time[k] - counts[4, k] - many + one + one) >= need[k] * ways
        may[k] |= set_bit * np.int32(passes)


@njit(cache=True)
def surprise_of(counts: Array, at: int, met: int, ratio: float) -> float:
    """Return the surprise of a row of meetings, exactly; infinity where chance gives as many."""
    end = at + met
    rest, take = float(counts[0, end] - counts[0, at]), float(counts[1, end] - counts[1, at])
    rest_too = float(counts[2, end] - counts[2, at])
    take_too = float(counts[3, end] - counts[3, at])
    time, x = float(counts[4, end] - counts[4, at]), float(counts[5, end] - counts[5, at])
    y = met - x
    by_chance = (
        (rest - x + 1.0) * (take_too - x + 1.0) + (take - y + 1.0) * (rest_too - y + 1.0)
    ) / (time - met + 2.0)
    return excess(float(met), by_chance) if met >= ratio * by_chance else np.inf
