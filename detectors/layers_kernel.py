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

from typing import Any, Final

import numpy as np

from detectors.forced import is_forced
from detectors.layers_gone import kept_by_choice
from detectors.layers_orders import count, find, leave, order_key, party_of, shift
from detectors.layers_state import (
    ABSENT,
    BLOCKS,
    CHOSEN,
    F_FRESH,
    F_NS,
    F_OWN,
    F_SEQ,
    FILLED,
    FILLS,
    FORCED,
    FULL,
    I_BLOCK,
    I_BOOK,
    I_DUE_NS,
    I_HELD,
    I_SAMPLE_NS,
    I_SAMPLED,
    LANES,
    MOST_COST,
    NEVER,
    O_ACCOUNT,
    O_GROUP,
    O_HALVED,
    O_KEY,
    O_MOST,
    O_PARTY,
    O_PRICE,
    O_SEQ,
    O_SHOWN,
    O_SIDE,
    O_SINCE,
    ORDERS_LANE,
    P_ACCOUNT,
    P_GROUP,
    P_STALE,
    PARTIES,
    QUIET,
    SAMPLES,
    SURGING,
    W_MAKERS,
    W_NS,
    X_FALL_NS,
    X_HABIT,
    X_HIT_COST,
    X_HIT_KEPT,
    X_HIT_LOTS,
    X_HIT_NS,
    X_HIT_PRICE,
    X_HITS,
    X_LOW,
    X_MADE,
    X_ON_NS,
    X_PAUSE_NS,
    X_SCALE,
    X_SHOWN,
    X_STATE,
    X_TAKEN_NS,
)  # fmt: skip
from detectors.layers_surge import look, settle, turn
from ingest.compiled import kernel, njit
from ingest.events import Array, Kind, OrderType, Phase, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "order_hi", "order_lo", "replaces_hi", "replaces_lo",
    "account", "role", "in_complex", "side", "type", "tif", "price", "quantity", "leaves",
    "display", "reason", "phase", "coverage", "buy_hi", "buy_lo", "sell_hi", "sell_lo",
    "buy_account", "sell_account", "buy_role", "sell_role", "buy_complex", "sell_complex",
    "busts_hi", "busts_lo", "best_bid", "best_ask",
)  # fmt: skip

_NULL: Final = ABSENT
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_REJECT, _EXPIRE, _TRIGGER = int(Kind.REJECT), int(Kind.EXPIRE), int(Kind.TRIGGER)
_BOOK, _STATUS, _TRADE = int(Kind.BOOK), int(Kind.STATUS), int(Kind.TRADE)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_LIMIT, _STOP_LIMIT = int(OrderType.LIMIT), int(OrderType.STOP_LIMIT)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_EXTERNAL: Final = int(Role.EXTERNAL_MM)


@kernel()
def median(values: Array, guess: int) -> int:
    """Return the upper median of values, without sorting: from a guess, by counting.

    A window's median is that of the window before, or next to it, so one or two passes do; without
    branches in it a pass takes several values at once.
    """
    rank, at = len(values) // 2, np.int64(guess)
    while True:
        below = equal = 0
        for value in values:
            below += value < at
            equal += value == at
        if below > rank:
            lower = np.int64(-NEVER)
            for value in values:
                lower = max(lower, value if value < at else lower)
            at = lower
        elif below + equal <= rank:
            higher = np.int64(NEVER)
            for value in values:
                higher = min(higher, value if value > at else higher)
            at = higher
        else:
            return int(at)


