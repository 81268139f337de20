"""obligations.csv and disclosures.csv, which lie beside accounts.csv: read and written.

Either may be missing: without agreements presence is measured and never alerted, without
disclosures nothing was told.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast, get_args

from ingest.csv_table import Line, read_table
from ingest.errors import RegistryError
from ingest.registry import ALWAYS, FOREVER, format_time, parse_time
from ingest.terms import Disclosure, DisclosureKind, Obligation, Terms

OBLIGATIONS: Final = "obligations.csv"
DISCLOSURES: Final = "disclosures.csv"
MOST_QUANTITY: Final = 10**15
"""Display units: beyond it, in lots, an int64 is not enough."""
LONGEST_WINDOW_S: Final = 86_400
"""Of an agreement: presence is told at least daily."""
OBLIGATION_COLUMNS: Final = (
    "account",
    "instrument",
    "max_spread_bps",
    "min_quantity",
    "min_presence_ratio",
    "window_s",
    "valid_from",
    "valid_to",
)
DISCLOSURE_COLUMNS: Final = (
    "subject",
    "kind",
    "instrument",
    "value",
    "unit",
    "valid_from",
    "valid_to",
    "document",
)


def terms_of(
    obligations: Iterable[Obligation], disclosures: Iterable[Disclosure], *, source: str = ""
) -> Terms:
    """Return terms in order of content.

    Raises
    ------
    RegistryError
        Two agreements of one account in one instrument overlap.
    """
    agreed = sorted(obligations, key=lambda row: (row.account, row.instrument, row.valid_from_ns))
    for row, following in pairwise(agreed):
        same = (row.account, row.instrument) == (following.account, following.instrument)
        if same and following.valid_from_ns < row.valid_to_ns:
            raise RegistryError(
                f"{source or OBLIGATIONS}: agreements of account {row.account} in "
                f"{row.instrument} must not overlap, but line {row.line} and "
                f"line {following.line} do"
            )
    said = sorted(disclosures, key=lambda row: (row.content[:3], row.valid_from_ns, row.content))
    return Terms(tuple(agreed), tuple(said))


def write_terms(terms: Terms, folder: Path) -> None:
    """Write the tables that have rows into a folder; `read_terms` gives the same terms."""
    for name, columns, rows in (
        (OBLIGATIONS, OBLIGATION_COLUMNS, terms.obligations),
        (DISCLOSURES, DISCLOSURE_COLUMNS, terms.disclosures),
    ):
        if rows:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(_cells(row, columns) for row in rows)
            (folder / name).write_text(text.getvalue(), encoding="utf-8", newline="")


def _cells(row: Obligation | Disclosure, columns: Sequence[str]) -> list[str]:
    dates = {"valid_from": format_time(row.valid_from_ns), "valid_to": format_time(row.valid_to_ns)}
    return [dates[name] if name in dates else str(getattr(row, name)) for name in columns]


def read_terms(folder: Path) -> Terms:
    """Return the terms in a folder: those of its two tables that are there.

    Raises
    ------
    RegistryError
        A table cannot be read or lacks a column; a number is none or out of its range; a kind is
        unknown; a row ends before it begins; two agreements overlap. The line is named.
    """
    return terms_of(
        _rows(folder / OBLIGATIONS, OBLIGATION_COLUMNS, "obligations", _obligation),
        _rows(folder / DISCLOSURES, DISCLOSURE_COLUMNS, "disclosures", _disclosure),
    )


def _rows(path: Path, columns: Sequence[str], what: str, make: Callable[[Line], Any]) -> list[Any]:
    return [make(line) for line in read_table(path, columns, what=what)] if path.exists() else []


def _obligation(line: Line) -> Obligation:
    fields, where = line.fields, line.where
    window = _number(fields["window_s"], f"{where}: window_s", most=LONGEST_WINDOW_S)
    if window != int(window):
        raise RegistryError(f"{where}: window_s must be whole seconds, was {fields['window_s']!r}")
    start, end = _span(line)
    return Obligation(
        account=_named(line, "account"),
        instrument=_named(line, "instrument"),
        max_spread_bps=_number(fields["max_spread_bps"], f"{where}: max_spread_bps", most=10_000),
        min_quantity=_number(fields["min_quantity"], f"{where}: min_quantity", most=MOST_QUANTITY),
        min_presence_ratio=_number(
            fields["min_presence_ratio"], f"{where}: min_presence_ratio", most=1
        ),
        window_s=int(window),
        valid_from_ns=start,
        valid_to_ns=end,
        line=line.number,
    )


def _disclosure(line: Line) -> Disclosure:
    fields = line.fields
    kinds = get_args(DisclosureKind)
    if fields["kind"] not in kinds:
        raise RegistryError(
            f"{line.where}: kind must be one of {', '.join(kinds)}, was {fields['kind']!r}"
        )
    start, end = _span(line)
    return Disclosure(
        subject=_named(line, "subject"),
        kind=cast(DisclosureKind, fields["kind"]),
        instrument=fields["instrument"],
        value=fields["value"],
        unit=fields["unit"],
        document=fields["document"],
        valid_from_ns=start,
        valid_to_ns=end,
        line=line.number,
    )


def _named(line: Line, field: str) -> str:
    if not line.fields[field]:
        raise RegistryError(f"{line.where}: {field} must not be empty")
    return line.fields[field]


def _span(line: Line) -> tuple[int, int]:
    start = parse_time(line.fields["valid_from"], ALWAYS, f"{line.where}: valid_from")
    end = parse_time(line.fields["valid_to"], FOREVER, f"{line.where}: valid_to")
    if end <= start:
        raise RegistryError(
            f"{line.where}: valid_to must be after valid_from {line.fields['valid_from']!r}, "
            f"was {line.fields['valid_to']!r}"
        )
    return start, end


def _number(text: str, where: str, *, most: int | None = None) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0 or (most is not None and number > most):
        bound = "" if most is None else f" up to {most}"
        raise RegistryError(f"{where} must be a number above 0{bound}, was {text!r}")
    return number
