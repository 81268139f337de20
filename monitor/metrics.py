"""Every metric of the service, declared in one place.

Names start with `ringfence_`, units are base units (seconds, bytes, records), and labels are only
detector, severity, topic, reason, outcome and a capped set of instruments. No metric ever carries
an account, an order, a client or a case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from alerts.record import SEVERITIES, Alert
from ingest.events import REJECT_REASONS, Array, Batch, Conflict, Coverage
from ingest.released import CLOCK_FAULTS
from monitor.declared import Declared, Description
from monitor.meter import BatchCounts, traded_quantities

CONFLICTS: Final = tuple(c.name.lower() for c in Conflict if c is not Conflict.NONE)
"""Labels of `ringfence_book_conflicts_total`."""
OUTCOMES: Final = ("ok", "failed")
TOPICS: Final = ("orders", "trades")
OTHER: Final = "other"
"""Instrument label of every instrument beyond the limit."""

LATENCY_EDGES_S: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    5.0,  # the edge of the alert rule: RTS 6 wants real-time alerts within 5 s
    *(10.0, 30.0, 60.0, 300.0, 3600.0),
)
WORK_EDGES_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one worker.

    State is one series a label value and one entry an instrument whose book is in doubt; nothing
    grows with the feed.

    Parameters
    ----------
    registry : CollectorRegistry, optional
        Where the metrics are registered; a new one by default, never the global one.
    detectors : sequence of str
        Ids of the detectors that run; each gets its series at 0.
    instruments : sequence of str
        Names in order of importance: the first `instrument_limit` get a label of their own.
    clock : callable
        Wall clock, seconds since 1970; read when scraped, and when records arrive.
    version : str
        Version of the service, for `ringfence_build_info`.

    Examples
    --------
    >>> from monitor.meter import BatchCounts
    >>> metrics = Metrics(detectors=["wash_trading"])
    >>> metrics.observe_batch(BatchCounts(read={"orders": 3}, processed=2, pending=1))
    >>> metrics.value("ringfence_events_total", topic="orders")
    3.0
    >>> metrics.value("ringfence_unaccounted_records")
    0.0

    A record that was read and is nowhere is a defect, and shows:

    >>> metrics.observe_batch(BatchCounts(read={"orders": 2}, processed=1, pending=1))
    >>> metrics.value("ringfence_unaccounted_records")
    1.0
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        detectors: Sequence[str] = (),
        instruments: Sequence[str] = (),
        instrument_limit: int = 50,
        clock: Callable[[], float] = time.time,
        version: str = "unknown",
    ) -> None:
        self._made = Declared(
            CollectorRegistry(auto_describe=True) if registry is None else registry
        )
        self.registry = self._made.registry
        self._clock = clock
        self._labelled = frozenset(instruments[:instrument_limit])
        self._balance = 0
        self._last_record = dict.fromkeys(TOPICS, clock())
        self._in_doubt: set[int] = set()

        self._declare_feed()
        self._declare_findings(detectors)
        self._declare_volume((*sorted(self._labelled), OTHER))
        self._declare_service(version)
        self._made.process()

    # --- what is declared -------------------------------------------------------------------

    def _declare_feed(self) -> None:
        counter, gauge = self._made.counter, self._made.gauge
        self.events = counter("events", "Records read from the feed.", topic=TOPICS)
        self.processed = counter("processed", "Rows that went through book and detectors.")
        self.rejects = counter(
            "rejects", "Records sent to the dead letters.", reason=REJECT_REASONS
        )
        self.duplicates = counter("duplicates", "Records dropped: the same as one already taken.")
        self.late = counter("late", "Records that came after their gap was declared; not applied.")
        self.pending = gauge("pending_events", "Records held back for one that should come first.")
        self.unaccounted = gauge(
            "unaccounted_records",
            "Records read less those processed, rejected, duplicate, late and pending; 0 or wrong.",
        )
        self.gaps = counter("gaps", "Gaps declared: missing records given up on.")
        self.gaps_open = gauge("gaps_open", "Instruments that wait for a missing record.")
        self.incomplete = gauge(
            "incomplete_instruments",
            "Instruments whose book is in doubt: after a gap, or a start in mid-stream.",
        )
        self.unknown_accounts = counter(
            "unknown_account_events", "Rows with an account that no registry row covers."
        )
        self.unknown_fields = counter(
            "unknown_fields", "Fields of records that the contract does not name."
        )
        self.clock_faults = counter(
            "clock_faults", "Rows whose engine time stepped back or jumped.", reason=CLOCK_FAULTS
        )
        self.book_conflicts = counter(
            "book_conflicts", "Rows that disagree with the replayed book.", reason=CONFLICTS
        )
        self.lag = gauge(
            "lag_records", "Records that wait in the feed, not yet read.", topic=TOPICS
        )
        self.assigned = gauge(
            "assigned_partitions",
            "Partitions that this worker reads; 0 when it has none or its tape has ended.",
            topic=TOPICS,
        )
        self.last_event = gauge(
            "last_event_timestamp_seconds", "Engine time of the newest row, since 1970; 0 = none."
        )
        silence = gauge(
            "silence_seconds",
            "Wall time since a record arrived, or since the start when none has.",
            topic=TOPICS,
        )
        for topic in TOPICS:
            silence.labels(topic).set_function(partial(self._silence_s, topic))

    def _declare_findings(self, detectors: Sequence[str]) -> None:
        counter = self._made.counter
        self.detector_seconds = counter(
            "detector_seconds", "Wall time spent in a detector.", detector=detectors
        )
        self.quarantined = self._made.gauge(
            "detector_quarantined",
            "1 when a detector was stopped because it failed.",
            detector=detectors,
        )
        self.detector_overflow = self._made.gauge(
            "detector_overflow_facts",
            "Facts that a detector did not keep because a bound was reached.",
            detector=detectors,
        )
        self.findings = counter("findings", "Findings of a detector.", detector=detectors)
        self.alerts = counter(
            "alerts",
            "Alerts opened, by their severity when opened.",
            detector=detectors,
            severity=SEVERITIES,
        )
        self.alert_revisions = counter(
            "alert_revisions", "Revisions of alerts, the first included.", detector=detectors
        )
        self.breach_alerts = counter(
            "breach_alerts",
            "Alerts of class breach that opened at, or later rose to, a severity.",
            detector=detectors,
            severity=SEVERITIES,
        )

    def _declare_volume(self, instruments: Sequence[str]) -> None:
        unit = f"base units; `{OTHER}` adds up instruments of different units."
        self.traded = self._made.counter(
            "traded_quantity", f"Quantity traded, busts left out, {unit}", instrument=instruments
        )
        self.afmm_traded = self._made.counter(
            "afmm_traded_quantity",
            f"Quantity traded with an affiliated market maker on either side, {unit}",
            instrument=instruments,
        )

    def _declare_service(self, version: str) -> None:
        counter, gauge = self._made.counter, self._made.gauge
        self.end_to_end = self._made.histogram(
            "end_to_end_latency_seconds",
            "From the engine acting on an event until its findings and alerts are durable.",
            LATENCY_EDGES_S,
        )
        self.processing = self._made.histogram(
            "processing_latency_seconds",
            "From a batch having been polled until its findings and alerts are durable.",
            WORK_EDGES_S,
        )
        self.store = self._made.histogram(
            "store_seconds", "Wall time of one write to the store.", WORK_EDGES_S
        )
        self.store_failures = counter("store_failures", "Writes to the store that failed.")
        self.checkpoint_time = gauge(
            "checkpoint_timestamp_seconds",
            "When the last snapshot of a shard was kept, since 1970; 0 = none.",
        )
        self.checkpoint_bytes = gauge("checkpoint_bytes", "Size of the last snapshot of a shard.")
        self.checkpoint_failures = counter(
            "checkpoint_failures", "Snapshots that could not be kept."
        )
        self.shards_lost = counter(
            "shards_lost", "Shards that another worker had claimed when this one still wrote."
        )
        self.outbox = gauge(
            "outbox_records", "Revisions of alerts that are kept and have not left yet."
        )
        self.platform_waiting = gauge(
            "platform_waiting_records",
            "Trades that wait until every partition has passed their minute.",
        )
        self.platform_late = gauge(
            "platform_late_records", "Records that came after their minute had been closed."
        )
        self.registry_reloads = counter(
            "registry_reloads", "Reloads of the account registry.", outcome=OUTCOMES
        )
        self.ready = gauge("ready", "1 when the worker serves: assigned, caught up, store reached.")
        self.build_info = gauge(
            "build_info", "Always 1; the label is the running version.", version=(version,)
        )
        self.build_info.labels(version).set(1)

    # --- what the pipeline calls ------------------------------------------------------------

    def observe_batch(self, counts: BatchCounts) -> None:
        """Add what one pass of the pipeline did; call it after the pass is durable."""
        now = self._clock()
        for topic, records in counts.read.items():
            self.events.labels(topic).inc(records)
            if records:
                self._last_record[topic] = now
        self.processed.inc(counts.processed)
        _add(self.rejects, counts.rejects)
        self.duplicates.inc(counts.duplicates)
        self.late.inc(counts.late)
        self.pending.set(counts.pending)
        self.gaps.inc(counts.gaps)
        self.gaps_open.set(counts.gaps_open)
        self.unknown_accounts.inc(counts.unknown_account_events)
        self.unknown_fields.inc(counts.unknown_fields)
        _add(self.clock_faults, counts.clock_faults)
        _add(self.book_conflicts, counts.book_conflicts)
        self._balance += sum(counts.read.values()) - (
            counts.processed + sum(counts.rejects.values()) + counts.duplicates + counts.late
        )
        self.unaccounted.set(self._balance - counts.pending)
        if counts.last_event_ns is not None:
            self.last_event.set(counts.last_event_ns / 1e9)
        if counts.seconds is not None:
            self.processing.observe(np.array([counts.seconds]))

    def adopt(self, *, pending: int) -> None:
        """Count in records that a restored sequencer held back; out again, when it is let go."""
        self._balance += pending

    def shard_lost(self) -> None:
        """Count a shard that another worker had claimed."""
        self.shards_lost.inc()

    def set_outbox(self, waiting: int) -> None:
        """Say how many revisions of alerts have not left yet."""
        self.outbox.set(waiting)

    def set_platform(self, *, waiting: int, late: int) -> None:
        """Say how many rows wait for a boundary, and how many came late, since the beginning."""
        self.platform_waiting.set(waiting)
        self.platform_late.set(late)

    def observe_latency(self, engine_ns: Array, durable_ns: int) -> None:
        """Add the end-to-end latency of each row of a batch.

        Parameters
        ----------
        engine_ns : int64 array
            When the engine acted on each row, ns.
        durable_ns : int
            Wall clock when what the rows led to was durable, ns.
        """
        self.end_to_end.observe(np.maximum((durable_ns - engine_ns) / 1e9, 0.0))

    def observe_volume(self, batch: Batch) -> None:
        """Add the quantities of a tagged batch's trades."""
        traded, by_afmm = traded_quantities(batch)
        for counter, quantities in ((self.traded, traded), (self.afmm_traded, by_afmm)):
            for instrument, quantity in quantities.items():
                counter.labels(instrument if instrument in self._labelled else OTHER).inc(quantity)

    def observe_coverage(self, batch: Batch) -> None:
        """Take note of which instruments an enriched batch left with a book in doubt."""
        for code, _, end in batch.by_instrument():
            known = batch["coverage"][end - 1] == Coverage.COMPLETE
            (self._in_doubt.discard if known else self._in_doubt.add)(code)
        self.incomplete.set(len(self._in_doubt))

    def observe_detector(
        self, detector: str, *, seconds: float, findings: int, overflow: int = 0
    ) -> None:
        """Add one step of a detector; `overflow` is its running `Detector.overflow`."""
        self.detector_seconds.labels(detector).inc(seconds)
        self.findings.labels(detector).inc(findings)
        self.detector_overflow.labels(detector).set(overflow)

    def observe_alert(self, alert: Alert, previous: Alert | None) -> None:
        """Add a revision of an alert that was kept; `previous` is the one it replaces, if any."""
        self.alert_revisions.labels(alert.detector).inc()
        if previous is None:
            self.alerts.labels(alert.detector, alert.severity).inc()
        rose = previous is None or (
            SEVERITIES.index(alert.severity) > SEVERITIES.index(previous.severity)
        )
        if alert.evidence_class == "breach" and rose:
            self.breach_alerts.labels(alert.detector, alert.severity).inc()

    def set_quarantined(self, detector: str, *, quarantined: bool = True) -> None:
        """Say whether a detector was stopped because it failed."""
        self.quarantined.labels(detector).set(quarantined)

    def set_feed(self, *, lag: Mapping[str, int], assigned: Mapping[str, int]) -> None:
        """Say, by topic, how many records wait and how many partitions this worker reads."""
        for topic in TOPICS:
            self.lag.labels(topic).set(lag.get(topic, 0))
            self.assigned.labels(topic).set(assigned.get(topic, 0))

    def observe_store(self, seconds: float, *, failed: bool = False) -> None:
        """Add one write to the store."""
        self.store.observe(np.array([seconds]))
        if failed:
            self.store_failures.inc()

    def checkpoint_kept(self, *, size: int) -> None:
        """Say that a snapshot of so many bytes was kept now."""
        self.checkpoint_time.set(self._clock())
        self.checkpoint_bytes.set(size)

    def checkpoint_failed(self) -> None:
        """Say that a checkpoint could not be kept."""
        self.checkpoint_failures.inc()

    def registry_reloaded(self, *, accepted: bool) -> None:
        """Say that the account registry was reloaded, or that a reload was refused."""
        self.registry_reloads.labels("ok" if accepted else "failed").inc()

    def set_ready(self, ready: bool) -> None:
        """Say whether the worker serves."""
        self.ready.set(ready)

    # --- what is read -----------------------------------------------------------------------

    def value(self, sample: str, **labels: str) -> float:
        """Return one sample as a scrape would; raises KeyError when there is none of that name."""
        return self._made.value(sample, labels)

    def describe(self) -> Sequence[Description]:
        """Return every metric, by name; what the documentation must list."""
        return sorted(self._made.described, key=lambda description: description.name)

    def _silence_s(self, topic: str) -> float:
        return max(0.0, self._clock() - self._last_record[topic])


def _add(counter: Counter, counts: Mapping[str, int]) -> None:
    for label, count in counts.items():
        counter.labels(label).inc(count)
