"""Arrays of the sequencer's state, as its kernel takes them."""

from __future__ import annotations

import mmap
from typing import Final, NamedTuple

import numpy as np

from ingest.events import NULL, Array
from ingest.instruments import Instruments
from ingest.sequence_kernel import GAPS_KEPT
from ingest.sequence_pending import LAST

MEMORY: Final = 65_536
"""Released seqs whose content is remembered an instrument: 8 bytes each."""
MEMORY_CELLS: Final = 2**28
"""Bound of the memory of all instruments: 2 GiB of address space, filled only where used."""


class Lanes(NamedTuple):
    """State of each instrument; one row an instrument code."""

    next_seq: Array
    partition: Array
    """-1 until its first row."""
    clock_ns: Array
    leap_ns: Array
    """A jump that waits to be confirmed; NULL when none."""
    exempt: Array
    """1 when its clock may jump."""
    root: Array
    """Heap of pending rows: slot with the lowest seq; -1 when none."""
    floor: Array
    """Last seq of the newest gap that is no longer kept; 0 when none."""
    gaps: Array
    """How many gaps were declared."""
    gap_first: Array
    gap_last: Array
    memory: Array
    """Content hash by (seq - 1) modulo the row's length, which is a power of two."""


class Feed(NamedTuple):
    """State of each position; topic by partition."""

    progress_ns: Array
    leap_ns: Array
    leap_code: Array
    leap_seq: Array
    """Instrument and seq of the row that jumped, where it had to wait; seq 0 = none."""
    idle: Array
    deadline_ns: Array
    """By partition: no pending row expires before it, though none may then."""


class Slots(NamedTuple):
    """Pending rows, and the table that finds them."""

    instrument: Array
    seq: Array
    engine_ns: Array
    held_ns: Array
    """Progress of the row's own position when it arrived: what its time-out runs from."""
    content: Array
    arrival: Array
    child: Array
    sibling: Array
    """Also the list of free slots."""
    table: Array


class Out(NamedTuple):
    """What a call decided, in the order in which it was decided."""

    status: Array
    """Of each arrival row."""
    arrival: Array
    instrument: Array
    clock_ns: Array
    fault: Array
    gaps: Array
    """Instrument, first and last missing seq, time of the decision, why, next engine_ns."""
    counts: Array
    """Rows released, gaps declared."""


class Rows(NamedTuple):
    """The columns of the arrivals that decide."""

    kind: Array
    instrument: Array
    seq: Array
    engine_ns: Array
    topic: Array
    partition: Array
    content: Array


class Limits(NamedTuple):
    """Settings of the sequencer."""

    gap_timeout_ns: int
    max_pending: int
    max_clock_jump_ns: int
    decides: int
    """1; 0 while gaps are taken from a journal and none is declared."""


class Decided(NamedTuple):
    """Gaps that an earlier life declared and this one has not come to."""

    gaps: Array
    """As `Out.gaps`, by instrument and seq."""
    first_row: Array
    """By instrument: the row of `gaps` that it comes to next; -1 when none."""


def decided_gaps(rows: Array, instruments: int) -> Decided:
    """Return gaps (rows as `Out.gaps`, in any order) as the kernel takes them."""
    gaps = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    first_row = np.full(instruments, -1, np.int64)
    codes, firsts = np.unique(gaps[:, 0], return_index=True)
    first_row[codes] = firsts
    return Decided(np.ascontiguousarray(gaps), first_row)


def new_lanes(instruments: Instruments) -> Lanes:
    """Return the state of instruments of which nothing has been seen."""
    count = len(instruments)
    size = MEMORY
    while count * size > MEMORY_CELLS:
        size //= 2
    gaps = (count, GAPS_KEPT)
    return Lanes(
        next_seq=np.ones(count, np.int64),
        partition=np.full(count, -1, np.int64),
        clock_ns=np.full(count, NULL),
        leap_ns=np.full(count, NULL),
        exempt=np.array([row.kind == "unique" for row in instruments.rows], np.int8),
        root=np.full(count, -1, np.int64),
        floor=np.zeros(count, np.int64),
        gaps=np.zeros(count, np.int64),
        gap_first=np.zeros(gaps, np.int64),
        gap_last=np.zeros(gaps, np.int64),
        memory=_sparse(count, size),
    )


def _sparse(rows: int, columns: int) -> Array:
    """Return zeros that take memory only where they are written to, in small pages."""
    if not rows:
        return np.zeros((0, columns), np.uint64)
    pages = mmap.mmap(-1, rows * columns * 8)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.uint64).reshape(rows, columns)


def new_feed(partitions: int) -> Feed:
    """Return the state of so many partitions of which nothing has been seen."""
    shape = (2, partitions)
    return Feed(
        progress_ns=np.full(shape, NULL),
        leap_ns=np.full(shape, NULL),
        leap_code=np.zeros(shape, np.int64),
        leap_seq=np.zeros(shape, np.int64),
        idle=np.zeros(shape, np.int8),
        deadline_ns=np.full(partitions, LAST),
    )


def new_slots(size: int) -> Slots:
    """Return room for so many pending rows; the free list begins at slot 0."""
    free = np.arange(1, size + 1, dtype=np.int64)
    free[-1] = -1
    return Slots(
        instrument=np.zeros(size, np.int64),
        seq=np.zeros(size, np.int64),
        engine_ns=np.zeros(size, np.int64),
        held_ns=np.zeros(size, np.int64),
        content=np.zeros(size, np.uint64),
        arrival=np.zeros(size, np.int64),
        child=np.full(size, -1, np.int64),
        sibling=free,
        table=np.full(2 << (size - 1).bit_length(), -1, np.int64),
    )


def new_out(rows: int, most: int, decided: int = 0) -> Out:
    """Return room for what so many arrivals may bring about.

    `most` rows may be released; `decided` gaps are known beforehand.
    """
    return Out(
        status=np.zeros(rows, np.int8),
        arrival=np.empty(most, np.int64),
        instrument=np.empty(most, np.int64),
        clock_ns=np.empty(most, np.int64),
        fault=np.empty(most, np.int8),
        gaps=np.empty((most + decided, 6), np.int64),
        counts=np.zeros(2, np.int64),
    )
