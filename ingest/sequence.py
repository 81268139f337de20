"""The sequencer: each instrument's records in matching order, or a gap that says what is missing.

A row is released once every seq before it has been, or was declared missing. A gap is declared by
event time and by both topics' progress, at a row of the feed, never because a batch ended: however
the same arrivals are cut into pushes, the same rows are released with the same counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from ingest import sequence_kernel as kernel
from ingest.compiled import plain
from ingest.content import content
from ingest.errors import SnapshotError
from ingest.events import NULL, Array, Batch, Reject, Topic
from ingest.held import Held, gather
from ingest.instruments import Instruments
from ingest.released import CLOCK_FAULTS, GAP_REASONS, Gap, Released, Waiting, gap_of
from ingest.sections import Layout
from ingest.sequence_layout import LANES, LAYOUT, PENDING, remember, remembered
from ingest.sequence_pending import LAST, first_pending, reinsert
from ingest.sequence_state import (
    Decided,
    Feed,
    Limits,
    Out,
    Rows,
    decided_gaps,
    new_feed,
    new_lanes,
    new_out,
    new_slots,
)
from ingest.source import Position
from ingest.state import Snapshot, pack, unpack

_START_SLOTS: Final = 1_024


class Sequencer:
    """Orders a feed's rows by instrument and seq.

    Parameters
    ----------
    instruments : Instruments
        The venue's table.
    gap_timeout_ns : int
        A gap is declared once both topics' event time has passed by this much the time at which
        the row behind it came.
    max_pending : int
        Rows that may wait; beyond it the gap that has waited longest is declared.
    max_clock_jump_ns : int
        A larger step forward of engine_ns is a fault until the next row confirms it. Instruments
        of kind `unique` are exempt: items trade weeks apart by nature.
    lateness_ns : int
        By how much the watermark stays behind the feed's progress: a row of another instrument
        that comes no later than this is never behind it, wherever pushes are cut.

    Notes
    -----
    State: the pending rows (at most `max_pending`); for each instrument the hashes of its last
    65,536 released rows (fewer above 4,096 instruments) and its last 64 gaps. An older duplicate is
    dropped uncompared; a row of an older gap, or any that differs there, counts as late.
    """

    layout: ClassVar[Layout] = LAYOUT

    def __init__(
        self,
        instruments: Instruments,
        *,
        gap_timeout_ns: int = 30_000_000_000,
        max_pending: int = 1_000_000,
        max_clock_jump_ns: int = 86_400_000_000_000,
        lateness_ns: int = 0,
    ) -> None:
        if max_pending < 1 or gap_timeout_ns < 0 or min(max_clock_jump_ns, lateness_ns) < 0:
            raise ValueError("max_pending must be at least 1 and times must not be negative")
        self._instruments = instruments
        self._limits = Limits(gap_timeout_ns, max_pending, max_clock_jump_ns, 1)
        self._lateness_ns = lateness_ns
        self._start()

    def _start(self) -> None:
        self._lanes = new_lanes(self._instruments)
        self._feed = new_feed(1)
        self._slots = new_slots(_START_SLOTS)
        self._heads = np.zeros(2, np.int64)
        self._held = Held()
        self._decided = decided_gaps(np.empty((0, 6), np.int64), len(self._instruments))
        self._arrived = 0
        self._watermark_ns = NULL

    @property
    def pending(self) -> int:
        """Rows that wait for one before them."""
        return int(self._heads[0])

    @property
    def open_gaps(self) -> int:
        """Instruments that wait for a missing seq."""
        return int(np.count_nonzero(self._lanes.root >= 0))

    @property
    def waiting(self) -> Sequence[Waiting]:
        """What is missing now, before any gap is declared, by instrument."""
        lanes, slots = self._lanes, self._slots
        return [
            Waiting(
                instrument=int(k),
                first_missing_seq=int(lanes.next_seq[k]),
                last_missing_seq=int(slots.seq[lanes.root[k]]) - 1,
                since_ns=int(slots.held_ns[lanes.root[k]]),
            )
            for k in np.flatnonzero(lanes.root >= 0)
        ]

    def follow(self, gaps: Sequence[Gap]) -> None:
        """Declare no gap of its own from here on; take these, when their instruments come to them.

        For what an earlier life of this shard has journaled: with the same records and the same
        gaps the same rows are released, however the records are cut or interleaved this time.
        Pending rows may pass `max_pending` meanwhile. `decide` ends it.
        """
        rows = [
            (
                gap.instrument,
                gap.first_missing_seq,
                gap.last_missing_seq,
                gap.decided_ns,
                GAP_REASONS.index(gap.reason),
                gap.next_ns,
            )
            for gap in gaps
        ]
        left = self._decided.gaps[_ahead(self._decided)]
        table = np.concatenate([left, np.array(rows, np.int64).reshape(-1, 6)])
        self._decided = decided_gaps(table, len(self._instruments))
        self._limits = self._limits._replace(decides=0)

    def decide(self) -> None:
        """Declare gaps again."""
        self._limits = self._limits._replace(decides=1)

    def unbound(self, codes: Array) -> Array:
        """Return those of some instrument codes of which no record was taken yet, each once."""
        found: Array = np.unique(codes[self._lanes.partition[codes] < 0])
        return found

    @property
    def positions(self) -> frozenset[Position]:
        """Both topics of every partition that a record came from."""
        seen = np.flatnonzero((self._feed.progress_ns != NULL).any(axis=0)).tolist()
        return frozenset((topic, partition) for topic in Topic for partition in seen)

    @property
    def next_seqs(self) -> Mapping[str, int]:
        """The seq that each instrument comes to next, by name; of those that had a record."""
        lanes = self._lanes
        return {
            self._instruments[k].instrument: int(lanes.next_seq[k])
            for k in np.flatnonzero(lanes.partition >= 0).tolist()
        }

    @property
    def clock_ns(self) -> int:
        """Highest event clock of any instrument, ns; NULL when none is known."""
        clocks = self._lanes.clock_ns
        return int(clocks.max()) if len(clocks) else NULL

    @property
    def watermark_ns(self) -> int:
        """Event time that no row still to be released lies before, ns; NULL when not known."""
        return self._watermark_ns

    def push(self, batch: Batch, idle: frozenset[Position] = frozenset()) -> Released:
        """Take rows in the order of arrival; return what they release.

        A position in `idle` holds nothing back once its last row here is taken (from the start,
        when it has none here). `registry_changes` go on with the released batch.
        """
        rows, pending = len(batch), self.pending
        self._grow(batch, idle, pending + rows)
        out = new_out(rows, pending + rows, len(self._decided.gaps))
        columns = (plain(batch[name]) for name in Rows._fields[:-1])
        kernel.sequence(
            Rows._make([*columns, content(batch)]),
            self._arrived,
            self._idle_from(batch, idle),
            self._lanes,
            self._feed,
            self._slots,
            self._heads,
            self._decided,
            out,
            self._limits,
        )
        released = self._released(batch, out)
        self._arrived += rows
        self._move_watermark()
        released.watermark_ns = self._watermark_ns
        released.registry_changes = batch.registry_changes
        faults = np.bincount(released["clock_fault"], minlength=3).tolist()
        counts = np.bincount(out.status, minlength=kernel.OUT_OF_RANGE + 1).tolist()
        return Released(
            batch=released,
            rejects=self._rejects(batch, out.status),
            duplicates=counts[kernel.DUPLICATE] + counts[kernel.FORGOTTEN],
            forgotten=counts[kernel.FORGOTTEN],
            late_batch=gather(batch, np.flatnonzero(out.status == kernel.LATE)),
            gaps=[gap_of(row) for row in out.gaps[: out.counts[1]].tolist()],
            clock_faults={n: c for n, c in zip(CLOCK_FAULTS, faults[1:], strict=True) if c},
        )

    def _released(self, batch: Batch, out: Out) -> Batch:
        count = int(out.counts[0])
        order = kernel.grouped(out.instrument, count, len(self._instruments))
        arrivals = out.arrival[:count][order]
        waits = out.status == kernel.PENDING
        here = arrivals[arrivals >= self._arrived] - self._arrived
        ordered = self._held.take(arrivals, self._arrived, batch)
        waits[here] = False
        kept = np.flatnonzero(waits)
        self._held.keep(kept + self._arrived, batch, kept)
        return ordered.with_columns(
            {"clock_ns": out.clock_ns[:count][order], "clock_fault": out.fault[:count][order]}
        )

    def _rejects(self, batch: Batch, status: Array) -> Sequence[Reject]:
        found = []
        for i in np.flatnonzero(status >= kernel.CONFLICT).tolist():
            code, seq = int(batch["instrument"][i]), int(batch["seq"][i])
            topic = Topic(int(batch["topic"][i]))
            partition, offset = int(batch["partition"][i]), int(batch["offset"][i])
            name = self._instruments[code].instrument
            where = f"({topic.name.lower()}/{partition}@{offset})"
            if status[i] == kernel.CONFLICT:
                reason = "conflict"
                detail = f"seq {seq} of {name} was taken before with other content {where}"
            elif status[i] == kernel.WRONG_PARTITION:
                reason = "wrong_partition"
                detail = (
                    f"{name} must come from partition {self._lanes.partition[code]} of both "
                    f"topics, as its first record did, came from {partition} {where}"
                )
            else:
                reason = "out_of_range"
                detail = f"seq of {name} must be at least 1, was {seq} {where}"
            raw = b"" if batch.raw is None else batch.raw[i]
            found.append(
                Reject(
                    topic=topic,
                    partition=partition,
                    offset=offset,
                    reason=reason,
                    detail=detail,
                    raw=raw,
                )
            )
        return found

    def _idle_from(self, batch: Batch, idle: frozenset[Position]) -> Array:
        """Return the row with which each position becomes idle."""
        since = np.full(self._feed.idle.shape, LAST, np.int64)
        for topic, partition in idle:
            rows = np.flatnonzero((batch["topic"] == topic) & (batch["partition"] == partition))
            since[topic, partition] = rows[-1] if len(rows) else -1
        return since

    def _move_watermark(self) -> None:
        progress, idle = self._feed.progress_ns, self._feed.idle.astype(np.bool_)
        known = (progress != NULL).any(axis=0)
        if not known.any():
            return
        held_by = progress[:, known][~idle[:, known]]
        reached = held_by.min() if len(held_by) else progress.max()
        if reached != NULL:
            reached = min(
                int(reached) - self._lateness_ns,
                first_pending(self._lanes, self._slots) - 1,
            )
            self._watermark_ns = max(self._watermark_ns, reached)

    def _grow(self, batch: Batch, idle: frozenset[Position], rows: int) -> None:
        last = max((partition for _, partition in idle), default=0)
        if len(batch):
            last = max(last, int(batch["partition"].max()))
        if last >= len(self._feed.deadline_ns):
            wider = new_feed(last + 1)
            for new, old in zip(wider, self._feed, strict=True):
                new[..., : old.shape[-1]] = old
            self._feed = wider
        needed = min(rows, self._limits.max_pending) if self._limits.decides else rows
        if needed > len(self._slots.seq):
            self._refill(1 << (needed - 1).bit_length(), self._pending_rows())

    def _pending_rows(self) -> Sequence[Array]:
        """Return instrument, seq, engine_ns, held_ns, content, arrival of what waits."""
        used = self._slots.table[self._slots.table >= 0]
        used = used[np.argsort(self._slots.arrival[used])]
        return [column[used] for column in self._slots[:6]]

    def _refill(self, size: int, rows: Sequence[Array]) -> None:
        self._slots = new_slots(size)
        self._heads[:] = 0
        self._lanes.root[:] = -1
        reinsert(self._lanes, self._slots, self._heads, *rows)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays that later pushes do not write to."""
        lanes, feed = self._lanes, self._feed
        state: dict[str, Array] = {f"lanes/{name}": getattr(lanes, name).copy() for name in LANES}
        state |= {f"feed/{name}": getattr(feed, name).copy() for name in Feed._fields}
        state["memory_length"], state["memory"] = remembered(lanes)
        rows = self._pending_rows()
        order = np.argsort(rows[0], kind="stable")
        state |= {f"pending/{n}": a[order] for n, a in zip(PENDING, rows, strict=True)}
        state |= self._held.snapshot()
        # Only the order of arrival matters: numbers begin anew with each life.
        for name in {"pending/arrival", "rows/arrivals"} & state.keys():
            state[name] = np.searchsorted(rows[5], state[name])
        state["watermark_ns"] = np.array([self._watermark_ns], np.int64)
        state["instruments"] = pack([row.instrument for row in self._instruments.rows])
        return state

    def restore(self, snapshot: Snapshot) -> None:
        """Take over the state of a snapshot.

        Raises
        ------
        SnapshotError
            It was taken with another table of instruments, or does not hold together.
        """
        self._start()
        try:
            self._restore(snapshot)
        except (KeyError, ValueError, IndexError) as error:
            raise SnapshotError(f"sequencer state does not hold together: {error!r}") from error

    def _restore(self, snapshot: Snapshot) -> None:
        lanes = self._lanes
        if unpack(snapshot["instruments"], list[str]) != list(self._instruments.codes):
            raise SnapshotError(
                "sequencer state was taken with another instruments.csv; expected the same names"
            )
        for name in LANES:
            getattr(lanes, name)[...] = snapshot[f"lanes/{name}"]
        remember(lanes, snapshot["memory_length"], snapshot["memory"])
        self._feed = Feed(*(snapshot[f"feed/{name}"].copy() for name in Feed._fields))
        self._watermark_ns = int(snapshot["watermark_ns"][0])
        rows = [snapshot[f"pending/{name}"] for name in PENDING]
        self._arrived = int(rows[5].max(initial=-1)) + 1
        size = max(_START_SLOTS, 1 << max(len(rows[0]) - 1, 1).bit_length())
        self._refill(size, rows)
        self._held.restore(snapshot, self._instruments)


def _ahead(decided: Decided) -> Array:
    """Return which gaps their instruments have not come to, as a mask."""
    gaps = decided.gaps
    first = decided.first_row[gaps[:, 0]]
    ahead: Array = (first >= 0) & (np.arange(len(gaps)) >= first)
    return ahead
