"""Parameters of price_spikes."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class PriceSpikesParams(Params, frozen=True):
    """Over how long a price is looked at, and how far it must go."""

    horizons_s: Annotated[
        tuple[int, int, int, int],
        Parameter(
            "lengths of time over which returns are taken, rising, 60 at most",
            "s",
            "from a sweep of the book, a second, to a minute: the definition's range, in steps "
            "of four",
        ),
    ] = (1, 4, 16, 60)
    min_z: Annotated[
        float,
        Parameter(
            "return over its usual size from which it is a spike",
            "ratio",
            "returns have fat tails, and a review is opened by hand: a few an instrument and day",
        ),
    ] = 25.0
    memory_s: Annotated[
        int,
        Parameter(
            "seconds with trades over which the usual size of returns is learned",
            "s",
            "a quarter of an hour: it follows the time of day, and not the spike itself",
        ),
    ] = 900
    warm_s: Annotated[
        int,
        Parameter(
            "seconds with trades before which nothing is a spike",
            "s",
            "two minutes: before that no size is usual",
        ),
    ] = 120
    group_ratio: Annotated[
        float,
        Parameter(
            "share of the move, and of what was taken its way, that makes it the group's",
            "ratio",
            "the greater part of both: less is trading along",
        ),
    ] = 0.6
    window_s: Annotated[
        int,
        Parameter(
            "windows whose largest returns are ranked for p; 240 are kept",
            "s",
            "a minute, the longest return: four hours are kept",
        ),
    ] = 60
    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence after which a spike is over",
            "s",
            "ten minutes: there and back is one event, with one review",
        ),
    ] = 600
