"""What the sequencer tells of: rows in matching order, and the gaps between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from ingest.events import Batch, Reject

GapReason = Literal["timeout", "pending_bound", "restated"]
GAP_REASONS: Final[Sequence[GapReason]] = ("timeout", "pending_bound", "restated")
"""Both topics passed it; too many rows waited; the feed began with a restatement of the book."""
CLOCK_FAULTS: Final = ("step_back", "jump")
"""Names of the values 1 and 2 of the column `clock_fault`."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Records of an instrument that are taken for lost."""

    instrument: int
    first_missing_seq: int
    last_missing_seq: int
    decided_ns: int
    """Progress of the feed at the decision, event time, ns."""
    next_ns: int
    """engine_ns of the row that followed."""
    reason: GapReason


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument that waits for a missing seq, and since when."""

    instrument: int
    first_missing_seq: int
    last_missing_seq: int
    since_ns: int


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What a push gave. Rows in = released + rejects + duplicates + late + change of pending."""

    batch: Batch
    """Rows with the `ORDERED` columns: each instrument's together, in seq order."""
    rejects: Sequence[Reject]
    duplicates: int
    forgotten: int
    """How many of `duplicates` are older than the memory of content, so were not compared."""
    late_batch: Batch
    """Rows of gaps that were declared before they came: for the archive, never applied."""
    gaps: Sequence[Gap]
    clock_faults: Mapping[str, int]

    @property
    def late(self) -> int:
        """How many rows came after their gap was declared."""
        return len(self.late_batch)


def gap_of(row: Sequence[int]) -> Gap:
    """Return a row of the kernel's gaps as a `Gap`; the reason is a place in `GAP_REASONS`."""
    return Gap(
        instrument=row[0],
        first_missing_seq=row[1],
        last_missing_seq=row[2],
        decided_ns=row[3],
        reason=GAP_REASONS[row[4]],
        next_ns=row[5],
    )
