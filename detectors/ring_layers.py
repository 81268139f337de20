"""Which accounts form closed circles in a graph of trades, layer by layer.

Layered strongly-connected components after Victor & Weintraud, "Detecting and Quantifying Wash
Trading on Decentralized Cryptocurrency Exchanges", WWW 2021.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.ring_graph import trades_by_edge
from ingest.compiled import njit
from ingest.events import Array

_FEW: Final = 1024


@njit(cache=True)
def _components(  # noqa: PLR0917
    row: Array, end: Array, dst: Array, starts: Array, index: Array, low: Array, label: Array
) -> int:
    """Label strongly-connected components (Tarjan 1972, without recursion); return their count.

    `row` and `end` bound each node's edges in `dst`; only nodes in `starts` have any. `index` must
    be -1 for them and all they reach. `label` is written.
    """
    stack = np.empty(len(index), np.int64)
    call = np.empty(len(index), np.int64)
    cursor = np.empty(len(index), np.int64)
    height = 0
    counter = 0
    found = 0
    for start in starts:
        if index[start] != -1:
            continue
        depth = 0
        call[0] = start
        index[start] = low[start] = counter
        counter += 1
        cursor[start] = row[start]
        stack[height] = start
        height += 1
        label[start] = -1
        while depth >= 0:
            node = call[depth]
            if cursor[node] < end[node]:
                other = dst[cursor[node]]
                cursor[node] += 1
                if index[other] == -1:
                    index[other] = low[other] = counter
                    counter += 1
                    cursor[other] = row[other]
                    stack[height] = other
                    height += 1
                    label[other] = -1
                    depth += 1
                    call[depth] = other
                elif label[other] == -1:
                    low[node] = min(low[node], index[other])
                continue
            if low[node] == index[node]:
                while True:
                    height -= 1
                    member = stack[height]
                    label[member] = found
                    if member == node:
                        break
                found += 1
            depth -= 1
            if depth >= 0:
                low[call[depth]] = min(low[call[depth]], low[node])
    return found


@njit(cache=True)
def _longer(array: Array, least: int) -> Array:
    """Return an array of a length at least, zeros behind what it holds."""
    if len(array) >= least:
        return array
    longer = np.zeros(max(least, 2 * len(array)), np.int64)
    longer[: len(array)] = array
    return longer


@njit(cache=True)
def layered_sets(  # noqa: PLR0917
    nodes: int, src: Array, dst: Array, weight: Array, max_members: int, max_edges: int
) -> tuple[Array, Array, Array, int]:
    """Return the sets of 2 to `max_members` nodes that appear as components, and how often.

    Repeats: record every component with more than one member; take 1 from every weight; drop zero
    edges. Between two distinct weights nothing changes, so only those are visited, and only edges
    inside a component can matter again.

    Parameters
    ----------
    nodes : int
        Number of nodes.
    src, dst, weight : (edges,) int64
        Edges with the number of their trades.
    max_members : int
        Larger components are peeled further, not returned.
    max_edges : int
        While more edges than this are left, lower layers are skipped without being recorded.

    Returns
    -------
    members : (total,) int64
        Nodes of all sets, one set after the other.
    offsets : (sets + 1,) int64
        Where each set begins.
    seen : (sets,) int64
        Layers in which it was a component.
    skipped : int
        Layers skipped for `max_edges`; 0 = none.
    """
    skipped = 0
    if len(src) > max_edges:
        skipped = np.sort(weight)[len(src) - max_edges - 1]
    order, _ = trades_by_edge(src, nodes)
    keep = order[weight[order] > skipped]
    src, dst, weight = src[keep], dst[keep], weight[keep]
    members = np.empty(_FEW, np.int64)
    offsets = np.zeros(_FEW, np.int64)
    seen = np.zeros(_FEW, np.int64)
    sets = 0
    row = np.zeros(nodes, np.int64)
    end = np.zeros(nodes, np.int64)
    index = np.full(nodes, -1, np.int64)
    low = np.zeros(nodes, np.int64)
    label = np.zeros(nodes, np.int64)
    old_size = np.full(1, nodes + 1, np.int64)
    old_set = np.full(1, -1, np.int64)
    level = skipped
    while len(src):
        starts = np.empty(len(src), np.int64)
        count = 0
        for e in range(len(src)):
            if e == 0 or src[e] != src[e - 1]:
                starts[count] = src[e]
                count += 1
                row[src[e]] = e
            end[src[e]] = e + 1
            index[src[e]] = -1
            index[dst[e]] = -1
        before = label[starts[:count]]
        for e in range(len(src)):  # a node with no edge out is a component of its own
            label[src[e]] = -2
            label[dst[e]] = -2
        found = _components(row, end, dst, starts[:count], index, low, label)
        size = np.zeros(found, np.int64)
        for s in starts[:count]:
            size[label[s]] += 1
        inside = label[src] == label[dst]
        new_set = np.full(found, -1, np.int64)
        src_left, dst_left, weight_left = src[inside], dst[inside], weight[inside]
        for e in range(len(src)):  # nodes leave `row`, `end` as they were found
            row[src[e]] = 0
            end[src[e]] = 0
        if not len(src_left):
            break
        step = weight_left.min() - level
        # A set has two members or more, so no more are new than half of the nodes.
        members = _longer(members, offsets[sets] + count)
        offsets, seen = (
            _longer(offsets, sets + count // 2 + 2),
            _longer(seen, sets + count // 2 + 1),
        )
        for k in range(count):
            s = starts[k]
            if size[label[s]] < 2:
                continue
            if old_size[before[k]] == size[label[s]]:  # a part can only be smaller: unchanged
                new_set[label[s]] = old_set[before[k]]
            elif new_set[label[s]] == -1 and size[label[s]] <= max_members:
                new_set[label[s]] = sets
                offsets[sets + 1] = offsets[sets] + size[label[s]]
                sets += 1
        filled = np.zeros(found, np.int64)
        counted = np.zeros(found, np.int64)
        for k in range(count):
            s = starts[k]
            which = new_set[label[s]]
            if which == -1:
                continue
            if old_size[before[k]] != size[label[s]]:
                members[offsets[which] + filled[label[s]]] = s
                filled[label[s]] += 1
            if counted[label[s]] == 0:
                counted[label[s]] = 1
                seen[which] += step
        old_size, old_set = size, new_set
        level += step
        stays = weight_left > level
        src, dst, weight = src_left[stays], dst_left[stays], weight_left[stays]
    return members[: offsets[sets]].copy(), offsets[: sets + 1].copy(), seen[:sets].copy(), skipped
