"""Parameters of front_running_across, beside those that it has in common with front_running."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter
from detectors.front_params import AheadOfClientsParams


class FrontRunningAcrossParams(AheadOfClientsParams, frozen=True):
    """What counts as large and as chance, and how many cases are followed."""

    large_ratio: Annotated[
        float,
        Parameter(
            "what a parent episode executed over the median client instruction of the underlying "
            "from which it is large",
            "ratio",
            "eight usual ones: fewer move no price that anybody could trade on",
        ),
    ] = 8.0
    chance: Annotated[
        float,
        Parameter(
            "probability, over the day's windows, of what was seen up to which a case is told",
            "ratio",
            "one in a hundred, with every other leg of the case seen as well",
        ),
    ] = 0.01
    accounts: Annotated[
        int,
        Parameter(
            "owners that are not the group among which one was found: their p is multiplied by it",
            "count",
            "Bonferroni; about as many trade in a busy underlying within minutes",
        ),
    ] = 50
    least_hits: Annotated[
        int,
        Parameter(
            "windows of large episodes in which an owner that is not the group must have executed",
            "count",
            "nothing links it with the platform's knowledge: once is a coincidence",
        ),
    ] = 2
    least_excess: Annotated[
        float,
        Parameter(
            "how many times what chance gives an owner that is not the group must have executed",
            "ratio",
            "four: who follows the signal that clients follow, and is sooner matched, is ahead of "
            "them two or three times as often as his own rate gives",
        ),
    ] = 4.0
    max_cases: Annotated[
        int,
        Parameter(
            "cases followed at once, an underlying; as many of the day that were not told are kept",
            "count",
            "about 1 kB each; more within five minutes is no case but a rate, which is counted",
        ),
    ] = 128
