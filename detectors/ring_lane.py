"""One group's trades in event order, in columns that grow at the end and shrink at the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np

from ingest.events import Array

TRADE: Final[Mapping[str, type[np.generic]]] = {
    "time_ns": np.int64,
    "seq": np.int64,
    "instrument": np.int32,
    "seller": np.int32,
    "buyer": np.int32,
    "incomplete": np.int8,
    "side": np.int8,  # who took: 1 the buyer, -1 the seller, 0 not known
    "quoted": np.int8,  # an external maker's order stood
    "dead": np.int8,  # cancelled by a bust
    "lots": np.int64,
    "ticks": np.int64,
    "cum_lots": np.int64,  # all the instrument's trades up to and with this one
    "ring": np.int64,  # number of the ring that cites it; 0 = none
    "trade_hi": np.uint64,
    "trade_lo": np.uint64,
    "incoming_seq": np.int64,  # instruction that was matched; 0 = not known
    "again": np.int8,  # cited as a further print of an instruction against one account
}


class Trades:
    """Columns of as many trades; `TRADE` says which.

    Parameters
    ----------
    columns : mapping of str to array
    """

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self._columns = columns

    @classmethod
    def room(cls, size: int) -> Self:
        """Return columns of zeros."""
        return cls({name: np.zeros(size, kind) for name, kind in TRADE.items()})

    @classmethod
    def joined(cls, parts: Sequence[Trades]) -> Self:
        """Return one after the other; copies."""
        if len(parts) == 1:
            return cls(dict(parts[0]._columns))
        return cls({name: np.concatenate([part[name] for part in parts]) for name in TRADE})

    def __len__(self) -> int:
        return len(self._columns["seq"])

    def __getitem__(self, name: str) -> Array:
        return self._columns[name]

    def part(self, first: int, last: int) -> Self:
        """Return the trades first to last - 1; views."""
        return type(self)({name: column[first:last] for name, column in self._columns.items()})

    def take(self, rows: Array) -> Self:
        """Return some rows; copies."""
        return type(self)({name: column[rows] for name, column in self._columns.items()})

    def put(self, at: int, trades: Trades) -> None:
        """Write trades over those from a row on."""
        for name, column in self._columns.items():
            column[at : at + len(trades)] = trades[name]


class Lane:
    """Trades of one group; `ring`, `again` and `dead` may be written in place, nothing else.

    Parameters
    ----------
    unique : bool
        Whether the group is a collection of unique items.
    """

    def __init__(self, *, unique: bool) -> None:
        self.unique = unique
        self._rows = Trades.room(0)
        self._start = 0
        self._end = 0

    @property
    def trades(self) -> Trades:
        """The trades, views."""
        return self._rows.part(self._start, self._end)

    @property
    def times(self) -> Array:
        """Event time of each trade, ns, a view."""
        return self._rows["time_ns"][self._start : self._end]

    def merge(self, rows: Trades, rank: Array) -> None:
        """Put rows where they belong; `rank` of an instrument code is its place by name."""
        tail = int(np.searchsorted(self.times, rows["time_ns"].min(), side="left"))
        behind = self.trades.part(tail, len(self.times))
        merged = Trades.joined([behind, rows]) if len(behind) else rows
        if not _ordered(merged):
            by_name = rank[merged["instrument"]]
            merged = merged.take(np.lexsort((merged["seq"], by_name, merged["time_ns"])))
        kept = self._start + tail
        if kept + len(merged) > len(self._rows):
            room, before = 2 * (tail + len(merged)), self.trades.part(0, tail)
            if room > len(self._rows):  # else more than half is free at the front
                self._rows = Trades.room(room)
            self._rows.put(0, before)
            self._start, kept = 0, tail
        self._end = kept + len(merged)
        self._rows.put(kept, merged)

    def drop(self, count: int) -> None:
        """Forget the first trades."""
        self._start += count


def _ordered(trades: Trades) -> bool:
    """Whether trades are of one instrument, and in order already."""
    code, time_ns, seq = trades["instrument"], trades["time_ns"], trades["seq"]
    step = np.diff(time_ns)
    return bool(
        (code == code[0]).all() and (step >= 0).all() and (np.diff(seq)[step == 0] > 0).all()
    )


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
