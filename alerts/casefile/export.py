"""Export: one alert of the store into a case file."""

from __future__ import annotations

import csv
import hashlib
import io
import platform
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import bagit
import msgspec

from alerts.casefile.layout import (
    ALERT,
    CASE,
    CASE_FORMAT,
    EVENTS,
    PARAMETERS,
    REGISTRY,
    REGISTRY_COLUMNS,
    REPORT,
    VERSIONS,
    Case,
    CaseFileError,
    Parameters,
    case_event,
    utc,
    write_tag_manifest,
)
from alerts.casefile.legal import applies, asset_class_of, legal_basis
from alerts.casefile.report import render_report
from alerts.compose import MERGED_INTO
from alerts.record import Alert, encode
from alerts.record_schema import SCHEMA_ID
from alerts.store import AlertStore
from detectors.base import Spec
from ingest.instruments import Instruments
from ingest.registry import ALWAYS, FOREVER, RegistryRow
from ingest.times import SECOND

PACKAGES: Final = (
    "ringfence",
    "bagit",
    "msgspec",
    "numba",
    "numpy",
    "polars",
    "scikit-learn",
    "scipy",
    "sqlalchemy",
)
"""Distributions whose version can bear on a result or on how it is shown."""


class CaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What configuration says that every case file carries."""

    platform: str = ""
    legal_entity: str = ""
    conflicts_officer: str = ""
    """Responsible Officer or Manager-in-Charge for affiliated-maker conflicts, 26EC6 7(c)."""
    securities: Collection[str] = ()
    """Instruments or bases that are securities or futures contracts under the SFO."""


def export_case(
    store: AlertStore,
    alert_id: str,
    out_dir: Path,
    *,
    specs: Mapping[str, Spec],
    instruments: Instruments,
    settings: CaseSettings | None = None,
) -> Path:
    """Write an alert's case file and return its folder, `case-ALERT_ID-rREVISION`.

    The same store gives the same bytes: the bag carries the date of the alert's event time and no
    other date. The folder appears whole or not at all.

    Parameters
    ----------
    store : AlertStore
    alert_id : str
    out_dir : Path
        Created when absent.
    specs : mapping of detector id to Spec
    instruments : Instruments
        For the asset, on which the legal basis depends.
    settings : CaseSettings, optional

    Raises
    ------
    CaseFileError
        There is no such alert, it was merged into another, its detector or instrument is not known
        here, or the folder exists.
    """
    settings = settings or CaseSettings()
    alert = store.get(alert_id)
    if alert is None:
        raise CaseFileError(f"no alert {alert_id!r} in the store")
    if MERGED_INTO in alert.features:
        raise CaseFileError(
            f"alert {alert_id} was merged into {alert.features[MERGED_INTO].value}; export that one"
        )
    spec, code = specs.get(alert.detector), instruments.code(alert.instrument)
    if spec is None:
        raise CaseFileError(
            f"alert {alert_id} is of the detector {alert.detector!r}, not known here"
        )
    if code is None:
        raise CaseFileError(f"alert {alert_id} is of an instrument not listed here")
    folder = out_dir / f"case-{alert.alert_id}-r{alert.revision}"
    if folder.exists():
        raise CaseFileError(
            f"{folder.name} exists already in {out_dir}; a case file is written once"
        )
    asset = asset_class_of(instruments[code], settings.securities)
    events = store.evidence(alert_id)
    stored = store.params(alert.params_hash, alert.detector)
    case = Case(
        case_format=CASE_FORMAT,
        alert_id=alert.alert_id,
        revision=alert.revision,
        platform=settings.platform,
        legal_entity=settings.legal_entity,
        conflicts_officer=settings.conflicts_officer,
        detector=alert.detector,
        detector_version=alert.detector_version,
        title=spec.title,
        looks_for=spec.looks_for if applies(spec.looks_for, asset) else spec.title,
        asset_class=asset,
        legal_basis=legal_basis(spec.legal_basis, asset),
        exceptions_considered=tuple(t for t in spec.look_alikes if applies(t, asset)),
        blind_spots=tuple(t for t in spec.blind_spots if applies(t, asset)),
        events=len(events),
    )
    parameters = Parameters(
        detector=alert.detector,
        params_hash=alert.params_hash,
        params=None if stored is None else msgspec.json.decode(stored.params, type=dict[str, Any]),
    )
    rows = store.registry_rows(alert_id)
    lines = [case_event(event) for event in events]
    data = {
        ALERT: encode(alert) + b"\n",
        CASE: _pretty(case),
        EVENTS: b"".join(msgspec.json.encode(line) + b"\n" for line in lines),
        PARAMETERS: _pretty(parameters),
        REGISTRY: _registry(rows),
        VERSIONS: _pretty(_versions(alert)),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    report = render_report(
        alert, case, parameters, events=lines, rows=[row for _, row in rows], digests=digests
    )
    _write(folder, {**data, REPORT: report.encode()}, alert)
    return folder


def _write(folder: Path, data: Mapping[str, bytes], alert: Alert) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    bagged = datetime.fromtimestamp(alert.detected_ns // SECOND, UTC)
    building = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        for name, content in data.items():
            (building / name).write_bytes(content)
        bagit.make_bag(
            str(building),
            {
                "Bag-Software-Agent": f"ringfence {_version('ringfence')}",
                "Bagging-Date": f"{bagged:%Y-%m-%d}",
                "External-Identifier": alert.alert_id,
                "External-Description": f"Case file of revision {alert.revision}",
            },
            checksums=["sha256"],
        )
        write_tag_manifest(building)
        building.replace(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _registry(rows: Sequence[tuple[str, RegistryRow]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REGISTRY_COLUMNS)
    for registry_version, row in rows:
        writer.writerow(
            (
                registry_version,
                row.account,
                row.owner,
                row.legal_entity,
                row.role.name.lower(),
                "" if row.valid_from_ns == ALWAYS else utc(row.valid_from_ns),
                "" if row.valid_to_ns == FOREVER else utc(row.valid_to_ns),
                row.group,
                row.desk,
                row.lei,
                row.linked_to,
                row.line,
            )
        )
    return text.getvalue().encode()


def _versions(alert: Alert) -> dict[str, object]:
    return {
        "case_format": CASE_FORMAT,
        "record_schema": SCHEMA_ID,
        "detector": alert.detector,
        "detector_version": alert.detector_version,
        "registry_version": alert.registry_version,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
