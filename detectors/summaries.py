"""The summariser: rows and signs of a shard's batches, minute by minute of event time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
import polars as pl

from ingest.errors import SnapshotError, SourceError
from ingest.events import NULL, Array, Batch, empty
from ingest.instruments import Instruments
from ingest.signs import Sign, passed
from ingest.state import Snapshot, pack, pack_exact, unpack, unpack_exact
from ingest.summary import SUMMARY, TOLD_BY, Summary, decode_rows, encode_rows, is_summed
from ingest.times import MINUTE

__all__ = ["SUMMARY", "Summariser", "Summary"]

SMALL: Final = 256
"""Rows of a batch up to which a call a column costs more than the rows themselves."""
SMALL_TOTAL: Final = 8_192
_START_ROWS: Final = 1_024


class _State(msgspec.Struct, frozen=True):
    last_ns: int
    idle: bool


class Summariser:
    """Collects what a summary has and hands it on once a boundary of event time has been passed.

    State: rows and signs since the last boundary, 226 B and the raw record each of a row,
    and `SMALL_TOTAL` rows of small batches. A closing is decided by `close`; its boundary alone,
    given to `close_at` at the same place of the feed, repeats it to the byte.

    Parameters
    ----------
    instruments : Instruments
        The table that `instrument` codes index.
    shard : str
        Whose rows these are.
    every_ns : int
        Boundaries are its multiples since 1970, ns.
    raw : bool
        Whether raw records go along, as evidence; not needed where an archive is at hand.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> summariser = Summariser(example_instruments(), "tape", raw=False)
    >>> summariser.take(batch_of([trade(1, 2, engine_ns=s * 10**9) for s in (65, 119, 121)],
    ...     example_instruments()))
    >>> len(summariser.close(119 * 10**9).rows), summariser.close(119 * 10**9)
    (0, None)
    >>> summary = summariser.close(121 * 10**9)
    >>> summary.until_ns // 10**9, summary.rows["seq"].tolist(), len(summariser)
    (120, [1, 2], 1)
    """

    def __init__(
        self,
        instruments: Instruments,
        shard: str,
        *,
        every_ns: int = MINUTE,
        raw: bool = True,
    ) -> None:
        if every_ns < 2:
            raise ValueError(f"every_ns must be at least 2, was {every_ns}")
        self._instruments = instruments
        self._shard = shard
        self._every_ns = every_ns
        self._columns = empty(SUMMARY, _START_ROWS)
        self._raw: list[bytes] | None = [] if raw else None
        self._rows = 0
        self._small: list[Batch] = []
        self._small_rows = 0
        self._signs: list[Sign] = []
        self._last_ns = NULL
        self._idle = False

    def __len__(self) -> int:
        """Return how many rows wait for a boundary."""
        self._gather()
        return self._rows

    def take(self, batch: Batch) -> None:
        """Take what `is_summed` of an enriched batch: each instrument's rows in seq order.

        Small batches are held whole for a while, `SMALL_TOTAL` rows together at most: a copy of 42
        columns costs more than the few rows of theirs that stay.
        """
        summed = is_summed(batch)
        if not summed.any():
            return
        if self._raw is not None and batch.raw is None:
            raise ValueError("a summary with raw records needs a batch that has them")
        if len(batch) > SMALL:
            self._gather()
            self._add(batch, np.flatnonzero(summed))
            return
        self._small.append(batch)
        self._small_rows += len(batch)
        if self._small_rows >= SMALL_TOTAL:
            self._gather()

    def note(self, signs: Iterable[Sign]) -> None:
        """Take what a detector of instrument scope measured in the batch that was taken last."""
        self._signs.extend(signs)

    def _gather(self) -> None:
        """Copy what stays of small batches."""
        small, self._small, self._small_rows = self._small, [], 0
        if not small:
            return
        names = {*SUMMARY, *TOLD_BY}
        columns = {name: np.concatenate([batch[name] for batch in small]) for name in names}
        raw = None
        if self._raw is not None:
            records = [r for batch in small if batch.raw is not None for r in batch.raw.to_list()]
            raw = pl.Series("raw", records, dtype=pl.Binary)
        joined = Batch(columns, self._instruments, raw=raw)
        self._add(joined, np.flatnonzero(is_summed(joined)))

    def _add(self, batch: Batch, rows: Array) -> None:
        if self._raw is not None and batch.raw is not None:
            self._raw += batch.raw.gather(rows).to_list()
        end = self._rows + len(rows)
        self._make_room(end)
        for name, column in self._columns.items():
            np.take(batch[name], rows, out=column[self._rows : end], mode="clip")
        self._rows = end

    def close(self, until_ns: int, *, idle: bool = False) -> Summary | None:
        """Return the rows before the last boundary that the watermark has passed, if it is new.

        Parameters
        ----------
        until_ns : int
            The watermark, ns; `NULL` when nothing is known.
        idle : bool
            The feed has nothing more for this shard. Said once, with all rows that are here.

        Notes
        -----
        Once idle, the first trade that comes is announced at once, so that others wait again.
        """
        boundary_ns = until_ns if until_ns == NULL else until_ns // self._every_ns * self._every_ns
        if idle and not self._idle:
            return self.close_at(self._no_boundary(max(until_ns, self._newest(), self._last_ns)))
        if boundary_ns > self._last_ns:
            return self.close_at(boundary_ns)
        if self._idle and (len(self) or self._signs):
            return self.close_at(self._no_boundary(self._last_ns))
        return None

    def close_at(self, boundary_ns: int) -> Summary:
        """Return what `close` returned with this boundary, when the same rows had come before.

        Raises
        ------
        ValueError
            The boundary does not lie behind the last one.
        """
        if boundary_ns <= self._last_ns:
            raise ValueError(f"a boundary must lie behind {self._last_ns}, was {boundary_ns}")
        idle = boundary_ns % self._every_ns != 0 and not self._idle
        signs, self._signs = passed(self._signs, boundary_ns)
        summary = Summary(
            shard=self._shard,
            from_ns=self._last_ns,
            until_ns=boundary_ns,
            idle=idle,
            rows=self._release(boundary_ns),
            signs=signs,
        )
        self._last_ns, self._idle = boundary_ns, idle
        return summary

    def _no_boundary(self, behind_ns: int) -> int:
        """Return the next time that is no boundary: by it idleness is told from progress."""
        after = max(behind_ns, -1) + 1
        return after if after % self._every_ns else after + 1

    def _newest(self) -> int:
        self._gather()
        clock = self._columns["clock_ns"][: self._rows]
        signs = max((each.clock_ns for each in self._signs), default=NULL)
        return max(int(clock.max()) if self._rows else NULL, signs)

    def _release(self, boundary_ns: int) -> Batch:
        self._gather()
        clock = self._columns["clock_ns"][: self._rows]
        before = clock < boundary_ns
        rows = np.flatnonzero(before)
        # An instrument's code is its place by name.
        keys = (self._columns[name][rows] for name in ("seq", "instrument", "clock_ns"))
        order = rows[np.lexsort(tuple(keys))]
        released = {name: column[order] for name, column in self._columns.items()}
        raw = None
        if self._raw is not None:
            records = self._raw
            raw = pl.Series("raw", [records[row] for row in order.tolist()], dtype=pl.Binary)
        self._keep(np.flatnonzero(~before))
        return Batch(released, self._instruments, raw=raw, watermark_ns=boundary_ns)

    def _keep(self, rows: Array) -> None:
        for column in self._columns.values():
            column[: len(rows)] = column[rows]
        if self._raw is not None:
            self._raw = [self._raw[row] for row in rows.tolist()]
        self._rows = len(rows)

    def _make_room(self, rows: int) -> None:
        if rows <= len(self._columns["seq"]):
            return
        grown = empty(SUMMARY, 2 * rows)
        for name, column in self._columns.items():
            grown[name][: self._rows] = column[: self._rows]
        self._columns = grown

    def snapshot(self) -> Snapshot:
        """Return the rows that wait and the last boundary; instruments are named."""
        self._gather()
        raw = None if self._raw is None else pl.Series("raw", self._raw, dtype=pl.Binary)
        columns = {name: column[: self._rows] for name, column in self._columns.items()}
        rows = encode_rows(Batch(columns, self._instruments, raw=raw))
        return {
            "rows": np.frombuffer(rows, np.uint8),
            "signs": pack_exact(sorted(self._signs, key=lambda each: each.instrument)),
            "state": pack(_State(self._last_ns, self._idle)),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned.

        Raises
        ------
        SnapshotError
            It does not hold together, or was taken with raw records here left out, or without.
        """
        state = unpack(snapshot["state"], _State)
        try:
            rows = decode_rows(snapshot["rows"].tobytes(), self._instruments)
        except SourceError as error:
            raise SnapshotError(f"trades not yet summed up: {error}") from error
        if (rows.raw is None) != (self._raw is None):
            raise SnapshotError(
                "trades not yet summed up must have raw records as configured, "
                f"{'none' if rows.raw is None else 'some'} found"
            )
        self._signs = unpack_exact(snapshot["signs"], list[Sign])
        self._small, self._small_rows, self._rows = [], 0, 0
        self._make_room(len(rows))
        for name, column in self._columns.items():
            column[: len(rows)] = rows[name]
        self._raw = None if rows.raw is None else rows.raw.to_list()
        self._rows = len(rows)
        self._last_ns, self._idle = state.last_ns, state.idle
