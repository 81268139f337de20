"""volume_health: does volume look as trading by many people does? Context, never an alert.

Forensic measures of sizes and counterparties, for an instrument, an account in it, or a pair. None
of them is evidence by itself: docs/volume-health.md says which of the published ones fail where it
is known who washed, and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import polars as pl
from scipy.stats import chi2

By = Literal["instrument", "account", "pair"]
LEAST_TRADES: Final = 100
"""Below these, digits say nothing: with a hundred trades chance alone gives a deviation of 0.02,
more than what is called non-conformity (0.015; Nigrini 2012)."""
ROUND_DIGITS: Final = 2
"""A size is round when it has no more significant digits."""
DIGITS: Final = range(1, 10)
BENFORD: Final = tuple(math.log10(1 + 1 / digit) for digit in DIGITS)
TRADES: Final[Mapping[str, type[pl.DataType]]] = {
    "instrument": pl.String,
    "buy_account": pl.String,
    "sell_account": pl.String,
    "size": pl.Int64,
}
"""Columns of the trades. `size` is positive and whole: the quantity in display units times a power
of ten that is one for all trades of an instrument."""
_KEYS: Final[Mapping[By, tuple[str, ...]]] = {
    "instrument": ("instrument",),
    "account": ("instrument", "account"),
    "pair": ("instrument", "account", "counterparty"),
}


def volume_health(trades: pl.DataFrame, by: By) -> pl.DataFrame:
    """Return the measures of each instrument, account or pair.

    Parameters
    ----------
    trades : DataFrame
        Columns of `TRADES`, a row a trade.
    by : str
        A trade counts once for its instrument and its pair, and for each of its two accounts; one
        with the same account on both sides is a pair of that account with itself.

    Returns
    -------
    DataFrame
        Sorted by instrument, then volume, largest first, then names:

        - `trades` (count), `size` (sum, as in `TRADES`), `share` (of the instrument's size, 0..1)
        - `benford_deviation`: mean absolute difference of the shares of the nine leading digits
          from Benford's law, 0..0.18; `benford_p`: of the chi-squared test of it; both null below
          `LEAST_TRADES`
        - `round_share`: trades whose size has at most two significant digits, 0..1
        - `modal_share`: trades of the commonest size, 0..1
        - `mirrored_share`: of the size, how much the same two accounts traded both ways (twice the
          lesser way of each pair), 0..1; a trade of an account with itself is all mirrored

    Examples
    --------
    >>> rows = {"instrument": ["X"] * 4, "buy_account": ["A", "B", "A", "C"],
    ...         "sell_account": ["B", "A", "C", "D"], "size": [5, 5, 10, 20]}
    >>> table = volume_health(pl.DataFrame(rows), "instrument")
    >>> table.select("trades", "round_share", "modal_share", "mirrored_share").row(0)
    (4, 1.0, 0.5, 0.25)
    """
    told = _told(trades, by)
    keys = _KEYS[by]
    table = (
        told.group_by(keys)
        .agg(
            pl.len().alias("trades"),
            _total("size").alias("size"),
            (pl.col("digits") <= ROUND_DIGITS).mean().alias("round_share"),
            pl.col("size").unique_counts().max().alias("modal_share") / pl.len(),
            *((pl.col("lead") == digit).sum().alias(f"lead{digit}") for digit in DIGITS),
        )
        .join(_mirrored(trades, by), on=keys, how="left")
        .join(trades.group_by("instrument").agg(_total("size").alias("whole")), on="instrument")
        .with_columns(
            (pl.col("mirrored") / pl.col("size")).alias("mirrored_share"),
            (pl.col("size") / pl.col("whole")).alias("share"),
        )
    )
    return (
        table.with_columns(*_benford())
        .sort([*keys[:1], "size", *keys[1:]], descending=[False, True, *(False for _ in keys[1:])])
        .select(
            *keys, "trades", "size", "share", "benford_deviation", "benford_p", "round_share",
            "modal_share", "mirrored_share",
        )
    )  # fmt: skip


def _told(trades: pl.DataFrame, by: By) -> pl.DataFrame:
    """Return a row for each that a trade counts for, with the digits of its size."""
    text = pl.col("size").cast(pl.String)
    trades = trades.with_columns(
        text.str.slice(0, 1).cast(pl.Int8).alias("lead"),
        text.str.strip_chars_end("0").str.len_bytes().alias("digits"),
    )
    if by == "instrument":
        return trades
    if by == "pair":
        return trades.with_columns(*_ordered())
    sides = [trades.with_columns(pl.col(f"{side}_account").alias("account")) for side in _SIDES]
    # An account on both sides of a trade made one trade, not two.
    own = pl.col("buy_account") == pl.col("sell_account")
    return pl.concat([sides[0], sides[1].filter(~own)])


_SIDES: Final = ("buy", "sell")


def _total(name: str, where: pl.Expr | None = None) -> pl.Expr:
    """Return a sum that does not overflow: a few large trades exceed 64 bits."""
    each = pl.col(name) if where is None else pl.col(name).filter(where)
    return each.cast(pl.Int128).sum()


def _ordered() -> tuple[pl.Expr, pl.Expr]:
    sides = [pl.col(f"{side}_account") for side in _SIDES]
    return (
        pl.min_horizontal(sides).alias("account"),
        pl.max_horizontal(sides).alias("counterparty"),
    )


def _mirrored(trades: pl.DataFrame, by: By) -> pl.DataFrame:
    """Return the mirrored size of each key."""
    bought = pl.col("buy_account") == pl.col("account")
    own = pl.col("account") == pl.col("counterparty")
    pairs = (
        trades.with_columns(*_ordered())
        .group_by(_KEYS["pair"])
        .agg(
            _total("size", bought).alias("bought"),
            _total("size", ~bought).alias("sold"),
        )
        .with_columns(
            pl.when(own)
            .then(pl.col("bought"))
            .otherwise(2 * pl.min_horizontal("bought", "sold"))
            .alias("mirrored")
        )
        .select(*_KEYS["pair"], "mirrored")
    )
    if by == "pair":
        return pairs
    if by == "account":
        other = pairs.filter(~own).with_columns(pl.col("counterparty").alias("account"))
        pairs = pl.concat([pairs, other])
    return pairs.group_by(_KEYS[by]).agg(_total("mirrored").alias("mirrored"))


def _benford() -> tuple[pl.Expr, pl.Expr]:
    count = pl.col("trades")
    gaps = [
        pl.col(f"lead{digit}") / count - expected
        for digit, expected in zip(DIGITS, BENFORD, strict=True)
    ]
    enough = count >= LEAST_TRADES
    deviation = pl.sum_horizontal([gap.abs() for gap in gaps]) / len(BENFORD)
    squares = pl.sum_horizontal(
        [gap**2 / expected for gap, expected in zip(gaps, BENFORD, strict=True)]
    )
    p = (squares * count).map_batches(
        lambda x: pl.Series(chi2.sf(x.to_numpy(), df=len(BENFORD) - 1)), return_dtype=pl.Float64
    )
    return (
        pl.when(enough).then(deviation).alias("benford_deviation"),
        pl.when(enough).then(p).alias("benford_p"),
    )
