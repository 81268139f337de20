"""Topics and groups that are new for each test, on the one broker of the session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from ingest.kafka_settings import KafkaSettings
from tests.support import worker
from tests.support.broker import KafkaBroker


@pytest.fixture
def settings(broker: KafkaBroker) -> KafkaSettings:
    """Settings with names that no other test uses; no topic exists yet."""
    return worker.unused_settings(broker)


@pytest.fixture
def make_topics(settings: KafkaSettings) -> Callable[..., None]:
    """Create all four topics; the argument is the feed's partition count."""
    return partial(worker.make_topics, settings)
