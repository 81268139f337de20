"""Histograms by quarter octave: bins and edges against arithmetic, and what is forgotten."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors import quarter_octaves
from detectors.quarter_octaves import ROLLING, halve_when_full

BINS = 40


def quarter_of(value: float, bins: int) -> int:
    octave = math.floor(math.log2(max(value, 1.0)))
    quarter = math.floor((max(value, 1.0) / 2**octave - 1.0) * 4)
    return min(bins - 1, 4 * octave + quarter)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.99, 1.0, 1.24, 1.25, 1.99, 2.0, 7.0, 999.0, 1e9])
def test_a_value_lies_below_the_upper_edge_of_its_bin_and_of_no_lower_one(value):
    found = quarter_octaves.quarter_of(value, BINS)
    assert found == quarter_of(value, BINS)
    assert value < quarter_octaves.upper_edge(found) or found == BINS - 1
    assert found == 0 or value >= quarter_octaves.upper_edge(found - 1)


def test_counts_are_halved_when_they_are_many_and_the_total_is_of_what_is_left():
    histogram = np.zeros(BINS + 2, np.int64)
    histogram[3], histogram[5] = ROLLING - 4, 3
    histogram[BINS], histogram[BINS + 1] = ROLLING - 1, 9
    before = histogram.copy()
    halve_when_full(histogram, BINS)
    assert (histogram == before).all()
    histogram[5] += 1
    histogram[BINS] += 1
    halve_when_full(histogram, BINS)
    assert (histogram[3], histogram[5]) == (ROLLING // 2 - 2, 2)
    assert histogram[BINS] == histogram[:BINS].sum()
    assert histogram[BINS + 1] == 9, "what the owner keeps behind it is the owner's"
