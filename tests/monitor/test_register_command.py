"""`ringfence register` as a user runs it: a decision, its reason, and history run again."""

from __future__ import annotations

import csv
import json
import shutil

import msgspec
import pytest

from alerts.audit import AuditLog
from alerts.store import AlertStore
from alerts.window import WindowError
from ingest.errors import UsageError
from ingest.names import Names
from ingest.register import read_register
from monitor.cli import app
from tests.support.archived import venue_with_archive
from tests.support.stored import save

WHY = ("--reason", "its orders come from the group's desk", "--document", "memo-7")


@pytest.fixture(scope="module")
def filled(tape, tmp_path_factory):
    """Folder of a configuration with a register of its own, an archive and a store with alerts."""
    return venue_with_archive(tape, tmp_path_factory.mktemp("filled"))


@pytest.fixture
def venue(filled, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(filled, tmp_path / "venue")


@pytest.fixture
def register(venue, capsys):
    """Run a command in this process, as its command line does; return what it printed."""

    def run(*arguments):
        words = ["register", *map(str, arguments), "-c", str(venue / "ringfence.toml")]
        app(words, standalone_mode=False)
        return capsys.readouterr().out

    return run


def version(folder):
    return read_register(folder / "accounts.csv", Names()).version


def kept(folder):
    store = AlertStore(f"sqlite:///{folder}/alerts.sqlite")
    try:
        return list(store.records())
    finally:
        store.close()


def test_a_decision_is_a_version_of_the_register_with_its_reason(venue, register):
    before = version(venue)
    alert, account = next(
        (alert.alert_id, account)
        for alert in kept(venue)
        for account, role in zip(alert.accounts, alert.roles, strict=True)
        if role == "client"
    )
    given = ("correct", account, "--linked-to", "MM1", *WHY, "--alert", alert[:14], "--by", "an")
    told = json.loads(register(*given, "--json"))
    assert told["version_before"] == before
    assert told["version"] == version(venue) != before
    (listed,) = json.loads(register("decisions", "--json"))
    assert listed == told
    assert (listed["by"], listed["document"], listed["alert_id"]) == ("an", "memo-7", alert)
    assert "yes" in register("decisions", "--account", account)
    assert json.loads(register("decisions", "--account", "MM1", "--json")) == []
    with pytest.raises(UsageError, match="does not name"):
        register("correct", "MM1", "--owner", "X", *WHY, "--alert", alert)
    # The venue's own export, put back over it, is seen.
    with (venue / "accounts.csv").open() as file:
        rows = [dict(row, linked_to="") for row in csv.DictReader(file)]
    with (venue / "accounts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert version(venue) == before
    assert "yes" not in register("decisions")
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    assert AuditLog(store.engine).verify().problems == ()
    store.close()


def test_a_proposal_that_is_declined_leaves_the_register_as_it_is(venue, register):
    before, alert = version(venue), kept(venue)[0]
    account = alert.accounts[0]
    given = ("decline", account, "--alert", alert.alert_id, *WHY, "--by", "an")
    register(*given)
    (listed,) = json.loads(register("decisions", "--json"))
    assert listed["correction"] is None
    assert listed["version"] == listed["version_before"] == version(venue) == before
    assert "declined" in register("decisions")
    with pytest.raises(UsageError, match="does not name"):
        register("decline", "X", *given[2:])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("GHOST", "--owner", "X", *WHY), "no row of GHOST"),
        (("MM1", *WHY), "must set one of"),
        (("MM1", "--role", "affiliated_mm", *WHY), "says so already"),
        (("MM1", "--role", "affiliated_mm", *WHY, "--from", "2026-01-31T08:00:00Z"), "says so"),
        (("MM1", "--linked-to", "NOSUCH", *WHY), "no account NOSUCH to link to"),
        (("MM1", "--owner", "X", "--reason", " ", "--document", "d"), "must have a reason"),
        (("MM1", "--owner", "X", *WHY, "--from", "soon"), "--from must be a UTC time"),
        (("MM1", "--owner", "X", *WHY, "--alert", "zz"), "zz"),
    ],
)
def test_misuse_is_one_clear_line_and_changes_nothing(venue, register, arguments, why):
    before = (venue / "accounts.csv").read_bytes()
    with pytest.raises(UsageError, match=why):
        register("correct", *arguments)
    assert (venue / "accounts.csv").read_bytes() == before
    assert json.loads(register("decisions", "--json")) == []
    assert sorted(path.name for path in venue.iterdir()) == [
        "accounts.csv",
        "alerts.sqlite",
        "archive",
        "ringfence.toml",
    ]


def test_history_run_again_tells_the_same_until_a_correction_changes_who_is_who(venue, register):
    first = json.loads(register("rerun", "--out", venue / "one", "--json"))
    assert (first["new"], first["changed"], first["gone"]) == ([], [], [])
    assert len(first["same"]) == len(kept(venue)) > 0
    # One of two accounts of one owner turns out to be somebody else's.
    owners = {row.account: row for row in read_register(venue / "accounts.csv", Names()).rows}
    pair = next(
        alert.accounts
        for alert in kept(venue)
        if alert.scenario == "wash_common_owner" and len(alert.accounts) == 2
    )
    register("correct", pair[0], "--owner", "O-SOMEBODY-ELSE", *WHY)
    assert owners[pair[0]].owner == owners[pair[1]].owner
    second = json.loads(register("rerun", "--out", venue / "two", "--json"))
    assert second["registry_version"] == version(venue) != first["registry_version"]
    gone = {alert.alert_id: alert for alert in kept(venue) if alert.alert_id in second["gone"]}
    assert any(alert.accounts == pair for alert in gone.values())
    assert json.loads((venue / "two" / "rerun.json").read_text()) == second
    with pytest.raises(WindowError, match="new or an empty folder"):
        register("rerun", "--out", venue / "two")


def test_what_a_rerun_did_not_see_whole_is_not_compared(venue, register):
    everything = kept(venue)
    long = max(everything, key=lambda alert: alert.window_end_ns - alert.window_start_ns)
    middle = (long.window_start_ns + long.window_end_ns) // 2
    options = ("--to", middle, "--instrument", long.instrument)
    told = json.loads(register("rerun", "--out", venue / "part", *options, "--json"))
    cut, elsewhere = set(told["cut"]), set()
    for alert in everything:
        over = alert.window_start_ns <= middle < alert.window_end_ns
        assert (alert.alert_id in cut) == (over and alert.instrument == long.instrument)
        if alert.instrument != long.instrument:
            elsewhere.add(alert.alert_id)
    assert long.alert_id in cut
    named = {name for part in ("new", "changed", "same", "gone") for name in told[part]}
    assert not named & (cut | elsewhere)


def test_an_alert_that_is_told_of_differently_is_changed(venue, register):
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    alert = next(store.records())
    other = msgspec.structs.replace(alert, revision=alert.revision + 1, score=0.123)
    save(store, [other])
    store.close()
    told = json.loads(register("rerun", "--out", venue / "one", "--json"))
    assert told["changed"] == [alert.alert_id]


def test_a_register_behind_a_link_is_corrected_where_it_is(venue, register):
    real = venue / "real.csv"
    (venue / "accounts.csv").rename(real)
    (venue / "accounts.csv").symlink_to(real)
    register("correct", "MM1", "--owner", "O-NEW", *WHY)
    assert (venue / "accounts.csv").is_symlink()
    assert "O-NEW" in real.read_text()
