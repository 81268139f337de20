"""The alert set after a crash is that of a clean run: at every boundary between two writes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from ingest.kafka_client import create_topics
from monitor.boundaries import BOUNDARIES
from tests.support import worker
from tests.support.broker import KafkaBroker
from tests.support.exact import Site, assert_told_once
from tests.support.feeds import PARTITIONS, plain_feed, send
from tests.support.left import assert_balanced, assert_same, feed_ends
from tests.support.lives import Lives
from tests.support.postgres import fresh_database

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Chain = Sequence[tuple[str, int]]
CHAINS: Sequence[Chain] = (
    tuple(
        (name, hit) for hit in (1, 3) for name in ("claimed", "restored", "decided", "committed")
    ),
    tuple((name, hit) for hit in (1, 3) for name in ("rejected", "summary sent", "archived")),
    tuple(
        (name, hit) for hit in (1, 3) for name in ("snapshot kept", "trimmed", "offsets committed")
    ),
    tuple((name, hit) for hit in (1, 2) for name in ("sent", "settled")),
    (("handed over", 1), ("handed over", 1)),
)
"""Where lives end, one after the other: at each boundary at once, and at one that comes later.

What is handed over has a chain of its own: it happens a few times in all, and once done in a life
that ends elsewhere it is not done again.
"""


class Plain:
    """The feed that leaves nothing to be decided, sent; and what an undisturbed worker makes of it.

    All of it is there before any worker starts, so that no partition is idle before its end.
    """

    def __init__(self, broker: KafkaBroker, lives: Lives, folder: Path, url: URL) -> None:
        self.tape, self.messages = plain_feed()
        self.settings = worker.unused_settings(broker)
        create_topics(
            self.settings,
            {self.settings.orders: PARTITIONS, self.settings.trades: PARTITIONS},
        )
        send(self.settings, self.messages)
        site = Site(self.settings, self.tape, folder, url=url)
        self.reached = site.run(lives).reached
        self.clean = site.left()
        assert {row[0] for row in self.clean.coverage} == {"SIM1-USD"}
        assert {totals.duplicates > 0 for totals in self.clean.totals.values()} == {True}
        self.check(site)

    def check(self, site: Site) -> None:
        """Fail when a site has not what the clean run has."""
        left = site.left()
        assert_same(left, self.clean)
        assert_balanced(left, feed_ends(self.messages))
        assert_told_once(site)

    def check_after(self, chain: Chain, site: Site, lives: Lives) -> None:
        """Let one life after the other die, run to the end, and compare."""
        for boundary, hit in chain:
            end = site.start(lives, boundary=boundary, hit=hit).end()
            assert end.was_at(boundary, hit), (boundary, hit, end)
        site.run(lives)
        self.check(site)


@pytest.fixture(scope="module")
def plain(
    broker: KafkaBroker, lives: Lives, tmp_path_factory: pytest.TempPathFactory, postgres: URL
) -> Iterator[Plain]:
    with fresh_database(postgres) as url:
        yield Plain(broker, lives, tmp_path_factory.mktemp("plain") / "clean", url)


def test_a_clean_run_comes_to_every_boundary_and_finds_something_of_every_scope(
    plain: Plain,
) -> None:
    assert set(plain.reached) == set(BOUNDARIES)
    assert {boundary for chain in CHAINS for boundary, _ in chain} == set(BOUNDARIES)
    detectors = {record.partition('"detector":"')[2] for record in plain.clean.alerts.values()}
    found = {name.partition('"')[0] for name in detectors}
    assert found >= {"client_priority", "tag_integrity", "wash_rings", "wash_trading"}


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain[0][0])
def test_a_worker_that_dies_at_boundaries_leaves_what_a_clean_run_leaves(
    plain: Plain, lives: Lives, database: URL, tmp_path: Path, chain: Chain
) -> None:
    site = Site(plain.settings, plain.tape, tmp_path / "site", url=database, every_s=0.4)
    plain.check_after(chain, site, lives)


def test_a_summary_of_trades_that_was_decided_and_not_sent_is_sent_by_the_next_life(
    plain: Plain, lives: Lives, database: URL, tmp_path: Path
) -> None:
    # Without a snapshot each life sends those again that were decided before it, then new ones.
    site = Site(
        plain.settings,
        plain.tape,
        tmp_path / "site",
        url=database,
        every_s=3_600.0,
        poll_records=25,
    )
    # Which shard's come first is up to the polls, so some lives end at one that is sent again.
    unsent = 0
    for hit in (1, 2, 4, 7, 10, 13):
        end = site.start(lives, call="monitor.parts:_Summaries.send", hit=hit).end()
        assert end.code == -signal.SIGKILL
        unsent += end.reached[-1] == "committed"
    assert unsent >= 1, "no life ended between a decision and its summary"
    site.run(lives)
    plain.check(site)


def test_on_sqlite_and_with_snapshots_in_a_folder_it_is_the_same(
    plain: Plain, lives: Lives, tmp_path: Path
) -> None:
    site = Site(plain.settings, plain.tape, tmp_path / "site", storage="folder", every_s=0.3)
    chain = (("committed", 5), ("archived", 4), ("snapshot kept", 2), ("sent", 1))
    plain.check_after(chain, site, lives)
