"""Files of a tape as a window writes them: records in their bytes, and the tables beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from ingest.events import Topic
from ingest.instruments import Instrument, Instruments
from ingest.registry import RegistryRow, format_time

ACCOUNTS: Final = (
    "account",
    "owner",
    "legal_entity",
    "role",
    "valid_from",
    "valid_to",
    "group",
    "desk",
    "lei",
    "linked_to",
)
FILES: Final[Mapping[Topic, str]] = {Topic.ORDERS: "orders", Topic.TRADES: "trades"}


class TapeWriter:
    """The record files of a tape that is being written; late ones appear when there are any.

    Parameters
    ----------
    folder : Path
        It is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self.reflowed = 0
        """Records whose line breaks became spaces."""

    def __enter__(self) -> TapeWriter:
        for stem in FILES.values():
            self._file(f"{stem}.ndjson")
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def write(self, topic: Topic, raws: pl.Series, *, late: bool) -> None:
        """Append records, one a line."""
        if not len(raws):
            return
        lines = raws.to_list()
        for i, line in enumerate(lines):
            if b"\n" in line or b"\r" in line:
                # In JSON a line break stands between tokens only, where a space says the same.
                lines[i] = line.replace(b"\n", b" ").replace(b"\r", b" ")
                self.reflowed += 1
        name = f"{'late-' if late else ''}{FILES[topic]}.ndjson"
        self._file(name).write(b"\n".join(lines) + b"\n")

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._files[name] = (self._folder / name).open("wb")
        return self._files[name]


def accounts_csv(rows: Collection[RegistryRow]) -> bytes:
    """Return rows of the register as accounts.csv, which gives the same version when read."""
    return _table(
        ACCOUNTS,
        [
            (
                row.account,
                row.owner,
                row.legal_entity,
                row.role.name.lower(),
                format_time(row.valid_from_ns),
                format_time(row.valid_to_ns),
                row.group,
                row.desk,
                row.lei,
                row.linked_to,
            )
            for row in sorted(rows, key=lambda row: (row.account, row.valid_from_ns))
        ],
    )


def instruments_csv(instruments: Instruments) -> bytes:
    """Return a table of instruments as instruments.csv."""
    names = Instrument.__struct_fields__
    return _table(names, [[str(getattr(row, name)) for name in names] for row in instruments.rows])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
