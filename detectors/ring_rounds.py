"""Parcels handed on among a set, where some hand-overs are not seen and some arrive swapped."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.ring_laps import next_of_pair, use
from ingest.compiled import kernel, njit
from ingest.events import Array

_NONE: Final = -1
_MAY_MISS: Final = 3
"""Hand-overs: after the last meeting, and on both sides of one that was not seen."""


@kernel(inline="always")
def _held(start: int, pieces: int, lots: Array, onward: Array, used: Array) -> int:
    """Return the lots of a pair's run of meetings from a first one, or -1 where it is not free."""
    held, at = 0, start
    for _ in range(pieces):
        if at == _NONE or used[at]:
            held = _NONE
            break
        held += lots[at]
        at = onward[at]
    return held


@kernel()
def _sums(lots: Array, onward: Array, sums: Array) -> None:
    """Write what the runs that begin with each meeting come to, by their length; 0 = no such run.

    Parameters
    ----------
    sums : (n, pieces) int64
    """
    for t in range(len(lots)):
        at, held = t, 0
        for piece in range(sums.shape[1]):
            held = 0 if at == _NONE else held + lots[at]
            sums[t, piece] = held
            at = _NONE if at == _NONE else onward[at]


@kernel()
def _alike(one: Array, other: Array) -> bool:
    """Return whether any run of one meeting comes to what a run of another does."""
    for lots in one:
        if lots == 0:
            break
        for others in other:
            if lots == others:
                return True
    return False


@kernel()
def _takers(seller: Array, buyer: Array, members: int, sums: Array, near: Array) -> None:
    """Write which meetings may pass on what each brought, those that are tried first in front.

    Parameters
    ----------
    near : (n, 3 * members + 1) int64
        How many there are, and which.
    """
    for t in range(len(seller)):
        count = 0
        for away in range(1, 2 * members + 1):
            for u in (t + away, t - away if away <= members else _NONE):
                if (
                    0 <= u < len(seller)
                    and seller[u] == buyer[t]
                    and buyer[u] != seller[t]
                    and _alike(sums[t], sums[u])
                ):
                    count += 1
                    near[t, count] = u
        near[t, 0] = count


@njit(cache=True)
def handed_round(
    seller: Array, buyer: Array, lots: Array, members: int, pieces: int
) -> tuple[Array, int]:
    """Return which meetings hand a parcel on, and the laps that as many hand-overs make.

    A hand-over is a purchase and a sale of one member, of exactly as much, with two others, each
    in up to `pieces` meetings of one pair. The sale follows within two meetings a member, or comes
    first, within one: a venue matches orders in the order in which they arrive, not in that in
    which they were meant. Whole parcels are matched before those in pieces, the nearest first. A
    lap has as many hand-overs as members. The last meeting hands over to none that is seen, and one
    that was not seen, since somebody else took the order, breaks two hand-overs: so many may be
    missing, but none twice at one member.

    Parameters
    ----------
    seller, buyer : (n,) int64
        Members, numbered from 0, of each meeting, in event order.
    lots : (n,) int64
        Sizes, positive.
    members, pieces : int

    Returns
    -------
    inside : (n,) bool
    laps : int
        0 of two members: who sells back hands nothing round.

    Examples
    --------
    Three laps, of which the venue swapped two meetings, and one was not seen:

    >>> one, two = np.array([0, 2, 1, 0, 1, 2, 0, 1]), np.array([1, 0, 2, 1, 2, 0, 1, 2])
    >>> inside, laps = handed_round(one, two, np.full(8, 500), 3, 4)
    >>> bool(inside.all()), laps
    (True, 3)
    """
    bought_on = np.zeros(len(lots), np.bool_)
    sold_on = np.zeros(len(lots), np.bool_)
    handed = np.zeros(members, np.int64)
    if members < 3:
        return bought_on, 0
    onward = next_of_pair(seller, buyer, members)
    sums = np.empty((len(lots), pieces), np.int64)
    _sums(lots, onward, sums)
    near = np.empty((len(lots), 3 * members + 1), np.int64)
    _takers(seller, buyer, members, sums, near)
    for together in range(2, 2 * pieces + 1):
        for here in range(max(1, together - pieces), min(pieces, together - 1) + 1):
            there = together - here
            for t in range(len(lots)):
                if near[t, 0] == 0:
                    continue
                held = _held(t, here, lots, onward, bought_on)
                if held == _NONE:
                    continue
                for place in range(1, near[t, 0] + 1):
                    if _held(near[t, place], there, lots, onward, sold_on) == held:
                        use(t, here, onward, bought_on)
                        use(near[t, place], there, onward, sold_on)
                        handed[buyer[t]] += 1
                        break
    laps = (handed.sum() + _MAY_MISS) // members
    return bought_on | sold_on, min(laps, handed.min() + 1)
