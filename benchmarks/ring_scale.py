"""What a trade costs wash_rings as tapes grow: `make ring-scale`, or run this module.

Simulated: one instrument, 30 trades a second, accounts with activity as 1/rank, a maker on half of
the trades, a ring of three on one in two hundred. Each repeat runs in a process of its own, in
batches of 10,000; making the trades is not timed, nor is a first run of an hour that loads kernels.
Processor time, all of one thread: what else a machine does is not in it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.wash_rings import TRADES_A_SECOND, tape
from detectors.examples import example_instruments
from detectors.ring_params import WashRingsParams
from detectors.wash_rings import WashRings
from ingest.events import Batch
from monitor.terminal import progress_bar

TRADES: Final = (1_000_000, 5_000_000, 20_000_000)
ACCOUNTS: Final = (1_000, 10_000, 100_000)
BATCH: Final = 10_000
PART: Final = 1_000_000
"""Trades made at a time."""
MOST_NS: Final = 2_000.0
"""500,000 trades a second."""
MOST_GROWTH: Final = 1.5
"""Cost a trade, from the smallest to the largest."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What a trade costs with so many trades and accounts, ns."""

    trades: int
    accounts: int
    best_ns: float
    median_ns: float
    alerts: int


def measure(trades: int, accounts: int) -> tuple[float, int]:
    """Return nanoseconds a trade, and alerts, of one run in this process."""
    _run(TRADES_A_SECOND * 3_600, accounts)
    return _run(trades, accounts)


def _run(trades: int, accounts: int) -> tuple[float, int]:
    instruments = example_instruments()
    detector, spent_ns, alerts = WashRings(WashRingsParams(), instruments), 0, set()
    for part in range(0, trades, PART):
        columns = tape(min(PART, trades - part), seed=part, accounts=accounts, first=part)
        for at in range(0, len(columns["seq"]), BATCH):
            some = {name: column[at : at + BATCH] for name, column in columns.items()}
            batch = Batch(some, instruments, watermark_ns=int(some["clock_ns"][-1]))
            begun = time.process_time_ns()
            found = detector.step(batch)
            spent_ns += time.process_time_ns() - begun
            alerts |= {(each.first_seq, each.first_accounts) for each in found}
    return spent_ns / trades, len(alerts)


def sweep(trades: Sequence[int], accounts: Sequence[int], repeats: int, err: Console) -> list[Cell]:
    """Return all cells, each repeat measured in a fresh process."""
    cells, whole = [], len(trades) * len(accounts) * repeats
    with progress_bar(err, "measuring", "runs") as progress:
        for done, (size, people) in enumerate(product(trades, accounts)):
            runs = []
            for repeat in range(repeats):
                if progress:
                    progress(done * repeats + repeat, whole)
                said = subprocess.run(
                    [
                        sys.executable,
                        "-m",
                        "benchmarks.ring_scale",
                        "--one",
                        str(size),
                        str(people),
                    ],
                    stdout=subprocess.PIPE,
                    cwd=Path(__file__).resolve().parents[1],
                    check=True,
                )
                runs.append(msgspec.json.decode(said.stdout, type=tuple[float, int]))
            cells.append(
                Cell(
                    trades=size,
                    accounts=people,
                    best_ns=min(ns for ns, _ in runs),
                    median_ns=statistics.median(ns for ns, _ in runs),
                    alerts=runs[0][1],
                )
            )
    return cells


def table(cells: Sequence[Cell]) -> Table:
    """Return the cells for people; what is over a bound is marked."""
    shown = Table(title="wash_rings, simulated", title_justify="left", box=SIMPLE_HEAD)
    for name in ("trades", "accounts", "best, ns a trade", "median", "trades/s", "alerts"):
        shown.add_column(name, justify="right", no_wrap=True)
    least = cells[0].best_ns
    for cell in cells:
        over = cell.best_ns > MOST_NS or cell.best_ns > MOST_GROWTH * least
        shown.add_row(
            f"{cell.trades:,}",
            f"{cell.accounts:,}",
            f"[red]{cell.best_ns:,.0f} over[/]" if over else f"{cell.best_ns:,.0f}",
            f"{cell.median_ns:,.0f}",
            f"{1e9 / cell.best_ns:,.0f}",
            f"{cell.alerts:,}",
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; `--one TRADES ACCOUNTS` is what each process of its own is called with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ring_scale", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    parser.add_argument("--trades", type=int, nargs="+", default=TRADES)
    parser.add_argument("--accounts", type=int, nargs="+", default=ACCOUNTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        sys.stdout.buffer.write(msgspec.json.encode(measure(*given.one)))
        return
    err = Console(stderr=True, highlight=False)
    cells = sweep(given.trades, given.accounts, given.repeats, err)
    if given.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(cells)).decode() + "\n")
        return
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table(cells))


if __name__ == "__main__":
    main()
