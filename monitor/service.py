"""The running service: poll, process, make durable, measure, again, until told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Protocol

import msgspec
import numpy as np
import structlog

from alerts.record import Alert, encode
from alerts.store import AlertStore, CoverageRecord
from ingest.errors import RegistryError, RingfenceError
from ingest.events import Array, Reject, Topic
from ingest.instruments import Instruments
from ingest.kafka_group import Reassigned
from ingest.register import RegisterFile
from ingest.register_changes import change_table
from ingest.register_changes import changes as register_changes
from ingest.sequence import Gap
from ingest.source import Arrivals, Position, Source
from ingest.state import pack, unpack
from monitor.checkpoint import Checkpoints, Sections
from monitor.http import Health
from monitor.meter import counts_between
from monitor.metrics import Metrics
from monitor.pipeline import Outcome, Pipeline, Totals

POLL_S = 0.2
"""How long a poll waits at most: bounds the time to notice a stop, and the metrics' freshness."""

_log = structlog.get_logger()


class AlertSink(Protocol):
    """Where changed alerts go beside the store."""

    def send(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Deliver (alert id, record) pairs; return once they are durable there."""


class RejectSink(Protocol):
    """Where rejected records go."""

    def write(self, rejects: Sequence[Reject]) -> None:
        """Deliver rejects; return once they are durable there."""


class Service:
    """One worker: a source, a pipeline, and what makes results durable.

    A pass is durable in this order: store (alerts with their evidence), sinks, then, now and
    again, a checkpoint and the source's committed offsets. After a crash the feed is read again
    from the checkpoint; the store ignores revisions that it has, so nothing is counted twice.

    Parameters
    ----------
    live : bool
        Whether engine times are of now, so that latency from them means something.
    checkpoints : Checkpoints, optional
        None for a tape, which is read from its beginning each time.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        source: Source,
        register: RegisterFile,
        store: AlertStore,
        alert_sinks: Sequence[AlertSink],
        reject_sink: RejectSink,
        checkpoints: Checkpoints | None,
        metrics: Metrics,
        checkpoint_every_s: float,
        reload_every_s: float,
        live: bool,
        instruments: Instruments,
        changes: Mapping[str, Array] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._register = register
        self._store = store
        self._alert_sinks = alert_sinks
        self._reject_sink = reject_sink
        self._checkpoints = checkpoints
        self._metrics = metrics
        self._checkpoint_every_s = checkpoint_every_s
        self._reload_every_s = reload_every_s
        self._live = live
        self._instruments = instruments
        self._turn_s = self._saved_s = self._reloaded_s = time.monotonic()
        self._caught_up = False
        self._store_reachable = True
        self._idle: frozenset[Position] = frozenset()
        self._processed: dict[Position, int] = {}
        self._changes = changes
        for name in pipeline.quarantined:
            metrics.set_quarantined(name)

    def health(self) -> Health:
        """Return whether the loop turns, and whether the feed has been caught up with."""
        return Health(
            heartbeat_age_s=round(time.monotonic() - self._turn_s, 3),
            assigned=bool(self._processed) or not self._live,
            caught_up=self._caught_up,
            store_reachable=self._store_reachable,
        )

    def run(
        self,
        stop: Event,
        *,
        exit_when_drained: bool,
        caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Process until `stop` is set, or until the source is drained when that is asked for.

        `caught_up` is called once, when all that was there at the start has been processed. Ends
        with a checkpoint, so that a later run goes on where this one stopped.
        """
        while not stop.is_set():
            self._turn_s = time.monotonic()
            arrivals = self._source.poll(POLL_S)
            self._follow_group()
            if arrivals is not None:
                self._process(arrivals)
            self._housekeeping()
            if arrivals is None and not self._caught_up and self._source.drained:
                self._caught_up = True
                caught_up()
            if exit_when_drained and arrivals is None and self._ended():
                break
            if arrivals is None and not self._live:
                stop.wait(POLL_S)  # a tape that has ended answers at once
        self.checkpoint()

    def checkpoint(self) -> None:
        """Make all state durable, then tell the source how far that is."""
        self._saved_s = time.monotonic()
        if self._checkpoints is None:
            return
        positions = dict(self._processed)
        try:
            self._checkpoints.save(
                {
                    **self._pipeline.snapshot(),
                    "source": _positions(positions),
                    "register": {"rows": pack(self._register.current.rows)},
                }
            )
        except OSError as error:
            self._metrics.checkpoint_failed()
            _log.error("checkpoint failed", error=str(error))
            return
        self._metrics.checkpoint_kept()
        self._source.commit(positions)

    def _ended(self) -> bool:
        """Whether the source is drained and every position's idleness has been processed."""
        return self._source.drained and set(self._source.positions()) <= self._idle

    def _follow_group(self) -> None:
        reassigned = getattr(self._source, "reassigned", None)
        news: Reassigned | None = reassigned() if reassigned is not None else None
        if news is None:
            return
        _log.info("partitions moved", revoked=len(news.revoked), assigned=len(news.assigned))
        # What this worker has processed it need not read again.
        self._source.seek({p: self._processed[p] for p in news.assigned if p in self._processed})

    def _process(self, arrivals: Arrivals) -> None:
        begun = time.monotonic()
        before = msgspec.structs.replace(
            self._pipeline.totals,
            rejects=dict(self._pipeline.totals.rejects),
            clock_faults=dict(self._pipeline.totals.clock_faults),
            conflicts=dict(self._pipeline.totals.conflicts),
        )
        changed, self._changes = self._changes, None
        outcome = self._pipeline.take(arrivals, self._register.current, changes=changed)
        if outcome.alerts:
            self._keep(outcome.alerts)
        if outcome.gaps:
            self._store.save_coverage([self._coverage(gap) for gap in outcome.gaps])
        if outcome.rejects:
            self._reject_sink.write(outcome.rejects)
        self._idle = arrivals.idle
        self._processed.update(self._source.positions())
        self._measure(arrivals, outcome, before, time.monotonic() - begun)

    def _keep(self, alerts: Sequence[Alert]) -> None:
        begun = time.monotonic()
        try:
            previous = {alert.alert_id: self._store.get(alert.alert_id) for alert in alerts}
            self._store.save(alerts, self._pipeline.alerts.evidence(alerts))
        except RingfenceError:
            self._store_reachable = False
            self._metrics.observe_store(time.monotonic() - begun, failed=True)
            raise
        self._metrics.observe_store(time.monotonic() - begun)
        for alert in alerts:
            before = previous[alert.alert_id]
            if before is None or alert.revision > before.revision:
                self._metrics.observe_alert(alert, before)
        records = [(alert.alert_id, encode(alert)) for alert in alerts]
        for sink in self._alert_sinks:
            sink.send(records)

    def _coverage(self, gap: Gap) -> CoverageRecord:
        return CoverageRecord(
            instrument=self._instruments[gap.instrument].instrument,
            first_missing_seq=gap.first_missing_seq,
            next_seq=gap.last_missing_seq + 1,
            opened_ns=gap.next_ns,
            reason=gap.reason,
        )

    def _measure(
        self, arrivals: Arrivals, outcome: Outcome, before: Totals, seconds: float
    ) -> None:
        metrics, pipeline, engine_ns = self._metrics, self._pipeline, outcome.batch["engine_ns"]
        topics = np.bincount(arrivals.batch["topic"], minlength=len(Topic)).tolist()
        for reject in arrivals.rejects:
            topics[reject.topic] += 1
        metrics.observe_batch(
            counts_between(
                before,
                pipeline.totals,
                read={topic.name.lower(): topics[topic] for topic in Topic},
                gaps_open=pipeline.open_gaps,
                last_event_ns=int(engine_ns.max()) if len(engine_ns) else None,
                seconds=seconds,
            )
        )
        metrics.observe_volume(outcome.batch)
        metrics.observe_coverage(outcome.batch)
        if self._live:
            metrics.observe_latency(engine_ns, time.time_ns())
        for name, spent in outcome.seconds.items():
            metrics.observe_detector(
                name,
                seconds=spent,
                findings=outcome.findings.get(name, 0),
                overflow=pipeline.overflow(name),
            )
        for name in pipeline.quarantined:
            metrics.set_quarantined(name)

    def _housekeeping(self) -> None:
        now = time.monotonic()
        ended = not self._live and self._source.drained  # a tape that was read is no silent feed
        self._metrics.set_feed(
            lag=_by_topic(self._source.lag()),
            assigned=_by_topic({} if ended else dict.fromkeys(self._source.positions(), 1)),
        )
        if now - self._reloaded_s >= self._reload_every_s:
            self._reloaded_s = now
            self._reload()
        if now - self._saved_s >= self._checkpoint_every_s:
            self.checkpoint()

    def _reload(self) -> None:
        old = self._register.current
        try:
            new = self._register.reload_if_changed()
        except RegistryError as error:
            self._metrics.registry_reloaded(accepted=False)
            _log.error("registry refused, the old version stays", error=_without_accounts(error))
            return
        if new is not None:
            self._metrics.registry_reloaded(accepted=True)
            self._changes = change_table(register_changes(old, new), self._pipeline.names)
            _log.info("registry reloaded", old=old.version, new=new.version)


def _without_accounts(error: RegistryError) -> str:
    """Return which kind of fault a registry has; its accounts stay out of the log."""
    return str(error).partition(" account ")[0]


def _by_topic(values: Mapping[Position, int]) -> dict[str, int]:
    sums = dict.fromkeys((topic.name.lower() for topic in Topic), 0)
    for (topic, _), value in values.items():
        sums[topic.name.lower()] += value
    return sums


def _positions(positions: Mapping[Position, int]) -> Mapping[str, Array]:
    rows = sorted((int(topic), number, offset) for (topic, number), offset in positions.items())
    return {"positions": pack(rows)}


def positions_of(sections: Sections) -> dict[Position, int]:
    """Return the source positions that a checkpoint was taken at."""
    rows = unpack(sections["source"]["positions"], list[tuple[int, int, int]])
    return {(Topic(topic), number): offset for topic, number, offset in rows}
