"""What the dashboard *Surveillance and operations* shows: each panel's question, query and unit.

Queries never bend a value (no `clamp`, no `or vector(0)`): a panel without data must look like one.
Counts are totals since the worker started, because a tape may be over before the second scrape and
`increase` sees nothing in one sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

Colour = Literal["green", "yellow", "orange", "red", "blue", "text"]
Shape = Literal["stat", "timeseries", "bargauge"]


class Query(msgspec.Struct, frozen=True):
    """One PromQL expression and how its series are called."""

    expr: str
    legend: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel; widths are of 24 columns."""

    title: str
    todo: str
    """What it shows, and what the reader should do about it."""
    shape: Shape
    unit: str
    """Grafana's unit id: s, percentunit, short, cps and so on."""
    queries: tuple[Query, ...]
    width: int
    steps: tuple[tuple[Colour, float], ...] = ()
    """Colours from a value upwards; below the first step the colour is `base`."""
    base: Colour = "green"
    words: tuple[tuple[str, str, Colour], ...] = ()
    """Words shown in place of a value: value, word, colour."""
    stacked: bool = False
    decimals: int | None = None
    when_empty: str = ""
    """What stands there while there is no series; by default that there is no data."""
    series_colours: tuple[tuple[str, Colour], ...] = ()
    """Fixed colours by series name."""


class Row(msgspec.Struct, frozen=True):
    """A titled row of panels of one height."""

    title: str
    height: int
    panels: tuple[Panel, ...]


W: Final = 'instance=~"$instance"'
RATE: Final = "$__rate_interval"
ALERTED: Final[tuple[tuple[Colour, float], ...]] = (("red", 1),)
SEVERITY_COLOURS: Final[tuple[tuple[str, Colour], ...]] = (
    ("low", "blue"),
    ("medium", "yellow"),
    ("high", "orange"),
    ("critical", "red"),
)


def _quantiles(metric: str) -> tuple[Query, ...]:
    rate = f"sum by (le) (rate(ringfence_{metric}_bucket{{{W}}}[{RATE}]))"
    return tuple(
        Query(f"histogram_quantile({q}, {rate})", f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)
    )


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

FEED: Final = Row(
    "Feed",
    8,
    (
        Panel(
            title="Throughput",
            todo="Records read a second, by topic. One topic at 0 while the other flows: that "
            "topic's publisher stopped, and gaps follow.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(f"sum by (topic) (rate(ringfence_events_total{{{W}}}[{RATE}]))", "{{topic}}"),
                Query(f"sum(rate(ringfence_processed_total{{{W}}}[{RATE}]))", "processed"),
            ),
            width=8,
        ),
        Panel(
            title="Lag by topic",
            todo="Records that wait. A steady climb means detection falls behind the market: add "
            "workers up to the number of partitions.",
            shape="timeseries",
            unit="short",
            queries=(Query(f"sum by (topic) (ringfence_lag_records{{{W}}})", "{{topic}}"),),
            width=8,
            steps=(("yellow", 10_000), ("red", 100_000)),
        ),
        Panel(
            title="Silence by topic",
            todo="Time since a record arrived. Both climbing: the feed stopped. One climbing: "
            "compare with throughput; a quiet market trades little but still quotes.",
            shape="timeseries",
            unit="s",
            queries=(Query(f"min by (topic) (ringfence_silence_seconds{{{W}}})", "{{topic}}"),),
            width=8,
            steps=(("yellow", 60), ("red", 120)),
        ),
        Panel(
            title="Rejects by reason",
            todo="Records a second sent to the dead letters. A new reason after a release of the "
            "venue: compare a dead letter with the wire contract and tell the publisher.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(
                    f"sum by (reason) (rate(ringfence_rejects_total{{{W}}}[{RATE}]))", "{{reason}}"
                ),
            ),
            width=8,
            stacked=True,
        ),
        Panel(
            title="Gaps",
            todo="Instruments waiting for a record, with a book in doubt, and gaps declared since "
            "the start. Many: compare sequence.gap_timeout_s with the producers' retries.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(f"sum(ringfence_gaps_open{{{W}}})", "waiting"),
                Query(f"sum(ringfence_incomplete_instruments{{{W}}})", "in doubt"),
                Query(f"sum(ringfence_gaps_total{{{W}}})", "declared"),
            ),
            width=8,
        ),
        Panel(
            title="Duplicate, late, held back",
            todo="Totals since the start, and records held back now. Duplicates follow a restart; "
            "late ones mean that the gap timeout is shorter than the producer's retries.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(f"sum(ringfence_duplicates_total{{{W}}})", "duplicate"),
                Query(f"sum(ringfence_late_total{{{W}}})", "late"),
                Query(f"sum(ringfence_pending_events{{{W}}})", "held back"),
            ),
            width=8,
        ),
        Panel(
            title="Conflicts with the book",
            todo="Rows a second that disagree with the replayed book. Lasting ones: the venue's "
            "matching differs from the contract, and queue findings there are not safe.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(
                    f"sum by (reason) (rate(ringfence_book_conflicts_total{{{W}}}[{RATE}]))",
                    "{{reason}}",
                ),
            ),
            width=8,
            stacked=True,
        ),
        Panel(
            title="Clock faults",
            todo="Rows a second whose engine time stepped back or jumped. Any: have the venue "
            "check its time source; timing findings of those minutes are marked.",
            shape="timeseries",
            unit="cps",
            queries=(
                Query(
                    f"sum by (reason) (rate(ringfence_clock_faults_total{{{W}}}[{RATE}]))",
                    "{{reason}}",
                ),
            ),
            width=8,
            steps=(("orange", 0.001),),
        ),
        Panel(
            title="Unknown fields",
            todo="Fields a second that the contract does not name. They are ignored. After a "
            "release of the venue: see whether a new field should be mapped.",
            shape="timeseries",
            unit="cps",
            queries=(Query(f"sum(rate(ringfence_unknown_fields_total{{{W}}}[{RATE}]))", "fields"),),
            width=8,
        ),
    ),
)

