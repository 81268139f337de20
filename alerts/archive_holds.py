"""Holds on archived events, and what they cover: plain data, without the store that keeps them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable

import msgspec


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Archived events of an instrument that may not be dropped; both ends count, ns."""

    instrument: str
    from_ns: int
    to_ns: int
    reason: str = ""


class Held:
    """What a collection of holds covers; a look-up costs the logarithm of an instrument's holds.

    Examples
    --------
    >>> held = Held([Hold(instrument="BTC-USD", from_ns=100, to_ns=200),
    ...     Hold(instrument="BTC-USD", from_ns=150, to_ns=300)])
    >>> held.covers("BTC-USD", 300, 400), held.covers("BTC-USD", 301, 400)
    (True, False)
    >>> held.covers("ETH-USD", 100, 200)
    False
    """

    def __init__(self, holds: Collection[Hold]) -> None:
        self._starts: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for hold in sorted(holds, key=lambda hold: (hold.instrument, hold.from_ns)):
            starts = self._starts.setdefault(hold.instrument, [])
            ends = self._ends.setdefault(hold.instrument, [])
            if ends and hold.from_ns <= ends[-1]:
                ends[-1] = max(ends[-1], hold.to_ns)
            else:
                starts.append(hold.from_ns)
                ends.append(hold.to_ns)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def covers(self, instrument: str, first_ns: int, last_ns: int) -> bool:
        """Return whether a hold covers any of an instrument's time, both ends included."""
        starts = self._starts.get(instrument)
        if starts is None:
            return False
        before = bisect_right(starts, last_ns)
        return before > 0 and self._ends[instrument][before - 1] >= first_ns

    def covers_any(self, instruments: Iterable[str], first_ns: int, last_ns: int) -> bool:
        """Return whether a hold covers any of these instruments' time."""
        return any(self.covers(name, first_ns, last_ns) for name in instruments)
