"""Ranges: archived events of some instruments between two times, hour by hour."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import numpy as np

from alerts.archive_files import PartGoneError
from alerts.archive_names import SHARED, Part, encode_instrument, month_of
from alerts.archive_reader import ArchiveReader, looks, span_of
from alerts.record import Alert
from alerts.segments import Rows, SegmentError, merge
from ingest.registry import FOREVER
from ingest.times import DAY, HOUR

NOTHING_BEFORE: Final[Mapping[str, int]] = {}


def hours_between(
    reader: ArchiveReader,
    instruments: Collection[str],
    from_ns: int,
    to_ns: int,
    *,
    first_seqs: Mapping[str, int] = NOTHING_BEFORE,
    progress: Callable[[int, int | None], None] | None = None,
) -> Iterator[Rows]:
    """Yield the rows of instruments in each hour that has any, oldest first.

    Each record is there once an hour; late ones stand in the hour of their engine_ns.

    Parameters
    ----------
    reader : ArchiveReader
    instruments : collection of str
    from_ns, to_ns : int
        Event time, ns; both ends count.
    first_seqs : mapping of instrument to int
        Leave out what has a lower seq; an instrument that is not named begins at its first.
    progress : callable, optional
        Told days done and days in all.
    """
    look = _Look(reader, frozenset(instruments), from_ns, to_ns, first_seqs)
    # What is recent now is read now: should it move meanwhile, it is met twice and kept once.
    recent = look.recent()
    days = sorted(look.days() | {int(d) for r in recent for d in np.unique(r.times // DAY)})
    for done, day in enumerate(days, start=1):
        parts = [rows.take(rows.times // DAY == day) for rows in recent]
        yield from look.hours(day, parts)
        if progress:
            progress(done, len(days))


def end_of(reader: ArchiveReader, alert: Alert) -> int:
    """Return the time, ns, up to which events must be replayed for an alert to be found again.

    What a timer finds is told by the instrument's next record, which moves time past the timer's
    deadline: that record belongs to it, where there is one.
    """
    end_ns = max(alert.window_end_ns, alert.detected_ns)
    for rows in hours_between(reader, [alert.instrument], end_ns + 1, FOREVER):
        if len(rows.times):
            return int(rows.times.min())
    return end_ns


class _Look:
    """One look at a range."""

    def __init__(
        self,
        reader: ArchiveReader,
        instruments: frozenset[str],
        from_ns: int,
        to_ns: int,
        first_seqs: Mapping[str, int],
    ) -> None:
        self._reader = reader
        self._instruments = instruments
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._first_seqs = first_seqs

    def recent(self) -> list[Rows]:
        """Return what recent parts have of the range."""
        return self._load(self._reader.recent)

    def days(self) -> set[int]:
        """Return the days of which there are parts, by their names."""
        tops = [SHARED, *(encode_instrument(name) for name in self._instruments)]
        return {
            part.first_ns // DAY
            for top in tops
            for part in self._parts(top, self._from_ns, self._to_ns)
        }

    def hours(self, day: int, recent: list[Rows]) -> Iterator[Rows]:
        """Yield the hours of a day."""
        first_ns, last_ns = day * DAY, (day + 1) * DAY - 1
        pieces = recent + self._load(lambda: self._parts(SHARED, first_ns, last_ns))
        hours = {int(hour) for rows in pieces for hour in np.unique(rows.times // HOUR)}
        tops = [encode_instrument(name) for name in sorted(self._instruments)]
        hours |= {
            part.first_ns // HOUR for top in tops for part in self._parts(top, first_ns, last_ns)
        }
        for hour in sorted(hours):
            at_ns = hour * HOUR

            def own(at_ns: int = at_ns) -> list[Part]:
                return [part for top in tops for part in self._parts(top, at_ns, at_ns)]

            found = [rows.take(rows.times // HOUR == hour) for rows in pieces]
            found = [rows for rows in (*found, *self._load(own)) if len(rows)]
            if found:
                yield merge(found)

    def _load(self, parts: Callable[[], list[Part]]) -> list[Rows]:
        """Return what parts have of the range; list them again when one has gone meanwhile."""
        for _ in looks():
            try:
                loaded = [self._reader.load(part) for part in parts() if self._may_have(part)]
                return [
                    rows for part in loaded if part is not None and len(rows := self._cut(part))
                ]
            except PartGoneError:
                self._reader.forget()
        raise SegmentError("the archive kept changing while a range was read: try again")

    def _parts(self, top: str, first_ns: int, last_ns: int) -> list[Part]:
        low, high = f"{top}/{month_of(first_ns)}", f"{top}/{month_of(last_ns)}"
        return [
            part
            for month in self._reader.months(top)
            if low <= month <= high
            for part in self._reader.parts(month)
            if part.first_ns <= last_ns and part.end_ns > first_ns
        ]

    def _may_have(self, part: Part) -> bool:
        if part.kind == "hour" and not self._first_seqs:
            return True
        index = self._reader.index(part)
        spans = index.spans if index else ()
        return any(
            span is not None and span.max_seq >= self._first_seqs.get(span.instrument, 1)
            for span in (span_of(spans, name) for name in self._instruments)
        )

    def _cut(self, rows: Rows) -> Rows:
        rows = rows.only(self._instruments)
        times = rows.times
        mask = (times >= self._from_ns) & (times <= self._to_ns)
        if self._first_seqs:
            first = [self._first_seqs.get(span.instrument, 1) for span in rows.spans]
            mask &= rows.columns["seq"] >= np.array(first, np.int64)[rows.codes]
        return rows.take(mask)
