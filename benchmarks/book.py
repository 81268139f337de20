"""What the book costs an event: whole tape at once, and in batches of a thousand.

Run `python -m benchmarks.book`. Simulated data; compiling is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from detectors.book import Books
from ingest.events import Batch
from ingest.instruments import Instruments
from tests.support.venue import batches, random_tape

EVENTS = 200_000
REPEATS = 7


def measure(events: int = EVENTS, repeats: int = REPEATS) -> dict[str, float]:
    """Return ns an event, best and median of the repeats, by case."""
    measured: dict[str, float] = {}
    for instruments in (2, 50):
        tape = random_tape(7, events, instruments=instruments, gaps=2)
        batch = tape.batch()
        table = batch.instruments
        for label, size in (("whole", None), ("batches_of_1000", 1_000)):
            parts = list(batches(batch, size))
            Books(table).apply(parts[0])
            times = [_seconds(table, parts) for _ in range(repeats)]
            per_event = [seconds / len(batch) * 1e9 for seconds in times]
            name = f"book_{instruments}_instruments_{label}"
            measured[f"{name}_best_ns"] = min(per_event)
            measured[f"{name}_median_ns"] = statistics.median(per_event)
    return measured


def _seconds(table: Instruments, parts: Sequence[Batch]) -> float:
    books = Books(table)
    start = time.perf_counter()
    for part in parts:
        books.apply(part)
    return time.perf_counter() - start


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name}: {value:.0f}")
