"""Alerts and summaries as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from alerts.record import SEVERITIES, Alert
from ingest.times import SECOND
from market.look_alikes import LOOK_ALIKES
from monitor.console import close_table
from monitor.onboard.report import DetectorReport, FieldReport
from monitor.summary import Summary

if TYPE_CHECKING:
    from market.simulate import Simulated

COLOURS: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}


def at(ns: int) -> str:
    """Return a time in UTC to the second.

    >>> at(1_640_000_000_000_000_000)
    '2021-12-20 11:33:20Z'
    """
    return datetime.fromtimestamp(ns // SECOND, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def short(names: Sequence[str], most: int = 2) -> str:
    """Return the first names, long ones cut in the middle, and how many more there are.

    >>> short(["0xa53496b67eec749ac41b4666d63228a0fb0409cc", "C7", "C8"])
    '0xa534…09cc, C7 +1'
    """
    shown = [n if len(n) <= 14 else f"{n[:6]}…{n[-4:]}" for n in names[:most]]
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(shown) + more


def alerts_table(alerts: Sequence[Alert], *, most: int = 20, title: str = "") -> Table:
    """Return a table of the worst alerts first, at most so many."""
    ranked = sorted(
        alerts, key=lambda a: (-SEVERITIES.index(a.severity), -a.score, a.detected_ns, a.alert_id)
    )
    more = f", worst {most} shown" if len(ranked) > most else ""
    table = close_table(title or f"{len(ranked)} alerts{more}")
    # What a narrow terminal takes away it takes from names, never from a number.
    for name, least in (
        ("alert", 12),
        ("severity", 8),
        ("scenario", 9),
        ("instrument", 6),
        ("accounts", 8),
    ):
        table.add_column(name, no_wrap=True, min_width=least)
    table.add_column("trades", justify="right", no_wrap=True, min_width=6)
    table.add_column("score 0–1", justify="right", no_wrap=True, min_width=5)
    table.add_column("first seen (UTC)", no_wrap=True, min_width=10)
    for alert in ranked[:most]:
        table.add_row(
            alert.alert_id[:12],
            f"[{COLOURS[alert.severity]}]{alert.severity}[/]",
            alert.scenario,
            alert.instrument,
            short(alert.accounts),
            str(len(alert.trade_ids)),
            f"{alert.score:.3f}",
            at(alert.window_start_ns)[:16],
        )
    return table


def summary_table(summary: Summary) -> Table:
    """Return what a run counted, with units."""
    table = Table(title="summary", title_justify="left", show_header=False, box=SIMPLE_HEAD)
    table.add_column()
    table.add_column(justify="right")
    rejects = ", ".join(f"{k} {v:,}" for k, v in summary.rejects.items()) or "0"
    rows = {
        "records read": f"{summary.events:,}",
        "processed": f"{summary.processed:,}",
        "rejected (by reason)": rejects,
        "duplicates": f"{summary.duplicates:,}",
        "late": f"{summary.late:,}",
        "pending": f"{summary.pending:,}",
        "gaps": f"{summary.gaps:,}",
        "accounts not in the registry": f"{summary.unknown_accounts:,}",
        "time": f"{summary.wall_s:.2f} s, {summary.cpu_s:.2f} s of processor",
        "throughput": f"{summary.events_per_s:,.0f} records/s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for detector, counts in summary.alerts.items():
        said = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
        table.add_row(f"alerts of {detector}", said)
    return table


def fields_table(fields: Sequence[FieldReport]) -> Table:
    """Return which contract fields a sample carries, required ones first marked."""
    table = Table(title="contract fields", title_justify="left", box=SIMPLE_HEAD)
    for name in ("topic", "field", "required", "in the sample"):
        table.add_column(name, no_wrap=True)
    absent = {f.topic for f in fields} - {f.topic for f in fields if f.present_ratio}
    for topic in sorted(absent):
        table.add_row(topic, "all", "yes", f"[red]no {topic} in the sample[/]")
    for field in (f for f in fields if f.topic not in absent):
        colour = "green" if field.present_ratio == 1 else "yellow"
        if field.present_ratio == 0:
            colour = "red" if field.required else "dim"
        share = f"{field.present_ratio:.0%} of records" if field.present_ratio else "missing"
        table.add_row(
            field.topic, field.field, "yes" if field.required else "", f"[{colour}]{share}[/]"
        )
    return table


def detectors_table(detectors: Sequence[DetectorReport]) -> Table:
    """Return which detectors see, see less, or are blind with a sample, and why."""
    table = Table(title="detectors", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("detector", no_wrap=True)
    table.add_column("sight", no_wrap=True)
    table.add_column("why")
    colours = {"sees": "green", "narrowed": "yellow", "blind": "red"}
    for detector in detectors:
        why = f"needs {', '.join(detector.missing)}" if detector.missing else ""
        if detector.narrowed_by and not why:
            why = f"sees less without {', '.join(detector.narrowed_by)}"
        colour = colours[detector.sight]
        table.add_row(detector.detector, f"[{colour}]{detector.sight}[/]", why)
    return table


def simulated_table(result: Simulated) -> Table:
    """Return a table of what a simulation wrote: records by instrument, cases by kind."""
    table = _counts("simulated", "what")
    for name, count in result.records.items():
        table.add_row(f"records of {name}", f"{count:,}")
    for name, count in result.cases.items():
        table.add_row(f"cases of {name}", f"{count:,}")
    return table


def look_alikes_table(counts: Mapping[str, int]) -> Table:
    """Return a table of how often innocent look-alikes came about."""
    table = _counts("innocent look-alikes, counted from the records", "what happened")
    for name, count in counts.items():
        table.add_row(LOOK_ALIKES[name], f"{count:,}")
    return table


def _counts(title: str, what: str) -> Table:
    table = close_table(title)
    table.add_column(what, no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    return table
