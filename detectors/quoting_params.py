"""Parameters of quoting_obligations. What is owed is in the agreement and is no parameter."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class QuotingObligationsParams(Params, frozen=True):
    """When a window is judged at all, what is excused, and when misses are one alert."""

    least_open_ratio: Annotated[
        float,
        Parameter(
            "share of a window that must be open and known for it to be judged",
            "ratio",
            "a ratio agreed for an hour says little of its last minutes, after a halt of the rest",
        ),
    ] = 0.2
    excused_ratio: Annotated[
        float,
        Parameter(
            "share of a window that absences after mmp, disconnect or kill may take out of it",
            "ratio",
            (
                "no choice of the maker's, but coming back is: six minutes of an hour bring back a "
                "session or a risk limit; beyond it the agreement's own allowance bears it, so "
                "that protection set too tight is no way out"
            ),
        ),
    ] = 0.1
    serious_ratio: Annotated[
        float,
        Parameter(
            "presence below this share of what was agreed is material",
            "ratio",
            "at half of it clients had no such maker for most of the time that they were promised",
        ),
    ] = 0.5
    stress_ratio: Annotated[
        float,
        Parameter(
            "a minute is restless when the mid's range in it is so many times the hour's median",
            "ratio",
            "ranges of calm minutes vary by half: twice the median is a minute in seven or fewer",
        ),
    ] = 2.0
    episode_gap_s: Annotated[
        int,
        Parameter(
            "missed windows so close are one alert; the window's own length, where that is longer",
            "s",
            "an absence ends when the maker has kept its word for a while: five minutes are twelve "
            "alerts an hour at most, of a maker that fails every other window one",
        ),
    ] = 300
