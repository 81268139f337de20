"""Configuration: one TOML file into frozen structs; an unknown key is refused by name."""

from __future__ import annotations

import difflib
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from detectors.base import Params
from detectors.catalogue import DETECTORS
from ingest.errors import ConfigurationError
from ingest.kafka_settings import KafkaSettings, refuse_secrets
from monitor.settings import (
    AlertSettings,
    CheckpointSettings,
    RegistrySettings,
    SequenceSettings,
    ServiceSettings,
    VenueSettings,
)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one run; `root` is the folder that relative paths start from."""

    root: Path
    venue: VenueSettings = VenueSettings()
    registry: RegistrySettings = RegistrySettings()
    kafka: KafkaSettings | None = None
    sequence: SequenceSettings = SequenceSettings()
    alerts: AlertSettings = AlertSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    service: ServiceSettings = ServiceSettings()
    detectors: Mapping[str, Params] = {}
    """Parameters by detector id; every detector of the catalogue has an entry."""

    def path(self, setting: str) -> Path:
        """Return a path setting, relative ones from the configuration file's folder."""
        return self.root / setting


SECTIONS: Mapping[str, type[msgspec.Struct]] = {
    "venue": VenueSettings,
    "registry": RegistrySettings,
    "kafka": KafkaSettings,
    "sequence": SequenceSettings,
    "alerts": AlertSettings,
    "checkpoint": CheckpointSettings,
    "service": ServiceSettings,
}
"""The tables of the file, beside one `[detectors.ID]` a detector."""


def default_config(root: Path) -> Config:
    """Return the configuration in which every setting has its default and no Kafka is named."""
    return Config(root=root, detectors=_detectors({}, "defaults"))


def config_or_default(path: Path | None) -> Config:
    """Return the configuration in a file, or, where none is named, the default in this folder."""
    return load_config(path) if path else default_config(Path.cwd())


def load_config(path: Path) -> Config:
    """Return the configuration in a TOML file.

    Raises
    ------
    ConfigurationError
        The file cannot be read or parsed, a key is unknown (the nearest known one is named), or a
        value has the wrong type or range; one line that names file and key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"configuration file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    _known(tables, {*SECTIONS, "detectors"}, str(path), "")
    sections = {
        name: convert(tables[name], kind, str(path), name)
        for name, kind in SECTIONS.items()
        if name in tables
    }
    detectors = tables.get("detectors", {})
    if not isinstance(detectors, dict):
        raise ConfigurationError(f"{path}: detectors must be a table, was {detectors!r}")
    return Config(
        root=path.resolve().parent,
        detectors=_detectors(detectors, str(path)),
        **typing.cast(Any, sections),
    )


def store_url(config: Config) -> str:
    """Return the store's URL.

    A relative SQLite file is taken from the configuration's folder.

    Raises
    ------
    ConfigurationError
        It is no URL, or carries a password.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(config.alerts.store_url)
    except ArgumentError as error:
        raise ConfigurationError(
            "alerts.store_url must be sqlite:///FILE or postgresql+pg8000://USER@HOST/DATABASE, "
            f"was {config.alerts.store_url!r}"
        ) from error
    if url.password is not None:
        raise ConfigurationError(
            "alerts.store_url must not carry a password: set RINGFENCE_STORE_PASSWORD instead"
        )
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(config.path(url.database)))
    return url.render_as_string(hide_password=False)


def _detectors(tables: Mapping[str, Any], where: str) -> dict[str, Params]:
    _known(tables, set(DETECTORS), where, "detectors.")
    return {
        name: convert(tables.get(name, {}), kind.Params, where, f"detectors.{name}")
        for name, kind in DETECTORS.items()
    }


S = typing.TypeVar("S", bound=msgspec.Struct)


def convert(table: Any, kind: type[S], where: str, prefix: str) -> S:
    """Return a table as a struct; raises ConfigurationError as `load_config` does."""
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: {prefix} must be a table, was {table!r}")
    _known(table, set(kind.__struct_fields__), where, f"{prefix}.")
    try:
        return msgspec.convert(table, kind, dec_hook=refuse_secrets)
    except msgspec.ValidationError as error:
        text = str(error).replace("`", "")
        message, _, at = text.partition(" - at $.")
        key = f"{prefix}.{at}" if at else prefix
        raise ConfigurationError(f"{where}: {key}: {message[:1].lower()}{message[1:]}") from error


def _known(table: Mapping[str, Any], known: set[str], where: str, prefix: str) -> None:
    for key in table:
        if key in known:
            continue
        near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
        hint = f"; the nearest is {prefix}{near[0]}" if near else ""
        raise ConfigurationError(f"{where}: unknown key {prefix}{key}{hint}")
