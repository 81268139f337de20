"""The rows that wait in the sequencer: by instrument in order of seq, and to be found by seq.

Pending rows of an instrument form a pairing heap by seq (rows leave it only in that order); an
open-addressing table finds a pending (instrument, seq). Arrays are grown by the caller, never
here.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import njit

LAST: Final = 2**63 - 1
"""Later than any time."""


@njit(cache=True)
def _bucket(instrument, seq, mask):  # type: ignore[no-untyped-def]
    h = np.uint64(seq) * np.uint64(0x9E3779B97F4A7C15)
    h ^= np.uint64(instrument) * np.uint64(0xC2B2AE3D27D4EB4F)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(mask))


@njit(cache=True)
def find(slots, instrument, seq):  # type: ignore[no-untyped-def]
    """Return the bucket of a pending row; where it is not pending, -1 - the one free for it."""
    mask = slots.table.shape[0] - 1
    at = _bucket(instrument, seq, mask)
    while slots.table[at] >= 0:
        slot = slots.table[at]
        if slots.seq[slot] == seq and slots.instrument[slot] == instrument:
            return at
        at = (at + 1) & mask
    return -1 - at


@njit(cache=True)
def forget(slots, at):  # type: ignore[no-untyped-def]
    """Empty a bucket; move those behind it back so that every search still ends well."""
    table = slots.table
    mask = table.shape[0] - 1
    hole = at
    at = (at + 1) & mask
    while table[at] >= 0:
        home = _bucket(slots.instrument[table[at]], slots.seq[table[at]], mask)
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[hole] = table[at]
            hole = at
        at = (at + 1) & mask
    table[hole] = -1


@njit(cache=True)
def _meld(slots, left, right):  # type: ignore[no-untyped-def]
    if left < 0:
        return right
    if right < 0:
        return left
    if slots.seq[right] < slots.seq[left]:
        left, right = right, left
    slots.sibling[right] = slots.child[left]
    slots.child[left] = right
    return left


@njit(cache=True)
def without_root(slots, root):  # type: ignore[no-untyped-def]
    """Return the heap of an instrument's rows without its first; -1 = none is left."""
    paired = np.int64(-1)
    child = slots.child[root]
    while child >= 0:
        mate = slots.sibling[child]
        slots.sibling[child] = -1
        rest = -1
        if mate >= 0:
            rest = slots.sibling[mate]
            slots.sibling[mate] = -1
            child = _meld(slots, child, mate)
        slots.sibling[child] = paired
        paired = child
        child = rest
    top = np.int64(-1)
    while paired >= 0:
        rest = slots.sibling[paired]
        slots.sibling[paired] = -1
        top = _meld(slots, top, paired)
        paired = rest
    return top


@njit(cache=True)
def insert(lanes, slots, heads, k, seq, engine_ns, held_ns, content, arrival, bucket):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Make a row pending, in the bucket that is free for it."""
    slot = heads[1]
    heads[1] = slots.sibling[slot]
    heads[0] += 1
    slots.instrument[slot] = k
    slots.seq[slot] = seq
    slots.engine_ns[slot] = engine_ns
    slots.held_ns[slot] = held_ns
    slots.content[slot] = content
    slots.arrival[slot] = arrival
    slots.child[slot] = -1
    slots.sibling[slot] = -1
    slots.table[bucket] = slot
    lanes.root[k] = _meld(slots, lanes.root[k], slot)


@njit(cache=True)
def reinsert(lanes, slots, heads, instrument, seq, engine_ns, held_ns, content, arrival):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Make rows pending again that a snapshot, or smaller arrays, held."""
    for i in range(seq.shape[0]):
        bucket = -1 - find(slots, instrument[i], seq[i])
        insert(
            lanes, slots, heads, instrument[i], seq[i], engine_ns[i], held_ns[i], content[i],
            arrival[i], bucket,
        )  # fmt: skip


@njit(cache=True)
def first_pending(lanes, slots):  # type: ignore[no-untyped-def]
    """Return the earliest time at which a pending row may still be released, ns; LAST if none."""
    first = LAST
    for k in range(lanes.root.shape[0]):
        root = lanes.root[k]
        if root >= 0:
            at = max(min(slots.engine_ns[root], slots.held_ns[root]), lanes.clock_ns[k])
            first = min(first, at)
    return first
