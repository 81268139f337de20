"""What a feed gives and how it is driven; tapes and Kafka are two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ingest.events import Batch, Reject, Topic

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


class Source(Protocol):
    """A feed of order and trade records."""

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
