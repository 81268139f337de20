"""Trades that a window may still need, by group, and the busts that may still cancel them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np

from detectors.ring_lane import TRADE, Lane, Trades
from ingest.axes import ByCode, Rows
from ingest.errors import SnapshotError
from ingest.events import NO_CODE, NULL, Array, Batch, Coverage, Kind, Role
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

BUST: Final = np.dtype(
    [
        ("time_ns", np.int64),
        ("seq", np.int64),
        ("instrument", np.int32),
        ("trade_hi", np.uint64),
        ("trade_lo", np.uint64),
    ]
)


class TradeStore:
    """Trades between different accounts, grouped, in order of (event time, instrument name, seq).

    A group is an instrument, or all unique items of one collection. State is what was traded in
    the last `reach_ns` before the last settled boundary, at most `max_trades` + 1 a group, and all
    that is newer than that boundary: about 100 bytes a trade.

    Parameters
    ----------
    instruments : Instruments
        The venue's table.
    reach_ns : int
        Length of the longest window, ns.
    max_trades : int
        Trades of a group that any one window looks at: its last ones.
    """

    layout: ClassVar[Layout] = {
        **{f"trade_{name}": Rows("trade_instrument") for name in TRADE},
        **{f"bust_{name}": Rows("bust_instrument") for name in BUST.names or ()},
        "volume": ByCode(),
        "settled_ns": ByCode(NULL),
    }

    def __init__(self, instruments: Instruments, *, reach_ns: int, max_trades: int) -> None:
        names = [row.instrument for row in instruments.rows]
        groups = [
            (row.collection, "collection") if row.kind == "unique" else (row.instrument, "")
            for row in instruments.rows
        ]
        self._rank = np.argsort(np.argsort(np.array(names))) if names else np.empty(0, np.int64)
        ranked = {group: rank for rank, group in enumerate(sorted(set(groups)))}
        self.group = np.array([ranked[group] for group in groups], np.int64)
        """Group of each instrument code: its place among the groups by name."""
        self.settled_ns = np.full(len(ranked), NULL, np.int64)
        """Boundary up to which each group's windows have been judged."""
        self._unique = np.array([row.kind == "unique" for row in instruments.rows], np.bool_)
        self._reach_ns = reach_ns
        self._max_trades = max_trades
        self._volume = np.zeros(len(names), np.int64)
        self._pending: list[Trades] = []
        self._pending_busts: list[Array] = []
        self._lanes: dict[int, Lane] = {}
        self.busts = np.empty(0, BUST)
        """Busts not yet applied, in event order."""

    def add(self, batch: Batch) -> int:
        """Take a batch's trades and busts, each instrument's in seq order.

        Returns how many trades came after the boundary that they lie before had been settled: the
        watermark was wrong. They are used by the windows that are still open, marked incomplete.
        """
        rows = np.flatnonzero(batch["kind"] == Kind.TRADE)
        if not len(rows):
            return 0
        busting = (batch["busts_hi"][rows] != 0) | (batch["busts_lo"][rows] != 0)
        if busting.any():
            self._pending_busts.append(_busts(batch, rows[busting]))
            rows = rows[~busting]
        codes, lots = batch["instrument"][rows], np.maximum(batch["quantity"][rows], 0)
        sellers, buyers = batch["sell_account"][rows], batch["buy_account"][rows]
        cum = self._running(codes, lots)
        ring_able = (sellers != buyers) & (sellers != NO_CODE) & (buyers != NO_CODE) & (lots > 0)
        kept = rows[ring_able]
        time_ns, code = batch["clock_ns"][kept], codes[ring_able]
        late = time_ns < self.settled_ns[self.group[code]]
        known = {
            "time_ns": time_ns,
            "seq": batch["seq"][kept],
            "instrument": code,
            "seller": sellers[ring_able],
            "buyer": buyers[ring_able],
            "incomplete": (batch["coverage"][kept] != Coverage.COMPLETE) | late,
            "side": batch["side"][kept],
            "quoted": _quoted(batch, kept, self._unique[code]),
            "lots": lots[ring_able],
            "ticks": batch["price"][kept],
            "cum_lots": cum[ring_able],
            "trade_hi": batch["trade_hi"][kept],
            "trade_lo": batch["trade_lo"][kept],
            "incoming_seq": batch["incoming_seq"][kept],
        }
        none = np.zeros(len(kept), np.int8)
        self._pending.append(
            Trades({name: known.get(name, none).astype(kind) for name, kind in TRADE.items()})
        )
        return int(late.sum())

    def _running(self, codes: Array, lots: Array) -> Array:
        """Return each trade's running volume of its instrument; rows are grouped by instrument."""
        total = np.cumsum(lots)
        if not len(codes):
            return total
        last = np.flatnonzero(np.append(codes[1:] != codes[:-1], True))
        first = np.append(0, last[:-1] + 1)
        before = np.repeat(total[first] - lots[first], last - first + 1)
        running: Array = total - before + self._volume[codes]
        self._volume[codes[last]] = running[last]
        return running

    def settle(self) -> Sequence[tuple[int, Lane]]:
        """Merge what was added; return each group's rank by name and lane, in that order."""
        if self._pending:
            rows = Trades.joined(self._pending)
            self._pending = []
            groups = self.group[rows["instrument"]]
            if len(groups) and (groups != groups[0]).any():
                order = np.argsort(groups, kind="stable")
                rows, groups = rows.take(order), groups[order]
            ends = np.flatnonzero(np.diff(groups, append=-1) != 0) + 1
            for first, last in pairwise([0, *ends.tolist()]):
                group, mine = int(groups[first]), rows.part(first, last)
                if group not in self._lanes:
                    unique = bool(self._unique[mine["instrument"][0]])
                    self._lanes[group] = Lane(unique=unique)
                self._lanes[group].merge(mine, self._rank)
        if self._pending_busts:
            merged = np.concatenate([self.busts, *self._pending_busts])
            order = np.lexsort((merged["seq"], self._rank[merged["instrument"]], merged["time_ns"]))
            self.busts, self._pending_busts = merged[order], []
        return sorted(self._lanes.items())

    def find(self, instrument: int, high: int, low: int) -> tuple[Trades, int] | None:
        """Return a settled trade's array and row, or None when it is not there (any more)."""
        lane = self._lanes.get(int(self.group[instrument]))
        if lane is None:
            return None
        rows = np.flatnonzero(
            (lane.trades["trade_hi"] == np.uint64(high))
            & (lane.trades["trade_lo"] == np.uint64(low))
            & (lane.trades["instrument"] == instrument)
        )
        return (lane.trades, int(rows[0])) if len(rows) else None

    def trim(self, until_ns: int) -> None:
        """Forget what no window that ends after a boundary can hold or look at."""
        self.settled_ns = np.maximum(self.settled_ns, until_ns)
        for group, lane in list(self._lanes.items()):
            oldest = int(np.searchsorted(lane.times, until_ns - self._reach_ns, side="left"))
            settled = int(np.searchsorted(lane.times, until_ns, side="left"))
            # One more than a window looks at, so that it is seen to have been cut short.
            lane.drop(max(oldest, settled - self._max_trades - 1))
            if not len(lane.times):
                del self._lanes[group]

    def oldest_ns(self, group: int) -> int | None:
        """Return the event time of a group's first trade here, or None when it has none."""
        lane = self._lanes.get(group)
        return None if lane is None else int(lane.times[0])

    def cited(self) -> Iterator[tuple[int, int, int]]:
        """Yield group, number of the ring and event time of each restored trade that has one."""
        for trades in self._pending:
            cited = np.flatnonzero(trades["ring"])
            groups = self.group[trades["instrument"][cited]]
            for row, group in zip(cited.tolist(), groups.tolist(), strict=True):
                yield group, int(trades["ring"][row]), int(trades["time_ns"][row])

    def snapshot(self) -> Snapshot:
        """Return the trades, busts and volumes as plain columns, by instrument."""
        lanes = [lane.trades for _, lane in sorted(self._lanes.items())]
        trades = Trades.joined([Trades.room(0), *lanes, *self._pending])
        trades = trades.take(np.argsort(trades["instrument"], kind="stable"))
        busts = np.concatenate([self.busts, *self._pending_busts])
        busts = busts[np.argsort(busts["instrument"], kind="stable")]
        return {
            **{f"trade_{name}": trades[name].copy() for name in TRADE},
            **{f"bust_{name}": busts[name].copy() for name in BUST.names or ()},
            "volume": self._volume.copy(),
            "settled_ns": self.settled_ns[self.group],
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over what `snapshot` returned."""
        if len(snapshot["volume"]) != len(self._volume):
            raise SnapshotError(
                f"wash_rings: expected state of {len(self._volume)} instruments, "
                f"found {len(snapshot['volume'])}"
            )
        self._volume = snapshot["volume"].copy()
        self.settled_ns[...] = NULL
        # The furthest of its instruments': one that is new to a collection has none.
        np.maximum.at(self.settled_ns, self.group, snapshot["settled_ns"])
        self._lanes, self.busts = {}, np.empty(0, BUST)
        # The next settling sorts: a total order, so nothing depends on the order kept here.
        self._pending = [
            Trades(
                {
                    name: _column(snapshot, f"trade_{name}").astype(kind)
                    for name, kind in TRADE.items()
                }
            )
        ]
        busts = np.zeros(len(_column(snapshot, "bust_seq")), BUST)
        for name in BUST.names or ():
            busts[name] = _column(snapshot, f"bust_{name}")
        self._pending_busts = [busts]


def _quoted(batch: Batch, rows: Array, unique: Array) -> Array:
    """Return of which trades the order that stood is an external maker's.

    Who takes, a client or another maker, meets whoever quotes best: it is the venue that chose. Not
    so of a unique item, nor within the complex, whose maker is never excused.
    """
    side = batch["side"][rows]
    bought, sold = (batch[f"{way}_role"][rows] == Role.EXTERNAL_MM for way in ("buy", "sell"))
    ours = (batch["buy_complex"][rows] != 0) | (batch["sell_complex"][rows] != 0)
    stood = np.where(side > 0, sold, (side < 0) & bought)
    quoted: Array = stood & ~ours & ~unique
    return quoted


def _busts(batch: Batch, rows: Array) -> Array:
    taken = np.zeros(len(rows), BUST)
    taken["time_ns"], taken["seq"] = batch["clock_ns"][rows], batch["seq"][rows]
    taken["instrument"] = batch["instrument"][rows]
    taken["trade_hi"], taken["trade_lo"] = batch["busts_hi"][rows], batch["busts_lo"][rows]
    return taken


def _column(snapshot: Snapshot, name: str) -> Array:
    try:
        return snapshot[name]
    except KeyError as error:
        raise SnapshotError(f"wash_rings: expected state to hold {error}, found none") from error
