"""Years later: the topics are gone, and an alert's window still gives the alert."""

from __future__ import annotations

import msgspec
import pytest
from kafka.admin import KafkaAdminClient

from alerts.output import read_alerts
from tests.kafka.test_migration import halves
from tests.support.command import ringfence
from tests.support.conformance import conformance_tape
from tests.support.worker import Worker

pytestmark = pytest.mark.kafka

LATER = str(2**62)


def delete_topics(settings):
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    admin.delete_topics([settings.orders, settings.trades, settings.alerts, settings.summaries])
    admin.close()


def as_replayed(alert):
    """Return an alert but for where its evidence stood: a tape's files are not the topics."""
    return msgspec.structs.replace(alert, source=())


def test_an_alert_is_found_again_from_the_archive_after_its_topics_are_deleted(settings, tmp_path):
    tape = conformance_tape(3_000).write(tmp_path / "tape")
    worker = Worker(settings, tape, tmp_path)
    for part in halves(tape, tmp_path):
        worker.publish(part)
        worker.run()
    delete_topics(settings)
    alerts = worker.stored()
    middle = sorted(alert.window_start_ns for alert in alerts)[len(alerts) // 2]
    later = [a for a in alerts if a.window_start_ns > middle and a.detector != "wash_rings"]
    chosen = {alert.detector: alert for alert in later}
    assert len(chosen) >= 2
    for alert in chosen.values():
        for way in ("whole", "from a state"):
            out = tmp_path / f"{alert.alert_id}-{way.split()[0]}"
            options = ["--state"] if way == "from a state" else []
            done = ringfence(
                *("archive", "export", "-c", worker.config, "--alert", alert.alert_id),
                *("--to", LATER, "--out", out, *options),
            )
            assert out.is_dir(), done.stderr
            assert (out / "state.ckpt").is_file() == bool(options)
            done = ringfence("replay", out, "--out", out / "found")
            assert done.returncode == 0, done.stderr
            found = {a.alert_id: a for a in read_alerts(out / "found/alerts.ndjson")}
            assert as_replayed(found[alert.alert_id]) == as_replayed(alert), way


def test_a_ring_is_found_again_from_the_whole_archive(settings, tmp_path):
    tape = conformance_tape(3_000).write(tmp_path / "tape")
    worker = Worker(settings, tape, tmp_path)
    worker.publish(tape)
    worker.run()
    delete_topics(settings)
    rings = [alert for alert in worker.stored() if alert.detector == "wash_rings"]
    assert rings
    out = tmp_path / "window"
    ringfence(
        *("archive", "export", "-c", worker.config, "--alert", rings[0].alert_id),
        *("--to", LATER, "--out", out),
    )
    assert ringfence("replay", out, "--out", out / "found").returncode == 0
    found = {a.alert_id: a for a in read_alerts(out / "found/alerts.ndjson")}
    for ring in rings:
        assert as_replayed(found[ring.alert_id]) == as_replayed(ring)
