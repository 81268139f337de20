"""Arrival inversions of instructions in flight: the group matched first, a client arrived first.

One compiled pass keeps, for each instrument, the latest executions of the group's incoming
instructions, and judges every client instruction once it is done: quantity that the group took at
a price within the client's limit, that the client then did not get, or got at a worse price.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.arrivals_kernel import COLUMNS, FIELDS, FILLS, STATUS_NS, UNSEEN, scan
from detectors.overtaken import OVERTAKEN_FIELDS
from detectors.overtaken import UNSEEN as NONE_OVERTAKEN
from detectors.takers import EXECUTION_FIELDS, KEPT, OTHER_FIELDS, OTHERS
from ingest.axes import ByCode, Count
from ingest.errors import SnapshotError
from ingest.events import Array, Batch
from ingest.sections import Layout
from ingest.state import Snapshot


class Inversion(msgspec.Struct, frozen=True, array_like=True):
    """Quantity that one group instruction took before one client instruction that came first."""

    instrument: int
    side: int
    client_seq: int
    client_account: int
    client_role: int
    client_received_ns: int
    done_seq: int
    done_ns: int
    client_open: int
    """What the client had left when done, lots."""
    group_seq: int
    group_account: int
    group_role: int
    group_received_ns: int
    group_trade_seq: int
    late: int
    """1 when a received_ns of either is after its engine_ns."""
    group_price: int
    client_price: int
    """Worse price at which the client got this quantity; NULL = not at all."""
    lots: int
    incomplete: int
    client_limit: int
    """NULL = a market order."""
    group_trade_ns: int
    """Event time of the group's trade, ns."""
    order: int
    """What the venue makes of others' instructions that are so far apart: see `overtaking`."""
    exposed: int
    exposed_all: int
    """Of that UTC day so far, summed over clients' instructions: instructions of the group that had
    executed, and those of all but the client."""
    hits: int
    others_hits: int
    """Clients' instructions overtaken by the group, and by others, by as little as the venue
    matches either way; of several that came at once, or were overtaken at once, one."""


OUT_FIELDS: Final = len(Inversion.__struct_fields__)
OUT_ROWS: Final = 1024


class Arrivals:
    """The group's latest executions and the client instruction in flight, an instrument each.

    State: about 8 kB an instrument, whatever the traffic. An execution pushed out of the ring
    within `flight_ns` of its arrival is counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    delta_ns : int
        Clock uncertainty; a gap no greater is no inversion, ns.
    flight_ns : int
        How long an instruction is expected to be in flight at most, ns.
    """

    layout: ClassVar[Layout] = {
        "arrivals": ByCode(UNSEEN),
        "executions": ByCode(),
        "fills": ByCode(),
        "overtaken": ByCode(NONE_OVERTAKEN),
        "overtakers": ByCode(),
        "lost": Count(),
    }

    def __init__(self, instruments: int, delta_ns: int, flight_ns: int) -> None:
        self._delta_ns = delta_ns
        self._flight_ns = flight_ns
        self._state = np.full((instruments, FIELDS), UNSEEN, np.int64)
        self._executions = np.zeros((instruments, KEPT, EXECUTION_FIELDS), np.int64)
        self._fills = np.zeros((instruments, FILLS, 2), np.int64)
        self._overtaken = np.full((instruments, OVERTAKEN_FIELDS), NONE_OVERTAKEN, np.int64)
        self._others = np.zeros((instruments, OTHERS, OTHER_FIELDS), np.int64)
        self._lost = np.zeros(1, np.int64)
        self._out = np.zeros((OUT_ROWS, OUT_FIELDS), np.int64)  # room only: kept between calls

    @property
    def overflow(self) -> int:
        """Executions or fills not kept because a bound was reached."""
        return int(self._lost[0])

    def status_ns(self, code: int) -> int:
        """Return the clock of an instrument's last status record; NULL = none yet."""
        return int(self._state[code, STATUS_NS])

    def scan(self, batch: Batch, octaves: Array) -> Iterator[Inversion]:
        """Yield the inversions that the batch completes, in its row order.

        `octaves`: what `Overtaking.scan` returns of the batch.
        """
        columns = tuple(batch[name] for name in COLUMNS)
        out, row = self._out, 0
        while row < len(batch):
            row, written = scan(
                columns, octaves, row, self._delta_ns, self._flight_ns, self._state,
                self._executions, self._fills, self._overtaken, self._others, self._lost, out,
            )  # fmt: skip
            yield from (Inversion(*found) for found in out[:written].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            "arrivals": self._state.copy(),
            "executions": self._executions.copy(),
            "fills": self._fills.copy(),
            "overtaken": self._overtaken.copy(),
            "overtakers": self._others.copy(),
            "lost": self._lost.copy(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        if snapshot["arrivals"].shape != self._state.shape:
            raise SnapshotError(
                f"arrivals: expected state of {len(self._state)} instruments, "
                f"found {len(snapshot['arrivals'])}"
            )
        self._state = snapshot["arrivals"].copy()
        self._executions, self._fills = snapshot["executions"].copy(), snapshot["fills"].copy()
        self._overtaken = snapshot["overtaken"].copy()
        self._others = snapshot["overtakers"].copy()
        self._lost = snapshot["lost"].copy()
