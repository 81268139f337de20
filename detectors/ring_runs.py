"""Runs of a set's trades after which every member stands where it stood before."""

from __future__ import annotations

import numpy as np

from ingest.compiled import njit
from ingest.events import Array


@njit(cache=True)
def covered_runs(seller: Array, buyer: Array, lots: Array, members: int, tolerance: float) -> Array:
    """Return the number of the covering stretch of each trade, from 0; -1 where none covers it.

    A run of trades i..j is balanced when, for every member, |bought - sold| over it is at most
    `tolerance` times the mean size of its trades. Runs may start and end anywhere; a stretch is
    the union of balanced runs that share trades.

    Parameters
    ----------
    seller, buyer : (n,) int64
        Members, numbered from 0, of each trade, in event order.
    lots : (n,) int64
        Sizes, lots, positive.
    members : int
        Number of members.
    tolerance : float
        Share of the mean size.

    Notes
    -----
    For each start only the furthest balanced end matters, since the union is the same. Prefix
    balances are sorted, so that ends are looked for among near-equal balances, furthest first:
    about n log n for rings, n² at worst for sets that nearly balance everywhere and never do.

    Examples
    --------
    There and back covers two trades; a third, one way, stays outside.

    >>> one, two = np.array([0, 1, 0]), np.array([1, 0, 1])
    >>> covered_runs(one, two, np.array([500, 500, 90]), 2, 0.01).tolist()
    [0, 0, -1]
    >>> covered_runs(one, two, np.array([500, 400, 90]), 2, 0.01).tolist()
    [-1, -1, -1]
    """
    n = len(seller)
    balance = np.zeros((n + 1, members), np.int64)
    total = np.zeros(n + 1, np.float64)  # may pass 64 bits; only its 1 % matters
    for i in range(n):
        balance[i + 1] = balance[i]
        balance[i + 1, seller[i]] -= lots[i]
        balance[i + 1, buyer[i]] += lots[i]
        total[i + 1] = total[i] + lots[i]
    bound = np.int64(0)
    for size in lots:
        bound = max(bound, np.int64(tolerance * size + 1e-9))  # floats: 1 % of 100 is 1
    key = balance[:, 0].copy()
    if bound == 0:
        # Only equal balances can match: one mixed key for all members finds them at once, and
        # a chance collision of keys is caught by the comparison below.
        for m in range(1, members):
            for t in range(n + 1):
                key[t] = key[t] * 6364136223846793005 + balance[t, m]
    order = np.argsort(key, kind="mergesort")
    ranked = key[order]
    group = np.zeros(n + 1, np.int64)
    for p in range(1, n + 1):
        group[p] = group[p - 1] if ranked[p] == ranked[p - 1] else p
    stretch = np.full(n, -1, np.int64)
    number = -1
    far = 0
    for i in range(n):
        best = i
        p = np.searchsorted(ranked, key[i] + bound, side="right") - 1
        while p >= 0 and ranked[p] >= key[i] - bound:
            j = order[p]
            if j <= best:
                p = group[p] - 1
                continue
            balanced = True
            for m in range(members):
                net = abs(balance[j, m] - balance[i, m])
                if net * float(j - i) > tolerance * (total[j] - total[i]):
                    balanced = False
                    break
            if balanced:
                best = j
                p = group[p] - 1
            else:
                p -= 1
        if best > i:
            if i >= far:
                number += 1
            far = max(far, best)
        if i < far:
            stretch[i] = number
    return stretch
