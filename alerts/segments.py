"""Rows: archived events of many instruments, sorted, in arrays; what parts of the archive hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.errors import RingfenceError
from ingest.events import NULL, Array, Batch, Topic
from ingest.instruments import Instruments

COLUMNS: Final = {
    "seq": np.int64,
    "clock_ns": np.int64,
    "engine_ns": np.int64,
    "topic": np.int8,
    "partition": np.int32,
    "offset": np.int64,
}
"""Columns beside `instrument` (the name) and `raw`; meanings as in ingest.events."""


class SegmentError(RingfenceError):
    """A part of the archive that is damaged or incomplete; the file is named."""


class SourceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One archived record, with where it stood in its feed."""

    instrument: str
    seq: int
    engine_ns: int
    topic: Topic
    partition: int
    offset: int
    raw: bytes


class Span(msgspec.Struct, frozen=True):
    """The rows of one instrument, in seq order."""

    instrument: str
    first_row: int
    rows: int
    min_seq: int
    max_seq: int


class Rows:
    """Archived rows sorted by instrument name and seq.

    A record that is there twice (same instrument, seq and bytes) is kept once. Of records that
    share a seq and differ, the one that was applied comes first, then the lowest offset; the
    first is the one that look-ups give.

    Parameters
    ----------
    spans : sequence of Span
        One an instrument, in row order.
    columns : dict of str to array
        As in `COLUMNS`.
    raw : polars.Series of Binary
    """

    __slots__ = ("_spans", "columns", "raw", "spans")

    def __init__(self, spans: Sequence[Span], columns: dict[str, Array], raw: pl.Series) -> None:
        self.spans = tuple(spans)
        self.columns = columns
        self.raw = raw
        self._spans = {span.instrument: span for span in spans}

    def __len__(self) -> int:
        return len(self.columns["seq"])

    @property
    def late(self) -> Array:
        """Mask of rows that came after their gap was declared: archived, never applied."""
        return np.equal(self.columns["clock_ns"], NULL)

    @property
    def times(self) -> Array:
        """Event clock of each row, ns; of late rows, which have none, their engine_ns."""
        return np.where(self.late, self.columns["engine_ns"], self.columns["clock_ns"])

    @property
    def last_ns(self) -> int:
        """Highest event clock, ns; NULL when none is known."""
        return int(self.columns["clock_ns"].max()) if len(self) else NULL

    @property
    def codes(self) -> Array:
        """Place in `spans` of each row's instrument."""
        return np.repeat(np.arange(len(self.spans)), [span.rows for span in self.spans])

    @property
    def first_of_seq(self) -> Array:
        """Mask of the first row of each (instrument, seq)."""
        first = np.ones(len(self), np.bool_)
        seq, codes = self.columns["seq"], self.codes
        first[1:] = (seq[1:] != seq[:-1]) | (codes[1:] != codes[:-1])
        return first

    def take(self, mask: Array) -> Rows:
        """Return the rows where a mask is true."""
        return self if mask.all() else self.gather(np.flatnonzero(mask))

    def gather(self, where: Array) -> Rows:
        """Return the rows at rising positions."""
        columns = {name: column[where] for name, column in self.columns.items()}
        names = [span.instrument for span in self.spans]
        ends = np.cumsum([span.rows for span in self.spans])
        codes = np.searchsorted(ends, where, side="right")
        return Rows(_spans(codes, names, columns["seq"]), columns, self.raw.gather(where))

    def only(self, instruments: Collection[str]) -> Rows:
        """Return the rows of some instruments."""
        wanted = np.array([span.instrument in instruments for span in self.spans], np.bool_)
        return self.take(np.repeat(wanted, [span.rows for span in self.spans]))

    def find(self, instrument: str, seqs: Array) -> tuple[Array, list[SourceEvent]]:
        """Return which of an instrument's seqs are here (mask), and those events, in order."""
        span = self._spans.get(instrument)
        if span is None or seqs.max() < span.min_seq or seqs.min() > span.max_seq:
            return np.zeros(len(seqs), np.bool_), []
        here = self.columns["seq"][span.first_row : span.first_row + span.rows]
        at = np.minimum(np.searchsorted(here, seqs), span.rows - 1)
        found = here[at] == seqs
        rows = at[found] + span.first_row
        values = (self.columns[name][rows].tolist() for name in COLUMNS)
        events = [
            SourceEvent(
                instrument=instrument,
                seq=seq,
                engine_ns=engine_ns,
                topic=Topic(topic),
                partition=partition,
                offset=offset,
                raw=raw,
            )
            for seq, _, engine_ns, topic, partition, offset, raw in zip(
                *values, self.raw.gather(rows).to_list(), strict=True
            )
        ]
        return found, events


