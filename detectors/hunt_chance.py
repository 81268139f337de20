"""How often the group stands as it does where stops are run, were there no hunt: one statistic.

The legs of a run that may each be innocent are not cut one by one. How often each is met without a
hunt is measured on the same instrument, and what is judged is how often all would be met together.
"""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Day, quarter
from detectors.hunt_runs import Run

RUNS: Final = 10
"""Runs that what is taken for usual counts as, until the day has shown what is."""
MOMENTS: Final = 100
"""Moments that count as seen before any was; at one of them the group had added orders."""


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """How often each leg of a run is met without a hunt, 0 to 1."""

    added: float = 1.0
    """That the group has as many orders added on that side, when anybody's order comes."""
    caught: float = 1.0
    """That it takes as much of what triggers, or by a new order, when others run stops."""
    size: float = 1.0
    """Of a client's run: that other clients' pushes are as large."""
    reverted: float = 1.0
    """What the price gave back, of what is asked for: no chance, but it weakens the rest."""

    @property
    def joint(self) -> float:
        """How often all are met together, were they independent.

        Most runs have none of the legs, and each takes few values, so that the product is not much
        below the probability of one as small.

        >>> Chance(added=0.01, caught=0.1).joint, Chance(added=0.01, reverted=0.0).joint
        (0.001, 1.0)
        """
        legs = self.added * self.caught * self.size
        return min(1.0, legs / self.reverted) if self.reverted > 0 else 1.0


def chance_of(run: Run, day: Day, params: StopHuntingParams, lead_ns: int) -> Chance:
    """Return how often what is seen of a run is met without a hunt; 1 where nothing was caught."""
    if not run.caught or run.reverted <= 0:
        return Chance(reverted=0.0)
    rest, usual = day.rest(run.account), params.usual_caught_ratio
    runs, least = RUNS + sum(t.runs for t in rest), quarter(run.caught / run.filled)
    caught = RUNS * usual * (1 - least / 4) + sum(sum(t.caught[least:]) for t in rest)
    if run.fresh(lead_ns):
        caught = min(caught, RUNS * usual**2 + sum(t.fresh for t in rest))
    size = 1.0
    if not run.group:
        larger, clients = day.as_large(run.account, run.lots)
        size = (1 + larger) / (1 + clients)
    return Chance(
        added=(1 + run.as_many) / (MOMENTS + run.seen) if run.added else 1.0,
        caught=caught / runs,
        size=size,
        reverted=min(1.0, run.reverted / params.reverted_ratio),
    )
