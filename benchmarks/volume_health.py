"""Which measures of volume tell who washed? `python -m benchmarks.volume_health`.

Simulated tapes with five kinds of wash trading. For each measure, of accounts and of pairs: the
chance that one that washed shows more of it than one that did not (AUC: 0.5 tells nothing, below
misleads), with a 95 % interval over tapes. Hill's tail exponent, which is not among Ringfence's
measures, is there because it is published.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu, t

from benchmarks.facts import hill
from detectors.volume_health import LEAST_TRADES, By, volume_health
from market.assembly import Settings
from market.simulate import simulate
from market.truth import read_truth
from monitor.terminal import progress_bar
from monitor.volume import trades_of

WASH: Final = ("wash_self", "wash_common_owner", "wash_affiliate", "matched_orders", "wash_ring")
MEASURES: Final = (
    "benford_deviation", "round_share", "modal_share", "mirrored_share", "thin_tail",
)  # fmt: skip


def thin_tail(trades: pl.DataFrame) -> pl.DataFrame:
    """Return Hill's exponent of each account's sizes: published as larger where volume is fake."""
    sides = [
        trades.select("instrument", pl.col(f"{side}_account").alias("account"), "size")
        for side in ("buy", "sell")
    ]
    rows = []
    for (instrument, account), part in pl.concat(sides).group_by("instrument", "account"):
        exponent = hill(part["size"].to_list())
        rows.append({"instrument": instrument, "account": account, "thin_tail": exponent})
    return pl.DataFrame(rows, schema={"instrument": pl.String, "account": pl.String,
                                      "thin_tail": pl.Float64})  # fmt: skip


def areas(tape: Path, by: By, least: int) -> dict[str, float]:
    """Return each measure's AUC on a labelled tape, among those with at least `least` trades."""
    trades, _ = trades_of(tape)
    table = volume_health(trades, by).filter(pl.col("trades") >= least)
    if by == "account":
        table = table.join(thin_tail(trades), on=["instrument", "account"], how="left")
    guilty = set()
    for case in read_truth(tape):
        if case.scenario in WASH:
            of = {(case.instrument, account) for account in case.accounts}
            pairs = {(case.instrument, *sorted((a, b))) for a in case.accounts
                     for b in case.accounts if a != b or len(case.accounts) == 1}  # fmt: skip
            guilty |= of if by == "account" else pairs
    keys = ["instrument", "account", *(["counterparty"] if by == "pair" else [])]
    washed = pl.Series([row in guilty for row in table.select(keys).iter_rows()])
    found = {}
    for name in MEASURES:
        if name not in table.columns:
            continue
        values, known = table[name], table[name].is_not_null()
        one, other = values.filter(washed & known), values.filter(~washed & known)
        if len(one) and len(other):
            found[name] = float(mannwhitneyu(one, other).statistic) / (len(one) * len(other))
    return found


def main() -> None:
    """Simulate, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tape", type=Path, action="append", help="labelled; else simulated")
    parser.add_argument("--seeds", type=int, default=4, help="tapes, from setting seed 271 on")
    parser.add_argument("--hours", type=float, default=2.0, help="of each, 4 instruments")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="ringfence-volume-") as scratch:
        tapes = options.tape or [Path(scratch) / str(271 + n) for n in range(options.seeds)]
        rows: dict[tuple[By, str], list[float]] = {}
        with progress_bar(Console(stderr=True), "measuring", "tapes") as progress:
            for done, tape in enumerate(tapes):
                if options.tape is None:
                    simulate(tape, Settings(seed=int(tape.name), hours=options.hours,
                                            instruments=4, scenarios=WASH, harm=False))  # fmt: skip
                for by, least in (("account", LEAST_TRADES), ("pair", 10)):
                    for name, area in areas(tape, by, least).items():  # type: ignore[arg-type]
                        rows.setdefault((by, name), []).append(area)  # type: ignore[arg-type]
                if progress:
                    progress(done + 1, len(tapes))
    table = Table("of", "measure", "AUC", "95 % interval", "tapes", box=SIMPLE_HEAD)
    for (by, name), found in rows.items():
        mean, count = float(np.mean(found)), len(found)
        half = t.ppf(0.975, count - 1) * np.std(found, ddof=1) / count**0.5 if count > 1 else 0.0
        interval = f"{mean - half:.2f} to {mean + half:.2f}" if count > 1 else "-"
        table.add_row(by, name, f"{mean:.2f}", interval, str(count))
    console.print(table)


if __name__ == "__main__":
    main()
