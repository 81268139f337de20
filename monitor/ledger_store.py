"""The ledgers of a running service: its store's alerts over its archive, by instrument."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from alerts.archive_bounds import read_dropped
from alerts.archive_names import SHARED, encode_instrument
from alerts.record import Alert
from alerts.restitution_breaches import standing_of
from alerts.restitution_files import NotMeasured
from alerts.shards import Shards
from alerts.states import ArchivedState, States
from alerts.store import AlertStore
from alerts.window import BEGINNING, export_window
from ingest.errors import RegistryError, UsageError
from ingest.registry import FOREVER, RegistryRow, read_rows
from monitor.config import Config
from monitor.ledger import Ledgers, joined, ledgers

BEFORE_NS: Final = 3_600 * 1_000_000_000
"""Where the archive's beginning was dropped, events are read from the last state kept an hour
before the first breach: what was entered earlier rests in its book."""
DROPPED: Final = "the archive has dropped it"


def ledgers_of_store(store: AlertStore, archive: Path, config: Config) -> Ledgers:
    """Return the ledgers of a store's alerts and the events in its archive.

    Each instrument's events are written as a tape into a temporary folder, read, and removed.

    Raises
    ------
    UsageError
        The register of that time is not kept, and none is configured.
    """
    alerts = list(store.records())
    accounts = _accounts(store, config, alerts)
    parts: list[Ledgers] = []
    dropped = read_dropped(archive)
    for row in store.instruments().rows:
        mine = [alert for alert in alerts if alert.instrument == row.instrument]
        state = None
        gone: list[Alert] = []
        folders = {encode_instrument(row.instrument), SHARED} & dropped.keys()
        if folders:
            until_ns = max(dropped[folder].until_ns for folder in folders)
            gone = [alert for alert in mine if alert.window_start_ns < until_ns]
            mine = [alert for alert in mine if alert.window_start_ns >= until_ns]
            state = _state(archive, row.instrument, mine)
        with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
            tape = Path(scratch) / "tape"
            export_window(
                archive,
                tape,
                [row],
                from_ns=BEGINNING,
                to_ns=FOREVER,
                accounts=accounts,
                state=state,
            )
            parts.append(_with_dropped(ledgers(tape, mine, config), gone))
    return joined(parts)


def _with_dropped(found: Ledgers, gone: Sequence[Alert]) -> Ledgers:
    """Return ledgers that tell of the alerts whose events are no longer there."""
    told = [
        NotMeasured(instrument=alert.instrument, alert_ids=(alert.alert_id,), reason=DROPPED)
        for alert in gone
        if standing_of(alert) is not None
    ]
    restitution = msgspec.structs.replace(
        found.restitution, not_measured=(*told, *found.restitution.not_measured)
    )
    return msgspec.structs.replace(found, restitution=restitution)


def _state(archive: Path, instrument: str, alerts: Sequence[Alert]) -> ArchivedState | None:
    begins = [alert.window_start_ns for alert in alerts if standing_of(alert) is not None]
    if not begins:
        return None
    return States(archive).before(None, instrument, min(begins) - BEFORE_NS)


def _accounts(store: AlertStore, config: Config, alerts: Sequence[Alert]) -> Sequence[RegistryRow]:
    """Return the register in force, which is effective-dated, else that of the newest alert."""
    path = config.path(config.registry.accounts)
    said = Shards(store.engine).registry(alerts[-1].registry_version) if alerts else None
    if path.is_file():
        try:
            return read_rows(path)
        except RegistryError:
            if said is None:
                raise
    if said is None:
        raise UsageError("the register of that time is not kept, and none is configured")
    return said.rows
