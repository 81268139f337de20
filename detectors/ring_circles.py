"""Circles that members' ordinary trades do not hide: they meet in bursts, or pass parcels round.

A ring whose members also trade with everybody never stands alone as layers are peeled. Here it is
looked for the other way: pairs that meet far more often for a while than both are then active
(`ring_bursts`), and parcels of one size that go round (`ring_laps`), say who may be a circle; laps
say who is one; and chance is asked about the circle as a whole, over its own laps' time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from detectors.ring_bursts import LOG_JOINS, LOG_PAIR, bursts, excess, joins, sets_of
from detectors.ring_graph import Graph, edge_between, edges_inside, trades_by_edge
from detectors.ring_laps import handed_on, parcels, returns
from ingest.compiled import njit
from ingest.events import Array

LOG_MEMBER: Final = math.log(0.05)
"""Surprise of each member's own meetings with the others: the usual 5 %."""
MIN_EXCESS: Final = 2.0
"""Meetings in laps over those that chance would give: activity that changes within a circle's time
gives a half more; twice as many, it does not."""


class Meetings(msgspec.Struct, frozen=True, kw_only=True):
    """A window's meetings, in event order; accounts are nodes of the graph.

    `src`, `dst` seller and buyer · `bought` whether the buyer took · `lots` all prints together.
    """

    graph: Graph
    src: Array
    dst: Array
    bought: Array
    lots: Array


