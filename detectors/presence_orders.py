"""The live orders of who owes quotes: a table of each, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.presence_state import (
    O_DISPLAY,
    O_KEY,
    O_LEAVES,
    O_PRICE,
    O_SHOWN,
    ORDER_FIELDS,
    ROOM,
    S_BIDS,
    S_LOST_BIDS,
    S_MIN_LOTS,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array

_NULL: Final = int(NULL)


@kernel()
def enter(  # noqa: PLR0917
    slots: Array, s: int, orders: Array, key: int, side: int, price: int, leaves: int, display: int
) -> None:
    """Put an order at its place, behind all that are at least as good."""
    at = 0 if side > 0 else 1
    count = slots[s, S_BIDS + at]
    place = count
    while place > 0 and side * (price - orders[s, at, place - 1, O_PRICE]) > 0:
        place -= 1
    if count == ROOM:
        slots[s, S_LOST_BIDS + at] += 1
        if place == ROOM:
            return
        count -= 1
    for j in range(count, place, -1):
        for field in range(ORDER_FIELDS):
            orders[s, at, j, field] = orders[s, at, j - 1, field]
    orders[s, at, place, O_KEY], orders[s, at, place, O_PRICE], orders[s, at, place, O_LEAVES] = (
        key,
        price,
        leaves,
    )
    orders[s, at, place, O_DISPLAY] = display
    orders[s, at, place, O_SHOWN] = leaves if display == _NULL else min(leaves, display)
    slots[s, S_BIDS + at] = count + 1


@kernel()
def find(slots: Array, s: int, orders: Array, key: int) -> tuple[int, int]:
    """Return side (0 bid, 1 ask) and place of an order, or (-1, -1)."""
    for at in range(2):
        for place in range(slots[s, S_BIDS + at]):
            if orders[s, at, place, O_KEY] == key:
                return at, place
    return -1, -1


@kernel()
def remove(slots: Array, s: int, orders: Array, key: int, side: int) -> bool:
    """Take an order away; return whether it was there. `side` is where it is said to have been."""
    at, place = find(slots, s, orders, key)
    if at < 0:
        lost = S_LOST_BIDS + (0 if side > 0 else 1)
        slots[s, lost] = max(0, slots[s, lost] - 1)
        return False
    slots[s, S_BIDS + at] -= 1
    for j in range(place, slots[s, S_BIDS + at]):
        for field in range(ORDER_FIELDS):
            orders[s, at, j, field] = orders[s, at, j + 1, field]
    return True


@kernel()
def fill(slots: Array, s: int, orders: Array, key: int, lots: int) -> None:
    """Take a trade's quantity from an order; once its shown part is gone, the next is shown."""
    at, place = find(slots, s, orders, key)
    if at < 0:
        return
    orders[s, at, place, O_LEAVES] -= lots
    orders[s, at, place, O_SHOWN] -= lots
    leaves, display = orders[s, at, place, O_LEAVES], orders[s, at, place, O_DISPLAY]
    if leaves <= 0:
        remove(slots, s, orders, key, 1 - 2 * at)
    elif orders[s, at, place, O_SHOWN] <= 0:
        orders[s, at, place, O_SHOWN] = min(leaves, display) if display > 0 else 0


@kernel()
def holds_at(slots: Array, s: int, orders: Array, at: int) -> int:
    """Return the price at which a side holds the agreed quantity, from its best on; NULL = none."""
    shown: Any = np.int64(0)
    for place in range(slots[s, S_BIDS + at]):
        shown += orders[s, at, place, O_SHOWN]
        if shown >= slots[s, S_MIN_LOTS]:
            return int(orders[s, at, place, O_PRICE])
    return _NULL
