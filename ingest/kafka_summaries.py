"""The summaries topic: one partition that all workers write and one of them reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, RetriableError
from kafka.structs import OffsetAndMetadata

from ingest.errors import SourceError
from ingest.kafka_client import connect, create_topics, failure, partition_counts
from ingest.kafka_group import Membership, mend
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer

JOIN_S: Final = 0.05
"""How long a poll takes at least while the group has not answered: joining is done in polls."""


def ensure_summaries_topic(settings: KafkaSettings) -> None:
    """Create the summaries topic where it is absent; it belongs to Ringfence alone.

    Raises
    ------
    SourceError
        It has more than one partition: its order is what makes platform scope repeatable.
    """
    if not partition_counts(settings).get(settings.summaries):
        create_topics(settings, {settings.summaries: 1})
    found = partition_counts(settings).get(settings.summaries, 0)
    if found != 1:
        raise SourceError(
            f"topic {settings.summaries} must have one partition, found {found} at Kafka "
            f"{settings.bootstrap}"
        )


class SummarySink:
    """Where a worker sends its summaries; at least once, the reader drops repeats."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.summaries
        self._producer = Producer(settings, [settings.summaries])

    def send(self, shard: str, messages: Sequence[bytes]) -> None:
        """Deliver messages of a shard, in order; return once they are durable.

        Raises
        ------
        SourceError
            Not all of them are.
        """
        for message in messages:
            self._producer.send(self._topic, shard.encode(), message)
        self._producer.flush()

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()


class SummaryFeed:
    """Reads the summaries topic as a member of a group of its own: one worker gets it.

    Parameters
    ----------
    settings : KafkaSettings
        Secrets included.

    Raises
    ------
    SourceError
        No broker answers, or the topic is missing.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._tp = TopicPartition(settings.summaries, 0)
        self._consumer: Any = connect(
            KafkaConsumer,
            settings,
            group_id=f"{settings.group}-platform",
            group_instance_id=settings.member or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            max_poll_records=settings.max_poll_records,
            metrics_enabled=False,
            **settings.session,
        )
        self._group = Membership(self._consumer)
        self._consumer.subscribe([settings.summaries], listener=self._group)
        self._end = 0
        self.at = 0
        """Next offset to be polled."""

    @property
    def owned(self) -> bool:
        """Whether the topic is this worker's to read."""
        return bool(self._group.held)

    def moved(self) -> bool:
        """Return whether ownership came or went since the last call, once."""
        return bool(self._group.take())

    def seek(self, offset: int) -> None:
        """Continue from an offset.

        Raises
        ------
        SourceError
            Records from there on have expired, or the topic ends before it.
        """
        try:
            first = self._consumer.beginning_offsets([self._tp])[self._tp]
            self._end = self._consumer.end_offsets([self._tp])[self._tp]
        except KafkaError as error:
            raise failure(self._settings, "seeking", error) from error
        if not first <= offset <= self._end:
            raise SourceError(
                f"{self._settings.summaries}/0 must hold offset {offset}, where reading stopped; "
                f"found {first} to {self._end}"
            )
        self._consumer.seek(self._tp, offset)
        self.at = offset

    def poll(self, timeout_s: float) -> Sequence[tuple[int, bytes]]:
        """Return (offset, message) pairs that have arrived; none while another worker reads.

        Raises
        ------
        SourceError
            What no further try can mend.
        """
        self._group.begin()
        mend(self._consumer)
        wait_s = timeout_s if self._group.joined else max(timeout_s, JOIN_S)
        try:
            fetched = self._consumer.poll(timeout_ms=int(wait_s * 1000))
        except RetriableError:
            return ()
        except KafkaError as error:
            raise failure(self._settings, "reading summaries", error) from error
        records = [record for batch in fetched.values() for record in batch]
        if records:
            self.at = records[-1].offset + 1
        return [(record.offset, record.value or b"") for record in records]

    def lag(self) -> int:
        """Return how many messages wait, as far as is known."""
        state = self._consumer._subscription.assignment.get(self._tp)
        if state is not None:
            self._end = max(self._end, state.highwater or 0)
        return max(0, self._end - self.at) if self.owned else 0

    def left(self) -> str:
        """Return what is left to be polled; empty when nothing is, or it is another worker's."""
        if not self.owned:
            return "" if self._group.joined else "the group of the summaries"
        try:
            self._end = self._consumer.end_offsets([self._tp], timeout_ms=1_000)[self._tp]
        except KafkaError as error:
            return f"the end of the summaries ({str(error).partition(chr(10))[0]})"
        return "" if self.at >= self._end else f"summaries {self.at} to {self._end}"

    def commit(self, offset: int) -> None:
        """Tell the group how far this worker is: shown as the group's lag, never read."""
        try:
            self._consumer.commit({self._tp: OffsetAndMetadata(offset, "", -1)}, timeout_ms=1_000)
        except KafkaError:
            return

    def give_up(self) -> None:
        """Ask the group for the topic anew."""
        self._group.give_up([self._tp])

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close(autocommit=False, timeout_ms=3_000)
