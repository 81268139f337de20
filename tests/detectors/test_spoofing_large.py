"""Large cycles of a day, held against external makers': counts, times, and what is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.spoofing_cycle import Cycle
from detectors.spoofing_large import LEAST_P, MOST, LargeCycles, nats_of
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import (
    CLASSES,
    OWN_CALM,
    OWN_CALM_GONE,
    OWN_FILLED,
    OWN_FILLED_GONE,
    PEER_CYCLES,
    SIZES,
    TALLIES,
)

SECOND, HOUR = 10**9, 3_600 * 10**9
PARAMS = SpoofingParams()


def cycle(at_s, *, size=2, delay_s=0.1, stood_s=10.0, hits=1, tallies=None, peers=4, code=0):
    """Return a prompt cycle in an instrument watched for six hours, with so many makers."""
    fall_ns = int(at_s * SECOND)
    if tallies is None:
        tallies = np.zeros((2, SIZES, CLASSES, TALLIES), np.int64)
    return Cycle(
        instrument=code, side=1, on_ns=fall_ns - int(stood_s * SECOND), from_ns=0, rise_ns=0,
        fall_ns=fall_ns, due_ns=fall_ns + SECOND, known_ns=fall_ns + SECOND, ratio=0,
        size_ratio=3.0, size=size, stood=4, measure=0, whole=True, withdrawn=1,
        hit_ns=fall_ns - int(delay_s * SECOND), hits=hits, harm=None, distance_ticks=0,
        incomplete=False, accounts=(), seqs=(1,), watched=peers * 6 * 240, sampled_ns=6 * HOUR,
        peers=peers, tallies=tallies,
    )  # fmt: skip


def told(large, each):
    """Return the test by which a cycle is one of a pattern, None where it is none."""
    large.take(each, each.seqs[0])
    return large.telling(large.tests(each, each.tallies, frozenset()), each.size)


def after(count, **columns):
    """Return the test at the last of so many cycles, ten minutes apart."""
    large = LargeCycles(PARAMS)
    return [told(large, cycle(600 * (n + 1), **columns)) for n in range(count)][-1]


def test_how_soon_is_the_chance_that_no_fill_of_several_comes_as_near_the_end():
    rng = np.random.default_rng(3)
    near = 10.0 - rng.uniform(0, 10, (20_000, 3)).max(axis=1)
    expected = (near <= 0.5).mean()
    assert math.exp(-nats_of(cycle(100, delay_s=0.5, hits=3))) == pytest.approx(expected, abs=0.01)
    assert nats_of(cycle(100, delay_s=10.0)) == pytest.approx(0.0)
    assert nats_of(cycle(100, delay_s=0.0, stood_s=70.0)) == pytest.approx(-math.log(LEAST_P))


def test_several_that_go_at_once_are_a_pattern_where_others_have_none():
    found = after(6)
    assert (found.cycles, found.peer_cycles, found.size) == (6, 0, 1)
    assert found.p <= PARAMS.large_level
    assert after(2) is None


@pytest.mark.parametrize("size", [1, 2, 3])
def test_they_are_held_against_others_as_large(size):
    tallies = np.zeros((2, SIZES, CLASSES, TALLIES), np.int64)
    tallies[0, 1, 4, PEER_CYCLES] = 60
    found = after(6, size=size, tallies=tallies)
    assert (found is None) == (size == 1)
    assert found is None or (found.size, found.peer_cycles) == (2, 0)


def test_size_that_goes_at_any_time_is_none():
    assert after(8, delay_s=5.0) is None


def test_size_that_goes_as_often_without_a_fill_refutes_it():
    tallies = np.zeros((2, SIZES, CLASSES, TALLIES), np.int64)
    tallies[0, 2, 6, [OWN_FILLED, OWN_FILLED_GONE, OWN_CALM, OWN_CALM_GONE]] = 8, 8, 30, 29
    assert after(8, tallies=tallies) is None
    tallies[0, 2, 6, OWN_CALM_GONE] = 2
    assert after(8, tallies=tallies) is not None


def test_one_withdrawal_counts_once_by_its_largest_measure():
    large = LargeCycles(PARAMS)
    for n in range(6):
        large.take(cycle(600 * n + 600, size=1), n)
        found = told(large, cycle(600 * n + 600.5, size=3))
    assert (found.cycles, found.size) == (6, 1)
    assert large.snapshot()["large_cycles"].shape == (6, 5)
    assert set(large.snapshot()["large_cycles"][:, 2].tolist()) == {3}


def test_what_is_kept_is_bounded_and_comes_back():
    large = LargeCycles(PARAMS)
    for n in range(MOST + 9):
        for code in (0, 1):
            large.take(cycle(60 * n + 60, code=code), n)
    kept = large.snapshot()["large_cycles"]
    assert np.bincount(kept[:, 0]).tolist() == [MOST, MOST]
    again = LargeCycles(PARAMS)
    again.restore({"large_cycles": kept})
    assert np.array_equal(again.snapshot()["large_cycles"], kept)
    assert told(again, cycle(40_000)) == told(large, cycle(40_000))


def test_the_day_before_is_forgotten():
    large = LargeCycles(PARAMS)
    for n in range(5):
        large.take(cycle(600 * n + 600), n)
    assert told(large, cycle(600 + 2 * 86_400)) is None
    assert len(large.snapshot()["large_cycles"]) == 1


def test_chance_passes_no_oftener_than_is_said():
    """Cycles at external makers' rate, at any time in what they stood: 400 days."""
    rng = np.random.default_rng(11)
    passed = 0
    for _ in range(400):
        large, hit = LargeCycles(PARAMS), False
        tallies = np.zeros((2, SIZES, CLASSES, TALLIES), np.int64)
        tallies[0, 2, 5, PEER_CYCLES] = rng.poisson(4 * 8)
        for at_s in np.sort(rng.uniform(0, 86_000, rng.poisson(8))):
            delay_s = rng.uniform(0, 10.0)
            one = cycle(at_s + 60, delay_s=delay_s, tallies=tallies)
            hit |= told(large, one) is not None
        passed += hit
    assert passed <= 6  # twelve times the level at most: it is tried at each cycle
