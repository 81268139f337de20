"""The live orders of makers, slot by slot, and the best price of each: for client_interaction."""

from __future__ import annotations

import numpy as np

from detectors.interaction_state import GROUP, ORDERS, SLOTS
from detectors.maker_orders import (
    O_DISPLAY,
    O_KEY,
    O_LEAVES,
    O_PRICE,
    O_SIDE,
    S_ACCOUNT,
    S_ASK,
    S_BID,
    S_NS,
    S_ORDERS,
    keep_best,
    place_of,
    remove,
    set_best,
    shown,
    vacate,
)
from ingest.compiled import kernel
from ingest.events import Array


@kernel(inline="always")
def slot_of(slots: Array, account: int, group: bool) -> int:
    """Return the slot of an account, or -1 when it has none."""
    if group:
        return GROUP
    for slot in range(GROUP + 1, SLOTS):
        if slots[slot, S_ACCOUNT] == account + 1:
            return slot
    return -1


@kernel()
def given(slots: Array, account: int, lost: Array) -> int:
    """Return a slot for an external maker: a free one, else that of the one longest unseen."""
    best = GROUP + 1
    for slot in range(GROUP + 1, SLOTS):
        if slots[slot, S_ACCOUNT] == 0:
            best = slot
            break
        if slots[slot, S_NS] < slots[best, S_NS]:
            best = slot
    if slots[best, S_ACCOUNT] != 0:
        lost[0] += 1
    slots[best] = 0
    slots[best, S_ACCOUNT] = account + 1
    return best


@kernel()
def at_price(slots: Array, orders: Array, slot: int, side: int, price: int) -> int:
    """Return what a slot shows at a price of a side, lots."""
    lots = 0
    for place in range(slots[slot, S_ORDERS]):
        if orders[slot, place, O_SIDE] == side and orders[slot, place, O_PRICE] == price:
            lots += shown(orders, slot, place)
    return lots


@kernel(inline="always")
def drop(slots: Array, orders: Array, slot: int, key: int) -> None:
    """Forget an order where it is known."""
    place = place_of(slots, orders, slot, key)
    if place < 0:
        return
    side, price = orders[slot, place, O_SIDE], orders[slot, place, O_PRICE]
    remove(slots, orders, slot, place)
    if price == slots[slot, S_BID if side > 0 else S_ASK]:
        set_best(slots, orders, slot, side)


@kernel()
def _furthest(slots: Array, orders: Array, slot: int) -> int:
    """Return the place of the order that is furthest from the slot's best on its side."""
    found, most = 0, np.int64(-1)
    for place in range(slots[slot, S_ORDERS]):
        side = orders[slot, place, O_SIDE]
        top = slots[slot, S_BID if side > 0 else S_ASK]
        away = abs(orders[slot, place, O_PRICE] - top)
        if away > most:
            found, most = place, away
    return found


@kernel(inline="always")
def put(  # noqa: PLR0917
    slots: Array, orders: Array, lost: Array, slot: int, key: int, side: int, price: int,
    leaves: int, display: int,
) -> None:  # fmt: skip
    """Take an order that rests, or what it has become."""
    place = place_of(slots, orders, slot, key)
    if place < 0:
        place = slots[slot, S_ORDERS]
        if place == ORDERS:
            lost[0] += 1
            place = _furthest(slots, orders, slot)
            vacate(slots, orders, slot, place)
        else:
            slots[slot, S_ORDERS] += 1
    elif orders[slot, place, O_SIDE] != side:
        return
    was = orders[slot, place, O_PRICE] if shown(orders, slot, place) > 0 else 0
    orders[slot, place, O_KEY], orders[slot, place, O_SIDE] = key, side
    orders[slot, place, O_PRICE], orders[slot, place, O_LEAVES] = price, leaves
    orders[slot, place, O_DISPLAY] = display
    keep_best(slots, orders, slot, side, was, price if shown(orders, slot, place) > 0 else 0)


@kernel(inline="always")
def fill(slots: Array, orders: Array, slot: int, key: int, lots: int) -> None:
    """Take a trade out of an order, where it is known."""
    place = place_of(slots, orders, slot, key)
    if place < 0:
        return
    orders[slot, place, O_LEAVES] -= lots
    if orders[slot, place, O_LEAVES] <= 0:
        drop(slots, orders, slot, key)


@kernel()
def forget(slots: Array) -> None:
    """Forget all orders: a restatement of the book begins."""
    slots[:, S_ORDERS], slots[:, S_BID], slots[:, S_ASK] = 0, 0, 0
