"""The journal: what passes decided that the records alone do not say, for a replay to follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ingest.events import Topic
from ingest.instruments import Instruments
from ingest.released import Gap, GapReason
from ingest.source import Position

Positions = Mapping[Position, int]
"""Next offset by topic and partition."""


class JournaledGap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `Gap` with its instrument's name."""

    instrument: str
    first_missing_seq: int
    last_missing_seq: int
    decided_ns: int
    next_ns: int
    reason: GapReason


class Decisions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one pass decided."""

    gaps: tuple[JournaledGap, ...] = ()
    conflicts: tuple[tuple[int, int, int], ...] = ()
    """Topic, partition and offset of records that another with their seq had come before."""
    registry: str = ""
    """Version of the register that holds from the entry's positions on."""
    closed_ns: int | None = None
    """Boundary of the platform's time up to which trades were summed up, ns."""

    def __bool__(self) -> bool:
        return bool(self.gaps or self.conflicts or self.registry or self.closed_ns is not None)

    @property
    def lasting(self) -> bool:
        """Whether it is kept for good; boundaries alone are not."""
        return bool(self.gaps or self.conflicts or self.registry)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a shard's journal."""

    number: int
    """From 1, without holes."""
    positions: tuple[tuple[int, int, int], ...]
    """Topic, partition and next offset when it was decided, in that order."""
    decisions: Decisions


NO_DECISIONS: Final = Decisions()


def packed(positions: Positions) -> tuple[tuple[int, int, int], ...]:
    """Return positions as plain rows, sorted.

    >>> packed({(Topic.TRADES, 0): 7, (Topic.ORDERS, 0): 9})
    ((0, 0, 9), (1, 0, 7))
    """
    return tuple(sorted((int(t), number, offset) for (t, number), offset in positions.items()))


def unpacked(rows: Iterable[tuple[int, int, int]]) -> dict[Position, int]:
    """Return positions from rows."""
    return {(Topic(topic), number): offset for topic, number, offset in rows}


def named(gap: Gap, instruments: Instruments) -> JournaledGap:
    """Return a gap as the journal has it."""
    return JournaledGap(
        instrument=instruments[gap.instrument].instrument,
        first_missing_seq=gap.first_missing_seq,
        last_missing_seq=gap.last_missing_seq,
        decided_ns=gap.decided_ns,
        next_ns=gap.next_ns,
        reason=gap.reason,
    )


def coded(gap: JournaledGap, instruments: Instruments) -> Gap:
    """Return a journaled gap as the sequencer takes it."""
    return Gap(
        instrument=instruments.codes[gap.instrument],
        first_missing_seq=gap.first_missing_seq,
        last_missing_seq=gap.last_missing_seq,
        decided_ns=gap.decided_ns,
        next_ns=gap.next_ns,
        reason=gap.reason,
    )
