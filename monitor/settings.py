"""Every setting of the service: meaning, unit, default and reason, in one place.

The TOML file has a table a section. Secrets never stand in it: they come from the environment
(`SECRETS`). `docs/settings.md` and `ringfence.example.toml` are made of this file.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from ingest.kafka_settings import SECRETS as KAFKA_SECRETS
from ingest.parameter import Parameter


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a table of the configuration file."""


class VenueSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who runs the platform; printed in every case file."""

    name: Annotated[str, Parameter("name of the platform", "text", "shown in case files")] = ""
    legal_entity: Annotated[
        str, Parameter("licensed entity", "text", "the submitter of a report")
    ] = ""
    conflicts_officer: Annotated[
        str,
        Parameter(
            "Responsible Officer or Manager-in-Charge for affiliated-maker conflicts",
            "text",
            "SFC circular 26EC6 7(c) wants a named one; printed in every case file",
        ),
    ] = ""
    securities: Annotated[
        tuple[str, ...],
        Parameter(
            "instruments, or their base, that are securities or futures contracts",
            "names",
            "the legal basis in a case file depends on it; bitcoin and ether are none",
        ),
    ] = ()


class RegistrySettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the venue's tables are; paths are relative to the configuration file."""

    accounts: Annotated[
        str, Parameter("accounts.csv", "path", "who stands behind each account, effective-dated")
    ] = "accounts.csv"
    instruments: Annotated[
        str, Parameter("instruments.csv", "path", "ticks, lots and matching rules")
    ] = "instruments.csv"
    reload_s: Annotated[
        float,
        Parameter(
            "how often accounts.csv is looked at for a new version",
            "s",
            "a decision of the surveillance team should take effect within the minute",
        ),
        msgspec.Meta(gt=0),
    ] = 10.0


class SequenceSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a hole in an instrument's seq is called a gap."""

    gap_timeout_s: Annotated[
        float,
        Parameter(
            "event time by which both topics must have passed a missing seq",
            "s",
            "producers retry for up to half a minute before they give a record up",
        ),
        msgspec.Meta(gt=0),
    ] = 30.0
    lateness_s: Annotated[
        float,
        Parameter(
            "by how much an instrument may lag the feed and still count in a platform-wide window",
            "s",
            "as long as a missing record is waited for; windows close later by as much",
        ),
        msgspec.Meta(ge=0),
    ] = 30.0
    max_pending_events: Annotated[
        int,
        Parameter(
            "records held back at most while waiting for an earlier seq",
            "records",
            "about 500 MB; beyond it the oldest gap is declared rather than memory exhausted",
        ),
        msgspec.Meta(gt=0),
    ] = 1_000_000
    max_clock_jump_s: Annotated[
        float,
        Parameter(
            "step forward of an instrument's engine_ns that is taken for a clock fault",
            "s",
            "a day: longer than any announced maintenance, shorter than a wrong date",
        ),
        msgspec.Meta(gt=0),
    ] = 86_400.0


class AlertSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts and their evidence are kept."""

    store_url: Annotated[
        str,
        Parameter(
            "SQLAlchemy URL of the alert store; sqlite:///FILE or postgresql+pg8000://USER@HOST/DB",
            "URL",
            "SQLite for one worker; PostgreSQL when several share it. Password: environment",
        ),
    ] = "sqlite:///var/ringfence.sqlite"
    archive: Annotated[
        str,
        Parameter(
            "folder of the archive of raw events", "path", "evidence is cut from it for alerts"
        ),
    ] = "var/archive"
    archive_max_bytes: Annotated[
        int,
        Parameter(
            "size above which the oldest archived events are dropped",
            "B",
            "about 500 million events; evidence of alerts is kept in the store regardless",
        ),
        msgspec.Meta(gt=0),
    ] = 50_000_000_000
    archive_max_age_days: Annotated[
        float,
        Parameter(
            "age above which archived events are dropped",
            "days",
            "VATP Guidelines 14.8: two years of time-sequenced orders",
        ),
        msgspec.Meta(gt=0),
    ] = 731.0
    harm_limits: Annotated[
        dict[str, float],
        Parameter(
            "client harm above which a proved breach is critical, by quote currency",
            "quote currency",
            "26EC6 10(b): significant client impact suspends the maker; no text sets the figure",
        ),
    ] = {}


class CheckpointSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often state is made durable."""

    storage: Annotated[
        Literal["folder", "store"],
        Parameter(
            "where snapshots are kept: in a folder that all workers share, or in the alert store",
            "place",
            "a file system is faster; the store needs no shared disk",
        ),
    ] = "folder"
    directory: Annotated[
        str,
        Parameter("folder of the snapshots", "path", "on storage that every worker reaches"),
    ] = "var/checkpoints"
    every_s: Annotated[
        float,
        Parameter(
            "time between snapshots",
            "s",
            "bounds what is replayed after a crash to half a minute of feed",
        ),
        msgspec.Meta(gt=0),
    ] = 30.0
    keep: Annotated[
        int,
        Parameter("snapshots kept", "files", "an older one is used when the newest is damaged"),
        msgspec.Meta(ge=2),
    ] = 3


class ServiceSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service's own address and manners."""

    host: Annotated[
        str, Parameter("address of /metrics, /healthz and /readyz", "address", "loopback only")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Parameter("port of the same; 0 = any free one", "port", "not used by the parts beside it"),
        msgspec.Meta(ge=0, le=65535),
    ] = 9464
    metric_instruments: Annotated[
        int,
        Parameter(
            "instruments with a metric label of their own; the rest count as `other`",
            "instruments",
            "keeps the number of time series bounded",
        ),
        msgspec.Meta(ge=0),
    ] = 50
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Parameter("lowest level that is logged", "level", "one line a state change at info"),
    ] = "info"
    batch_rows: Annotated[
        int,
        Parameter(
            "records processed at once at most",
            "records",
            "large enough that Python's share is small, small enough to report within 5 s",
        ),
        msgspec.Meta(gt=0),
    ] = 65_536


SECRETS: Final[dict[str, str]] = {
    **{variable: f"kafka.{name}" for name, variable in KAFKA_SECRETS.items()},
    "RINGFENCE_STORE_PASSWORD": "password for alerts.store_url",
}
"""Environment variables that carry secrets, and what for; none has a default."""


def parameter_of(annotation: Any) -> Parameter | None:
    """Return the `Parameter` in an annotation's metadata, or None when it carries none."""
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Parameter):
            return extra
    return None
