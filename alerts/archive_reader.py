"""Reading the archive: look-ups by seq, ranges of time, and a check of every file."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import structlog

from alerts.archive_files import (
    PARTIAL,
    PartGoneError,
    PartIndex,
    UnindexedError,
    read_index,
    read_part,
)
from alerts.archive_names import RECENT, SHARED, Part, encode_instrument, parse_part
from alerts.segments import Rows, SegmentError, SourceEvent, Span
from ingest.events import Array

CACHED_ROWS: Final = 524_288
"""Rows kept in memory after a look-up, about 300 B each."""
CACHED_SPANS: Final = 262_144
"""Spans of indexes kept in memory, about 200 B each: a year of days in which 700 instruments of
those that share a file did something."""
CACHED_FOLDERS: Final = 256
AGAIN_S: Final = 30.0
TRIES: Final = 5
"""For that long, and at least so often, folders that other workers change meanwhile are looked at;
one look is nearly always enough."""
PAUSE_S: Final = 0.01
UNSURE_S: Final = 2.0
"""A folder changed that lately may change again within one tick of the file system's clock."""
WRITING_S: Final = 60.0
"""For that long a part without an index is one that is still being written."""
ABANDONED_S: Final = 3_600.0
"""A partial file that old is of a write that never ended."""

T = TypeVar("T")
_log = structlog.get_logger()


