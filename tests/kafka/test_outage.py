"""A broker that goes away and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest

from ingest.decode import Decoder
from ingest.errors import SourceError
from ingest.kafka import KafkaSource
from ingest.kafka_relay import KafkaRelay, OutboxRow
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer
from ingest.names import Names
from tests.support.broker import KafkaBroker
from tests.support.venue import random_tape

pytestmark = pytest.mark.kafka


def test_a_feed_and_a_sink_go_on_by_themselves_when_a_broker_that_crashed_is_back(
    settings: KafkaSettings,
    broker: KafkaBroker,
    make_topics: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    if broker.external:
        pytest.skip("a broker at a given address is not restarted")
    make_topics()
    quick = msgspec.structs.replace(settings, connect_timeout_s=2.0)
    source = KafkaSource(quick, Decoder(random_tape(seed=1, events=10).table, Names()))
    producer, alerts = Producer(quick, [quick.orders]), KafkaRelay(quick, "p0")
    alerts.send([row(1, "before")])
    producer.send(quick.orders, b"k", b"one", 0)
    producer.flush()
    arrived = _rejects(source, 1)
    broker.kill()
    begun = time.monotonic()
    try:
        for _ in range(5):
            arrivals = source.poll(0.2)
            assert arrivals is None or not arrivals.idle, "nobody knows what waits at the broker"
            source.lag()
        assert not source.commit(source.positions())
        with pytest.raises(SourceError):
            alerts.send([row(2, "while away")])
        assert time.monotonic() - begun < 20, "a loop that waits so long looks dead"
    finally:
        broker.start()
    back = time.monotonic()
    alerts.send([row(3, "after")])
    producer.send(quick.orders, b"k", b"two", 0)
    producer.flush()
    arrived += _rejects(source, 1)
    assert arrived == [b"one", b"two"]
    assert time.monotonic() - back < 15
    assert source.commit(source.positions())
    for each in (source, producer, alerts):
        each.close()
    shown = capfd.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert (shown.out + shown.err).count("kafka client") < 20


def row(number: int, key: str) -> OutboxRow:
    return OutboxRow(id=number, key=key.encode(), value=b"{}")


def _rejects(source: KafkaSource, count: int) -> list[bytes]:
    found: list[bytes] = []
    deadline = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < deadline, f"nothing came: {source.positions()}"
        arrivals = source.poll(0.2)
        found += [reject.raw for reject in arrivals.rejects] if arrivals else []
    return found
