"""Clients' fills against the AFMM and against external makers: what each cost, and where.

Huang and Stoll (1996): with D = +1 for a client that buys, p the price and m the mid before the
incoming order, the effective spread is 2 D (p - m), the realised spread after a time 2 D (p - m'),
the markout D (m' - p); all in basis points of m. The higher the spreads and the lower the markout,
the worse the client fared.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.events import NULL, Array, Batch, Kind, Phase, Role, Side
from ingest.instruments import Instruments
from ingest.times import SECOND

HORIZONS_S: Final = (5, 30)
"""Of markouts; the realised spread is that of the last."""
BLOCK_S: Final = 300
"""Fills of one block of time are drawn together, and volatility is that of the block before."""
SIZE_RATIOS: Final = (0.5, 2.0)
"""Bounds of small, ordinary and large fills, of the instrument's median."""
_FIELDS: Final = ("at_ns", "side", "price", "lots", "mid", "is_afmm", "takes", "maker")
_ID: Final = ("trade_hi", "trade_lo")


class Fills:
    """All fills of one instrument as arrays, with the mid after each horizon (NaN: none)."""

    def __init__(self, columns: dict[str, Array], after: dict[int, Array], ranges: Array) -> None:
        self.columns = columns
        self.after = after
        self._ranges = ranges

    def __len__(self) -> int:
        return len(self.columns["at_ns"])

    @property
    def blocks(self) -> Array:
        """Number of the block of time that each is in, since 1970."""
        found: Array = self.columns["at_ns"] // (BLOCK_S * SECOND)
        return found

    @property
    def parts(self) -> dict[str, Array]:
        """What strata are made of, each a small number: hour, volatility, size, takes.

        The hour of the day (UTC); volatility in thirds (0 least, 3 unknown) of the range of mids in
        the block before; size 0 small, 1 ordinary, 2 large; 1 where the client took.
        """
        lots, ranges = self.columns["lots"], self._ranges
        known = ranges[~np.isnan(ranges)]
        third = np.full(len(self), 3, np.int64)
        if len(known):
            bounds = np.quantile(known, (1 / 3, 2 / 3))
            third = np.where(
                np.isnan(ranges), 3, np.searchsorted(bounds, ranges, side="right")
            ).astype(np.int64)
        return {
            "hour": self.columns["at_ns"] // (3600 * SECOND) % 24,
            "volatility": third,
            "size": np.searchsorted(np.array(SIZE_RATIOS) * np.median(lots), lots, side="right"),
            "takes": self.columns["takes"],
        }

    @property
    def strata(self) -> Array:
        """What each is compared within: one number for all of `parts`."""
        of = self.parts
        found: Array = ((of["hour"] * 4 + of["volatility"]) * 3 + of["size"]) * 2 + of["takes"]
        return found

    def measures(self) -> dict[str, Array]:
        """Return each measure in basis points of the mid; NaN where a mid is missing."""
        side, mid = self.columns["side"], self.columns["mid"]
        price = self.columns["price"].astype(np.float64)
        found = {"effective_spread": 2e4 * side * (price - mid) / mid}
        for horizon_s, after in self.after.items():
            found[f"markout_{horizon_s}s"] = 1e4 * side * (after - price) / mid
        last = HORIZONS_S[-1]
        found[f"realised_spread_{last}s"] = 2e4 * side * (price - self.after[last]) / mid
        return found


