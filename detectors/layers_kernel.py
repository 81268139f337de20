"""The compiled scan behind spoofing: what is shown beyond habit, and how it goes away.

For the complex as one, for each of its accounts and for each external maker, in each instrument,
one pass keeps what it shows on either side, in two measures: lots, and orders. A *surge* is more of
either on one side than the habit of that side, and the other side at the time, account for. It has
ended once most of it is gone and has not come back for a while; the row written then tells of it:
what was withdrawn by choice, and what was filled on the other side while it stood.

Two measures, because each is blind where the other sees: one large order is no more orders, and
layers that are small beside a maker's sizes, which come and go, are no more lots than those do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import njit
from ingest.events import NULL, Array, Kind, OrderType, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "order_hi", "order_lo", "replaces_hi", "replaces_lo",
    "account", "role", "in_complex", "side", "type", "tif", "price", "quantity", "leaves",
    "display", "reason", "phase", "coverage", "buy_hi", "buy_lo", "sell_hi", "sell_lo",
    "buy_account", "sell_account", "buy_role", "sell_role", "buy_complex", "sell_complex",
    "busts_hi", "busts_lo", "best_bid", "best_ask",
)  # fmt: skip

ORDERS: Final = 512
"""Slots for live orders of the parties, an instrument; a power of two."""
PARTIES: Final = 24
"""Parties followed, an instrument: first the complex as one."""
SAMPLES: Final = 96
"""Samples of displayed size that make a habit, for each party and side."""
FILLS: Final = 8
LAYERS: Final = 32
"""Latest fills on the other side, and withdrawn orders, that are told of a surge."""

# Fields of a live order.
(
    O_KEY, O_PARTY, O_GROUP, O_SIDE, O_PRICE, O_SHOWN, O_SEQ, O_SINCE, O_MOST, O_HALVED, O_ACCOUNT,
) = range(11)  # fmt: skip
ORDER_FIELDS: Final = 11
# Fields of an instrument.
I_SAMPLE_NS, I_SAMPLED, I_DUE_NS, I_HELD, I_BOOK = range(5)
INSTRUMENT_FIELDS: Final = 5
# Fields of a party.
P_ACCOUNT, P_ROLE, P_GROUP = range(3)
PARTY_FIELDS: Final = 3
LANES: Final = 4
"""Sides of a party by measure: lots bid, lots offered, orders bid, orders offered.