def rows_of(batches: Sequence[Batch]) -> Rows:
    """Return the rows of batches over one instruments table, sorted; their `raw` must be there."""
    raws = [batch.raw for batch in batches if batch.raw is not None]
    if len(raws) < len(batches):
        raise ValueError("a batch without raw records cannot be archived")
    columns = {
        name: np.concatenate([_column(batch, name, dtype) for batch in batches])
        for name, dtype in COLUMNS.items()
    }
    codes = np.concatenate([batch["instrument"] for batch in batches])
    return _sorted(codes, batches[0].instruments, columns, pl.concat(raws, rechunk=True))


def _column(batch: Batch, name: str, dtype: type) -> Array:
    if name == "clock_ns" and name not in batch.names:
        return np.full(len(batch), NULL, dtype)  # late rows never had a place in event time
    return np.asarray(batch[name], dtype)


def merge(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several parts, sorted, in one; each record once."""
    if len(parts) == 1:
        return parts[0]
    names = sorted({span.instrument for part in parts for span in part.spans})
    place = {name: i for i, name in enumerate(names)}
    codes = np.concatenate(
        [
            np.repeat([place[s.instrument] for s in p.spans], [s.rows for s in p.spans])
            for p in parts
        ]
    ).astype(np.int64)
    columns = {
        name: np.concatenate([p.columns[name] for p in parts]).astype(dtype, copy=False)
        for name, dtype in COLUMNS.items()
    }
    return _sorted(codes, names, columns, pl.concat([p.raw for p in parts], rechunk=True))


def _sorted(
    codes: Array, names: Instruments | Sequence[str], columns: dict[str, Array], raw: pl.Series
) -> Rows:
    seq = columns["seq"]
    step = np.diff(codes)
    if not np.all((step > 0) | ((step == 0) & (np.diff(seq) > 0))):
        order = np.lexsort((seq, codes))
        if np.any((np.diff(codes[order]) == 0) & (np.diff(seq[order]) == 0)):
            order = _distinct(codes, columns, raw)
        codes, raw = codes[order], raw.gather(order)
        columns = {name: column[order] for name, column in columns.items()}
    called = names if not isinstance(names, Instruments) else [r.instrument for r in names.rows]
    return Rows(_spans(codes, called, columns["seq"]), columns, raw)


def _distinct(codes: Array, columns: dict[str, Array], raw: pl.Series) -> Array:
    """Return the order of rows in which each record is there once."""
    seq, late = columns["seq"], columns["clock_ns"] == NULL
    order = np.lexsort((columns["offset"], columns["partition"], late, seq, codes))
    twice = np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(seq[order]) == 0)) + 1
    equal = (raw.gather(order[twice]) == raw.gather(order[twice - 1])).to_numpy()
    return np.delete(order, twice[equal])


def _spans(codes: Array, names: Sequence[str], seq: Array) -> list[Span]:
    if not len(codes):
        return []
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()]
    return [
        Span(
            instrument=names[int(codes[start])],
            first_row=start,
            rows=end - start,
            min_seq=int(seq[start]),
            max_seq=int(seq[end - 1]),
        )
        for start, end in zip(starts, [*starts[1:], len(codes)], strict=True)
    ]
