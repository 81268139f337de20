"""Strange runs that are told together: how strange they must be, so that few of them are chance.

A run that is no case by itself says little. Where the group has been shown to hunt, by all its runs
of an instrument and day together, most of its strange runs are hunts. Up to which chance they are
told is as Blanchard and Roquain found in 2009 (their adaptive one-stage procedure): of n runs the r
strangest, where of n - r + 1 innocent ones no more than a share q (1 - q) of r would be as strange,
q being the share of chance among those told. The group's runs are one family, of whose told ones
`own_false_share` may be chance; those of all others, of whom some may push for it, another, with
`false_share`. It is looked anew after every run.

These looks are not paid for: a share is what holds at one look. Where a family has no hunt at all
(uniform chances, simulated), at a share of 0.05 one is told in 13, 19, 21 and 26 % of days of 10,
30, 100 and 300 runs; with one look at a day's end, in 4 %, but a day late; at a share of 0.15 in
32, 41, 53 and 63 %. Where 5 of 30, 10 of 20 or 10 of 300 are hunts, on average 7, 4 and 9 % of what
a day tells is chance at 0.05, and 21, 13 and 25 % at 0.15. Chances of innocent runs are larger than
uniform ones: of 334 by the group on six simulated tapes 4 % were up to 0.1, so expect less than
half of that. And all that is so only of days on which the
group's runs together have passed, by `together_alpha`.
"""

from __future__ import annotations

from bisect import insort
from typing import Final

import msgspec

from detectors.hunt_runs import Run

MAX_CHANCES: Final = 256
"""Chances of a family that are kept: the least. Without the others fewer runs are told."""
MAX_REFS: Final = 256
MAX_ACCOUNTS: Final = 17


class Strange(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a run that is no case by itself."""

    chance: float
    group: bool
    """The group ran the stops."""
    first_seq: int
    account: int
    """Of the push's first order."""
    catcher: int
    """Account of the group that caught first."""
    from_ns: int
    last_ns: int
    harm: int
    caught: int
    """Lots."""
    incomplete: bool
    measured: bool
    """The price before the push is known."""
    movers: tuple[int, ...]
    """Accounts that pushed or caught."""
    people: tuple[int, ...]
    refs: tuple[int, ...]
    """Seqs, at most `MAX_REFS`."""


class Family(msgspec.Struct, kw_only=True):
    """How strange the runs of one kind are, in one instrument and UTC day.

    >>> family = Family()
    >>> for chance in (0.001, 0.03, 0.002, 0.6):
    ...     family.count(chance, 0.05)
    >>> family.runs, family.limit(0.05)
    (4, 0.03)
    >>> for _ in range(6):
    ...     family.count(0.5, 0.05)
    >>> family.limit(0.05)
    0.002
    """

    runs: int = 0
    chances: list[float] = []
    """Upward: those up to `false_share`, at most `MAX_CHANCES`."""

    def count(self, chance: float, false_share: float) -> None:
        """Count a run; one above `false_share` can never be told."""
        self.runs += 1
        if chance <= false_share:
            insort(self.chances, chance)
            del self.chances[MAX_CHANCES:]

    def limit(self, false_share: float) -> float:
        """Return up to which chance runs are told; 0 = none is."""
        for rank in range(len(self.chances), 0, -1):
            chance = self.chances[rank - 1]
            others = self.runs - rank + 1
            if chance * others <= false_share * (1 - false_share) * rank:
                return chance
        return 0.0


def strange_of(
    run: Run, chance: float, refs: list[int], movers: list[int], people: list[int]
) -> Strange:
    """Return what is kept of a run until it is told."""
    return Strange(
        chance=chance,
        group=run.group,
        first_seq=run.first_seq,
        account=run.account,
        catcher=next((catch.account for catch in (*run.catches, *run.takes)), run.account),
        from_ns=run.from_ns,
        last_ns=run.last_ns,
        harm=run.harm,
        caught=run.caught,
        incomplete=run.incomplete,
        measured=run.touch is not None,
        movers=tuple(movers[:MAX_ACCOUNTS]),
        people=tuple(people),
        refs=tuple(refs[:MAX_REFS]),
    )
