"""Presence: how long those who owe quotes had them, window by window, to the nanosecond."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import groupby
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.agreements import Agreement, Window
from detectors.presence_kernel import COLUMNS, restand, scan
from detectors.presence_state import (
    FIRST_SUM,
    I_DOUBT,
    I_LAST_NS,
    I_LAST_SEQ,
    I_NEXT,
    KEPT,
    KEPT_FIELDS,
    LAST_SUM,
    N_LIMIT,
    N_RATIO,
    N_SPREAD,
    NUMBERS,
    ORDER_FIELDS,
    OWN_FIELDS,
    RANGES,
    ROOM,
    S_ACCOUNTS,
    S_AT_SEQ,
    S_BROKEN,
    S_CAP,
    S_CODE,
    S_GAP,
    S_IN_FORCE,
    S_LAST_NS,
    S_LEAST,
    S_LENGTH,
    S_LOST_ASKS,
    S_LOST_BIDS,
    S_MIN_LOTS,
    S_PARTY,
    S_SEGMENT,
    S_SEQ,
    S_START,
    S_UNKNOWN,
    S_UNSURE,
    S_UNTIL,
    S_WINDOW_NS,
    SLOT_FIELDS,
    SURE,
    UNSURE,
)
from detectors.presence_time import advance, end_stretch, settle
from detectors.presence_window import window_of
from ingest.axes import ByCode, Rows
from ingest.errors import SnapshotError
from ingest.events import Array, Batch
from ingest.instruments import Instruments
from ingest.registry import FOREVER
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY

AT_THE_LIMIT: Final = 1 + 1e-12
"""A spread exactly as wide as agreed is within; this is far below a tick and above rounding."""


class Presence:
    """The quotes of every party to an agreement, and its windows.

    State: 13 kB an agreement's account and instrument, 0.6 kB an instrument, whatever the traffic.

    Parameters
    ----------
    instruments : Instruments
    least_open_ratio : float
        Share of a window that must be open and known before anything is said of it.
    excused_ratio : float
        Share of a window that forced absences may take out of it.
    stress_ratio : float
        A minute is restless when the mid's range in it is so many times the median of the hour.
    """

    layout: ClassVar[Layout] = {
        "presence": Rows("presence", column=S_CODE),
        "presence_numbers": Rows("presence", column=S_CODE),
        "presence_orders": Rows("presence", column=S_CODE),
        "presence_kept": Rows("presence", column=S_CODE),
        "presence_own": ByCode(),
        "presence_ranges": ByCode(),
    }

    def __init__(
        self,
        instruments: Instruments,
        *,
        least_open_ratio: float,
        excused_ratio: float,
        stress_ratio: float,
    ) -> None:
        self._least_open_ratio = least_open_ratio
        self._excused_ratio, self._stress_ratio = excused_ratio, stress_ratio
        self._terms: tuple[Agreement, ...] | None = None
        self._agreed: dict[tuple[int, int], list[Agreement]] = {}
        self._own = np.zeros((len(instruments), OWN_FIELDS), np.int64)
        self._ranges = np.zeros((len(instruments), RANGES))
        self._make(np.zeros((0, SLOT_FIELDS), np.int64), *_arrays(0))

    def _make(self, slots: Array, numbers: Array, orders: Array, kept: Array) -> None:
        self._slots, self._numbers, self._orders, self._kept = slots, numbers, orders, kept
        self._index = np.zeros((len(self._own), 2), np.int64)
        for code, run in groupby(range(len(slots)), lambda at: int(slots[at, S_CODE])):
            places = list(run)
            self._index[code] = places[0], len(places)

    @staticmethod
    def warm() -> None:
        """Compile what only a change of the terms calls."""
        numbers, _, kept = _arrays(1)
        slots, own = np.zeros((1, SLOT_FIELDS), np.int64), np.zeros((1, OWN_FIELDS), np.int64)
        settle(slots, 0, numbers, kept, own, 0)
        advance(slots, 0, numbers, kept, own, 0, 0)
        end_stretch(slots, 0, kept, 0, 0)

    @property
    def lost(self) -> int:
        """Live orders beyond the room for them."""
        return int(self._slots[:, (S_LOST_BIDS, S_LOST_ASKS)].sum())

    @property
    def parties(self) -> set[tuple[int, int]]:
        """Instrument and party of every agreement."""
        return set(self._agreed)

    def clock_ns(self, code: int) -> int:
        """Return the time of an instrument's last event, ns."""
        return int(self._own[code, I_LAST_NS])

    def take(self, batch: Batch, agreements: tuple[Agreement, ...]) -> Iterator[Window]:
        """Yield the windows that an enriched batch ends, by row; first those that new terms end.

        And those that can no longer be met, as soon as that is so and `least_open_ratio` of them
        was open. A window ends with the first event at or after its end; what it says is of events
        before.
        """
        if self._terms != agreements:
            yield from self._adopt(agreements)
        columns = tuple(batch[name] for name in COLUMNS)
        row = 0
        while True:
            row, place = scan(
                columns, row, self._stress_ratio, self._index, self._own, self._ranges,
                self._slots, self._numbers, self._orders, self._kept,
            )  # fmt: skip
            if place < 0:
                return
            slot = self._slots[place]
            if slot[S_LAST_NS] == 0:
                at_ns, seq = int(batch["clock_ns"][row]), int(batch["seq"][row])
                slot[S_UNSURE], slot[S_AT_SEQ] = SURE if seq == 1 else UNSURE, seq
                self._begin(place, at_ns, is_first=True)
                continue
            if slot[S_BROKEN] == 1:
                slot[S_BROKEN] = 2
                self._own[slot[S_CODE], I_NEXT] = 0
                yield self._window(place, int(slot[S_LAST_NS]), is_over=False)
                continue
            until = int(slot[S_UNTIL])
            yield self._window(place, until)
            self._begin(place, until)

    def finish(self) -> Iterator[Window]:
        """Yield every open window as far as it has come; for reports: nothing may follow."""
        for place, slot in enumerate(self._slots):
            if slot[S_LAST_NS] != 0:
                code = int(slot[S_CODE])
                settle(self._slots, place, self._numbers, self._kept, self._own, code)
                yield self._window(place, self.clock_ns(code), is_over=False)

    def _adopt(self, agreements: tuple[Agreement, ...]) -> Iterator[Window]:
        """Take over other terms; yield the windows of those that they end."""
        self._terms = agreements
        agreed: dict[tuple[int, int], list[Agreement]] = {}
        for row in agreements:
            agreed.setdefault((row.instrument, row.party), []).append(row)
        for rows in agreed.values():
            rows.sort(key=lambda row: row.from_ns)
        self._agreed = agreed
        places = {(int(s[S_CODE]), int(s[S_PARTY])): n for n, s in enumerate(self._slots)}
        for key, place in places.items():
            slot = self._slots[place]
            if key in agreed and slot[S_ACCOUNTS] != _mark(agreed[key]):
                # An account that joins may have orders that are not known.
                settle(self._slots, place, self._numbers, self._kept, self._own, key[0])
                slot[S_UNSURE] = UNSURE
            if slot[S_LAST_NS] and not self._goes_on(place):
                yield self._cut(place)
                if key in agreed:
                    self._begin(place, int(slot[S_LAST_NS]), is_late=True)
        keys = sorted(agreed, key=lambda key: key[0])
        old = np.array([places.get(key, -1) for key in keys], np.int64)
        there = np.flatnonzero(old >= 0)
        slots, arrays = np.zeros((len(keys), SLOT_FIELDS), np.int64), _arrays(len(keys))
        slots[:, S_CODE] = [code for code, _ in keys]
        slots[:, S_PARTY] = [party for _, party in keys]
        held = (self._slots, self._numbers, self._orders, self._kept)
        for new, was in zip((slots, *arrays), held, strict=True):
            new[there] = was[old[there]]
        slots[:, S_ACCOUNTS] = [_mark(agreed[key]) for key in keys]
        self._make(slots, *arrays)
        self._own[:, I_NEXT] = 0

    def _cut(self, place: int) -> Window:
        """Return the window that a change of the terms ends.

        Such a part is not judged, unless the row that was in force has turned out to have ended no
        earlier than what is counted, or what was missed can be made up for under neither version.
        """
        slot, code = self._slots[place], int(self._slots[place, S_CODE])
        row, at_ns = self._row(place, int(slot[S_SEGMENT])), int(self._own[code, I_LAST_NS])
        is_same = row is not None and row.window_ns == slot[S_WINDOW_NS] and self._as_before(place)
        if row is not None and is_same and slot[S_LAST_NS] <= row.to_ns <= at_ns:
            advance(self._slots, place, self._numbers, self._kept, self._own, code, row.to_ns)
            end_stretch(self._slots, place, self._kept, row.to_ns, int(self._own[code, I_LAST_SEQ]))
            return self._window(place, row.to_ns)
        settle(self._slots, place, self._numbers, self._kept, self._own, code)
        window = self._window(place, at_ns)
        is_told = bool(slot[S_BROKEN] == 2) and self._as_before(place)
        if row is not None and is_told and self._is_beyond(window, row):
            return window
        return msgspec.structs.replace(window, is_cut=True)

    def _as_before(self, place: int) -> bool:
        """Return whether the row now in force for a slot's window asks for no less than before."""
        slot, numbers = self._slots[place], self._numbers[place]
        row = self._row(place, int(slot[S_SEGMENT]))
        return (
            row is not None
            and bool(slot[S_IN_FORCE])
            and row.min_lots >= slot[S_MIN_LOTS]
            and _limit(row) <= numbers[N_LIMIT]
            and row.min_ratio >= numbers[N_RATIO]
        )

    def _is_beyond(self, window: Window, row: Agreement) -> bool:
        """Return whether what a window missed makes the row's own window one that is missed."""
        start = window.from_ns // row.window_ns * row.window_ns
        until = min(start + row.window_ns, row.to_ns)
        missed = sum(max(0, min(s.to_ns, until) - s.from_ns) for s in window.stretches)
        opened = window.open_ns - max(0, window.end_ns - until)
        owed = until - max(start, row.from_ns)
        return (
            opened >= self._least_open_ratio * row.window_ns
            and missed > (1 - row.min_ratio) * owed + 2
        )

    def _goes_on(self, place: int) -> bool:
        """Return whether a slot's window goes on, from now on under the terms as they are now."""
        slot, numbers = self._slots[place], self._numbers[place]
        row, until = self._row(place, int(slot[S_SEGMENT])), int(slot[S_UNTIL])
        if row is None or not slot[S_IN_FORCE]:
            slot[S_UNTIL] = min(int(slot[S_UNTIL]), self._next(place, int(slot[S_SEGMENT])))
            return row is None and not slot[S_IN_FORCE]
        slot[S_UNTIL] = min(int(slot[S_START]) + row.window_ns, row.to_ns)
        code = int(slot[S_CODE])
        if row.window_ns != slot[S_WINDOW_NS] or row.to_ns <= self._own[code, I_LAST_NS]:
            return False
        slot[S_LENGTH] += slot[S_UNTIL] - until
        numbers[N_LIMIT], numbers[N_RATIO] = _limit(row), row.min_ratio
        slot[S_MIN_LOTS] = row.min_lots
        restand(self._slots, place, self._numbers, self._orders, self._own, code, int(slot[S_SEQ]))
        return True

    def _row(self, place: int, at_ns: int) -> Agreement | None:
        """Return the row of a slot in force at a time."""
        rows = self._agreed.get((int(self._slots[place, S_CODE]), int(self._slots[place, S_PARTY])))
        return next((r for r in rows or () if r.from_ns <= at_ns < r.to_ns), None)

    def _next(self, place: int, at_ns: int) -> int:
        """Return when a slot's next row comes into force, or a day on: then it is looked at."""
        rows = self._agreed.get((int(self._slots[place, S_CODE]), int(self._slots[place, S_PARTY])))
        return min((r.from_ns for r in rows or () if r.from_ns > at_ns), default=FOREVER)

    def _begin(
        self, place: int, at_ns: int, *, is_first: bool = False, is_late: bool = False
    ) -> None:
        slot, numbers = self._slots[place], self._numbers[place]
        own, row = self._own[slot[S_CODE]], self._row(place, at_ns)
        slot[FIRST_SUM : LAST_SUM + 1] = 0
        numbers[N_SPREAD] = 0.0
        slot[S_SEGMENT], slot[S_LAST_NS], slot[S_IN_FORCE] = at_ns, at_ns, row is not None
        slot[S_GAP], slot[S_BROKEN] = own[I_DOUBT], 0
        if not is_first:
            slot[S_AT_SEQ] = own[I_LAST_SEQ]
        own[I_NEXT] = 0
        if row is None:
            slot[S_START], slot[S_WINDOW_NS] = at_ns, DAY
            slot[S_UNTIL] = min(at_ns + DAY, self._next(place, at_ns))
            return
        start = at_ns // row.window_ns * row.window_ns
        slot[S_START], slot[S_WINDOW_NS] = start, row.window_ns
        slot[S_UNTIL] = min(start + row.window_ns, row.to_ns)
        slot[S_MIN_LOTS], slot[S_CAP] = row.min_lots, int(self._excused_ratio * row.window_ns)
        numbers[N_LIMIT], numbers[N_RATIO] = _limit(row), row.min_ratio
        slot[S_LEAST] = int(self._least_open_ratio * row.window_ns) + 1
        if is_first or is_late:
            slot[S_UNKNOWN] = at_ns - max(start, row.from_ns)
        slot[S_LENGTH] = slot[S_UNTIL] - at_ns + slot[S_UNKNOWN]
        restand(
            self._slots,
            place,
            self._numbers,
            self._orders,
            self._own,
            int(slot[S_CODE]),
            int(slot[S_AT_SEQ]),
        )
        slot[S_SEQ] = max(slot[S_SEQ], slot[S_AT_SEQ])

    def _window(self, place: int, end_ns: int, *, is_over: bool = True) -> Window:
        slot = self._slots[place]
        return window_of(
            slot, self._numbers[place], self._kept[place], self._own[slot[S_CODE]], end_ns,
            is_over=is_over,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return the slots, each instrument's together, and what is kept of instruments."""
        own = self._own.copy()
        own[:, I_NEXT] = 0  # looked up again: it follows from the rest
        return {
            "presence": self._slots.copy(),
            "presence_numbers": self._numbers.copy(),
            "presence_orders": self._orders.copy(),
            "presence_kept": self._kept.copy(),
            "presence_own": own,
            "presence_ranges": self._ranges.copy(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        if snapshot["presence_own"].shape != self._own.shape:
            raise SnapshotError(
                f"presence: expected state of {len(self._own)} instruments, "
                f"found {len(snapshot['presence_own'])}"
            )
        self._own = snapshot["presence_own"].copy()
        self._ranges = snapshot["presence_ranges"].copy()
        self._terms, self._agreed = None, {}
        names = ("presence", "presence_numbers", "presence_orders", "presence_kept")
        self._make(*(snapshot[name].copy() for name in names))


def _mark(rows: list[Agreement]) -> int:
    """Return a number by which a party's accounts are known to be the same ones."""
    accounts = sorted({account for row in rows for account in row.accounts})
    return zlib.crc32(np.array(accounts, np.int64).tobytes())


def _limit(row: Agreement) -> float:
    return row.max_spread_bps / 2e4 * AT_THE_LIMIT


def _arrays(count: int) -> tuple[Array, Array, Array]:
    return (
        np.zeros((count, NUMBERS)),
        np.zeros((count, 2, ROOM, ORDER_FIELDS), np.int64),
        np.zeros((count, KEPT, KEPT_FIELDS), np.int64),
    )
