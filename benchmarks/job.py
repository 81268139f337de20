"""What a benchmark works on: a simulated tape, cut as the rooms of the pipeline get it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from detectors.book import Books
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.sequence import Sequencer
from ingest.source import Arrivals
from ingest.tape import Tape, TapeSource
from market.assembly import Settings
from market.simulate import simulate
from tests.support.venue import random_tape

HOUR_EVENTS = 380_000
PART_EVENTS = 100_000
MARKET_HOURS = 0.5
MARKET_INSTRUMENTS = 4
MARKET_SEED = 248
"""A seed for setting: nothing is found out about detectors here."""
SIZES = (10_000, 1_000)
LATENESS_NS = 30_000_000_000
"""The service's default."""


def sizes_within(events: int) -> list[int]:
    """Return the sizes of batch that fit in so many events."""
    return [size for size in SIZES if size <= events] or [events]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """The tape, how much of it one part is measured on, and how often."""

    tape: str
    """Its folder."""
    market: str = ""
    """Folder of a simulated market's tape, on which detectors are measured too; "" = they are not.
    """
    events: int = PART_EVENTS
    market_events: int = 3 * PART_EVENTS
    """Of the market's tape: long enough for what detectors do once in minutes to be in it."""
    repeats: int = 5

    def sizes(self) -> list[int]:
        """Return the sizes of batch that fit in the events."""
        return sizes_within(self.events)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """The first events of the tape in batches, before and after each room."""

    instruments: Instruments
    register: Register
    arrivals: list[Arrivals]
    tagged: list[Batch]
    released: list[Batch]
    enriched: list[Batch]

    @property
    def events(self) -> int:
        """Events that arrived."""
        return sum(len(each.batch) for each in self.arrivals)


def write_tape(folder: Path, events: int = HOUR_EVENTS, *, seed: int = 42) -> Path:
    """Write a simulated tape: 30 instruments, 200 clients, about an hour for the default length.

    A self-trade, a wrong tag or an order passed over comes about once in 300 events, far more often
    than on a venue, so that the cost of findings is in every figure.
    """
    return random_tape(seed, events, instruments=30, accounts=200).write(folder)


def sequencer(instruments: Instruments) -> Sequencer:
    """Return a sequencer as the service has it."""
    return Sequencer(instruments, lateness_ns=LATENESS_NS)


def write_market(folder: Path, hours: float = MARKET_HOURS) -> Path:
    """Write a simulated market's tape without abuse: four instruments of fifty records a second.

    As dense as a market is, and as seldom odd: makers re-quote, clients trade, nothing is wrong.
    """
    settings = Settings(seed=MARKET_SEED, hours=hours, instruments=MARKET_INSTRUMENTS)
    simulate(folder, settings)
    return folder


def cut(job: Job, size: int) -> Cut:
    """Return the job's events in batches of a size, run through the rooms once."""
    return cut_of(Path(job.tape), job.events, size)


def cut_of(tape: Path, events: int, size: int) -> Cut:
    """Return a tape's first events in batches of a size, run through the rooms once."""
    names = Names()
    source = TapeSource(tape, names, batch_rows=size)
    register = read_register(Tape(tape).accounts_path, names)
    made = Cut(
        instruments=source.instruments,
        register=register,
        arrivals=list(_some(source, events)),
        tagged=[],
        released=[],
        enriched=[],
    )
    order, books = sequencer(source.instruments), Books(source.instruments)
    for arrivals in made.arrivals:
        made.tagged.append(register.tag(arrivals.batch))
        made.released.append(order.push(made.tagged[-1], arrivals.idle).batch)
        made.enriched.append(books.apply(made.released[-1]))
    return made


def anew(batches: list[Batch]) -> list[Batch]:
    """Return the same batches with nothing remembered of an earlier use."""
    return [batch.with_columns({}) for batch in batches]


def _some(source: TapeSource, events: int) -> Iterator[Arrivals]:
    while events > 0 and (arrivals := source.poll(0.0)) is not None:
        events -= len(arrivals.batch)
        yield arrivals
