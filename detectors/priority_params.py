"""Parameters of client_priority."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class ClientPriorityParams(Params, frozen=True):
    """Thresholds of client_priority; tolerance for a breach is 0 and no parameter."""

    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of a group account after which its episode is closed",
            "s",
            "a minute beyond the horizon of harm, so that every mark falls into its episode; slips "
            "farther apart are told apart",
        ),
    ] = 360
    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "δ: uncertainty of received_ns; a gap up to δ is none, up to 2 δ no proof",
            "ns",
            "RTS 25 [V]: 100 µs where the gateway's latency is below 1 ms",
        ),
    ] = 100_000
    unordered_ratio: Annotated[
        float,
        Parameter(
            "share of pairs of others' instructions, so far apart on arrival, that are matched the "
            "other way round, from which the venue does not keep the order of arrival; nor does it "
            "then among nearer ones of which too few were seen to have as many reversed",
            "ratio",
            "none where it does; one in a hundred is how its gateways work, not whom they favour",
        ),
    ] = 0.01
    unordered_pairs: Annotated[
        int,
        Parameter(
            "such pairs below which it does",
            "count",
            "a few held orders overtaken by everybody are no way of working",
        ),
    ] = 5
    order_pairs: Annotated[
        int,
        Parameter(
            "such pairs, with nearer ones where they are fewer, without which a gap up to 2 δ is "
            "not known to be kept in order",
            "count",
            "clocks that are off would have reversed several of twenty; of fewer, nobody knows",
        ),
    ] = 20
    unordered_level: Annotated[
        float,
        Parameter(
            "false alarms of an instrument's UTC day that the rate of inversions may make where "
            "the venue keeps no order",
            "ratio",
            "one in two hundred: with 30 instruments a wrong one in a week",
        ),
    ] = 0.005
    flight_s: Annotated[
        int,
        Parameter(
            "longest time that an instruction is expected between gateway and engine",
            "s",
            "above any gateway queue seen in stress; only counts what a full ring loses",
        ),
    ] = 10
    entry_horizon_s: Annotated[
        int,
        Parameter(
            "age of a resting order up to which its arrival is known beyond doubt",
            "s",
            "bounds what is kept of held and late instructions; older ones are downgraded",
        ),
    ] = 3600
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
            "passed-over client orders followed at once, an instrument",
            "count",
            "about 500 B each; more than that at once is a systematic breach anyway",
        ),
    ] = 4096
    systematic_incidents: Annotated[
        int,
        Parameter(
            "proved incidents in an episode that make it systematic",
            "count",
            "ten within gaps of six minutes are how the engine or gateway works, not a slip",
        ),
    ] = 10

    def __post_init__(self) -> None:
        """Refuse a gap in which a mark of harm could outlive its episode."""
        if self.episode_gap_s <= self.harm_horizon_s:
            raise ValueError(
                f"episode_gap_s must be greater than harm_horizon_s {self.harm_horizon_s}, "
                f"was {self.episode_gap_s}"
            )
