"""Axes of what summaries hold: it names its instruments, so only the choice of them changes."""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np

from ingest.axes import Entries
from ingest.errors import SnapshotError, SourceError
from ingest.events import Array, Batch, concatenate, empty
from ingest.instruments import Instrument, Instruments
from ingest.sections import Job
from ingest.signs import Sign
from ingest.summary import SUMMARY, decode_rows, encode_rows

SIGNS: Final = Entries(kind=Sign, place=attrgetter("instrument"))
"""Axis of a packed list of signs."""


class _Named(msgspec.Struct):
    instruments: tuple[str, ...]


class SummaryRows(msgspec.Struct, frozen=True):
    """Rows that `encode_rows` took; those of an instrument come out together, in their order."""

    def join(self, name: str, job: Job) -> Array:
        """Return the rows of the wanted instruments."""
        onto, found = job.onto.instruments, []
        for each in job.slices:
            rows = _decoded(name, each.snapshot[name])
            wanted = job.wanted(each)
            names = [row.instrument for row in rows.instruments.rows]
            codes = np.array([wanted.get(name, -1) for name in names], np.int32)
            new = codes[rows["instrument"]]
            kept = np.flatnonzero(new >= 0)
            kept = kept[np.argsort(new[kept], kind="stable")]
            taken = rows.take(kept)
            columns = {column: taken[column] for column in taken.names}
            if len(kept):
                found.append(Batch({**columns, "instrument": new[kept]}, onto, raw=taken.raw))
            elif not found:
                nothing = Batch(empty(SUMMARY), onto, raw=taken.raw)
        if len({each.raw is None for each in found}) > 1:
            raise SnapshotError(f"{name}: expected raw records in all snapshots or in none")
        joined = concatenate(found) if found else nothing
        order = np.argsort(joined["instrument"], kind="stable")
        return np.frombuffer(encode_rows(joined.take(order)), np.uint8)


def _decoded(name: str, encoded: Array) -> Batch:
    """Return rows over a table of just the instruments that they name."""
    data = encoded.tobytes()
    try:
        named = msgspec.msgpack.decode(data, type=_Named).instruments
        one = Decimal(1)
        table = Instruments(
            Instrument(instrument=each, base="", quote="", kind="spot", tick_size=one, lot_size=one)
            for each in named
        )
        return decode_rows(data, table)
    except (msgspec.MsgspecError, SourceError) as error:
        raise SnapshotError(f"{name}: {error}") from error
