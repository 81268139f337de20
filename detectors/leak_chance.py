"""Whether one is ahead of large client orders more often than before clients' other orders.

Of all client episodes of one look, side and market state, large ones are taken as drawn blindly:
the number of them that a unit was ahead of is then hypergeometric, whatever the unit's habits in
that hour and state. Strata are independent, so their sum has an exact tail. A suspected account of
a client is tested on episodes that began when it was one already: how it was chosen costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final

import msgspec
import numpy as np

from detectors.leak_params import InformationLeakParams
from detectors.leak_state import (
    COMPLEX,
    CROWD,
    GROUP_SLOTS,
    HIT_BITS,
    MAKER_B,
    N_LET_GO,
    PEERS,
    RELATED,
    SCALES,
    SUSPECTED,
    SUSPECTS,
    T_ALL,
    T_HITS,
    T_KNOWN,
    T_LARGE,
    UNITS,
)
from detectors.statistics import q_values, spent
from detectors.strata import tails
from ingest.events import Array

FAR: Final = 2.0
"""Deviations above expectation below which a test cannot pass, and its exact tail is not taken."""
LIKELY: Final = 0.5
"""What stands for the probability of those."""
Strata = tuple[Array, Array, Array, int]
"""Of each stratum: episodes, those hit, large ones; and how many large ones were hit in all."""
TESTED: Final = (COMPLEX, *range(1, GROUP_SLOTS + 1), *range(SUSPECTED, SUSPECTED + SUSPECTS))
"""Units that are no control."""


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
    q: float
    allowed: float
    tests: int
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
    tallies : (looks, STRATA, TALLY_FIELDS) uint16
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
    """(RELATED, looks, SCALES, STRATA, TALLY_FIELDS) uint16."""
    own: Array
    """(OWN_FIELDS,) int64."""
    accounts: Array
    """(RELATED, SUSPECTS) int64: suspected accounts, by instrument related and slot."""

    def unit_of(self, account: int) -> int:
        """Return the unit that a suspected account is here; -1 = it is none."""
        slots = np.flatnonzero(self.accounts[0] == account)
        return SUSPECTED + int(slots[0]) if len(slots) else -1


def verdicts(
    day: Tallies, others: Sequence[Tallies], look: int, params: InformationLeakParams
) -> list[Rate]:
    """Return the surest tests that pass of an instrument's day so far: the group's, and suspects'.

    The family is every unit of the group, suspect, instrument related and length of time whose
    margins could show anything, for suspects the instruments of the underlying together as well,
    and those let go in the day as if they showed nothing;
    q-values are by Benjamini and Hochberg, and the n-th look of the day may spend
    `spent(daily_false_alarms, n)`.

    Parameters
    ----------
    others : sequence of Tallies
        Of the other instruments on the underlying.
    look : int
        Its number in the UTC day, from 1.
    """
    level = spent(params.daily_false_alarms, look)
    controlled = bool(day.own[MAKER_B])
    level *= 1.0 if controlled else params.uncontrolled_ratio
    found = list(_tests(day, others, params))
    gone = int(sum(each.own[N_LET_GO] for each in (day, *others)))
    q = q_values([rate.p for rate in found] + [LIKELY] * (2 * SCALES * gone))
    surest: dict[int, Rate] = {}
    for n in sorted(range(len(found)), key=lambda n: (found[n].p, n)):
        rate = msgspec.structs.replace(
            found[n], q=float(q[n]), allowed=level, tests=len(found), controlled=controlled
        )
        slot = rate.unit - SUSPECTED
        surest.setdefault(int(day.accounts[rate.related, slot]) if slot >= 0 else -1, rate)
    passed = [
        _controlled(rate, day.counts[rate.related], params)
        for rate in surest.values()
        if rate.q <= level and rate.hits >= params.least_hits and rate.effect >= params.least_effect
    ]
    return [rate for rate in passed if rate is not None]


def _tests(
    day: Tallies, others: Sequence[Tallies], params: InformationLeakParams
) -> Iterator[Rate]:
    for related in range(RELATED):
        for scale in range(SCALES):
            for unit in TESTED:
                parts = [strata(day.counts[related, :, scale], unit)]
                here = _test(parts, params.least_hits)
                if here is not None:
                    yield msgspec.structs.replace(here, related=related, scale=scale, unit=unit)
                if unit < SUSPECTED or related:
                    continue
                account = int(day.accounts[0, unit - SUSPECTED])
                units = [(other, other.unit_of(account)) for other in others]
                parts += [strata(o.counts[0, :, scale], n) for o, n in units if n >= 0]
                over_all = _test(parts, params.least_hits) if len(parts) > 1 else None
                if over_all is not None:
                    part = _test(parts[:1], 1)
                    is_part = part is not None and part.p <= params.part_chance
                    yield msgspec.structs.replace(
                        over_all, scale=scale, unit=unit, over_all=True,
                        p=over_all.p if is_part else LIKELY,
                    )  # fmt: skip


def strength(tallies: Sequence[Array], unit: int) -> float:
    """Return by how many deviations a suspect is ahead at most beyond expectation.

    Parameters
    ----------
    tallies : sequence of (looks, SCALES, STRATA, TALLY_FIELDS) uint16
        Of the instruments whose orders its executions are held against.
    """
    most = -math.inf
    for part in tallies:
        for scale in range(SCALES):
            every, marked, drawn, hits = strata(part[:, scale], unit)
            mean, deviation = _moments(every, marked, drawn)
            most = max(most, (hits - mean) / max(deviation, 1.0))
    return most


def _test(parts: Sequence[Strata], least_hits: int) -> Rate | None:
    """Return the test over some strata; None where the margins alone decide it: it is no test."""
    every, marked, drawn = (np.concatenate([part[n] for part in parts]) for n in range(3))
    hits = sum(part[3] for part in parts)
    if int(np.minimum(marked, drawn).sum()) < least_hits:
        return None
    mean, deviation = _moments(every, marked, drawn)
    p = LIKELY
    if hits - mean > FAR * deviation:
        p = tails(every, marked, drawn, hits).p
    return Rate(
        related=0, unit=0, scale=0, large=int(drawn.sum()), hits=hits, expected=mean, p=p, q=1.0,
        allowed=0.0, tests=0,
    )  # fmt: skip


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
