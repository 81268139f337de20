"""A simulated market, run from a seed into a tape: the same arguments give the same bytes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from ingest.instruments import Instrument
from market import population
from market.assembly import Market, Settings
from market.truth import ATTEMPTS, Truth, write_attempts, write_truth


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation came to."""

    settings: Settings
    records: Mapping[str, int]
    """By instrument."""
    cases: Mapping[str, int]
    """How many cases of abuse there are, by kind."""


def simulate(
    out: Path, settings: Settings, *, progress: Callable[[int, int | None], None] | None = None
) -> Simulated:
    """Write a tape into a folder, which is created, and return what it came to.

    `progress` is called with seconds of simulated time. Memory grows with live orders only.
    """
    out.mkdir(parents=True, exist_ok=True)
    length = round(settings.hours * 3600)
    with ExitStack() as stack:
        orders, trades, reference = (
            stack.enter_context(
                (out / f"{name}.ndjson").open(
                    "w", encoding="utf-8", newline="\n", buffering=1 << 20
                )
            ).write
            for name in ("orders", "trades", "reference")
        )
        market = Market(settings, orders, trades, reference)
        market.run((lambda done: progress(done, length)) if progress else None)
    cases = Counter(truth.scenario for truth in market.truths)
    result = Simulated(
        settings=settings,
        records={port.engine.name: port.engine.wire.seq for port in market.ports},
        cases={name: cases[name] for name in settings.scenarios},
    )
    _write_tables(out, market)
    write_truth(out, market.truths)
    write_attempts(out, market.attempts)
    text = _readme(result, market.truths, market.attempts)
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")
    return result


def _write_tables(out: Path, market: Market) -> None:
    register = [
        {
            "account": m.account,
            "owner": m.owner,
            "legal_entity": m.legal_entity,
            "role": m.role,
            "valid_from": population.VALID_FROM,
            "valid_to": m.valid_to,
            "linked_to": m.linked_to,
        }
        for m in market.members
    ]
    _write_csv(out / "accounts.csv", register)
    _write_csv(out / "instruments.csv", [_row(row) for row in market.instruments])
    _write_csv(out / "obligations.csv", population.obligations(market.instruments))
    _write_csv(out / "disclosures.csv", population.disclosures())


def _row(row: Instrument) -> dict[str, str]:
    return {
        "instrument": row.instrument,
        "base": row.base,
        "quote": row.quote,
        "kind": row.kind,
        "tick_size": f"{row.tick_size:f}",
        "lot_size": f"{row.lot_size:f}",
        "underlying": row.underlying,
        "matching": row.matching,
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _readme(result: Simulated, truths: Sequence[Truth], attempts: Sequence[Truth]) -> str:
    given = msgspec.to_builtins(result.settings) | {
        "scenarios": ", ".join(result.settings.scenarios) or "none"
    }
    arguments = "".join(f"| {name} | {value} |\n" for name, value in given.items())
    held = "no abuse (`truth.json` is empty)"
    if truths:
        held = f"{len(truths):,} cases of abuse (`truth.json` names them)"
    if attempts:
        held += f", {len(attempts):,} attempts that came to nothing (`{ATTEMPTS}`)"
    cases = "".join(f"| {name} | {count:,} |\n" for name, count in result.cases.items())
    table = f"\n| abuse | cases |\n| --- | --- |\n{cases}" if cases else ""
    return f"""# A simulated tape

Everything here is simulated: no person, firm, order or price is real. It was made by
`ringfence simulate`, holds {held} and
{sum(result.records.values()):,} records of orders and trades.

| argument | value |
| --- | --- |
{arguments}{table}"""
