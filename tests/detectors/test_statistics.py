"""Statistics against SciPy's own, and against what uniform means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.statistics import (
    benjamini_hochberg,
    binomial_tail,
    fisher_tail,
    poisson_tail,
    q_values,
    randomised,
    uniform,
)

counts = st.integers(0, 60)


@given(hits=counts, trials=counts, chance=st.floats(0.001, 0.999))
def test_a_binomial_tail_is_scipys(hits, trials, chance):
    assert binomial_tail(hits, trials, chance) == pytest.approx(
        stats.binom.sf(hits - 1, trials, chance), abs=1e-12
    )


@given(hits=counts, mean=st.floats(0.001, 50))
def test_a_poisson_tail_is_scipys(hits, mean):
    assert poisson_tail(hits, mean) == pytest.approx(stats.poisson.sf(hits - 1, mean), abs=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_fishers_tail_is_scipys(trials, other_trials, data):
    hits = data.draw(st.integers(0, trials))
    other = data.draw(st.integers(0, other_trials))
    table = [[hits, trials - hits], [other, other_trials - other]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert fisher_tail(hits, trials, other, other_trials) == pytest.approx(expected, abs=1e-9)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="hits must lie within trials, were 4 of 3"):
        fisher_tail(4, 3, 0, 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.5))
def test_q_values_are_scipys(p_values, rate):
    expected = stats.false_discovery_control(p_values, method="bh")
    assert q_values(p_values) == pytest.approx(expected, abs=1e-12)
    assert (benjamini_hochberg(p_values, rate) == (q_values(p_values) <= rate)).all()


def test_what_plays_chance_is_evenly_spread_in_every_word():
    for place in range(3):
        words = np.zeros((20_000, 3), np.int64)
        words[:, place] = np.arange(20_000)
        drawn = [uniform(*row) for row in words.tolist()]
        assert stats.kstest(drawn, "uniform").pvalue > 0.001
        assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.03


def test_a_randomised_p_value_is_uniform_under_the_null():
    rng = np.random.default_rng(5)
    counts = rng.binomial(12, 0.1, size=20_000).tolist()
    p_values = [
        randomised(binomial_tail(x, 12, 0.1), binomial_tail(x + 1, 12, 0.1), uniform(9, place))
        for place, x in enumerate(counts)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
