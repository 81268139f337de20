"""The replay: one pass over rows of order and trade records, by the matching semantics."""

from __future__ import annotations

from detectors.book_compile import compiled, compiled_apart
from detectors.book_flight import (
    best,
    land,
    remove,
)
from detectors.book_layout import (
    A_ASK_LOTS,
    A_BEST_ASK,
    A_BEST_BID,
    A_BID_LOTS,
    A_BUY_ORIGINATOR,
    A_BUY_SESSION,
    A_BUY_USER,
    A_CLIENT_AT_PRICE,
    A_CONFLICT,
    A_COVERAGE,
    A_ENTRY_RECEIVED_NS,
    A_ENTRY_SEQ,
    A_INCOMING_RECEIVED_NS,
    A_INCOMING_SEQ,
    A_LEAVES_BEFORE,
    A_LIFETIME_NS,
    A_PHASE,
    A_QUEUE_AHEAD,
    A_SELL_ORIGINATOR,
    A_SELL_SESSION,
    A_SELL_USER,
    BIG,
    BOOK_WORDS,
    DOUBT,
    E_ACCOUNT,
    E_BOOK,
    E_BUSTS_HI,
    E_BUSTS_LO,
    E_BUY_ACCOUNT,
    E_BUY_HI,
    E_BUY_LO,
    E_BUY_OWNER,
    E_BUY_ROLE,
    E_CLOCK_FAULT,
    E_CLOCK_NS,
    E_DISPLAY,
    E_ENGINE_NS,
    E_INSTRUMENT,
    E_KIND,
    E_LEAVES,
    E_ORDER_HI,
    E_ORDER_LO,
    E_ORIGINATOR,
    E_OWNER,
    E_PHASE_TO,
    E_PRICE,
    E_QUANTITY,
    E_REASON,
    E_RECEIVED_NS,
    E_REPLACES_HI,
    E_REPLACES_LO,
    E_ROLE,
    E_SELL_ACCOUNT,
    E_SELL_HI,
    E_SELL_LO,
    E_SELL_OWNER,
    E_SELL_ROLE,
    E_SEQ,
    E_SESSION,
    E_SIDE,
    E_TIF,
    E_TYPE,
    E_USER,
    END,
    F_FILLS,
    FLIGHT,
    GAP_SEQ,
    HEAD,
    HEADER,
    INDEX_SIZE,
    KEY,
    LAST_SEQ,
    LINKS,
    LISTS,
    LIVE,
    LOTS,
    NONE,
    ORDERS_LIVE,
    PARKED,
    PASSED_WORDS,
    PHASE,
    RUN,
    SEEN_ORDERS,
    SMALL,
    STALE,
    Added,
    Rows,
)
from detectors.book_orders import (
    order_record,
)
from detectors.book_trades import (
    continues,
    nameless,
    trade,
)
from ingest.events import PASSED_MOST, Array

# Plain numbers of the vocabulary; kernels fold them in.
_SELL = -1
_BUY = 1
_NULL = -(2**63)
_NO_CODE = -1
_BOOK = 7
_AGREES = 0
_STATUS = 6
_BOOK_END = 8
_TRADE = 9
_CROSSED = 5


@compiled
def continuity(m: Array) -> bool:
    """Note whether a record follows the last one of its instrument; return True where it doesn't.

    A gap leaves every live order in doubt, until it is gone or the book is restated. With no order
    ever named (a feed of trades only) there is no book to doubt, only the row.
    """
    book, kind, seq = m[E_BOOK], m[E_KIND], m[E_SEQ]
    if kind != _TRADE or not nameless(m):
        m[book + SEEN_ORDERS] = 1
    last = m[book + LAST_SEQ]
    m[book + LAST_SEQ] = seq
    gap = seq != last + 1 and not (last == 0 and kind == _BOOK)
    if gap and m[book + SEEN_ORDERS] != 0:
        m[book + DOUBT] = 1
        m[book + GAP_SEQ] = seq
        m[book + STALE] = m[book + LIVE]
        if m[book + RUN] != 0:
            m[book + RUN] = 2
    if m[book + RUN] == 2 and kind not in (_BOOK, _BOOK_END):
        m[book + RUN] = 0
    return bool(gap)


