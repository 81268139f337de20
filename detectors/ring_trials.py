"""Sets tried for being a circle: their laps, and what chance gives."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from detectors.ring_graph import edges_inside
from detectors.ring_laps import passed, returns
from detectors.ring_rounds import handed_round
from detectors.ring_sieve import excess
from detectors.ring_tallies import KINDS, Market, done
from detectors.ring_turns import take_turns
from ingest.compiled import njit
from ingest.events import Array

_LOG_2: Final = math.log(2.0)
_LOG_3: Final = math.log(3.0)


class Tests(NamedTuple):
    """What is asked of a set; see `WashRingsParams`. Probabilities as logarithms."""

    max_members: int
    tolerance_ratio: float
    min_laps: int
    min_turns: int
    log_probability: float
    log_member: float
    log_join: float
    max_long: int
    log_burst: float
    min_excess_ratio: float
    max_hand: int
    max_pieces: int
    max_set_trades: int
    max_sets: int


@njit(cache=True)
def sides(
    who: Array, rows: Array, first: int, end: int, market: Market
) -> tuple[Array, Array, int]:
    """Return what members did with members and with others in meetings first to end - 1.

    Parameters
    ----------
    who : (k,) int64
        Nodes, ascending.
    rows : (m,) int64
        Meetings of members with each other, ascending; others than those of the span are left out.

    Returns
    -------
    inside, outside : (k, 4) int64
        How often each rested, took, bought and handed on whole what it bought.
    met : int
        Meetings of members.
    """
    k = len(who)
    inside, outside = np.zeros((k, KINDS), np.int64), np.zeros((k, KINDS), np.int64)
    met = 0
    for t in rows[np.searchsorted(rows, first) : np.searchsorted(rows, end)]:
        seller, buyer = np.searchsorted(who, market.src[t]), np.searchsorted(who, market.dst[t])
        inside[seller if market.bought[t] else buyer, 0] += 1
        inside[buyer if market.bought[t] else seller, 1] += 1
        inside[buyer, 2] += 1
        inside[buyer, 3] += market.handed[t]
        met += 1
    for i in range(k):
        rested, took, bought, handed = done(who[i], first, end, market)
        outside[i, 0], outside[i, 1] = rested - inside[i, 0], took - inside[i, 1]
        outside[i, 2], outside[i, 3] = bought - inside[i, 2], handed - inside[i, 3]
    return inside, outside, met


@njit(cache=True)
def chance(
    who: Array, rows: Array, first: int, end: int, market: Market
) -> tuple[float, int, float, float]:
    """Return what chance says of a set over meetings first to end - 1; see `sides`.

    Who rested and who took are two margins: a member that took meets another with the share of
    the other meetings in which another member rested, and so the other way round (rule of
    succession: (hits + 1) / (trials + 2)). Apart from that, what a member bought of members is
    handed on whole as often as what it bought of others.

    Returns
    -------
    by_chance : float
        Meetings of members in that time.
    weakest : int
        Place in `who` of the member whose meetings with the others are the least surprising.
    surprise : float
        Of that member's meetings.
    handed : float
        Surprise of how often what was bought of members is handed on whole.
    """
    inside, outside, met = sides(who, rows, first, end, market)
    rest_out, take_out = outside[:, 0].sum(), outside[:, 1].sum()
    others = end - first - met - rest_out - take_out
    by_chance, weakest, surprise = 0.0, 0, -np.inf
    expected_handed = 0.0
    for i in range(len(who)):
        trials = others + rest_out + take_out - outside[i, 0] - outside[i, 1]
        rested, took = inside[i, 0] + outside[i, 0], inside[i, 1] + outside[i, 1]
        expected = (
            took * (rest_out - outside[i, 0] + 1.0) + rested * (take_out - outside[i, 1] + 1.0)
        ) / (trials + 2.0)
        here = excess(float(inside[i, 0] + inside[i, 1]), expected)
        if here > surprise:
            weakest, surprise = i, here
        by_chance += 0.5 * expected
        expected_handed += inside[i, 2] * (outside[i, 3] + 1.0) / (outside[i, 2] + 2.0)
    return by_chance, weakest, surprise, excess(float(inside[:, 3].sum()), expected_handed)


@njit(cache=True)
def least_meetings(members: int, min_turns: int) -> int:
    """Return the meetings of a circle at least: of three or more one may not have been seen.

    >>> least_meetings(2, 3), least_meetings(4, 3)
    (6, 11)
    """
    return min_turns * members - (members > 2)


@njit(cache=True)
def among(who: Array, first: int, end: int, market: Market, most: int) -> Array:
    """Return the meetings of a set's members with each other in a while, the last `most`."""
    edges = edges_inside(who, market.table, market.edge_src, market.edge_dst)
    begin = np.empty((len(edges), 2), np.int64)
    size = 0
    for k in range(len(edges)):
        edge = edges[k]
        of_edge = market.by_edge[market.edge_begin[edge] : market.edge_begin[edge + 1]]
        begin[k, 0] = market.edge_begin[edge] + np.searchsorted(of_edge, first)
        begin[k, 1] = market.edge_begin[edge] + np.searchsorted(of_edge, end)
        size += begin[k, 1] - begin[k, 0]
    rows = np.empty(size, np.int64)
    filled = 0
    for k in range(len(edges)):
        for place in range(begin[k, 0], begin[k, 1]):
            rows[filled] = market.by_edge[place]
            filled += 1
    rows.sort()
    return rows[max(0, size - most) :]


