"""The table of bad input, row by row, through the whole pipeline: what it costs and what it moves.

Rejects, duplicates and conflicts are in test_replay; here is what concerns order, time and names.
"""

from __future__ import annotations

import json
import shutil

import pytest

from tests.monitor.test_replay import balanced, run, sourceless
from tests.support.broker import free_ports
from tests.support.command import RunningService


@pytest.fixture
def edited(tape, tmp_path):
    """Copy the tape with its order records changed by a function; return the copy."""

    def edit(change):
        folder = shutil.copytree(tape, tmp_path / "edited")
        lines = (folder / "orders.ndjson").read_text().splitlines()
        change(lines)
        (folder / "orders.ndjson").write_text("\n".join(lines) + "\n")
        return folder

    return edit


def test_records_out_of_order_are_held_until_their_turn_and_change_nothing(edited, tape, tmp_path):
    def shuffle(lines):
        for at in range(100, len(lines) - 10, 97):
            lines[at], lines[at + 7] = lines[at + 7], lines[at]

    summary, _ = run(edited(shuffle), tmp_path / "out")
    run(tape, tmp_path / "clean")
    assert (summary.gaps, summary.late, summary.pending, summary.rejects) == (0, 0, 0, {})
    assert balanced(summary)
    assert sourceless(tmp_path / "out") == sourceless(tmp_path / "clean")


def test_a_record_that_comes_after_its_gap_was_declared_is_late_and_never_applied(edited, tmp_path):
    def delay(lines):
        late = lines.pop(2000)
        at = json.loads(late)["engine_ns"]
        later = next(
            n for n, line in enumerate(lines) if json.loads(line)["engine_ns"] > at + 3 * 10**9
        )
        lines.insert(later, late)

    tape = edited(delay)
    summary, whole = run(tape, tmp_path / "out", gap_timeout_s=1.0)
    assert (summary.gaps, summary.late) == (1, 1)
    assert balanced(summary)
    assert run(tape, tmp_path / "cut", 101, gap_timeout_s=1.0)[1] == whole


def test_what_waits_for_a_record_that_never_comes_is_pending_at_the_end(edited, tmp_path):
    def lose(lines):
        del lines[-50]

    summary, _ = run(edited(lose), tmp_path / "out")
    assert summary.gaps == 0, "the end of a tape declares no gap"
    assert summary.pending > 0
    assert balanced(summary)


def test_an_account_without_a_registry_row_is_kept_counted_and_evaluated_both_ways(tape, tmp_path):
    folder = shutil.copytree(tape, tmp_path / "tape")
    rows = (folder / "accounts.csv").read_text().splitlines()
    (folder / "accounts.csv").write_text("\n".join([rows[0], rows[-1]]) + "\n")
    summary, _ = run(folder, tmp_path / "out")
    assert summary.processed == summary.events
    assert summary.unknown_accounts > 5
    alerts = sourceless(tmp_path / "out")
    assert {a.detector for a in alerts} >= {"tag_integrity", "wash_trading"}
    assert any("unknown" in a.roles for a in alerts)


def test_a_clock_that_jumps_is_counted_and_fires_no_timer(edited, tmp_path):
    def jump(lines):
        record = json.loads(lines[3000])
        record["engine_ns"] += 40 * 86_400 * 10**9
        lines[3000] = json.dumps(record)

    summary, _ = run(edited(jump), tmp_path / "out")
    assert summary.clock_faults["jump"] == 1
    assert summary.gaps == 0
    assert balanced(summary)


def test_a_registry_that_changes_is_reloaded_and_a_bad_one_leaves_the_old_in_force(tape, tmp_path):
    folder = shutil.copytree(tape, tmp_path / "tape")
    config = tmp_path / "c.toml"
    port = free_ports(1)[0]
    config.write_text(f"[registry]\nreload_s = 0.1\n[service]\nport = {port}\n")
    service = RunningService(config, port, "--tape", str(folder))
    accounts = folder / "accounts.csv"

    def reloads(outcome):
        page = service.get("/metrics")[1]
        name = f'ringfence_registry_reloads_total{{outcome="{outcome}"}} '
        return sum(float(line.removeprefix(name)) for line in page.splitlines() if name in line)

    try:
        service.wait(lambda: service.get("/readyz")[0] == 200, "readiness")
        rows = accounts.read_text().splitlines()
        accounts.write_text("\n".join([*rows, rows[1]]) + "\n")
        service.wait(lambda: reloads("failed") == 1, "a refused reload")
        accounts.write_text("\n".join([*rows, f"NEW-1{rows[1][rows[1].index(',') :]}"]) + "\n")
        service.wait(lambda: reloads("ok") == 1, "an accepted reload")
        assert reloads("failed") == 1
        assert service.get("/healthz")[0] == 200
        assert service.stop() < 10
    finally:
        service.close()
    lines = config.with_suffix(".log").read_text().splitlines()
    log = "\n".join(line for line in lines if line.startswith("{"))  # the table of alerts is no log
    assert "registry refused" in log
    assert rows[1].split(",")[0] not in log, "no account is ever logged"
