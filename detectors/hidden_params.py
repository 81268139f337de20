"""Parameters of hidden_affiliates; the model's come from `benchmarks/hidden_affiliates.py`."""

from __future__ import annotations

from typing import Annotated, Final

from detectors.base import Parameter, Params

MODEL: Final = "docs/hidden-affiliates-model.md"


class HiddenAffiliatesParams(Params, frozen=True):
    """How trading is compared, the model's coefficients, and from where on an account is told."""

    half_lives_s: Annotated[
        tuple[int, int, int],
        Parameter(
            "half-lives over which what the group did is remembered; each is measured apart",
            "s",
            "each seven times the last: from an account on the group's own wire to a person who "
            "is called on the telephone; a longer one mixes in what the day's trend did to all",
        ),
    ] = (3, 21, 147)
    run_gap_s: Annotated[
        int,
        Parameter(
            "silence that ends a run: executions of an account on one side, taken as one decision",
            "s",
            "slices of one order come some seconds apart; to count each as a decision of its own "
            "makes half of all clients look significant",
        ),
    ] = 45
    quick_ms: Annotated[
        int,
        Parameter(
            "time after a trade of the group within which an instruction is quick",
            "ms",
            "a person needs about a second: what comes sooner, again and again, is one machine",
        ),
    ] = 700
    absent_s: Annotated[
        int,
        Parameter(
            "time without a fill of the group's resting orders after which it is away",
            "s",
            "a quoting maker is filled every second or two in an active instrument; external "
            "makers over the same time are the control where it is not",
        ),
    ] = 6
    look_s: Annotated[
        int,
        Parameter(
            "distance of the event times at which accounts are looked at, from 00:00 UTC",
            "s",
            "ten minutes: a run of looks shows whether it lasts, and none costs more than a "
            "millisecond an instrument",
        ),
    ] = 600
    least_runs: Annotated[
        int,
        Parameter(
            "runs of taking in the day without which an account is not judged",
            "count",
            "twelve coins on one side are one in two thousand: fewer single out nobody among a "
            "hundred accounts",
        ),
    ] = 12
    least_turns: Annotated[
        int,
        Parameter(
            "times in the day that it took on another side than before, without which an account "
            "is not proposed",
            "count",
            "who buys on a timer decided once, however often it is seen beside the group: six "
            "turns are as many decisions, one in sixty-four by coins",
        ),
    ] = 6
    turn_ratio: Annotated[
        float,
        Parameter(
            "such turns over those that independent runs give, as often on each side as its own, "
            "without which it is not proposed",
            "ratio",
            "half: where a run says the side of the next, many runs are few decisions",
        ),
    ] = 0.5
    least_shared: Annotated[
        int,
        Parameter(
            "trades of the day by a session or user that the group uses, and of the group's by it, "
            "from which on it is one login in common",
            "count",
            "three: one or two orders may bear a wrong stamp",
        ),
    ] = 3
    most_owners: Annotated[
        int,
        Parameter(
            "owners beside the group up to which a session or user in common says something",
            "count",
            "two: what three and more come through is a gateway or a broker's line",
        ),
    ] = 2
    most_common: Annotated[
        float,
        Parameter(
            "share of sessions (or users) that more than one owner uses, above which to have one "
            "in common with the group says nothing",
            "ratio",
            "one in twenty: then the group's being shared by chance is as unlikely",
        ),
    ] = 0.05
    least_names: Annotated[
        int,
        Parameter(
            "sessions (or users) seen that day without which it is not known how common sharing is",
            "count",
            "ten: of fewer, one shared is more than one in twenty, none is no custom",
        ),
    ] = 10
    least_crowd: Annotated[
        int,
        Parameter(
            "accounts in an instrument without which it is left out",
            "count",
            "an account is held against the others: among three there is no usual",
        ),
    ] = 4
    usual_runs: Annotated[
        float,
        Parameter(
            "runs of usual spread that every account is credited with",
            "count",
            "a spread measured from a dozen runs may be small by chance; five more of the usual "
            "keep its deviations below those that a long record gives",
        ),
    ] = 5.0
    most_surprise: Annotated[
        float,
        Parameter(
            "surprise beyond which a feature counts no further",
            "nats",
            "20 nats are one in five hundred million: beyond that the normal law of the "
            "deviations is not to be trusted, and no feature may outvote the rest by more",
        ),
    ] = 20.0
    style_ratio: Annotated[
        float,
        Parameter(
            "what others show of a feature, over what an account does, from which they show it too",
            "ratio",
            "two thirds: of six deviations four, which chance gives one of thirty thousand; so "
            "these trade likewise, for whatever reason",
        ),
    ] = 0.67
    style_others: Annotated[
        int,
        Parameter(
            "others that show a feature too from which on it says no more than how many do",
            "count",
            "three: the group's own nominees are one or two of a platform's accounts; more who "
            "take the group's side, or relieve it, are arbitrageurs or followers of one signal",
        ),
    ] = 3
    model_version: Annotated[
        int,
        Parameter("version of the coefficients below", "version", f"stands in {MODEL}"),
    ] = 2
    one_in: Annotated[
        int,
        Parameter(
            "accounts judged of which the model expects one to act for the group",
            "count",
            "a platform as small as those it was fitted on; where more are judged each is as "
            "much less likely, so that a large platform has no more false proposals",
        ),
    ] = 80
    intercept: Annotated[
        float,
        Parameter("the model's log-odds where every feature is 0", "log-odds", f"fitted: {MODEL}"),
    ] = -7.25
    against_weight: Annotated[
        float,
        Parameter(
            "log-odds a nat of surprise at taking the side that relieves the group of what it got",
            "log-odds",
            f"fitted, at least 0: {MODEL}",
        ),
    ] = 1.25
    alike_weight: Annotated[
        float,
        Parameter(
            "log-odds a nat of surprise at taking the group's own side",
            "log-odds",
            f"fitted, at least 0: {MODEL}",
        ),
    ] = 0.93
    quick_weight: Annotated[
        float,
        Parameter(
            "log-odds a nat of surprise at trading at once after the group",
            "log-odds",
            f"fitted, at least 0: {MODEL}",
        ),
    ] = 0.76
    absent_weight: Annotated[
        float,
        Parameter(
            "log-odds a nat of surprise at being filled while the group is away",
            "log-odds",
            f"fitted, at least 0: {MODEL}",
        ),
    ] = 0.75
    told_probability: Annotated[
        float,
        Parameter(
            "probability from which an account is told, as a lead",
            "probability",
            "one in ten, eight times the one_in of all accounts; one that shows nothing starts "
            "lower, at the intercept: below that a person reads about innocent clients only",
        ),
    ] = 0.1
    sure_probability: Annotated[
        float,
        Parameter(
            "probability from which an account is proposed as the group's",
            "probability",
            "four in five by the model: a proposal costs a client an inquiry, and accounts are "
            "looked at again every ten minutes",
        ),
    ] = 0.8
    any_chance: Annotated[
        float,
        Parameter(
            "chance that any of the accounts judged shows as much by chance, above which none is "
            "proposed",
            "probability",
            "three in ten: among a hundred accounts one is three deviations off in something at "
            "every other look, and the model, fitted to two simulated hours, takes one strong "
            "sign for proof; beside its probability that need not be rare by itself",
        ),
    ] = 0.3
    most_told: Annotated[
        int,
        Parameter(
            "accounts that a look tells anew, the likeliest",
            "count",
            "three: who else looks alike is told after these were looked into",
        ),
    ] = 3
