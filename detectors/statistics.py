"""Statistics that indicators share: exact tails, chance that repeats, many tests at once.

Nothing here draws: what plays the part of chance is a hash of what it decides about, so that a
replay decides the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.special import bdtrc, gammaincc, gammaln, pdtrc, xlog1py, xlogy

from ingest.events import Array

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
LEAST: Final = 1e-300
"""What stands for a p of nought in a logarithm."""


def uniform(*words: int) -> float:
    """Return a number in [0, 1) that is a function of integers: evenly spread, and repeatable.

    SplitMix64 (Steele, Lea, Flood 2014), chained over the words. Words that name an instrument or
    an account must be hashes of the name (`ingest.hashing.hash_name`), never codes.

    >>> uniform(7, 1) == uniform(7, 1), uniform(7, 1) == uniform(1, 7)
    (True, False)
    """
    state = 0
    for word in words:
        state = (state ^ (word & _MASK)) + _GOLDEN & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return (state >> 11) / (1 << 53)


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """Return P(X >= hits), X ~ binomial(trials, chance); exact.

    >>> binomial_tail(9, 10, 0.5), binomial_tail(0, 10, 0.5)
    (0.0107421875, 1.0)
    """
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    return float(bdtrc(hits - 1, trials, chance))


def poisson_tail(hits: int, mean: float) -> float:
    """Return P(X >= hits), X ~ Poisson(mean); exact.

    >>> round(poisson_tail(3, 1.0), 6)
    0.080301
    """
    return 1.0 if hits <= 0 else float(pdtrc(hits - 1, mean))


def two_rates_tail(counts: tuple[int, int], means: tuple[float, float]) -> float:
    """Return P(as much speaks against chance) of two Poisson counts together; exact.

    What speaks is a likelihood ratio, of one more of each than chance gives: a count weighs
    log(1 + 1 / mean), the more the fewer there should be; the second never more than the first.
    One look at both: a first where hardly any should be is nearly worth what it is by itself, and
    seconds beside it add what they say.

    Parameters
    ----------
    counts : tuple of int
    means : tuple of float
        What chance gives; the first above 0, the second 0 or more.

    Raises
    ------
    ValueError
        A mean is not of that kind.

    Examples
    --------
    >>> round(two_rates_tail((1, 0), (0.01, 2.0)), 4), round(poisson_tail(1, 0.01), 4)
    (0.01, 0.01)

    Where there should be fewer of the second, they count alike:

    >>> round(two_rates_tail((2, 1), (0.5, 0.1)), 9) == round(poisson_tail(3, 0.6), 9)
    True
    """
    if not means[0] > 0 or not means[1] >= 0:
        raise ValueError(f"means must be above 0, and 0 or more, were {means}")
    one = math.log1p(1.0 / means[0])
    other = math.log1p(1.0 / max(means))
    said = (counts[0] * one + counts[1] * other) * (1.0 - 1e-12)  # what says as much counts
    enough = math.ceil(said / one)
    below = np.arange(enough)
    p = np.exp(xlogy(below, means[0]) - means[0] - gammaln(below + 1.0))
    rest = pdtrc(np.ceil((said - below * one) / other) - 1.0, means[1])
    return poisson_tail(enough, means[0]) + float(sum((p * rest).tolist()))


def gamma_tail(terms: int, total: float) -> float:
    """Return P(the sum of -ln p over independent tests >= total) when all are null; Fisher (1932).

    >>> gamma_tail(1, 0.0), round(gamma_tail(2, -2 * math.log(0.05)), 6)
    (1.0, 0.017479)
    """
    return float(gammaincc(terms, total)) if total > 0 else 1.0


def both_tail(one: float, other: float) -> float:
    """Return P(two independent tests come to as little together, when both are null); Fisher.

    >>> round(both_tail(0.05, 0.05), 6), both_tail(1.0, 1.0)
    (0.017479, 1.0)
    """
    return gamma_tail(2, -math.log(max(one, LEAST)) - math.log(max(other, LEAST)))


def truncated_tail(tests: int, most: float, total: float) -> float:
    """Return P(the sum of -ln p over those tests whose p is at most `most` >= total), all null.

    Tests whose p is larger say only how many they are: many that can show nothing, of p 1, do not
    drown a few that are strange (the truncated product of Zaykin et al. 2002).

    >>> round(truncated_tail(1, 0.02, -math.log(0.01)), 6), truncated_tail(5, 0.02, 0.0)
    (0.01, 1.0)
    >>> round(truncated_tail(7, 1.0, 12.0) / gamma_tail(7, 12.0), 9)
    1.0
    """
    if total <= 0:
        return 1.0
    counts = np.arange(1, tests + 1)
    beyond = np.maximum(total + counts * math.log(most), 0.0)
    ways = gammaln(tests + 1) - gammaln(counts + 1) - gammaln(tests - counts + 1)
    so_many = np.exp(ways + xlogy(counts, most) + xlog1py(tests - counts, -most))
    return min(1.0, math.fsum((so_many * gammaincc(counts, beyond)).tolist()))


def randomised(tail: float, next_tail: float, chance: float) -> float:
    """Return a p-value that is uniform under the null though the count behind it is discrete.

    Parameters
    ----------
    tail : float
        P(X >= x).
    next_tail : float
        P(X >= x + 1).
    chance : float
        In [0, 1): from `uniform`.

    Notes
    -----
    P(X > x) + u P(X = x) (Pearson 1950; Dickhaus et al. 2012 for its use before false-discovery
    control). It decides on what is told as a rate; a single fact is never judged by it.

    >>> round(randomised(0.5, 0.2, 0.5), 9)
    0.35
    """
    return next_tail + chance * (tail - next_tail)


def fisher_tail(hits: int, trials: int, other_hits: int, other_trials: int) -> float:
    """Return P(X >= hits) when both groups have one rate: Fisher's exact test, one-sided.

    Given all hits of both groups together, X is hypergeometric.

    >>> round(fisher_tail(3, 4, 1, 4), 6)
    0.242857
    >>> fisher_tail(0, 5, 3, 5)
    1.0
    """
    if not (0 <= hits <= trials and 0 <= other_hits <= other_trials):
        raise ValueError(
            f"hits must lie within trials, were {hits} of {trials}, {other_hits} of {other_trials}"
        )
    total, good = trials + other_trials, hits + other_hits
    log_all = _log_choose(total, good)
    most = min(trials, good)
    terms = [
        math.exp(_log_choose(trials, x) + _log_choose(other_trials, good - x) - log_all)
        for x in range(hits, most + 1)
        if good - x <= other_trials
    ]
    return 1.0 if hits <= good - other_trials or not hits else min(1.0, math.fsum(terms))


def spread(masses: Array, weight: int) -> Array:
    """Return the probabilities of a sum of which each counted case is so much, of those of a count.

    >>> spread(np.array([0.5, 0.3, 0.2]), 2).tolist()
    [0.5, 0.0, 0.3, 0.0, 0.2]
    """
    apart = np.zeros((len(masses) - 1) * weight + 1)
    apart[::weight] = masses
    return apart


def times_habit(cases: int, expected: float) -> float:
    """Return how many times what their habit gives others had, 1 at least.

    One case and one expected are added: where hardly any is expected, two of them are no rate, and
    makers are taken to keep their habit.

    >>> times_habit(0, 3.0), times_habit(2, 0.5), times_habit(59, 11.0)
    (1.0, 2.0, 5.0)
    """
    return max(1.0, (cases + 1) / (expected + 1))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def spent(level: float, look: int) -> float:
    """Return what the n-th look at a growing count may spend of a level: all looks spend it once.

    >>> spent(0.01, 1), round(sum(spent(0.01, n) for n in range(1, 10_000)), 5)
    (0.005, 0.01)
    """
    return level / (look * (look + 1))


def log_odds_uneven(hits: int, trials: int) -> float:
    """Return ln of the odds that a coin shows more heads than tails, against a fair one.

    Its chance of heads is taken to lie anywhere between a half and one. With a fair coin the odds
    ever reach 1 / p with probability p at most, however often one looks (Ville 1939; Robbins 1970).
    In closed form: sum over k <= hits of C(trials + 1, k), by (trials + 1) C(trials, hits).

    >>> round(math.exp(log_odds_uneven(9, 9)), 1), round(math.exp(log_odds_uneven(6, 9)), 1)
    (102.3, 1.0)
    """
    ways = sum(math.comb(trials + 1, k) for k in range(hits + 1))
    return math.log(ways) - math.log((trials + 1) * math.comb(trials, hits))


def benjamini_hochberg(p_values: Sequence[float] | Array, rate: float) -> Array:
    """Return the q-values' verdict: which tests of a family pass at a false-discovery rate.

    Benjamini and Hochberg (1995), step-up; valid for independent and positively dependent tests.

    Returns
    -------
    passed : (n,) bool

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5], 0.1).tolist()
    [True, True, True, False]
    """
    return q_values(p_values) <= rate


def q_values(p_values: Sequence[float] | Array) -> Array:
    """Return each test's q-value: the lowest false-discovery rate at which it passes; (n,) float64.

    >>> q_values([0.01, 0.04, 0.03, 0.5]).round(6).tolist()
    [0.04, 0.053333, 0.053333, 0.5]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    lowest = np.minimum.accumulate(scaled[::-1])[::-1]
    q = np.empty_like(p)
    q[order] = np.minimum(lowest, 1.0)
    return q
