"""The picture of a sweep: recall by severity, a panel a scenario, and what a clean day costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib
from matplotlib.figure import Figure

from market.score import PLATFORM_INSTRUMENTS, Share, plain
from market.sweep import SEEN_FROM, Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES: Final = ("sweep.png", "sweep.svg")
COLUMNS: Final = 5
PANEL_INCHES: Final = (2.6, 2.0)
LINE_INCHES: Final = 0.25
"""Height of a detector's line among the false alarms."""
DOTS_AN_INCH: Final = 110
SEEN: Final = "#0072b2"
BLIND: Final = "#d55e00"
FAINT: Final = "#767676"
"""Blue and vermilion of Okabe and Ito (2008), told apart by every kind of eye; grey at 4.5 : 1."""
STYLE: Final[dict[Any, Any]] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "svg.hashsalt": "ringfence",
    "svg.fonttype": "none",
}
"""The salt makes the same curves the same bytes."""


def draw(result: Sweep, out: Path) -> Sequence[Path]:
    """Draw a sweep into a folder as PNG and SVG; return where they are."""
    with matplotlib.rc_context(STYLE):
        figure = _figure(result)
        paths = [out / name for name in NAMES]
        for path in paths:
            # Without a date and a version the same curves are the same bytes.
            empty = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
            figure.savefig(path, dpi=DOTS_AN_INCH, metadata=empty)
    return paths


def _figure(result: Sweep) -> Figure:
    scenarios = result.plan.scenarios
    rows = math.ceil(len(scenarios) / COLUMNS)
    width, height = PANEL_INCHES
    alarms = 0.8 + LINE_INCHES * (1 + len(result.clean.detectors))
    figure = Figure((COLUMNS * width, rows * height + alarms + 0.4), layout="constrained")
    figure.suptitle(
        f"Simulated cases found, by severity: {len(result.plan.seeds)} seeds, "
        f"{result.plan.hours:g} h each, {result.plan.instruments} instruments; "
        "bands are 95 % intervals (Wilson)",
        x=0.01,
        ha="left",
    )
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[height] * rows + [alarms])
    for place, scenario in enumerate(scenarios):
        _recall(figure.add_subplot(grid[divmod(place, COLUMNS)]), result, scenario)
    _false_alarms(figure.add_subplot(grid[rows, :]), result)
    return figure


def _recall(axis: Axes, result: Sweep, scenario: str) -> None:
    axis.set(title=scenario, xlim=(0, 1), ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
    axis.set_xticks((0.1, 0.5, 0.9))
    points = _points(result, scenario)
    if scenario not in result.seen_from:
        axis.text(0.5, 0.5, "no detector yet", ha="center", va="center", color=FAINT)
        return
    if not points:
        axis.text(0.5, 0.5, "no case came about", ha="center", va="center", color=FAINT)
        return
    levels = [level for level, _ in points]
    axis.fill_between(
        levels,
        [share.low or 0.0 for _, share in points],
        [share.high or 0.0 for _, share in points],
        color=SEEN,
        alpha=0.2,
        linewidth=0,
    )
    axis.plot(levels, [share.value or 0.0 for _, share in points], ".-", color=SEEN)
    axis.axhline(SEEN_FROM, color=FAINT, linewidth=0.5, linestyle=":")
    least = result.seen_from[scenario]
    if least is None:
        axis.text(0.04, 0.9, "blind at every level", color=BLIND)
    elif least > levels[0]:
        axis.axvspan(0, least, color=BLIND, alpha=0.08, linewidth=0)
        axis.text(0.04, 0.9, f"blind below {least:g}", color=BLIND)
    axis.set_xlabel(f"severity ({sum(share.of for _, share in points)} cases)", color=FAINT)


def _points(result: Sweep, scenario: str) -> list[tuple[float, Share]]:
    return [
        (level.severity, score.recall)
        for level in result.levels
        if (score := level.score.scenarios.get(scenario)) is not None
        and score.recall.value is not None
    ]


def _false_alarms(axis: Axes, result: Sweep) -> None:
    clean = result.clean
    days = clean.rate.instrument_days / PLATFORM_INSTRUMENTS
    axis.set_title(
        f"Alerts a day of a platform of {PLATFORM_INSTRUMENTS} instruments on tapes without abuse: "
        f"false alarms, from {plain(days)} platform-days, 95 % intervals (Poisson)"
    )
    rates = {"all": clean.rate} | {name: d.rate for name, d in clean.detectors.items()}
    for place, rate in enumerate(rates.values()):
        low, value, high = rate.low or 0.0, rate.per_platform_day or 0.0, rate.high or 0.0
        axis.plot((low, high), (place, place), color=SEEN, linewidth=1)
        axis.plot(value, place, "o", color=SEEN, markersize=4)
        said = f"{plain(value)} ({plain(low)} to {plain(high)})"
        axis.annotate(said, (high, place), xytext=(6, -3), textcoords="offset points", color=FAINT)
    axis.set_yticks(range(len(rates)), list(rates))
    axis.set(
        ylim=(len(rates) - 0.5, -0.5), xlim=(0, 1.3 * max(r.high or 1.0 for r in rates.values()))
    )
