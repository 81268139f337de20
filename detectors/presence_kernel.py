"""Presence to the nanosecond: the orders of whoever owes quotes, event by event, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.maker_orders import id_key
from detectors.presence_orders import enter, fill, find, holds_at, remove
from detectors.presence_state import (
    ABSENT,
    I_DOUBT,
    I_HIGH,
    I_LAST_NS,
    I_LAST_SEQ,
    I_LOW,
    I_NEXT,
    I_PHASE,
    I_REASONED,
    I_RESTATING,
    LEARNING,
    MEMBERS,
    N_LIMIT,
    N_NOW,
    O_PRICE,
    O_SHOWN,
    ONE_SIDED,
    PRESENT,
    S_ASKS,
    S_BIDS,
    S_ENTERED,
    S_ENTERED_SEQ,
    S_EVEN,
    S_FORCED,
    S_GAP,
    S_LOST_BIDS,
    S_MEMBER,
    S_NOW,
    S_PARTY,
    S_SEQ,
    S_UNSURE,
    SURE,
    THIN,
    UNKNOWN,
    UNSURE,
    WIDE,
)
from detectors.presence_time import advance, breaks_at, look
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Reason, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "coverage", "phase_to", "account", "owner", "side",
    "type", "tif", "price", "quantity", "leaves", "display", "reason", "order_hi", "order_lo",
    "replaces_hi", "replaces_lo", "busts_hi", "busts_lo", "buy_hi", "buy_lo", "sell_hi", "sell_lo",
    "buy_account", "sell_account", "buy_owner", "sell_owner", "best_bid", "best_ask",
)  # fmt: skip
_NULL: Final = int(NULL)
_NEW, _REPLACE, _TRADE = int(Kind.NEW), int(Kind.REPLACE), int(Kind.TRADE)
_CANCEL, _TRIGGER, _REJECT = int(Kind.CANCEL), int(Kind.TRIGGER), int(Kind.REJECT)
_EXPIRE: Final = int(Kind.EXPIRE)
_STATUS, _BOOK, _BOOK_END = int(Kind.STATUS), int(Kind.BOOK), int(Kind.BOOK_END)
_LIMIT, _STOP_LIMIT = int(OrderType.LIMIT), int(OrderType.STOP_LIMIT)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_MMP, _DISCONNECT, _KILL = int(Reason.MMP), int(Reason.DISCONNECT), int(Reason.KILL)
_NONE, _USER, _OTHER = int(Reason.NONE), int(Reason.USER), int(Reason.OTHER)
UNEVEN: Final = 2
"""Sides are uneven when one shows more than twice the other: RTS 8, within 50 % [M]."""


@kernel()
def stand(slots: Array, s: int, numbers: Array, orders: Array, doubt: bool) -> int:
    """Return what a slot's quotes are now, and write how wide and how even they are.

    Present: the agreed quantity can be both bought and sold at prices no further apart than agreed,
    whatever its own best quotes are.
    """
    bids, asks = slots[s, S_BIDS], slots[s, S_ASKS]
    slots[s, S_EVEN], numbers[s, N_NOW] = 1, 0.0
    if doubt or slots[s, S_UNSURE] != SURE:
        return UNKNOWN
    if bids == 0 or asks == 0:
        return ABSENT if bids == asks else ONE_SIDED
    best_bid, best_ask = orders[s, 0, 0, O_PRICE], orders[s, 1, 0, O_PRICE]
    numbers[s, N_NOW] = 2e4 * (best_ask - best_bid) / max(1, best_ask + best_bid)
    bid, ask = holds_at(slots, s, orders, 0), holds_at(slots, s, orders, 1)
    if _NULL in (bid, ask):
        lost = (bid == _NULL and slots[s, S_LOST_BIDS] > 0) or (
            ask == _NULL and slots[s, S_LOST_BIDS + 1] > 0
        )
        return UNKNOWN if lost else THIN
    if ask - bid > numbers[s, N_LIMIT] * (ask + bid):
        return WIDE
    reach = numbers[s, N_LIMIT] * (best_ask + best_bid)
    bought: Any = np.int64(0)
    sold: Any = np.int64(0)
    for at in range(2):
        for place in range(slots[s, S_BIDS + at]):
            if abs(2 * orders[s, at, place, O_PRICE] - best_bid - best_ask) > reach:
                break
            if at == 0:
                bought += orders[s, at, place, O_SHOWN]
            else:
                sold += orders[s, at, place, O_SHOWN]
    if max(bought, sold) > UNEVEN * min(bought, sold):
        slots[s, S_EVEN] = 0
    return PRESENT


@kernel()
def restand(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, orders: Array, own: Array, x: int, seq: int
) -> None:
    """Look at a slot's quotes again after an event."""
    now = stand(slots, s, numbers, orders, own[x, I_DOUBT] != 0 or own[x, I_RESTATING] != 0)
    if now != slots[s, S_NOW]:
        slots[s, S_NOW], slots[s, S_SEQ] = now, seq
    if now != PRESENT:
        own[x, I_NEXT] = min(own[x, I_NEXT], breaks_at(slots, s, numbers, own, x))


