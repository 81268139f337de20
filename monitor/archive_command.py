"""`ringfence archive`: the archived events checked, put on hold, and written out as a tape."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ingest.errors import RingfenceError, UsageError
from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.table import Table

    from alerts.holds import StoredHold
    from alerts.record import Alert
    from alerts.store import AlertStore
    from alerts.window import Window
    from ingest.instruments import Instrument
    from ingest.register import Registered
    from monitor.config import Config

archive = typer.Typer(
    help="Archived events: verify, hold, release, holds, export.", no_args_is_help=True
)

TIME = "UTC time like 2026-01-31T08:00:00Z, or ns since 1970; both ends count"
ByOption = Annotated[
    str | None, typer.Option(help="who does it (the user of this session)", show_default=False)
]
InstrumentsOption = Annotated[
    list[str] | None,
    typer.Option("--instrument", help="whose events, more than once for more", show_default=False),
]
FromOption = Annotated[
    str | None, typer.Option("--from", help=f"{TIME} (the first event)", show_default=False)
]
ToOption = Annotated[
    str | None, typer.Option("--to", help=f"{TIME} (the last event)", show_default=False)
]


@archive.command("verify")
def archive_verify(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read every archived file against its checksum; exit 1 when any is damaged."""
    from alerts.archive_reader import ArchiveReader
    from alerts.states import States
    from monitor.config import config_or_default
    from monitor.terminal import progress_bar

    directory = archive_directory(config_or_default(config))
    reader = ArchiveReader(directory)
    with progress_bar(err, "verifying", "files") as progress:
        damaged = {**reader.verify(progress), **States(directory).verify()}
    parts = list(reader.every_part())
    rows = sum(part.rows for part in parts)
    if as_json:
        print_json({"files": len(parts), "rows": rows, "damaged": damaged})
    for path, reason in damaged.items() if not as_json else ():
        out.print(f"{path}: {reason}", markup=False, soft_wrap=True)
    if damaged:
        raise RingfenceError(f"the archive does not hold: {len(damaged)} files are damaged")
    if not as_json:
        out.print(f"the archive holds: {len(parts)} files, {rows} events", markup=False)


