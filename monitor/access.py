"""A tape's access, measured by `unequal_access` as it runs in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectors.access_measured import Measured
from detectors.access_params import UnequalAccessParams
from detectors.access_terms import unread
from detectors.book import Books
from detectors.unequal_access import UnequalAccess
from ingest.names import Names
from ingest.register import read_register
from ingest.sequence import Sequencer
from ingest.tape import Tape, TapeSource
from ingest.terms import Disclosure
from monitor.config import Config
from monitor.terminal import ProgressCall

SECOND_NS = 1_000_000_000


def access_of(
    tape: Path, config: Config, *, progress: ProgressCall | None = None
) -> tuple[Sequence[Measured], Sequence[Disclosure]]:
    """Return what was measured by the end of a tape, and the disclosures not compared with.

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    """
    names = Names()
    source = TapeSource(tape, names, batch_rows=config.service.batch_rows)
    register = read_register(Tape(tape).accounts_path, names)
    sequencer = Sequencer(
        source.instruments,
        gap_timeout_ns=int(config.sequence.gap_timeout_s * SECOND_NS),
        max_pending=config.sequence.max_pending_events,
        max_clock_jump_ns=int(config.sequence.max_clock_jump_s * SECOND_NS),
        lateness_ns=int(config.sequence.lateness_s * SECOND_NS),
    )
    books = Books(source.instruments)
    params = config.detectors[UnequalAccess.spec.id]
    assert isinstance(params, UnequalAccessParams)  # noqa: S101 - the configuration's promise
    detector = UnequalAccess(params, source.instruments)
    total = Tape(tape).record_count() if progress else None
    read = 0
    while (arrivals := source.poll(0.0)) is not None:
        released = sequencer.push(register.tag(arrivals.batch), arrivals.idle)
        enriched = books.apply(released.batch)
        enriched.terms, enriched.parties = register.terms, register.parties
        detector.step(enriched)
        read += len(arrivals.batch) + len(arrivals.rejects)
        if progress:
            progress(read, total)
    return detector.measured(), unread(register.terms, register.parties)
