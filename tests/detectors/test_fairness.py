"""The measures and statistics of fairness: against hand-made fills, and against their own luck."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.examples import batch_of, example_instruments, trade
from detectors.fairness_measures import FairFills
from detectors.fairness_strata import FEWEST_CLUSTERS, REPLICATES, compare, draws, uniforms
from ingest.events import Kind, Role
from ingest.times import SECOND

AFMM, PEER, CLIENT = 5, 6, 7


def rows():
    """A client buys at 102 from the AFMM and at 101 from a maker; the mid goes from 100 to 104."""
    quote = {"best_bid": 98, "best_ask": 102, "kind": Kind.NEW}
    later = {"best_bid": 102, "best_ask": 106, "kind": Kind.NEW}
    base = {"best_bid": 98, "best_ask": 102, "buy_role": Role.CLIENT}
    return [
        quote | {"engine_ns": 0},
        trade(CLIENT, AFMM, **base, sell_role=Role.AFFILIATED_MM, price=102, engine_ns=SECOND),
        trade(CLIENT, PEER, **base, sell_role=Role.EXTERNAL_MM, price=101, engine_ns=SECOND),
        later | {"engine_ns": 10 * SECOND},
        later | {"engine_ns": 40 * SECOND},
    ]


def taken(all_rows, cuts=()):
    instruments = example_instruments()
    fills = FairFills(instruments)
    for start, end in zip((0, *cuts), (*cuts, len(all_rows)), strict=True):
        part = [row | {"seq": start + at + 1} for at, row in enumerate(all_rows[start:end])]
        fills.take(batch_of(part, instruments))
    return fills.fills()[0]


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (1, 2, 3, 4)])
def test_measures_are_those_of_huang_and_stoll_however_the_tape_is_cut(cuts):
    found = taken(rows(), cuts)
    measures = found.measures()
    assert found.columns["is_afmm"].tolist() == [True, False]
    assert measures["effective_spread"].tolist() == pytest.approx([400.0, 200.0])
    # Five seconds on the book still stood as it was.
    assert measures["markout_5s"].tolist() == pytest.approx([200.0, 300.0])
    assert measures["markout_30s"].tolist() == pytest.approx([200.0, 300.0])
    assert measures["realised_spread_30s"].tolist() == pytest.approx([-400.0, -600.0])


def test_a_fill_whose_horizon_is_not_over_has_no_markout():
    measures = taken(rows()[:4]).measures()
    assert np.isnan(measures["markout_30s"]).all()
    assert not np.isnan(measures["markout_5s"]).any()


def test_fills_of_the_group_or_between_makers_or_busted_are_no_clients_fills():
    mixed = rows()
    mixed[1] |= {"buy_complex": 1}
    mixed[2] |= {"buy_role": Role.EXTERNAL_MM}
    mixed.insert(3, rows()[1] | {"busts_lo": np.uint64(3), "engine_ns": 2 * SECOND})
    instruments = example_instruments()
    fills = FairFills(instruments)
    fills.take(batch_of(mixed, instruments))
    assert fills.fills() == {}


def sample(seed, blocks, *, gap):
    """Fills in blocks that share their luck; the first group pays `gap` more."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(blocks), 20)
    luck = rng.normal(0, 1, blocks)[cluster]
    is_first = rng.random(len(cluster)) < 0.4
    strata = rng.integers(0, 3, len(cluster))
    values = strata * 10 + luck + rng.normal(0, 2, len(cluster)) + gap * is_first
    return values, rng.uniform(1, 3, len(cluster)), is_first, strata, cluster


def test_strata_take_out_what_they_differ_in():
    values, weights, _, strata, cluster = sample(1, 40, gap=0.0)
    # The first group trades in the dear stratum nearly always; a plain mean would blame it.
    is_first = np.random.default_rng(2).random(len(values)) < np.array([0.05, 0.1, 0.9])[strata]
    found = compare(values, weights, is_first, strata, cluster)
    plain = values[is_first].mean() - values[~is_first].mean()
    assert plain > 5
    assert abs(found.difference) < 1
    assert found.low < 0 < found.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(60):
        found = compare(*sample(seed, 40, gap=0.5))
        inside += found.low <= 0.5 <= found.high
    # Binomial(60, 0.95): below 51 with chance 0.4 %.
    assert inside >= 51


def test_the_same_fills_give_the_same_interval_and_few_clusters_none():
    one, two = (compare(*sample(3, 30, gap=1.0)) for _ in range(2))
    assert one == two
    few = compare(*sample(3, FEWEST_CLUSTERS - 1, gap=1.0))
    assert (few.low, few.high) == (None, None)


def test_a_group_without_a_like_is_left_out_and_said_so():
    values, weights, is_first, strata, cluster = sample(4, 20, gap=0.0)
    lone = strata == 2
    found = compare(values, weights, is_first | lone, strata, cluster)
    assert found.strata == 2
    assert found.left_out == pytest.approx(weights[lone].sum())
    assert compare(values, weights, np.ones_like(is_first), strata, cluster) is None


def test_draws_are_even_and_each_row_has_as_many_as_there_are_clusters():
    counts = draws(7, 50)
    assert counts.shape == (REPLICATES, 50)
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean(axis=0).std() < 0.06  # 1 / sqrt(999) = 0.032
    assert 0.49 < uniforms(20_000, 3).mean() < 0.51
