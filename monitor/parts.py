"""What a run is made of: a tape's parts or a Kafka worker's, put together around the service."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import msgspec

from alerts.commit import Ledger
from alerts.holds import Holds
from alerts.name_table import StoreNames
from alerts.outbox import Outbox
from alerts.shards import Shards
from alerts.states import States
from alerts.store import AlertStore
from detectors.catalogue import DETECTORS
from ingest.dead_letter import DeadLetterFile
from ingest.decode import Decoder
from ingest.errors import SourceError, UsageError
from ingest.events import Topic
from ingest.instruments import Instruments, read_instruments
from ingest.kafka import KafkaSource, from_environment
from ingest.kafka_relay import KafkaRelay
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import DeadLetterSink
from ingest.kafka_summaries import SummaryFeed, SummarySink, ensure_summaries_topic
from ingest.names import Names, SharedNames
from ingest.register import RegisterFile
from ingest.summary import Summary
from ingest.summary_wire import encode
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_detectors, build_pipeline, build_platform
from monitor.boundaries import Reach
from monitor.config import Config
from monitor.metrics import Metrics
from monitor.platform import PLATFORM, PlatformShard
from monitor.platform_worker import PlatformWorker
from monitor.registers import Registers
from monitor.relays import CONSUMER, Relays
from monitor.service import Service
from monitor.shard import Shard
from monitor.snapshots import FolderStorage, Snapshots, Storage, StoreStorage

TAPE = "tape"
"""Name of a tape's one shard."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A service that is ready to run, and what is shown of it."""

    service: Service
    metrics: Metrics
    instruments: Instruments
    live: bool
    """Whether engine times are of now; a tape's are of then."""


def tape_parts(
    config: Config, folder: Path, store: AlertStore, stack: ExitStack, reach: Reach
) -> Parts:
    """Return the parts of a run on a tape: one shard, read from its beginning, nothing sent."""
    names = Names()
    source = TapeSource(folder, names, batch_rows=config.service.batch_rows)
    stack.callback(source.close)
    instruments = source.instruments
    file = RegisterFile(Tape(folder).accounts_path, names)
    shards = Shards(store.engine)
    ledger = Ledger(shards, Outbox(store.engine))
    registers = Registers(file, None, names)
    dead = config.path(config.alerts.archive).parent / "dead-letter.ndjson"
    dead.parent.mkdir(parents=True, exist_ok=True)
    rejects = stack.enter_context(DeadLetterFile(dead, append=True))
    metrics = build_metrics(config, instruments)

    def open_shard(_number: int) -> Shard:
        pipeline = build_pipeline(
            config,
            instruments=instruments,
            names=names,
            topic_names=source.topic_names,
            archive_dir=config.path(config.alerts.archive),
            store=None,
        )
        return Shard(
            shards.claim(TAPE, owner()),
            pipeline,
            ledger=ledger,
            snapshots=None,
            registers=registers,
            instruments=instruments,
            rejects=rejects,
            states=None,
            binds=False,
            reach=reach,
        )

    service = Service(
        source=source,
        open_shard=open_shard,
        registers=registers,
        relays=Relays(shards, ledger.outbox, None, reach),
        summaries=None,
        platform=None,
        metrics=metrics,
        checkpoint_every_s=config.checkpoint.every_s,
        reload_every_s=config.registry.reload_s,
        live=False,
        reach=reach,
    )
    return Parts(service=service, metrics=metrics, instruments=instruments, live=False)


