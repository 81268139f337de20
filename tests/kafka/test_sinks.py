"""What is written to a real broker: alerts and dead letters."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from ingest import dead_letter
from ingest.events import Reject, Topic
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import DeadLetterSink

pytestmark = pytest.mark.kafka


def written(settings: KafkaSettings, topic: str) -> list[tuple[bytes, bytes]]:
    """Return (key, value) of every record of a topic of one partition."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    end = consumer.end_offsets([place])[place]
    found: list[tuple[bytes, bytes]] = []
    while consumer.position(place) < end:
        for records in consumer.poll(timeout_ms=200).values():
            found += [(record.key, record.value) for record in records]
    consumer.close()
    return found


def reject(offset: int, raw: bytes, reason: str = "not_json") -> Reject:
    return Reject(
        topic=Topic.TRADES, partition=3, offset=offset, reason=reason, detail="why", raw=raw
    )


def test_dead_letters_say_where_why_and_what(
    settings: KafkaSettings, make_topics: Callable[..., None]
) -> None:
    make_topics()
    sink = DeadLetterSink(settings)
    sink.write([reject(7, b"\xff\x00"), reject(9, b"", "conflict")])
    sink.write([])
    sink.close()
    (key, value), (_, other) = written(settings, settings.dead_letter)
    assert key == f"{settings.trades}/3@7".encode()
    letter = dead_letter.decode(value)
    assert msgspec.structs.asdict(letter) == {
        "topic": settings.trades,
        "partition": 3,
        "offset": 7,
        "reason": "not_json",
        "detail": "why",
        "raw": "/wA=",
    }
    assert dead_letter.raw_of(letter) == b"\xff\x00"
    assert dead_letter.decode(other).reason == "conflict"


def test_a_record_too_large_for_a_letter_goes_without_its_bytes(
    settings: KafkaSettings, make_topics: Callable[..., None]
) -> None:
    make_topics()
    sink = DeadLetterSink(settings)
    sink.write([reject(1, b"x" * 900_000)])
    sink.close()
    letter = dead_letter.decode(written(settings, settings.dead_letter)[0][1])
    assert (letter.offset, letter.raw) == (1, "")
