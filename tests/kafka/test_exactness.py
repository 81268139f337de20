"""The alert set after any crash is that of a clean run: every boundary, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from ingest.kafka_client import create_topics
from monitor.shard import BOUNDARIES
from tests.support import worker
from tests.support.broker import KafkaBroker
from tests.support.exact import Site, assert_balanced, assert_same, assert_told_once, feed_ends
from tests.support.feeds import PARTITIONS, plain_feed, send
from tests.support.lives import Lives
from tests.support.postgres import fresh_database, postgres_server

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    lives = Lives(tmp_path_factory.mktemp("lives"))
    yield lives
    lives.close()


@pytest.fixture(scope="module")
def server() -> Iterator[URL]:
    with postgres_server() as url:
        yield url


@pytest.fixture
def database(server: URL) -> Iterator[URL]:
    with fresh_database(server) as url:
        yield url


class Plain:
    """The feed that leaves nothing to be decided, sent; and what a clean run makes of it."""

    def __init__(self, broker: KafkaBroker, lives: Lives, folder: Path, url: URL) -> None:
        self.tape, self.messages = plain_feed()
        self.settings = worker.unused_settings(broker)
        create_topics(
            self.settings,
            {self.settings.orders: PARTITIONS, self.settings.trades: PARTITIONS},
        )
        send(self.settings, self.messages)
        self.ends = feed_ends(self.messages)
        site = Site(self.settings, self.tape, folder, url=url)
        self.reached = site.run(lives).reached
        self.clean = site.left()
        assert len(self.clean.alerts) > 12
        assert_balanced(self.clean, self.ends)
        assert_told_once(site)


@pytest.fixture(scope="module")
def plain(
    broker: KafkaBroker, lives: Lives, tmp_path_factory: pytest.TempPathFactory, server: URL
) -> Iterator[Plain]:
    with fresh_database(server) as url:
        yield Plain(broker, lives, tmp_path_factory.mktemp("plain") / "clean", url)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_worker_that_dies_at_a_boundary_leaves_what_a_clean_run_leaves(
    plain: Plain, lives: Lives, database: URL, tmp_path: Path, boundary: str
) -> None:
    site = Site(plain.settings, plain.tape, tmp_path / "site", url=database)
    often = plain.reached.count(boundary)
    assert often > 1, f"a clean run came to {boundary!r} {often} times"
    for hit in (1, min(3, often // 2)):
        end = site.start(lives, boundary=boundary, hit=hit).end()
        assert end.was_at(boundary, hit), end
    site.run(lives)
    left = site.left()
    assert_same(left, plain.clean)
    assert_balanced(left, plain.ends)
    assert_told_once(site)
