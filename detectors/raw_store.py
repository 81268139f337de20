"""Raw records of trades that a detector of platform scope may yet cite, compressed, bounded."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import polars as pl

from detectors.base import Ref
from ingest.errors import SnapshotError, SourceError
from ingest.events import NO_CODE, WIRE, Array, Batch, concatenate, empty
from ingest.instruments import Instruments
from ingest.state import Snapshot, pack, unpack
from ingest.summary import cut_raw

CITED: Final = {
    name: WIRE[name] for name in ("instrument", "seq", "engine_ns", "topic", "partition", "offset")
}
"""Columns of a cited row, beside `raw`: what makes it a source event."""
BLOCK_ROWS: Final = 4_096
"""Rows compressed together: 1.5 MB of JSON, some 5 ms to read one of them back."""
_LEVEL: Final = 1
"""zlib's fastest: one fifth of the size; the highest gives one sixth at thrice the cost."""
_COLUMNS: Final = {**CITED, "length": WIRE["partition"]}
"""Of a block; `length` is that of a raw record, B."""


class _Block(msgspec.Struct, frozen=True, kw_only=True):
    columns: Mapping[str, Array]
    """By instrument code and seq."""
    raw: bytes
    newest_ns: int

    def __len__(self) -> int:
        return len(self.columns["seq"])

    @property
    def size(self) -> int:
        return len(self.raw) + sum(column.nbytes for column in self.columns.values())


class _State(msgspec.Struct, frozen=True):
    instruments: tuple[str, ...]
    dropped: int


