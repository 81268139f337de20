"""One worker on a real broker, as a user sets it up: a folder, a configuration, four topics."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import msgspec
from kafka import KafkaConsumer

from alerts.output import read_alerts, write_alerts
from alerts.record import Alert, decode
from alerts.store import AlertStore
from ingest.kafka_client import create_topics
from ingest.kafka_settings import KafkaSettings
from tests.support.broker import KafkaBroker, free_ports
from tests.support.command import RunningService, ringfence


def unused_settings(broker: KafkaBroker) -> KafkaSettings:
    """Return settings with names that nothing else uses; no topic exists yet."""
    mark = uuid.uuid4().hex[:8]
    return KafkaSettings(
        bootstrap=broker.bootstrap,
        group=f"group-{mark}",
        orders=f"orders-{mark}",
        trades=f"trades-{mark}",
        alerts=f"alerts-{mark}",
        dead_letter=f"dead-letter-{mark}",
        summaries=f"summaries-{mark}",
        connect_timeout_s=10.0,
        idle_s=0.3,
    )


def make_topics(settings: KafkaSettings, partitions: int = 1) -> None:
    """Create all four topics; those of the feed with that many partitions."""
    feed = {settings.orders: partitions, settings.trades: partitions}
    create_topics(settings, {**feed, settings.alerts: 1, settings.dead_letter: 1})


class Worker:
    """A configured worker in `folder`; its topics exist, two partitions each of the feed.

    `tape` gives registry and instruments, and is what `replayed` replays.
    """

    def __init__(
        self, settings: KafkaSettings, tape: Path, folder: Path, *, checkpoint_s: float = 0.2
    ) -> None:
        make_topics(settings, 2)
        self.settings, self.tape, self.folder = settings, tape, folder
        self.port = free_ports(1)[0]
        for name in ("accounts.csv", "instruments.csv"):
            shutil.copy(tape / name, folder / name)
        self.config = folder / "ringfence.toml"
        self.config.write_text(f"""
            [kafka]
            bootstrap = "{settings.bootstrap}"
            group = "{settings.group}"
            member = "worker-1"
            orders = "{settings.orders}"
            trades = "{settings.trades}"
            alerts = "{settings.alerts}"
            dead_letter = "{settings.dead_letter}"
            summaries = "{settings.summaries}"
            idle_s = 0.5
            session_timeout_s = 6
            max_poll_records = 500
            [checkpoint]
            every_s = {checkpoint_s}
            [service]
            port = {self.port}
        """)

    def publish(self, tape: Path) -> dict[str, float]:
        """Publish a tape as fast as it goes; return what the command says of it."""
        done = ringfence("publish", tape, "-c", self.config, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run(self) -> None:
        """Run the service until the feed is drained."""
        done = ringfence("run", "-c", self.config, "--exit-when-drained")
        assert done.returncode == 0, done.stderr

    def start(self) -> RunningService:
        return RunningService(self.config, self.port)

    def stored(self) -> list[Alert]:
        """Return the alerts in the store."""
        store = AlertStore(f"sqlite:///{self.folder}/var/ringfence.sqlite")
        try:
            return list(store.records())
        finally:
            store.close()

    def alerts(self) -> bytes:
        return comparable(self.stored(), self.folder / "from-store.ndjson")

    def sent(self) -> bytes:
        """Return the last revision of each alert on the topic, merged ones left out."""
        consumer = KafkaConsumer(
            self.settings.alerts,
            bootstrap_servers=self.settings.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            consumer_timeout_ms=2000,
        )
        last: dict[str, Alert] = {}
        for record in consumer:
            alert = decode(record.value)
            assert record.key.decode() == alert.alert_id
            if alert.alert_id not in last or last[alert.alert_id].revision <= alert.revision:
                last[alert.alert_id] = alert
        consumer.close()
        kept = [alert for alert in last.values() if "merged_into" not in alert.features]
        kept.sort(key=lambda alert: (alert.detected_ns, alert.alert_id))
        return comparable(kept, self.folder / "from-topic.ndjson")

    def replayed(self) -> bytes:
        done = ringfence("replay", self.tape, "--out", self.folder / "replayed")
        assert done.returncode == 0, done.stderr
        return comparable(
            read_alerts(self.folder / "replayed/alerts.ndjson"), self.folder / "from-files.ndjson"
        )


def comparable(alerts, path: Path) -> bytes:
    """Return the bytes of alerts.ndjson but for `source`."""
    write_alerts(path, [msgspec.structs.replace(alert, source=()) for alert in alerts])
    return path.read_bytes()
