"""Who was passed over: fills of the group, judged once the incoming order is done."""

from __future__ import annotations

from detectors.book_compile import compiled, compiled_apart
from detectors.book_layout import (
    ACCOUNT,
    BIG,
    BIG_FREE,
    E_BOOK,
    E_BUY_ACCOUNT,
    E_BUY_ROLE,
    E_INSTRUMENT,
    E_PRICE,
    E_QUANTITY,
    E_SELL_ACCOUNT,
    E_SELL_ROLE,
    E_SEQ,
    ENTRY_RECEIVED,
    ENTRY_SEQ,
    F_ACCOUNT,
    F_COVERAGE,
    F_DONE_NS,
    F_DONE_SEQ,
    F_FILLS,
    F_FIRST,
    F_LAST,
    F_OWNER,
    F_SEQ,
    F_SIDE,
    FILL_ACCOUNT,
    FILL_ENTRY_SEQ,
    FILL_LOTS,
    FILL_NEXT,
    FILL_PRICE,
    FILL_PRIORITY,
    FILL_RECEIVED,
    FILL_ROLE,
    FILL_SEQ,
    HEAD,
    NEXT,
    NONE,
    OWNER,
    PASSED_COLUMNS,
    PASSED_FIRST,
    PASSED_LAST,
    PASSED_NEXT,
    PHASE,
    PRIORITY,
    ROLE,
    SHOWN,
    SMALL,
    SMALL_FREE,
)
from detectors.book_table import (
    find_level,
    give_back,
    key_of,
    level_at,
    list_of,
    take_words,
)
from ingest.events import Array

# Plain numbers of the vocabulary; kernels fold them in.
_UNKNOWN = 1
_EXTERNAL_MM = 3
_BUY = 1
_NULL = -(2**63)
_NO_CODE = -1


@compiled
def keep_fill(m: Array, side: int, resting: int) -> None:
    """Keep a fill of the group or an unknown account for judgement."""
    book, price, lots = m[E_BOOK], m[E_PRICE], max(m[E_QUANTITY], 0)
    account = m[E_BUY_ACCOUNT] if side == _BUY else m[E_SELL_ACCOUNT]
    role = m[E_BUY_ROLE] if side == _BUY else m[E_SELL_ROLE]
    entry_seq, received, priority = 0, _NULL, 0
    if resting != NONE:
        entry_seq, received = m[resting + ENTRY_SEQ], m[resting + ENTRY_RECEIVED]
        priority = m[resting + PRIORITY]
        if account == _NO_CODE:
            account, role = m[resting + ACCOUNT], m[resting + ROLE]
    if role != _UNKNOWN and role <= _EXTERNAL_MM:
        return
    fill = take_words(m, SMALL_FREE, SMALL)
    m[fill + FILL_NEXT] = NONE
    m[fill + FILL_PRICE], m[fill + FILL_ACCOUNT], m[fill + FILL_ROLE] = price, account, role
    m[fill + FILL_LOTS], m[fill + FILL_SEQ] = lots, m[E_SEQ]
    m[fill + FILL_ENTRY_SEQ], m[fill + FILL_RECEIVED] = entry_seq, received
    m[fill + FILL_PRIORITY] = priority
    if m[book + F_FIRST] == NONE:
        m[book + F_FIRST] = fill
    else:
        m[m[book + F_LAST] + FILL_NEXT] = fill
    m[book + F_LAST] = fill
    m[book + F_FILLS] += 1


@compiled
def own_order(m: Array, book: int, order: int) -> bool:
    """Return whether an order is the incoming order's own: self-trade prevention skips it."""
    account, owner = m[book + F_ACCOUNT], m[book + F_OWNER]
    return bool(
        (account != _NO_CODE and m[order + ACCOUNT] == account)
        or (owner != _NO_CODE and m[order + OWNER] == owner)
    )


