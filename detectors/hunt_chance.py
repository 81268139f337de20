"""How often the group stands as it does where stops are run, were there no hunt: one statistic.

The legs of a run that may each be innocent are not cut one by one. How often each is met without a
hunt is measured on the same instrument, and what is judged is how often all would be met together.
"""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Day
from detectors.hunt_runs import Run

WORTH: Final = 10
"""Runs that what is taken for usual counts as, until the day has shown what is."""


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """How often each leg of a run is met without a hunt, 0 to 1."""

    added: float = 1.0
    """That the group has as many orders added on that side, when anybody's order comes."""
    caught: float = 1.0
    """That it takes the other side of what triggers, as here, when others run stops."""
    size: float = 1.0
    """Of a client's run: that other clients' pushes are as large."""

    @property
    def joint(self) -> float:
        """How often all are met together, were they independent."""
        return self.added * self.caught * self.size


def chance_of(run: Run, day: Day, params: StopHuntingParams, lead_ns: int) -> Chance:
    """Return how often what is seen of a run is met without a hunt; 1 where nothing was caught."""
    if not run.caught:
        return Chance()
    rest, usual = day.rest(run.account), params.usual_caught_ratio
    runs = WORTH + sum(t.runs for t in rest)
    caught = (WORTH * usual + sum(t.caught for t in rest)) / runs
    if run.added and run.fresh(lead_ns):
        caught = (WORTH * usual**2 + sum(t.fresh for t in rest)) / runs
    size = 1.0
    if not run.group:
        larger, clients = day.as_large(run.account, run.lots)
        size = (1 + larger) / (1 + clients)
    return Chance(added=run.chance, caught=caught, size=size)
