"""Parameters of spoofing."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params


class SpoofingParams(Params, frozen=True):
    """Thresholds of spoofing."""

    episode_gap_s: Annotated[
        int,
        Parameter(
            "time without a cycle after which an episode is closed",
            "s",
            "cycles serve one purpose, a position to be built or left; that is minutes, not hours",
        ),
    ] = 400
    settle_ms: Annotated[
        int,
        Parameter(
            "time for which size must stay away to count as withdrawn",
            "ms",
            "a quote that is moved is back within a maker's look at the market: less than a second",
        ),
    ] = 1_000
    answer_s: Annotated[
        float,
        Parameter(
            "time from a fill within which more on the other side answers it, and is no surge, "
            "where the mean pause between fills is twice as long",
            "s",
            "two: a desk that has just bought asks to sell at its next look, within a second or "
            "two, and takes that back once it has sold; what lures stands before. Who is filled "
            "all the time answers no single fill",
        ),
    ] = 2.0
    soon_s: Annotated[
        int,
        Parameter(
            "time from the last fill on the other side to the fall up to which a cycle is prompt",
            "s",
            "layers that have done their work stand at risk and go within seconds; of what goes "
            "later, much goes for what has happened since, and only a pattern tells the two apart",
        ),
    ] = 30
    brief_s: Annotated[
        int,
        Parameter(
            "time from where a surge last grew, by a quarter, to its fall up to which it is prompt",
            "s",
            "what lures does so within a minute or so; size that stands longer meets fills by "
            "itself, and goes again for reasons of its own",
        ),
    ] = 80
    least_ratio: Annotated[
        float,
        Parameter(
            "lots or orders beyond habit from which on they are followed, over what is usual there",
            "ratio",
            "a quarter of a side: less is how a maker's sizes come and go; above, it is a feature. "
            "Of orders, more than one: a quote is entered anew before or after the old one goes",
        ),
    ] = 0.25
    majority_ratio: Annotated[
        float,
        Parameter(
            "share of what went that was withdrawn by choice, and that had come for the surge",
            "ratio",
            "more of it than not: what was filled, or had always stood there, is no layer",
        ),
    ] = 0.5
    sample_s: Annotated[
        int,
        Parameter(
            "time between two samples of displayed size",
            "s",
            "96 samples make a habit of 24 minutes, long against layers and short against a day",
        ),
    ] = 15
    fewest_samples: Annotated[
        int,
        Parameter(
            "samples before a habit is known",
            "count",
            "a minute: with fewer an opening book would be its own habit",
        ),
    ] = 4
    window_s: Annotated[
        int,
        Parameter(
            "how far back surges and external makers' time are counted; at least five sixths of it",
            "s",
            "a day: every hour of it is in, and a maker that has changed is judged by what it is "
            "now; the UTC day would begin each midnight without a habit",
        ),
    ] = 86_400
    fewest_cycles: Annotated[
        int,
        Parameter(
            "prompt cycles that make a case",
            "count",
            "repeated: one withdrawal after a fill is what anybody may do once",
        ),
    ] = 2
    chance: Annotated[
        float,
        Parameter(
            "p up to which an episode's prompt cycles are no coincidence, at external makers' rate "
            "or that of the instrument's weak episodes where it is higher",
            "ratio",
            "one in a hundred of episodes that are rare already: a lone cycle is told as weak",
        ),
    ] = 0.01
    least_trials: Annotated[
        int,
        Parameter(
            "surges with a fill from which on the instrument has a rate of its own",
            "count",
            "of fewer none can be improbable; until then the cycles must be, as `early` says",
        ),
    ] = 6
    both: Annotated[
        float,
        Parameter(
            "p up to which it agrees: of the cycles and of its own rate, by Fisher's method",
            "ratio",
            "one in a hundred thousand: the cycles are in the rate too and those of several desks "
            "come in clusters, so chance gives it more often than that; a tenfold greater p told "
            "one in some hundred hours without abuse, an instrument",
        ),
    ] = 1e-5
    early: Annotated[
        float,
        Parameter(
            "p of the cycles up to which they are told before the instrument has a rate of its own",
            "ratio",
            "one in a thousand: there is nothing else against them yet, and two cycles that "
            "others' rate makes one in a hundred come by chance",
        ),
    ] = 1e-3
    refuting_p: Annotated[
        float,
        Parameter(
            "p of the rate above which cycles are told as weak, where it could have been `chance`",
            "ratio",
            "one in four: size that goes no more often after fills than else is a maker's that "
            "comes and goes, however rarely others' does; nearer to one half it says neither",
        ),
    ] = 0.25
    own_p: Annotated[
        float,
        Parameter(
            "p up to which size of the complex's own that met no fill must agree, if there is as "
            "much of it as could show that; else cycles are told as weak",
            "ratio",
            "one in twenty: size that goes as often without a fill is a desk's that comes and "
            "goes, however rarely external makers' does; against them alone any such desk has a "
            "rate",
        ),
    ] = 0.05
    own_level: Annotated[
        float,
        Parameter(
            "p of size of the complex's own, that with a fill against that without, up to which it "
            "says by itself that the former goes more often",
            "ratio",
            "one in ten thousand: looked at anew at each cycle of a day, in the clearer of two "
            "measures; a desk that lays its position off came to one in a thousand in ninety "
            "minutes",
        ),
    ] = 1e-4
    own_ratio: Annotated[
        float,
        Parameter(
            "times as likely that size of the complex's own goes after a fill as without one, in "
            "like time stood, without which the day shows no pattern by its rate",
            "ratio",
            "three: a desk that lays its position off, or skews for it, has size that goes up to "
            "2.6 times as often once it is filled, on other simulated markets; over a day that "
            "is as significant as one likes, and no layering",
        ),
    ] = 3.0
    silent_trials: Annotated[
        int,
        Parameter(
            "surges with a fill from which on external makers alone decide, where hardly any size "
            "of the complex's own stood as long without one",
            "count",
            "two dozen: a desk whose sizes come and go has shown some by then; who shows more only "
            "to withdraw it after fills must not be safe for that",
        ),
    ] = 24
    plain_size: Annotated[
        float,
        Parameter(
            "mean size of an episode's cycles beyond habit, over what is usual there, below which "
            "no coincidence is a case, unless size of the complex's own that met no fill says that "
            "theirs goes more often, at `own_level`",
            "ratio",
            "as much again as is usual: makers whose quotes are entered anew, or grow and shrink, "
            "come to half of that or two thirds, and do so many times in some minutes",
        ),
    ] = 1.0
    small_both: Annotated[
        float,
        Parameter(
            "p of the cycles and of the complex's own size, by Fisher's method, up to which cycles "
            "smaller than `plain_size` are a case though its own size agrees at `own_p` only",
            "ratio",
            "one in a hundred million, a thousandth of `both`: a dozen within minutes of a desk "
            "that does so once an hour need no certainty of what else its size does; ladders that "
            "are entered anew come to five",
        ),
    ] = 1e-8
    least_large: Annotated[
        int,
        Parameter(
            "large prompt cycles of a day from which on they are held against external makers'",
            "count",
            "three: of one or two that go soon after a fill chance gives as much as design",
        ),
    ] = 3
    each_p: Annotated[
        float,
        Parameter(
            "p up to which their number, and how soon after fills they go within the time that "
            "they stood, must each agree",
            "ratio",
            "one in twenty: size that goes at any time is a desk's that shows more than others do, "
            "whatever its number; and where all makers' goes at once, so may the group's",
        ),
    ] = 0.05
    sooner_p: Annotated[
        float,
        Parameter(
            "chance, were a cycle's size to go any time, of its going so soon after its fills, up "
            "to which it is told with the day's others as large",
            "ratio",
            "one half: of a pattern that others show, one that went no sooner than not is no part",
        ),
    ] = 0.5
    large_level: Annotated[
        float,
        Parameter(
            "p of their number and of how soon they go, together, from which on they are a pattern",
            "ratio",
            "one in two thousand: at each such cycle of a day anew, so some one in three hundred "
            "of instruments' days; with 30 instruments one in eleven days",
        ),
    ] = 5e-4
    rate_level: Annotated[
        float,
        Parameter(
            "false alarms of an instrument's rate test in a UTC day; its test k gets 1/(k(k+1))",
            "ratio",
            "a thousandth: with 30 instruments one in 33 days is wrong about one; wrong about a "
            "pattern, so about all its lone cycles of that day",
        ),
    ] = 0.001
