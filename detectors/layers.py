"""Size beyond habit of the complex and of external makers: the scan's state, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from detectors import layers_state as k
from detectors.kept import Kept
from detectors.layers_kernel import COLUMNS, scan
from detectors.spoofing_cycle import Cycle, read
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import CLASSES, SIZES, TALLIES
from ingest.axes import ByCode, Count
from ingest.events import Batch
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY, SECOND

OUT_ROWS: Final = 256
SHAPES: Final = {
    "instruments": (k.INSTRUMENT_FIELDS,),
    "orders": (k.ORDERS, k.ORDER_FIELDS),
    "parties": (k.PARTIES, k.PARTY_FIELDS),
    "sides": (k.PARTIES, k.LANES, k.LANE_FIELDS),
    "late_fills": (k.PARTIES, 2, k.FILLS, k.FILL_FIELDS),
    "gone": (k.PARTIES, 2, k.LAYERS, k.LAYER_FIELDS),
    "samples": (k.PARTIES, k.LANES, k.SAMPLES),
    "tallies": (k.BLOCKS, k.MEASURES, SIZES, CLASSES, TALLIES),
    "watched": (k.BLOCKS, k.WATCHED_FIELDS),
    "tests": (2,),
}


class Layers:
    """What the parties show in each instrument, and the group's cycles that are over.

    State: 250 kB an instrument, whatever the traffic: 384 live orders, 24 parties. An order or
    a party beyond that is not followed, and counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    params : SpoofingParams
    """

    layout: ClassVar[Layout] = {name: ByCode() for name in SHAPES} | {"unfollowed": Count()}

    def __init__(self, instruments: int, params: SpoofingParams) -> None:
        self._params = params
        arrays = {name: np.zeros((instruments, *shape), np.int64) for name, shape in SHAPES.items()}
        self._kept = Kept("layers", arrays | {"unfollowed": np.zeros(1, np.int64)})
        self._out = np.zeros((OUT_ROWS, k.ROW), np.int64)  # room only: kept between calls

    @property
    def overflow(self) -> int:
        """Orders and parties not followed because a bound was reached."""
        return int(self._kept["unfollowed"][0])

    def count_test(self, code: int, at_ns: int) -> int:
        """Count a test of an instrument's rate; return how many there have been that UTC day."""
        tests = self._kept["tests"][code]
        if at_ns // DAY > tests[0]:
            tests[:] = at_ns // DAY, 0
        tests[1] += 1
        return int(tests[1])

    def scan(self, batch: Batch) -> Iterator[Cycle]:
        """Yield the group's cycles that the batch brings to an end, in order."""
        columns = tuple(batch[name] for name in COLUMNS)
        params, kept = self._params, self._kept
        answer_ns = int(params.answer_s * SECOND)
        row = 0
        while row < len(batch):
            row, written = scan(
                columns, row, params.least_ratio, params.majority_ratio,
                params.settle_ms * 1_000_000, answer_ns, params.sample_s * SECOND,
                params.window_s * SECOND // k.BLOCKS, params.fewest_samples, kept["instruments"],
                kept["orders"], kept["parties"], kept["sides"], kept["late_fills"], kept["gone"],
                kept["samples"], kept["tallies"], kept["watched"], kept["unfollowed"], self._out,
            )  # fmt: skip
            for told in self._out[:written]:
                yield read(told, params)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
