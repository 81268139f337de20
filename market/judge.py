"""What each alert is worth against the truth of a tape: right, vague, wrong, or on an attempt.

The contract's match comes first; then the rules against alerts that say so much that they cannot
miss. Each alert is judged by itself, so no other alert can change what it is worth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from alerts.record import SEVERITIES, Alert, Severity
from ingest.times import SECOND
from market.truth import SCENARIOS, Truth

LEAST_SEVERITY: Final[Severity] = "medium"
"""Below it nobody is asked to look, so nothing was claimed."""
MAX_NAMES: Final = 5
"""Scenarios that one alert may name. Five fit one fact: a trade with oneself is also within one
owner and within the group, arranged beforehand, and may close a ring."""
MIN_NAME_SHARE: Final = 1 / 3
"""Of the scenarios that an alert names, those that the cases it matches are: two guesses beside
what was seen."""
MIN_ID_SHARE: Final = 1 / 3
"""Of the ids that an alert names, those of the cases it matches: a case told with whom it hurt and
with some context is above it, every id of a maker's hour below it, however dense the abuse."""
MIN_ID_SHARE_ALL_DAY: Final = 0.4
"""The same for an alert over more than half the tape: by chance it holds every id of an account
that trades little, so a pattern told over so long must be a pattern in what it names."""
MAX_STRETCH: Final = 10
"""Length of an alert over that of the cases without ids which it matches: an hourly window may tell
of six minutes."""
MIN_WINDOW_S: Final = 60.0
"""A window this short is never too long: the smallest that detectors cut time into."""
MAX_STRETCH_ALL_DAY: Final = 2
"""The same for an alert over more than half the tape: it overlaps nearly everything by chance, so
that only cases that are as long are worth it."""
MIN_ACCOUNT_SHARE: Final = 0.2
"""Of the accounts that an alert names, those of the cases without ids which it matches: one hidden
account beside the four known ones of a group."""

Worth = Literal["right", "vague", "wrong", "attempt"]
"""`attempt`: it tells of conduct that came to nothing, and of no case; neither right nor wrong."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert is worth, and the cases it is right about, by their place in the truth."""

    worth: Worth
    own: tuple[int, ...] = ()
    """Cases whose own scenario it names: it finds them."""
    also: tuple[int, ...] = ()
    """Cases of which it names only what they are besides: right, but they are not found by it."""


