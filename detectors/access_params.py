"""Parameters of unequal_access."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class UnequalAccessParams(Params, frozen=True):
    """What unequal_access compares with what, when it tests, and how sure it must be."""

    bucket_s: Annotated[
        int,
        Parameter(
            "tests are made whenever so much event time is over",
            "s",
            "a maker gives hundreds of instructions in five minutes: enough to test, soon enough",
        ),
    ] = 300
    pair_s: Annotated[
        float,
        Parameter(
            "most time between two instructions that are compared",
            "s",
            "load changes within seconds: a maker and another one quote about as often as that",
        ),
    ] = 1.5
    burst_ms: Annotated[
        float,
        Parameter(
            "silence of an account before an instruction whose time counts",
            "ms",
            "what follows at once waits for the account's own first: that is no rule of access",
        ),
    ] = 0.5
    least_difference_ns: Annotated[
        int,
        Parameter(
            "difference of gateway-to-engine time that counts as one",
            "ns",
            "a few times an engine's service time of 5 to 20 µs: less is the order of a queue",
        ),
    ] = 25_000
    least_difference_ratio: Annotated[
        float,
        Parameter(
            "the same as a share of the shorter of both times, where that is more",
            "ratio",
            "on a slow gateway a difference that decides races is larger",
        ),
    ] = 0.25
    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "difference of times up to which clocks of gateways may be its cause",
            "ns",
            "what one gateway's clock and one engine's are off cancels in a difference; 10 µs is "
            "for gateways of one time source: where each has its own, enter what these may be off",
        ),
    ] = 10_000
    least_lead_ratio: Annotated[
        float,
        Parameter(
            "share of pairs won less share lost, from which a lead is material",
            "ratio",
            "one race in five; a lead that decides fewer is told as a figure, not alerted",
        ),
    ] = 0.21
    least_pairs: Annotated[
        int,
        Parameter(
            "pairs of instructions with an external maker from which it is compared with",
            "count",
            "25 won of 25 are one in 34 million: fewer cannot pass the test",
        ),
    ] = 25
    daily_false_alarms: Annotated[
        float,
        Parameter(
            "chance that an instrument's day with equal access is alerted by its times or refusals",
            "probability",
            "one in a thousand: a platform of 30 instruments is told wrongly once a month",
        ),
    ] = 0.001
    usual_refused_ratio: Annotated[
        float,
        Parameter(
            "share of external makers' new orders refused without a rule that is noise",
            "ratio",
            "risk limits and price bands: one in a thousand; the instrument's own habit if higher",
        ),
    ] = 0.001
    risen_chance: Annotated[
        float,
        Parameter(
            "chance of the rise in an external maker's refusals, by itself, from which it is hit",
            "probability",
            "two makers at least must be hit: one alone may have its own limits to thank for it",
        ),
    ] = 0.01
    spared_chance: Annotated[
        float,
        Parameter(
            "chance that the affiliate is spared by luck, in a spell of refusals of others",
            "probability",
            "such spells are rare; of those that hit all alike one in twenty is told wrongly",
        ),
    ] = 0.05
    spared_ratio: Annotated[
        float,
        Parameter(
            "how often a spared affiliate is refused, as a share of how often others are",
            "ratio",
            "a tenth: hardly ever, and yet one refusal of its own is no proof of equal access",
        ),
    ] = 0.1
    fee_tolerance_ratio: Annotated[
        float,
        Parameter(
            "share of a fee by which it may be short, beside the last digit that fees have",
            "ratio",
            "rounding, and fees on a price that was converted",
        ),
    ] = 0.005
    fee_memory_s: Annotated[
        int,
        Parameter(
            "how long the rate that an external maker paid stands for what its tier pays",
            "s",
            "a day: tiers are set by the day or the month",
        ),
    ] = 86_400
    protection_s: Annotated[
        float,
        Parameter(
            "how far back fills may count towards maker protection",
            "s",
            "the disclosure names no time: any length up to this one is granted to the maker",
        ),
    ] = 3.0
    rate_burst_s: Annotated[
        float,
        Parameter(
            "seconds of a disclosed rate that a limiter may let through at once, beside the rate",
            "s",
            "windows of a second that begin between ours, or a bucket of a second's tokens, let "
            "twice the rate into one second: enter tokens over rate, or twice a longer window "
            "less 1",
        ),
    ] = 1.0
    least_prevented: Annotated[
        int,
        Parameter(
            "self-trades of others prevented, in a day, that show the venue's rule",
            "count",
            "twenty all alike: a second policy used in more than 14 % would have shown (0.86^20)",
        ),
    ] = 20
    unlike_ratio: Annotated[
        float,
        Parameter(
            "share of them that may be resolved otherwise and the rule still stands",
            "ratio",
            "an order in flight that is mistaken for a resting one",
        ),
    ] = 0.02
    least_stated: Annotated[
        int,
        Parameter(
            "orders of external makers that join a queue at a place that the venue states, in a "
            "day, that show how it states places",
            "count",
            "none of 150 stated ahead: the venue does so to fewer than 2 in 100 (0.98^150 = 0.05)",
        ),
    ] = 150
    systematic_facts: Annotated[
        int,
        Parameter(
            "fees, trips, prevented self-trades, runs or places in an episode that make it a rule",
            "count",
            "a hundred are a rule in a system, not a slip",
        ),
    ] = 100
    episode_gap_s: Annotated[
        int,
        Parameter(
            "time without a new fact after which an episode is closed",
            "s",
            "a rule that is bent now and then within a quarter of an hour is bent throughout",
        ),
    ] = 901
