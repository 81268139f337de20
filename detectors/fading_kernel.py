"""The compiled scan of quote_fading: what makers did while a client's order was on its way.

Of each marketable client order the window [t0 + δ, t1) is compared with windows of the same length
in the minute before t0, drawn by a hash and alike in state. Withdrawn is what a maker takes from
the touch by choice, less what it posts there in the same window.
"""

from __future__ import annotations

from typing import Final

from detectors.fading_book import fill, follow, restate, touch
from detectors.fading_state import (
    BUCKET,
    BUCKET_HITS,
    BUCKET_NS,
    C_HIT,
    C_LEFT,
    C_SEQ,
    C_SIDE,
    C_TOUCH,
    DELTA,
    H_COST,
    H_PAID,
    HITS,
    LAST_NS,
    MOST_NS,
    N_HITS,
    RESTATING,
    SINCE_NS,
)
from detectors.fading_window import judge, marketable
from detectors.maker_orders import id_key
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Phase, Reason, Role, TimeInForce

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "received_ns", "engine_ns", "account", "role",
    "in_complex", "side", "type", "tif", "price", "quantity", "leaves", "display", "reason",
    "phase", "coverage", "best_bid", "best_ask", "order_hi", "order_lo", "replaces_hi",
    "replaces_lo", "busts_hi", "busts_lo", "incoming_seq", "buy_account", "sell_account",
    "buy_hi", "buy_lo", "sell_hi", "sell_lo", "buy_role", "sell_role",
    "buy_complex", "sell_complex",
)  # fmt: skip
_NULL: Final = int(NULL)
_NEW, _REPLACE, _TRADE, _STATUS = (
    int(Kind.NEW), int(Kind.REPLACE), int(Kind.TRADE), int(Kind.STATUS),
)  # fmt: skip
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_CLIENT, _EXTERNAL_MM = int(Role.CLIENT), int(Role.EXTERNAL_MM)
_BOOK: Final = int(Kind.BOOK)
_SPEED_BUMP: Final = int(Reason.SPEED_BUMP)
_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_POST_ONLY: Final = int(TimeInForce.POST_ONLY)


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    numbers: Array,
    seeds: Array,
    own_all: Array,
    slots_all: Array,
    orders_all: Array,
    states_all: Array,
    events_all: Array,
    tallies_all: Array,
    hits_all: Array,
    lost: Array,
    index: tuple[Array, ...],
    counts: Array,
) -> int:
    """Scan rows from `first`; return where a bucket with withdrawals is over, or the end.

    The caller judges that bucket and clears BUCKET_HITS before it goes on.
    """
    (
        kind, instrument, seq, clock, received, engine, account, role, in_complex, side, order_type,
        tif, price, quantity, leaves, display, reason, phase, coverage, best_bid, best_ask,
        order_hi, order_lo, replaces_hi, replaces_lo, busts_hi, busts_lo, incoming,
        buyer, seller, buy_hi, buy_lo, sell_hi, sell_lo, buy_role, sell_role, buy_complex,
        sell_complex,
    ) = columns  # fmt: skip
    heads, cells, times, fills = index
    for i in range(first, len(kind)):
        x = instrument[i]
        bucket = clock[i] // numbers[BUCKET_NS] + 1
        if bucket > own_all[x, BUCKET]:
            if own_all[x, BUCKET_HITS] > 0:
                return i
            buckets = tallies_all.shape[1]
            for new in range(max(own_all[x, BUCKET] + 1, bucket - buckets + 1), bucket + 1):
                tallies_all[x, new % buckets] = 0
            own_all[x, BUCKET] = bucket
        k = kind[i]
        if k == _TRADE:
            if busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            if own_all[x, C_SEQ] != 0 and incoming[i] == own_all[x, C_SEQ]:
                _charge(own_all, hits_all, x, price[i], quantity[i])
            if buy_role[i] >= _EXTERNAL_MM or buy_complex[i] != 0:
                fill(
                    own_all, slots_all, orders_all, events_all, x, buyer[i],
                    id_key(buy_hi[i], buy_lo[i]), 1, side[i] < 0, price[i], quantity[i],
                    seq[i], clock[i],
                )  # fmt: skip
            if sell_role[i] >= _EXTERNAL_MM or sell_complex[i] != 0:
                fill(
                    own_all, slots_all, orders_all, events_all, x, seller[i],
                    id_key(sell_hi[i], sell_lo[i]), -1, side[i] > 0, price[i], quantity[i],
                    seq[i], clock[i],
                )  # fmt: skip
            own_all[x, LAST_NS] = clock[i]
            continue
        touch(
            own_all, slots_all, states_all, x,
            best_bid[i] if best_bid[i] != _NULL else 0, best_ask[i] if best_ask[i] != _NULL else 0,
        )  # fmt: skip
        group = role[i] > _EXTERNAL_MM or in_complex[i] != 0
        if k == _BOOK or own_all[x, RESTATING] != 0:
            restate(own_all, slots_all, x, k)
        if group or role[i] == _EXTERNAL_MM:
            follow(
                own_all, slots_all, orders_all, events_all, tallies_all, lost, x, group, k, seq[i],
                clock[i], received[i], account[i], side[i], order_type[i], tif[i], price[i],
                leaves[i] if leaves[i] != _NULL else quantity[i], display[i], reason[i],
                best_bid[i], best_ask[i], id_key(order_hi[i], order_lo[i]),
                id_key(replaces_hi[i], replaces_lo[i]),
            )  # fmt: skip
        elif k == _STATUS:
            own_all[x, SINCE_NS] = clock[i]
        elif (
            k in (_NEW, _REPLACE)
            and received[i] != _NULL
            and numbers[DELTA] < clock[i] - received[i] <= numbers[MOST_NS]
            and role[i] == _CLIENT
            and received[i] <= engine[i]
            and phase[i] == _CONTINUOUS
            and reason[i] != _SPEED_BUMP
            and tif[i] != _POST_ONLY
            and (order_type[i] == _MARKET or order_type[i] == _LIMIT)
        ):
            limit = _NULL if order_type[i] == _MARKET else price[i]
            at = marketable(
                numbers, own_all, states_all, heads, cells, times, x, received[i], clock[i],
                side[i], limit,
            )  # fmt: skip
            if at >= 0:
                judge(
                    numbers, seeds[x], own_all, states_all, events_all, slots_all, tallies_all,
                    hits_all, heads, cells, times, fills, counts, x, at, seq[i], received[i],
                    clock[i], side[i], limit, leaves[i] if leaves[i] != _NULL else quantity[i],
                    coverage[i],
                )  # fmt: skip
        own_all[x, LAST_NS] = clock[i]
    return len(kind)


@kernel()
def _charge(own: Array, hits: Array, x: int, price: int, quantity: int) -> None:
    """Charge a trade of a client withdrawn from: what it paid beyond the touch that stood."""
    worse = own[x, C_SIDE] * (price - own[x, C_TOUCH])
    lots = min(quantity, own[x, C_LEFT])
    if worse > 0 and lots > 0 and own[x, C_HIT] >= own[x, N_HITS] - HITS:
        at = own[x, C_HIT] % HITS
        hits[x, at, H_COST] += worse * lots
        hits[x, at, H_PAID] += lots
        own[x, C_LEFT] -= lots
