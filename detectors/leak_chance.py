"""Whether one is ahead of large client orders more often than before clients' other orders.

Of all client episodes of one span, side and market state, large ones are taken as drawn blindly:
the number of them that a unit was ahead of is then hypergeometric, whatever the unit's habits in
that hour and state. `leak_bets` says how sure it is that they are not; how many were expected, and
what others did, is said from the day's strata, which are independent: their sum has an exact tail.
A suspected account of a client is tested on episodes that began when it was one already: how it was
chosen costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Final

import msgspec
import numpy as np

from detectors.leak_bets import MOST
from detectors.leak_params import InformationLeakParams
from detectors.leak_state import (
    COMPLEX,
    CROWD,
    EACH,
    GRADES,
    GROUP_SLOTS,
    HIT_BITS,
    MAKER_B,
    PEERS,
    SCALES,
    SCREENED_GRADE,
    SUSPECTED,
    SUSPECTS,
    T_ALL,
    T_HITS,
    T_KNOWN,
    T_LARGE,
    UNITS,
)
from detectors.strata import tails
from ingest.events import Array

GROUPS_PART: Final = 0.75
"""Part of a day's stake that is on the group's accounts; the rest is on those of clients."""
OWN_PART: Final = 0.75
"""Part of that which is on executions in the order's own instrument, where the underlying has
others: there the price moves most."""
TOGETHER_PART: Final = 0.25
"""Part of the group's that is on the complex in all instruments together, where there are others:
who knows of orders in one often knows of those in others, and of few in each. Not half of it: what
all win together comes to much once several are led, and one that is led alone has but its own."""
GROUPS: Final = range(COMPLEX, GROUP_SLOTS + 1)
ALONE, UNDERLYING, PLATFORM = range(3)
"""Of which instruments' orders a bet is: of one; of all on its underlying, where what was won in
each is multiplied; of all that there are, where each look pays the mean of what it pays in each."""
Strata = tuple[Array, Array, Array, int]
"""Of each stratum: episodes, those hit, large ones; and how many large ones were hit in all."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One test that passed: of a unit, in one instrument, over one length of time."""

    related: int
    unit: int
    scale: int
    grade: int
    large: int
    """Large client orders in strata that say anything."""
    hits: int
    expected: float
    p: float
    """Chance ever to win as much on this bet, at most."""
    q: float = 1.0
    """Of all bets on this unit, or the group, and with the part of the day's stake that they have,
    likewise."""
    allowed: float = 0.0
    tests: int = 0
    """Bets on it."""
    peer_hits: int = 0
    peer_expected: float = 0.0
    peer_p: float = 1.0
    controlled: bool = False
    worth: float
    """Hits in this instrument beyond expectation, times the square of the part of its hits that
    they are: what is cited should be mostly that."""
    over: int = ALONE
    """Of which instruments' orders it is, each with what was executed in it."""
    crowd_hits: int = 0
    """Of clients who are not suspected, over the time in which they were least like chance."""
    crowd_expected: float = 0.0
    crowd_p: float = 1.0

    @property
    def suspected(self) -> bool:
        """Whether the unit is a client's account."""
        return self.unit >= SUSPECTED

    @property
    def effect(self) -> float:
        """Share of large orders that were traded ahead of beyond expectation."""
        return (self.hits - self.expected) / max(self.large, 1)


def strata(tallies: Array, unit: int, grade: int) -> Strata:
    """Return the strata of a test: episodes, those hit, large ones; and the large ones hit.

    Parameters
    ----------
    tallies : (SPANS, STRATA, TALLY_FIELDS) uint16
        Of one instrument related and one scale.
    """
    flat = tallies.reshape(-1, tallies.shape[-1]).astype(np.int64)
    place, every = T_HITS + EACH * unit, T_ALL
    if unit >= SUSPECTED:
        every = T_KNOWN + EACH * (unit - SUSPECTED)
    large = every + T_LARGE - T_ALL + grade
    flat = flat[(flat[:, large] > 0) & (flat[:, every] > flat[:, large])]
    return flat[:, every], flat[:, place], flat[:, large], int(flat[:, place + 1 + grade].sum())