SPEED: Final = Row(
    "Speed and storage",
    8,
    (
        Panel(
            title="End-to-end latency",
            todo="From the engine acting until alerts are durable. p99 above 5 s misses the RTS 6 "
            "mark for real-time alerts: see lag, then the store. Old times of a tape show as 1 h.",
            shape="timeseries",
            unit="s",
            queries=_quantiles("end_to_end_latency_seconds"),
            width=8,
            steps=(("yellow", 2.5), ("red", 5)),
        ),
        Panel(
            title="Processing latency",
            todo="From polled to durable, a batch. High here and low in the store: look at "
            "detector cost. High in both: the disk or the database.",
            shape="timeseries",
            unit="s",
            queries=_quantiles("processing_latency_seconds"),
            width=8,
            steps=(("yellow", 2.5), ("red", 5)),
        ),
        Panel(
            title="Store latency",
            todo="Time of one write. Rising: disk or database pressure; see the failed writes "
            "beside it.",
            shape="timeseries",
            unit="s",
            queries=_quantiles("store_seconds"),
            width=8,
            steps=(("yellow", 0.5), ("red", 2.5)),
        ),
        Panel(
            title="Detector cost",
            todo="Time an event, by detector; the budget is 100 ns. One far above: its state "
            "grew, or its kernel was not compiled ahead (see `python -m monitor.warm`).",
            shape="timeseries",
            unit="s",
            queries=(
                Query(
                    f"sum by (detector) (ringfence_detector_seconds_total{{{W}}})"
                    f" / on () group_left () (sum(ringfence_processed_total{{{W}}}) > 0)",
                    "{{detector}}",
                ),
            ),
            width=8,
        ),
        Panel(
            title="Checkpoint age",
            todo="Time since the last checkpoint: what a crash would replay. Above ten minutes on "
            "a live feed: see the failures and the free space of the checkpoint folder.",
            shape="timeseries",
            unit="s",
            queries=(
                Query(
                    f"time() - (ringfence_checkpoint_timestamp_seconds{{{W}}} > 0)", "{{instance}}"
                ),
            ),
            width=8,
            steps=(("yellow", 120), ("red", 600)),
        ),
        Panel(
            title="Failures to keep state",
            todo="Totals since the start. A worker that cannot write to its store ends and starts "
            "again from its checkpoint: check the database and the free space of the disks.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(f"sum(ringfence_store_failures_total{{{W}}})", "store writes failed"),
                Query(f"sum(ringfence_checkpoint_failures_total{{{W}}})", "snapshots failed"),
                Query(f"sum(ringfence_shards_lost_total{{{W}}})", "shards lost to another"),
            ),
            width=8,
        ),
        Panel(
            title="Alerts not sent yet",
            todo="Revisions that are kept and have not left for Kafka. Above 0 for minutes: the "
            "log line `alerts not sent` says why; meanwhile work from `ringfence case list`.",
            shape="timeseries",
            unit="short",
            queries=(Query(f"sum(ringfence_outbox_records{{{W}}})", "revisions"),),
            width=8,
            steps=(("red", 1),),
        ),
        Panel(
            title="Platform scope",
            todo="Trades that wait for the slowest partition, and those that came after their "
            "minute was closed. Waiting and growing: a partition lags or has no worker.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(f"sum(ringfence_platform_waiting_records{{{W}}})", "waiting"),
                Query(f"sum(ringfence_platform_late_records{{{W}}})", "late"),
            ),
            width=8,
        ),
        Panel(
            title="Size of a snapshot",
            todo="Of the shard kept last. It grows with live orders and open episodes, and "
            "a restart has to read it. A climb that does not level off over a day: report it.",
            shape="timeseries",
            unit="bytes",
            queries=(Query(f"ringfence_checkpoint_bytes{{{W}}}", "{{instance}}"),),
            width=8,
        ),
        Panel(
            title="Facts not kept",
            todo="Facts that a detector dropped because its memory bound was reached; coverage is "
            "marked. Raise the bound named in the detector's parameters.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(
                    f"sum by (detector) (ringfence_detector_overflow_facts{{{W}}})", "{{detector}}"
                ),
            ),
            width=8,
            steps=(("orange", 1),),
        ),
        Panel(
            title="Processor",
            todo="Cores in use by each worker. Near 1.0: it is at its limit; add partitions and "
            "workers before lag grows.",
            shape="timeseries",
            unit="short",
            queries=(
                Query(f"rate(ringfence_process_cpu_seconds_total{{{W}}}[{RATE}])", "{{instance}}"),
            ),
            width=8,
            decimals=2,
            steps=(("yellow", 0.8), ("red", 0.95)),
        ),
        Panel(
            title="Memory",
            todo="Resident memory of each worker. A climb that does not level off over a day: "
            "report it; state is meant to be bounded.",
            shape="timeseries",
            unit="bytes",
            queries=(Query(f"ringfence_process_resident_memory_bytes{{{W}}}", "{{instance}}"),),
            width=8,
        ),
    ),
)

ROWS: Final[Sequence[Row]] = (HEALTH, SURVEILLANCE, FEED, SPEED)
