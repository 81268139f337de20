"""`ringfence presence`: how long makers had quotes, and whether as they agreed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from monitor.presence import Day


def presence(
    tape: Annotated[Path, typer.Argument(help="folder of a tape", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long those who quote had quotes, by day, and what they agreed to (docs/presence.md).

    Of a running service's archive: `ringfence archive export` makes a tape.
    """
    from detectors.quoting_params import QuotingObligationsParams
    from monitor.config import load_config
    from monitor.presence import presence_by_day
    from monitor.terminal import progress_bar

    params = QuotingObligationsParams()
    if config is not None:
        of_detector = load_config(config).detectors["quoting_obligations"]
        assert isinstance(of_detector, QuotingObligationsParams)  # noqa: S101 - by its name
        params = of_detector
    with progress_bar(err, "reading", "records") as progress:
        days = presence_by_day(tape, params, progress=progress)
    if as_json:
        print_json(days)
    else:
        out.print(_table(days))


def _table(days: list[Day]) -> Table:
    table = close_table("presence by day: what was measured; `-` where nothing is agreed or known")
    for name in ("day", "instrument", "account"):
        table.add_column(name, overflow="fold")
    for name in ("agreed", "present", "calm", "stress", "missed s", "longest s", "bps", "windows"):
        table.add_column(name, justify="right")
    for day in days:
        away = day.absent_s + day.one_sided_s + day.too_small_s + day.too_wide_s
        judged = day.met + day.missed
        windows = f"{day.missed} of {judged} missed" if judged else "-"
        shares = (day.agreed, day.presence, day.presence_calm, day.presence_stress)
        table.add_row(
            day.day,
            Text(day.instrument),
            Text(day.account),
            *(_said(share, 4) for share in shares),
            f"{away:.1f}",
            f"{day.longest_absence_s:.1f}",
            _said(day.spread_bps, 2),
            windows,
        )
    return table


def _said(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
