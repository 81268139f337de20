"""The compiled scan behind trading_ahead: orders held, and who executed meanwhile.

One pass keeps, for each instrument, what is usual between gateway and engine, the latest executions
of the group and of external makers, the latest prices, and which instructions came when. A client
order that comes out of an unusual hold is followed until its own fills are done; then the hold,
the executions within it and those fills are written out.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.gap_habit import ALL, FAR, TRIGGERS, USUAL, bin_of, habit, learn
from ingest.compiled import njit
from ingest.events import NULL, Array, Kind, OrderType, Origin, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "role",
    "in_complex", "side", "type", "tif", "price", "stop_price", "quantity", "leaves",
    "leaves_before", "reason", "origin", "phase", "coverage", "busts_hi", "busts_lo",
    "incoming_seq", "entry_seq", "entry_received_ns", "lifetime_ns", "buy_account", "sell_account",
    "buy_role", "sell_role", "buy_complex", "sell_complex",
)  # fmt: skip

# Instruction in flight; the held order in flight; places in the rings; counts of the rate.
I_SEQ, I_RECEIVED, I_LATE, I_COUNTED, MADE, PRICES, CAME_CLIENT, CAME_MAKER = range(8)
C_SEQ, C_ENTRY, C_ACCOUNT, C_ROLE, C_SIDE, C_LIMIT, C_FROM, C_RELEASED, C_LOTS, C_OPEN = range(
    8, 18
)
C_LAST_SEQ, C_LAST_NS, C_FILLS, C_FOK, C_DOUBT, C_LATE, C_WAY, C_USUAL, C_CLEAR = range(18, 27)
C_PASSED, C_EXPECTED, C_CLASS, C_CROSSED, C_AT_ONCE = range(27, 32)
BEGAN_NS, RATED_NS, HOLDS, OVERTAKEN, MAKERS, TESTS, STALLED = range(32, 39)
FIELDS: Final = 39
UNSEEN: Final = tuple(int(NULL) if f in (BEGAN_NS, RATED_NS) else 0 for f in range(FIELDS))
"""State of an instrument of which nothing has been seen."""

EXECUTIONS: Final = 512
"""Executions of the group, and aggressive ones of external makers, kept an instrument."""
E_SEQ, E_NS, E_SIDE, E_PRICE, E_LOTS, E_ACCOUNT, E_GROUP, E_ENTRY, E_RECEIVED = range(9)
E_TOOK, E_LATE, E_FROM, E_INCOMING, E_SINCE = range(9, 14)
EXECUTION_FIELDS: Final = 14
MOVED_KEPT: Final = 2048
"""Latest seqs of which the group's replacements are kept: seq, received_ns of what was first."""
PRICES_KEPT: Final = 256
"""Changes of the last price kept an instrument: columns ns, seq, price, incoming_seq."""
CAME_KEPT: Final = 128
"""Latest instructions of clients, and of external makers, kept: columns received_ns, origin."""
FILLS_KEPT: Final = 64
"""Prices at which one held order was filled that are kept."""

R_GROUP, R_MAKERS, R_GROUP_FAST, R_MAKERS_FAST = 0, 2, 4, 6  # each selling, then buying
EXPECTED, EXPECTED_MAKERS = range(8, 10)
RATES: Final = 10
SLOW_NS: Final = 3_600 * 10**9
FAST_NS: Final = 60 * 10**9
"""Memory of the rate of aggressive executions: the higher of an hour's and a minute's is usual."""

GATE, TRIGGER, RFQ = range(3)
"""Where an order was held."""
HEAD, EXECUTION, FILL = range(3)
"""Kinds of rows written."""
OUT_FIELDS: Final = 34
OUT_ROWS: Final = 2048

_NULL: Final = int(NULL)
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_REJECT: Final = int(Kind.REJECT)
_POST_ONLY: Final = int(TimeInForce.POST_ONLY)
_TRADE, _TRIGGER = int(Kind.TRADE), int(Kind.TRIGGER)
_STATUS: Final = int(Kind.STATUS)
_CONTINUOUS, _AUCTION = int(Phase.CONTINUOUS), int(Phase.AUCTION)
_SPEED_BUMP, _STP = int(Reason.SPEED_BUMP), int(Reason.STP)
_MARKET, _LIMIT, _STOP = int(OrderType.MARKET), int(OrderType.LIMIT), int(OrderType.STOP)
_STOP_LIMIT: Final = int(OrderType.STOP_LIMIT)
_FOK: Final = int(TimeInForce.FOK)
_UNKNOWN, _EXTERNAL_MM = int(Role.UNKNOWN), int(Role.EXTERNAL_MM)
_RFQ: Final = int(Origin.RFQ)


