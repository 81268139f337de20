"""What a detector must remember of trades so that a later bust can take them back."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.episodes import EPISODES, Episode, Episodes, Key, code_of
from ingest.axes import Count, Entries
from ingest.events import Batch
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

TradeId = tuple[int, int]
FORGET_EVERY: Final = 16
"""Batches between two looks for what is too old."""


class CountedTrade(msgspec.Struct, array_like=True, frozen=True):
    """A trade that an episode has counted."""

    key: Key
    first_seq: int
    """With `key`, the episode that counted it."""
    clock_ns: int
    lots: int
    price: int
    forward: bool
    """In the direction of the episode's first trade."""
    auction: bool
    new_instruction: bool
    whole: bool = False
    """It took the whole of a resting order that was new."""


_Known = tuple[int, list[tuple[int, int, CountedTrade]]]
"""An instrument and its counted trades, each with the halves of its id's hash."""


def _under(known: _Known, code: int) -> _Known:
    """Return the trades of an instrument under another code."""
    return code, [
        (high, low, msgspec.structs.replace(trade, key=(code, *trade.key[1:])))
        for high, low, trade in known[1]
    ]


class BustMemory:
    """Counted trades and closed episodes, for as long as a bust may come.

    Parameters
    ----------
    horizon_ns : int
        How long after a trade its bust is heard, event time, ns.
    limit : int
        Trades kept an instrument; the oldest makes room, counted in `overflow` when a bust could
        still have come. About 300 B each.
    """

    layout: ClassVar[Layout] = {
        "bust_trades": Entries(kind=_Known, place=lambda each: each[0], moved=_under),
        "bust_closed": EPISODES,
        "bust_lost": Count(),
    }

    def __init__(self, horizon_ns: int, limit: int) -> None:
        self._horizon_ns = horizon_ns
        self._limit = limit
        self._trades: dict[int, dict[TradeId, CountedTrade]] = {}
        self._closed: dict[Key, Episode] = {}
        self._batches = 0
        self.overflow = 0

    def keep(self, code: int, trade_id: TradeId, trade: CountedTrade) -> None:
        """Remember a trade of an instrument; one without an id cannot be busted."""
        if trade_id == (0, 0):
            return
        known = self._trades.setdefault(code, {})
        known[trade_id] = trade
        if len(known) > self._limit:
            oldest = known.pop(next(iter(known)))
            self.overflow += trade.clock_ns - oldest.clock_ns <= self._horizon_ns

    def keep_closed(self, episode: Episode) -> None:
        """Remember a closed episode: a bust of one of its trades revises it."""
        self._closed[(*episode.key, episode.first_seq)] = episode

    def take(self, code: int, trade_id: TradeId, at_ns: int) -> CountedTrade | None:
        """Forget and return a busted trade, or None when it was not counted or is too old."""
        trade = self._trades.get(code, {}).pop(trade_id, None)
        if trade is None or at_ns - trade.clock_ns > self._horizon_ns:
            return None
        return trade

    def episode_of(self, trade: CountedTrade, episodes: Episodes) -> tuple[Episode, bool] | None:
        """Return the episode that counted a trade, and whether it has closed."""
        episode = episodes.get(trade.key)
        if episode is not None and episode.first_seq == trade.first_seq:
            return episode, False
        episode = self._closed.get((*trade.key, trade.first_seq))
        return None if episode is None else (episode, True)

    def forget(self, batch: Batch) -> None:
        """Drop, every so many batches, what no bust can reach any more.

        When that happens changes no finding: `take` asks for the trade's age.
        """
        self._batches += 1
        if self._batches % FORGET_EVERY:
            return
        for code, _, end in batch.by_instrument():
            before_ns = int(batch["clock_ns"][end - 1]) - self._horizon_ns
            known = self._trades.get(code, {})
            for trade_id in [*_older(known, before_ns)]:
                del known[trade_id]
            for key in [
                k for k, e in self._closed.items() if k[0] == code and e.last_ns < before_ns
            ]:
                del self._closed[key]

    def snapshot(self) -> Snapshot:
        """Return what is remembered as arrays, by instrument."""
        trades = [
            (code, [(high, low, trade) for (high, low), trade in known.items()])
            for code, known in sorted(self._trades.items(), key=itemgetter(0))
        ]
        return {
            "bust_trades": pack_exact(trades),
            "bust_closed": pack_exact(sorted(self._closed.values(), key=code_of)),
            "bust_lost": np.array([self.overflow], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        trades = unpack_exact(snapshot["bust_trades"], list[_Known])
        closed = unpack_exact(snapshot["bust_closed"], list[Episode])
        self._trades = {
            code: {(high, low): trade for high, low, trade in known} for code, known in trades
        }
        self._closed = {(*e.key, e.first_seq): e for e in closed}
        self.overflow = int(snapshot["bust_lost"][0])


def _older(known: dict[TradeId, CountedTrade], before_ns: int) -> Iterator[TradeId]:
    for trade_id, trade in known.items():  # in order of arrival, so of the clock
        if trade.clock_ns >= before_ns:
            return
        yield trade_id
