"""What clients' fills cost them some time later, by the records alone."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Fills:
    """Clients' aggressive fills against makers in one instrument, by time."""

    engine_ns: NDArray[np.int64]
    maker: NDArray[np.str_]
    side: NDArray[np.int64]
    """Of the client."""
    quantity: NDArray[np.float64]
    cost_bps: NDArray[np.float64]
    """D (p − m) / m: realised half spread that the client paid, m the outside price of later."""

    moved_bps: NDArray[np.float64]
    """How far the outside price has moved in the five seconds before, whichever way."""

    def mean(self, keep: NDArray[np.bool_]) -> tuple[float, float, int]:
        """Return mean, variance of the mean and count of the cost of some fills."""
        cost = self.cost_bps[keep]
        return float(cost.mean()), float(cost.var(ddof=1) / cost.size), cost.size


def fills(tape: Path, instrument: str, *, after_s: float = 5.0) -> Fills:
    """Return clients' fills against makers, each at the outside price so many seconds later."""
    with (tape / "accounts.csv").open() as file:
        roles = {row["account"]: row["role"] for row in csv.DictReader(file)}
    with (tape / "instruments.csv").open() as file:
        rows = {row["instrument"]: row["underlying"] for row in csv.DictReader(file)}
    with (tape / "reference.ndjson").open() as file:
        quotes = [json.loads(line) for line in file]
    quotes = [q for q in quotes if q["underlying"] == rows[instrument]]
    at = np.array([q["source_ns"] for q in quotes])
    price = np.array([float(q["price"]) for q in quotes])
    found = []
    with (tape / "trades.ndjson").open() as file:
        for line in file:
            trade = json.loads(line)
            if trade["instrument"] != instrument or trade["aggressor"] is None:
                continue
            takes, gives = ("buy", "sell") if trade["aggressor"] == "buy" else ("sell", "buy")
            maker = trade[f"{gives}_account"]
            if roles.get(trade[f"{takes}_account"]) != "client" or not maker.endswith(
                ("M1", "M2", "M3")
            ):
                continue
            side = 1 if takes == "buy" else -1
            found.append(
                (trade["engine_ns"], maker, side, float(trade["quantity"]), float(trade["price"]))
            )
    found = [f for f in found if f[0] + after_s * 1e9 <= at[-1]]
    times, makers, sides, quantities, prices = map(np.array, zip(*found, strict=True))
    later = price[np.searchsorted(at, times + int(after_s * 1e9), side="right") - 1]
    now = price[np.searchsorted(at, times, side="right") - 1]
    before = price[np.maximum(np.searchsorted(at, times - 5 * 10**9, side="right") - 1, 0)]
    moved_bps = np.abs(now / before - 1) * 1e4
    return Fills(
        times, makers, sides, quantities, sides * (prices - later) / later * 1e4, moved_bps
    )
