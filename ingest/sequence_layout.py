"""The sequencer's state in sections: its layout, and content memory that fits any table's size."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from ingest.axes import ByCode, InstrumentNames, Least, Rows, Runs
from ingest.errors import SnapshotError
from ingest.events import NULL, Array
from ingest.held import Held
from ingest.sections import Job, Layout, Slice
from ingest.sequence_pending import LAST
from ingest.sequence_state import Feed, Lanes, Slots

LANES: Final = tuple(n for n in Lanes._fields if n not in ("root", "memory", "exempt"))
"""What a snapshot holds of each instrument beside its memory of content."""
PENDING: Final = Slots._fields[:6]
_PARTITION: Final = "lanes/partition"


class LanePartition(msgspec.Struct, frozen=True):
    """The feed partition of each instrument, -1 until its first row: the new one where it moves."""

    def join(self, name: str, job: Job) -> Array:
        """Return the partition of each instrument."""
        was: Array = ByCode(-1).join(name, job)
        return was if job.onto.partition is None else np.where(was < 0, was, job.onto.partition)


class Positions(msgspec.Struct, frozen=True):
    """One value a partition (or topic and partition), along the last axis.

    A partition gets the least of what is known of those that its instruments come from, so time
    never runs ahead of any of them. One that holds none of the wanted instruments is left out; one
    that holds none at all (all its records were rejected) goes with the counters.
    """

    blank: int

    def join(self, name: str, job: Job) -> Array:
        """Return the values by new partition."""
        arrays = job.arrays(name)
        moves = [
            _moves(each, array.shape[-1], job)
            for each, array in zip(job.slices, arrays, strict=True)
        ]
        width = 1 + max((new for move in moves for _, new in move), default=0)
        if job.onto.partition is None:
            width = max(width, *(array.shape[-1] for array in arrays))
        joined = np.full((*arrays[0].shape[:-1], width), self.blank, arrays[0].dtype)
        for array, move in zip(arrays, moves, strict=True):
            for old, new in move:
                here, there = array[..., old], joined[..., new]
                both = (here != self.blank) & (there != self.blank)
                known = np.where(there == self.blank, here, there)
                joined[..., new] = np.where(both, np.minimum(here, there), known)
        return joined


def _moves(each: Slice, width: int, job: Job) -> list[tuple[int, int]]:
    """Return (partition, new partition) of the wanted instruments of a slice, each pair once."""
    partition = each.snapshot[_PARTITION]
    wanted = np.flatnonzero((each.codes >= 0) & (partition >= 0))
    old = partition[wanted]
    new = old if job.onto.partition is None else job.onto.partition[each.codes[wanted]]
    pairs = set(zip(old.tolist(), new.tolist(), strict=True))
    if each.counts and job.onto.partition is None:
        pairs |= {(p, p) for p in range(width) if p not in partition}
    if any(p >= width for p, _ in pairs):
        raise SnapshotError(f"partitions must be below {width}, found {max(pairs)[0]}")
    return sorted(pairs)


class _Leap(NamedTuple):
    """A jump of a position's time that the next row there confirms, or not; least is first."""

    ns: int
    no_row: bool
    """Whether nothing waits for it here: the row that jumped was released, or is not wanted."""
    code: int
    seq: int
    progress_ns: int
    """Of the position that it came from."""


class _Leaps(NamedTuple):
    kept: dict[tuple[int, int], _Leap]
    """By topic and new partition."""
    in_vain: list[tuple[int, _Leap]]
    """By new partition: where two meet in one, the later ones are taken for no progress."""


def _leaps(job: Job) -> _Leaps:
    found: dict[tuple[int, int], list[_Leap]] = {}
    for each in job.slices:
        at = {name: each.snapshot[f"feed/{name}"] for name in Feed._fields[:4]}
        moves = _moves(each, at["leap_ns"].shape[1], job)
        for topic, old in np.argwhere(at["leap_ns"] != NULL).tolist():
            ns, seq, progress = (
                int(at[name][topic, old]) for name in ("leap_ns", "leap_seq", "progress_ns")
            )
            code = int(each.codes[at["leap_code"][topic, old]]) if seq else -1
            home = old if job.onto.partition is None else int(job.onto.partition[code])
            for new in (new for was, new in moves if was == old):
                here = code >= 0 and new == home
                leap = _Leap(ns, not here, code if here else 0, seq if here else 0, progress)
                found.setdefault((topic, new), []).append(leap)
    in_vain = [
        (new, leap)
        for (_, new), leaps in found.items()
        for leap in sorted(leaps)[1:]
        if not leap.no_row
    ]
    return _Leaps({place: min(leaps) for place, leaps in found.items()}, in_vain)


