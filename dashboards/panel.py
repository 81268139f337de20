"""What a panel is: its question, queries and unit, and what the queries share."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Colour = Literal["green", "yellow", "orange", "red", "blue", "text"]
Shape = Literal["stat", "timeseries", "bargauge"]


class Query(msgspec.Struct, frozen=True):
    """One PromQL expression and how its series are called."""

    expr: str
    legend: str


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel; widths are of 24 columns."""

    title: str
    todo: str
    """What it shows, and what the reader should do about it."""
    shape: Shape
    unit: str
    """Grafana's unit id: s, percentunit, short, cps and so on."""
    queries: tuple[Query, ...]
    width: int
    steps: tuple[tuple[Colour, float], ...] = ()
    """Colours from a value upwards; below the first step the colour is `base`."""
    base: Colour = "green"
    words: tuple[tuple[str, str, Colour], ...] = ()
    """Words shown in place of a value: value, word, colour."""
    stacked: bool = False
    decimals: int | None = None
    when_empty: str = ""
    """What stands there while there is no series; by default that there is no data."""
    series_colours: tuple[tuple[str, Colour], ...] = ()
    """Fixed colours by series name."""


class Row(msgspec.Struct, frozen=True):
    """A titled row of panels of one height."""

    title: str
    height: int
    panels: tuple[Panel, ...]


W: Final = 'instance=~"$instance"'
RATE: Final = "$__rate_interval"
ALERTED: Final[tuple[tuple[Colour, float], ...]] = (("red", 1),)
SEVERITY_COLOURS: Final[tuple[tuple[str, Colour], ...]] = (
    ("low", "blue"),
    ("medium", "yellow"),
    ("high", "orange"),
    ("critical", "red"),
)


def quantiles(metric: str) -> tuple[Query, ...]:
    """Return the median, the 95th and the 99th percentile of a histogram of a worker."""
    rate = f"sum by (le) (rate(ringfence_{metric}_bucket{{{W}}}[{RATE}]))"
    return tuple(
        Query(f"histogram_quantile({q}, {rate})", f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)
    )
