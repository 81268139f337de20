"""The sweep: many seeds at many severities, and clean, each simulated, replayed and scored.

Nothing of a run is kept but its counts, in one small file, so that a sweep that was stopped goes on
where it was. What comes out depends on the settings and the code alone: not on the workers, nor on
which run ends first.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from alerts.record import Alert
from ingest.errors import UsageError
from ingest.instruments import Matching
from ingest.tape import Tape
from market.counts import Counts, add_up, count
from market.score import Scoreboard, scoreboard
from market.span import span
from market.truth import read_attempts, read_truth

SEVERITIES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SEEN_FROM: Final = 0.5
"""Recall below which a scenario counts as not seen: more cases are missed than found."""
RUNS: Final = "runs"
"""Folder of the runs' counts, in that of the sweep."""
RESULT: Final = "sweep.json"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep runs; each run is one seed at one severity, or clean."""

    seeds: tuple[int, ...]
    severities: tuple[float, ...] = SEVERITIES
    scenarios: tuple[str, ...]
    hours: float
    instruments: int
    rate: float
    matching: Matching = "price_time"

    def runs(self) -> list[Run]:
        """Return all runs, in the order in which they are added up."""
        return [Run(seed, level) for level in (None, *self.severities) for seed in self.seeds]


class Run(msgspec.Struct, frozen=True):
    """One tape of a sweep."""

    seed: int
    severity: float | None
    """None: clean."""


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """All tapes of one severity together."""

    severity: float
    score: Scoreboard


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found; the same bytes for the same plan and code."""

    plan: Plan
    version: str
    """Of the code: runs of another are not added to these."""
    levels: tuple[Level, ...]
    """By rising severity."""
    clean: Scoreboard
    """Of the tapes without abuse: every alert is a false alarm."""
    seen_from: Mapping[str, float | None]
    """By scenario that a detector looks for: the least severity from which on, at every level that
    was run, recall is at least 0.5. Below it detectors are blind; None: at every level."""


MakeTape = Callable[[Path, Plan, Run], None]
"""Writes a run's tape into a folder."""
Replay = Callable[[Path, Path], Sequence[Alert]]
"""Takes a tape through the pipeline, with a folder to write into; returns the alerts."""


def sweep(
    out: Path,
    plan: Plan,
    *,
    make_tape: MakeTape,
    replay: Replay,
    claimed: Collection[str],
    version: str,
    workers: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> Sweep:
    """Run what has not been run yet, and return all of it added up.

    Parameters
    ----------
    out : Path
        Folder, which is created; the counts of runs are kept in it. Tapes are made in it one a
        worker, and deleted.
    plan : Plan
    make_tape, replay : callable
        Functions of a module, so that other processes can be given them.
    claimed : collection of str
        Scenarios that the detectors look for.
    version : str
        Of all code that a result depends on.
    workers : int
        Processes; with 1 everything runs in this one.
    progress : callable, optional
        Called with how many runs are done, and how many there are.

    Raises
    ------
    UsageError
        The plan has no run.
    """
    runs = plan.runs()
    if not runs or not plan.severities:
        raise UsageError("a sweep must have at least one seed and one severity")
    if (out / "instruments.csv").exists():
        raise UsageError(f"--out must be a folder of the sweep's own, {out} is a tape")
    kept = out / RUNS
    kept.mkdir(parents=True, exist_ok=True)
    for left_over in kept.glob("tape-*"):  # of a sweep that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    files = {run: kept / f"{_key(plan, run, version)}.json" for run in runs}
    left = [run for run in runs if _read(files[run]) is None]
    done = len(runs) - len(left)
    if progress:
        progress(done, len(runs))
    if workers == 1:
        for run in left:
            _run(files[run], plan, run, make_tape, replay)
            done += 1
            if progress:
                progress(done, len(runs))
    else:
        # Fresh processes: a forked one would share compiled kernels' threads and locks.
        context = multiprocessing.get_context("spawn")
        parent = os.getpid()
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_end_with, initargs=(parent,)
        ) as pool:
            with _uninterrupted():  # what a process ignores its children do from their first moment
                tasks = [
                    pool.submit(_run, files[run], plan, run, make_tape, replay) for run in left
                ]
            try:
                for task in as_completed(tasks):
                    task.result()
                    done += 1
                    if progress:
                        progress(done, len(runs))
            except BaseException:
                pool.shutdown(cancel_futures=True)  # waits for tapes to be deleted
                raise
    return _sum(plan, {run: _kept(files[run]) for run in runs}, claimed, version)


