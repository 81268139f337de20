"""Stylised facts of the simulated market beside a real tape: `make facts`.

Prints the table of docs/market.md and draws docs/stylised-facts.png. The real tape (an order feed
of 2015, bitcoin, one venue, no accounts) is not part of the repository: without it the simulated
column stands alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console

from market.assembly import Settings
from market.simulate import simulate
from monitor.terminal import progress_bar

REAL = Path("../shared/data")
NEAR_BPS = 10.0
"""Depth is what stands within this of the mid."""
TAIL_SHARE = 0.05
"""Largest sizes that Hill's estimate looks at."""


@dataclass
class Flow:
    """What a feed came to, sampled each second of continuous trading. Prices in display units."""

    name: str
    seconds: list[float] = field(default_factory=list)
    """Times of the samples, s."""
    spreads: list[float] = field(default_factory=list)
    """Basis points of the mid."""
    mids: list[float] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    """Within `NEAR_BPS` of the mid, both sides together, display units."""
    arrivals: list[float] = field(default_factory=list)
    """Times of new orders, s."""
    sizes: list[float] = field(default_factory=list)
    """Of new orders."""
    lives: list[float] = field(default_factory=list)
    """Of orders that rested until they ended, s."""
    records: int = 0
    """Records of orders."""
    trades: list[float] = field(default_factory=list)
    """Sizes of trades."""


