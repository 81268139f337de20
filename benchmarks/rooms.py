"""Register, sequencer and archive: nanoseconds an event, in batches of two sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from alerts.archive import Archive
from benchmarks.job import Cut, Job, cut, sequencer
from benchmarks.timing import Timing, each, repeated


def measure_register(job: Job) -> list[Timing]:
    """Return what it costs to tag an event."""
    found = []
    for size in job.sizes():
        made = cut(job, size)

        def prepare(made: Cut = made) -> Callable[[], object]:
            return each(made.register.tag, [arrivals.batch for arrivals in made.arrivals])

        found.append(
            repeated(
                "register.tag", prepare, events=made.events, batch_rows=size, repeats=job.repeats
            )
        )
    return found


def measure_sequencer(job: Job) -> list[Timing]:
    """Return what it costs to put an event in order."""
    found = []
    for size in job.sizes():
        made = cut(job, size)

        def prepare(made: Cut = made) -> Callable[[], object]:
            idle = [arrivals.idle for arrivals in made.arrivals]
            return each(sequencer(made.instruments).push, made.tagged, idle)

        found.append(
            repeated("sequencer", prepare, events=made.events, batch_rows=size, repeats=job.repeats)
        )
    return found


def measure_archive(job: Job) -> list[Timing]:
    """Return what it costs to archive an event, writing its segment included."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as scratch:
        for size in job.sizes():
            made = cut(job, size)
            taken = 0

            def prepare(made: Cut = made, size: int = size) -> Callable[[], object]:
                nonlocal taken
                taken += 1
                archive = Archive(Path(scratch) / f"{size}-{taken}", made.instruments)

                def work() -> None:
                    for batch in made.released:
                        archive.append(batch)
                    archive.flush()

                return work

            found.append(
                repeated(
                    "archive, flush included",
                    prepare,
                    events=made.events,
                    batch_rows=size,
                    repeats=job.repeats,
                )
            )
    return found
