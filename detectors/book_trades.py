"""Trade records: both orders shrink, and the flight they belong to is followed."""

from __future__ import annotations

from detectors.book_compile import compiled
from detectors.book_flight import (
    freeze_touch,
    reduce,
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
    A_INCOMING_RECEIVED_NS,
    A_INCOMING_SEQ,
    A_SELL_ORIGINATOR,
    A_SELL_SESSION,
    A_SELL_USER,
    ACCOUNT,
    CLIENT_LOTS,
    E_BOOK,
    E_BUSTS_HI,
    E_BUSTS_LO,
    E_BUY_ACCOUNT,
    E_BUY_HI,
    E_BUY_LO,
    E_BUY_OWNER,
    E_CLOCK_NS,
    E_ENGINE_NS,
    E_KIND,
    E_ORDER_HI,
    E_ORDER_LO,
    E_PRICE,
    E_QUANTITY,
    E_REASON,
    E_SELL_ACCOUNT,
    E_SELL_HI,
    E_SELL_LO,
    E_SELL_OWNER,
    E_SEQ,
    E_SIDE,
    ENTRY_RECEIVED,
    F_ACCOUNT,
    F_ASK,
    F_ASK_LOTS,
    F_BID,
    F_BID_LOTS,
    F_COVERAGE,
    F_DONE_NS,
    F_DONE_SEQ,
    F_HI,
    F_LO,
    F_ORDER,
    F_OWNER,
    F_SEQ,
    F_SIDE,
    FLIGHT,
    NONE,
    ORIGINATOR,
    PHASE,
    PRIORITY,
    SESSION,
    USER,
)
from detectors.book_orders import (
    describe,
)
from detectors.book_passed import (
    judge,
    keep_fill,
)
from detectors.book_table import (
    find_order,
    level_at,
)
from ingest.events import Array

# Plain numbers of the vocabulary; kernels fold them in.
_SELL = -1
_BUY = 1
_REPLACE = 1
_STP = 5
_AGREES = 0
_UNKNOWN_ORDER = 1
_CANCEL = 2
_REJECT = 3
_EXPIRE = 4
_TRADE = 9
_OVERFILL = 3
_OTHER_BUYER = 6
_OTHER_SELLER = 7
_OTHER_PARTIES = 8


@compiled
def nameless(m: Array) -> bool:
    """Return whether a trade names no order at all."""
    bought = m[E_BUY_HI] != 0 or m[E_BUY_LO] != 0
    sold = m[E_SELL_HI] != 0 or m[E_SELL_LO] != 0
    return not bought and not sold


@compiled
def continues(m: Array) -> bool:
    """Return whether a record belongs to the flight: a trade of it, its end, or an stp step."""
    book, kind = m[E_BOOK], m[E_KIND]
    hi, lo = m[book + F_HI], m[book + F_LO]
    if kind == _TRADE:
        if m[E_BUSTS_HI] != 0 or m[E_BUSTS_LO] != 0 or (hi == 0 and lo == 0):
            return False
        if m[book + F_SIDE] == _BUY:
            return bool(m[E_BUY_HI] == hi and m[E_BUY_LO] == lo)
        return bool(m[E_SELL_HI] == hi and m[E_SELL_LO] == lo)
    if kind in (_CANCEL, _REPLACE) and m[E_REASON] == _STP:
        return True
    own = m[E_ORDER_HI] == hi and m[E_ORDER_LO] == lo
    return bool(own and m[book + FLIGHT] == 1 and kind in (_CANCEL, _EXPIRE, _REJECT))


@compiled
def announce(m: Array) -> None:
    """Begin a flight of an aggressor that no record announced: its trades are judged as one."""
    book = m[E_BOOK]
    bought = m[E_SIDE] == _BUY
    m[book + FLIGHT], m[book + F_ORDER] = 2, NONE
    m[book + F_HI] = m[E_BUY_HI] if bought else m[E_SELL_HI]
    m[book + F_LO] = m[E_BUY_LO] if bought else m[E_SELL_LO]
    m[book + F_SEQ], m[book + F_SIDE] = 0, m[E_SIDE]
    m[book + F_ACCOUNT] = m[E_BUY_ACCOUNT] if bought else m[E_SELL_ACCOUNT]
    m[book + F_OWNER] = m[E_BUY_OWNER] if bought else m[E_SELL_OWNER]
    m[book + F_COVERAGE] = 0
    freeze_touch(m, book)