class OfLeap(msgspec.Struct, frozen=True):
    """What is known of the jump at each position: its time, and the row that made it."""

    field: Literal["ns", "code", "seq"]

    def join(self, name: str, job: Job) -> Array:  # noqa: ARG002
        """Return the values by topic and new partition."""
        joined = Positions(NULL).join("feed/progress_ns", job)
        joined[...] = NULL if self.field == "ns" else 0
        for place, leap in job.once("leaps", lambda: _leaps(job)).kept.items():
            joined[place] = getattr(leap, self.field)
        return joined


class HeldSince(msgspec.Struct, frozen=True):
    """What each pending row waits from; one that jumped in vain, from where its position stood."""

    def join(self, name: str, job: Job) -> Array:
        """Return the wanted rows' times."""
        held: Array = Rows("pending/instrument").join(name, job)
        codes, seqs = (
            Rows("pending/instrument").join(f"pending/{field}", job)
            for field in ("instrument", "seq")
        )
        for _, leap in job.once("leaps", lambda: _leaps(job)).in_vain:
            held[(codes == leap.code) & (seqs == leap.seq)] = leap.progress_ns
        return held


class Deadline(msgspec.Struct, frozen=True):
    """Before which no pending row of a partition expires."""

    def join(self, name: str, job: Job) -> Array:
        """Return the least of the partitions', and of rows that now wait from an earlier time."""
        joined = Positions(LAST).join(name, job)
        for new, leap in job.once("leaps", lambda: _leaps(job)).in_vain:
            joined[new] = min(joined[new], leap.progress_ns)
        return joined


LAYOUT: Final[Layout] = {
    "instruments": InstrumentNames(),
    "watermark_ns": Least(NULL),
    "lanes/next_seq": ByCode(1),
    _PARTITION: LanePartition(),
    "lanes/clock_ns": ByCode(NULL),
    "lanes/leap_ns": ByCode(NULL),
    "lanes/floor": ByCode(),
    "lanes/gaps": ByCode(),
    "lanes/gap_first": ByCode(),
    "lanes/gap_last": ByCode(),
    "memory_length": ByCode(),
    "memory": Runs("memory_length"),
    "feed/progress_ns": Positions(NULL),
    "feed/leap_ns": OfLeap(field="ns"),
    "feed/leap_code": OfLeap(field="code"),
    "feed/leap_seq": OfLeap(field="seq"),
    "feed/idle": Positions(0),
    "feed/deadline_ns": Deadline(),
    **{f"pending/{name}": Rows("pending/instrument") for name in PENDING},
    "pending/held_ns": HeldSince(),
    "pending/arrival": Rows("pending/instrument", renumber=True),
    **Held.layout,
}


def remembered(lanes: Lanes) -> tuple[Array, Array]:
    """Return how many content hashes each instrument has, and these, oldest seq first."""
    size = lanes.memory.shape[1]
    lengths = np.minimum(lanes.next_seq - 1, size)
    oldest = np.where(lengths == size, (lanes.next_seq - 1) & (size - 1), 0)
    runs = [np.empty(0, np.uint64)]
    for memory, length, first in zip(lanes.memory, lengths, oldest, strict=True):
        runs += [memory[first:length], memory[:first]]
    return lengths, np.concatenate(runs)


def remember(lanes: Lanes, lengths: Array, hashes: Array) -> None:
    """Take over hashes that `remembered` gave, from a memory of this size or of another."""
    size = lanes.memory.shape[1]
    ends = np.cumsum(lengths)
    if len(hashes) != lengths.sum() or (lengths < 0).any():
        raise SnapshotError(f"expected {lengths.sum()} hashes of content, found {len(hashes)}")
    for code in np.flatnonzero(lengths).tolist():
        count = min(int(lengths[code]), size)
        run = hashes[ends[code] - count : ends[code]]
        first = int(lanes.next_seq[code] - 1 - count) & (size - 1)
        straight = min(count, size - first)
        lanes.memory[code, first : first + straight] = run[:straight]
        lanes.memory[code, : count - straight] = run[straight:]
    # A memory that was smaller knows nothing of seqs that this one could: what comes of them
    # again is then late, and so archived, rather than a conflict.
    unknown = lanes.next_seq - 1 - lengths
    short = lengths < np.minimum(lanes.next_seq - 1, size)
    lanes.floor[short] = np.maximum(lanes.floor, unknown)[short]