Of a lane, `lane ^ 1` is the other side in the same measure, `lane ^ 2` the same side in the other.
"""
ORDERS_LANE: Final = 2
"""The first lane that counts orders."""
# Fields of a lane. X_MADE and X_MADE_GONE count what is kept of a side, in its lane of lots.
(
    X_SHOWN, X_HABIT, X_SCALE, X_STATE, X_LOW, X_ON_NS, X_ON_SEQ, X_PEAK, X_PEAK_SHOWN, X_RISE_NS,
    X_RISE_PEAK, X_FALL_NS, X_FALL_SEQ, X_FILLED, X_FORCED, X_FILLED_AT, X_FORCED_AT, X_HITS,
    X_HIT_LOTS, X_HIT_COST, X_HIT_NS, X_MADE, X_MADE_GONE, X_OTHER, X_OTHER_AT, X_USUAL, X_DOUBT,
    X_TWIN,
) = range(28)  # fmt: skip
LANE_FIELDS: Final = 28
QUIET, SURGING = 0, 1
FILLED, CHOSEN, FORCED = 0, 1, 2
"""Why displayed size went."""
# Fields of a kept fill, and of a withdrawn order.
F_SEQ, F_NS, F_FRESH, F_OWN, F_CLIENT = range(5)
FILL_FIELDS: Final = 5
L_ENTRY, L_SEQ, L_NS, L_LOTS, L_SINCE, L_PRICE, L_ACCOUNT = range(7)
LAYER_FIELDS: Final = 7

# Fields of a row that is written when a surge has ended; then fills and layers.
(
    R_INSTRUMENT, R_PARTY, R_ACCOUNT, R_ROLE, R_GROUP, R_SIDE, R_MEASURE, R_ON_NS, R_ON_SEQ,
    R_RISE_NS, R_FALL_NS, R_FALL_SEQ, R_DUE_NS, R_PEAK, R_PEAK_SHOWN, R_AFTER, R_HABIT, R_SCALE,
    R_WITHDRAWN, R_FILLED, R_FORCED, R_HITS, R_HIT_LOTS, R_HIT_COST, R_HIT_NS, R_OTHER_BEFORE,
    R_OTHER_AFTER, R_BID, R_ASK, R_DOUBT, R_TWIN, R_OTHER_HABIT, R_OTHER_FILLED,
    R_USUAL, R_SAMPLED, R_PEERS, R_FILLS, R_LAYERS,
) = range(38)  # fmt: skip
ROW_FIELDS: Final = 38
R_FIRST_FILL: Final = ROW_FIELDS
R_FIRST_LAYER: Final = R_FIRST_FILL + FILLS * FILL_FIELDS
ROW: Final = R_FIRST_LAYER + LAYERS * LAYER_FIELDS

ABSENT: Final = int(NULL)
"""No best price."""
_NULL: Final = ABSENT
_NEVER: Final = 2**63 - 1
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_REJECT, _EXPIRE, _TRIGGER = int(Kind.REJECT), int(Kind.EXPIRE), int(Kind.TRIGGER)
_BOOK, _STATUS, _TRADE = int(Kind.BOOK), int(Kind.STATUS), int(Kind.TRADE)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_MMP, _OTHER = int(Reason.MMP), int(Reason.OTHER)
_LIMIT, _STOP_LIMIT = int(OrderType.LIMIT), int(OrderType.STOP_LIMIT)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_EXTERNAL: Final = int(Role.EXTERNAL_MM)
_MIX: Final = -7046029254386353131  # 2^64 / golden ratio, as int64: Fibonacci hashing
FULL: Final = ORDERS - ORDERS // 4


@njit(cache=True)
def find(orders: Array, key: int) -> int:
    """Return where an order is, or the free slot where it belongs."""
    mask = ORDERS - 1
    at = ((key * _MIX) >> 32) & mask
    while orders[at, O_KEY] != 0 and orders[at, O_KEY] != key:
        at = (at + 1) & mask
    return int(at)


@njit(cache=True)
def drop(orders: Array, at: int) -> None:
    """Free a slot; close the gap that it leaves in the probing of others."""
    mask = ORDERS - 1
    hole = at
    after = (at + 1) & mask
    while orders[after, O_KEY] != 0:
        home = ((orders[after, O_KEY] * _MIX) >> 32) & mask
        if ((after - home) & mask) >= ((after - hole) & mask):
            orders[hole] = orders[after]
            hole = after
        after = (after + 1) & mask
    orders[hole] = 0


@njit(cache=True)
def _key(high: int, low: int) -> int:
    key = np.int64(high) ^ (np.int64(low) * np.int64(3))
    return int(key) if key != 0 else 1


@njit(cache=True)
def _party(parties: Array, account: int, role: int, group: int) -> int:
    """Return the place of an account among an instrument's parties; -1 = there is no room."""
    for p in range(1, PARTIES):
        if parties[p, P_ACCOUNT] == account + 1:
            parties[p, P_ROLE], parties[p, P_GROUP] = role, group
            return p
        if parties[p, P_ACCOUNT] == 0:
            parties[p, P_ACCOUNT], parties[p, P_ROLE], parties[p, P_GROUP] = (
                account + 1, role, group,
            )  # fmt: skip
            return p
    return -1


@njit(cache=True)
def _excess(sides: Array, p: int, s: int) -> int:
    """Return what a lane shows beyond its habit, as the other side stretches it."""
    usual, other = sides[p, s, X_HABIT], sides[p, s ^ 1, X_HABIT]
    if sides[p, s ^ 1, X_SHOWN] > other > 0:
        usual = np.int64(usual * (sides[p, s ^ 1, X_SHOWN] / other))
    return int(sides[p, s, X_SHOWN] - usual)


