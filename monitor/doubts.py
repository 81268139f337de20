"""Doubts: gaps behind which an instrument's book is not known to be whole yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from alerts.coverage import CoverageRecord
from ingest.events import Batch, Coverage
from ingest.instruments import Instruments
from ingest.released import Gap
from ingest.state import Snapshot, pack, unpack


class Doubts:
    """The gaps of a shard that are open; state is one record each.

    Parameters
    ----------
    instruments : Instruments
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._open: dict[str, CoverageRecord] = {}

    def follow(self, gaps: Sequence[Gap], batch: Batch) -> Sequence[CoverageRecord]:
        """Return gaps that open, then those behind which an enriched batch shows a whole book."""
        opened = [
            CoverageRecord(
                instrument=self._instruments[gap.instrument].instrument,
                first_missing_seq=gap.first_missing_seq,
                next_seq=gap.last_missing_seq + 1,
                opened_ns=gap.next_ns,
                reason=gap.reason,
            )
            for gap in gaps
        ]
        for record in opened:
            self._open[f"{record.first_missing_seq} {record.instrument}"] = record
        return [*opened, *(self._closed(batch) if self._open else ())]

    def snapshot(self) -> Snapshot:
        """Return the open gaps; instruments are named."""
        return {"doubts": pack(self._open)}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned."""
        self._open = unpack(snapshot["doubts"], dict[str, CoverageRecord])

    def _closed(self, batch: Batch) -> Iterator[CoverageRecord]:
        spans = {
            self._instruments[code].instrument: slice(first, end)
            for code, first, end in batch.by_instrument()
        }
        for key, record in list(self._open.items()):
            rows = spans.get(record.instrument)
            if rows is None:
                continue
            whole = (batch["coverage"][rows] == Coverage.COMPLETE) & (
                batch["seq"][rows] >= record.next_seq
            )
            if whole.any():
                closed_ns = int(batch["clock_ns"][rows][int(np.argmax(whole))])
                del self._open[key]
                yield msgspec.structs.replace(record, closed_ns=closed_ns)
