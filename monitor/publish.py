"""Feed a tape to Kafka, at a chosen multiple of real time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from ingest.events import Topic
from ingest.kafka_client import create_topics, feed_partitions, partition_counts
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer, partition_of
from ingest.tape import Tape, raw_records

WINDOW: Final = 10_000
"""Records between two confirmations: the client library buffers without bound (about 1 kB each)."""
CONFIRM_S: Final = 1.0
"""The same in wall time, at a slow pace: a failure shows within it."""
MAX_WAIT_S: Final = 86_400.0
"""Step of event time that is a wrong clock and not waited for: a day, as in the sequencer."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What was published."""

    orders: int
    trades: int
    partitions: int
    """Partitions of each of the two topics."""
    seconds: float
    """Wall time."""


class Pace:
    """Says how long to wait before each record, so that event time passes at a multiple of real.

    Parameters
    ----------
    speed : float
        Seconds of event time a second; 0 = no waiting.

    Examples
    --------
    At ten times real time, 20 s of events take 2 s, and a clock that falls takes none.

    >>> pace = Pace(10.0)
    >>> pace.due_s(1_000_000_000), pace.due_s(21_000_000_000), pace.due_s(5_000_000_000)
    (0.0, 2.0, 2.0)

    A step of more than a day is a wrong clock.

    >>> pace.due_s(200_000 * 10**9), pace.due_s(200_010 * 10**9), pace.due_s(10**9)
    (2.0, 3.0, 3.0)
    >>> pace.due_s(11 * 10**9)
    4.0
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._last_ns: int | None = None
        self._due_s = 0.0

    def due_s(self, engine_ns: int) -> float:
        """Return when a record is due, in seconds of wall time since the first."""
        if self._speed <= 0:
            return 0.0
        step_s = 0.0 if self._last_ns is None else (engine_ns - self._last_ns) / 1e9
        if -MAX_WAIT_S <= step_s <= 0 and self._last_ns is not None:
            return self._due_s
        if 0 < step_s <= MAX_WAIT_S:
            self._due_s += step_s / self._speed
        self._last_ns = engine_ns
        return self._due_s


def publish_tape(
    tape: Path,
    settings: KafkaSettings,
    *,
    speed: float = 0.0,
    partitions: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Published:
    """Write every record of a tape, byte for byte, to the two topics; return the counts.

    Records go in arrival order, keyed by instrument, by Kafka's default partitioner, so that an
    instrument's orders and trades are in the same partition number. Topics that are missing are
    created, `alerts` and `dead-letter` too. Message timestamps are those of publishing: a broker
    would throw away at once what an old event time made older than its retention.

    Parameters
    ----------
    tape : Path
        Folder of the tape.
    settings : KafkaSettings
        Secrets included.
    speed : float
        Multiple of real time; 0 = as fast as it goes.
    partitions : int
        Of topics that have to be created; those of the feed get the count of one that exists.
    progress : callable, optional
        Called now and again with records published and their total.

    Raises
    ------
    TapeError
        The tape cannot be read.
    SourceError
        The broker cannot be reached or did not take everything; what it took stays.
    """
    total = Tape(tape).record_count() if progress else None
    count = _ready(settings, partitions)
    names = {topic: settings.topic(topic) for topic in Topic}
    producer = Producer(settings, list(names.values()))
    pace, places, sent = Pace(speed), dict[str, int](), Counter[Topic]()
    begun = confirmed_s = clock()
    try:
        for topic, instrument, engine_ns, raw in raw_records(tape):
            wait_s = begun + pace.due_s(engine_ns) - clock() if speed > 0 else 0.0
            now_s = clock() if speed > 0 else confirmed_s
            if (
                producer.unconfirmed >= WINDOW
                or wait_s > CONFIRM_S
                or (now_s - confirmed_s > CONFIRM_S)
            ):
                producer.flush()
                confirmed_s = now_s
                if progress:
                    progress(sent.total(), total)
            if wait_s > 0:
                sleep(wait_s)
            key = instrument.encode()
            place = places.get(instrument)
            if place is None:
                place = places[instrument] = partition_of(key, count)
            producer.send(names[topic], key, raw, place)
            sent[topic] += 1
        producer.flush()
        if progress:
            progress(sent.total(), total)
    finally:
        producer.close()
    return Published(
        orders=sent[Topic.ORDERS],
        trades=sent[Topic.TRADES],
        partitions=count,
        seconds=clock() - begun,
    )


def _ready(settings: KafkaSettings, partitions: int) -> int:
    counts = partition_counts(settings)
    feed = [settings.orders, settings.trades]
    shared = next((counts[name] for name in feed if counts.get(name)), partitions)
    missing: Mapping[str, int] = {
        **dict.fromkeys(feed, shared),
        settings.alerts: 1,
        settings.dead_letter: 1,
    }
    create_topics(settings, {n: c for n, c in missing.items() if not counts.get(n)})
    return feed_partitions(settings, {**missing, **counts})
