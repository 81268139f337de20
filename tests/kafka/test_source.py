"""The live source against a real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kafka import KafkaProducer

from ingest.decode import Decoder
from ingest.errors import SourceError
from ingest.events import Reject, Topic
from ingest.kafka import KafkaSource
from ingest.kafka_client import create_topics
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import Producer
from ingest.names import Names
from ingest.source import Arrivals, Position
from ingest.tape import TapeSource
from monitor.publish import publish_tape
from tests.support.venue import Tape, random_tape

pytestmark = pytest.mark.kafka

WAIT_S = 30.0
ORDERS, TRADES = (Topic.ORDERS, 0), (Topic.TRADES, 0)
Open = Callable[..., KafkaSource]


@pytest.fixture(scope="module")
def tape() -> Tape:
    return random_tape(seed=5, events=3_000, instruments=3)


@pytest.fixture(scope="module")
def folder(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tape.write(tmp_path_factory.mktemp("tape"))


@pytest.fixture
def opened(settings: KafkaSettings, tape: Tape) -> Iterator[Open]:
    """Open sources with the test's settings, changed as asked; closed at the end."""
    sources: list[KafkaSource] = []

    def open_source(**changes) -> KafkaSource:
        changed = msgspec.structs.replace(settings, **changes)
        sources.append(KafkaSource(changed, Decoder(tape.table, Names())))
        return sources[-1]

    yield open_source
    for source in sources:
        source.close()


def until_drained(source: KafkaSource) -> list[Arrivals]:
    """Poll until the source says that it has read what was there when it was opened."""
    found, deadline = [], time.monotonic() + WAIT_S
    while not source.drained:
        assert time.monotonic() < deadline, f"not drained: {source.positions()} {source.lag()}"
        arrivals = source.poll(0.2)
        if arrivals is not None:
            found.append(arrivals)
    return found


def until(source: KafkaSource, enough: Callable[[list[Arrivals]], bool]) -> list[Arrivals]:
    """Poll until what has arrived is enough."""
    found: list[Arrivals] = []
    deadline = time.monotonic() + WAIT_S
    while not enough(found):
        assert time.monotonic() < deadline, f"waited in vain: {source.positions()} {source.lag()}"
        arrivals = source.poll(0.2)
        if arrivals is not None:
            found.append(arrivals)
    return found


def keys(arrivals: list[Arrivals]) -> list[tuple[int, int, int]]:
    """Return (topic, instrument, seq) of the rows, in order of arrival."""
    names = ("topic", "instrument", "seq")
    return [
        row
        for each in arrivals
        for row in zip(*(each.batch[name].tolist() for name in names), strict=True)
    ]


def rejects(arrivals: list[Arrivals]) -> list[Reject]:
    return [reject for each in arrivals for reject in each.rejects]


def send(settings: KafkaSettings, *records: tuple[str, bytes | None]) -> None:
    """Write records to partition 0 of topics, in order."""
    producer = Producer(settings, [settings.orders, settings.trades])
    for topic, value in records:
        producer.send(topic, b"key", value, 0)
    producer.flush()
    producer.close()


def wire(record: dict) -> bytes:
    return json.dumps(record).encode()


def test_every_record_of_a_published_tape_arrives_once_and_says_where_it_stood(
    settings: KafkaSettings, tape: Tape, folder: Path, opened: Open
) -> None:
    published = publish_tape(folder, settings, partitions=3)
    assert (published.orders, published.trades) == (len(tape.orders), len(tape.trades))
    source = opened(max_poll_records=500)
    arrivals = until_drained(source)
    from_file = TapeSource(folder, Names())
    expected = []
    while (batch := from_file.poll(0.0)) is not None:
        expected.append(batch)
    assert sorted(keys(arrivals)) == sorted(keys(expected))
    assert not rejects(arrivals)
    # Order is kept within each partition, and no offset is skipped or repeated.
    for topic in Topic:
        for number in range(3):
            offsets = [
                offset
                for each in arrivals
                for offset in each.batch["offset"][
                    (each.batch["topic"] == topic) & (each.batch["partition"] == number)
                ].tolist()
            ]
            assert offsets == list(range(source.positions()[topic, number]))
    assert sum(source.positions().values()) == published.orders + published.trades
    assert set(source.lag().values()) == {0}
    # One place for each instrument, the same in both topics.
    places = {
        (code, number)
        for each in arrivals
        for code, number in zip(
            each.batch["instrument"].tolist(), each.batch["partition"].tolist(), strict=True
        )
    }
    assert len(places) == len(tape.table)
    raw = next(each.batch for each in arrivals if len(each.batch)).raw
    assert raw is not None
    assert json.loads(raw[0]) in tape.records


