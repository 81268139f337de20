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
from operator import itemgetter
from typing import Final

import msgspec
import numpy as np

from detectors.leak_bets import MOST
from detectors.leak_params import InformationLeakParams
from detectors.leak_state import (
    COMPLEX,
    CROWD,
    GROUP_SLOTS,
    HIT_BITS,
    MAKER_B,
    PEERS,
    SCALES,
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
GROUPS: Final = range(COMPLEX, GROUP_SLOTS + 1)
Strata = tuple[Array, Array, Array, int]
"""Of each stratum: episodes, those hit, large ones; and how many large ones were hit in all."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One test that passed: of a unit, in one instrument, over one length of time."""

    related: int
    unit: int
    scale: int
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
    over_all: bool = False
    """Whether it is over the orders of all instruments of the underlying, each with what was
    executed in it."""
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


def strata(tallies: Array, unit: int) -> Strata:
    """Return the strata of a test: episodes, those hit, large ones; and the large ones hit.

    Parameters
    ----------
    tallies : (SPANS, STRATA, TALLY_FIELDS) uint16
        Of one instrument related and one scale.
    """
    flat = tallies.reshape(-1, tallies.shape[-1]).astype(np.int64)
    place, every = T_HITS + 2 * unit, T_ALL
    if unit >= SUSPECTED:
        every = T_KNOWN + 2 * (unit - SUSPECTED)
    large = every + T_LARGE - T_ALL
    flat = flat[(flat[:, large] > 0) & (flat[:, every] > flat[:, large])]
    return flat[:, every], flat[:, place], flat[:, large], int(flat[:, place + 1].sum())


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
    """(RELATED, SCALES, UNITS) float64: what the bets have won."""

    def unit_of(self, account: int) -> int:
        """Return the unit that a suspected account is here; -1 = it is none."""
        slots = np.flatnonzero(self.accounts[0] == account)
        return SUSPECTED + int(slots[0]) if len(slots) else -1


def verdicts(day: Tallies, others: Sequence[Tallies], params: InformationLeakParams) -> list[Rate]:
    """Return the surest tests that pass of an instrument's day so far: the group's, and suspects'.

    A stake for the day is spread over every unit, instrument related and length of time:
    `GROUPS_PART` of it over those of the group, the rest over suspects, by how many the day had
    before, for whom the instruments of the underlying together are bet on as well. One passes while
    its part comes to 1 / `daily_false_alarms` of the whole; told is the bet that won most of those
    that would pass alone, are of enough large orders, and of enough of them.

    Parameters
    ----------
    others : sequence of Tallies
        Of the other instruments on the underlying.
    """
    level = params.daily_false_alarms
    controlled = bool(day.own[MAKER_B])
    level *= 1.0 if controlled else params.uncontrolled_ratio
    passed: list[Rate] = []
    for bets, fortune in _fortunes(day, others, level):
        surest = (
            _rate(day, others, bet, params)
            for bet in sorted(bets, reverse=True)
            if bet[0] * level >= 1.0
        )
        rate = next((each for each in surest if each is not None), None)
        if rate is not None:
            passed.append(
                msgspec.structs.replace(
                    rate, q=min(1.0, 1.0 / fortune), allowed=level, tests=len(bets),
                    controlled=controlled,
                )
            )  # fmt: skip
    found = [_controlled(rate, day.counts[rate.related], params) for rate in passed]
    return [rate for rate in found if rate is not None]


_Bet = tuple[float, int, int, int, int]
"""What was won, instrument related, scale, unit, and whether over all on the underlying."""


def _rate(
    day: Tallies, others: Sequence[Tallies], bet: _Bet, params: InformationLeakParams
) -> Rate | None:
    """Return what a bet was on; None where that was too few orders, or too small a part of them."""
    gain, related, scale, unit, over_all = bet
    parts = [strata(day.counts[related, :, scale], unit)]
    if over_all:
        if _tail(parts) > params.part_chance:
            return None
        account = int(day.accounts[0, unit - SUSPECTED])
        units = [(other, other.unit_of(account)) for other in others]
        parts += [strata(o.counts[0, :, scale], n) for o, n in units if n >= 0]
    every, marked, drawn, hits = _joined(parts)
    rate = Rate(
        related=related, unit=unit, scale=scale, large=int(drawn.sum()), hits=hits,
        expected=_moments(every, marked, drawn)[0], p=1.0 / gain, over_all=bool(over_all),
    )  # fmt: skip
    return rate if hits >= params.least_hits and rate.effect >= params.least_effect else None


def _fortunes(
    day: Tallies, others: Sequence[Tallies], level: float
) -> Iterator[tuple[list[_Bet], float]]:
    """Yield the bets on the group, and on each suspect, whose part has come to 1 / `level`."""
    parts = [OWN_PART, *((1.0 - OWN_PART) / len(others) for _ in others)] if others else [1.0]
    fortune = GROUPS_PART * sum(
        part * float(day.won[n, :, GROUPS.start : GROUPS.stop].mean())
        for n, part in enumerate(parts)
    )
    if fortune * level >= 1.0:
        bets: list[_Bet] = [
            (float(day.won[n, scale, unit]), n, scale, unit, 0)
            for n in range(len(parts)) for scale in range(SCALES) for unit in GROUPS
        ]  # fmt: skip
        yield bets, fortune
    places: dict[int, list[tuple[int, int]]] = {}
    for n in range(len(parts)):
        for slot in np.flatnonzero(day.accounts[n] >= 0).tolist():
            places.setdefault(int(day.accounts[n, slot]), []).append((n, slot))
    for account, at in sorted(places.items()):
        every: list[_Bet] = []
        fortune = 0.0
        for n, slot in at:
            unit = SUSPECTED + slot
            here = [(float(day.won[n, scale, unit]), n, scale, unit, 0) for scale in range(SCALES)]
            if n == 0:
                there = [(other, other.unit_of(account)) for other in others]
                for scale in range(SCALES) if any(unit >= 0 for _, unit in there) else ():
                    gain = math.prod(float(o.won[0, scale, u]) for o, u in there if u >= 0)
                    here.append((min(here[scale][0] * gain, MOST), 0, scale, unit, 1))
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
            every, marked, drawn, hits = strata(part[:, scale], unit)
            mean, deviation = _moments(every, marked, drawn)
            most = max(most, (hits - mean) / max(deviation, 1.0))
    return most


def _joined(parts: Sequence[Strata]) -> Strata:
    every, marked, drawn = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return every, marked, drawn, sum(part[3] for part in parts)


def _tail(parts: Sequence[Strata]) -> float:
    every, marked, drawn, hits = _joined(parts)
    return tails(every, marked, drawn, hits).p if len(every) else 1.0


def _controlled(rate: Rate, tallies: Array, params: InformationLeakParams) -> Rate | None:
    """Return a test with what others did; None where it was as little by chance."""
    if rate.controlled:
        hits, mean, p, _ = _by(tallies[:, rate.scale], PEERS)
        rate = msgspec.structs.replace(rate, peer_hits=hits, peer_expected=mean, peer_p=p)
        if p <= params.peer_chance:
            return None
    if rate.suspected:
        # Over a longer time some client is ahead of nearly every order, and nothing is to be seen.
        scales = range(rate.scale + 1)
        by = [_by(tallies[:, scale], CROWD) for scale in scales]
        hits, mean, p, large = min(by, key=itemgetter(2))
        p = min(1.0, len(scales) * p)
        rate = msgspec.structs.replace(rate, crowd_hits=hits, crowd_expected=mean, crowd_p=p)
        alike = params.alike_ratio * _lift(rate.hits, rate.expected, rate.large)
        if p <= params.peer_chance and _lift(hits, mean, large) >= alike:
            return None
        suspects = set(range(SUSPECTED, SUSPECTED + SUSPECTS)) - {rate.unit}
        others = [_by(tallies[:, rate.scale], unit) for unit in sorted(suspects)]
        same = sum(p <= params.part_chance and _lift(h, m, n) >= alike for h, m, p, n in others)
        if same >= params.least_alike:
            return None
    return rate


def _lift(hits: int, expected: float, large: int) -> float:
    """Return how much more often one acts before large orders: of rates of a Poisson process."""
    never = max(large - hits, 0.5) / large, max(large - expected, 0.5) / large
    return math.log(never[0]) / min(math.log(never[1]), -1e-9) - 1.0


def _by(tallies: Array, unit: int) -> tuple[int, float, float, int]:
    """Return a control's hits, how many were expected, their probability, and large orders."""
    every, marked, drawn, hits = strata(tallies, unit)
    if not len(every):
        return 0, 0.0, 1.0, 1
    p = tails(every, marked, drawn, hits).p
    return hits, _moments(every, marked, drawn)[0], p, int(drawn.sum())


def units_of(state: int, scale: int) -> int:
    """Return which units were ahead within a scale: a bit each, from a packed state."""
    return state >> (HIT_BITS + scale * UNITS) & ((1 << UNITS) - 1)
