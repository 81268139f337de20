"""`ringfence access`: how the affiliate was treated, against others and what clients were told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from detectors.access_measured import Measured


def access(
    tape: Annotated[Path, typer.Argument(help="folder of a tape", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the affiliate's access, against external makers and disclosures (docs/fairness.md).

    Equal, or as disclosed, is evidence of compliance; what is better is alerted by unequal_access.
    """
    from monitor.access import access_of
    from monitor.config import config_or_default
    from monitor.terminal import progress_bar

    with progress_bar(err, "replaying", "records") as progress:
        rows, unread = access_of(tape, config_or_default(config), progress=progress)
    if as_json:
        print_json({"measured": rows, "not_compared": unread})
        return
    out.print(_table(rows))
    for row in unread:
        line = f"not compared: {row.kind} {row.value} {row.unit} of {row.subject} ({row.document})"
        out.print(line, markup=False, soft_wrap=True)


def _table(rows: Sequence[Measured]) -> Table:
    table = close_table("access of the affiliated market maker: measured, against others and told")
    for name in ("instrument", "way"):
        table.add_column(name, overflow="fold")
    for name in ("count", "ours", "others", "difference", "unit", "disclosed", "verdict"):
        table.add_column(name, justify="right")
    for row in rows:
        between = "-" if row.low is None else f"{row.low:,.0f} to {row.high:,.0f}"
        values = ("-" if value is None else f"{value:,.6g}" for value in (row.ours, row.others))
        words = (row.instrument, row.way, str(row.count), *values, between, row.unit)
        table.add_row(*map(Text, (*words, row.disclosed, row.verdict)))
    return table
