"""Circles that members' ordinary trades do not hide: they meet in bursts, or pass parcels round.

A ring whose members also trade with everybody never stands alone as layers are peeled. Here it is
looked for the other way: pairs that meet far more often for a while than both are then active
(`ring_bursts`), and parcels of one size that go round (`ring_laps`), say who may be a circle;
`ring_variants` adds and leaves out members; `ring_trials` tries each set on its laps and chance.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from detectors.ring_bursts import bursts, longest_burst, put, sets_of
from detectors.ring_graph import Graph, edges_inside, trades_by_edge
from detectors.ring_laps import handed_on, parcels
from detectors.ring_params import WashRingsParams
from detectors.ring_sieve import asked, excess
from detectors.ring_tallies import Market, tallied
from detectors.ring_trials import Tests, among, chance, least_meetings, sides, tried
from detectors.ring_variants import variants
from ingest.compiled import njit
from ingest.events import Array


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
    log_p: float
    """Surprise of all that was asked, together."""


def tests_of(params: WashRingsParams) -> Tests:
    """Return what the kernels ask of a set."""
    return Tests(
        max_members=params.max_members,
        tolerance_ratio=params.tolerance_ratio,
        min_laps=params.min_laps,
        min_turns=params.min_turns,
        log_probability=math.log(params.max_probability),
        log_member=math.log(params.member_probability),
        log_join=math.log(params.join_probability),
        max_long=params.max_long,
        log_burst=math.log(params.burst_probabilities[0]),
        min_excess_ratio=params.min_excess_ratio,
        max_hand=params.max_hand,
        max_pieces=params.max_pieces,
        max_set_trades=params.max_set_trades,
        max_sets=params.max_sets,
    )


def circles_of(meetings: Meetings, params: WashRingsParams) -> tuple[list[Circle], bool]:
    """Return a window's circles, the most surprising first, and whether sets were left untried."""
    if len(meetings.src) < 2 * params.min_laps:
        return [], False
    graph, src, dst = meetings.graph, meetings.src, meetings.dst
    following = handed_on(src, dst, meetings.lots)
    handed = following >= 0
    so_far, at, begin = tallied(src, dst, meetings.bought, handed, len(graph.codes))
    by_edge, edge_begin = trades_by_edge(graph.edge_of, len(graph.src))
    market = Market(
        src, dst, meetings.bought, meetings.lots, handed, so_far, at, begin,
        graph.src, graph.dst, graph.table, by_edge, edge_begin,
    )  # fmt: skip
    tests = tests_of(params)
    levels = np.log(np.array(params.burst_probabilities))
    by_pair = trades_by_edge(graph.pair[graph.edge_of], len(graph.src))
    found, surprise = bursts(
        src, dst, meetings.bought, so_far, *by_pair, levels[0], asked(
            levels[0], params.min_burst, longest_burst(levels[-1], params.min_excess_ratio),
            params.min_excess_ratio,
        ),
    )  # fmt: skip
    joined = sets_of(found, surprise, levels, params.max_members, len(src))
    rows, lap_begin = parcels(src, dst, following, params.max_members)
    passing = _passing(
        market, rows, lap_begin, params.max_members, params.min_turns, params.max_long,
        tests.log_member, tests.log_burst,
    )  # fmt: skip
    seeds = np.concatenate([passing[0], joined[0]]), np.concatenate([passing[1], joined[1]])
    sets, spans, left_out = variants(market, *seeds, tests)
    who, covered, ends, told = tried(market, sets, spans, tests)
    circles = []
    for k in range(len(who)):
        laps, met, by_chance, log_p = told[k].tolist()
        circles.append(
            Circle(
                who=tuple(who[k][who[k] >= 0].tolist()),
                rows=covered[ends[k] : ends[k + 1]],
                laps=int(laps),
                met=int(met),
                by_chance=by_chance,
                log_p=log_p,
            )
        )
    return sorted(circles, key=lambda one: (one.log_p, len(one.who), one.who)), left_out


@njit(cache=True)
def _passing(  # noqa: PLR0917 - a kernel
    market: Market,
    rows: Array,
    begin: Array,
    max_members: int,
    min_turns: int,
    most: int,
    log_p: float,
    log_often: float,
) -> tuple[Array, Array]:
    """Return the sets that pass parcels round twice or more, and the meetings that their laps span.

    Only sets that meet often enough, but not all day as makers do, and whose own parcels go round
    more often than by chance.

    Parameters
    ----------
    rows, begin
        See `parcels`.

    Returns
    -------
    who : (sets, max_members) int64
        Nodes, ascending; -1 fills up.
    span : (sets, 2) int64
    """
    laps = len(begin) - 1
    sets = np.full((laps, max_members), -1, np.int64)
    key = np.zeros(laps, np.int64)
    for lap in range(laps):
        size = 0
        for row in rows[begin[lap] : begin[lap + 1]]:
            size = put(sets[lap], size, market.src[row])
        for node in sets[lap, :size]:
            key[lap] = (key[lap] + node + 1) * 6364136223846793005
            key[lap] ^= key[lap] >> 29
    order = np.argsort(key, kind="mergesort")
    who = np.full((laps, max_members), -1, np.int64)
    span = np.empty((laps, 2), np.int64)
    count = k = 0
    while k < laps:
        start, lap = k, order[k]
        first, end = rows[begin[lap]], rows[begin[lap + 1] - 1] + 1
        k += 1
        while k < laps and (sets[order[k]] == sets[lap]).all():
            end = max(end, rows[begin[order[k] + 1] - 1] + 1)
            k += 1
        if k - start < 2:
            continue
        nodes = sets[lap, : begin[lap + 1] - begin[lap]]
        met = 0
        for edge in edges_inside(nodes, market.table, market.edge_src, market.edge_dst):
            met += market.edge_begin[edge + 1] - market.edge_begin[edge]
        if met < least_meetings(len(nodes), min_turns) or met > most:
            continue
        meets = among(nodes, 0, len(market.src), market, met)
        by_chance, _, _, _ = chance(nodes, meets, first, end, market)
        inside = np.searchsorted(meets, end) - np.searchsorted(meets, first)
        often = excess(float(inside), by_chance) <= log_often
        if often or _stays(market, nodes, meets, k - start, first, end) <= log_p:
            who[count] = sets[lap]
            span[count, 0], span[count, 1] = first, end
            count += 1
    return who[:count].copy(), span[:count].copy()


@njit(cache=True)
def _stays(  # noqa: PLR0917 - a kernel
    market: Market, who: Array, rows: Array, times: int, first: int, end: int
) -> float:
    """Return the surprise of a set's own parcels going round so often.

    By chance what a member bought of members is handed on whole as often as what it bought of
    others, and then to members as often as all that it sells.
    """
    inside, outside, _ = sides(who, rows, first, end, market)
    stays = 0.0
    for i in range(len(who)):
        sold_in = inside[i, 0] + inside[i, 1] - inside[i, 2]
        sold = sold_in + outside[i, 0] + outside[i, 1] - outside[i, 2]
        handed = (outside[i, 3] + 1.0) / (outside[i, 2] + 2.0)
        stays += inside[i, 2] * handed * (sold_in + 1.0) / (sold + 2.0)
    return excess(float(times * len(who)), stays)