@njit(cache=True)
def _kept_by_choice(lane: Array) -> int:
    """Return what a lane would show had nothing been filled or taken away."""
    return int(lane[X_SHOWN] + lane[X_FILLED] + lane[X_FORCED])


@njit(cache=True)
def _mark_peak(sides: Array, p: int, s: int, excess: int) -> None:
    """Remember how things stand at the height of a surge so far."""
    side, other = sides[p, s], sides[p, s ^ 1]
    side[X_PEAK], side[X_PEAK_SHOWN], side[X_USUAL] = excess, side[X_SHOWN], side[X_SHOWN] - excess
    side[X_FILLED_AT], side[X_FORCED_AT] = side[X_FILLED], side[X_FORCED]
    side[X_TWIN] = _kept_by_choice(sides[p, s ^ 2])
    side[X_OTHER], side[X_OTHER_AT] = other[X_SHOWN], other[X_FILLED]


@njit(cache=True)
def _update(  # noqa: PLR0917
    own: Array, sides: Array, p: int, s: int, clock: int, seq: int, doubt: int, least: float,
    settle_ns: int,
) -> None:  # fmt: skip
    """Look whether a surge begins, grows, falls or comes back after a change of what is shown."""
    scale = sides[p, s, X_SCALE]
    if scale <= 0:
        return
    excess = _excess(sides, p, s)
    low = sides[p, s, X_LOW]
    if sides[p, s, X_STATE] == QUIET:
        low = max(0, min(low, excess))
        sides[p, s, X_LOW] = low
        # One order more is a quote that is moved: the new one came before the old one went.
        if excess > low + (least * scale if s < ORDERS_LANE else max(1.0, least * scale)):
            side = sides[p, s]
            side[X_STATE] = SURGING
            side[X_ON_NS], side[X_ON_SEQ], side[X_DOUBT] = clock, seq, doubt
            side[X_RISE_NS], side[X_RISE_PEAK] = clock, excess
            side[X_HITS] = side[X_HIT_LOTS] = side[X_HIT_COST] = side[X_HIT_NS] = 0
            side[X_FALL_NS] = 0
            _mark_peak(sides, p, s, excess)
        return
    sides[p, s, X_DOUBT] |= doubt
    if excess > sides[p, s, X_PEAK]:
        _mark_peak(sides, p, s, excess)
        if 4 * excess > 5 * sides[p, s, X_RISE_PEAK]:
            sides[p, s, X_RISE_NS], sides[p, s, X_RISE_PEAK] = clock, excess
    if 2 * (excess - low) >= sides[p, s, X_PEAK] - low:
        sides[p, s, X_FALL_NS] = 0
    elif sides[p, s, X_FALL_NS] == 0:
        sides[p, s, X_FALL_NS], sides[p, s, X_FALL_SEQ] = clock, seq
        own[I_DUE_NS] = min(own[I_DUE_NS], clock + settle_ns)


