"""Runs of meetings after which every party's position is what it was before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from detectors.statistics import log_odds_uneven

Turn = tuple[int, int, int, int]
"""A meeting: seq of its trade, key of who sold, of who bought, lots."""
MAX_TURNS: Final = 64
"""Kept of a pair or an episode, the latest: five laps of a dozen parties."""
SEEN: Final = 0.95
"""Share of a ring's rounds that lead round: one in twenty may have been swapped by the venue."""
MAX_TURNS_OF_DAY: Final = 192
"""Kept of all told pairs of a day, the latest: five laps of a dozen parties in three pieces."""


def joined(turns: Sequence[Turn], new: Sequence[Turn], most: int = MAX_TURNS) -> list[Turn]:
    """Return the latest of all turns, in the order of their trades.

    >>> joined([(5, 1, 2, 10)], [(3, 2, 1, 10)])
    [(3, 2, 1, 10), (5, 1, 2, 10)]
    """
    return sorted([*turns, *new])[-most:]


def of_both_sides(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns among parties who bought and sold in them: the others are in no ring.

    >>> of_both_sides([(1, 7, 8, 5), (2, 8, 9, 3), (3, 8, 7, 5)])
    [(1, 7, 8, 5), (3, 8, 7, 5)]
    """
    kept = list(turns)
    while True:
        both = {turn[1] for turn in kept} & {turn[2] for turn in kept}
        inside = [turn for turn in kept if both.issuperset(turn[1:3])]
        if len(inside) == len(kept):
            return kept
        kept = inside


def comes_back(turns: Sequence[Turn], least_a_party: int, balance_ratio: float) -> frozenset[int]:
    """Return the parties of a run that ends with the last turn and brought every position back.

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
    >>> sorted(comes_back([(1, 2, 1, 90), *laps], 2, 0.01))
    [1, 2, 3]

    One lap and two thirds:

    >>> sorted(comes_back([(1, 2, 1, 90), *laps[:-1]], 2, 0.01))
    []
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
            return members
    return frozenset()


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


def rounds(turns: Sequence[Turn], alike_ratio: float) -> list[tuple[int, bool]]:
    """Return the size of each round that turns make, and whether it leads round.

    A round is turns in a row, of sizes alike, in which each of its parties met two others, or the
    same one twice, all of them linked. It leads round where each bought once and sold once: of k
    parties, were directions drawn by chance, with probability 2 / 2**k.

    Examples
    --------
    >>> rounds([(1, 7, 8, 5), (2, 8, 9, 5), (3, 9, 7, 5), (4, 8, 7, 3), (5, 8, 7, 3)], 0.01)
    [(3, True), (2, False)]
    """
    found: list[tuple[int, bool]] = []
    part: list[Turn] = []
    met: Counter[int] = Counter()
    for turn in turns:
        unlike = bool(part) and abs(turn[3] - part[0][3]) > alike_ratio * max(turn[3], part[0][3])
        if unlike or max(met[turn[1]], met[turn[2]]) > 1:
            part, met = [], Counter()
        part.append(turn)
        met.update(turn[1:3])
        if all(times == 2 for times in met.values()):
            if _linked(part):
                found.append((len(met), len({one[1] for one in part}) == len(met)))
            part, met = [], Counter()
    return found


def _linked(turns: Sequence[Turn]) -> bool:
    """Return whether turns in which each party met twice are one loop."""
    reached = set(turns[0][1:3])
    while more := {p for turn in turns if reached & set(turn[1:3]) for p in turn[1:3]} - reached:
        reached |= more
    return all(turn[1] in reached for turn in turns)


def odds_of_rounds(found: Sequence[tuple[int, bool]]) -> float:
    """Return the odds that rounds lead round, all but one in twenty, against directions by chance.

    >>> round(odds_of_rounds([(3, True)] * 4), 1), odds_of_rounds([])
    (208.5, 1.0)
    """
    odds = 1.0
    for size, leads in found:
        chance = 2.0 ** (1 - size)
        odds *= SEEN / chance if leads else (1.0 - SEEN) / (1.0 - chance)
    return odds


def ring_of(
    turns: Sequence[Turn], new: Sequence[Turn], least_a_party: int, balance_ratio: float
) -> tuple[frozenset[int], float]:
    """Return the parties of a ring that one of the new turns ends, and the odds that it is one.

    A run that ends with it brought every position back (`comes_back`); the odds are those that who
    bought last among its parties sells next (`passed_on`, `log_odds_uneven`) or that rounds lead
    round, against directions drawn by chance: the mean of both, as if either had been chosen
    beforehand as likely. Who only bought, or only sold, is left out. (none, 0) where no run came
    back.

    Parameters
    ----------
    turns : sequence of Turn
        In the order of their trades, the new ones among them.

    Examples
    --------
    Four laps of three, of whom one sells to a stranger meanwhile:

    >>> laps = [(2 * n, 1 + n % 3, 1 + (n + 1) % 3, 700) for n in range(12)]
    >>> members, odds = ring_of(sorted([*laps, (9, 1, 8, 500)]), laps[-1:], 2, 0.01)
    >>> sorted(members), round(odds)
    ([1, 2, 3], 275)
    """
    both = of_both_sides(turns)
    found: tuple[frozenset[int], float] = (frozenset(), 0.0)
    for place, turn in enumerate(both):
        if turn in new and (members := comes_back(both[: place + 1], least_a_party, balance_ratio)):
            inside = [each for each in both if members.issuperset(each[1:3])]
            theirs, sold = passed_on(inside)
            odds = math.exp(log_odds_uneven(sold, theirs))
            odds = (odds + odds_of_rounds(rounds(inside, balance_ratio))) / 2
            found = max(found, (members, odds), key=lambda each: each[1])
    return found
