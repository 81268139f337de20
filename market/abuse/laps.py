"""One lap of a ring: who is in it, and what each hands on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from market.abuse.parties import cut_up

REVERSED: Final = 0.2
"""Share of the laps that go the other way round."""
SHORTER: Final = 0.2
"""Share that leave one member out, where more than two are left."""
Seat = Sequence[str]
"""One account of a ring, or several that share what comes to one."""


def circle(seats: Sequence[Seat], rng: random.Random) -> list[Seat]:
    """Return who is in a lap, in the order in which they sell."""
    around = list(seats)
    if rng.random() < REVERSED:
        around.reverse()
    if len(around) > 2 and rng.random() < SHORTER:
        around.pop(rng.randrange(len(around)))
    start = rng.randrange(len(around))
    return around[start:] + around[:start]


def hops(around: Sequence[Seat], lots: int, rng: random.Random) -> Iterator[tuple[str, str, int]]:
    """Yield seller, buyer and lots of a lap; who share a seat hand on what they were handed.

    >>> list(hops([["A"], ["B"]], 70, random.Random(1)))
    [('A', 'B', 70), ('B', 'A', 70)]
    >>> [(who, to) for who, to, _ in hops([["A", "B"], ["C"]], 70, random.Random(1))]
    [('A', 'C'), ('B', 'C'), ('C', 'A'), ('C', 'B')]
    """
    cuts = {seat[0]: cut_up(lots, rng, pieces=len(seat)) for seat in around}
    for seat, following in zip(around, [*around[1:], around[0]], strict=True):
        if len(seat) > 1:
            here = zip(seat, cuts[seat[0]], strict=True)
            yield from ((seller, following[0], cut) for seller, cut in here)
        else:
            there = zip(following, cuts[following[0]], strict=True)
            yield from ((seat[0], buyer, cut) for buyer, cut in there)
