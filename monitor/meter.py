"""What one pass of the pipeline did, as numbers that the metrics take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ingest.events import Array, Batch, Kind, Role

if TYPE_CHECKING:
    from monitor.pipeline import Totals


class BatchCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass of the pipeline did with the records it read.

    Counts are of this pass alone; `pending` and `gaps_open` are the state after it.
    """

    read: Mapping[str, int]
    """Records polled, by topic (orders, trades)."""
    processed: int
    """Rows that went through the book and the detectors."""
    rejects: Mapping[str, int] = {}
    """Dead-lettered records, by reason (`ingest.events.REJECT_REASONS`)."""
    duplicates: int = 0
    late: int = 0
    pending: int = 0
    gaps: int = 0
    gaps_open: int = 0
    unknown_account_events: int = 0
    unknown_fields: int = 0
    clock_faults: Mapping[str, int] = {}
    """Rows with a clock fault, by kind (`CLOCK_FAULTS`)."""
    book_conflicts: Mapping[str, int] = {}
    """Rows that disagree with the replayed book, by kind."""
    last_event_ns: int | None = None
    """Highest engine_ns among the rows; None when there were none."""
    seconds: float | None = None
    """Wall time from the poll's return until everything was durable; None leaves it unobserved."""


def counts_between(
    before: Totals,
    after: Totals,
    *,
    read: Mapping[str, int],
    pending: int,
    gaps_open: int,
    last_event_ns: int | None = None,
    seconds: float | None = None,
) -> BatchCounts:
    """Return what was done between two totals of one pipeline.

    `before` must be a copy: the pipeline adds to its totals in place. `read` is the records polled
    in between, by topic; `pending` and `gaps_open` are of all pipelines of the worker.
    """
    return BatchCounts(
        read=read,
        processed=after.processed - before.processed,
        rejects=_difference(before.rejects, after.rejects),
        duplicates=after.duplicates - before.duplicates,
        late=after.late - before.late,
        pending=pending,
        gaps=after.gaps - before.gaps,
        gaps_open=gaps_open,
        unknown_account_events=after.unknown_account_events - before.unknown_account_events,
        unknown_fields=after.unknown_fields - before.unknown_fields,
        clock_faults=_difference(before.clock_faults, after.clock_faults),
        book_conflicts=_difference(before.conflicts, after.conflicts),
        last_event_ns=last_event_ns,
        seconds=seconds,
    )


def _difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in after.items()}


def traded_quantities(batch: Batch) -> tuple[dict[str, float], dict[str, float]]:
    """Return quantity traded, and traded with an affiliated market maker, by instrument name.

    Base units. A bust is no trade; a trade of the market maker with itself counts once.
    """
    trade = (batch["kind"] == Kind.TRADE) & (batch["busts_hi"] == 0) & (batch["busts_lo"] == 0)
    afmm = (batch["buy_role"] == Role.AFFILIATED_MM) | (batch["sell_role"] == Role.AFFILIATED_MM)
    return _summed(batch, trade), _summed(batch, trade & afmm)


def _summed(batch: Batch, rows: Array) -> dict[str, float]:
    table = batch.instruments
    codes, lots = batch["instrument"][rows], batch["quantity"][rows]
    return {
        table[code].instrument: float(table.quantity(code, int(lots[codes == code].sum())))
        for code in np.unique(codes).tolist()
    }
