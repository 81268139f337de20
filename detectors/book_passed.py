"""Who was passed over: fills of the group, judged once the incoming order is done."""

from __future__ import annotations

from detectors.book_compile import compiled, compiled_apart
from detectors.book_layout import (
    ACCOUNT,
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
    FILL_TOLD,
    HEAD,
    LEAVES,
    NEXT,
    NONE,
    OWNER,
    PASSED_COLUMNS,
    PASSED_FIRST,
    PASSED_FREE,
    PASSED_LAST,
    PASSED_NEXT,
    PASSED_WORDS,
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
from ingest.events import PASSED_MOST, Array

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
    m[fill + FILL_PRIORITY], m[fill + FILL_TOLD] = priority, 0
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


@compiled
def eligible(m: Array, order: int, first: int) -> bool:
    """Return whether an order is owed priority by the account of a fill.

    An unknown account may be a client (owed priority by the group) or of the group itself.
    """
    lowest = _UNKNOWN if m[first + FILL_ROLE] > _EXTERNAL_MM else _UNKNOWN + 1
    known = lowest <= m[order + ROLE] <= _EXTERNAL_MM
    return bool(known and m[order + ACCOUNT] != m[first + FILL_ACCOUNT])


@compiled
def same_fill(m: Array, row: int, first: int) -> bool:
    """Return whether two fills are of one account and price."""
    price, account = m[first + FILL_PRICE], m[first + FILL_ACCOUNT]
    return bool(m[row + FILL_PRICE] == price and m[row + FILL_ACCOUNT] == account)


@compiled_apart
def tell(m: Array, book: int, order: int, first: int, total: int) -> int:
    """Write the row of an order passed over by one account; return its address."""
    jumped, told = 0, first
    row = first
    while row != NONE:
        if same_fill(m, row, first) and m[row + FILL_PRIORITY] > m[order + PRIORITY]:
            told = row if jumped == 0 else told
            jumped += m[row + FILL_LOTS]
        row = m[row + FILL_NEXT]
    at = take_words(m, PASSED_FREE, PASSED_WORDS)
    m[at + PASSED_NEXT] = NONE
    if m[PASSED_FIRST] == NONE:
        m[PASSED_FIRST] = at
    else:
        m[m[PASSED_LAST] + PASSED_NEXT] = at
    m[PASSED_LAST] = at
    out = at + PASSED_COLUMNS
    m[out], m[out + 1] = m[E_INSTRUMENT], m[book + F_SEQ]
    m[out + 2], m[out + 3] = m[book + F_DONE_NS], m[book + F_DONE_SEQ]
    m[out + 4], m[out + 5] = -m[book + F_SIDE], m[first + FILL_PRICE]
    m[out + 6], m[out + 7] = m[first + FILL_ACCOUNT], m[first + FILL_ROLE]
    m[out + 8], m[out + 9], m[out + 10] = total, jumped, m[told + FILL_SEQ]
    m[out + 11], m[out + 12] = m[told + FILL_ENTRY_SEQ], m[told + FILL_RECEIVED]
    m[out + 13], m[out + 14] = m[order + ACCOUNT], m[order + ROLE]
    m[out + 15], m[out + 16] = m[order + ENTRY_SEQ], m[order + ENTRY_RECEIVED]
    m[out + 17], m[out + 18] = m[order + SHOWN], m[order + LEAVES]
    m[out + 22], m[out + 23] = m[book + PHASE], m[book + F_COVERAGE]
    return at


@compiled_apart
def judge_price(m: Array, book: int, level: int, first: int) -> None:
    """Write the rows of one price and filled account, when eligible orders still stand there."""
    total = filled = 0
    row = m[book + F_FIRST]
    while row != NONE:
        if m[row + FILL_PRICE] == m[first + FILL_PRICE]:
            filled += m[row + FILL_LOTS]
        if same_fill(m, row, first):
            total += m[row + FILL_LOTS]
            m[row + FILL_TOLD] = 1
        row = m[row + FILL_NEXT]
    count = exempt_stp = exempt_hidden = 0
    # Lots shown before the order, and rows written: of known accounts, of unknown ones.
    known = unknown = known_told = unknown_told = 0
    written = NONE
    order = m[level + HEAD]
    while order != NONE:
        if eligible(m, order, first):
            if own_order(m, book, order):
                exempt_stp += 1
            else:
                count += 1
                if m[order + ROLE] == _UNKNOWN:
                    before, told = unknown, unknown_told
                    unknown += m[order + SHOWN]
                else:
                    before, told = known, known_told
                    known += m[order + SHOWN]
                came = m[order + ENTRY_RECEIVED]
                ahead = came != _NULL and came < m[first + FILL_RECEIVED]
                ahead = ahead and m[order + PRIORITY] > m[first + FILL_PRIORITY]
                if told < PASSED_MOST and (before < filled or ahead):
                    at = tell(m, book, order, first, total)
                    written = at if written == NONE else written
                    if m[order + ROLE] == _UNKNOWN:
                        unknown_told += 1
                    else:
                        known_told += 1
        order = m[order + NEXT]
    side = -m[book + F_SIDE]
    hidden = find_level(m, list_of(book, side, True), key_of(side, m[first + FILL_PRICE]))
    order = NONE if hidden == NONE else m[hidden + HEAD]
    while order != NONE:
        if eligible(m, order, first):
            exempt_hidden += 1
        order = m[order + NEXT]
    while written != NONE:
        out = written + PASSED_COLUMNS
        m[out + 19], m[out + 20], m[out + 21] = count, exempt_hidden, exempt_stp
        written = m[written + PASSED_NEXT]


@compiled_apart
def judge(m: Array, book: int) -> None:
    """Write the rows of who was passed over by the order in flight, and forget its fills."""
    row = m[book + F_FIRST]
    while row != NONE:
        if m[row + FILL_TOLD] == 0:
            level = level_at(m, book, -m[book + F_SIDE], m[row + FILL_PRICE])
            if level != NONE:
                judge_price(m, book, level, row)
        row = m[row + FILL_NEXT]
    row = m[book + F_FIRST]
    while row != NONE:
        after = m[row + FILL_NEXT]
        give_back(m, SMALL_FREE, row)
        row = after
    m[book + F_FIRST] = m[book + F_LAST] = NONE
    m[book + F_FILLS] = 0
