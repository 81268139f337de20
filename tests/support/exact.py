"""What a feed left behind: read from store, topics and snapshots, so that two runs can be compared.

A `Site` is where workers of one group leave their results: a database, a folder and topics of its
own. Several sites read the same feed.
"""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Table, select, update
from sqlalchemy.engine import URL

from alerts.journal import Entry
from alerts.record import Alert, decode
from alerts.schema import ALERTS, COVERAGE, EVIDENCE, HUMAN, JOURNAL, REGISTRY_ROWS
from alerts.schema import SHARDS as SHARD_ROWS
from alerts.shards import Shards
from alerts.store import AlertStore
from ingest.events import Topic
from ingest.kafka_client import create_topics
from ingest.kafka_settings import KafkaSettings
from ingest.state import decode as decode_snapshot
from ingest.state import unpack
from monitor.config import Config, load_config
from monitor.parts import storage_of
from monitor.pipeline import Totals
from tests.support.feeds import PARTITIONS
from tests.support.lives import Life, Lives
from tests.support.venue import Tape

SHARDS = tuple(f"p{number}" for number in range(PARTITIONS))
PASSWORD = "RINGFENCE_STORE_PASSWORD"

Rows = frozenset[tuple[object, ...]]


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What workers, or a clean run, have left behind."""

    alerts: Mapping[str, str]
    """Record by alert id, without alerts that were merged into another."""
    evidence: Rows
    registry: Rows
    coverage: Rows
    letters: Rows
    """Topic, partition, offset and reason of every record that was rejected."""
    totals: Mapping[str, Totals]
    """Final counts by shard."""


class Site:
    """A group of workers: one database, one folder, topics for what they send.

    Parameters
    ----------
    feed : KafkaSettings
        Broker and feed.
    tape : Tape
        Gives registers.
    folder : Path
    url : URL, optional
        PostgreSQL; by default an SQLite file in the folder.
    storage : str
        Where snapshots are kept: "store" or "folder".
    every_s : float
        Time between snapshots.
    """

    def __init__(
        self,
        feed: KafkaSettings,
        tape: Tape,
        folder: Path,
        *,
        url: URL | None = None,
        storage: str = "store",
        every_s: float = 0.8,
        session_s: float = 45.0,
        poll_records: int = 100,
    ) -> None:
        mark = uuid.uuid4().hex[:8]
        self.settings = msgspec.structs.replace(
            feed,
            group=f"group-{mark}",
            alerts=f"alerts-{mark}",
            dead_letter=f"dead-letter-{mark}",
            summaries=f"summaries-{mark}",
        )
        create_topics(self.settings, {self.settings.alerts: 1, self.settings.dead_letter: 1})
        self.folder = folder
        folder.mkdir(parents=True)
        self.write_accounts(tape.accounts)
        _write(folder / "instruments.csv", tape.instruments)
        self._url = url
        self._storage, self._every_s, self._session_s = storage, every_s, session_s
        self._poll_records = poll_records
        self.environment = {PASSWORD: url.password} if url is not None and url.password else {}

    def write_accounts(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Put a register in place of the last one, as a person would: whole at once."""
        _write(self.folder / "new.csv", rows)
        (self.folder / "new.csv").replace(self.folder / "accounts.csv")

    def config(self, member: str = "w-1", *, reload_s: float = 0.1) -> Path:
        """Return the configuration of a worker, which looks for a new register so often."""
        path, settings = self.folder / f"{member}.toml", self.settings
        url = "sqlite:///var/ringfence.sqlite"
        if self._url is not None:
            url = self._url._replace(password=None).render_as_string()
        path.write_text(f"""
            [kafka]
            bootstrap = "{settings.bootstrap}"
            group = "{settings.group}"
            member = "{member}"
            orders = "{settings.orders}"
            trades = "{settings.trades}"
            alerts = "{settings.alerts}"
            dead_letter = "{settings.dead_letter}"
            summaries = "{settings.summaries}"
            idle_s = 0.3
            connect_timeout_s = 5.0
            session_timeout_s = {self._session_s}
            max_poll_records = {self._poll_records}
            [registry]
            reload_s = {reload_s}
            [alerts]
            store_url = "{url}"
            [checkpoint]
            storage = "{self._storage}"
            every_s = {self._every_s}
            [service]
            port = 0
        """)
        return path

    def start(
        self, lives: Lives, member: str = "w-1", *, reload_s: float = 0.1, **plan: Any
    ) -> Life:
        """Begin a life of a worker; `plan` as in `tests.support.lives.Plan`."""
        config = self.config(member, reload_s=reload_s)
        return lives.start(config, environment=self.environment, **plan)

    def run(self, lives: Lives, member: str = "w-1") -> Life:
        """Run a worker until the feed is drained."""
        life = self.start(lives, member)
        life.ends_well()
        return life

    def store(self) -> AlertStore:
        """Open the store; to be closed."""
        if self._url is not None:
            return AlertStore(self._url.render_as_string(hide_password=False))
        return AlertStore(f"sqlite:///{self.folder}/var/ringfence.sqlite")

    def left(self) -> Left:
        """Return what the workers have left behind."""
        letters = frozenset(
            (r["topic"], r["partition"], r["offset"], r["reason"]) for r in self.letters()
        )
        store = self.store()
        try:
            totals = {shard: self._totals(store, shard) for shard in SHARDS}
            return left_in(store, letters, totals)
        finally:
            store.close()

    def frontiers(self) -> dict[tuple[Topic, int], int]:
        """Return how far the workers' last commits have come."""
        store = self.store()
        try:
            found: dict[tuple[Topic, int], int] = {}
            for row in _rows(store, SHARD_ROWS):
                if row.shard in SHARDS:
                    places = json.loads(row.frontier)
                    found |= {(Topic(topic), number): at for topic, number, at in places}
            return found
        finally:
            store.close()

    def owners(self) -> dict[str, str]:
        """Return which member has each shard of a partition, as the store has it."""
        store = self.store()
        try:
            rows = _rows(store, SHARD_ROWS)
            return {row.shard: row.owner.split()[0] for row in rows if row.shard in SHARDS}
        finally:
            store.close()

    def claims(self) -> dict[str, int]:
        """Return the epoch under which each shard of a partition is owned."""
        store = self.store()
        try:
            return {r.shard: r.epoch for r in _rows(store, SHARD_ROWS) if r.shard in SHARDS}
        finally:
            store.close()

    def snapshots(self) -> set[tuple[str, int, int]]:
        """Return shard, epoch and number of each snapshot of a partition that is kept."""
        store = self.store()
        try:
            storage = storage_of(self.loaded(), Shards(store.engine))
            return {(shard, *order) for shard in SHARDS for order in storage.orders(shard)}
        finally:
            store.close()

    def epochs(self) -> dict[str, list[int]]:
        """Return the epoch of every journal entry that is kept, by shard, in order."""
        return {shard: [row.epoch for row in rows] for shard, rows in self._journal().items()}

    def versions(self) -> dict[str, list[str]]:
        """Return the versions of the register that came into force, by shard, in order."""
        found = {}
        for shard, rows in self._journal().items():
            said = [msgspec.json.decode(row.record, type=Entry).decisions for row in rows]
            found[shard] = [each.registry for each in said if each.registry]
        return found

    def _journal(self) -> dict[str, list[Any]]:
        store = self.store()
        try:
            found: dict[str, list[Any]] = {}
            for row in sorted(_rows(store, JOURNAL), key=lambda row: (row.shard, row.entry)):
                found.setdefault(row.shard, []).append(row)
            return found
        finally:
            store.close()

    def letters(self) -> list[dict[str, Any]]:
        """Return the dead letters, repeats included."""
        return [json.loads(r.value) for r in read_topic(self.settings, self.settings.dead_letter)]

    def told(self) -> list[Alert]:
        """Return what a reader of committed records finds on the alerts topic."""
        return [decode(r.value) for r in read_topic(self.settings, self.settings.alerts)]

    def stored(self) -> dict[str, Alert]:
        """Return the last revision of every alert, merged ones included."""
        store = self.store()
        try:
            return {row.alert_id: decode(row.record) for row in _rows(store, ALERTS)}
        finally:
            store.close()

    def assign(self) -> dict[str, tuple[object, ...]]:
        """Let a person fill in every human column of every alert that has none; return all."""
        store = self.store()
        try:
            with store.engine.begin() as connection:
                query = select(ALERTS.c.alert_id).where(ALERTS.c.assignee.is_(None))
                for alert_id in connection.scalars(query).all():
                    said = {name: f"{name} of {alert_id[:6]}" for name in HUMAN}
                    times = {"decided_ns": 17, "reviewed_ns": 18}
                    statement = update(ALERTS).where(ALERTS.c.alert_id == alert_id)
                    connection.execute(statement.values(**(said | times)))
        finally:
            store.close()
        return self.human()

    def human(self) -> dict[str, tuple[object, ...]]:
        """Return what people wrote, by alert id, where they did."""
        store = self.store()
        try:
            return {
                row.alert_id: tuple(getattr(row, name) for name in HUMAN)
                for row in _rows(store, ALERTS)
                if row.assignee is not None
            }
        finally:
            store.close()

    def loaded(self) -> Config:
        """Return the configuration as a worker has it."""
        return load_config(self.config())

    def _totals(self, store: AlertStore, shard: str) -> Totals:
        storage = storage_of(self.loaded(), Shards(store.engine))
        newest = storage.orders(shard)[-1]
        sections = decode_snapshot(storage.read(shard, newest), shard)
        return unpack(sections["totals"]["totals"], Totals)


