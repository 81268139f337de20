"""Whether a set's members meet more often than everyone's activity gives by chance."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from detectors.ring_graph import edge_between
from ingest.events import Array


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
            x = inner[i] / n
            if x <= q:
                beyond[s] = False
                continue
            log_p = -n * x * math.log(x / q)
            if x < 1.0:
                log_p -= n * (1.0 - x) * math.log((1.0 - x) / (1.0 - q))
            if log_p > log_probability:
                beyond[s] = False
    return beyond, expected
