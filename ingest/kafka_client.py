"""How every part reaches Kafka: connection options, one-line errors, a client log kept short."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient

from ingest.errors import ConfigurationError, SourceError
from ingest.events import Topic
from ingest.kafka_settings import KafkaSettings

_log = structlog.get_logger()

LOG_EVERY_S: Final = 60.0
"""How often one part of the client library is heard."""
CAUSE: Final = re.compile(
    r"(Connection failed|Bootstrap connection to \S+ failed): (?P<cause>.*?)( \(backoff .*\))?"
)
"""The library's messages that say why it is not connected; its exception does not."""
REFUSAL: Final = "AuthenticationFailed"
"""In the name of the library's error for a login that the broker refused.

A login that took too long has "Authentication" in its text too, and is no refusal.
"""
RECONNECT_MAX_MS: Final = 2_000
"""Longest pause between two tries: a surveillance feed that is back must not wait for minutes."""


class ClientLog(logging.Handler):
    """Passes on the client library's warnings: one line a minute from each of its parts.

    The library retries for as long as a broker is away and logs each try, some with a traceback.
    State: one time a part.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self.causes: set[str] = set()
        """Why connections failed since `quiet` began, as the library put it, shown or not."""
        self._clock = clock
        self._next: dict[str, float] = {}
        self._quiet = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message of the library."""
        text = record.getMessage().partition("\n")[0]
        found = CAUSE.fullmatch(text)
        if found and self._quiet:
            self.causes.add(found["cause"])
        now = self._clock()
        if self._quiet or now < self._next.get(record.name, now):
            return
        self._next[record.name] = now + LOG_EVERY_S
        _log.warning("kafka client", part=record.name, detail=text)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Pass nothing on for a while: the caller reports the outcome itself."""
        self._quiet += 1
        self.causes = set()
        try:
            yield
        finally:
            self._quiet -= 1


def client_log() -> ClientLog:
    """Return the handler through which all of the library's messages go, put in place once."""
    library = logging.getLogger("kafka")
    for handler in library.handlers:
        if isinstance(handler, ClientLog):
            return handler
    handler = ClientLog()
    library.addHandler(handler)
    library.propagate = False
    return handler


def connect(kind: Callable[..., Any], settings: KafkaSettings, **options: Any) -> Any:
    """Return a client of a kind (consumer, producer, admin), connected.

    Raises
    ------
    SourceError
        No broker answered within `connect_timeout_s`, or it refused the login; one line with the
        last cause that the library saw.
    ConfigurationError
        A certificate or key file is missing.
    """
    made: list[KafkaNetClient] = []

    def client(**arguments: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**arguments))
        return made[-1]

    security = _security(settings)
    log = client_log()
    with log.quiet():
        try:
            return kind(
                bootstrap_servers=[part.strip() for part in settings.bootstrap.split(",")],
                bootstrap_timeout_ms=int(settings.connect_timeout_s * 1000),
                reconnect_backoff_max_ms=RECONNECT_MAX_MS,
                kafka_client=client,
                **security,
                **options,
            )
        except (KafkaError, OSError, ValueError) as error:
            for each in made:
                # The library leaves its thread running when its constructor fails.
                each.close()
            raise SourceError(unreachable(settings, error, log.causes)) from error


def failure(settings: KafkaSettings, doing: str, error: Exception) -> SourceError:
    """Return the one-line error for something that failed at a broker that was reached."""
    text = str(error).partition("\n")[0] or type(error).__name__
    return SourceError(f"{doing} failed at Kafka {settings.bootstrap}: {text}")


def partition_counts(settings: KafkaSettings) -> Mapping[str, int]:
    """Return the number of partitions of every topic that the broker shows us."""
    admin = connect(KafkaAdminClient, settings)
    try:
        return {
            topic["name"]: len(topic["partitions"])
            for topic in admin.describe_topics()
            if not topic["error_code"]
        }
    except KafkaError as error:
        raise failure(settings, "listing topics", error) from error
    finally:
        admin.close()


def create_topics(settings: KafkaSettings, topics: Mapping[str, int]) -> None:
    """Create topics with given partition counts and wait until they can be used.

    A topic that another has created meanwhile is left as it is. Replication is the broker's
    default.
    """
    if not topics:
        return
    admin = connect(KafkaAdminClient, settings)
    try:
        for name, partitions in topics.items():
            try:
                admin.create_topics({name: {"num_partitions": partitions}})
            except TopicAlreadyExistsError:
                continue
        admin.wait_for_topics(list(topics), timeout_ms=int(settings.connect_timeout_s * 1000))
    except KafkaError as error:
        raise failure(settings, f"creating {', '.join(topics)}", error) from error
    finally:
        admin.close()


def require_topics(
    settings: KafkaSettings, names: Iterable[str], counts: Mapping[str, int]
) -> None:
    """Raise SourceError when one of the topics is not among those with a partition count."""
    for name in names:
        if not counts.get(name):
            raise SourceError(
                f"topic {name} must exist at Kafka {settings.bootstrap}; found none "
                "(`ringfence publish` creates it)"
            )


def feed_partitions(settings: KafkaSettings, counts: Mapping[str, int]) -> int:
    """Return the partition count that both topics of the feed share.

    Raises
    ------
    SourceError
        A topic is missing, or the counts differ: an instrument's orders and trades would then be
        read by different workers.
    """
    require_topics(settings, [settings.topic(topic) for topic in Topic], counts)
    orders, trades = counts[settings.orders], counts[settings.trades]
    if orders != trades:
        raise SourceError(
            f"topics {settings.orders} and {settings.trades} must have the same number of "
            f"partitions; found {orders} and {trades} at Kafka {settings.bootstrap}"
        )
    return orders


def _security(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.uses_sasl:
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = settings.sasl_password.reveal()
    if settings.uses_tls:
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
            path = getattr(settings, name)
            if path and not Path(path).is_file():
                raise ConfigurationError(f"kafka.{name} must be a file, found none at {path}")
            options[name] = path or None
        options["ssl_password"] = settings.ssl_key_password.reveal() or None
        options["ssl_check_hostname"] = settings.ssl_check_hostname
    return options


def unreachable(settings: KafkaSettings, error: Exception, causes: Collection[str]) -> str:
    """Return one line that says why no client could be made.

    Parameters
    ----------
    error
        What the library raised.
    causes
        What it logged on the way; says more, and is in no order. One refusal among them tells:
        the broker may have closed the other tries before their answer came.
    """
    where = f"Kafka at {settings.bootstrap}"
    text = str(error).partition("\n")[0] or type(error).__name__
    refused = [cause for cause in (*sorted(causes), text) if REFUSAL in cause]
    if refused:
        return f"{where} must accept user {settings.sasl_username!r}; it did not: {refused[0]}"
    # After a failed handshake some tries only see a closed socket: the longest says most.
    cause = max(sorted(causes), key=len, default=text)
    told = f"{where} must answer within {settings.connect_timeout_s:g} s; found no way in: {cause}"
    if not settings.uses_sasl:
        return told
    # The refusal and the end of the connection come at once, and a busy client sees the end first.
    return f"{told} (a broker that refuses user {settings.sasl_username!r} may close unsaid)"
