"""Membership of a consumer group: which partitions came and went."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Set
from typing import Any

from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the group gives and takes, and stops new partitions until they are begun.

    Called by the client library on its own thread: every attribute is replaced whole, never
    changed, and news goes through a queue.
    """

    def __init__(self, consumer: Any) -> None:
        self.held: frozenset[TopicPartition] = frozenset()
        """What is assigned to this worker."""
        self.joined = False
        """Whether the group has said what is this worker's, be it nothing."""
        self._consumer = consumer
        self._changes: deque[tuple[Set[TopicPartition], Set[TopicPartition]]] = deque()
        self._told: frozenset[TopicPartition] = frozenset()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Do nothing yet: which of them stay is known when the new assignment comes."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take the whole new assignment; what was held before goes on where it was."""
        now = frozenset(assigned)
        won, lost = now - self.held, self.held - now
        self._consumer.pause(*won)
        self.held = now
        self.joined = True
        if won or lost:
            self._changes.append((lost, won))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Give up what the group has taken away without asking."""
        self.joined = False
        gone = self.held & frozenset(lost)
        self.held -= gone
        if gone:
            self._changes.append((gone, frozenset()))

    def give_up(self, lost: Iterable[TopicPartition]) -> None:
        """Ask the group for partitions anew, as if they had been lost: they come back as won."""
        self.on_partitions_lost(lost)
        self._consumer._coordinator.request_rejoin()

    def take(self) -> list[tuple[Set[TopicPartition], Set[TopicPartition]]]:
        """Return (lost, won) of each change since the last call, in order."""
        changes = [self._changes.popleft() for _ in range(len(self._changes))]
        self._told = self._told.union(*(won for _, won in changes))
        return changes

    def begin(self) -> None:
        """Let the new partitions be read that `take` has told of."""
        self._consumer.resume(*(self._told & self.held))
        self._told = frozenset()


class Joining:
    """A join that the group is asked for: not done until its answer has been taken.

    It stands where the library keeps the future of the join, and is awaited in its place.
    """

    is_done = False

    def __init__(self, future: Any) -> None:
        self._future = future
        self.taken = False
        """Whether an answer was there when it was asked for."""

    def add_callback(self, call: Callable[[Any], None]) -> None:
        """Call when the join succeeds, at once when it has."""
        self.taken |= self._future.is_done
        self._future.add_callback(call)

    def add_errback(self, call: Callable[[BaseException], None]) -> None:
        """Call when the join fails, at once when it has."""
        self._future.add_errback(call)

    def __await__(self) -> Any:
        self.taken |= self._future.is_done
        return self._future.__await__()


def mend(consumer: Any) -> None:
    """Step over three faults of kafka-python 3.0.12, each of which stops the feed for ever.

    To be called before each poll, on the same thread. It does nothing where there is no fault.
    """
    # What was parsed of a resumed partition is taken up again only when no partition is in hand,
    # and an emptied one stays in hand: the parked records, and all behind them, never come.
    fetcher = consumer._fetcher
    if fetcher._next_partition_records is not None and not fetcher._next_partition_records:
        fetcher._next_partition_records = None
    # A rejoin that changed metadata began is forgotten when a poll times out before its answer:
    # the partitions stay marked as revoked, with no heartbeat. A join once begun is seen through.
    coordinator = consumer._coordinator
    if coordinator.rejoining:
        coordinator.request_rejoin()
    # An answer to a join that comes between two polls is thrown away and a new join begun: polls
    # that do not wait never see one, and each new join makes all other members join again.
    join = coordinator._join_task
    if isinstance(join, Joining):
        if join.taken:  # and it was an error: else the library has let go of it
            coordinator._join_task = None
    elif join is not None:
        coordinator._join_task = Joining(join)
