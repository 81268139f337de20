"""More partitions in mid-life: state is dealt out anew, and nobody can tell from the alerts."""

from __future__ import annotations

import json
import shutil

import pytest
from kafka.admin import KafkaAdminClient, NewPartitions

from tests.support.command import ringfence
from tests.support.conformance import conformance_tape
from tests.support.worker import Worker

pytestmark = pytest.mark.kafka


def halves(folder, out):
    """Return a tape cut in two in the order of event time, where episodes are open."""
    records = {name: read(folder / f"{name}.ndjson") for name in ("orders", "trades")}
    times = sorted(r["engine_ns"] for each in records.values() for r in each)
    middle = times[len(times) // 2]
    parts = []
    for number, early in enumerate((True, False)):
        part = shutil.copytree(folder, out / f"part-{number}")
        for name, each in records.items():
            kept = [r for r in each if (r["engine_ns"] < middle) is early]
            text = "".join(json.dumps(r) + "\n" for r in kept)
            (part / f"{name}.ndjson").write_text(text)
        parts.append(part)
    return parts


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def enlarge(settings, partitions):
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    for topic in (settings.orders, settings.trades):
        admin.create_partitions({topic: NewPartitions(total_count=partitions)})
    admin.close()


def test_state_moves_with_its_instruments_when_partitions_are_added(settings, tmp_path):
    tape = conformance_tape(3_000).write(tmp_path / "tape")
    worker = Worker(settings, tape, tmp_path)
    first, second = halves(tape, tmp_path)
    worker.publish(first)
    worker.run()
    enlarge(settings, 5)

    refused = ringfence("run", "-c", worker.config, "--exit-when-drained")
    assert refused.returncode == 1
    assert "the 2 partitions that the state is for, found 5" in refused.stderr
    assert "ringfence migrate" in refused.stderr

    done = ringfence("migrate", "-c", worker.config, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["partitions_before"], said["partitions"], said["instruments"]) == (2, 5, 3)
    assert said["moved"] > 0
    again = ringfence("migrate", "-c", worker.config)
    assert again.returncode == 2
    assert "for 5 partitions already" in again.stderr

    worker.publish(second)
    worker.run()
    expected = worker.replayed()
    assert expected.count(b"\n") > 10
    assert worker.alerts() == expected
    assert worker.sent() == expected


def test_a_feed_that_was_not_drained_is_refused_and_nothing_changes(settings, tmp_path):
    tape = conformance_tape(3_000).write(tmp_path / "tape")
    worker = Worker(settings, tape, tmp_path)
    first, second = halves(tape, tmp_path)
    worker.publish(first)
    worker.run()
    worker.publish(second)
    enlarge(settings, 3)
    refused = ringfence("migrate", "-c", worker.config)
    assert refused.returncode == 1
    assert "must have been read to its end" in refused.stderr
    assert "\n" not in refused.stderr.strip()
