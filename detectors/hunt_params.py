"""Parameters of stop_hunting."""

from __future__ import annotations

from typing import Annotated

import msgspec

from detectors.base import Parameter, Params


class StopHuntingParams(Params, frozen=True):
    """Thresholds of stop_hunting."""

    min_stops: Annotated[
        int,
        Parameter(
            "clients' stops that make a cluster",
            "count",
            "one stop is met by any order that moves the price; two begin a cluster",
        ),
    ] = 2
    push_s: Annotated[
        float,
        Parameter(
            "longest time from a push's first order to the trigger, over which a run's stops "
            "trigger, and from the last to an order that comes for what rests of them",
            "s",
            "makers quote again within seconds: a push that takes longer has to begin anew",
        ),
    ] = 10.0
    pause_s: Annotated[
        float,
        Parameter(
            "longest pause between two orders of one push",
            "s",
            "a pause in which the book has filled again ends what the earlier order did",
        ),
    ] = 2.0
    horizon_s: Annotated[
        float,
        Parameter(
            "time after the last trigger within which the price reverts",
            "s",
            "a minute, the longest interval of the review of price spikes",
        ),
    ] = 60.0
    reverted_ratio: Annotated[
        float,
        Parameter(
            "share of the push that the touch gives back, from which the price reverted",
            "ratio",
            "half of a push comes back where makers quote as before; a minute's noise takes some",
        ),
    ] = 0.25
    worth_ratio: Annotated[
        float,
        Parameter(
            "least of what the group caught to what was pushed for it, of a run that is a case",
            "ratio",
            "who catches less than a hundredth loses more than that by unwinding the push at a "
            "hundredth of its length from where it caught",
        ),
    ] = 0.01
    lasting_weight: Annotated[
        float,
        Parameter(
            "what a run counts for after which the price does not come back, of one that reverts",
            "ratio",
            "a minute's moves hide one return in many; of innocent pushes a good part last",
        ),
    ] = 0.05
    own_push_ratio: Annotated[
        float,
        Parameter(
            "share of the ticks gained on one side during the push that were the party's own",
            "ratio",
            "less than half, and somebody else ran the stops",
        ),
    ] = 0.5
    prepared_s: Annotated[
        float,
        Parameter(
            "longest time before the push at which an order that catches was entered for it",
            "s",
            "one that waits longer may be hit by others before the push comes",
        ),
    ] = 4.0
    usual_caught_ratio: Annotated[
        float,
        Parameter(
            "share of others' runs that the group takes the other side of, taken for usual until a "
            "day has shown what is",
            "ratio",
            "a maker among a handful; by an order just entered, its square; by orders that come "
            "for what rests of it, its cube: in 8 of 1,900 runs on tapes without a hunt",
        ),
        msgspec.Meta(gt=0, lt=1),
    ] = 0.2
    case_chance: Annotated[
        float,
        Parameter(
            "chance of the legs of a run by the group together, up to which it is a case",
            "probability",
            "hedges of a maker run two or three clusters an hour and instrument, and most revert: "
            "three in ten thousand are one in two days on thirty instruments; with orders added "
            "and by a turn alike, so that of both it is at most one a day",
        ),
    ] = 0.0003
    few_chance: Annotated[
        float,
        Parameter(
            "chance that the first few of the group's runs of an instrument and day may spend "
            "beside that, where the price comes back and no hedge calls for the push: the n-th "
            "1 / (n (n + 1)) of it",
            "probability",
            "where the group runs stops once an hour nothing is known to be as rare as "
            "`case_chance` asks, nor are there sixty runs a day to pay for; all runs of a day "
            "together spend less than one false case a day on thirty instruments",
        ),
        msgspec.Meta(ge=0, lt=1),
    ] = 0.009
    hedge_s: Annotated[
        float,
        Parameter(
            "time within which what the group got by its quotes is hedged: what it took beyond "
            "that is no hedge",
            "s",
            "a minute: desks hedge by machine, or once a position is too large; who hedges later "
            "is judged like all others from its first few runs on",
        ),
    ] = 60.0
    agreeing_chance: Annotated[
        float,
        Parameter(
            "chance of all the group's runs of an instrument and day together, above which that of "
            "a case is divided by how many they are",
            "probability",
            "one in a hundred: among twenty runs that hedge one looks like a hunt by chance, while "
            "who hunts has few runs or several strange ones",
        ),
        msgspec.Meta(gt=0, le=1),
    ] = 0.01
    client_chance: Annotated[
        float,
        Parameter(
            "the same of a run by an account registered as a client, and of all its runs together",
            "probability",
            "of a run that the group pushed beside likewise; where clients leave many stops others "
            "run some sixty clusters an hour and instrument: one in 250,000 is about one in six "
            "days on thirty instruments; at five times that three alerts of ten clean days were "
            "such runs, and the same hunts were found",
        ),
    ] = 0.000004
    strange_chance: Annotated[
        float,
        Parameter(
            "the same of a run that is no case by itself, up to which it counts as strange in how "
            "rare all of the party's runs of the day are together, and an account's is told with "
            "its others once they have passed",
            "probability",
            "the usual 5 % of truncated products; all runs count, the ordinary ones too, in "
            "whether they pass, and where the group often adds orders no hunt is rarer than that",
        ),
    ] = 0.05
    own_false_share: Annotated[
        float,
        Parameter(
            "share of chance among the group's runs told together, once those of the day have "
            "passed; at one look, and they are looked at after every run",
            "ratio",
            "one of seven, and half of that as chances of innocent runs are larger than they need "
            "be: that the group hunts has been shown, and a reader can tell which are",
        ),
    ] = 0.15
    false_share: Annotated[
        float,
        Parameter(
            "the same among others' runs, told with them",
            "ratio",
            "of twenty runs told one may be innocent, and others are named by it: the usual 5 %; "
            "looks are not paid for: were none a hunt, one is told in 13, 19, 21 and 26 % of such "
            "days with 10, 30, 100 and 300 runs",
        ),
    ] = 0.05
    pattern_runs: Annotated[
        int,
        Parameter(
            "runs in a day from which a rate may be significant, and strange ones of the group "
            "from which they are told together",
            "count",
            "two may be a coincidence of a busy hour, whatever the probability says",
        ),
    ] = 3
    together_alpha: Annotated[
        float,
        Parameter(
            "probability of one false pattern of the group's runs together an instrument and day, "
            "over all their looks",
            "probability",
            "looks n = 1, 2, ... spend together_alpha / (n (n + 1)), which adds up to it; of days "
            "of 20 to 300 innocent runs (uniform chances, simulated) 1.25 to 1.5 of it pass, and "
            "of 334 innocent runs on six simulated tapes 2 % and not 5 % are strange: 0.9 a "
            "platform-day of 30 instruments at most",
        ),
        msgspec.Meta(gt=0, le=1),
    ] = 0.02
    alpha: Annotated[
        float,
        Parameter(
            "the same of the group's share of runs caught by standing quotes, and of an account's "
            "runs together once the group's have passed",
            "probability",
            "an account is named by it, and quotes that stand are what a maker is for: a tenth of "
            "what the group's own pushes and orders added may spend",
        ),
    ] = 0.002
