"""`ringfence evaluate`: its arguments to calls, its results to tables or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ingest.errors import UsageError
from monitor.console import JsonOption, err, out, print_json

if TYPE_CHECKING:
    from monitor.config import Config

SEEDS: Final = "setting"
COUNT: Final = 5
HOURS: Final = 3.0
INSTRUMENTS: Final = 3
RATE: Final = 2.0
MATCHING: Final = "price_time"
"""What a sweep runs unless told otherwise: 50 tapes, each long enough for hourly windows and of
about a million and a half records, a minute or two of one processor."""


def evaluate(  # noqa: PLR0917 - options, each by its name
    tape: Annotated[
        Path | None, typer.Argument(help="folder of a labelled tape", show_default=False)
    ] = None,
    alerts: Annotated[
        Path | None,
        typer.Option(
            help="score this alerts.ndjson; else the tape is replayed", show_default=False
        ),
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="folder for what is written", show_default=False)
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", help="configuration file (TOML)", show_default=False),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="simulate and score many tapes, with and without abuse")
    ] = False,
    seeds: Annotated[
        str | None, typer.Option(help=f"test | setting | reporting ({SEEDS})", show_default=False)
    ] = None,
    count: Annotated[
        int | None, typer.Option(help=f"seeds at each severity ({COUNT})", show_default=False)
    ] = None,
    severity: Annotated[
        list[float] | None,
        typer.Option(help="severities (0.1, 0.2 … 0.9)", show_default=False),
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="kinds of abuse (all)", show_default=False)
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(help=f"simulated time of each tape ({HOURS:g})", show_default=False),
    ] = None,
    instruments: Annotated[
        int | None, typer.Option(help=f"of each tape ({INSTRUMENTS})", show_default=False)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help=f"client instructions a second and instrument ({RATE:g})", show_default=False
        ),
    ] = None,
    matching: Annotated[
        str | None,
        typer.Option(help=f"price_time | price_class_time ({MATCHING})", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="processes (one a processor)", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score alerts against the truth of a labelled tape, or sweep severities and seeds."""
    from monitor.config import config_or_default

    settings = config_or_default(config)
    of_sweep = {
        "--seeds": seeds,
        "--count": count,
        "--severity": tuple(severity or ()),
        "--scenario": tuple(scenario or ()),
        "--hours": hours,
        "--instruments": instruments,
        "--rate": rate,
        "--matching": matching,
        "--workers": workers,
    }
    if not sweep:
        given = [name for name, value in of_sweep.items() if value not in {None, ()}]
        if given:
            raise UsageError(f"{given[0]} goes with --sweep")
        if tape is None:
            raise UsageError("evaluate must be given a TAPE, or --sweep")
        _tape(tape, settings, alerts=alerts, out_dir=out_dir, as_json=as_json)
        return
    if tape is not None or alerts is not None:
        raise UsageError("--sweep makes its own tapes: it goes with neither TAPE nor --alerts")
    if out_dir is None:
        raise UsageError("--sweep must be given --out")
    from market.sweep import SEVERITIES
    from monitor.evaluate import plan_of, run_sweep
    from monitor.score_tables import clean_table, sweep_table
    from monitor.terminal import progress_bar

    plan = plan_of(
        seeds=seeds or SEEDS,
        count=COUNT if count is None else count,
        severities=severity or SEVERITIES,
        scenarios=scenario or (),
        hours=HOURS if hours is None else hours,
        instruments=INSTRUMENTS if instruments is None else instruments,
        rate=RATE if rate is None else rate,
        matching=matching or MATCHING,
    )
    with progress_bar(err, "sweeping", "runs") as progress:
        result = run_sweep(out_dir, plan, settings, workers=workers, progress=progress)
    if as_json:
        print_json(result)
        return
    out.print(sweep_table(result))
    out.print(clean_table(result))
    out.print(f"{out_dir / 'sweep.json'}, sweep.png, sweep.svg", markup=False, soft_wrap=True)


def _tape(
    tape: Path, settings: Config, *, alerts: Path | None, out_dir: Path | None, as_json: bool
) -> None:
    from monitor.evaluate import evaluate_tape
    from monitor.score_tables import scoreboard_tables
    from monitor.terminal import progress_bar

    if out_dir is not None and out_dir.resolve() == tape.resolve():
        raise UsageError(f"--out must be another folder than the tape {tape}")
    with progress_bar(err, "replaying", "events") as progress:
        board, summary = evaluate_tape(
            tape, settings, alerts=alerts, out=out_dir, progress=progress
        )
    if as_json:
        print_json(board)
    else:
        for table in scoreboard_tables(board):
            out.print(table)
    rejected = sum(summary.rejects.values()) if summary else 0
    if summary and rejected:
        line = f"ringfence: {rejected} of {summary.events} records were rejected"
        err.print(line, markup=False, soft_wrap=True)
