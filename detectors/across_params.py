"""Parameters of front_running_across."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class FrontRunningAcrossParams(Params, frozen=True):
    """What counts as large, as chance and as a hedge; how long a case is followed."""

    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "δ: uncertainty of received_ns; who came within it after the client came with it",
            "ns",
            "RTS 25 [V]: 100 µs where the gateway's latency is below 1 ms",
        ),
    ] = 100_000
    parent_gap_s: Annotated[
        int,
        Parameter(
            "silence that ends a client's parent episode",
            "s",
            "a minute: slices of one order come more often, a new decision seldom sooner",
        ),
    ] = 60
    large_ratio: Annotated[
        float,
        Parameter(
            "what a parent episode executed over the median client instruction of the underlying "
            "from which it is large",
            "ratio",
            "eight usual ones: fewer move no price that anybody could trade on",
        ),
    ] = 8.0
    hedge_s: Annotated[
        int,
        Parameter(
            "time within which a fill is hedged; up to what was so traded net, it is no case",
            "s",
            "desks hedge by machine; a later hedge is still weighed against the group's own habit",
        ),
    ] = 3
    chance: Annotated[
        float,
        Parameter(
            "probability, over the day's windows, of what was seen up to which a case is told",
            "ratio",
            "one in a hundred, with every other leg of the case seen as well",
        ),
    ] = 0.01
    plain_chance: Annotated[
        float,
        Parameter(
            "the same from which a case is complete without a gain",
            "ratio",
            "one in a thousand: who took the client's side so plainly did so, gain or loss",
        ),
    ] = 0.001
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
    local_s: Annotated[
        int,
        Parameter(
            "time before a client's instruction in which executions tell how busy the market is",
            "s",
            "a minute: a burst of hedging or of news lasts about so long",
        ),
    ] = 60
    horizon_s: Annotated[
        int,
        Parameter(
            "how long a case is followed: size of the parent, markouts, what was unwound",
            "s",
            "300 s, the product's rule for unfilled clients; unwinds come within minutes",
        ),
    ] = 300
    max_cases: Annotated[
        int,
        Parameter(
            "cases followed at once, an underlying; as many of the day that were not told are kept",
            "count",
            "about 1 kB each; more within five minutes is no case but a rate, which is counted",
        ),
    ] = 128
