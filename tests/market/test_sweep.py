"""A sweep: every run once, added up the same whatever the workers, stopped and gone on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest

from ingest.errors import UsageError
from market.curves import NAMES, draw
from market.sweep import RUNS, Level, Plan, Run, Sweep, seen_from, sweep, write_sweep
from market.truth import write_truth
from tests.support.scoring import SECOND, START, alert, oracle, truth

PLAN = Plan(
    seeds=(101, 102),
    severities=(0.2, 0.6, 0.9),
    scenarios=("spoofing", "quote_fade", "wash_ring"),
    hours=1.0,
    instruments=2,
    rate=2.0,
)
CLAIMED = {"spoofing", "quote_fade"}
HEADER = "instrument,base,quote,kind,tick_size,lot_size\n"


def make_tape(folder: Path, plan: Plan, run: Run) -> None:
    """A tape of two records and, unless it is clean, ten cases of each scenario."""
    folder.mkdir()
    rows = [f"SIM{i}-USD,SIM{i},USD,spot,0.01,0.001\n" for i in range(plan.instruments)]
    (folder / "instruments.csv").write_text(HEADER + "".join(rows))
    ends = (START, START + int(plan.hours * 3600) * SECOND)
    (folder / "orders.ndjson").write_text("".join(f'{{"engine_ns":{at}}}\n' for at in ends))
    cases = [
        truth(
            scenario=name,
            instrument="SIM0-USD",
            order_ids=(f"{name}-{run.seed}-{number}",),
            severity=run.severity or 0.0,
            start_ns=START + number * SECOND,
        )
        for name in plan.scenarios
        for number in range(10)
    ]
    write_truth(folder, cases if run.severity is not None else [])


def replay(tape: Path, out: Path, *, log: Path | None = None) -> list:
    """Finds spoofing as often as it is severe, quote_fade never; one false alarm a tape."""
    out.mkdir()
    if log is not None:
        with log.open("a") as file:
            file.write("run\n")
    cases = json.loads((tape / "truth.json").read_text())
    found = [
        case
        for case in msgspec.convert(cases, list[type(truth())])
        if case.scenario == "spoofing"
        and int(case.order_ids[0].rsplit("-")[-1]) < 10 * case.severity
    ]
    return [*oracle(found), alert("false", instrument="SIM1-USD")]


def failing(tape: Path, out: Path) -> list:
    raise UsageError("this replay fails")


def swept(folder, plan=PLAN, **given):
    arguments = {"make_tape": make_tape, "replay": replay, "claimed": CLAIMED, "version": "1"}
    return sweep(folder, plan, **(arguments | given))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    done = swept(folder)
    write_sweep(folder, done)
    return folder, done


def test_recall_is_by_severity_over_all_seeds(result):
    levels = result[1].levels
    assert [level.severity for level in levels] == [0.2, 0.6, 0.9]
    recalls = [level.score.scenarios["spoofing"].recall for level in levels]
    assert [(r.count, r.of) for r in recalls] == [(4, 20), (12, 20), (18, 20)]
    assert all(level.score.scenarios["wash_ring"].recall.value is None for level in levels)


def test_false_alarms_are_those_of_the_clean_tapes(result):
    clean = result[1].clean
    assert clean.rate.count == 2
    assert clean.rate.instrument_days == pytest.approx(4 / 24)
    assert clean.recall.of == 0


def test_what_is_seen_from_which_severity_on_is_told(result):
    assert result[1].seen_from == {"spoofing": 0.6, "quote_fade": None}


def test_a_level_in_between_that_is_not_seen_ends_what_is_seen():
    def level(severity, hits):
        cases = [truth(order_ids=(f"o{n}",)) for n in range(4)]
        from market.counts import count
        from market.score import scoreboard

        counted = count(oracle(cases[:hits]), cases, length_ns=3600 * SECOND, instruments=1)
        return Level(severity=severity, score=scoreboard(counted, claimed={"spoofing"}))

    assert seen_from([level(0.1, 3), level(0.5, 2), level(0.9, 4)], "spoofing") == 0.1
    assert seen_from([level(0.1, 3), level(0.5, 1), level(0.9, 4)], "spoofing") == 0.9
    assert seen_from([level(0.1, 3), level(0.9, 1)], "spoofing") is None
    assert seen_from([level(0.1, 3)], "wash_ring") is None


def test_no_tape_is_left(result):
    kept = list((result[0] / RUNS).iterdir())
    assert len(kept) == len(PLAN.runs()) == 8
    assert all(path.suffix == ".json" for path in kept)


def test_workers_change_no_byte(result, tmp_path):
    write_sweep(tmp_path, swept(tmp_path, workers=2))
    assert (tmp_path / "sweep.json").read_bytes() == (result[0] / "sweep.json").read_bytes()


def test_a_sweep_that_was_stopped_goes_on_where_it_was(result, tmp_path):
    log = tmp_path / "log"
    swept(tmp_path, msgspec.structs.replace(PLAN, severities=(0.6,)))
    done = swept(tmp_path, replay=partial(replay, log=log))
    assert log.read_text().count("run") == 4  # 2 seeds at 0.2 and 0.9; clean and 0.6 were there
    assert msgspec.json.encode(done) == msgspec.json.encode(result[1])
    broken = next((tmp_path / RUNS).glob("101-0.9-*"))
    broken.write_text("{")
    swept(tmp_path, replay=partial(replay, log=log))
    assert log.read_text().count("run") == 5


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({"hours": 2.0}, 8),
        ({"rate": 3.0}, 8),
        ({"instruments": 3}, 8),
        ({"matching": "price_class_time"}, 8),
        ({"scenarios": ("spoofing",)}, 6),  # the clean tapes are the same
        ({}, 0),
    ],
)
def test_a_run_with_other_settings_is_another_run(tmp_path, changed, again):
    swept(tmp_path)
    log = tmp_path / "log"
    log.touch()
    swept(tmp_path, msgspec.structs.replace(PLAN, **changed), replay=partial(replay, log=log))
    assert log.read_text().count("run") == again


def test_runs_of_other_code_are_not_added_to_these(tmp_path):
    swept(tmp_path)
    log = tmp_path / "log"
    swept(tmp_path, replay=partial(replay, log=log), version="2")
    assert log.read_text().count("run") == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_fails_ends_the_sweep_and_leaves_no_tape(tmp_path, workers):
    with pytest.raises(UsageError, match="this replay fails"):
        swept(tmp_path, replay=failing, workers=workers)
    assert not list((tmp_path / RUNS).iterdir())


def test_progress_counts_runs_and_begins_with_those_that_are_there(tmp_path):
    told = []
    swept(tmp_path, progress=lambda *given: told.append(given))
    assert told == [(done, 8) for done in range(9)]
    told.clear()
    swept(tmp_path, progress=lambda *given: told.append(given))
    assert told == [(8, 8)]


def test_a_plan_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="at least one seed"):
        swept(tmp_path, msgspec.structs.replace(PLAN, seeds=()))


def test_the_written_sweep_reads_back_and_holds_no_time_it_took(result):
    text = (result[0] / "sweep.json").read_text()
    assert msgspec.json.decode(text, type=Sweep) == result[1]
    assert "wall" not in text
    assert str(result[0]) not in text


def test_the_picture_says_what_is_blind_and_is_the_same_bytes_again(result, tmp_path):
    draw(result[1], tmp_path)
    first = [(tmp_path / name).read_bytes() for name in NAMES]
    draw(result[1], tmp_path)
    assert [(tmp_path / name).read_bytes() for name in NAMES] == first
    text = (tmp_path / "sweep.svg").read_text()
    for said in ("spoofing", "blind below 0.6", "blind at every level", "no detector yet"):
        assert said in text
    assert first[0].startswith(b"\x89PNG")
