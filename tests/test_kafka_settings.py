"""Settings of the connection, dead letters, and the reckoning of progress: no broker needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ingest.dead_letter import DeadLetterFile, decode, encode, raw_of
from ingest.errors import ConfigurationError
from ingest.events import Reject, Topic
from ingest.kafka_progress import Progress
from ingest.kafka_settings import SECRETS, KafkaSettings, Secret, from_environment, refuse_secrets
from ingest.kafka_sinks import partition_of
from tests.support import broker as broker_support
from tests.support.broker import KafkaBroker, NoBrokerError, open_broker
from tests.support.vectors import to_batch
from tests.support.venue import random_tape

ORDERS, TRADES = (Topic.ORDERS, 0), (Topic.TRADES, 0)


def test_a_password_shows_in_no_repr_and_no_encoding() -> None:
    settings = KafkaSettings(sasl_password=Secret("hunter2"))
    assert "hunter2" not in repr(settings) + str(settings) + f"{settings.sasl_password!s}"
    with pytest.raises((TypeError, NotImplementedError)):
        msgspec.json.encode(settings)


def test_a_password_in_a_file_is_refused_and_the_environment_variable_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match=SECRETS["sasl_password"]):
        msgspec.convert({"sasl_password": "x"}, KafkaSettings, dec_hook=refuse_secrets)


def test_a_login_without_a_password_in_the_environment_is_refused() -> None:
    settings = KafkaSettings(security_protocol="SASL_SSL", sasl_username="u")
    with pytest.raises(ConfigurationError, match="RINGFENCE_KAFKA_SASL_PASSWORD"):
        from_environment(settings, {})
    given = from_environment(settings, {"RINGFENCE_KAFKA_SASL_PASSWORD": "x"})
    assert given.sasl_password.reveal() == "x"
    assert from_environment(KafkaSettings(), {}) == KafkaSettings()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs kafka.sasl_username"),
        ({"ssl_certfile": "a.pem"}, "ssl_certfile and kafka.ssl_keyfile go together"),
        ({"orders": "x", "trades": "x"}, "topics must differ"),
        ({"group": ""}, "kafka.group must not be empty"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        KafkaSettings(**changes)


def test_the_partition_of_a_key_is_that_of_kafkas_java_clients() -> None:
    # murmur2 of these keys as in Apache Kafka's own UtilsTest, made positive, modulo 1000.
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    for key, value in hashes.items():
        assert partition_of(key, 1000) == (value & 0x7FFFFFFF) % 1000


def test_a_dead_letter_file_holds_a_line_a_reject_and_begins_anew_or_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dead-letter.ndjson"
    rejects = [
        Reject(topic=topic, partition=0, offset=n, reason="off_tick", detail="d", raw=raw)
        for topic, n, raw in ((Topic.ORDERS, 4, b"\x00\n"), (Topic.TRADES, 5, b"{}"))
    ]
    names = {Topic.ORDERS: "orders.ndjson", Topic.TRADES: "trades.ndjson"}
    with DeadLetterFile(path, names) as file:
        file.write(rejects)
        file.write([])
    lines = path.read_bytes().splitlines()
    assert lines == [encode(reject, names) for reject in rejects]
    letters = [decode(line) for line in lines]
    assert [(x.topic, x.offset) for x in letters] == [("orders.ndjson", 4), ("trades.ndjson", 5)]
    assert [raw_of(letter) for letter in letters] == [b"\x00\n", b"{}"]
    with DeadLetterFile(path, append=True) as file:
        file.write(rejects[:1])
    assert len(path.read_bytes().splitlines()) == 3
    DeadLetterFile(path).close()
    assert path.read_bytes() == b""


def test_a_topic_ahead_is_held_only_while_the_other_has_records_waiting() -> None:
    tape = random_tape(seed=3, events=600, instruments=1)
    progress = Progress(5.0, 1.0)
    progress.learn({ORDERS: 1000, TRADES: 1000})
    progress.move(ORDERS, 600)
    progress.move(TRADES, 1)
    early, late = tape.trades[0], tape.orders[-1]
    assert late["engine_ns"] - early["engine_ns"] > 1_000_000_000
    progress.note_times(to_batch([late], tape.table))
    assert progress.balance() == ({ORDERS}, frozenset()), "the other has told of no time yet"
    progress.note_times(to_batch([early], tape.table))
    assert progress.balance() == (frozenset(), frozenset()), "still held, so nothing to do"
    progress.move(TRADES, 1000)
    assert progress.balance() == (frozenset(), {ORDERS})


def test_a_partition_whose_end_cannot_be_asked_for_is_not_idle() -> None:
    progress = Progress(1.0, 1.0)
    progress.move(ORDERS, 3)
    progress.learn({ORDERS: 3})
    progress.candidates(frozenset(), 0.0)
    assert progress.candidates(frozenset(), 2.0) == [ORDERS]
    progress.unsure([ORDERS])
    assert not progress.settle([ORDERS])
    assert not progress.idle


def test_a_partition_that_another_worker_took_is_forgotten() -> None:
    progress = Progress(1.0, 1.0)
    progress.move(ORDERS, 3)
    progress.learn({ORDERS: 9})
    progress.forget([ORDERS])
    assert (progress.lag(), progress.at) == ({}, {})


def test_what_is_missing_for_a_broker_is_named_and_skips_or_fails_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGFENCE_TEST_KAFKA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(NoBrokerError, match="Java"):
        KafkaBroker(tmp_path / "kafka").start()
    with pytest.raises(NoBrokerError, match="Maven"):
        broker_support.jars()
    assert not (tmp_path / "cache").exists(), "no half cache"
    monkeypatch.delenv("RINGFENCE_REQUIRE_BROKER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Java"):
        open_broker(tmp_path / "kafka")
    monkeypatch.setenv("RINGFENCE_REQUIRE_BROKER", "1")
    with pytest.raises(pytest.fail.Exception, match="Java"):
        open_broker(tmp_path / "kafka")


def test_a_cache_that_is_there_is_used_without_maven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    script = broker_support.SCRIPTS / "fetch.py"
    missing = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "mvn" in missing.stderr
    folder = tmp_path / "kafka-3.9.1"
    folder.mkdir()
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, str(folder))
