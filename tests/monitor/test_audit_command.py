"""`ringfence audit` as a user runs it: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest

from alerts.audit import AuditLog
from alerts.store import AlertStore
from tests.support.audit import Clock, fill, tampered
from tests.support.command import called


@pytest.fixture
def store(tmp_path):
    """The store of the configuration in `ringfence.toml`."""
    (tmp_path / "ringfence.toml").write_text('[alerts]\nstore_url = "sqlite:///audited.sqlite"\n')
    store = AlertStore(f"sqlite:///{tmp_path}/audited.sqlite")
    store.migrate()
    yield store
    store.close()


def audit(tmp_path, *arguments):
    return called("audit", *arguments, "-c", tmp_path / "ringfence.toml")


def test_an_intact_log_ends_with_0_and_gives_a_head_that_finds_what_is_cut_off_later(
    tmp_path, store
):
    log = AuditLog(store.engine, clock=Clock())
    fill(log, 4)
    whole = audit(tmp_path, "verify")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.splitlines()[0] == "the audit log holds: 4 entries"
    head = whole.stdout.splitlines()[1].removeprefix("head ")
    assert head == str(log.head())
    assert audit(tmp_path, "verify", "--head", head).returncode == 0
    tampered(store.engine, "DELETE FROM audit WHERE sequence = 4")
    assert audit(tmp_path, "verify").returncode == 0
    cut = audit(tmp_path, "verify", "--head", head)
    assert cut.returncode == 1
    assert cut.stdout.splitlines() == [
        "the log ends at entry 3 and the kept head is entry 4: the end was cut off"
    ]
    assert cut.stderr == "ringfence: the audit log does not hold: 1 problems\n"


def test_a_broken_log_ends_with_1_and_one_line_a_problem(tmp_path, store):
    fill(AuditLog(store.engine), 5)
    tampered(
        store.engine,
        "UPDATE audit SET actor = 'bob' WHERE sequence = 2",
        "DELETE FROM audit WHERE sequence = 4",
    )
    done = audit(tmp_path, "verify")
    assert done.returncode == 1
    expected = [
        "entry 2 was changed: its hash is not that of its content",
        "entry 4 is missing",
        "entry 5 does not follow the entry that stands before it",
    ]
    assert done.stdout.splitlines() == expected
    as_json = audit(tmp_path, "verify", "--json")
    assert as_json.returncode == 1
    said = json.loads(as_json.stdout)
    assert said["problems"] == expected
    assert (said["entries"], said["head"]["sequence"]) == (4, 5)


def test_entries_are_listed_newest_first_and_nothing_in_them_is_taken_for_markup(tmp_path, store):
    log = AuditLog(store.engine, clock=Clock())
    fill(log, 3)
    log.append("bob", "case.close", "[red]case-9[/red]", {"why": "[bold]none"})
    listed = audit(tmp_path, "list", "--limit", "2")
    assert listed.returncode == 0, listed.stderr
    assert "[red]case-9[/red]" in listed.stdout
    assert "case-3" in listed.stdout
    assert "case-2" not in listed.stdout
    found = json.loads(audit(tmp_path, "list", "--json", "--actor", "ann").stdout)
    assert [entry["subject"] for entry in found] == ["case-3", "case-2", "case-1"]
    (one,) = json.loads(audit(tmp_path, "list", "--json", "--subject", "case-2").stdout)
    assert (one["sequence"], one["at_ns"]) == (2, 1_700_000_000_000_002_000)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--head", "4"], "a head must be SEQ:HASH"),
        (["verify", "--head", "4:XY"], "a head must be SEQ:HASH"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_misuse_ends_with_2(tmp_path, store, arguments, said):
    done = audit(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_without_a_store_there_is_nothing_to_verify(tmp_path):
    done = called("audit", "verify", cwd=tmp_path)
    assert done.returncode == 2
    assert "no alert store" in done.stderr
    assert not (tmp_path / "var").exists()