def test_lag_counts_what_is_written_after_the_source_has_caught_up(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    source = opened()
    until_drained(source)
    assert source.lag() == {ORDERS: 0, TRADES: 0}
    send(settings, *((settings.orders, wire(record)) for record in tape.orders[:7]))
    time.sleep(1.1)  # The known ends are at most a second old.
    assert source.lag() == {ORDERS: 7, TRADES: 0}
    assert len(keys(until(source, lambda found: len(keys(found)) >= 7))) == 7
    assert source.lag()[ORDERS] == 0


def test_a_seek_goes_back_to_an_offset(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, *((settings.orders, wire(record)) for record in tape.orders[:50]))
    source = opened()
    assert len(keys(until_drained(source))) == 50
    source.seek({ORDERS: 30})
    again = until(source, lambda found: len(keys(found)) >= 20)
    assert [o for each in again for o in each.batch["offset"].tolist()] == list(range(30, 50))


def test_a_seek_before_the_assignment_holds_when_it_comes(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, *((settings.orders, wire(record)) for record in tape.orders[:50]))
    source = opened()
    source.seek({ORDERS: 45, TRADES: 0})
    arrivals = until_drained(source)
    assert [o for each in arrivals for o in each.batch["offset"].tolist()] == list(range(45, 50))


def test_positions_of_another_feed_are_refused(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, *((settings.orders, wire(record)) for record in tape.orders[:5]))
    source = opened()
    until_drained(source)
    with pytest.raises(SourceError, match=r"must reach offset 6, .* found its end at 5"):
        source.seek({ORDERS: 6})
    with pytest.raises(SourceError, match="one of 1 partitions"):
        source.seek({(Topic.ORDERS, 1): 0})


def test_a_consumer_that_starts_again_goes_on_from_what_it_committed(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, *((settings.orders, wire(record)) for record in tape.orders[:40]))
    first = opened()
    until_drained(first)
    assert first.commit({ORDERS: 25, TRADES: 0})
    first.close()
    second = opened()
    arrivals = until_drained(second)
    assert [o for each in arrivals for o in each.batch["offset"].tolist()] == list(range(25, 40))


def test_a_second_worker_takes_whole_partition_numbers_and_both_are_told(
    settings: KafkaSettings, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics(2)
    every = {(topic, number) for topic in Topic for number in range(2)}
    first = opened()
    until_drained(first)
    news = first.reassigned()
    assert news is not None
    assert set(news.assigned) == every
    assert first.reassigned() is None
    second = opened()
    moved: set[Position] = set()
    deadline = time.monotonic() + WAIT_S
    while not (second.positions() and moved) and time.monotonic() < deadline:
        first.poll(0.1)
        second.poll(0.1)
        news = first.reassigned()
        if news is not None:
            moved |= set(news.revoked)
            assert not news.assigned
    assert {number for _, number in moved} in ({0}, {1})
    assert len(moved) == 2
    assert set(first.positions()) == every - moved
    assert set(second.positions()) == moved
    assert not second.commit(first.positions()), "it must not commit what it does not hold"


def test_a_partition_without_records_is_idle_until_one_comes(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, (settings.orders, wire(tape.orders[0])))
    source = opened(idle_s=0.4)
    begun = time.monotonic()
    first = until_drained(source)
    assert not first[0].idle, "nothing is idle the moment it has been read"
    quiet = until(source, lambda found: bool(found) and len(found[-1].idle) == 2)
    assert time.monotonic() - begun >= 0.4
    assert quiet[-1].idle == {ORDERS, TRADES}
    send(settings, (settings.trades, wire(tape.trades[0])))
    busy = until(source, lambda found: len(keys(found)) == 1)
    assert busy[-1].idle == {ORDERS}


def test_an_idle_topic_is_not_called_idle_when_its_records_came_with_the_others(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    source = opened(idle_s=0.2, max_poll_records=5)
    until(source, lambda found: bool(found) and len(found[-1].idle) == 2)
    # Trades are written first: whenever an order has arrived, the trades are there.
    trades = [(settings.trades, wire(record)) for record in tape.trades[:40]]
    orders = [(settings.orders, wire(record)) for record in tape.orders[:40]]
    send(settings, *trades, *orders)
    found = until(source, lambda found: len(keys(found)) == 80)
    seen = {Topic.ORDERS: 0, Topic.TRADES: 0}
    for each in found:
        for topic in Topic:
            seen[topic] += int(np.count_nonzero(each.batch["topic"] == topic))
        for topic, _ in each.idle:
            assert seen[topic] == 40, "idle while its records waited"


def test_a_poison_message_and_a_tombstone_cost_only_themselves(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    good = [wire(record) for record in tape.orders[:4]]
    values = [good[0], b"\xff\x00 no json", good[1], None, good[2], b'{"v":1}', good[3]]
    send(settings, *((settings.orders, value) for value in values))
    arrivals = until_drained(opened())
    assert [o for each in arrivals for o in each.batch["offset"].tolist()] == [0, 2, 4, 6]
    found = {reject.offset: reject for reject in rejects(arrivals)}
    assert sorted(found) == [1, 3, 5]
    assert [found[1].reason, found[3].reason] == ["not_json", "not_json"]
    assert "tombstone" in found[3].detail
    assert f"{settings.orders}/0@3" in found[3].detail
    assert [found[1].raw, found[3].raw, found[5].raw] == [b"\xff\x00 no json", b"", b'{"v":1}']


def test_tombstones_alone_are_arrivals_too(
    settings: KafkaSettings, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    send(settings, (settings.trades, None), (settings.trades, None))
    arrivals = until_drained(opened())
    assert [reject.offset for reject in rejects(arrivals)] == [0, 1]
    assert not keys(arrivals)


def test_markers_and_aborted_records_of_transactions_do_not_stop_or_enter_the_feed(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap, transactional_id=f"tx-{settings.group}"
    )
    producer.init_transactions()
    for record, commit in ((tape.orders[0], True), (tape.orders[1], False), (tape.orders[2], True)):
        producer.begin_transaction()
        producer.send(settings.orders, value=wire(record), key=b"k")
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()
    producer.close()
    source = opened()
    arrivals = until_drained(source)
    assert [seq for _, _, seq in keys(arrivals)] == [tape.orders[0]["seq"], tape.orders[2]["seq"]]
    assert source.lag()[ORDERS] == 0
    assert source.positions()[ORDERS] == 6, "three records and three markers"


def test_in_a_backlog_no_topic_runs_far_ahead_of_the_other(
    settings: KafkaSettings, tape: Tape, folder: Path, opened: Open
) -> None:
    publish_tape(folder, settings)
    span_s = (tape.records[-1]["engine_ns"] - tape.records[0]["engine_ns"]) / 1e9
    source = opened(max_poll_records=20, max_ahead_s=span_s / 20)
    at: dict[int, int] = {}
    furthest = 0.0
    total = 0
    for arrivals in until_drained(source):
        total += len(arrivals.batch)
        topics, times = (arrivals.batch[name].tolist() for name in ("topic", "engine_ns"))
        at |= dict(zip(topics, times, strict=True))
        if len(at) == 2 and all(source.lag().values()):
            furthest = max(furthest, abs(at[0] - at[1]) / 1e9)
    assert total == len(tape.records)
    assert furthest <= span_s / 4


def test_topics_with_different_partition_counts_are_refused(
    settings: KafkaSettings, opened: Open
) -> None:
    create_topics(settings, {settings.orders: 2, settings.trades: 3})
    with pytest.raises(SourceError, match=r"same number of partitions; found 2 and 3"):
        opened()


def test_a_missing_topic_is_named(settings: KafkaSettings, opened: Open) -> None:
    create_topics(settings, {settings.orders: 1})
    with pytest.raises(SourceError, match=rf"topic {settings.trades} must exist"):
        opened()


def test_a_static_member_that_starts_again_at_once_moves_no_partition(
    settings: KafkaSettings, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics(2)
    first, other = opened(member="worker-1"), opened(member="worker-2")
    deadline = time.monotonic() + WAIT_S
    while len(first.positions()) != 2 or len(other.positions()) != 2:
        assert time.monotonic() < deadline
        first.poll(0.1)
        other.poll(0.1)
    held = set(first.positions())
    other.reassigned()
    first.close()
    again = opened(member="worker-1")
    while set(again.positions()) != held:
        assert time.monotonic() < deadline
        again.poll(0.1)
        other.poll(0.1)
    assert other.reassigned() is None


def test_a_rejoin_whose_answer_comes_between_two_polls_is_seen_through(
    settings: KafkaSettings, tape: Tape, make_topics: Callable[..., None], opened: Open
) -> None:
    make_topics()
    source = opened()
    until_drained(source)
    # As if the topics had looked different when the group last shared them out.
    source._consumer._coordinator._assignment_snapshot = {"before": {0}}
    joins = []
    send_join = source._consumer._coordinator._do_join_and_sync_async
    source._consumer._coordinator._do_join_and_sync_async = lambda: joins.append(1) or send_join()
    deadline = time.monotonic() + 20
    source.poll(0.0)
    while source._consumer._coordinator.rejoining:
        assert time.monotonic() < deadline, f"not seen through, {len(joins)} joins"
        time.sleep(0.2)
        source.poll(0.0)
    assert len(joins) == 1, "an answer was thrown away"
    send(settings, (settings.orders, wire(tape.orders[0])))
    assert len(keys(until(source, lambda found: len(keys(found)) == 1))) == 1
    assert source.commit(source.positions())
