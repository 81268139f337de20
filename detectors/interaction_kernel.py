"""The compiled scan of client_interaction: makers' quotes against what comes, fills against it too.

Quotes. Every 250 ms of event time it looks at each maker's own mid. What a quote at 0 says of
others' move from `from` to `to` is no more than what is public at 0, once those others have looked
at the market anew: a move is counted only where the maker that makes it has acted since, and late
enough to have seen what was public at 0. So neither a quicker system nor a slower peer foresees.

Fills. The mid's move after a client's fill, D (m_t+h - m_t), at five horizons.
"""

from __future__ import annotations

from typing import Final

from detectors.interaction_blocks import close_block
from detectors.interaction_markouts import filled, mark
from detectors.interaction_orders import at_price, drop, fill, forget, given, put, slot_of
from detectors.interaction_quotes import BUCKET_NS, compare, look
from detectors.interaction_state import (
    BLOCK,
    BUCKET,
    DOUBT,
    DUE_NS,
    FLIGHT,
    GROUP,
    IN_DOUBT,
    LAST_ASK,
    LAST_BID,
    LAST_NS,
    LOOK_NS,
    N_SAMPLES,
    NEXT_NS,
    PHASE,
    RESTATING,
    S_MOVED,
    SAMPLES,
    TESTED,
    V_LOOKS,
    V_SHARE,
)
from detectors.maker_orders import S_ACCOUNT, S_ASK, S_BID, S_NS, id_key
from ingest.compiled import kernel
from ingest.events import NULL, Array, Coverage, Kind, OrderType, Phase, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "account", "role", "side", "type",
    "tif", "price", "quantity", "leaves", "display", "phase", "coverage", "best_bid", "best_ask",
    "bid_lots", "ask_lots", "order_hi", "order_lo", "replaces_hi", "replaces_lo", "busts_hi",
    "busts_lo", "buy_account", "sell_account", "buy_hi", "buy_lo", "sell_hi", "sell_lo",
    "buy_role", "sell_role", "buy_complex", "sell_complex", "incoming_seq",
)  # fmt: skip
_NULL: Final = int(NULL)
_NEW, _REPLACE, _TRADE = int(Kind.NEW), int(Kind.REPLACE), int(Kind.TRADE)
_BOOK, _STATUS, _TRIGGER = int(Kind.BOOK), int(Kind.STATUS), int(Kind.TRIGGER)
_REJECT: Final = int(Kind.REJECT)
_LIMIT, _IOC, _FOK = int(OrderType.LIMIT), int(TimeInForce.IOC), int(TimeInForce.FOK)
_CLIENT, _EXTERNAL_MM = int(Role.CLIENT), int(Role.EXTERNAL_MM)
_AFFILIATED_MM, _AFFILIATED = int(Role.AFFILIATED_MM), int(Role.AFFILIATED)
_CONTINUOUS, _INCOMPLETE = int(Phase.CONTINUOUS), int(Coverage.INCOMPLETE)


