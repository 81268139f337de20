"""Parameters of matched_orders."""

from __future__ import annotations

from typing import Annotated

import msgspec

from detectors.base import Parameter, Params


class MatchedOrdersParams(Params, frozen=True):
    """Thresholds of matched_orders."""

    within_s: Annotated[
        float,
        Parameter(
            "longest time from a resting order's entry to that of the order that takes it",
            "s",
            "two people with two screens need seconds; an order that has stood alone inside the "
            "spread for longer has been offered to everybody",
        ),
    ] = 10.0
    alike_ratio: Annotated[
        float,
        Parameter(
            "largest difference of the two orders' sizes, of the larger",
            "ratio",
            "1 %, by the definition: near enough to leave nothing worth a third party's while",
        ),
    ] = 0.01
    least_meetings: Annotated[
        int,
        Parameter(
            "meetings of orders alike that make a pattern",
            "count",
            "one is chance and two a coincidence; that the conduct is repeated is part of it",
        ),
    ] = 3
    joining_meetings: Annotated[
        int,
        Parameter(
            "the same for an account with one of a circle that has been told",
            "count",
            "once may happen to anybody who trades beside a circle",
        ),
    ] = 2
    max_circle: Annotated[
        int,
        Parameter(
            "parties that are looked at together before any of them is told",
            "count",
            "eight, as of wash_rings: larger circles are ordinary markets",
        ),
    ] = 8
    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence of a circle after which its episode is closed",
            "s",
            "as of wash trades: above the minutes that lie between two meetings",
        ),
    ] = 900
    joining_gap_s: Annotated[
        int,
        Parameter(
            "longest time since a party met another of an episode, for a third's meeting with it "
            "to belong there",
            "s",
            "a circle hands on within minutes; who is in two circles a day does not make them one",
        ),
    ] = 180
    alpha: Annotated[
        float,
        Parameter(
            "probability of one false circle an instrument and UTC day, over accounts and looks",
            "probability",
            "thirty instruments: one in two weeks. A third each for pairs, more, and who joins, "
            "of which three parties take a half, four a sixth, n - 2 parties more as looks do; "
            "look n = 1, 2, ... of each spends 1 / (n (n + 1)) of it",
        ),
    ] = 0.002
    size_chance: Annotated[
        float,
        Parameter(
            "chance of so many sizes alike among the accounts' meetings, and of so many meetings "
            "alike, up to which a circle is told",
            "probability",
            "one in a hundred, whoever they were: that they met often is not enough, nor that they "
            "met fast",
        ),
    ] = 0.01
    ring_turns: Annotated[
        int,
        Parameter(
            "meetings a party from which a circle whose positions came back is a ring too",
            "count",
            "once there and back may undo a mistake",
        ),
    ] = 2
    ring_chance: Annotated[
        float,
        Parameter(
            "chance that a circle whose directions are random is ever called a ring too",
            "probability",
            "one in a hundred, as of sizes: nine turns in a row in which who bought last sells",
        ),
        msgspec.Meta(gt=0, lt=1),
    ] = 0.01
    balance_ratio: Annotated[
        float,
        Parameter(
            "largest net position of a party, of the mean size, that has come back",
            "ratio",
            "1 %, as of wash_rings (Victor & Weintraud 2021)",
        ),
    ] = 0.01
    habit_meetings: Annotated[
        int,
        Parameter(
            "meetings with others that weigh as much as all accounts' habits in what is taken for "
            "an account's own, of sizes and of gaps",
            "count",
            "few: a habit that two or three meetings show already speaks for an account",
        ),
    ] = 2
    max_parties: Annotated[
        int,
        Parameter(
            "accounts followed in an instrument that day",
            "count",
            "for each instrument apart, so that none takes another's room; 1.6 kB each: 13 MB",
        ),
    ] = 8_000
    max_pairs: Annotated[
        int,
        Parameter(
            "pairs of accounts that met in an instrument that day",
            "count",
            "64 B each at most: 4 MB; of those alike, whose orders are kept, there are few",
        ),
    ] = 100_000
