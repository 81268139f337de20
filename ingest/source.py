"""What a feed gives and how it is driven; tapes and Kafka are two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Protocol

import msgspec
import numpy as np

from ingest.events import Batch, Reject, Topic, concatenate

Position = tuple[Topic, int]
"""A feed's topic and partition."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Records in the order in which they arrived: rows that are valid, and the rejects.

    `batch` has the `WIRE` columns and `raw`; records read = rows + rejects.
    """

    batch: Batch
    rejects: Sequence[Reject] = ()
    unknown_fields: int = 0
    """Fields of the records that the contract does not name."""
    idle: frozenset[Position] = frozenset()
    """Where the feed has nothing more: a tape's file has ended, or a partition has been caught up
    with for the configured idle time. Such a position holds no event time back."""


class Reassigned(msgspec.Struct, frozen=True, kw_only=True):
    """Positions that this worker lost and won; one that is in both was lost and came back.

    What is in neither was kept, with its position.
    """

    revoked: tuple[Position, ...] = ()
    assigned: tuple[Position, ...] = ()


class Source(Protocol):
    """A feed of order and trade records."""

    partitions: int
    """Partitions of each topic."""

    def reassigned(self) -> Reassigned | None:
        """Return which positions came and went since the last call, once; None when none did.

        What has just been assigned is not read before the next `poll`, so that `seek` may move it.
        """

    def give_up(self, partition: int) -> None:
        """Ask for a partition anew: another worker has shown that it owns its state."""

    def poll(self, timeout_s: float) -> Arrivals | None:
        """Return what has arrived, or None when nothing came within the time."""

    @property
    def drained(self) -> bool:
        """Whether everything that was there when the source was opened has been polled."""

    def positions(self) -> Mapping[Position, int]:
        """Return the next offset to be polled, by topic and partition."""

    def seek(self, positions: Mapping[Position, int]) -> None:
        """Continue from given offsets."""

    def commit(self, positions: Mapping[Position, int]) -> bool:
        """Tell the feed how far state is durable; return whether it took it."""

    def lag(self) -> Mapping[Position, int]:
        """Return how many records wait behind each position."""

    def close(self) -> None:
        """Let go of files and connections."""


def split(arrivals: Arrivals) -> Mapping[int, Arrivals]:
    """Return arrivals by partition number: those with records, or an idle position."""
    batch = arrivals.batch
    numbers = np.unique(batch["partition"]).tolist()
    touched = {*numbers, *(r.partition for r in arrivals.rejects), *(p for _, p in arrivals.idle)}
    if len(touched) == 1:
        return {touched.pop(): arrivals}
    first = min(touched, default=0)
    return {
        number: Arrivals(
            batch=batch.take(batch["partition"] == number),
            rejects=tuple(r for r in arrivals.rejects if r.partition == number),
            unknown_fields=arrivals.unknown_fields if number == first else 0,
            idle=frozenset(position for position in arrivals.idle if position[1] == number),
        )
        for number in sorted(touched)
    }


def cut_at(arrivals: Arrivals, positions: Mapping[Position, int]) -> tuple[Arrivals, Arrivals]:
    """Return what stands before given offsets, and what does not; of no position, all is behind."""
    batch = arrivals.batch
    before = np.zeros(len(batch), np.bool_)
    for (topic, partition), offset in positions.items():
        here = (batch["topic"] == topic) & (batch["partition"] == partition)
        before |= here & (batch["offset"] < offset)
    rejects: tuple[list[Reject], list[Reject]] = ([], [])
    for reject in arrivals.rejects:
        behind = reject.offset >= positions.get((reject.topic, reject.partition), 0)
        rejects[behind].append(reject)
    return (
        msgspec.structs.replace(arrivals, batch=batch.take(before), rejects=rejects[0]),
        msgspec.structs.replace(
            arrivals, batch=batch.take(~before), rejects=rejects[1], unknown_fields=0
        ),
    )


def joined(arrivals: Sequence[Arrivals]) -> Arrivals:
    """Return arrivals one after the other; idleness is that of the last."""
    return Arrivals(
        batch=concatenate([each.batch for each in arrivals]),
        rejects=tuple(chain.from_iterable(each.rejects for each in arrivals)),
        unknown_fields=sum(each.unknown_fields for each in arrivals),
        idle=arrivals[-1].idle,
    )
