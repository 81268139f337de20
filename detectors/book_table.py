"""Live orders by id, price levels in order, queues at a price: the moves the book is made of."""

from __future__ import annotations

from detectors.book_compile import compiled, compiled_apart
from detectors.book_layout import (
    BIG,
    BIG_FREE,
    BOOK,
    CLIENT_LOTS,
    DISPLAY,
    END,
    HEAD,
    HEIGHT,
    HI,
    HIDDEN,
    INDEX_AT,
    INDEX_SIZE,
    KEY,
    LEVEL,
    LINKS,
    LISTS,
    LO,
    LOTS,
    MAX_HEIGHT,
    NEXT,
    NONE,
    ORDERS,
    ORDERS_LIVE,
    PARKED,
    PATH,
    PREV,
    PRIORITY,
    ROLE,
    SHOWN,
    SIDE,
    SMALL,
    SMALL_FREE,
    TAIL,
)
from ingest.events import Array

# Plain numbers of the vocabulary; kernels fold them in.
_CLIENT = 2
_EXTERNAL_MM = 3
_SELL = -1
_BUY = 1


@compiled
def tag_of(book: int, hi: int, lo: int) -> int:
    """Return 31 bits of an order's identity; ids are hashes, so mixing is only for instruments."""
    return int((lo ^ (hi >> 29) ^ (book * 0x9E3779B1)) & 0x7FFFFFFF)


@compiled
def find_order(m: Array, book: int, hi: int, lo: int) -> int:
    """Return the address of a live order, or NONE."""
    index, mask = m[INDEX_AT], m[INDEX_SIZE] - 1
    tag = tag_of(book, hi, lo)
    at = tag & mask
    while m[index + at] != 0:
        if m[index + at] >> 32 == tag:
            order = m[index + at] & 0xFFFFFFFF
            if m[order + LO] == lo and m[order + HI] == hi and m[order + BOOK] == book:
                return int(order)
        at = (at + 1) & mask
    return NONE


@compiled
def take_words(m: Array, chain: int, words: int) -> int:
    """Return the address of an object's words: given back ones first, else from the end."""
    found = m[chain]
    if found == NONE:
        found = m[END]
        m[END] += words
    else:
        m[chain] = m[found]
    return int(found)


@compiled
def give_back(m: Array, chain: int, at: int) -> None:
    """Put an object's words on the chain for the next of its size."""
    m[at] = m[chain]
    m[chain] = at


@compiled
def index_order(m: Array, order: int) -> None:
    """Put an order into the index."""
    index, mask = m[INDEX_AT], m[INDEX_SIZE] - 1
    tag = tag_of(m[order + BOOK], m[order + HI], m[order + LO])
    at = tag & mask
    while m[index + at] != 0:
        at = (at + 1) & mask
    m[index + at] = (tag << 32) | order


@compiled
def add_order(m: Array, book: int, hi: int, lo: int) -> int:
    """Give an order its words and an entry in the index; room was made before."""
    order = take_words(m, BIG_FREE, BIG)
    m[ORDERS_LIVE] += 1
    m[order + HI], m[order + LO], m[order + BOOK] = hi, lo, book
    m[order + LEVEL], m[order + PRIORITY] = NONE, 0
    index_order(m, order)
    return order


@compiled
def free_order(m: Array, order: int) -> None:
    """Take an order out of the index and give its words back."""
    index, mask = m[INDEX_AT], m[INDEX_SIZE] - 1
    at = tag_of(m[order + BOOK], m[order + HI], m[order + LO]) & mask
    while m[index + at] & 0xFFFFFFFF != order:
        at = (at + 1) & mask
    # Close the hole: move up each later entry that may stand there, so no tombstones pile up.
    hole = at
    at = (at + 1) & mask
    while m[index + at] != 0:
        home = (m[index + at] >> 32) & mask
        if (at - home) & mask >= (at - hole) & mask:
            m[index + hole] = m[index + at]
            hole = at
        at = (at + 1) & mask
    m[index + hole] = 0
    give_back(m, BIG_FREE, order)
    m[ORDERS_LIVE] -= 1


@compiled_apart
def enlarge_index(m: Array) -> None:
    """Move the index to twice its size at the end of the memory; its old words serve orders."""
    old, size = m[INDEX_AT], m[INDEX_SIZE]
    m[INDEX_AT], m[INDEX_SIZE] = m[END], 2 * size
    m[END] += 2 * size
    for at in range(old, old + size):
        if m[at] != 0:
            index_order(m, m[at] & 0xFFFFFFFF)
    for at in range(old, old + size - BIG, BIG):
        give_back(m, BIG_FREE, at)


