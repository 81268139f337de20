"""Rows of numbers in kernels."""

from __future__ import annotations

from ingest.compiled import kernel
from ingest.events import Array


@kernel(inline="always")
def write(row: Array, values: Array) -> None:
    """Write values into a row that is as long, and does not overlap with them.

    Said as `row[:] = values` it would be an error in a kernel: numba makes room for a copy.
    """
    for place in range(len(values)):
        row[place] = values[place]