class FairFills:
    """Takes clients' fills from enriched batches as they come.

    Of each trade in continuous trading between a client and either the AFMM or an external maker.
    A client is an account of role client outside the complex; a trade that is busted later leaves.
    State: about 120 B a fill, two numbers for each block of time and instrument, and the ids of
    busted trades.

    Parameters
    ----------
    instruments : Instruments
    """

    def __init__(self, instruments: Instruments) -> None:
        self.instruments = instruments
        self._rows: dict[int, list[dict[str, Array]]] = {}
        self._after: dict[int, dict[int, list[Array]]] = {}
        self._due: dict[int, dict[int, Array]] = {}
        self._range: dict[int, dict[int, tuple[float, float]]] = {}
        self._busted: dict[int, set[tuple[int, int]]] = {}

    def take(self, batch: Batch) -> None:
        """Take the next batch; each instrument's rows in order of seq."""
        for code, start, end in batch.by_instrument():
            cut = {name: batch[name][start:end] for name in ("best_bid", "best_ask", "clock_ns")}
            known = (cut["best_bid"] != NULL) & (cut["best_ask"] != NULL)
            mids = np.where(known, (cut["best_bid"] + cut["best_ask"]) / 2, np.nan)
            self._extend(code, cut["clock_ns"], mids)
            self._fills(batch, code, start, end, mids)
            self._mark(code, cut["clock_ns"], mids)

    def _fills(self, batch: Batch, code: int, start: int, end: int, mids: Array) -> None:
        of = {
            name: batch[name][start:end]
            for name in (
                "kind", "phase", "side", "price", "quantity", "clock_ns", "busts_hi", "busts_lo",
                "trade_hi", "trade_lo",
                "buy_role", "sell_role", "buy_complex", "sell_complex", "buy_owner", "sell_owner",
            )
        }  # fmt: skip
        bust = (of["busts_hi"] != 0) | (of["busts_lo"] != 0)
        if bust.any():
            ids = zip(of["busts_hi"][bust].tolist(), of["busts_lo"][bust].tolist(), strict=True)
            self._busted.setdefault(code, set()).update(ids)
        trade = (of["kind"] == Kind.TRADE) & (of["phase"] == Phase.CONTINUOUS) & ~np.isnan(mids)
        trade &= (of["side"] != Side.NONE) & ~bust
        if not trade.any():
            return
        found = []
        for mine, other, side in (("buy", "sell", 1), ("sell", "buy", -1)):
            client = (of[f"{mine}_role"] == Role.CLIENT) & (of[f"{mine}_complex"] == 0)
            afmm = of[f"{other}_role"] == Role.AFFILIATED_MM
            external = (of[f"{other}_role"] == Role.EXTERNAL_MM) & (of[f"{other}_complex"] == 0)
            rows = np.flatnonzero(trade & client & (afmm | external))
            found.append(
                {
                    "row": rows,
                    "at_ns": of["clock_ns"][rows],
                    "side": np.full(len(rows), side, np.int64),
                    "price": of["price"][rows],
                    "lots": of["quantity"][rows],
                    "mid": mids[rows],
                    "is_afmm": afmm[rows],
                    "takes": (of["side"][rows] == side).astype(np.int64),
                    "maker": of[f"{other}_owner"][rows].astype(np.int64),
                    **{name: of[name][rows] for name in _ID},
                }
            )
        joined = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
        if not len(joined["row"]):
            return
        order = np.argsort(joined.pop("row"), kind="stable")
        fills = {name: column[order] for name, column in joined.items()}
        self._rows.setdefault(code, []).append(fills)
        due = self._due.setdefault(code, {h: np.empty(0, np.int64) for h in HORIZONS_S})
        for horizon_s in HORIZONS_S:
            new = fills["at_ns"] + horizon_s * SECOND
            due[horizon_s] = np.concatenate((due[horizon_s], new))

    def _mark(self, code: int, clock_ns: Array, mids: Array) -> None:
        """Note mids at the horizons that are over: the book's before the first event behind."""
        for horizon_s, due in self._due.get(code, {}).items():
            over = int(np.searchsorted(due, clock_ns[-1], side="left"))
            if over:
                rows = np.searchsorted(clock_ns, due[:over], side="right")
                after = self._after.setdefault(code, {})
                after.setdefault(horizon_s, []).append(mids[rows])
                self._due[code][horizon_s] = due[over:]

    def _extend(self, code: int, clock_ns: Array, mids: Array) -> None:
        known = ~np.isnan(mids)
        blocks, mids = clock_ns[known] // (BLOCK_S * SECOND), mids[known]
        if not len(blocks):
            return
        starts = np.flatnonzero(np.r_[True, blocks[1:] != blocks[:-1]])
        lows, highs = np.minimum.reduceat(mids, starts), np.maximum.reduceat(mids, starts)
        ranges = self._range.setdefault(code, {})
        for block, low, high in zip(
            blocks[starts].tolist(), lows.tolist(), highs.tolist(), strict=True
        ):
            least, most = ranges.get(block, (low, high))
            ranges[block] = (min(low, least), max(high, most))

    def fills(self) -> dict[int, Fills]:
        """Return all fills so far, by instrument; those whose horizon is not over have no mid."""
        found = {}
        for code, rows in sorted(self._rows.items()):
            columns = {name: np.concatenate([each[name] for each in rows]) for name in _FIELDS}
            number = len(columns["at_ns"])
            after = {}
            for horizon_s in HORIZONS_S:
                marks = self._after.get(code, {}).get(horizon_s, [])
                known = np.concatenate(marks) if marks else np.empty(0, np.float64)
                after[horizon_s] = np.r_[known, np.full(number - len(known), np.nan)]
            blocks = columns["at_ns"] // (BLOCK_S * SECOND)
            spans = [self._range[code].get(block - 1) for block in blocks.tolist()]
            ranges = [np.nan if s is None else (s[1] - s[0]) / max(s[0], 1.0) for s in spans]
            stands = self._stands(code, rows)
            if not stands.any():
                continue
            found[code] = Fills(
                {name: column[stands] for name, column in columns.items()},
                {horizon_s: marks[stands] for horizon_s, marks in after.items()},
                np.array(ranges, np.float64)[stands],
            )
        return found

    def _stands(self, code: int, rows: list[dict[str, Array]]) -> Array:
        """Return which fills were not busted."""
        busted = self._busted.get(code, set())
        high, low = (np.concatenate([each[name] for each in rows]).tolist() for name in _ID)
        return np.array([each not in busted for each in zip(high, low, strict=True)], np.bool_)
