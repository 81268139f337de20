"""What is written to Kafka beside alerts: dead letters, summaries, a tape that is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.partitioner import murmur2

from ingest.dead_letter import encode
from ingest.events import Reject, Topic
from ingest.kafka_client import connect, failure, partition_counts, require_topics
from ingest.kafka_settings import KafkaSettings

MAX_RECORD_BYTES: Final = 1_000_000
"""A little under the broker's own default, 1 MiB with its overhead."""
BATCH_BYTES: Final = 256 * 1024
LINGER_MS: Final = 5
"""Time for a batch to fill: far below the detectors' own time."""
CLOSE_S: Final = 2.0
"""Bounds the stop when the broker is away."""


class Producer:
    """Sends records and says whether they are durable: acknowledged by all in-sync replicas.

    Parameters
    ----------
    settings : KafkaSettings
        Secrets included.
    topics : sequence of str
        Those that it will write to; a missing one is refused by name at the first use.

    Connects at the first use. After a failure it connects anew at the next one, since an
    idempotent producer that has failed may refuse for ever. Retries of the library cannot
    duplicate or reorder a record; a retry after an error raised here can duplicate.

    Notes
    -----
    The client library has no bound on what it buffers: what is sent between two calls of `flush`
    is held in memory.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = topics
        self._producer: Any = None
        self._sent: list[Any] = []

    @property
    def unconfirmed(self) -> int:
        """Records sent since the last flush."""
        return len(self._sent)

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None
    ) -> None:
        """Hand a record over; it is durable once `flush` has returned.

        Raises
        ------
        SourceError
            No broker answers, the topic does not exist, or the record is too large.
        """
        if self._producer is None:
            self._producer = self._connect()
        try:
            future = self._producer.send(topic, value=value, key=key, partition=partition)
        except (KafkaError, ValueError) as error:
            self._drop()
            raise failure(self._settings, f"writing to topic {topic}", error) from error
        self._sent.append(future)

    def flush(self) -> None:
        """Wait until every record sent is durable.

        Raises
        ------
        SourceError
            One of them is not, within `connect_timeout_s` after the broker last took something;
            the first cause is named. Which others are durable is not known.
        """
        if not self._sent:
            return
        sent, self._sent = self._sent, []
        try:
            self._producer.flush(timeout=self._settings.connect_timeout_s * 2)
        except KafkaError as error:
            self._drop()
            raise failure(self._settings, f"writing {len(sent)} records", error) from error
        failed = [future for future in sent if future.failed()]
        if failed:
            self._drop()
            doing = f"writing {len(failed)} of {len(sent)} records"
            raise failure(self._settings, doing, failed[0].exception)

    def close(self) -> None:
        """Close the connection; what was not flushed may be lost."""
        self._drop()

    def _connect(self) -> Any:
        require_topics(self._settings, self._topics, partition_counts(self._settings))
        wait_ms = int(self._settings.connect_timeout_s * 1000)
        return connect(
            KafkaProducer,
            self._settings,
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            batch_size=BATCH_BYTES,
            linger_ms=LINGER_MS,
            max_request_size=MAX_RECORD_BYTES,
            max_block_ms=wait_ms,
            delivery_timeout_ms=wait_ms,
            request_timeout_ms=max(1, wait_ms - LINGER_MS),
            metrics_enabled=False,
        )

    def _drop(self) -> None:
        producer, self._producer, self._sent = self._producer, None, []
        if producer is None:
            return
        try:
            producer.close(timeout=CLOSE_S)
        except KafkaError:
            # The library flushes first, and when that fails leaves its sender running.
            producer._sender.force_close()


class DeadLetterSink:
    """The dead-letter topic: value = a `DeadLetter`, key = TOPIC/PARTITION@OFFSET.

    At least once; the key tells repeats.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._names = {topic: settings.topic(topic) for topic in Topic}
        self._producer = Producer(settings, [settings.dead_letter])

    def write(self, rejects: Sequence[Reject]) -> None:
        """Deliver rejects; return once they are durable there.

        A record that with its reason is too large for the topic goes without its bytes: they
        are at the position that the letter names.

        Raises
        ------
        SourceError
            Not all of them are durable.
        """
        for reject in rejects:
            key = f"{self._names[reject.topic]}/{reject.partition}@{reject.offset}"
            value = encode(reject, self._names)
            if len(value) > MAX_RECORD_BYTES // 2:
                value = encode(msgspec.structs.replace(reject, raw=b""), self._names)
            self._producer.send(self._settings.dead_letter, key.encode(), value)
        self._producer.flush()

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's own default partitioner gives a key.

    Examples
    --------
    >>> partition_of(b"BTC-USD", 1), partition_of(b"BTC-USD", 4), partition_of(b"ETH-USD", 4)
    (0, 1, 0)
    """
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
