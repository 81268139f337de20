"""History run again under the register as it is now, and what that changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from alerts.output import read_alerts
from alerts.record import Alert
from alerts.window import BEGINNING, Window, export_window, require_empty
from ingest.instruments import Instrument
from ingest.names import Names
from ingest.register import Registered, read_register
from ingest.registry import FOREVER
from ingest.tape import Tape
from monitor.config import Config
from monitor.replay import replay
from monitor.terminal import ProgressCall

TAPE: Final = "tape"
REPORT: Final = "rerun.json"
NOT_OF_THE_MARKET: Final = ("revision", "registry_version", "source", "status")
"""Fields that differ from a live alert's though the same was found: which version tagged it, where
its records were read, how far it had come (but for whether it was retracted)."""


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """What a re-run found, beside what the store has; alert ids, sorted."""

    registry_version: str
    from_ns: int
    to_ns: int
    """Event time, both ends count."""
    instruments: tuple[str, ...]
    complete: bool
    """Whether the archive had every event."""
    new: tuple[str, ...]
    """Found now, not kept in the store."""
    changed: tuple[str, ...]
    """Found then as well, and told of differently now."""
    same: tuple[str, ...]
    gone: tuple[str, ...]
    """Kept in the store and not found under this version."""
    cut: tuple[str, ...]
    """Kept in the store, and reaching over an end of the time that was run: not compared."""


def rerun(
    directory: Path,
    out: Path,
    config: Config,
    *,
    instruments: Collection[Instrument],
    register: Registered,
    kept: Iterable[Alert],
    from_ns: int = BEGINNING,
    to_ns: int = FOREVER,
    progress: ProgressCall | None = None,
) -> Rerun:
    """Replay archived events under a version of the register and compare with what was kept.

    `out` gets the window as a tape (`tape/`), `alerts.ndjson`, `summary.json` and `rerun.json`.
    The store is not touched: what people have done about an alert stays theirs.

    A stretch that does not begin at the beginning has no history before it, and some instruments
    are not all: detectors that weigh a day's habit, or several instruments together, then have less
    to go by, and `changed` and `gone` may name what only that changed.

    Raises
    ------
    WindowError, SnapshotError
        The window cannot be written, or `out` holds something.
    """
    require_empty(out)
    window = export_window(
        directory,
        out / TAPE,
        instruments,
        from_ns=from_ns,
        to_ns=to_ns,
        accounts=register.rows,
        terms=register.terms,
    )
    replay(out / TAPE, out, config, progress=progress)
    found = read_alerts(out / "alerts.ndjson")
    names = {row.instrument for row in instruments}
    there = {
        alert.alert_id: alert
        for alert in kept
        if alert.instrument in names
        and alert.window_start_ns <= to_ns
        and from_ns <= alert.window_end_ns
    }
    version = read_register(Tape(out / TAPE).accounts_path, Names()).version
    result = _compared(found, there, window, registry_version=version, names=sorted(names))
    (out / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return result


def _compared(
    found: Sequence[Alert],
    there: Mapping[str, Alert],
    window: Window,
    *,
    registry_version: str,
    names: Sequence[str],
) -> Rerun:
    cut = {
        name
        for name, alert in there.items()
        if alert.window_start_ns < window.from_ns or window.to_ns < alert.window_end_ns
    }
    then = {name: alert for name, alert in there.items() if name not in cut}
    now = {alert.alert_id: alert for alert in found if alert.alert_id not in cut}
    both = sorted(now.keys() & then.keys())
    same = tuple(name for name in both if _told(now[name]) == _told(then[name]))
    return Rerun(
        registry_version=registry_version,
        from_ns=window.from_ns,
        to_ns=window.to_ns,
        instruments=tuple(names),
        complete=window.complete,
        new=tuple(sorted(now.keys() - then.keys())),
        changed=tuple(name for name in both if name not in set(same)),
        same=same,
        gone=tuple(sorted(then.keys() - now.keys())),
        cut=tuple(sorted(cut)),
    )


def _told(alert: Alert) -> Mapping[str, object]:
    told = msgspec.structs.asdict(alert)
    told["retracted"] = alert.status == "retracted"
    return {name: value for name, value in told.items() if name not in NOT_OF_THE_MARKET}
