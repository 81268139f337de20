"""Parameters of wash_trading."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class WashTradingParams(Params, frozen=True):
    """Thresholds of wash_trading; every one is Ringfence's own."""

    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of a pair after which its episode is closed",
            "s",
            "above the minutes that a bot waits between prints; an hour's pause is another story",
        ),
    ] = 900
    volume_window_s: Annotated[
        int,
        Parameter(
            "how far before an episode's first trade the volume it is compared with begins",
            "s",
            "an hour: without it a lone trade would be 100 % of its own window",
        ),
    ] = 3600
    material_share_ratio: Annotated[
        float,
        Parameter(
            "share of the instrument's volume from which an episode is material",
            "ratio",
            "the 5 % mark of FINRA 5210.02 [S]",
        ),
    ] = 0.05
    pattern_instructions: Annotated[
        int,
        Parameter(
            "incoming instructions that make a pattern; below it no share is material",
            "count",
            "FINRA 5210.02 [S] speaks of a pattern; a sweep of own quotes is one instruction",
        ),
    ] = 3
    answer_s: Annotated[
        int,
        Parameter(
            "age of a resting order up to which an employee's may be entered for the group's",
            "s",
            "orders entered for each other are not left to strangers for longer",
        ),
    ] = 10
    bust_horizon_s: Annotated[
        int,
        Parameter(
            "how long after a trade its bust is still taken back from the alert",
            "s",
            "venues bust within the trading day",
        ),
    ] = 86_400
    max_trades: Annotated[
        int,
        Parameter(
            "trades remembered for busts, an instrument",
            "count",
            "about 300 B each: 30 MB for an instrument in which all trades are wash trades",
        ),
    ] = 100_000
