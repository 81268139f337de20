"""Verification: a case file checked offline; says what is wrong, by file."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any, Final

import bagit
import msgspec

from alerts.casefile.layout import (
    ALERT,
    CASE,
    EVENTS,
    PARAMETERS,
    PAYLOAD,
    REGISTRY,
    REGISTRY_COLUMNS,
    TAG_FILES,
    TAG_MANIFEST,
    Case,
    CaseEvent,
    Parameters,
    manifest,
)
from alerts.identity import ID_DIGITS
from alerts.parts import ids_of
from alerts.record import Alert, decode

MANIFEST: Final = "manifest-sha256.txt"
LISTED: Final = 5
"""Missing ids named one by one; the rest is counted."""


def verify_case(path: Path) -> list[str]:
    """Return what is wrong with a case file, one line each; empty when all holds.

    Checked without network or store: that exactly the expected files are there and none is a link;
    every SHA-256; both manifests, byte for byte; that the bag is valid BagIt; that the alert is a
    record, is the one the case names, and that each order, trade and source offset that it cites
    is among the events; the parameters' hash; that every known account has its registry row.

    Checksums show accident and careless change. Whoever can change a file can also write new
    manifests: only a signature over the tag manifest shows that.
    """
    if not path.is_dir():
        return [f"{path.name}: no such folder"]
    problems = _check_files(path)
    if problems:
        return problems
    problems = _check_bag(path)
    return problems or _check_content(path / "data")


def _check_files(path: Path) -> list[str]:
    problems = []
    expected = {*TAG_FILES, TAG_MANIFEST, *(f"data/{name}" for name in PAYLOAD)}
    found = set()
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        if entry.is_symlink():
            problems.append(f"{name}: is a link")
        elif entry.is_dir():
            if name != "data":
                problems.append(f"{name}: folder does not belong to a case file")
        else:
            found.add(name)
    problems += [f"{name}: missing" for name in sorted(expected - found)]
    problems += [f"{name}: does not belong to a case file" for name in sorted(found - expected)]
    if problems:
        return problems
    problems += _check_manifest(path, MANIFEST, [f"data/{name}" for name in PAYLOAD])
    return problems + _check_manifest(path, TAG_MANIFEST, list(TAG_FILES))


def _check_manifest(path: Path, name: str, files: list[str]) -> list[str]:
    contents = [(file, (path / file).read_bytes()) for file in files]
    written = (path / name).read_bytes()
    if written == manifest(contents):
        return []
    listed = written.splitlines(keepends=True)
    altered = [
        f"{file}: SHA-256 is not the one in {name}"
        for file, content in contents
        if manifest([(file, content)]) not in listed
    ]
    return altered or [f"{name}: is not written as it was"]


def _check_bag(path: Path) -> list[str]:
    try:
        bagit.Bag(str(path)).validate()
    except (bagit.BagError, OSError, UnicodeError, ValueError) as error:
        return [f"not a valid bag: {error}"]
    return []


def _check_content(data: Path) -> list[str]:
    try:
        alert = decode((data / ALERT).read_bytes())
        case = msgspec.json.decode((data / CASE).read_bytes(), type=Case)
        lines = (data / EVENTS).read_bytes().splitlines()
        events = [msgspec.json.decode(line, type=CaseEvent) for line in lines]
        parameters = msgspec.json.decode((data / PARAMETERS).read_bytes(), type=Parameters)
        rows = list(csv.DictReader(io.StringIO((data / REGISTRY).read_text(encoding="utf-8"))))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        return [f"data: cannot be read: {error}"]
    problems = []
    if (case.alert_id, case.revision) != (alert.alert_id, alert.revision):
        problems.append(f"{CASE}: names another alert or revision than {ALERT}")
    if case.events != len(events):
        problems.append(f"{CASE}: says {case.events} events, {EVENTS} has {len(events)}")
    problems += _check_events(alert, events)
    problems += _check_parameters(alert, parameters)
    if rows and tuple(rows[0]) != REGISTRY_COLUMNS:
        problems.append(f"{REGISTRY}: columns are not {', '.join(REGISTRY_COLUMNS)}")
        return problems
    known = {row["account"] for row in rows}
    for account, role in zip(alert.accounts, alert.roles, strict=True):
        if role != "unknown" and account not in known:
            problems.append(f"{REGISTRY}: has no row of an account that the alert names")
    return problems


def _check_events(alert: Alert, events: list[CaseEvent]) -> list[str]:
    problems = []
    places = [(event.instrument, event.seq) for event in events]
    if places != sorted(set(places)):
        problems.append(f"{EVENTS}: events are not in order of instrument and seq, each once")
    orders: set[str | None] = set()
    trades: set[str | None] = set()
    for event in events:
        ids = ids_of(event.content)
        orders |= {ids.order_id, ids.buy_order_id, ids.sell_order_id}
        trades.add(ids.trade_id)
    for what, cited, there in (
        ("order", alert.order_ids, orders),
        ("trade", alert.trade_ids, trades),
    ):
        missing = [name for name in cited if name not in there]
        problems += [
            f"{EVENTS}: {what} {name} of the alert is not there" for name in missing[:LISTED]
        ]
        if len(missing) > LISTED:
            problems.append(f"{EVENTS}: {len(missing) - LISTED} more {what}s are not there")
    offsets = {(event.partition, event.offset) for event in events}
    for source in alert.source:
        for offset in (source.first_offset, source.last_offset):
            if (source.partition, offset) not in offsets:
                where = f"{source.topic}/{source.partition}@{offset}"
                problems.append(f"{EVENTS}: {where} of the alert is not there")
    return problems


def _check_parameters(alert: Alert, parameters: Parameters) -> list[str]:
    if parameters.params_hash != alert.params_hash:
        return [f"{PARAMETERS}: are of another hash than the alert's"]
    if parameters.params is None:
        return []  # the report says so
    if _hash(parameters.params) != alert.params_hash:
        return [f"{PARAMETERS}: do not have the hash that the alert carries"]
    return []


def _hash(params: dict[str, Any]) -> str:
    encoded = msgspec.json.encode(params, order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:ID_DIGITS]
