"""`ringfence evaluate` as a user runs it; the scoreboard on a simulated tape, and cheats on it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from alerts.output import read_alerts, write_alerts
from ingest.errors import UsageError
from ingest.tape import Tape, raw_records
from market.abuse.catalogue import INJECTORS
from market.assembly import Settings
from market.counts import count
from market.curves import NAMES
from market.score import Scoreboard, scoreboard
from market.simulate import simulate
from market.span import span
from market.sweep import SEVERITIES, Run, Sweep
from market.truth import SCENARIOS, read_truth
from monitor.config import default_config
from monitor.evaluate import _settings, claimed, evaluate_tape, plan_of, version_of
from monitor.evaluate_command import evaluate
from tests.support.command import ringfence
from tests.support.scoring import alert, oracle, shuffled, tape_world, truth

SWEEP = {"sweep": True, "out_dir": Path("out")}
PLAN = {
    "seeds": "test",
    "count": 2,
    "severities": SEVERITIES,
    "scenarios": (),
    "hours": 1.0,
    "instruments": 2,
    "rate": 2.0,
    "matching": "price_time",
}


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """An hour and a half of every kind of abuse: on a shorter tape some spells are half of it."""
    folder = tmp_path_factory.mktemp("labelled") / "tape"
    settings = Settings(
        seed=103, hours=1.5, instruments=2, scenarios=tuple(INJECTORS), severity=0.7, harm=False
    )
    simulate(folder, settings)
    return folder


@pytest.fixture(scope="module")
def world(tape):
    records = (msgspec.json.decode(raw) for _, _, _, raw in raw_records(tape))
    instruments = [row.instrument for row in Tape(tape).instruments]
    return tape_world(read_truth(tape), records, instruments, span(tape))


def scored(world, alerts, truths=None):
    counted = count(
        alerts,
        world.truths if truths is None else truths,
        length_ns=world.length_ns,
        instruments=len(world.instruments),
    )
    return scoreboard(counted, claimed=SCENARIOS)


# --- a simulated tape ---------------------------------------------------------------------------


def test_the_simulated_tape_holds_cases_enough_to_score(world):
    assert len(world.truths) >= 5
    assert len(world.accounts) > 50


def test_an_oracle_scores_one_on_a_simulated_tape(world):
    board = scored(world, oracle(world.truths))
    assert (board.recall.value, board.precision.value, board.vague) == (1.0, 1.0, 0)


def test_shuffled_truth_of_a_simulated_tape_scores_nothing(world):
    truths = shuffled(world.truths)
    if len({case.scenario for case in truths}) > 1:
        board = scored(world, oracle(world.truths), truths)
        assert board.recall.value <= 0.05
        assert board.precision.value <= 0.05


def test_no_cheat_scores_on_a_simulated_tape(world):
    # Three guesses an alert get furthest: an account that hardly trades does little but its cases.
    most = {"three scenarios an alert, every id": 0.1}
    for name, alerts in world.cheats("MM1").items():
        assert scored(world, alerts).f1 <= most.get(name, 0.05), name


# --- the command on a tape ----------------------------------------------------------------------


def test_evaluate_replays_scores_and_keeps_what_it_made(tape, tmp_path):
    done = ringfence("evaluate", tape, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    said = msgspec.json.decode(done.stdout, type=Scoreboard)
    assert said.recall.of == len(read_truth(tape))
    kept = (tmp_path / "out" / "scoreboard.json").read_text()
    assert msgspec.json.decode(kept, type=Scoreboard) == said
    again = ringfence("evaluate", tape, "--alerts", tmp_path / "out" / "alerts.ndjson", "--json")
    assert again.stdout == done.stdout


def test_without_out_nothing_is_left_behind(tape, tmp_path):
    before = sorted(tape.iterdir())
    assert ringfence("evaluate", tape, cwd=tmp_path).returncode == 0
    assert sorted(tape.iterdir()) == before
    assert list(tmp_path.iterdir()) == []


def test_alerts_of_an_oracle_are_all_right_and_every_case_is_found(tape, tmp_path):
    truths = read_truth(tape)
    write_alerts(tmp_path / "alerts.ndjson", oracle(truths))
    board, summary = evaluate_tape(
        tape, default_config(tmp_path), alerts=tmp_path / "alerts.ndjson"
    )
    assert summary is None
    assert board.recall.count == board.recall.of == len(truths)
    assert board.precision.value == 1.0


def test_a_scenario_without_a_detector_is_named_so_and_what_was_wrong_is_told(tmp_path):
    folder = small_tape(tmp_path, [truth(scenario="spoofing"), truth(scenario="tag_error")])
    write_alerts(tmp_path / "a.ndjson", [alert("f" * 32, scenario="tag_error", accounts=("C01",))])
    done = ringfence("evaluate", folder, "--alerts", tmp_path / "a.ndjson")
    assert done.returncode == 0, done.stderr
    spoofing, tag_error = (
        next(line for line in done.stdout.splitlines() if line.strip().startswith(name))
        for name in ("spoofing", "tag_error")
    )
    expected = "0.00 (0.00 to" if "spoofing" in claimed() else "no detector yet"
    assert expected in spoofing
    assert "0.00 (0.00 to 0.79)" in tag_error
    assert "alerts that were not right" in done.stdout
    assert "f" * 12 in done.stdout
    assert "cases that were missed" in done.stdout


def small_tape(tmp_path, truths):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "instruments.csv").write_text(
        "instrument,base,quote,kind,tick_size,lot_size\nSIMA-USD,SIMA,USD,spot,0.01,0.001\n"
    )
    ends = (truths[0].start_ns, truths[0].end_ns)
    (folder / "orders.ndjson").write_text("".join(f'{{"engine_ns":{at}}}\n' for at in ends))
    (folder / "truth.json").write_bytes(msgspec.json.encode(truths))
    return folder


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("no truth", "has no truth.json: only a labelled tape can be scored"),
        ("bad truth", "truth.json"),
        ("bad alerts", "is not an alerts.ndjson"),
        ("no alerts", "cannot be read: No such file"),
        ("no events", "must hold an event with engine_ns"),
        ("out is the tape", "must be another folder"),
    ],
)
def test_what_cannot_be_scored_is_refused(tmp_path, broken, said):
    folder = small_tape(tmp_path, [truth()])
    alerts, out = tmp_path / "alerts.ndjson", tmp_path / "out"
    write_alerts(alerts, [alert()])
    if broken == "no truth":
        (folder / "truth.json").unlink()
    elif broken == "bad truth":
        (folder / "truth.json").write_text('[{"scenario": 1}]')
    elif broken == "bad alerts":
        alerts.write_text('{"alert_id": 1}\n')
    elif broken == "no alerts":
        alerts.unlink()
    elif broken == "no events":
        (folder / "orders.ndjson").write_text("")
    else:
        out = folder
    with pytest.raises(UsageError, match=said):
        evaluate(folder, alerts=alerts, out_dir=out)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "must be given a TAPE, or --sweep"),
        (SWEEP | {"tape": Path("x")}, "goes with neither TAPE nor --alerts"),
        ({"sweep": True}, "--sweep must be given --out"),
        ({"tape": Path("x"), "count": 0}, "--count goes with --sweep"),
        ({"tape": Path("x"), "severity": [0.5]}, "--severity goes with --sweep"),
        (SWEEP | {"seeds": "best"}, "--seeds must be one of"),
        (SWEEP | {"count": 0}, "--count must be 1 to"),
        (SWEEP | {"severity": [0.0]}, "--severity must be above 0"),
        (SWEEP | {"scenario": ["theft"]}, "--scenario must be one of"),
        (SWEEP | {"matching": "fifo"}, "--matching must be one of"),
        (SWEEP | {"hours": 0.0}, "--hours must be above 0"),
    ],
)
def test_wrong_usage_of_evaluate_is_refused_and_leaves_nothing(tmp_path, monkeypatch, given, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        evaluate(**given)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_one_line_and_exit_2(tmp_path):
    done = ringfence("evaluate", tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"ringfence: {tmp_path} has no truth.json: only a labelled tape can be scored"
    ]


# --- the command on a sweep ---------------------------------------------------------------------


def test_a_sweep_runs_draws_and_goes_on_where_it_was(tmp_path):
    given = ("evaluate", "--sweep", "--seeds", "test", "--count", 1, "--severity", 0.9)
    given += ("--hours", 0.1, "--instruments", 1, "--out", tmp_path / "out")
    done = ringfence(*given, "--workers", 2, "--json", timeout=300)
    assert done.returncode == 0, done.stderr
    said = msgspec.json.decode(done.stdout, type=Sweep)
    assert [level.severity for level in said.levels] == [0.9]
    assert said.clean.recall.of == 0
    written = (tmp_path / "out" / "sweep.json").read_bytes()
    assert msgspec.json.decode(written, type=Sweep) == said
    assert all((tmp_path / "out" / name).stat().st_size > 1_000 for name in NAMES)
    runs = sorted((tmp_path / "out" / "runs").iterdir())
    assert [path.name.rsplit("-", 1)[0] for path in runs] == ["101-0.9", "101-clean"]
    times = [path.stat().st_mtime_ns for path in runs]
    again = ringfence(*given, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert "blind below" in again.stdout
    assert [path.stat().st_mtime_ns for path in runs] == times
    assert (tmp_path / "out" / "sweep.json").read_bytes() == written


def test_a_run_is_simulated_as_its_plan_says():
    plan = plan_of(**PLAN)
    assert plan.seeds == (101, 102)
    assert set(plan.scenarios) == set(INJECTORS)
    harsh = _settings(plan, Run(101, 0.9))
    assert (harsh.severity, harsh.scenarios, harsh.harm) == (0.9, plan.scenarios, False)
    clean = _settings(plan, Run(101, None))
    assert clean.scenarios == ()
    assert plan_of(**(PLAN | {"severities": (0.9, 0.1, 0.9)})).severities == (0.1, 0.9)


def test_another_parameter_of_a_detector_is_another_version(tmp_path):
    config = default_config(tmp_path)
    assert version_of(config) == version_of(default_config(tmp_path / "elsewhere"))
    name = "client_priority"
    params = config.detectors[name]
    field = next(f for f in params.__struct_fields__ if isinstance(getattr(params, f), int))
    other = msgspec.structs.replace(params, **{field: getattr(params, field) + 1})
    changed = msgspec.structs.replace(config, detectors={**config.detectors, name: other})
    assert version_of(changed) != version_of(config)


def test_the_summary_of_a_replay_is_that_of_replay(tape, tmp_path):
    _, summary = evaluate_tape(tape, default_config(tmp_path), out=tmp_path / "out")
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary.events == written["events"]
    assert len(read_alerts(tmp_path / "out" / "alerts.ndjson")) == sum(
        n for counts in written["alerts"].values() for n in counts.values()
    )
