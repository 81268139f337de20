"""Replay: a tape through the pipeline as fast as it goes, into alerts.ndjson and summary.json."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import msgspec

from alerts.output import write_alerts
from alerts.window import STATE
from ingest.dead_letter import DeadLetterFile
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import read_register
from ingest.state import Sections, decode, unpack
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import Config
from monitor.deal import deal
from monitor.summary import Summary, summarise
from monitor.terminal import ProgressCall


def _state(tape: Path) -> Sections | None:
    path = tape / STATE
    return decode(path.read_bytes(), path.name) if path.is_file() else None


def _as_tape(state: Sections, instruments: Instruments) -> Sections:
    """Return a shard's state as that of a tape's one partition, over the tape's instruments."""
    dealt = deal([state], instruments, partition_of=lambda _: 0, partitions=1)
    return dealt[0]


def replay(
    tape: Path, out: Path, config: Config, *, progress: ProgressCall | None = None
) -> Summary:
    """Run a tape through the pipeline and return what it came to.

    A window of the archive that begins in mid-stream carries the state of then (`state.ckpt`) and
    goes on from it, with the detectors of instrument scope; alerts that were open there are told
    whole.

    Writes `alerts.ndjson`, `summary.json` and `dead-letter.ndjson` into `out`, which is created.
    State lives in memory and in a temporary archive: a replay leaves nothing else behind.

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    SnapshotError
        Its state is damaged, or of another version of a detector.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    state = _state(tape)
    names = Names(unpack(state["names"]["known"], list[str]) if state else ())
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
            shard="window" if state else "tape",
        )
        if state:
            pipeline.restore(_as_tape(state, source.instruments))
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
