"""Order records: what each does to the book, and what is said of the order it names."""

from __future__ import annotations

from detectors.book_compile import compiled, compiled_apart
from detectors.book_flight import (
    crosses,
    never_rests,
    park,
    refreshed,
    remove,
    rest,
    take_off,
)
from detectors.book_layout import (
    A_CLIENT_AT_PRICE,
    A_ENTRY_RECEIVED_NS,
    A_ENTRY_SEQ,
    A_LEAVES_BEFORE,
    A_LIFETIME_NS,
    A_QUEUE_AHEAD,
    ACCOUNT,
    BOOK,
    CLIENT_LOTS,
    DISPLAY,
    E_ACCOUNT,
    E_BOOK,
    E_DISPLAY,
    E_ENGINE_NS,
    E_KIND,
    E_LEAVES,
    E_ORDER_HI,
    E_ORDER_LO,
    E_ORIGINATOR,
    E_OWNER,
    E_PRICE,
    E_QUANTITY,
    E_REASON,
    E_RECEIVED_NS,
    E_REPLACES_HI,
    E_REPLACES_LO,
    E_ROLE,
    E_SEQ,
    E_SESSION,
    E_SIDE,
    E_TIF,
    E_TYPE,
    E_USER,
    ENTRY_NS,
    ENTRY_RECEIVED,
    ENTRY_SEQ,
    F_ORDER,
    FILLED,
    FLIGHT,
    LEAVES,
    LEVEL,
    LIVE,
    LOTS,
    NONE,
    ORIGINATOR,
    OWNER,
    PARKED,
    PHASE,
    PRICE,
    ROLE,
    SESSION,
    SHOWN,
    SIDE,
    TIF,
    TYPE,
    USER,
)
from detectors.book_passed import (
    judge,
)
from detectors.book_table import (
    add_order,
    find_order,
    level_at,
    lots_ahead,
    show,
    unlink,
)
from ingest.events import Array

# Plain numbers of the vocabulary; kernels fold them in.
_MARKET = 2
_NULL = -(2**63)
_REPLACE = 1
_TRIGGER = 5
_BOOK = 7
_LIMIT = 1
_STOP = 3
_STOP_LIMIT = 4
_STP = 5
_AGREES = 0
_UNKNOWN_ORDER = 1
_LEAVES_MISMATCH = 2
_DUPLICATE_ORDER = 4
_REJECT = 3
_NEW = 0


@compiled
def describe(m: Array, order: int, engine_ns: int) -> None:
    """Write what is known of a live order as it stands, before the record touches it."""
    m[A_ENTRY_SEQ] = m[order + ENTRY_SEQ]
    m[A_ENTRY_RECEIVED_NS] = m[order + ENTRY_RECEIVED]
    m[A_LIFETIME_NS] = engine_ns - m[order + ENTRY_NS]
    m[A_LEAVES_BEFORE] = m[order + LEAVES]
    book, level = m[order + BOOK], m[order + LEVEL]
    if level == book + PARKED or m[order + PRICE] == _NULL:
        return
    shown = level
    if level == NONE or m[order + DISPLAY] == 0:
        shown = level_at(m, book, m[order + SIDE], m[order + PRICE])
    if shown != NONE:
        m[A_CLIENT_AT_PRICE] = m[shown + CLIENT_LOTS]
    if level == NONE:
        return
    if m[order + DISPLAY] == 0:
        m[A_QUEUE_AHEAD] = m[shown + LOTS] if shown != NONE else 0
    else:
        m[A_QUEUE_AHEAD] = lots_ahead(m, order)


@compiled
def describe_joining(m: Array, order: int) -> None:
    """Write the queue that an order finds at its price, itself not yet in it."""
    m[A_QUEUE_AHEAD] = _NULL
    m[A_CLIENT_AT_PRICE] = 0
    if m[order + TYPE] in (_STOP, _STOP_LIMIT) or m[order + PRICE] == _NULL:
        return
    book, side = m[order + BOOK], m[order + SIDE]
    level = level_at(m, book, side, m[order + PRICE])
    if level != NONE:
        m[A_CLIENT_AT_PRICE] = m[level + CLIENT_LOTS]
    if not never_rests(m, order):
        m[A_QUEUE_AHEAD] = m[level + LOTS] if level != NONE else 0


