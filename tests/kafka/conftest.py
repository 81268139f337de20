"""Topics and groups that are new for each test, on the one broker of the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import URL

from ingest.kafka_settings import KafkaSettings
from tests.support import worker
from tests.support.broker import KafkaBroker

if TYPE_CHECKING:
    from tests.support.lives import Lives


@pytest.fixture
def settings(broker: KafkaBroker) -> KafkaSettings:
    """Settings with names that no other test uses; no topic exists yet."""
    return worker.unused_settings(broker)


@pytest.fixture
def make_topics(settings: KafkaSettings) -> Callable[..., None]:
    """Create all four topics; the argument is the feed's partition count."""
    return partial(worker.make_topics, settings)


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    """The warm process that workers' lives are forked of."""
    from tests.support.lives import Lives

    lives = Lives(tmp_path_factory.mktemp("lives"))
    yield lives
    lives.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """One real PostgreSQL server for all tests of workers."""
    from tests.support.postgres import postgres_server

    with postgres_server() as url:
        yield url


@pytest.fixture
def database(postgres: URL) -> Iterator[URL]:
    """A new, empty database."""
    from tests.support.postgres import fresh_database

    with fresh_database(postgres) as url:
        yield url
