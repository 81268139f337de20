"""Parameters of conduct_across."""

from __future__ import annotations

import math
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
    usual_ratio: Annotated[
        float,
        Parameter(
            "times others' rate that a desk's own may be, for a style of its own",
            "ratio",
            "half as often again: an honest desk that differs so much must not pass because thirty "
            "instruments are looked at",
        ),
    ] = 1.5
    usual_surprise: Annotated[
        float,
        Parameter(
            "mean of -ln p that honest cases may have; chance gives 1",
            "nats",
            "1.2: makers who requote after fills show 1 to 1.3 on simulated days",
        ),
    ] = 1.2
    rest_chance: Annotated[
        float,
        Parameter(
            "largest p of the test without the instrument that shows most",
            "probability",
            "one in twenty: what one instrument shows is for its own detector, and proves nothing "
            "of another",
        ),
    ] = 0.05
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
            "one in two hundred days, with a style allowed for: a thousandth of the five alerts "
            "that a clean day may have",
        ),
    ] = 0.005
    false_share: Annotated[
        float,
        Parameter(
            "share of chance among the instruments told once all pass, and among the cases of each",
            "ratio",
            "one in four (Benjamini and Hochberg 1995): who reads alerts is to find mostly conduct",
        ),
    ] = 0.25

    def __post_init__(self) -> None:
        """Refuse what could tell nothing, or anything."""
        for name in ("leg_chance", "rest_chance", "level", "false_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie within 0 and 1, was {getattr(self, name)}")
        for name in (
            "window_s", "least_ratio", "least_surprise", "usual_ratio", "usual_surprise",
        ):  # fmt: skip
            if not 1 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 1, was {getattr(self, name)}")
        if self.least_instruments < 2:
            raise ValueError(f"least_instruments must be at least 2, was {self.least_instruments}")
