"""What each part costs an event: `make bench`, or `python -m benchmarks [--json] [--only PART]`.

Simulated data: orders at random, where oddities are frequent; and, for detectors, a market's as
well. Each part runs in a process of its own, one after the other; compiling is not
counted. The ratio is to the decoder on the first tape, in big batches, in the same run: it depends
on the machine less than nanoseconds do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks import book, decode, detectors, replay, rooms, wash_rings
from benchmarks.job import (
    HOUR_EVENTS,
    MARKET_HOURS,
    PART_EVENTS,
    Job,
    write_market,
    write_tape,
)
from benchmarks.timing import Timing
from detectors.catalogue import DETECTORS
from monitor.terminal import progress_bar

DECODER = "decoder"
PARTS: Mapping[str, Callable[[Job], list[Timing]]] = {
    DECODER: decode.measure,
    "register": rooms.measure_register,
    "sequencer": rooms.measure_sequencer,
    "archive": rooms.measure_archive,
    "book": book.measure,
    **{name: partial(detectors.measure, name=name) for name in DETECTORS},
    "rings": wash_rings.measure,
    "replay": replay.measure,
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The timings of one run and what the ratios are of."""

    tape_events: int
    decoder_ns: float | None
    """Best of the decoder in its biggest batches; None when it was not measured."""
    timings: Sequence[Timing]


def run(
    folder: Path,
    only: Sequence[str],
    *,
    hour: int,
    events: int,
    repeats: int,
    market_hours: float,
    err: Console,
) -> Report:
    """Measure the parts, each in a fresh process, on a tape of `hour` events and a market's."""
    write_tape(folder / "tape", hour)
    write_market(folder / "market", market_hours)
    found: list[Timing] = []
    with progress_bar(err, "measuring", "parts") as progress:
        for done, name in enumerate(only):
            if progress:
                progress(done, len(only))
            job = Job(
                tape=str((folder / "tape").resolve()),
                market=str((folder / "market").resolve()),
                events=min(events, hour),
                repeats=repeats,
            )
            said = subprocess.run(
                [sys.executable, "-m", "benchmarks", "--measure", name],
                input=msgspec.json.encode(job),
                stdout=subprocess.PIPE,
                cwd=Path(__file__).resolve().parents[1],
                check=True,
            )
            found += msgspec.json.decode(said.stdout, type=list[Timing])
    decoder = [timing for timing in found if timing.part == DECODER]
    big = max(decoder, key=lambda timing: timing.batch_rows, default=None)
    return Report(tape_events=hour, decoder_ns=big.best_ns if big else None, timings=found)


def table(report: Report) -> Table:
    """Return the report for people."""
    shown = Table(title="ns an event (simulated data)", title_justify="left", box=SIMPLE_HEAD)
    shown.add_column("part", no_wrap=True)
    shown.add_column("tape", no_wrap=True)
    for name in ("batch", "best", "median", "budget", "× decoder"):
        shown.add_column(name, justify="right", no_wrap=True)
    for timing in report.timings:
        budget = "" if timing.budget_ns is None else f"{timing.budget_ns:.0f}"
        ratio = f"{timing.best_ns / report.decoder_ns:.2f}" if report.decoder_ns else ""
        shown.add_row(
            timing.part,
            "market" if timing.on_market else "random",
            f"{timing.batch_rows:,}",
            f"{timing.best_ns:,.0f}",
            f"{timing.median_ns:,.0f}",
            f"[red]{budget} over[/]" if timing.over else budget,
            ratio,
        )
    return shown


def lines(report: Report) -> list[str]:
    """Return what the whole replay came to, in words."""
    return [
        f"{timing.part}: {timing.events:,} records in {timing.best_ns * timing.events / 1e9:.2f} s "
        f"(median {timing.median_ns * timing.events / 1e9:.2f} s), "
        f"{1e9 / timing.best_ns:,.0f} records/s, start of the process included"
        for timing in report.timings
        if timing.part.startswith("ringfence")
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--measure PART` is what each process of its own is called with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--hour", type=int, default=HOUR_EVENTS, help="events of the tape")
    parser.add_argument("--events", type=int, default=PART_EVENTS, help="events a part is given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--market-hours", type=float, default=MARKET_HOURS, help="length of the market's tape"
    )
    parser.add_argument("--measure", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
        sys.stdout.buffer.write(msgspec.json.encode(PARTS[given.measure](job)))
        return
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as scratch:
        report = run(
            Path(scratch),
            given.only or list(PARTS),
            hour=given.hour,
            events=given.events,
            repeats=given.repeats,
            market_hours=given.market_hours,
            err=Console(stderr=True, highlight=False),
        )
    if given.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    out.print(table(report))
    for line in lines(report):
        out.print(line)


if __name__ == "__main__":
    main()
