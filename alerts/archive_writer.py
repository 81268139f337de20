"""Writing the archive: which rows share a file, and how small files become large ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import msgspec
import numpy as np

from alerts.archive_bounds import Bounds
from alerts.archive_files import (
    PartGoneError,
    Suffixes,
    locked,
    read_part,
    remove_part,
    size_of,
    write_part,
)
from alerts.archive_names import (
    DAY_NS,
    HOUR_NS,
    RECENT,
    SHARED,
    Part,
    encode_instrument,
    hour_stem,
    month_of,
    shared_stem,
)
from alerts.archive_reader import ArchiveReader
from alerts.segments import Rows, SegmentError, merge
from ingest.events import NULL

GRACE_NS: Final = 300 * 1_000_000_000
"""An hour is over when the newest event is this far behind its end: instruments differ a little."""
STALE_NS: Final = 2 * HOUR_NS
"""Recent parts of another worker whose last event is this old are left by one that has died."""
OWN_ROWS: Final = 256
"""Rows of one instrument in one hour that make a file of their own; below, a file costs more than
what is in it (two blocks and two entries of a folder, against 20 kB)."""


FEW: Final = 7
"""Small files of one hour or day that may lie beside each other before they are joined."""
THREADS: Final = 8


class _Job(msgspec.Struct, frozen=True):
    """One file to be written: its new rows, the parts to be joined with them, and its name."""

    rows: Rows
    join: list[Part]
    stem: Callable[[Rows], str]


class ArchiveWriter:
    """Writes rows to the archive's folder.

    A write makes one *recent* part, whatever is in it. When an hour is over, or `most_rows` have
    gathered, recent rows are settled: an instrument's hour gets a file of its own; where it has
    fewer than `OWN_ROWS` rows, they go to the file of the day that such instruments share. Files of
    one instrument and hour (or one shared day) are joined once `FEW` of about one size lie beside
    the new one, and any such when the hour or day is over, up to `most_rows` a file; a row is
    rewritten O(log n) times.

    Nothing is deleted before what replaces it is durable. So whatever two writers do to the same
    files at once, every row stays; at worst it is there twice, until the files are joined.

    Parameters
    ----------
    reader : ArchiveReader
    bounds : Bounds
        Is told what is written.
    suffixes : Suffixes
    most_rows : int
    """

    def __init__(
        self, reader: ArchiveReader, bounds: Bounds, *, suffixes: Suffixes, most_rows: int
    ) -> None:
        self._reader = reader
        self._directory = reader.directory
        self._bounds = bounds
        self._suffixes = suffixes
        self._most_rows = most_rows
        self._mine: list[Part] = []
        self._hour = NULL

    def write(self, chunks: Sequence[Rows], newest_ns: int) -> None:
        """Make rows durable; settle what is due at that event time (NULL: not known), ns."""
        gathered = sum(part.rows for part in self._mine) + sum(len(rows) for rows in chunks)
        hour = NULL if newest_ns == NULL else (newest_ns - GRACE_NS) // HOUR_NS
        full = gathered >= self._most_rows
        if full or hour > self._hour:
            self._settle(chunks, newest_ns, hour, everything=full)
            self._hour = hour
        elif chunks:
            self._write_recent(merge(chunks))

    def _settle(
        self, chunks: Sequence[Rows], newest_ns: int, before: int, *, everything: bool
    ) -> None:
        """Give hours before that hour their files; with `everything` also those going on."""
        with ExitStack() as stack:
            taken, loaded = self._read(self._mine)
            if stack.enter_context(locked(self._directory)):
                theirs, more = self._read(self._abandoned(newest_ns))
                taken, loaded = taken + theirs, loaded + more
            if chunks or loaded:
                rows = merge([*loaded, *chunks])
                going_on = ~rows.late & (rows.times // HOUR_NS >= before) & (not everything)
                self._write_settled(rows.take(~going_on), before)
                rest = rows.take(going_on)
                written = [self._write(f"{RECENT}/{len(rest)}", rest)] if len(rest) else []
                self._mine = written  # one of before that could not be read stays, and is named
                self._count(written, ())
            self._count((), self._delete(taken))

    def _abandoned(self, newest_ns: int) -> list[Part]:
        left = []
        for part in self._reader.recent():
            if part in self._mine:
                continue
            try:
                index = self._reader.index(part)
            except PartGoneError:
                continue
            if index is not None and newest_ns - index.last_ns >= STALE_NS:
                left.append(part)
        return left

    def _write_recent(self, rows: Rows) -> None:
        """Write one recent part, joined with the latest ones while they are no larger."""
        replaced: list[Part] = []
        for part in reversed(self._mine):
            if part.rows > len(rows):
                break
            taken, loaded = self._read([part])
            if not taken:
                break
            rows = merge([*loaded, rows])
            replaced += taken
        written = self._write(f"{RECENT}/{len(rows)}", rows)
        self._mine = [part for part in self._mine if part not in replaced] + [written]
        self._count([written], self._delete(replaced))

    def _write_settled(self, rows: Rows, before: int) -> None:
        if not len(rows):
            return
        hours, codes = rows.times // HOUR_NS, rows.codes
        low = int(hours.min())
        width = int(hours.max()) - low + 1
        # 16,000 instruments times all hours until 2262 are far from 64 bits.
        keys, group, counts = np.unique(
            codes * width + (hours - low), return_inverse=True, return_counts=True
        )
        own = counts >= OWN_ROWS
        order, ends = np.argsort(group, kind="stable"), np.cumsum(counts)
        jobs = []
        for i in np.flatnonzero(own).tolist():
            code, hour = divmod(int(keys[i]), width)
            mine = rows.gather(order[ends[i] - counts[i] : ends[i]])
            name = rows.spans[code].instrument
            jobs.append(self._hour_job(name, hour + low, mine, over=hour + low < before))
        shared = ~own[group]
        days = hours * HOUR_NS // DAY_NS
        for day in np.unique(days[shared]).tolist():
            over = (day + 1) * DAY_NS <= before * HOUR_NS
            jobs.append(self._day_job(day, rows.take(shared & (days == day)), over=over))
        # Most of the time goes into waiting for the disk, a few times for each file.
        with ThreadPoolExecutor(min(THREADS, len(jobs))) as pool:
            done = list(pool.map(self._run, jobs))
        for written, removed in done:
            self._count([written], removed)

    def _hour_job(self, name: str, hour: int, rows: Rows, *, over: bool) -> _Job:
        first_ns = hour * HOUR_NS
        seqs = rows.columns["seq"]
        beside = self._beside(f"{encode_instrument(name)}/{month_of(first_ns)}", first_ns)
        # Rows written twice have the same seqs: joined, they are there once again.
        again = [p for p in beside if p.min_seq <= seqs[-1] and seqs[0] <= p.max_seq]
        join = self._to_join(beside, again, len(rows), over=over)

        def stem(rows: Rows) -> str:
            seqs = rows.columns["seq"]
            return hour_stem(name, hour, int(seqs.min()), int(seqs.max()), len(rows))

        return _Job(rows, join, stem)

    def _day_job(self, day: int, rows: Rows, *, over: bool) -> _Job:
        first_ns = day * DAY_NS
        beside = self._beside(f"{SHARED}/{month_of(first_ns)}", first_ns)
        join = self._to_join(beside, [], len(rows), over=over)
        return _Job(rows, join, lambda rows: shared_stem(day, len(rows)))

    def _beside(self, folder: str, first_ns: int) -> list[Part]:
        found = [part for part in self._reader.parts(folder) if part.first_ns == first_ns]
        return sorted(found, key=lambda part: part.rows)

    def _to_join(
        self, beside: list[Part], again: list[Part], rows: int, *, over: bool
    ) -> list[Part]:
        """Return which parts of the same hour or day to join with new rows; smallest first."""
        total = rows + sum(part.rows for part in again)
        if total > self._most_rows:
            return []
        run: list[Part] = []
        for part in beside:
            if part in again:
                continue
            if total + part.rows > self._most_rows or part.rows > total:
                break
            run.append(part)
            total += part.rows
        return again + (run if over or len(run) >= FEW else [])

    def _run(self, job: _Job) -> tuple[Part, list[tuple[Part, int]]]:
        """Join, write, and delete what was joined; may run beside other jobs."""
        taken, loaded = self._read(job.join)
        rows = merge([*loaded, job.rows])
        written = self._write(job.stem(rows), rows)
        return written, self._delete(taken)

    def _read(self, parts: Collection[Part]) -> tuple[list[Part], list[Rows]]:
        """Return the parts that can be read, and their rows; what is damaged stays where it is."""
        taken, loaded = [], []
        for part in parts:
            try:
                rows = read_part(self._directory, part)
            except SegmentError as error:
                if not isinstance(error, PartGoneError):
                    self._reader.damaged[part.path] = str(error)
                continue
            taken.append(part)
            loaded.append(rows)
        return taken, loaded

    def _write(self, stem: str, rows: Rows) -> Part:
        return write_part(self._directory, f"{stem}_{self._suffixes.next()}", rows)

    def _delete(self, parts: Iterable[Part]) -> list[tuple[Part, int]]:
        """Delete parts; return those that it was this worker that did, with their size."""
        sizes = [(part, size_of(self._directory, part)) for part in parts]
        return [(part, size) for part, size in sizes if remove_part(self._directory, part)]

    def _count(self, written: Iterable[Part], removed: Iterable[tuple[Part, int]]) -> None:
        for part in written:
            self._bounds.wrote(part.rows, size_of(self._directory, part))
        for part, size in removed:
            self._bounds.wrote(-part.rows, -size)