@njit(cache=True)
def satisfies(e: Array, own: Array, delta: int) -> bool:
    """Return whether an execution is within a held order's time, side and limit."""
    return bool(
        e[E_SIDE] == own[C_SIDE]
        and e[E_NS] - own[C_FROM] > delta
        and e[E_ACCOUNT] != own[C_ACCOUNT]
        and e[E_FROM] != own[C_ACCOUNT]
        and (own[C_LIMIT] == _NULL or own[C_SIDE] * (own[C_LIMIT] - e[E_PRICE]) >= 0)
    )


@njit(cache=True)
def came_later(e: Array, own: Array, delta: int) -> bool:
    """Return whether the instruction behind an execution came after the held order."""
    return bool(e[E_RECEIVED] != _NULL and e[E_RECEIVED] - own[C_FROM] > delta)


@njit(cache=True)
def _oldest(own: Array, ring: Array) -> int:
    """Return the event time from which executions are known, ns."""
    return int(ring[own[MADE] % EXECUTIONS, E_NS]) if own[MADE] >= EXECUTIONS else _NULL


@njit(cache=True)
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


@njit(cache=True)
def _overtakers(own: Array, came: Array, made: int, delta: int) -> tuple[int, int]:
    """Return instructions of the same kind that came later and passed, and 1,000 × how many would.

    The expectation is the rate before the hold times its length; -1 where there is no rate.
    """
    passed, before = 0, 0
    oldest = own[C_FROM]
    for n in range(min(made, CAME_KEPT)):
        if came[n, 1] != own[C_CLASS]:
            continue
        if came[n, 0] - own[C_FROM] > delta:
            passed += 1
        elif came[n, 0] <= own[C_FROM]:
            before += 1
            oldest = min(oldest, came[n, 0])
    span = own[C_FROM] - oldest
    if before < 5 or span <= 0:
        return passed, -1
    return passed, int(1_000.0 * before / span * (own[C_RELEASED] - own[C_FROM]))


@njit(cache=True)
def _decay(own: Array, rates: Array, now: int) -> None:
    if own[RATED_NS] == _NULL:
        own[RATED_NS] = now
    past = now - own[RATED_NS]
    if past > 0:
        slow, fast = math.exp(-past / SLOW_NS), math.exp(-past / FAST_NS)
        rates[:R_GROUP_FAST] *= slow
        rates[R_GROUP_FAST:EXPECTED] *= fast
        own[RATED_NS] = now


@njit(cache=True)
def _chance(own: Array, slow: float, fast: float, hold: int) -> float:
    """Return the chance of an aggressive execution on one side within a hold, by habit."""
    known = SLOW_NS * (1.0 - math.exp(-max(own[RATED_NS] - own[BEGAN_NS], 1) / SLOW_NS))
    rate = max(slow / max(known, FAST_NS), fast / FAST_NS)
    return float(1.0 - math.exp(-rate * hold))


@njit(cache=True)
def _begin(  # noqa: PLR0917
    own: Array, ring: Array, rates: Array, delta: int, lost: Array, gap: int
) -> bool:
    """Count a hold; return whether anything of the group was executed within it."""
    found = group = makers = False
    for back in range(1, min(own[MADE], EXECUTIONS) + 1):
        e = ring[(own[MADE] - back) % EXECUTIONS]
        if e[E_NS] <= own[C_FROM]:
            break
        if not satisfies(e, own, delta):
            continue
        later = came_later(e, own, delta)
        if e[E_GROUP] != 0:
            found = found or later or own[C_CLEAR] != 0
        if later and e[E_TOOK] != 0:
            group = group or e[E_GROUP] != 0
            makers = makers or e[E_GROUP] == 0
    _decay(own, rates, own[C_RELEASED])
    s = 1 if own[C_SIDE] > 0 else 0
    for at, slow, fast in (
        (EXPECTED, R_GROUP, R_GROUP_FAST),
        (EXPECTED_MAKERS, R_MAKERS, R_MAKERS_FAST),
    ):
        rates[at] += _chance(own, rates[slow + s], rates[fast + s], gap)
    own[HOLDS] += 1
    own[OVERTAKEN] += group
    own[MAKERS] += makers
    own[TESTS] += found
    if (found or own[C_CLEAR] != 0) and _oldest(own, ring) > own[C_FROM]:
        lost[0] += 1
    return found


