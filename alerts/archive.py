"""The archive: raw events as they came, bounded, from which an alert's evidence is cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from alerts.archive_bounds import Bounds, no_holds
from alerts.archive_files import Suffixes
from alerts.archive_holds import Hold
from alerts.archive_reader import ArchiveReader
from alerts.archive_writer import ArchiveWriter
from alerts.segments import COLUMNS, Rows, SourceEvent, merge, rows_of
from detectors.base import Ref
from ingest.events import NULL, Batch
from ingest.instruments import Instruments
from ingest.times import SECOND

UNINDEXED: Final = 256
"""Batches that wait unsorted at most; a feed of single events would else pile them up."""

__all__ = ["Archive", "Hold", "SourceEvent"]


class Archive:
    """Raw events by instrument and seq: the latest in memory, older ones in Parquet files.

    `alerts.archive_writer` says which rows share a file, `alerts.archive_names` what files are
    called. Several workers may share the folder: whoever writes the same rows again (a worker
    after a crash, one that lost its shard and does not know yet) adds bytes, no events.

    Memory: `flush_rows` rows (about 300 B each) and what `ArchiveReader` keeps. Disk: `max_bytes`
    and `max_age_s` of event time behind the newest event, except what holds cover; what is dropped
    is counted and written down (`bounds`).

    Parameters
    ----------
    directory : Path
        Created when absent.
    instruments : Instruments
        The table that the codes of references index; files hold names.
    flush_rows : int
        Rows after which memory is written out; also the most that small files are joined to.
    max_bytes : int
        Size of all parts, B, above which the oldest go.
    max_age_s : float
        Age in event time, s, above which parts go.
    holds : callable
        Gives the holds in force; what they cover is never dropped. Called when something would be.
    """

    def __init__(
        self,
        directory: Path,
        instruments: Instruments,
        *,
        flush_rows: int = 131_072,
        max_bytes: int = 50_000_000_000,
        max_age_s: float = 731 * 86_400,
        holds: Callable[[], Collection[Hold]] = no_holds,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.reader = ArchiveReader(directory)
        self._instruments = instruments
        self._flush_rows = flush_rows
        self._waiting: list[Batch] = []
        self._waiting_rows = 0
        self._chunks: list[Rows] = []
        self._newest_ns = NULL
        suffixes = Suffixes()
        self.bounds = Bounds(
            self.reader,
            max_bytes=max_bytes,
            max_age_ns=int(max_age_s * SECOND),
            holds=holds,
            suffixes=suffixes,
        )
        self._writer = ArchiveWriter(
            self.reader, self.bounds, suffixes=suffixes, most_rows=flush_rows
        )

    @property
    def rows(self) -> int:
        """Rows held: in memory, and in the folder as last looked at."""
        self.bounds.ensure_surveyed()
        return self.pending + self.bounds.rows

    @property
    def pending(self) -> int:
        """Rows in memory, not yet on disk."""
        return self._waiting_rows + sum(len(chunk) for chunk in self._chunks)

    @property
    def bytes(self) -> int:
        """Size of the parts as last looked at, B."""
        self.bounds.ensure_surveyed()
        return self.bounds.bytes

    @property
    def damaged(self) -> Mapping[str, str]:
        """Parts that were found unusable, by path, with the reason."""
        return self.reader.damaged

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
                here, events = rows.find(name, missing)
                found |= {Ref(code, event.seq): event for event in events}
                missing = missing[~here]
            if len(missing):
                found |= {Ref(code, e.seq): e for e in self.reader.find(name, missing)}
        return found

    def flush(self) -> None:
        """Make all rows durable, then apply the bounds."""
        self._index()
        self._writer.write(self._chunks, self._newest_ns)
        self._chunks = []  # not before they are durable: a full disk loses nothing, it is retried
        self.bounds.apply(self._newest_ns)

    def verify(self) -> Mapping[str, str]:
        """Check every part against its index; return what is wrong, by path, with the reason."""
        return self.reader.verify()

    def close(self) -> None:
        """Flush, and let go of memory."""
        self.flush()
        self.reader.forget()

    def _index(self) -> None:
        if not self._waiting:
            return
        chunk = rows_of(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        self._chunks.append(chunk)
        # Sizes at least halve from one chunk to the next, so each row is merged O(log n) times.
        while len(self._chunks) > 1 and len(self._chunks[-2]) < 2 * len(self._chunks[-1]):
            last, before = self._chunks.pop(), self._chunks.pop()
            self._chunks.append(merge([before, last]))
