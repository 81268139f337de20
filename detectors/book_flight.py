"""Orders in the book and in flight: joining, leaving, being filled.

An incoming order is in flight from its record until its remainder rests.
"""

from __future__ import annotations

from detectors.book_compile import compiled
from detectors.book_layout import (
    A_ASK_LOTS,
    A_BEST_ASK,
    A_BEST_BID,
    A_BID_LOTS,
    ACCOUNT,
    BOOK,
    DISPLAY,
    DOUBT,
    ENTRY_SEQ,
    F_ACCOUNT,
    F_ASK,
    F_ASK_LOTS,
    F_BID,
    F_BID_LOTS,
    F_COVERAGE,
    F_HI,
    F_LO,
    F_ORDER,
    F_OWNER,
    F_SEQ,
    F_SIDE,
    FILLED,
    FLIGHT,
    GAP_SEQ,
    HI,
    KEY,
    LEAVES,
    LEVEL,
    LINKS,
    LIVE,
    LO,
    NEXT_PRIORITY,
    NONE,
    OWNER,
    PARKED,
    PRICE,
    PRIORITY,
    SHOWN,
    SIDE,
    STALE,
    TIF,
    TYPE,
)
from detectors.book_passed import (
    judge,
)
from detectors.book_table import (
    add_level,
    find_level,
    free_order,
    key_of,
    list_of,
    push,
    show,
    unlink,
)
from ingest.events import Array

# Plain numbers of the vocabulary; kernels fold them in.
_MARKET = 2
_IOC = 2
_FOK = 3
_NULL = -(2**63)


@compiled
def best(m: Array, book: int, side: int) -> int:
    """Return the address of a side's best displayed level, or NONE."""
    return int(m[list_of(book, side, False) + LINKS])


@compiled
def crosses(m: Array, book: int, side: int, price: int) -> bool:
    """Return whether an order at a price could trade, hidden orders included."""
    bound = key_of(-side, price)
    shown = m[list_of(book, -side, False) + LINKS]
    hidden = m[list_of(book, -side, True) + LINKS]
    return bool(
        (shown != NONE and m[shown + KEY] <= bound) or (hidden != NONE and m[hidden + KEY] <= bound)
    )


@compiled
def take_priority(m: Array, order: int) -> None:
    """Give an order the next place in its instrument's order of joining."""
    book = m[order + BOOK]
    m[book + NEXT_PRIORITY] += 1
    m[order + PRIORITY] = m[book + NEXT_PRIORITY]


@compiled
def rest(m: Array, order: int) -> None:
    """Put an order at the back of the queue at its price."""
    book, side = m[order + BOOK], m[order + SIDE]
    display = m[order + DISPLAY]
    leaves = m[order + LEAVES]
    m[order + SHOWN] = leaves if display == _NULL else min(display, leaves)
    head = list_of(book, side, display == 0)
    key = key_of(side, m[order + PRICE])
    level = find_level(m, head, key)
    if level == NONE:
        level = add_level(m, head, key)
    take_priority(m, order)
    push(m, order, level)


@compiled
def park(m: Array, order: int) -> None:
    """Keep an order live outside the book: an untriggered stop, a market order in an auction."""
    book = m[order + BOOK]
    m[order + SHOWN] = 0
    take_priority(m, order)
    push(m, order, book + PARKED)


@compiled
def never_rests(m: Array, order: int) -> bool:
    """Return whether an order's remainder must not rest: market, IOC, FOK, no price."""
    tif = m[order + TIF]
    return bool(m[order + TYPE] == _MARKET or m[order + PRICE] == _NULL or tif in (_IOC, _FOK))


@compiled
def refreshed(m: Array, order: int) -> None:
    """Count off an order from before a gap that is gone or restated."""
    book = m[order + BOOK]
    if m[order + ENTRY_SEQ] < m[book + GAP_SEQ]:
        m[book + STALE] -= 1
        if m[book + STALE] == 0:
            m[book + DOUBT] = 0


@compiled
def remove(m: Array, order: int) -> None:
    """Take a live order away altogether."""
    if m[order + LEVEL] != NONE:
        unlink(m, order)
    refreshed(m, order)
    book = m[order + BOOK]
    m[book + LIVE] -= 1
    if m[book + F_ORDER] == order:
        m[book + F_ORDER] = NONE
    free_order(m, order)


@compiled
def reduce(m: Array, order: int, lots: int) -> bool:
    """Fill part of an order; return whether more was filled than it had open."""
    leaves = m[order + LEAVES]
    if lots >= leaves:
        remove(m, order)
        return bool(lots > leaves)
    m[order + LEAVES] -= lots
    m[order + FILLED] += lots
    book = m[order + BOOK]
    level = m[order + LEVEL]
    if level == NONE or level == book + PARKED or m[order + DISPLAY] == 0:
        return False
    if lots < m[order + SHOWN]:
        show(m, order, -lots)
        m[order + SHOWN] -= lots
    else:
        # The shown part is gone: a new tranche queues last.
        unlink(m, order)
        rest(m, order)
    return False


@compiled
def freeze_touch(m: Array, book: int) -> None:
    """Keep a row's best prices for the trades of the flight that begins with it."""
    m[book + F_BID], m[book + F_ASK] = m[A_BEST_BID], m[A_BEST_ASK]
    m[book + F_BID_LOTS] = m[A_BID_LOTS]
    m[book + F_ASK_LOTS] = m[A_ASK_LOTS]


@compiled
def take_off(m: Array, order: int) -> None:
    """Begin an order's flight; its trades see the touch as this record found it."""
    book = m[order + BOOK]
    m[order + SHOWN] = 0
    m[book + FLIGHT], m[book + F_ORDER] = 1, order
    m[book + F_HI], m[book + F_LO] = m[order + HI], m[order + LO]
    m[book + F_SEQ] = m[order + ENTRY_SEQ]
    m[book + F_ACCOUNT] = m[order + ACCOUNT]
    m[book + F_OWNER] = m[order + OWNER]
    m[book + F_SIDE] = m[order + SIDE]
    m[book + F_COVERAGE] = 0
    freeze_touch(m, book)


@compiled
def land(m: Array, book: int) -> bool:
    """End the flight: judge it and let its remainder rest; return whether that crosses the book."""
    judge(m, book)
    order = m[book + F_ORDER]
    m[book + FLIGHT] = 0
    m[book + F_ORDER] = NONE
    if order == NONE:
        return False
    if never_rests(m, order):
        remove(m, order)
        return False
    crossed = crosses(m, book, m[order + SIDE], m[order + PRICE])
    rest(m, order)
    return crossed
