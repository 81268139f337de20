"""Cost of each detector over an enriched tape, in nanoseconds an event; budget 100."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.job import Cut, Job, anew, cut
from benchmarks.timing import BUDGET_DETECTOR_NS, Timing, each, repeated
from detectors.catalogue import DETECTORS


def measure(job: Job, name: str) -> list[Timing]:
    """Return what a detector costs, its findings included, each time from a fresh state."""
    kind = DETECTORS[name]
    found = []
    for size in job.sizes():
        made = cut(job, size)

        def prepare(made: Cut = made) -> Callable[[], object]:
            return each(kind(kind.Params(), made.instruments).step, anew(made.enriched))

        found.append(
            repeated(
                name,
                prepare,
                events=sum(len(batch) for batch in made.enriched),
                batch_rows=size,
                repeats=job.repeats,
                budget_ns=BUDGET_DETECTOR_NS,
            )
        )
    return found
