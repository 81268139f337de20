"""The worker's part in platform scope: whoever is given the summaries topic runs its shard."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from alerts.shards import FencedError
from ingest.kafka_summaries import SummaryFeed
from monitor.metrics import Metrics
from monitor.platform import PlatformShard

_log = structlog.get_logger()


class PlatformWorker:
    """Reads the summaries topic while it is this worker's, and runs the platform's shard.

    Parameters
    ----------
    feed : SummaryFeed
    open_shard : callable
        Claims the platform's shard and returns it.
    metrics : Metrics
    """

    def __init__(
        self, feed: SummaryFeed, open_shard: Callable[[], PlatformShard], metrics: Metrics
    ) -> None:
        self._feed = feed
        self._open_shard = open_shard
        self._metrics = metrics
        self._shard: PlatformShard | None = None

    def turn(self) -> bool:
        """Take what has come; return whether there was anything."""
        messages = self._feed.poll(0.0)
        if self._feed.moved():
            self._shard = None
            if self._feed.owned:
                self._open()
            return False  # what was polled before came from where reading stood until now
        if not messages or self._shard is None:
            return False
        try:
            self._shard.take(messages)
        except FencedError as error:
            self._let_go(error)
            return False
        self._measure(self._shard)
        return True

    def left(self) -> str:
        """Return what waits; empty when all summaries are taken, or another worker reads them."""
        return self._feed.left()

    def reload(self) -> None:
        """Go over to the register's current version."""
        if self._shard is not None:
            try:
                self._shard.reload()
            except FencedError as error:
                self._let_go(error)

    def checkpoint(self) -> None:
        """Keep a snapshot."""
        if self._shard is None:
            return
        try:
            size = self._shard.snapshot()
        except FencedError as error:
            self._let_go(error)
        except OSError as error:
            self._metrics.checkpoint_failed()
            _log.error("snapshot failed", shard="platform", error=str(error))
        else:
            if size is not None:
                self._feed.commit(self._shard.at)

    def _open(self) -> None:
        begun = time.monotonic()
        shard = self._open_shard()
        self._feed.seek(shard.at)
        try:
            shard.begin()
        except FencedError as error:
            self._let_go(error)
            return
        self._shard = shard
        _log.info(
            "shard claimed",
            shard="platform",
            epoch=shard.claim.epoch,
            seconds=round(time.monotonic() - begun, 3),
        )

    def _let_go(self, error: FencedError) -> None:
        _log.warning("shard lost", shard="platform", error=str(error))
        self._metrics.shard_lost()
        self._shard = None
        self._feed.give_up()

    def _measure(self, shard: PlatformShard) -> None:
        for name, spent in shard.detecting.spent().items():
            self._metrics.observe_detector(name, seconds=spent, findings=shard.found.get(name, 0))
        shard.found = {}
        for name in shard.detecting.quarantined:
            self._metrics.set_quarantined(name)
        self._metrics.set_platform(waiting=len(shard.stage), late=shard.stage.late)
