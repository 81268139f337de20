"""A tape archived as a worker does it: through the whole pipeline, flushed often."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alerts.record import Alert
from alerts.store import AlertStore
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import default_config
from tests.support.stored import save


def venue_with_archive(tape: Path, folder: Path) -> Path:
    """Fill a folder with a configuration, an archive and a store with the tape's alerts.

    The register is a copy of the tape's, so that it can be changed.
    """
    (folder / "ringfence.toml").write_text(
        '[alerts]\nstore_url = "sqlite:///alerts.sqlite"\narchive = "archive"\n'
        f'[registry]\naccounts = "accounts.csv"\ninstruments = "{tape / "instruments.csv"}"\n'
    )
    (folder / "accounts.csv").write_bytes((tape / "accounts.csv").read_bytes())
    instruments, _, alerts = archive_tape(tape, folder / "archive")
    store = AlertStore(f"sqlite:///{folder}/alerts.sqlite")
    store.migrate()
    store.save_instruments(instruments)
    save(store, alerts)
    store.close()
    return folder


def archive_tape(tape: Path, folder: Path) -> tuple[Instruments, Register, Sequence[Alert]]:
    """Fill an archive's folder from a tape; return the tape's tables and the alerts found."""
    names = Names()
    source = TapeSource(tape, names, batch_rows=997)
    register = read_register(Tape(tape).accounts_path, names)
    pipeline = build_pipeline(
        default_config(folder),
        instruments=source.instruments,
        names=names,
        topic_names=source.topic_names,
        archive_dir=folder,
        store=None,
    )
    while (arrivals := source.poll(0.0)) is not None:
        pipeline.take(arrivals, register)
        pipeline.archive.flush()
    pipeline.archive.close()
    return source.instruments, register, pipeline.alerts.alerts()
