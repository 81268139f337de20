"""The running service: poll, pass, make durable, send, measure, again, until told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Protocol

import numpy as np
import structlog

from alerts.shards import FencedError
from ingest.errors import RegistryError, RingfenceError
from ingest.events import Topic
from ingest.source import Arrivals, Position, Reassigned, Source, split
from ingest.summary import Summary
from monitor.boundaries import Reach
from monitor.http import Health
from monitor.meter import counts_between
from monitor.metrics import Metrics
from monitor.platform_worker import PlatformWorker
from monitor.registers import Registers
from monitor.relays import Relays
from monitor.shard import Pass, Shard

POLL_S = 0.2
"""How long a poll waits at most: bounds the time to notice a stop, and the metrics' freshness."""
HANDOFFS_S = 1.0
"""How often a shard looks for findings of platform scope: their windows are hours long."""
LEFT_S = 10.0
"""How often a worker that is to exit says what it still waits for."""

_log = structlog.get_logger()


class SummarySink(Protocol):
    """Where summaries of trades go."""

    def send(self, summary: Summary) -> None:
        """Deliver a summary; return once it is durable there."""


class Service:
    """One worker: a source, the shards that it owns, and what takes their results further.

    What a pass found is durable before anything leaves: dead letters, then the store's
    transaction, then the summary; the outbox is sent between polls; snapshots follow now and
    again. A crash anywhere in between is made good by the next owner of the shard.

    Parameters
    ----------
    source : Source
    open_shard : callable
        Claims the shard of a partition number and returns it, recovered as far as it goes without
        records.
    registers : Registers
    relays : Relays
        The ways out of the outbox.
    summaries : SummarySink, optional
        None for a tape, whose platform scope is part of its shard.
    platform : PlatformWorker, optional
        Likewise.
    live : bool
        Whether engine times are of now, so that latency from them means something.
    reach : callable
        Called with the names of `monitor.boundaries.BOUNDARIES`.
    """

    def __init__(
        self,
        *,
        source: Source,
        open_shard: Callable[[int], Shard],
        registers: Registers,
        relays: Relays,
        summaries: SummarySink | None,
        platform: PlatformWorker | None,
        metrics: Metrics,
        checkpoint_every_s: float,
        reload_every_s: float,
        live: bool,
        reach: Reach,
    ) -> None:
        self._source = source
        self._open_shard = open_shard
        self._registers = registers
        self._relays = relays
        self._summaries = summaries
        self._platform = platform
        self._metrics = metrics
        self._checkpoint_every_s = checkpoint_every_s
        self._reload_every_s = reload_every_s
        self._live = live
        self._reach = reach
        self.shards: dict[int, Shard] = {}
        """The shards that this worker owns, by partition number."""
        self._turn_s = self._saved_s = self._reloaded_s = self._handed_s = time.monotonic()
        self._told_left_s = self._turn_s
        self._caught_up = False
        self._store_reachable = True
        self._snapshot_positions: dict[Position, int] = {}

    def health(self) -> Health:
        """Return whether the loop turns, and whether the feed has been caught up with."""
        return Health(
            heartbeat_age_s=round(time.monotonic() - self._turn_s, 3),
            assigned=bool(self.shards),
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
        with a snapshot of each shard, so that a later run goes on where this one stopped.
        """
        self._follow_group()  # a tape is there at once: its first records are not read twice
        while not stop.is_set():
            self._turn_s = time.monotonic()
            arrivals = self._source.poll(POLL_S)
            self._follow_group()
            if arrivals is not None:
                self._take(arrivals)
            busy = self._platform.turn() if self._platform is not None else False
            self._housekeeping()
            if arrivals is None and not self._caught_up and not self._backlog():
                self._caught_up = True
                caught_up()
            if exit_when_drained and arrivals is None and not busy and self._ended():
                break
            if arrivals is None and not self._live:
                stop.wait(POLL_S)  # a tape that has ended answers at once
        self.checkpoint()

    def checkpoint(self) -> None:
        """Make all state durable, then tell the source how far that is."""
        self._saved_s = time.monotonic()
        for number, shard in list(self.shards.items()):
            begun = time.monotonic()
            try:
                size = shard.snapshot()
            except FencedError as error:
                self._let_go(number, error)
                continue
            except OSError as error:
                self._metrics.checkpoint_failed()
                _log.error("snapshot failed", shard=shard.name, error=str(error))
                continue
            if size is not None:
                spent = round(time.monotonic() - begun, 3)
                _log.debug("snapshot kept", shard=shard.name, bytes=size, seconds=spent)
                self._metrics.checkpoint_kept(size=size)
                self._source.commit(dict(shard.at))
                self._reach("offsets committed")
        if self._platform is not None:
            self._platform.checkpoint()

    def _backlog(self) -> str:
        """Return what is left of what was there at the start; empty when all is processed."""
        recovering = [shard.name for shard in self.shards.values() if shard.recovering]
        if not self.shards:
            return "partitions from the group"
        if recovering:
            return f"recovery of {', '.join(recovering)}"
        return "" if self._source.drained else "records that were there at the start"

    def _ended(self) -> bool:
        """Whether nothing is left to do here: every stage has come to the end of its input."""
        left = self._left()
        if left and time.monotonic() - self._told_left_s >= LEFT_S:
            self._told_left_s = time.monotonic()
            _log.info("not drained yet", waits_for=left)
        return not left

    def _left(self) -> str:
        """Return what an exit waits for; empty when nothing is left to do."""
        if backlog := self._backlog():
            return backlog
        idle = {position for shard in self.shards.values() for position in shard.idle}
        busy = sorted(f"{t.name.lower()}/{n}" for t, n in self._source.positions().keys() - idle)
        if busy:
            return f"{', '.join(busy)} to be idle"
        if self._platform is not None and (waiting := self._platform.left()):
            return waiting
        self._take_handoffs()
        return "" if self._relays.drained() else f"{self._relays.waiting} rows of the outbox"

    def _follow_group(self) -> None:
        news: Reassigned | None = self._source.reassigned()
        if news is None:
            return
        _log.info("partitions moved", revoked=len(news.revoked), assigned=len(news.assigned))
        for number in sorted({number for _, number in news.revoked}):
            self._close(number)
        if news.assigned:
            # The last owner may know a newer register: going back to the one before would be an
            # event of its own to detectors that watch the register.
            self._reload()
        for number in sorted({number for _, number in news.assigned}):
            self._open(number)

    def _open(self, number: int) -> None:
        self._close(number)
        begun = time.monotonic()
        shard = self._open_shard(number)
        self.shards[number] = shard
        self._metrics.adopt(pending=shard.pipeline.totals.pending)
        self._relays.open(shard.claim)
        self._source.seek({(topic, number): shard.at.get((topic, number), 0) for topic in Topic})
        _log.info(
            "shard claimed",
            shard=shard.name,
            epoch=shard.claim.epoch,
            records=shard.pipeline.totals.read,
            seconds=round(time.monotonic() - begun, 3),
        )
        for name in shard.pipeline.quarantined:
            self._metrics.set_quarantined(name)
        try:
            for each in shard.begin():
                self._deliver(shard, each)
        except FencedError as error:
            self._let_go(number, error)

    def _close(self, number: int) -> None:
        shard = self.shards.pop(number, None)
        if shard is not None:
            self._metrics.adopt(pending=-shard.pipeline.totals.pending)
            self._relays.close(shard.name)

    def _let_go(self, number: int, error: RingfenceError) -> None:
        """Drop a shard that another worker has claimed; ask the group who is to have it."""
        _log.warning("shard lost", partition=number, error=str(error))
        self._metrics.shard_lost()
        self._close(number)
        self._source.give_up(number)

    def _take(self, arrivals: Arrivals) -> None:
        positions = self._source.positions()
        parts = split(arrivals)
        for number, shard in list(self.shards.items()):
            at = {position: next_ for position, next_ in positions.items() if position[1] == number}
            part = parts.get(number)
            if part is None:
                part = Arrivals(batch=shard.pipeline.nothing)
            records = len(part.batch) or len(part.rejects)
            if not records and part.idle == shard.idle and not shard.recovering:
                continue
            try:
                for each in shard.take(part, at):
                    self._deliver(shard, each)
            except FencedError as error:
                self._let_go(number, error)
            except RingfenceError:
                self._store_reachable = False
                self._metrics.observe_store(0.0, failed=True)
                raise

    def _deliver(self, shard: Shard, each: Pass) -> None:
        """Send on what a pass gave besides alerts, and measure it."""
        begun = time.monotonic()
        if each.outcome.summary is not None and self._summaries is not None:
            self._summaries.send(each.outcome.summary)
            self._reach("summary sent")
        for kept in each.kept:
            self._metrics.observe_alert(kept.alert, kept.before)
        self._measure(shard, each, each.seconds + time.monotonic() - begun)

    def _measure(self, shard: Shard, each: Pass, seconds: float) -> None:
        metrics, pipeline, outcome = self._metrics, shard.pipeline, each.outcome
        engine_ns = outcome.batch["engine_ns"]
        topics = np.bincount(each.arrivals.batch["topic"], minlength=len(Topic)).tolist()
        for reject in each.arrivals.rejects:
            topics[reject.topic] += 1
        everywhere = [other.pipeline for other in self.shards.values()]
        metrics.observe_batch(
            counts_between(
                each.before,
                pipeline.totals,
                read={topic.name.lower(): topics[topic] for topic in Topic},
                pending=sum(other.totals.pending for other in everywhere),
                gaps_open=sum(other.open_gaps for other in everywhere),
                last_event_ns=int(engine_ns.max()) if len(engine_ns) else None,
                seconds=seconds,
            )
        )
        metrics.observe_volume(outcome.batch)
        metrics.observe_coverage(outcome.batch)
        if each.wrote_s is not None:
            metrics.observe_store(each.wrote_s)
        if self._live and not shard.recovering:
            metrics.observe_latency(engine_ns, time.time_ns())
        for name, spent in outcome.seconds.items():
            metrics.observe_detector(
                name,
                seconds=spent,
                findings=outcome.findings.get(name, 0),
                overflow=sum(other.overflow(name) for other in everywhere),
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
        self._relays.send()
        self._metrics.set_outbox(self._relays.waiting)
        if now - self._handed_s >= HANDOFFS_S:
            self._handed_s = now
            self._take_handoffs()
        if now - self._reloaded_s >= self._reload_every_s:
            self._reloaded_s = now
            self._reload()
        if now - self._saved_s >= self._checkpoint_every_s:
            self.checkpoint()

    def _take_handoffs(self) -> None:
        if self._platform is None:
            return
        for number, shard in list(self.shards.items()):
            try:
                for kept in shard.take_handoffs():
                    self._metrics.observe_alert(kept.alert, kept.before)
            except FencedError as error:
                self._let_go(number, error)

    def _reload(self) -> None:
        old = self._registers.current.version
        try:
            new = self._registers.reload_if_changed()
        except RegistryError as error:
            self._metrics.registry_reloaded(accepted=False)
            _log.error("registry refused, the old version stays", error=_without_accounts(error))
            return
        if new is None:
            return
        self._metrics.registry_reloaded(accepted=True)
        _log.info("registry reloaded", old=old, new=new.version)
        for number, shard in list(self.shards.items()):
            try:
                for each in shard.reload():
                    self._deliver(shard, each)
            except FencedError as error:
                self._let_go(number, error)
        if self._platform is not None:
            self._platform.reload()


def _without_accounts(error: RegistryError) -> str:
    """Return which kind of fault a registry has; its accounts stay out of the log."""
    return str(error).partition(" account ")[0]


def _by_topic(values: Mapping[Position, int]) -> dict[str, int]:
    sums = dict.fromkeys((topic.name.lower() for topic in Topic), 0)
    for (topic, _), value in values.items():
        sums[topic.name.lower()] += value
    return sums
