"""Replay: a tape through the pipeline as fast as it goes, into alerts.ndjson and summary.json."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec

from alerts.output import write_alerts
from ingest.dead_letter import DeadLetterFile
from ingest.names import Names
from ingest.register import read_register
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import Config
from monitor.summary import Summary, summarise
from monitor.terminal import ProgressCall


def replay(
    tape: Path, out: Path, config: Config, *, progress: ProgressCall | None = None
) -> Summary:
    """Run a tape through the pipeline and return what it came to.

    Writes `alerts.ndjson`, `summary.json` and `dead-letter.ndjson` into `out`, which is created.
    State lives in memory and in a temporary archive: a replay leaves nothing else behind.

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    names = Names()
    source = TapeSource(tape, names, batch_rows=config.service.batch_rows)
    register = read_register(Tape(tape).accounts_path, names)
    out.mkdir(parents=True, exist_ok=True)
    total = Tape(tape).record_count() if progress else None
    with (
        tempfile.TemporaryDirectory(prefix="ringfence-") as scratch,
        DeadLetterFile(out / "dead-letter.ndjson") as dead_letters,
    ):
        pipeline = build_pipeline(
            config,
            instruments=source.instruments,
            names=names,
            topic_names=source.topic_names,
            archive_dir=Path(scratch),
            store=None,
        )
        while (arrivals := source.poll(0.0)) is not None:
            outcome = pipeline.take(arrivals, register)
            dead_letters.write(outcome.rejects)
            if progress:
                progress(pipeline.totals.read, total)
        alerts = pipeline.alerts.alerts()
        write_alerts(out / "alerts.ndjson", alerts)
    summary = summarise(
        pipeline,
        alerts,
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
    )
    (out / "summary.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    )
    return summary
