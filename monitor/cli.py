"""The command line: arguments to calls, results to text or JSON, errors to one line.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingest.errors import RingfenceError, UsageError
from monitor.access_command import access
from monitor.archive_command import archive
from monitor.audit_command import audit
from monitor.console import ConfigOption, JsonOption, err, out, print_json
from monitor.evaluate_command import evaluate
from monitor.ledger_command import ledger
from monitor.logs import configure_logging
from monitor.migrate_command import migrate
from monitor.presence_command import presence
from monitor.register_command import register
from monitor.tags_command import tags
from monitor.volume_command import volume

app = typer.Typer(
    name="ringfence",
    help="Surveillance of affiliated market makers: did clients come first?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cases = typer.Typer(help="Alerts as case files: list, export, verify.", no_args_is_help=True)
app.add_typer(cases, name="case")
app.add_typer(audit, name="audit")
app.add_typer(archive, name="archive")
app.add_typer(register, name="register")
app.add_typer(tags, name="tags")
app.command("migrate")(migrate)
app.command("volume")(volume)
app.command("ledger")(ledger)
app.command("presence")(presence)
app.command("access")(access)

TapeArgument = Annotated[Path, typer.Argument(help="folder of a tape", show_default=False)]


@app.command()
def run(
    config: ConfigOption = None,
    tape: Annotated[
        Path | None, typer.Option(help="read this tape instead of Kafka", show_default=False)
    ] = None,
    exit_when_drained: Annotated[
        bool, typer.Option("--exit-when-drained", help="end once everything there was is processed")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the service. Without -c: embedded, on a sample tape, everything on loopback."""
    from alerts.record import Alert
    from monitor.run import run_service
    from monitor.summary import Summary
    from monitor.tables import alerts_table, summary_table

    def show(alerts: Sequence[Alert], summary: Summary) -> None:
        if as_json:
            print_json({"summary": summary, "alerts": alerts})
        else:
            out.print(alerts_table(alerts))
            out.print(summary_table(summary))

    run_service(config, tape, exit_when_drained=exit_when_drained, err=err, show=show)


