"""Real sales of Axies, 2018–21, hardly any of which came back: the clean control."""

from __future__ import annotations

import polars as pl
import pytest

from tests.support.ring_tapes import last_of_each
from tests.support.sales_feed import cited, converter, severity, wash_rings_on


@pytest.fixture(scope="module")
def sales(real_data):
    both = ["token_id", "one", "two"]
    return (
        pl.read_parquet(real_data / "axie_sales.parquet")
        .with_row_index("number")
        .with_columns(
            sale_id=pl.format("axie-{}", pl.col("number").cast(pl.String).str.zfill(5)),
            one=pl.min_horizontal("seller", "buyer"),
            two=pl.max_horizontal("seller", "buyer"),
        )
        .with_columns(
            both_ways=(pl.col("seller") < pl.col("buyer")).n_unique().over(both) == 2,
            instrument=pl.format("AXIE-{}", "token_id"),
        )
        .sort("ts", "sale_id")
        .with_columns(seq=pl.int_range(1, pl.len() + 1).over("token_id"))
    )


@pytest.fixture(scope="module")
def outcome(sales, tmp_path_factory):
    folder = tmp_path_factory.mktemp("axie")
    converter().write_tape(
        sales,
        folder,
        collection="AXIE",
        quote="ETH",
        price="price_eth",
        tick="0.000000000000001",  # the cheapest sale was for 1e-15 ETH
    )
    return wash_rings_on(folder)


def round_trips(sales):
    return set(sales.filter("both_ways").select("instrument", "seq").rows())


def test_sixteen_sales_are_eight_items_that_went_there_and_back_once(sales, outcome):
    assert outcome.rows == len(sales) == 6634
    back = sales.filter("both_ways")
    assert len(back) == 16
    assert back.group_by("token_id", "one", "two").len()["len"].to_list() == [2] * 8


def test_no_sale_outside_them_is_in_any_alert_of_medium_or_more(sales, outcome):
    assert not any(severity(f) != "low" for f in outcome.findings), (
        "one there-and-back must stay below medium"
    )
    assert cited(outcome.findings, outcome.instruments) <= round_trips(sales)


def test_the_two_that_took_less_than_a_week_are_seen_as_weak(outcome):
    found = last_of_each(outcome.findings)
    names = sorted(outcome.instruments[f.instrument].instrument for f in found)
    assert names == ["AXIE-2222", "AXIE-8524"]
    assert {(f.evidence, f.status) for f in found} == {("weak", "confirmed")}
