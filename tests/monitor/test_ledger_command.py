"""`ringfence ledger`: files for their owner alone, sums for a reader, one line on misuse."""

from __future__ import annotations

import csv
import json
import stat
from decimal import Decimal

import pytest

from alerts.output import write_alerts
from alerts.store import AlertStore
from ingest.errors import TapeError, UsageError
from monitor.cli import app
from tests.support.archived import venue_with_archive
from tests.support.ledger_tapes import Desk, alert, inverted

FILES = ["fairness.csv", "fairness.json", "restitution.csv", "restitution.json"]


@pytest.fixture
def ledger(capsys):
    """Run the command in this process, as its command line does; return what it printed."""

    def run(*arguments):
        app(["ledger", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture
def breach(tmp_path):
    """A tape with one inversion and the alert that tells of it."""
    desk = Desk()
    orders = inverted(desk)
    folder = desk.tape.write(tmp_path / "tape")
    write_alerts(tmp_path / "alerts.ndjson", [alert(desk, orders=orders)])
    return folder, tmp_path / "alerts.ndjson"


def test_files_name_clients_and_only_their_owner_may_read_them(ledger, breach, tmp_path):
    tape, alerts = breach
    said = ledger(tape, "--alerts", alerts, "--out", tmp_path / "out")
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    with (tmp_path / "out" / "restitution.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((tmp_path / "out" / "restitution.json").read_text())
    assert sum(Decimal(row["money"]) for row in rows) == Decimal("0.06")
    assert {row["account"] for row in rows} == {"B"}
    assert [row["trade_id"] for row in rows] == [row["trade_id"] for row in told["rows"]]
    assert "O-B" not in said


def test_twice_the_same_bytes(ledger, breach, tmp_path):
    tape, alerts = breach
    for name in ("one", "two", "one"):
        ledger(tape, "--alerts", alerts, "--out", tmp_path / name)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_json_tells_sums_and_no_client(ledger, breach):
    tape, alerts = breach
    text = ledger(tape, "--alerts", alerts, "--json")
    told = json.loads(text)["restitution"]
    (total,) = told["sums"]
    assert (total["currency"], total["standing"], total["clients"]) == ("USD", "proved", 1)
    assert Decimal(total["money"]) == Decimal("0.06")
    assert told["identity"]["departures"] == 0
    assert '"account"' not in text


def test_fairness_rows_are_never_of_a_client(ledger, tape, tmp_path):
    empty = tmp_path / "none.ndjson"
    empty.write_bytes(b"")
    ledger(tape, "--alerts", empty, "--out", tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "fairness.json").read_text())["rows"]
    assert {row["measure"] for row in rows} == {
        "effective_spread",
        "markout_5s",
        "markout_30s",
        "realised_spread_30s",
    }
    assert not {"account", "owner", "client"} & set(rows[0])
    assert json.loads((tmp_path / "out" / "restitution.json").read_text())["rows"] == []


def test_a_feed_of_trades_alone_has_nothing_to_be_rematched(ledger, tmp_path):
    empty = tmp_path / "none.ndjson"
    empty.write_bytes(b"")
    told = json.loads(ledger("samples/terraforms", "--alerts", empty, "--json"))
    assert told["restitution"]["rows"] == 0
    assert told["fairness"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alerts", "a.ndjson"], "--alerts goes with a TAPE"),
        (["{tape}", "--alerts", "no.ndjson"], "no alerts file at no.ndjson"),
        (["{tape}", "--alerts", "{tape}/orders.ndjson"], "is no alerts.ndjson"),
        (["{tape}", "--out", "{tape}"], "--out must be another folder"),
    ],
)
def test_misuse_is_one_clear_line(ledger, breach, arguments, said):
    filled = [each.format(tape=breach[0]) for each in arguments]
    with pytest.raises(UsageError, match=said):
        ledger(*filled)


def test_a_folder_that_is_no_tape_is_refused(ledger, tmp_path):
    empty = tmp_path / "none.ndjson"
    empty.write_bytes(b"")
    with pytest.raises(TapeError):
        ledger(tmp_path, "--alerts", empty)


def test_alerts_of_another_tape_are_refused(ledger, breach, tape):
    with pytest.raises(UsageError, match="which the tape does not have"):
        ledger(tape, "--alerts", breach[1])


def test_without_a_tape_there_must_be_a_store(ledger, tmp_path):
    path = tmp_path / "ringfence.toml"
    path.write_text("")
    with pytest.raises(UsageError):
        ledger("-c", path)


@pytest.fixture(scope="module")
def venue(tape, tmp_path_factory):
    """A folder with a configuration, an archive filled from the tape, and a store of its alerts."""
    return venue_with_archive(tape, tmp_path_factory.mktemp("venue"))


def test_a_store_and_its_archive_give_what_the_tape_and_its_alerts_give(
    ledger, tape, venue, tmp_path
):
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    write_alerts(tmp_path / "alerts.ndjson", store.records())
    store.close()
    ledger("-c", venue / "ringfence.toml", "--out", tmp_path / "stored")
    ledger(tape, "--alerts", tmp_path / "alerts.ndjson", "--out", tmp_path / "taped")
    stored, taped = (
        json.loads((tmp_path / name / "restitution.json").read_text())
        for name in ("stored", "taped")
    )
    assert stored["rows"]
    assert stored == taped
    for name in ("fairness.csv", "fairness.json"):
        assert (tmp_path / "stored" / name).read_bytes() == (tmp_path / "taped" / name).read_bytes()


def test_however_the_tape_is_read_the_ledger_is_the_same(ledger, tape, venue, tmp_path):
    store = AlertStore(f"sqlite:///{venue}/alerts.sqlite")
    write_alerts(tmp_path / "alerts.ndjson", store.records())
    store.close()
    written = []
    for rows in (173, 65_536):
        path = tmp_path / f"{rows}.toml"
        path.write_text(f"[service]\nbatch_rows = {rows}\n")
        out = tmp_path / str(rows)
        ledger(tape, "--alerts", tmp_path / "alerts.ndjson", "-c", path, "--out", out)
        written.append([(out / name).read_bytes() for name in FILES])
    assert written[0] == written[1]
