"""Writing the archive: which rows share a file, and how small files become large ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
    RECENT,
    SHARED,
    Kind,
    Part,
    encode_instrument,
    hour_stem,
    month_of,
    shared_stem,
)
from alerts.archive_reader import ArchiveReader
from alerts.segments import Rows, SegmentError, merge
from ingest.events import NULL
from ingest.times import DAY, HOUR

GRACE_NS: Final = 300 * 1_000_000_000
"""An hour is over when the newest event is this far behind its end: instruments differ a little."""
STALE_NS: Final = 2 * HOUR
"""Recent parts of another worker whose last event is this old are left by one that has died."""
OWN_ROWS: Final = 256
"""Rows of one instrument in one hour that make a file of their own; below, a file costs more than
what is in it (two blocks and two entries of a folder, against 20 kB)."""


FEW: Final = 8
"""Files of about one size of one hour or day, from which on they are joined."""
BUDGET: Final = 2
"""Times `most_rows` that may be joined after a write: it bounds how long the pass waits for it."""
THREADS: Final = 8


class _Job(msgspec.Struct, frozen=True):
    """One file to be written of an hour or a day: new rows, and parts to be joined."""

    kind: Kind
    folder: str
    first_ns: int
    rows: Rows | None
    join: Sequence[Part] = ()


class ArchiveWriter:
    """Writes rows to the archive's folder.

    A write makes one *recent* part, whatever is in it. When an hour is over, or `most_rows` have
    gathered, recent rows are settled: an instrument's hour gets a file of its own; where it has
    fewer than `OWN_ROWS` rows, they go to the file of the day that such instruments share. Files of
    one instrument and hour (or one shared day) are joined once there are `FEW` of about one size,
    and any two such when the hour or day is over, up to `most_rows` a file; a row is rewritten
    O(log n) times. What is over the budget of one write is joined after later ones.

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
        self._untidy: dict[tuple[Kind, str, int], None] = {}

    def write(self, chunks: Sequence[Rows], newest_ns: int) -> None:
        """Make rows durable; settle what is due at that event time (NULL: not known), ns."""
        gathered = sum(part.rows for part in self._mine) + sum(len(rows) for rows in chunks)
        hour = NULL if newest_ns == NULL else (newest_ns - GRACE_NS) // HOUR
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
                going_on = ~rows.late & (rows.times // HOUR >= before) & (not everything)
                self._write_settled(rows.take(~going_on))
                rest = rows.take(going_on)
                written = [self._write(f"{RECENT}/{len(rest)}", rest)] if len(rest) else []
                self._mine = written  # one of before that could not be read stays, and is named
                self._count(written, ())
            self._count((), self._delete(taken))
            self._tidy(before)

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

    def _write_settled(self, rows: Rows) -> None:
        if not len(rows):
            return
        hours, codes = rows.times // HOUR, rows.codes
        low = int(hours.min())
        width = int(hours.max()) - low + 1
        # 16,000 instruments times all hours until 2262 are far from 64 bits.
        keys, group, counts = np.unique(
            codes * width + (hours - low), return_inverse=True, return_counts=True
        )
        own = counts >= OWN_ROWS
        order, ends = np.argsort(group, kind="stable"), np.cumsum(counts)
        jobs: list[_Job] = []
        for i in np.flatnonzero(own).tolist():
            code, hour = divmod(int(keys[i]), width)
            mine = rows.gather(order[ends[i] - counts[i] : ends[i]])
            jobs.append(self._hour_job(rows.spans[code].instrument, (hour + low) * HOUR, mine))
        shared = ~own[group]
        days = hours * HOUR // DAY
        for day in np.unique(days[shared]).tolist():
            first_ns, day_rows = day * DAY, rows.take(shared & (days == day))
            jobs.append(_Job("shared", f"{SHARED}/{month_of(first_ns)}", first_ns, day_rows))
        self._run(jobs)
        # Touched last, waits longest: a row is joined by turns, whatever the budget.
        self._untidy |= {(job.kind, job.folder, job.first_ns): None for job in jobs}

    def _hour_job(self, instrument: str, first_ns: int, rows: Rows) -> _Job:
        folder, seqs = f"{encode_instrument(instrument)}/{month_of(first_ns)}", rows.columns["seq"]
        # Rows written twice have the same seqs: joined, they are there once again.
        again = [
            part
            for part in self._beside(folder, first_ns)
            if part.min_seq <= seqs[-1] and seqs[0] <= part.max_seq
        ]
        if len(rows) + sum(part.rows for part in again) > self._most_rows:
            again = []
        return _Job("hour", folder, first_ns, rows, again)

    def _tidy(self, before: int) -> None:
        """Join small files of hours and days, the longest waiting first, within a budget."""
        budget = BUDGET * self._most_rows
        jobs = []
        for kind, folder, first_ns in list(self._untidy):
            run: list[Part] = []
            total = 0
            for part in self._beside(folder, first_ns):
                if run and (total + part.rows > self._most_rows or part.rows > total):
                    break
                run.append(part)
                total += part.rows
            end_ns = first_ns + (HOUR if kind == "hour" else DAY)
            if len(run) >= (2 if end_ns <= before * HOUR else FEW):
                if total > budget:
                    break
                budget -= total
                jobs.append(_Job(kind, folder, first_ns, None, run))
            del self._untidy[kind, folder, first_ns]
        self._run(jobs)

    def _beside(self, folder: str, first_ns: int) -> list[Part]:
        found = [part for part in self._reader.parts(folder) if part.first_ns == first_ns]
        return sorted(found, key=lambda part: part.rows)

    def _run(self, jobs: Sequence[_Job]) -> None:
        """Write files, several at once: most of the time goes into waiting for the disk."""
        if not jobs:
            return
        with ThreadPoolExecutor(min(THREADS, len(jobs))) as pool:
            for written, removed in pool.map(self._run_one, jobs):
                self._count(written, removed)

    def _run_one(self, job: _Job) -> tuple[list[Part], list[tuple[Part, int]]]:
        taken, loaded = self._read(job.join)
        if job.rows is not None:
            loaded.append(job.rows)
        elif len(loaded) < 2:
            return [], []  # what was to be joined is damaged, or another worker's by now
        rows = merge(loaded)
        seqs = rows.columns["seq"]
        stem = (
            hour_stem(job.folder, job.first_ns, int(seqs.min()), int(seqs.max()), len(rows))
            if job.kind == "hour"
            else shared_stem(job.folder, job.first_ns, len(rows))
        )
        return [self._write(stem, rows)], self._delete(taken)

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
