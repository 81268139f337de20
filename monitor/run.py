"""`ringfence run`: the service on a tape or on Kafka, from start to a graceful stop."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import Event

import msgspec
import structlog
from rich.console import Console
from sqlalchemy import make_url

from alerts.record import Alert
from alerts.store import AlertStore
from detectors.catalogue import DETECTORS
from ingest.dead_letter import DeadLetterFile
from ingest.decode import Decoder
from ingest.errors import RingfenceError, UsageError
from ingest.events import Topic
from ingest.instruments import Instruments, read_instruments
from ingest.kafka import KafkaSource, from_environment
from ingest.kafka_settings import KafkaSettings
from ingest.kafka_sinks import DeadLetterSink, KafkaAlertSink
from ingest.names import Names
from ingest.register import Register, RegisterFile
from ingest.register_changes import change_table, changes
from ingest.registry import RegistryRow
from ingest.source import Source
from ingest.state import unpack
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.checkpoint import Checkpoints
from monitor.config import Config, default_config, load_config, store_url
from monitor.http import serve
from monitor.logs import configure_logging
from monitor.metrics import Metrics
from monitor.sample import sample_tape
from monitor.service import AlertSink, RejectSink, Service, positions_of
from monitor.summary import Summary, summarise

Show = Callable[[Sequence[Alert], Summary], None]

_log = structlog.get_logger()


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """Where events come from in one mode of running, and where results go beside the store."""

    source: Source
    instruments: Instruments
    register: RegisterFile
    topic_names: Mapping[Topic, str]
    alert_sinks: Sequence[AlertSink]
    reject_sink: RejectSink
    live: bool
    """Whether engine times are of now; a tape's are of then."""


def run_service(
    config_path: Path | None,
    tape: Path | None,
    *,
    exit_when_drained: bool,
    err: Console,
    show: Show,
) -> None:
    """Run until told to stop, or until drained; then show what there is.

    Raises
    ------
    UsageError
        Neither a tape nor a broker is configured, or a file named is not there.
    SourceError
        The broker cannot be reached.
    """
    config = load_config(config_path) if config_path else default_config(Path.cwd())
    configure_logging(config.service.log_level if config_path else "warning")
    if config_path and tape is None and config.kafka is None:
        raise UsageError(f"{config_path} has no [kafka] table: give one, or --tape DIR")
    with ExitStack() as stack:
        var = config.path(config.alerts.archive).parent
        stack.enter_context(sole_owner(var))
        if tape is None and config_path is None:
            tape = sample_tape(var / "sample", err)
        if tape is not None:
            open_feed = partial(_tape, config, tape)
        elif config.kafka is not None:
            open_feed = partial(_kafka, config, config.kafka)
        checkpoints = None
        if tape is None:
            directory = config.path(config.checkpoint.directory)
            checkpoints = Checkpoints(directory, keep=config.checkpoint.keep)
        _serve(
            config,
            open_feed,
            checkpoints,
            stack,
            exit_when_drained=exit_when_drained,
            err=err,
            show=show,
        )


def _serve(
    config: Config,
    open_feed: Callable[[Names, ExitStack], Feed],
    checkpoints: Checkpoints | None,
    stack: ExitStack,
    *,
    exit_when_drained: bool,
    err: Console,
    show: Show,
) -> None:
    sections = checkpoints.latest() if checkpoints else None
    store = stack.enter_context(open_store(config))
    # Codes in a checkpoint are codes of its own table of names: it is taken over first.
    names = Names(unpack(sections["names"]["known"], list[str]) if sections else ())
    feed = open_feed(names, stack)
    store.save_instruments(feed.instruments)
    pipeline = build_pipeline(
        config,
        instruments=feed.instruments,
        names=names,
        topic_names=feed.topic_names,
        archive_dir=config.path(config.alerts.archive),
        store=store if feed.live else None,
    )
    changed = None
    if sections is not None:
        pipeline.restore(sections)
        feed.source.seek(positions_of(sections))
        before = Register(unpack(sections["register"]["rows"], list[RegistryRow]), names)
        changed = change_table(changes(before, feed.register.current), names)
        _log.info("restored from a checkpoint", records=pipeline.totals.read)
    metrics = build_metrics(config, feed.instruments, pending=pipeline.totals.pending)
    service = Service(
        pipeline=pipeline,
        source=feed.source,
        register=feed.register,
        store=store,
        alert_sinks=feed.alert_sinks,
        reject_sink=feed.reject_sink,
        checkpoints=checkpoints,
        metrics=metrics,
        checkpoint_every_s=config.checkpoint.every_s,
        reload_every_s=config.registry.reload_s,
        live=feed.live,
        instruments=feed.instruments,
        changes=changed,
    )
    server = serve(metrics, config.service.host, config.service.port, service.health)
    stack.callback(server.close)
    address = f"http://{config.service.host}:{server.port}"
    err.print(f"ringfence: metrics and health on {address} (Ctrl-C stops)")
    begun, worked = time.perf_counter(), time.process_time()

    def caught_up() -> None:
        if not feed.live:
            alerts = pipeline.alerts.alerts()
            wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - worked
            show(alerts, summarise(pipeline, alerts, wall_s=wall_s, cpu_s=cpu_s))

    with stopping() as stop:
        service.run(stop, exit_when_drained=exit_when_drained, caught_up=caught_up)
    kept = f"{store.count()} alerts are kept in {config.alerts.store_url}"
    err.print(f"ringfence: stopped; {kept}", markup=False, soft_wrap=True)