@app.command()
def replay(
    tape: TapeArgument,
    out_dir: Annotated[Path, typer.Option("--out", help="folder for alerts.ndjson, summary.json")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a tape through the pipeline as fast as it goes."""
    from monitor.config import config_or_default
    from monitor.replay import replay as replay_tape
    from monitor.tables import summary_table
    from monitor.terminal import progress_bar

    settings = config_or_default(config)
    if out_dir.resolve() == tape.resolve():
        raise UsageError(f"--out must be another folder than the tape {tape}")
    with progress_bar(err, "replaying", "events") as progress:
        summary = replay_tape(tape, out_dir, settings, progress=progress)
    if as_json:
        print_json(summary)
    else:
        out.print(summary_table(summary))
    rejected = sum(summary.rejects.values())
    if rejected:
        why = out_dir / "dead-letter.ndjson"
        line = f"ringfence: {rejected} of {summary.events} records were rejected; {why} says why"
        err.print(line, markup=False, soft_wrap=True)
    if summary.quarantined:
        names = ", ".join(sorted(summary.quarantined))
        raise RingfenceError(f"detectors failed and were quarantined: {names}; see the log above")


@app.command()
def publish(
    tape: TapeArgument,
    config: Annotated[
        Path, typer.Option("-c", "--config", help="configuration file (TOML)", show_default=False)
    ],
    speed: Annotated[
        float, typer.Option(help="multiple of real time; 0 = as fast as it goes", min=0)
    ] = 0.0,
    partitions: Annotated[
        int, typer.Option(help="partitions of a topic that has to be created", min=1)
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Feed a tape to Kafka."""
    from ingest.kafka_settings import from_environment
    from ingest.tape import Tape
    from monitor.config import load_config
    from monitor.publish import publish_tape
    from monitor.terminal import progress_bar

    settings = load_config(config)
    Tape(tape)
    if not math.isfinite(speed):
        raise UsageError(f"--speed must be a finite multiple of real time, was {speed}")
    if settings.kafka is None:
        raise UsageError(f"{config} has no [kafka] table: publish needs a broker's address")
    with progress_bar(err, "publishing", "records") as progress:
        published = publish_tape(
            tape,
            from_environment(settings.kafka, os.environ),
            speed=speed,
            partitions=partitions,
            progress=progress,
        )
    if as_json:
        print_json(published)
    else:
        out.print(f"published {published.orders} orders and {published.trades} trades")


@app.command()
def onboard(
    files: Annotated[
        list[Path],
        typer.Argument(help="samples (CSV, NDJSON, FIX drop copy) and tables", show_default=False),
    ],
    mapping: Annotated[
        Path | None, typer.Option("--map", help="mapping file (TOML)", show_default=False)
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="keep the preview tape and its alerts here", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a feed lacks, which detectors go blind for it, and show first alerts."""
    from monitor.config import default_config
    from monitor.onboard.mapping import read_map
    from monitor.onboard.report import onboard as look_at
    from monitor.tables import alerts_table, detectors_table, fields_table, summary_table

    feed = read_map(mapping) if mapping else None
    report = look_at(files, feed, default_config(Path.cwd()), keep=out_dir)
    if as_json:
        print_json(report)
        return
    out.print(
        f"{report.rows} rows: {report.orders} orders, {report.trades} trades; "
        f"{report.unassigned} of no known kind, {report.unreadable} unreadable lines"
    )
    out.print(fields_table(report.fields))
    out.print(detectors_table(report.detectors))
    for title, lines in (("assumed for this look only", report.assumed), ("notes", report.notes)):
        if lines:
            out.print(title)
            for line in lines:
                out.print(f"  - {line}", markup=False)
    if report.summary is not None:
        out.print(alerts_table(report.alerts))
        out.print(summary_table(report.summary))


@app.command()
def simulate(  # noqa: PLR0917 - options, each by its name
    out_dir: Annotated[
        Path, typer.Option("--out", help="folder for the tape: new, or empty", show_default=False)
    ],
    seed: Annotated[
        int, typer.Option(help="the same seed gives the same bytes", show_default=False)
    ],
    hours: Annotated[float, typer.Option(help="length of simulated time", show_default=False)],
    instruments: Annotated[
        int, typer.Option(help="spot and perpetual by turns, two an underlying")
    ] = 3,
    rate: Annotated[
        float, typer.Option(help="mean client instructions a second and instrument")
    ] = 2.0,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            help="a kind of abuse, more than once for more; all of them", show_default=False
        ),
    ] = None,
    severity: Annotated[float, typer.Option(help="of abuse: 0 barely there, 1 blatant")] = 0.5,
    evasion: Annotated[
        str, typer.Option(help="how cases are hidden: none, mixed, or one way")
    ] = "mixed",
    harm: Annotated[
        bool, typer.Option(help="measure what cases cost clients, by a paired run of each")
    ] = True,
    clean: Annotated[
        bool, typer.Option("--clean", help="no abuse, and check that there is none; exit 1 if so")
    ] = False,
    matching: Annotated[
        str, typer.Option(help="who is first at a price: price_time | price_class_time")
    ] = "price_time",
    as_json: JsonOption = False,
) -> None:
    """Write the tape of a simulated market, and in truth.json what abuse it holds."""
    from monitor.simulate import simulate_tape
    from monitor.tables import look_alikes_table, simulated_table
    from monitor.terminal import progress_bar

    with progress_bar(err, "simulating", "seconds") as progress:
        result, checked = simulate_tape(
            out_dir,
            seed=seed,
            hours=hours,
            instruments=instruments,
            rate=rate,
            matching=matching,
            scenarios=scenario,
            severity=severity,
            evasion=evasion,
            harm=harm,
            clean=clean,
            progress=progress,
        )
    if as_json:
        print_json({"simulated": result, "check": checked})
    else:
        out.print(simulated_table(result))
        if checked is not None:
            out.print(look_alikes_table(checked.look_alikes))
            if checked.truths.clean:
                out.print(f"checked: no abuse in {checked.truths.records:,} records")
    if checked is not None and not checked.truths.clean:
        raise RingfenceError(f"the tape is not clean: {'; '.join(checked.truths.examples)}")


app.command()(evaluate)


@app.command("check-config")
def check_config(
    config: Annotated[
        Path, typer.Option("-c", "--config", help="configuration file (TOML)", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a configuration file and the tables that it names."""
    from ingest.instruments import read_instruments
    from ingest.names import Names
    from ingest.register import read_register
    from monitor.config import load_config, store_url

    settings = load_config(config)
    instruments = read_instruments(settings.path(settings.registry.instruments))
    register = read_register(settings.path(settings.registry.accounts), Names())
    store_url(settings)
    if as_json:
        print_json(
            {
                "instruments": len(instruments),
                "rows": len(register.rows),
                "obligations": len(register.terms.obligations),
                "disclosures": len(register.terms.disclosures),
            }
        )
    else:
        out.print(
            f"{config} is valid: {len(instruments)} instruments, "
            f"{len(register.rows)} registry rows, {len(register.terms.obligations)} agreements, "
            f"{len(register.terms.disclosures)} disclosures, {len(settings.detectors)} detectors"
        )


@cases.command("list")
def case_list(
    config: ConfigOption = None,
    severity: Annotated[
        list[str] | None, typer.Option(help="only these severities", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="alerts at most", min=1)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the newest alerts of the store."""
    from alerts.record import SEVERITIES
    from monitor.run import existing_store
    from monitor.tables import alerts_table

    unknown = sorted(set(severity or ()) - set(SEVERITIES))
    if unknown:
        raise UsageError(f"--severity must be one of {', '.join(SEVERITIES)}, was {unknown[0]}")
    with existing_store(config) as store:
        alerts, total = store.list(limit=limit, severities=severity or ()), store.count()
    if as_json:
        print_json(alerts)
    else:
        title = f"the newest {len(alerts)} of {total} alerts, worst first (--limit N for more)"
        out.print(alerts_table(alerts, most=limit, title=title))


@cases.command("export")
def case_export(
    alert_id: Annotated[str, typer.Argument(help="alert id, or how it begins")],
    out_dir: Annotated[Path, typer.Option("--out", help="folder for the case file")],
    config: ConfigOption = None,
) -> None:
    """Write an alert with its evidence as a case file that can be verified offline."""
    from alerts.casefile.export import CaseSettings, export_case
    from detectors.catalogue import DETECTORS
    from monitor.config import config_or_default
    from monitor.run import existing_store

    venue = config_or_default(config).venue
    with existing_store(config) as store:
        folder = export_case(
            store,
            store.only(alert_id).alert_id,
            out_dir,
            specs={name: detector.spec for name, detector in DETECTORS.items()},
            instruments=store.instruments(),
            settings=CaseSettings(
                platform=venue.name,
                legal_entity=venue.legal_entity,
                conflicts_officer=venue.conflicts_officer,
                securities=venue.securities,
            ),
        )
    out.print(str(folder), markup=False, soft_wrap=True)


@cases.command("verify")
def case_verify(
    case: Annotated[Path, typer.Argument(help="folder of a case file", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check a case file without network or store; exit 1 when anything is wrong."""
    from alerts.casefile.verify import verify_case

    if not case.is_dir():
        raise UsageError(f"case file {case} is not a folder")
    problems = verify_case(case)
    if as_json:
        print_json({"case": case.name, "problems": problems})
    for problem in problems if not as_json else ():
        out.print(problem, markup=False, soft_wrap=True)
    if problems:
        raise RingfenceError(f"{case.name} does not hold: {len(problems)} problems")
    if not as_json:
        out.print(f"{case.name} holds: every file, checksum and citation was checked", markup=False)


def main() -> None:
    """Run the command line; a Ringfence error becomes one line and its exit code."""
    configure_logging()
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except RingfenceError as error:
        _fail(error, 1)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        _fail(RingfenceError(f"{named}{error.strerror or error}"), 1)


def _fail(error: RingfenceError, code: int) -> None:
    line = " ".join(str(error).split())
    sys.stderr.write(f"ringfence: {line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
