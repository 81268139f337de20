"""Workers that come, go, freeze or lose their broker leave what a clean run leaves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from ingest.kafka_client import create_topics
from tests.support import worker
from tests.support.broker import KafkaBroker
from tests.support.exact import Site, assert_told_once
from tests.support.feeds import PARTITIONS, changed_accounts, hard_feed, send, steps
from tests.support.journaled import by_journal
from tests.support.left import assert_balanced, assert_same, feed_ends
from tests.support.lives import Life, Lives

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.skipif(
        not os.environ.get("RINGFENCE_CRASHES"),
        reason="several workers that come, go and freeze take long: make crashes",
    ),
]


class Group:
    """Workers on the hard feed, which is sent in pieces."""

    def __init__(self, broker: KafkaBroker, lives: Lives, folder: Path, url: URL) -> None:
        self.tape, self.messages = hard_feed()
        self.settings = worker.unused_settings(broker)
        create_topics(
            self.settings,
            {self.settings.orders: PARTITIONS, self.settings.trades: PARTITIONS},
        )
        # A broker that is not ours may refuse a session of less than six seconds.
        session_s = 6.0 if broker.external else 2.0
        self.folder = folder
        # A broker takes some seconds to come back, on a busy machine many: it is waited for.
        self.site = Site(
            self.settings,
            self.tape,
            folder / "site",
            url=url,
            session_s=session_s,
            connect_s=45.0,
        )
        self._lives = lives
        self._parts: Iterator[object] = iter(steps(self.messages, 8))
        self._begun: list[Life] = []

    def start(self, member: str, **plan: Any) -> Life:
        """Begin a worker that goes on until it is ended."""
        life = self.site.start(self._lives, member, drains=False, **plan)
        self._begun.append(life)
        return life

    def send(self, pieces: int = 1) -> None:
        """Send the next pieces of the feed."""
        for _ in range(pieces):
            send(self.settings, next(self._parts))  # type: ignore[arg-type]

    def owned_by(self, *members: str) -> bool:
        """Return whether these workers have the partitions among them, all of these."""
        owners = self.site.owners()
        return len(owners) == PARTITIONS and set(owners.values()) == set(members)

    def check(self) -> None:
        """Send what is left, run to the end, and compare with a clean run."""
        for part in self._parts:
            send(self.settings, part)  # type: ignore[arg-type]
        self.site.run(self._lives)
        left = self.site.left()
        assert_same(left, by_journal(self.site, self.folder))
        assert_balanced(left, feed_ends(self.messages))
        assert_told_once(self.site)
        for shard, epochs in self.site.epochs().items():
            assert epochs == sorted(epochs), f"a former owner of {shard} wrote: {epochs}"

    def close(self) -> None:
        """End what still runs."""
        for life in self._begun:
            if life.poll() is None:
                life.signal(signal.SIGKILL)


@pytest.fixture
def group(broker: KafkaBroker, lives: Lives, database: URL, tmp_path: Path) -> Iterator[Group]:
    group = Group(broker, lives, tmp_path, database)
    yield group
    group.close()


def committed(life: Life, more: int) -> Callable[[], bool]:
    """Return a condition: a worker has committed so many passes more than until now."""
    before = life.reached.count("committed")
    return lambda: life.reached.count("committed") >= before + more


def test_one_worker_becomes_two_and_three_and_one_again_in_mid_stream(group: Group) -> None:
    group.send()
    one = group.start("w-1")
    one.wait(committed(one, 4), "commits of the first worker")
    group.send()
    # It looks for a new register hourly: it must not bring the old one back to what it is given.
    two = group.start("w-2", reload_s=3_600.0)
    two.wait(lambda: group.owned_by("w-1", "w-2"), "a second owner")
    group.site.write_accounts(changed_accounts(group.tape))
    one.wait(lambda: len(group.site.versions()["p1"]) == 2, "the new register in force")
    group.send()
    three = group.start("w-3")
    three.wait(lambda: group.owned_by("w-1", "w-2", "w-3"), "a third owner")
    assert group.site.owners()["p1"] == "w-2"
    group.send()
    three.wait(committed(three, 2), "commits of the third worker")
    group.send()
    two.signal(signal.SIGTERM)
    three.signal(signal.SIGKILL)
    assert two.end().code == 0, two.tail()
    assert three.end().code == -signal.SIGKILL
    group.send()
    one.wait(lambda: group.owned_by("w-1"), "one owner again")
    one.wait(committed(one, 2), "commits of the last worker")
    one.signal(signal.SIGTERM)
    assert one.end().code == 0, one.tail()
    group.check()
    versions = group.site.versions()
    assert {len(found) for found in versions.values()} == {2}, versions


@pytest.mark.parametrize(("boundary", "hit"), [("decided", 5), ("archived", 4), ("sent", 1)])
def test_a_worker_that_was_frozen_while_another_took_over_writes_nothing_and_comes_back(
    group: Group, boundary: str, hit: int
) -> None:
    group.send(2)
    zombie = group.start("w-1", boundary=boundary, hit=hit, number=signal.SIGSTOP)
    zombie.wait(zombie.frozen, "the freeze")
    heir = group.start("w-2")
    heir.wait(lambda: group.owned_by("w-2"), "an heir")
    group.send()
    heir.wait(committed(heir, 2), "commits of the heir")
    old = group.site.snapshots()
    epochs = {shard: epoch - 1 for shard, epoch in group.site.claims().items()}
    zombie.signal(signal.SIGCONT)
    zombie.wait(lambda: group.owned_by("w-1", "w-2"), "its return")
    group.send()
    zombie.wait(committed(zombie, 1), "commits of the one that came back")
    new = {place for place in group.site.snapshots() - old if place[1] <= epochs[place[0]]}
    assert not new, f"snapshots under an epoch that had ended: {new}"
    for life in (zombie, heir):
        life.signal(signal.SIGTERM)
        assert life.end().code == 0, life.tail()
    group.check()


def test_a_worker_that_froze_within_a_transaction_locks_its_shard_for_a_bounded_time(
    group: Group,
) -> None:
    group.send(2)
    inside = "alerts.shards:Shards.advance"
    zombie = group.start("w-1", call=inside, hit=6, number=signal.SIGSTOP, idle_s=3.0)
    zombie.wait(zombie.frozen, "the freeze")
    heir = group.start("w-2")
    heir.wait(lambda: group.owned_by("w-2"), "an heir")
    heir.wait(committed(heir, 2), "commits of the heir")
    zombie.signal(signal.SIGCONT)
    assert zombie.end().code > 0, "its transaction was ended, it may not go on as if nothing was"
    assert "the store could not" in zombie.tail()
    heir.signal(signal.SIGTERM)
    assert heir.end().code == 0, heir.tail()
    group.check()


@pytest.mark.parametrize("harm", ["restart", "kill"])
def test_a_broker_that_restarts_or_crashes_in_mid_stream_costs_nothing(
    group: Group, broker: KafkaBroker, harm: str
) -> None:
    if broker.external:
        pytest.skip("a broker at a given address is not restarted")
    group.send(3)
    workers = {"w-1": group.start("w-1")}
    workers["w-1"].wait(committed(workers["w-1"], 1), "a commit")
    workers["w-2"] = group.start("w-2")
    workers["w-2"].wait(lambda: group.owned_by("w-1", "w-2"), "two owners")
    group.send()
    if harm == "restart":
        broker.restart()
    else:
        broker.kill()
        time.sleep(1.0)
        broker.start()
    group.send()
    for life in workers.values():
        life.wait(lambda: group.owned_by("w-1", "w-2"), "two owners again")
    done = [committed(life, 2) for life in workers.values()]
    group.send()
    workers["w-1"].wait(lambda: any(each() for each in done), "commits after the harm")
    for life in workers.values():
        life.signal(signal.SIGTERM)
        assert life.end().code == 0, life.tail()
    group.check()
