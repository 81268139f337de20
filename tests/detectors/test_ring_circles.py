"""The kernels of circles in bursts against the plain reference."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from detectors import (
    ring_bursts,
    ring_chance,
    ring_circles,
    ring_laps,
    ring_tallies,
    ring_trials,
    ring_turns,
)
from detectors.ring_graph import graph_of, trades_by_edge
from detectors.ring_params import WashRingsParams
from detectors.ring_sieve import asked, excess
from tests.support import circle_reference as plain

LOG_P = math.log(1e-2)


def random_meetings(seed, *, accounts, count, sizes):
    """Meetings of accounts, of which two prefer each other."""
    draw = random.Random(seed)
    made = []
    while len(made) < count:
        pair = [0, 1] if draw.random() < 0.2 else draw.sample(range(accounts), 2)
        draw.shuffle(pair)
        made.append((*pair, draw.choice(sizes), draw.random() < 0.5))
    return made


def columns(meetings):
    seller, buyer, lots, bought = map(np.array, zip(*meetings, strict=True))
    return seller.astype(np.int64), buyer.astype(np.int64), lots.astype(np.int64), bought


def market_of(meetings):
    """The market of a graph whose nodes are the accounts."""
    src, dst, lots, bought = columns(meetings)
    graph = graph_of(src, dst)
    node = {code: n for n, code in enumerate(graph.codes.tolist())}
    src, dst = graph.src[graph.edge_of], graph.dst[graph.edge_of]
    handed = ring_laps.handed_on(src, dst, lots) >= 0
    tallies = ring_tallies.tallied(src, dst, bought, handed, len(graph.codes))
    by_edge = trades_by_edge(graph.edge_of, len(graph.src))
    market = ring_tallies.Market(
        src, dst, bought, lots, handed, *tallies, graph.src, graph.dst, graph.table, *by_edge
    )
    return market, node


@pytest.mark.parametrize("seed", range(20))
def test_what_is_handed_on_and_what_each_did_are_counted(seed):
    meetings = random_meetings(seed, accounts=7, count=80, sizes=(1, 2, 3, 50))
    market, node = market_of(meetings)
    following = plain.handed_on(meetings)
    assert ring_laps.handed_on(market.src, market.dst, market.lots).tolist() == following
    handed = [t >= 0 for t in following]
    draw = random.Random(seed)
    for _ in range(40):
        first, end = sorted(draw.sample(range(81), 2))
        account = draw.randrange(7)
        expected = plain.did(meetings, handed, account, first, end)
        assert ring_tallies.done(node[account], first, end, market) == expected


@pytest.mark.parametrize(
    ("seed", "accounts", "count", "ratio"),
    # The last ones fill more than what is sieved together, and one pair alone does.
    [*((seed, 9, 150, 2.0) for seed in range(20)), (20, 20, 2600, 1.2), (21, 4, 2200, 1.2)],
)
def test_bursts_are_those_of_counting_one_by_one(seed, accounts, count, ratio):
    meetings = random_meetings(seed, accounts=accounts, count=count, sizes=(1,))
    market, node = market_of(meetings)
    low, high = np.minimum(market.src, market.dst), np.maximum(market.src, market.dst)
    _, pair = np.unique(low * 100 + high, return_inverse=True)
    found, surprise = ring_bursts.bursts(
        market.src,
        market.dst,
        market.bought,
        market.so_far,
        *trades_by_edge(pair, int(pair.max()) + 1),
        LOG_P,
        asked(LOG_P, 3, 20, ratio),
    )
    expected = plain.bursts(meetings, LOG_P, 3, 20, ratio)
    assert sorted(map(tuple, found[:, 2:].tolist())) == sorted((i, j) for _, i, j, _ in expected)
    told = {(i, j): p for _, i, j, p in expected}
    for (one, other, i, j), p in zip(found.tolist(), surprise.tolist(), strict=True):
        assert {one, other} == {node[a] for a in meetings[i][:2]}
        assert p == pytest.approx(told[i, j])


def test_bursts_are_joined_where_they_share_a_node_at_one_time():
    found = np.array([[1, 2, 0, 9], [2, 3, 5, 14], [3, 4, 20, 30], [5, 6, 0, 9], [6, 7, 3, 9]])
    surprise = np.array([-9.0, -9.0, -9.0, -9.0, -5.0])
    who, span = ring_bursts.sets_of(found, surprise, np.array([-4.0, -8.0]), 3, 40)
    sets = [(tuple(w[w >= 0].tolist()), *s) for w, s in zip(who, span.tolist(), strict=True)]
    assert set(sets) == {
        ((1, 2, 3), 0, 15),
        ((3, 4), 20, 31),
        ((5, 6, 7), 0, 10),
        ((5, 6), 0, 10),
    }
    assert ring_bursts.sets_of(found, surprise, np.array([-4.0]), 2, 40)[0].tolist() == [[3, 4]]


@pytest.mark.parametrize("seed", range(60))
def test_laps_are_those_of_trying_every_run(seed):
    members = 2 + seed % 3
    sizes = ((1, 2), (100, 101, 200), (50, 100, 150, 300))[seed % 3]
    meetings = random_meetings(seed, accounts=members, count=4 + seed % 30, sizes=sizes)
    seller, buyer, lots, _ = columns(meetings)
    tolerance, longest = (0.01, 0.0, 0.05)[seed % 3], 8 * members
    inside, laps = ring_laps.returns(seller, buyer, lots, members, tolerance, longest)
    expected = plain.returns(meetings, members, tolerance, longest)
    assert (set(np.flatnonzero(inside).tolist()), laps) == expected


@pytest.mark.parametrize("seed", range(60))
def test_parcels_that_go_round_in_pieces_are_those_of_trying_every_run(seed):
    members, pieces = 2 + seed % 4, 1 + seed % 3
    meetings = random_meetings(seed, accounts=members, count=4 + seed % 30, sizes=(1, 2, 3, 5))
    seller, buyer, lots, _ = columns(meetings)
    inside, laps = ring_laps.passed(seller, buyer, lots, members, pieces)
    expected = plain.passed(meetings, members, pieces)
    assert (set(np.flatnonzero(inside).tolist()), laps) == expected


@pytest.mark.parametrize("seed", range(20))
def test_chance_of_a_set_is_that_of_counting_one_by_one(seed):
    meetings = random_meetings(seed, accounts=8, count=120, sizes=(1, 2, 3, 50))
    market, node = market_of(meetings)
    handed = [t >= 0 for t in plain.handed_on(meetings)]
    draw = random.Random(seed)
    for _ in range(10):
        first, end = sorted(draw.sample(range(121), 2))
        accounts = draw.sample(range(8), draw.randint(2, 4))
        who = np.array(sorted(node[a] for a in accounts))
        rows = ring_trials.among(who, 0, 120, market, 1000)
        assert rows.tolist() == [t for t, m in enumerate(meetings) if set(m[:2]) <= set(accounts)]
        by_chance, _, worst, surprise = ring_trials.chance(who, rows, first, end, market)
        assert (by_chance, worst, surprise) == pytest.approx(
            plain.chance(meetings, handed, accounts, first, end)
        )


@pytest.mark.parametrize("seed", range(40))
def test_turns_are_those_of_looking_back_from_each_meeting(seed):
    meetings = random_meetings(seed, accounts=7, count=90, sizes=(1, 2))
    market, node = market_of(meetings)
    draw = random.Random(seed)
    first, end = sorted(draw.sample(range(91), 2))
    accounts = draw.sample(range(7), 2 + seed % 4)
    who = np.array(sorted(node[a] for a in accounts))
    rows = ring_trials.among(who, 0, 90, market, 1000)
    for account in accounts:
        often = ring_turns.habit(node[account], who, first, end, market)
        assert often == pytest.approx(plain.habit(meetings, account, accounts, first, end))
    told, sold, by_chance = plain.take_turns(meetings, accounts, first, end)
    expected = ring_chance.too_often(sold, told, by_chance) if told else 0.0
    assert ring_turns.take_turns(who, rows, first, end, market) == pytest.approx(expected)


def turning(seed, *, accounts, count, often):
    """Meetings in which the buyer of each account's last one sells so often."""
    draw, last, made = random.Random(seed), {}, []
    while len(made) < count:
        one, other = draw.sample(range(accounts), 2)
        weight = 1.0
        for me, sells in ((one, True), (other, False)):
            if me in last:
                weight *= often / (1 - often) if last[me] == sells else (1 - often) / often
        if draw.random() >= weight / (1 + weight):
            one, other = other, one
        last[one], last[other] = False, True
        made.append((one, other, draw.randint(1, 900), draw.random() < 0.5))
    return made


