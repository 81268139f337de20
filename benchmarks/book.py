"""What the book costs an event, in batches of two sizes; budget 150 ns."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.job import Cut, Job, cut
from benchmarks.timing import BUDGET_BOOK_NS, Timing, each, repeated
from detectors.book import Books


def measure(job: Job) -> list[Timing]:
    """Return what it costs to replay an event and add the book's columns."""
    found = []
    for size in job.sizes():
        made = cut(job, size)

        def prepare(made: Cut = made) -> Callable[[], object]:
            return each(Books(made.instruments).apply, made.released)

        found.append(
            repeated(
                "book",
                prepare,
                events=sum(len(batch) for batch in made.released),
                batch_rows=size,
                repeats=job.repeats,
                budget_ns=BUDGET_BOOK_NS,
            )
        )
    return found
