"""Simulation: arguments checked, a tape written, and read back to see that it holds no abuse."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from ingest.errors import UsageError
from ingest.instruments import Matching
from market.assembly import Settings
from market.check import Truths, check_clean
from market.simulate import Simulated, simulate
from monitor.terminal import ProgressCall


def simulate_tape(
    out: Path,
    *,
    seed: int,
    hours: float,
    instruments: int,
    rate: float,
    matching: str,
    check: bool,
    progress: ProgressCall | None = None,
) -> tuple[Simulated, Truths | None]:
    """Write a simulated tape; return what it came to and, when asked for, what the check found.

    Raises
    ------
    UsageError
        An argument is out of range, or the folder holds something already.
    """
    if matching not in get_args(Matching):
        raise UsageError(
            f"--matching must be one of {', '.join(get_args(Matching))}, was {matching}"
        )
    settings = Settings(
        seed=seed,
        hours=hours,
        instruments=instruments,
        rate=rate,
        matching=cast(Matching, matching),
    )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out must be a new or an empty folder, {out} is not")
    result = simulate(out, settings, progress=progress)
    return result, check_clean(out) if check else None
