"""Rows of the dashboard on the feed, and on speed and storage."""

from __future__ import annotations

from typing import Final

from dashboards.panel import RATE, Panel, Query, Row, W, quantiles

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
            queries=quantiles("end_to_end_latency_seconds"),
            width=8,
            steps=(("yellow", 2.5), ("red", 5)),
        ),
        Panel(
            title="Processing latency",
            todo="From polled to durable, a batch. High here and low in the store: look at "
            "detector cost. High in both: the disk or the database.",
            shape="timeseries",
            unit="s",
            queries=quantiles("processing_latency_seconds"),
            width=8,
            steps=(("yellow", 2.5), ("red", 5)),
        ),
        Panel(
            title="Store latency",
            todo="Time of one write. Rising: disk or database pressure; see the failed writes "
            "beside it.",
            shape="timeseries",
            unit="s",
            queries=quantiles("store_seconds"),
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
