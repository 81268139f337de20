"""The benchmarks run and say what they measured; how fast it was is no test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import DECODER, PARTS, Report, lines, table
from benchmarks.job import Job, write_market, write_tape
from benchmarks.timing import Timing, repeated
from detectors.catalogue import DETECTORS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("bench")
    return Job(
        tape=str(write_tape(folder / "tape", 1_500)),
        market=str(write_market(folder / "market", 0.01)),
        events=1_200,
        market_events=1_200,
        repeats=1,
    )


@pytest.mark.parametrize("name", sorted(PARTS.keys() - {"replay"}))
def test_a_part_says_what_it_measured(job, name):
    timings = PARTS[name](job)
    assert timings
    for timing in timings:
        assert 0 < timing.best_ns <= timing.median_ns
        assert timing.events > 0
        assert timing.batch_rows > 0
    budget = dict.fromkeys(DETECTORS, 100.0) | {"book": 150.0}
    assert {timing.budget_ns for timing in timings} == {budget.get(name)}
    assert {timing.on_market for timing in timings} == {False, name in DETECTORS}


def test_every_detector_of_the_catalogue_is_measured():
    assert DETECTORS.keys() <= PARTS.keys()


def test_work_is_prepared_anew_for_every_repeat_and_the_first_is_not_counted():
    made, done = [], []

    def prepare():
        made.append(len(done))
        return lambda: done.append(None)

    timing = repeated("x", prepare, events=1, batch_rows=1, repeats=3)
    assert made == [0, 1, 2, 3]
    assert len(done) == 4
    assert timing.repeats == 3


def test_the_command_measures_in_processes_of_its_own_and_prints_json():
    given = ["--json", "--only", DECODER, "--only", "replay"]
    sizes = ["--hour", "900", "--events", "800", "--repeats", "1", "--market-hours", "0.01"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *given, *sizes],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    report = msgspec.json.decode(done.stdout, type=Report)
    assert [t.part for t in report.timings] == [DECODER, DECODER, "ringfence replay"]
    assert report.decoder_ns == max(report.timings[:2], key=lambda t: t.batch_rows).best_ns
    assert report.timings[-1].events >= 900
    assert len(lines(report)) == 1


def test_the_table_marks_what_is_over_its_budget():
    within, over = (
        Timing(
            part=name, batch_rows=9, events=9, repeats=1, best_ns=ns, median_ns=ns, budget_ns=100
        )
        for name, ns in (("within", 99.0), ("over", 101.0))
    )
    shown = table(Report(tape_events=9, decoder_ns=50.0, timings=[within, over]))
    budgets = list(shown.columns[5].cells)
    assert budgets == ["100", "[red]100 over[/]"]
    assert list(shown.columns[6].cells) == ["1.98", "2.02"]
