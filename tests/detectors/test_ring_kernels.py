"""The ring kernels against the plain reference of the definition."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from detectors import ring_chance, ring_graph, ring_layers, ring_runs
from tests.support import ring_reference as plain
from tests.support.ring_reference import Sale


def random_sales(seed, *, accounts, trades, sizes=(1,)):
    draw = random.Random(seed)
    sales = []
    while len(sales) < trades:
        seller, buyer = draw.randrange(accounts), draw.randrange(accounts)
        if seller != buyer:
            # Codes are spread out, as those of a register are.
            lots = draw.choice(sizes)
            sales.append(Sale(len(sales), "X", len(sales) + 1, seller * 977, buyer * 977, lots))
    return sales


def graph_of(sales):
    return ring_graph.graph_of(
        np.array([s.seller for s in sales], np.int32), np.array([s.buyer for s in sales], np.int32)
    )


def kernel_sets(graph, max_members=8, max_edges=10_000):
    members, offsets, seen, skipped = ring_layers.layered_sets(
        len(graph.codes), graph.src, graph.dst, graph.weight, max_members, max_edges
    )
    found = [frozenset(graph.codes[members[a:b]].tolist()) for a, b in pairwise(offsets)]
    assert len(set(found)) == len(found)
    return dict(zip(found, seen.tolist(), strict=True)), skipped, (members, offsets)


@pytest.mark.parametrize("seed", range(60))
def test_layers_are_those_of_peeling_one_from_every_weight(seed):
    accounts = 3 + seed % 14
    sales = random_sales(seed, accounts=accounts, trades=5 + 7 * (seed % 30))
    expected = plain.layered_sets(Counter((s.seller, s.buyer) for s in sales), 8)
    assert kernel_sets(graph_of(sales))[0] == dict(expected)


def test_a_large_component_is_peeled_until_small_ones_show():
    ring = [(i, (i + 1) % 12) for i in range(12)]
    pair = [(3, 4), (4, 3)] * 4
    sales = [Sale(i, "X", i + 1, a, b, 1) for i, (a, b) in enumerate(ring + pair)]
    assert kernel_sets(graph_of(sales))[0] == {frozenset({3, 4}): 3}


def test_there_may_be_thousands_of_small_sets():
    pairs = [(2 * n, 2 * n + 1) for n in range(1_500)]
    sales = [Sale(i, "X", i + 1, a, b, 1) for i, (a, b) in enumerate(pairs)]
    sales += [Sale(i, "X", i + 1, b, a, 1) for i, (a, b) in enumerate(pairs, len(pairs))]
    assert kernel_sets(graph_of(sales))[0] == {frozenset(pair): 1 for pair in pairs}


def test_past_the_edge_bound_the_lightest_layers_are_skipped():
    sales = random_sales(5, accounts=6, trades=400)
    weights = Counter((s.seller, s.buyer) for s in sales)
    found, skipped, _ = kernel_sets(graph_of(sales), max_edges=10)
    assert skipped > 0
    assert sum(w > skipped for w in weights.values()) <= 10
    left = {edge: w - skipped for edge, w in weights.items() if w > skipped}
    assert found == dict(plain.layered_sets(left, 8))


@pytest.mark.parametrize("seed", range(80))
def test_covered_trades_are_those_of_trying_every_run(seed):
    members = 2 + seed % 4
    sizes = ((1,), (100, 101, 200), (50, 100, 150, 300), (995, 1000, 1003))[seed % 4]
    sales = random_sales(seed, accounts=members, trades=4 + seed % 37, sizes=sizes)
    tolerance = (0.01, 0.0, 0.05)[seed % 3]
    expected = np.full(len(sales), -1)
    for number, stretch in enumerate(plain.covered_runs(sales, tolerance)):
        expected[stretch] = number
    found = ring_runs.covered_runs(
        np.array([s.seller // 977 for s in sales]),
        np.array([s.buyer // 977 for s in sales]),
        np.array([s.lots for s in sales]),
        members,
        tolerance,
    )
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_chance_is_judged_as_the_formula_says(seed):
    sales = random_sales(seed, accounts=9, trades=120)
    draw = random.Random(seed)
    pair = draw.sample(range(9), 2 + seed % 3)
    for i in range(seed):
        a, b = pair[i % len(pair)], pair[(i + 1) % len(pair)]
        sales.append(Sale(200 + i, "X", 200 + i, a * 977, b * 977, 1))
    graph = graph_of(sales)
    sets, _, (members, offsets) = kernel_sets(graph)
    beyond, expected = ring_chance.beyond_chance(
        members, offsets, len(sales), graph.degree(), graph.table, graph.src, graph.dst,
        graph.weight, math.log(1e-3),
    )  # fmt: skip
    assert beyond.tolist() == [plain.beyond_chance(sales, who, 1e-3) for who in sets]
    assert (expected > 0).all()


@pytest.mark.parametrize("seed", range(30))
def test_chance_hour_by_hour_is_judged_as_the_formula_says(seed):
    sales = random_sales(seed, accounts=9, trades=120)
    draw = random.Random(seed)
    members = draw.sample(range(9), 2 + seed % 3)
    for i in range(2 * seed):
        a, b = members[i % len(members)], members[(i + 1) % len(members)]
        sales.append(Sale(draw.randrange(120), "X", 200 + i, a * 977, b * 977, 1))
    sales.sort(key=lambda s: (s.time_ns, s.seq))
    graph = graph_of(sales)
    node = {code: n for n, code in enumerate(graph.codes.tolist())}
    who = frozenset(m * 977 for m in members)
    log_p, expected, in_doubt = ring_chance.chance_by_hour(
        np.array([node[code] for code in who]),
        graph.src[graph.edge_of],
        graph.dst[graph.edge_of],
        np.array([s.time_ns // 40 for s in sales]),
    )
    assert expected > 0
    assert in_doubt >= log_p
    for limit in (0.5, 1e-2, 1e-4):
        assert (log_p <= math.log(limit)) == plain.beyond_chance(sales, who, limit, 40)


def test_the_highest_rate_that_few_hits_leave_possible_is_rarely_passed():
    """Of 2,000 draws at a rate the bound is below it in at most one of twenty."""
    rng = np.random.default_rng(1)
    for trials, rate in ((5, 0.5), (40, 0.1), (400, 0.02)):
        hits = rng.binomial(trials, rate, 2000)
        assert np.mean([ring_chance.at_most(h, trials) < rate for h in hits.astype(float)]) <= 0.05
    assert ring_chance.at_most(0.0, 0.0) == 1.0


def test_a_lookup_of_edges_survives_growing_tables():
    sales = random_sales(1, accounts=3000, trades=20_000)
    graph = graph_of(sales)
    node = {code: n for n, code in enumerate(graph.codes.tolist())}
    for s in sales[:500]:
        edge = ring_graph.edge_between(
            graph.table, graph.src, graph.dst, node[s.seller], node[s.buyer]
        )
        assert (graph.src[edge], graph.dst[edge]) == (node[s.seller], node[s.buyer])
    weights = Counter((node[s.seller], node[s.buyer]) for s in sales)
    assert dict(
        zip(zip(graph.src.tolist(), graph.dst.tolist(), strict=True), graph.weight.tolist(),
            strict=True)
    ) == dict(weights)  # fmt: skip
    number = {ends: e for e, ends in enumerate(zip(graph.src, graph.dst, strict=True))}
    back = [
        number.get((b, a), e) for e, (a, b) in enumerate(zip(graph.src, graph.dst, strict=True))
    ]
    assert (graph.pair == np.minimum(np.arange(len(back)), back)).all()
    assert (np.array(back) != np.arange(len(back))).sum() > 10, "some go both ways"
    assert (graph.seller == graph.src[graph.edge_of]).all()
    assert (graph.buyer == graph.dst[graph.edge_of]).all()
    position, begin = ring_graph.trades_by_edge(graph.edge_of, len(graph.src))
    assert (np.diff(begin) == graph.weight).all()
    assert (graph.edge_of[position] == np.repeat(np.arange(len(graph.src)), graph.weight)).all()
