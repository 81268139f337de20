"""The outbox's way out: each row is on the alerts topic exactly once, whatever crashes.

A Kafka transaction holds rows and the number of the last of them, committed as the offset of a
consumer group: both are there or neither. That number says what was sent, not the sender's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from ingest.errors import ConfigurationError, SourceError
from ingest.kafka_client import connect, failure, partition_counts, require_topics
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import BATCH_BYTES, CLOSE_S, MAX_RECORD_BYTES

MAX_ROWS: Final = 500
MAX_BYTES: Final = 4_000_000
"""Of one transaction: what has to be sent again when it fails, and stays in memory until then."""
RECORD_OVERHEAD_BYTES: Final = 128
"""Batch header 61, record header at most 36 with its varints; the rest is margin."""
RETRY_MS: Final = 20
"""A broker that is still ending one transaction lets the next one wait so long: a few ms."""
TIMEOUT_FACTOR: Final = 3
"""A transaction waits for records, offset and commit, each for `connect_timeout_s` at most; readers
of committed records wait so long for the transaction of a process that has died."""
FENCED: Final = (errors.ProducerFencedError, errors.InvalidProducerEpochError)
SHARD: Final = re.compile(r"p(0|[1-9]\d*)")


class FencedError(SourceError):
    """A newer relay of the same shard exists, or the broker gave this one up as dead."""


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record that has to leave.

    Attributes
    ----------
    id : int
        From 1; within a shard it rises in the order in which rows were committed.
    key : bytes
        The alert_id.
    value : bytes
        The alert's record.
    """

    id: int
    key: bytes
    value: bytes


