"""The tests of client_interaction: whether the group leads every peer, and its clients lose more.

An observation is a block of seconds; its mean is held against zero, or against a peer's, by
Student's t (Welch 1947 where variances differ). A maker that is not favoured need not be like the
average of its peers, only no more favoured than one of them: the chance of a comparison is the
largest over peers (an intersection-union test, Berger 1982, exact at its level or below it).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.special import ndtri, stdtr

from detectors.interaction_params import ClientInteractionParams
from detectors.interaction_state import (
    BLOCK_NS,
    BLOCKS_NS,
    GROUP,
    HORIZONS,
    KINDS,
    SEEN,
    STRATA,
    T_BLOCKS,
    T_MOVES,
    T_SQUARES,
    T_SUM,
    TESTS,
)
from ingest.events import Array
from ingest.times import DAY_S

QUOTES, FILLS, DRIFT = 0, 1, 2
DRIFT_MARKOUT: Final = 2
"""Five seconds: a drift is slow, so one horizon is enough."""
MOST_SCORE: Final = 4.0
"""Of one step, deviations: a drift is no jump."""
TESTED_MARKOUTS: Final = (1, 2, 3)
"""1, 5 and 30 s: at 0.1 s the fill itself still moves the book, at 300 s chance is all there is."""
ROUNDING: Final = 1e-12
"""Variance of a mean beside its square that is a matter of floats."""
SHORTER: Final = np.array([BLOCK_NS / lasts for lasts in BLOCKS_NS] * (KINDS // len(BLOCKS_NS)))
"""How many blocks of quotes, by kind, last as long as one of fills."""
SIDE_WORDS: Final = ("both", "buy", "sell")
LEAST_PEERS: Final = 2
"""External makers without which fills are not compared."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A test that passed."""

    by: int
    """QUOTES, FILLS or DRIFT."""
    buckets: int
    horizon: int
    """Place in HORIZONS, or in MARKOUT_NS."""
    volatile: bool = False
    """Of quotes: of the looks alone at which prices move much more than they usually do."""
    reach: int = 0
    """Of quotes: the farthest place in HORIZONS at which the same part passes too."""
    side: int
    """Of the clients, as in SIDE_WORDS; of quotes, those that deal at the part that was tested."""
    chance: float
    allowed: float
    peers: int
    """External makers that it was held against."""
    nearest: int
    """Slot of the peer that comes nearest to it."""
    blocks: int
    effect: float
    """Quotes: by how much more of the others' coming move they held than the nearest peer's, as a
    share of it. Fills: by how much more the mid went against clients, in spreads. Drift: the
    cumulative sum, deviations."""


def kind_of(passed: Verdict) -> int:
    """Return which of the tallies of quotes a test was of."""
    return SEEN * TESTS * passed.volatile + passed.side * len(HORIZONS) + passed.horizon


def daily_tests(params: ClientInteractionParams, by: int) -> int:
    """Return how many tests of a kind are made of an instrument in a day."""
    if by == DRIFT:
        return math.ceil(DAY_S / (params.bucket_s * params.scales[0]))
    each = STRATA * TESTS if by == QUOTES else len(SIDE_WORDS) * len(TESTED_MARKOUTS)
    return math.ceil(DAY_S / params.bucket_s) * len(params.scales) * each


def allowed(params: ClientInteractionParams, by: int) -> float:
    """Return what one test of a kind may spend."""
    if by == DRIFT:
        return drift_chance(params)
    return params.daily_false_alarms / 2 / daily_tests(params, by)


def moments(tally: Array) -> tuple[Array, Array, Array]:
    """Return counts, means and variances of means, from tallies (..., TALLY_FIELDS).

    Where there are fewer than two observations, or all are one number but for rounding, the
    variance is infinite: nothing is told from them.
    """
    n, total, squares = (tally[..., place] for place in (T_BLOCKS, T_SUM, T_SQUARES))
    least = np.maximum(n, 2)
    mean = total / np.maximum(n, 1)
    spread = np.maximum(squares - n * mean * mean, 0) / (least - 1) / least
    known = (n >= 2) & (spread > ROUNDING * mean * mean)
    return n, mean, np.where(known, spread, np.inf)


