"""Rows that wait: kept in the pieces in which they arrived, found again by their arrival number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np
import polars as pl

from ingest.axes import Rows, Runs
from ingest.content import is_constant
from ingest.errors import SnapshotError
from ingest.events import TAGS, WIRE, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

FEW: Final = 256
"""Rows up to which the fixed cost of a column or of a Polars call is more than that of the rows."""


_CODES: Final = "rows/held/instrument"


class _Piece(msgspec.Struct, kw_only=True):
    arrivals: Array
    batch: Batch
    waiting: Array
    left: int


class Held:
    """Pending rows with all their columns and raw records.

    State: the rows that wait, and at most as many again that no longer do. Pieces are merged as
    they come, so that a row is copied about log2(rows) times, however small the pushes.
    """

    layout: ClassVar[Layout] = {
        **{f"rows/held/{name}": Rows(_CODES) for name in (*WIRE, *TAGS)},
        "rows/arrivals": Rows(_CODES, renumber=True),
        "rows/raw_length": Rows(_CODES),
        "rows/raw_bytes": Runs("rows/raw_length"),
    }

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []

    def keep(self, arrivals: Array, batch: Batch, rows: Array) -> None:
        """Keep the given rows of a batch; `arrivals` are their numbers, higher than any before."""
        if not len(rows):
            return
        piece = _piece(arrivals, gather(batch, rows))
        while self._pieces and self._pieces[-1].left <= 2 * piece.left:
            earlier = _tidy(self._pieces.pop())
            piece = _piece(
                np.concatenate((earlier.arrivals, piece.arrivals)),
                assemble([earlier.batch, piece.batch], None, batch.instruments),
            )
        self._pieces.append(piece)

    def take(self, arrivals: Array, base: int, batch: Batch) -> Batch:
        """Return rows in the order given: those held, and from `base` on, those of a batch.

        Rows taken are held no longer.
        """
        sources: list[Batch] = []
        where: list[Array] = []
        for piece in self._pieces:
            first, last = piece.arrivals[0], piece.arrivals[-1]
            wanted = np.flatnonzero((arrivals >= first) & (arrivals <= last))
            if len(wanted):
                rows = np.searchsorted(piece.arrivals, arrivals[wanted])
                sources.append(gather(piece.batch, rows))
                where.append(wanted)
                piece.waiting[rows] = False
                piece.left -= len(rows)
        wanted = np.flatnonzero(arrivals >= base)
        if len(wanted) == len(arrivals):
            return gather(batch, arrivals - base)
        if len(wanted):
            sources.append(gather(batch, arrivals[wanted] - base))
            where.append(wanted)
        self._pieces = [
            piece if 2 * piece.left >= len(piece.arrivals) else _tidy(piece)
            for piece in self._pieces
            if piece.left
        ]
        return assemble(sources, where, batch.instruments)

    def snapshot(self) -> Snapshot:
        """Return the waiting rows as arrays, by instrument, each's in the order of arrival."""
        if not self._pieces:
            return {}
        pieces = [_tidy(piece) for piece in self._pieces]
        batch = assemble([piece.batch for piece in pieces], None, pieces[0].batch.instruments)
        order = np.argsort(batch["instrument"], kind="stable")
        batch = gather(batch, order)
        state = {f"rows/held/{name}": batch[name] for name in batch.names}
        state["rows/arrivals"] = np.concatenate([piece.arrivals for piece in pieces])[order]
        if batch.raw is not None:
            values = [value or b"" for value in batch.raw.to_list()]
            state["rows/raw_length"] = np.array([len(value) for value in values], np.int64)
            state["rows/raw_bytes"] = np.frombuffer(b"".join(values), np.uint8)
        return state

    def restore(self, snapshot: Snapshot, instruments: Instruments) -> None:
        """Take over the rows of a snapshot, which may hold more."""
        self._pieces = []
        if not len(snapshot.get("rows/arrivals", ())):
            return
        columns = {
            name.removeprefix("rows/held/"): array
            for name, array in snapshot.items()
            if name.startswith("rows/held/")
        }
        raw = None
        if "rows/raw_length" in snapshot:
            ends = np.cumsum(snapshot["rows/raw_length"]).tolist()
            joined = snapshot["rows/raw_bytes"].tobytes()
            if len(joined) != ends[-1]:
                raise SnapshotError(
                    f"raw records of pending rows must be {ends[-1]} bytes, were {len(joined)}"
                )
            values = [joined[a:b] for a, b in zip([0, *ends], ends, strict=False)]
            raw = pl.Series("raw", values, dtype=pl.Binary)
        order = np.argsort(snapshot["rows/arrivals"])
        batch = gather(Batch(columns, instruments, raw=raw), order)
        self._pieces = [_piece(snapshot["rows/arrivals"][order], batch)]


def _piece(arrivals: Array, batch: Batch) -> _Piece:
    waiting = np.ones(len(arrivals), np.bool_)
    return _Piece(arrivals=arrivals, batch=batch, waiting=waiting, left=len(arrivals))


def _tidy(piece: _Piece) -> _Piece:
    if piece.left == len(piece.arrivals):
        return piece
    rows = np.flatnonzero(piece.waiting)
    return _piece(piece.arrivals[rows], gather(piece.batch, rows))


def gather(batch: Batch, rows: Array) -> Batch:
    """Return rows of a batch; the batch's own arrays when that is all of them in order.

    Raw records of a small part are copied, so that they do not keep the whole alive.
    """
    if len(rows) == len(batch) and np.array_equal(rows, np.arange(len(batch))):
        return batch
    columns = {name: _gather(batch[name], rows) for name in batch.names}
    raw = None if batch.raw is None else _gather_raw(batch.raw, rows)
    return Batch(columns, batch.instruments, raw=raw)


def _gather(column: Array, rows: Array) -> Array:
    if FEW < len(rows) <= len(column) < 8 * len(rows) and is_constant(column):
        return column[: len(rows)]
    taken: Array = column.take(rows)
    return taken


def _gather_raw(raw: pl.Series, rows: Array) -> pl.Series:
    if not len(rows):
        return raw.clear()
    if len(raw) <= FEW:
        records = raw.to_list()
        return pl.Series(raw.name, [records[row] for row in rows.tolist()], dtype=pl.Binary)
    taken = raw.gather(rows)
    if 8 * len(rows) < len(raw):
        return pl.Series(raw.name, taken.to_list(), dtype=pl.Binary)
    return taken


def assemble(
    parts: Sequence[Batch], where: Sequence[Array] | None, instruments: Instruments
) -> Batch:
    """Return the rows of batches of equal columns: one after the other, or each in its place."""
    if len(parts) == 1 and where is None:
        return parts[0]
    columns: Mapping[str, Array] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0].names
    }
    raws = [part.raw for part in parts if part.raw is not None]
    raw = pl.concat([series.rename("raw") for series in raws]) if len(raws) == len(parts) else None
    joined = Batch(columns, instruments, raw=raw)
    if where is None:
        return joined
    order = np.empty(len(joined), np.int64)
    order[np.concatenate(where)] = np.arange(len(joined))
    return gather(joined, order)