class ArchiveReader:
    """The archive's folder, whoever writes to it meanwhile.

    Parameters
    ----------
    directory : Path
        It need not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.damaged: dict[str, str] = {}
        """Parts that cannot be used, by path, with the reason."""
        self._listed: OrderedDict[str, tuple[int, list[Part]]] = OrderedDict()
        self._rows: OrderedDict[str, Rows] = OrderedDict()
        self._indexes: OrderedDict[str, PartIndex] = OrderedDict()
        self._cached_rows = 0
        self._cached_spans = 0
        self._unindexed: set[str] = set()

    def tops(self) -> list[str]:
        """Return the folders of instruments, and the shared one, by name."""
        return sorted(n for n in self._names("") if n == SHARED or not n.startswith(("_", ".")))

    def months(self, top: str) -> list[str]:
        """Return the months of an instrument's folder (or the shared one), oldest first."""
        return sorted(f"{top}/{name}" for name in self._names(top))

    def recent(self) -> list[Part]:
        """Return the parts of hours that were still going on, in no order of time."""
        return self.parts(RECENT)

    def parts(self, folder: str) -> list[Part]:
        """Return the parts in a folder, oldest first."""
        path = self.directory / folder
        changed_ns = _changed_ns(path)
        if not changed_ns:
            return []
        known = self._listed.get(folder)
        if known is not None and known[0] == changed_ns:
            self._listed.move_to_end(folder)
            return known[1]
        found = self._parsed(folder)
        if time.time_ns() - changed_ns > UNSURE_S * 1e9 and _changed_ns(path) == changed_ns:
            self._listed[folder] = (changed_ns, found)
            if len(self._listed) > CACHED_FOLDERS:
                self._listed.popitem(last=False)
            return found
        # A listing is not one moment: what replaces a file may be named before it is seen, and the
        # file gone before its turn comes. Names are never used twice, so two that are alike are of
        # a folder that stood still.
        until = time.monotonic() + AGAIN_S
        while (again := self._parsed(folder)) != found:
            found = again
            if time.monotonic() > until:
                _log.error("an archive folder kept changing while it was listed", folder=folder)
                break
        return found

    def index(self, part: Part) -> PartIndex | None:
        """Return a part's index, or None when it cannot be used; raises PartGoneError."""
        index = self._indexes.get(part.path)
        if index is not None:
            self._indexes.move_to_end(part.path)
            return index
        index = self._whole(part, read_index)
        if index is not None:
            self._indexes[part.path] = index
            self._cached_spans += len(index.spans)
            while self._cached_spans > CACHED_SPANS and len(self._indexes) > 1:
                _, old = self._indexes.popitem(last=False)
                self._cached_spans -= len(old.spans)
        return index

    def load(self, part: Part) -> Rows | None:
        """Return a part's rows, or None when it cannot be used; raises PartGoneError."""
        rows = self._rows.get(part.path)
        if rows is not None:
            self._rows.move_to_end(part.path)
            return rows
        rows = self._whole(part, read_part)
        if rows is not None:
            self._rows[part.path] = rows
            self._cached_rows += len(rows)
            while self._cached_rows > CACHED_ROWS and len(self._rows) > 1:
                _, old = self._rows.popitem(last=False)
                self._cached_rows -= len(old)
        return rows

    def forget(self) -> None:
        """Let go of what is kept in memory."""
        self._listed.clear()
        self._rows.clear()
        self._indexes.clear()
        self._cached_rows = self._cached_spans = 0

    def find(self, instrument: str, seqs: Array) -> list[SourceEvent]:
        """Return an instrument's events by seq; those that are not here are absent."""
        found: dict[int, SourceEvent] = {}
        missing = np.unique(seqs)
        for _ in looks():
            try:
                for part in self._holding(instrument, missing):
                    unread = part.kind == "hour" and not _overlaps(part, missing)
                    rows = None if unread else self.load(part)
                    if rows is None:
                        continue
                    here, events = rows.find(instrument, missing)
                    found |= {event.seq: event for event in events}
                    missing = missing[~here]
                    if not len(missing):
                        break
            except PartGoneError:
                self._listed.clear()
                continue
            break
        else:
            _log.error("the archive kept changing while it was read", left=len(missing))
        return [found[seq] for seq in sorted(found)]

    def every_part(self) -> Iterator[Part]:
        """Yield all parts: of each folder oldest first, recent ones last."""
        for top in self.tops():
            for month in self.months(top):
                yield from self.parts(month)
        yield from self.recent()

    def verify(
        self, progress: Callable[[int, int | None], None] | None = None
    ) -> Mapping[str, str]:
        """Read every part against its index; return what is wrong, by path."""
        self.forget()
        for done, part in enumerate(self.every_part(), start=1):
            with suppress(PartGoneError):
                self._twice(part)
            if progress:
                progress(done, None)
        folders = [m for top in self.tops() for m in self.months(top)]
        for folder in (*folders, RECENT):
            self._look_for_halves(folder)
        return dict(sorted(self.damaged.items()))

    def _twice(self, part: Part) -> None:
        """Read a part; where it has no index once more, to tell a deletion from damage."""
        try:
            self._whole(part, read_part)
        except PartGoneError:
            self._whole(part, read_part)

    def _holding(self, instrument: str, seqs: Array) -> Iterator[Part]:
        """Yield parts that can hold some of an instrument's seqs, the most likely first.

        A worker writes what replaces a part before it deletes the part, and moves rows from recent
        parts to hours and days: looked at in this order, a row that moves is met at least once.
        """
        for part in reversed(self.recent()):
            if self._spans(part, instrument, seqs):
                yield part
        for folder in reversed(self.months(encode_instrument(instrument))):
            for part in reversed(self.parts(folder)):
                if _overlaps(part, seqs):
                    yield part
        for folder in reversed(self.months(SHARED)):
            for part in reversed(self.parts(folder)):
                if self._spans(part, instrument, seqs):
                    yield part

    def _spans(self, part: Part, instrument: str, seqs: Array) -> bool:
        index = self.index(part)
        span = span_of(index.spans, instrument) if index else None
        return span is not None and _overlaps(span, seqs)

    def _whole(self, part: Part, read: Callable[[Path, Part], T]) -> T | None:
        try:
            whole = read(self.directory, part)
        except PartGoneError:
            raise
        except UnindexedError as error:
            if self._may_be_whole_soon(part):
                return None
            reason = str(error)
        except SegmentError as error:
            reason = str(error)
        else:
            self._unindexed.discard(part.path)
            return whole
        if part.path not in self.damaged:
            self.damaged[part.path] = reason
            _log.error("archive part cannot be used", file=part.path, reason=reason)
        return None

    def _may_be_whole_soon(self, part: Part) -> bool:
        """Return whether a part without its index is one that is still being written.

        One that is being deleted looks the same, and what replaces it may have come after its
        folder was listed: the first time it is as good as gone. Listed anew, whatever it replaces
        or is replaced by is there.
        """
        if part.path not in self._unindexed:
            self._unindexed.add(part.path)
            raise PartGoneError(f"archive part {part.path} has no index: look again")
        time.sleep(0.1)  # of a deletion, the part goes right after its index
        path = self.directory / part.path
        try:
            return time.time() - path.stat().st_mtime < WRITING_S
        except FileNotFoundError as error:
            raise PartGoneError(f"archive part {part.path} is gone") from error

    def _look_for_halves(self, folder: str) -> None:
        for name in self._names(folder):
            path = self.directory / folder / name
            if name.endswith(".json") and not path.with_suffix(".parquet").exists():
                if path.exists():
                    part = f"{folder}/{name.removesuffix('.json')}.parquet"
                    self.damaged[part] = f"archive part {part} is missing, its index is there"
            elif name.endswith(PARTIAL) and self._age_s(path) > ABANDONED_S:
                self.damaged[f"{folder}/{name}"] = "a write that never finished"

    def _parsed(self, folder: str) -> list[Part]:
        found = [p for name in self._names(folder) if (p := parse_part(folder, name))]
        return sorted(found, key=lambda part: (part.first_ns, part.path))

    def _age_s(self, path: Path) -> float:
        try:
            return time.time() - path.stat().st_mtime
        except OSError:
            return 0.0

    def _names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.directory / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []


def looks() -> Iterator[None]:
    """Yield as often as what other workers change meanwhile is worth another look."""
    until, made = time.monotonic() + AGAIN_S, 0
    while made < TRIES or time.monotonic() < until:
        if made:
            time.sleep(PAUSE_S)
        made += 1
        yield


def _changed_ns(path: Path) -> int:
    """Return when a folder changed last; 0 = it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def span_of(spans: Sequence[Span], instrument: str) -> Span | None:
    """Return an instrument's span among spans sorted by name, or None."""
    at = bisect_left(spans, instrument, key=lambda span: span.instrument)
    return spans[at] if at < len(spans) and spans[at].instrument == instrument else None


def _overlaps(part: Part | Span, seqs: Array) -> bool:
    return bool(len(seqs)) and part.min_seq <= seqs[-1] and seqs[0] <= part.max_seq
