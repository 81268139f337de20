"""The ledgers of a running service: its store's alerts over its archive, by instrument."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alerts.archive_bounds import read_dropped
from alerts.archive_names import SHARED, encode_instrument
from alerts.record import Alert
from alerts.restitution_breaches import standing_of
from alerts.shards import Shards
from alerts.states import ArchivedState, States
from alerts.store import AlertStore
from alerts.window import BEGINNING, export_window
from ingest.errors import UsageError
from ingest.registry import FOREVER, RegistryRow, read_rows
from monitor.config import Config
from monitor.ledger import Ledgers, joined, ledgers

BEFORE_NS: Final = 3_600 * 1_000_000_000
"""Where the archive's beginning was dropped, events are read from the last state kept an hour
before the first breach: what was entered earlier rests in its book."""


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
        if {encode_instrument(row.instrument), SHARED} & dropped.keys():
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
            parts.append(ledgers(tape, mine, config))
    return joined(parts)


def _state(archive: Path, instrument: str, alerts: Sequence[Alert]) -> ArchivedState | None:
    begins = [alert.window_start_ns for alert in alerts if standing_of(alert) is not None]
    if not begins:
        return None
    return States(archive).before(None, instrument, min(begins) - BEFORE_NS)


def _accounts(store: AlertStore, config: Config, alerts: Sequence[Alert]) -> Sequence[RegistryRow]:
    """Return the register under which the newest alert was found, else the configured one."""
    if alerts:
        said = Shards(store.engine).registry(alerts[-1].registry_version)
        if said is not None:
            return said.rows
    path = config.path(config.registry.accounts)
    if not path.is_file():
        raise UsageError("the register of that time is not kept, and none is configured")
    return read_rows(path)