@compiled
def list_of(book: int, side: int, hidden: bool) -> int:
    """Return the address of the head of an instrument's list of levels."""
    return book + LISTS + (SMALL if side == _SELL else 0) + (HIDDEN if hidden else 0)


@compiled
def find_level(m: Array, head: int, key: int) -> int:
    """Return the address of the level with that key, or NONE; PATH holds what precedes it."""
    at = head
    for height in range(m[head + HEIGHT] - 1, -1, -1):
        after = m[at + LINKS + height]
        while after != NONE and m[after + KEY] < key:
            at = after
            after = m[at + LINKS + height]
        m[PATH + height] = at
    after = m[at + LINKS]
    if after != NONE and m[after + KEY] == key:
        return int(after)
    return NONE


@compiled
def height_of(key: int) -> int:
    """Return how high a level's node rises: fixed by its price, 1/4 of the nodes at each step."""
    mixed = (key ^ (key >> 32)) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    mixed ^= mixed >> 16
    height = 1
    while height < MAX_HEIGHT and mixed & 3 == 0:
        mixed >>= 2
        height += 1
    return height


@compiled
def add_level(m: Array, head: int, key: int) -> int:
    """Insert a level where the last `find_level` on this list ended."""
    level = take_words(m, SMALL_FREE, SMALL)
    height = height_of(key)
    for at in range(m[head + HEIGHT], height):
        m[PATH + at] = head
    m[head + HEIGHT] = max(m[head + HEIGHT], height)
    m[level + KEY], m[level + HEIGHT] = key, height
    m[level + LOTS] = m[level + CLIENT_LOTS] = 0
    m[level + ORDERS] = 0
    m[level + HEAD] = m[level + TAIL] = NONE
    for at in range(height):
        m[level + LINKS + at] = m[m[PATH + at] + LINKS + at]
        m[m[PATH + at] + LINKS + at] = level
    return level


@compiled
def drop_level(m: Array, head: int, level: int) -> None:
    """Take an empty level out of its list."""
    find_level(m, head, m[level + KEY])
    for at in range(m[level + HEIGHT]):
        m[m[PATH + at] + LINKS + at] = m[level + LINKS + at]
    give_back(m, SMALL_FREE, level)


@compiled
def show(m: Array, order: int, change: int) -> None:
    """Change what a queued order's level shows."""
    level = m[order + LEVEL]
    m[level + LOTS] += change
    if _CLIENT <= m[order + ROLE] <= _EXTERNAL_MM:
        m[level + CLIENT_LOTS] += change


@compiled
def push(m: Array, order: int, level: int) -> None:
    """Append an order to a queue; what it shows counts in the level."""
    tail = m[level + TAIL]
    m[order + LEVEL], m[order + NEXT], m[order + PREV] = level, NONE, tail
    if tail == NONE:
        m[level + HEAD] = order
    else:
        m[tail + NEXT] = order
    m[level + TAIL] = order
    m[level + ORDERS] += 1
    show(m, order, m[order + SHOWN])


@compiled
def unlink(m: Array, order: int) -> None:
    """Take an order out of its queue; an empty level goes too."""
    level, before, after = m[order + LEVEL], m[order + PREV], m[order + NEXT]
    if before == NONE:
        m[level + HEAD] = after
    else:
        m[before + NEXT] = after
    if after == NONE:
        m[level + TAIL] = before
    else:
        m[after + PREV] = before
    m[level + ORDERS] -= 1
    show(m, order, -m[order + SHOWN])
    book = m[order + BOOK]
    if m[level + ORDERS] == 0 and level != book + PARKED:
        hidden = m[order + DISPLAY] == 0
        drop_level(m, list_of(book, m[order + SIDE], hidden), level)
    m[order + LEVEL] = NONE


@compiled
def lots_ahead(m: Array, order: int) -> int:
    """Return the lots shown before an order in its queue; walks from the nearer end."""
    ahead = behind = 0
    before, after = m[order + PREV], m[order + NEXT]
    while before != NONE:
        if after == NONE:
            level = m[order + LEVEL]
            return int(m[level + LOTS] - m[order + SHOWN] - behind)
        ahead += m[before + SHOWN]
        behind += m[after + SHOWN]
        before, after = m[before + PREV], m[after + NEXT]
    return int(ahead)


@compiled
def key_of(side: int, price: int) -> int:
    """Return a price as the key of its side's list: ascending is best first."""
    return -price if side == _BUY else price


@compiled
def level_at(m: Array, book: int, side: int, price: int) -> int:
    """Return the address of the displayed level at a price, or NONE."""
    return find_level(m, list_of(book, side, False), key_of(side, price))
