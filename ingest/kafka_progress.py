"""How far a Kafka feed has been read: ends, lag, idleness, and which topic runs ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import numpy as np

from ingest.events import Batch, Topic
from ingest.source import Position

_OTHER = {Topic.ORDERS: Topic.TRADES, Topic.TRADES: Topic.ORDERS}


class Progress:
    """Positions of the assigned partitions, and what follows from them.

    Parameters
    ----------
    idle_s : float
        Time without a record, s, after which a caught-up partition is a candidate for idleness.
    max_ahead_s : float
        Event time, s, by which a partition may be read ahead of the same one of the other topic
        while that one has records waiting.

    Notes
    -----
    State: a few numbers a partition. The clock is an argument (monotonic seconds).

    Examples
    --------
    A caught-up partition is idle once the time has passed and its end was looked at again.

    >>> progress, orders = Progress(5.0, 10.0), (Topic.ORDERS, 0)
    >>> progress.learn({orders: 7}); progress.move(orders, 7)
    >>> progress.candidates(frozenset(), 0.0), progress.candidates(frozenset(), 4.9)
    ([], [])
    >>> progress.settle(progress.candidates(frozenset(), 5.0)), orders in progress.idle
    (True, True)

    One more record behind it, and it is not.

    >>> progress.learn({orders: 8})
    >>> progress.candidates(frozenset(), 11.0), progress.idle, progress.lag()[orders]
    ([], frozenset(), 1)
    """

    def __init__(self, idle_s: float, max_ahead_s: float) -> None:
        self.at: dict[Position, int] = {}
        """Next offset to be polled, of each assigned partition."""
        self.ends: dict[Position, int] = {}
        """Highest end offset heard of, of every partition of the feed."""
        self.idle: frozenset[Position] = frozenset()
        self._idle_s = idle_s
        self._max_ahead_ns = int(max_ahead_s * 1e9)
        self._still_since: dict[Position, float] = {}
        self._event_ns: dict[Position, int] = {}
        self._held: frozenset[Position] = frozenset()

    def move(self, position: Position, offset: int) -> None:
        """Note the next offset to be polled."""
        self.at[position] = offset

    def learn(self, ends: Mapping[Position, int]) -> None:
        """Note end offsets; an older, lower one changes nothing."""
        for position, end in ends.items():
            self.ends[position] = max(end, self.ends.get(position, 0))

    def forget(self, positions: Iterable[Position]) -> None:
        """Drop what is known of partitions that another worker reads now."""
        gone = frozenset(positions)
        for position in gone:
            self.at.pop(position, None)
            self._still_since.pop(position, None)
            self._event_ns.pop(position, None)
        self.idle -= gone
        self._held -= gone

    def lag(self) -> dict[Position, int]:
        """Return how many records wait behind each assigned position."""
        return {p: max(0, self.ends.get(p, 0) - offset) for p, offset in self.at.items()}

    def note_times(self, batch: Batch) -> None:
        """Note the event time that each partition has come to: that of its last record.

        The last and not the latest, so that one wrong clock has no lasting effect.
        """
        if not len(batch):
            return
        topic, partition = batch["topic"], batch["partition"]
        changes = (np.diff(topic) != 0) | (np.diff(partition) != 0)
        for row in (*np.flatnonzero(changes).tolist(), len(batch) - 1):
            position = (Topic(int(topic[row])), int(partition[row]))
            self._event_ns[position] = int(batch["engine_ns"][row])

    def balance(self) -> tuple[Set[Position], Set[Position]]:
        """Return the partitions to stop reading for now, and those to go on with again.

        A partition stops while it is more than `max_ahead_s` of event time ahead of the same one
        of the other topic and that one has records waiting: else a backlog with ten orders a trade
        would have to be held back, nearly whole, by the sequencer.
        """
        ahead = frozenset(position for position in self.at if self._is_ahead(position))
        hold, release = ahead - self._held, self._held - ahead
        self._held = ahead
        return hold, release

    def candidates(self, came: Set[Position], now: float) -> list[Position]:
        """Return the partitions that seem idle and were not before; their ends must be asked for.

        `came` are those that the latest poll brought records from.
        """
        for position in self.at:
            if not self._caught_up(position):
                self._still_since.pop(position, None)
            elif position in came:
                self._still_since[position] = now
            else:
                self._still_since.setdefault(position, now)
        self.idle = frozenset(p for p in self.idle if p in self._still_since and p not in came)
        since = self._still_since.items()
        return [p for p, then in since if p not in self.idle and now - then >= self._idle_s]

    def unsure(self, positions: Iterable[Position]) -> None:
        """Begin the wait anew: the broker did not say where these partitions end."""
        gone = frozenset(positions)
        for position in gone:
            self._still_since.pop(position, None)
        self.idle -= gone

    def settle(self, candidates: Iterable[Position]) -> bool:
        """Take candidates whose end has not moved as idle; return whether there are any.

        Those that were idle and whose end has moved no longer are.
        """
        idle = frozenset(p for p in candidates if p in self._still_since and self._caught_up(p))
        self.idle = frozenset(p for p in self.idle if self._caught_up(p)) | idle
        return bool(idle)

    def _caught_up(self, position: Position) -> bool:
        return self.at[position] >= self.ends.get(position, 0)

    def _is_ahead(self, position: Position) -> bool:
        other = (_OTHER[position[0]], position[1])
        if position not in self._event_ns or other not in self.at or self._caught_up(other):
            return False
        behind = self._event_ns.get(other)
        return behind is None or self._event_ns[position] - behind > self._max_ahead_ns
