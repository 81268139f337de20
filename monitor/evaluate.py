"""Evaluation: a labelled tape replayed and scored, or a whole sweep of simulated ones."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast, get_args

import msgspec

from alerts.output import read_alerts
from alerts.record import Alert
from detectors.catalogue import DETECTORS
from ingest.errors import RingfenceError, UsageError
from ingest.instruments import Matching
from market.abuse.catalogue import INJECTORS
from market.assembly import Settings
from market.score import Scoreboard, scoreboard
from market.seeds import first_seeds
from market.simulate import simulate
from market.sweep import Plan, Run, Sweep, count_tape, sweep, write_sweep
from market.truth import SCENARIOS, read_attempts, read_truth
from monitor.config import Config
from monitor.logs import configure_logging
from monitor.replay import replay
from monitor.summary import Summary
from monitor.terminal import ProgressCall

SCOREBOARD: Final = "scoreboard.json"
ROOT: Final = Path(__file__).resolve().parents[1]
ROOMS: Final = ("ingest", "detectors", "alerts", "market", "monitor")
"""Whose code a result depends on."""


def claimed() -> frozenset[str]:
    """Return the scenarios that the detectors look for."""
    return frozenset(name for kind in DETECTORS.values() for name in kind.spec.scenarios)


def evaluate_tape(
    tape: Path,
    config: Config,
    *,
    alerts: Path | None = None,
    out: Path | None = None,
    progress: ProgressCall | None = None,
) -> tuple[Scoreboard, Summary | None]:
    """Score a labelled tape; return the scoreboard, and the summary of the replay if there was one.

    Parameters
    ----------
    tape : Path
    config : Config
    alerts : Path, optional
        An alerts.ndjson of the tape; without it the tape is replayed.
    out : Path, optional
        Folder for scoreboard.json and what a replay writes.

    Raises
    ------
    UsageError
        The tape has no truth, or a file cannot be read.
    RingfenceError
        A detector failed.
    """
    read_truth(tape)  # before a long replay
    read_attempts(tape)
    summary = None
    if alerts is not None:
        found: Sequence[Alert] = _read(alerts)
    else:
        with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
            folder = out or Path(scratch)
            summary = replay(tape, folder, config, progress=progress)
            found = read_alerts(folder / "alerts.ndjson")
        _all_ran(summary)
    board = scoreboard(count_tape(tape, found), claimed=claimed())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(board), indent=2)
        (out / SCOREBOARD).write_bytes(text + b"\n")
    return board, summary


def plan_of(
    *,
    seeds: str,
    count: int,
    severities: Collection[float],
    scenarios: Collection[str],
    hours: float,
    instruments: int,
    rate: float,
    matching: str,
) -> Plan:
    """Return the plan of a sweep.

    Raises
    ------
    UsageError
        An argument is out of range or names nothing that there is.
    """
    for level in severities:
        if not 0 < level <= 1:
            raise UsageError(f"--severity must be above 0 and at most 1, was {level:g}")
    for name in scenarios:
        if name not in INJECTORS:
            known = ", ".join(each for each in SCENARIOS if each in INJECTORS)
            raise UsageError(f"--scenario must be one of {known}, was {name}")
    if matching not in get_args(Matching):
        raise UsageError(
            f"--matching must be one of {', '.join(get_args(Matching))}, was {matching}"
        )
    chosen = set(scenarios or INJECTORS)
    plan = Plan(
        seeds=first_seeds(seeds, count),
        severities=tuple(sorted(set(severities))),
        scenarios=tuple(name for name in SCENARIOS if name in chosen),
        hours=hours,
        instruments=instruments,
        rate=rate,
        matching=cast(Matching, matching),
    )
    _settings(plan, plan.runs()[0])
    return plan


def run_sweep(
    out: Path,
    plan: Plan,
    config: Config,
    *,
    workers: int | None = None,
    progress: ProgressCall | None = None,
) -> Sweep:
    """Run a sweep into a folder: sweep.json, sweep.png, sweep.svg, and the counts of each run.

    Parameters
    ----------
    workers : int, optional
        Processes; one a processor unless told otherwise.
    """
    from market.curves import draw

    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, was {workers}")
    result = sweep(
        out,
        plan,
        make_tape=make_tape,
        replay=partial(replay_alerts, config=config),
        claimed=claimed(),
        version=version_of(config),
        workers=workers or os.cpu_count() or 1,
        progress=progress,
    )
    write_sweep(out, result)
    draw(result, out)
    return result


def make_tape(tape: Path, plan: Plan, run: Run) -> None:
    """Simulate the tape of one run; what cases cost clients is not measured."""
    simulate(tape, _settings(plan, run))


def replay_alerts(tape: Path, out: Path, *, config: Config) -> Sequence[Alert]:
    """Replay a tape and return its alerts; raises RingfenceError when a detector failed."""
    configure_logging()
    _all_ran(replay(tape, out, config))
    return read_alerts(out / "alerts.ndjson")


def version_of(config: Config) -> str:
    """Return a hash of all that a run's counts depend on beside its plan: code and settings."""
    given = (config.sequence, config.alerts.harm_limits, config.detectors)
    digest = hashlib.sha256(msgspec.json.encode(given, order="sorted"))
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _settings(plan: Plan, run: Run) -> Settings:
    # A clean tape has no severity; any stands for it.
    return Settings(
        seed=run.seed,
        hours=plan.hours,
        instruments=plan.instruments,
        rate=plan.rate,
        matching=plan.matching,
        scenarios=() if run.severity is None else plan.scenarios,
        severity=run.severity or 0.0,
        harm=False,
    )


def _all_ran(summary: Summary) -> None:
    if summary.quarantined:
        names = ", ".join(sorted(summary.quarantined))
        raise RingfenceError(f"detectors failed, so nothing was scored: {names}; see the log above")


def _read(path: Path) -> list[Alert]:
    try:
        return read_alerts(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not an alerts.ndjson: {error}") from None
