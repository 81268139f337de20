"""The exact test of quote_fading: withdrawals in clients' windows against what habit gives.

A client's order and its placebo windows are a matched set. Given that a maker withdrew in m of its
k + 1 windows, and if the client's is like the others, the client's is one of the m with chance
m / (k + 1), exactly (the conditional test of a matched case-control study, Breslow and Day 1980,
chapter 7). A withdrawal says the more the rarer it is in windows like its own: who fades goes in
short windows and in quiet ones as well, habit goes in long and busy ones. So a set with a
withdrawal of the client's counts -ln of its chance (the score of the alternative under which the
complex withdraws in a client's window with one chance, whatever the window), in half nats. The sum
over sets is a Poisson-binomial of such weights, exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.fading_params import QuoteFadingParams
from detectors.fading_state import (
    COMPLEX,
    DOUBTFUL,
    HIT_LEVEL,
    LEVEL,
    LEVELS,
    PEERS,
    PLACEBO_WITHDRAWN,
    PLACEBOS,
    WINDOWS,
    WITHDRAWN,
)
from detectors.statistics import fisher_tail, spread, times_habit
from ingest.events import Array
from ingest.times import DAY_S

CHANCES: Final = np.arange(1, LEVELS + 1) / LEVELS
"""Of a set to have its withdrawal in the client's window, by the place of its level."""
HALF_NATS: Final = 2
WEIGHTS: Final = np.ceil(-HALF_NATS * np.log(CHANCES)).astype(np.int64)
"""What a set in which the client's window has a withdrawal counts, half nats, by its place."""
SIDES = (0, 1, -1)
"""Clients of both sides together, then those that buy and those that sell."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A test that passed, of one unit, side and span."""

    unit: int
    side: int
    """Of the clients: 1 buy, -1 sell, 0 both."""
    buckets: int
    chance: float
    """P(X >= hits) under the own habit."""
    allowed: float
    """What this test may spend."""
    controlled: bool
    """There are external makers to compare with."""
    peer_chance: float
    """P of the excess over external makers; 1 where there are none."""
    expected: float
    surprise: float
    """Sum of -ln of the chances of the sets in which the client's window had a withdrawal, nats."""
    usual_surprise: float
    """What the own habit gives of it, nats."""
    tally: tuple[int, ...]
    peers: tuple[int, ...]
    peer_buckets: int
    """Span of `peers`: that of the test, or a longer one where the test's has too few."""
    parts: int
    """Equal parts of an instrument's budget of which this unit's tests may spend one."""


def tails(levels: Sequence[int] | Array, hits: Sequence[int] | Array) -> tuple[float, float]:
    """Return P(S >= s) and P(S > s) of the sum of weights over matched sets.

    Parameters
    ----------
    levels : (LEVELS,) int
        Sets by their chance: place n holds those of chance (n + 1) / LEVELS.
    hits : (LEVELS,) int
        Those of them in which the client's window had a withdrawal.

    Examples
    --------
    Four of four withdrawals, each with one chance in forty; then two of forty:

    >>> tails([4] + [0] * 39, [4] + [0] * 39)[0] < 4e-7
    True
    >>> round(tails([40] + [0] * 39, [2] + [0] * 39)[0], 3)
    0.264

    One of two, that of one chance in forty; then that of one in two:

    >>> round(tails([1] + [0] * 18 + [1] + [0] * 20, [1] + [0] * 39)[0], 3)
    0.025
    >>> round(tails([1] + [0] * 18 + [1] + [0] * 20, [0] * 19 + [1] + [0] * 20)[0], 3)
    0.512
    """
    mass = np.ones(1)
    for place, sets in enumerate(np.asarray(levels).tolist()):
        if sets and WEIGHTS[place]:
            of_place = _binomial(sets, (place + 1) / LEVELS)
            mass = np.convolve(mass, spread(of_place, int(WEIGHTS[place])))
    seen = int(np.asarray(hits) @ WEIGHTS)
    return float(min(1.0, mass[seen:].sum())), float(min(1.0, mass[seen + 1 :].sum()))


def _binomial(trials: int, chance: float) -> Array:
    """Return P(X = 0 ... trials)."""
    if chance >= 1:
        return np.append(np.zeros(trials), 1.0)
    mass = np.empty(trials + 1)
    mass[0] = np.exp(trials * np.log1p(-chance))
    counts = np.arange(trials)
    with np.errstate(under="ignore"):
        mass[1:] = mass[0] * np.cumprod((trials - counts) / (counts + 1) * chance / (1 - chance))
    return mass


def day_tests(params: QuoteFadingParams, parts: int) -> float:
    """Return how many tests share an instrument's day, where units share it in so many parts.

    Of tests that hang together as many count as one as `tests_alike` says.

    >>> day_tests(QuoteFadingParams(), 1)
    1728.0
    """
    tests = DAY_S // params.bucket_s * len(params.scales) * len(SIDES) * parts
    return tests / params.tests_alike


def verdict(
    tallies: Array, bucket: int, since: int, peers_seen: int, params: QuoteFadingParams
) -> Verdict | None:
    """Return the clearest of the tests that pass at the end of a bucket; None when none does.

    Parameters
    ----------
    tallies : (buckets, units, 2, fields) int
        Of one instrument; a ring over buckets.
    bucket : int
        Number of the bucket that is over.
    since : int
        Number of the last bucket that is of an earlier spell, and in no test.
    peers_seen : int
        External makers that there are.
    """
    passed = list(_passed(tallies, bucket, since, peers_seen, params))
    return min(passed, key=lambda each: each.chance, default=None)


