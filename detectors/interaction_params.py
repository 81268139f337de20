"""Parameters of client_interaction."""

from __future__ import annotations

from typing import Annotated

from detectors.base import Parameter, Params
from detectors.interaction_state import KEPT_BUCKETS


class ClientInteractionParams(Params, frozen=True):
    """When client_interaction tests, and how sure it must be."""

    bucket_s: Annotated[
        int,
        Parameter(
            "distance of the event times at which tests are made, from 00:00 UTC",
            "s",
            "two and a half minutes: half of the shortest time that is tested, so that of a spell "
            "little longer than that a test holds most, wherever it begins",
        ),
    ] = 150
    reaction_ms: Annotated[
        int,
        Parameter(
            "how long after a look a maker must act for its next move to count: to have seen it",
            "ms",
            "a tenth of a second: a price's way into a model and out to the book is shorter",
        ),
    ] = 100
    peer_idle_s: Annotated[
        int,
        Parameter(
            "time without an order record after which a maker's quotes are no peer's",
            "s",
            "a minute: who has left two orders standing makes no market to compare with",
        ),
    ] = 60
    habit_s: Annotated[
        int,
        Parameter(
            "time over which the mean of a quote's distance from a peer's is habit, and no lean",
            "s",
            "ten seconds: beyond the longest horizon, so that what is foreseen is no habit yet; "
            "what lasts longer is width, stock or a slow model",
        ),
    ] = 10
    volatile_s: Annotated[
        int,
        Parameter(
            "time over which the mean of external makers' moves is what they move of late",
            "s",
            "twenty seconds, eighty looks: long enough for a mean that is no single jump, short "
            "enough to be in a storm soon after it begins",
        ),
    ] = 20
    usual_s: Annotated[
        int,
        Parameter(
            "time over which the mean of the same moves is what is usual",
            "s",
            "an hour: longer than a storm, shorter than the course of a day",
        ),
    ] = 3_600
    volatile_percent: Annotated[
        int,
        Parameter(
            "what moves are of late, over what is usual, above which a look is volatile",
            "percent",
            "half as much again: a mean of eighty looks is not that by chance where prices move at "
            "most looks; foresight used only then is diluted over all looks beyond telling",
        ),
    ] = 150
    scales: Annotated[
        tuple[int, ...],
        Parameter(
            f"how many of the latest buckets are tested together; {KEPT_BUCKETS} are kept",
            "count",
            "5, 10, 25 and 90 minutes: thirty blocks of ten seconds are the fewest from which to "
            "tell a mean, and a treatment may last from minutes to hours",
        ),
    ] = (2, 4, 10, 36)
    daily_false_alarms: Annotated[
        float,
        Parameter(
            "false alarms spent on an instrument's day: half on quotes, half on fills, in equal "
            "parts on all tests of each",
            "count",
            "0.6 a platform-day of 30 instruments, of a budget of 5 for all detectors together",
        ),
    ] = 0.02
    min_quote_blocks: Annotated[
        int,
        Parameter(
            "blocks with quotes to compare without which quotes are not tested",
            "count",
            "with fewer, Student's tail at one in a million rests on the shape of single blocks",
        ),
    ] = 20
    min_fill_blocks: Annotated[
        int,
        Parameter(
            "blocks of ten seconds with fills, of the complex and of a peer, likewise",
            "count",
            "fills are fewer and their moves heavier-tailed than those of quotes",
        ),
    ] = 30
    min_fills: Annotated[
        int,
        Parameter(
            "fills of clients against the complex in the tested time without which nothing is told",
            "count",
            "quotes that nobody was filled at cost nobody anything",
        ),
    ] = 4
    moved_chance: Annotated[
        float,
        Parameter(
            "largest chance of the same test among peers whose own mid has changed since",
            "probability",
            "one in twenty: peers that act and do not catch up whole lag by themselves",
        ),
    ] = 0.05
    recent_chance: Annotated[
        float,
        Parameter(
            "largest chance of the shortest of the tests alone in one that passes over more",
            "probability",
            "one in five: what is over stops being told, and five slow minutes do not end a spell",
        ),
    ] = 0.2
    recent_ratio: Annotated[
        float,
        Parameter(
            "what quotes held in the shortest of the tests, over what they held where the spell "
            "was clearest, from which on the spell goes on",
            "ratio",
            "a half: nearer to the spell than to nothing; one test in five passes by chance",
        ),
    ] = 0.5
    drift_markout_blocks: Annotated[
        int,
        Parameter(
            "blocks with fills, of the group and of a peer, without which a step moves no drift",
            "count",
            "five: a mean of fewer has no variance worth the name",
        ),
    ] = 5
    drift_allowance: Annotated[
        float,
        Parameter(
            "normal scores by which a step may be worse without adding to the drift",
            "deviations",
            "half the shift of one deviation that a cumulative sum is quickest to find (Page 1954)",
        ),
    ] = 0.5
    drift_bound: Annotated[
        float,
        Parameter(
            "cumulative sum from which on a drift is told",
            "deviations",
            "by chance once in ten years of an instrument (Siegmund 1985, 10.1.16)",
        ),
    ] = 12.0
    episode_gap_s: Annotated[
        int,
        Parameter(
            "time without a passed test after which an episode is closed",
            "s",
            "twenty-five minutes, five of the shortest tests that show nothing: what passes again "
            "after that, of what came since, is another spell",
        ),
    ] = 1_500

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        if not self.scales or not 0 < max(self.scales) <= KEPT_BUCKETS or min(self.scales) < 1:
            raise ValueError(f"scales must lie within 1 to {KEPT_BUCKETS}, were {self.scales}")
        if list(self.scales) != sorted(set(self.scales)):
            raise ValueError(f"scales must rise, were {self.scales}")
        if self.bucket_s < 10 or self.bucket_s % 10:
            raise ValueError(f"bucket_s must be whole blocks of 10 s, was {self.bucket_s}")
        if min(self.habit_s, self.volatile_s) < 1:
            raise ValueError(
                f"habit_s and volatile_s must be at least 1, were {self.habit_s}, {self.volatile_s}"
            )
        if self.usual_s <= self.volatile_s or self.volatile_percent <= 100:
            raise ValueError(
                f"usual_s must be greater than volatile_s {self.volatile_s} and volatile_percent "
                f"than 100, were {self.usual_s}, {self.volatile_percent}"
            )
        if self.episode_gap_s <= self.bucket_s:
            raise ValueError(
                f"episode_gap_s must be greater than bucket_s {self.bucket_s}, "
                f"was {self.episode_gap_s}"
            )
