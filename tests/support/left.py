"""What a feed has left behind in store, topics and snapshots, so that two runs can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Table, select

from alerts.schema import ALERTS, COVERAGE, EVIDENCE, REGISTRY_ROWS
from alerts.store import AlertStore
from ingest.events import Topic
from ingest.kafka_settings import KafkaSettings
from monitor.pipeline import Totals
from tests.support.feeds import PARTITIONS, Message

SHARDS = tuple(f"p{number}" for number in range(PARTITIONS))

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


def left_in(store: AlertStore, letters: Rows, totals: Mapping[str, Totals]) -> Left:
    """Return what a store has, with letters and counts that were found elsewhere."""
    return Left(
        alerts={r.alert_id: r.record for r in rows_of(store, ALERTS) if r.merged_into is None},
        evidence=frozenset(map(tuple, rows_of(store, EVIDENCE))),
        registry=frozenset(map(tuple, rows_of(store, REGISTRY_ROWS))),
        coverage=frozenset(map(tuple, rows_of(store, COVERAGE))),
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


def feed_ends(messages: Iterable[Message]) -> dict[tuple[Topic, int], int]:
    """Return how many records each partition has, of the messages of a feed."""
    ends: dict[tuple[Topic, int], int] = {}
    for message in messages:
        place = message.topic, message.partition
        ends[place] = ends.get(place, 0) + 1
    return ends


def rows_of(store: AlertStore, table: Table) -> Sequence[Any]:
    with store.engine.connect() as connection:
        return connection.execute(select(table)).all()


def _difference(found: str, expected: str) -> str:
    here, there = json.loads(found), json.loads(expected)
    fields = [name for name in there if here.get(name) != there[name]]
    told = [f"{name}: {str(here.get(name))[:300]} for {str(there[name])[:300]}" for name in fields]
    return f"alert {there['alert_id']} ({there['detector']}): " + "; ".join(told)
