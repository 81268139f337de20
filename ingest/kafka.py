"""The live feed: both topics of Kafka, read by a consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    CommitFailedError,
    KafkaError,
    RebalanceInProgressError,
    RetriableError,
)
from kafka.structs import OffsetAndMetadata

from ingest.errors import SourceError
from ingest.events import Array, Reject, Topic, concatenate
from ingest.kafka_client import connect, failure, feed_partitions, partition_counts
from ingest.kafka_group import Membership, mend
from ingest.kafka_progress import Progress
from ingest.kafka_settings import KafkaSettings, from_environment
from ingest.source import Arrivals, Position, Reassigned

__all__ = ["KafkaSettings", "KafkaSource", "Reassigned", "from_environment"]

_log = structlog.get_logger()

FETCH_BYTES: Final = 4 * 1024 * 1024
"""Fetched at once from a partition at most: about 12,000 records of 350 B."""
FETCH_WAIT_MS: Final = 50
"""How long the broker may hold back the answer to a fetch that finds nothing: any other question
on that connection waits behind it."""
ANSWER_MS: Final = 1_000
"""How long the loop waits for the broker to say where a partition ends; then it uses what it
knows. Bounds the stall of a loop that must go on answering health checks."""
LAG_AGE_S: Final = 1.0
"""How old the known ends may be before `lag` asks for them again."""
LAG_AGAIN_S: Final = 10.0
"""The same after the broker did not answer, so that waiting for it takes little of the loop."""
CLOSE_MS: Final = 3_000
"""Bounds the stop when the broker is away."""


class Decodes(Protocol):
    """What turns records into columns: `ingest.decode.Decoder`."""

    def decode(
        self, topic: Topic, values: Sequence[bytes], partition: int | Array, offsets: Array
    ) -> Arrivals:
        """Return the rows and rejects of records of one topic."""


class KafkaSource:
    """A feed of two topics, read as a member of a consumer group.

    Partitions are shared out by range, so the same partition number of both topics comes to one
    worker. Offsets are committed only by `commit`. Where the group has none, reading starts at the
    earliest record. Records of aborted transactions are not read.

    A partition that was just assigned is not read before the next `poll`: in between,
    `reassigned()` tells of it and `seek` may move it to a checkpoint.

    Parameters
    ----------
    settings : KafkaSettings
        Secrets included (`from_environment`).
    decoder : Decoder
        Bytes to columns.
    clock : callable
        Monotonic seconds: idle time and age of what is known of a partition's end.

    Raises
    ------
    SourceError
        No broker answers within `connect_timeout_s`, it refuses the login, a topic is missing, or
        the topics differ in their partition count.

    Notes
    -----
    One thread only. State: a few numbers a partition, and what the client library has fetched
    ahead, at most `FETCH_BYTES` a partition (once parsed, some four times that).
    """

    def __init__(
        self,
        settings: KafkaSettings,
        decoder: Decodes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._decoder = decoder
        self._clock = clock
        self.partitions = feed_partitions(settings, partition_counts(settings))
        """Partitions of each topic, as they were when the source was opened."""
        self._topics = {settings.topic(topic): topic for topic in Topic}
        self._consumer = connect(
            KafkaConsumer,
            settings,
            group_id=settings.group,
            # With more partitions it is another member: one that is known gets what it had.
            group_instance_id=f"{settings.member}-{self.partitions}" if settings.member else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            allow_auto_create_topics=False,
            partition_assignment_strategy=[RangePartitionAssignor],
            max_poll_records=settings.max_poll_records,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metrics_enabled=False,
            **settings.session,
        )
        every = [(topic, number) for topic in Topic for number in range(self.partitions)]
        self._progress = Progress(settings.idle_s, settings.max_ahead_s)
        try:
            ends = self._consumer.end_offsets([self._tp(position) for position in every])
        except KafkaError as error:
            self.close()
            raise failure(settings, "reading the topics' ends", error) from error
        self._progress.learn(self._positions(ends))
        self._opened_at = dict(self._progress.ends)
        self._wanted: dict[Position, int] = {}
        self._news = Reassigned()
        self._group = Membership(self._consumer)
        self._consumer.subscribe(list(self._topics), listener=self._group)
        self._ask_again_s = clock() + LAG_AGE_S

    def poll(self, timeout_s: float) -> Arrivals | None:
        """Return what has arrived, or None when nothing came within the time.

        When a partition becomes idle and nothing came, the arrivals are empty but for `idle`.

        Raises
        ------
        SourceError
            What no further try can mend: a lost authorisation, another worker with the same
            static member id, a changed partition count. A broker that is away is none of these.
        """
        self._group.begin()
        self._hold_back()
        mend(self._consumer)
        try:
            fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
        except RetriableError as error:
            _log.warning("kafka poll failed, trying again", error=str(error).partition("\n")[0])
            return None
        except KafkaError as error:
            raise failure(self._settings, "reading the feed", error) from error
        self._take_news()
        arrivals = self._decode(fetched)
        moved = self._update(arrivals, fetched)
        if fetched:
            return msgspec.structs.replace(arrivals, idle=self._progress.idle)
        return self._nothing() if moved and self._progress.idle else None

    def reassigned(self) -> Reassigned | None:
        """Return what the group moved since the last call, once; None when nothing did."""
        news = self._news
        self._news = Reassigned()
        return news if news.revoked or news.assigned else None

    def give_up(self, partition: int) -> None:
        """Ask the group for a partition anew: another worker has shown that it owns its state."""
        self._group.give_up([self._tp((topic, partition)) for topic in Topic])

    @property
    def drained(self) -> bool:
        """Whether everything that stood in the assigned partitions at the start has been polled."""
        at = self._progress.at
        mine = self._group.held
        return bool(mine) and all(
            at.get(position, -1) >= self._opened_at[position] for position in map(self._of, mine)
        )

    def positions(self) -> Mapping[Position, int]:
        """Return the next offset to be polled, for each assigned partition that is known."""
        return dict(self._progress.at)

    def seek(self, positions: Mapping[Position, int]) -> None:
        """Continue from given offsets; of partitions not assigned yet, once they are.

        Raises
        ------
        SourceError
            A partition does not exist, or ends before the offset: the positions are of another
            feed. Offsets that have expired only cost a warning: the records are gone.
        """
        for position in positions:
            if position not in self._opened_at:
                raise SourceError(
                    f"position must be one of {self.partitions} partitions, was "
                    f"{self._name(position)}; the number of partitions may not change"
                )
        held = {self._of(tp) for tp in self._group.held}
        self._wanted.update({at: offset for at, offset in positions.items() if at not in held})
        self._go({at: offset for at, offset in positions.items() if at in held})

    def lag(self) -> Mapping[Position, int]:
        """Return how many records wait behind each position.

        The ends are at most 1 s old; while the broker does not answer, older.
        """
        if self._clock() >= self._ask_again_s:
            answered = self._ask(self._progress.at)
            self._ask_again_s = self._clock() + (LAG_AGE_S if answered else LAG_AGAIN_S)
        return self._progress.lag()

    def commit(self, positions: Mapping[Position, int]) -> bool:
        """Tell the group how far this worker is; return whether the group took it.

        It does not when partitions have moved on meanwhile, or when the broker is away: the
        records are then read again, by whoever has them.

        Raises
        ------
        SourceError
            The worker may not commit, or another has its static member id.
        """
        mine = {
            self._tp(position): OffsetAndMetadata(offset, "", -1)
            for position, offset in positions.items()
            if self._tp(position) in self._group.held
        }
        if not mine:
            return False
        try:
            self._consumer.commit(mine, timeout_ms=int(self._settings.connect_timeout_s * 1000))
        except (CommitFailedError, RebalanceInProgressError, RetriableError) as error:
            _log.warning("kafka commit refused", error=str(error).partition("\n")[0])
            return False
        except KafkaError as error:
            raise failure(self._settings, "committing offsets", error) from error
        return True

    def close(self) -> None:
        """Leave the group (a static member stays in it until its session ends)."""
        self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _hold_back(self) -> None:
        hold, go = self._progress.balance()
        held = self._group.held
        self._consumer.pause(*(tp for tp in map(self._tp, hold) if tp in held))
        self._consumer.resume(*(tp for tp in map(self._tp, go) if tp in held))

    def _take_news(self) -> None:
        for revoked, assigned in self._group.take():
            lost = tuple(sorted(map(self._of, revoked)))
            won = tuple(sorted(map(self._of, assigned)))
            self._progress.forget(lost)
            self._check_partitions()
            self._news = Reassigned(
                revoked=(*self._news.revoked, *lost),
                assigned=(*(p for p in self._news.assigned if p not in lost), *won),
            )
            self._go({at: self._wanted.pop(at) for at in won if at in self._wanted})

    def _check_partitions(self) -> None:
        for name in self._topics:
            found = len(self._consumer.partitions_for_topic(name))
            if found != self.partitions:
                raise SourceError(
                    f"topic {name} must keep its {self.partitions} partitions; found {found}: "
                    "stop all workers and move the state before adding any"
                )

    def _go(self, positions: Mapping[Position, int]) -> None:
        if not positions:
            return
        asked = [self._tp(position) for position in positions]
        try:
            starts = self._positions(self._consumer.beginning_offsets(asked))
            ends = self._positions(self._consumer.end_offsets(asked))
        except KafkaError as error:
            raise failure(self._settings, "seeking", error) from error
        for position, offset in positions.items():
            if offset > ends[position]:
                raise SourceError(
                    f"{self._name(position)} must reach offset {offset}, where reading stopped; "
                    f"found its end at {ends[position]}: this is not the feed of the checkpoint"
                )
            if offset < starts[position]:
                _log.warning(
                    "records expired before they were read",
                    position=self._name(position),
                    wanted=offset,
                    first=starts[position],
                )
            self._consumer.seek(self._tp(position), max(offset, starts[position]))
            self._progress.move(position, max(offset, starts[position]))

    def _decode(self, fetched: Mapping[TopicPartition, Sequence[Any]]) -> Arrivals:
        parts: list[Arrivals] = []
        empty: list[Reject] = []
        for name, topic in self._topics.items():
            found = [fetched[tp] for tp in sorted(fetched) if tp.topic == name]
            records = [record for record in chain(*found) if record.value is not None]
            empty += (_tombstone(topic, r) for r in chain(*found) if r.value is None)
            if records:
                parts.append(
                    self._decoder.decode(
                        topic,
                        [record.value for record in records],
                        np.array([record.partition for record in records], np.int32),
                        np.array([record.offset for record in records], np.int64),
                    )
                )
        parts = parts or [self._nothing()]
        return Arrivals(
            batch=concatenate([part.batch for part in parts]),
            rejects=(*chain.from_iterable(part.rejects for part in parts), *empty),
            unknown_fields=sum(part.unknown_fields for part in parts),
        )

    def _nothing(self) -> Arrivals:
        nothing = self._decoder.decode(Topic.ORDERS, [], 0, np.empty(0, np.int64))
        return msgspec.structs.replace(nothing, idle=self._progress.idle)

    def _update(self, arrivals: Arrivals, fetched: Mapping[TopicPartition, Any]) -> bool:
        progress, now = self._progress, self._clock()
        known = self._consumer._subscription
        for tp in self._group.held:
            # Asked rather than reckoned from the last record, because markers of transactions
            # take up offsets too. Past the public `position`, which waits for a broker that is
            # away, or, told not to wait, cuts short what `poll` has begun.
            place = known.position(tp) if known.is_assigned(tp) else None
            if place is not None:
                progress.move(self._of(tp), place.offset)
                progress.learn({self._of(tp): known.assignment[tp].highwater or 0})
        progress.note_times(arrivals.batch)
        candidates = progress.candidates(frozenset(map(self._of, fetched)), now)
        if fetched or candidates:
            # Asked after the records came: a record of another partition that was written before
            # them is then seen, so what is called idle has nothing that belongs before them.
            self._ask((*candidates, *sorted(progress.idle)))
        return progress.settle(candidates)

    def _ask(self, positions: Iterable[Position]) -> bool:
        asked = [self._tp(position) for position in positions]
        if not asked:
            return True
        try:
            ends = self._consumer.end_offsets(asked, timeout_ms=ANSWER_MS)
        except KafkaError:
            self._progress.unsure(map(self._of, asked))
            return False
        self._progress.learn(self._positions(ends))
        return True

    def _tp(self, position: Position) -> TopicPartition:
        return TopicPartition(self._settings.topic(position[0]), position[1])

    def _of(self, tp: TopicPartition) -> Position:
        return self._topics[tp.topic], tp.partition

    def _positions(self, offsets: Mapping[TopicPartition, int]) -> dict[Position, int]:
        return {self._of(tp): offset for tp, offset in offsets.items()}

    def _name(self, position: Position) -> str:
        return f"{self._settings.topic(position[0])}/{position[1]}"


def _tombstone(topic: Topic, record: Any) -> Reject:
    where = f"{record.topic}/{record.partition}@{record.offset}"
    return Reject(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        reason="not_json",
        detail=f"record must be a JSON object, was a tombstone without a value ({where})",
        raw=b"",
    )
