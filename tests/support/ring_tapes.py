"""Tapes of trades alone, for ring tests: rows in, findings out, cut into batches in any way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

from detectors.base import Finding
from detectors.examples import COLUMNS
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.events import Batch, Kind, empty
from ingest.instruments import Instrument, Instruments
from tests.support.ring_reference import Sale

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
BORDER = 2000 * WEEK
"""An event time at which windows of every length begin, ns."""


def market(*names: str) -> Instruments:
    """Instruments by name: ITEM-n are unique items of the collection ITEM, others fungible."""
    return Instruments(
        Instrument(
            instrument=name,
            base=name.split("-")[0],
            quote="USD",
            kind="unique" if name.startswith("ITEM") else "spot",
            tick_size=Decimal("0.01"),
            lot_size=Decimal(1),
        )
        for name in names
    )


def sales_of(
    trades: Iterable[tuple[int, str, int, int, int]], seqs: dict[str, int] | None = None
) -> list[Sale]:
    """Sales of (time, instrument, seller, buyer, lots), each instrument's seq counting up."""
    seqs = {} if seqs is None else seqs
    made = []
    for time_ns, name, seller, buyer, lots in sorted(trades, key=lambda t: t[0]):
        seqs[name] = seqs.get(name, 0) + 1
        made.append(Sale(time_ns, name, seqs[name], seller, buyer, lots))
    return made


def batch(sales: Sequence[Sale], instruments: Instruments, watermark_ns: int) -> Batch:
    """One released batch: instruments together, each in seq order."""
    ordered = sorted(sales, key=lambda s: (s.instrument, s.seq))
    columns = empty(COLUMNS, len(ordered))
    columns["kind"][:] = Kind.TRADE
    columns["price"][:] = 100
    for name, values in {
        "instrument": [instruments.code(s.instrument) for s in ordered],
        "seq": [s.seq for s in ordered],
        "engine_ns": [s.time_ns for s in ordered],
        "clock_ns": [s.time_ns for s in ordered],
        "quantity": [s.lots for s in ordered],
        "sell_account": [s.seller for s in ordered],
        "buy_account": [s.buyer for s in ordered],
        "trade_hi": [1 for s in ordered],
        "trade_lo": [s.seq for s in ordered],
    }.items():
        columns[name][:] = np.array(values, dtype=columns[name].dtype)
    return Batch(columns, instruments, watermark_ns=watermark_ns)


def run(
    sales: Sequence[Sale],
    instruments: Instruments,
    *,
    until_ns: int,
    params: WashRingsParams | None = None,
) -> list[Finding]:
    """Findings of a tape in one batch with a watermark."""
    detector = WashRings(params or WashRingsParams(), instruments)
    return list(detector.step(batch(sales, instruments, until_ns)))


def last_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """The last revision of each alert, worst first."""
    alerts = {(f.instrument, f.first_seq, f.first_accounts): f for f in findings}
    return sorted(alerts.values(), key=lambda f: -f.score)
