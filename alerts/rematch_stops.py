"""When stops were reached: at their entry, or by the first trade behind it at their stop price."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from alerts.rematch_steps import Event
from ingest.events import NULL, Batch, Kind, OrderType


class Reached:
    """Looks for the moment at which stops should have been triggered.

    State: the last price of each instrument, and the stops that were not reached.
    """

    def __init__(self) -> None:
        self.at: dict[tuple[int, int], tuple[int, int]] = {}
        """By instrument and seq of a stop's instruction: event time, ns, and seq of the record."""
        self._last: dict[int, int] = {}
        self._waiting: dict[int, list[Event]] = {}

    def take(self, batch: Batch, span: tuple[int, int, int], entries: Iterable[Event]) -> None:
        """Take an instrument's rows, in order of seq, with the instructions among them to look at.

        Parameters
        ----------
        batch : Batch
        span : (int, int, int)
            Instrument, and its rows: first and end.
        entries : iterable of Event
        """
        code, start, end = span
        is_trade = batch["kind"][start:end] == Kind.TRADE
        is_trade &= (batch["busts_hi"][start:end] == 0) & (batch["busts_lo"][start:end] == 0)
        rows = start + np.flatnonzero(is_trade)
        seqs, prices = batch["seq"][rows], batch["price"][rows]
        waiting = self._waiting.setdefault(code, [])
        for entry in entries:
            if entry.stop_price == NULL or entry.type not in (OrderType.STOP, OrderType.STOP_LIMIT):
                continue
            before = int(np.searchsorted(seqs, entry.seq))
            last = int(prices[before - 1]) if before else self._last.get(code)
            if last is not None and entry.side * (last - entry.stop_price) >= 0:
                self.at[code, entry.seq] = entry.clock_ns, entry.seq
            else:
                waiting.append(entry)
        for entry in list(waiting):
            there = (seqs > entry.seq) & (entry.side * (prices - entry.stop_price) >= 0)
            if there.any():
                row = int(rows[np.flatnonzero(there)[0]])
                self.at[code, entry.seq] = int(batch["clock_ns"][row]), int(batch["seq"][row])
                waiting.remove(entry)
        if len(prices):
            self._last[code] = int(prices[-1])
