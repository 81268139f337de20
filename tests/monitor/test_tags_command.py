"""`ringfence tags` as a user runs it: a day's count, its sign-off, and a count that changed."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from alerts.audit import AuditLog
from alerts.store import AlertStore
from alerts.window import Window, WindowInstrument
from ingest.errors import RingfenceError, UsageError
from monitor.cli import app
from monitor.tags import tag_days
from monitor.tags_command import _is_whole
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


def written(desk, records, folder):
    """Write records as a tape, with the desk's accounts."""
    blank = {"legal_entity": "", "valid_from": "2020-01-01T00:00:00Z", "valid_to": ""}
    accounts = [
        {"account": a, "owner": o, "role": ROLES[a], **blank, "linked_to": ""}
        for a, o in OWNERS.items()
    ]
    return Tape(records, accounts, [desk.row]).write(folder / "tape")


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
    days = tag_days(written(desk, records, tmp_path))
    first, second, third = (day.totals for day in days)
    assert (first["engine_same"], first["engine_other"], first["flag_wrong"]) == (1, 1, 1)
    assert days[0].faults == 2
    assert (second["engine_same"], second["engine_unseen"]) == (2, 0)  # entered the day before
    assert (third["engine_same"], third["engine_unseen"]) == (1, 1)
    assert days[0].day == datetime.fromtimestamp(1_763_899_200, UTC).date().isoformat()
    assert {day.rows_in_force for day in days} == {4}


def test_an_id_that_is_used_again_is_whose_it_was_when_it_traded(tmp_path):
    desk = Desk()
    first = desk.at(0).enter("sell", 10_005, 10, "MM")
    desk.leave("MM")
    again = desk.at(1).enter("sell", 10_005, 10, "X1")
    desk.at(2).enter("buy", 10_005, 4, "P1", tif="IOC")
    desk.venue.replace("X-USD", again, quantity=7)
    desk.at(3).enter("buy", 10_005, 3, "P1", tif="IOC")
    records = [
        {k: first if v == again else v for k, v in record.items()} for record in desk.venue.records
    ]
    (day,) = tag_days(written(desk, records, tmp_path))
    assert (day.totals["engine_same"], day.totals["engine_other"]) == (4, 0)
    # The order changed hands while it was live, and the engine says so.
    moved = [dict(record) for record in records]
    at = next(i for i, record in enumerate(moved) if record.get("action") == "replace")
    moved[at]["account"] = moved[-1]["sell_account"] = "MM"
    (day,) = tag_days(written(desk, moved, tmp_path))
    assert (day.totals["engine_same"], day.totals["engine_other"]) == (4, 0)


def test_trades_behind_a_gap_are_counted_each_once(tmp_path):
    desk = Desk()
    desk.at(0).quote()
    desk.enter("buy", 10_005, 10, "P1", tif="IOC")
    desk.venue.lose("X-USD", 2)
    desk.enter("buy", 10_005, 10, "P1", tif="IOC")  # lost, with its trade
    desk.enter("buy", 10_005, 10, "P1", tif="IOC")
    records = [*desk.venue.records, dict(desk.venue.records[-1])]
    (day,) = tag_days(written(desk, records, tmp_path))
    assert (day.totals["trades"], day.complete) == (2, False)


def test_holes_are_of_their_day_whichever_days_are_asked_for(tmp_path, capsys):
    desk = Desk()
    desk.at(0).quote()

    def trade_on(day):
        desk.at(day * 86_400).enter("buy", 10_005, 1, "P1", tif="IOC")

    for day in (0, 0, 1, 1, 2, 3, 4, 5):
        if day == 3:  # over midnight: of both days
            desk.at(2 * 86_400 + 50).venue.lose("X-USD", 1)
            desk.enter("buy", 9_000, 1, "P1")
        trade_on(day)
        if day == 0:  # within the day
            desk.venue.lose("X-USD", 1)
            desk.enter("buy", 9_000, 1, "P1")
            trade_on(day)
    venue = tmp_path / "venue"
    venue.mkdir()
    venue_with_archive(written(desk, desk.venue.records, tmp_path), venue)

    def count(*arguments):
        app(["tags", "count", "--json", *arguments, "-c", f"{venue}/ringfence.toml"],
            standalone_mode=False)  # fmt: skip
        return json.loads(capsys.readouterr().out)

    every = count()
    assert [day["complete"] for day in every] == [False, True, False, False, True, True]
    for day in every:
        assert count("--day", day["day"]) == [day]
    # Half of the fifth day is dropped: that it was there before is known.
    half_ns = 1_763_899_200 * 10**9 + (4 * 86_400 + 43_200) * 10**9
    (venue / "archive" / "_dropped.json").write_text(json.dumps({"_shared": {"until_ns": half_ns}}))
    assert [day["complete"] for day in count()] == [False] * 5 + [True]
    assert not count("--day", every[4]["day"])[0]["complete"]


def test_a_part_that_cannot_be_read_is_of_its_own_day(tmp_path):
    item = WindowInstrument(
        instrument="X-USD", first_seq=1, last_seq=9, orders=1, trades=1, late=0, conflicts=0,
        missing=(), dropped_before_ns=None,
    )  # fmt: skip
    window = Window(
        format=1, from_ns=0, to_ns=1, instruments=(item,), reflowed=0, state=None, files={},
        damaged={"X-USD/2026-02/2026-02-11T08Z_1-5210_5210_9f3c0a1b2c3d-000007.parquet": "torn"},
    )  # fmt: skip
    day = datetime(2026, 2, 11, tzinfo=UTC).toordinal() - datetime(1970, 1, 1).toordinal()  # noqa: DTZ001
    assert [_is_whole(window, d) for d in (day - 1, day, day + 1)] == [True, False, True]
    recent = {"_recent/4711_9f3c0a1b2c3d-000009.parquet": "torn"}
    assert not _is_whole(msgspec.structs.replace(window, damaged=recent), day)
