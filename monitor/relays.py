"""The ways out of the outbox, one a shard: sent between polls, again when a broker was away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from alerts.database import StoreError
from alerts.outbox import Outbox
from alerts.shards import Claim, FencedError, Shards
from ingest.errors import SourceError
from ingest.kafka_relay import FencedError as RelayFencedError
from ingest.kafka_relay import OutboxRow

AGAIN_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after a failed send: alerts are safe in the store, and the loop must not stand still."""
CONSUMER: Final = "kafka"

_log = structlog.get_logger()


class Relay(Protocol):
    """Sends a shard's rows, each once: `ingest.kafka_relay.KafkaRelay`."""

    def delivered(self) -> int:
        """Return the highest id that has arrived."""

    def send(self, rows: Sequence[OutboxRow]) -> int:
        """Deliver rows; return the highest id that has arrived."""

    def close(self) -> None:
        """Let go of connections."""


class _Way:
    """One shard's relay and how far it is."""

    def __init__(self, claim: Claim, relay: Relay, reached: int) -> None:
        self.claim = claim
        self.relay = relay
        self.reached = reached
        self.asked = False


class Relays:
    """The relays of the shards that a worker owns.

    Parameters
    ----------
    shards : Shards
    outbox : Outbox
    connect : callable, optional
        Makes the relay of a shard by name; None where nothing leaves (a tape).
    reach : callable
        Called with "sent" and "settled".
    """

    def __init__(
        self,
        shards: Shards,
        outbox: Outbox,
        connect: Callable[[str], Relay] | None,
        reach: Callable[[str], None],
    ) -> None:
        self._shards = shards
        self._outbox = outbox
        self._connect = connect
        self._reach = reach
        self._ways: dict[str, _Way] = {}
        self._failures = 0
        self._next_s = 0.0
        self.waiting = 0
        """Rows of this worker's shards that have not left."""

    def open(self, claim: Claim) -> None:
        """Take over the outbox of a shard that was claimed."""
        self.close(claim.shard)
        if self._connect is not None:
            noted = self._outbox.read_by(CONSUMER, claim.shard)
            self._ways[claim.shard] = _Way(claim, self._connect(claim.shard), noted)

    def close(self, shard: str) -> None:
        """Let go of a shard's outbox."""
        way = self._ways.pop(shard, None)
        if way is not None:
            way.relay.close()

    def close_all(self) -> None:
        """Let go of every outbox."""
        for shard in list(self._ways):
            self.close(shard)

    def send(self) -> None:
        """Send what waits; a failure is logged and tried again after a pause."""
        if time.monotonic() < self._next_s:
            return
        self.waiting = 0
        for way in list(self._ways.values()):
            try:
                self._send(way)
            except RelayFencedError as error:
                self._fenced(way, error)
            except SourceError as error:
                self._failed(way, error)
            except FencedError as error:
                # The shard's next pass learns it too; what it has sent, its owner asks Kafka for.
                _log.warning("outbox lost", shard=way.claim.shard, error=str(error))
                self.close(way.claim.shard)

    def drained(self) -> bool:
        """Send what waits; return whether nothing does any more."""
        self.send()
        return not self.waiting

    def _send(self, way: _Way) -> None:
        while rows := self._outbox.pending(way.claim.shard, after=way.reached):
            self.waiting += len(rows)
            if not way.asked:
                # Asking takes the shard's outbox from any other relay, so only its owner may; one
                # that was frozen for long finds rows here that another has begun to send.
                self._require(way.claim)
                # The store may not know of the last send: Kafka does, and has the last word.
                way.reached = self._where(way)
                way.asked = True
                self.waiting -= len(rows)
                continue
            way.reached = way.relay.send(rows)
            self._reach("sent")
            self._outbox.settle(self._shards, way.claim, CONSUMER, way.reached)
            self._reach("settled")
            self.waiting -= len(rows)
            self._failures = 0

    def _where(self, way: _Way) -> int:
        delivered, shard = way.relay.delivered(), way.claim.shard
        if delivered <= way.reached:
            return way.reached
        rows = self._outbox.pending(shard, after=delivered - 1, limit=1)
        if not rows or rows[0].id != delivered:
            self._require(way.claim)  # a later owner may have sent and dropped the row meanwhile
            raise StoreError(
                f"row {delivered} of outbox {shard} has left and the store does not know it: the "
                "store is new or was put back to an earlier day; give kafka.group another name, "
                "so that its alerts are sent anew"
            )
        return delivered

    def _require(self, claim: Claim) -> None:
        if not self._shards.holds(claim):
            raise FencedError(f"shard {claim.shard} has another owner, and its outbox with it")

    def _fenced(self, way: _Way, error: RelayFencedError) -> None:
        """Connect anew where the shard is still this worker's; else leave it to its owner."""
        way.relay.close()
        if self._connect is not None and self._shards.holds(way.claim):
            way.relay = self._connect(way.claim.shard)
        self._failed(way, error)

    def _failed(self, way: _Way, error: Exception) -> None:
        pause_s = AGAIN_S[min(self._failures, len(AGAIN_S) - 1)]
        self._failures += 1
        self._next_s = time.monotonic() + pause_s
        way.asked = False
        _log.warning(
            "alerts not sent, trying again",
            shard=way.claim.shard,
            waiting=self.waiting,
            pause_s=pause_s,
            error=str(error),
        )
