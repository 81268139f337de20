"""The service on a real broker: the same alerts as a replay from files, whatever happens."""

from __future__ import annotations

import json
import shutil
from functools import partial

import pytest
from kafka import KafkaConsumer

from tests.support.broker import free_ports
from tests.support.command import ringfence
from tests.support.worker import Worker

pytestmark = pytest.mark.kafka


@pytest.fixture
def worker(settings, tape, tmp_path):
    return Worker(settings, tape, tmp_path)


def test_publishing_a_tape_and_replaying_it_from_files_give_the_same_alerts(worker):
    published = worker.publish(worker.tape)
    assert published["orders"] + published["trades"] == 12_000
    worker.run()
    expected = worker.replayed()
    assert expected.count(b"\n") > 20
    assert worker.alerts() == expected
    assert worker.sent() == expected


def processed(service, records):
    return service.metric("ringfence_processed_total") > records


def test_a_worker_that_is_killed_and_started_again_says_the_same(worker):
    worker.publish(worker.tape)
    service = worker.start()
    try:
        for _ in range(2):
            service.wait(partial(processed, service, 1500), "processed records")
            service.kill()
            service.close()
            service = worker.start()
    finally:
        service.close()
    worker.run()
    assert worker.alerts() == worker.replayed()


def test_sigterm_stops_within_ten_seconds_and_the_next_start_goes_on_from_there(worker):
    worker.publish(worker.tape)
    service = worker.start()
    try:
        service.wait(lambda: service.get("/readyz")[0] == 200, "readiness")
        assert service.get("/healthz")[0] == 200
        assert service.metric("ringfence_events_total") == 12_000
        assert service.metric("ringfence_lag_records") == 0
        assert service.stop() < 10
    finally:
        service.close()
    again = worker.start()
    try:
        again.wait(lambda: again.get("/readyz")[0] == 200, "readiness")
        assert again.metric("ringfence_events_total") == 0, "nothing was read a second time"
        again.stop()
    finally:
        again.close()
    assert worker.alerts() == worker.replayed()


def test_a_poison_message_costs_only_itself(worker, tmp_path):
    bad = shutil.copytree(worker.tape, tmp_path / "bad")
    lines = (bad / "orders.ndjson").read_text().splitlines()
    poison = json.dumps(json.loads(lines[0]) | {"price": "0.0000001"})
    (bad / "orders.ndjson").write_text("\n".join([*lines[:900], poison, *lines[900:]]) + "\n")
    worker.publish(bad)
    worker.run()
    assert worker.alerts() == worker.replayed()
    consumer = KafkaConsumer(
        worker.settings.dead_letter,
        bootstrap_servers=worker.settings.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2000,
    )
    letters = [json.loads(record.value) for record in consumer]
    consumer.close()
    assert [letter["reason"] for letter in letters] == ["off_tick"]
    assert letters[0]["topic"] == worker.settings.orders


def test_an_unreachable_broker_is_one_line_and_exit_1(tmp_path, tape):
    for name in ("accounts.csv", "instruments.csv"):
        shutil.copy(tape / name, tmp_path / name)
    config = tmp_path / "c.toml"
    config.write_text(
        f'[kafka]\nbootstrap = "127.0.0.1:{free_ports(1)[0]}"\nconnect_timeout_s = 2.0\n'
    )
    for command in (("run", "-c", config), ("publish", tape, "-c", config)):
        done = ringfence(*command)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "127.0.0.1" in done.stderr
