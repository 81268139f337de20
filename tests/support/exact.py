"""Sites: where workers of one group leave their results; several sites read the same feed."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.engine import URL

from alerts.journal import Decisions, Entry
from alerts.record import Alert, decode
from alerts.schema import ALERTS, HUMAN, JOURNAL
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
from tests.support.left import SHARDS, Left, left_in, read_topic, rows_of
from tests.support.lives import Life, Lives
from tests.support.venue import Tape

PASSWORD = "RINGFENCE_STORE_PASSWORD"


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
    connect_s : float
        For how long a worker tries to reach a broker that does not answer.
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
        idle_s: float = 0.3,
        connect_s: float = 5.0,
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
        self._poll_records, self._idle_s, self._connect_s = poll_records, idle_s, connect_s
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
            idle_s = {self._idle_s}
            connect_timeout_s = {self._connect_s}
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
            for row in rows_of(store, SHARD_ROWS):
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
            rows = rows_of(store, SHARD_ROWS)
            return {row.shard: row.owner.split()[0] for row in rows if row.shard in SHARDS}
        finally:
            store.close()

    def claims(self) -> dict[str, int]:
        """Return the epoch under which each shard of a partition is owned."""
        store = self.store()
        try:
            return {r.shard: r.epoch for r in rows_of(store, SHARD_ROWS) if r.shard in SHARDS}
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
        return {
            shard: [each.registry for each in said if each.registry]
            for shard, said in self.decisions().items()
        }

    def decisions(self) -> dict[str, list[Decisions]]:
        """Return what was decided, by shard, in order."""
        return {
            shard: [msgspec.json.decode(row.record, type=Entry).decisions for row in rows]
            for shard, rows in self._journal().items()
        }

    def _journal(self) -> dict[str, list[Any]]:
        store = self.store()
        try:
            found: dict[str, list[Any]] = {}
            for row in sorted(rows_of(store, JOURNAL), key=lambda row: (row.shard, row.entry)):
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
            return {row.alert_id: decode(row.record) for row in rows_of(store, ALERTS)}
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
                for row in rows_of(store, ALERTS)
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


def assert_told_once(site: Site) -> None:
    """Fail when the alerts topic repeats, reorders or lacks a revision that the store has."""
    last: dict[str, Alert] = {}
    for alert in site.told():
        before = last.get(alert.alert_id)
        assert before is None or alert.revision > before.revision, (alert.alert_id, alert.revision)
        last[alert.alert_id] = alert
    assert last == site.stored()


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
