"""Parameters of quote_fading."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class QuoteFadingParams(Params, frozen=True):
    """What quote_fading compares with what, when it tests, and how sure it must be."""

    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "δ: uncertainty of received_ns; a withdrawal up to δ after the client's is not counted",
            "ns",
            "RTS 25 [V]: 100 µs where the gateway's latency is below 1 ms",
        ),
    ] = 100_000
    max_window_ms: Annotated[
        int,
        Parameter(
            "longest way of a client's order from gateway to engine that is looked at",
            "ms",
            "a tenth of the history, so that placebos of its length fit in; longer ones are held",
        ),
    ] = 6_000
    history_s: Annotated[
        int,
        Parameter(
            "how far before a client's order its placebo windows may lie",
            "s",
            "a minute: near enough for the same market, long enough for a maker's habits to show",
        ),
    ] = 60
    placebos: Annotated[
        int,
        Parameter(
            "placebo windows of a client's order and maker",
            "count",
            "with 39 one withdrawal has a chance of 1/40: four of four are one in 2.5 million",
        ),
    ] = 39
    least_placebos: Annotated[
        int,
        Parameter(
            "placebo windows alike in state without which an order is left out",
            "count",
            "fewer than four say little: each withdrawal would have a chance of a fifth or more",
        ),
    ] = 4
    placebo_draws: Annotated[
        int,
        Parameter(
            "times drawn in search of placebo windows that are alike",
            "count",
            "six a window: a maker is at the touch and the state alike a fifth of the time or less",
        ),
    ] = 256
    bucket_s: Annotated[
        int,
        Parameter(
            "distance of the event times at which tests are made, from 00:00 UTC",
            "s",
            "five minutes: a spell of a few minutes is told while it lasts",
        ),
    ] = 300
    scales: Annotated[
        tuple[int, ...],
        Parameter(
            "how many of the latest buckets are tested together; 24 are kept",
            "count",
            "5, 10, 30 and 120 minutes: spells last from minutes to hours",
        ),
    ] = (1, 2, 6, 24)
    daily_false_alarms: Annotated[
        float,
        Parameter(
            "false alarms spent on an instrument's day, in equal parts on all its tests",
            "count",
            "0.6 a platform-day of 30 instruments, of a budget of 5 for all detectors together",
        ),
    ] = 0.02
    tests_alike: Annotated[
        float,
        Parameter(
            "tests of a day that may spend as much together as one alone",
            "count",
            "two: each sums most of what those before and beside it sum. Of simulated days "
            "without fading no more pass than may (python -m benchmarks.fading_null); with four "
            "3.4 % did of those with most withdrawals",
        ),
    ] = 2.0
    min_withdrawals: Annotated[
        int,
        Parameter(
            "client orders withdrawn from without which nothing is told",
            "count",
            "fewer are no pattern, however small their chance",
        ),
    ] = 4
    min_alone: Annotated[
        int,
        Parameter(
            "the same where there are fewer than two external makers to compare with",
            "count",
            "ten: without peers a common cause cannot be told from a choice, so more is asked",
        ),
    ] = 10
    least_peer_windows: Annotated[
        int,
        Parameter(
            "clients' windows with an external maker at the touch without which a longer span is "
            "looked at, and in the longest of which there is no peer",
            "count",
            "fewer than four can never show that a rate of one in two is another's",
        ),
    ] = 4
    peer_chance: Annotated[
        float,
        Parameter(
            "largest chance of the excess over external makers, had they and the group one habit",
            "ratio",
            "a condition beside the test of the own habit, so it is not spent over tests",
        ),
    ] = 0.04
    least_fresh: Annotated[
        int,
        Parameter(
            "withdrawals of the last `episode_gap_s`, not told yet, without which a spell does not "
            "begin or go on",
            "count",
            "one is what a maker does anyway",
        ),
    ] = 2
    fresh_ratio: Annotated[
        float,
        Parameter(
            "times the placebos' withdrawals in that time, which they must pass",
            "ratio",
            "three times: what is left of a test over hours is its past, not a spell",
        ),
    ] = 3.0
    pause_expected: Annotated[
        float,
        Parameter(
            "withdrawals that a spell's own rate gives in a time that, without them, ends it; not "
            "less than two buckets nor more than episode_gap_s",
            "count",
            "twelve: were it going on, none of them would come once in 160,000 (Poisson)",
        ),
    ] = 12.0
    pause_ratio: Annotated[
        float,
        Parameter(
            "withdrawals of such a time over those that the spell's rate gives, from which on it "
            "goes on",
            "ratio",
            "a quarter: of twelve, fewer than three come once in 2,000 by chance; clients' orders "
            "come in clusters, so it is not more",
        ),
    ] = 0.25
    episode_gap_s: Annotated[
        int,
        Parameter(
            "time without new withdrawals in a passed test after which an episode is closed",
            "s",
            "half an hour: a pause of that length ends a spell of any rate",
        ),
    ] = 1_800

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        if not self.scales or not 0 < max(self.scales) <= KEPT_BUCKETS or min(self.scales) < 1:
            raise ValueError(f"scales must lie within 1 to {KEPT_BUCKETS}, were {self.scales}")
        if not self.tests_alike >= 1:
            raise ValueError(f"tests_alike must be 1 or more, was {self.tests_alike}")
        if self.episode_gap_s <= self.bucket_s:
            raise ValueError(
                f"episode_gap_s must be greater than bucket_s {self.bucket_s}, "
                f"was {self.episode_gap_s}"
            )


KEPT_BUCKETS = 24
"""Buckets of tallies kept an instrument."""