@archive.command("hold")
def archive_hold(  # noqa: PLR0917 - options, each by its name
    instrument: Annotated[str, typer.Option(help="whose events", show_default=False)],
    from_text: Annotated[str, typer.Option("--from", help=TIME, show_default=False)],
    to_text: Annotated[str, typer.Option("--to", help=TIME, show_default=False)],
    reason: Annotated[str, typer.Option(help="why", show_default=False)],
    subject: Annotated[str, typer.Option(help="the matter it belongs to", show_default=False)] = "",
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep archived events from being dropped until the hold is released."""
    from alerts.holds import Holds
    from monitor.run import existing_store

    from_ns, to_ns = parse_at(from_text, "--from"), parse_at(to_text, "--to")
    with existing_store(config) as store:
        known = {row.instrument for row in store.instruments().rows}
        if known and instrument not in known:
            raise UsageError(f"instrument {instrument!r} is not one of this venue's")
        hold = Holds(store.engine).place(
            instrument,
            from_ns,
            to_ns,
            reason=reason,
            placed_by=by or getpass.getuser(),
            placed_ns=time.time_ns(),
            subject=subject,
        )
    if as_json:
        print_json(hold)
    else:
        out.print(hold.hold_id, markup=False)


@archive.command("release")
def archive_release(
    hold_id: Annotated[str, typer.Argument(help="as `archive holds` shows it", show_default=False)],
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a hold: what it covered may be dropped by the bounds again."""
    from alerts.holds import Holds
    from monitor.run import existing_store

    with existing_store(config) as store:
        hold = Holds(store.engine).release(
            hold_id, released_by=by or getpass.getuser(), released_ns=time.time_ns()
        )
    if as_json:
        print_json(hold)
    else:
        out.print(f"{hold.hold_id} is released", markup=False)


@archive.command("holds")
def archive_holds(
    released: Annotated[bool, typer.Option("--all", help="also those that were released")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List holds, oldest first."""
    from alerts.holds import Holds
    from monitor.run import existing_store

    with existing_store(config) as store:
        found = Holds(store.engine).all(released=released)
    if as_json:
        print_json(found)
    else:
        out.print(_holds_table(found))


@archive.command("export")
def archive_export(  # noqa: PLR0917 - options, each by its name
    out_dir: Annotated[
        Path, typer.Option("--out", help="folder for the tape: new, or empty", show_default=False)
    ],
    alert: Annotated[
        str | None,
        typer.Option(help="id (or its beginning) of an alert: its window", show_default=False),
    ] = None,
    instrument: InstrumentsOption = None,
    from_text: FromOption = None,
    to_text: ToOption = None,
    accounts: Annotated[
        Path | None,
        typer.Option(help="accounts.csv (the alert's, else as configured)", show_default=False),
    ] = None,
    state: Annotated[
        bool, typer.Option("--state", help="begin with the last state kept before --from")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write archived events as a tape that `ringfence replay` runs; say what is missing."""
    from alerts.archive_ranges import end_of
    from alerts.archive_reader import ArchiveReader
    from alerts.states import States
    from alerts.window import BEGINNING, export_window
    from ingest.registry import FOREVER
    from monitor.config import config_or_default
    from monitor.run import existing_store
    from monitor.terminal import progress_bar

    if (alert is None) == (not instrument):
        raise UsageError("archive export must be given --alert or --instrument, one of the two")
    settings = config_or_default(config)
    directory = archive_directory(settings)
    with existing_store(config) as store:
        found = None if alert is None else store.only(alert)
        names = [found.instrument] if found else list(instrument or ())
        rows = instruments_of(store, names)
        register = _register(store, settings, accounts, found)
    from_ns = parse_at(from_text, "--from") if from_text else BEGINNING
    to_ns = end_of(ArchiveReader(directory), found) if found else FOREVER
    if to_text:
        to_ns = parse_at(to_text, "--to")
    begin = None
    if state:
        if len(names) != 1:
            raise UsageError("--state goes with one instrument")
        begin_ns = found.window_start_ns if found and not from_text else from_ns
        begin = States(directory).before(None, names[0], begin_ns)
        if begin is None:
            raise UsageError(f"no state of {names[0]} is kept from before that time")
    with progress_bar(err, "writing", "days") as progress:
        window = export_window(
            directory,
            out_dir,
            rows,
            from_ns=from_ns,
            to_ns=to_ns,
            accounts=register.rows,
            terms=register.terms,
            state=begin,
            progress=progress,
        )
    if as_json:
        print_json(window)
    else:
        out.print(_window_table(window))
    if not window.complete:
        raise RingfenceError(f"the window has holes; {out_dir / 'window.json'} says which")


def parse_at(text: str, option: str) -> int:
    """Return a time given as ISO-8601 UTC or as ns since 1970.

    >>> parse_at("1970-01-01T00:00:01Z", "--from"), parse_at("17", "--from")
    (1000000000, 17)

    Raises
    ------
    UsageError
        It is neither.
    """
    from ingest.registry import parse_time

    if text.isascii() and text.isdigit():
        return int(text)
    if not text:
        raise UsageError(f"{option} must be a time, was empty")
    return parse_time(text, 0, option)


def archive_directory(settings: Config) -> Path:
    """Return the archive's folder; raise UsageError when there is none yet."""
    directory = settings.path(settings.alerts.archive)
    if not directory.is_dir():
        raise UsageError(f"no archive at {settings.alerts.archive} yet: `ringfence run` first")
    return directory


def instruments_of(store: AlertStore, names: Collection[str]) -> Sequence[Instrument]:
    """Return the rows of some instruments; raise UsageError when one is not of the venue."""
    table = store.instruments()
    unknown = sorted(set(names) - set(table.codes))
    if unknown:
        raise UsageError(f"instrument {unknown[0]!r} is not one of this venue's")
    return [row for row in table.rows if row.instrument in names]


def _register(
    store: AlertStore, settings: Config, accounts: Path | None, alert: Alert | None
) -> Registered:
    """Return a file's version, else that under which the alert was found, else the current."""
    from alerts.shards import Shards
    from ingest.names import Names
    from ingest.register import read_register

    if accounts is not None:
        return read_register(accounts, Names()).said
    said = None if alert is None else Shards(store.engine).registry(alert.registry_version)
    if said is not None:
        return said
    path = settings.path(settings.registry.accounts)
    if not path.is_file():
        raise UsageError("the register of that time is not kept: name one with --accounts FILE")
    return read_register(path, Names()).said


def _holds_table(holds: Sequence[StoredHold]) -> Table:
    from monitor.tables import at

    table = close_table(f"{len(holds)} holds, oldest first")
    table.add_column("hold", overflow="fold")
    for name in ("instrument", "from", "to"):
        table.add_column(name, no_wrap=True)
    for name in ("reason", "placed by", "released"):
        table.add_column(name, overflow="fold")
    for hold in holds:
        # Text, not str: what people typed is no markup.
        said = [Text(word) for word in (hold.hold_id, hold.instrument)]
        times = [at(hold.from_ns), at(hold.to_ns)]
        ended = "" if hold.released_ns is None else at(hold.released_ns)
        table.add_row(*said, *times, Text(hold.reason), Text(hold.placed_by), ended)
    return table


def _window_table(window: Window) -> Table:
    table = close_table("window")
    table.add_column("instrument", overflow="fold")
    for name in ("first seq", "last seq", "orders", "trades", "late", "missing"):
        table.add_column(name, justify="right")
    for item in window.instruments:
        lost = sum(gap.last_seq - gap.first_seq + 1 for gap in item.missing)
        counts = (item.first_seq, item.last_seq, item.orders, item.trades, item.late, lost)
        table.add_row(Text(item.instrument), *("-" if n is None else str(n) for n in counts))
    return table
