"""Bounds of the archive: the oldest go, counted and written down, unless a hold keeps them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from alerts.archive_files import (
    PartGoneError,
    Suffixes,
    locked,
    remove_part,
    size_of,
    write_durably,
    write_part,
)
from alerts.archive_holds import Held, Hold
from alerts.archive_names import RECENT, Part, decode_instrument, month_of, shared_stem
from alerts.archive_reader import ArchiveReader
from ingest.events import NULL

DROPPED: Final = "_dropped.json"
LOOK_NS: Final = 600 * 1_000_000_000
"""Event time between looks at the age bound."""
LOOK_PART: Final = 256
"""A look at the size bound after writing this part of it: what is over it is below 1% a worker."""

_log = structlog.get_logger()


class Dropped(msgspec.Struct, kw_only=True):
    """What bounds have dropped in one folder, ever."""

    until_ns: int
    """Nothing before this is there, but for what holds kept; ns."""
    parts: int = 0
    rows: int = 0
    bytes: int = 0


def no_holds() -> Collection[Hold]:
    """Return no hold: the default."""
    return ()


def read_dropped(directory: Path) -> dict[str, Dropped]:
    """Return what was dropped, by folder (an instrument's, or the shared one)."""
    try:
        return msgspec.json.decode((directory / DROPPED).read_bytes(), type=dict[str, Dropped])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        _log.error("archive's list of dropped ranges is damaged", reason=str(error))
        return {}


class Bounds:
    """Keeps the archive's folder within an age and a size.

    Parameters
    ----------
    reader : ArchiveReader
    max_bytes : int
        Size of all parts, B.
    max_age_ns : int
        Event time behind the newest event, ns.
    holds : callable
        Gives the holds in force; asked only when something would be dropped.
    suffixes : Suffixes
    """

    def __init__(
        self,
        reader: ArchiveReader,
        *,
        max_bytes: int,
        max_age_ns: int,
        holds: Callable[[], Collection[Hold]],
        suffixes: Suffixes,
    ) -> None:
        self._reader = reader
        self._directory = reader.directory
        self._max_bytes = max_bytes
        self._max_age_ns = max_age_ns
        self._holds = holds
        self._suffixes = suffixes
        self._folders: dict[str, tuple[int, int, int]] = {}
        self._looked_ns = NULL
        self._written = max_bytes  # the first call looks
        self._surveyed = False
        self.rows = 0
        """Rows in the folder when it was last looked at, and what this worker wrote since."""
        self.bytes = 0
        """Size of the folder likewise, B."""
        self.dropped_parts = 0
        self.dropped_rows = 0
        self.dropped_bytes = 0
        self.held_bytes_over = 0
        """By how much the size is over its bound because holds keep what would go, B."""

    def wrote(self, rows: int, size: int) -> None:
        """Count what was written, or with minus signs replaced, since the last look."""
        self.rows += rows
        self.bytes += size
        self._written += max(size, 0)

    def survey(self) -> None:
        """Add up what the folder holds; folders that did not change are not listed again."""
        seen: dict[str, tuple[int, int, int]] = {}
        for folder in self._all_folders():
            path = self._directory / folder
            try:
                changed_ns = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            known = self._folders.get(folder)
            if known is None or known[0] != changed_ns:
                parts = self._reader.parts(folder)
                size = sum(size_of(self._directory, part) for part in parts)
                known = (changed_ns, sum(part.rows for part in parts), size)
            seen[folder] = known
        self._folders = seen
        self.rows = sum(rows for _, rows, _ in seen.values())
        self.bytes = sum(size for _, _, size in seen.values())
        self._surveyed = True

    def ensure_surveyed(self) -> None:
        """Survey unless it was done."""
        if not self._surveyed:
            self.survey()

    def apply(self, newest_ns: int) -> None:
        """Drop what is beyond the bounds, when enough has changed since the last look."""
        aged = newest_ns != NULL and (
            self._looked_ns == NULL
            or newest_ns - self._looked_ns >= min(LOOK_NS, self._max_age_ns // 16)
        )
        if not aged and self._written * LOOK_PART < self._max_bytes:
            return
        self._looked_ns, self._written = newest_ns, 0
        self.survey()
        oldest_ns = NULL if newest_ns == NULL else newest_ns - self._max_age_ns
        if self.bytes <= self._max_bytes and not self._any_before(oldest_ns):
            self._over(0)
            return
        with locked(self._directory) as mine:
            if mine:  # else another worker is at it
                self._drop(oldest_ns)

    def _drop(self, oldest_ns: int) -> None:
        held = Held(self._holds())
        dropped = read_dropped(self._directory)
        before = self.dropped_parts
        for part in self._oldest_first():
            too_old = oldest_ns != NULL and part.end_ns <= oldest_ns
            if not too_old and self.bytes <= self._max_bytes:
                break
            try:
                self._drop_part(part, held, dropped)
            except PartGoneError:
                continue
        if self.dropped_parts > before:
            write_durably(self._directory / DROPPED, msgspec.json.encode(dropped) + b"\n")
            _log.info("archive dropped its oldest", parts=self.dropped_parts - before)
        self._over(max(0, self.bytes - self._max_bytes))

    def _drop_part(self, part: Part, held: Held, dropped: dict[str, Dropped]) -> None:
        size, rows = size_of(self._directory, part), part.rows
        kept = self._held_of(part, held)
        if kept == part.rows:
            return
        if kept:
            loaded = self._reader.load(part)
            if loaded is None:
                return
            names = {s.instrument for s in loaded.spans if self._covers(held, s.instrument, part)}
            rest = loaded.only(names)
            stem = shared_stem(part.folder, part.first_ns, len(rest))
            written = write_part(self._directory, f"{stem}_{self._suffixes.next()}", rest)
            size -= size_of(self._directory, written)
            rows -= len(rest)
        if not remove_part(self._directory, part):
            return
        self.wrote(-rows, -size)
        self.dropped_parts += 1
        self.dropped_rows += rows
        self.dropped_bytes += size
        top = part.path.partition("/")[0]
        entry = dropped.setdefault(top, Dropped(until_ns=part.end_ns))
        entry.until_ns = max(entry.until_ns, part.end_ns)
        entry.parts += 1
        entry.rows += rows
        entry.bytes += size
        if not kept and not self._reader.parts(part.folder):
            self._remove_folder(part.folder)

    def _held_of(self, part: Part, held: Held) -> int:
        """Return how many of a part's rows holds keep: of an hour all or none."""
        if not held:
            return 0
        top = part.path.partition("/")[0]
        name = decode_instrument(top) if part.kind == "hour" else None
        if name is not None:
            return part.rows if self._covers(held, name, part) else 0
        index = self._reader.index(part)
        if index is None:
            return part.rows  # nobody can say that no hold covers it
        kept = sum(span.rows for span in index.spans if self._covers(held, span.instrument, part))
        return part.rows if kept and part.kind == "hour" else kept

    def _covers(self, held: Held, instrument: str, part: Part) -> bool:
        return held.covers(instrument, part.first_ns, part.end_ns - 1)

    def _oldest_first(self) -> Iterator[Part]:
        months: dict[str, list[str]] = {}
        for folder in self._folders:
            if folder != RECENT:
                months.setdefault(folder.rpartition("/")[2], []).append(folder)
        for month in sorted(months):
            parts = [p for folder in months[month] for p in self._reader.parts(folder)]
            yield from sorted(parts, key=lambda part: (part.end_ns, part.path))

    def _any_before(self, oldest_ns: int) -> bool:
        """Return whether there can be parts that end before a time: by month, from names alone."""
        if oldest_ns == NULL:
            return False
        until = month_of(oldest_ns)
        return any(
            part.end_ns <= oldest_ns
            for folder in self._folders
            if folder != RECENT and folder.rpartition("/")[2] <= until
            for part in self._reader.parts(folder)
        )

    def _all_folders(self) -> Iterator[str]:
        for top in self._reader.tops():
            yield from self._reader.months(top)
        yield RECENT

    def _remove_folder(self, folder: str) -> None:
        try:
            (self._directory / folder).rmdir()
        except OSError:  # something is in it still: another worker's, or none of ours
            return

    def _over(self, size: int) -> None:
        if bool(size) != bool(self.held_bytes_over):
            _log.warning("archive's size against its bound, by holds", over_bytes=size)
        self.held_bytes_over = size
