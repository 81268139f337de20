"""Simulation: arguments checked, a tape written, and a clean one read back to see that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import msgspec

from ingest.errors import UsageError
from ingest.instruments import Matching
from market.assembly import Settings
from market.check import Truths, check_clean
from market.look_alikes import LookAlikes
from market.simulate import Simulated, simulate
from market.truth import SCENARIOS
from monitor.terminal import ProgressCall


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a clean tape was seen to hold when it was read back."""

    truths: Truths
    look_alikes: Mapping[str, int]
    """How often each innocent look-alike came about."""


def simulate_tape(
    out: Path,
    *,
    seed: int,
    hours: float,
    instruments: int,
    rate: float,
    matching: str,
    scenarios: Sequence[str] | None,
    severity: float,
    evasion: str,
    harm: bool,
    clean: bool,
    progress: ProgressCall | None = None,
) -> tuple[Simulated, Checked | None]:
    """Write a simulated tape; return what it came to and, of a clean one, what it holds.

    `scenarios` None stands for every kind of abuse, unless the tape is to be clean.

    Raises
    ------
    UsageError
        An argument is out of range, or the folder holds something already.
    """
    if matching not in get_args(Matching):
        raise UsageError(
            f"--matching must be one of {', '.join(get_args(Matching))}, was {matching}"
        )
    if clean and scenarios:
        raise UsageError("--clean leaves out all abuse: give it or --scenario, not both")
    kinds = () if clean else tuple(dict.fromkeys(scenarios or SCENARIOS))
    settings = Settings(
        seed=seed,
        hours=hours,
        instruments=instruments,
        rate=rate,
        matching=cast(Matching, matching),
        scenarios=kinds,
        severity=severity,
        evasion=evasion,
        harm=harm,
    )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out must be a new or an empty folder, {out} is not")
    result = simulate(out, settings, progress=progress)
    if not clean:
        return result, None
    look_alikes = LookAlikes(out)
    truths = check_clean(out, look_alikes)
    return result, Checked(truths=truths, look_alikes=look_alikes.counts())
