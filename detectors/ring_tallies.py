"""How often each account rested, took, bought and handed on, up to any moment of a window."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ingest.compiled import njit
from ingest.events import Array

RESTED: Final = 0
TOOK: Final = 1
BOUGHT: Final = 2
HANDED: Final = 3
KINDS: Final = 4


class Market(NamedTuple):
    """A window's meetings, in event order, as the kernels take them; accounts are nodes.

    `src`, `dst` (n,) int64: seller and buyer · `bought` (n,) bool: whether the buyer took ·
    `lots` (n,) int64 · `handed` (n,) bool: whether the buyer sells exactly as much later ·
    `so_far` (n, 8) int32: what seller and buyer did up to and with each
    meeting (`tallied`) · `at`, `begin`: each node's meetings, in order, and where they begin ·
    `edge_src`, `edge_dst`, `table`: see `Graph` · `by_edge`, `edge_begin`: the same of edges.
    """

    src: Array
    dst: Array
    bought: Array
    lots: Array
    handed: Array
    so_far: Array
    at: Array
    begin: Array
    edge_src: Array
    edge_dst: Array
    table: Array
    by_edge: Array
    edge_begin: Array


@njit(cache=True)
def tallied(
    src: Array, dst: Array, bought: Array, handed: Array, nodes: int
) -> tuple[Array, Array, Array]:
    """Return what both sides did up to each meeting, and each node's meetings.

    Parameters
    ----------
    src, dst : (n,) int64
        Seller and buyer of each meeting, nodes, in event order.
    bought : (n,) bool
        Whether the buyer took.
    handed : (n,) bool
        Whether the buyer sells exactly as much later (`ring_laps.handed_on`).
    nodes : int
        Number of nodes.

    Returns
    -------
    so_far : (n, 8) int32
        Rested, took, bought, handed on: of the seller, then of the buyer, this meeting included.
    at : (2 n,) int32
        Meetings sorted by node, in order within one.
    begin : (nodes + 1,) int64
        Where each node begins in `at`.

    Examples
    --------
    >>> so_far, at, begin = tallied(np.array([0, 1]), np.array([1, 0]), np.array([True, True]),
    ...                             np.array([True, False]), 2)
    >>> so_far.tolist(), at.tolist(), begin.tolist()
    ([[1, 0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 0]], [0, 1, 0, 1], [0, 2, 4])
    """
    begin = np.zeros(nodes + 1, np.int64)
    for t in range(len(src)):
        begin[src[t] + 1] += 1
        begin[dst[t] + 1] += 1
    for node in range(nodes):
        begin[node + 1] += begin[node]
    free = begin[:-1].copy()
    at = np.empty(2 * len(src), np.int32)
    total = np.zeros((nodes, KINDS), np.int32)
    so_far = np.empty((len(src), 2 * KINDS), np.int32)
    for t in range(len(src)):
        seller, buyer = src[t], dst[t]
        if bought[t]:
            total[seller, RESTED] += 1
            total[buyer, TOOK] += 1
        else:
            total[buyer, RESTED] += 1
            total[seller, TOOK] += 1
        total[buyer, BOUGHT] += 1
        total[buyer, HANDED] += handed[t]
        for kind in range(KINDS):
            so_far[t, kind] = total[seller, kind]
            so_far[t, KINDS + kind] = total[buyer, kind]
        at[free[seller]] = t
        free[seller] += 1
        at[free[buyer]] = t
        free[buyer] += 1
    return so_far, at, begin


@njit(cache=True)
def place_of(node: int, time: int, market: Market) -> int:
    """Return where in `market.at` a node's first meeting at or after `time` stands."""
    low, high = int(market.begin[node]), int(market.begin[node + 1])
    while low < high:
        middle = (low + high) // 2
        if market.at[middle] < time:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def done(node: int, first: int, end: int, market: Market) -> tuple[int, int, int, int]:
    """Return how often a node rested, took, bought and handed on in meetings first to end - 1."""
    then, now = place_of(node, first, market), place_of(node, end, market)
    if then == now:
        return 0, 0, 0, 0
    last = market.at[now - 1]
    side = 0 if market.src[last] == node else KINDS
    rested, took = market.so_far[last, side], market.so_far[last, side + 1]
    bought, handed = market.so_far[last, side + 2], market.so_far[last, side + 3]
    if then > market.begin[node]:
        before = market.at[then - 1]
        side = 0 if market.src[before] == node else KINDS
        rested -= market.so_far[before, side]
        took -= market.so_far[before, side + 1]
        bought -= market.so_far[before, side + 2]
        handed -= market.so_far[before, side + 3]
    return rested, took, bought, handed
