"""The whole of it: `ringfence replay` as a user runs it, start of the process included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.job import Job
from benchmarks.timing import Timing, repeated
from ingest.tape import Tape
from monitor.settings import ServiceSettings


def measure(job: Job) -> list[Timing]:
    """Return what a record of the tape costs, from the command's start to its end."""
    records = Tape(Path(job.tape)).record_count()
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as scratch:
        command = [sys.executable, "-m", "monitor.cli", "replay", job.tape]

        def prepare() -> Callable[[], object]:
            return lambda: subprocess.run(
                [*command, "--out", str(Path(scratch) / "out")],
                cwd=Path(__file__).resolve().parents[1],
                stdout=subprocess.DEVNULL,
                check=True,
            )

        timing = repeated(
            "ringfence replay",
            prepare,
            events=records,
            batch_rows=ServiceSettings().batch_rows,
            repeats=job.repeats,
        )
    return [timing]