def ahead(tally: Array) -> Array:
    """Return the chance that quotes would hold so much of what came, did they hold nothing.

    >>> row = np.array([20.0, 4.0, 1.2, 9.0])
    >>> float(ahead(row).round(6))
    3e-06
    """
    n, mean, variance = moments(tally)
    return np.asarray(stdtr(np.maximum(n, 2) - 1, -mean / np.sqrt(variance)))


def worse(ours: Array, theirs: Array) -> Array:
    """Return the chance that clients' moves against us would be so much worse, were they alike."""
    n, mean, variance = moments(ours)
    m, other, other_variance = moments(theirs)
    both = variance + other_variance
    known = np.isfinite(both)
    safe = np.where(known, both, 1.0)
    parts = [
        np.where(known, each, 1.0) ** 2 / (np.maximum(count, 2) - 1)
        for each, count in ((variance, n), (other_variance, m))
    ]
    freedom = safe * safe / (parts[0] + parts[1])
    return np.where(known, stdtr(freedom, (mean - other) / np.sqrt(safe)), 1.0)


def latest(tallies: Array, bucket: int, scales: Sequence[int]) -> Array:
    """Return the sums of the latest buckets, for each of several numbers of them.

    >>> latest(np.arange(4.0)[:, None], 5, (1, 2))[:, 0].tolist()
    [1.0, 1.0]
    """
    found = np.empty((len(scales), *tallies.shape[1:]))
    total = tallies[bucket % len(tallies)].copy()
    taken = 1
    for place, scale in enumerate(scales):
        for back in range(taken, scale):
            total += tallies[(bucket - back) % len(tallies)]
        taken = scale
        found[place] = total
    return found


def verdicts(
    tallies: Array, fill_tallies: Array, bucket: int, params: ClientInteractionParams
) -> list[Verdict]:
    """Return the tests that passed at the end of a bucket, of each kind and scale the clearest.

    Of quotes they are of all looks, and of volatile ones.

    Parameters
    ----------
    tallies : (KEPT_BUCKETS, SLOTS, horizons, TALLY_FIELDS) float64
    fill_tallies : (KEPT_BUCKETS, SLOTS, 2, markouts, TALLY_FIELDS) float64
    bucket : int
        The one that is over.
    """
    return [*_of_quotes(tallies, bucket, params), *_of_fills(fill_tallies, bucket, params)]


def _of_quotes(tallies: Array, bucket: int, params: ClientInteractionParams) -> Iterator[Verdict]:
    sums = latest(tallies[:, 1:], bucket, params.scales)
    blocks, least = sums[..., T_BLOCKS], params.min_quote_blocks
    # Who was there but for a part of what the others were, and no long time, is no peer of it.
    there = (2 * blocks >= blocks.max(axis=1, keepdims=True)) | (blocks >= least * SHORTER)
    enough = (blocks >= least) & there
    peers = enough.sum(axis=1)
    # The group must be ahead of every peer: the largest chance counts.
    held = ahead(sums)
    each = np.where(enough, held, -1.0)
    chances = np.where(peers > 0, each.max(axis=1), 1.0)
    now = ahead(sums[0])
    level = allowed(params, QUOTES)
    for first in range(0, KINDS, SEEN * TESTS):
        acted, moved_too = (slice(at, at + TESTS) for at in (first, first + TESTS))
        moved = np.where(enough[:, :, acted], held[:, :, moved_too], -1.0)
        for scale, row in enumerate(chances[:, acted]):
            place = int(row.argmin())
            kind = first + place
            nearest = int(each[scale, :, kind].argmax())
            if (
                row[place] > level
                or moved[scale, :, place].max() > params.moved_chance
                or now[nearest, kind] > params.recent_chance
            ):
                continue
            told = sums[scale, nearest, kind]
            side, horizon = divmod(place, len(HORIZONS))
            part = row[side * len(HORIZONS) : (side + 1) * len(HORIZONS)]
            yield Verdict(
                by=QUOTES, buckets=params.scales[scale], horizon=horizon, side=side,
                volatile=first > 0, reach=int(np.flatnonzero(part <= level)[-1]),
                chance=float(row[place]), allowed=level, peers=int(peers[scale, kind]),
                nearest=nearest + 1, blocks=int(told[T_BLOCKS]),
                effect=float(told[T_SUM] / told[T_MOVES]) if told[T_MOVES] > 0 else 0.0,
            )  # fmt: skip


