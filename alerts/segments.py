"""Segments: archived events as sorted rows, in memory or in one checksummed Parquet file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.errors import RingfenceError
from ingest.events import NULL, Array, Batch, Topic
from ingest.instruments import Instruments

FORMAT: Final = 1
ROW_GROUP: Final = 32_768
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
    """A segment of the archive that is damaged or incomplete; the file is named."""


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
    """The rows of one instrument in a segment, in seq order."""

    instrument: str
    first_row: int
    rows: int
    min_seq: int
    max_seq: int


class SegmentIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What the index file says of a segment; enough to know that a segment cannot hold a row."""

    format: int
    file: str
    sha256: str
    bytes: int
    rows: int
    last_ns: int
    """Highest event clock of its rows, ns; NULL when none was known."""
    spans: tuple[Span, ...]


class _IndexFile(msgspec.Struct, frozen=True):
    index: SegmentIndex
    sha256: str
    """Of the index as it is encoded, so that a changed digit is noticed."""


class Rows:
    """Archived rows sorted by instrument name and seq.

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
    def last_ns(self) -> int:
        """Highest event clock, ns; NULL when none is known."""
        return int(self.columns["clock_ns"].max()) if len(self) else NULL

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
    """Return the rows of several parts, sorted, in one.

    Where a record is there twice (read again after a restart), both stay; they are equal.
    """
    if len(parts) == 1:
        return parts[0]
    names = sorted({span.instrument for part in parts for span in part.spans})
    place = {name: i for i, name in enumerate(names)}
    codes = np.concatenate(
        [
            np.repeat([place[s.instrument] for s in p.spans], [s.rows for s in p.spans])
            for p in parts
        ]
    )
    columns = {name: np.concatenate([p.columns[name] for p in parts]) for name in COLUMNS}
    raw = pl.concat([p.raw for p in parts], rechunk=True)
    return _sorted(codes, names, columns, raw)


def _sorted(
    codes: Array, names: Instruments | Sequence[str], columns: dict[str, Array], raw: pl.Series
) -> Rows:
    seq = columns["seq"]
    step = np.diff(codes)
    if not np.all((step > 0) | ((step == 0) & (np.diff(seq) >= 0))):
        order = np.lexsort((seq, codes))
        codes, raw = codes[order], raw.gather(order)
        columns = {name: column[order] for name, column in columns.items()}
        seq = columns["seq"]
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()] if len(codes) else []
    spans = []
    for start, end in zip(starts, [*starts[1:], len(codes)], strict=False):
        name = names[int(codes[start])]
        spans.append(
            Span(
                instrument=name if isinstance(name, str) else name.instrument,
                first_row=start,
                rows=end - start,
                min_seq=int(seq[start]),
                max_seq=int(seq[end - 1]),
            )
        )
    return Rows(spans, columns, raw)


def write_segment(directory: Path, number: int, rows: Rows) -> SegmentIndex:
    """Write rows as a segment and return its index; both files appear whole or not at all.

    The Parquet file is made durable before its index, so an index always has its segment.
    """
    name = f"segment-{number:010d}"
    path = directory / f"{name}.parquet"
    partial = directory / f"{name}.parquet.partial"
    instrument = pl.Series([s.instrument for s in rows.spans], dtype=pl.String).gather(
        np.repeat(np.arange(len(rows.spans)), [s.rows for s in rows.spans])
    )
    frame = pl.DataFrame({"instrument": instrument, **rows.columns, "raw": rows.raw})
    frame.write_parquet(partial, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    _durable(partial)
    content = partial.read_bytes()
    partial.replace(path)
    index = SegmentIndex(
        format=FORMAT,
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        rows=len(rows),
        last_ns=rows.last_ns,
        spans=rows.spans,
    )
    body = msgspec.json.encode(index)
    index_partial = directory / f"{name}.json.partial"
    index_partial.write_bytes(
        msgspec.json.encode(_IndexFile(index, hashlib.sha256(body).hexdigest())) + b"\n"
    )
    _durable(index_partial)
    index_partial.replace(directory / f"{name}.json")
    _durable(directory)
    return index


def read_index(path: Path) -> SegmentIndex:
    """Return a segment's index; raise SegmentError when it is damaged or its segment is missing."""
    try:
        written = msgspec.json.decode(path.read_bytes(), type=_IndexFile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SegmentError(f"archive index {path.name} cannot be read: {error}") from error
    if hashlib.sha256(msgspec.json.encode(written.index)).hexdigest() != written.sha256:
        raise SegmentError(f"archive index {path.name} does not match its own SHA-256")
    if written.index.format != FORMAT:
        raise SegmentError(
            f"archive index {path.name} has format {written.index.format}, expected {FORMAT}"
        )
    if not (path.parent / written.index.file).is_file():
        raise SegmentError(f"archive segment {written.index.file} is missing, its index is there")
    return written.index


def read_segment(directory: Path, index: SegmentIndex) -> Rows:
    """Return the rows of a segment after checking its SHA-256; raise SegmentError when it fails."""
    path = directory / index.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SegmentError(f"archive segment {index.file} cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != index.sha256:
        raise SegmentError(
            f"archive segment {index.file} has SHA-256 {found[:16]}…, "
            f"expected {index.sha256[:16]}… (its index)"
        )
    frame = pl.read_parquet(content, columns=[*COLUMNS, "raw"])
    return Rows(
        index.spans, {name: frame[name].to_numpy() for name in COLUMNS}, frame["raw"].rechunk()
    )


def _durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
