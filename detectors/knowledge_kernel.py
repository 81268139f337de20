"""What was executed while the platform knew of a client's instruction and the market did not.

One compiled pass. Each client instruction has a window: from δ after the gateway had it to its
matching. Whoever executed on its side by an instruction that the gateway got within that window is
written out, with what chance would have given: how often they execute, and for how long clients'
instructions were in the gateway that day.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import njit
from ingest.events import NULL, Array, Kind, OrderType, Phase, Role

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "owner",
    "originator", "role", "in_complex", "side", "type", "quantity", "price", "phase", "coverage",
    "busts_hi", "busts_lo", "incoming_seq", "incoming_received_ns", "buy_account", "buy_owner",
    "buy_complex", "sell_account", "sell_owner", "sell_complex", "best_bid", "best_ask",
)  # fmt: skip
ACTS: Final = 256
"""Executions kept of the group, and as many of all others, an instrument."""
ORDERS: Final = 256
"""Client orders kept an instrument: what a usual size is, and who came before."""
FILLS: Final = 64
"""Passive fills of the group kept an instrument: what may have to be hedged."""
DAY: Final = 86_400 * 1_000_000_000

# Fields of an instrument's state.
FROM_NS: Final = 0
ON_DAY: Final = 1
ORDERS_MADE: Final = 2
FILLS_MADE: Final = 3
MADE: Final = 4  # of others, of the group
EXPOSED: Final = 6  # buying, selling: ns of windows that day
WINDOWS: Final = 8  # likewise: how many
HITS: Final = 10  # likewise: in how many the group executed
FIELDS: Final = 12

# Fields of an execution.
A_SEQ, A_RECEIVED, A_CLOCK, A_SIDE, A_ACCOUNT, A_OWNER = range(6)
A_LOTS, A_PRICE, A_EXTRA, A_FIRST, A_LAST, A_BID, A_ASK, A_DOUBT = range(6, 14)
ACT_FIELDS: Final = 14

# Fields of a client order.
R_CLOCK, R_OWNER, R_ORIGINATOR, R_SIDE, R_LOTS = range(5)
ORDER_FIELDS: Final = 5

OUT_FIELDS: Final = 33
"""Of what is written out: those of `detectors.knowledge.Known`."""

_NEW, _REPLACE, _TRADE = int(Kind.NEW), int(Kind.REPLACE), int(Kind.TRADE)
_CLIENT, _CONTINUOUS = int(Role.CLIENT), int(Phase.CONTINUOUS)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_NULL: Final = NULL


@njit(cache=True)
def _who(owner: int, account: int) -> int:
    """Return the owner, or, where none is known, a number of the account's own."""
    return owner if owner >= 0 else -account - 2


