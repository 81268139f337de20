"""`ringfence migrate`: the state dealt out anew after the topics were given more partitions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.errors import SourceError, UsageError
from monitor.console import JsonOption, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.kafka_settings import KafkaSettings
    from ingest.source import Position


def migrate(
    config: Annotated[
        Path, typer.Option("-c", "--config", help="configuration file (TOML)", show_default=False)
    ],
    homes: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="CSV of instrument,partition where producers do not use Kafka's own partitioner",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Deal the workers' state out anew, by instrument, when the number of partitions changed.

    Before: stop the producers, let the workers drain the feed, stop them, change the topics.
    """
    from alerts.outbox import Outbox
    from alerts.shards import Shards
    from ingest.instruments import read_instruments
    from ingest.kafka_client import feed_partitions, partition_counts
    from ingest.kafka_settings import from_environment
    from ingest.kafka_sinks import partition_of
    from monitor.config import load_config
    from monitor.migrate import migrate as deal_out
    from monitor.parts import owner, storage_of
    from monitor.relays import CONSUMER
    from monitor.run import existing_store
    from monitor.snapshots import Snapshots

    loaded = load_config(config)
    if loaded.kafka is None:
        raise UsageError(f"{config} has no [kafka] table: there is nothing to migrate")
    settings = from_environment(loaded.kafka, os.environ)
    partitions = feed_partitions(settings, partition_counts(settings))
    instruments = read_instruments(loaded.path(loaded.registry.instruments))
    given = _read(homes) if homes else {}
    with existing_store(config) as store:
        shards = Shards(store.engine)
        before = shards.partitions(partitions)
        kept = Snapshots(storage_of(loaded, shards), keep=loaded.checkpoint.keep, partitions=before)
        done = deal_out(
            shards,
            Outbox(store.engine, [CONSUMER]),
            kept,
            instruments,
            partitions=partitions,
            ends=_ends(settings, min(before, partitions)),
            partition_of=lambda name: given.get(name, partition_of(name.encode(), partitions)),
            owner=owner(settings),
        )
    if as_json:
        print_json(done)
        return
    out.print(
        f"{done.instruments} instruments dealt out from {done.partitions_before} to "
        f"{done.partitions} partitions; {done.moved} come from another partition now"
    )
    if done.dropped:
        err.print(f"ringfence: state dropped, not in instruments.csv: {', '.join(done.dropped)}")


def _read(path: Path) -> Mapping[str, int]:
    homes: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, _, partition = line.rpartition(",")
        if number == 1 and (name, partition) == ("instrument", "partition"):
            continue
        if not name or not partition.isdigit():
            raise UsageError(f"{path}: line {number} must be instrument,partition, was {line!r}")
        homes[name] = int(partition)
    return homes


def _ends(settings: KafkaSettings, partitions: int) -> Mapping[Position, int]:
    from kafka import KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError

    from ingest.events import Topic
    from ingest.kafka_client import connect, failure

    consumer = connect(KafkaConsumer, settings)
    asked = {
        TopicPartition(settings.topic(topic), number): (topic, number)
        for topic in Topic
        for number in range(partitions)
    }
    try:
        found = consumer.end_offsets(list(asked))
    except KafkaError as error:
        raise failure(settings, "reading the topics' ends", error) from error
    finally:
        consumer.close(autocommit=False)
    if set(found) != set(asked):
        raise SourceError("the broker did not tell every partition's end")
    return {asked[place]: end for place, end in found.items()}
