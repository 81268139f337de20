"""`ringfence tags` as a user runs it: a day's count, its sign-off, and a count that changed."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from datetime import UTC, datetime

import pytest

from alerts.audit import AuditLog
from alerts.store import AlertStore
from ingest.errors import RingfenceError, UsageError
from monitor.cli import app
from monitor.tags import tag_days
from tests.support.archived import venue_with_archive
from tests.support.quoting import OWNERS, ROLES, Desk
from tests.support.venue import Tape


@pytest.fixture(scope="module")
def filled(tape, tmp_path_factory):
    return venue_with_archive(tape, tmp_path_factory.mktemp("filled"))


@pytest.fixture
def venue(filled, tmp_path):
    return shutil.copytree(filled, tmp_path / "venue")


@pytest.fixture
def tags(venue, capsys):
    """Run a command in this process, as its command line does; return what it printed."""

    def run(*arguments):
        words = ["tags", *map(str, arguments), "-c", str(venue / "ringfence.toml")]
        app(words, standalone_mode=False)
        return capsys.readouterr().out

    return run


def by_hand(tape):
    """Return trades by instrument and whether the flag names the registered AFMM's sides."""
    with (tape / "accounts.csv").open() as file:
        afmm = {r["account"] for r in csv.DictReader(file) if r["role"] == "affiliated_mm"}
    words = {(False, False): "none", (True, False): "buy", (False, True): "sell"}
    counts, seen = Counter(), set()
    with (tape / "trades.ndjson").open() as file:
        for record in map(json.loads, file):
            if record.get("busts") or (record["instrument"], record["seq"]) in seen:
                continue
            seen.add((record["instrument"], record["seq"]))
            sides = (record["buy_account"] in afmm, record["sell_account"] in afmm)
            said, truth = record.get("afmm_flag"), words.get(sides, "both")
            what = "absent" if said is None else "right" if said == truth else "wrong"
            counts[record["instrument"], f"flag_{what}"] += 1
    return counts


def test_a_day_is_counted_as_the_records_have_it(tape, tags):
    days = json.loads(tags("count", "--json"))
    counted = Counter()
    for day in days:
        for count in day["counts"]:
            assert count["trades"] == sum(count[f"flag_{w}"] for w in ("right", "wrong", "absent"))
            for name in ("flag_right", "flag_wrong", "flag_absent"):
                counted[count["instrument"], name] += count[name]
    assert +counted == by_hand(tape)
    assert sum(v for (_, name), v in counted.items() if name == "flag_wrong") > 0
    assert all(day["state"] == "not signed" for day in days)
    assert all(day["totals"]["engine_other"] == 0 for day in days)
    assert sum(day["totals"]["engine_same"] for day in days) > 0


def test_a_sign_off_is_of_exactly_that_count_and_a_later_change_is_told(venue, tags):
    day = json.loads(tags("count", "--json"))[0]
    told = json.loads(
        tags("sign", "--day", day["day"], "--by", "an", "--note", "as agreed", "--json")
    )
    assert (told["by"], told["day"], told["digest"]) == ("an", day["day"], day["digest"])
    assert told["counts"] == day["totals"]
    assert json.loads(tags("list", "--json")) == [told]
    assert "as agreed" in tags("list")
    (again,) = json.loads(tags("count", "--day", day["day"], "--json"))
    assert (again["state"], again["digest"]) == ("signed", day["digest"])
    # The register now tells the day differently.
    text = (venue / "accounts.csv").read_text()
    (venue / "accounts.csv").write_text(text.replace("affiliated_mm", "external_mm"))
    with pytest.raises(RingfenceError, match=f"count of {day['day']} changed since"):
        tags("count", "--json")
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    assert AuditLog(store.engine).verify().problems == ()
    store.close()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("sign", "--day", "1999-01-01", "--note", "x"), "no trade of 1999-01-01"),
        (("sign", "--day", "yesterday", "--note", "x"), "must be a UTC day"),
        (("count", "--day", "2026-13-01"), "must be a UTC day"),
    ],
)
def test_misuse_is_one_clear_line(tags, arguments, why):
    with pytest.raises(UsageError, match=why):
        tags(*arguments)


def test_a_note_and_a_name_are_needed(tags):
    day = json.loads(tags("count", "--json"))[0]["day"]
    for given in (("--note", " ", "--by", "an"), ("--note", "fine", "--by", " ")):
        with pytest.raises(UsageError, match="must have a"):
            tags("sign", "--day", day, *given)
    assert json.loads(tags("list", "--json")) == []


def test_a_trade_of_another_account_than_the_one_that_entered_the_order_is_told(tmp_path):
    desk = Desk()
    desk.at(0).quote()
    desk.enter("buy", 10_005, 10, "P1", tif="IOC")
    late = 30 * 3600
    desk.at(late).enter("sell", 9_995, 10, "P1", tif="IOC")
    desk.at(late + 48 * 3600).enter("sell", 9_995, 10, "P1", tif="IOC")
    records = [dict(r, afmm_flag="none") if "trade_id" in r else r for r in desk.venue.records]
    trades = [r for r in records if "trade_id" in r]
    trades[0]["buy_account"] = "X1"
    blank = {"legal_entity": "", "valid_from": "2020-01-01T00:00:00Z", "valid_to": ""}
    accounts = [
        {"account": a, "owner": o, "role": ROLES[a], **blank, "linked_to": ""}
        for a, o in OWNERS.items()
    ]
    days = tag_days(Tape(records, accounts, [desk.row]).write(tmp_path / "tape"))
    first, second, third = (day.totals for day in days)
    assert (first["engine_same"], first["engine_other"], first["flag_wrong"]) == (1, 1, 1)
    assert days[0].faults == 2
    assert (second["engine_same"], second["engine_unseen"]) == (2, 0)  # entered the day before
    assert (third["engine_same"], third["engine_unseen"]) == (1, 1)
    assert days[0].day == datetime.fromtimestamp(1_763_899_200, UTC).date().isoformat()
    assert {day.rows_in_force for day in days} == {4}