@njit(cache=True)
def _tell(  # noqa: PLR0917
    x: int, p: int, s: int, parties: Array, sides: Array, fills: Array, layers: Array,
    due_ns: int, bid: int, ask: int, row: Array,
) -> None:  # fmt: skip
    """Write the row of a surge that has ended."""
    side, other, of_side = sides[p, s], sides[p, s ^ 1], s % ORDERS_LANE
    row[:] = 0
    filled = side[X_FILLED] - side[X_FILLED_AT]
    forced = side[X_FORCED] - side[X_FORCED_AT]
    fallen = side[X_PEAK_SHOWN] - side[X_SHOWN]
    row[R_INSTRUMENT], row[R_PARTY], row[R_ACCOUNT] = x, p, parties[p, P_ACCOUNT] - 1
    row[R_ROLE], row[R_SIDE], row[R_MEASURE] = parties[p, P_ROLE], 1 - 2 * of_side, s // ORDERS_LANE
    row[R_GROUP] = 1 if p == 0 else parties[p, P_GROUP]
    row[R_ON_NS], row[R_ON_SEQ], row[R_RISE_NS] = side[X_ON_NS], side[X_ON_SEQ], side[X_RISE_NS]
    row[R_FALL_NS], row[R_FALL_SEQ], row[R_DUE_NS] = side[X_FALL_NS], side[X_FALL_SEQ], due_ns
    row[R_PEAK], row[R_PEAK_SHOWN] = side[X_PEAK] - side[X_LOW], side[X_PEAK_SHOWN]
    row[R_AFTER], row[R_HABIT], row[R_SCALE] = side[X_SHOWN], side[X_HABIT], side[X_SCALE]
    row[R_WITHDRAWN] = max(0, fallen - filled - forced)
    row[R_FILLED], row[R_FORCED] = filled, forced
    row[R_HITS], row[R_HIT_LOTS] = side[X_HITS], side[X_HIT_LOTS]
    row[R_HIT_COST], row[R_HIT_NS] = side[X_HIT_COST], side[X_HIT_NS]
    row[R_OTHER_BEFORE], row[R_OTHER_AFTER] = side[X_OTHER], other[X_SHOWN]
    row[R_OTHER_HABIT], row[R_USUAL] = other[X_HABIT], side[X_USUAL]
    row[R_OTHER_FILLED] = other[X_FILLED] - side[X_OTHER_AT]
    row[R_BID], row[R_ASK], row[R_DOUBT] = bid, ask, side[X_DOUBT]
    row[R_TWIN] = side[X_TWIN] - _kept_by_choice(sides[p, s ^ 2])
    kept = 0
    made, made_gone = sides[p, of_side, X_MADE], sides[p, of_side, X_MADE_GONE]
    for back in range(min(made, FILLS)):
        fill = fills[p, of_side, (made - 1 - back) % FILLS]
        if fill[F_NS] < side[X_ON_NS]:
            break
        at = R_FIRST_FILL + kept * FILL_FIELDS
        row[at : at + FILL_FIELDS] = fill
        kept += 1
    row[R_FILLS] = kept
    kept = 0
    for back in range(min(made_gone, LAYERS)):
        layer = layers[p, of_side, (made_gone - 1 - back) % LAYERS]
        if layer[L_NS] < side[X_ON_NS]:
            break
        at = R_FIRST_LAYER + kept * LAYER_FIELDS
        row[at : at + LAYER_FIELDS] = layer
        kept += 1
    row[R_LAYERS] = kept


@njit(cache=True)
def _settle(  # noqa: PLR0917
    x: int, own: Array, parties: Array, sides: Array, fills: Array, layers: Array, before_ns: int,
    settle_ns: int, bid: int, ask: int, out: Array, written: int,
) -> int:  # fmt: skip
    """End the surges whose fall has lasted when an event comes; return rows written."""
    due = _NEVER
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        for s in range(LANES):
            side = sides[p, s]
            if side[X_STATE] != SURGING or side[X_FALL_NS] == 0:
                continue
            deadline = side[X_FALL_NS] + settle_ns
            if deadline >= before_ns:
                due = min(due, deadline)
                continue
            # Without a fill, only what the complex does as one is ever asked for.
            if p == 0 or side[X_HIT_NS] != 0:
                _tell(x, p, s, parties, sides, fills, layers, deadline, bid, ask, out[written])
                out[written, R_SAMPLED] = own[I_SAMPLED]
                for peer in range(1, PARTIES):
                    if parties[peer, P_ACCOUNT] != 0 and parties[peer, P_GROUP] == 0:
                        out[written, R_PEERS] += 1
                written += 1
            side[X_STATE], side[X_FALL_NS] = QUIET, 0
            side[X_LOW] = max(np.int64(0), _excess(sides, p, s))
    own[I_DUE_NS] = due
    return written


@njit(cache=True)
def median(values: Array, guess: int) -> int:
    """Return the upper median of values, without sorting: from a guess, by counting.

    A window's median is that of the window before, or next to it, so one or two passes do.
    """
    rank, at = len(values) // 2, np.int64(guess)
    while True:
        below = equal = 0
        lower, higher = np.int64(-_NEVER), np.int64(_NEVER)
        for value in values:
            if value < at:
                below += 1
                lower = max(lower, value)
            elif value > at:
                higher = min(higher, value)
            else:
                equal += 1
        if below > rank:
            at = lower
        elif below + equal <= rank:
            at = higher
        else:
            return int(at)