@kernel(inline="always")
def advance(  # noqa: PLR0917
    own: Array, slots: Array, orders: Array, samples: Array, leans: Array, habits: Array,
    moves: Array, blocks: Array, tallies: Array,
    fills: Array, fill_blocks: Array, fill_tallies: Array, paid: Array, presence: Array,
    lots: Array, upto_ns: int, numbers: Array,
) -> None:  # fmt: skip
    """Take the state as it stands up to a time: looks that fall due, and markouts."""
    if own[NEXT_NS] == 0:
        own[NEXT_NS] = (upto_ns // LOOK_NS + 1) * LOOK_NS
    # In a long silence nothing moves: once every horizon is over there is nothing to compare.
    last_ns = min(upto_ns, own[NEXT_NS] + SAMPLES * LOOK_NS)
    while own[NEXT_NS] <= last_ns:
        at_ns = own[NEXT_NS]
        mark(own, fills, fill_blocks, paid, at_ns)
        if own[PHASE] == _CONTINUOUS:
            look(own, slots, samples, leans, habits, moves, at_ns, numbers)
            compare(own, samples, leans, blocks, at_ns, numbers)
            share(own, slots, orders, presence, lots)
        else:
            own[N_SAMPLES] = 0
        # A look at a block's end is still of that block.
        close_block(own, blocks, fill_blocks, tallies, fill_tallies, at_ns)
        own[NEXT_NS] += LOOK_NS
    mark(own, fills, fill_blocks, paid, upto_ns)
    if last_ns < upto_ns:
        own[N_SAMPLES] = 0
        own[NEXT_NS] = (upto_ns // LOOK_NS + 1) * LOOK_NS
    close_block(own, blocks, fill_blocks, tallies, fill_tallies, upto_ns)


@kernel(inline="always")
def share(own: Array, slots: Array, orders: Array, presence: Array, lots: Array) -> None:
    """Add the group's share of the size at the touch, both sides alike."""
    bid, ask = own[LAST_BID], own[LAST_ASK]
    if bid == 0 or ask <= bid or lots[0] <= 0 or lots[1] <= 0:
        return
    here = presence[own[BUCKET] % presence.shape[0]]
    here[V_LOOKS] += 1.0
    if slots[GROUP, S_BID] == bid:
        here[V_SHARE] += min(1.0, at_price(slots, orders, GROUP, 1, bid) / lots[0]) / 2.0
    if slots[GROUP, S_ASK] == ask:
        here[V_SHARE] += min(1.0, at_price(slots, orders, GROUP, -1, ask) / lots[1]) / 2.0


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    numbers: Array,
    own_all: Array,
    slots_all: Array,
    orders_all: Array,
    samples_all: Array,
    leans_all: Array,
    habits_all: Array,
    moves_all: Array,
    blocks_all: Array,
    tallies_all: Array,
    fills_all: Array,
    fill_blocks_all: Array,
    fill_tallies_all: Array,
    paid_all: Array,
    presence_all: Array,
    lots_all: Array,
    lost: Array,
) -> int:
    """Scan rows from `first`; return where a bucket is over and may be tested, or the end.

    The row returned has not been taken: the scan goes on with it.
    """
    (
        kind, instrument, seq, clock, account, role, side, order_type, tif, price, quantity,
        leaves, display, phase, coverage, best_bid, best_ask, bid_lots, ask_lots,
        order_hi, order_lo, replaces_hi, replaces_lo, busts_hi, busts_lo, buyer, seller, buy_hi,
        buy_lo, sell_hi, sell_lo, buy_role, sell_role, buy_complex, sell_complex, incoming,
    ) = columns  # fmt: skip
    bucket_ns = numbers[BUCKET_NS]
    for i in range(first, len(kind)):
        x = instrument[i]
        own = own_all[x]
        at_ns = clock[i]
        if own[LAST_NS] == 0:
            own[BUCKET], own[BLOCK] = at_ns // bucket_ns + 1, at_ns
            own[LAST_NS] = at_ns
        if at_ns >= own[NEXT_NS] or at_ns >= own[DUE_NS] or at_ns >= own[BUCKET] * bucket_ns:
            # As the book stood before this event, and so since the last one.
            own[LAST_BID] = best_bid[i] if best_bid[i] != _NULL else 0
            own[LAST_ASK] = best_ask[i] if best_ask[i] != _NULL else 0
            lots_all[x, 0], lots_all[x, 1] = bid_lots[i], ask_lots[i]
        if at_ns >= own[BUCKET] * bucket_ns:
            bucket = at_ns // bucket_ns + 1
            if own[TESTED] == 0:
                own[TESTED] = 1
                advance(
                    own, slots_all[x], orders_all[x], samples_all[x], leans_all[x], habits_all[x],
                    moves_all[x], blocks_all[x], tallies_all[x],
                    fills_all[x], fill_blocks_all[x], fill_tallies_all[x], paid_all[x],
                    presence_all[x], lots_all[x], own[BUCKET] * bucket_ns, numbers,
                )  # fmt: skip
                if slots_all[x, GROUP, S_ACCOUNT] != 0:
                    return i
            kept = tallies_all.shape[1]
            for new in range(max(own[BUCKET] + 1, bucket - kept + 1), bucket + 1):
                tallies_all[x, new % kept], fill_tallies_all[x, new % kept] = 0.0, 0.0
                paid_all[x, new % kept], presence_all[x, new % kept] = 0.0, 0.0
            own[BUCKET], own[TESTED] = bucket, 0
        if at_ns >= own[NEXT_NS] or at_ns >= own[DUE_NS]:
            advance(
                own, slots_all[x], orders_all[x], samples_all[x], leans_all[x], habits_all[x],
                moves_all[x], blocks_all[x], tallies_all[x],
                fills_all[x], fill_blocks_all[x], fill_tallies_all[x], paid_all[x],
                presence_all[x], lots_all[x], at_ns, numbers,
            )  # fmt: skip
        own[LAST_NS] = at_ns
        own[PHASE] = phase[i]
        if coverage[i] == _INCOMPLETE:
            own[DOUBT] = own[BUCKET]
            if own[IN_DOUBT] == 0:
                forget(slots_all[x])  # what was cancelled in a gap must not stand for ever
        own[IN_DOUBT] = 1 if coverage[i] == _INCOMPLETE else 0
        k = kind[i]
        slots, orders = slots_all[x], orders_all[x]
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            taker_role = buy_role[i] if side[i] > 0 else sell_role[i]
            taker_group = (buy_complex[i] if side[i] > 0 else sell_complex[i]) != 0
            for way in (1, -1):
                who = buyer[i] if way > 0 else seller[i]
                of = buy_role[i] if way > 0 else sell_role[i]
                group = of in (_AFFILIATED_MM, _AFFILIATED)
                if not group and of != _EXTERNAL_MM:
                    continue
                slot = slot_of(slots, who, group)
                if slot < 0:
                    continue
                key = id_key(buy_hi[i], buy_lo[i]) if way > 0 else id_key(sell_hi[i], sell_lo[i])
                fill(slots, orders, slot, key, quantity[i])
                if (
                    way == -side[i]
                    and taker_role == _CLIENT
                    and not taker_group
                    and phase[i] == _CONTINUOUS
                    and side[i] != 0
                ):
                    filled(
                        own, fills_all[x], paid_all[x], slot, at_ns, seq[i], side[i], price[i],
                        quantity[i], best_bid[i], best_ask[i], who, incoming[i],
                    )  # fmt: skip
            continue
        if k == _BOOK and own[RESTATING] == 0:
            forget(slots)
        own[RESTATING] = 1 if k == _BOOK else 0
        group = role[i] in (_AFFILIATED_MM, _AFFILIATED)
        if k in (_TRIGGER, _STATUS) or (not group and role[i] != _EXTERNAL_MM):
            own[FLIGHT] = 0
            continue
        key = id_key(order_hi[i], order_lo[i])
        in_flight = own[FLIGHT] == key
        own[FLIGHT] = key if k in (_NEW, _REPLACE) else 0
        slot = slot_of(slots, account[i], group)
        if group:
            left = slot_of(slots, account[i], group=False)
            if left >= 0:  # an external maker until now
                slots[left] = 0
        rests = (
            k in (_NEW, _REPLACE, _BOOK)
            and order_type[i] == _LIMIT
            and tif[i] != _IOC
            and tif[i] != _FOK
            and leaves[i] > 0
            and price[i] != _NULL
        )
        if slot < 0:
            if not rests:
                continue
            slot = given(slots, account[i], lost)
            tallies_all[x, :, slot], fill_tallies_all[x, :, slot] = 0.0, 0.0
            paid_all[x, :, slot], samples_all[x, :, slot] = 0.0, 0
            blocks_all[x, slot], fill_blocks_all[x, slot], habits_all[x, slot] = 0.0, 0.0, 0.0
        mid = slots[slot, S_BID] + slots[slot, S_ASK]
        slots[slot, S_NS] = at_ns
        if group and rests:
            slots[slot, S_ACCOUNT] = account[i] + 1
        if replaces_hi[i] != 0 or replaces_lo[i] != 0:
            drop(slots, orders, slot, id_key(replaces_hi[i], replaces_lo[i]))
        if rests:
            put(slots, orders, lost, slot, key, side[i], price[i], leaves[i], display[i])
        elif k != _REJECT or in_flight:  # a refused amendment leaves its order as it stands
            drop(slots, orders, slot, key)
        if slots[slot, S_BID] + slots[slot, S_ASK] != mid:
            slots[slot, S_MOVED] = at_ns
    return len(kind)
