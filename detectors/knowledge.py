"""What the platform knew before the market did, and who executed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import msgspec
import numpy as np

from detectors.kept import Kept
from detectors.knowledge_kernel import (
    ACT_FIELDS,
    ACTS,
    COLUMNS,
    FIELDS,
    FILLS,
    ORDER_FIELDS,
    ORDERS,
    OUT_FIELDS,
    scan,
)
from ingest.axes import ByCode
from ingest.events import NULL, Batch
from ingest.sections import Layout
from ingest.state import Snapshot

OUT_ROWS = 4 * ACTS
UNSEEN = (NULL, *(0 for _ in range(FIELDS - 1)))
"""State of an instrument of which no row has come."""


class Known(msgspec.Struct, frozen=True):
    """An execution within a client instruction's window."""

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
    act_owner: int
    act_group: int
    """1 when it was the group's."""
    act_lots: int
    act_price: int
    """Of its first trade, ticks."""
    act_extra: int
    """What all its trades cost beyond that price, ticks times lots."""
    act_first: int
    act_last: int
    """Seqs of its first and last trade."""
    act_bid: int
    act_ask: int
    """Touch before it, ticks; NULL = none."""
    acts: int
    """Executions of the same on that side before the client's instruction, as far as kept."""
    span_ns: int
    """Over how long."""
    local_acts: int
    """Those of the last `local_ns`."""
    hedge_lots: int
    """What the group had lately been filled with on the other side, resting."""
    exposed_ns: int
    windows: int
    hits: int
    """That UTC day so far, on that side: length and count of windows, and those in which the group
    executed; this one included."""
    usual_lots: int
    """Median size of client orders; 0 = too few yet."""
    lots_before: int
    """What the client's parent episode had entered before."""


class Knowledge:
    """Recent executions, client orders and windows of each instrument.

    State: 69 kB an instrument, whatever the traffic.

    Parameters
    ----------
    instruments : int
    delta_ns : int
        Clock uncertainty: what came within it after the client's instruction came with it.
    gap_ns : int
        Silence that ends a client's parent episode, ns.
    hedge_ns : int
        How long after a passive fill of the group its hedge is expected, ns.
    local_ns : int
        Time before a client's instruction in which `local_acts` are counted, ns.
    """

    layout: ClassVar[Layout] = {
        "known": ByCode(UNSEEN),
        "known_acts": ByCode(),
        "known_orders": ByCode(),
        "known_fills": ByCode(),
    }

    def __init__(
        self, instruments: int, delta_ns: int, gap_ns: int, hedge_ns: int, local_ns: int
    ) -> None:
        self._times = (delta_ns, gap_ns, hedge_ns, local_ns)
        self._kept = Kept(
            "known",
            {
                "known": np.tile(np.array(UNSEEN, np.int64), (instruments, 1)),
                "known_acts": np.zeros((instruments, 2, ACTS, ACT_FIELDS), np.int64),
                "known_orders": np.zeros((instruments, ORDERS, ORDER_FIELDS), np.int64),
                "known_fills": np.zeros((instruments, FILLS, 2), np.int64),
            },
        )
        self._out = np.zeros((OUT_ROWS, OUT_FIELDS), np.int64)  # room only: kept between calls

    def scan(self, batch: Batch) -> Iterator[Known]:
        """Yield what was executed in windows that the batch ends, in its row order."""
        columns, kept = tuple(batch[name] for name in COLUMNS), self._kept
        row = 0
        while row < len(batch):
            row, written = scan(
                columns, row, self._times, kept["known"], kept["known_acts"],
                kept["known_orders"], kept["known_fills"], self._out,
            )  # fmt: skip
            yield from (Known(*found) for found in self._out[:written].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
