"""Tapes: a folder of recorded orders and trades, played back in one fixed order of arrival.

The two files are merged by the event time that each has reached (orders first on a tie), so the
order depends on the records alone: not on how they are read, cut or resumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
import polars as pl

from ingest.decode import Decoder
from ingest.errors import TapeError
from ingest.events import WIRE, Array, Batch, Reject, Topic, concatenate, empty
from ingest.instruments import Instruments, read_instruments
from ingest.names import Names
from ingest.source import Arrivals, Position, Reassigned
from ingest.tape_file import PIECE_BYTES, Piece, TapeFile, count_records, cut, merge

_STEMS: Final[Mapping[Topic, str]] = {Topic.ORDERS: "orders", Topic.TRADES: "trades"}


class Tape:
    """What a tape's folder holds.

    Raises
    ------
    TapeError
        The folder, its instruments.csv, or both of orders and trades are missing; a topic is there
        as ndjson and as parquet.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise TapeError(f"a tape must be a folder, found none at {folder}")
        self.folder = folder
        self.files: Mapping[Topic, Path] = {
            topic: path for topic in Topic if (path := self._file(_STEMS[topic])) is not None
        }
        """The file of each topic that is there."""
        if not self.files:
            raise TapeError(
                f"a tape must hold orders or trades (.ndjson or .parquet), {folder} holds neither"
            )
        self.instruments: Instruments = read_instruments(self._table("instruments.csv"))

    def _file(self, stem: str) -> Path | None:
        found = [p for s in (".ndjson", ".parquet") if (p := self.folder / f"{stem}{s}").is_file()]
        if len(found) > 1:
            raise TapeError(
                f"a tape must hold {stem} once, {self.folder} holds "
                f"{' and '.join(path.name for path in found)}"
            )
        return found[0] if found else None

    def _table(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise TapeError(f"a tape must hold {name}, {self.folder} does not")
        return path

    @property
    def accounts_path(self) -> Path:
        """The register's file; raises TapeError when it is missing."""
        return self._table("accounts.csv")

    @property
    def topic_names(self) -> Mapping[Topic, str]:
        """File name of each topic, as alerts cite it."""
        return {
            topic: self.files[topic].name if topic in self.files else f"{stem}.ndjson"
            for topic, stem in _STEMS.items()
        }

    def record_counts(self) -> Mapping[Topic, int]:
        """Return how many records each topic has; reads the files once, decodes nothing."""
        return {
            topic: count_records(self.files[topic]) if topic in self.files else 0 for topic in Topic
        }

    def record_count(self) -> int:
        """Return how many records there are, good and bad."""
        return sum(self.record_counts().values())


class _Segment(msgspec.Struct, kw_only=True):
    """Merged records that are ready; `batch` holds the rows of those that are valid."""

    batch: Batch
    topic: Array
    row: Array
    """Of each record: its row in `batch`; -1 when rejected."""
    rejects: Mapping[int, Reject]
    """By place in the segment."""
    unknown_fields: int
    done: int = 0


class TapeSource:
    """A tape as a feed: the `Source` protocol over a folder.

    Memory: one piece of each file (8 MiB of ndjson, or 25,000 rows of parquet) and what is merged
    of them, whatever the length of the tape; and as much as one poll gives.

    Parameters
    ----------
    folder : Path
    names : Names
        Codes of accounts and sessions; shared with the register.
    batch_rows : int
        Records that one poll gives, rejects included; fewer at the end only.
    piece_bytes : int
        How much of an ndjson file is read at a time; changes no result.

    Raises
    ------
    TapeError, RegistryError
        The folder cannot be used, or its instruments.csv.
    """

    def __init__(
        self,
        folder: Path,
        names: Names,
        *,
        batch_rows: int = 65_536,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        if batch_rows < 1:
            raise ValueError(f"batch_rows must be at least 1, was {batch_rows}")
        self.tape = Tape(folder)
        self.instruments = self.tape.instruments
        self.topic_names = self.tape.topic_names
        self._batch_rows = batch_rows
        self._piece_bytes = piece_bytes
        self._decoder = Decoder(self.instruments, names)
        self._counts: Mapping[Topic, int] | None = None
        self._told = False
        self.seek({})

    def seek(self, positions: Mapping[Position, int]) -> None:
        """Continue from given record numbers; a topic that is not named begins at 0.

        Earlier records are decoded again, since the order of the merge depends on them.
        """
        self._next = {topic: positions.get((topic, 0), 0) for topic in Topic}
        self._files = {
            topic: TapeFile(
                path,
                topic,
                self._decoder,
                start=self._next[topic],
                piece_bytes=self._piece_bytes,
            )
            for topic, path in self.tape.files.items()
        }
        self._waiting: dict[Topic, Piece] = {}
        self._ready: deque[_Segment] = deque()
        self._fill(1)

    def poll(self, timeout_s: float) -> Arrivals | None:  # noqa: ARG002
        """Return the next `batch_rows` records, or None at the end of the tape."""
        self._fill(self._batch_rows)
        batches, rejects, unknown, left = [], [], 0, self._batch_rows
        while left and self._ready:
            segment = self._ready[0]
            start, end = segment.done, min(segment.done + left, len(segment.row))
            rows = segment.row[start:end]
            rows = rows[rows >= 0]
            if len(rows):
                batches.append(cut(segment.batch, int(rows[0]), int(rows[-1]) + 1))
            if segment.rejects:
                rejects += [segment.rejects[i] for i in range(start, end) if i in segment.rejects]
            unknown += 0 if start else segment.unknown_fields
            trades = int(np.count_nonzero(segment.topic[start:end]))
            self._next[Topic.TRADES] += trades
            self._next[Topic.ORDERS] += end - start - trades
            left -= end - start
            segment.done = end
            if end == len(segment.row):
                self._ready.popleft()
        if left == self._batch_rows:
            return None
        self._fill(1)
        return Arrivals(
            batch=concatenate(batches) if batches else self._nothing(),
            rejects=rejects,
            unknown_fields=unknown,
            idle=self._idle(),
        )

    partitions = 1

    def reassigned(self) -> Reassigned | None:
        """Return both topics at the first call: a tape is one partition, and nobody else's."""
        told, self._told = self._told, True
        return None if told else Reassigned(assigned=tuple((topic, 0) for topic in Topic))

    def give_up(self, partition: int) -> None:
        """Do nothing: nobody else reads a tape's shard under this process' lock."""

    @property
    def drained(self) -> bool:
        """Whether every record has been polled."""
        return not self._ready and not self._files and not self._waiting

    def positions(self) -> Mapping[Position, int]:
        """Return the number of the next record of each topic."""
        return {(topic, 0): number for topic, number in self._next.items()}

    def commit(self, positions: Mapping[Position, int]) -> bool:  # noqa: ARG002
        """Do nothing: a tape keeps no place for its readers."""
        return True

    def lag(self) -> Mapping[Position, int]:
        """Return how many records are left of each topic; the first call counts them."""
        if self._counts is None:
            self._counts = self.tape.record_counts()
        return {(topic, 0): self._counts[topic] - self._next[topic] for topic in Topic}

    def close(self) -> None:
        """Let go of the files."""
        self._files.clear()
        self._waiting.clear()
        self._ready.clear()

    def records(self) -> Iterator[tuple[Topic, str, int, bytes]]:
        """Yield what is left, record by record: topic, instrument, engine_ns, raw bytes.

        Bad records come too, in their place, under whatever string they give as their instrument
        (else an empty one) and with the engine_ns of the record before them.
        """
        at_ns = 0
        self._fill(1)
        while self._ready:
            segment = self._ready.popleft()
            codes, times = segment.batch["instrument"], segment.batch["engine_ns"]
            raw = segment.batch.raw
            for i in range(segment.done, len(segment.row)):
                topic, row = Topic(int(segment.topic[i])), int(segment.row[i])
                self._next[topic] += 1
                if row < 0 or raw is None:
                    reject = segment.rejects[i]
                    yield topic, _instrument_named(reject.raw), at_ns, reject.raw
                else:
                    at_ns = int(times[row])
                    yield topic, self.instruments[int(codes[row])].instrument, at_ns, raw[row]
            self._fill(1)

    def _idle(self) -> frozenset[Position]:
        """Return the topics of which every record has been polled."""
        left = {int(t) for segment in self._ready for t in np.unique(segment.topic[segment.done :])}
        left |= {*self._files, *self._waiting}
        return frozenset((topic, 0) for topic in Topic if topic not in left)

    def _fill(self, records: int) -> None:
        """Merge until so many records are ready; know of the end of a file as soon as it is."""
        while True:
            for topic in list(self._files):
                if topic not in self._waiting:
                    piece = self._files[topic].next_piece()
                    if piece is None:
                        del self._files[topic]
                    else:
                        self._waiting[topic] = piece
            ready = sum(len(segment.row) - segment.done for segment in self._ready)
            if ready >= records or not self._waiting:
                return
            self._merge()

    def _merge(self) -> None:
        """Merge what no later record can come before, which uses up at least one piece."""
        taken: dict[Topic, Piece] = {}
        waiting = dict(self._waiting)
        for topic, piece in waiting.items():
            other = Topic.TRADES if topic is Topic.ORDERS else Topic.ORDERS
            end = len(piece)
            if other in waiting and other in self._files:
                # A later record of the other topic may share its last key; orders go first then.
                side: Literal["left", "right"] = "right" if topic is Topic.ORDERS else "left"
                end = int(np.searchsorted(piece.keys, waiting[other].keys[-1], side))
            taken[topic] = piece.part(0, end)
            self._waiting[topic] = piece.part(end, len(piece))
        self._waiting = {topic: piece for topic, piece in self._waiting.items() if len(piece)}
        self._ready.append(_segment(taken))

    def _nothing(self) -> Batch:
        raw = pl.Series("raw", [], dtype=pl.Binary)
        return Batch(empty(WIRE), self.instruments, raw=raw)


def _segment(taken: Mapping[Topic, Piece]) -> _Segment:
    some = next(iter(taken.values())).part(0, 0)
    batch, topic, number, row = merge(taken.get(Topic.ORDERS, some), taken.get(Topic.TRADES, some))
    refused = {
        (reject.topic, reject.offset): reject for p in taken.values() for reject in p.rejects
    }
    return _Segment(
        batch=batch,
        topic=topic,
        row=row,
        rejects={
            i: refused[Topic(int(topic[i])), int(number[i])]
            for i in (np.flatnonzero(row < 0).tolist() if refused else ())
        },
        unknown_fields=sum(piece.unknown_fields for piece in taken.values() if len(piece)),
    )


def _instrument_named(raw: bytes) -> str:
    try:
        record = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    name = record.get("instrument") if isinstance(record, dict) else None
    return name if isinstance(name, str) else ""


def raw_records(folder: Path) -> Iterator[tuple[Topic, str, int, bytes]]:
    """Yield every record of a tape in its order of arrival: see `TapeSource.records`."""
    return TapeSource(folder, Names()).records()
