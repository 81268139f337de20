"""The compiled scan behind trading_ahead: orders held, and who executed meanwhile.

One pass keeps, for each instrument, what is usual between gateway and engine, the latest executions
of the group and of external makers, the latest prices, and which instructions came when. A client
order that comes out of an unusual hold is followed until its own fills are done; then the hold,
the executions within it and those fills are written out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.ahead_hold import begin, decay, overtakers, write_out
from detectors.ahead_state import (
    BEGAN_NS,
    C_ACCOUNT,
    C_AT_ONCE,
    C_CLASS,
    C_CLEAR,
    C_CROSSED,
    C_DOUBT,
    C_ENTRY,
    C_EXPECTED,
    C_FILLS,
    C_FOK,
    C_FROM,
    C_LAST_NS,
    C_LAST_SEQ,
    C_LATE,
    C_LIMIT,
    C_LOTS,
    C_OF_SIZE,
    C_OPEN,
    C_PASSED,
    C_RELEASED,
    C_ROLE,
    C_SEQ,
    C_SIDE,
    C_USUAL,
    C_WAY,
    CAME_CLIENT,
    CAME_KEPT,
    CAME_MAKER,
    E_ACCOUNT,
    E_ENTRY,
    E_FROM,
    E_GROUP,
    E_INCOMING,
    E_LATE,
    E_LOTS,
    E_NS,
    E_PRICE,
    E_RECEIVED,
    E_SEQ,
    E_SIDE,
    E_SINCE,
    E_TOOK,
    EXECUTIONS,
    FILLS_KEPT,
    GATE,
    I_COUNTED,
    I_LATE,
    I_RECEIVED,
    I_SEQ,
    MADE,
    MOVED_KEPT,
    PRICES,
    PRICES_KEPT,
    R_GROUP,
    R_GROUP_FAST,
    R_MAKERS,
    RFQ,
    STALLED,
    TRIGGER,
)
from detectors.gap_habit import (
    ALL,
    FAR,
    LARGE,
    TRIGGERS,
    USUAL,
    bin_of,
    habit,
    is_as_usual,
    learn,
)
from detectors.size_habit import is_large, learn_size
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Origin, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "role",
    "in_complex", "side", "type", "tif", "price", "stop_price", "quantity", "leaves",
    "leaves_before", "reason", "origin", "phase", "coverage", "busts_hi", "busts_lo",
    "incoming_seq", "entry_seq", "entry_received_ns", "lifetime_ns", "buy_account", "sell_account",
    "buy_role", "sell_role", "buy_complex", "sell_complex",
)  # fmt: skip

_NULL: Final = int(NULL)
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_REJECT: Final = int(Kind.REJECT)
_POST_ONLY: Final = int(TimeInForce.POST_ONLY)
_TRADE, _TRIGGER = int(Kind.TRADE), int(Kind.TRIGGER)
_STATUS: Final = int(Kind.STATUS)
_CONTINUOUS, _AUCTION = int(Phase.CONTINUOUS), int(Phase.AUCTION)
_SPEED_BUMP, _STP = int(Reason.SPEED_BUMP), int(Reason.STP)
_MARKET, _STOP = int(OrderType.MARKET), int(OrderType.STOP)
_STOP_LIMIT: Final = int(OrderType.STOP_LIMIT)
_FOK: Final = int(TimeInForce.FOK)
_UNKNOWN, _EXTERNAL_MM = int(Role.UNKNOWN), int(Role.EXTERNAL_MM)
_RFQ: Final = int(Origin.RFQ)


@kernel()
def _crossed(  # noqa: PLR0917
    prices: Array, made: int, side: int, stop: int, since: int, since_ns: int
) -> tuple[int, int]:
    """Return when the last price first reached a stop price after a seq: ns and seq; 0 seq, never.

    At that seq itself where the last price was beyond it by then. Where prices do not reach back
    so far, the earliest that is known.
    """
    kept = min(made, PRICES_KEPT)
    beyond = False
    for back in range(kept, 0, -1):
        row = prices[(made - back) % PRICES_KEPT]
        if row[1] > since and beyond:
            return since_ns, since
        beyond = side * (row[2] - stop) >= 0
        if row[1] > since and beyond:
            return int(row[0]), int(row[1])
    return (since_ns, since) if beyond else (0, 0)


@kernel()
def _since(moved: Array, entry: int, received: int) -> int:
    """Return when an order first came, ns: before the group replaced it, as far as that is kept."""
    row = moved[entry % MOVED_KEPT]
    return int(row[1]) if row[0] == entry else received


@kernel()
def _execution(  # noqa: PLR0917
    own: Array, ring: Array, side: int, seq: int, now: int, price: int, lots: int, account: int,
    taken: int, group: int, entry: int, received: int, took: int, late: int, incoming: int,
    since: int,
) -> None:  # fmt: skip
    """Keep an execution, with the one before where that was of the same two orders and price."""
    newest = ring[(own[MADE] - 1) % EXECUTIONS]
    if (
        own[MADE] > 0
        and newest[E_ENTRY] == entry
        and newest[E_INCOMING] == incoming
        and newest[E_SIDE] == side
        and newest[E_PRICE] == price
        and newest[E_FROM] == taken
        and incoming != 0
    ):
        newest[E_LOTS] += lots
        return
    e = ring[own[MADE] % EXECUTIONS]
    e[E_SEQ], e[E_NS], e[E_SIDE], e[E_PRICE], e[E_LOTS] = seq, now, side, price, lots
    e[E_ACCOUNT], e[E_GROUP], e[E_ENTRY], e[E_RECEIVED] = account, group, entry, received
    e[E_TOOK], e[E_LATE], e[E_FROM], e[E_INCOMING], e[E_SINCE] = took, late, taken, incoming, since
    own[MADE] += 1


@kernel()
def _printed(  # noqa: PLR0917
    own: Array, prices: Array, now: int, seq: int, price: int, flying: int
) -> None:
    """Keep the last price of continuous trading, with when it came to be.

    Within one incoming order, and the stops that it triggers at once, only the price that is left
    behind triggers stops.
    """
    last = prices[(own[PRICES] - 1) % PRICES_KEPT]
    same = last[0] == now or (flying != 0 and last[3] == flying)
    if own[PRICES] == 0 or (last[2] != price and not same):
        last = prices[own[PRICES] % PRICES_KEPT]
        own[PRICES] += 1
        last[2] = _NULL
    if last[2] != price:
        last[0], last[1], last[2], last[3] = now, seq, price, flying


@kernel()
def _filled(  # noqa: PLR0917
    own: Array, fills: Array, lost: Array, seq: int, now: int, price: int, lots: int, doubt: int
) -> None:
    """Keep a fill of the held order in flight; one for whose price there is no room is lost."""
    own[C_LAST_SEQ], own[C_LAST_NS] = seq, now
    own[C_OPEN] -= lots
    own[C_DOUBT] |= doubt
    at = own[C_FILLS] - 1
    if at >= 0 and fills[at, 0] == price:
        fills[at, 1] += lots
    elif at + 1 < FILLS_KEPT:
        fills[at + 1, 0], fills[at + 1, 1] = price, lots
        own[C_FILLS] += 1
    else:
        lost[0] += 1


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    delta: int,
    clear_ratio: int,
    stall_expected: int,
    state: Array,
    executions: Array,
    prices: Array,
    moved: Array,
    came: Array,
    fills: Array,
    gaps: Array,
    sizes: Array,
    rates: Array,
    lost: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, engine, received, account, role, in_complex, side, order_type,
        tif, price, stop_price, quantity, leaves, leaves_before, reason, origin, phase, coverage,
        busts_hi, busts_lo, incoming, entry, entry_received, lifetime, buyer, seller,
        buy_role, sell_role, buy_complex, sell_complex,
    ) = columns  # fmt: skip
    written, least = 0, 2 * delta
    for i in range(first, len(kind)):
        x = instrument[i]
        own = state[x]
        k = kind[i]
        if own[C_SEQ] != 0 and reason[i] == _STP and k in (_CANCEL, _REPLACE):
            continue  # a step of the flight
        if own[C_SEQ] != 0 and not (k == _TRADE and incoming[i] == own[C_SEQ]):
            if written + EXECUTIONS + FILLS_KEPT + 1 > len(out):
                return i, written
            written = write_out(x, own, executions[x], fills[x], rates[x], delta, out, written)
            own[C_SEQ] = 0
        if own[BEGAN_NS] == _NULL:
            own[BEGAN_NS] = clock[i]
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            flying = incoming[i]
            if phase[i] == _CONTINUOUS:
                _printed(own, prices[x], clock[i], seq[i], price[i], flying)
            if phase[i] != _AUCTION and not (buy_complex[i] and sell_complex[i]):
                for d in (1, -1):
                    of_group = buy_complex[i] if d > 0 else sell_complex[i]
                    of_role = buy_role[i] if d > 0 else sell_role[i]
                    took = flying != 0 and side[i] == d
                    if not of_group and (of_role != _EXTERNAL_MM or not took):
                        continue
                    came_ns, late, of_entry = entry_received[i], 0, entry[i]
                    if took:
                        known = own[I_SEQ] == flying
                        of_entry = flying
                        came_ns = own[I_RECEIVED] if known else _NULL
                        late = own[I_LATE] if known else 0
                        if known and own[I_COUNTED] == 0:
                            own[I_COUNTED] = 1
                            decay(own, rates[x], clock[i])
                            at = (R_GROUP if of_group else R_MAKERS) + (1 if d > 0 else 0)
                            rates[x, at] += 1.0
                            rates[x, at + R_GROUP_FAST] += 1.0
                    since = came_ns
                    if of_group and not took:
                        # An entry that is no longer kept is old, whichever it is.
                        kept = seq[i] - of_entry < MOVED_KEPT
                        since = _since(moved[x], of_entry, came_ns) if kept else 0
                    _execution(
                        own, executions[x], d, seq[i], clock[i], price[i], quantity[i],
                        buyer[i] if d > 0 else seller[i], seller[i] if d > 0 else buyer[i],
                        int(of_group), of_entry, came_ns, int(took), late, flying, since,
                    )  # fmt: skip
            if flying != 0 and flying == own[C_SEQ]:
                _filled(own, fills[x], lost, seq[i], clock[i], price[i], quantity[i], coverage[i])
            continue
        if k == _STATUS:
            own[PRICES] = 0
            continue
        if k in (_NEW, _REPLACE):
            own[I_SEQ], own[I_RECEIVED], own[I_COUNTED] = seq[i], received[i], 0
            own[I_LATE] = 1 if received[i] > engine[i] else 0
            if in_complex[i] != 0 and entry[i] not in (0, seq[i]):
                row = moved[x, seq[i] % MOVED_KEPT]
                row[1] = _since(moved[x], entry[i], entry_received[i])
                row[0] = seq[i]
        is_client = in_complex[i] == 0 and _UNKNOWN <= role[i] <= _EXTERNAL_MM
        if not is_client:
            continue
        of_maker = role[i] == _EXTERNAL_MM
        class_ = ALL if of_maker else int(origin[i])
        began, crossed, way, gap = _NULL, 0, GATE, np.int64(0)
        judged = True
        if k == _TRIGGER:
            way, class_ = TRIGGER, TRIGGERS
            known = entry[i] != 0 and lifetime[i] != _NULL and stop_price[i] != _NULL
            if known and phase[i] == _CONTINUOUS:
                began, crossed = _crossed(
                    prices[x], own[PRICES], side[i], stop_price[i], entry[i], clock[i] - lifetime[i]
                )
            if crossed == 0:
                continue
            gap = clock[i] - began
        elif received[i] != _NULL and k in (_NEW, _REPLACE, _CANCEL, _REJECT):
            began, gap = received[i], engine[i] - received[i]
            if k == _CANCEL or order_type[i] in (_STOP, _STOP_LIMIT):
                judged = False
            if k == _REJECT:
                # Let go only to be refused, as it would trade by now.
                judged = judged and tif[i] == _POST_ONLY and entry[i] == 0
                judged = judged and quantity[i] != _NULL
            if origin[i] == _RFQ:
                way = RFQ
        else:
            continue
        large = way == GATE and not of_maker and k in (_NEW, _REPLACE)
        large = large and is_large(sizes[x], quantity[i])
        if k == _NEW and not of_maker and quantity[i] != _NULL:
            learn_size(sizes[x], quantity[i])
        found = False
        held = judged and reason[i] != _SPEED_BUMP and gap > least
        if held and (way == RFQ or gap > habit(gaps[x], class_, USUAL)):
            far = habit(gaps[x], class_, FAR)
            own[C_ENTRY], own[C_ACCOUNT], own[C_ROLE] = entry[i], account[i], role[i]
            own[C_SIDE] = side[i]
            priced = order_type[i] != _MARKET and order_type[i] != _STOP
            own[C_LIMIT] = price[i] if priced else _NULL
            own[C_FROM], own[C_RELEASED] = began, clock[i]
            open_ = leaves[i]
            if k == _REJECT:
                open_ = quantity[i]
            elif open_ == _NULL:
                open_ = leaves_before[i] if k == _TRIGGER else quantity[i]
            own[C_LOTS] = own[C_OPEN] = open_
            own[C_LAST_SEQ], own[C_LAST_NS], own[C_FILLS] = seq[i], clock[i], 0
            own[C_FOK], own[C_DOUBT], own[C_WAY] = tif[i] == _FOK, coverage[i], way
            own[C_LATE] = 1 if began > clock[i] else 0
            own[C_USUAL], own[C_CLASS], own[C_CROSSED] = max(far, least), origin[i], crossed
            own[C_CLEAR] = way == RFQ or (far > 0 and gap > clear_ratio * max(far, least))
            usual_of_size = large and is_as_usual(gaps[x, LARGE], gap // clear_ratio)
            own[C_OF_SIZE] = not usual_of_size
            slow = ALL if way == TRIGGER else class_
            own[C_AT_ONCE] = max(habit(gaps[x], slow, FAR), least)
            own[C_PASSED], own[C_EXPECTED] = 0, -1
            if begin(own, executions[x], rates[x], delta, lost, gap):
                found = True
                if way == GATE:
                    at = CAME_MAKER if of_maker else CAME_CLIENT
                    own[C_PASSED], own[C_EXPECTED] = overtakers(
                        own, came[x, at - CAME_CLIENT], own[at], delta
                    )
                    found = own[C_PASSED] > 0 or own[C_EXPECTED] <= stall_expected
                    own[STALLED] += not found
                if found:
                    own[C_SEQ] = seq[i]
        if not found:
            bin_ = bin_of(gap)
            learn(gaps[x, class_], bin_, way == TRIGGER)
            if way != TRIGGER and not of_maker:
                learn(gaps[x, ALL], bin_, False)
            if large:
                learn(gaps[x, LARGE], bin_, False)
        if way != TRIGGER:
            at = CAME_MAKER if of_maker else CAME_CLIENT
            row = came[x, at - CAME_CLIENT, own[at] % CAME_KEPT]
            row[0], row[1] = received[i], origin[i]
            own[at] += 1
    return len(kind), written
