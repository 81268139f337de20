"""Trades a second of wash_rings, every window included, at 100,000 and 1,000,000 trades.

Simulated: 2,000 accounts with activity as 1/rank, a maker on half of the trades, a ring of three
on one in two hundred, 30 trades a second on one instrument. Run alone (a fresh process):
`python -m benchmarks.wash_rings`.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np

from detectors.examples import COLUMNS, example_instruments
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.events import Array, Batch, Kind, empty

START_NS = 1_700_000_000 * 10**9
TRADES_A_SECOND = 30
ACCOUNTS = 2_000


class Timing(msgspec.Struct, frozen=True):
    """Best of the repeats."""

    trades: int
    batch_rows: int
    trades_a_second: float
    findings: int


def tape(trades: int, seed: int = 1) -> dict[str, Array]:
    """Return the columns of the simulated trades."""
    draw = np.random.default_rng(seed)
    columns = empty(COLUMNS, trades)
    rank = 1 / np.arange(1, ACCOUNTS + 1)
    ends = draw.choice(np.arange(10, ACCOUNTS + 10), (2, trades), p=rank / rank.sum())
    maker = draw.random(trades) < 0.5
    ends[draw.integers(0, 2, trades)[maker], np.flatnonzero(maker)] = 0
    ring = np.flatnonzero(draw.random(trades) < 0.005)
    ends[0, ring] = np.arange(len(ring)) % 3 + 1
    ends[1, ring] = (np.arange(len(ring)) + 1) % 3 + 1
    lots = draw.integers(1, 1000, trades)
    lots[ring] = 500
    times = START_NS + np.arange(trades) * (10**9 // TRADES_A_SECOND)
    columns["kind"][:] = Kind.TRADE
    columns["instrument"][:] = 0
    columns["seq"][:] = np.arange(1, trades + 1)
    columns["engine_ns"][:], columns["clock_ns"][:] = times, times
    columns["price"][:], columns["quantity"][:] = 100, lots
    columns["sell_account"][:], columns["buy_account"][:] = ends
    return columns


def measure(repeats: int = 3) -> list[Timing]:
    """Return the throughput of `step`, cut into batches, after a run that compiles."""
    instruments = example_instruments()
    found = []
    for trades in (100_000, 1_000_000):
        columns = tape(trades)
        for rows in (1_000, 65_536, trades):
            batches = [
                Batch(
                    {name: column[at : at + rows] for name, column in columns.items()},
                    instruments,
                    watermark_ns=int(columns["clock_ns"][min(at + rows, trades) - 1]),
                )
                for at in range(0, trades, rows)
            ]
            best, findings = float("inf"), 0
            for _ in range(repeats + 1):
                detector = WashRings(WashRingsParams(), instruments)
                begin = time.perf_counter()
                findings = sum(len(detector.step(batch)) for batch in batches)
                best = min(best, time.perf_counter() - begin)
            found.append(
                Timing(
                    trades=trades,
                    batch_rows=rows,
                    trades_a_second=trades / best,
                    findings=findings,
                )
            )
    return found


if __name__ == "__main__":
    for timing in measure():
        print(
            f"wash_rings, {timing.trades:9,d} trades in batches of {timing.batch_rows:9,d}: "
            f"{timing.trades_a_second:10,.0f} trades/s, {1e9 / timing.trades_a_second:6.0f} "
            f"ns a trade, {timing.findings} findings"
        )
