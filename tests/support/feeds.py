"""Feeds that make recovery hard, of the conformance tape: what a producer and a network do to it.

A feed is a list of messages in the order in which they are sent, each with its topic and partition.
All of it is simulated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ingest.events import Topic
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer
from tests.support.conformance import SECOND, conformance_tape
from tests.support.venue import Tape

PARTITIONS = 3
SILENCE_NS = 300 * SECOND
"""Longer than a gap is waited for."""


class Message(NamedTuple):
    """One record of a feed, as it is sent."""

    topic: Topic
    partition: int
    key: bytes
    value: bytes


Entry = tuple[float, Message]
"""When, as a place in the tape, and what."""


def plain_feed(seed: int = 1, events: int = 1_500) -> tuple[Tape, list[Message]]:
    """Return a feed whose records leave nothing to be decided by when they are read.

    Records come out of order by a few places, are lost for good, come twice, come again with other
    content in the same topic, or are no records at all.
    """
    tape = conformance_tape(events)
    rng = random.Random(seed)
    lost = _some_order(tape, 0.75)
    quiet = silences(tape)
    entries: list[Entry] = []
    for place, record in enumerate(tape.records):
        if record is lost:
            continue
        message = _message(tape, record)
        at = place + (rng.uniform(2, 9) if rng.random() < 0.05 else 0.0)
        if any(place < silence <= at for silence in quiet):
            at = float(place)  # it would be given up in the silence
        entries.append((at, message))
        if rng.random() < 0.03:
            entries.append((at + rng.uniform(0.1, 90), message))
        if rng.random() < 0.01:
            entries.append((at + rng.uniform(0.1, 90), _message(tape, _other(record))))
        if rng.random() < 0.005:
            entries.append((at, message._replace(value=message.value[: len(message.value) // 2])))
    return tape, _in_order(entries)


def hard_feed(seed: int = 2, events: int = 1_500) -> tuple[Tape, list[Message]]:
    """Return a feed in which much depends on what is read first, so that it has to be decided.

    Beyond those of `plain_feed`: records that come when they were given up; an order and a trade
    with one seq; an instrument that is found in two partition numbers.
    """
    tape, plain = plain_feed(seed, events)
    rng = random.Random(seed)
    entries: list[Entry] = [(float(place), message) for place, message in enumerate(plain)]
    entries = _with_latecomers(tape, entries)
    for place, message in list(entries):
        if rng.random() < 0.012 and message.value.endswith(b"}"):
            entries.append((place + rng.uniform(0, 4), counterpart(tape, message)))
    strays = rng.sample([(p, m) for p, m in entries if p > len(plain) / 3], 20)
    entries += [(p + 0.5, m._replace(partition=(m.partition + 1) % PARTITIONS)) for p, m in strays]
    return tape, _in_order(entries)


def steps(messages: Sequence[Message], count: int) -> list[Sequence[Message]]:
    """Return a feed in so many pieces of about one size."""
    ends = [len(messages) * number // count for number in range(count + 1)]
    return [messages[first:end] for first, end in pairwise(ends)]


def send(settings: KafkaSettings, messages: Iterable[Message]) -> None:
    """Send messages, each to its partition; return once they are durable."""
    producer = Producer(settings, [settings.orders, settings.trades])
    try:
        for message in messages:
            topic = settings.topic(message.topic)
            producer.send(topic, message.key, message.value, message.partition)
        producer.flush()
    finally:
        producer.close()


def changed_accounts(tape: Tape) -> list[dict[str, str]]:
    """Return the tape's register, corrected: a client of the group's, and an account that was
    missing."""
    rows = [dict(row) for row in tape.accounts]
    mine = next(row for row in rows if row["account"] == "MM1")
    for row in rows:
        if row["account"] == "C2":
            row["owner"] = mine["owner"]
    return [*rows, {**rows[-1], "account": "GHOST1", "owner": "O-GHOST1", "legal_entity": "G"}]


def _in_order(entries: Iterable[Entry]) -> list[Message]:
    return [message for _, message in sorted(entries, key=lambda entry: entry[0])]


def _message(tape: Tape, record: dict[str, Any]) -> Message:
    names = sorted(row["instrument"] for row in tape.instruments)
    return Message(
        topic=Topic.TRADES if "trade_id" in record else Topic.ORDERS,
        partition=names.index(record["instrument"]) % PARTITIONS,
        key=record["instrument"].encode(),
        value=json.dumps(record, separators=(",", ":")).encode(),
    )


def _some_order(tape: Tape, share: float) -> dict[str, Any]:
    """Return the first cancelled order of an instrument behind a share of the tape."""
    return next(
        record
        for record in tape.records[int(len(tape.records) * share) :]
        if record.get("action") == "cancel" and record["instrument"].startswith("SIM")
    )


def silences(tape: Tape) -> list[int]:
    """Return the place of the first record after each silence."""
    return [
        place
        for place, (before, after) in enumerate(pairwise(tape.records), 1)
        if after["engine_ns"] - before["engine_ns"] >= SILENCE_NS
    ]


def _other(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that says something else under the same seq."""
    field = "trade_id" if "trade_id" in record else "order_id"
    if record.get(field) is None:
        return {**record, "engine_ns": record["engine_ns"] + 1}
    return {**record, field: f"{record[field]}-other"}


def counterpart(tape: Tape, message: Message) -> Message:
    """Return a record of the other topic with a message's instrument and seq."""
    record = json.loads(message.value)
    others = tape.orders if message.topic is Topic.TRADES else tape.trades
    same = [other for other in others if other["instrument"] == record["instrument"]]
    if not same:
        return message
    nearest = min(same, key=lambda other: abs(other["engine_ns"] - record["engine_ns"]))
    moved = {name: record[name] for name in ("seq", "engine_ns")}
    return _message(tape, {**nearest, **moved})


def _with_latecomers(tape: Tape, entries: list[Entry]) -> list[Entry]:
    """Send an order from before each silence long after it."""
    late: dict[bytes, float] = {}
    for silence in silences(tape):
        orders = [r for r in tape.records[:silence] if r.get("action") == "new"]
        message = _message(tape, orders[-1])
        sent = next(at for at, (_, m) in enumerate(entries) if m.value == message.value)
        late[message.value] = sent + 130.0
    return [(late.get(message.value, place), message) for place, message in entries]