@njit(cache=True)
def _sample(own: Array, parties: Array, sides: Array, samples: Array, fewest: int) -> None:
    """Take a sample of what every party shows; renew its habits."""
    at = own[I_SAMPLED] % SAMPLES
    own[I_SAMPLED] += 1
    held = min(own[I_SAMPLED], SAMPLES)
    peers = np.zeros((LANES, PARTIES), np.int64)
    count = 0
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        for s in range(LANES):
            samples[p, s, at] = sides[p, s, X_SHOWN]
            sides[p, s, X_HABIT] = median(samples[p, s, :held], sides[p, s, X_HABIT])
        if p > 0 and parties[p, P_GROUP] == 0:
            peers[:, count] = sides[p, :, X_HABIT]
            count += 1
    usual = np.zeros(LANES, np.int64)
    for s in range(LANES):
        if count:
            usual[s] = median(peers[s, :count], peers[s, 0])
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        for s in range(LANES):
            scale = max(sides[p, s, X_HABIT], usual[s])
            # Two orders of one that never quotes are no layers over its quotes: no habit, no more.
            known = held >= fewest and (s < ORDERS_LANE or sides[p, s, X_HABIT] > 0)
            sides[p, s, X_SCALE] = scale if known else 0


@njit(cache=True)
def _count(orders: Array, at: int, change: int, how: int, sides: Array) -> None:
    """Count an order in or out of those that stand, for its party and the complex."""
    s = ORDERS_LANE + (0 if orders[at, O_SIDE] > 0 else 1)
    for p in (orders[at, O_PARTY], np.int64(0)):
        if p > 0 or (p == 0 and orders[at, O_GROUP] != 0):
            sides[p, s, X_SHOWN] += change
            if how == FILLED:
                sides[p, s, X_FILLED] -= change
            elif how == FORCED:
                sides[p, s, X_FORCED] -= change


@njit(cache=True)
def _shift(  # noqa: PLR0917
    orders: Array, at: int, lots: int, how: int, seq: int, clock: int, sides: Array, layers: Array
) -> None:
    """Take lots off what an order shows: 0 filled, 1 by choice, 2 not by choice."""
    if lots == 0:
        return
    s = 0 if orders[at, O_SIDE] > 0 else 1
    orders[at, O_SHOWN] -= lots
    for p in (orders[at, O_PARTY], np.int64(0)):
        if p < 0 or (p == 0 and orders[at, O_GROUP] == 0):
            continue
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


@njit(cache=True)
def _leave(  # noqa: PLR0917
    own: Array, orders: Array, at: int, how: int, seq: int, clock: int, sides: Array, layers: Array
) -> None:
    """Take an order off the book."""
    _shift(orders, at, orders[at, O_SHOWN], how, seq, clock, sides, layers)
    if orders[at, O_HALVED] == 0:
        _count(orders, at, -1, how, sides)
    drop(orders, at)
    own[I_HELD] -= 1


@njit(cache=True)
def _break_off(own: Array, sides: Array, book: bool) -> None:
    """End every surge untold; with `book` also forget what is shown: it will be restated."""
    if own[I_DUE_NS] != 0:
        own[I_DUE_NS] = _NEVER
    for p in range(PARTIES):
        for s in range(LANES):
            side = sides[p, s]
            side[X_STATE], side[X_FALL_NS], side[X_LOW] = QUIET, 0, 0
            if book:
                side[X_SHOWN] = 0


