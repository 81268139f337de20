"""A shard's lives: what one has decided, and what the next one makes of the same records."""

from __future__ import annotations

import msgspec
import pytest

from alerts.commit import Ledger
from alerts.name_table import StoreNames
from alerts.outbox import Outbox
from alerts.shards import Shards
from alerts.store import AlertStore
from ingest.events import Topic
from ingest.names import SharedNames
from ingest.register import RegisterFile
from ingest.source import Arrivals
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import default_config
from monitor.registers import Registers
from monitor.relays import CONSUMER
from monitor.shard import Shard
from monitor.snapshots import FolderStorage, Snapshots
from tests.support.venue import ABUSES, random_tape


class NoLetters:
    """Takes rejects nowhere."""

    def write(self, rejects):
        assert not rejects


class Lives:
    """One shard in a store and a folder; each life has a memory of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.tape = random_tape(3, 800, instruments=2, abuse=ABUSES).write(folder / "tape")
        self.store = AlertStore(f"sqlite:///{folder}/store.sqlite")
        self.store.migrate()
        self.shards = Shards(self.store.engine)
        self.ledger = Ledger(self.shards, Outbox(self.store.engine, [CONSUMER]))

    def born(self):
        """Return a new life's shard and the feed from its beginning."""
        names = SharedNames(StoreNames(self.store.engine))
        source = TapeSource(self.tape, names, batch_rows=100)
        register = RegisterFile(Tape(self.tape).accounts_path, names)
        shard = Shard(
            self.shards.claim("p0", "a test"),
            build_pipeline(
                default_config(self.folder),
                instruments=source.instruments,
                names=names,
                topic_names=source.topic_names,
                archive_dir=self.folder / "archive",
                store=self.store,
                shard="p0",
            ),
            ledger=self.ledger,
            snapshots=Snapshots(
                FolderStorage(self.folder / "snapshots", self.shards), keep=2, partitions=1
            ),
            registers=Registers(register, self.shards, names),
            instruments=source.instruments,
            rejects=NoLetters(),
            states=None,
            binds=True,
            reach=lambda _: None,
        )
        list(shard.begin())
        arrivals = list(iter(lambda: source.poll(0.0), None))
        return shard, [msgspec.structs.replace(a, idle=frozenset()) for a in arrivals]


@pytest.fixture
def lives(tmp_path):
    lives = Lives(tmp_path)
    yield lives
    lives.store.close()


IDLE = frozenset((topic, 0) for topic in Topic)


def feed(shard, arrivals):
    """Give a shard polls one after the other; at the end of each, that is where reading is."""
    at = {}
    for each in arrivals:
        batch = each.batch
        for topic in Topic:
            offsets = batch["offset"][batch["topic"] == topic]
            if len(offsets):
                at[topic, 0] = int(offsets[-1]) + 1
        list(shard.take(each, at))


@pytest.mark.parametrize("tells", [-1, -2])
def test_idleness_that_a_poll_of_a_recovery_tells_of_is_known_after_it(lives, tells):
    """The source tells of it once: a shard that forgets it holds time back for ever."""
    first, arrivals = lives.born()
    feed(first, arrivals)
    again, arrivals = lives.born()
    assert again.recovering
    arrivals.append(Arrivals(batch=again.pipeline.nothing))
    arrivals[tells:] = [msgspec.structs.replace(a, idle=IDLE) for a in arrivals[tells:]]
    # The frontier lies behind a marker of a transaction, which no record tells of.
    end = again.claim.frontier[Topic.ORDERS, 0] + 1
    again.claim.frontier[Topic.ORDERS, 0] = end
    feed(again, arrivals[:-1])
    assert again.recovering
    list(again.take(arrivals[-1], {(Topic.ORDERS, 0): end}))
    assert not again.recovering
    assert again.idle == IDLE
    assert again.pipeline.totals == first.pipeline.totals
