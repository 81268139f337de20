"""What makers have at the touch, followed event by event, for the scan of quote_fading.

Kept are the live orders of the group's accounts and of external makers, who of them was at the
touch when, and what each took from it, posted to it or was filled there.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.fading_state import (
    CHANGED,
    E_COUNTED,
    E_LOTS,
    E_NS,
    E_PRICE,
    E_RECEIVED,
    E_SEQ,
    E_SIDE,
    E_SLOT,
    EVENTS,
    GROUP_SLOTS,
    LAST_ASK,
    LAST_BID,
    LAST_NS,
    N_EVENTS,
    N_STATES,
    ORDERS,
    PEERS_SEEN,
    RESTATING,
    SLOTS,
    STATES,
    T_ASK,
    T_BID,
    T_MASK,
    T_NS,
)  # fmt: skip
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
    shown,
    vacate,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Reason, TimeInForce

_NULL: Final = int(NULL)
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_BOOK: Final = int(Kind.BOOK)
_LIMIT: Final = int(OrderType.LIMIT)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_NONE, _USER, _OTHER = int(Reason.NONE), int(Reason.USER), int(Reason.OTHER)


@kernel(inline="always")
def _slot_of(slots: Array, x: int, account: int) -> int:
    for slot in range(SLOTS):
        if slots[x, slot, S_ACCOUNT] == account + 1:
            return slot
    return -1


@kernel(inline="always")
def _given(  # noqa: PLR0917
    own: Array, slots: Array, tallies: Array, lost: Array, x: int, account: int, group: bool
) -> int:
    """Return a slot for an account: a free one, else that of the account longest unseen."""
    low, high = (0, GROUP_SLOTS) if group else (GROUP_SLOTS, SLOTS)
    best = low
    for slot in range(low, high):
        if slots[x, slot, S_ACCOUNT] == 0:
            best = slot
            break
        if slots[x, slot, S_NS] < slots[x, best, S_NS]:
            best = slot
    if slots[x, best, S_ACCOUNT] != 0:
        lost[0] += 1
        if group:
            tallies[x, :, best + 1] = 0
    elif not group:
        own[x, PEERS_SEEN] += 1
    slots[x, best] = 0
    slots[x, best, S_ACCOUNT] = account + 1
    return best


@kernel(inline="always")
def _note(  # noqa: PLR0917
    own: Array, events: Array, x: int, ns: int, received: int, slot: int, side: int, price: int,
    lots: int, seq: int,
) -> None:  # fmt: skip
    at = own[x, N_EVENTS] % EVENTS
    events[x, at, E_NS], events[x, at, E_RECEIVED] = ns, received
    events[x, at, E_SLOT], events[x, at, E_SIDE] = slot, side
    events[x, at, E_PRICE], events[x, at, E_LOTS], events[x, at, E_SEQ] = price, lots, seq
    events[x, at, E_COUNTED] = 0
    own[x, N_EVENTS] += 1


@kernel(inline="always")
def touch(  # noqa: PLR0917
    own: Array, slots: Array, states: Array, x: int, bid: int, ask: int
) -> None:
    """Keep the touch as it stood before an event, and who was at it, where that has changed."""
    if own[x, CHANGED] == 0 and bid == own[x, LAST_BID] and ask == own[x, LAST_ASK]:
        return
    own[x, CHANGED], own[x, LAST_BID], own[x, LAST_ASK] = 0, bid, ask
    mask = np.int64(0)
    for slot in range(SLOTS):
        if bid != 0 and slots[x, slot, S_BID] == bid:
            mask |= np.int64(1) << (2 * slot)
        if ask != 0 and slots[x, slot, S_ASK] == ask:
            mask |= np.int64(1) << (2 * slot + 1)
    count = own[x, N_STATES]
    last = (count - 1) % STATES
    if (
        count > 0
        and states[x, last, T_BID] == bid
        and states[x, last, T_ASK] == ask
        and states[x, last, T_MASK] == mask
    ):
        return
    new = count % STATES
    states[x, new, T_NS], states[x, new, T_MASK] = own[x, LAST_NS], mask
    states[x, new, T_BID], states[x, new, T_ASK] = bid, ask
    own[x, N_STATES] += 1


@kernel(inline="always")
def fill(  # noqa: PLR0917
    own: Array, slots: Array, orders: Array, events: Array, x: int, account: int, key: int,
    side: int, rests: bool, price: int, lots: int, seq: int, ns: int,
) -> None:  # fmt: skip
    """Take a trade out of an order of an account, where it is looked at."""
    slot = _slot_of(slots, x, account)
    if slot < 0:
        return
    if rests:
        _note(own, events, x, ns, _NULL, slot, side, price, 0, seq)
    place = place_of(slots[x], orders[x], slot, key)
    if place < 0:
        return
    was_price, own_side = orders[x, slot, place, O_PRICE], orders[x, slot, place, O_SIDE]
    orders[x, slot, place, O_LEAVES] -= lots
    if orders[x, slot, place, O_LEAVES] <= 0:
        remove(slots[x], orders[x], slot, place)
        if keep_best(slots[x], orders[x], slot, own_side, was_price, 0):
            own[x, CHANGED] = 1


@kernel()
def restate(own: Array, slots: Array, x: int, kind: int) -> None:
    """Forget all orders where a restatement of the book begins."""
    if kind == _BOOK and own[x, RESTATING] == 0:
        slots[x, :, S_ORDERS], slots[x, :, S_BID], slots[x, :, S_ASK] = 0, 0, 0
        own[x, CHANGED] = 1
    own[x, RESTATING] = 1 if kind == _BOOK else 0


@kernel(inline="always")
def follow(  # noqa: PLR0917
    own: Array, slots: Array, orders: Array, events: Array, tallies: Array, lost: Array, x: int,
    group: bool, kind: int, seq: int, ns: int, received: int, account: int, side: int,
    order_type: int, tif: int, price: int, leaves: int, display: int, reason: int, best_bid: int,
    best_ask: int, key: int, replaces: int,
) -> None:  # fmt: skip
    """Take an order record of the group or of an external maker into its orders and the events."""
    slot = _slot_of(slots, x, account)
    if slot >= 0 and (slot < GROUP_SLOTS) != group:  # its role has changed
        slots[x, slot] = 0
        own[x, PEERS_SEEN] -= 1 if group else 0
        slot = -1
    rests = (
        kind in (_NEW, _REPLACE, _BOOK)
        and order_type == _LIMIT
        and tif not in (_IOC, _FOK)
        and leaves > 0
        and price != _NULL
    )
    if slot < 0:
        if not rests:
            return
        slot = _given(own, slots, tallies, lost, x, account, group)
    slots[x, slot, S_NS] = ns
    was_price: Any = np.int64(0)
    was_shown: Any = np.int64(0)
    place = place_of(slots[x], orders[x], slot, replaces if replaces != 0 else key)
    if place >= 0:
        was_price = orders[x, slot, place, O_PRICE]
        was_shown = shown(orders[x], slot, place)
        side = orders[x, slot, place, O_SIDE]
        if not rests or replaces != 0:
            remove(slots[x], orders[x], slot, place)
            place = -1
    now_shown: Any = np.int64(0)
    if rests:
        if place < 0:
            place = slots[x, slot, S_ORDERS]
            if place == ORDERS:
                lost[0] += 1
                place = 0  # the oldest but for those that took a place: it may be long gone
                vacate(slots[x], orders[x], slot, place)
                own[x, CHANGED] = 1
            else:
                slots[x, slot, S_ORDERS] += 1
        orders[x, slot, place, O_KEY], orders[x, slot, place, O_SIDE] = key, side
        orders[x, slot, place, O_PRICE], orders[x, slot, place, O_LEAVES] = price, leaves
        orders[x, slot, place, O_DISPLAY] = display
        now_shown = shown(orders[x], slot, place)
    was, now = was_price if was_shown else 0, price if now_shown else 0
    if keep_best(slots[x], orders[x], slot, side, was, now):
        own[x, CHANGED] = 1
    best = best_bid if side > 0 else best_ask
    better = side * (price - was_price) if now_shown and was_shown else 0
    gone: Any = np.int64(0)
    came: Any = np.int64(0)
    if better == 0:
        gone, came = max(0, was_shown - now_shown), max(0, now_shown - was_shown)
    elif better < 0:
        gone = was_shown
    else:
        came = now_shown
    by_choice = reason in (_NONE, _USER, _OTHER) and kind in (_NEW, _REPLACE, _CANCEL)
    if gone > 0 and by_choice and received != _NULL and (slot < GROUP_SLOTS or was_price == best):
        _note(own, events, x, ns, received, slot, side, was_price, gone, seq)
    if came > 0 and (best == _NULL or side * (price - best) >= 0):
        _note(own, events, x, ns, received, slot, side, price, -came, seq)
