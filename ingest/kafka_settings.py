"""Settings of the connection to Kafka, with its secrets kept out of files, logs and reprs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from ingest.errors import ConfigurationError
from ingest.events import Topic
from ingest.parameter import Parameter

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
MAX_HEARTBEAT_MS: Final = 3_000
"""Kafka's own: a member hears of a rebalance with its next heartbeat."""


class Secret:
    """A text that no repr, log or encoder shows.

    Examples
    --------
    >>> Secret("hunter2"), Secret("hunter2").reveal(), bool(Secret(""))
    (Secret(***), 'hunter2', False)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text, for the one place that must have it."""
        return self._text


def _topic(meaning: str) -> Parameter:
    return Parameter(meaning, "topic", "the name in the wire contract")


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the feed is and how to get in.

    The two secrets are never read from a file: `from_environment` fills them.

    Raises
    ------
    ConfigurationError
        Settings that contradict one another; both are named.
    """

    bootstrap: Annotated[
        str,
        Parameter(
            "brokers to ask first, HOST:PORT, comma-separated", "address", "Kafka's own port"
        ),
    ] = "127.0.0.1:9092"
    group: Annotated[
        str, Parameter("consumer group that all workers share", "name", "one service, one group")
    ] = "ringfence"
    orders: Annotated[str, _topic("order events")] = "orders"
    trades: Annotated[str, _topic("trades")] = "trades"
    alerts: Annotated[str, _topic("alerts that leave")] = "alerts"
    dead_letter: Annotated[str, _topic("records that were rejected, with the reason")] = (
        "dead-letter"
    )
    summaries: Annotated[
        str, _topic("trades a minute, from every worker to the one that watches the whole platform")
    ] = "ringfence-summaries"
    member: Annotated[
        str,
        Parameter(
            "static member id of this worker (group.instance.id); empty = dynamic",
            "name",
            "set it, different for each worker, so that a restart moves no partition",
        ),
    ] = ""
    security_protocol: Annotated[
        SecurityProtocol, Parameter("how the connection is secured", "protocol", "a local broker")
    ] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Mechanism, Parameter("SASL mechanism", "mechanism", "the stronger SCRAM")
    ] = "SCRAM-SHA-512"
    sasl_username: Annotated[
        str, Parameter("SASL user; the password comes from the environment", "name", "none")
    ] = ""
    sasl_password: Annotated[
        Secret, Parameter("SASL password; from the environment only", "secret", "no default")
    ] = Secret("")
    ssl_cafile: Annotated[
        str,
        Parameter("PEM file of the authorities that sign brokers", "path", "empty = the system's"),
    ] = ""
    ssl_certfile: Annotated[
        str, Parameter("PEM file of the client's certificate", "path", "empty = none is shown")
    ] = ""
    ssl_keyfile: Annotated[
        str, Parameter("PEM file of the client's key", "path", "goes with ssl_certfile")
    ] = ""
    ssl_key_password: Annotated[
        Secret, Parameter("password of ssl_keyfile; environment only", "secret", "no default")
    ] = Secret("")
    ssl_check_hostname: Annotated[
        bool,
        Parameter("the broker's certificate must name its host", "flag", "else anybody's would do"),
    ] = True
    max_poll_records: Annotated[
        int,
        Parameter("records taken at once at most", "records", "a fixed cost a batch is then < 1 %"),
        msgspec.Meta(gt=0),
    ] = 16_384
    idle_s: Annotated[
        float,
        Parameter(
            "wall time without a record after which a caught-up partition counts as idle",
            "s",
            "longer than a producer's usual pause; it is what lets a gap or a day close",
        ),
        msgspec.Meta(gt=0),
    ] = 5.0
    max_ahead_s: Annotated[
        float,
        Parameter(
            "event time by which one topic may be read ahead of the other in a backlog",
            "s",
            "bounds what the sequencer must hold back while trades wait for their orders",
        ),
        msgspec.Meta(gt=0),
    ] = 10.0
    connect_timeout_s: Annotated[
        float,
        Parameter("time within which a broker must answer", "s", "a person waits for the message"),
        msgspec.Meta(gt=0),
    ] = 10.0
    session_timeout_s: Annotated[
        float,
        Parameter(
            "silence after which the group gives a worker's partitions to others",
            "s",
            "Kafka's own; a static member that is back within it moves no partition",
        ),
        msgspec.Meta(gt=0),
    ] = 45.0

    def __post_init__(self) -> None:
        names = {"orders": self.orders, "trades": self.trades}
        names |= {"alerts": self.alerts, "dead_letter": self.dead_letter}
        names |= {"summaries": self.summaries}
        for setting, name in {"bootstrap": self.bootstrap, "group": self.group, **names}.items():
            if not name:
                raise ConfigurationError(f"kafka.{setting} must not be empty")
        if len(set(names.values())) < len(names):
            raise ConfigurationError(f"kafka topics must differ, were {', '.join(names.values())}")
        if self.uses_sasl and not self.sasl_username:
            raise ConfigurationError(
                f"kafka.security_protocol {self.security_protocol} needs kafka.sasl_username"
            )
        if bool(self.ssl_certfile) != bool(self.ssl_keyfile):
            raise ConfigurationError("kafka.ssl_certfile and kafka.ssl_keyfile go together")

    @property
    def uses_sasl(self) -> bool:
        """Whether the connection logs in."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def session(self) -> Mapping[str, int]:
        """The client library's options for a group's session: three heartbeats must be missed."""
        session_ms = int(self.session_timeout_s * 1000)
        heartbeat_ms = max(1, min(session_ms // 3, MAX_HEARTBEAT_MS))
        return {"session_timeout_ms": session_ms, "heartbeat_interval_ms": heartbeat_ms}

    def topic(self, topic: Topic) -> str:
        """Return the configured name of a feed's topic."""
        return self.orders if topic is Topic.ORDERS else self.trades


SECRETS: Final[Mapping[str, str]] = {
    "sasl_password": "RINGFENCE_KAFKA_SASL_PASSWORD",
    "ssl_key_password": "RINGFENCE_KAFKA_SSL_KEY_PASSWORD",
}
"""Environment variable of each secret setting."""


def from_environment(settings: KafkaSettings, environment: Mapping[str, str]) -> KafkaSettings:
    """Return the settings with the secrets that the environment carries.

    Raises
    ------
    ConfigurationError
        The connection logs in and no password is there.

    Examples
    --------
    >>> settings = KafkaSettings(security_protocol="SASL_SSL", sasl_username="ringfence")
    >>> from_environment(settings, {"RINGFENCE_KAFKA_SASL_PASSWORD": "x"}).sasl_password
    Secret(***)
    """
    found = {
        name: Secret(environment[variable])
        for name, variable in SECRETS.items()
        if environment.get(variable)
    }
    if settings.uses_sasl and "sasl_password" not in found and not settings.sasl_password:
        raise ConfigurationError(
            f"kafka.security_protocol {settings.security_protocol} needs a password in the "
            f"environment variable {SECRETS['sasl_password']}; it is not set"
        )
    return msgspec.structs.replace(settings, **found)


def refuse_secrets(kind: type[Any], value: object) -> object:
    """Refuse a secret in a file: the `dec_hook` of whoever decodes these settings."""
    if kind is Secret:
        raise ValueError(f"must not stand in a file: set {' or '.join(SECRETS.values())} instead")
    raise NotImplementedError(f"no setting is of type {kind.__name__}: {value!r}")
