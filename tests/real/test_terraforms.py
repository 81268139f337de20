"""Real sales of 32 Terraforms items, 2021–22: the figures that wash_rings is held to."""

from __future__ import annotations

import hashlib

import msgspec
import polars as pl
import pytest

from tests.support.ring_tapes import last_of_each
from tests.support.sales_feed import ROOT, cited, converter, wash_rings_on

TAPE = ROOT / "samples" / "terraforms"
FIRST = ("0xa53496b6", "0xd73e0def")
SECOND = ("0x1ae35fce", "0x32b8bfad")


@pytest.fixture(scope="module")
def sales():
    """The tape's sales; `both_ways` where the item went both ways between the two accounts."""
    forward = pl.col("sell_account") < pl.col("buy_account")
    one = pl.min_horizontal("sell_account", "buy_account")
    two = pl.max_horizontal("sell_account", "buy_account")
    pair = ["instrument", "one", "two"]
    return (
        pl.read_ndjson(TAPE / "trades.ndjson", infer_schema_length=None)
        .with_columns(one=one, two=two, usd=pl.col("price").cast(pl.Decimal(20, 2)))
        .with_columns(ways=forward.n_unique().over(pair))
        .with_columns(both_ways=pl.col("ways") == 2)
    )


@pytest.fixture(scope="module")
def outcome():
    return wash_rings_on(TAPE)


def members(pair):
    one, two = sorted(pair)
    return pl.col("one").str.starts_with(one) & pl.col("two").str.starts_with(two)


def test_the_tape_is_what_the_sales_are_known_to_be(sales):
    back = sales.filter("both_ways")
    assert len(sales) == 2983
    assert back.select("instrument", "one", "two").n_unique() == 45
    assert len(back) == 2864
    assert round(float(back["usd"].sum()) / 1e9, 2) == 3.95
    first, second = back.filter(members(FIRST)), back.filter(members(SECOND))
    assert (len(first), first["instrument"].n_unique()) == (1430, 2)
    assert round(float(first["usd"].sum()) / 1e9, 2) == 1.72
    assert (len(second), second["instrument"].n_unique()) == (496, 1)
    assert round(float(second["usd"].sum()) / 1e9, 2) == 1.52


def test_the_two_largest_pairs_get_the_highest_scores(outcome):
    found = last_of_each(outcome.findings)
    pairs = [tuple(sorted(outcome.names.name(a)[:10] for a in f.accounts)) for f in found]
    assert pairs[:3] == [FIRST, FIRST, SECOND]
    assert not {FIRST, SECOND} & set(pairs[3:])
    assert min(f.score for f in found[:3]) > found[3].score + 0.1
    assert [f.features["trades"].value for f in found[:3]] == [717, 707, 496]


def test_of_sales_that_came_back_99_percent_lie_in_an_alert_and_of_others_none(sales, outcome):
    inside = cited(outcome.findings, outcome.instruments)
    rows = sales.select("instrument", "seq", "both_ways").rows()
    back = {(name, seq) for name, seq, both in rows if both}
    others = {(name, seq) for name, seq, both in rows if not both}
    assert len(back & inside) >= 0.99 * len(back)
    assert len(others & inside) <= 0.02 * len(others)
    # As measured; what is missing is the odd sale of a pair, and six after the last window's end.
    assert (len(back & inside), len(others & inside)) == (2853, 0)


def test_batches_of_any_size_give_the_same_bytes(outcome):
    whole = [msgspec.json.encode(f) for f in outcome.findings]
    for rows in (1, 97, 1000):
        again = wash_rings_on(TAPE, batch_rows=rows).findings
        assert [msgspec.json.encode(f) for f in again] == whole


def test_the_converter_makes_the_committed_bytes(real_data, tmp_path):
    script = converter()
    source = real_data / "terraforms_sales.parquet"
    assert script.main([str(source), str(tmp_path / "tape")]) == 0
    readme = (TAPE / "README.md").read_text(encoding="utf-8")
    for name in ("trades.ndjson", "accounts.csv", "instruments.csv"):
        made = (tmp_path / "tape" / name).read_bytes()
        assert made == (TAPE / name).read_bytes()
        assert f"{hashlib.sha256(made).hexdigest()}  {name}" in readme
    assert script.main([]) == 2
