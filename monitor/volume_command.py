"""`ringfence volume`: whether volume looks as trading by many people does."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from monitor.console import JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    import polars as pl
    from rich.table import Table

    from ingest.instruments import Instruments


OF_SIZES: Final = ("benford_deviation", "benford_p", "round_share", "modal_share")
"""What says nothing of unique items: their sizes are all one."""


class Level(StrEnum):
    """What a row of the table is of."""

    INSTRUMENT = "instrument"
    ACCOUNT = "account"
    PAIR = "pair"


def volume(
    tape: Annotated[Path, typer.Argument(help="folder of a tape", show_default=False)],
    by: Annotated[Level, typer.Option(help="a row for each")] = Level.INSTRUMENT,
    most: Annotated[int, typer.Option(help="rows at most, an instrument; by volume", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show measures of volume's health: context for a reader, no evidence (docs/volume-health.md).

    Of a running service's archive: `ringfence archive export` makes a tape.
    """
    from detectors.volume_health import volume_health
    from monitor.terminal import progress_bar
    from monitor.volume import trades_of

    with progress_bar(err, "reading", "records") as progress:
        trades, instruments = trades_of(tape, progress=progress)
    found = volume_health(trades, by.value).group_by("instrument", maintain_order=True).head(most)
    rows = _in_units(found, instruments)
    if as_json:
        print_json(rows)
    else:
        out.print(_table(rows, by))


def _in_units(found: pl.DataFrame, instruments: Instruments) -> list[dict[str, object]]:
    """Return rows with the volume as a decimal in display units, and shares as they are emitted."""
    from detectors.base import rounded
    from monitor.volume import unit_of

    rows = []
    for row in found.iter_rows(named=True):
        of = instruments[instruments.codes[row["instrument"]]]
        size = Decimal(row.pop("size")).scaleb(unit_of(of.lot_size)[1])
        blank = dict.fromkeys(OF_SIZES) if of.kind == "unique" else {}
        said = {name: rounded(v) if isinstance(v, float) else v for name, v in row.items()}
        rows.append({**said, **blank, "volume": f"{size:f}"})
    return rows


def _table(rows: list[dict[str, object]], by: Level) -> Table:
    names = ["instrument"]
    names += [name for name in ("account", "counterparty") if rows and name in rows[0]]
    table = close_table(f"volume by {by.value}: context, no evidence")
    for name in names:
        table.add_column(name, overflow="fold")
    for name in (
        "trades",
        "volume",
        "share",
        "Benford off by",
        "p",
        "round",
        "commonest",
        "mirrored",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        shares = [_said(row[name]) for name in ("round_share", "modal_share", "mirrored_share")]
        deviation, p = _said(row["benford_deviation"], 3), _said(row["benford_p"], 3)
        words = [Text(str(row[name])) for name in (*names, "trades", "volume")]
        table.add_row(*words, _said(row["share"]), deviation, p, *shares)
    return table


def _said(value: object, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "-"