@njit(cache=True)
def _sample(own: Array, parties: Array, sides: Array, samples: Array, fewest: int) -> int:
    """Take a sample of what every party shows; renew its habits.

    Returns how many external makers show anything.
    """
    at = own[I_SAMPLED] % SAMPLES
    own[I_SAMPLED] += 1
    held = min(own[I_SAMPLED], SAMPLES)
    peers = np.zeros((LANES, PARTIES), np.int64)
    count = showing = 0
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        for s in range(LANES):
            samples[p, s, at] = sides[p, s, X_SHOWN]
            sides[p, s, X_HABIT] = median(samples[p, s, :held], sides[p, s, X_HABIT])
        if p > 0 and parties[p, P_GROUP] == 0:
            peers[:, count] = sides[p, :, X_HABIT]
            count += 1
            showing += 1 if sides[p, 0, X_SHOWN] + sides[p, 1, X_SHOWN] > 0 else 0
    usual = np.zeros(LANES, np.int64)
    for s in range(LANES):
        if count:
            usual[s] = median(peers[s, :count], peers[s, 0])
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        parties[p, P_STALE] = 1
        for s in range(LANES):
            scale = max(sides[p, s, X_HABIT], usual[s])
            # Two orders of one that never quotes are no layers over its quotes: no habit, no more.
            known = held >= fewest and (s < ORDERS_LANE or sides[p, s, X_HABIT] > 0)
            sides[p, s, X_SCALE] = scale if known else 0
    return showing


