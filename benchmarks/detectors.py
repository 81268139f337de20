"""Cost of each detector over two enriched tapes, in nanoseconds an event; budget 100."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.job import Cut, Job, anew, cut, cut_of, sizes_within
from benchmarks.timing import BUDGET_DETECTOR_NS, Timing, each, repeated
from detectors.catalogue import DETECTORS


def measure(job: Job, name: str) -> list[Timing]:
    """Return what a detector costs, its findings included, each time from a fresh state."""
    found = [_on(job, name, cut(job, size), size=size) for size in job.sizes()]
    if job.market:
        for size in sizes_within(job.market_events):
            made = cut_of(Path(job.market), job.market_events, size)
            found.append(_on(job, name, made, size=size, on_market=True))
    return found


def _on(job: Job, name: str, made: Cut, *, size: int, on_market: bool = False) -> Timing:
    kind = DETECTORS[name]

    def prepare() -> Callable[[], object]:
        return each(kind(kind.Params(), made.instruments).step, anew(made.enriched))

    return repeated(
        name,
        prepare,
        events=sum(len(batch) for batch in made.enriched),
        batch_rows=size,
        repeats=job.repeats,
        budget_ns=BUDGET_DETECTOR_NS,
        on_market=on_market,
    )