@compiled
def is_of_another(m: Array, order: int, account: int) -> bool:
    """Return whether an order was entered by another account than a trade of it names."""
    if order == NONE or account < 0 or m[order + ACCOUNT] < 0:
        return False
    return bool(m[order + ACCOUNT] != account)


@compiled
def trade(m: Array, coverage: int) -> int:
    """Apply a trade: both orders shrink; a bust or a trade of nameless orders changes nothing."""
    if m[E_BUSTS_HI] != 0 or m[E_BUSTS_LO] != 0 or nameless(m):
        return _AGREES
    book = m[E_BOOK]
    if m[book + FLIGHT] == 0 and m[book + PHASE] == 0 and m[E_SIDE] != 0:
        announce(m)
    flight = m[book + FLIGHT]
    conflict = _AGREES
    buy = find_order(m, book, m[E_BUY_HI], m[E_BUY_LO])
    if buy != NONE:
        m[A_BUY_ORIGINATOR] = m[buy + ORIGINATOR]
        m[A_BUY_SESSION], m[A_BUY_USER] = m[buy + SESSION], m[buy + USER]
    elif m[E_BUY_HI] != 0 or m[E_BUY_LO] != 0:
        conflict = _UNKNOWN_ORDER
    sell = find_order(m, book, m[E_SELL_HI], m[E_SELL_LO])
    if sell != NONE:
        m[A_SELL_ORIGINATOR] = m[sell + ORIGINATOR]
        m[A_SELL_SESSION], m[A_SELL_USER] = m[sell + SESSION], m[sell + USER]
    elif m[E_SELL_HI] != 0 or m[E_SELL_LO] != 0:
        conflict = _UNKNOWN_ORDER
    other_buyer = is_of_another(m, buy, m[E_BUY_ACCOUNT])
    other_seller = is_of_another(m, sell, m[E_SELL_ACCOUNT])
    if other_buyer or other_seller:
        conflict = _OTHER_SELLER if not other_buyer else _OTHER_BUYER
        conflict = _OTHER_PARTIES if other_buyer and other_seller else conflict
    side = -(m[book + F_SIDE] if flight != 0 else m[E_SIDE])
    if side == 0:
        # No aggressor is named: the order that joined first is taken as the resting one.
        younger = NONE not in (buy, sell) and m[buy + PRIORITY] > m[sell + PRIORITY]
        side = _SELL if younger or buy == NONE else _BUY
    resting, incoming = (buy, sell) if side == _BUY else (sell, buy)
    lots, price = max(m[E_QUANTITY], 0), m[E_PRICE]
    if flight != 0:
        m[A_BEST_BID], m[A_BEST_ASK] = m[book + F_BID], m[book + F_ASK]
        m[A_BID_LOTS] = m[book + F_BID_LOTS]
        m[A_ASK_LOTS] = m[book + F_ASK_LOTS]
        m[A_INCOMING_SEQ] = m[book + F_SEQ]
        if incoming != NONE:
            m[A_INCOMING_RECEIVED_NS] = m[incoming + ENTRY_RECEIVED]
        m[book + F_DONE_NS] = m[E_CLOCK_NS]
        m[book + F_DONE_SEQ] = m[E_SEQ]
        m[book + F_COVERAGE] = max(m[book + F_COVERAGE], coverage)
        keep_fill(m, side, resting)
    if resting != NONE:
        describe(m, resting, m[E_ENGINE_NS])
        if reduce(m, resting, lots) and conflict == _AGREES:
            conflict = _OVERFILL
    if incoming not in (NONE, resting) and reduce(m, incoming, lots) and conflict == _AGREES:
        conflict = _OVERFILL
    level = level_at(m, book, side, price)
    m[A_CLIENT_AT_PRICE] = m[level + CLIENT_LOTS] if level != NONE else 0
    if flight == 1 and m[book + F_ORDER] == NONE:
        judge(m, book)
        m[book + FLIGHT] = 0
    return conflict
