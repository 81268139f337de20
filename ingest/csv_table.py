"""Tables that people keep as CSV: read whole, every field stripped, the line named in errors."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ingest.errors import RegistryError


class Line(msgspec.Struct, frozen=True):
    """One record of a table."""

    number: int
    """Line of the file at which it ends, from 1."""
    where: str
    """What messages call it."""
    fields: Mapping[str, str]


def read_table(path: Path, required: Sequence[str], *, what: str) -> list[Line]:
    """Return the records of a CSV file with a header.

    Parameters
    ----------
    path : Path
    required : sequence of str
        Columns that it must have; it may have others.
    what : str
        What messages call the file, before its name.

    Raises
    ------
    RegistryError
        The file cannot be read, lacks a column, or a line has more or fewer fields than the header.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{what} {path.name} cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        found = [name.strip() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise RegistryError(f"{path.name} line {reader.line_num}: {error}") from error
    reader.fieldnames = found
    missing = [name for name in required if name not in found]
    if missing:
        raise RegistryError(
            f"{path.name} must have the columns {', '.join(required)}; "
            f"missing: {', '.join(missing)}"
        )
    lines = []
    try:
        for record in reader:
            where = f"{path.name} line {reader.line_num}"
            if None in record or None in record.values():
                raise RegistryError(f"{where}: expected {len(found)} fields, as the header has")
            fields = {name: value.strip() for name, value in record.items()}
            lines.append(Line(reader.line_num, where, fields))
    except csv.Error as error:
        raise RegistryError(f"{path.name} line {reader.line_num}: {error}") from error
    return lines
