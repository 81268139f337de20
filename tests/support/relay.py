"""Relays in processes that die: the rows that they send, the moment of death, what readers see."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import kafka.producer.sender
import kafka.producer.transaction_manager
from kafka import KafkaConsumer, TopicPartition

import ingest.kafka_relay
from ingest.errors import SourceError
from ingest.kafka_relay import FencedError, KafkaRelay, OutboxRow
from ingest.kafka_settings import KafkaSettings

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.relay"])
STEPS = {
    ingest.kafka_relay.__file__: {"send", "_transact", "_settle"},
    kafka.producer.transaction_manager.__file__: {
        "begin_commit",
        "_complete_transaction",
        "on_complete",
        "handle_response",
    },
    kafka.producer.sender.__file__: {"_handle_produce_response", "_complete_batch"},
}
"""Functions in which a process can die: at every line of the relay's own, and when the library, on
another thread, enters one that takes an answer of the broker."""


def rows(first: int, count: int, *, shard: str = "p0", size: int = 0) -> list[OutboxRow]:
    """Return rows of consecutive ids; seven alerts take turns, so revisions rise."""
    return [
        OutboxRow(
            id=n,
            key=f"{shard}-{n % 7}".encode(),
            value=json.dumps({"revision": n // 7, "id": n, "pad": "x" * size}).encode(),
        )
        for n in range(first, first + count)
    ]


def committed(settings: KafkaSettings) -> list[tuple[bytes, bytes]]:
    """Return (key, value) of what a reader of committed records finds on the alerts topic."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    place = TopicPartition(settings.alerts, 0)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    found: list[tuple[bytes, bytes]] = []
    deadline = time.monotonic() + 60
    while consumer.position(place) < end:
        assert time.monotonic() < deadline, "an open transaction holds readers up"
        for records in consumer.poll(timeout_ms=200).values():
            found += [(record.key, record.value) for record in records]
    consumer.close()
    return found


class Death:
    """Counts the steps of `STEPS` on all threads; at a given one the process is killed."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.seen = 0

    def watch(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if frame.f_code.co_name not in STEPS.get(frame.f_code.co_filename, ()):
            return None
        self._step()
        return self._line if frame.f_code.co_filename == ingest.kafka_relay.__file__ else None

    def _line(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self._step()
        return self._line

    def _step(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def send_until_killed(
    settings: KafkaSettings, pending: list[OutboxRow], at: int, answer: Connection
) -> None:
    """Send rows of p0 and die at the given step; one that outlives it answers how many it saw."""
    death = Death(at)
    threading.settrace(death.watch)
    relay = KafkaRelay(settings, "p0")
    relay.delivered()
    death.seen = 0
    sys.settrace(death.watch)
    relay.send(pending)
    sys.settrace(None)
    answer.send(death.seen)
    os._exit(0)


def send_one_by_one(
    settings: KafkaSettings, pending: list[OutboxRow], pause_s: float, answer: Connection
) -> None:
    """Send rows of p0, a transaction each, with pauses; answer how it ended."""
    relay = KafkaRelay(settings, "p0")
    relay.delivered()
    answer.send("ready")
    try:
        for row in pending:
            relay.send([row])
            time.sleep(pause_s)
        answer.send("done")
    except FencedError:
        answer.send("fenced")
    except SourceError as error:
        answer.send(str(error))


def start(task: Any, *arguments: object) -> tuple[Any, Connection]:
    """Start a task in a process of its own; return the process and where its answers arrive."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=task, args=(*arguments, sender), daemon=True)
    process.start()
    sender.close()
    return process, receiver
