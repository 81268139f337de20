"""Live orders behind spoofing, and what the parties show by them.

Of an instrument: a table of orders by key, the parties, and their lanes.
What is called for every record is inlined, as in maker_orders.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.layers_state import (
    FILLED,
    FORCED,
    I_HELD,
    L_ACCOUNT,
    L_ENTRY,
    L_LOTS,
    L_NS,
    L_PRICE,
    L_SEQ,
    L_SINCE,
    LAYERS,
    O_ACCOUNT,
    O_GROUP,
    O_HALVED,
    O_KEY,
    O_PARTY,
    O_PRICE,
    O_SEQ,
    O_SHOWN,
    O_SIDE,
    O_SINCE,
    ORDERS,
    ORDERS_LANE,
    P_ACCOUNT,
    P_GROUP,
    P_STALE,
    PARTIES,
    SURGING,
    X_FILLED,
    X_FORCED,
    X_MADE_GONE,
    X_SHOWN,
    X_STATE,
)  # fmt: skip
from detectors.rows import write
from ingest.compiled import kernel
from ingest.events import Array

_MIX: Final = -7046029254386353131  # 2^64 / golden ratio, as int64: Fibonacci hashing


@kernel(inline="always")
def find(orders: Array, key: int) -> int:
    """Return where an order is, or the free slot where it belongs."""
    mask = ORDERS - 1
    at = ((key * _MIX) >> 32) & mask
    while orders[at, O_KEY] != 0 and orders[at, O_KEY] != key:
        at = (at + 1) & mask
    return int(at)


@kernel(inline="always")
def drop(orders: Array, at: int) -> None:
    """Free a slot; close the gap that it leaves in the probing of others."""
    mask = ORDERS - 1
    hole = at
    after = (at + 1) & mask
    while orders[after, O_KEY] != 0:
        home = ((orders[after, O_KEY] * _MIX) >> 32) & mask
        if ((after - home) & mask) >= ((after - hole) & mask):
            write(orders[hole], orders[after])
            hole = after
        after = (after + 1) & mask
    orders[hole] = 0


@kernel()
def order_key(high: int, low: int) -> int:
    """Return 64 bits of an id's hash; never 0, which stands for a free slot."""
    key = np.int64(high) ^ (np.int64(low) * np.int64(3))
    return int(key) if key != 0 else 1


@kernel(inline="always")
def party_of(parties: Array, account: int, group: int) -> int:
    """Return the place of an account among an instrument's parties; -1 = there is no room."""
    for p in range(1, PARTIES):
        if parties[p, P_ACCOUNT] == account + 1:
            parties[p, P_GROUP] = group
            return p
        if parties[p, P_ACCOUNT] == 0:
            parties[p, P_ACCOUNT], parties[p, P_GROUP] = account + 1, group
            return p
    return -1


@kernel(inline="always")
def count(  # noqa: PLR0917
    orders: Array, at: int, change: int, how: int, parties: Array, sides: Array
) -> None:
    """Count an order in or out of those that stand, for its party and the complex."""
    s = ORDERS_LANE + (0 if orders[at, O_SIDE] > 0 else 1)
    for p in (orders[at, O_PARTY], np.int64(0)):
        if p > 0 or (p == 0 and orders[at, O_GROUP] != 0):
            parties[p, P_STALE] = 1
            sides[p, s, X_SHOWN] += change
            if how == FILLED:
                sides[p, s, X_FILLED] -= change
            elif how == FORCED:
                sides[p, s, X_FORCED] -= change


@kernel(inline="always")
def shift(  # noqa: PLR0917
    orders: Array, at: int, lots: int, how: int, seq: int, clock: int, parties: Array,
    sides: Array, layers: Array,
) -> None:  # fmt: skip
    """Take lots off what an order shows: 0 filled, 1 by choice, 2 not by choice."""
    if lots == 0:
        return
    s = 0 if orders[at, O_SIDE] > 0 else 1
    orders[at, O_SHOWN] -= lots
    for p in (orders[at, O_PARTY], np.int64(0)):
        if p < 0 or (p == 0 and orders[at, O_GROUP] == 0):
            continue
        parties[p, P_STALE] = 1
        sides[p, s, X_SHOWN] -= lots
        if how == FILLED:
            sides[p, s, X_FILLED] += lots
        elif how == FORCED:
            sides[p, s, X_FORCED] += lots
        elif lots > 0 and (
            sides[p, s, X_STATE] == SURGING or sides[p, s + ORDERS_LANE, X_STATE] == SURGING
        ):
            layer = layers[p, s, sides[p, s, X_MADE_GONE] % LAYERS]
            layer[L_ENTRY], layer[L_SEQ], layer[L_NS] = orders[at, O_SEQ], seq, clock
            layer[L_LOTS], layer[L_SINCE] = lots, orders[at, O_SINCE]
            layer[L_PRICE], layer[L_ACCOUNT] = orders[at, O_PRICE], orders[at, O_ACCOUNT]
            sides[p, s, X_MADE_GONE] += 1


@kernel(inline="always")
def leave(  # noqa: PLR0917
    own: Array, orders: Array, at: int, how: int, seq: int, clock: int, parties: Array,
    sides: Array, layers: Array,
) -> None:  # fmt: skip
    """Take an order off the book."""
    shift(orders, at, orders[at, O_SHOWN], how, seq, clock, parties, sides, layers)
    if orders[at, O_HALVED] == 0:
        count(orders, at, -1, how, parties, sides)
    drop(orders, at)
    own[I_HELD] -= 1
