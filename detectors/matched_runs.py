"""Runs of meetings after which every party's position is what it was before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Turn = tuple[int, int, int, int]
"""A meeting: seq of its trade, key of who sold, of who bought, lots."""
MAX_TURNS: Final = 64
"""Kept of a pair or an episode, the latest: five laps of a dozen parties."""


def joined(turns: Sequence[Turn], new: Sequence[Turn]) -> list[Turn]:
    """Return the latest of all turns, in the order of their trades.

    >>> joined([(5, 1, 2, 10)], [(3, 2, 1, 10)])
    [(3, 2, 1, 10), (5, 1, 2, 10)]
    """
    return sorted([*turns, *new])[-MAX_TURNS:]


def comes_back(turns: Sequence[Turn], least_a_party: int, balance_ratio: float) -> bool:
    """Return whether a run that ends with the last turn brought every position back.

    A run may begin at any turn. Of the turns in it those count whose parties are linked to the
    last one's by others of the run: what strangers do meanwhile does not move their positions.

    Parameters
    ----------
    turns : sequence of Turn
        In the order of their trades.
    least_a_party : int
        Turns, times parties, that a run has at least.
    balance_ratio : float
        Largest net of a party, of the mean size of the run's turns.

    Examples
    --------
    Two laps of three, after a chance meeting of two of them:

    >>> laps = [(n, 1 + n % 3, 1 + (n + 1) % 3, 700) for n in range(3, 9)]
    >>> comes_back([(1, 2, 1, 90), *laps], 2, 0.01)
    True

    One lap and two thirds:

    >>> comes_back([(1, 2, 1, 90), *laps[:-1]], 2, 0.01)
    False
    """
    net: dict[int, int] = {}
    linked: dict[int, frozenset[int]] = {}
    for start in range(len(turns) - 1, -1, -1):
        _, seller, buyer, lots = turns[start]
        net[seller] = net.get(seller, 0) - lots
        net[buyer] = net.get(buyer, 0) + lots
        both = linked.get(seller, frozenset({seller})) | linked.get(buyer, frozenset({buyer}))
        linked |= dict.fromkeys(both, both)
        members = linked[turns[-1][1]]
        if len(turns) - start < least_a_party * len(members):
            continue
        sizes = [turn[-1] for turn in turns[start:] if turn[1] in members]
        mean = sum(sizes) / len(sizes)
        largest = max(abs(net[party]) for party in members)
        if len(sizes) >= least_a_party * len(members) and largest <= balance_ratio * mean:
            return True
    return False


def passed_on(turns: Sequence[Turn]) -> tuple[int, int]:
    """Return in how many turns who bought last was to sell, and in how many of them it sold.

    A turn tells where one party's turn before was a purchase or the other's a sale, and nothing
    speaks against it; of three or more parties not where two meet again before either met another,
    for what is handed on in pieces. Were directions drawn by chance, it would sell in half of
    those, whatever was traded before; in a ring it sells in all, and a hand-off that was not seen
    only leaves the next ones untold.

    Examples
    --------
    >>> passed_on([(1, 7, 8, 500), (2, 7, 8, 200), (3, 8, 9, 700), (4, 9, 7, 700)])
    (2, 2)
    >>> passed_on([(1, 7, 8, 700), (2, 9, 8, 700), (3, 7, 9, 700)])
    (1, 0)
    """
    only_two = len({party for turn in turns for party in turn[1:3]}) == 2
    last: dict[int, tuple[int, int]] = {}  # whom each met, and 1 = it bought, -1 = it sold
    theirs, sold = 0, 0
    for _, seller, buyer, _ in turns:
        met, bought = last.get(seller, (-1, 0))
        met_too, bought_too = last.get(buyer, (-1, 0))
        said = {bought, -bought_too} - {0}
        if only_two or (met, met_too) != (buyer, seller):
            theirs += len(said) == 1
            sold += said == {1}
        last[seller], last[buyer] = (buyer, -1), (seller, 1)
    return theirs, sold


def came_back(
    turns: Sequence[Turn], new: Sequence[Turn], least_a_party: int, balance_ratio: float
) -> bool:
    """Return whether a run that ends with one of the new turns did; see `comes_back`."""
    return any(
        comes_back(turns[: place + 1], least_a_party, balance_ratio)
        for place, turn in enumerate(turns)
        if turn in new
    )