@pytest.mark.parametrize("often", [0.3, 0.5, 0.7, 0.9])
def test_who_turns_round_with_everybody_takes_no_turns_with_anybody(often):
    told = 0
    for seed in range(60):
        market, node = market_of(turning(seed, accounts=10, count=600, often=often))
        who = np.array(sorted(node[a] for a in random.Random(seed).sample(range(10), 4)))
        rows = ring_trials.among(who, 0, 600, market, 1000)
        told += ring_turns.take_turns(who, rows, 0, 600, market) <= math.log(0.01)
    assert told <= 2


def test_a_circle_is_told_with_its_laps_and_without_a_stranger_who_met_it():
    params = WashRingsParams()
    meetings = random_meetings(3, accounts=40, count=600, sizes=range(1, 900))
    for lap in range(8):
        for hop in range(4):
            meetings.insert(300 + 12 * lap + 2 * hop, (90 + hop, 90 + (hop + 1) % 4, 437, hop < 2))
    meetings.insert(320, (91, 7, 60, True))
    src, dst, lots, bought = columns(meetings)
    graph = graph_of(src, dst)
    told, left_out = ring_circles.circles_of(
        ring_circles.Meetings(
            graph=graph,
            src=graph.src[graph.edge_of],
            dst=graph.dst[graph.edge_of],
            bought=bought,
            lots=lots,
        ),
        params,
    )
    best = told[0]
    assert sorted(graph.codes[list(best.who)].tolist()) == [90, 91, 92, 93]
    assert (len(best.rows), best.laps, left_out) == (32, 8, False)
    assert best.log_p <= ring_circles.tests_of(params).log_probability


