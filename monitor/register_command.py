"""`ringfence register`: who stands behind an account, decided by a person, with the reason kept."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ingest.errors import RingfenceError, UsageError
from monitor.archive_command import (
    TIME,
    ByOption,
    FromOption,
    InstrumentsOption,
    ToOption,
    archive_directory,
    instruments_of,
    parse_at,
)
from monitor.console import ConfigOption, JsonOption, close_table, err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alerts.decisions import Decision
    from alerts.store import AlertStore
    from ingest.register import Register
    from monitor.rerun import Rerun

register = typer.Typer(
    help="The register of accounts: correct, decline, decisions, rerun.", no_args_is_help=True
)

AccountArgument = Annotated[str, typer.Argument(help="the account", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="why", show_default=False)]
DocumentOption = Annotated[
    str, typer.Option(help="where what it rests on can be read", show_default=False)
]


@register.command("correct")
def register_correct(  # noqa: PLR0917 - options, each by its name
    account: AccountArgument,
    reason: ReasonOption,
    document: DocumentOption,
    from_text: Annotated[
        str | None, typer.Option("--from", help=f"{TIME} (always)", show_default=False)
    ] = None,
    to_text: Annotated[
        str | None, typer.Option("--to", help="the end, not within (none)", show_default=False)
    ] = None,
    role: Annotated[str | None, typer.Option(help="its role", show_default=False)] = None,
    owner: Annotated[
        str | None, typer.Option(help="its beneficial owner", show_default=False)
    ] = None,
    linked_to: Annotated[
        str | None, typer.Option(help="an account that it is linked to", show_default=False)
    ] = None,
    alert: Annotated[
        str | None,
        typer.Option(help="id (or its beginning) of the proposing alert", show_default=False),
    ] = None,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make accounts.csv say what was decided: a new version, which a running service takes up."""
    from alerts.decisions import Decisions
    from ingest.correction import Correction
    from ingest.registry import ALWAYS, FOREVER
    from monitor.config import config_or_default
    from monitor.correct import put_into_force
    from monitor.run import existing_store

    settings = config_or_default(config)
    correction = Correction(
        account=account,
        from_ns=parse_at(from_text, "--from") if from_text else ALWAYS,
        to_ns=parse_at(to_text, "--to") if to_text else FOREVER,
        role=role,
        owner=owner,
        linked_to=linked_to,
    )
    with existing_store(config) as store:
        alert_id = "" if alert is None else _proposal(store, alert, account)
        decision = put_into_force(
            settings.path(settings.registry.accounts),
            correction,
            Decisions(store.engine),
            by=by or getpass.getuser(),
            reason=reason,
            document=document,
            alert_id=alert_id,
        )
    if as_json:
        print_json(decision)
    else:
        out.print(f"the register is version {decision.version} now", markup=False)


@register.command("decline")
def register_decline(  # noqa: PLR0917 - options, each by its name
    account: AccountArgument,
    alert: Annotated[
        str, typer.Option(help="id (or its beginning) of the alert", show_default=False)
    ],
    reason: ReasonOption,
    document: DocumentOption,
    by: ByOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep that a proposal was looked at and the register stays as it is, and why."""
    from alerts.decisions import Decisions
    from monitor.run import existing_store

    version = _current(config).version
    with existing_store(config) as store:
        alert_id = _proposal(store, alert, account)
        decision = Decisions(store.engine).record(
            account,
            None,
            by=by or getpass.getuser(),
            reason=reason,
            document=document,
            alert_id=alert_id,
            version_before=version,
            version=version,
        )
    if as_json:
        print_json(decision)
    else:
        out.print(f"kept as entry {decision.sequence} of the audit log", markup=False)


@register.command("decisions")
def register_decisions(
    account: Annotated[
        str | None, typer.Option(help="only those about this account", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, oldest first, and whether the register says so still."""
    from alerts.decisions import Decisions
    from monitor.run import existing_store

    with existing_store(config) as store:
        found = Decisions(store.engine).all(account)
    if as_json:
        print_json(found)
    else:
        out.print(_decisions_table(found, _current(config)))


@register.command("rerun")
def register_rerun(  # noqa: PLR0917 - options, each by its name
    out_dir: Annotated[Path, typer.Option("--out", help="folder for what it finds: new, or empty")],
    instrument: InstrumentsOption = None,
    from_text: FromOption = None,
    to_text: ToOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run archived history under the register as it is now; say which alerts come and go.

    Of all instruments, unless some are named.
    """
    from alerts.window import BEGINNING
    from ingest.registry import FOREVER
    from monitor.config import config_or_default
    from monitor.rerun import REPORT, rerun
    from monitor.run import existing_store
    from monitor.terminal import progress_bar

    settings = config_or_default(config)
    with existing_store(config) as store:
        names = instrument or [row.instrument for row in store.instruments().rows]
        with progress_bar(err, "replaying", "records") as progress:
            found = rerun(
                archive_directory(settings),
                out_dir,
                settings,
                instruments=instruments_of(store, names),
                register=_current(config).said,
                kept=store.records(),
                from_ns=parse_at(from_text, "--from") if from_text else BEGINNING,
                to_ns=parse_at(to_text, "--to") if to_text else FOREVER,
                progress=progress,
            )
    if as_json:
        print_json(found)
    else:
        out.print(_rerun_table(found))
    if not found.complete:
        raise RingfenceError(f"the archive has holes; {out_dir / REPORT} holds without them")


def _proposal(store: AlertStore, alert: str, account: str) -> str:
    """Return the id of the alert that proposed something about an account."""
    found = store.only(alert)
    if account not in found.accounts:
        raise UsageError(f"alert {found.alert_id} does not name account {account}")
    return found.alert_id


def _current(config: Path | None) -> Register:
    from ingest.names import Names
    from ingest.register import read_register
    from monitor.config import config_or_default

    settings = config_or_default(config)
    return read_register(settings.path(settings.registry.accounts), Names())


def _decisions_table(found: Sequence[Decision], now: Register) -> Table:
    from ingest.registry import format_time
    from monitor.correct import in_force
    from monitor.tables import at

    table = close_table(f"{len(found)} decisions, oldest first")
    table.add_column("at", no_wrap=True)
    for name in ("by", "account", "decided", "from", "reason", "document", "alert", "in force"):
        table.add_column(name, overflow="fold")
    for decision in found:
        made = decision.correction
        says = "declined" if made is None else ", ".join(f"{k} {v}" for k, v in made.sets.items())
        holds = "" if made is None else "yes" if in_force(now, made) else "no"
        # Text, not str: what people typed is no markup.
        words = (
            decision.by,
            decision.account,
            says,
            "" if made is None else format_time(made.from_ns) or "always",
            decision.reason,
            decision.document,
            decision.alert_id[:12],
            holds,
        )
        table.add_row(at(decision.at_ns), *map(Text, words))
    return table


def _rerun_table(found: Rerun) -> Table:
    table = close_table(f"under version {found.registry_version} of the register")
    table.add_column("alerts")
    table.add_column("count", justify="right")
    table.add_column("ids", overflow="fold")
    for name in ("new", "changed", "gone", "cut"):
        ids = getattr(found, name)
        table.add_row(name, str(len(ids)), " ".join(each[:12] for each in ids))
    table.add_row("same", str(len(found.same)), "")
    return table
