"""What the dashboard *Surveillance and operations* shows: each panel's question, query and unit.

Queries never bend a value (no `clamp`, no `or vector(0)`): a panel without data must look like one.
Counts are totals since the worker started, because a tape may be over before the second scrape and
`increase` sees nothing in one sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dashboards.feed_panels import FEED, SPEED
from dashboards.panel import ALERTED, RATE, SEVERITY_COLOURS, Panel, Query, Row, W

HEALTH: Final = Row(
    "Is it watching?",
    4,
    (
        Panel(
            title="Ready",
            todo="Whether each worker raises alerts as events come. Not ready for five minutes: "
            "open /readyz on it; it says which of partitions, catching up or store is missing.",
            shape="stat",
            unit="none",
            queries=(Query(f"ringfence_ready{{{W}}}", "{{instance}}"),),
            width=3,
            base="red",
            steps=(("green", 1),),
            words=(("0", "not ready", "red"), ("1", "ready", "green")),
        ),
        Panel(
            title="Silent for",
            todo="Time since a worker got a record, of the more silent topic. Above 2 min: see "
            "whether the venue is closed, else whether the publisher or the broker stopped.",
            shape="stat",
            unit="s",
            queries=(Query(f"max(min by (topic) (ringfence_silence_seconds{{{W}}}))", "silence"),),
            width=3,
            steps=(("yellow", 60), ("red", 120)),
        ),
        Panel(
            title="Lag",
            todo="Records in the feed that were not read yet. Growing: the worker is slower than "
            "the feed; see detector cost below, then add partitions and workers.",
            shape="stat",
            unit="short",
            queries=(Query(f"sum(ringfence_lag_records{{{W}}})", "lag"),),
            width=2,
            steps=(("yellow", 10_000), ("red", 100_000)),
        ),
        Panel(
            title="Books in doubt",
            todo="Instruments whose book is not known whole, after a gap or late start. No breach "
            "is confirmed there. Ask the venue to restate those books (`book` records).",
            shape="stat",
            unit="short",
            queries=(Query(f"sum(ringfence_incomplete_instruments{{{W}}})", "instruments"),),
            width=3,
            steps=ALERTED,
        ),
        Panel(
            title="Quarantined detectors",
            todo="Detectors that failed and were stopped: that conduct is not watched. The log "
            "line `detector quarantined` has the error; fix, then restart from the checkpoint.",
            shape="stat",
            unit="short",
            queries=(Query(f"sum(ringfence_detector_quarantined{{{W}}})", "detectors"),),
            width=3,
            steps=ALERTED,
        ),
        Panel(
            title="Unaccounted records",
            todo="Records read less those processed, rejected, duplicate, late and held back. "
            "Anything but 0 is a defect of Ringfence: keep the checkpoint and report it.",
            shape="stat",
            unit="short",
            queries=(Query(f"sum(ringfence_unaccounted_records{{{W}}})", "records"),),
            width=3,
            base="red",
            steps=(("green", 0), ("red", 1)),
        ),
        Panel(
            title="Breach alerts, high or critical",
            todo="Since the worker started. Each one is a case now: open it with `ringfence case "
            "list`; VATP 8.2 and 16.7(d) may set a clock for notifying the SFC.",
            shape="stat",
            unit="short",
            queries=(
                Query(
                    f'sum(ringfence_breach_alerts_total{{{W}, severity=~"high|critical"}})',
                    "alerts",
                ),
            ),
            width=4,
            steps=ALERTED,
        ),
        Panel(
            title="Newest event",
            todo="Engine time of the newest event. Far behind the clock on a live feed: the feed "
            "is a replay, or the venue's clock is wrong.",
            shape="stat",
            unit="dateTimeFromNow",
            queries=(Query(f"max(ringfence_last_event_timestamp_seconds{{{W}}}) * 1000", "event"),),
            width=3,
            base="text",
        ),
    ),
)

SURVEILLANCE: Final = Row(
    "Surveillance",
    9,
    (
        Panel(
            title="Alerts by detector and severity",
            todo="Opened since the worker started, by severity when opened. Work critical and "
            "high first. One detector far above the rest: review its parameters with the venue.",
            shape="bargauge",
            unit="short",
            queries=(
                Query(
                    f"sum by (detector, severity) (ringfence_alerts_total{{{W}}}) > 0",
                    "{{detector}} · {{severity}}",
                ),
            ),
            width=8,
            base="blue",
            when_empty="no alert yet",
        ),
        Panel(
            title="Alerts opened over time",
            todo="Running totals by severity. A step up of critical or high: open the newest "
            "alerts. Flat for days on a busy feed: check that detectors get the fields they need.",
            shape="timeseries",
            unit="short",
            queries=(Query(f"sum by (severity) (ringfence_alerts_total{{{W}}})", "{{severity}}"),),
            width=8,
            series_colours=SEVERITY_COLOURS,
        ),
        Panel(
            title="AFMM share of volume",
            todo="Affiliated market maker's part of the quantity traded since the worker started. "
            "A rise that no agreement explains: look at client_priority alerts of that instrument.",
            shape="timeseries",
            unit="percentunit",
            queries=(
                Query(
                    f"sum by (instrument) (ringfence_afmm_traded_quantity_total{{{W}}})"
                    f" / (sum by (instrument) (ringfence_traded_quantity_total{{{W}}}) > 0)",
                    "{{instrument}}",
                ),
            ),
            width=8,
            base="blue",
        ),
        Panel(
            title="Findings by detector",
            todo="Facts found a second. A detector at 0 that used to fire: see whether it is "
            "quarantined, or the feed lost a field that it needs.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(
                    f"sum by (detector) (rate(ringfence_findings_total{{{W}}}[{RATE}]))",
                    "{{detector}}",
                ),
            ),
            width=8,
        ),
        Panel(
            title="Unknown accounts",
            todo="Events a second from accounts with no registry row in force. They are judged "
            "both ways and only weakly. Ask the venue for the missing rows today.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(
                    f"sum(rate(ringfence_unknown_account_events_total{{{W}}}[{RATE}]))",
                    "unknown accounts",
                ),
            ),
            width=8,
            steps=(("orange", 0.001),),
        ),
        Panel(
            title="Registry reloads",
            todo="Reloads of accounts.csv since the start. A failed one: the old version stays in "
            "force; the log names both rows in conflict. Correct the file.",
            shape="bargauge",
            unit="short",
            queries=(
                Query(f"sum by (outcome) (ringfence_registry_reloads_total{{{W}}})", "{{outcome}}"),
            ),
            width=8,
            series_colours=(("ok", "green"), ("failed", "red")),
        ),
    ),
)

ROWS: Final[Sequence[Row]] = (HEALTH, SURVEILLANCE, FEED, SPEED)