@compiled_apart
def clear(m: Array, book: int) -> None:
    """Take every live order of an instrument away."""
    for head in range(book + LISTS, book + PARKED, SMALL):
        while m[head + LINKS] != NONE:
            remove(m, m[m[head + LINKS] + HEAD])
    while m[book + PARKED + HEAD] != NONE:
        remove(m, m[book + PARKED + HEAD])


@compiled
def restated(m: Array, book: int, gap: bool) -> None:
    """Apply `book_end`: the book is known whole, unless part of its restatement was lost."""
    if m[book + RUN] == 0 and not gap:
        # No order was restated: the book is empty.
        clear(m, book)
        m[book + RUN] = 1
    if m[book + RUN] == 1:
        m[book + DOUBT] = 0
    m[book + RUN] = 0


@compiled
def touch(m: Array, book: int) -> None:
    """Write the best displayed prices and quantities as they stand."""
    bid, ask = best(m, book, _BUY), best(m, book, _SELL)
    m[A_BEST_BID] = -m[bid + KEY] if bid != NONE else _NULL
    m[A_BID_LOTS] = m[bid + LOTS] if bid != NONE else 0
    m[A_BEST_ASK] = m[ask + KEY] if ask != NONE else _NULL
    m[A_ASK_LOTS] = m[ask + LOTS] if ask != NONE else 0


@compiled
def step(m: Array) -> None:
    """Apply the record at hand, and say of it what the book knows."""
    book, kind = m[E_BOOK], m[E_KIND]
    m[A_ENTRY_SEQ] = m[A_INCOMING_SEQ] = m[A_CLIENT_AT_PRICE] = 0
    m[A_ENTRY_RECEIVED_NS] = m[A_INCOMING_RECEIVED_NS] = m[A_LIFETIME_NS] = _NULL
    m[A_QUEUE_AHEAD] = m[A_LEAVES_BEFORE] = _NULL
    m[A_BUY_ORIGINATOR] = m[A_SELL_ORIGINATOR] = _NO_CODE
    m[A_BUY_SESSION] = m[A_BUY_USER] = m[A_SELL_SESSION] = m[A_SELL_USER] = _NO_CODE
    gap = continuity(m)
    if kind == _BOOK and m[book + RUN] == 0:
        land(m, book)
        clear(m, book)
        m[book + RUN] = 1
    doubt = gap or m[book + DOUBT] != 0 or m[book + RUN] != 0
    coverage = 1 if doubt or m[E_CLOCK_FAULT] != 0 else 0
    m[A_COVERAGE] = coverage
    crossed = False
    if m[book + FLIGHT] != 0 and not continues(m):
        crossed = land(m, book)
    touch(m, book)
    conflict = _AGREES
    if kind == _TRADE:
        conflict = trade(m, coverage)
    elif kind == _STATUS:
        if m[E_PHASE_TO] >= 0:
            m[book + PHASE] = m[E_PHASE_TO]
    elif kind == _BOOK_END:
        restated(m, book, gap)
    else:
        conflict = order_record(m)
    m[A_PHASE] = m[book + PHASE]
    m[A_CONFLICT] = _CROSSED if crossed and conflict == _AGREES else conflict


@compiled
def has_room(m: Array, book: int) -> bool:
    """Return whether any record fits: an order, a row for each fill to judge, a few levels."""
    words = BIG * 4 + 4 * SMALL + 2 * PASSED_MOST * PASSED_WORDS * m[book + F_FILLS]
    return bool(m[END] + words <= len(m) and 2 * (m[ORDERS_LIVE] + 1) <= m[INDEX_SIZE])


