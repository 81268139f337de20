"""Helpers of the archive's tests: instruments, files, and what of a venue's records is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

from alerts.archive import Archive
from detectors.base import Ref
from ingest.instruments import Instrument, Instruments
from tests.support.alerts import batch, record


def table_of(names: Iterable[str]) -> Instruments:
    """Instruments of given names, alike but for that."""
    return Instruments(
        Instrument(
            instrument=name,
            base="X",
            quote="USD",
            kind="spot",
            tick_size=Decimal("0.5"),
            lot_size=Decimal("0.001"),
        )
        for name in names
    )


def fill(archive: Archive, table: Instruments, first: int, last: int, *, code=0, size=10) -> None:
    """Append records of consecutive seqs, in batches."""
    for start in range(first, last + 1, size):
        archive.append(batch(table, range(start, min(start + size, last + 1)), code))


def seqs(archive: Archive, wanted: Iterable[int], code: int = 0) -> list[int]:
    """Which seqs are there; each must be the record that went in."""
    found = archive.fetch([Ref(code, seq) for seq in wanted])
    assert all(found[ref].seq == ref.seq for ref in found)
    assert all(found[ref].raw == record(ref.seq, found[ref].instrument) for ref in found)
    return sorted(ref.seq for ref in found)


def parts(folder: Path, top: str = "**") -> Sequence[str]:
    """Paths of Parquet files, by name."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.glob(f"{top}/*.parquet"))


def old(path: Path) -> None:
    """Make a file look written long ago: what is being written now is not yet called damaged."""
    os.utime(path, (1_600_000_000, 1_600_000_000))