def kafka_parts(config: Config, store: AlertStore, stack: ExitStack, reach: Reach) -> Parts:
    """Return the parts of a worker on Kafka."""
    if config.kafka is None:
        raise UsageError("the configuration has no [kafka] table")
    settings = from_environment(config.kafka, os.environ)
    shards = Shards(store.engine)
    names = SharedNames(StoreNames(store.engine))
    instruments = read_instruments(config.path(config.registry.instruments))
    registers = Registers(RegisterFile(config.path(config.registry.accounts), names), shards, names)
    ledger = Ledger(shards, Outbox(store.engine, [CONSUMER]))
    holds = Holds(store.engine).active
    states = States(
        config.path(config.alerts.archive),
        max_age_s=config.alerts.archive_max_age_days * 86_400,
        holds=holds,
    )
    source = KafkaSource(settings, Decoder(instruments, names))
    stack.callback(source.close)
    require_partitions(shards, source.partitions)
    snapshots = Snapshots(
        storage_of(config, shards), keep=config.checkpoint.keep, partitions=source.partitions
    )
    ensure_summaries_topic(settings)
    feed, sink = SummaryFeed(settings), _Summaries(SummarySink(settings))
    stack.callback(feed.close)
    stack.callback(sink.close)
    rejects = DeadLetterSink(settings)
    stack.callback(rejects.close)
    metrics = build_metrics(config, instruments)

    def open_shard(number: int) -> Shard:
        name = f"p{number}"
        return Shard(
            shards.claim(name, owner(settings)),
            build_pipeline(
                config,
                instruments=instruments,
                names=names,
                topic_names={topic: settings.topic(topic) for topic in Topic},
                archive_dir=config.path(config.alerts.archive),
                store=store,
                shard=name,
                holds=holds,
            ),
            ledger=ledger,
            snapshots=snapshots,
            registers=registers,
            instruments=instruments,
            rejects=rejects,
            states=states,
            binds=True,
            reach=reach,
        )

    relays = Relays(shards, ledger.outbox, lambda shard: KafkaRelay(settings, shard), reach)
    stack.callback(relays.close_all)
    service = Service(
        source=source,
        open_shard=open_shard,
        registers=registers,
        relays=relays,
        summaries=sink,
        platform=PlatformWorker(
            feed,
            _platform_opener(
                config,
                settings,
                source.partitions,
                ledger,
                snapshots,
                registers,
                instruments,
                reach,
            ),
            metrics,
        ),
        metrics=metrics,
        checkpoint_every_s=config.checkpoint.every_s,
        reload_every_s=config.registry.reload_s,
        live=True,
        reach=reach,
    )
    return Parts(service=service, metrics=metrics, instruments=instruments, live=True)


def _platform_opener(  # noqa: PLR0917 (all of them, once)
    config: Config,
    settings: KafkaSettings,
    partitions: int,
    ledger: Ledger,
    snapshots: Snapshots,
    registers: Registers,
    instruments: Instruments,
    reach: Reach,
) -> Callable[[], PlatformShard]:
    def open_shard() -> PlatformShard:
        detectors = [d for d in build_detectors(config, instruments) if d.spec.scope == "platform"]
        expected = [f"p{number}" for number in range(partitions)]
        return PlatformShard(
            ledger.shards.claim(PLATFORM, owner(settings)),
            build_platform(detectors, instruments, expected, raw=True),
            detectors,
            ledger=ledger,
            snapshots=snapshots,
            registers=registers,
            instruments=instruments,
            reach=reach,
        )

    return open_shard


class _Summaries:
    """Sends summaries as messages of the topic."""

    def __init__(self, sink: SummarySink) -> None:
        self._sink = sink

    def send(self, summary: Summary) -> None:
        self._sink.send(summary.shard, encode(summary))

    def close(self) -> None:
        self._sink.close()


def require_partitions(shards: Shards, found: int) -> None:
    """Raise SourceError when the state is for another number of partitions than the topics have."""
    expected = shards.partitions(found)
    if expected != found:
        raise SourceError(
            f"the topics must have the {expected} partitions that the state is for, found {found}: "
            "stop all workers and run `ringfence migrate`"
        )


def storage_of(config: Config, shards: Shards) -> Storage:
    """Return where a configuration keeps its snapshots."""
    if config.checkpoint.storage == "store":
        return StoreStorage(shards)
    return FolderStorage(config.path(config.checkpoint.directory), shards)


def build_metrics(config: Config, instruments: Instruments) -> Metrics:
    """Return the metrics of a worker over a venue's instruments."""
    return Metrics(
        detectors=tuple(DETECTORS),
        instruments=[row.instrument for row in instruments.rows],
        instrument_limit=config.service.metric_instruments,
        version=version("ringfence"),
    )


def owner(settings: KafkaSettings | None = None) -> str:
    """Return what a claim calls this worker: for people, nothing depends on it."""
    member = settings.member if settings else ""
    return f"{member or 'worker'} {socket.gethostname()}/{os.getpid()}"