@compiled
def replay(m: Array, rows: Rows, added: Added, start: int) -> int:
    """Apply rows from `start` on; return the row before which room ran out, or their number."""
    for row in range(start, len(rows.seq)):
        book = HEADER + rows.instrument[row] * BOOK_WORDS
        if not has_room(m, book):
            return row
        # One record is copied to where the steps find it: they then take one array, not fifty.
        m[E_BOOK] = book
        m[E_INSTRUMENT] = rows.instrument[row]
        m[E_SEQ] = rows.seq[row]
        m[E_KIND] = rows.kind[row]
        m[E_ENGINE_NS] = rows.engine_ns[row]
        m[E_CLOCK_FAULT] = rows.clock_fault[row]
        if m[E_KIND] == _TRADE:
            m[E_CLOCK_NS] = rows.clock_ns[row]
            m[E_BUSTS_HI] = rows.busts_hi[row]
            m[E_BUSTS_LO] = rows.busts_lo[row]
            m[E_BUY_HI] = rows.buy_hi[row]
            m[E_BUY_LO] = rows.buy_lo[row]
            m[E_SELL_HI] = rows.sell_hi[row]
            m[E_SELL_LO] = rows.sell_lo[row]
            m[E_SIDE] = rows.side[row]
            m[E_PRICE] = rows.price[row]
            m[E_QUANTITY] = rows.quantity[row]
            m[E_BUY_ACCOUNT] = rows.buy_account[row]
            m[E_BUY_ROLE] = rows.buy_role[row]
            m[E_BUY_OWNER] = rows.buy_owner[row]
            m[E_SELL_ACCOUNT] = rows.sell_account[row]
            m[E_SELL_ROLE] = rows.sell_role[row]
            m[E_SELL_OWNER] = rows.sell_owner[row]
        else:
            m[E_RECEIVED_NS] = rows.received_ns[row]
            m[E_ORDER_HI] = rows.order_hi[row]
            m[E_ORDER_LO] = rows.order_lo[row]
            m[E_REPLACES_HI] = rows.replaces_hi[row]
            m[E_REPLACES_LO] = rows.replaces_lo[row]
            m[E_SIDE] = rows.side[row]
            m[E_TYPE] = rows.type[row]
            m[E_TIF] = rows.tif[row]
            m[E_PRICE] = rows.price[row]
            m[E_QUANTITY] = rows.quantity[row]
            m[E_LEAVES] = rows.leaves[row]
            m[E_DISPLAY] = rows.display[row]
            m[E_REASON] = rows.reason[row]
            m[E_PHASE_TO] = rows.phase_to[row]
            m[E_ACCOUNT] = rows.account[row]
            m[E_ROLE] = rows.role[row]
            m[E_OWNER] = rows.owner[row]
            m[E_ORIGINATOR] = rows.originator[row]
            m[E_SESSION] = rows.session[row]
            m[E_USER] = rows.user[row]
        step(m)
        added.best_bid[row] = m[A_BEST_BID]
        added.best_ask[row] = m[A_BEST_ASK]
        added.bid_lots[row] = m[A_BID_LOTS]
        added.ask_lots[row] = m[A_ASK_LOTS]
        added.phase[row] = m[A_PHASE]
        added.coverage[row] = m[A_COVERAGE]
        added.entry_seq[row] = m[A_ENTRY_SEQ]
        added.incoming_seq[row] = m[A_INCOMING_SEQ]
        added.entry_received_ns[row] = m[A_ENTRY_RECEIVED_NS]
        added.lifetime_ns[row] = m[A_LIFETIME_NS]
        added.queue_ahead[row] = m[A_QUEUE_AHEAD]
        added.leaves_before[row] = m[A_LEAVES_BEFORE]
        added.client_at_price[row] = m[A_CLIENT_AT_PRICE]
        added.buy_originator[row] = m[A_BUY_ORIGINATOR]
        added.sell_originator[row] = m[A_SELL_ORIGINATOR]
        added.conflict[row] = m[A_CONFLICT]
        added.incoming_received_ns[row] = m[A_INCOMING_RECEIVED_NS]
        added.buy_session[row] = m[A_BUY_SESSION]
        added.buy_user[row] = m[A_BUY_USER]
        added.sell_session[row] = m[A_SELL_SESSION]
        added.sell_user[row] = m[A_SELL_USER]
    return len(rows.seq)