@kernel()
def _break_off(own: Array, parties: Array, sides: Array, book: bool) -> None:
    """End every surge untold; with `book` also forget what is shown: it will be restated."""
    if own[I_DUE_NS] != 0:
        own[I_DUE_NS] = NEVER
    for p in range(PARTIES):
        parties[p, P_STALE] = 1
        for s in range(LANES):
            side = sides[p, s]
            side[X_STATE], side[X_FALL_NS], side[X_LOW] = QUIET, 0, 0
            if book:
                side[X_SHOWN] = 0


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    least: float,
    majority: float,
    settle_ns: int,
    answer_ns: int,
    sample_ns: int,
    block_ns: int,
    fewest: int,
    instruments: Array,
    all_orders: Array,
    all_parties: Array,
    all_sides: Array,
    all_fills: Array,
    all_layers: Array,
    all_samples: Array,
    all_tallies: Array,
    all_watched: Array,
    lost: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, order_hi, order_lo, replaces_hi, replaces_lo, account, role,
        in_complex, side_of, type_of, tif, price, quantity, leaves, display, reason, phase,
        coverage, buy_hi, buy_lo, sell_hi, sell_lo, buyer, seller, buy_role, sell_role,
        buy_complex, sell_complex, busts_hi, busts_lo, best_bid, best_ask,
    ) = columns  # fmt: skip
    written = 0
    for i in range(first, len(kind)):
        x, k = instrument[i], kind[i]
        own, now = instruments[x], clock[i]
        if now > own[I_DUE_NS] and own[I_DUE_NS] != 0:
            if written + LANES * PARTIES > len(out):
                return i, written
            written = settle(
                x, own, all_parties[x], all_sides[x], all_fills[x], all_layers[x], all_tallies[x],
                all_watched[x], now, block_ns, settle_ns, answer_ns, least, majority, best_bid[i],
                best_ask[i], out, written,
            )  # fmt: skip
        if now >= own[I_SAMPLE_NS] and phase[i] == _CONTINUOUS:
            if own[I_SAMPLE_NS] != 0:
                turn(own, all_tallies[x], all_watched[x], now // block_ns)
                passed = now // sample_ns - own[I_SAMPLE_NS] // sample_ns + 1
                watched = all_watched[x, own[I_BLOCK] % BLOCKS]
                watched[W_NS] += passed * sample_ns
                watched[W_MAKERS] += _sample(
                    own, all_parties[x], all_sides[x], all_samples[x], fewest
                )
            own[I_SAMPLE_NS] = (now // sample_ns + 1) * sample_ns
            if own[I_DUE_NS] == 0:
                own[I_DUE_NS] = NEVER
        if k == _STATUS:
            _break_off(own, all_parties[x], all_sides[x], False)
            continue
        if k == _BOOK and own[I_BOOK] == 0:
            _break_off(own, all_parties[x], all_sides[x], True)
            all_orders[x] = 0
            own[I_HELD] = 0
        own[I_BOOK] = 1 if k == _BOOK else 0
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            lures = phase[i] == _CONTINUOUS and (buy_complex[i] == 0 or sell_complex[i] == 0)
            if buy_complex[i] != 0 or buy_role[i] == _EXTERNAL:
                _fill(
                    own, all_orders[x], all_parties[x], all_sides[x], all_fills[x], all_layers[x],
                    0, order_key(buy_hi[i], buy_lo[i]), buyer[i], buy_complex[i], price[i],
                    quantity[i], seq[i], now, coverage[i], lures, side_of[i] < 0, least, settle_ns,
                )  # fmt: skip
            if sell_complex[i] != 0 or sell_role[i] == _EXTERNAL:
                _fill(
                    own, all_orders[x], all_parties[x], all_sides[x], all_fills[x], all_layers[x],
                    1, order_key(sell_hi[i], sell_lo[i]), seller[i], sell_complex[i], price[i],
                    quantity[i], seq[i], now, coverage[i], lures, side_of[i] > 0, least, settle_ns,
                )  # fmt: skip
            continue
        if in_complex[i] == 0 and role[i] != _EXTERNAL:
            continue
        orders, parties, sides = all_orders[x], all_parties[x], all_sides[x]
        group = 1 if in_complex[i] != 0 else 0
        party = -1
        how = FORCED if is_forced(reason[i]) else CHOSEN
        touched = False
        if replaces_hi[i] != 0 or replaces_lo[i] != 0:
            at = find(orders, order_key(replaces_hi[i], replaces_lo[i]))
            if orders[at, O_KEY] != 0:
                party = orders[at, O_PARTY]
                leave(own, orders, at, how, seq[i], now, parties, sides, all_layers[x])
                touched = True
        at = find(orders, order_key(order_hi[i], order_lo[i]))
        known = orders[at, O_KEY] != 0
        goes = k in (_CANCEL, _EXPIRE) or (k == _REJECT and leaves[i] in (0, _NULL))
        if known and goes:
            party = orders[at, O_PARTY]
            leave(own, orders, at, how, seq[i], now, parties, sides, all_layers[x])
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
                party = party_of(parties, account[i], group)
                if party < 0:
                    lost[0] += 1
                order = orders[at]
                order[O_KEY] = order_key(order_hi[i], order_lo[i])
                order[O_PARTY], order[O_GROUP], order[O_SIDE] = party, group, side_of[i]
                order[O_PRICE], order[O_SHOWN], order[O_SEQ] = price[i], 0, seq[i]
                # When a restated order came is not known: it is as old as can be.
                order[O_SINCE] = now if k != _BOOK else 0
                order[O_ACCOUNT] = account[i]
                own[I_HELD] += 1
                known = True
                count(orders, at, 1, CHOSEN, parties, sides)
            if known and lots != _NULL:
                party = orders[at, O_PARTY]
                less = orders[at, O_SHOWN] - lots
                shift(orders, at, less, how, seq[i], now, parties, sides, all_layers[x])
                if price[i] not in (_NULL, orders[at, O_PRICE]):
                    orders[at, O_PRICE], orders[at, O_MOST] = price[i], lots
                orders[at, O_MOST] = max(orders[at, O_MOST], lots)
                halved = 1 if 2 * lots < orders[at, O_MOST] and how == CHOSEN else 0
                if halved != orders[at, O_HALVED]:
                    orders[at, O_HALVED] = halved
                    count(orders, at, 1 - 2 * halved, CHOSEN, parties, sides)
                touched = True
        if not touched or phase[i] != _CONTINUOUS:
            continue
        if party > 0:
            look(own, parties, sides, party, now, coverage[i], least, settle_ns)
        if group == 1:
            look(own, parties, sides, 0, now, coverage[i], least, settle_ns)
    return len(kind), written


@kernel()
def _fill(  # noqa: PLR0917
    own: Array, orders: Array, parties: Array, sides: Array, fills: Array, layers: Array, s: int,
    key: int, account: int, group: int, price: int, quantity: int, seq: int, clock: int,
    doubt: int, lures: bool, rested: bool, least: float, settle_ns: int,
) -> None:  # fmt: skip
    """Take one side of a trade into account: 0 the buyer, 1 the seller."""
    at = find(orders, key)
    since = ABSENT
    party: Any = np.int64(-1)
    if orders[at, O_KEY] != 0:
        since, party = orders[at, O_SINCE], orders[at, O_PARTY]
        lots = min(quantity, orders[at, O_SHOWN])
        if lots == orders[at, O_SHOWN]:
            leave(own, orders, at, FILLED, seq, clock, parties, sides, layers)
        else:
            shift(orders, at, lots, FILLED, seq, clock, parties, sides, layers)
            orders[at, O_MOST] -= lots  # what was filled was not made small by choice
    else:
        for p in range(1, PARTIES):
            if parties[p, P_ACCOUNT] == account + 1:
                party = p
    if not lures:
        return
    if group == 0:
        if party > 0:
            _hit(
                sides, fills[party, 1 - s], party, s, since, account, price, quantity, seq, clock,
                rested,
            )  # fmt: skip
    else:
        for p in range(PARTIES):
            if p > 0 and parties[p, P_ACCOUNT] == 0:
                break
            if p in (party, 0) or parties[p, P_GROUP] != 0:
                _hit(
                    sides, fills[p, 1 - s], p, s, since, account, price, quantity, seq, clock,
                    rested,
                )  # fmt: skip
    if party > 0:
        look(own, parties, sides, party, clock, doubt, least, settle_ns)
    if group != 0:
        look(own, parties, sides, 0, clock, doubt, least, settle_ns)


@kernel()
def _cost(so_far: int, lots: int, ticks: int) -> int:
    """Return a cost that lots add so many ticks to; in floats one sees whether integers hold it."""
    rough = so_far + np.float64(lots) * ticks
    if abs(rough) >= MOST_COST:
        return MOST_COST if rough > 0 else -MOST_COST
    return int(so_far + lots * ticks)


@kernel()
def _hit(  # noqa: PLR0917
    sides: Array, fills: Array, p: int, s: int, since: int, account: int, price: int,
    quantity: int, seq: int, clock: int, rested: bool,
) -> None:  # fmt: skip
    """Count a fill of a party's side in the surges of its other side."""
    o = 1 - s
    if rested and clock != sides[p, s, X_TAKEN_NS]:
        if sides[p, s, X_TAKEN_NS] > 0:
            pause, usual = clock - sides[p, s, X_TAKEN_NS], sides[p, s, X_PAUSE_NS]
            sides[p, s, X_PAUSE_NS] = (7 * usual + pause) // 8 if usual > 0 else pause
        sides[p, s, X_TAKEN_NS] = clock
    on_ns = NEVER
    for lane in (o, o + ORDERS_LANE):
        side = sides[p, lane]
        if side[X_STATE] != SURGING:
            continue
        on_ns = min(on_ns, side[X_ON_NS])
        if side[X_FALL_NS] == 0:
            if side[X_HITS] == 0:
                side[X_HIT_PRICE] = price
                side[X_HIT_KEPT] = kept_by_choice(side)
            side[X_HIT_KEPT] = max(side[X_HIT_KEPT], kept_by_choice(side))
            side[X_HITS] += 1
            side[X_HIT_LOTS] += quantity
            side[X_HIT_COST] = _cost(side[X_HIT_COST], quantity, price - side[X_HIT_PRICE])
            side[X_HIT_NS] = clock
    if on_ns != NEVER:
        fill = fills[sides[p, o, X_MADE] % FILLS]
        fill[F_SEQ], fill[F_NS], fill[F_OWN] = seq, clock, account
        fill[F_FRESH] = int(since >= on_ns)
        sides[p, o, X_MADE] += 1