class Book:
    """Orders and the quantity at each price; samples a flow once a second."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.open = True
        self._orders: dict[object, tuple[str, float, float, float]] = {}
        self._sides: dict[str, dict[float, float]] = {"buy": {}, "sell": {}}
        self._next: float | None = None

    def at(self, now: float) -> None:
        """Move time on, s; what stood at each full second is sampled."""
        if self._next is None:
            self._next = float(int(now)) + 1
        while self._next <= now:
            self._sample(self._next)
            self._next += 1

    def put(self, id_: object, side: str, price: float, left: float, now: float) -> None:
        """Have an order stand where and as large as it does from now on."""
        born = self._orders[id_][3] if id_ in self._orders else now
        self._take(id_)
        self._orders[id_] = (side, price, left, born)
        levels = self._sides[side]
        levels[price] = levels.get(price, 0.0) + left

    def reduce(self, id_: object, lots: float, now: float) -> None:
        """Fill an order that stands."""
        if id_ in self._orders:
            side, price, left, _ = self._orders[id_]
            if left - lots > 1e-9:
                self.put(id_, side, price, left - lots, now)
            else:
                self.end(id_, now)

    def end(self, id_: object, now: float) -> None:
        """Take an order away."""
        if id_ in self._orders:
            self.flow.lives.append(now - self._orders[id_][3])
            self._take(id_)

    def _take(self, id_: object) -> None:
        found = self._orders.pop(id_, None)
        if found:
            side, price, left, _ = found
            levels = self._sides[side]
            levels[price] -= left
            if levels[price] <= 1e-9:
                del levels[price]

    def _sample(self, now: float) -> None:
        bids, asks = self._sides["buy"], self._sides["sell"]
        if not (self.open and bids and asks):
            return
        bid, ask = max(bids), min(asks)
        if bid >= ask:
            return
        mid, flow = (bid + ask) / 2, self.flow
        flow.seconds.append(now)
        flow.mids.append(mid)
        flow.spreads.append((ask - bid) / mid * 1e4)
        near = mid * NEAR_BPS * 1e-4
        flow.depths.append(
            sum(
                left
                for levels in (bids, asks)
                for p, left in levels.items()
                if abs(p - mid) <= near
            )
        )


def simulated(tape: Path, instrument: str) -> Flow:
    """Return the flow of one instrument of a simulated tape."""
    flow = Flow("simulated")
    book, rows = Book(flow), []
    mark = f'"instrument":"{instrument}",'
    for name in ("orders", "trades"):
        with (tape / f"{name}.ndjson").open() as file:
            rows += [json.loads(line) for line in file if mark in line]
    rows.sort(key=lambda row: row["seq"])
    for row in rows:
        now = row["engine_ns"] / 1e9
        book.at(now)
        if "trade_id" in row:
            flow.trades.append(float(row["quantity"]))
            for side in ("buy", "sell"):
                book.reduce(row[f"{side}_order_id"], float(row["quantity"]), now)
            continue
        flow.records += 1
        _simulated_order(book, row, now)
    return flow


def _simulated_order(book: Book, row: dict[str, str], now: float) -> None:
    action, id_ = row["action"], row.get("order_id")
    if action == "status":
        book.open = row["phase"] == "continuous"
    elif action in ("cancel", "expire", "reject"):
        if action != "reject" or float(row["leaves"]) == 0:
            book.end(id_, now)
    elif action in ("new", "replace", "trigger"):
        if action == "new":
            book.flow.arrivals.append(now)
            book.flow.sizes.append(float(row["quantity"]))
            book.end(row.get("replaces"), now)
        rests = row["type"] == "limit" or (action == "trigger" and row["type"] == "stop_limit")
        if rests and row["tif"] not in ("IOC", "FOK") and row["price"] is not None:
            book.put(id_, row["side"], float(row["price"]), float(row["leaves"]), now)


def real(folder: Path) -> Flow:
    """Return the flow of the real order feed."""
    flow = Flow("real")
    book, gone = Book(flow), set()
    orders = pl.read_parquet(folder / "bitstamp_l3_orders.parquet")
    for id_, ms, _, price, volume, action, way in orders.iter_rows():
        now, left = ms / 1e3, volume / 1e8
        book.at(now)
        flow.records += 1
        if id_ in gone:
            continue  # The feed says a few things of an order after its end.
        if action == "created":
            flow.arrivals.append(now)
            flow.sizes.append(left)
        if action == "deleted":
            gone.add(id_)
            book.end(id_, now)
        elif left > 0:
            book.put(id_, "buy" if way == "bid" else "sell", price, left, now)
    flow.trades = pl.read_parquet(folder / "bitstamp_l3_trades.parquet")["amount"].to_list()
    return flow


def returns(flow: Flow, seconds: int) -> np.ndarray:
    """Return log returns of the mid in basis points over spans with no break in them."""
    by_time = dict(zip(flow.seconds, np.log(flow.mids), strict=True))
    times = [t for t in flow.seconds if t % seconds == 0 and t + seconds in by_time]
    return np.array([(by_time[t + seconds] - by_time[t]) * 1e4 for t in times])


def hill(sizes: list[float]) -> float:
    """Return Hill's estimate of the tail exponent."""
    ranked = np.sort(np.asarray(sizes))[::-1]
    tail = ranked[: max(10, int(len(ranked) * TAIL_SHARE))]
    return float(1 / np.mean(np.log(tail / tail[-1]))) if tail[0] > tail[-1] else float("inf")


def dispersion(flow: Flow, seconds: int) -> float:
    """Return the variance of the count of new orders over its mean; 1 when nothing clusters."""
    at = np.asarray(flow.arrivals) // seconds
    counts = np.unique(at, return_counts=True)[1]
    spans = int(at.max() - at.min()) + 1
    mean = len(at) / spans
    return float((np.sum(counts.astype(float) ** 2) / spans - mean**2) / mean)


def kurtosis(values: np.ndarray) -> float:
    """Return the fourth standardised moment; 3 for a normal law."""
    away = values - values.mean()
    return float(np.mean(away**4) / np.mean(away**2) ** 2)


def echo(values: np.ndarray) -> float:
    """Return the correlation of the size of a return with the next: storms last."""
    size = np.abs(values)
    return float(np.corrcoef(size[:-1], size[1:])[0, 1])


