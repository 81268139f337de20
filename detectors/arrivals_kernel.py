"""The kernel of `detectors.arrivals`: what the group took before the client's turn, row by row.

It keeps, for each instrument, the latest executions of the group's incoming instructions and the
client's instruction in flight, which it judges once that is done. The rate at which clients are
overtaken is counted beside (`detectors.overtaken`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.overtaken import (
    EXPOSED,
    O_DAY,
    O_SEQ,
    OVERTAKEN_FIELDS,
    enter,
    forget,
    group_took,
    took,
    turn,
)
from detectors.overtaking import order_of
from detectors.rows import write
from detectors.takers import (
    E_ACCOUNT,
    E_FROM,
    E_HIT,
    E_LATE,
    E_LOTS,
    E_NS,
    E_ROLE,
    E_STOOD,
    E_TRADE,
    KEPT,
    OF_GROUP,
    T_PRICE,
    T_RECEIVED,
    T_SEQ,
    T_SIDE,
    Client,
    is_first,
    took_before,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array, Kind, OrderType, Phase, Reason, Role, TimeInForce
from ingest.times import DAY

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "role", "side",
    "type", "tif", "price", "quantity", "leaves", "reason", "phase", "coverage", "busts_hi",
    "busts_lo", "incoming_seq", "lifetime_ns", "buy_account", "sell_account", "in_complex",
    "buy_complex", "sell_complex",
)  # fmt: skip
FILLS: Final = 64
"""Fills of one client instruction, kept an instrument."""

# Fields of an instrument's state: last status, group's and client's instruction in flight, ring.
STATUS_NS, G_SEQ, G_RECEIVED, G_ACCOUNT, G_ROLE, G_LATE = range(6)
C_SEQ, C_RECEIVED, C_ACCOUNT, C_ROLE, C_SIDE, C_LIMIT, C_OPEN, C_LATE = range(6, 14)
C_LAST_SEQ, C_LAST_NS, C_FILLS, C_FOK, C_DOUBT, MADE, MAX_BUY, MAX_SELL = range(14, 22)
FIELDS: Final = 22
UNSEEN: Final = tuple(
    int(NULL) if field in (STATUS_NS, MAX_BUY, MAX_SELL) else 0 for field in range(FIELDS)
)
"""State of an instrument of which nothing has been seen."""
_NULL: Final = int(NULL)
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_STATUS, _TRADE = int(Kind.STATUS), int(Kind.TRADE)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_SPEED_BUMP, _STP = int(Reason.SPEED_BUMP), int(Reason.STP)
_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_FOK, _POST_ONLY = int(TimeInForce.FOK), int(TimeInForce.POST_ONLY)
_UNKNOWN, _EXTERNAL_MM = int(Role.UNKNOWN), int(Role.EXTERNAL_MM)


@kernel()
def _judge(  # noqa: PLR0917
    x: int,
    state: Array,
    executions: Array,
    fills: Array,
    delta: int,
    octaves: int,
    counts: Array,
    out: Array,
    written: int,
) -> int:
    """Write what the group took before the client's instruction that is done; return rows.

    A row has the fields of `Inversion` (`detectors.arrivals`).
    """
    own, ring, got = state[x], executions[x], fills[x]
    client = Client(own[C_RECEIVED], own[C_ACCOUNT], own[C_SIDE], own[C_LIMIT])
    side, role = own[C_SIDE], own[C_ROLE]
    left, last = own[C_OPEN], own[C_FILLS] - 1
    held = min(own[MADE], KEPT)
    reach = 0
    for e in range(held):
        if _counts(ring[e], client, role, delta):
            reach += ring[e, E_LOTS]
    if own[C_FOK] != 0 and reach < left:
        return written
    while True:
        best, price = -1, np.int64(0)
        for back in range(held):
            e = (own[MADE] - held + back) % KEPT
            if ring[e, E_LOTS] <= 0 or not _counts(ring[e], client, role, delta):
                continue
            at = np.int64(_price(ring[e], client))
            if best < 0 or side * (at - price) < 0:
                best, price = e, at
        if best < 0:
            return written
        taken = ring[best]
        worse = _NULL
        if left > 0:
            lots = min(left, taken[E_LOTS])
            left -= lots
        elif last >= 0 and side * (got[last, 0] - price) > 0:
            lots = min(got[last, 1], taken[E_LOTS])
            worse = got[last, 0]
            got[last, 1] -= lots
            if got[last, 1] == 0:
                last -= 1
        else:
            return written
        taken[E_LOTS] -= lots
        row = out[written]
        row[0], row[1], row[2], row[3], row[4] = (
            x, side, own[C_SEQ], own[C_ACCOUNT], role,
        )  # fmt: skip
        row[5], row[6], row[7], row[8] = (
            own[C_RECEIVED], own[C_LAST_SEQ], own[C_LAST_NS], own[C_OPEN],
        )  # fmt: skip
        row[9], row[10], row[11], row[12], row[13] = (
            taken[T_SEQ], taken[E_ACCOUNT], taken[E_ROLE], taken[T_RECEIVED], taken[E_TRADE],
        )  # fmt: skip
        row[14] = own[C_LATE] | taken[E_LATE]
        row[15], row[16], row[17], row[18] = price, worse, lots, own[C_DOUBT]
        row[19], row[20] = client.limit, taken[E_NS]
        row[21] = order_of(octaves, taken[T_RECEIVED] - own[C_RECEIVED])
        write(row[22:26], counts)
        written += 1


@kernel()
def _price(taker: Array, client: Client) -> int:
    """Return the price at which the client would have traded, had it come first.

    The group's, where the order that the group took already stood; an order that came later would
    have met the client's at the client's own limit.
    """
    if taker[E_STOOD] <= client.received_ns or client.limit == _NULL:
        return int(taker[T_PRICE])
    return client.limit


@kernel()
def _counts(taker: Array, client: Client, role: int, delta: int) -> bool:
    """Return whether an execution of the group came before its turn; of two unknown, neither is."""
    known = taker[E_ROLE] != _UNKNOWN or role != _UNKNOWN
    return bool(known and took_before(taker, OF_GROUP, client, delta))


@kernel()
def _keep(  # noqa: PLR0917
    own: Array, ring: Array, lost: Array, seq: int, trade: int, now_ns: int, side: int, price: int,
    lots: int, taken_from: int, stood_ns: int, flight_ns: int,
) -> None:  # fmt: skip
    """Keep a trade of the group's instruction in flight: one execution a price and account."""
    newest = ring[(own[MADE] - 1) % KEPT]
    if (
        not is_first(ring, own[MADE], seq)
        and newest[T_PRICE] == price
        and newest[E_FROM] == taken_from
    ):
        newest[E_LOTS] += lots
        newest[E_STOOD] = max(newest[E_STOOD], stood_ns)
        return
    entry = ring[own[MADE] % KEPT]
    if own[MADE] >= KEPT and now_ns - entry[T_RECEIVED] < flight_ns:
        lost[0] += 1
    entry[T_SEQ], entry[T_RECEIVED], entry[T_SIDE], entry[T_PRICE] = (
        seq, own[G_RECEIVED], side, price,
    )  # fmt: skip
    entry[E_LOTS], entry[E_ACCOUNT], entry[E_ROLE] = lots, own[G_ACCOUNT], own[G_ROLE]
    entry[E_TRADE], entry[E_LATE], entry[E_STOOD] = trade, own[G_LATE], stood_ns
    entry[E_FROM], entry[E_NS], entry[E_HIT] = taken_from, now_ns, 0
    own[MADE] += 1
    at = MAX_BUY if side > 0 else MAX_SELL
    own[at] = max(own[at], own[G_RECEIVED])


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    octaves: Array,
    first: int,
    delta: int,
    flight_ns: int,
    state: Array,
    executions: Array,
    fills: Array,
    overtaken: Array,
    others: Array,
    lost: Array,
    out: Array,
) -> tuple[int, int]:
    """Scan rows from `first`; return (row to go on from, rows of `out` written)."""
    (
        kind, instrument, seq, clock, engine, received, account, role, side, order_type, tif, price,
        quantity, leaves, reason, phase, coverage, busts_hi, busts_lo, incoming, lifetime,
        buyer, seller, in_complex, buy_complex, sell_complex,
    ) = columns  # fmt: skip
    written = 0
    for i in range(first, len(kind)):
        x = instrument[i]
        own = state[x]
        k = kind[i]
        if own[C_SEQ] != 0 and reason[i] == _STP and k in (_CANCEL, _REPLACE):
            continue  # a step of the flight
        if own[C_SEQ] != 0 and not (k == _TRADE and incoming[i] == own[C_SEQ]):
            if written + KEPT + FILLS + 2 > len(out):
                return i, written
            written = _judge(
                x, state, executions, fills, delta, octaves[i],
                overtaken[x, EXPOSED:OVERTAKEN_FIELDS], out, written,
            )  # fmt: skip
            own[C_SEQ] = 0
        if k == _TRADE:
            flying = incoming[i]
            if flying == 0 or busts_hi[i] != 0 or busts_lo[i] != 0:
                continue
            taken_from = seller[i] if side[i] > 0 else buyer[i]
            if flying == overtaken[x, O_SEQ]:
                took(overtaken[x], others[x], flying, side[i], price[i], taken_from)
            if flying == own[G_SEQ]:
                apart = not (buy_complex[i] and sell_complex[i])
                group_took(overtaken[x], executions[x], own[MADE], flying, own[G_ROLE], apart)
                stood = clock[i] - lifetime[i] if lifetime[i] != _NULL else _NULL
                _keep(
                    own, executions[x], lost, flying, seq[i], clock[i], side[i], price[i],
                    quantity[i], taken_from, stood, flight_ns,
                )  # fmt: skip
            if flying == own[C_SEQ]:
                own[C_LAST_SEQ], own[C_LAST_NS] = seq[i], clock[i]
                own[C_OPEN] -= quantity[i]
                own[C_DOUBT] |= coverage[i]
                at = own[C_FILLS] - 1
                if at >= 0 and fills[x, at, 0] == price[i]:
                    fills[x, at, 1] += quantity[i]
                elif at + 1 < FILLS:
                    fills[x, at + 1, 0], fills[x, at + 1, 1] = price[i], quantity[i]
                    own[C_FILLS] += 1
                else:
                    lost[0] += 1
        elif k == _STATUS:
            own[STATUS_NS], own[MADE], own[G_SEQ] = clock[i], 0, 0
            own[MAX_BUY] = own[MAX_SELL] = _NULL
            forget(overtaken[x])
        elif k in (_NEW, _REPLACE) and received[i] != _NULL and phase[i] == _CONTINUOUS:
            late = 1 if received[i] > engine[i] else 0
            if clock[i] >= (overtaken[x, O_DAY] + 1) * DAY:
                turn(overtaken[x], clock[i])
            if role[i] > _EXTERNAL_MM or role[i] == _UNKNOWN:
                own[G_SEQ], own[G_RECEIVED], own[G_LATE] = seq[i], received[i], late
                own[G_ACCOUNT], own[G_ROLE] = account[i], role[i]
            if not (
                _UNKNOWN <= role[i] <= _EXTERNAL_MM
                and received[i] >= own[STATUS_NS]
                and reason[i] != _SPEED_BUMP
                and tif[i] != _POST_ONLY
                and (order_type[i] == _MARKET or order_type[i] == _LIMIT)
            ):
                continue
            latest = own[MAX_BUY] if side[i] > 0 else own[MAX_SELL]
            limit = _NULL if order_type[i] == _MARKET else price[i]
            if role[i] != _UNKNOWN and in_complex[i] == 0:
                client = Client(received[i], account[i], side[i], limit)
                enter(
                    x, overtaken, others, executions, own[MADE], latest, seq[i], client, octaves[i],
                    delta,
                )  # fmt: skip
            if latest != _NULL and latest - received[i] > delta:
                own[C_SEQ], own[C_RECEIVED], own[C_LATE] = seq[i], received[i], late
                own[C_ACCOUNT], own[C_ROLE], own[C_SIDE] = account[i], role[i], side[i]
                own[C_LIMIT] = limit
                own[C_OPEN] = leaves[i] if leaves[i] != _NULL else quantity[i]
                own[C_LAST_SEQ], own[C_LAST_NS] = seq[i], clock[i]
                own[C_FILLS], own[C_DOUBT] = 0, coverage[i]
                own[C_FOK] = 1 if tif[i] == _FOK else 0
    return len(kind), written
