"""volume_health: every measure beside one worked out by hand, or by another library."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from detectors.volume_health import BENFORD, LEAST_TRADES, TRADES, volume_health

TRADE = st.tuples(
    st.sampled_from(["X", "Y"]), st.sampled_from("ABCD"), st.sampled_from("ABCD"),
    st.integers(1, 10**7),
)  # fmt: skip


def table(rows):
    return pl.DataFrame(rows, schema=TRADES, orient="row")


def of(rows, by="instrument"):
    found = volume_health(table(rows), by)
    return {row[0] if by == "instrument" else row[1:3]: row for row in found.iter_rows()}, found


def sizes(values):
    return table([("X", f"B{n}", f"S{n}", size) for n, size in enumerate(values)])


def test_digits_of_a_scale_free_market_are_benfords_and_of_a_bot_are_not():
    rng = random.Random(1)
    free = sizes([int(10 ** rng.uniform(2, 6)) for _ in range(3_000)])
    bot = sizes([rng.randint(400, 900) for _ in range(3_000)])
    (fair,), (odd,) = (volume_health(each, "instrument").rows(named=True) for each in (free, bot))
    assert fair["benford_deviation"] < 0.01
    assert fair["benford_p"] > 0.01
    assert odd["benford_deviation"] > 0.1
    assert odd["benford_p"] < 1e-9


def test_the_digits_test_is_pearsons():
    rng = random.Random(2)
    values = [rng.randint(1, 99_999) for _ in range(500)]
    (row,) = volume_health(sizes(values), "instrument").rows(named=True)
    counts = [sum(str(value)[0] == str(digit) for value in values) for digit in range(1, 10)]
    expected = chisquare(counts, [500 * share for share in BENFORD])
    assert row["benford_p"] == pytest.approx(expected.pvalue)
    gaps = [abs(count / 500 - share) for count, share in zip(counts, BENFORD, strict=True)]
    assert row["benford_deviation"] == pytest.approx(sum(gaps) / 9)


def test_under_benfords_law_its_p_is_uniform():
    rng = random.Random(3)
    ps = []
    for _ in range(200):
        values = [int(10 ** rng.uniform(4, 7)) for _ in range(400)]
        ps.append(volume_health(sizes(values), "instrument")["benford_p"][0])
    assert kstest(ps, "uniform").pvalue > 0.01


def test_few_trades_say_nothing_of_digits():
    rows = volume_health(sizes([7] * (LEAST_TRADES - 1)), "instrument").rows(named=True)
    assert rows[0]["benford_deviation"] is None
    assert rows[0]["benford_p"] is None
    assert volume_health(sizes([7] * LEAST_TRADES), "instrument")["benford_p"][0] < 1e-9


def test_a_pair_that_trades_there_and_back_is_mirrored_and_a_one_way_pair_is_not():
    rows = [("X", "A", "B", 10), ("X", "B", "A", 6), ("X", "A", "C", 4), ("X", "D", "D", 5)]
    found, _ = of(rows, "pair")
    assert found["A", "B"][-1] == pytest.approx(12 / 16)
    assert found["A", "C"][-1] == 0
    assert found["D", "D"][-1] == 1
    (whole,) = volume_health(table(rows), "instrument").rows(named=True)
    assert whole["mirrored_share"] == pytest.approx((12 + 5) / 25)
    accounts = volume_health(table(rows), "account").rows(named=True)
    assert {row["account"]: row["trades"] for row in accounts} == {"A": 3, "B": 2, "C": 1, "D": 1}
    assert {row["account"]: row["share"] for row in accounts}["D"] == pytest.approx(5 / 25)


def test_round_sizes_have_two_digits_at_most():
    (row,) = volume_health(sizes([5, 50, 5_500, 555, 1_010]), "instrument").rows(named=True)
    assert row["round_share"] == pytest.approx(3 / 5)


@settings(deadline=None)
@given(st.lists(TRADE, min_size=1, max_size=60))
def test_whatever_the_order_and_the_level_sums_agree(rows):
    whole = {
        row["instrument"]: row for row in volume_health(table(rows), "instrument").rows(named=True)
    }
    pairs = volume_health(table(rows[::-1]), "pair")
    assert pairs.equals(volume_health(table(rows), "pair"))
    for name, row in whole.items():
        part = pairs.filter(pl.col("instrument") == name)
        assert part["trades"].sum() == row["trades"]
        assert part["size"].sum() == row["size"]
        assert part["share"].sum() == pytest.approx(1)
        mirrored = (part["mirrored_share"] * part["size"]).sum()
        assert row["mirrored_share"] == pytest.approx(mirrored / row["size"])
    for row in volume_health(table(rows), "account").rows(named=True):
        assert 0 <= row["mirrored_share"] <= 1
        assert 0 < row["share"] <= 1
        assert 0 < row["modal_share"] <= 1


def test_volume_beyond_64_bits_is_told():
    large = 2**62
    (row,) = volume_health(table([("X", "A", "B", large)] * 3), "instrument").rows(named=True)
    assert row["size"] == 3 * large


def test_no_trades_give_no_rows():
    for by in ("instrument", "account", "pair"):
        assert len(volume_health(table([]), by)) == 0
