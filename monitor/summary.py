"""What a run says of itself at the end: counts that add up, alerts by kind, and cost."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerts.record import SEVERITIES, Alert
from monitor.pipeline import Pipeline


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The content of summary.json; counts are records unless the name says otherwise."""

    events: int
    processed: int
    rejects: dict[str, int]
    duplicates: int
    late: int
    pending: int
    gaps: int
    unknown_accounts: int
    """Distinct accounts without a registry row in force at some event."""
    unknown_account_events: int
    unknown_fields: int
    clock_faults: dict[str, int]
    conflicts: dict[str, int]
    """Disagreements with the replayed book, by kind."""
    alerts: dict[str, dict[str, int]]
    """Alerts by detector and severity."""
    quarantined: dict[str, str]
    """Detectors that failed, with the error."""
    wall_s: float
    cpu_s: float
    events_per_s: float


def summarise(
    pipeline: Pipeline, alerts: Iterable[Alert], *, wall_s: float, cpu_s: float
) -> Summary:
    """Return the summary of a run so far; times in seconds."""
    totals = pipeline.totals
    return Summary(
        events=totals.read,
        processed=totals.processed,
        rejects=dict(sorted(totals.rejects.items())),
        duplicates=totals.duplicates,
        late=totals.late,
        pending=totals.pending,
        gaps=totals.gaps,
        unknown_accounts=pipeline.unknown_accounts,
        unknown_account_events=totals.unknown_account_events,
        unknown_fields=totals.unknown_fields,
        clock_faults=dict(sorted(totals.clock_faults.items())),
        conflicts=dict(sorted(totals.conflicts.items())),
        alerts=by_detector(alerts),
        quarantined=pipeline.quarantined,
        wall_s=round(wall_s, 3),
        cpu_s=round(cpu_s, 3),
        events_per_s=round(totals.read / wall_s, 1) if wall_s > 0 else 0.0,
    )


def by_detector(alerts: Iterable[Alert]) -> dict[str, dict[str, int]]:
    """Return how many alerts there are, by detector and severity, in a fixed order."""
    counts: dict[str, dict[str, int]] = {}
    for alert in alerts:
        row = counts.setdefault(alert.detector, dict.fromkeys(SEVERITIES, 0))
        row[alert.severity] += 1
    return dict(sorted(counts.items()))
