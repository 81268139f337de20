"""The compiled scan behind wash_trading: which trades match on both sides, and traded volume.

One pass over a batch keeps, for each instrument, the running traded volume with marks along it (so
that the volume of any recent window is a subtraction), and of every account on whose orders an
originator has been seen that originator, or that there were several.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.trades import LIMB
from ingest.compiled import kernel, njit
from ingest.events import NO_CODE, Array, Kind

SELF: Final = 1
OWNER: Final = 2
COMPLEX: Final = 4
OMNIBUS: Final = 8
"""Bits of a hit; OMNIBUS: the clients behind an omnibus account cannot be told apart."""
BUST: Final = 16

MARKS: Final = 66
"""Marks kept an instrument: 64 steps span the window, one more on each side."""
STEPS: Final = 64
FIRST_SLOTS: Final = 1024
"""First size of a table of (instrument, account)."""

COLUMNS: Final = (
    "kind", "instrument", "clock_ns", "quantity", "busts_hi", "busts_lo", "account", "originator",
    "buy_account", "sell_account", "buy_owner", "sell_owner", "buy_complex", "sell_complex",
    "buy_originator", "sell_originator",
)  # fmt: skip
_TRADE: Final = int(Kind.TRADE)
_ABSENT: Final = int(NO_CODE)
_SEVERAL: Final = -2
"""In place of an account's originator: more than one has been seen, so it is an omnibus account."""
_MIX: Final = -7046029254386353131  # 2^64 / golden ratio, as int64: Fibonacci hashing


@kernel()
def slot(table: Array, key: int) -> int:
    """Return where a key is, or the free slot where it belongs (0 = free)."""
    mask = len(table) - 1
    place = ((key * _MIX) >> 32) & mask
    while table[place] != 0 and table[place] != key:
        place = (place + 1) & mask
    return int(place)


def by_key(table: Array) -> Array:
    """Return where the keys of a table are, in their order: those of an instrument together."""
    held = np.flatnonzero(table)
    ordered: Array = held[np.argsort(table[held])]
    return ordered


def room_for(keys: int) -> int:
    """Return the size of a table that so many keys fill by a quarter at most."""
    return max(FIRST_SLOTS, 1 << (4 * keys).bit_length())


@njit(cache=True)
def filled(keys: Array, size: int) -> tuple[Array, Array]:
    """Return a table of a size, a power of two, with some keys, and where each of them is."""
    table = np.zeros(size, np.int64)
    places = np.zeros(len(keys), np.int64)
    for i in range(len(keys)):
        places[i] = slot(table, keys[i])
        table[places[i]] = keys[i]
    return table, places


@njit(cache=True)
def grown(table: Array, origin: Array) -> tuple[Array, Array]:
    """Return a table of twice the size with the same keys and originators."""
    bigger = np.zeros(2 * len(table), np.int64)
    moved = np.zeros(2 * len(table), np.int64)
    for i in range(len(table)):
        if table[i] != 0:
            at = slot(bigger, table[i])
            bigger[at], moved[at] = table[i], origin[i]
    return bigger, moved


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    window_ns: int,
    first: int,
    totals: Array,
    marks: Array,
    marked: Array,
    table: Array,
    origin: Array,
    used: int,
    out: Array,
) -> tuple[int, int, int]:
    """Scan rows from `first`; return (row to go on from, slots used, hits written).

    It stops early when `table` is half full or `out` is full; the caller grows or empties them and
    goes on. `columns` are the `COLUMNS` of the batch. `out` rows: row, bits, volume high and low,
    volume before the window high and low. `totals` is (instruments, 2) limbs; `marks`
    (instruments, MARKS, 3): ns and the two limbs of the volume before it; `marked` counts marks.
    """
    (
        kind, instrument, clock, lots, busts_hi, busts_lo, order_account, order_originator,
        buy_account, sell_account, buy_owner, sell_owner, buy_complex, sell_complex,
        buy_originator, sell_originator,
    ) = columns  # fmt: skip
    step_ns = window_ns // STEPS
    hits = 0
    for i in range(first, len(kind)):
        if 2 * used >= len(table) or hits == len(out):
            return i, used, hits
        x = instrument[i]
        if kind[i] != _TRADE:
            if order_originator[i] != _ABSENT and order_account[i] != _ABSENT:
                key = ((x + np.int64(1)) << 32) | order_account[i]
                place = slot(table, key)
                if table[place] == 0:
                    table[place] = key
                    origin[place] = order_originator[i]
                    used += 1
                elif origin[place] != order_originator[i]:
                    origin[place] = _SEVERAL
            continue
        if busts_hi[i] != 0 or busts_lo[i] != 0:
            out[hits, 0] = i
            out[hits, 1] = BUST
            hits += 1
            continue
        newest = (marked[x] - 1) % MARKS
        if marked[x] == 0 or clock[i] - marks[x, newest, 0] >= step_ns:
            newest = marked[x] % MARKS
            marks[x, newest, 0] = clock[i]
            marks[x, newest, 1] = totals[x, 0]
            marks[x, newest, 2] = totals[x, 1]
            marked[x] += 1
        totals[x, 0] += lots[i] >> 62
        totals[x, 1] += lots[i] & (LIMB - 1)
        if totals[x, 1] >= LIMB:
            totals[x, 1] -= LIMB
            totals[x, 0] += 1

        bits = 0
        buyer, seller = buy_account[i], sell_account[i]
        if buyer != _ABSENT and buyer == seller:
            bits |= SELF
        if buy_owner[i] != _ABSENT and buy_owner[i] == sell_owner[i]:
            bits |= OWNER
        if buy_complex[i] != 0 and sell_complex[i] != 0:
            bits |= COMPLEX
        if bits == 0:
            continue
        if bits & COMPLEX == 0:
            if buy_originator[i] != _ABSENT and sell_originator[i] != _ABSENT:
                if buy_originator[i] != sell_originator[i]:
                    continue
            elif buy_originator[i] != _ABSENT or sell_originator[i] != _ABSENT:
                bits |= OMNIBUS
            else:
                for account in (buyer, seller):
                    at = slot(table, ((x + np.int64(1)) << 32) | max(account, 0))
                    if table[at] != 0 and origin[at] == _SEVERAL:
                        bits |= OMNIBUS
        out[hits, 0] = i
        out[hits, 1] = bits
        out[hits, 2] = totals[x, 0]
        out[hits, 3] = totals[x, 1]
        # The oldest mark inside the window: at most one step of the window is left out.
        at = newest
        for back in range(1, min(marked[x], MARKS)):
            older = (marked[x] - 1 - back) % MARKS
            if marks[x, older, 0] < clock[i] - window_ns:
                break
            at = older
        out[hits, 4] = marks[x, at, 1]
        out[hits, 5] = marks[x, at, 2]
        hits += 1
    return len(kind), used, hits