def left_in(store: AlertStore, letters: Rows, totals: Mapping[str, Totals]) -> Left:
    """Return what a store has, with letters and counts that were found elsewhere."""
    return Left(
        alerts={r.alert_id: r.record for r in _rows(store, ALERTS) if r.merged_into is None},
        evidence=frozenset(map(tuple, _rows(store, EVIDENCE))),
        registry=frozenset(map(tuple, _rows(store, REGISTRY_ROWS))),
        coverage=frozenset(map(tuple, _rows(store, COVERAGE))),
        letters=letters,
        totals=totals,
    )


def read_topic(settings: KafkaSettings, topic: str) -> list[Any]:
    """Return every committed record of a topic, each partition's in order."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        places = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=200).values():
                found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


def assert_same(found: Left, expected: Left, *, totals: bool = True) -> None:
    """Fail when two runs did not leave the same, with the first difference in a few lines."""
    missing = sorted(expected.alerts.keys() - found.alerts.keys())
    extra = sorted(found.alerts.keys() - expected.alerts.keys())
    assert not missing, f"alerts missing: {[expected.alerts[i][:400] for i in missing[:3]]}"
    assert not extra, f"alerts too many: {[found.alerts[i][:400] for i in extra[:3]]}"
    for alert_id, record in expected.alerts.items():
        assert found.alerts[alert_id] == record, _difference(found.alerts[alert_id], record)
    for name in ("coverage", "evidence", "registry", "letters"):
        here, there = getattr(found, name), getattr(expected, name)
        shown = f"{sorted(map(str, here - there))[:3]} for {sorted(map(str, there - here))[:3]}"
        assert here == there, f"{name}: {shown}"
    if totals:
        for shard in SHARDS:
            one, other = map(msgspec.structs.asdict, (found.totals[shard], expected.totals[shard]))
            told = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
            assert not told, f"counts of {shard}: {told}"


def assert_balanced(left: Left, ends: Mapping[tuple[Topic, int], int]) -> None:
    """Fail when a record of the feed is not accounted for exactly once."""
    for number, shard in enumerate(SHARDS):
        totals = left.totals[shard]
        assert totals.balanced, (shard, totals)
        there = sum(end for (_, partition), end in ends.items() if partition == number)
        assert totals.read == there, (shard, totals, there)
        mine = [row for row in left.letters if row[1] == number]
        assert totals.rejected == len(mine), (shard, totals, len(mine))


def assert_told_once(site: Site) -> None:
    """Fail when the alerts topic repeats, reorders or lacks a revision that the store has."""
    last: dict[str, Alert] = {}
    for alert in site.told():
        before = last.get(alert.alert_id)
        assert before is None or alert.revision > before.revision, (alert.alert_id, alert.revision)
        last[alert.alert_id] = alert
    assert last == site.stored()


def feed_ends(messages: Iterable[Any]) -> dict[tuple[Topic, int], int]:
    """Return how many records each partition has, of the messages of a feed."""
    ends: dict[tuple[Topic, int], int] = {}
    for message in messages:
        place = message.topic, message.partition
        ends[place] = ends.get(place, 0) + 1
    return ends


def _rows(store: AlertStore, table: Table) -> Sequence[Any]:
    with store.engine.connect() as connection:
        return connection.execute(select(table)).all()


def _difference(found: str, expected: str) -> str:
    here, there = json.loads(found), json.loads(expected)
    fields = [name for name in there if here.get(name) != there[name]]
    told = [f"{name}: {str(here.get(name))[:300]} for {str(there[name])[:300]}" for name in fields]
    return f"alert {there['alert_id']} ({there['detector']}): " + "; ".join(told)


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
