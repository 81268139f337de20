"""The command as a user runs it: output, one line on misuse, exit codes."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import socket
from pathlib import Path

import pytest

from alerts.output import read_alerts
from market.truth import SCENARIOS
from tests.support.command import called, ringfence

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "terraforms"


def one_line(done, code):
    assert done.returncode == code, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("ringfence: ")
    return lines[0]


def test_run_without_arguments_takes_the_sample_through_the_whole_pipeline(tmp_path):
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    first, again = (ringfence("run", "--exit-when-drained", cwd=tmp_path) for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    assert "simulating" in first.stderr
    assert "simulating" not in again.stderr  # made once, and read a second time
    assert first.stdout.splitlines()[0] == again.stdout.splitlines()[0]
    assert "worst 20 shown" in first.stdout
    assert "http://127.0.0.1:" in first.stderr
    assert (tmp_path / "var/ringfence.sqlite").is_file()
    listed = ringfence("case", "list", "--limit", "1000", "--json", cwd=tmp_path)
    alerts = json.loads(listed.stdout)
    real = [a for a in alerts if a["instrument"].startswith("TERRAFORMS")]
    # The real sample shows rings and no affiliated market maker; the simulated one has both.
    assert len(real) == 50
    assert not any("affiliated_mm" in a["roles"] for a in real)
    assert any("affiliated_mm" in a["roles"] for a in alerts)
    simulated = {a["scenario"] for a in alerts if a not in real}
    assert simulated <= {*SCENARIOS, "matching_configuration", "price_spikes"}
    assert {"client_priority", "tag_error", "wash_self"} <= simulated


def test_the_stored_alerts_of_a_run_are_those_of_a_replay(tmp_path):
    done = ringfence("run", "--tape", SAMPLE, "--exit-when-drained", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert said["summary"]["duplicates"] == 0, "its first records were read twice"
    assert called("replay", SAMPLE, "--out", tmp_path / "out").returncode == 0
    replayed = read_alerts(tmp_path / "out/alerts.ndjson")
    assert [a["alert_id"] for a in said["alerts"]] == [a.alert_id for a in replayed]
    listed = called("case", "list", "--limit", "100", "--json", cwd=tmp_path)
    assert {a["alert_id"] for a in json.loads(listed.stdout)} == {a.alert_id for a in replayed}


def test_an_alert_is_exported_by_the_beginning_of_its_id_and_verified(tmp_path):
    ran = ringfence("run", "--tape", SAMPLE, "--exit-when-drained", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    listed = called("case", "list", "--severity", "high", "--json", cwd=tmp_path)
    alert = json.loads(listed.stdout)[0]
    done = called("case", "export", alert["alert_id"][:12], "--out", "cases", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    case = tmp_path / done.stdout.strip()
    assert called("case", "verify", case).returncode == 0
    assert json.loads((case / "data/alert.json").read_text())["alert_id"] == alert["alert_id"]
    events = (case / "data/events.ndjson").read_bytes()
    (case / "data/events.ndjson").write_bytes(events[:-2] + bytes([events[-2] ^ 1]) + b"\n")
    broken = called("case", "verify", case)
    assert broken.returncode == 1
    assert "data/events.ndjson" in broken.stdout
    unknown = called("case", "export", "zz", "--out", "cases", cwd=tmp_path)
    assert "alert zz is not in the store" in one_line(unknown, 2)


def test_a_missing_tape_or_file_of_a_tape_is_one_line(tmp_path):
    done = called("replay", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert "nowhere" in one_line(done, 2)
    tape = shutil.copytree(SAMPLE, tmp_path / "tape")
    (tape / "instruments.csv").unlink()
    assert "instruments.csv" in one_line(called("replay", tape, "--out", tmp_path / "out"), 2)


def test_an_overlapping_registry_row_is_one_line_that_names_both(tmp_path):
    tape = shutil.copytree(SAMPLE, tmp_path / "tape")
    rows = (tape / "accounts.csv").read_text().splitlines()
    (tape / "accounts.csv").write_text("\n".join([*rows, rows[1]]) + "\n")
    said = one_line(called("replay", tape, "--out", tmp_path / "out"), 2)
    assert "line 2" in said
    assert f"line {len(rows) + 1}" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "Missing argument"),
        (["fly"], "No such command"),
        (["run", "--speed"], "No such option"),
        (["publish", "x", "-c", "y", "--speed", "-1"], "Invalid value"),
    ],
)
def test_wrong_usage_exits_2_without_a_traceback(arguments, said):
    done = called(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_configuration_key_is_one_line(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[kafka]\nbootsrap = 'x'\n")
    for command in ("run", "check-config"):
        said = one_line(called(command, "-c", config), 2)
        assert "unknown key kafka.bootsrap; the nearest is kafka.bootstrap" in said


def test_a_configuration_without_a_feed_says_what_to_give(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("")
    assert "has no [kafka] table" in one_line(ringfence("run", "-c", config), 2)


def test_check_config_reads_the_tables_too(tmp_path):
    for name in ("accounts.csv", "instruments.csv"):
        shutil.copy(SAMPLE / name, tmp_path)
    config = tmp_path / "c.toml"
    config.write_text("")
    done = called("check-config", "-c", config)
    assert done.returncode == 0
    assert "32 instruments" in done.stdout
    assert "0 agreements, 0 disclosures" in " ".join(done.stdout.split())
    columns = "subject,kind,instrument,value,unit,valid_from,valid_to,document"
    (tmp_path / "disclosures.csv").write_text(f"{columns}\nMM1,latency,,60000,ns,,,rack space\n")
    said = called("check-config", "-c", config).stdout
    assert "0 agreements, 1 disclosures" in " ".join(said.split())
    (tmp_path / "disclosures.csv").write_text(f"{columns}\nMM1,speed,,60000,ns,,,rack space\n")
    assert "kind must be one of" in one_line(called("check-config", "-c", config), 2)
    (tmp_path / "accounts.csv").unlink()
    assert "accounts.csv" in one_line(called("check-config", "-c", config), 2)


def test_a_taken_port_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "c.toml"
        config.write_text(f"[service]\nport = {taken.getsockname()[1]}\n")
        done = ringfence("run", "-c", config, "--tape", SAMPLE, "--exit-when-drained")
    assert "service.port" in one_line(done, 1)


def test_no_file_of_a_case_means_usage(tmp_path):
    assert "is not a folder" in one_line(called("case", "verify", tmp_path / "no"), 2)
    assert "no alert store" in one_line(called("case", "list", cwd=tmp_path), 2)


def test_simulate_writes_a_tape_that_is_checked_and_that_replay_reads(tmp_path):
    tape = tmp_path / "tape"
    given = ("simulate", "--out", tape, "--seed", 101, "--hours", 0.05, "--instruments", 1)
    done = called(*given, "--clean")
    assert done.returncode == 0, done.stderr
    said = re.search(r"no abuse in ([\d,]+) records", done.stdout)
    records = int(said[1].replace(",", ""))
    replayed = called("replay", tape, "--out", tmp_path / "out", "--json")
    assert json.loads(replayed.stdout)["processed"] == records > 1_000
    assert "--out must be a new or an empty folder" in one_line(called(*given), 2)
    other = ("simulate", "--out", tmp_path / "b", "--seed", 1, "--hours")
    assert "--hours must be above 0" in one_line(called(*other, 0), 2)
    assert "--matching must be one of" in one_line(called(*other, 1, "--matching", "fifo"), 2)


def test_a_run_that_fails_or_runs_again_loses_no_stored_alert(tmp_path):
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    ringfence("run", "--tape", SAMPLE, "--exit-when-drained", cwd=tmp_path)

    def stored():
        listed = called("case", "list", "--limit", "100", "--json", cwd=tmp_path)
        return len(json.loads(listed.stdout))

    assert stored() == 50
    one_line(ringfence("run", "--tape", "nowhere", cwd=tmp_path), 2)
    assert stored() == 50
    ringfence("run", "--tape", SAMPLE, "--exit-when-drained", cwd=tmp_path)
    assert stored() == 50


def test_two_runs_in_one_folder_are_refused(tmp_path):
    (tmp_path / "var").mkdir()
    with (tmp_path / "var/ringfence.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = ringfence("run", "--tape", SAMPLE, "--exit-when-drained", cwd=tmp_path)
    assert "another ringfence run works in" in one_line(done, 1)


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    assert "taken" in one_line(called("replay", SAMPLE, "--out", taken), 1)
    (tmp_path / "var").write_text("")
    assert "var" in one_line(ringfence("run", "--tape", SAMPLE, cwd=tmp_path), 1)
    assert "another folder" in one_line(called("replay", SAMPLE, "--out", SAMPLE), 2)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "alerts.store_url must be sqlite:///FILE or postgresql"),
        ("postgresql+pg8000://u:hunter2@h/db", "must not carry a password"),
    ],
)
def test_a_store_url_that_is_none_or_carries_a_password_is_refused(tmp_path, url, said):
    for name in ("accounts.csv", "instruments.csv"):
        shutil.copy(SAMPLE / name, tmp_path)
    config = tmp_path / "c.toml"
    config.write_text(f'[alerts]\nstore_url = "{url}"\n')
    line = one_line(called("check-config", "-c", config), 2)
    assert said in line
    assert "hunter2" not in line


def test_a_tape_that_is_not_there_is_not_published(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[kafka]\n")
    assert "nowhere" in one_line(called("publish", "nowhere", "-c", config), 2)


def test_rejected_records_are_told_of(tmp_path):
    tape = shutil.copytree(SAMPLE, tmp_path / "tape")
    (tape / "trades.ndjson").write_text("nonsense\n")
    done = called("replay", tape, "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "1 of 1 records were rejected" in done.stderr
