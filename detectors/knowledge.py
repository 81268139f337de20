"""What the platform knew before the market did, and what the group did meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.front_params import FrontRunningParams
from detectors.kept import Kept
from detectors.knowledge_fields import (
    ACT_FIELDS,
    ACTS,
    COLUMNS,
    FIELDS,
    FILLS,
    LIVE,
    ORDER_FIELDS,
    ORDERS,
    OUT_FIELDS,
    QUOTE_FIELDS,
    QUOTES,
    SIZES,
)
from detectors.knowledge_kernel import scan
from ingest.axes import ByCode
from ingest.events import NULL, Batch
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND

OUT_ROWS: Final = 4 * (ACTS + QUOTES)
UNSEEN = (NULL, *(0 for _ in range(FIELDS - 1)))
"""State of an instrument of which no row has come."""


class Known(msgspec.Struct, frozen=True):
    """An instruction of the group within a client instruction's window.

    Or, with `act_seq` 0, a further instruction of a client in whose episode there was one.
    """

    instrument: int
    seq: int
    """Of the client's instruction."""
    clock_ns: int
    engine_ns: int
    received_ns: int
    account: int
    client: int
    """Owner, or a number of the account's own where none is known."""
    originator: int
    side: int
    limit: int
    """Ticks; NULL = any price."""
    lots: int
    doubt: int
    act_seq: int
    act_received_ns: int
    act_account: int
    act_lots: int
    """Executed, or, where it rests, entered."""
    act_price: int
    """Of its first trade, ticks; its limit, where it rests, at which it is filled."""
    act_extra: int
    """What all its trades cost beyond that price, ticks times lots."""
    act_first: int
    act_last: int
    """Seqs of its first and last trade, where it rests of `filled`; 0 = none."""
    resting: int
    """1 when it came to rest in the book and executed nothing on entry."""
    acts: int
    acts_alike: int
    """Executions of the group on that side before the client's instruction, as far as kept, and
    those at least as large. Where it rests: all its new resting orders, and those at least as
    large, or beside as many that stood; the rarer."""
    span_ns: int
    """Over how long."""
    local_acts: int
    local_alike: int
    local_ns: int
    """The same of late."""
    hedge_lots: int
    """What the group had lately traded, net, on the other side."""
    exposed_ns: int
    windows: int
    """Length and count of that UTC day's windows so far of large episodes on that side, this one's
    included."""
    usual_lots: int
    """Median size of client orders; 0 = too few yet."""
    parent_lots: int
    """What the client's parent episode has entered, this instruction included."""
    alone: int
    """1 when the client's order is large by itself."""
    alone_ns: int
    alone_windows: int
    """Length and count of that UTC day's windows so far of such orders on that side."""
    ever_alike: int
    ever_ns: int
    """As `acts_alike`, since the first record."""
    rested: int
    rested_alike: int
    """Where it rests in a quiet window, and counts in no other: in how many of the day's such
    windows the group entered orders to rest, and the like, this one included; else 0."""
    quiet_ns: int
    quiet_windows: int
    """As `exposed_ns` and `windows`, of instructions that came a while after the client's last."""
    filled: int
    """Where it rests: lots filled since."""


class Knowledge:
    """Recent instructions of the group, client orders and windows of each instrument.

    State: 54 kB an instrument, whatever the traffic.

    Parameters
    ----------
    instruments : int
    params : FrontRunningParams
    """

    layout: ClassVar[Layout] = {
        "known": ByCode(UNSEEN),
        "known_acts": ByCode(),
        "known_orders": ByCode(),
        "known_fills": ByCode(),
        "known_quotes": ByCode(),
        "known_kinds": ByCode(),
        "known_taken": ByCode(),
        "known_rested": ByCode(),
    }

    def __init__(self, instruments: int, params: FrontRunningParams) -> None:
        self._times = (
            params.clock_uncertainty_ns,
            params.parent_gap_s * SECOND,
            params.hedge_s * SECOND,
            params.local_s * SECOND,
            int(params.quiet_s * SECOND),
        )
        self._large_ratio, self._chance = params.large_ratio, params.chance
        self._kept = Kept(
            "knowledge",
            {
                "known": np.full((instruments, FIELDS), UNSEEN, np.int64),
                "known_acts": np.zeros((instruments, ACTS, ACT_FIELDS), np.int64),
                "known_orders": np.zeros((instruments, ORDERS, ORDER_FIELDS), np.int64),
                "known_fills": np.zeros((instruments, FILLS, 2), np.int64),
                "known_quotes": np.zeros((instruments, QUOTES, QUOTE_FIELDS), np.int64),
                "known_kinds": np.zeros((instruments, 2, SIZES + LIVE), np.int64),
                "known_taken": np.zeros((instruments, 2, SIZES), np.int64),
                "known_rested": np.zeros((instruments, 2, SIZES), np.int64),
            },
        )
        self._out = np.zeros((OUT_ROWS, OUT_FIELDS), np.int64)  # room only: kept between calls

    def scan(self, batch: Batch) -> Iterator[Known]:
        """Yield what the group did in windows that the batch ends, in its row order."""
        columns = tuple(batch[name] for name in COLUMNS)
        kept = (
            self._kept["known"], self._kept["known_acts"], self._kept["known_orders"],
            self._kept["known_fills"], self._kept["known_quotes"], self._kept["known_kinds"],
            self._kept["known_taken"], self._kept["known_rested"],
        )  # fmt: skip
        row = 0
        while row < len(batch):
            row, written = scan(
                columns, row, self._times, self._large_ratio, self._chance, kept, self._out
            )
            yield from (Known(*found) for found in self._out[:written].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
