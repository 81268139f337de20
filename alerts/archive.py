"""The archive: raw events as they came, bounded, from which an alert's evidence is cut."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from alerts.segments import (
    COLUMNS,
    Rows,
    SegmentError,
    SegmentIndex,
    SourceEvent,
    merge,
    read_index,
    read_segment,
    rows_of,
    write_segment,
)
from detectors.base import Ref
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments

SECOND_NS: Final = 1_000_000_000
UNINDEXED: Final = 256
"""Batches that wait unsorted at most; a feed of single events would else pile them up."""
CACHED: Final = 4
"""Segments kept in memory after a look-up: about 40 MB each at the default size."""

__all__ = ["Archive", "SourceEvent"]


class Archive:
    """Raw events by instrument and seq: the latest in memory, older ones in Parquet segments.

    A segment is one Parquet file with an index beside it that names each instrument's rows and
    its lowest and highest seq. Nothing depends on file names: a segment of one instrument and hour
    is read by the same code. Small segments are merged as more come, so that frequent flushes
    leave few files.

    Memory: `flush_rows` rows (about 300 B each) and `CACHED` segments. Disk: `max_bytes`, and
    nothing more than `max_age_s` of event time behind the newest event; what is dropped is
    counted. After a restart events may be there twice, which harms nothing.

    Parameters
    ----------
    directory : Path
        Folder of the segments; created when absent.
    instruments : Instruments
        The table that the codes of references index; files hold names.
    flush_rows : int
        Rows after which memory is written to a segment.
    max_bytes : int
        Size of all segments, B, above which the oldest go.
    max_age_s : float
        Age in event time, s, above which segments go.
    """

    def __init__(
        self,
        directory: Path,
        instruments: Instruments,
        *,
        flush_rows: int = 131_072,
        max_bytes: int = 50_000_000_000,
        max_age_s: float = 731 * 86_400,
    ) -> None:
        self._directory = directory
        self._instruments = instruments
        self._flush_rows = flush_rows
        self._max_bytes = max_bytes
        self._max_age_ns = int(max_age_s * SECOND_NS)
        self._waiting: list[Batch] = []
        self._waiting_rows = 0
        self._chunks: list[Rows] = []
        self._segments: OrderedDict[str, SegmentIndex] = OrderedDict()
        self._cache: OrderedDict[str, Rows] = OrderedDict()
        self._newest_ns = NULL
        self.damaged: dict[str, str] = {}
        """Segments that cannot be used, by file name, with the reason."""
        self.deleted_segments = 0
        self.deleted_rows = 0
        self.deleted_bytes = 0
        self._number = 0
        self._open()

    @property
    def rows(self) -> int:
        """Rows held, in memory and in segments that are not known to be damaged."""
        return self.pending + sum(index.rows for index in self._segments.values())

    @property
    def pending(self) -> int:
        """Rows in memory, not yet in a segment."""
        return self._waiting_rows + sum(len(chunk) for chunk in self._chunks)

    @property
    def bytes(self) -> int:
        """Size of the segments, B."""
        return sum(index.bytes for index in self._segments.values())

    @property
    def segments(self) -> tuple[str, ...]:
        """File names of the segments in use, oldest first."""
        return tuple(index.file for index in self._segments.values())

    def append(self, batch: Batch) -> None:
        """Keep a batch's records; its `raw` must be there. Arrays are shared, not copied."""
        if not len(batch):
            return
        names = batch.names
        kept = {name: batch[name] for name in ("instrument", *COLUMNS) if name in names}
        self._waiting.append(Batch(kept, batch.instruments, raw=batch.raw, passed_over={}))
        self._waiting_rows += len(batch)
        if "clock_ns" in names:
            self._newest_ns = max(self._newest_ns, int(batch["clock_ns"].max()))
        if self.pending >= self._flush_rows:
            self.flush()
        elif len(self._waiting) >= UNINDEXED:
            self._index()

    def fetch(self, refs: Iterable[Ref]) -> dict[Ref, SourceEvent]:
        """Return the records of references; those that are not (or no longer) here are absent."""
        wanted: dict[int, list[int]] = {}
        for ref in refs:
            wanted.setdefault(ref.instrument, []).append(ref.seq)
        if not wanted:
            return {}
        self._index()
        found: dict[Ref, SourceEvent] = {}
        for code, seqs in wanted.items():
            name = self._instruments[code].instrument
            missing = np.unique(np.array(seqs, np.int64))
            for rows in reversed(self._chunks):
                if not len(missing):
                    break
                missing = _take(rows, name, code, missing, found)
            if len(missing):
                self._fetch_from_disk(name, code, missing, found)
        return found

    def flush(self) -> None:
        """Make all rows durable in segments, then apply the bounds."""
        self._index()
        if self._chunks:
            parts, self._chunks = self._chunks, []
            rows, replaced = self._with_small_segments(merge(parts))
            self._number += 1
            index = write_segment(self._directory, self._number, rows)
            key = Path(index.file).stem
            self._segments[key] = index
            self._keep(key, rows)
            for old in replaced:
                self._remove(old)
        self._prune()

    def verify(self) -> Mapping[str, str]:
        """Check every segment against its index; return those that are damaged, with the reason."""
        for key in list(self._segments):
            self._load(key, fresh=True)
        return dict(self.damaged)

    def close(self) -> None:
        """Flush, and let go of memory."""
        self.flush()
        self._cache.clear()

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for partial in self._directory.glob("segment-*.partial"):
            partial.unlink()  # a write that never finished: the feed is read again from before it
        for path in sorted(self._directory.glob("segment-*.json")):
            try:
                self._segments[path.stem] = index = read_index(path)
            except SegmentError as error:
                self.damaged[f"{path.stem}.parquet"] = str(error)
                continue
            self._newest_ns = max(self._newest_ns, index.last_ns)
        for path in sorted(self._directory.glob("segment-*.parquet")):
            if path.stem not in self._segments and path.name not in self.damaged:
                self.damaged[path.name] = (
                    f"archive segment {path.name} has no index: an unfinished write or deletion"
                )
        numbers = (int(path.stem.split("-")[1]) for path in self._directory.glob("segment-*"))
        self._number = max(numbers, default=0)

    def _index(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        self._chunks.append(rows_of(waiting))
        # Sizes at least halve from one chunk to the next, so each row is merged O(log n) times.
        while len(self._chunks) > 1 and len(self._chunks[-2]) < 2 * len(self._chunks[-1]):
            last, before = self._chunks.pop(), self._chunks.pop()
            self._chunks.append(merge([before, last]))

    def _fetch_from_disk(
        self, name: str, code: int, missing: Array, found: dict[Ref, SourceEvent]
    ) -> None:
        for key in reversed(list(self._segments)):
            index = self._segments[key]
            span = next((s for s in index.spans if s.instrument == name), None)
            if span is None or missing[0] > span.max_seq or missing[-1] < span.min_seq:
                continue
            rows = self._load(key)
            if rows is not None:
                missing = _take(rows, name, code, missing, found)
                if not len(missing):
                    return

    def _load(self, key: str, *, fresh: bool = False) -> Rows | None:
        if not fresh and key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        try:
            rows = read_segment(self._directory, self._segments[key])
        except SegmentError as error:
            self.damaged[self._segments.pop(key).file] = str(error)
            self._cache.pop(key, None)
            return None
        self._keep(key, rows)
        return rows

    def _keep(self, key: str, rows: Rows) -> None:
        self._cache[key] = rows
        self._cache.move_to_end(key)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)

    def _with_small_segments(self, rows: Rows) -> tuple[Rows, list[str]]:
        """Join the latest segments while they are no larger; return what they are replaced by."""
        replaced: list[str] = []
        for key in reversed(list(self._segments)):
            small = self._segments[key].rows
            if small > len(rows) or small + len(rows) > self._flush_rows:
                break
            older = self._load(key)
            if older is None:
                break
            rows = merge([older, rows])
            replaced.append(key)
        return rows, replaced

    def _prune(self) -> None:
        size = self.bytes
        for key, index in list(self._segments.items()):
            too_old = index.last_ns != NULL and self._newest_ns - index.last_ns > self._max_age_ns
            if not too_old and size <= self._max_bytes:
                break
            size -= index.bytes
            self.deleted_segments += 1
            self.deleted_rows += index.rows
            self.deleted_bytes += index.bytes
            self._remove(key)

    def _remove(self, key: str) -> None:
        index = self._segments.pop(key)
        self._cache.pop(key, None)
        # The index goes first: what a crash in between leaves is a segment that is then named.
        (self._directory / f"{key}.json").unlink(missing_ok=True)
        (self._directory / index.file).unlink(missing_ok=True)


def _take(rows: Rows, name: str, code: int, seqs: Array, found: dict[Ref, SourceEvent]) -> Array:
    """Add an instrument's events that rows hold to `found`; return the seqs still missing."""
    here, events = rows.find(name, seqs)
    for event in events:
        found[Ref(code, event.seq)] = event
    return seqs[~here]
