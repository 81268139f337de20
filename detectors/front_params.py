"""Parameters of front_running, and those that front_running_across has in common with it."""

from __future__ import annotations

from typing import Annotated, Final

from detectors.base import Parameter, Params

MARKOUTS_S: Final = (1, 5, 30)
"""Besides the horizon of a case."""


class AheadOfClientsParams(Params, frozen=True):
    """What both take for clocks, episodes, hedges and time: a change of one is one of the other."""

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
    hedge_s: Annotated[
        int,
        Parameter(
            "time within which a fill is hedged; up to what was so traded net, it is no case",
            "s",
            "desks hedge by machine; a later hedge is still weighed against the group's own habit",
        ),
    ] = 3
    plain_chance: Annotated[
        float,
        Parameter(
            "the same from which a case is complete without a gain",
            "ratio",
            "one in a thousand: who took the client's side so plainly did so, gain or loss",
        ),
    ] = 0.001
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

    @property
    def marks_s(self) -> list[int]:
        """Horizons of a case's marks, s, rising; the last ends it."""
        return [*(s for s in MARKOUTS_S if s < self.horizon_s), self.horizon_s]


class FrontRunningParams(AheadOfClientsParams, frozen=True):
    """What counts as large and as chance, and how many cases are followed."""

    large_ratio: Annotated[
        float,
        Parameter(
            "size of a parent episode, or of an order by itself, over the median client order "
            "from which it is large",
            "ratio",
            "five usual orders: fewer move no price that anybody could trade on",
        ),
    ] = 5.0
    chance: Annotated[
        float,
        Parameter(
            "probability, over the day's windows of large episodes (of orders large by themselves "
            "and of the others), of as many executions in them by chance, or of one as large, up "
            "to which a case stands for itself",
            "ratio",
            "one in a hundred, with every other leg of the case seen as well",
        ),
    ] = 0.01
    rate_chance: Annotated[
        float,
        Parameter(
            "the same from which the day's rate is significant",
            "ratio",
            "looked at after each hit, up to some tens a day: one in a thousand leaves a few "
            "in a hundred over all looks",
        ),
    ] = 0.001
    least_hits: Annotated[
        int,
        Parameter("hits without which no rate is told", "count", "two may be one decision"),
    ] = 3
    quiet_s: Annotated[
        float,
        Parameter(
            "time after a client's instruction from which a window of its next counts orders that "
            "rest",
            "s",
            "one: makers answer a client's trades by new quotes within a second, and so rest ahead "
            "of its next",
        ),
    ] = 1.0
    rest_share: Annotated[
        float,
        Parameter(
            "quiet windows in which chance gives orders that rest, over the hits of a significant "
            "rate of executions, up to which the day's cases of such orders are told with it",
            "ratio",
            "one wrong in twenty at most: who runs ahead of clients all day does not only take",
        ),
    ] = 0.05
    max_earlier: Annotated[
        int,
        Parameter(
            "cases of a day, an instrument, that were not told and are if its rate becomes "
            "significant",
            "count",
            "about 1 kB each; a rate that needs more has told some of them singly",
        ),
    ] = 32
    max_cases: Annotated[
        int,
        Parameter(
            "cases followed at once, an instrument",
            "count",
            "about 1 kB each; more within five minutes is no case but a rate, which is counted",
        ),
    ] = 256