class Circle(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts whose positions came back, again and again."""

    who: tuple[int, ...]
    """Nodes, ascending."""
    rows: Array
    """Its laps' meetings."""
    laps: int
    met: int
    """Meetings of members over the time of its laps."""
    by_chance: float
    """Meetings that members' activity would give in that time."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a circle; see `WashRingsParams`."""

    max_members: int
    tolerance_ratio: float
    min_laps: int
    min_turns: int
    max_probability: float
    max_set_trades: int


def circles_of(meetings: Meetings, bounds: Bounds) -> list[Circle]:
    """Return a window's circles, those with the most meetings in laps first, then the smallest."""
    if len(meetings.src) < bounds.min_laps * 2:
        return []
    search = _Search(meetings, bounds)
    found: dict[tuple[int, ...], Circle] = {}
    for who in sorted(search.candidates(), key=lambda who: (len(who), who)):
        circle = search.circle(who)
        if circle is not None:
            found.setdefault(circle.who, circle)
    return sorted(found.values(), key=lambda one: (-len(one.rows), len(one.who), one.who))


class _Search:
    """One window's candidates, and what becomes of them."""

    def __init__(self, meetings: Meetings, bounds: Bounds) -> None:
        self._meetings = meetings
        self._bounds = bounds
        graph = meetings.graph
        edge_of = graph.edge_of
        self._position, self._begin = trades_by_edge(edge_of, len(graph.src))
        self._pairs = trades_by_edge(_pair_of(graph.src, graph.dst, graph.table)[edge_of],
                                     len(graph.src))  # fmt: skip
        self._sold = np.bincount(meetings.src, minlength=len(graph.codes))
        following = handed_on(meetings.src, meetings.dst, meetings.lots)
        rows, begin = parcels(meetings.src, meetings.dst, following, bounds.max_members)
        self._lap_rows = rows
        self._lap_begin = begin
        self._lap_of = np.full(len(meetings.src), -1, np.int64)
        self._lap_of[rows] = np.repeat(np.arange(len(begin) - 1), np.diff(begin))

    def candidates(self) -> set[tuple[int, ...]]:
        """Return sets of nodes that may be circles."""
        meetings, most = self._meetings, self._bounds.max_members
        sellers = meetings.src[self._lap_rows].tolist()
        laps = Counter(tuple(sorted(sellers[a:b])) for a, b in pairwise(self._lap_begin.tolist()))
        found = {who for who, times in laps.items() if times > 1 and self._stays(who, times)}
        rests = np.where(meetings.bought, meetings.src, meetings.dst)
        takes = np.where(meetings.bought, meetings.dst, meetings.src)
        spans = bursts(meetings.src, meetings.dst, meetings.bought, *self._pairs, LOG_PAIR[0])
        for who, span in sets_of(*spans, most).items():
            found.add(who)
            found.update(_grown(who, rests[span.start : span.stop], takes[span.start : span.stop],
                                len(meetings.graph.codes), most))  # fmt: skip
        return found

    def _stays(self, who: tuple[int, ...], times: int) -> bool:
        """Whether a set's own parcels go round more often than all that its members sell."""
        graph, sold = self._meetings.graph, self._sold
        nodes = np.array(who)
        edges = edges_inside(nodes, graph.table, graph.src, graph.dst)
        weight = np.diff(self._begin)[edges]
        into = np.bincount(graph.dst[edges], weights=weight, minlength=len(sold))[nodes]
        out = np.bincount(graph.src[edges], weights=weight, minlength=len(sold))[nodes]
        stays = float((into * (out + 1.0) / (sold[nodes] + 2.0)).sum())
        return excess(float(times * len(who)), stays) < 0.0

    def circle(self, who: tuple[int, ...]) -> Circle | None:
        """Return the circle that a set's members make, or those of them who are in laps."""
        bounds = self._bounds
        while True:
            nodes = np.array(who)
            rows = self._among(nodes)
            if len(rows) < bounds.min_turns * len(who):
                return None
            inside, laps, passed = self._laps(nodes, rows)
            covered = rows[inside]
            ends = (self._meetings.src[covered], self._meetings.dst[covered])
            left = tuple(np.unique(np.concatenate(ends)).tolist())
            if len(left) == len(who):
                break
            if len(left) < 2:
                return None
            who = left
        if laps < bounds.min_laps or len(covered) < bounds.min_turns * len(who):
            return None
        return self._beyond_chance(who, rows, covered, passed, laps)

    def _among(self, nodes: Array) -> Array:
        graph, begin = self._meetings.graph, self._begin
        edges = edges_inside(nodes, graph.table, graph.src, graph.dst)
        parts = [self._position[begin[e] : begin[e + 1]] for e in edges.tolist()]
        rows: Array = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        return rows[-self._bounds.max_set_trades :]

    def _laps(self, nodes: Array, rows: Array) -> tuple[Array, int, Array]:
        """Return which meetings lie in laps, how many laps, and which lie in one parcel's."""
        meetings = self._meetings
        inside, laps = returns(
            np.searchsorted(nodes, meetings.src[rows]),
            np.searchsorted(nodes, meetings.dst[rows]),
            meetings.lots[rows],
            len(nodes),
            self._bounds.tolerance_ratio,
        )
        lap_of = self._lap_of[rows]
        number, here = np.unique(lap_of[lap_of >= 0], return_counts=True)
        whole = number[here == np.diff(self._lap_begin)[number]]
        passed = np.isin(lap_of, whole)
        return inside | passed, max(laps, len(whole)), rows[passed]

    def _beyond_chance(
        self, who: tuple[int, ...], rows: Array, covered: Array, passed: Array, laps: int
    ) -> Circle | None:
        """Return the circle if chance does not explain it.

        Two questions that do not depend on each other: do members meet more often than their
        activity gives; and does what they hand each other stay among them more often than what
        they sell at all. Their surprises are joined (Fisher).
        """
        meetings = self._meetings
        first, end = int(covered[0]), int(covered[-1]) + 1
        worst, by_chance, stays = _chance(
            np.array(who), meetings.src[first:end], meetings.dst[first:end],
            meetings.bought[first:end],
        )  # fmt: skip
        met = int(((rows >= first) & (rows < end)).sum())
        if worst > LOG_MEMBER or len(covered) < MIN_EXCESS * by_chance:
            return None
        both = excess(float(len(covered)), by_chance) + excess(float(len(passed)), stays)
        if both + math.log(1.0 - both) > math.log(self._bounds.max_probability):
            return None
        return Circle(who=who, rows=covered, laps=laps, met=met, by_chance=by_chance)


def _grown(
    who: Iterable[int], rests: Array, takes: Array, nodes: int, most: int
) -> Iterator[tuple[int, ...]]:
    """Yield a set with one, two and more accounts that met it more often than by chance."""
    grown = list(who)
    while len(grown) < most:
        one = joins(np.array(grown), rests, takes, nodes, LOG_JOINS)
        if one < 0:
            return
        grown.append(one)
        yield tuple(sorted(grown))


@njit(cache=True)
def _pair_of(src: Array, dst: Array, table: Array) -> Array:
    """Return for each edge the lower of it and the one that goes the other way."""
    pair = np.arange(len(src))
    for e in range(len(src)):
        back = edge_between(table, src, dst, dst[e], src[e])
        if 0 <= back < e:
            pair[e] = back
    return pair


@njit(cache=True)
def _chance(who: Array, src: Array, dst: Array, bought: Array) -> tuple[float, float, float]:
    """Return what chance says of a set over a row of meetings.

    Who rested and who took are two margins: a member that took meets another with the share of
    the other meetings in which another member rested, and so the other way round (rule of
    succession: (hits + 1) / (trials + 2)).

    Returns
    -------
    worst : float
        Surprise of the member whose meetings with the others are the least surprising.
    by_chance : float
        Meetings of members.
    stays : float
        Meetings of members in which what is bought would be sold to members next, were it sold
        as all that its buyer sells.
    """
    k = len(who)
    rest_in, take_in = np.zeros(k, np.int64), np.zeros(k, np.int64)
    rest_out, take_out = np.zeros(k, np.int64), np.zeros(k, np.int64)
    bought_in, sold_in, sold = np.zeros(k), np.zeros(k), np.zeros(k)
    outside = 0
    for t in range(len(src)):
        i = j = -1
        for m in range(k):
            if who[m] == src[t]:
                i = m
            elif who[m] == dst[t]:
                j = m
        rester, taker = (i, j) if bought[t] else (j, i)
        if i >= 0:
            sold[i] += 1.0
        if i >= 0 and j >= 0:
            rest_in[rester] += 1
            take_in[taker] += 1
            sold_in[i] += 1.0
            bought_in[j] += 1.0
        elif rester >= 0:
            rest_out[rester] += 1
        elif taker >= 0:
            take_out[taker] += 1
        else:
            outside += 1
    crossing = rest_out.sum() + take_out.sum()
    worst, by_chance, stays = -np.inf, 0.0, 0.0
    for i in range(k):
        trials = outside + crossing - rest_out[i] - take_out[i]
        rested, took = rest_in[i] + rest_out[i], take_in[i] + take_out[i]
        expected = (
            took * (rest_out.sum() - rest_out[i] + 1.0)
            + rested * (take_out.sum() - take_out[i] + 1.0)
        ) / (trials + 2.0)
        worst = max(worst, excess(rest_in[i] + take_in[i], expected))
        by_chance += 0.5 * expected
        stays += bought_in[i] * (sold_in[i] + 1.0) / (sold[i] + 2.0)
    return worst, by_chance, stays
