"""Presence to the nanosecond: the orders of whoever owes quotes, event by event, compiled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.fading_kernel import id_key
from detectors.presence_orders import enter, fill, find, holds_at, remove
from detectors.presence_state import (
    ABSENT,
    CLOSED,
    I_DOUBT,
    I_HIGH,
    I_LAST_NS,
    I_LAST_SEQ,
    I_LOW,
    I_MINUTE,
    I_NEXT,
    I_PHASE,
    I_RANGES,
    I_REASONED,
    I_RESTATING,
    K_FIRST,
    K_FROM,
    K_KINDS,
    K_LAST,
    K_TO,
    KEPT,
    LEARNING,
    MEMBERS,
    N_LIMIT,
    N_NOW,
    N_RATIO,
    N_SPREAD,
    O_PRICE,
    O_SHOWN,
    ONE_SIDED,
    PRESENT,
    RANGES,
    S_ABSENT,
    S_ASKS,
    S_AT_SEQ,
    S_BIDS,
    S_BROKEN,
    S_CALM_OPEN,
    S_CAP,
    S_CLOSED,
    S_ENTERED,
    S_ENTERED_SEQ,
    S_EVEN,
    S_EXCUSED,
    S_FORCED,
    S_GAP,
    S_IN_FORCE,
    S_LAST_NS,
    S_LEAST,
    S_LENGTH,
    S_LONGEST,
    S_LOST_BIDS,
    S_MEMBER,
    S_MINUTE_OPEN,
    S_MINUTE_PRESENT,
    S_MISS_KINDS,
    S_MISS_NS,
    S_MISS_SEQ,
    S_MISSES,
    S_NOW,
    S_OPEN,
    S_PARTY,
    S_PRESENT,
    S_SEGMENT,
    S_SEQ,
    S_STRESS_OPEN,
    S_TWO_SIDED,
    S_UNEVEN,
    S_UNKNOWN,
    S_UNSURE,
    S_UNTIL,
    SURE,
    THIN,
    UNKNOWN,
    UNSURE,
    WIDE,
)
from ingest.compiled import njit
from ingest.events import NULL, Array, Kind, OrderType, Phase, Reason, TimeInForce

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
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_FOREVER: Final = 2**63 - 1
MINUTE_NS: Final = 60_000_000_000
ENOUGH: Final = 20
"""Minutes before anything is high: their median then rests on ten on each side."""
UNEVEN: Final = 2
"""Sides are uneven when one shows more than twice the other: RTS 8, within 50 % [M]."""


@njit(cache=True)
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


@njit(cache=True)
def breaks_at(slots: Array, s: int, numbers: Array, own: Array, x: int) -> int:
    """Return when a window can no longer be met if nothing happens before it; never: far away.

    What is still to come of it can only make what is allowed less: a halt, or time excused.
    """
    is_missed = ABSENT <= slots[s, S_NOW] <= WIDE and own[x, I_PHASE] == _CONTINUOUS
    if slots[s, S_BROKEN] != 0 or slots[s, S_IN_FORCE] == 0 or not is_missed:
        return _FOREVER
    excused = max(0, slots[s, S_CAP] - slots[s, S_EXCUSED]) if slots[s, S_FORCED] != 0 else 0
    missed = slots[s, S_OPEN] - slots[s, S_PRESENT]
    owed = slots[s, S_LENGTH] - slots[s, S_CLOSED] - slots[s, S_EXCUSED] - excused
    # A nanosecond beyond what is allowed, and one for rounding: as `is_missed` has it.
    left = np.int64(np.floor((1 - numbers[s, N_RATIO]) * owed + 0.25)) + 2 - missed
    at_ns = slots[s, S_LAST_NS] + excused + max(left, slots[s, S_LEAST] - slots[s, S_OPEN], 1)
    return int(at_ns) if at_ns < slots[s, S_UNTIL] else _FOREVER


@njit(cache=True)
def restand(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, orders: Array, own: Array, x: int, seq: int
) -> None:
    """Look at a slot's quotes again after an event."""
    now = stand(slots, s, numbers, orders, own[x, I_DOUBT] != 0 or own[x, I_RESTATING] != 0)
    if now != slots[s, S_NOW]:
        slots[s, S_NOW], slots[s, S_SEQ] = now, seq
    if now != PRESENT:
        own[x, I_NEXT] = min(own[x, I_NEXT], breaks_at(slots, s, numbers, own, x))


@njit(cache=True)
def end_stretch(slots: Array, s: int, kept: Array, at_ns: int, seq: int) -> None:
    """Close the interval missed that is open, if one is."""
    if slots[s, S_MISS_NS] == 0:
        return
    length = at_ns - slots[s, S_MISS_NS]
    place = slots[s, S_MISSES]
    if place >= KEPT:
        place = 0
        for j in range(KEPT):
            if (
                kept[s, j, K_TO] - kept[s, j, K_FROM]
                < kept[s, place, K_TO] - kept[s, place, K_FROM]
            ):
                place = j
    if slots[s, S_MISSES] < KEPT or length > kept[s, place, K_TO] - kept[s, place, K_FROM]:
        kept[s, place, K_FROM], kept[s, place, K_TO] = slots[s, S_MISS_NS], at_ns
        kept[s, place, K_KINDS], kept[s, place, K_FIRST] = (
            slots[s, S_MISS_KINDS],
            slots[s, S_MISS_SEQ],
        )
        kept[s, place, K_LAST] = max(seq, slots[s, S_MISS_SEQ])
    slots[s, S_MISSES] += 1
    slots[s, S_LONGEST] = max(slots[s, S_LONGEST], length)
    slots[s, S_MISS_NS], slots[s, S_MISS_KINDS] = 0, 0