class RawStore:
    """Raw records by instrument and seq, the newest that fit into `max_bytes`.

    State: about 115 B a trade of 370 B JSON, at most `max_bytes` and one block; the oldest block
    makes room, counted in `dropped`. Up to `BLOCK_ROWS` rows wait uncompressed.

    Parameters
    ----------
    instruments : Instruments
    max_bytes : int
        Size of the compressed blocks, B; 0 keeps nothing.
    """

    def __init__(self, instruments: Instruments, *, max_bytes: int) -> None:
        self._instruments = instruments
        self._max_bytes = max_bytes
        self._blocks: list[_Block] = []
        self._waiting: list[Batch] = []
        self._waiting_rows = 0
        self._size = 0
        self.dropped = 0
        """Rows let go of to make room, though they could still have been cited."""

    @property
    def size(self) -> int:
        """Size of the compressed blocks, B."""
        return self._size

    def add(self, batch: Batch) -> None:
        """Keep the rows of a batch with `clock_ns`; without `raw` there is nothing to keep."""
        if not len(batch) or batch.raw is None or not self._max_bytes:
            return
        columns = {name: batch[name] for name in (*CITED, "clock_ns")}
        self._waiting.append(Batch(columns, self._instruments, raw=batch.raw))
        self._waiting_rows += len(batch)
        if self._waiting_rows >= BLOCK_ROWS:
            self._seal()

    def find(self, refs: Iterable[Ref]) -> Batch:
        """Return the rows of references, `CITED` columns and `raw`, by instrument code and seq.

        Those that are not (or no longer) here are absent.
        """
        wanted: dict[int, set[int]] = {}
        for ref in refs:
            wanted.setdefault(ref.instrument, set()).add(ref.seq)
        found = [_nothing(self._instruments)]
        waiting = self._joined() if wanted and self._waiting else None
        for code, cited in sorted(wanted.items()):
            seqs = np.array(sorted(cited), np.int64)
            for block in self._blocks:
                rows = _places(block.columns, code, seqs)
                if len(rows):
                    raw = _records(block).gather(rows)
                    columns = {name: block.columns[name][rows] for name in CITED}
                    found.append(Batch(columns, self._instruments, raw=raw))
            if waiting is not None:
                columns = {name: waiting[name] for name in CITED}
                rows = _places(columns, code, seqs)
                found.append(Batch(columns, self._instruments, raw=waiting.raw).take(rows))
        cited_rows = concatenate(found)
        return cited_rows.take(np.lexsort((cited_rows["seq"], cited_rows["instrument"])))

    def forget(self, before_ns: int) -> None:
        """Let go of the blocks whose newest row lies before an event time."""
        if any(block.newest_ns < before_ns for block in self._blocks):
            self._blocks = [block for block in self._blocks if block.newest_ns >= before_ns]
            self._size = sum(block.size for block in self._blocks)

    def _joined(self) -> Batch:
        """Return what waits as one batch, by instrument code and seq."""
        rows = concatenate(self._waiting)
        if len(self._waiting) > 1:
            rows = rows.take(np.lexsort((rows["seq"], rows["instrument"])))
            self._waiting = [rows]
        return rows

    def _seal(self) -> None:
        """Compress what waits, in the order in which it came, so that the oldest goes first."""
        rows = concatenate(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        self._blocks += _blocks(rows)
        self._size = sum(block.size for block in self._blocks)
        while self._size > self._max_bytes and len(self._blocks) > 1:
            oldest = self._blocks.pop(0)
            self._size -= oldest.size
            self.dropped += len(oldest)

    def snapshot(self) -> Snapshot:
        """Return the rows that are kept; instruments are named."""
        blocks = [*self._blocks, *(_blocks(self._joined()) if self._waiting else ())]
        columns = {
            name: np.concatenate([empty({name: c})[name], *(b.columns[name] for b in blocks)])
            for name, c in _COLUMNS.items()
        }
        codes, places = np.unique(columns["instrument"], return_inverse=True)
        names = tuple(
            self._instruments[code].instrument if code != NO_CODE else "" for code in codes.tolist()
        )
        return {
            **columns,
            "instrument": places.astype(np.int32),
            "raw": np.frombuffer(b"".join(block.raw for block in blocks), np.uint8),
            "block_rows": np.array([len(block) for block in blocks], np.int64),
            "block_bytes": np.array([len(block.raw) for block in blocks], np.int64),
            "block_newest_ns": np.array([block.newest_ns for block in blocks], np.int64),
            "state": pack(_State(names, self.dropped)),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned; raises SnapshotError when it does not fit."""
        try:
            state = unpack(snapshot["state"], _State)
            # Of an instrument that is no longer listed nothing is found any more.
            named = (self._instruments.codes.get(name, NO_CODE) for name in state.instruments)
            codes = np.array([*named], "i4")
            columns = {name: snapshot[name] for name in _COLUMNS}
            columns["instrument"] = codes[columns["instrument"]]
            raw = snapshot["raw"].tobytes()
            row_ends = np.cumsum(snapshot["block_rows"]).tolist()
            raw_ends = np.cumsum(snapshot["block_bytes"]).tolist()
            newest = snapshot["block_newest_ns"].tolist()
        except (KeyError, IndexError) as error:
            raise SnapshotError(f"kept raw records do not hold together: {error!r}") from error
        self._waiting, self._waiting_rows, self.dropped = [], 0, state.dropped
        self._blocks = [
            _Block(
                columns={name: column[a:b] for name, column in columns.items()},
                raw=raw[c:d],
                newest_ns=at_ns,
            )
            for (a, b), (c, d), at_ns in zip(
                _spans(row_ends), _spans(raw_ends), newest, strict=True
            )
        ]
        self._size = sum(block.size for block in self._blocks)


def _nothing(instruments: Instruments) -> Batch:
    return Batch(empty(CITED), instruments, raw=pl.Series("raw", [], dtype=pl.Binary))


def _spans(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip([0, *ends[:-1]] if ends else [], ends, strict=True)


def _blocks(rows: Batch) -> Iterator[_Block]:
    for start in range(0, len(rows), BLOCK_ROWS):
        here = np.arange(start, min(start + BLOCK_ROWS, len(rows)))
        part = rows.take(here[np.lexsort((rows["seq"][here], rows["instrument"][here]))])
        records = [] if part.raw is None else part.raw.to_list()
        columns = {name: part[name] for name in CITED}
        columns["length"] = np.array([len(record) for record in records], np.int32)
        yield _Block(
            columns=columns,
            raw=zlib.compress(b"".join(records), _LEVEL),
            newest_ns=int(part["clock_ns"].max()),
        )


def _records(block: _Block) -> pl.Series:
    try:
        return cut_raw(zlib.decompress(block.raw), block.columns["length"])
    except (zlib.error, SourceError) as error:
        raise SnapshotError(f"kept raw records are damaged: {error}") from error


def _places(columns: Mapping[str, Array], code: int, seqs: Array) -> Array:
    """Return the rows of an instrument's seqs, of columns by instrument code and seq."""
    first, end = np.searchsorted(columns["instrument"], [code, code + 1]).tolist()
    if first == end:
        return np.empty(0, np.int64)
    here = columns["seq"][first:end]
    at = np.minimum(np.searchsorted(here, seqs), end - first - 1)
    places: Array = first + at[here[at] == seqs]
    return places
