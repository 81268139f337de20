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
from ingest.tape import Tape, TapeSource
from ingest.terms import Disclosure
from monitor.assembly import build_sequencer
from monitor.config import Config
from monitor.tape_pass import polled
from monitor.terminal import ProgressCall


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
    sequencer = build_sequencer(config, source.instruments)
    books = Books(source.instruments)
    params = config.detectors[UnequalAccess.spec.id]
    assert isinstance(params, UnequalAccessParams)  # noqa: S101 - the configuration's promise
    detector = UnequalAccess(params, source.instruments)
    for arrivals in polled(source, tape, progress):
        released = sequencer.push(register.tag(arrivals.batch), arrivals.idle)
        enriched = books.apply(released.batch)
        enriched.terms, enriched.parties = register.terms, register.parties
        detector.step(enriched)
    return detector.measured(), unread(register.terms, register.parties)
