"""Whether the group is ahead of large client orders more often than before clients' other orders.

Of all client episodes of one look, side and market state, large ones are taken as drawn blindly:
the number of them that a unit was ahead of is then hypergeometric, whatever the unit's habits in
that hour and state. Strata are independent, so their sum has an exact tail.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from detectors.leak_params import InformationLeakParams
from detectors.leak_state import (
    COMPLEX,
    HIT_BITS,
    MAKER_B,
    PEERS,
    RELATED,
    SCALES,
    T_ALL,
    T_HITS,
    T_LARGE,
    UNITS,
)
from detectors.statistics import q_values, spent
from ingest.compiled import njit
from ingest.events import Array

FAR: Final = 2.0
"""Deviations above expectation below which a test cannot pass, and its exact tail is not taken."""
LIKELY: Final = 0.5
"""What stands for the probability of those."""


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

    @property
    def effect(self) -> float:
        """Share of large orders that were traded ahead of beyond expectation."""
        return (self.hits - self.expected) / max(self.large, 1)


@njit(cache=True)
def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)


@njit(cache=True)
def masses(every: Array, marked: Array, drawn: Array) -> Array:
    """Return the probabilities of 0, 1, … marked ones among those drawn in all strata together.

    Parameters
    ----------
    every, marked, drawn : (n,) int64
        Of each stratum: how many there are, how many of them are marked, how many are drawn.
    """
    total = np.ones(1, np.float64)
    for s in range(len(every)):
        n, m, d = every[s], marked[s], drawn[s]
        least, most = max(0, d + m - n), min(d, m)
        whole = _log_choose(n, d)
        longer = np.zeros(len(total) + most, np.float64)
        for k in range(least, most + 1):
            mass = math.exp(_log_choose(m, k) + _log_choose(n - m, d - k) - whole)
            for j in range(len(total)):
                longer[j + k] += total[j] * mass
        total = longer
    return total


def tails(every: Array, marked: Array, drawn: Array, hits: int) -> tuple[float, float]:
    """Return P(X >= hits) and P(X > hits).

    >>> one = lambda x: np.array([x], np.int64)
    >>> tuple(round(p, 6) for p in tails(one(8), one(4), one(4), 3))
    (0.242857, 0.014286)
    """
    mass = masses(every, marked, drawn)
    return (
        min(1.0, math.fsum(mass[hits:].tolist())),
        min(1.0, math.fsum(mass[hits + 1 :].tolist())),
    )


def strata(tallies: Array, unit: int) -> tuple[Array, Array, Array, int]:
    """Return the strata of a test: episodes, those hit, large ones; and the large ones hit.

    Parameters
    ----------
    tallies : (looks, STRATA, TALLY_FIELDS) uint16
        Of one instrument related and one scale.
    """
    flat = tallies.reshape(-1, tallies.shape[-1]).astype(np.int64)
    place = T_HITS + 2 * unit
    flat = flat[(flat[:, T_LARGE] > 0) & (flat[:, T_ALL] > flat[:, T_LARGE])]
    return flat[:, T_ALL], flat[:, place], flat[:, T_LARGE], int(flat[:, place + 1].sum())


def _moments(every: Array, marked: Array, drawn: Array) -> tuple[float, float]:
    """Return mean and standard deviation of the hits by chance."""
    share = marked / every
    spread = drawn * share * (1 - share) * (every - drawn) / np.maximum(every - 1, 1)
    return math.fsum((drawn * share).tolist()), math.sqrt(math.fsum(spread.tolist()))


def verdict(tallies: Array, own: Array, look: int, params: InformationLeakParams) -> Rate | None:
    """Return the surest test of an instrument's day so far, if its look passes.

    The family is every unit of the group, instrument related and length of time whose margins
    could show anything; q-values are by Benjamini and Hochberg, and the n-th look of the day may
    spend `spent(daily_false_alarms, n)`.

    Parameters
    ----------
    tallies : (RELATED, looks, SCALES, STRATA, TALLY_FIELDS) uint16
    own : (OWN_FIELDS,) int64
    look : int
        Its number in the UTC day, from 1.
    """
    level = spent(params.daily_false_alarms, look)
    controlled = bool(own[MAKER_B])
    level *= 1.0 if controlled else params.uncontrolled_ratio
    found: list[Rate] = []
    for related in range(RELATED):
        for scale in range(SCALES):
            part = tallies[related, :, scale]
            for unit in range(COMPLEX, PEERS):
                every, marked, drawn, hits = strata(part, unit)
                if int(np.minimum(marked, drawn).sum()) < params.least_hits:
                    continue  # decided by the margins alone: it is no test
                mean, deviation = _moments(every, marked, drawn)
                p = LIKELY
                if hits - mean > FAR * deviation:
                    p = tails(every, marked, drawn, hits)[0]
                found.append(
                    Rate(
                        related=related, unit=unit, scale=scale, large=int(drawn.sum()), hits=hits,
                        expected=mean, p=p, q=1.0, allowed=level, tests=0, controlled=controlled,
                    )
                )  # fmt: skip
    if not found:
        return None
    q = q_values([rate.p for rate in found])
    best = min(range(len(found)), key=lambda n: (found[n].p, n))
    rate = msgspec.structs.replace(found[best], q=float(q[best]), tests=len(found))
    if rate.q > level or rate.hits < params.least_hits or rate.effect < params.least_effect:
        return None
    if not controlled:
        return rate
    every, marked, drawn, hits = strata(tallies[rate.related, :, rate.scale], PEERS)
    if len(every):
        mean, _ = _moments(every, marked, drawn)
        rate = msgspec.structs.replace(
            rate, peer_hits=hits, peer_expected=mean, peer_p=tails(every, marked, drawn, hits)[0]
        )
    return None if rate.peer_p <= params.peer_chance else rate


def units_of(state: int, scale: int) -> int:
    """Return which units were ahead within a scale: a bit each, from a packed state."""
    return state >> (HIT_BITS + scale * UNITS) & ((1 << UNITS) - 1)
