"""Parameters of conduct_across."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class ConductAcrossParams(Params, frozen=True):
    """When what several instruments show together is told."""

    window_s: Annotated[
        int,
        Parameter(
            "how long what an instrument showed last counts beside others",
            "s",
            "a day: as long as the tests that the signs are of look back",
        ),
    ] = 86_400
    least_instruments: Annotated[
        int,
        Parameter(
            "instruments with cases without which nothing is told",
            "count",
            "two: one alone is for its own detector to tell",
        ),
    ] = 2
    least_ratio: Annotated[
        float,
        Parameter(
            "cases over those that others' rate gives, in all instruments together",
            "ratio",
            "three: makers differ, and in thirty instruments the least difference is significant",
        ),
    ] = 3.0
    least_surprise: Annotated[
        float,
        Parameter(
            "mean of -ln p of the cases in each way in which they are strange; chance gives 1",
            "nats",
            "a little beyond what makers show who requote after fills, 1 to 1.3 on simulated days",
        ),
    ] = 1.4
    leg_chance: Annotated[
        float,
        Parameter(
            "largest p of each part of a test, over all instruments",
            "probability",
            "one in twenty: a desk that differs from others in one way, everywhere, is no "
            "pattern; all that makes up the conduct must be beyond chance",
        ),
    ] = 0.05
    level: Annotated[
        float,
        Parameter(
            "false alarms of a scenario in a UTC day over all instruments; its look k gets "
            "1/(k(k+1)) of them",
            "count",
            "one in two hundred days: a thousandth of the five alerts that a clean day may have",
        ),
    ] = 0.005
    false_share: Annotated[
        float,
        Parameter(
            "share of chance among the cases of an instrument that is told once all pass",
            "ratio",
            "one in four: who reads an alert is to find mostly conduct in it",
        ),
    ] = 0.25

    def __post_init__(self) -> None:
        """Refuse what could tell nothing, or anything."""
        for name in ("leg_chance", "level", "false_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie within 0 and 1, was {getattr(self, name)}")
        for name in ("window_s", "least_instruments", "least_ratio", "least_surprise"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, was {getattr(self, name)}")
