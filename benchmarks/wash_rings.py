"""wash_rings on trades alone, every window included: nanoseconds a trade.

Simulated: 2,000 accounts with activity as 1/rank, a maker on half of the trades, a ring of three
on one in two hundred, 30 trades a second on one instrument. Part of `make bench`; a million trades
with `python -m benchmarks.wash_rings`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.job import Job, anew
from benchmarks.timing import Timing, each, repeated
from detectors.examples import COLUMNS, example_instruments
from detectors.ring_params import WashRingsParams
from detectors.wash_rings import WashRings
from ingest.events import Array, Batch, Kind, empty

START_NS = 1_700_000_000 * 10**9
TRADES_A_SECOND = 30
ACCOUNTS = 2_000


def tape(
    trades: int, seed: int = 1, *, accounts: int = ACCOUNTS, first: int = 0
) -> dict[str, Array]:
    """Return the columns of the simulated trades from a first one on."""
    draw = np.random.default_rng(seed)
    columns = empty(COLUMNS, trades)
    rank = 1 / np.arange(1, accounts + 1)
    ends = draw.choice(np.arange(10, accounts + 10), (2, trades), p=rank / rank.sum())
    maker = draw.random(trades) < 0.5
    ends[draw.integers(0, 2, trades)[maker], np.flatnonzero(maker)] = 0
    ring = np.flatnonzero(draw.random(trades) < 0.005)
    ends[0, ring] = np.arange(len(ring)) % 3 + 1
    ends[1, ring] = (np.arange(len(ring)) + 1) % 3 + 1
    lots = draw.integers(1, 1000, trades)
    lots[ring] = 500
    times = START_NS + np.arange(first, first + trades) * (10**9 // TRADES_A_SECOND)
    columns["kind"][:] = Kind.TRADE
    columns["instrument"][:] = 0
    columns["seq"][:] = np.arange(first + 1, first + trades + 1)
    columns["engine_ns"][:], columns["clock_ns"][:] = times, times
    columns["price"][:], columns["quantity"][:] = 100, lots
    columns["sell_account"][:], columns["buy_account"][:] = ends
    return columns


def measure(job: Job) -> list[Timing]:
    """Return what a trade costs in batches of the given sizes; no budget: all rows are trades."""
    return [_timing(job.events, size, job.repeats) for size in job.sizes()]


def _timing(trades: int, size: int, repeats: int) -> Timing:
    instruments = example_instruments()
    columns = tape(trades)
    batches = [
        Batch(
            {name: column[at : at + size] for name, column in columns.items()},
            instruments,
            watermark_ns=int(columns["clock_ns"][min(at + size, trades) - 1]),
        )
        for at in range(0, trades, size)
    ]

    def prepare() -> Callable[[], object]:
        return each(WashRings(WashRingsParams(), instruments).step, anew(batches))

    return repeated(
        "wash_rings, trades only", prepare, events=trades, batch_rows=size, repeats=repeats
    )


if __name__ == "__main__":
    for timing in measure(Job(tape="", events=1_000_000, repeats=3)):
        print(
            f"{timing.events:,d} trades in batches of {timing.batch_rows:,d}: "
            f"{timing.best_ns:.0f} ns a trade"
        )
