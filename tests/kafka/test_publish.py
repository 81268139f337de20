"""`ringfence publish` against a real broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import pytest
from kafka import KafkaConsumer, TopicPartition

from ingest.errors import SourceError, TapeError
from ingest.events import Topic
from ingest.kafka_client import create_topics, partition_counts
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer
from ingest.tape import raw_records
from monitor.publish import Published, publish_tape
from tests.support.broker import free_ports
from tests.support.venue import Tape, random_tape

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def tape() -> Tape:
    return random_tape(seed=9, events=400, instruments=4)


@pytest.fixture(scope="module")
def folder(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tape.write(tmp_path_factory.mktemp("tape"))


class SimulatedTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


def content(settings: KafkaSettings, topic: str) -> dict[int, list[tuple[bytes, bytes]]]:
    """Return (key, value) of every record, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    places = [TopicPartition(topic, n) for n in range(partition_counts(settings)[topic])]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    found: dict[int, list[tuple[bytes, bytes]]] = {place.partition: [] for place in places}
    while any(consumer.position(place) < end for place, end in ends.items()):
        for place, records in consumer.poll(timeout_ms=200).items():
            found[place.partition] += [(record.key, record.value) for record in records]
    consumer.close()
    return found


def test_a_tape_is_published_byte_for_byte_in_order_and_by_kafkas_own_partitioner(
    settings: KafkaSettings, tape: Tape, folder: Path
) -> None:
    calls: list[tuple[int, int | None]] = []
    done = publish_tape(
        folder, settings, partitions=3, progress=lambda n, total: calls.append((n, total))
    )
    assert (done.orders, done.trades, done.partitions) == (len(tape.orders), len(tape.trades), 3)
    assert calls[-1] == (len(tape.records), len(tape.records))
    counts = partition_counts(settings)
    assert [counts[name] for name in (settings.orders, settings.trades)] == [3, 3]
    assert [counts[name] for name in (settings.alerts, settings.dead_letter)] == [1, 1]
    places: dict[bytes, set[int]] = {}
    for topic in Topic:
        found = content(settings, settings.topic(topic))
        expected: dict[str, list[bytes]] = {}
        for which, instrument, _, raw in raw_records(folder):
            if which is topic:
                expected.setdefault(instrument, []).append(raw)
        by_key: dict[str, list[bytes]] = {}
        for number, records in found.items():
            for key, value in records:
                places.setdefault(key, set()).add(number)
                by_key.setdefault(key.decode(), []).append(value)
        assert by_key == expected
    assert all(len(numbers) == 1 for numbers in places.values())
    # The same keys, placed by the library's default partitioner, go to the same places.
    producer = Producer(settings, [settings.orders])
    for key in places:
        producer.send(settings.orders, key, b"probe")
    producer.flush()
    producer.close()
    for number, records in content(settings, settings.orders).items():
        for key, value in records:
            if value == b"probe":
                assert places[key] == {number}


def test_a_bad_line_of_a_tape_is_published_as_it_is(
    settings: KafkaSettings, tape: Tape, tmp_path: Path
) -> None:
    folder = tape.write(tmp_path / "tape")
    lines = (folder / "orders.ndjson").read_bytes().splitlines()
    lines.insert(3, b"{ no json")
    (folder / "orders.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    done = publish_tape(folder, settings)
    assert done.orders == len(tape.orders) + 1
    values = [value for _, value in content(settings, settings.orders)[0]]
    assert b"{ no json" in values
    assert sorted(values) == sorted(lines)


def test_the_speed_is_a_multiple_of_real_time(
    settings: KafkaSettings, tape: Tape, folder: Path
) -> None:
    span_s = (tape.records[-1]["engine_ns"] - tape.records[0]["engine_ns"]) / 1e9
    time = SimulatedTime()
    done = publish_tape(folder, settings, speed=4.0, clock=time.clock, sleep=time.sleep)
    assert sum(time.slept) == pytest.approx(span_s / 4.0, rel=1e-6)
    assert done.seconds == pytest.approx(span_s / 4.0, rel=1e-6)
    assert max(time.slept) < span_s, "it waits before each record, not at the end"


def test_without_a_speed_nothing_is_waited_for(
    settings: KafkaSettings, folder: Path, make_topics: Callable[..., None]
) -> None:
    make_topics()
    time = SimulatedTime()
    publish_tape(folder, settings, clock=time.clock, sleep=time.sleep)
    assert not time.slept


def test_topics_that_exist_keep_their_partitions(settings: KafkaSettings, folder: Path) -> None:
    create_topics(settings, {settings.orders: 2})
    assert publish_tape(folder, settings, partitions=5).partitions == 2
    assert partition_counts(settings)[settings.trades] == 2


def test_topics_of_different_size_are_refused_before_anything_is_written(
    settings: KafkaSettings, folder: Path
) -> None:
    create_topics(settings, {settings.orders: 2, settings.trades: 1})
    with pytest.raises(SourceError, match="same number of partitions"):
        publish_tape(folder, settings)
    assert content(settings, settings.trades) == {0: []}


def test_a_tape_of_parquet_is_published_too(
    settings: KafkaSettings, tape: Tape, folder: Path, tmp_path: Path
) -> None:
    tape.write(tmp_path)
    lines = (tmp_path / "trades.ndjson").read_bytes()
    pl.read_ndjson(lines).write_parquet(tmp_path / "trades.parquet")
    (tmp_path / "trades.ndjson").unlink()
    done: Published = publish_tape(tmp_path, settings)
    assert done.trades == len(tape.trades)
    found = [msgspec.json.decode(value) for _, value in content(settings, settings.trades)[0]]
    assert [record["seq"] for record in found] == [
        msgspec.json.decode(raw)["seq"]
        for topic, _, _, raw in raw_records(folder)
        if topic is Topic.TRADES
    ]


def test_a_missing_tape_and_an_absent_broker_are_errors_of_one_line(
    settings: KafkaSettings, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TapeError):
        publish_tape(tmp_path / "nothing", settings)
    away = msgspec.structs.replace(
        settings, bootstrap=f"127.0.0.1:{free_ports(1)[0]}", connect_timeout_s=1.0
    )
    with pytest.raises(SourceError, match="must answer within 1 s"):
        publish_tape(folder, away)