class Judge:
    """Judges alerts against the truth of one tape.

    Parameters
    ----------
    cases : sequence of Truth
    length_ns : int
        From the tape's first to its last event.
    attempts : sequence of Truth
        What came to nothing. An alert's ids and names are explained by both together; no attempt
        is found.
    """

    def __init__(
        self, cases: Sequence[Truth], length_ns: int, attempts: Sequence[Truth] = ()
    ) -> None:
        self._truths = [*cases, *attempts]
        self._cases = len(cases)
        """Places from here on are attempts'."""
        self._length_ns = length_ns
        self._ids = [frozenset((*t.order_ids, *t.trade_ids)) for t in self._truths]
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for place, truth in enumerate(self._truths):
            for name in {truth.scenario, *truth.also}:
                self._by_name[name].append(place)
        self._known = {*SCENARIOS, *self._by_name}

    def known(self, alert: Alert) -> bool:
        """Return whether truth has a name for anything that an alert claims."""
        return not self._known.isdisjoint((alert.scenario, *alert.facets))

    def verdict(self, alert: Alert) -> Verdict:
        """Return what one alert is worth."""
        names = frozenset(self._known.intersection((alert.scenario, *alert.facets)))
        ids = frozenset((*alert.order_ids, *alert.trade_ids))
        met = sorted({p for name in names for p in self._by_name.get(name, ())})
        met = [place for place in met if self._meets(alert, ids, place)]
        alone = self._of(alert, names, [place for place in met if place < self._cases])
        return alone if alone.worth == "right" else self._of(alert, names, met)

    def _of(self, alert: Alert, names: frozenset[str], met: Sequence[int]) -> Verdict:
        """Return what an alert is worth as one about these."""
        if not met:
            return Verdict(worth="wrong")
        by_ids = [place for place in met if self._ids[place]]
        by_time = [place for place in met if not self._ids[place]]
        kept: list[int] = []
        if self._enough_ids(alert, by_ids):
            kept += by_ids
        if self._short_enough(alert, by_time) and self._pointed_enough(alert, by_time):
            kept += by_time
        if not kept or not self._few_names(names, kept):
            return Verdict(worth="vague")
        cases = sorted(place for place in kept if place < self._cases)
        if not cases:
            return Verdict(worth="attempt")
        own = tuple(place for place in cases if self._truths[place].scenario in names)
        return Verdict(worth="right", own=own, also=tuple(sorted(set(cases) - set(own))))

    def _meets(self, alert: Alert, ids: frozenset[str], place: int) -> bool:
        """Return whether instrument, accounts, time and ids are those of a case."""
        truth = self._truths[place]
        return (
            (not truth.instrument or alert.instrument in (truth.instrument, *truth.instruments))
            and not set(alert.accounts).isdisjoint(truth.accounts)
            and alert.window_start_ns <= truth.end_ns
            and truth.start_ns <= alert.window_end_ns
            and not (self._ids[place] and ids.isdisjoint(self._ids[place]))
        )

    def _few_names(self, names: frozenset[str], places: Iterable[int]) -> bool:
        right = {n for p in places for n in (self._truths[p].scenario, *self._truths[p].also)}
        return len(names) <= MAX_NAMES and len(names & right) >= MIN_NAME_SHARE * len(names)

    def _enough_ids(self, alert: Alert, places: Sequence[int]) -> bool:
        """Return whether enough of the ids named are of the cases: of the kinds that those name.

        Where truth names the trades alone (a wrong flag), their orders are neither right nor wrong.
        """
        cases = [self._truths[place] for place in places]
        named: set[str] = set()
        named.update(alert.order_ids if any(case.order_ids for case in cases) else ())
        named.update(alert.trade_ids if any(case.trade_ids for case in cases) else ())
        explained = {id_ for place in places for id_ in self._ids[place] & named}
        least = MIN_ID_SHARE_ALL_DAY if self._all_day(alert) else MIN_ID_SHARE
        return len(explained) >= least * len(named)

    def _short_enough(self, alert: Alert, places: Iterable[int]) -> bool:
        window_ns = alert.window_end_ns - alert.window_start_ns
        told_ns = covered([(self._truths[p].start_ns, self._truths[p].end_ns) for p in places])
        if self._all_day(alert):
            return window_ns <= MAX_STRETCH_ALL_DAY * told_ns
        return window_ns <= max(MAX_STRETCH * told_ns, MIN_WINDOW_S * SECOND)

    def _all_day(self, alert: Alert) -> bool:
        return 2 * (alert.window_end_ns - alert.window_start_ns) > self._length_ns

    def _pointed_enough(self, alert: Alert, places: Iterable[int]) -> bool:
        theirs = {account for place in places for account in self._truths[place].accounts}
        named = set(alert.accounts)
        return len(named & theirs) >= MIN_ACCOUNT_SHARE * len(named)


def counts(alert: Alert) -> bool:
    """Return whether an alert claims anything: medium or above, and not retracted."""
    severe = SEVERITIES.index(alert.severity) >= SEVERITIES.index(LEAST_SEVERITY)
    return severe and alert.status != "retracted"


def covered(intervals: Iterable[tuple[int, int]]) -> int:
    """Return the length of the union of intervals.

    >>> covered([(5, 9), (0, 2), (1, 4), (6, 7)])
    8
    """
    total, reached = 0, None
    for start, end in sorted(intervals):
        if reached is None or start > reached:
            total += end - start
            reached = end
        elif end > reached:
            total += end - reached
            reached = end
    return total


def finders(verdicts: Mapping[int, Verdict]) -> dict[int, list[int]]:
    """Return the alerts that find each case, both by place."""
    found: dict[int, list[int]] = defaultdict(list)
    for alert, verdict in verdicts.items():
        for place in verdict.own:
            found[place].append(alert)
    return found