def _passed(
    tallies: Array, bucket: int, since: int, peers_seen: int, params: QuoteFadingParams
) -> Iterator[Verdict]:
    for buckets in (scale for scale in params.scales if scale <= bucket - since):
        for side in SIDES:
            sums = _sums(tallies, bucket, buckets, side)
            peers, peer_buckets = _peers_of(sums[PEERS], tallies, bucket, buckets, side, params)
            controlled = peers_seen > 1 and peers[WINDOWS] >= params.least_peer_windows
            least = params.min_withdrawals if controlled else params.min_alone
            for unit, parts in _units(sums):
                tally = sums[unit]
                hits = int(tally[WITHDRAWN])
                if hits < least:
                    continue
                levels = tally[LEVEL:HIT_LEVEL]
                expected = float(levels @ CHANCES)
                if hits <= expected:
                    continue
                chance = tails(levels, tally[HIT_LEVEL:])[0]
                allowed = params.daily_false_alarms / day_tests(params, parts)
                peer_chance = _over_peers(tally, peers, expected) if controlled else 1.0
                if chance > allowed or (controlled and peer_chance > params.peer_chance):
                    continue
                yield Verdict(
                    unit=unit,
                    side=side,
                    buckets=buckets,
                    chance=chance,
                    allowed=allowed,
                    controlled=bool(controlled),
                    peer_chance=peer_chance,
                    expected=expected,
                    surprise=float(tally[HIT_LEVEL:] @ WEIGHTS) / HALF_NATS,
                    usual_surprise=float(levels @ (WEIGHTS * CHANCES)) / HALF_NATS,
                    tally=tuple(tally[: DOUBTFUL + 1].tolist()),
                    peers=tuple(peers[: DOUBTFUL + 1].tolist()),
                    peer_buckets=peer_buckets,
                    parts=parts,
                )


def _sums(tallies: Array, bucket: int, buckets: int, side: int) -> Array:
    """Return the sums of the latest buckets, of clients on one side or (0) on both."""
    both: Array = tallies[[(bucket - back) % len(tallies) for back in range(buckets)]].sum(axis=0)
    return both.sum(axis=1) if not side else both[:, 0 if side > 0 else 1]


def _units(sums: Array) -> list[tuple[int, int]]:
    """Return what is tested: the complex, and its accounts where more than one had a window.

    With each in how many parts the budget is cut for it: half is the complex's, as who fades by
    turns shows there, and the rest is shared by its accounts.
    """
    accounts = [unit for unit in range(COMPLEX + 1, PEERS) if sums[unit, WINDOWS]]
    if len(accounts) < 2:
        return [(COMPLEX, 1)]
    return [(COMPLEX, 2), *((unit, 2 * len(accounts)) for unit in accounts)]


def _peers_of(  # noqa: PLR0917
    own: Array, tallies: Array, bucket: int, buckets: int, side: int, params: QuoteFadingParams
) -> tuple[Array, int]:
    """Return the tally of external makers, in the test's own span or a longer one, and its buckets.

    Where they had too few windows in the test's own span, and withdrew in none of them, what they
    do over a longer one stands for it; the longest if none has enough.
    """
    if own[WITHDRAWN] or own[WINDOWS] >= params.least_peer_windows:
        return own, buckets
    longer, peers = buckets, own
    for longer in sorted(each for each in params.scales if each > buckets):
        peers = _sums(tallies, bucket, longer, side)[PEERS]
        if peers[WINDOWS] >= params.least_peer_windows:
            break
    return peers, longer


def _over_peers(ours: Array, peers: Array, expected: float) -> float:
    """Return P of as many withdrawals above habit, had peers and we one rate in clients' windows.

    What the own habit explains is taken off ours and not off theirs: a common cause, such as a
    move of the outside price, shows in the peers' whole. Where it makes them go some times more
    often than by their habit, ours is taken to be so many times the habit too.
    """
    more = times_habit(int(peers[WITHDRAWN]), expected_by_placebos(peers))
    excess = max(0, int(ours[WITHDRAWN]) - math.ceil(more * expected))
    return fisher_tail(excess, int(ours[WINDOWS]), int(peers[WITHDRAWN]), int(peers[WINDOWS]))


def expected_by_placebos(tally: Sequence[int] | Array) -> float:
    """Return how many windows would have a withdrawal were they like their placebos."""
    if not tally[PLACEBOS]:
        return 0.0
    return float(tally[WINDOWS] * tally[PLACEBO_WITHDRAWN] / tally[PLACEBOS])


def rate(withdrawn: int, windows: int) -> float:
    """Return withdrawals a window; 0 where there was none.

    >>> rate(1, 4), rate(0, 0)
    (0.25, 0.0)
    """
    return withdrawn / windows if windows else 0.0


def rates(tally: Sequence[int]) -> tuple[float, float]:
    """Return the rate of withdrawals in clients' windows, and in placebos."""
    return (
        rate(tally[WITHDRAWN], tally[WINDOWS]),
        rate(tally[PLACEBO_WITHDRAWN], tally[PLACEBOS]),
    )
