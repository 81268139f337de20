"""The alerts file: one record a line, each alert's last revision, in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from alerts.record import Alert, decode, encode


def write_alerts(path: Path, alerts: Iterable[Alert]) -> int:
    """Write alerts.ndjson and return how many lines it has.

    Sorted by (detected_ns, alert_id); of several revisions of one alert the highest is written.
    The file appears whole or not at all.
    """
    last: dict[str, Alert] = {}
    for alert in alerts:
        known = last.get(alert.alert_id)
        if known is None or alert.revision > known.revision:
            last[alert.alert_id] = alert
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        for alert in sorted(last.values(), key=lambda a: (a.detected_ns, a.alert_id)):
            file.write(encode(alert) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return len(last)


def read_alerts(path: Path) -> list[Alert]:
    """Return the alerts of an `alerts.ndjson`; raises msgspec.ValidationError on a foreign line."""
    return [decode(line) for line in path.read_bytes().splitlines() if line]