@njit(cache=True)
def _write(  # noqa: PLR0917
    x: int,
    own: Array,
    ring: Array,
    fills: Array,
    rates: Array,
    delta: int,
    out: Array,
    written: int,
) -> int:
    """Write a hold whose own fills are done, the group's executions in it, and the fills."""
    head = out[written]
    head[0], head[1] = HEAD, x
    head[2:26] = own[C_SEQ : C_AT_ONCE + 1]
    head[26], head[27], head[28], head[29], head[30] = (
        own[HOLDS], own[OVERTAKEN], own[MAKERS], own[TESTS], own[STALLED],
    )  # fmt: skip
    head[31] = int(1e6 * rates[EXPECTED])
    head[32] = int(1e6 * rates[EXPECTED_MAKERS])
    written += 1
    net = 0
    within = 0
    while (
        within < min(own[MADE], EXECUTIONS)
        and ring[(own[MADE] - within - 1) % EXECUTIONS, E_NS] > own[C_FROM]
    ):
        within += 1
    for back in range(within, 0, -1):
        e = ring[(own[MADE] - back) % EXECUTIONS]
        if e[E_GROUP] == 0:
            continue
        net += e[E_SIDE] * e[E_LOTS]
        if satisfies(e, own, delta):
            out[written, 0] = EXECUTION
            out[written, 1 : 1 + EXECUTION_FIELDS] = e
            out[written, 1 + EXECUTION_FIELDS] = came_later(e, own, delta)
            written += 1
    head[33] = own[C_SIDE] * net
    for n in range(own[C_FILLS]):
        out[written, 0], out[written, 1], out[written, 2] = FILL, fills[n, 0], fills[n, 1]
        written += 1
    return written


@njit(cache=True)
def _since(moved: Array, entry: int, received: int) -> int:
    """Return when an order first came, ns: before the group replaced it, as far as that is kept."""
    row = moved[entry % MOVED_KEPT]
    return int(row[1]) if row[0] == entry else received


@njit(cache=True)
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


@njit(cache=True)
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
            written = _write(x, own, executions[x], fills[x], rates[x], delta, out, written)
            own[C_SEQ] = 0
        if own[BEGAN_NS] == _NULL:
            own[BEGAN_NS] = clock[i]
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            flying = incoming[i]
            if phase[i] == _CONTINUOUS:
                # Within one incoming order, and the stops that it triggers at once, only the price
                # that is left behind triggers stops.
                last = prices[x, (own[PRICES] - 1) % PRICES_KEPT]
                same = last[0] == clock[i] or (flying != 0 and last[3] == flying)
                if own[PRICES] == 0 or (last[2] != price[i] and not same):
                    last = prices[x, own[PRICES] % PRICES_KEPT]
                    own[PRICES] += 1
                    last[2] = _NULL
                if last[2] != price[i]:
                    last[0], last[1], last[2], last[3] = clock[i], seq[i], price[i], flying
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
                            _decay(own, rates[x], clock[i])
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
                own[C_LAST_SEQ], own[C_LAST_NS] = seq[i], clock[i]
                own[C_OPEN] -= quantity[i]
                own[C_DOUBT] |= coverage[i]
                at = own[C_FILLS] - 1
                if at >= 0 and fills[x, at, 0] == price[i]:
                    fills[x, at, 1] += quantity[i]
                elif at + 1 < FILLS_KEPT:
                    fills[x, at + 1, 0], fills[x, at + 1, 1] = price[i], quantity[i]
                    own[C_FILLS] += 1
                else:
                    lost[0] += 1
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
            slow = ALL if way == TRIGGER else class_
            own[C_AT_ONCE] = max(habit(gaps[x], slow, FAR), least)
            own[C_PASSED], own[C_EXPECTED] = 0, -1
            if _begin(own, executions[x], rates[x], delta, lost, gap):
                found = True
                if way == GATE:
                    at = CAME_MAKER if of_maker else CAME_CLIENT
                    own[C_PASSED], own[C_EXPECTED] = _overtakers(
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
        if way != TRIGGER:
            at = CAME_MAKER if of_maker else CAME_CLIENT
            row = came[x, at - CAME_CLIENT, own[at] % CAME_KEPT]
            row[0], row[1] = received[i], origin[i]
            own[at] += 1
    return len(kind), written
