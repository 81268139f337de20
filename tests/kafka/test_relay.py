"""The outbox's relay on a real broker: exactly once, whatever dies and whenever."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from kafka.admin import KafkaAdminClient

from ingest.errors import ConfigurationError, SourceError
from ingest.kafka_relay import (
    MAX_BYTES,
    MAX_RECORD_BYTES,
    MAX_ROWS,
    FencedError,
    KafkaRelay,
    OutboxRow,
    chunks,
)
from ingest.kafka_settings import KafkaSettings
from tests.support.broker import KafkaBroker
from tests.support.relay import committed, rows, send_one_by_one, send_until_killed, start

pytestmark = pytest.mark.kafka


@pytest.fixture
def topics(settings: KafkaSettings, make_topics: Callable[..., None]) -> KafkaSettings:
    make_topics(2)
    return settings


def pairs(sent: list[OutboxRow]) -> list[tuple[bytes, bytes]]:
    return [(row.key, row.value) for row in sent]


def test_rows_arrive_once_and_in_order_and_a_new_relay_knows_how_far_the_last_one_was(
    topics: KafkaSettings,
) -> None:
    first = KafkaRelay(topics, "p0")
    assert first.send([]) == 0
    assert first.delivered() == 0
    sent = rows(3, 1_201)
    assert first.send(sent[:1]) == 3
    assert first.send(sent[:700]) == first.delivered() == 702
    first.close()
    second = KafkaRelay(topics, "p0")
    assert second.delivered() == 702
    assert second.send(sent) == 1_203
    assert second.send(sent) == 1_203
    second.close()
    assert second.delivered() == 1_203
    second.close()
    assert committed(topics) == pairs(sent)


def test_a_process_killed_at_any_step_neither_loses_nor_repeats_a_row(
    topics: KafkaSettings, record_property: Callable[[str, object], None]
) -> None:
    sent: list[OutboxRow] = []
    killed = survived = undone = done = 0
    steps = 1
    while survived < 2:  # a retry more or less moves the end by a few steps
        sent += rows(len(sent) + 1, 3)
        process, answer = start(send_until_killed, topics, sent[-3:], steps)
        process.join(60)
        assert process.exitcode in {0, -signal.SIGKILL}
        if process.exitcode == 0:
            survived += 1
            assert answer.recv() < steps
        killed += process.exitcode != 0
        heir = KafkaRelay(topics, "p0")
        reached = heir.delivered()
        assert reached in {len(sent) - 3, len(sent)}, "a transaction is whole or not there"
        undone += reached < len(sent)
        done += process.exitcode != 0 and reached == len(sent)
        assert heir.send(sent[reached:]) == len(sent)
        heir.close()
        steps += 1
    record_property("deaths", killed)
    assert min(undone, done) > 3, "deaths on both sides of the commit"
    assert committed(topics) == pairs(sent)


@pytest.mark.parametrize("moment", ["before", "begun", "between records", "flushed", "offset"])
def test_a_relay_is_fenced_by_a_newer_one_of_its_shard_at_any_moment(
    topics: KafkaSettings, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zombie, heir = KafkaRelay(topics, "p0"), KafkaRelay(topics, "p0")
    sent = rows(1, 6)
    zombie.send(sent[:1])

    def takes_over_after(owner: object, name: str, calls: int = 1) -> None:
        original, left = getattr(owner, name), iter(range(calls))

        def hooked(*arguments: object, **options: object) -> object:
            result = original(*arguments, **options)
            if next(left, None) == calls - 1:
                zombie._producer._accumulator.begin_flush()
                if name == "send":
                    result.get(10)
                assert heir.delivered() == 1
            return result

        monkeypatch.setattr(owner, name, hooked)

    if moment == "before":
        assert heir.delivered() == 1
    elif moment == "offset":
        takes_over_after(zombie, "_settle")
    else:
        name = {"begun": "begin_transaction", "between records": "send", "flushed": "flush"}[moment]
        takes_over_after(zombie._producer, name)
    with pytest.raises(FencedError, match="outbox p0 must have one relay"):
        zombie.send(sent[1:3])
    for call in (zombie.delivered, lambda: zombie.send(sent)):
        with pytest.raises(FencedError):
            call()
    assert heir.send(sent[1:]) == 6
    time.sleep(0.5)  # what the zombie's threads may still do
    assert heir.send(rows(7, 2)) == 8
    heir.close()
    assert committed(topics) == pairs(rows(1, 8))


def test_a_process_that_was_frozen_wakes_up_fenced(topics: KafkaSettings) -> None:
    sent = rows(1, 400)
    process, answer = start(send_one_by_one, topics, sent, 0.0)
    assert answer.poll(60)
    assert answer.recv() == "ready"
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGSTOP)
    heir = KafkaRelay(topics, "p0")
    assert 0 < heir.delivered() < 400
    assert heir.send(sent) == 400
    os.kill(process.pid, signal.SIGCONT)
    assert answer.poll(60)
    assert answer.recv() == "fenced"
    process.join(30)
    assert heir.send(rows(401, 1)) == 401
    heir.close()
    assert committed(topics) == pairs(rows(1, 401))


def _kill(broker: KafkaBroker) -> None:
    broker.kill()
    broker.start()


def _freeze(broker: KafkaBroker) -> None:
    assert broker._process is not None
    os.kill(broker._process.pid, signal.SIGSTOP)
    time.sleep(5.0)  # longer than the relay waits
    os.kill(broker._process.pid, signal.SIGCONT)


@pytest.mark.parametrize("harm", [KafkaBroker.restart, _kill, _freeze])
def test_a_broker_that_goes_away_in_mid_stream_costs_and_repeats_nothing(
    topics: KafkaSettings, broker: KafkaBroker, harm: Callable[[KafkaBroker], None]
) -> None:
    if broker.external:
        pytest.skip("a broker at a given address is not restarted")
    relay = KafkaRelay(msgspec.structs.replace(topics, connect_timeout_s=2.0), "p0")
    sent = rows(1, 40)
    relay.send(sent)
    failures = 0
    for _ in range(2):
        harmed = threading.Thread(target=harm, args=(broker,))
        harmed.start()
        deadline = time.monotonic() + 120
        while harmed.is_alive() or len(sent) % 400:
            assert time.monotonic() < deadline
            sent += rows(len(sent) + 1, 40)
            while True:
                try:
                    assert relay.send(sent[relay.delivered() :]) == len(sent)
                    break
                except FencedError:
                    # The broker ended a transaction that was silent for too long.
                    relay = KafkaRelay(msgspec.structs.replace(topics, connect_timeout_s=2.0), "p0")
                except SourceError:
                    failures += 1
                    assert time.monotonic() < deadline
        harmed.join()
    relay.close()
    assert failures
    assert committed(topics) == pairs(sent)


def test_a_record_whose_time_ran_out_is_not_left_out_of_a_transaction_that_commits(
    topics: KafkaSettings, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broker.external:
        pytest.skip("a broker at a given address is not frozen")
    relay = KafkaRelay(topics, "p0")
    relay.send(rows(1, 1))
    assert broker._process is not None
    frozen = broker._process.pid
    producer = relay._producer
    monkeypatch.setitem(producer._accumulator.config, "delivery_timeout_ms", 500)
    begin = producer.begin_transaction

    def begin_and_freeze() -> None:
        begin()
        os.kill(frozen, signal.SIGSTOP)
        threading.Timer(2.0, os.kill, (frozen, signal.SIGCONT)).start()

    monkeypatch.setattr(producer, "begin_transaction", begin_and_freeze)
    with pytest.raises(SourceError, match=r"sending rows 2 to 3 .* ms has passed since batch"):
        relay.send(rows(2, 2))
    assert relay.delivered() == 1
    assert relay.send(rows(2, 2)) == 3
    relay.close()
    assert committed(topics) == pairs(rows(1, 3))


def test_two_shards_send_beside_each_other_and_each_has_its_own_number(
    topics: KafkaSettings,
) -> None:
    left, right = KafkaRelay(topics, "p0"), KafkaRelay(topics, "p1")
    ours, theirs = rows(1, 300), rows(1_001, 200, shard="p1")
    one = threading.Thread(target=lambda: [left.send([row]) for row in ours[:50]])
    one.start()
    for row in theirs[:50]:
        right.send([row])
    one.join()
    assert (left.send(ours), right.send(theirs)) == (300, 1_200)
    for relay in (left, right):
        relay.close()
    assert KafkaRelay(topics, "p0").delivered() == 300
    assert KafkaRelay(topics, "p1").delivered() == 1_200
    found = committed(topics)
    assert [pair for pair in found if pair[0].startswith(b"p0")] == pairs(ours)
    assert [pair for pair in found if pair[0].startswith(b"p1")] == pairs(theirs)


def test_rows_that_the_broker_refuses_leave_nothing_behind_and_hold_no_reader_up(
    topics: KafkaSettings,
) -> None:
    admin = KafkaAdminClient(bootstrap_servers=topics.bootstrap)
    strict = msgspec.structs.replace(topics, alerts=f"{topics.alerts}-strict")
    admin.create_topics(
        {strict.alerts: {"num_partitions": 1, "configs": {"max.message.bytes": "3000"}}}
    )
    admin.close()
    relay = KafkaRelay(strict, "p0")
    relay.send(rows(1, 2))
    with pytest.raises(SourceError, match="sending rows 3 to 4 of outbox p0 failed at Kafka"):
        relay.send([*rows(3, 1), *rows(4, 1, size=5_000)])
    assert committed(strict) == pairs(rows(1, 2))
    assert relay.delivered() == 2
    assert relay.send(rows(3, 2)) == 4
    relay.close()
    assert committed(strict) == pairs(rows(1, 4))


def test_a_row_too_large_for_the_topic_is_named_and_those_before_it_are_sent(
    topics: KafkaSettings,
) -> None:
    relay = KafkaRelay(topics, "p0")
    with pytest.raises(
        SourceError, match="row 3 of outbox p0 must be at most 1000000 bytes, was 1"
    ):
        relay.send([*rows(1, 2), *rows(3, 1, size=MAX_RECORD_BYTES), *rows(4, 1)])
    assert relay.delivered() == 2
    largest = rows(3, 1, size=MAX_RECORD_BYTES - 200)
    assert relay.send(largest) == 3
    relay.close()
    assert committed(topics) == pairs([*rows(1, 2), *largest])


def test_ids_that_do_not_rise_are_refused_before_anything_is_sent(topics: KafkaSettings) -> None:
    relay = KafkaRelay(topics, "p0")
    with pytest.raises(ValueError, match="must rise, were 2 and then 2"):
        relay.send([*rows(1, 2), *rows(2, 1)])
    assert relay.delivered() == 0
    relay.close()


def test_what_is_not_there_is_named(
    settings: KafkaSettings, make_topics: Callable[..., None]
) -> None:
    with pytest.raises(ConfigurationError, match="must be named pN, was 'tape'"):
        KafkaRelay(settings, "tape")
    relay = KafkaRelay(settings, "p2")
    with pytest.raises(SourceError, match=f"topic {settings.alerts} must exist"):
        relay.delivered()
    make_topics(2)
    with pytest.raises(SourceError, match=r"shard p2 must be a partition of .* it has 2"):
        relay.send(rows(1, 1))
    nobody = msgspec.structs.replace(settings, bootstrap="127.0.0.1:1", connect_timeout_s=0.5)
    with pytest.raises(SourceError, match="must answer within"):
        KafkaRelay(nobody, "p0").send(rows(1, 1))


def test_a_transaction_is_bounded_in_rows_and_bytes() -> None:
    many = rows(1, 3 * MAX_ROWS + 1)
    assert [len(part) for part in chunks(many)] == [MAX_ROWS] * 3 + [1]
    heavy = rows(1, 9, size=MAX_BYTES // 4)
    assert [len(part) for part in chunks(heavy)] == [3, 3, 3]
    assert [row for part in chunks(many) for row in part] == many


@pytest.fixture
def relay(topics: KafkaSettings) -> Iterator[KafkaRelay]:
    relay = KafkaRelay(topics, "p0")
    yield relay
    relay.close()


def test_the_time_of_a_send_is_reported(
    relay: KafkaRelay, record_property: Callable[[str, object], None]
) -> None:
    begun = time.perf_counter()
    relay.delivered()
    took = {"connect": time.perf_counter() - begun}
    reached = 0
    for count in (1, 100, 5_000):
        best = float("inf")
        for _ in range(3):
            sent = rows(reached + 1, count, size=1_500)
            begun = time.perf_counter()
            reached = relay.send(sent)
            best = min(best, time.perf_counter() - begun)
        took[f"{count} rows"] = best
    for what, seconds in took.items():
        record_property(what, seconds)
    assert reached == 3 * 5_101
