"""The scoreboard: counts into shares and rates, each with what chance leaves open about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
import numpy as np
from scipy.stats import binomtest, chi2

from detectors.base import rounded
from market.counts import Cases, Counts, DetectorCount, ScenarioCount, WrongAlert
from market.truth import SCENARIOS, Truth

CONFIDENCE: Final = 0.95
"""Of every interval: the field's custom."""
PLATFORM_INSTRUMENTS: Final = 30
"""Instruments of the platform for which alerts a day are told: a mid-sized licensed one."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a whole, with its Wilson interval; all None where the whole is nothing."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts a platform-day of 30 instruments, with the exact Poisson interval."""

    count: int
    instrument_days: float
    per_instrument_day: float | None
    per_platform_day: float | None
    low: float | None
    high: float | None
    """Bounds of `per_platform_day`."""


class ScenarioScore(msgspec.Struct, frozen=True, kw_only=True):
    """How one scenario is seen."""

    claimed: bool
    """Whether any detector looks for it; where none does, recall is None, not 0."""
    recall: Share
    by_evasion: Mapping[str, Share]
    otherwise: int
    """Cases not found, of which right alerts told what they are besides."""
    alerts: int
    """Alerts that found a case or more."""
    alerts_per_found_case: float | None
    delay_median_s: float | None
    delay_p95_s: float | None
    """From a case's start to the first alert that found it."""
    harm_truth: float
    harm_alerts: float
    """Quote currency, of the cases found for which both are known."""


class DetectorScore(msgspec.Struct, frozen=True, kw_only=True):
    """What the alerts of one detector are worth."""

    precision: Share
    vague: int
    attempts: int
    """Alerts on conduct that came to nothing; in neither of the others."""
    rate: Rate


class Scoreboard(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of medium and above against the truth of one tape, or of several."""

    scenarios: Mapping[str, ScenarioScore]
    detectors: Mapping[str, DetectorScore]
    recall: Share
    """Of all cases, whether any detector looks for them or not."""
    recall_claimed: Share
    """Of those that a detector looks for."""
    precision: Share
    f1: float | None
    """Harmonic mean of `recall` and `precision`."""
    vague: int
    attempts: int
    """Alerts on conduct that came to nothing: neither right nor wrong; in no share and no rate."""
    unjudged: int
    """Alerts of a kind for which truth has no name; in no share and no rate."""
    not_counted: int
    """Alerts below medium, and retracted ones."""
    alerts_per_case: float | None
    """All alerts that count, over all cases."""
    right_alerts_per_found_case: float | None
    rate: Rate
    """On a tape without truth this is the rate of false alarms."""
    wrong: tuple[WrongAlert, ...]
    missed: tuple[Truth, ...]
    """The first few of each detector, and of each scenario."""


def scoreboard(counts: Counts, *, claimed: Collection[str]) -> Scoreboard:
    """Return the scoreboard of counts.

    Parameters
    ----------
    counts : Counts
    claimed : collection of str
        Scenarios that the detectors look for, as their specs say; scenarios of which there is no
        case are listed too when one is claimed.
    """
    cases = [count.cases for count in counts.scenarios.values()]
    seen = [count.cases for name, count in counts.scenarios.items() if name in claimed]
    total, ours = sum(cases, start=Cases()), sum(seen, start=Cases())
    alerts = sum(counts.detectors.values(), start=DetectorCount())
    recall = share(total.found, total.truths)
    precision = share(alerts.right, alerts.alerts)
    names = [*SCENARIOS, *sorted(set(counts.scenarios) - set(SCENARIOS))]
    return Scoreboard(
        scenarios={
            name: _scenario(counts.scenarios.get(name, ScenarioCount()), name in claimed)
            for name in names
            if name in counts.scenarios or name in claimed
        },
        detectors={
            name: DetectorScore(
                precision=share(count.right, count.alerts),
                vague=count.vague,
                attempts=count.attempts,
                rate=rate(count.alerts, counts.instrument_days),
            )
            for name, count in counts.detectors.items()
        },
        recall=recall,
        recall_claimed=share(ours.found, ours.truths),
        precision=precision,
        f1=_f1(recall, precision),
        vague=alerts.vague,
        attempts=alerts.attempts,
        unjudged=counts.unjudged,
        not_counted=counts.not_counted,
        alerts_per_case=_ratio(alerts.alerts, total.truths),
        right_alerts_per_found_case=_ratio(alerts.right, total.found),
        rate=rate(alerts.alerts, counts.instrument_days),
        wrong=counts.wrong,
        missed=counts.missed,
    )


def share(count: int, of: int) -> Share:
    """Return a share with its 95 % interval (Wilson 1927).

    >>> share(8, 10)
    Share(count=8, of=10, value=0.8, low=0.490162472, high=0.943317849)
    >>> share(0, 0).value is None
    True
    """
    if not of:
        return Share(count=count, of=of, value=None, low=None, high=None)
    bounds = binomtest(count, of).proportion_ci(CONFIDENCE, method="wilson")
    return Share(
        count=count,
        of=of,
        value=rounded(count / of),
        low=rounded(float(bounds.low)),
        high=rounded(float(bounds.high)),
    )


def plain(value: float) -> str:
    """Return a figure to three significant digits, without an exponent.

    >>> plain(1303.44), plain(0.0123456)
    ('1,300', '0.0123')
    """
    return f"{float(f'{value:.3g}'):,g}"


def rate(count: int, instrument_days: float) -> Rate:
    """Return a rate with its exact 95 % interval (Garwood 1936).

    >>> rate(0, 3.0).low, rate(0, 3.0).high
    (0.0, 36.8887945)
    """
    if not instrument_days:
        return Rate(
            count=count,
            instrument_days=0.0,
            per_instrument_day=None,
            per_platform_day=None,
            low=None,
            high=None,
        )
    tail = (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(1 - tail, 2 * count + 2)) / 2
    platform_days = instrument_days / PLATFORM_INSTRUMENTS
    return Rate(
        count=count,
        instrument_days=rounded(instrument_days),
        per_instrument_day=rounded(count / instrument_days),
        per_platform_day=rounded(count / platform_days),
        low=rounded(low / platform_days),
        high=rounded(high / platform_days),
    )


def _scenario(count: ScenarioCount, claimed: bool) -> ScenarioScore:
    cases = count.cases
    # Where nobody looks, that nothing was found is no recall of 0. Others' alerts may find.
    unseen = not claimed and not cases.found

    def recall(one: Cases) -> Share:
        found = share(one.found, one.truths)
        nothing: dict[str, None] = dict.fromkeys(("value", "low", "high"))
        return msgspec.structs.replace(found, **nothing) if unseen else found

    delays = np.array(count.delays_s)
    return ScenarioScore(
        claimed=claimed,
        recall=recall(cases),
        by_evasion={name: recall(evasion) for name, evasion in count.evasions.items()},
        otherwise=count.otherwise,
        alerts=count.alerts,
        alerts_per_found_case=_ratio(count.alerts, cases.found),
        delay_median_s=rounded(float(np.median(delays))) if len(delays) else None,
        delay_p95_s=rounded(float(np.percentile(delays, 95))) if len(delays) else None,
        harm_truth=rounded(count.harm_truth),
        harm_alerts=rounded(count.harm_alerts),
    )


def _ratio(count: int, of: int) -> float | None:
    return rounded(count / of) if of else None


def _f1(recall: Share, precision: Share) -> float | None:
    if recall.value is None or precision.value is None:
        return None
    total = recall.value + precision.value
    return rounded(2 * recall.value * precision.value / total) if total else 0.0