@compiled_apart
def judge_price(m: Array, book: int, side: int, level: int, first: int) -> None:
    """Write the row of one price and filled account, when eligible orders still stand there."""
    price, account = m[first + FILL_PRICE], m[first + FILL_ACCOUNT]
    role = m[first + FILL_ROLE]
    # An unknown account may be a client (owed priority by the group) or of the group itself.
    lowest = _UNKNOWN if role > _EXTERNAL_MM else _UNKNOWN + 1
    front = NONE
    lots = count = exempt_stp = exempt_hidden = 0
    order = m[level + HEAD]
    while order != NONE:
        if lowest <= m[order + ROLE] <= _EXTERNAL_MM and m[order + ACCOUNT] != account:
            if own_order(m, book, order):
                exempt_stp += 1
            else:
                front = order if front == NONE else front
                lots += m[order + SHOWN]
                count += 1
        order = m[order + NEXT]
    hidden = find_level(m, list_of(book, side, True), key_of(side, price))
    order = NONE if hidden == NONE else m[hidden + HEAD]
    while order != NONE:
        if lowest <= m[order + ROLE] <= _EXTERNAL_MM and m[order + ACCOUNT] != account:
            exempt_hidden += 1
        order = m[order + NEXT]
    # Fills out of turn: of orders that joined after the front-most one that was passed over.
    total = jumped = 0
    told = first
    older = 0
    row = first
    while row != NONE:
        if m[row + FILL_PRICE] == price and m[row + FILL_ACCOUNT] == account:
            total += m[row + FILL_LOTS]
            if front != NONE and m[row + FILL_PRIORITY] > m[front + PRIORITY]:
                if older == 0:
                    told, older = row, 1
                jumped += m[row + FILL_LOTS]
            m[row + FILL_LOTS] = 0
        row = m[row + FILL_NEXT]
    if front == NONE:
        return
    at = take_words(m, BIG_FREE, BIG)
    m[at + PASSED_NEXT] = NONE
    if m[PASSED_FIRST] == NONE:
        m[PASSED_FIRST] = at
    else:
        m[m[PASSED_LAST] + PASSED_NEXT] = at
    m[PASSED_LAST] = at
    out = at + PASSED_COLUMNS
    m[out], m[out + 1] = m[E_INSTRUMENT], m[book + F_SEQ]
    m[out + 2], m[out + 3] = m[book + F_DONE_NS], m[book + F_DONE_SEQ]
    m[out + 4], m[out + 5], m[out + 6], m[out + 7] = side, price, account, role
    m[out + 8], m[out + 9] = jumped if older else total, m[told + FILL_SEQ]
    m[out + 10], m[out + 11] = m[told + FILL_ENTRY_SEQ], m[told + FILL_RECEIVED]
    m[out + 12], m[out + 13] = m[front + ACCOUNT], m[front + ROLE]
    m[out + 14], m[out + 15] = m[front + ENTRY_SEQ], m[front + ENTRY_RECEIVED]
    m[out + 16], m[out + 17], m[out + 18] = lots, count, older
    m[out + 19], m[out + 20] = exempt_hidden, exempt_stp
    m[out + 21], m[out + 22] = m[book + PHASE], m[book + F_COVERAGE]


@compiled_apart
def judge(m: Array, book: int) -> None:
    """Write the rows of who was passed over by the order in flight, and forget its fills."""
    row = m[book + F_FIRST]
    while row != NONE:
        if m[row + FILL_LOTS] > 0:
            side = -m[book + F_SIDE]
            level = level_at(m, book, side, m[row + FILL_PRICE])
            if level != NONE:
                judge_price(m, book, side, level, row)
        row = m[row + FILL_NEXT]
    row = m[book + F_FIRST]
    while row != NONE:
        after = m[row + FILL_NEXT]
        give_back(m, SMALL_FREE, row)
        row = after
    m[book + F_FIRST] = m[book + F_LAST] = NONE
    m[book + F_FILLS] = 0
