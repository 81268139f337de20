"""Size beyond habit of the complex and of external makers: the scan's state, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np

from detectors import layers_kernel as k
from detectors.kept import Kept
from detectors.spoofing_cycle import Surge, read
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import (
    CLASSES,
    OWN_CALM,
    OWN_CALM_GONE,
    OWN_FILLED,
    OWN_FILLED_GONE,
    PEER,
    PEER_CYCLES,
    TALLIES,
    class_of,
)
from ingest.axes import ByCode, Count
from ingest.events import Array, Batch
from ingest.sections import Layout
from ingest.state import Snapshot

OUT_ROWS: Final = 256
MEASURES: Final = k.LANES // 2
SHAPES: Final = {
    "instruments": (k.INSTRUMENT_FIELDS,),
    "orders": (k.ORDERS, k.ORDER_FIELDS),
    "parties": (k.PARTIES, k.PARTY_FIELDS),
    "sides": (k.PARTIES, k.LANES, k.LANE_FIELDS),
    "late_fills": (k.PARTIES, 2, k.FILLS, k.FILL_FIELDS),
    "gone": (k.PARTIES, 2, k.LAYERS, k.LAYER_FIELDS),
    "samples": (k.PARTIES, k.LANES, k.SAMPLES),
    "tallies": (MEASURES, CLASSES, TALLIES),
    "tests": (),
}


class Layers:
    """What the parties show in each instrument, and the surges that are over.

    State: 260 kB an instrument, whatever the traffic: 384 live orders, 24 parties. An order or
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

    def tallies(self, code: int) -> Array:
        """Return an instrument's counts of surges, by measure and class of time stood."""
        tallies: Array = self._kept["tallies"][code]
        return tallies

    def count_test(self, code: int) -> int:
        """Count a test of an instrument's rate; return how many there have been."""
        self._kept["tests"][code] += 1
        return int(self._kept["tests"][code])

    def scan(self, batch: Batch) -> Iterator[tuple[Surge, int, int]]:
        """Yield (surge, samples so far, external makers) of those that the batch brings to an end.

        Those of single accounts in which nothing was filled are left out: nobody asks for them.

        Each has been counted in the tallies of its instrument before it is yielded.
        """
        columns = tuple(batch[name] for name in k.COLUMNS)
        params, kept = self._params, self._kept
        row = 0
        while row < len(batch):
            row, written = k.scan(
                columns, row, params.least_ratio, params.settle_ms * 1_000_000,
                params.sample_s * 1_000_000_000, params.fewest_samples, kept["instruments"],
                kept["orders"], kept["parties"], kept["sides"], kept["late_fills"],
                kept["gone"], kept["samples"], kept["unfollowed"], self._out,
            )  # fmt: skip
            for told in self._out[:written].tolist():
                surge = read(told, params)
                self._tally(surge)
                yield surge, told[k.R_SAMPLED], told[k.R_PEERS]

    def _tally(self, surge: Surge) -> None:
        tallies = self._kept["tallies"][surge.instrument, surge.measure]
        tallies = tallies[class_of(surge.fall_ns - surge.on_ns)]
        if not surge.in_group:
            tallies[PEER] += 1
            tallies[PEER_CYCLES] += surge.cycle
        elif surge.party == 0:
            n, gone = (OWN_FILLED, OWN_FILLED_GONE) if surge.hit_ns else (OWN_CALM, OWN_CALM_GONE)
            tallies[n] += 1
            tallies[gone] += surge.withdraws

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