@kernel()
def has_quoted(slots: Array, s: int, account: int) -> bool:
    """Return whether an account may have orders among a slot's, whoever owns it by now."""
    if account < 0:
        return False
    for j in range(S_MEMBER, S_MEMBER + MEMBERS):
        if slots[s, j] == account + 1:
            return True
    return bool(slots[s, S_MEMBER + MEMBERS - 1] != 0)


@kernel()
def follow(  # noqa: PLR0917
    slots: Array, s: int, orders: Array, k: int, seq: int, account: int, side: int, order_type: int,
    tif: int, price: int, leaves: int, display: int, reason: int, key: int, replaces: int,
) -> None:  # fmt: skip
    """Take an order record of a slot's party into its orders.

    Or, with NULL as its price, of an account that is the party's no more: what it had entered while
    it was is followed until it leaves, and nothing new is entered.
    """
    rests = (
        (k in (_NEW, _REPLACE, _BOOK) and order_type == _LIMIT)
        or (k == _TRIGGER and order_type == _STOP_LIMIT)
    ) and tif not in (_IOC, _FOK)
    if k == _REJECT:
        # It ends the order in flight, and that came just before; what stands goes on standing.
        if slots[s, S_ENTERED] == key and slots[s, S_ENTERED_SEQ] == seq - 1:
            remove(slots, s, orders, key, side)
        return
    if replaces != 0:
        remove(slots, s, orders, replaces, side)
    there = remove(slots, s, orders, key, side) if k != _NEW else False
    if rests and leaves > 0 and price != _NULL:
        enter(slots, s, orders, key, side, price, leaves, display)
        slots[s, S_FORCED], slots[s, S_ENTERED], slots[s, S_ENTERED_SEQ] = 0, key, seq
        for j in range(S_MEMBER, S_MEMBER + MEMBERS):
            if slots[s, j] == account + 1:
                break
            if slots[s, j] == 0:
                slots[s, j] = account + 1
                break
    elif there and k in (_CANCEL, _EXPIRE):
        if reason in (_MMP, _DISCONNECT, _KILL):
            slots[s, S_FORCED] = 1
        elif reason in (_NONE, _USER, _OTHER):
            slots[s, S_FORCED] = 0


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    factor: float,
    index: Array,
    own: Array,
    ranges: Array,
    slots: Array,
    numbers: Array,
    orders: Array,
    kept: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return where a slot's window is over, and the slot; or the end, -1.

    Or where a window can no longer be met: then S_BROKEN of the slot is 1, and the caller makes it
    2. `index` says where an instrument's slots begin and how many they are. The caller reads the
    window, begins the slot's next one, sets I_NEXT to 0 and goes on from that row.
    """
    (
        kind, instrument, seq, clock, coverage, phase_to, account, owner, side,
        order_type, tif, price, quantity, leaves, display, reason, order_hi, order_lo,
        replaces_hi, replaces_lo, busts_hi, busts_lo, buy_hi, buy_lo, sell_hi, sell_lo,
        buyer, seller, buy_owner, sell_owner, best_bid, best_ask,
    ) = columns  # fmt: skip
    for i in range(first, len(kind)):
        x = instrument[i]
        count = index[x, 1]
        base, now, k = index[x, 0], clock[i], kind[i]
        if reason[i] != _NONE:
            own[x, I_REASONED] = 1
        if count == 0:
            # Whoever comes to owe quotes here has to know this much of what was before.
            own[x, I_RESTATING] = 1 if k == _BOOK else 0
            if k == _STATUS and phase_to[i] >= 0:
                own[x, I_PHASE] = phase_to[i]
            continue
        if coverage[i] != 0 and own[x, I_DOUBT] == 0:
            # What is missing may have come at any time since the last event.
            own[x, I_DOUBT] = 1
            for s in range(base, base + count):
                advance(slots, s, numbers, kept, own, x, own[x, I_LAST_NS])
                slots[s, S_GAP] = 1
                restand(slots, s, numbers, orders, own, x, seq[i])
        if now >= own[x, I_NEXT]:
            over = look(own, x, ranges, slots, numbers, kept, base, count, now, factor)
            if over >= 0:
                return i, over
        is_sure = coverage[i] == 0 and own[x, I_DOUBT] != 0
        starts = k in (_BOOK, _BOOK_END) and own[x, I_RESTATING] == 0
        ends = k != _BOOK and own[x, I_RESTATING] != 0
        if is_sure or starts or ends or (k == _STATUS and phase_to[i] >= 0):
            for s in range(base, base + count):
                advance(slots, s, numbers, kept, own, x, now)
                slots[s, S_SEQ] = seq[i]
                if starts:
                    slots[s, S_BIDS], slots[s, S_ASKS] = 0, 0
                    slots[s, S_LOST_BIDS], slots[s, S_LOST_BIDS + 1] = 0, 0
                    slots[s, S_UNSURE] = LEARNING if slots[s, S_UNSURE] != SURE else SURE
                if k != _BOOK and slots[s, S_UNSURE] == LEARNING:
                    slots[s, S_UNSURE] = SURE if k == _BOOK_END else UNSURE
            # Should a restatement not have been enough, the next row says so.
            own[x, I_DOUBT] = 0 if is_sure or k == _BOOK_END else own[x, I_DOUBT]
            own[x, I_RESTATING] = 1 if k == _BOOK else 0
            if k == _STATUS and phase_to[i] >= 0:
                own[x, I_PHASE] = phase_to[i]
            for s in range(base, base + count):
                restand(slots, s, numbers, orders, own, x, seq[i])
        if k == _TRADE:
            if busts_hi[i] == 0 and busts_lo[i] == 0:
                for s in range(base, base + count):
                    party = slots[s, S_PARTY]
                    buys = party in (buyer[i], buy_owner[i]) or has_quoted(slots, s, buyer[i])
                    sells = party in (seller[i], sell_owner[i]) or has_quoted(slots, s, seller[i])
                    if buys or sells:
                        advance(slots, s, numbers, kept, own, x, now)
                        if buys:
                            fill(slots, s, orders, id_key(buy_hi[i], buy_lo[i]), quantity[i])
                        if sells:
                            fill(slots, s, orders, id_key(sell_hi[i], sell_lo[i]), quantity[i])
                        restand(slots, s, numbers, orders, own, x, seq[i])
        elif k not in (_STATUS, _BOOK_END):
            key = id_key(order_hi[i], order_lo[i])
            replaces = id_key(replaces_hi[i], replaces_lo[i])
            for s in range(base, base + count):
                is_theirs = slots[s, S_PARTY] in (account[i], owner[i])
                if is_theirs or (
                    has_quoted(slots, s, account[i])
                    and max(find(slots, s, orders, key)[0], find(slots, s, orders, replaces)[0])
                    >= 0
                ):
                    advance(slots, s, numbers, kept, own, x, now)
                    follow(
                        slots, s, orders, k, seq[i], account[i], side[i], order_type[i],
                        tif[i], price[i] if is_theirs else _NULL,
                        leaves[i] if leaves[i] != _NULL else quantity[i],
                        display[i], reason[i], key, replaces,
                    )  # fmt: skip
                    restand(slots, s, numbers, orders, own, x, seq[i])
        if best_bid[i] != _NULL and best_ask[i] != _NULL:
            twice = best_bid[i] + best_ask[i]
            own[x, I_HIGH] = max(own[x, I_HIGH], twice)
            own[x, I_LOW] = min(own[x, I_LOW], twice) if own[x, I_LOW] != 0 else twice
        own[x, I_LAST_NS], own[x, I_LAST_SEQ] = now, seq[i]
    return len(kind), -1
