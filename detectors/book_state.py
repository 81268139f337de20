"""The book's state as arrays, and back: compact, free of addresses, sectioned by instrument."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.book_compile import compiled_apart
from detectors.book_layout import (
    BIG,
    BOOK,
    BOOK_FIELDS,
    BOOK_WORDS,
    DISPLAY,
    END,
    F_FILLS,
    F_FIRST,
    F_LAST,
    F_ORDER,
    FILL_FIELDS,
    FILL_NEXT,
    HEADER,
    HI,
    INDEX_AT,
    INDEX_SIZE,
    LEVEL,
    LO,
    NEXT,
    NONE,
    ORDER_FIELDS,
    ORDERS_LIVE,
    PARKED,
    PASSED_WORDS,
    PREV,
    PRICE,
    PRIORITY,
    SESSION,
    SIDE,
    SMALL,
    SMALL_FREE,
    new_memory,
)
from detectors.book_table import (
    add_level,
    add_order,
    enlarge_index,
    find_level,
    key_of,
    list_of,
    push,
    take_words,
)
from ingest.axes import ByCode, Rows
from ingest.errors import SnapshotError
from ingest.events import NO_CODE, PASSED_MOST, Array
from ingest.sections import Layout
from ingest.state import Snapshot

IN_BOOK, WAITING, FLYING = 0, 1, 2
FILL_INSTRUMENT: Final = FILL_NEXT
"""Where a saved fill has its instrument's code: in place of the link that it then does not have."""
LAYOUT: Final[Layout] = {
    "books": ByCode(),
    "orders": Rows("orders", column=BOOK),
    "fills": Rows("fills", column=FILL_INSTRUMENT),
}


def room_for(m: Array, book: int) -> Array:
    """Return the memory with room for the next record of an instrument: longer, or as it was."""
    crowded = 2 * (m[ORDERS_LIVE] + 1) > m[INDEX_SIZE]
    need = m[END] + BIG * 4 + 4 * SMALL + 2 * PASSED_MOST * PASSED_WORDS * m[book + F_FILLS]
    need += 2 * m[INDEX_SIZE] if crowded else 0
    if need > len(m):
        grown = np.zeros(max(2 * len(m), int(need)), dtype=np.int64)
        grown[: len(m)] = m
        m = grown
    if crowded:
        enlarge_index(m)
    return m


def parts(m: Array, instruments: int) -> Array:
    """Return the instruments' own fields, one row each: a view."""
    block = m[HEADER : HEADER + instruments * BOOK_WORDS].reshape(instruments, BOOK_WORDS)
    return block[:, :BOOK_FIELDS]


def live_orders(m: Array) -> Array:
    """Return all live orders, one row each, by instrument and order of joining.

    Links are zero; BOOK holds the instrument code, and LEVEL says where the order is: in the book,
    waiting outside it, in flight.
    """
    index = m[m[INDEX_AT] : m[INDEX_AT] + m[INDEX_SIZE]]
    at = index[index != 0] & 0xFFFFFFFF
    found = m[at[:, None] + np.arange(ORDER_FIELDS)]
    level = found[:, LEVEL]
    waiting = level == found[:, BOOK] + PARKED
    found[:, LEVEL] = np.where(level == NONE, FLYING, np.where(waiting, WAITING, IN_BOOK))
    found[:, BOOK] = (found[:, BOOK] - HEADER) // BOOK_WORDS
    found[:, [NEXT, PREV]] = 0
    # The order in flight has joined no queue yet: whatever priority it once had, it stands last.
    flying = found[:, LEVEL] == FLYING
    order = np.lexsort((found[:, PRIORITY], flying, found[:, BOOK]))
    return np.ascontiguousarray(found[order])