@njit(cache=True)
def circle(
    who: Array, since: int, until: int, market: Market, tests: Tests
) -> tuple[Array, Array, int, int, float, float]:
    """Return the circle that a set's members make, or those of them who are in laps.

    Members who meet often are looked at only around what shows the set, three times as long.

    Returns
    -------
    who : (k,) int64
        Empty = none.
    rows : (m,) int64
        Meetings in its laps.
    laps, met : int
    by_chance, log_probability : float
        See `ring_circles.Circle`.
    """
    none = np.empty(0, np.int64)
    laps, covered, rows = 0, none, none
    while True:
        rows = among(who, 0, len(market.src), market, tests.max_set_trades)
        if len(rows) > tests.max_long:
            rows = among(who, 2 * since - until, 2 * until - since, market, tests.max_set_trades)
        if len(rows) < least_meetings(len(who), tests.min_turns):
            return none, none, 0, 0, 0.0, 0.0
        seller = np.searchsorted(who, market.src[rows])
        buyer = np.searchsorted(who, market.dst[rows])
        lots = market.lots[rows]
        inside, laps = returns(
            seller, buyer, lots, len(who), tests.tolerance_ratio, tests.max_hand * len(who)
        )
        round_, times = passed(seller, buyer, lots, len(who), tests.max_pieces)
        inside |= round_
        laps = max(laps, times)
        handed_on, times = handed_round(seller, buyer, lots, len(who), tests.max_pieces)
        if times >= tests.min_laps:
            inside |= handed_on
            laps = max(laps, times)
        takes_part = np.zeros(len(who), np.bool_)
        for t in range(len(rows)):
            if inside[t]:
                takes_part[seller[t]] = takes_part[buyer[t]] = True
        covered = rows[inside]
        if takes_part.all():
            break
        if takes_part.sum() < 2:
            return none, none, 0, 0, 0.0, 0.0
        who = who[takes_part]
    if laps < tests.min_laps or len(covered) < least_meetings(len(who), tests.min_turns):
        return none, none, 0, 0, 0.0, 0.0
    first, end = covered[0], covered[-1] + 1
    by_chance, _, surprise, handed = chance(who, rows, first, end, market)
    if surprise > tests.log_member or len(covered) < tests.min_excess_ratio * by_chance:
        return none, none, 0, 0, 0.0, 0.0
    # Questions that do not depend on each other: their surprises are joined (Fisher), or the first
    # speaks alone; the best of so many counts so much less (Bonferroni).
    alone = excess(float(len(covered)), by_chance)
    both = alone + handed
    log_p = _LOG_2 + min(alone, both + math.log(1.0 - both))
    if len(who) > 2:  # two who come back take turns by that alone
        three = both + take_turns(who, rows, first, end, market)
        joined = three + math.log(1.0 - three + 0.5 * three * three)
        log_p = min(log_p - _LOG_2, joined) + _LOG_3
    if log_p > tests.log_probability:
        return none, none, 0, 0, 0.0, 0.0
    met = np.searchsorted(rows, end) - np.searchsorted(rows, first)
    return who, covered, laps, met, by_chance, log_p


@njit(cache=True)
def tried(
    market: Market, sets: Array, spans: Array, tests: Tests
) -> tuple[Array, Array, Array, Array]:
    """Return the different circles that sets make.

    Parameters
    ----------
    sets : (sets, max_members) int64
        Nodes, ascending; -1 fills up.
    spans : (sets, 2) int64
        The while to look at: first meeting, and the one after the last.

    Returns
    -------
    who : (circles, max_members) int64
    rows : (total,) int64
        Meetings in laps, one circle after the other.
    ends : (circles + 1,) int64
        Where each circle's begin.
    told : (circles, 4) float64
        Laps, met, by chance, log probability; see `ring_circles.Circle`.
    """
    circles = np.full((8, sets.shape[1]), -1, np.int64)
    told = np.empty((8, 4), np.float64)
    ends = np.zeros(9, np.int64)
    rows = np.empty(256, np.int64)
    count = 0
    for place in range(len(sets)):
        who, covered, laps, met, by_chance, log_p = circle(
            sets[place][sets[place] >= 0], spans[place, 0], spans[place, 1], market, tests
        )
        if len(who) == 0:
            continue
        known = False
        for k in range(count):
            known |= (circles[k] >= 0).sum() == len(who) and (circles[k, : len(who)] == who).all()
        if known:
            continue
        if count == len(circles):
            circles = np.concatenate((circles, np.full_like(circles, -1)))
            told = np.concatenate((told, np.empty_like(told)))
            ends = np.concatenate((ends, np.zeros(count, np.int64)))
        if ends[count] + len(covered) > len(rows):
            rows = np.concatenate((rows, np.empty(len(rows) + len(covered), np.int64)))
        circles[count, : len(who)] = who
        told[count, 0], told[count, 1] = laps, met
        told[count, 2], told[count, 3] = by_chance, log_p
        rows[ends[count] : ends[count] + len(covered)] = covered
        ends[count + 1] = ends[count] + len(covered)
        count += 1
    return (
        circles[:count].copy(),
        rows[: ends[count]].copy(),
        ends[: count + 1].copy(),
        told[:count].copy(),
    )
