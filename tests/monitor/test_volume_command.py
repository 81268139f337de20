"""`ringfence volume`: a table for a reader, JSON for a program."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from ingest.errors import TapeError
from monitor.cli import app
from monitor.volume import trades_of, unit_of


@pytest.fixture
def volume(capsys):
    """Run a command in this process, as its command line does; return what it printed."""

    def run(*arguments):
        app(["volume", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_every_trade_of_a_tape_is_counted_in_the_units_of_its_records(volume, tape):
    rows = json.loads(volume(tape, "--json"))
    told = {}
    with (tape / "trades.ndjson").open() as file:
        records = [json.loads(line) for line in file]
    for record in records:
        if not record.get("busts"):
            sizes = told.setdefault(record["instrument"], {})
            sizes.setdefault(record["seq"], Decimal(record["quantity"]))
    assert len(records) > sum(map(len, told.values()))  # some come twice, or bust another
    assert {row["instrument"]: row["trades"] for row in rows} == {
        name: len(sizes) for name, sizes in told.items()
    }
    for row in rows:
        assert Decimal(row["volume"]) == sum(told[row["instrument"]].values())
        assert row["share"] == 1


@pytest.mark.parametrize("by", ["instrument", "account", "pair"])
def test_each_level_is_a_table_that_says_what_it_is_worth(volume, tape, by):
    said = volume(tape, "--by", by, "--most", "2")
    assert said.startswith(f"volume by {by}: context, no evidence")
    rows = json.loads(volume(tape, "--by", by, "--most", "2", "--json"))
    names = {row["instrument"] for row in rows}
    assert len(rows) <= 2 * len(names)


def test_sizes_of_unique_items_are_not_looked_at(volume):
    rows = json.loads(volume("samples/terraforms", "--json"))
    assert all(row["benford_p"] is None and row["round_share"] is None for row in rows)
    assert max(row["mirrored_share"] for row in rows) > 0.99


def test_a_folder_that_is_no_tape_is_refused(tmp_path):
    with pytest.raises(TapeError):
        trades_of(tmp_path)


@pytest.mark.parametrize(
    ("lot", "unit"), [("0.001", (1, -3)), ("0.25", (25, -2)), ("10", (1, 1)), ("3", (3, 0))]
)
def test_a_lot_is_a_whole_number_times_a_power_of_ten(lot, unit):
    assert unit_of(Decimal(lot)) == unit
