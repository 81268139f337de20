"""Large cycles of a day: more of them than external makers have, and withdrawn at once when filled.

Makers' sizes come and go, and now and then one goes just after a fill; of size well beyond what is
usual hardly any does. So the group's prompt cycles are held against external makers' cycles as
large, by the time that either was there. A desk whose sizes are larger than theirs has more of them
for that alone: besides, size must go sooner after fills than within the time that it stood.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.spoofing_cycle import Cycle
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import PEER_CYCLES, SIZES, Own, own_of
from detectors.statistics import binomial_tail, both_tail, gamma_tail
from ingest.axes import Rows
from ingest.events import Array
from ingest.sections import Layout
from ingest.signs import Measure, Rate, Surprise
from ingest.state import Snapshot
from ingest.times import SECOND

MOST: Final = 256
"""Cycles kept an instrument, the latest."""
MICRO: Final = 1_000_000
SOONEST_NS: Final = 1_000_000
"""A millisecond: what goes sooner is no more telling."""
MOST_SHARE: Final = 0.95
"""Of the time watched that is the group's: beyond it others are not there to compare with."""
LEAST_P: Final = 1e-4
"""One cycle that goes at once says no more than that."""
_CODE, _FALL_NS, _SIZE, _NATS, _EPISODE = range(5)
_FIELDS: Final = 5


class AsLarge(msgspec.Struct, frozen=True):
    """The clearest of the tests of a cycle, by sizes from which on cycles count."""

    size: int
    """Class of the least size that counts."""
    cycles: int
    peer_cycles: int
    often: float
    """p of so many of them, beside external makers'."""
    soon: float
    """p of going so soon after fills."""
    nats: float
    """The sum of -ln p of that."""
    share: float
    """Part of the time that was watched, the group's and external makers', that is the group's."""
    p: float
    """Of both together, over the sizes tried."""
    agreed: bool
    """Whether the complex's own size as large, without a fill, says that it goes less often."""


def nats_of(cycle: Cycle) -> float:
    """Return how telling it is that size went so soon after the last fill, were it to go any time.

    Minus the logarithm of P(none of so many fills, spread evenly over the time that it stood, is
    as near to its end).
    """
    stood_ns = max(cycle.fall_ns - cycle.on_ns, 1)
    part = min(1.0, max(cycle.fall_ns - cycle.hit_ns, SOONEST_NS) / stood_ns)
    return -math.log(max(1.0 - (1.0 - part) ** max(1, cycle.hits), LEAST_P))


def measure_of(test: AsLarge) -> Measure:
    """Return a test as what it sums, for platform scope; without legs where there are no peers."""
    if test.share > MOST_SHARE:
        return Measure(grade=test.size, cases=test.cycles, expected=float(test.cycles), legs=())
    return Measure(
        grade=test.size,
        cases=test.cycles,
        expected=(test.peer_cycles + 1) * test.share / (1.0 - test.share),
        legs=(
            Rate(name="as_many", cases=test.cycles, others=test.peer_cycles, share=test.share),
            Surprise(name="as_soon", tests=test.cycles, most=1.0, nats=test.nats),
        ),
    )


class LargeCycles:
    """The group's prompt cycles of size beyond what is usual, of the last day.

    State: 40 B a cycle, `MOST` cycles an instrument at most.
    """

    layout: ClassVar[Layout] = {"large_cycles": Rows("large_cycles", column=_CODE)}

    def __init__(self, params: SpoofingParams) -> None:
        self._params = params
        self._of: dict[int, list[list[int]]] = {}

    def take(self, cycle: Cycle, episode: int) -> None:
        """Count a prompt cycle as one of an episode, which is named by its first seq."""
        if not cycle.size:
            return
        held = self._of.setdefault(cycle.instrument, [])
        nats = round(MICRO * nats_of(cycle))
        row = [cycle.instrument, cycle.fall_ns, cycle.size, nats, episode]
        settle_ns = self._params.settle_ms * MICRO
        if held and min(cycle.on_ns, cycle.fall_ns - settle_ns) <= held[-1][_FALL_NS]:
            # One withdrawal, by another account or measure: it had not begun anew in between.
            if cycle.size > held[-1][_SIZE]:
                held[-1][_SIZE:] = row[_SIZE:]
        else:
            held.append(row)
        since_ns = cycle.fall_ns - self._params.window_s * SECOND
        held[:] = [each for each in held if each[_FALL_NS] >= since_ns][-MOST:]

    def tests(self, cycle: Cycle, tallies: Array, aside: AbstractSet[int]) -> Sequence[AsLarge]:
        """Return the tests of the day's cycles by their least size, of a cycle that was taken.

        `tallies` are the cycle's, or what is left of them without the episodes `aside`, the cycles
        of which do not count.
        """
        if not cycle.size:
            return []
        held = [each for each in self._of[cycle.instrument] if each[_EPISODE] not in aside]
        return list(self._tests(cycle, tallies, held))

    def telling(self, tests: Sequence[AsLarge], size: int) -> AsLarge | None:
        """Return the clearest of the tests by which a cycle of a size is one of a pattern."""
        params = self._params
        passed = [
            one
            for one in tests
            if one.size <= size
            and one.cycles >= params.least_large
            and max(one.often, one.soon) <= params.each_p
            and one.p <= params.large_level
        ]
        return min(passed, key=lambda one: (one.p, one.size), default=None)

    def _tests(self, cycle: Cycle, day: Array, held: list[list[int]]) -> Iterator[AsLarge]:
        params, tried = self._params, SIZES - 1
        peers_ns = cycle.watched * params.sample_s * SECOND
        for size in range(1, max((each[_SIZE] for each in held), default=0) + 1):
            tallies = day[:, size:].sum(axis=1)
            own = [own_of(each, params.own_p, params.least_trials) for each in tallies]
            if any(each.known and not self._agrees(each) for each in own):
                continue
            nats = [each[_NATS] / MICRO for each in held if each[_SIZE] >= size]
            # In both measures, as the group's count that were seen in either.
            peers = int(tallies[..., PEER_CYCLES].sum())
            # One cycle more than seen: external makers are never taken to have none.
            share = cycle.sampled_ns / max(cycle.sampled_ns + peers_ns, 1)
            often = binomial_tail(len(nats), len(nats) + peers + 1, share)
            total = math.fsum(nats)
            soon = gamma_tail(len(nats), total)
            p = min(1.0, tried * both_tail(often, soon))
            agreed = any(each.known for each in own)
            yield AsLarge(size, len(nats), peers, often, soon, total, share, p, agreed)

    def _agrees(self, own: Own) -> bool:
        return not own.refutes and own.ratio >= self._params.own_ratio

    def snapshot(self) -> Snapshot:
        """Return the cycles kept; of an instrument together, in order."""
        rows = [row for code in sorted(self._of) for row in self._of[code]]
        return {"large_cycles": np.array(rows, np.int64).reshape(-1, _FIELDS)}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._of = {}
        for row in snapshot["large_cycles"].tolist():
            self._of.setdefault(row[_CODE], []).append(row)
