"""Rings of rows: the latest so many of what came, each in the place of one that is too old."""

from __future__ import annotations

from ingest.compiled import njit
from ingest.events import Array


@njit(cache=True)
def place_of_seq(ring: Array, made: int, field: int, seq: int) -> int:
    """Return where in a ring the row with a seq is, or -1.

    Parameters
    ----------
    ring : (room, fields) int64
        Of the rows that came, in the order of their seqs, the latest.
    made : int
        Rows that came.
    field : int
        Which field is the seq.
    """
    room = len(ring)
    low, high = max(0, made - room), made
    while low < high:
        middle = (low + high) // 2
        if ring[middle % room, field] < seq:
            low = middle + 1
        else:
            high = middle
    if low < made and ring[low % room, field] == seq:
        return int(low % room)
    return -1