def _moments(every: Array, marked: Array, drawn: Array) -> tuple[float, float]:
    """Return mean and standard deviation of the hits by chance."""
    share = marked / every
    spread = drawn * share * (1 - share) * (every - drawn) / np.maximum(every - 1, 1)
    return math.fsum((drawn * share).tolist()), math.sqrt(math.fsum(spread.tolist()))


class Tallies(msgspec.Struct, frozen=True):
    """The day so far of one instrument."""

    counts: Array
    """(RELATED, SPANS, SCALES, STRATA, TALLY_FIELDS) uint16."""
    own: Array
    """(OWN_FIELDS,) int64."""
    accounts: Array
    """(RELATED, SUSPECTS) int64: suspected accounts, by instrument related and slot; -1 = none."""
    numbers: Array
    """(RELATED, SUSPECTS) int64: which of that instrument's suspects of the day each is, from 1."""
    won: Array
    """(RELATED, SCALES, GRADES, UNITS) float64: what the bets have won."""

    def unit_of(self, account: int) -> int:
        """Return the unit that a suspected account is here; -1 = it is none."""
        slots = np.flatnonzero(self.accounts[0] == account)
        return SUSPECTED + int(slots[0]) if len(slots) else -1


class Together(msgspec.Struct, frozen=True):
    """The day so far of all instruments."""

    counts: Array
    """(instruments, SPANS, SCALES, STRATA, TALLY_FIELDS) uint16: each with its own executions."""
    won: Array
    """(SCALES, GRADES) float64: what bets on the complex in all of them have won."""

    def strata(self, scale: int, unit: int, grade: int) -> list[Strata]:
        """Return the strata of a test in each of them."""
        return [strata(part[:, scale], unit, grade) for part in self.counts]


def verdicts(
    day: Tallies,
    others: Sequence[Tallies],
    together: Together,
    params: InformationLeakParams,
) -> list[Rate]:
    """Return the surest tests that pass of an instrument's day so far: the group's, and suspects'.

    A stake for the day is spread over every unit, instrument related, length of time and size from
    which an order is large: `GROUPS_PART` of it over those of the group, `TOGETHER_PART` of that
    over those of all instruments together; the rest over suspects, by how many the day had before,
    for whom the instruments of the underlying together are bet on as well. One passes while its
    part comes to 1 / `daily_false_alarms` of the whole. Told is, of the bets that would pass alone,
    are of enough large orders, and of enough of them, the one that is worth most to be cited.

    Parameters
    ----------
    others : sequence of Tallies
        Of the other instruments on the underlying.
    """
    level = params.daily_false_alarms
    controlled = bool(day.own[MAKER_B])
    level *= 1.0 if controlled else params.uncontrolled_ratio
    passed: list[Rate] = []
    for bets, fortune in _fortunes(day, others, together, level, params.part_chance):
        sure = [bet for bet in sorted(bets, reverse=True) if bet[0] * level >= 1.0]
        rates = [_rate(day, others, together, bet, params) for bet in sure]
        rate = max((r for r in rates if r is not None), key=attrgetter("worth"), default=None)
        if rate is not None:
            passed.append(
                msgspec.structs.replace(
                    rate, q=min(1.0, 1.0 / fortune), allowed=level, tests=len(bets),
                    controlled=controlled,
                )
            )  # fmt: skip
    found = [_controlled(rate, day.counts[rate.related], together, params) for rate in passed]
    return [rate for rate in found if rate is not None]


_Bet = tuple[float, int, int, int, int, int]
"""What was won, instrument related, scale, grade, unit, and of which instruments' orders it is."""