@njit(cache=True)
def _usual(orders: Array, made: int) -> int:
    """Return the median size of the latest client orders, lots; 0 when there are few."""
    n = min(made, ORDERS)
    if n < 16:
        return 0
    return int(np.partition(orders[:n, R_LOTS].copy(), n // 2)[n // 2])


@njit(cache=True)
def _before(orders: Array, made: int, own: Array, gap_ns: int) -> int:
    """Return what the same client entered on the same side, each within the gap of the next."""
    lots, until = 0, own[R_CLOCK]
    for back in range(1, min(made, ORDERS) + 1):
        order = orders[(made - back) % ORDERS]
        if until - order[R_CLOCK] > gap_ns:
            break
        same = order[R_OWNER] == own[R_OWNER] and order[R_ORIGINATOR] == own[R_ORIGINATOR]
        if same and order[R_SIDE] == own[R_SIDE]:
            lots += order[R_LOTS]
            until = order[R_CLOCK]
    return lots


@njit(cache=True)
def _rate(  # noqa: PLR0917
    acts: Array, made: int, act: Array, group: int, received: int, since: int, local_ns: int
) -> tuple[int, int, int]:
    """Return how often the same executed on that side before: times, in how long, lately."""
    held = min(made, ACTS)
    count = local = 0
    oldest = since
    if made > ACTS:
        oldest = max(since, acts[made % ACTS, A_CLOCK])
    for back in range(held):
        other = acts[(made - 1 - back) % ACTS]
        if other[A_CLOCK] >= received or other[A_SIDE] != act[A_SIDE]:
            continue
        if group or other[A_OWNER] == act[A_OWNER]:
            count += 1
            if received - other[A_CLOCK] <= local_ns:
                local += 1
    return count, max(received - oldest, 1), local


@njit(cache=True)
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    times: tuple[int, int, int, int],
    state: Array,
    acts: Array,
    orders: Array,
    fills: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, engine, received, account, owner, originator, role, group,
        side, order_type, quantity, price, phase, coverage, busts_hi, busts_lo, incoming,
        incoming_received, buyer, buy_owner, buy_group, seller, sell_owner, sell_group, bid, ask,
    ) = columns  # fmt: skip
    delta, gap_ns, hedge_ns, local_ns = times
    written = 0
    for i in range(first, len(kind)):
        x = instrument[i]
        own = state[x]
        if own[FROM_NS] == _NULL:
            own[FROM_NS] = clock[i]
        k = kind[i]
        if k == _TRADE:
            if incoming[i] == 0 or busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            taker = side[i]
            if taker == 0 or phase[i] != _CONTINUOUS:
                continue
            bought = taker > 0
            by_group = buy_group[i] if bought else sell_group[i]
            if (sell_group[i] if bought else buy_group[i]) and not by_group:
                fill = fills[x, own[FILLS_MADE] % FILLS]
                fill[0], fill[1] = clock[i], -taker * quantity[i]
                own[FILLS_MADE] += 1
            if incoming_received[i] == _NULL:
                continue
            c = 1 if by_group else 0
            made = own[MADE + c]
            act = acts[x, c, (made - 1) % ACTS]
            if made > 0 and act[A_SEQ] == incoming[i]:
                act[A_LOTS] += quantity[i]
                act[A_EXTRA] += (price[i] - act[A_PRICE]) * quantity[i]
                act[A_LAST], act[A_DOUBT] = seq[i], act[A_DOUBT] | coverage[i]
                continue
            act = acts[x, c, made % ACTS]
            act[A_SEQ], act[A_RECEIVED], act[A_CLOCK] = incoming[i], incoming_received[i], clock[i]
            act[A_SIDE] = taker
            act[A_ACCOUNT] = buyer[i] if bought else seller[i]
            act[A_OWNER] = _who(buy_owner[i] if bought else sell_owner[i], act[A_ACCOUNT])
            act[A_LOTS], act[A_PRICE], act[A_EXTRA] = quantity[i], price[i], 0
            act[A_FIRST] = act[A_LAST] = seq[i]
            act[A_BID], act[A_ASK], act[A_DOUBT] = bid[i], ask[i], coverage[i]
            own[MADE + c] += 1
            continue
        if (
            k not in (_NEW, _REPLACE)
            or role[i] != _CLIENT
            or group[i]
            or side[i] == 0
            or quantity[i] == _NULL
            or (order_type[i] != _LIMIT and order_type[i] != _MARKET)
        ):
            continue
        mine = np.empty(ORDER_FIELDS, np.int64)
        mine[R_CLOCK], mine[R_ORIGINATOR] = clock[i], originator[i]
        mine[R_OWNER] = _who(owner[i], account[i])
        mine[R_SIDE], mine[R_LOTS] = side[i], quantity[i]
        if received[i] != _NULL and phase[i] == _CONTINUOUS and engine[i] - received[i] > delta:
            if written + ACTS > len(out):
                return i, written
            if clock[i] // DAY != own[ON_DAY]:
                own[ON_DAY] = clock[i] // DAY
                own[EXPOSED:FIELDS] = 0
            s = 0 if side[i] > 0 else 1
            own[EXPOSED + s] += engine[i] - received[i] - delta
            own[WINDOWS + s] += 1
            hit = False
            for c in range(2):
                made = own[MADE + c]
                for back in range(min(made, ACTS)):
                    act = acts[x, c, (made - 1 - back) % ACTS]
                    if act[A_CLOCK] < received[i]:
                        break
                    if (
                        act[A_SIDE] != side[i]
                        or act[A_OWNER] == mine[R_OWNER]
                        or act[A_RECEIVED] - received[i] <= delta
                        or act[A_RECEIVED] >= engine[i]
                    ):
                        continue
                    if c == 1 and not hit:
                        hit = True
                        own[HITS + s] += 1
                    count, span, local = _rate(
                        acts[x, c], made, act, c, received[i], own[FROM_NS], local_ns
                    )
                    hedge = 0
                    for f in range(min(own[FILLS_MADE], FILLS)):
                        if 0 <= received[i] - fills[x, f, 0] <= hedge_ns:
                            hedge -= side[i] * fills[x, f, 1]
                    row = out[written]
                    row[0], row[1], row[2], row[3], row[4] = (
                        x, seq[i], clock[i], engine[i], received[i],
                    )  # fmt: skip
                    row[5], row[6], row[7], row[8] = (
                        account[i], mine[R_OWNER], originator[i], side[i],
                    )  # fmt: skip
                    row[9] = price[i] if order_type[i] == _LIMIT else _NULL
                    row[10], row[11] = quantity[i], coverage[i] | act[A_DOUBT]
                    row[12], row[13], row[14], row[15], row[16] = (
                        act[A_SEQ], act[A_RECEIVED], act[A_ACCOUNT], act[A_OWNER], c,
                    )  # fmt: skip
                    row[17], row[18], row[19] = act[A_LOTS], act[A_PRICE], act[A_EXTRA]
                    row[20], row[21], row[22], row[23] = (
                        act[A_FIRST], act[A_LAST], act[A_BID], act[A_ASK],
                    )  # fmt: skip
                    row[24], row[25], row[26] = count, span, local
                    row[27] = max(hedge, 0) if c == 1 else 0
                    row[28], row[29], row[30] = own[EXPOSED + s], own[WINDOWS + s], own[HITS + s]
                    row[31] = _usual(orders[x], own[ORDERS_MADE])
                    row[32] = _before(orders[x], own[ORDERS_MADE], mine, gap_ns)
                    written += 1
        if k == _NEW:
            orders[x, own[ORDERS_MADE] % ORDERS] = mine
            own[ORDERS_MADE] += 1
    return len(kind), written
