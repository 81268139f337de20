"""Content of a row as 64 bits: whether two records with one seq say the same."""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import kernel, plain
from ingest.events import WIRE, Array, Batch

_PLACE: Final = frozenset({"instrument", "seq", "partition", "offset"})
"""What a redelivery may change, and what the comparison is already keyed by."""
_COLUMNS: Final = {
    name: (np.array(column.absent, column.dtype), i * 0x9E3779B97F4A7C15 % 2**64 | 1)
    for i, (name, column) in enumerate(WIRE.items(), start=1)
    if name not in _PLACE
}
"""Absent value and odd multiplier (multiples of 2**64 over the golden ratio) of each column."""
_ABSENT: Final = np.array([[int(absent)] for absent, _ in _COLUMNS.values()], np.int64)
_MULTIPLIER: Final = np.array([[multiplier] for _, multiplier in _COLUMNS.values()], np.uint64)
FEW: Final = 256
"""Rows up to which one matrix of all columns costs less than a call a column."""


def content(batch: Batch) -> Array:
    """Return one uint64 a row over its `WIRE` columns, but where it stood in the feed.

    Rows that differ in one field never agree; rows that differ in several agree by chance only,
    about once in 2**64. It is no defence against a feed built to deceive: then the first record
    with a seq stands, as for any duplicate. Codes go in as they are, so it is good within one
    table of names only. A column that is absent in all rows costs next to nothing.
    """
    if len(batch) <= FEW:
        return _content_of_few(batch)
    hashes = np.zeros(len(batch), np.uint64)
    for name, (absent, multiplier) in _COLUMNS.items():
        column = batch[name]
        if is_constant(column) and len(column) and column[0] == absent:
            continue
        signed = column.view(np.int64) if column.dtype == np.uint64 else column
        none = absent.view(np.int64) if column.dtype == np.uint64 else absent
        _add(plain(signed), np.int64(none), np.uint64(multiplier), hashes)
    return hashes


def _content_of_few(batch: Batch) -> Array:
    values = np.empty((len(_COLUMNS), len(batch)), np.int64)
    for row, name in zip(values, _COLUMNS, strict=True):
        row[:] = batch[name].view(np.int64) if batch[name].dtype == np.uint64 else batch[name]
    terms = (values ^ _ABSENT).view(np.uint64) * _MULTIPLIER
    terms ^= terms >> np.uint64(32)
    hashes: Array = terms.sum(axis=0, dtype=np.uint64)
    return hashes


def is_constant(column: Array) -> bool:
    """Return whether all values are equal; quick to say no."""
    if len(column) < 2:
        return True
    first = column[0]
    return bool(
        column[-1] == first and column[len(column) // 2] == first and (column == first).all()
    )


@kernel()
def _add(values, absent, multiplier, hashes):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        term = np.uint64(np.int64(values[i]) ^ absent) * multiplier
        hashes[i] += term ^ (term >> np.uint64(32))