def facts(flow: Flow) -> dict[str, str]:
    """Return each fact of a flow as it is printed, by name with its unit."""
    typical = float(np.median(flow.trades))
    low, mid, high = np.percentile(flow.spreads, (10, 50, 90))
    thin, usual, thick = np.percentile(np.asarray(flow.depths) / typical, (10, 50, 90))
    span = flow.arrivals[-1] - flow.arrivals[0]
    ten, sixty = returns(flow, 10), returns(flow, 60)
    return {
        "spread, median (10 to 90 %), bp": f"{mid:.1f} ({low:.1f} to {high:.1f})",
        "depth within 10 bp, median (10 to 90 %), median trades": (
            f"{usual:,.0f} ({thin:,.0f} to {thick:,.0f})"
        ),
        "order records a trade": f"{flow.records / len(flow.trades):.0f}",
        "new orders a second": f"{len(flow.arrivals) / span:.1f}",
        "life of a resting order, median, s": f"{np.median(flow.lives):.1f}",
        "the same, 99 %, s": f"{np.percentile(flow.lives, 99):,.0f}",
        "variance of new orders over their mean, in 1 s": f"{dispersion(flow, 1):.1f}",
        "the same, in 10 s": f"{dispersion(flow, 10):.1f}",
        "tail exponent of order sizes (largest 5 %, Hill)": f"{hill(flow.sizes):.1f}",
        "tail exponent of trade sizes": f"{hill(flow.trades):.1f}",
        "standard deviation of a return of 60 s, bp": f"{sixty.std():.1f}",
        "kurtosis of a return of 10 s (normal 3)": f"{kurtosis(ten):.1f}",
        "kurtosis of a return of 60 s": f"{kurtosis(sixty):.1f}",
        "correlation of the size of a 10 s return with the next": f"{echo(ten):.2f}",
    }


def draw(flows: list[Flow], to: Path) -> None:
    """Draw the distributions of flows beside each other."""
    from matplotlib.figure import Figure

    figure = Figure((10, 5.4), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    figure.suptitle(
        "A simulated market beside a real one: what is alike, and what is not", fontsize=11
    )
    for flow, colour in zip(flows, ("#0072b2", "#d55e00"), strict=False):
        typical = float(np.median(flow.trades))
        ten = returns(flow, 10)
        panels = (
            ("spread, bp", flow.spreads),
            ("depth within 10 bp, median trades", np.asarray(flow.depths) / typical),
            ("life of an order that rested, s", flow.lives),
            ("order size, medians", np.asarray(flow.sizes) / np.median(flow.sizes)),
            ("size of a return of 10 s, standard deviations", np.abs(ten) / ten.std()),
            ("pause between two new orders, s", np.diff(flow.arrivals)),
        )
        for panel, (title, values) in zip(axes, panels, strict=True):
            ranked = np.sort(np.asarray(values, dtype=float))
            ranked = ranked[ranked > 0]
            share = 1 - np.arange(len(ranked)) / len(ranked)
            panel.loglog(ranked, share, color=colour, label=flow.name, linewidth=1.4)
            panel.set_title(title, loc="left", fontsize=9)
            panel.set_ylabel("share above", fontsize=8)
            panel.tick_params(labelsize=7)
            panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(to, dpi=110, metadata={"Software": None})


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=901)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--picture", type=Path, default=Path("docs/stylised-facts.png"))
    given = parser.parse_args()
    flows = []
    with tempfile.TemporaryDirectory() as scratch:
        with progress_bar(Console(stderr=True), "simulating", "seconds") as progress:
            settings = Settings(seed=given.seed, hours=given.hours, instruments=2)
            simulate(Path(scratch), settings, progress=progress)
        flows.append(simulated(Path(scratch), "SIMA-USD"))
    if (REAL / "bitstamp_l3_orders.parquet").is_file():
        flows.append(real(REAL))
    columns: dict[str, list[str]] = defaultdict(list)
    for flow in flows:
        for name, value in facts(flow).items():
            columns[name].append(value)
    print(f"| fact | {' | '.join(flow.name for flow in flows)} |")
    print(f"| --- |{' --- |' * len(flows)}")
    for name, values in columns.items():
        print(f"| {name} | {' | '.join(values)} |")
    draw(flows, given.picture)


if __name__ == "__main__":
    main()
