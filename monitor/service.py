"""The running service: poll, process, make durable, measure, again, until told to stop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import Protocol

import structlog

from alerts.record import encode
from alerts.store import AlertStore
from ingest.events import Reject
from ingest.register import RegisterFile
from ingest.source import Arrivals, Source
from monitor.checkpoint import Checkpoints
from monitor.http import Health
from monitor.metrics import Metrics
from monitor.pipeline import Pipeline

POLL_S = 0.2
"""How long a poll waits at most: bounds the time to notice a stop, and the metrics' freshness."""
STUCK_S = 30.0
"""Without a turn of the loop for so long, the process is not healthy."""

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
        self._turn_s = time.monotonic()
        self._saved_s = self._turn_s
        self._reloaded_s = self._turn_s
        self._caught_up = False

    def health(self) -> Health:
        """Return whether the loop turns, and whether the feed has been caught up with."""
        age = time.monotonic() - self._turn_s
        return Health(
            alive=age < STUCK_S,
            ready=self._caught_up and not self._pipeline.quarantined,
            detail={
                "loop_age_s": round(age, 3),
                "caught_up": self._caught_up,
                "quarantined": sorted(self._pipeline.quarantined),
            },
        )

    def run(self, stop: Event, *, exit_when_drained: bool) -> None:
        """Process until `stop` is set, or until the source is drained when that is asked for."""
        try:
            while not stop.is_set():
                self._turn_s = time.monotonic()
                arrivals = self._source.poll(POLL_S)
                if arrivals is not None:
                    self._process(arrivals)
                self._caught_up = self._caught_up or self._source.drained
                self._housekeeping()
                if exit_when_drained and arrivals is None and self._source.drained:
                    break
        finally:
            self._turn_s = time.monotonic()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Make all state durable, then tell the source how far that is."""
        if self._checkpoints is None:
            return
        positions = self._source.positions()
        self._checkpoints.save(
            {**self._pipeline.snapshot(), "source": {"positions": _pack(positions)}}
        )
        self._source.commit(positions)
        self._saved_s = time.monotonic()
        self._metrics.checkpointed(time.time())

    def _process(self, arrivals: Arrivals) -> None:
        begun = time.monotonic()
        outcome = self._pipeline.take(arrivals, self._register.current)
        if outcome.alerts:
            self._store.save(outcome.alerts, self._pipeline.alerts.evidence(outcome.alerts))
            records = [(alert.alert_id, encode(alert)) for alert in outcome.alerts]
            for sink in self._alert_sinks:
                sink.send(records)
        if outcome.rejects:
            self._reject_sink.write(outcome.rejects)
        self._measure(arrivals, outcome, time.monotonic() - begun)

    def _housekeeping(self) -> None:
        now = time.monotonic()
        self._metrics.lag(self._source.lag())
        if now - self._reloaded_s >= self._reload_every_s:
            self._reloaded_s = now
            self._reload()
        if now - self._saved_s >= self._checkpoint_every_s:
            self.checkpoint()
