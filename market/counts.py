"""What was counted when alerts were held against truth; the counts of several tapes add up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from alerts.record import Alert
from ingest.times import DAY, SECOND
from market.judge import Judge, Verdict, counts, finders
from market.truth import Truth

EXAMPLES: Final = 20
"""Wrong alerts of a detector, and missed cases of a scenario, that are told one by one."""
NOT_RIGHT: Final = ("vague", "wrong")


class Cases(msgspec.Struct, frozen=True):
    """How many cases there were, and how many of them were found."""

    truths: int = 0
    found: int = 0

    def __add__(self, other: Cases) -> Cases:
        """Return both together."""
        return Cases(self.truths + other.truths, self.found + other.found)


class ScenarioCount(msgspec.Struct, frozen=True, kw_only=True):
    """The cases of one scenario."""

    cases: Cases = Cases()
    evasions: dict[str, Cases] = {}
    """By how they were hidden."""
    otherwise: int = 0
    """Cases not found, of which right alerts told what they are besides."""
    alerts: int = 0
    """Alerts that found one of them or more."""
    delays_s: tuple[float, ...] = ()
    """Of each case that was found: from its start to the first alert that found it; 0 for an alert
    that was open already. Ascending."""
    harm_truth: float = 0.0
    """Quote currency: of the cases found whose harm is known and was told by their alerts."""
    harm_alerts: float = 0.0
    """Quote currency: what those alerts told."""

    def __add__(self, other: ScenarioCount) -> ScenarioCount:
        """Return both together."""
        return ScenarioCount(
            cases=self.cases + other.cases,
            evasions=_merged(self.evasions, other.evasions, Cases()),
            otherwise=self.otherwise + other.otherwise,
            alerts=self.alerts + other.alerts,
            delays_s=tuple(sorted(self.delays_s + other.delays_s)),
            harm_truth=self.harm_truth + other.harm_truth,
            harm_alerts=self.harm_alerts + other.harm_alerts,
        )


class DetectorCount(msgspec.Struct, frozen=True):
    """The alerts of one detector that claim something."""

    alerts: int = 0
    """Those on attempts left out."""
    right: int = 0
    vague: int = 0
    attempts: int = 0
    """Alerts on conduct that came to nothing: neither right nor wrong, in no share and no rate."""

    def __add__(self, other: DetectorCount) -> DetectorCount:
        """Return both together."""
        return DetectorCount(
            self.alerts + other.alerts,
            self.right + other.right,
            self.vague + other.vague,
            self.attempts + other.attempts,
        )


Item = TypeVar("Item")
Addable = TypeVar("Addable", Cases, ScenarioCount, DetectorCount)


class WrongAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that was not right, for a developer to look at."""

    alert_id: str
    detector: str
    scenario: str
    instrument: str
    accounts: tuple[str, ...]
    window_start_ns: int
    window_end_ns: int
    worth: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted on one tape, or on several."""

    scenarios: dict[str, ScenarioCount] = {}
    detectors: dict[str, DetectorCount] = {}
    unjudged: int = 0
    """Alerts of a kind for which truth has no name: neither right nor wrong."""
    not_counted: int = 0
    """Alerts below medium, and retracted ones."""
    instrument_days: float = 0.0
    wrong: tuple[WrongAlert, ...] = ()
    missed: tuple[Truth, ...] = ()
    """The first few of each detector, and of each scenario."""

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(
            scenarios=_merged(self.scenarios, other.scenarios, ScenarioCount()),
            detectors=_merged(self.detectors, other.detectors, DetectorCount()),
            unjudged=self.unjudged + other.unjudged,
            not_counted=self.not_counted + other.not_counted,
            instrument_days=self.instrument_days + other.instrument_days,
            wrong=self.wrong + other.wrong,
            missed=self.missed + other.missed,
        )


def count(
    alerts: Iterable[Alert],
    truths: Iterable[Truth],
    attempts: Iterable[Truth] = (),
    *,
    length_ns: int,
    instruments: int,
) -> Counts:
    """Return what alerts are worth against the truth of a tape; the order of either is nothing.

    Parameters
    ----------
    alerts : iterable of Alert
        The last revision of each.
    truths : iterable of Truth
    attempts : iterable of Truth
        What came to nothing: an alert on these alone is left out.
    length_ns : int
        From the tape's first to its last event.
    instruments : int
        That the tape has.
    """
    given = sorted(alerts, key=lambda a: (a.detected_ns, a.alert_id, a.detector))
    cases = sorted(truths, key=lambda t: (t.start_ns, t.end_ns, msgspec.json.encode(t)))
    judge = Judge(cases, length_ns, list(attempts))
    claims = [alert for alert in given if counts(alert)]
    judged = [alert for alert in claims if judge.known(alert)]
    verdicts = {place: judge.verdict(alert) for place, alert in enumerate(judged)}
    detectors: dict[str, DetectorCount] = {}
    for place, verdict in verdicts.items():
        name = judged[place].detector
        detectors[name] = detectors.get(name, DetectorCount()) + _one(verdict)
    found = finders(verdicts)
    besides = {place for verdict in verdicts.values() for place in verdict.also} - set(found)
    scenarios: dict[str, list[int]] = {}
    for place, truth in enumerate(cases):
        scenarios.setdefault(truth.scenario, []).append(place)
    wrong = [_wrong(judged[p], v) for p, v in verdicts.items() if v.worth in NOT_RIGHT]
    missed = [case for place, case in enumerate(cases) if place not in found]
    return Counts(
        scenarios={
            name: _scenario(cases, places, judged, found, besides)
            for name, places in sorted(scenarios.items())
        },
        detectors=dict(sorted(detectors.items())),
        unjudged=len(claims) - len(judged),
        not_counted=len(given) - len(claims),
        instrument_days=instruments * length_ns / DAY,
        wrong=tuple(_first(wrong, lambda alert: alert.detector)),
        missed=tuple(_first(missed, lambda case: case.scenario)),
    )


def _one(verdict: Verdict) -> DetectorCount:
    if verdict.worth == "attempt":
        return DetectorCount(attempts=1)
    return DetectorCount(1, int(verdict.worth == "right"), int(verdict.worth == "vague"))


def add_up(parts: Iterable[Counts]) -> Counts:
    """Return the counts of several tapes together; sums are taken in the order given."""
    return sum(parts, start=Counts())


def _scenario(
    cases: Sequence[Truth],
    places: Sequence[int],
    alerts: Sequence[Alert],
    found: dict[int, list[int]],
    besides: set[int],
) -> ScenarioCount:
    evasions: dict[str, Cases] = {}
    delays: list[float] = []
    harms: list[float] = []
    telling: set[int] = set()
    for place in places:
        case, by = cases[place], found.get(place, [])
        evasions[case.evasion] = evasions.get(case.evasion, Cases()) + Cases(1, int(bool(by)))
        if by:
            detected_ns = min(alerts[alert].detected_ns for alert in by)
            delays.append(max(0, detected_ns - case.start_ns) / SECOND)
        told = {alert for alert in by if alerts[alert].client_harm is not None}
        if told and case.client_harm is not None:
            harms.append(case.client_harm)
            telling |= told
    return ScenarioCount(
        cases=Cases(len(places), len(delays)),
        evasions=dict(sorted(evasions.items())),
        otherwise=len(besides.intersection(places)),
        alerts=len({alert for place in places for alert in found.get(place, [])}),
        delays_s=tuple(sorted(delays)),
        harm_truth=math.fsum(harms),
        harm_alerts=math.fsum(alerts[alert].client_harm or 0.0 for alert in telling),
    )


def _first(items: Iterable[Item], kind: Callable[[Item], str]) -> Iterator[Item]:
    seen: Counter[str] = Counter()
    for item in items:
        seen[kind(item)] += 1
        if seen[kind(item)] <= EXAMPLES:
            yield item


def _wrong(alert: Alert, verdict: Verdict) -> WrongAlert:
    return WrongAlert(
        alert_id=alert.alert_id,
        detector=alert.detector,
        scenario=alert.scenario,
        instrument=alert.instrument,
        accounts=alert.accounts,
        window_start_ns=alert.window_start_ns,
        window_end_ns=alert.window_end_ns,
        worth=verdict.worth,
    )


def _merged(
    one: dict[str, Addable], other: dict[str, Addable], zero: Addable
) -> dict[str, Addable]:
    return {name: one.get(name, zero) + other.get(name, zero) for name in sorted({*one, *other})}
