"""How often a day without fading passes a test of quote_fading: `python -m benchmarks.fading_null`.

An instrument's day is drawn: clients' windows come as a Poisson process, each with placebos of
which some have a withdrawal, by a rate that differs from window to window as a beta variable does;
the client's window is one of them, as if nobody had seen the order. External makers are there and
never withdraw, so that their comparison lets pass what it can. Each of the day's tests is made by
the detector's own code. No more days may pass than `daily_false_alarms`. Simulated, all of it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from detectors.fading_chance import DAY_S, verdict
from detectors.fading_params import KEPT_BUCKETS, QuoteFadingParams
from detectors.fading_state import (
    COMPLEX,
    HIT_LEVEL,
    LEVEL,
    LEVELS,
    PEERS,
    TALLY_FIELDS,
    UNITS,
    WINDOWS,
    WITHDRAWN,
)
from ingest.events import Array
from market.score import share

WINDOWS_AN_HOUR: Final = (5, 15, 40, 120)
"""Of clients' orders on the way while the maker is at the touch."""
RATES: Final = ((0.02, 5), (0.06, 5), (0.06, 50), (0.2, 5))
"""Mean share of windows with a withdrawal, and how alike windows are: a and b of the beta add up to
the second."""


def buckets(hourly: float, mean: float, alike: float, rng: np.random.Generator) -> Iterator[Array]:
    """Yield the tallies of a day's buckets: (UNITS, 2, TALLY_FIELDS) int64 each."""
    params = QuoteFadingParams()
    for _ in range(DAY_S // params.bucket_s):
        tally = np.zeros((UNITS, 2, TALLY_FIELDS), np.int64)
        for side in range(2):
            windows = rng.poisson(hourly / 2 * params.bucket_s / 3600)
            rates = rng.beta(mean * alike, (1 - mean) * alike, windows)
            marked = rng.binomial(LEVELS, rates)  # of the client's and its 39 placebos
            tally[COMPLEX, side, WINDOWS] = tally[PEERS, side, WINDOWS] = windows
            hit = rng.random(windows) * LEVELS < marked
            tally[COMPLEX, side, WITHDRAWN] = hit.sum()
            np.add.at(tally[COMPLEX, side], LEVEL + marked[marked > 0] - 1, 1)
            np.add.at(tally[COMPLEX, side], HIT_LEVEL + marked[hit] - 1, 1)
        yield tally


def passes(seed: int, *, hourly: float, mean: float, alike: float) -> bool:
    """Return whether any test of a day passes."""
    params = QuoteFadingParams()
    kept = np.zeros((KEPT_BUCKETS, UNITS, 2, TALLY_FIELDS), np.int64)
    drawn = buckets(hourly, mean, alike, np.random.default_rng(seed))
    for bucket, tally in enumerate(drawn, KEPT_BUCKETS):
        kept[bucket % KEPT_BUCKETS] = tally
        if kept[:, COMPLEX, :, WITHDRAWN].sum() < params.min_withdrawals:
            continue
        if verdict(kept, bucket, 0, 2, params) is not None:
            return True
    return False


def main() -> None:
    """Draw days, and tell how many pass a test."""
    parser = argparse.ArgumentParser(prog="benchmarks.fading_null", description=__doc__)
    parser.add_argument("--days", type=int, default=1000, help="of each kind")
    parser.add_argument("--json", action="store_true", help="for a program to read")
    given = parser.parse_args()
    kinds = [(hourly, *rate) for hourly in WINDOWS_AN_HOUR for rate in RATES]
    rows = []
    with multiprocessing.Pool() as pool:
        for hourly, mean, alike in track(kinds, console=Console(stderr=True)):
            day = partial(passes, hourly=hourly, mean=mean, alike=alike)
            found = sum(pool.imap_unordered(day, range(given.days), chunksize=8))
            told = share(found, given.days)
            rows.append([hourly, mean, alike, found, given.days, told.value, told.low, told.high])
    if given.json:
        print(json.dumps(rows))
        return
    table = Table("windows/h", "withdrawn", "alike", "days that pass", "share (95 %)")
    for hourly, mean, alike, found, days, value, low, high in rows:
        wide = f"{value:.4f} ({low:.4f} to {high:.4f})"
        table.add_row(f"{hourly}", f"{mean}", f"{alike}", f"{found} of {days:,}", wide)
    Console().print(table)


if __name__ == "__main__":
    main()
