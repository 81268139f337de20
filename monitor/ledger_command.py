"""`ringfence ledger`: what clients are owed, and how the AFMM's fills compare with others'."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from ingest.errors import UsageError
from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alerts.record import Alert
    from monitor.config import Config
    from monitor.ledger import Ledgers


def ledger(
    tape: Annotated[
        Path | None,
        typer.Argument(help="folder of a tape; else the store and its archive", show_default=False),
    ] = None,
    alerts: Annotated[
        Path | None,
        typer.Option(help="alerts.ndjson of the tape; else it is replayed", show_default=False),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="folder for restitution and fairness files", show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what breaches cost clients, each rematched, and how the AFMM's fills compare.

    Clients are named in the files of --out alone, which only their owner may read.
    """
    from alerts.restitution_files import write_ledgers
    from monitor.config import config_or_default
    from monitor.ledger import ledgers
    from monitor.terminal import progress_bar

    settings = config_or_default(config)
    if tape is None and alerts is not None:
        raise UsageError("--alerts goes with a TAPE: without one, the store's alerts are taken")
    if tape is not None and out_dir is not None and out_dir.resolve() == tape.resolve():
        raise UsageError(f"--out must be another folder than the tape {tape}")
    with progress_bar(err, "rematching", "records") as progress:
        if tape is None:
            found = _of_store(config, settings)
        else:
            known = _replayed(tape, settings) if alerts is None else _read(alerts)
            found = ledgers(tape, known, settings, progress=progress)
    files = [] if out_dir is None else write_ledgers(out_dir, found.restitution, found.fairness)
    if as_json:
        told = found.restitution
        print_json(
            {
                "restitution": {
                    "sums": told.sums,
                    "rows": len(told.rows),
                    "not_measured": told.not_measured,
                    "identity": told.identity,
                },
                "fairness": found.fairness.rows,
                "files": [str(path) for path in files],
            }
        )
        return
    out.print(_restitution_table(found))
    out.print(_fairness_table(found))
    for path in files:
        out.print(str(path), markup=False, soft_wrap=True)


def _read(path: Path) -> Sequence[Alert]:
    from alerts.output import read_alerts

    try:
        return read_alerts(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UsageError(f"no alerts file at {path}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no alerts.ndjson: {error}") from None


def _replayed(tape: Path, settings: Config) -> Sequence[Alert]:
    """Return the alerts of a tape, found now."""
    import tempfile

    from alerts.output import read_alerts
    from monitor.replay import replay

    with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
        replay(tape, Path(scratch), settings)
        return read_alerts(Path(scratch) / "alerts.ndjson")


def _of_store(config: Path | None, settings: Config) -> Ledgers:
    from monitor.archive_command import archive_directory
    from monitor.ledger_store import ledgers_of_store
    from monitor.run import existing_store

    with existing_store(config) as store:
        return ledgers_of_store(store, archive_directory(settings), settings)


def _restitution_table(found: Ledgers) -> Table:
    told = found.restitution
    identity = told.identity
    table = close_table(
        f"restitution: {len(told.rows)} charges; the rules give {identity.reproduced} of "
        f"{identity.trades} trades rematched; {len(told.not_measured)} not measured"
    )
    for name in ("currency", "standing"):
        table.add_column(name)
    for name in ("clients", "charges", "money"):
        table.add_column(name, justify="right")
    for each in told.sums:
        numbers = (str(each.clients), str(each.rows), f"{each.money:f}")
        table.add_row(Text(each.currency), each.standing, *numbers)
    return table


def _fairness_table(found: Ledgers) -> Table:
    table = close_table("fairness differential: fills against the AFMM less external makers', bps")
    for name in ("instrument", "measure"):
        table.add_column(name, overflow="fold")
    for name in ("difference", "95 % interval", "fills", "others'", "money"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for row in found.fairness.rows:
        if row.stratum != "all":
            continue
        interval = "-"
        if row.low_bps is not None and row.high_bps is not None:
            interval = f"{row.low_bps:.2f} to {row.high_bps:.2f}"
        table.add_row(
            Text(row.instrument),
            row.measure,
            f"{row.difference_bps:.2f}",
            interval,
            str(row.fills_afmm),
            str(row.fills_external),
            Text(f"{row.money:,.2f} {row.currency}"),
            row.note,
        )
    return table