def _rate(
    day: Tallies,
    others: Sequence[Tallies],
    together: Together,
    bet: _Bet,
    params: InformationLeakParams,
) -> Rate | None:
    """Return what a bet was on; None where that was too few orders, or too small a part of them."""
    gain, related, scale, grade, unit, over = bet
    parts = [strata(day.counts[related, :, scale], unit, grade)]
    if over == UNDERLYING and _tail(parts) > params.part_chance:
        return None
    here = _beyond(parts)
    if over == UNDERLYING:
        account = int(day.accounts[0, unit - SUSPECTED])
        units = [(other, other.unit_of(account)) for other in others]
        parts += [strata(o.counts[0, :, scale], n, grade) for o, n in units if n >= 0]
    elif over == PLATFORM:
        parts = together.strata(scale, unit, grade)
    every, marked, drawn, hits = _joined(parts)
    rate = Rate(
        related=related, unit=unit, scale=scale, grade=grade, large=int(drawn.sum()), hits=hits,
        expected=_moments(every, marked, drawn)[0], p=1.0 / gain, over=over,
        worth=max(here[1], 0.0) ** 3 / max(here[0], 1) ** 2,
    )  # fmt: skip
    return rate if hits >= params.least_hits and rate.effect >= params.least_effect else None


def _fortunes(
    day: Tallies, others: Sequence[Tallies], together: Together, level: float, part_chance: float
) -> Iterator[tuple[list[_Bet], float]]:
    """Yield the bets on the group, and on each suspect, whose part has come to 1 / `level`."""
    parts = [OWN_PART, *((1.0 - OWN_PART) / len(others) for _ in others)] if others else [1.0]
    fortune = sum(
        part * float(day.won[n, ..., GROUPS.start : GROUPS.stop].mean())
        for n, part in enumerate(parts)
    )
    alone, in_all = GROUPS_PART * fortune, 0.0
    if len(together.counts) > 1:
        alone *= 1.0 - TOGETHER_PART
        in_all = GROUPS_PART * TOGETHER_PART * float(together.won.mean())
    ways = [(scale, grade) for scale in range(SCALES) for grade in range(GRADES)]
    bets: list[_Bet] = []
    if alone * level >= 1.0:
        bets += [
            (float(day.won[n, scale, grade, unit]), n, scale, grade, unit, ALONE)
            for n in range(len(parts)) for scale, grade in ways for unit in GROUPS
        ]  # fmt: skip
    if in_all * level >= 1.0:
        bets += [
            (float(together.won[scale, grade]), 0, scale, grade, COMPLEX, PLATFORM)
            for scale, grade in ways
            if float(day.won[0, scale, grade, COMPLEX]) * part_chance >= 1.0
        ]
    if bets:
        yield bets, max(alone, in_all)
    places: dict[int, list[tuple[int, int]]] = {}
    for n in range(len(parts)):
        for slot in np.flatnonzero(day.accounts[n] >= 0).tolist():
            places.setdefault(int(day.accounts[n, slot]), []).append((n, slot))
    for account, at in sorted(places.items()):
        every: list[_Bet] = []
        fortune = 0.0
        for n, slot in at:
            unit = SUSPECTED + slot
            here: list[_Bet] = [
                (float(day.won[n, scale, grade, unit]), n, scale, grade, unit, ALONE)
                for scale, grade in ways
            ]
            if n == 0:
                there = [(other, other.unit_of(account)) for other in others]
                there = [(other, unit) for other, unit in there if unit >= 0]
                for place, (scale, grade) in enumerate(ways if there else ()):
                    gain = math.prod(float(o.won[0, scale, grade, u]) for o, u in there)
                    gain = min(here[place][0] * gain, MOST)
                    here.append((gain, 0, scale, grade, unit, UNDERLYING))
            fortune += _part_of(int(day.numbers[n, slot])) * parts[n] * _mean(here)
            every += here
        if fortune * level >= 1.0:
            yield every, fortune


def _mean(bets: Sequence[_Bet]) -> float:
    return math.fsum(bet[0] / len(bets) for bet in bets)


def _part_of(number: int) -> float:
    """Return the part of the stake on the day's n-th suspect: all come to what is not the group's.

    >>> sum(_part_of(n) for n in range(1, 100_000)) < 1 - GROUPS_PART
    True
    """
    return (1.0 - GROUPS_PART) * SUSPECTS / ((number + SUSPECTS - 1) * (number + SUSPECTS))