class KafkaRelay:
    """Sends the rows of one shard's outbox to the alerts topic, each exactly once, in order.

    Parameters
    ----------
    settings : KafkaSettings
        Secrets included.
    shard : str
        `pN` for partition N of the feed, which must exist at the broker.

    Connects at the first use. Connecting ends what an older relay of the shard has left open and
    fences it: connect only as the owner of the shard. Readers must use
    `isolation.level=read_committed`. State: the rows of one transaction.

    Notes
    -----
    The number reached is the offset of group `GROUP-outbox` at partition N of the orders topic. A
    broker forgets it when nothing was sent for its `offsets.retention.minutes` (7 days unless
    set): a caller must note what was sent, too, and take the greater of the two.
    """

    def __init__(self, settings: KafkaSettings, shard: str) -> None:
        named = SHARD.fullmatch(shard)
        if named is None:
            raise ConfigurationError(f"a shard with an outbox must be named pN, was {shard!r}")
        self._settings = settings
        self._shard = shard
        self._place = TopicPartition(settings.orders, int(named[1]))
        self._group = f"{settings.group}-outbox"
        self._producer: Any = None
        self._reached = 0
        self._fenced = False

    def delivered(self) -> int:
        """Return the highest outbox id that the topic has; 0 where the broker knows of none.

        Raises
        ------
        FencedError
            This relay was fenced before; only a new one may connect.
        SourceError
            The broker does not answer, or a topic or the shard's partition does not exist.
        """
        if self._fenced:
            raise self._fenced_error()
        if self._producer is None:
            self._open()
        return self._reached

    def send(self, rows: Sequence[OutboxRow]) -> int:
        """Deliver rows; return the highest id that the topic then has.

        Rows that the topic has already are passed over. Many rows are several transactions: after
        an error some rows may be there and others not, and the next call knows which.

        Parameters
        ----------
        rows : sequence of OutboxRow
            In rising id; all rows of the shard from the lowest id not yet delivered on.

        Raises
        ------
        FencedError
            Nothing more of this relay arrives, now or later.
        SourceError
            Not all rows are known to have arrived; the next call connects anew.
        ValueError
            Ids do not rise.
        """
        for before, after in pairwise(rows):
            if before.id >= after.id:
                raise ValueError(f"outbox ids must rise, were {before.id} and then {after.id}")
        if not rows:
            return self._reached
        reached = self.delivered()
        pending = [row for row in rows if row.id > reached]
        large = next((n for n, row in enumerate(pending) if size_of(row) > MAX_RECORD_BYTES), None)
        for chunk in chunks(pending[:large]):
            try:
                self._transact(chunk)
            except (KafkaError, ValueError) as error:
                raise self._failed(chunk, error) from error
            self._reached = chunk[-1].id
        if large is not None:
            raise SourceError(
                f"row {pending[large].id} of outbox {self._shard} must be at most "
                f"{MAX_RECORD_BYTES} bytes, was {size_of(pending[large])}; rows before it are sent"
            )
        return self._reached

    def close(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            _close(producer)

    def _open(self) -> None:
        counts = partition_counts(self._settings)
        require_topics(self._settings, [self._settings.alerts, self._settings.orders], counts)
        partitions = counts[self._settings.orders]
        if self._place.partition >= partitions:
            raise SourceError(
                f"shard {self._shard} must be a partition of topic {self._settings.orders} "
                f"at Kafka {self._settings.bootstrap}; it has {partitions}"
            )
        wait_ms = self._wait_ms
        producer = connect(
            KafkaProducer,
            self._settings,
            transactional_id=f"{self._group}-{self._shard}",
            transaction_timeout_ms=wait_ms * TIMEOUT_FACTOR,
            acks="all",
            allow_auto_create_topics=False,
            batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            max_block_ms=wait_ms,
            delivery_timeout_ms=wait_ms,
            request_timeout_ms=max(1, wait_ms - 1),
            retry_backoff_ms=RETRY_MS,
            metrics_enabled=False,
        )
        try:
            producer.init_transactions()
            self._reached = self._committed()
        except (KafkaError, SourceError) as error:
            _close(producer, now=True)
            if isinstance(error, SourceError):
                raise
            raise failure(self._settings, f"opening outbox {self._shard}", error) from error
        self._producer = producer

    def _committed(self) -> int:
        # Only a reader of committed records is told to wait while the offset of a transaction
        # that has just ended is not settled.
        consumer = connect(
            KafkaConsumer,
            self._settings,
            group_id=self._group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            metrics_enabled=False,
        )
        try:
            offset = consumer.committed(self._place, timeout_ms=self._wait_ms)
        finally:
            consumer.close(autocommit=False)
        return 0 if offset is None else int(offset) - 1

    def _transact(self, rows: Sequence[OutboxRow]) -> None:
        producer = self._producer
        manager = producer._transaction_manager
        producer.begin_transaction()
        sent = [producer.send(self._settings.alerts, key=row.key, value=row.value) for row in rows]
        producer.flush(timeout=self._settings.connect_timeout_s)
        # The library commits also where a record's time ran out, without that record.
        for future in sent:
            future.get(timeout=self._settings.connect_timeout_s)
        reached = {self._place: OffsetAndMetadata(rows[-1].id + 1, "", -1)}
        self._settle(manager.send_offsets_to_transaction(reached, self._group), "the offset")
        self._settle(manager.begin_commit(), "the commit")

    def _settle(self, result: Any, what: str) -> None:
        # The producer's own methods for this wait for ever when the broker is away.
        self._producer._sender.wakeup()
        if not result.wait(timeout_ms=self._wait_ms):
            raise errors.KafkaTimeoutError(f"no answer to {what} within {self._wait_ms} ms")

    def _failed(self, rows: Sequence[OutboxRow], error: Exception) -> SourceError:
        producer, self._producer = self._producer, None
        manager = producer._transaction_manager
        if isinstance(error, FENCED) or isinstance(manager.last_error, FENCED):
            self._fenced = True
        else:
            _abort(producer)
        _close(producer, now=True)
        if self._fenced:
            return self._fenced_error()
        doing = f"sending rows {rows[0].id} to {rows[-1].id} of outbox {self._shard}"
        return failure(self._settings, doing, error)

    def _fenced_error(self) -> FencedError:
        return FencedError(
            f"outbox {self._shard} must have one relay at Kafka {self._settings.bootstrap}; "
            "a newer one has taken over, or this one was silent in a transaction for too long"
        )

    @property
    def _wait_ms(self) -> int:
        return max(1, int(self._settings.connect_timeout_s * 1000))


def size_of(row: OutboxRow) -> int:
    """Return the bytes that a row takes on its way, rounded up."""
    return len(row.key) + len(row.value) + RECORD_OVERHEAD_BYTES


def chunks(
    rows: Sequence[OutboxRow], max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES
) -> Iterator[Sequence[OutboxRow]]:
    """Yield rows in pieces, each of at most so many rows and bytes, or of one row.

    Examples
    --------
    >>> rows = [OutboxRow(id=n, key=b"k", value=b"x" * n) for n in (1, 2, 30, 4)]
    >>> [[row.id for row in part] for part in chunks(rows, max_bytes=280)]
    [[1, 2], [30], [4]]
    >>> [len(part) for part in chunks(rows, max_rows=3)]
    [3, 1]
    """
    begin = held = 0
    for index, row in enumerate(rows):
        size = size_of(row)
        if index > begin and (index - begin == max_rows or held + size > max_bytes):
            yield rows[begin:index]
            begin, held = index, 0
        held += size
    if begin < len(rows):
        yield rows[begin:]


def _abort(producer: Any) -> None:
    # Readers need not wait for a transaction that nobody will end. Where this fails, the next
    # connection ends it.
    try:
        result = producer._transaction_manager.begin_abort()
        producer._sender.wakeup()
        result.wait(timeout_ms=int(CLOSE_S * 1000))
    except KafkaError:
        return


def _close(producer: Any, *, now: bool = False) -> None:
    if now:
        producer._sender.force_close()
    try:
        producer.close(timeout=CLOSE_S)
    except KafkaError:
        # The library flushes first, and when that fails leaves its sender running.
        producer._sender.force_close()
