"""`ringfence archive` as a user runs it: what it prints, and how it ends."""

from __future__ import annotations

import json

import msgspec
import pytest

from alerts.audit import AuditLog
from alerts.record import decode, encode
from alerts.states import States
from alerts.store import AlertStore
from monitor.archive_command import parse_at
from tests.support.archived import venue_with_archive
from tests.support.command import called


@pytest.fixture(scope="module")
def venue(tape, tmp_path_factory):
    """Folder of a configuration, its archive filled from the tape, its store with the alerts."""
    return venue_with_archive(tape, tmp_path_factory.mktemp("venue"))


def archive(folder, *arguments, code=0):
    done = called("archive", *arguments, "-c", folder / "ringfence.toml")
    assert done.returncode == code, done.stderr
    return done


def refused(folder, *arguments):
    done = archive(folder, *arguments, code=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def alerts_of(folder):
    store = AlertStore(f"sqlite:///{folder}/alerts.sqlite")
    try:
        return list(store.records())
    finally:
        store.close()


def test_a_whole_archive_holds_and_a_damaged_file_is_named(venue):
    assert archive(venue, "verify").stdout.startswith("the archive holds: ")
    told = json.loads(archive(venue, "verify", "--json").stdout)
    assert told["rows"] > 11_000
    assert told["damaged"] == {}
    path = next((venue / "archive").rglob("*.parquet"))
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1])
        done = archive(venue, "verify", code=1)
        name = path.relative_to(venue / "archive").as_posix()
        assert done.stdout.startswith(f"{name}: ")
        assert done.stderr.endswith("the archive does not hold: 1 files are damaged\n")
    finally:
        path.write_bytes(whole)


def test_a_hold_is_placed_listed_and_released(venue):
    name = alerts_of(venue)[0].instrument
    given = ("hold", "--instrument", name, "--from", "2026-01-31T08:00:00Z", "--to", str(2**62))
    hold_id = archive(venue, *given, "--reason", "notice", "--by", "officer").stdout.strip()
    (listed,) = json.loads(archive(venue, "holds", "--json").stdout)
    assert (listed["hold_id"], listed["instrument"], listed["to_ns"]) == (hold_id, name, 2**62)
    assert listed["from_ns"] == 1_769_846_400_000_000_000
    assert hold_id in archive(venue, "holds").stdout
    archive(venue, "release", hold_id, "--by", "judge")
    assert json.loads(archive(venue, "holds", "--json").stdout) == []
    (released,) = json.loads(archive(venue, "holds", "--all", "--json").stdout)
    assert released["released_ns"] > released["placed_ns"]
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    said = [(entry.actor, entry.action) for entry in AuditLog(store.engine).latest(2)]
    store.close()
    assert said == [("judge", "hold released"), ("officer", "hold placed")]
    assert "was released before" in refused(venue, "release", hold_id)


def test_an_alerts_window_is_exported_and_replayed(venue, tmp_path):
    alert = alerts_of(venue)[3]
    out = tmp_path / "tape"
    told = json.loads(
        archive(venue, "export", "--alert", alert.alert_id[:12], "--out", out, "--json").stdout
    )
    assert told["instruments"][0]["instrument"] == alert.instrument
    assert told["instruments"][0]["missing"] == []
    done = called("replay", out, "--out", tmp_path / "found")
    assert done.returncode == 0, done.stderr
    found = (tmp_path / "found" / "alerts.ndjson").read_bytes().splitlines()
    bare = {encode(msgspec.structs.replace(decode(line), source=())) for line in found}
    assert encode(msgspec.structs.replace(alert, source=())) in bare


def test_a_window_may_begin_with_the_state_kept_before_it(venue, tmp_path):
    alert = alerts_of(venue)[3]
    given = ("export", "--alert", alert.alert_id, "--state")
    line = refused(venue, *given, "--out", tmp_path / "none")
    assert "no state" in line
    at_ns = alert.window_start_ns - 1
    States(venue / "archive").save("tape", at_ns, {"book": {}}, {alert.instrument: 17})
    told = json.loads(archive(venue, *given, "--out", tmp_path / "tape", "--json").stdout)
    assert told["state"]["at_ns"] == at_ns
    assert told["instruments"][0]["first_seq"] == 17
    assert (tmp_path / "tape" / "state.ckpt").is_file()


def test_a_window_with_holes_says_so_and_ends_with_1(venue, tmp_path):
    name = alerts_of(venue)[0].instrument
    lost = list((venue / "archive").rglob("*.parquet"))
    kept = {path: path.read_bytes() for path in lost}
    try:
        for path in lost:
            path.write_bytes(b"damaged")
        done = archive(
            venue, "export", "--instrument", name, "--out", tmp_path / "tape", "--json", code=1
        )
        assert len(json.loads(done.stdout)["damaged"]) == len(lost) > 0
        assert "the window has holes" in done.stderr
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


def test_misuse_is_one_clear_line(venue, tmp_path):
    out = ("--out", tmp_path / "tape")
    hold = ("hold", "--reason", "r", "--instrument")
    name = alerts_of(venue)[0].instrument
    assert "one of the two" in refused(venue, "export", *out)
    assert "one of the two" in refused(venue, "export", *out, "--alert", "a", "--instrument", name)
    assert "is not in the store" in refused(venue, "export", *out, "--alert", "zz")
    assert "not one of this venue's" in refused(venue, "export", *out, "--instrument", "NO-SUCH")
    assert "not one of this venue's" in refused(venue, *hold, "NO", "--from", "1", "--to", "2")
    assert "--from must be a UTC time" in refused(venue, *hold, name, "--from", "x", "--to", "2")
    assert "after its beginning" in refused(venue, *hold, name, "--from", "3", "--to", "2")
    assert "no hold" in refused(venue, "release", "legal-0")
    (tmp_path / "ringfence.toml").write_text('[alerts]\narchive = "none"\n')
    assert "no archive at none yet" in refused(tmp_path, "verify")


@pytest.mark.parametrize(
    ("text", "ns"), [("0", 0), ("1970-01-01T00:00:00.000000001Z", 1), ("99", 99)]
)
def test_a_time_is_given_as_utc_or_nanoseconds(text, ns):
    assert parse_at(text, "--from") == ns