def _of_fills(tallies: Array, bucket: int, params: ClientInteractionParams) -> Iterator[Verdict]:
    tested = tallies[:, :, :, TESTED_MARKOUTS]
    of_sides = np.concatenate([tested.sum(axis=2, keepdims=True), tested], axis=2)
    sums = latest(of_sides, bucket, params.scales)
    enough = sums[..., T_BLOCKS] >= params.min_fill_blocks
    peers = np.where(enough[:, GROUP], enough[:, 1:].sum(axis=1), 0)
    if not (peers >= LEAST_PEERS).any():
        return
    each = np.where(enough[:, 1:], worse(sums[:, :1], sums[:, 1:]), -1.0)
    chances = np.where(peers >= LEAST_PEERS, each.max(axis=1), 1.0)
    # Where its clients gain, if less than others', it quotes better, no more.
    chances = np.where(sums[:, GROUP, ..., T_SUM] < 0, chances, 1.0)
    n, means, _ = moments(sums[0])
    level = allowed(params, FILLS)
    for scale, rows in enumerate(chances):
        side, markout = (int(place) for place in np.unravel_index(rows.argmin(), rows.shape))
        nearest = int(each[scale, :, side, markout].argmax()) + 1
        place = (side, markout)
        better = n[(nearest, *place)] and means[(GROUP, *place)] >= means[(nearest, *place)]
        if rows[place] > level or not n[(GROUP, *place)] or better:
            continue
        ours, theirs = (moments(sums[(scale, slot, *place)])[1] for slot in (GROUP, nearest))
        yield Verdict(
            by=FILLS, buckets=params.scales[scale], horizon=TESTED_MARKOUTS[markout], side=side,
            chance=float(rows[place]), allowed=level, peers=int(peers[(scale, *place)]),
            nearest=nearest, blocks=int(sums[(scale, GROUP, *place)][T_BLOCKS]),
            effect=float(theirs - ours),
        )  # fmt: skip


def begun(tallies: Array, fill_tallies: Array, bucket: int, passed: Verdict) -> int:
    """Return of how many of the latest buckets, up to those tested, a test is the clearest."""
    if passed.by == DRIFT:
        return passed.buckets
    scales = tuple(range(1, passed.buckets + 1))
    if passed.by == QUOTES:
        chances = ahead(latest(tallies[:, passed.nearest, kind_of(passed)], bucket, scales))
    else:
        side = slice(None) if passed.side == 0 else slice(passed.side - 1, passed.side)
        rows = fill_tallies[:, :, side, passed.horizon].sum(axis=2)
        sums = latest(rows, bucket, scales)
        chances = worse(sums[:, GROUP], sums[:, passed.nearest])
    return int(chances.argmin()) + 1


def drift_chance(params: ClientInteractionParams) -> float:
    """Return how likely a step is to raise the cumulative sum of chance alone over its bound.

    One over Siegmund's approximation of the mean time to a false alarm (1985, 10.1.16), with the
    overshoot of a normal score, 1.166.

    >>> drift_chance(ClientInteractionParams()) < 1e-6
    True
    """
    slope = 2 * params.drift_allowance
    reach = slope * (params.drift_bound + 1.166)
    return slope * slope / 2 / (math.exp(reach) - reach - 1)


def drift_of(before: float, tally: Array, params: ClientInteractionParams) -> tuple[float, int]:
    """Return the cumulative sum after a step, and the slot of the peer nearest to the group.

    Page's one-sided CUSUM of normal scores: of how much worse clients' moves were, five seconds
    after fills, against the group than against the peer whose clients fared worst.

    Parameters
    ----------
    before : float
        The sum so far, deviations.
    tally : (SLOTS, 2, markouts, TALLY_FIELDS) float64
        Of the buckets that make the step.
    """
    rows = tally[:, :, DRIFT_MARKOUT].sum(axis=1)
    enough = rows[:, T_BLOCKS] >= params.drift_markout_blocks
    peers = np.flatnonzero(enough[1:]) + 1
    if not enough[GROUP] or len(peers) < LEAST_PEERS:
        return before, 0
    chances = worse(rows[GROUP], rows[peers])
    most = MOST_SCORE if rows[GROUP, T_SUM] < 0 else 0.0  # where its clients gain it is not unfair
    score = float(np.clip(-ndtri(chances.max()), -MOST_SCORE, most))
    return max(0.0, before + score - params.drift_allowance), int(peers[chances.argmax()])
