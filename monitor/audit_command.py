"""`ringfence audit`: the audit log checked and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ingest.errors import RingfenceError
from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alerts.audit import AuditEntry

audit = typer.Typer(help="The audit log: verify, list.", no_args_is_help=True)


@audit.command("verify")
def audit_verify(
    config: ConfigOption = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="SEQ:HASH that an earlier verify printed: finds a rewritten or cut log",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check every entry of the audit log; exit 1 when anything was changed, removed or added."""
    from alerts.audit import AuditHead, AuditLog
    from monitor.run import existing_store
    from monitor.terminal import progress_bar

    expected = AuditHead.parse(head) if head is not None else None
    with existing_store(config) as store, progress_bar(err, "verifying", "entries") as progress:
        found = AuditLog(store.engine).verify(expected, progress=progress)
    if as_json:
        print_json(found)
    for problem in found.problems if not as_json else ():
        out.print(problem, markup=False, soft_wrap=True)
    if found.problems:
        raise RingfenceError(f"the audit log does not hold: {len(found.problems)} problems")
    if not as_json:
        out.print(f"the audit log holds: {found.entries} entries", markup=False)
        out.print(f"head {found.head}", markup=False, soft_wrap=True)


@audit.command("list")
def audit_list(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option(help="entries at most", min=1)] = 20,
    actor: Annotated[
        str | None, typer.Option(help="only what this person or program did", show_default=False)
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="only what was done to this", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest entries of the audit log, newest first."""
    from alerts.audit import AuditLog
    from monitor.run import existing_store

    with existing_store(config) as store:
        entries = AuditLog(store.engine).latest(limit, actor=actor, subject=subject)
    if as_json:
        print_json(entries)
    else:
        out.print(entries_table(entries))


def entries_table(entries: Sequence[AuditEntry]) -> Table:
    """Return entries as a table, one a line."""
    from monitor.tables import at

    table = close_table(f"{len(entries)} entries of the audit log, newest first")
    table.add_column("entry", justify="right", no_wrap=True)
    table.add_column("at", no_wrap=True)
    for name in ("actor", "action", "subject", "detail"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        # Text, not str: what people typed is no markup.
        words = (entry.actor, entry.action, entry.subject, entry.detail)
        table.add_row(str(entry.sequence), at(entry.at_ns), *map(Text, words))
    return table
