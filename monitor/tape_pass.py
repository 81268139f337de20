"""One pass over a tape, told of as it goes: for what reads a tape and runs no pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingest.source import Arrivals
from ingest.tape import Tape, TapeSource
from monitor.terminal import ProgressCall


def polled(source: TapeSource, tape: Path, progress: ProgressCall | None) -> Iterator[Arrivals]:
    """Yield all that a tape's source gives; after each, tell how many records have been read."""
    total = Tape(tape).record_count() if progress else None
    read = 0
    while (arrivals := source.poll(0.0)) is not None:
        yield arrivals
        read += len(arrivals.batch) + len(arrivals.rejects)
        if progress:
            progress(read, total)
