"""One file of a tape, read in bounded pieces: records decoded, each with its place in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.compiled import kernel
from ingest.decode import Decoder
from ingest.errors import TapeError
from ingest.events import NULL, Array, Batch, Reject, Topic
from ingest.source import Arrivals

PIECE_BYTES: Final = 8 * 2**20
"""Of an ndjson file: about 25,000 records, far above the decoder's fixed cost."""
PIECE_ROWS: Final = 25_000
_LEAP_NS: Final = 86_400_000_000_000
"""One day: an engine_ns further ahead moves the merge only when the next record confirms it."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive records of a file, decoded."""

    batch: Batch
    rejects: Sequence[Reject]
    unknown_fields: int
    first: int
    """Number of the first record."""
    keys: Array
    """Of each record: event time that the file had reached, which never falls; ns."""
    row: Array
    """Of each record: its row in `batch`; -1 when it was rejected."""

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, start: int, end: int) -> Piece:
        """Return records by place in the piece; unknown fields stay with the first part."""
        numbers = range(self.first + start, self.first + end)
        row = self.row[start:end]
        rows = row[row >= 0]
        low, high = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        return Piece(
            batch=cut(self.batch, low, high),
            rejects=[reject for reject in self.rejects if reject.offset in numbers],
            unknown_fields=0 if start else self.unknown_fields,
            first=self.first + start,
            keys=self.keys[start:end],
            row=np.where(row < 0, -1, row - low),
        )


class TapeFile:
    """Reads one topic's file, ndjson or parquet, from a record on.

    Parameters
    ----------
    path : Path
    topic : Topic
    decoder : Decoder
    start : int
        Number of the first record to give. Those before it are read too, since the order of the
        merge depends on the time that they had reached.
    """

    def __init__(
        self,
        path: Path,
        topic: Topic,
        decoder: Decoder,
        *,
        start: int = 0,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._path = path
        self._topic = topic
        self._decoder = decoder
        self._start = start
        self._pieces = self._frames() if path.suffix == ".parquet" else self._lines(piece_bytes)
        self._clock = np.full(2, NULL)
        self._read = 0

    def next_piece(self) -> Piece | None:
        """Return the next records, or None at the end of the file."""
        while True:
            values = next(self._pieces, None)
            if values is None:
                return None
            before = max(0, min(self._start - self._read, len(values)))
            if before:
                self._decode(values[:before])
            if before < len(values):
                return self._decode(values[before:])

    def _decode(self, values: Sequence[bytes] | pl.DataFrame) -> Piece:
        numbers = np.arange(self._read, self._read + len(values))
        if isinstance(values, pl.DataFrame):
            arrivals = self._decoder.decode_frame(self._topic, values, 0, numbers)
        else:
            arrivals = self._decoder.decode(self._topic, values, 0, numbers)
        self._read += len(values)
        return self._piece(arrivals, int(numbers[0]), len(numbers))

    def _piece(self, arrivals: Arrivals, first: int, count: int) -> Piece:
        batch = arrivals.batch
        row = np.full(count, -1, np.int64)
        row[batch["offset"] - first] = np.arange(len(batch))
        keys = np.empty(count, np.int64)
        _reach(np.require(batch["engine_ns"], None, ("C", "W")), row, self._clock, keys)
        return Piece(
            batch=batch,
            rejects=arrivals.rejects,
            unknown_fields=arrivals.unknown_fields,
            first=first,
            keys=keys,
            row=row,
        )

    def _lines(self, piece_bytes: int) -> Iterator[Sequence[bytes] | pl.DataFrame]:
        try:
            with self._path.open("rb") as file:
                left = self._path.stat().st_size
                while left > 0:
                    piece = file.read(piece_bytes)
                    piece += file.readline()
                    if not piece:
                        return
                    left -= len(piece)
                    values = piece.removesuffix(b"\n").split(b"\n")
                    if left <= 0 and not values[-1].strip():
                        values.pop()
                    if values:
                        yield values
        except OSError as error:
            raise TapeError(f"{self._path.name} cannot be read: {error.strerror}") from error

    def _frames(self) -> Iterator[Sequence[bytes] | pl.DataFrame]:
        try:
            for frame in pl.scan_parquet(self._path).collect_batches(
                chunk_size=PIECE_ROWS, maintain_order=True
            ):
                if len(frame):
                    yield frame
        except (OSError, pl.exceptions.PolarsError) as error:
            raise TapeError(f"{self._path.name} cannot be read as Parquet: {error}") from error


def count_records(path: Path) -> int:
    """Return how many records a file has, without decoding it."""
    try:
        if path.suffix == ".parquet":
            return int(pl.scan_parquet(path).select(pl.len()).collect().item())
        lines, tail = 0, b""
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                lines += piece.count(b"\n")
                tail = (tail + piece)[-4096:]
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TapeError(f"{path.name} cannot be read: {error}") from error
    if not tail:
        return 0
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    return lines + (not tail.endswith(b"\n")) - (not last.strip())


def cut(batch: Batch, start: int, end: int) -> Batch:
    """Return consecutive rows of a batch; arrays are shared, not copied."""
    return Batch(
        {name: batch[name][start:end] for name in batch.names},
        batch.instruments,
        raw=None if batch.raw is None else batch.raw.slice(start, end - start),
    )


def merge(orders: Piece, trades: Piece) -> tuple[Batch, Array, Array, Array]:
    """Return two pieces as one, by key; on a tie orders go first.

    Gives the rows; then of each record its topic, its number, and its row (-1 when rejected).
    """
    order = np.argsort(np.concatenate((orders.keys, trades.keys)), kind="stable")
    topic = (order >= len(orders)).astype(np.int8)
    number = order + np.where(topic, trades.first - len(orders), orders.first)
    trade_row = np.where(trades.row < 0, -1, trades.row + len(orders.batch))
    row = np.concatenate((orders.row, trade_row))[order]
    valid = row >= 0
    if not len(orders) or not len(trades):
        batch = (orders if len(orders) else trades).batch
    else:
        parts = (orders.batch, trades.batch)
        raws = [part.raw for part in parts if part.raw is not None]
        batch = Batch(
            {
                name: np.concatenate([part[name] for part in parts]).take(row[valid])
                for name in orders.batch.names
            },
            orders.batch.instruments,
            raw=pl.concat(raws).gather(row[valid]),
        )
    return batch, topic, number, np.where(valid, np.cumsum(valid) - 1, -1)


@kernel()
def _reach(engine_ns, row, clock, keys):  # type: ignore[no-untyped-def]
    now, leap = clock[0], clock[1]
    for i in range(row.shape[0]):
        if row[i] >= 0:
            at = engine_ns[row[i]]
            if now == NULL:
                now = at
            else:
                if leap != NULL and at >= leap - _LEAP_NS:
                    now = leap
                leap = NULL
                if at > now + _LEAP_NS:
                    leap = at
                else:
                    now = max(now, at)
        keys[i] = now
    clock[0], clock[1] = now, leap