def count_tape(tape: Path, alerts: Iterable[Alert]) -> Counts:
    """Return what alerts are worth against the truth of a tape's folder.

    Raises
    ------
    UsageError
        The tape has no truth, or cannot be read.
    """
    truths, attempts = read_truth(tape), read_attempts(tape)
    first_ns, last_ns = span(tape)
    return count(
        alerts,
        truths,
        attempts,
        length_ns=last_ns - first_ns,
        instruments=len(Tape(tape).instruments),
    )


def write_sweep(out: Path, result: Sweep) -> Path:
    """Write `sweep.json` and return where it is."""
    path = out / RESULT
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return path


def seen_from(levels: Sequence[Level], scenario: str) -> float | None:
    """Return the least severity from which on recall is never below a half; None where it is not.

    Levels without a case are passed over.
    """
    least = None
    for level in reversed(levels):
        score = level.score.scenarios.get(scenario)
        if score is None or score.recall.value is None:
            continue
        if score.recall.value < SEEN_FROM:
            break
        least = level.severity
    return least


def _sum(
    plan: Plan, counted: Mapping[Run, Counts], claimed: Collection[str], version: str
) -> Sweep:
    def board(severity: float | None) -> Scoreboard:
        parts = (counted[run] for run in plan.runs() if run.severity == severity)
        return scoreboard(add_up(parts), claimed=claimed)

    levels = tuple(Level(severity=each, score=board(each)) for each in sorted(plan.severities))
    return Sweep(
        plan=plan,
        version=version,
        levels=levels,
        clean=board(None),
        seen_from={
            name: seen_from(levels, name) for name in plan.scenarios if name in set(claimed)
        },
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C for a moment: it is this process's to answer, and not the workers'."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with(parent: int) -> None:
    """Have this worker end when its parent is gone, however that came about."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(file: Path, plan: Plan, run: Run, make_tape: MakeTape, replay: Replay) -> None:
    """Make a run's tape, score it, keep its counts, and delete the tape."""
    with tempfile.TemporaryDirectory(prefix="tape-", dir=file.parent) as folder:
        tape = Path(folder) / "tape"
        make_tape(tape, plan, run)
        counts = count_tape(tape, replay(tape, Path(folder) / "out"))
    # A wrong alert or a missed case says nothing without its tape, which is gone.
    counts = msgspec.structs.replace(counts, wrong=(), missed=())
    partial = file.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(counts) + b"\n")
    partial.replace(file)


def _key(plan: Plan, run: Run, version: str) -> str:
    """Return the name of a run's file: readable, and of all that its counts depend on."""
    one = msgspec.structs.replace(
        plan,
        seeds=(run.seed,),
        severities=() if run.severity is None else (run.severity,),
        scenarios=() if run.severity is None else tuple(sorted(plan.scenarios)),
    )
    said = msgspec.json.encode([one, version])
    level = "clean" if run.severity is None else f"{run.severity:g}"
    return f"{run.seed}-{level}-{hashlib.sha256(said).hexdigest()[:16]}"


def _read(file: Path) -> Counts | None:
    """Return the counts of a run; None when it was not run or its file cannot be used."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Counts)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _kept(file: Path) -> Counts:
    counts = _read(file)
    if counts is None:
        raise UsageError(f"{file} was there and cannot be read any more: run the sweep again")
    return counts
