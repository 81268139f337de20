"""Where in its rings quote_fading finds a time, without a search.

A placebo window is looked up at five times, and a client's order draws up to 256 of them. So time
is cut into cells, and of each it is kept with which row it begins: from there it is a step or two.
All of this follows from the rings: it is no state, is brought up to date where it is asked, and is
made anew after a restore.
"""

from __future__ import annotations

from typing import Final

from detectors.fading_state import E_LOTS, E_SIDE, EVENTS, STATES
from ingest.compiled import kernel
from ingest.events import Array

CELLS: Final = 1024
"""Cells kept, the latest; a power of two, as the rings are."""
ROOM: Final = max(STATES, EVENTS)
OF_STATES, OF_EVENTS = range(2)
"""The two rings, as the index tells them apart."""
# Of a ring: rows that are in the index, and the first cell of which the row is not known.
I_ROWS, I_CELL = range(2)

INDEX_SHAPES: Final = ((2, 2), (2, CELLS), (2, ROOM), (2, EVENTS))
"""Of an instrument: how far the index goes, the row that each cell begins with, the rows' times,
and of each event the latest fill up to it (-1 = none), of buyers' and of sellers' orders."""


def cell_shift(span_ns: int) -> int:
    """Return as what power of two a cell is long, ns, for times up to `span_ns` back to be found.

    >>> cell_shift(67_000_000_000), 2**26
    (26, 67108864)
    """
    return (span_ns // (CELLS - 2)).bit_length()


@kernel(inline="always")
def reach(  # noqa: PLR0917
    heads: Array, cells: Array, x: int, ring: int, cell: int, number: int
) -> None:
    """Write that the cells up to one begin with a row, where nothing is known of them."""
    known = heads[x, ring, I_CELL]
    if cell >= known:
        for new in range(max(known, cell - CELLS + 1), cell + 1):
            cells[x, ring, new & (CELLS - 1)] = number
        heads[x, ring, I_CELL] = cell + 1


@kernel(inline="always")
def index_rows(  # noqa: PLR0917
    heads: Array, cells: Array, times: Array, rows: Array, x: int, ring: int, room: int, count: int,
    ns: int, shift: int,
) -> None:  # fmt: skip
    """Take the rows of a ring that came into the index, so that times up to `ns` can be found.

    `ns` is the time of the record at hand: no row that comes later is of before it.
    """
    for number in range(max(heads[x, ring, I_ROWS], count - room), count):
        at_ns = rows[x, number & (room - 1), 0]
        times[x, ring, number & (ROOM - 1)] = at_ns
        reach(heads, cells, x, ring, at_ns >> shift, number)
    heads[x, ring, I_ROWS] = count
    reach(heads, cells, x, ring, ns >> shift, count)


@kernel(inline="always")
def index_states(  # noqa: PLR0917
    heads: Array, cells: Array, times: Array, states: Array, x: int, count: int, ns: int, shift: int
) -> None:
    """Take the states that came into the index."""
    index_rows(heads, cells, times, states, x, OF_STATES, STATES, count, ns, shift)


@kernel(inline="always")
def index_events(  # noqa: PLR0917
    heads: Array, cells: Array, times: Array, fills: Array, events: Array, x: int, count: int,
    ns: int, shift: int,
) -> None:  # fmt: skip
    """Take the events that came into the index, and chain the fills among them."""
    for number in range(max(heads[x, OF_EVENTS, I_ROWS], count - EVENTS), count):
        at, before = number & (EVENTS - 1), (number - 1) & (EVENTS - 1)
        for place in range(2):
            fills[x, place, at] = fills[x, place, before] if number > 0 else -1
        if events[x, at, E_LOTS] == 0:
            fills[x, 0 if events[x, at, E_SIDE] > 0 else 1, at] = number
    index_rows(heads, cells, times, events, x, OF_EVENTS, EVENTS, count, ns, shift)


@kernel(inline="always")
def above(  # noqa: PLR0917
    cells: Array, times: Array, x: int, ring: int, low: int, count: int, ns: int, shift: int
) -> int:
    """Return the number of the first row of a ring whose time is above `ns`; `count` when none.

    `low` is the number of the oldest row that the ring holds.
    """
    at = max(low, cells[x, ring, (ns >> shift) & (CELLS - 1)])
    while at < count and times[x, ring, at & (ROOM - 1)] <= ns:
        at += 1
    return int(at)
