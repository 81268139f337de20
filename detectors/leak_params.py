"""Parameters of information_leak."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class InformationLeakParams(Params, frozen=True):
    """How far before a client's order is looked, what is large, and how sure a rate must be."""

    clock_uncertainty_ns: Annotated[
        int,
        Parameter(
            "δ: uncertainty of received_ns; who came within it before the client came with it",
            "ns",
            "RTS 25 [V]: 100 µs where the gateway's latency is below 1 ms",
        ),
    ] = 100_000
    leads_s: Annotated[
        tuple[int, int, int],
        Parameter(
            "L: times before a client's order in which executions count, tested apart",
            "s",
            "each seven times the last: from somebody told as an order is typed in to one told "
            "while it is arranged; longer ones hold too much that has nothing to do with it",
        ),
    ] = (1, 7, 50)
    parent_gap_s: Annotated[
        int,
        Parameter(
            "silence that ends a client's parent episode",
            "s",
            "three times the usual pause between slices of an order that takes, some 6 s; a longer "
            "one chains the unrelated orders of a busy client, and its beginning says nothing",
        ),
    ] = 18
    large_ratios: Annotated[
        tuple[float, float, float],
        Parameter(
            "sizes of a parent episode over the median client order from which it is large, tested "
            "apart; from the second on where clients' accounts are screened",
            "ratio",
            "each twice the last: eight usual orders move a price that somebody could trade on, "
            "but where clients are busy their ordinary orders, one after the other, come to that, "
            "and what somebody is told of drowns in them",
        ),
    ] = (8.0, 16.0, 32.0)
    most_ratio: Annotated[
        float,
        Parameter(
            "size of an execution over the median client order up to which it counts",
            "ratio",
            "as large as the largest of those sizes: who uses an order must stay small beside it, "
            "while hedges of a whole position are larger. The same before all orders: were it each "
            "order's own size, large ones would be led more often by chance alone",
        ),
    ] = 32.0
    look_s: Annotated[
        int,
        Parameter(
            "distance of the event times at which bets are settled and told of, from 00:00 UTC",
            "s",
            "a quarter of the three quarters of an hour of which tallies are kept: looks cost "
            "nothing, but the large orders of each are held against its ordinary ones, of which "
            "there must be some",
        ),
    ] = 675
    daily_false_alarms: Annotated[
        float,
        Parameter(
            "false alarms of an instrument in a UTC day that all its looks may make together",
            "ratio",
            "0.03: about one in a day of thirty instruments",
        ),
    ] = 0.03
    least_hits: Annotated[
        int,
        Parameter(
            "large orders traded ahead of without which no rate is told",
            "count",
            "below six a rate rests on a few decisions, however unlikely",
        ),
    ] = 6
    least_effect: Annotated[
        float,
        Parameter(
            "share of large orders traded ahead of beyond what was expected, from which it is told",
            "ratio",
            "one in thirty: less, however certain, no client would notice",
        ),
    ] = 0.033
    peer_chance: Annotated[
        float,
        Parameter(
            "probability by chance of the hits of external makers, or, where a client's account is "
            "tested, of other clients, at or below which they did the same",
            "ratio",
            "one in a hundred: then it was there for all to see, and not for one alone",
        ),
    ] = 0.01
    least_suspected: Annotated[
        int,
        Parameter(
            "runs of a client's account that other clients' large orders followed, without which "
            "it is not suspected",
            "count",
            "twice is a coincidence among a hundred accounts",
        ),
    ] = 3
    suspect_chance: Annotated[
        float,
        Parameter(
            "probability of so many followed runs, at other clients' rate, up to which a client's "
            "account is suspected, and tested from then on",
            "ratio",
            "two in a thousand: of a hundred accounts and more, seen in six ways, about as many by "
            "chance in a day as there are places",
        ),
    ] = 0.002
    nothing_deviations: Annotated[
        float,
        Parameter(
            "deviations beyond expectation, the most over all times and instruments, below which a "
            "suspect shows nothing, and is let go where its place is needed",
            "ratio",
            "one: of six numbers that are chance alone the most is less in a third of cases",
        ),
    ] = 1.0
    alike_ratio: Annotated[
        float,
        Parameter(
            "how much more often other clients, as one or suspected, were ahead than was expected, "
            "over how much more often the account was, from which they did the same",
            "ratio",
            "a quarter, for what is common is spread unevenly; not less: nobody is ahead of "
            "himself, so busy clients' ordinary orders seem less led, by some hundredths",
        ),
    ] = 0.25
    least_alike: Annotated[
        int,
        Parameter(
            "other suspected accounts of clients that are ahead as much, from which the cause is "
            "common and none is told",
            "count",
            "two: one other may be the same person's; news brings many, of whom four are suspected",
        ),
    ] = 2
    part_chance: Annotated[
        float,
        Parameter(
            "probability by chance up to which a suspected account's hits in one instrument are "
            "part of what a test over all on the underlying shows, the group's bet in one (ever to "
            "have won as much) of what one on all instruments together shows, or other suspects' "
            "hits of what is common",
            "ratio",
            "one in twenty: it only tells where and whose, once a test at the look's level passed",
        ),
    ] = 0.05
    one_client_ratio: Annotated[
        float,
        Parameter(
            "part of a suspected account's hits beyond expectation up to which orders of one "
            "client may be among them",
            "ratio",
            "a half: two clients who follow one signal always meet each other, while who knows of "
            "orders on the platform is ahead of many clients",
        ),
    ] = 0.5
    uncontrolled_ratio: Annotated[
        float,
        Parameter(
            "part of the level that is left where fewer than two external makers trade",
            "ratio",
            "a tenth: without them a common cause cannot be told from knowledge",
        ),
    ] = 0.1
    episode_gap_s: Annotated[
        int,
        Parameter(
            "silence after which the pattern is over and its alert is closed",
            "s",
            "four hours: a pattern of a day is one alert, one of the next day another",
        ),
    ] = 14_400

    def __post_init__(self) -> None:
        """Refuse what cannot be counted: leads and sizes that do not rise."""
        for name in ("leads_s", "large_ratios"):
            values = getattr(self, name)
            if min(values) <= 0 or list(values) != sorted(set(values)):
                raise ValueError(f"{name} must be positive and rise, were {values}")
