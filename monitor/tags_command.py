"""`ringfence tags`: each day's tags counted over tape, register and engine, and signed off."""

from __future__ import annotations

import getpass
import tempfile
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ingest.errors import RingfenceError, UsageError
from ingest.times import DAY, SECOND
from monitor.archive_command import ByOption, archive_directory
from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alerts.sign_offs import SignOff
    from alerts.store import AlertStore
    from alerts.window import Window
    from monitor.tags import TagDay

tags = typer.Typer(
    help="The AFMM's tags, reconciled by day: count, sign, list.", no_args_is_help=True
)
DayOption = Annotated[str, typer.Option("--day", help="UTC day like 2026-01-31")]


@tags.command("count")
def tags_count(
    day: Annotated[
        str | None, typer.Option(help="only this UTC day, like 2026-01-31", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count trades by what tape, register and engine say; exit 1 when a signed count changed."""
    from alerts.sign_offs import SignOffs
    from monitor.run import existing_store
    from monitor.tags import state_of

    with existing_store(config) as store:
        days = _days(store, config, day)
        given = [(sign.day, sign.digest) for sign in SignOffs(store.engine).all()]
    states = [state_of(each, given) for each in days]
    if as_json:
        print_json([_said(each, state) for each, state in zip(days, states, strict=True)])
    else:
        out.print(_days_table(days, states))
    changed = [each.day for each, state in zip(days, states, strict=True) if "changed" in state]
    if changed:
        raise RingfenceError(f"the count of {', '.join(changed)} changed since it was signed")


@tags.command("sign")
def tags_sign(
    day: DayOption,
    note: Annotated[str, typer.Option(help="what was looked at", show_default=False)],
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a day's count as it is now; the record's hash, who and when go to the audit log."""
    from alerts.sign_offs import SignOffs
    from monitor.run import existing_store

    with existing_store(config) as store:
        found = _days(store, config, day)
        if not found:
            raise UsageError(f"the archive has no trade of {day}: nothing to sign")
        sign = SignOffs(store.engine).record(
            day, found[0].digest, found[0].totals, by=by or getpass.getuser(), note=note
        )
    if as_json:
        print_json(sign)
    else:
        out.print(f"kept as entry {sign.sequence} of the audit log", markup=False)


@tags.command("list")
def tags_list(
    day: Annotated[str | None, typer.Option(help="only this day", show_default=False)] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sign-offs, oldest first."""
    from alerts.sign_offs import SignOffs
    from monitor.run import existing_store

    with existing_store(config) as store:
        found = SignOffs(store.engine).all(day)
    if as_json:
        print_json(found)
    else:
        out.print(_signs_table(found))


def _days(store: AlertStore, config: Path | None, day: str | None) -> list[TagDay]:
    """Return the days of the archive, or one; the day before it and the day after are read too."""
    from alerts.window import BEGINNING, export_window
    from ingest.names import Names
    from ingest.register import read_register
    from ingest.registry import FOREVER
    from monitor.config import config_or_default
    from monitor.tags import tag_days
    from monitor.terminal import progress_bar

    from_ns, to_ns = BEGINNING, FOREVER
    if day is not None:
        begin_ns = _begin_ns(day)
        from_ns, to_ns = max(BEGINNING, begin_ns - DAY), begin_ns + 2 * DAY - 1
    settings = config_or_default(config)
    register = read_register(settings.path(settings.registry.accounts), Names())
    with tempfile.TemporaryDirectory(prefix="ringfence-") as scratch:
        tape = Path(scratch) / "tape"
        window = export_window(
            archive_directory(settings),
            tape,
            store.instruments().rows,
            from_ns=from_ns,
            to_ns=to_ns,
            accounts=register.rows,
            terms=register.terms,
        )
        with progress_bar(err, "reading", "records") as progress:
            found = tag_days(tape, is_whole=partial(_is_whole, window), progress=progress)
    return [each for each in found if day in (None, each.day)]


def _is_whole(window: Window, day: int) -> bool:
    """Return whether nothing of a day was dropped, and no part that may have it is damaged.

    A part of hours that were still going on may be of any day.
    """
    from alerts.archive_names import parse_part

    begin_ns, end_ns = day * DAY, (day + 1) * DAY
    if any((item.dropped_before_ns or begin_ns) > begin_ns for item in window.instruments):
        return False
    for path in window.damaged:
        folder, _, name = path.rpartition("/")
        part = parse_part(folder, name)
        if part is None or part.kind == "recent":
            return False
        if part.first_ns < end_ns and begin_ns < part.end_ns:
            return False
    return True


def _begin_ns(day: str) -> int:
    try:
        begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    except ValueError:
        raise UsageError(f"--day must be a UTC day like 2026-01-31, was {day!r}") from None
    return int(begin.timestamp()) * SECOND


def _said(day: TagDay, state: str) -> dict[str, object]:
    import msgspec

    return {
        **msgspec.to_builtins(day),
        "totals": day.totals,
        "faults": day.faults,
        "digest": day.digest,
        "state": state,
    }


def _days_table(days: Sequence[TagDay], states: Sequence[str]) -> Table:
    table = close_table("trades by what tape, register and engine say of them")
    for name in ("day", "instrument"):
        table.add_column(name, overflow="fold")
    for name in ("trades", "right", "wrong", "absent", "AFMM sides", "unregistered"):
        table.add_column(name, justify="right")
    for name in ("same account", "other", "unseen"):
        table.add_column(name, justify="right")
    table.add_column("count", overflow="fold")
    for day, state in zip(days, states, strict=True):
        for count in day.counts:
            table.add_row(
                day.day,
                Text(count.instrument),
                *(str(getattr(count, name)) for name in count.__struct_fields__[1:]),
                "",
            )
        totals = (str(value) for value in day.totals.values())
        holes = "" if day.complete else ", archive has holes"
        table.add_row(day.day, f"{day.rows_in_force} rows in force", *totals, state + holes)
    return table


def _signs_table(found: Sequence[SignOff]) -> Table:
    from monitor.tables import at

    table = close_table(f"{len(found)} sign-offs, oldest first")
    table.add_column("at", no_wrap=True)
    for name in ("by", "day", "trades", "wrong", "other account", "record", "note"):
        table.add_column(name, overflow="fold")
    for sign in found:
        counts = sign.counts
        faults = (str(counts[name]) for name in ("trades", "flag_wrong", "engine_other"))
        # Text, not str: what people typed is no markup.
        words = (sign.by, sign.day, *faults, sign.digest[:12], sign.note)
        table.add_row(at(sign.at_ns), *map(Text, words))
    return table
