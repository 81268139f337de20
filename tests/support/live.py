"""A simulated tape moved to the present, so that what depends on the clock can be measured."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

TIMES = ("engine_ns", "received_ns", "priority_ns")


def moved_to_now(tape: Path, folder: Path, *, seconds: float | None = None) -> Path:
    """Write a tape whose first event is now; return its folder.

    All times of a record move by the same amount, to the nanosecond; nothing else changes. Old
    times would make each latency the tape's age. Published at once and at speed 1, a record is
    sent when its `engine_ns` says, or later by what the publisher took to start, never before.

    Parameters
    ----------
    seconds : float, optional
        Event time to keep, from the first event; all of it by default.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("accounts.csv", "instruments.csv"):
        shutil.copy(tape / name, folder / name)
    files = {
        name: [json.loads(line) for line in (tape / name).read_text(encoding="utf-8").splitlines()]
        for name in ("orders.ndjson", "trades.ndjson")
    }
    begin_ns = min(record["engine_ns"] for records in files.values() for record in records)
    end_ns = None if seconds is None else begin_ns + int(seconds * 1e9)
    shift_ns = time.time_ns() - begin_ns
    for name, records in files.items():
        kept = [r for r in records if end_ns is None or r["engine_ns"] < end_ns]
        for record in kept:
            record.update(
                {key: record[key] + shift_ns for key in TIMES if record.get(key) is not None}
            )
        text = "".join(json.dumps(record) + "\n" for record in kept)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
