"""What the group did while the platform knew of a client's instruction and the market did not.

One compiled pass. Each client instruction has a window: from δ after the gateway had it to its
matching. Instructions of the group for its side that the gateway got within that window, and that
executed or now rest in the book, are written out with what chance would have given: how often the
group does the like, and for how long instructions of large client episodes were in the gateway
that day; and those that were large by themselves, of which the platform knows so at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.knowledge_fields import (
    A_ACCOUNT,
    A_CLOCK,
    A_DOUBT,
    A_EXTRA,
    A_FIRST,
    A_LAST,
    A_LOTS,
    A_PRICE,
    A_RECEIVED,
    A_SEQ,
    A_SIDE,
    ACTS,
    ALONE,
    ALONE_WINDOWS,
    EXPOSED,
    FEW,
    FIELDS,
    FILLS,
    FILLS_MADE,
    FROM_NS,
    G_LOTS,
    G_SEQ,
    G_SIDE,
    LIVE,
    MADE,
    ON_DAY,
    ORDER_FIELDS,
    ORDERS,
    ORDERS_MADE,
    Q_ACCOUNT,
    Q_CLOCK,
    Q_DOUBT,
    Q_FILLED,
    Q_FIRST,
    Q_LAST,
    Q_LOTS,
    Q_MET,
    Q_PRICE,
    Q_RECEIVED,
    Q_SEQ,
    Q_SIDE,
    Q_STOOD,
    QUIET,
    QUIET_WINDOWS,
    QUOTES,
    QUOTES_MADE,
    R_CLOCK,
    R_EXPOSED,
    R_HIT,
    R_LOTS,
    R_ORIGINATOR,
    R_OWNER,
    R_PARENT,
    R_QUIET,
    R_QUIETS,
    R_RESTED,
    R_SIDE,
    R_WINDOWS,
    SIZES,
    STOOD,
    USUAL,
    WINDOWS,
)
from detectors.knowledge_rates import act_rate, likely, quote_rate, size_class
from ingest.compiled import kernel, njit
from ingest.events import NULL, Array, Kind, OrderType, Phase, Role, TimeInForce
from ingest.times import DAY

_NEW, _REPLACE, _TRADE = int(Kind.NEW), int(Kind.REPLACE), int(Kind.TRADE)
_CANCEL, _EXPIRE, _STATUS = int(Kind.CANCEL), int(Kind.EXPIRE), int(Kind.STATUS)
_CLIENT, _CONTINUOUS = int(Role.CLIENT), int(Phase.CONTINUOUS)
_LIMIT, _MARKET = int(OrderType.LIMIT), int(OrderType.MARKET)
_IOC, _FOK = int(TimeInForce.IOC), int(TimeInForce.FOK)
_NULL: Final = NULL


@kernel()
def _who(owner: int, account: int) -> int:
    """Return the owner, or, where none is known, a number of the account's own."""
    return owner if owner >= 0 else -account - 2


@kernel()
def _parent(orders: Array, made: int, mine: Array, gap_ns: int) -> int:
    """Return the place of the latest order of the same parent episode, or -1."""
    for back in range(1, min(made, ORDERS) + 1):
        at = (made - back) % ORDERS
        order = orders[at]
        if mine[R_CLOCK] - order[R_CLOCK] > gap_ns:
            break
        same = order[R_OWNER] == mine[R_OWNER] and order[R_ORIGINATOR] == mine[R_ORIGINATOR]
        if same and order[R_SIDE] == mine[R_SIDE]:
            return int(at)
    return -1


@kernel()
def _fill(quotes: Array, made: int, entry: int, seq: int, lots: int) -> None:
    """Add a fill to a resting instruction, if it is kept."""
    for back in range(1, min(made, QUOTES) + 1):
        quote = quotes[(made - back) % QUOTES]
        if quote[Q_SEQ] == entry:
            if quote[Q_FILLED] == 0:
                quote[Q_FIRST] = seq
            quote[Q_FILLED] += lots
            quote[Q_LAST] = seq
            return
        if quote[Q_SEQ] < entry:
            return