def save(m: Array, instruments: int) -> Snapshot:
    """Return the memory's content as three arrays, none of them shared with it."""
    books = parts(m, instruments).copy()
    fills = []
    for instrument in np.flatnonzero(books[:, F_FILLS]):
        fill = books[instrument, F_FIRST]
        while fill != NONE:
            fills.append(m[fill : fill + FILL_FIELDS].copy())
            fills[-1][FILL_INSTRUMENT] = instrument
            fill = m[fill + FILL_NEXT]
    kept = np.array(fills, dtype=np.int64).reshape(-1, FILL_FIELDS)
    books[:, [F_ORDER, F_FIRST, F_LAST]] = 0
    return {"books": books, "orders": live_orders(m), "fills": kept}


@compiled_apart
def load_orders(m: Array, saved: Array) -> None:
    """Put saved orders back, queue by queue in the order of joining."""
    for row in range(len(saved)):
        book, place = HEADER + saved[row, BOOK] * BOOK_WORDS, saved[row, LEVEL]
        order = add_order(m, book, saved[row, HI], saved[row, LO])
        for field in range(ORDER_FIELDS):
            m[order + field] = saved[row, field]
        m[order + BOOK], m[order + LEVEL] = book, NONE
        if place == FLYING:
            m[book + F_ORDER] = order
        elif place == WAITING:
            push(m, order, book + PARKED)
        else:
            side = saved[row, SIDE]
            head = list_of(book, side, saved[row, DISPLAY] == 0)
            key = key_of(side, saved[row, PRICE])
            level = find_level(m, head, key)
            if level == NONE:
                level = add_level(m, head, key)
            push(m, order, level)


@compiled_apart
def load_fills(m: Array, saved: Array, instruments: int) -> None:
    """Put saved fills back, each instrument's in their order."""
    row = 0
    for instrument in range(instruments):
        book = HEADER + instrument * BOOK_WORDS
        for _ in range(m[book + F_FILLS]):
            fill = take_words(m, SMALL_FREE, SMALL)
            for field in range(FILL_FIELDS):
                m[fill + field] = saved[row, field]
            m[fill + FILL_NEXT] = NONE
            if m[book + F_FIRST] == NONE:
                m[book + F_FIRST] = fill
            else:
                m[m[book + F_LAST] + FILL_NEXT] = fill
            m[book + F_LAST] = fill
            row += 1


def _with_logins(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose orders have a session and a user: older ones have none, unknown."""
    orders = snapshot.get("orders")
    if orders is None or orders.ndim != 2 or orders.shape[1] != SESSION:
        return snapshot
    unknown = np.full((len(orders), ORDER_FIELDS - SESSION), NO_CODE, np.int64)
    return {**snapshot, "orders": np.concatenate([orders, unknown], axis=1)}


def load(snapshot: Snapshot, instruments: int) -> Array:
    """Return a memory with a snapshot's content.

    Raises
    ------
    SnapshotError
        An array is missing or has another shape than this version writes.
    """
    snapshot = _with_logins(snapshot)
    shapes = {"books": BOOK_FIELDS, "orders": ORDER_FIELDS, "fills": FILL_FIELDS}
    for name, width in shapes.items():
        found = snapshot[name].shape if name in snapshot else "none"
        if name not in snapshot or snapshot[name].ndim != 2 or snapshot[name].shape[1] != width:
            raise SnapshotError(f"book snapshot needs {name} of {width} columns, found {found}")
    books, fills = snapshot["books"], snapshot["fills"]
    if len(books) != instruments:
        raise SnapshotError(
            f"book snapshot holds {len(books)} instruments, the table lists {instruments}"
        )
    if books[:, F_FILLS].sum() != len(fills):
        raise SnapshotError(
            f"book snapshot needs {books[:, F_FILLS].sum()} fills, found {len(fills)}"
        )
    orders = np.ascontiguousarray(snapshot["orders"], dtype=np.int64)
    m = new_memory(instruments, 2 * (len(orders) + len(fills)) + 16)
    parts(m, instruments)[:] = books
    load_orders(m, orders)
    load_fills(m, np.ascontiguousarray(fills, dtype=np.int64), instruments)
    return m
