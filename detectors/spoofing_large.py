"""Large cycles of a day: more of them than external makers have, and withdrawn at once when filled.

Makers' sizes come and go, and now and then one goes just after a fill; of size well beyond what is
usual hardly any does. So the group's prompt cycles are held against external makers' cycles as
large, by the time that either was there. A desk whose sizes are larger than theirs has more of them
for that alone: besides, size must go sooner after fills than within the time that it stood.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.spoofing_cycle import Cycle
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import PEER_CYCLES, SIZES, is_refuted
from detectors.statistics import binomial_tail, both_tail, gamma_tail
from ingest.axes import Rows
from ingest.sections import Layout
from ingest.state import Snapshot

SECOND: Final = 1_000_000_000
MOST: Final = 256
"""Cycles kept an instrument, the latest."""
MICRO: Final = 1_000_000
SOONEST_NS: Final = 1_000_000
"""A millisecond: what goes sooner is no more telling."""
LEAST_P: Final = 1e-4
"""One cycle that goes at once says no more than that."""
_CODE, _FALL_NS, _SIZE, _NATS = range(4)
_FIELDS: Final = 4


class AsLarge(msgspec.Struct, frozen=True):
    """The clearest of the tests of a cycle, by sizes from which on cycles count."""

    size: int
    """Class of the least size that counts."""
    cycles: int
    peer_cycles: int
    p: float
    """Of so many, and so soon after fills, over the sizes tried."""


def nats_of(cycle: Cycle) -> float:
    """Return how telling it is that size went so soon after the last fill, were it to go any time.

    Minus the logarithm of P(none of so many fills, spread evenly over the time that it stood, is
    as near to its end).
    """
    stood_ns = max(cycle.fall_ns - cycle.on_ns, 1)
    part = min(1.0, max(cycle.fall_ns - cycle.hit_ns, SOONEST_NS) / stood_ns)
    return -math.log(max(1.0 - (1.0 - part) ** max(1, cycle.hits), LEAST_P))


class LargeCycles:
    """The group's prompt cycles of size beyond what is usual, of the last day.

    State: 32 B a cycle, `MOST` cycles an instrument at most.
    """

    layout: ClassVar[Layout] = {"large_cycles": Rows("large_cycles", column=_CODE)}

    def __init__(self, params: SpoofingParams) -> None:
        self._params = params
        self._of: dict[int, list[list[int]]] = {}

    def take(self, cycle: Cycle) -> AsLarge | None:
        """Count a prompt cycle; return the clearest test that passes, of sizes up to its own."""
        if not cycle.size:
            return None
        held = self._of.setdefault(cycle.instrument, [])
        row = [cycle.instrument, cycle.fall_ns, cycle.size, round(MICRO * nats_of(cycle))]
        settle_ns = self._params.settle_ms * MICRO
        if held and cycle.fall_ns - held[-1][_FALL_NS] <= settle_ns:
            if cycle.size > held[-1][_SIZE]:
                held[-1][_SIZE:] = row[_SIZE:]  # one withdrawal, by another account or measure
        else:
            held.append(row)
        since_ns = cycle.fall_ns - self._params.window_s * SECOND
        held[:] = [each for each in held if each[_FALL_NS] >= since_ns][-MOST:]
        passed = [one for one in self._tests(cycle, held) if one.p <= self._params.large_level]
        return min(passed, key=lambda one: (one.p, one.size), default=None)

    def _tests(self, cycle: Cycle, held: list[list[int]]) -> Iterator[AsLarge]:
        params, tried = self._params, SIZES - 1
        peers_ns = cycle.watched * params.sample_s * SECOND
        for size in range(1, cycle.size + 1):
            nats = [each[_NATS] / MICRO for each in held if each[_SIZE] >= size]
            if len(nats) < params.least_large:
                continue
            tallies = cycle.tallies[:, size:].sum(axis=1)
            peers = int(tallies[..., PEER_CYCLES].sum(axis=1).max())
            # One cycle more than seen: external makers are never taken to have none.
            share = cycle.sampled_ns / max(cycle.sampled_ns + peers_ns, 1)
            often = binomial_tail(len(nats), len(nats) + peers + 1, share)
            soon = gamma_tail(len(nats), math.fsum(nats))
            if max(often, soon) > params.each_p:
                continue
            if any(is_refuted(each, params.own_p, params.least_trials)[1] for each in tallies):
                continue
            p = min(1.0, tried * both_tail(often, soon))
            yield AsLarge(size, len(nats), peers, p)

    def snapshot(self) -> Snapshot:
        """Return the cycles kept; of an instrument together, in order."""
        rows = [row for code in sorted(self._of) for row in self._of[code]]
        return {"large_cycles": np.array(rows, np.int64).reshape(-1, _FIELDS)}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._of = {}
        for row in snapshot["large_cycles"].tolist():
            self._of.setdefault(row[_CODE], []).append(row)
