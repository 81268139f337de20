"""Whether a set's members meet more often than everyone's activity gives by chance."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.ring_graph import edge_between
from ingest.compiled import njit
from ingest.events import Array

_DOUBT: Final = -math.log(0.05)
"""Of how often outsiders meet members: the bound of one in twenty (Chernoff)."""
_HALVINGS: Final = 40


@njit(cache=True)
def too_often(met: float, trades: float, by_chance: float) -> float:
    """Return the Chernoff bound of the log probability to meet so often or more; 0 if no more."""
    x, q = met / trades, by_chance / trades
    if x <= q:
        return 0.0
    log_p = -met * math.log(x / q)
    if x < 1.0:
        log_p -= (trades - met) * math.log((1.0 - x) / (1.0 - q))
    return log_p


@njit(cache=True)
def at_most(hits: float, trials: float) -> float:
    """Return the largest rate that so few hits leave possible; 1 where nothing was tried.

    >>> at_most(0.0, 0.0), round(at_most(0.0, 30.0), 3), round(at_most(500.0, 1000.0), 3)
    (1.0, 0.095, 0.539)
    """
    if trials <= 0.0:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(_HALVINGS):
        rate = 0.5 * (low + high)
        if _surprise_below(hits, trials, rate) <= _DOUBT:
            low = rate
        else:
            high = rate
    return high


@njit(cache=True)
def _surprise_below(hits: float, trials: float, rate: float) -> float:
    """Return the Chernoff bound of -log P(so few or fewer) at a rate above the one seen."""
    x = hits / trials
    found = 0.0
    if x > 0.0:
        found += hits * math.log(x / rate)
    if x < 1.0:
        found += (trials - hits) * math.log((1.0 - x) / (1.0 - rate)) if rate < 1.0 else math.inf
    return found


@njit(cache=True)
def beyond_chance(  # noqa: PLR0917
    members: Array,
    offsets: Array,
    trades: int,
    degree: Array,
    table: Array,
    src: Array,
    dst: Array,
    weight: Array,
    log_probability: float,
) -> tuple[Array, Array]:
    """Return whether each set's members meet more often than outsiders meet them, and by chance.

    For each member i, with n its trades and x those with other members: the share q of outsiders'
    trades that have another member on one side is what i's trades would show by chance (rule of
    succession: (hits + 1) / (trials + 2)). P(X >= x), X ~ binomial(n, q), is bounded by
    exp(-n KL(x/n, q)) (Chernoff); it must not pass the limit for any member.

    Returns
    -------
    beyond : (sets,) bool
    expected : (sets,) float64
        Trades among members that chance would give: half the sum of n q.

    Notes
    -----
    A sieve, which costs nothing a trade: `chance_by_hour` has the last word.
    """
    sets = len(offsets) - 1
    beyond = np.ones(sets, np.bool_)
    expected = np.zeros(sets, np.float64)
    inner = np.zeros(len(members), np.int64)
    for s in range(sets):
        who = members[offsets[s] : offsets[s + 1]]
        inner[: len(who)] = 0
        inside = 0
        for i in range(len(who)):
            for j in range(len(who)):
                if i != j:
                    edge = edge_between(table, src, dst, who[i], who[j])
                    if edge >= 0:
                        inner[i] += weight[edge]
                        inner[j] += weight[edge]
                        inside += weight[edge]
        outer = 0
        for i in range(len(who)):
            outer += degree[who[i]] - inner[i]
        outsiders = trades - inside - outer
        for i in range(len(who)):
            n = degree[who[i]]
            others = outer - (n - inner[i])
            q = (others + 1.0) / (others + outsiders + 2.0)
            expected[s] += 0.5 * n * q
            if too_often(inner[i], n, n * q) > log_probability:
                beyond[s] = False
    return beyond, expected


@njit(cache=True)
def chance_by_hour(who: Array, src: Array, dst: Array, hour: Array) -> tuple[float, float, float]:
    """Return the worst surprise over one set's members, and the trades that chance would give.

    As `beyond_chance`, but with q taken hour by hour: who trades in the hours of one maker meets
    that maker, and the rest of the day says nothing against it. A member's number of meetings is
    then a sum of binomials, for which the same bound holds with their mean q (Hoeffding 1956).

    Parameters
    ----------
    who : (k,) int64
        Nodes of the set.
    src, dst : (trades,) int64
        Nodes of all the window's trades.
    hour : (trades,) int64
        Place of each trade's hour, from 0, never falling.

    Returns
    -------
    log_probability : float
        Of the member for whom it is the least surprising; 0 = no more than chance.
    expected : float
    in_doubt : float
        As `log_probability`, had outsiders met members as often as what they did leaves possible
        (`at_most`): where members are most of the market, few are left to tell chance by.
    """
    k, hours = len(who), hour[-1] + 1
    inner = np.zeros((k, hours), np.int64)
    outer = np.zeros((k, hours), np.int64)
    outside = np.zeros(hours, np.int64)
    for t in range(len(src)):
        i = j = -1
        for m in range(k):
            if who[m] == src[t]:
                i = m
            elif who[m] == dst[t]:
                j = m
        h = hour[t]
        if i >= 0 and j >= 0:
            inner[i, h] += 1
            inner[j, h] += 1
        elif i >= 0:
            outer[i, h] += 1
        elif j >= 0:
            outer[j, h] += 1
        else:
            outside[h] += 1
    crossing = outer.sum(axis=0)
    worst, in_doubt, expected = -np.inf, -np.inf, 0.0
    for i in range(k):
        n, met, by_chance = 0, 0, 0.0
        seen, tried = 0.0, 0.0
        for h in range(hours):
            here = inner[i, h] + outer[i, h]
            hits = crossing[h] - outer[i, h]
            by_chance += here * ((hits + 1.0) / (hits + outside[h] + 2.0))
            if here:
                seen += hits
                tried += hits + outside[h]
            n += here
            met += inner[i, h]
        worst = max(worst, too_often(met, n, by_chance))
        more = at_most(seen, tried) * (tried + 2.0) / (seen + 1.0)
        in_doubt = max(in_doubt, too_often(met, n, min(float(n), by_chance * max(1.0, more))))
        expected += 0.5 * by_chance
    return worst, expected, in_doubt
