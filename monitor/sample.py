"""The sample of the embedded service: real sales, and after them a simulated market with abuse."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from market.assembly import Settings
from market.simulate import simulate
from market.truth import SCENARIOS
from monitor.terminal import progress_bar

REAL: Final = Path("samples/terraforms")
"""Beside a checkout; samples are not installed, and the simulated market then stands alone."""
SIMULATED: Final = Settings(
    seed=199,  # Of the seeds for tests: no figure is reported of it, and no parameter set by it.
    hours=1.0,
    instruments=2,
    scenarios=SCENARIOS,
    severity=0.7,
    harm=False,  # A paired run of each case would make the first use a minute longer.
)
"""Years after the last real sale, so that event time goes on from one to the other."""
_README: Final = """# The sample of the embedded service

Real sales of 2021 and 2022 (samples/terraforms) and, after them, an hour of a simulated market
(`SIM…`): no person, firm, order or price of that is real. What abuse that hour holds:

    ringfence simulate --out DIR --seed 199 --hours 1 --instruments 2 --severity 0.7 --no-harm
    ringfence evaluate DIR
"""


def sample_tape(folder: Path, err: Console) -> Path:
    """Return the folder of the sample tape, made at the first use and after a change of version.

    Parameters
    ----------
    folder : Path
        Where it is kept: some 130 MB.
    err : Console
        Shows progress.
    """
    made_of = msgspec.json.encode({"version": version("ringfence"), "simulated": SIMULATED})
    mark = folder / "made.json"
    if mark.is_file() and mark.read_bytes() == made_of:
        return folder
    err.print("ringfence: simulating an hour of a market for the sample (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="sample-") as scratch:
        made, simulated = Path(scratch) / "made", Path(scratch) / "simulated"
        with progress_bar(err, "simulating", "seconds") as progress:
            simulate(simulated, SIMULATED, progress=progress)
        real = [root / REAL for root in (Path.cwd(), Path(__file__).resolve().parents[1])]
        _join([*[tape for tape in real if tape.is_dir()][:1], simulated], made)
        (made / "README.md").write_text(_README, encoding="utf-8", newline="\n")
        (made / "made.json").write_bytes(made_of)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def _join(tapes: Sequence[Path], out: Path) -> None:
    """Write one tape of several that follow each other in time and share no instrument."""
    out.mkdir()
    for name in ("orders", "trades", "reference"):
        with (out / f"{name}.ndjson").open("wb") as to:
            for tape in tapes:
                if (tape / f"{name}.ndjson").is_file():
                    with (tape / f"{name}.ndjson").open("rb") as part:
                        shutil.copyfileobj(part, to)
    for name in ("accounts", "instruments", "obligations", "disclosures"):
        rows: list[dict[str, str]] = []
        for tape in tapes:
            if (tape / f"{name}.csv").is_file():
                with (tape / f"{name}.csv").open(encoding="utf-8", newline="") as part:
                    rows += csv.DictReader(part)
        fields = list(dict.fromkeys(field for row in rows for field in row))
        with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as to:
            writer = csv.DictWriter(to, fields, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