@kernel()
def _executed(own: Array, acts: Array, seq: int) -> bool:
    for back in range(min(own[MADE], ACTS)):
        if acts[(own[MADE] - 1 - back) % ACTS, A_SEQ] == seq:
            return True
    return False


@njit(cache=True)
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    times: tuple[int, int, int, int, int],
    large_ratio: float,
    chance: float,
    kept: tuple[Array, Array, Array, Array, Array, Array, Array, Array],
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, engine, received, account, owner, originator, role, group,
        side, order_type, tif, quantity, price, phase, coverage, busts_hi, busts_lo, incoming,
        incoming_received, buyer, buy_group, seller, sell_group, leaves_before, entry,
    ) = columns  # fmt: skip
    state, all_acts, all_orders, all_fills, all_quotes, all_kinds, all_taken, all_rested = kept
    delta, gap_ns, hedge_ns, local_ns, after_ns = times
    written = 0
    mine = np.zeros(ORDER_FIELDS, np.int64)
    for i in range(first, len(kind)):
        k = kind[i]
        x = instrument[i]
        if k == _STATUS:
            state[x, STOOD:FIELDS] = 0  # what an auction took is not seen
        if k not in (_TRADE, _NEW, _REPLACE, _CANCEL, _EXPIRE):
            continue
        own = state[x]
        if own[FROM_NS] == _NULL:
            own[FROM_NS] = clock[i]
        if k == _TRADE:
            taker = side[i]
            if (
                incoming[i] == 0 or busts_hi[i] != 0 or busts_lo[i] != 0
                or taker == 0 or phase[i] != _CONTINUOUS
            ):  # fmt: skip
                continue
            bought = taker > 0
            by_group = buy_group[i] if bought else sell_group[i]
            rests = sell_group[i] if bought else buy_group[i]
            if rests:
                if leaves_before[i] != _NULL and leaves_before[i] <= quantity[i]:
                    at = STOOD + (1 if bought else 0)
                    own[at] = max(own[at] - 1, 0)
                if not by_group:
                    _fill(all_quotes[x], own[QUOTES_MADE], entry[i], seq[i], quantity[i])
            if by_group != rests:
                fill = all_fills[x, own[FILLS_MADE] % FILLS]
                fill[0], fill[1] = clock[i], (taker if by_group else -taker) * quantity[i]
                own[FILLS_MADE] += 1
            if not by_group:
                continue
            if incoming[i] == own[G_SEQ] and own[G_LOTS] > 0:
                own[G_LOTS] -= quantity[i]
                if own[G_LOTS] <= 0:
                    own[STOOD + own[G_SIDE]] = max(own[STOOD + own[G_SIDE]] - 1, 0)
            if incoming_received[i] == _NULL:
                continue
            act = all_acts[x, (own[MADE] - 1) % ACTS]
            taken = all_taken[x, 0 if bought else 1]
            if own[MADE] > 0 and act[A_SEQ] == incoming[i]:
                taken[size_class(act[A_LOTS])] -= 1
                act[A_LOTS] += quantity[i]
                taken[size_class(act[A_LOTS])] += 1
                act[A_EXTRA] += (price[i] - act[A_PRICE]) * quantity[i]
                act[A_LAST], act[A_DOUBT] = seq[i], act[A_DOUBT] | coverage[i]
                continue
            act = all_acts[x, own[MADE] % ACTS]
            act[A_SEQ], act[A_RECEIVED], act[A_CLOCK] = incoming[i], incoming_received[i], clock[i]
            act[A_SIDE] = taker
            act[A_ACCOUNT] = buyer[i] if bought else seller[i]
            act[A_LOTS], act[A_PRICE], act[A_EXTRA] = quantity[i], price[i], 0
            act[A_FIRST] = act[A_LAST] = seq[i]
            act[A_DOUBT] = coverage[i]
            taken[size_class(quantity[i])] += 1
            own[MADE] += 1
            continue
        s = 0 if side[i] > 0 else 1
        if k in (_CANCEL, _EXPIRE):
            if group[i] and side[i] != 0 and leaves_before[i] != _NULL and leaves_before[i] > 0:
                own[STOOD + s] = max(own[STOOD + s] - 1, 0)
            continue
        if side[i] == 0 or quantity[i] == _NULL:
            continue
        if group[i]:
            if order_type[i] != _LIMIT or tif[i] == _IOC or tif[i] == _FOK:
                continue
            if k != _NEW:
                continue
            stood = min(own[STOOD + s], LIVE - 1)
            own[STOOD + s] += 1
            own[G_SEQ], own[G_SIDE], own[G_LOTS] = seq[i], s, quantity[i]
            all_kinds[x, s, size_class(quantity[i])] += 1
            all_kinds[x, s, SIZES + stood] += 1
            if received[i] != _NULL and phase[i] == _CONTINUOUS:
                quote = all_quotes[x, own[QUOTES_MADE] % QUOTES]
                quote[Q_SEQ], quote[Q_RECEIVED], quote[Q_CLOCK] = seq[i], received[i], clock[i]
                quote[Q_SIDE], quote[Q_ACCOUNT], quote[Q_LOTS] = side[i], account[i], quantity[i]
                quote[Q_PRICE], quote[Q_DOUBT], quote[Q_STOOD] = price[i], coverage[i], stood
                quote[Q_MET:] = 0
                own[QUOTES_MADE] += 1
            continue
        if role[i] != _CLIENT or (order_type[i] != _LIMIT and order_type[i] != _MARKET):
            continue
        if written + ACTS + QUOTES + 1 > len(out):
            return i, written
        acts, orders, quotes = all_acts[x], all_orders[x], all_quotes[x]
        mine[:] = 0
        mine[R_CLOCK], mine[R_ORIGINATOR] = clock[i], originator[i]
        mine[R_OWNER] = _who(owner[i], account[i])
        mine[R_SIDE], mine[R_LOTS] = side[i], quantity[i]
        mine[R_PARENT] = quantity[i] if k == _NEW else 0
        before = _parent(orders, own[ORDERS_MADE], mine, gap_ns)
        if before >= 0:
            mine[R_PARENT:] = orders[before, R_PARENT:]
            if k == _NEW:
                mine[R_PARENT] += quantity[i]
        if clock[i] // DAY != own[ON_DAY]:
            own[ON_DAY] = clock[i] // DAY
            own[EXPOSED:STOOD] = 0
            all_rested[x] = 0
        window = 0
        if received[i] != _NULL and phase[i] == _CONTINUOUS:
            window = max(engine[i] - received[i] - delta, 0)
        if window > 0:
            mine[R_EXPOSED] += window
            mine[R_WINDOWS] += 1
        exposed, windows = own[EXPOSED + s] + mine[R_EXPOSED], own[WINDOWS + s] + mine[R_WINDOWS]
        alone = k == _NEW and own[USUAL] > 0 and quantity[i] >= large_ratio * own[USUAL]
        if alone and window > 0:
            own[ALONE + s] += window
            own[ALONE_WINDOWS + s] += 1
        large = own[USUAL] > 0 and mine[R_PARENT] >= large_ratio * own[USUAL]
        if large:
            own[EXPOSED + s], own[WINDOWS + s] = exposed, windows
            mine[R_EXPOSED] = mine[R_WINDOWS] = 0
        quiet = k == _NEW and window > 0
        if quiet and before >= 0:
            quiet = received[i] - orders[before, R_CLOCK] > after_ns
        if quiet:
            mine[R_QUIET] += window
            mine[R_QUIETS] += 1
        quiet_ns = own[QUIET + s] + mine[R_QUIET]
        quiet_windows = own[QUIET_WINDOWS + s] + mine[R_QUIETS]
        hit_before, begun, largest = mine[R_HIT] != 0, written, -1
        rested = all_rested[x, s]
        for back in range(min(own[MADE], ACTS) if window > 0 else 0):
            act = acts[(own[MADE] - 1 - back) % ACTS]
            if act[A_CLOCK] < received[i]:
                break
            if (
                act[A_SIDE] != side[i]
                or act[A_RECEIVED] - received[i] <= delta
                or act[A_RECEIVED] >= engine[i]
            ):
                continue
            row = out[written]
            act_rate(
                acts, own[MADE], all_taken[x, s], act, received[i], own[FROM_NS], local_ns, row
            )
            row[11] = coverage[i] | act[A_DOUBT]
            row[12], row[13], row[14] = act[A_SEQ], act[A_RECEIVED], act[A_ACCOUNT]
            row[15], row[16], row[17] = act[A_LOTS], act[A_PRICE], act[A_EXTRA]
            row[18], row[19], row[20] = act[A_FIRST], act[A_LAST], 0
            row[37] = row[38] = row[41] = 0
            written += 1
        for back in range(min(own[QUOTES_MADE], QUOTES) if window > 0 else 0):
            quote = quotes[(own[QUOTES_MADE] - 1 - back) % QUOTES]
            if quote[Q_CLOCK] < received[i]:
                break
            if (
                quote[Q_SIDE] != side[i]
                or quote[Q_RECEIVED] - received[i] <= delta
                or quote[Q_RECEIVED] >= engine[i]
                or _executed(own, acts, quote[Q_SEQ])
            ):
                continue
            counts = quiet and quote[Q_MET] == 0
            if counts:
                largest, quote[Q_MET] = max(largest, size_class(quote[Q_LOTS])), 1
            row = out[written]
            quote_rate(
                quotes, own[QUOTES_MADE], all_kinds[x, s], rested, quote, received[i],
                own[FROM_NS], local_ns, row,
            )  # fmt: skip
            row[22] -= 1  # itself
            row[35] = row[22]
            row[28], row[32], row[33] = exposed, alone, own[ALONE + s]
            row[37] = rested.sum() + 1 if counts else 0
            row[38] = row[38] + 1 if counts else 0
            row[39] = quiet_ns
            if likely(row, chance):
                continue
            row[11] = coverage[i] | quote[Q_DOUBT]
            row[12], row[13], row[14] = quote[Q_SEQ], quote[Q_RECEIVED], quote[Q_ACCOUNT]
            row[15], row[16], row[17] = quote[Q_LOTS], quote[Q_PRICE], 0
            row[18], row[19], row[41] = quote[Q_FIRST], quote[Q_LAST], quote[Q_FILLED]
            row[20] = 1
            written += 1
        mine[R_RESTED] = max(mine[R_RESTED], largest + 1)
        if large:
            own[QUIET + s], own[QUIET_WINDOWS + s] = quiet_ns, quiet_windows
            if mine[R_RESTED] > 0:
                rested[mine[R_RESTED] - 1] += 1
            mine[R_QUIET] = mine[R_QUIETS] = mine[R_RESTED] = 0
        if written == begun and hit_before:
            out[written, 11:27] = out[written, 35:39] = out[written, 41] = 0
            written += 1
        if written > begun:
            mine[R_HIT] = 1
            for at in range(begun, written):
                row, hedge = out[at], 0
                for f in range(min(own[FILLS_MADE], FILLS)):
                    if 0 < row[13] - all_fills[x, f, 0] <= hedge_ns:
                        hedge -= side[i] * all_fills[x, f, 1]
                row[0], row[1], row[2], row[3], row[4] = (
                    x, seq[i], clock[i], engine[i], received[i],
                )  # fmt: skip
                row[5], row[6], row[7], row[8] = (
                    account[i], mine[R_OWNER], originator[i], side[i],
                )  # fmt: skip
                row[9] = price[i] if order_type[i] == _LIMIT else _NULL
                row[10] = quantity[i]
                row[27] = max(hedge, 0)
                row[28], row[29] = exposed, windows
                row[30], row[31] = own[USUAL], mine[R_PARENT]
                row[32], row[33], row[34] = alone, own[ALONE + s], own[ALONE_WINDOWS + s]
                row[39], row[40] = quiet_ns, quiet_windows
        if k == _NEW:
            orders[own[ORDERS_MADE] % ORDERS] = mine
            own[ORDERS_MADE] += 1
            n = min(own[ORDERS_MADE], ORDERS)
            if n == FEW or (n > FEW and own[ORDERS_MADE] % FEW == 0):
                own[USUAL] = np.partition(orders[:n, R_LOTS].copy(), n // 2)[n // 2]
        elif before >= 0:
            orders[before, R_PARENT:] = mine[R_PARENT:]
    return len(kind), written
