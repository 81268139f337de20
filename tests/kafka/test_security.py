"""SASL/SCRAM, TLS and a broker that cannot be reached, each for real."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ingest.decode import Decoder
from ingest.errors import ConfigurationError, SourceError
from ingest.kafka import KafkaSource
from ingest.kafka_client import client_log, partition_counts
from ingest.kafka_relay import KafkaRelay
from ingest.kafka_settings import KafkaSettings, Secret, from_environment
from ingest.kafka_sinks import Producer
from ingest.names import Names
from tests.support.broker import PASSWORD, USER, KafkaBroker, NoBrokerError, free_ports
from tests.support.venue import random_tape

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).resolve().parents[2]
LOGIN = {"sasl_username": USER, "sasl_password": Secret(PASSWORD)}


def secured(
    settings: KafkaSettings, broker: KafkaBroker, protocol: str, **changes
) -> KafkaSettings:
    """Return settings for a listener of the broker, with everything that it asks for."""
    try:
        known = {"bootstrap": broker.listener(protocol), "security_protocol": protocol}
    except NoBrokerError as error:
        pytest.skip(str(error))
    if protocol.startswith("SASL"):
        known |= LOGIN
    if protocol.endswith("SSL"):
        known["ssl_cafile"] = str(broker.certificates / "ca.pem")
    if protocol == "SSL":
        known["ssl_certfile"] = str(broker.certificates / "client.pem")
        known["ssl_keyfile"] = str(broker.certificates / "client.key")
    return msgspec.structs.replace(settings, **{**known, "connect_timeout_s": 5.0, **changes})


def decoder() -> Decoder:
    return Decoder(random_tape(seed=1, events=10).table, Names())


@pytest.mark.parametrize(
    ("protocol", "changes"),
    [
        ("SASL_PLAINTEXT", {"sasl_mechanism": "SCRAM-SHA-256"}),
        ("SASL_PLAINTEXT", {"sasl_mechanism": "SCRAM-SHA-512"}),
        ("SSL", {}),
        ("SASL_SSL", {"sasl_mechanism": "SCRAM-SHA-512"}),
    ],
)
def test_records_go_in_and_come_out_through_every_secured_listener(
    settings: KafkaSettings,
    broker: KafkaBroker,
    make_topics: Callable[..., None],
    protocol: str,
    changes: dict,
) -> None:
    make_topics()
    secure = secured(settings, broker, protocol, **changes)
    producer = Producer(secure, [secure.orders])
    producer.send(secure.orders, b"k", b"not a record", 0)
    producer.flush()
    producer.close()
    source = KafkaSource(secure, decoder())
    rejects, deadline = [], time.monotonic() + 20
    while not rejects and time.monotonic() < deadline:
        arrivals = source.poll(0.2)
        rejects += arrivals.rejects if arrivals else []
    source.close()
    assert [reject.raw for reject in rejects] == [b"not a record"]


def test_a_wrong_password_is_refused_in_one_line_that_does_not_show_it(
    settings: KafkaSettings, broker: KafkaBroker
) -> None:
    wrong = secured(
        settings, broker, "SASL_SSL", sasl_password=Secret("hunter2"), connect_timeout_s=20.0
    )
    with pytest.raises(SourceError, match=f"user '{USER}'") as caught:
        KafkaSource(wrong, decoder())
    # On a busy machine the client sees the end of the connection before the refusal.
    said = str(caught.value)
    assert "must accept" in said or "may close unsaid" in said
    assert ("invalid credentials" in said) == ("must accept" in said)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"ssl_cafile": "other-ca.pem"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ssl_certfile": "", "ssl_keyfile": ""}, "must answer within 2 s"),
    ],
)
def test_a_certificate_that_does_not_fit_is_an_error_of_one_line(
    settings: KafkaSettings, broker: KafkaBroker, changes: dict, cause: str
) -> None:
    if "other-ca.pem" in changes.values():
        changes = {"ssl_cafile": str(broker.certificates / "other-ca.pem")}
    wrong = secured(settings, broker, "SSL", connect_timeout_s=2.0, **changes)
    with pytest.raises(SourceError) as caught:
        partition_counts(wrong)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_host_that_the_certificate_does_not_name_is_refused_unless_told_otherwise(
    settings: KafkaSettings, broker: KafkaBroker
) -> None:
    # The certificate names 127.0.0.1, not localhost.
    secure = secured(settings, broker, "SASL_SSL", connect_timeout_s=2.0)
    by_name = msgspec.structs.replace(
        secure, bootstrap=secure.bootstrap.replace("127.0.0.1", "localhost")
    )
    with pytest.raises(SourceError, match="ostname"):
        partition_counts(by_name)
    assert partition_counts(msgspec.structs.replace(by_name, ssl_check_hostname=False)) is not None


def test_a_missing_certificate_file_is_named(settings: KafkaSettings, broker: KafkaBroker) -> None:
    wrong = secured(settings, broker, "SSL", ssl_cafile="/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=r"kafka.ssl_cafile must be a file, .*/nowhere"):
        partition_counts(wrong)


def test_an_unreachable_broker_is_one_line_within_the_bound_and_leaves_nothing_running() -> None:
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{free_ports(1)[0]}", connect_timeout_s=1.0)
    threads = threading.active_count()
    for attempt in (
        lambda: KafkaSource(nowhere, decoder()),
        lambda: KafkaRelay(nowhere, "p0").delivered(),
    ):
        begun = time.monotonic()
        with pytest.raises(SourceError) as caught:
            attempt()
        assert time.monotonic() - begun < 3.0
        message = str(caught.value)
        assert message.startswith(f"Kafka at {nowhere.bootstrap} must answer within 1 s")
        assert "ECONNREFUSED" in message
        assert "\n" not in message
    time.sleep(0.2)
    assert threading.active_count() == threads


def test_a_program_that_cannot_reach_its_broker_shows_nothing_but_its_own_line() -> None:
    program = (
        "from ingest.errors import SourceError\n"
        "from ingest.kafka_client import partition_counts\n"
        "from ingest.kafka_settings import KafkaSettings\n"
        f"port = {free_ports(1)[0]}\n"
        "nowhere = KafkaSettings(bootstrap=f'127.0.0.1:{port}', connect_timeout_s=1.0)\n"
        "try:\n"
        "    partition_counts(nowhere)\n"
        "except SourceError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_the_client_library_is_heard_once_a_minute_a_part_and_without_tracebacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = client_log()
    assert client_log() is log
    library = logging.getLogger("kafka.some.part")
    for attempt in range(50):
        library.error("try %d\nmore", attempt, exc_info=ConnectionError("refused"))
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("try") == 1
    assert "Traceback" not in shown.out + shown.err
    with log.quiet():
        logging.getLogger("kafka.other.part").error("unheard")
    assert "unheard" not in "".join(capsys.readouterr())


def test_the_password_comes_from_the_environment(
    settings: KafkaSettings, broker: KafkaBroker
) -> None:
    bare = secured(settings, broker, "SASL_SSL", sasl_password=Secret(""))
    given = from_environment(bare, {"RINGFENCE_KAFKA_SASL_PASSWORD": PASSWORD})
    assert partition_counts(given) is not None
    assert PASSWORD not in repr(given)
