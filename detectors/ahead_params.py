"""Parameters of trading_ahead."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class TradingAheadParams(Params, frozen=True):
    """Thresholds of trading_ahead."""

    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of a group account after which its episode is closed",
            "s",
            "three times the horizon of harm, so that every mark falls into its episode",
        ),
    ] = 900
    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "δ: uncertainty of received_ns; up to δ nothing came later, up to 2 δ nothing was held",
            "ns",
            "RTS 25 [V]: 100 µs where the gateway's latency is below 1 ms",
        ),
    ] = 100_000
    clear_ratio: Annotated[
        int,
        Parameter(
            "holds this many times the usual (99th percentile) are told as cases of their own",
            "count",
            "in a queue with an exponential tail one in e^37 waits so long; twofold is noise",
        ),
    ] = 8
    at_once_ms: Annotated[
        int,
        Parameter(
            "a client filled in whole, at the same price or better, so soon after the group's "
            "first execution was filled at once; longer where clients usually wait longer",
            "ms",
            "a client's own network round trip within a continent: it cannot tell less from that",
        ),
    ] = 50
    stall_expected: Annotated[
        float,
        Parameter(
            "instructions that usually come in such a time; if none passed, all were held",
            "count",
            "of a Poisson count with mean 4.6, 1 % are zero",
        ),
    ] = 4.6
    least_overtaken: Annotated[
        int,
        Parameter(
            "holds in which the group overtook before their rate says anything",
            "count",
            "one may be chance and two a coincidence of one disturbance",
        ),
    ] = 3
    alpha: Annotated[
        float,
        Parameter(
            "chance that an instrument's rate is called significant wrongly, over all tests",
            "probability",
            "spent as α / (k (k + 1)) on the k-th test, so that looking at each case costs nothing",
        ),
    ] = 0.01
    harm_horizon_s: Annotated[
        int,
        Parameter(
            "time after which an unfilled client is marked to mid",
            "s",
            "300 s, the product's rule for unfilled clients",
        ),
    ] = 300
    max_watches: Annotated[
        int,
        Parameter(
            "unfilled client orders followed at once, an instrument",
            "count",
            "about 500 B each; far above what a stalled gateway can let go at once",
        ),
    ] = 1024

    def __post_init__(self) -> None:
        """Refuse a gap in which a mark of harm could outlive its episode."""
        if self.episode_gap_s <= self.harm_horizon_s:
            raise ValueError(
                f"episode_gap_s must be greater than harm_horizon_s {self.harm_horizon_s}, "
                f"was {self.episode_gap_s}"
            )
