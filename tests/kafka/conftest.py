"""One real broker for all tests of this folder; topics and groups are new for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from ingest.kafka_client import create_topics
from ingest.kafka_settings import KafkaSettings
from tests.support.broker import KafkaBroker, open_broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A broker that serves; ended when the tests are."""
    broker = open_broker(tmp_path_factory.mktemp("broker") / "kafka")
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def settings(broker: KafkaBroker) -> KafkaSettings:
    """Settings with names that no other test uses; no topic exists yet."""
    mark = uuid.uuid4().hex[:8]
    return KafkaSettings(
        bootstrap=broker.bootstrap,
        group=f"group-{mark}",
        orders=f"orders-{mark}",
        trades=f"trades-{mark}",
        alerts=f"alerts-{mark}",
        dead_letter=f"dead-letter-{mark}",
        connect_timeout_s=10.0,
        idle_s=0.3,
    )


@pytest.fixture
def make_topics(settings: KafkaSettings) -> Callable[..., None]:
    """Create all four topics; the argument is the feed's partition count."""

    def make(partitions: int = 1) -> None:
        feed = {settings.orders: partitions, settings.trades: partitions}
        create_topics(settings, {**feed, settings.alerts: 1, settings.dead_letter: 1})

    return make
