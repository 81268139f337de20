"""Live orders of makers, slot by slot, as kernels keep them: found, shown, removed, the best price.

A slot's first fields and an order's fields are those named here; orders of a slot stand together.
What is called for every record is inlined: each array given to a kernel that is not is counted up
and down, which costs more than the work.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ingest.compiled import kernel
from ingest.events import NULL, Array

_NULL: Final = int(NULL)

# Of a slot: account code + 1 (0 = free), best bid and ask (0 = none), event time last seen, orders.
S_ACCOUNT, S_BID, S_ASK, S_NS, S_ORDERS = range(5)
ORDERED_SLOT_FIELDS: Final = 5
# Of an order.
O_KEY, O_SIDE, O_PRICE, O_LEAVES, O_DISPLAY = range(5)
ORDER_FIELDS: Final = 5


@kernel()
def id_key(high: int, low: int) -> int:
    """Return 64 bits of an id's hash, as they are told apart within one account; 0 = no id."""
    key: Any = np.int64(high ^ low)
    return int(key)


@kernel()
def shown(orders: Array, slot: int, place: int) -> int:
    """Return what an order shows, lots."""
    leaves, display = orders[slot, place, O_LEAVES], orders[slot, place, O_DISPLAY]
    return int(leaves if display == _NULL else min(leaves, display))


@kernel(inline="always")
def set_best(slots: Array, orders: Array, slot: int, side: int) -> bool:
    """Find anew the best price at which a slot shows anything on a side; return if it changed."""
    found = np.int64(0)
    for place in range(slots[slot, S_ORDERS]):
        price = orders[slot, place, O_PRICE]
        if (
            orders[slot, place, O_SIDE] == side
            and (found == 0 or side * (price - found) > 0)
            and shown(orders, slot, place) > 0
        ):
            found = price
    field = S_BID if side > 0 else S_ASK
    changed = bool(slots[slot, field] != found)
    slots[slot, field] = found
    return changed


@kernel(inline="always")
def keep_best(  # noqa: PLR0917
    slots: Array, orders: Array, slot: int, side: int, was: int, now: int
) -> bool:
    """Bring a slot's best price up to date with one order of a side; return if it changed.

    The order showed something at `was` and does so at `now` (0 = nothing). All orders are looked at
    only where the best price was its own, and is no more.
    """
    field = S_BID if side > 0 else S_ASK
    best = slots[slot, field]
    if now != 0 and (best == 0 or side * (now - best) >= 0):
        slots[slot, field] = now
        return bool(now != best)
    return bool(was != 0 and was == best and set_best(slots, orders, slot, side))


@kernel(inline="always")
def place_of(slots: Array, orders: Array, slot: int, key: int) -> int:
    """Return the place of an order in its slot, or -1 when it is not known."""
    for place in range(slots[slot, S_ORDERS]):
        if orders[slot, place, O_KEY] == key:
            return place
    return -1


@kernel(inline="always")
def remove(slots: Array, orders: Array, slot: int, place: int) -> None:
    """Forget an order: the last one takes its place."""
    last = slots[slot, S_ORDERS] - 1
    for field in range(ORDER_FIELDS):
        orders[slot, place, field] = orders[slot, last, field]
        orders[slot, last, field] = 0
    slots[slot, S_ORDERS] = last


@kernel(inline="always")
def vacate(slots: Array, orders: Array, slot: int, place: int) -> None:
    """Forget an order whose place another takes."""
    side = orders[slot, place, O_SIDE]
    orders[slot, place] = 0
    set_best(slots, orders, slot, side)
