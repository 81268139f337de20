"""One group's trades in event order, in arrays that grow at the end and shrink at the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ingest.events import Array

TRADE: Final = np.dtype(
    [
        ("time_ns", np.int64),
        ("seq", np.int64),
        ("instrument", np.int32),
        ("seller", np.int32),
        ("buyer", np.int32),
        ("incomplete", np.int8),
        ("side", np.int8),  # who took: 1 the buyer, -1 the seller, 0 not known
        ("dead", np.int8),  # cancelled by a bust
        ("lots", np.int64),
        ("ticks", np.int64),
        ("cum_lots", np.int64),  # all the instrument's trades up to and with this one
        ("ring", np.int64),  # number of the ring that cites it; 0 = none
        ("trade_hi", np.uint64),
        ("trade_lo", np.uint64),
        ("incoming_seq", np.int64),  # instruction that was matched; 0 = not known
        ("again", np.int8),  # cited as a further print of an instruction against one account
    ]
)


class Lane:
    """Trades of one group; `ring` and `dead` may be written in place, nothing else.

    Parameters
    ----------
    unique : bool
        Whether the group is a collection of unique items.
    """

    def __init__(self, *, unique: bool) -> None:
        self.unique = unique
        self._rows = np.empty(0, TRADE)
        self._times = np.empty(0, np.int64)
        self._start = 0
        self._end = 0

    @property
    def trades(self) -> Array:
        """The trades, a view."""
        return self._rows[self._start : self._end]

    @property
    def times(self) -> Array:
        """Event time of each trade, ns, a view."""
        return self._times[self._start : self._end]

    def merge(self, rows: Array, rank: Array) -> None:
        """Put rows where they belong; `rank` of an instrument code is its place by name."""
        tail = int(np.searchsorted(self.times, rows["time_ns"].min(), side="left"))
        merged = np.concatenate([self.trades[tail:], rows])
        order = np.lexsort((merged["seq"], rank[merged["instrument"]], merged["time_ns"]))
        kept = self._start + tail
        if kept + len(merged) > len(self._rows):
            live = self.trades[:tail].copy(), self.times[:tail].copy()
            self._start, kept = 0, tail
            room = 2 * (tail + len(merged))
            self._rows, self._times = np.empty(room, TRADE), np.empty(room, np.int64)
            self._rows[:tail], self._times[:tail] = live
        self._end = kept + len(merged)
        self._rows[kept : self._end] = merged[order]
        self._times[kept : self._end] = merged["time_ns"][order]

    def drop(self, count: int) -> None:
        """Forget the first trades."""
        self._start += count


def windows_of(
    times: Array, sizes_ns: Sequence[int], *, after_ns: int, until_ns: int
) -> list[tuple[int, int, int, int]]:
    """Return (end, size, first, last) of windows with two trades or more ending in (after, until].

    Windows of size s begin at multiples of s since 1970, and at those plus s / 2. `times` are
    sorted; a window holds times[first:last].

    Examples
    --------
    >>> windows_of(np.array([1, 2, 14]), [10], after_ns=0, until_ns=20)
    [(10, 10, 0, 2), (5, 10, 0, 2)]
    >>> windows_of(np.array([1, 8, 14]), [10], after_ns=8, until_ns=20)
    [(10, 10, 0, 2), (15, 10, 1, 3)]
    """
    found: list[tuple[int, int, int, int]] = []
    if len(times) < 2:
        return found
    for size in sizes_ns:
        for shift in (0, size // 2):
            begin = max(after_ns, int(times[0]))
            stop = min(until_ns, int(times[-1]) + size)
            ends = np.arange(
                (begin - shift) // size * size + size + shift, stop + 1, size, dtype=np.int64
            )
            first = np.searchsorted(times, ends - size, side="left")
            last = np.searchsorted(times, ends, side="left")
            held = np.flatnonzero(last - first > 1)
            found += [
                (end, size, a, b)
                for end, a, b in zip(
                    ends[held].tolist(), first[held].tolist(), last[held].tolist(), strict=True
                )
            ]
    return found
