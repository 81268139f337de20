"""The scoreboard, and what a sweep found, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.table import Table

from market.score import PLATFORM_INSTRUMENTS, Rate, ScenarioScore, Scoreboard, Share, plain
from market.sweep import Sweep
from market.truth import Truth
from monitor.console import close_table
from monitor.tables import at, short

EXAMPLES: Final = 10
"""Wrong alerts, and missed cases, that are shown; scoreboard.json has more."""
UNBROKEN: Final = frozenset(
    {"scenario", "detector", "alert", "recall", "precision", "delay, s", "harm told / true"}
)
NO_DETECTOR: Final = "[dim]no detector yet[/]"


def scoreboard_tables(board: Scoreboard) -> Iterator[Table]:
    """Yield the tables of a scoreboard, those that would be empty left out."""
    if board.scenarios:
        yield scenarios_table(board)
    if any(s.claimed and len(s.by_evasion) > 1 for s in board.scenarios.values()):
        yield evasions_table(board)
    yield detectors_table(board)
    if board.wrong:
        yield _wrong_table(board)
    ours = [case for case in board.missed if board.scenarios[case.scenario].claimed]
    if ours:
        yield _missed_table(ours)


def scenarios_table(board: Scoreboard) -> Table:
    """Return recall, delay and harm by scenario."""
    table = _table(
        "recall by scenario, 95 % intervals (Wilson); delay from a case's start to its first "
        "alert, median (95 % below)",
        ("scenario", "cases", "found", "otherwise", "recall", "alerts a case found"),
        "delay, s",
        "harm told / true, quote currency",
    )
    for name, score in board.scenarios.items():
        table.add_row(
            name,
            f"{score.recall.of:,}",
            f"{score.recall.count:,}",
            f"{score.otherwise:,}",
            _recall(score),
            _number(score.alerts_per_found_case),
            _delay(score),
            _harm(score),
        )
    for name, recall in (
        ("all with a detector", board.recall_claimed),
        ("all", board.recall),
    ):
        table.add_row(
            f"[bold]{name}[/]", f"{recall.of:,}", f"{recall.count:,}", "", share_text(recall)
        )
    return table


def evasions_table(board: Scoreboard) -> Table:
    """Return recall by how the cases were hidden."""
    table = _table(
        "recall by evasion, 95 % intervals (Wilson)",
        ("scenario", "hidden by", "cases", "found", "recall"),
    )
    for name, score in board.scenarios.items():
        if score.claimed and len(score.by_evasion) > 1:
            for evasion, share in score.by_evasion.items():
                table.add_row(
                    name,
                    evasion.replace("_", " "),
                    f"{share.of:,}",
                    f"{share.count:,}",
                    share_text(share),
                )
    return table


def detectors_table(board: Scoreboard) -> Table:
    """Return precision and volume by detector."""
    days = board.rate.instrument_days
    table = _table(
        f"alerts of medium and above in {plain(days)} instrument-days, 95 % intervals",
        ("detector", "alerts", "right", "vague", "precision", "an instrument-day"),
        f"a platform-day of {PLATFORM_INSTRUMENTS} instruments",
    )
    rows = [(n, d.precision, d.vague, d.rate) for n, d in board.detectors.items()]
    for name, precision, vague, rate in (
        *rows,
        ("[bold]all[/]", board.precision, board.vague, board.rate),
    ):
        table.add_row(
            name,
            f"{precision.of:,}",
            f"{precision.count:,}",
            f"{vague:,}",
            share_text(precision),
            _number(rate.per_instrument_day),
            rate_text(rate),
        )
    table.caption = (
        f"{_number(board.alerts_per_case)} alerts a case, "
        f"{_number(board.right_alerts_per_found_case)} right ones a found case; not counted: "
        f"{board.not_counted:,} low or retracted, {board.attempts:,} on attempts that came to "
        f"nothing, {board.unjudged:,} of kinds without truth"
    )
    table.caption_justify = "left"
    return table


def sweep_table(result: Sweep) -> Table:
    """Return recall by scenario and severity."""
    table = _table(
        f"recall by severity: {len(result.plan.seeds)} seeds, {result.plan.hours:g} h, "
        f"{result.plan.instruments} instruments",
        ("scenario", "cases", *(f"{level.severity:g}" for level in result.levels)),
        "blind below",
    )
    for name in result.plan.scenarios:
        scores = [level.score.scenarios.get(name) for level in result.levels]
        cases = sum(score.recall.of for score in scores if score)
        if name not in result.seen_from:
            table.add_row(name, f"{cases:,}", *("" for _ in scores), NO_DETECTOR)
            continue
        shown = [
            "" if score is None or score.recall.value is None else f"{score.recall.value:.2f}"
            for score in scores
        ]
        least = result.seen_from[name]
        first = result.levels[0].severity
        below = "every level" if least is None else "none run" if least == first else f"{least:g}"
        table.add_row(name, f"{cases:,}", *shown, below)
    return table


def clean_table(result: Sweep) -> Table:
    """Return the false alarms on tapes without abuse."""
    table = _table(
        f"false alarms on clean tapes, {plain(result.clean.rate.instrument_days)} instrument-days",
        ("detector", "alerts"),
        f"a platform-day of {PLATFORM_INSTRUMENTS} instruments, 95 % interval (Poisson)",
    )
    rates = {name: score.rate for name, score in result.clean.detectors.items()}
    for name, rate in (rates | {"[bold]all[/]": result.clean.rate}).items():
        table.add_row(name, f"{rate.count:,}", rate_text(rate))
    return table


def share_text(share: Share) -> str:
    """Return a share with its interval; a dash where the whole is nothing.

    >>> share_text(Share(count=8, of=10, value=0.8, low=0.4901, high=0.9433))
    '0.80 (0.49 to 0.94)'
    """
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def rate_text(rate: Rate) -> str:
    """Return a rate a platform-day with its interval."""
    if rate.per_platform_day is None or rate.low is None or rate.high is None:
        return "–"
    return f"{plain(rate.per_platform_day)} ({plain(rate.low)} to {plain(rate.high)})"


def _recall(score: ScenarioScore) -> str:
    seen = score.claimed or score.recall.count
    return share_text(score.recall) if seen else NO_DETECTOR


def _delay(score: ScenarioScore) -> str:
    if score.delay_median_s is None or score.delay_p95_s is None:
        return "–"
    return f"{plain(score.delay_median_s)} ({plain(score.delay_p95_s)})"


def _harm(score: ScenarioScore) -> str:
    if not score.harm_truth and not score.harm_alerts:
        return "–"
    return f"{plain(score.harm_alerts)} / {plain(score.harm_truth)}"


def _number(value: float | None) -> str:
    return "–" if value is None else plain(value)


def _wrong_table(board: Scoreboard) -> Table:
    table = _table(
        f"alerts that were not right, the first {min(EXAMPLES, len(board.wrong))}",
        ("alert", "detector", "scenario", "instrument", "accounts", "from (UTC)"),
        "worth",
    )
    for alert in board.wrong[:EXAMPLES]:
        table.add_row(
            alert.alert_id[:12],
            alert.detector,
            alert.scenario,
            alert.instrument,
            short(alert.accounts),
            at(alert.window_start_ns),
            alert.worth,
        )
    return table


def _missed_table(cases: Sequence[Truth]) -> Table:
    table = _table(
        f"cases that were missed though a detector looks for them, the first {EXAMPLES} at most",
        ("scenario", "instrument", "accounts", "hidden by", "from (UTC)"),
        "an order or trade of it",
    )
    for case in cases[:EXAMPLES]:
        table.add_row(
            case.scenario,
            case.instrument or "–",
            short(case.accounts),
            case.evasion.replace("_", " "),
            at(case.start_ns),
            short((*case.order_ids, *case.trade_ids), most=1),
        )
    return table


def _table(title: str, columns: Sequence[str], *last: str) -> Table:
    table = close_table(title)
    for name in (*columns, *last):
        # What a narrow terminal takes away it takes from headings, never from a number.
        table.add_column(name, no_wrap=name in UNBROKEN)
    return table