@njit(cache=True)
def advance(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, kept: Array, own: Array, x: int, to: int
) -> None:
    """Count the time up to `to` as what the quotes were."""
    begin = slots[s, S_LAST_NS]
    if to <= begin or begin == 0:
        return
    slots[s, S_LAST_NS] = to
    what = (
        slots[s, S_NOW] if slots[s, S_IN_FORCE] != 0 and own[x, I_PHASE] == _CONTINUOUS else CLOSED
    )
    is_missed = ABSENT <= what <= WIDE
    if is_missed and slots[s, S_FORCED] != 0:
        excused = min(to - begin, max(0, slots[s, S_CAP] - slots[s, S_EXCUSED]))
        if excused > 0:
            end_stretch(slots, s, kept, begin, slots[s, S_SEQ])
            slots[s, S_EXCUSED] += excused
            begin += excused
    length = to - begin
    if length == 0:
        return
    if not is_missed:
        end_stretch(slots, s, kept, begin, slots[s, S_SEQ])
    if what == CLOSED:
        slots[s, S_CLOSED] += length
        return
    if what == UNKNOWN:
        slots[s, S_UNKNOWN] += length
        return
    slots[s, S_OPEN] += length
    slots[s, S_MINUTE_OPEN] += length
    if what in (PRESENT, THIN, WIDE):
        slots[s, S_TWO_SIDED] += length
        numbers[s, N_SPREAD] += numbers[s, N_NOW] * (length / 1e9)
    if what == PRESENT:
        slots[s, S_PRESENT] += length
        slots[s, S_MINUTE_PRESENT] += length
        slots[s, S_UNEVEN] += length if slots[s, S_EVEN] == 0 else 0
        return
    slots[s, S_ABSENT + what - ABSENT] += length
    if slots[s, S_MISS_NS] == 0:
        slots[s, S_MISS_NS] = begin
        # What began before this window is told by the last event before it: it is at hand.
        slots[s, S_MISS_SEQ] = (
            slots[s, S_SEQ] if begin > slots[s, S_SEGMENT] else slots[s, S_AT_SEQ]
        )
    slots[s, S_MISS_KINDS] |= np.int64(1) << what


@njit(cache=True)
def end_minute(  # noqa: PLR0917
    own: Array, x: int, ranges: Array, slots: Array, base: int, count: int, factor: float
) -> None:
    """Add the minute's presence to that of calm or of restless times, by the mid's range in it."""
    if own[x, I_HIGH] > 0:
        spread = (own[x, I_HIGH] - own[x, I_LOW]) / own[x, I_HIGH]
        known = min(own[x, I_RANGES], RANGES)
        if known >= ENOUGH:
            is_restless = spread > factor * np.median(ranges[x, :known])
            at = S_STRESS_OPEN if is_restless else S_CALM_OPEN
            for s in range(base, base + count):
                slots[s, at] += slots[s, S_MINUTE_OPEN]
                slots[s, at + 1] += slots[s, S_MINUTE_PRESENT]
        ranges[x, own[x, I_RANGES] % RANGES] = spread
        own[x, I_RANGES] += 1
    for s in range(base, base + count):
        slots[s, S_MINUTE_OPEN], slots[s, S_MINUTE_PRESENT] = 0, 0
    own[x, I_HIGH], own[x, I_LOW] = 0, 0


@njit(cache=True)
def look(  # noqa: PLR0917
    own: Array, x: int, ranges: Array, slots: Array, numbers: Array, kept: Array, base: int,
    count: int, now: int, factor: float,
) -> int:  # fmt: skip
    """End the minute and the windows that are over at `now`; return a slot that is, or -1.

    Or one whose window can no longer be met, with S_BROKEN 1.
    """
    while True:
        first, until, is_broken = base, slots[base, S_UNTIL], False
        for s in range(base, base + count):
            breaks = breaks_at(slots, s, numbers, own, x)
            if min(breaks, slots[s, S_UNTIL]) < until or (s == base and breaks < until):
                first, until = s, min(breaks, slots[s, S_UNTIL])
                is_broken = breaks < slots[s, S_UNTIL]
        if own[x, I_MINUTE] <= min(now, until):
            for s in range(base, base + count):
                advance(slots, s, numbers, kept, own, x, own[x, I_MINUTE])
            end_minute(own, x, ranges, slots, base, count, factor)
            own[x, I_MINUTE] = (now // MINUTE_NS + 1) * MINUTE_NS
        elif until <= now:
            if is_broken:
                advance(slots, first, numbers, kept, own, x, until)
                slots[first, S_BROKEN] = 1
            elif slots[first, S_LAST_NS] != 0:
                advance(slots, first, numbers, kept, own, x, until)
                end_stretch(slots, first, kept, until, own[x, I_LAST_SEQ])
            return int(first)
        else:
            own[x, I_NEXT] = min(own[x, I_MINUTE], until)
            return -1


@njit(cache=True)
def settle(  # noqa: PLR0917
    slots: Array, s: int, numbers: Array, kept: Array, own: Array, x: int
) -> None:
    """Count a slot's time up to its instrument's last event, and close what is open."""
    advance(slots, s, numbers, kept, own, x, own[x, I_LAST_NS])
    end_stretch(slots, s, kept, own[x, I_LAST_NS], own[x, I_LAST_SEQ])


@njit(cache=True)
def has_quoted(slots: Array, s: int, account: int) -> bool:
    """Return whether an account may have orders among a slot's, whoever owns it by now."""
    if account < 0:
        return False
    for j in range(S_MEMBER, S_MEMBER + MEMBERS):
        if slots[s, j] == account + 1:
            return True
    return bool(slots[s, S_MEMBER + MEMBERS - 1] != 0)


@njit(cache=True)
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


@njit(cache=True)
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
