"""`ringfence run`: the service on a tape or on Kafka, from start to a graceful stop."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

from rich.console import Console
from sqlalchemy import make_url

from alerts.record import Alert
from alerts.store import AlertStore
from detectors.catalogue import DETECTORS
from ingest.errors import RingfenceError, UsageError
from monitor.boundaries import Reach
from monitor.config import Config, config_or_default, store_url
from monitor.http import serve
from monitor.logs import configure_logging
from monitor.parts import Parts, kafka_parts, tape_parts
from monitor.sample import sample_tape
from monitor.summary import Summary, summarise

Show = Callable[[Sequence[Alert], Summary], None]


def _ignore(_boundary: str) -> None:
    """Do nothing at a boundary: what every run but a test of crashes does."""


def run_service(
    config_path: Path | None,
    tape: Path | None,
    *,
    exit_when_drained: bool,
    err: Console,
    show: Show,
    reach: Reach = _ignore,
) -> None:
    """Run until told to stop, or until drained; then show what there is.

    `reach` is called with the names of `monitor.boundaries.BOUNDARIES`.

    Raises
    ------
    UsageError
        Neither a tape nor a broker is configured, or a file named is not there.
    SourceError
        The broker cannot be reached.
    """
    config = config_or_default(config_path)
    configure_logging(config.service.log_level if config_path else "warning")
    if config_path and tape is None and config.kafka is None:
        raise UsageError(f"{config_path} has no [kafka] table: give one, or --tape DIR")
    with ExitStack() as stack:
        var = config.path(config.alerts.archive).parent
        if tape is not None or config_path is None or _is_sqlite(config):
            stack.enter_context(sole_owner(var))
        if tape is None and config_path is None:
            tape = sample_tape(var / "sample", err)
        store = stack.enter_context(open_store(config))
        if tape is not None:
            parts = tape_parts(config, tape, store, stack, reach)
        else:
            parts = kafka_parts(config, store, stack, reach)
        _serve(config, parts, store, stack, exit_when_drained=exit_when_drained, err=err, show=show)


def _serve(
    config: Config,
    parts: Parts,
    store: AlertStore,
    stack: ExitStack,
    *,
    exit_when_drained: bool,
    err: Console,
    show: Show,
) -> None:
    store.save_instruments(parts.instruments)
    service = parts.service
    server = serve(parts.metrics, config.service.host, config.service.port, service.health)
    stack.callback(server.close)
    address = f"http://{config.service.host}:{server.port}"
    err.print(f"ringfence: metrics and health on {address} (Ctrl-C stops)")
    begun, worked = time.perf_counter(), time.process_time()

    def caught_up() -> None:
        if not parts.live:
            (shard,) = service.shards.values()
            alerts = shard.pipeline.alerts.alerts()
            wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - worked
            show(alerts, summarise(shard.pipeline, alerts, wall_s=wall_s, cpu_s=cpu_s))

    with stopping() as stop:
        service.run(stop, exit_when_drained=exit_when_drained, caught_up=caught_up)
    kept = f"{store.count()} alerts are kept in {config.alerts.store_url}"
    err.print(f"ringfence: stopped; {kept}", markup=False, soft_wrap=True)


def _is_sqlite(config: Config) -> bool:
    return make_url(store_url(config)).get_backend_name() == "sqlite"


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
    config = config_or_default(config_path)
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