def strength(tallies: Sequence[Array], unit: int) -> float:
    """Return by how many deviations a suspect is ahead at most beyond expectation.

    Parameters
    ----------
    tallies : sequence of (SPANS, SCALES, STRATA, TALLY_FIELDS) uint16
        Of the instruments whose orders its executions are held against.
    """
    most = -math.inf
    for part in tallies:
        for scale in range(SCALES):
            every, marked, drawn, hits = strata(part[:, scale], unit, SCREENED_GRADE)
            mean, deviation = _moments(every, marked, drawn)
            most = max(most, (hits - mean) / max(deviation, 1.0))
    return most


def _joined(parts: Sequence[Strata]) -> Strata:
    every, marked, drawn = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return every, marked, drawn, sum(part[3] for part in parts)


def _beyond(parts: Sequence[Strata]) -> tuple[int, float]:
    """Return the hits, and how many of them are beyond expectation."""
    every, marked, drawn, hits = _joined(parts)
    return hits, hits - _moments(every, marked, drawn)[0]


def _tail(parts: Sequence[Strata]) -> float:
    every, marked, drawn, hits = _joined(parts)
    return tails(every, marked, drawn, hits).p if len(every) else 1.0


def _controlled(
    rate: Rate, tallies: Array, together: Together, params: InformationLeakParams
) -> Rate | None:
    """Return a test with what others did; None where it was as little by chance."""
    grade = rate.grade
    alike = params.alike_ratio * _lift(rate.hits, rate.expected, rate.large)
    if rate.controlled:
        hits, mean, p, large = _by([strata(tallies[:, rate.scale], PEERS, grade)])
        if p <= params.peer_chance:
            return None
        if rate.over == PLATFORM:
            # Of so many orders what is common to all shows as well, however little it is.
            hits, mean, p, large = _by(together.strata(rate.scale, PEERS, grade))
            if p <= params.peer_chance and _lift(hits, mean, large) >= alike:
                return None
        rate = msgspec.structs.replace(rate, peer_hits=hits, peer_expected=mean, peer_p=p)
    if rate.suspected:
        # Over a longer time some client is ahead of nearly every order, and nothing is to be seen.
        scales = range(rate.scale + 1)
        by = [_by([strata(tallies[:, scale], CROWD, grade)]) for scale in scales]
        hits, mean, p, large = min(by, key=itemgetter(2))
        p = min(1.0, len(scales) * p)
        rate = msgspec.structs.replace(rate, crowd_hits=hits, crowd_expected=mean, crowd_p=p)
        if p <= params.peer_chance and _lift(hits, mean, large) >= alike:
            return None
        suspects = set(range(SUSPECTED, SUSPECTED + SUSPECTS)) - {rate.unit}
        others = [_by([strata(tallies[:, rate.scale], n, grade)]) for n in sorted(suspects)]
        same = sum(p <= params.part_chance and _lift(h, m, n) >= alike for h, m, p, n in others)
        if same >= params.least_alike:
            return None
    return rate


def _lift(hits: int, expected: float, large: int) -> float:
    """Return how much more often one acts before large orders: of rates of a Poisson process."""
    never = max(large - hits, 0.5) / large, max(large - expected, 0.5) / large
    return math.log(never[0]) / min(math.log(never[1]), -1e-9) - 1.0


def _by(parts: Sequence[Strata]) -> tuple[int, float, float, int]:
    """Return a control's hits, how many were expected, their probability, and large orders."""
    every, marked, drawn, hits = _joined(parts)
    if not len(every):
        return 0, 0.0, 1.0, 1
    p = tails(every, marked, drawn, hits).p
    return hits, _moments(every, marked, drawn)[0], p, int(drawn.sum())


def units_of(state: int, scale: int) -> int:
    """Return which units were ahead within a scale: a bit each, from a packed state."""
    return state >> (HIT_BITS + scale * UNITS) & ((1 << UNITS) - 1)
