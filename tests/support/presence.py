"""How long a maker was there, by the records alone: exact intervals of two-sided quotes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Count = Literal["best", "band"]
"""Whose lots count on each side: those at the maker's best price, or all that lie within half the
spread of its own mid."""


@dataclass
class Presence:
    """Time in ns of one maker in one window, continuous trading only."""

    open_ns: int = 0
    present_ns: int = 0
    missed: list[tuple[int, int]] = field(default_factory=list)
    """Intervals in which it was not there, in order; those that touch are one."""

    @property
    def ratio(self) -> float:
        return self.present_ns / self.open_ns if self.open_ns else 1.0


@dataclass
class _Quotes:
    """A maker's live orders that can rest, by id: side, price, leaves."""

    account: str
    live: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    def take(self, record: dict) -> bool:
        """Take in a record; return whether it was about this maker."""
        if "trade_id" in record:
            ours = False
            for side in ("buy", "sell"):
                id_ = record[f"{side}_order_id"]
                if id_ in self.live:
                    ours = True
                    what, price, leaves = self.live.pop(id_)
                    if leaves > _units(record["quantity"]):
                        self.live[id_] = what, price, leaves - _units(record["quantity"])
            return ours
        if record.get("account") != self.account:
            return False
        id_, action = record["order_id"], record["action"]
        if action == "new":
            self.live.pop(record.get("replaces", ""), None)
            if record["type"] == "limit" and record["tif"] not in ("IOC", "FOK"):
                self.live[id_] = record["side"], _units(record["price"]), _units(record["leaves"])
        elif action == "replace":
            if id_ in self.live:
                self.live[id_] = record["side"], _units(record["price"]), _units(record["leaves"])
        elif action in ("cancel", "expire") or not _units(record["leaves"]):
            self.live.pop(id_, None)
        return True

    def is_there(self, max_spread_bps: float, floor: int, count: Count) -> bool:
        """Return whether it quotes both sides as agreed."""
        sides = {s: [(p, q) for w, p, q in self.live.values() if w == s] for s in ("buy", "sell")}
        if not all(sides.values()):
            return False
        bid, ask = max(p for p, _ in sides["buy"]), min(p for p, _ in sides["sell"])
        mid = (bid + ask) / 2
        reach = mid * max_spread_bps / 20_000
        if count == "best":
            if ask - bid > 2 * reach:
                return False
            reach = (ask - bid) / 2
        return all(
            sum(q for p, q in quotes if abs(p - mid) <= reach) >= floor for quotes in sides.values()
        )


def _units(text: str) -> int:
    """Return a decimal string in 1e-9."""
    return round(float(text) * 1e9)


def records(tape: Path, instrument: str) -> list[dict]:
    """Return an instrument's records of both files in order of seq."""
    found = []
    for name in ("orders", "trades"):
        with (tape / f"{name}.ndjson").open() as file:
            found += [
                json.loads(line) for line in file if f'"instrument":"{instrument}"' in line[:80]
            ]
    return sorted(found, key=lambda r: r["seq"])


def presence(  # noqa: PLR0917 - the terms of an agreement
    tape_records: list[dict],
    account: str,
    floor: str,
    max_spread_bps: str,
    window_ns: int,
    end_ns: int,
    count: Count = "band",
) -> dict[int, Presence]:
    """Return presence by window, from the first record to the end of the tape."""
    quotes = _Quotes(account)
    windows: dict[int, Presence] = {}
    open_, there = True, False
    last_ns = tape_records[0]["engine_ns"]
    for record in [*tape_records, {"engine_ns": end_ns, "trade_id": "", **_NOBODY}]:
        now_ns = record["engine_ns"]
        if open_ and now_ns > last_ns:
            for begin, end in _cut(last_ns, now_ns, window_ns):
                window = windows.setdefault(begin // window_ns * window_ns, Presence())
                window.open_ns += end - begin
                if there:
                    window.present_ns += end - begin
                elif window.missed and window.missed[-1][1] == begin:
                    window.missed[-1] = window.missed[-1][0], end
                else:
                    window.missed.append((begin, end))
        last_ns = now_ns
        if record.get("action") == "status":
            open_ = record["phase"] == "continuous"
        elif record.get("action") not in ("book", "book_end") and quotes.take(record):
            there = quotes.is_there(float(max_spread_bps), _units(floor), count)
    return windows


_NOBODY = {"buy_order_id": None, "sell_order_id": None}


def _cut(begin_ns: int, end_ns: int, window_ns: int) -> Iterator[tuple[int, int]]:
    while begin_ns < end_ns:
        edge = min(end_ns, (begin_ns // window_ns + 1) * window_ns)
        yield begin_ns, edge
        begin_ns = edge
