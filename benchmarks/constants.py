"""Do scores hold when the simulator's own constants move? `make constants`.

Every number of an injector is multiplied by one factor: the constants of its module, both ends of
what severity sets (`between`), and the bounds of what it draws (`uniform`). A detector that was
tuned to one of them falls. Prints a table: recall and precision by scenario and factor.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import random
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

import market.abuse
from market.abuse import base
from market.abuse.catalogue import INJECTORS
from market.assembly import Settings
from market.simulate import simulate
from monitor.config import default_config
from monitor.evaluate import evaluate_tape
from monitor.terminal import progress_bar

SCENARIOS: Final = (
    "client_priority", "front_running", "quote_fade", "spoofing", "stop_hunting", "trading_ahead",
)  # fmt: skip
FACTORS: Final = (0.5, 1.0, 1.5)
SHARED: Final = ("market.abuse.base", "market.abuse.spell")
"""What they only pass numbers on with: scaled where the numbers come from."""


def scaled(value: Any, factor: float) -> Any:
    """Return a constant times a factor: a float, or a tuple of floats; all else as it is.

    >>> scaled(4.0, 0.5), scaled((2e-4, 2.0), 1.5), scaled("passive", 1.5), scaled(True, 1.5)
    (2.0, (0.00030000000000000003, 3.0), 'passive', True)
    """
    if isinstance(value, float):
        return value * factor
    if isinstance(value, tuple) and value and all(isinstance(each, float) for each in value):
        return tuple(each * factor for each in value)
    return value


def move(factor: float) -> int:
    """Multiply every constant of the injectors, in this process; return how many stood in names."""
    moved = 0
    for found in pkgutil.iter_modules(market.abuse.__path__, "market.abuse."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).copy().items():
            new = scaled(value, factor)
            if name.isupper() and found.name not in SHARED and new != value:
                setattr(module, name, new)
                moved += 1
    between, begin = base.Injector.between, base.Injector.__init__

    class Draws(random.Random):
        def uniform(self, a: float, b: float) -> float:
            caller = sys._getframe(1).f_globals["__name__"]
            drawn = super().uniform(a, b)
            own = caller.startswith("market.abuse.") and caller not in SHARED
            return drawn * factor if own else drawn

    def begun(self: base.Injector, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        self.rng.__class__ = Draws

    def scaled_between(self: base.Injector, faint: float, blatant: float) -> float:
        return factor * between(self, faint, blatant)

    base.Injector.between = scaled_between  # type: ignore[method-assign]
    base.Injector.__init__ = begun  # type: ignore[method-assign]
    return moved


def scores(scenario: str, factor: float, seed: int, hours: float) -> dict[str, Any]:
    """Simulate and score one tape with the constants moved."""
    if factor != 1.0:
        move(factor)
    with tempfile.TemporaryDirectory(prefix="ringfence-constants-") as scratch:
        folder = Path(scratch)
        settings = Settings(
            seed=seed, hours=hours, instruments=4, scenarios=(scenario,), harm=False
        )
        simulate(folder / "tape", settings)
        board, _ = evaluate_tape(folder / "tape", default_config(folder / "state"))
    recall = board.scenarios[scenario].recall
    precision = [score.precision for score in board.detectors.values()]
    return {
        "scenario": scenario,
        "factor": factor,
        "found": recall.count,
        "cases": recall.of,
        "right": sum(each.count for each in precision),
        "alerts": sum(each.of for each in precision),
    }


def main() -> None:
    """Print the table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=248)
    parser.add_argument("--hours", type=float, default=1.0, help="of each tape of 4 instruments")
    parser.add_argument("--scenario", action="append", choices=sorted(INJECTORS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    jobs = [(name, factor) for name in options.scenario or SCENARIOS for factor in FACTORS]
    console, rows = Console(), []
    # A process a tape: what was moved stays moved.
    with (
        ProcessPoolExecutor(
            options.workers, mp_context=get_context("spawn"), max_tasks_per_child=1
        ) as pool,
        progress_bar(Console(stderr=True), "scoring", "tapes") as progress,
    ):
        runs = [
            pool.submit(scores, name, factor, options.seed, options.hours) for name, factor in jobs
        ]
        for done, run in enumerate(runs, start=1):
            rows.append(run.result())
            if progress is not None:
                progress(done, len(jobs))
    if options.json:
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    table = Table("scenario", "constants ×", "found", "of", "recall", "right", "of", "precision")
    for row in rows:
        table.add_row(
            row["scenario"], f"{row['factor']:g}", str(row["found"]), str(row["cases"]),
            _share(row["found"], row["cases"]), str(row["right"]), str(row["alerts"]),
            _share(row["right"], row["alerts"]),
        )  # fmt: skip
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"


if __name__ == "__main__":
    main()