@compiled
def place(m: Array, order: int) -> None:
    """Send an order where it goes: into flight, to rest, or to wait outside the book."""
    book = m[order + BOOK]
    m[order + ENTRY_SEQ], m[order + ENTRY_NS] = m[E_SEQ], m[E_ENGINE_NS]
    m[order + ENTRY_RECEIVED] = m[E_RECEIVED_NS]
    describe_joining(m, order)
    # One flight at a time: what stp moves while an order is in flight only rests.
    open_now = m[book + PHASE] == 0 and m[book + FLIGHT] == 0
    trading = open_now and m[E_KIND] != _BOOK
    if m[order + TYPE] in (_STOP, _STOP_LIMIT):
        park(m, order)
    elif never_rests(m, order):
        if trading:
            take_off(m, order)
        else:
            park(m, order)
    elif trading and crosses(m, book, m[order + SIDE], m[order + PRICE]):
        take_off(m, order)
    else:
        rest(m, order)


@compiled
def released(type_: int) -> int:
    """Return what a stop becomes once triggered; any other type is itself."""
    if type_ == _STOP:
        return _MARKET
    return _LIMIT if type_ == _STOP_LIMIT else type_


@compiled
def enter(m: Array) -> int:
    """Take in an order that is not live: new, restated, or amended though never seen."""
    book, kind = m[E_BOOK], m[E_KIND]
    quantity, leaves = m[E_QUANTITY], m[E_LEAVES]
    conflict = _AGREES
    if leaves == _NULL:
        leaves = quantity
    elif kind == _NEW and quantity not in (_NULL, leaves):
        conflict = _LEAVES_MISMATCH
    if leaves == _NULL or leaves <= 0 or m[E_SIDE] == 0:
        return _LEAVES_MISMATCH
    order = add_order(m, book, m[E_ORDER_HI], m[E_ORDER_LO])
    m[book + LIVE] += 1
    m[order + LEAVES] = leaves
    m[order + FILLED] = 0 if quantity == _NULL else max(quantity - leaves, 0)
    m[order + PRICE], m[order + DISPLAY] = m[E_PRICE], m[E_DISPLAY]
    m[order + SIDE], m[order + TIF] = m[E_SIDE], m[E_TIF]
    m[order + TYPE] = m[E_TYPE] if m[E_TYPE] != 0 else _LIMIT
    if kind == _TRIGGER:
        m[order + TYPE] = released(m[order + TYPE])
    m[order + ROLE], m[order + ACCOUNT] = m[E_ROLE], m[E_ACCOUNT]
    m[order + OWNER], m[order + ORIGINATOR] = m[E_OWNER], m[E_ORIGINATOR]
    m[order + SESSION], m[order + USER] = m[E_SESSION], m[E_USER]
    place(m, order)
    return conflict


@compiled
def new(m: Array) -> int:
    """Apply `new` or `book`; the id it replaces, and one it duplicates, leave in the same step."""
    book, engine_ns = m[E_BOOK], m[E_ENGINE_NS]
    conflict = _AGREES
    old = NONE
    if m[E_REPLACES_HI] != 0 or m[E_REPLACES_LO] != 0:
        old = find_order(m, book, m[E_REPLACES_HI], m[E_REPLACES_LO])
        if old == NONE:
            conflict = _UNKNOWN_ORDER
        else:
            describe(m, old, engine_ns)
            remove(m, old)
    if old == NONE:
        m[A_ENTRY_SEQ] = m[E_SEQ]
        m[A_ENTRY_RECEIVED_NS] = m[E_RECEIVED_NS]
        m[A_LIFETIME_NS] = 0
        m[A_LEAVES_BEFORE] = 0
    twin = find_order(m, book, m[E_ORDER_HI], m[E_ORDER_LO])
    if twin != NONE:
        conflict = _DUPLICATE_ORDER
        remove(m, twin)
    entered = enter(m)
    return conflict if conflict != _AGREES else entered


@compiled
def end(m: Array, order: int) -> None:
    """Take an order away; if it was the one in flight, its flight is over and judged."""
    book = m[order + BOOK]
    if m[book + F_ORDER] == order:
        judge(m, book)
        m[book + FLIGHT] = 0
    remove(m, order)


