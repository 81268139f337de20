"""Cost of each detector over an enriched tape, in nanoseconds an event; budget 100."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.job import Cut, Job, anew, cut
from benchmarks.timing import BUDGET_DETECTOR_NS, Timing, repeated
from detectors.catalogue import DETECTORS


def measure(job: Job, name: str) -> list[Timing]:
    """Return what a detector costs, its findings included, each time from a fresh state."""
    kind = DETECTORS[name]
    found = []
    for size in job.sizes():
        made = cut(job, size)

        def prepare(made: Cut = made) -> Callable[[], object]:
            detector = kind(kind.Params(), made.instruments)
            batches = anew(made.enriched)
            return lambda: [detector.step(batch) for batch in batches]

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