@njit(cache=True)
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    least: float,
    settle_ns: int,
    sample_ns: int,
    fewest: int,
    instruments: Array,
    all_orders: Array,
    all_parties: Array,
    all_sides: Array,
    all_fills: Array,
    all_layers: Array,
    all_samples: Array,
    lost: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, order_hi, order_lo, replaces_hi, replaces_lo, account, role,
        in_complex, side_of, type_of, tif, price, quantity, leaves, display, reason, phase,
        coverage, _, _, _, _, _, _, _, _, _, _, busts_hi, busts_lo, best_bid, best_ask,
    ) = columns  # fmt: skip
    written = 0
    for i in range(first, len(kind)):
        x, k = instrument[i], kind[i]
        own, now = instruments[x], clock[i]
        if now > own[I_DUE_NS] and own[I_DUE_NS] != 0:
            if written + LANES * PARTIES > len(out):
                return i, written
            written = _settle(
                x, own, all_parties[x], all_sides[x], all_fills[x], all_layers[x], now, settle_ns,
                best_bid[i], best_ask[i], out, written,
            )  # fmt: skip
        if now >= own[I_SAMPLE_NS] and phase[i] == _CONTINUOUS:
            if own[I_SAMPLE_NS] != 0:
                _sample(own, all_parties[x], all_sides[x], all_samples[x], fewest)
            own[I_SAMPLE_NS] = (now // sample_ns + 1) * sample_ns
            if own[I_DUE_NS] == 0:
                own[I_DUE_NS] = _NEVER
        if k == _STATUS:
            _break_off(own, all_sides[x], False)
            continue
        if k == _BOOK and own[I_BOOK] == 0:
            _break_off(own, all_sides[x], True)
            all_orders[x] = 0
            own[I_HELD] = 0
        own[I_BOOK] = 1 if k == _BOOK else 0
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            _trade(
                i, columns, own, all_orders[x], all_parties[x], all_sides[x], all_fills[x],
                all_layers[x], least, settle_ns,
            )  # fmt: skip
            continue
        if in_complex[i] == 0 and role[i] != _EXTERNAL:
            continue
        orders, parties, sides = all_orders[x], all_parties[x], all_sides[x]
        group = 1 if in_complex[i] != 0 else 0
        party = -1
        how = FORCED if _MMP <= reason[i] < _OTHER else CHOSEN
        touched = False
        if replaces_hi[i] != 0 or replaces_lo[i] != 0:
            at = find(orders, _key(replaces_hi[i], replaces_lo[i]))
            if orders[at, O_KEY] != 0:
                party = orders[at, O_PARTY]
                _leave(own, orders, at, how, seq[i], now, sides, all_layers[x])
                touched = True
        at = find(orders, _key(order_hi[i], order_lo[i]))
        known = orders[at, O_KEY] != 0
        goes = k in (_CANCEL, _EXPIRE) or (k == _REJECT and leaves[i] in (0, _NULL))
        if known and goes:
            party = orders[at, O_PARTY]
            _leave(own, orders, at, how, seq[i], now, sides, all_layers[x])
            touched = True
        elif k in (_NEW, _REPLACE, _TRIGGER, _BOOK):
            limit = type_of[i] == _LIMIT or (type_of[i] == _STOP_LIMIT and k == _TRIGGER)
            rests = limit and tif[i] not in (_IOC, _FOK)
            lots = leaves[i] if leaves[i] != _NULL else quantity[i]
            if display[i] != _NULL:
                lots = min(lots, display[i])
            if not known and rests and lots > 0 and k != _REPLACE:
                if own[I_HELD] >= FULL:
                    lost[0] += 1
                    continue
                party = _party(parties, account[i], role[i], group)
                if party < 0:
                    lost[0] += 1
                order = orders[at]
                order[O_KEY] = _key(order_hi[i], order_lo[i])
                order[O_PARTY], order[O_GROUP], order[O_SIDE] = party, group, side_of[i]
                order[O_PRICE], order[O_SHOWN], order[O_SEQ] = price[i], 0, seq[i]
                # When a restated order came is not known: it is as old as can be.
                order[O_SINCE] = now if k != _BOOK else 0
                order[O_ACCOUNT] = account[i]
                own[I_HELD] += 1
                known = True
                _count(orders, at, 1, CHOSEN, sides)
            if known and lots != _NULL:
                party = orders[at, O_PARTY]
                less = orders[at, O_SHOWN] - lots
                _shift(orders, at, less, how, seq[i], now, sides, all_layers[x])
                if price[i] not in (_NULL, orders[at, O_PRICE]):
                    orders[at, O_PRICE], orders[at, O_MOST] = price[i], lots
                orders[at, O_MOST] = max(orders[at, O_MOST], lots)
                halved = 1 if 2 * lots < orders[at, O_MOST] and how == CHOSEN else 0
                if halved != orders[at, O_HALVED]:
                    orders[at, O_HALVED] = halved
                    _count(orders, at, 1 - 2 * halved, CHOSEN, sides)
                touched = True
        if not touched or phase[i] != _CONTINUOUS:
            continue
        for p in (party, 0):
            if p > 0 or (p == 0 and group == 1):
                for s in range(LANES):
                    _update(own, sides, p, s, now, seq[i], coverage[i], least, settle_ns)
    return len(kind), written


@njit(cache=True)
def _trade(  # noqa: PLR0917
    i: int, columns: tuple[Array, ...], own: Array, orders: Array, parties: Array, sides: Array,
    fills: Array, layers: Array, least: float, settle_ns: int,
) -> None:  # fmt: skip
    """Take a trade into account, on both of its sides."""
    (
        _, _, seq, clock, _, _, _, _, _, _, _, _, _, _, price, quantity, _, _, _, phase, coverage,
        buy_hi, buy_lo, sell_hi, sell_lo, buyer, seller, buy_role, sell_role, buy_complex,
        sell_complex, _, _, _, _,
    ) = columns  # fmt: skip
    inside = buy_complex[i] != 0 and sell_complex[i] != 0
    for s in range(2):
        high, low = (buy_hi[i], buy_lo[i]) if s == 0 else (sell_hi[i], sell_lo[i])
        group = buy_complex[i] if s == 0 else sell_complex[i]
        role = buy_role[i] if s == 0 else sell_role[i]
        if group == 0 and role != _EXTERNAL:
            continue
        at = find(orders, _key(high, low))
        since = _NULL
        party = -1
        if orders[at, O_KEY] != 0:
            since, party = orders[at, O_SINCE], orders[at, O_PARTY]
            lots = min(quantity[i], orders[at, O_SHOWN])
            if lots == orders[at, O_SHOWN]:
                _leave(own, orders, at, FILLED, seq[i], clock[i], sides, layers)
            else:
                _shift(orders, at, lots, FILLED, seq[i], clock[i], sides, layers)
                orders[at, O_MOST] -= lots  # what was filled was not made small by choice
        else:
            for p in range(1, PARTIES):
                if parties[p, P_ACCOUNT] == (buyer[i] if s == 0 else seller[i]) + 1:
                    party = p
        if phase[i] != _CONTINUOUS or inside:
            continue
        for p in range(PARTIES):
            if p > 0 and parties[p, P_ACCOUNT] == 0:
                break
            if not (p == party or (group != 0 and (p == 0 or parties[p, P_GROUP] != 0))):
                continue
            # A fill on this side is the other side's of a surge.
            o = 1 - s
            on_ns = _NEVER
            for lane in (o, o + ORDERS_LANE):
                side = sides[p, lane]
                if side[X_STATE] != SURGING:
                    continue
                on_ns = min(on_ns, side[X_ON_NS])
                if side[X_FALL_NS] == 0:
                    side[X_HITS] += 1
                    side[X_HIT_LOTS] += quantity[i]
                    side[X_HIT_COST] += quantity[i] * price[i]
                    side[X_HIT_NS] = clock[i]
            if on_ns != _NEVER:
                fill = fills[p, o, sides[p, o, X_MADE] % FILLS]
                fill[F_SEQ], fill[F_NS] = seq[i], clock[i]
                fill[F_FRESH] = int(since >= on_ns)
                fill[F_OWN] = buyer[i] if s == 0 else seller[i]
                fill[F_CLIENT] = seller[i] if s == 0 else buyer[i]
                sides[p, o, X_MADE] += 1
        for p in (party, 0):
            if p > 0 or (p == 0 and group != 0):
                for o in range(LANES):
                    _update(own, sides, p, o, clock[i], seq[i], coverage[i], least, settle_ns)
