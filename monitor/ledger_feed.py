"""A tape as the ledgers read it: tagged, in order, and with its books."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alerts.window import STATE
from detectors.book import Books
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.state import Sections, decode, unpack
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_sequencer
from monitor.config import Config
from monitor.deal import deal
from monitor.tape_pass import polled
from monitor.terminal import ProgressCall


class Feed:
    """One pass over a tape.

    Parameters
    ----------
    tape : Path
    config : Config
        Bounds of the sequencer, as when the alerts were made.

    Raises
    ------
    TapeError, RegistryError
        The tape or its tables cannot be read.
    """

    def __init__(self, tape: Path, config: Config) -> None:
        path = tape / STATE
        state = decode(path.read_bytes(), path.name) if path.is_file() else None
        self.names = Names(unpack(state["names"]["known"], list[str]) if state else ())
        self._source = TapeSource(tape, self.names, batch_rows=config.service.batch_rows)
        self.instruments: Instruments = self._source.instruments
        self.register: Register = read_register(Tape(tape).accounts_path, self.names)
        self._sequencer = build_sequencer(config, self.instruments)
        self.books = Books(self.instruments)
        """As they stand before the batch that was yielded last."""
        self._tape = tape
        if state is not None:
            self._restore(state)

    def _restore(self, state: Sections) -> None:
        sections = deal([state], self.instruments, partition_of=lambda _: 0, partitions=1)[0]
        self._sequencer.restore(sections["sequencer"])
        self.books.restore(sections["book"])

    def batches(self, progress: ProgressCall | None = None) -> Iterator[Batch]:
        """Yield what is released, each instrument's rows together and in order of seq.

        The caller applies `books` to each batch, or to none.
        """
        for arrivals in polled(self._source, self._tape, progress):
            yield self._sequencer.push(self.register.tag(arrivals.batch), arrivals.idle).batch
