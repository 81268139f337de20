"""How long a tape is: from its first to its last event, without reading what lies between."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from ingest.errors import TapeError
from ingest.tape import Tape

END_BYTES: Final = 1 << 20
"""Read at either end of a file: some thousands of records, so that a few bad ones do not matter."""


class _Timed(msgspec.Struct):
    engine_ns: int


def span(tape: Path) -> tuple[int, int]:
    """Return the earliest and the latest engine_ns of a tape, ns.

    Of ndjson only the ends are read, where a recording has its first and last events; bad records
    are passed over. Of Parquet the whole column is.

    Raises
    ------
    TapeError
        The tape cannot be read, or holds no event with a time.
    """
    times = [at for path in Tape(tape).files.values() for at in _ends(path)]
    if not times:
        raise TapeError(f"a tape to be scored must hold an event with engine_ns, {tape} does not")
    return min(times), max(times)


def _ends(path: Path) -> Iterable[int]:
    try:
        if path.suffix == ".parquet":
            column = pl.scan_parquet(path).select(
                pl.col("engine_ns").min().alias("first"), pl.col("engine_ns").max().alias("last")
            )
            return [int(at) for at in column.collect().row(0) if at is not None]
        with path.open("rb") as file:
            head = file.read(END_BYTES)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - END_BYTES))
            tail = file.read()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TapeError(f"{path.name} cannot be read: {error}") from error
    return [at for part in (head, tail) for line in part.split(b"\n") for at in _time(line)]


def _time(line: bytes) -> Iterable[int]:
    try:
        return (msgspec.json.decode(line, type=_Timed).engine_ns,)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
