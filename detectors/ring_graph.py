"""Who traded with whom in a window: a graph of accounts, its edges found by their two ends."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from ingest.compiled import njit
from ingest.events import Array

_EMPTY: Final = -1
_FEW: Final = 1024
_SPREAD: Final = 16
"""Codes up to so many times the ends of trades are looked up by place."""
_HALF: Final = 32
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads neighbouring keys


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Seller→buyer multigraph of n trades; nodes and edges numbered by first appearance.

    `codes` (nodes) account code of a node · `src`, `dst`, `weight` (edges) int64 · `pair` (edges)
    the lower of an edge and the one that goes the other way · `seller`, `buyer`, `edge_of`
    (trades) int64 nodes and edge of each trade · `table` open-addressing table of edges by node
    pair, both ways in one place.
    """

    codes: Array
    src: Array
    dst: Array
    weight: Array
    pair: Array
    seller: Array
    buyer: Array
    edge_of: Array
    table: Array

    def degree(self) -> Array:
        """Return the number of trades that each node took part in, int64."""
        nodes = len(self.codes)
        sold = np.bincount(self.src, weights=self.weight, minlength=nodes)
        return (sold + np.bincount(self.dst, weights=self.weight, minlength=nodes)).astype(np.int64)


def graph_of(seller: Array, buyer: Array) -> Graph:
    """Return the graph of trades between different accounts; arrays of account codes, one a trade.

    Examples
    --------
    >>> graph = graph_of(np.array([7, 9, 7]), np.array([9, 7, 9]))
    >>> graph.codes.tolist(), graph.weight.tolist()
    ([7, 9], [2, 1])
    """
    codes, node = nodes_of(seller.astype(np.int64), buyer.astype(np.int64))
    src, dst, weight, pair, edge_of, table = edges_of(node)
    return Graph(
        codes=codes,
        src=src,
        dst=dst,
        weight=weight,
        pair=pair,
        seller=node[0],
        buyer=node[1],
        edge_of=edge_of,
        table=table,
    )


@njit(cache=True)
def first_prints(instrument: Array, incoming_seq: Array, seller: Array, buyer: Array) -> Array:
    """Return the first trade of one instruction between the same two accounts, for each trade.

    An instruction that takes the tranches of an iceberg, or several orders of one account, meets
    that account once. Trades are in event order; an `incoming_seq` of 0 is not known: a meeting.

    Examples
    --------
    >>> a, b = np.array([7, 7, 7, 7]), np.array([9, 8, 9, 9])
    >>> first_prints(np.zeros(4, np.int32), np.array([5, 5, 5, 6]), a, b).tolist()
    [0, 1, 0, 3]
    """
    first = np.arange(len(seller))
    for i in range(len(seller)):
        j = i - 1
        while (
            j >= 0
            and incoming_seq[i] != 0
            and incoming_seq[j] == incoming_seq[i]
            and instrument[j] == instrument[i]
        ):
            if seller[j] == seller[i] and buyer[j] == buyer[i]:
                first[i] = first[j]
                break
            j -= 1
    return first


@njit(cache=True)
def _place(key: int, mask: int) -> int:
    mixed = np.uint64(key) * _MIX
    return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))  # type: ignore[return-value]


@njit(cache=True)
def _place_of_pair(a: int, b: int, mask: int) -> int:
    """Return where the edges between two nodes are looked for, whichever way they go."""
    return _place((min(a, b) << _HALF) | max(a, b), mask)


@njit(cache=True)
def _numbered(keys: Array) -> tuple[Array, Array]:
    """Return the number of each key by first appearance, and the distinct keys."""
    room = 2
    while room < 2 * len(keys):
        room *= 2
    table = np.full(room, _EMPTY, np.int32)
    distinct = np.empty(len(keys), np.int64)
    number = np.empty(len(keys), np.int64)
    count = 0
    for i in range(len(keys)):
        at = _place(keys[i], room - 1)
        while table[at] != _EMPTY and distinct[table[at]] != keys[i]:
            at = (at + 1) & (room - 1)
        if table[at] == _EMPTY:
            table[at] = count
            distinct[count] = keys[i]
            count += 1
        number[i] = table[at]
    return number, distinct[:count].copy()