@pytest.mark.parametrize("seed", [1, 3])
def test_three_laps_of_members_who_also_meet_by_chance_are_told_by_their_turns(seed):
    draw, meetings, hops = random.Random(seed), [], 0
    while len(meetings) < 400:
        meetings.append((*draw.sample(range(20), 2), draw.randint(1, 400), draw.random() < 0.5))
        if len(meetings) > 100 and len(meetings) % 3 == 0 and hops < 18:
            size = 150 + 37 * (hops // 12)
            meetings.append((hops % 6, (hops + 1) % 6, size, draw.random() < 0.5))
            hops += 1
    src, dst, lots, bought = columns(meetings)
    graph, params = graph_of(src, dst), WashRingsParams()
    src, dst = graph.src[graph.edge_of], graph.dst[graph.edge_of]
    made = ring_circles.Meetings(graph=graph, src=src, dst=dst, bought=bought, lots=lots)
    ((best, *_), _), (market, _) = ring_circles.circles_of(made, params), market_of(meetings)
    who, end = np.array(best.who), best.rows[-1] + 1
    assert sorted(graph.codes[who].tolist()) == list(range(6))
    rows = ring_trials.among(who, 0, len(meetings), market, 1000)
    by_chance, _, _, handed = ring_trials.chance(who, rows, best.rows[0], end, market)
    both = excess(len(best.rows), by_chance) + handed
    most = ring_circles.tests_of(params).log_probability
    assert best.log_p <= most < both + math.log(1 - both), "without its turns it is not"


def test_sets_past_the_bound_are_left_out_and_said_so():
    meetings = random_meetings(3, accounts=12, count=900, sizes=(1, 2, 3))
    src, dst, lots, bought = columns(meetings)
    graph = graph_of(src, dst)
    made = ring_circles.Meetings(
        graph=graph,
        src=graph.src[graph.edge_of],
        dst=graph.dst[graph.edge_of],
        bought=bought,
        lots=lots,
    )
    assert ring_circles.circles_of(made, WashRingsParams(max_sets=1, burst_probabilities=(0.5,)))[1]
