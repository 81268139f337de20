"""Where everything of the book lies in its memory: one int64 array, addressed by number.

An object (an order, a price level, an instrument's own part, a fill waiting for judgement) is a run
of words; its address is the index of its first word, and field F of the object at `order` is
`m[order + F]`. Addresses never change while the memory grows, since it grows at its end. Address 0
is the header's, so 0 (`NONE`) ends a chain. One array keeps kernels' calls cheap (each array passed
costs ten words and a reference count) and puts what is used together on the same cache lines.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ingest.events import Array

NONE: Final = 0

# Header.
BIG_FREE: Final = 1  # chains of words given back: orders, levels and fills, passed-over rows
SMALL_FREE: Final = 2
END: Final = 3  # first word never used
INDEX_AT: Final = 4  # table of orders by id: its address and its size, a power of two
INDEX_SIZE: Final = 5
ORDERS_LIVE: Final = 6
PASSED_FIRST: Final = 7
PASSED_LAST: Final = 8
PASSED_FREE: Final = 9
PATH: Final = 16  # what precedes the place found last in a list of levels, by height

# The record at hand.
E_KIND: Final = 24
E_INSTRUMENT: Final = 25
E_SEQ: Final = 26
E_ENGINE_NS: Final = 27
E_CLOCK_NS: Final = 28
E_CLOCK_FAULT: Final = 29
E_RECEIVED_NS: Final = 30
E_ORDER_HI: Final = 31
E_ORDER_LO: Final = 32
E_REPLACES_HI: Final = 33
E_REPLACES_LO: Final = 34
E_BUSTS_HI: Final = 35
E_BUSTS_LO: Final = 36
E_BUY_HI: Final = 37
E_BUY_LO: Final = 38
E_SELL_HI: Final = 39
E_SELL_LO: Final = 40
E_SIDE: Final = 41
E_TYPE: Final = 42
E_TIF: Final = 43
E_PRICE: Final = 44
E_QUANTITY: Final = 45
E_LEAVES: Final = 46
E_DISPLAY: Final = 47
E_REASON: Final = 48
E_PHASE_TO: Final = 49
E_ACCOUNT: Final = 50
E_ROLE: Final = 51
E_OWNER: Final = 52
E_ORIGINATOR: Final = 53
E_BUY_ACCOUNT: Final = 54
E_BUY_ROLE: Final = 55
E_BUY_OWNER: Final = 56
E_SELL_ACCOUNT: Final = 57
E_SELL_ROLE: Final = 58
E_SELL_OWNER: Final = 59
E_BOOK: Final = 60  # address of its instrument's part
E_SESSION: Final = 61
E_USER: Final = 62

# What is said of it: the columns of BOOK, in the vocabulary's order.
A_BEST_BID: Final = 64
A_BEST_ASK: Final = 65
A_BID_LOTS: Final = 66
A_ASK_LOTS: Final = 67
A_PHASE: Final = 68
A_COVERAGE: Final = 69
A_ENTRY_SEQ: Final = 70
A_INCOMING_SEQ: Final = 71
A_ENTRY_RECEIVED_NS: Final = 72
A_LIFETIME_NS: Final = 73
A_QUEUE_AHEAD: Final = 74
A_LEAVES_BEFORE: Final = 75
A_CLIENT_AT_PRICE: Final = 76
A_BUY_ORIGINATOR: Final = 77
A_SELL_ORIGINATOR: Final = 78
A_CONFLICT: Final = 79
A_INCOMING_RECEIVED_NS: Final = 80
A_BUY_SESSION: Final = 81
A_BUY_USER: Final = 82
A_SELL_SESSION: Final = 83
A_SELL_USER: Final = 84
HEADER: Final = 96

# One live order. The first eight words are what a walk along a queue and a cancel touch.
NEXT: Final = 0
PREV: Final = 1
SHOWN: Final = 2
LEAVES: Final = 3
LEVEL: Final = 4  # its level, its instrument's parked queue, or NONE while in flight
HI: Final = 5
LO: Final = 6
BOOK: Final = 7  # address of its instrument's part
PRICE: Final = 8
PRIORITY: Final = 9  # grows with each joining of a queue in the instrument
ENTRY_SEQ: Final = 10
ENTRY_NS: Final = 11
ENTRY_RECEIVED: Final = 12
FILLED: Final = 13
DISPLAY: Final = 14
SIDE: Final = 15
TYPE: Final = 16
TIF: Final = 17
ROLE: Final = 18
ACCOUNT: Final = 19
OWNER: Final = 20
ORIGINATOR: Final = 21
SESSION: Final = 22
USER: Final = 23
ORDER_FIELDS: Final = 24
BIG: Final = 24  # words of an order

# One price level, a node of a skip list; best first.
KEY: Final = 0  # price, negated for bids: ascending is best first
LOTS: Final = 1
CLIENT_LOTS: Final = 2
HEAD: Final = 3
TAIL: Final = 4
ORDERS: Final = 5
HEIGHT: Final = 6
LINKS: Final = 7
MAX_HEIGHT: Final = 8  # a level rises with chance 1/4: 4**8 levels a side before it slows
SMALL: Final = 16  # words of a level, or of a fill

# One instrument.
PHASE: Final = 0
LAST_SEQ: Final = 1
DOUBT: Final = 2  # 1 while the book is not known whole
GAP_SEQ: Final = 3
STALE: Final = 4  # live orders that entered before GAP_SEQ
RUN: Final = 5  # restatement: 0 none, 1 running, 2 running and broken by a gap
LIVE: Final = 6
NEXT_PRIORITY: Final = 7
SEEN_ORDERS: Final = 8  # 1 once any record named an order
FLIGHT: Final = 9  # 0 none, 1 an instruction, 2 trades of an aggressor that no record announced
F_ORDER: Final = 10
F_HI: Final = 11
F_LO: Final = 12
F_SEQ: Final = 13
F_ACCOUNT: Final = 14
F_OWNER: Final = 15
F_SIDE: Final = 16
F_BID: Final = 17
F_ASK: Final = 18
F_BID_LOTS: Final = 19
F_ASK_LOTS: Final = 20
F_DONE_NS: Final = 21
F_DONE_SEQ: Final = 22
F_COVERAGE: Final = 23
F_FIRST: Final = 24  # first and last of its fills to be judged
F_LAST: Final = 25
F_FILLS: Final = 26
BOOK_FIELDS: Final = 27
LISTS: Final = (
    32  # then the heads of four lists of levels, and the queue of orders outside the book
)
HIDDEN: Final = 2 * SMALL
PARKED: Final = LISTS + 4 * SMALL
BOOK_WORDS: Final = LISTS + 5 * SMALL

# One fill of a resting order of the group or of an unknown account, until it is judged.
FILL_NEXT: Final = 0
FILL_PRICE: Final = 1
FILL_ACCOUNT: Final = 2
FILL_ROLE: Final = 3
FILL_LOTS: Final = 4
FILL_SEQ: Final = 5
FILL_ENTRY_SEQ: Final = 6
FILL_RECEIVED: Final = 7
FILL_PRIORITY: Final = 8
FILL_TOLD: Final = 9  # 1 once the rows of its account and price are written
FILL_FIELDS: Final = 10

# One row of passed_over: a link, then its columns in the vocabulary's order.
PASSED_NEXT: Final = 0
PASSED_COLUMNS: Final = 1
PASSED_WORDS: Final = 26


class Rows(NamedTuple):
    """The columns that the replay reads, hashes viewed as int64."""

    kind: Array
    instrument: Array
    seq: Array
    engine_ns: Array
    clock_ns: Array
    clock_fault: Array
    received_ns: Array
    order_hi: Array
    order_lo: Array
    replaces_hi: Array
    replaces_lo: Array
    busts_hi: Array
    busts_lo: Array
    buy_hi: Array
    buy_lo: Array
    sell_hi: Array
    sell_lo: Array
    side: Array
    type: Array
    tif: Array
    price: Array
    quantity: Array
    leaves: Array
    display: Array
    reason: Array
    phase_to: Array
    account: Array
    role: Array
    owner: Array
    originator: Array
    session: Array
    user: Array
    buy_account: Array
    buy_role: Array
    buy_owner: Array
    sell_account: Array
    sell_role: Array
    sell_owner: Array


class Added(NamedTuple):
    """The columns that the replay writes, in the vocabulary's order."""

    best_bid: Array
    best_ask: Array
    bid_lots: Array
    ask_lots: Array
    phase: Array
    coverage: Array
    entry_seq: Array
    incoming_seq: Array
    entry_received_ns: Array
    lifetime_ns: Array
    queue_ahead: Array
    leaves_before: Array
    client_at_price: Array
    buy_originator: Array
    sell_originator: Array
    conflict: Array
    incoming_received_ns: Array
    buy_session: Array
    buy_user: Array
    sell_session: Array
    sell_user: Array


def new_memory(instruments: int, capacity: int) -> Array:
    """Return the memory of empty books; `capacity` is how many orders fit at first."""
    size = 16
    while size < 2 * capacity:
        size *= 2
    index_at = HEADER + instruments * BOOK_WORDS
    m = np.zeros(index_at + size + BIG * capacity, dtype=np.int64)
    m[INDEX_AT], m[INDEX_SIZE], m[END] = index_at, size, index_at + size
    return m


def book_at(instrument: int) -> int:
    """Return the address of an instrument's part."""
    return HEADER + instrument * BOOK_WORDS