@compiled
def amend(m: Array, order: int) -> int:
    """Apply `replace` to a live order: it keeps its place when only its quantity falls."""
    book = m[order + BOOK]
    describe(m, order, m[E_ENGINE_NS])
    before, filled = m[order + LEAVES], m[order + FILLED]
    quantity, leaves = m[E_QUANTITY], m[E_LEAVES]
    conflict = _AGREES
    if leaves == _NULL:
        leaves = before if quantity == _NULL else max(quantity - filled, 0)
    else:
        # Self-trade prevention takes open quantity away and may leave the total as it was.
        taken = m[E_REASON] == _STP and quantity == filled + before and leaves <= before
        if quantity not in (_NULL, filled + leaves) and not taken:
            conflict = _LEAVES_MISMATCH
            m[order + FILLED] = max(quantity - leaves, 0)
    if leaves <= 0:
        end(m, order)
        return conflict
    if m[book + F_ORDER] == order:
        m[order + LEAVES] = leaves
        return conflict
    waiting = m[order + LEVEL] == book + PARKED
    price = m[E_PRICE] if m[E_PRICE] != _NULL else m[order + PRICE]
    tif = m[E_TIF] if m[E_TIF] != 0 else m[order + TIF]
    type_ = m[E_TYPE] if m[E_TYPE] != 0 else m[order + TYPE]
    if not waiting:
        type_ = released(type_)
    same = (
        price == m[order + PRICE]
        and (tif == m[order + TIF] or m[order + TIF] == 0)  # what was not said is no change
        and type_ == m[order + TYPE]
        and m[E_DISPLAY] == m[order + DISPLAY]
    )
    if same and leaves < before:
        m[order + LEAVES] = leaves
        shown = min(m[order + SHOWN], leaves)
        show(m, order, shown - m[order + SHOWN])
        m[order + SHOWN] = shown
        return conflict
    unlink(m, order)
    refreshed(m, order)
    m[order + LEAVES], m[order + PRICE] = leaves, price
    m[order + TIF], m[order + TYPE] = tif, type_
    m[order + DISPLAY] = m[E_DISPLAY]
    place(m, order)
    return conflict


@compiled_apart
def trigger(m: Array, order: int) -> int:
    """Apply `trigger`: the stop becomes a market or limit order, with priority from here."""
    describe(m, order, m[E_ENGINE_NS])
    conflict = _AGREES
    leaves = m[E_LEAVES]
    if leaves != _NULL and leaves != m[order + LEAVES]:
        conflict = _LEAVES_MISMATCH
        m[order + LEAVES] = leaves
    if m[order + LEAVES] <= 0:
        end(m, order)
        return conflict
    unlink(m, order)
    refreshed(m, order)
    m[order + TYPE] = released(m[order + TYPE])
    if m[E_PRICE] != _NULL:
        m[order + PRICE] = m[E_PRICE]
    place(m, order)
    return conflict


@compiled
def withdraw(m: Array, order: int) -> int:
    """Apply `cancel` or `expire`."""
    describe(m, order, m[E_ENGINE_NS])
    end(m, order)
    return _LEAVES_MISMATCH if m[E_LEAVES] not in (_NULL, 0) else _AGREES


@compiled_apart
def refuse(m: Array, order: int) -> int:
    """Apply `reject`: it ends the order in flight (a post-only that would have traded), no other.

    A refused new order was never live, and a refused amendment leaves its order as it stands.
    """
    if order != NONE:
        describe(m, order, m[E_ENGINE_NS])
        if m[m[E_BOOK] + F_ORDER] == order:
            end(m, order)
    return _AGREES


@compiled
def order_record(m: Array) -> int:
    """Apply a new, replace, cancel, reject, expire, trigger or book record; return its conflict."""
    book, kind = m[E_BOOK], m[E_KIND]
    hi, lo = m[E_ORDER_HI], m[E_ORDER_LO]
    rejected = kind == _REJECT
    if hi == 0 and lo == 0:
        return _AGREES if rejected else _UNKNOWN_ORDER
    if kind in (_NEW, _BOOK):
        return new(m)
    order = find_order(m, book, hi, lo)
    if rejected:
        return refuse(m, order)
    if order == NONE:
        if kind in (_REPLACE, _TRIGGER):
            enter(m)
        return _UNKNOWN_ORDER
    if kind == _REPLACE:
        return amend(m, order)
    return trigger(m, order) if kind == _TRIGGER else withdraw(m, order)