def build_metrics(config: Config, instruments: Instruments, *, pending: int) -> Metrics:
    """Return the metrics of a worker over a venue's instruments."""
    return Metrics(
        detectors=tuple(DETECTORS),
        instruments=[row.instrument for row in instruments.rows],
        instrument_limit=config.service.metric_instruments,
        version=version("ringfence"),
        pending_at_start=pending,
    )


@contextmanager
def open_store(config: Config) -> Iterator[AlertStore]:
    """Yield the configured store, its tables brought up to date."""
    url = make_url(store_url(config))
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    store = AlertStore(store_url(config), password=os.environ.get("RINGFENCE_STORE_PASSWORD"))
    try:
        store.migrate()
        for name, params in config.detectors.items():
            store.save_params(name, DETECTORS[name].spec.version, params)
        yield store
    finally:
        store.close()


@contextmanager
def existing_store(config_path: Path | None) -> Iterator[AlertStore]:
    """Yield the store that a run has left: of a configuration, or of the embedded service.

    Raises
    ------
    UsageError
        There is none yet.
    """
    config = load_config(config_path) if config_path else default_config(Path.cwd())
    url = make_url(store_url(config))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise UsageError(f"no alert store at {config.alerts.store_url} yet: `ringfence run` first")
    with open_store(config) as store:
        yield store


@contextmanager
def stopping() -> Iterator[Event]:
    """Yield an event that SIGTERM and SIGINT set, so that a stop is graceful."""
    stop = Event()
    kept = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """Hold a state folder for this process alone.

    Raises
    ------
    RingfenceError
        Another run works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ringfence.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RingfenceError(
                f"another ringfence run works in {folder}: stop it, or give this one a "
                "configuration with paths of its own"
            ) from error
        yield


def _tape(config: Config, folder: Path, names: Names, stack: ExitStack) -> Feed:
    source = TapeSource(folder, names, batch_rows=config.service.batch_rows)
    stack.callback(source.close)
    dead = config.path(config.alerts.archive).parent / "dead-letter.ndjson"
    dead.parent.mkdir(parents=True, exist_ok=True)
    return Feed(
        source=source,
        instruments=source.instruments,
        register=RegisterFile(Tape(folder).accounts_path, names),
        topic_names=source.topic_names,
        alert_sinks=(),
        reject_sink=stack.enter_context(DeadLetterFile(dead, append=True)),
        live=False,
    )


def _kafka(config: Config, kafka: KafkaSettings, names: Names, stack: ExitStack) -> Feed:
    settings = from_environment(kafka, os.environ)
    instruments = read_instruments(config.path(config.registry.instruments))
    register = RegisterFile(config.path(config.registry.accounts), names)
    source = KafkaSource(settings, Decoder(instruments, names))
    stack.callback(source.close)
    alerts, rejects = KafkaAlertSink(settings), DeadLetterSink(settings)
    stack.callback(alerts.close)
    stack.callback(rejects.close)
    return Feed(
        source=source,
        instruments=instruments,
        register=register,
        topic_names={topic: settings.topic(topic) for topic in Topic},
        alert_sinks=(alerts,),
        reject_sink=rejects,
        live=True,
    )
