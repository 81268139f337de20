"""Seeds for tests, for setting parameters and for reporting share none, and are written down."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from ingest.errors import UsageError
from market.seeds import RANGES, first_seeds

MARKET = Path(__file__).resolve().parents[2] / "docs" / "market.md"


def test_no_seed_is_in_two_ranges():
    for one, other in combinations(RANGES.values(), 2):
        assert not set(one) & set(other)


def test_the_page_says_the_same_numbers():
    text = MARKET.read_text(encoding="utf-8").split("## Seeds")[1].split("##")[0]
    written = [(int(first), int(last)) for first, last in re.findall(r"(\d+)\s+to\s+(\d+)", text)]
    assert written == [(seeds[0], seeds[-1]) for seeds in RANGES.values()]


@pytest.mark.parametrize(
    ("name", "count", "said"), [("best", 1, "--seeds must be"), ("test", 100, "--count must be")]
)
def test_a_range_that_is_none_and_more_seeds_than_there_are_are_refused(name, count, said):
    assert len(first_seeds("test", 99)) == 99
    with pytest.raises(UsageError, match=said):
        first_seeds(name, count)
