"""A tape's trades as `detectors.volume_health` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from detectors.volume_health import TRADES
from ingest.events import Array, Batch, Kind
from ingest.instruments import Instruments
from ingest.names import Names
from ingest.tape import TapeSource
from monitor.tape_pass import polled
from monitor.terminal import ProgressCall

ROWS: Final = 65_536


def trades_of(
    tape: Path, *, progress: ProgressCall | None = None
) -> tuple[pl.DataFrame, Instruments]:
    """Return every valid trade of a tape, in order of arrival, and the tape's instruments.

    A trade without an account on either side is left out: it is nobody's. A record that busts
    another is no trade, and the one that it busted stays: it was traded. What comes twice counts
    once. Memory: about 60 B a trade.

    Raises
    ------
    TapeError
        The tape cannot be read.
    """
    names = Names()
    source = TapeSource(tape, names, batch_rows=ROWS)
    names_of = [row.instrument for row in source.instruments.rows]
    units = np.array([unit_of(row.lot_size)[0] for row in source.instruments.rows], np.int64)
    frames = [pl.DataFrame(schema={**TRADES, "seq": pl.Int64})]
    frames.extend(
        _trades(arrivals.batch, names_of, units, names)
        for arrivals in polled(source, tape, progress)
    )
    trades = pl.concat(frames).unique(["instrument", "seq"], keep="first", maintain_order=True)
    return trades.drop("seq"), source.instruments


def unit_of(lot_size: Decimal) -> tuple[int, int]:
    """Return a lot size as a whole number and the power of ten that it is times.

    >>> unit_of(Decimal("0.0250")), unit_of(Decimal("100"))
    ((25, -3), (1, 2))
    """
    _, digits, exponent = lot_size.normalize().as_tuple()
    return int("".join(map(str, digits))), int(exponent)


def _trades(batch: Batch, instruments: Sequence[str], units: Array, names: Names) -> pl.DataFrame:
    known = (batch["buy_account"] >= 0) & (batch["sell_account"] >= 0)
    busts = (batch["busts_hi"] != 0) | (batch["busts_lo"] != 0)
    rows = np.flatnonzero((batch["kind"] == Kind.TRADE) & known & ~busts)
    codes = batch["instrument"][rows]
    return pl.DataFrame(
        {
            "instrument": [instruments[code] for code in codes.tolist()],
            "size": batch["quantity"][rows] * units[codes],
            "seq": batch["seq"][rows],
            **{
                name: [names.name(code) for code in batch[name][rows].tolist()]
                for name in ("buy_account", "sell_account")
            },
        },
        schema_overrides=TRADES,
    ).select(*TRADES, "seq")
