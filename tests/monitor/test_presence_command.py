"""`ringfence presence`: measured by day, with and without an agreement."""

from __future__ import annotations

import csv
import json

import pytest

from monitor.cli import app
from tests.support.quoting import OWNERS, ROLES, Desk
from tests.support.venue import Tape

TERMS = {
    "account": "Group", "instrument": "X-USD", "max_spread_bps": "20", "min_quantity": "100",
    "min_presence_ratio": "0.8", "window_s": "3600", "valid_from": "", "valid_to": "",
}  # fmt: skip


@pytest.fixture
def presence(capsys):
    def run(*arguments):
        app(["presence", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture
def folder(tmp_path):
    """Two hours: the group's accounts miss the first, an external maker has one side for half."""
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).leave()
    desk.at(1800).enter("buy", 9_990, 10, "X1")
    desk.at(2400).quote("MM2")
    desk.at(5400).enter("sell", 10_020, 10, "X1")
    desk.at(7200).enter("buy", 9_000, 1, "P1")
    blank = {"legal_entity": "", "valid_from": "2020-01-01T00:00:00Z", "valid_to": ""}
    accounts = [
        {"account": a, "owner": o, "role": ROLES[a], **blank, "linked_to": ""}
        for a, o in OWNERS.items()
    ]
    made = Tape(desk.venue.records, accounts, [desk.row]).write(tmp_path / "tape")
    with (made / "obligations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, TERMS.keys())
        writer.writeheader()
        writer.writerow(TERMS)
    return made


def test_what_was_agreed_is_held_against_what_was_measured_and_others_are_measured(
    presence, folder
):
    days = {row["account"]: row for row in json.loads(presence(folder, "--json"))}
    group, outside = days["Group"], days["X1"]
    assert (group["agreed"], group["met"], group["missed"]) == (0.8, 1, 1)
    assert group["presence"] == 0.75
    assert (group["absent_s"], group["longest_absence_s"]) == (1800, 1800)
    assert (group["open_s"], group["spread_bps"]) == (7200, 10)
    assert (outside["agreed"], outside["met"], outside["missed"]) == (None, 0, 0)
    assert (outside["absent_s"], outside["one_sided_s"], outside["presence"]) == (1800, 3600, 0.25)
    assert {"MM", "MM2"} < set(days)
    assert group["day"] == "2025-11-23"


def test_the_table_says_what_it_is(presence, folder):
    said = presence(folder)
    assert said.startswith("presence by day: what was measured")
    assert "1 of 2 missed" in said


def test_without_agreements_everything_is_measured_and_nothing_judged(presence, folder):
    (folder / "obligations.csv").unlink()
    days = json.loads(presence(folder, "--json"))
    assert {row["account"] for row in days} == {"MM", "MM2", "X1"}
    assert all(row["agreed"] is None and not row["met"] + row["missed"] for row in days)