@njit(cache=True)
def _placed(keys: Array) -> tuple[Array, Array]:
    """As `_numbered`, of keys that are not far more than there are."""
    known = np.full(keys.max() + 1, _EMPTY, np.int32)
    distinct = np.empty(len(keys), np.int64)
    number = np.empty(len(keys), np.int64)
    count = 0
    for i in range(len(keys)):
        if known[keys[i]] == _EMPTY:
            known[keys[i]] = count
            distinct[count] = keys[i]
            count += 1
        number[i] = known[keys[i]]
    return number, distinct[:count].copy()


@njit(cache=True)
def nodes_of(seller: Array, buyer: Array) -> tuple[Array, Array]:
    """Return the code of each node, and sellers' and buyers' nodes, (2, trades) int64."""
    trades = len(seller)
    ends = np.empty(2 * trades, np.int64)
    ends[0::2] = seller
    ends[1::2] = buyer
    if trades and ends.min() >= 0 and ends.max() < _SPREAD * len(ends) + _FEW:
        number, codes = _placed(ends)
    else:
        number, codes = _numbered(ends)
    node = np.empty((2, trades), np.int64)
    node[0] = number[0::2]
    node[1] = number[1::2]
    return codes, node


@njit(cache=True)
def edges_of(node: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Return src, dst, weight, pair, edge of each trade, and the table of edges; see `Graph`."""
    trades = node.shape[1]
    room = 2
    while room < 2 * trades:
        room *= 2
    table = np.full(room, _EMPTY, np.int32)
    # Both ends and the weight of an edge in one row: a trade touches one line of memory.
    held = np.empty((trades, 4), np.int32)
    edge_of = np.empty(trades, np.int64)
    count = 0
    for t in range(trades):
        a, b = node[0, t], node[1, t]
        at, back = _place_of_pair(a, b, room - 1), _EMPTY
        while table[at] != _EMPTY:
            one = table[at]
            if held[one, 0] == a and held[one, 1] == b:
                break
            if held[one, 0] == b and held[one, 1] == a:
                back = one
            at = (at + 1) & (room - 1)
        if table[at] == _EMPTY:
            table[at] = count
            held[count, 0], held[count, 1], held[count, 2] = a, b, 0
            held[count, 3] = count if back == _EMPTY else back
            count += 1
        edge = table[at]
        held[edge, 2] += 1
        edge_of[t] = edge
    src, dst = np.empty(count, np.int64), np.empty(count, np.int64)
    weight, pair = np.empty(count, np.int64), np.empty(count, np.int64)
    for edge in range(count):
        src[edge], dst[edge] = held[edge, 0], held[edge, 1]
        weight[edge], pair[edge] = held[edge, 2], held[edge, 3]
    return src, dst, weight, pair, edge_of, table


@njit(cache=True)
def edge_between(table: Array, src: Array, dst: Array, a: int, b: int) -> int:
    """Return the edge from node a to node b, or -1."""
    mask = len(table) - 1
    at = _place_of_pair(a, b, mask)
    while table[at] != _EMPTY and (src[table[at]] != a or dst[table[at]] != b):
        at = (at + 1) & mask
    edge: int = table[at]
    return edge


@njit(cache=True)
def edges_inside(who: Array, table: Array, src: Array, dst: Array) -> Array:
    """Return the edges between the given nodes, int64."""
    found = np.empty(len(who) * len(who), np.int64)
    count = 0
    for a in who:
        for b in who:
            edge = edge_between(table, src, dst, a, b) if a != b else -1
            if edge >= 0:
                found[count] = edge
                count += 1
    return found[:count]


@njit(cache=True)
def trades_by_edge(edge_of: Array, edges: int) -> tuple[Array, Array]:
    """Return trade positions sorted by edge (in order within one), and where each edge begins."""
    begin = np.zeros(edges + 1, np.int64)
    for e in edge_of:
        begin[e + 1] += 1
    begin = np.cumsum(begin)
    at = begin[:-1].copy()
    position = np.empty(len(edge_of), np.int64)
    for i in range(len(edge_of)):
        position[at[edge_of[i]]] = i
        at[edge_of[i]] += 1
    return position, begin
