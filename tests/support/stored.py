"""Alerts put into a store past the service: for tests of what is read from it."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.coverage import CoverageRecord
from alerts.database import transaction
from alerts.pins import Pins
from alerts.record import Alert
from alerts.store import AlertStore
from alerts.store_rows import save_alerts, save_coverage, save_pins


def save(
    store: AlertStore,
    alerts: Sequence[Alert] = (),
    pins: Pins | None = None,
    coverage: Sequence[CoverageRecord] = (),
) -> None:
    """Write alerts, what is pinned with them, and gaps, in one transaction: all or nothing."""
    with transaction(store.engine, "save alerts") as connection:
        if pins is not None:
            save_pins(connection, pins)
        save_alerts(connection, alerts)
        save_coverage(connection, coverage)
