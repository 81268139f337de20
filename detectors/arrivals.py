"""Arrival inversions of instructions in flight: the group matched first, a client arrived first.

One compiled pass keeps, for each instrument, the latest executions of the group's incoming
instructions, and judges every client instruction once it is done: quantity that the group took at
a price within the client's limit, that the client then did not get, or got at a worse price.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.overtaken import (
    EXPOSED,
    HITS,
    O_ACCOUNT,
    O_RECEIVED,
    O_SEQ,
    OTHER_FIELDS,
    OTHERS,
    OTHERS_HITS,
    OVERTAKEN_FIELDS,
    TAKES,
    expose,
    forget,
    overtook,
    took,
    turn,
)
from detectors.overtaken import UNSEEN as NONE_OVERTAKEN
from detectors.overtaking import is_unordered
from ingest.axes import ByCode, Count
from ingest.compiled import njit
from ingest.errors import SnapshotError
from ingest.events import NULL, Array, Batch, Kind, OrderType, Phase, Reason, Role, TimeInForce
from ingest.sections import Layout
from ingest.state import Snapshot

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "engine_ns", "received_ns", "account", "role", "side",
    "type", "tif", "price", "quantity", "leaves", "reason", "phase", "coverage", "busts_hi",
    "busts_lo", "incoming_seq", "lifetime_ns", "buy_account", "sell_account", "in_complex",
    "buy_complex", "sell_complex",
)  # fmt: skip
KEPT: Final = 64
"""Executions of the group, and fills of one client instruction, kept an instrument."""

# Fields of an instrument's state: last status, group's and client's instruction in flight, ring.
STATUS_NS, G_SEQ, G_RECEIVED, G_ACCOUNT, G_ROLE, G_LATE = range(6)
C_SEQ, C_RECEIVED, C_ACCOUNT, C_ROLE, C_SIDE, C_LIMIT, C_OPEN, C_LATE = range(6, 14)
C_LAST_SEQ, C_LAST_NS, C_FILLS, C_FOK, C_DOUBT, MADE, MAX_BUY, MAX_SELL = range(14, 22)
FIELDS: Final = 22
UNSEEN: Final = tuple(
    int(NULL) if field in (STATUS_NS, MAX_BUY, MAX_SELL) else 0 for field in range(FIELDS)
)
"""State of an instrument of which nothing has been seen."""
# Fields of an execution of the group.
E_SEQ, E_RECEIVED, E_SIDE, E_PRICE, E_LOTS, E_ACCOUNT, E_ROLE, E_TRADE, E_LATE, E_STOOD = range(10)
E_FROM: Final = 10
"""Account whose order was taken."""
E_NS: Final = 11
"""Event time of its first trade, ns."""
E_HIT: Final = 12
"""1 once its instruction has overtaken a client's (`detectors.overtaken`)."""
EXECUTION_FIELDS: Final = 13

_NULL: Final = int(NULL)
_NEW, _REPLACE, _CANCEL = int(Kind.NEW), int(Kind.REPLACE), int(Kind.CANCEL)
_STATUS, _TRADE = int(Kind.STATUS), int(Kind.TRADE)
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_SPEED_BUMP, _STP = int(Reason.SPEED_BUMP), int(Reason.STP)
_MARKET, _LIMIT = int(OrderType.MARKET), int(OrderType.LIMIT)
_FOK, _POST_ONLY = int(TimeInForce.FOK), int(TimeInForce.POST_ONLY)
_UNKNOWN, _EXTERNAL_MM = int(Role.UNKNOWN), int(Role.EXTERNAL_MM)


class Inversion(msgspec.Struct, frozen=True, array_like=True):
    """Quantity that one group instruction took before one client instruction that came first."""

    instrument: int
    side: int
    client_seq: int
    client_account: int
    client_role: int
    client_received_ns: int
    done_seq: int
    done_ns: int
    client_open: int
    """What the client had left when done, lots."""
    group_seq: int
    group_account: int
    group_role: int
    group_received_ns: int
    group_trade_seq: int
    late: int
    """1 when a received_ns of either is after its engine_ns."""
    group_price: int
    client_price: int
    """Worse price at which the client got this quantity; NULL = not at all."""
    lots: int
    incomplete: int
    client_limit: int
    """NULL = a market order."""
    group_trade_ns: int
    """Event time of the group's trade, ns."""
    unordered: int
    """1 where the venue matches others' instructions that are so far apart either way."""
    exposed: int
    exposed_all: int
    """Of that UTC day so far, summed over clients' instructions: instructions of the group that had
    executed, and those of all but the client."""
    hits: int
    others_hits: int
    """Clients' instructions overtaken by the group, and by others, by as little as the venue
    matches either way; of several that came at once, or were overtaken at once, one."""


OUT_FIELDS: Final = len(Inversion.__struct_fields__)
OUT_ROWS: Final = 1024


@njit(cache=True)
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
    """Write what the group took before the client's instruction that is done; return rows."""
    own, ring, got = state[x], executions[x], fills[x]
    side, limit = own[C_SIDE], own[C_LIMIT]
    left, last = own[C_OPEN], own[C_FILLS] - 1
    held = min(own[MADE], KEPT)
    reach = 0
    for e in range(held):
        if _qualifies(ring[e], own, side, limit, delta):
            reach += ring[e, E_LOTS]
    if own[C_FOK] != 0 and reach < left:
        return written
    while True:
        best, price = -1, np.int64(0)
        for back in range(held):
            e = (own[MADE] - held + back) % KEPT
            if ring[e, E_LOTS] <= 0 or not _qualifies(ring[e], own, side, limit, delta):
                continue
            at = np.int64(_price(ring[e], own, limit))
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
            x, side, own[C_SEQ], own[C_ACCOUNT], own[C_ROLE],
        )  # fmt: skip
        row[5], row[6], row[7], row[8] = (
            own[C_RECEIVED], own[C_LAST_SEQ], own[C_LAST_NS], own[C_OPEN],
        )  # fmt: skip
        row[9], row[10], row[11], row[12], row[13] = (
            taken[E_SEQ], taken[E_ACCOUNT], taken[E_ROLE], taken[E_RECEIVED], taken[E_TRADE],
        )  # fmt: skip
        row[14] = own[C_LATE] | taken[E_LATE]
        row[15], row[16], row[17], row[18] = price, worse, lots, own[C_DOUBT]
        row[19], row[20] = limit, taken[E_NS]
        row[21] = 1 if is_unordered(octaves, taken[E_RECEIVED] - own[C_RECEIVED]) else 0
        row[22:26] = counts
        written += 1


@njit(cache=True)
def _price(took: Array, own: Array, limit: int) -> int:
    """Return the price at which the client would have traded, had it come first.

    The group's, where the order that the group took already stood; an order that came later would
    have met the client's at the client's own limit.
    """
    if took[E_STOOD] <= own[C_RECEIVED] or limit == _NULL:
        return int(took[E_PRICE])
    return limit


@njit(cache=True)
def _qualifies(took: Array, own: Array, side: int, limit: int, delta: int) -> bool:
    return bool(
        took[E_SIDE] == side
        and took[E_RECEIVED] - own[C_RECEIVED] > delta
        and took[E_ACCOUNT] != own[C_ACCOUNT]
        and took[E_FROM] != own[C_ACCOUNT]  # its own order: self-trade prevention, not the group
        and (took[E_ROLE] != _UNKNOWN or own[C_ROLE] != _UNKNOWN)
        and (limit == _NULL or side * (limit - took[E_PRICE]) >= 0)
    )


@njit(cache=True)
def _is_hit(own: Array, ring: Array, octaves: int, delta: int) -> bool:
    """Return whether the group overtook a client's instruction, as `overtook` does of others."""
    found, last = False, np.int64(0)
    for back in range(min(own[MADE], KEPT)):
        e = ring[(own[MADE] - 1 - back) % KEPT]
        gap = e[E_RECEIVED] - own[C_RECEIVED]
        fresh = e[E_HIT] == 0 or e[E_SEQ] == last
        fresh = fresh and e[E_ROLE] != _UNKNOWN and is_unordered(octaves, gap)
        if fresh and _qualifies(e, own, own[C_SIDE], own[C_LIMIT], delta):
            found, last, e[E_HIT] = True, e[E_SEQ], 1
    return found


@njit(cache=True)
def _scan(  # noqa: PLR0917
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
            if written + 2 * KEPT + 2 > len(out):
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
            if flying == overtaken[x, O_SEQ]:
                taken = seller[i] if side[i] > 0 else buyer[i]
                took(overtaken[x], others[x], flying, side[i], price[i], taken)
            if flying == own[G_SEQ]:
                stood = clock[i] - lifetime[i] if lifetime[i] != _NULL else _NULL
                taken = seller[i] if side[i] > 0 else buyer[i]
                newest = executions[x, (own[MADE] - 1) % KEPT]
                if (own[MADE] == 0 or newest[E_SEQ] != flying) and own[G_ROLE] != _UNKNOWN:
                    overtaken[x, TAKES] += not (buy_complex[i] and sell_complex[i])
                if (
                    own[MADE] > 0
                    and newest[E_SEQ] == flying
                    and newest[E_PRICE] == price[i]
                    and newest[E_FROM] == taken
                ):
                    newest[E_LOTS] += quantity[i]
                    newest[E_STOOD] = max(newest[E_STOOD], stood)
                else:
                    entry = executions[x, own[MADE] % KEPT]
                    if own[MADE] >= KEPT and clock[i] - entry[E_RECEIVED] < flight_ns:
                        lost[0] += 1
                    entry[E_SEQ], entry[E_RECEIVED] = flying, own[G_RECEIVED]
                    entry[E_SIDE], entry[E_PRICE], entry[E_LOTS] = side[i], price[i], quantity[i]
                    entry[E_ACCOUNT], entry[E_ROLE] = own[G_ACCOUNT], own[G_ROLE]
                    entry[E_TRADE], entry[E_LATE], entry[E_STOOD] = seq[i], own[G_LATE], stood
                    entry[E_FROM], entry[E_NS], entry[E_HIT] = taken, clock[i], 0
                    own[MADE] += 1
                    at = MAX_BUY if side[i] > 0 else MAX_SELL
                    own[at] = max(own[at], own[G_RECEIVED])
            if flying == own[C_SEQ]:
                own[C_LAST_SEQ], own[C_LAST_NS] = seq[i], clock[i]
                own[C_OPEN] -= quantity[i]
                own[C_DOUBT] |= coverage[i]
                at = own[C_FILLS] - 1
                if at >= 0 and fills[x, at, 0] == price[i]:
                    fills[x, at, 1] += quantity[i]
                elif at + 1 < KEPT:
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
            turn(overtaken[x], clock[i])
            if role[i] > _EXTERNAL_MM or role[i] == _UNKNOWN:
                own[G_SEQ], own[G_RECEIVED], own[G_LATE] = seq[i], received[i], late
                own[G_ACCOUNT], own[G_ROLE] = account[i], role[i]
            latest = own[MAX_BUY] if side[i] > 0 else own[MAX_SELL]
            if not (
                _UNKNOWN <= role[i] <= _EXTERNAL_MM
                and received[i] >= own[STATUS_NS]
                and reason[i] != _SPEED_BUMP
                and tif[i] != _POST_ONLY
                and (order_type[i] == _MARKET or order_type[i] == _LIMIT)
            ):
                continue
            limit = _NULL if order_type[i] == _MARKET else price[i]
            if role[i] != _UNKNOWN and in_complex[i] == 0:
                expose(overtaken[x], others[x], account[i])
                overtaken[x, OTHERS_HITS] += overtook(
                    overtaken[x], others[x], octaves[i], delta, received[i], account[i], side[i],
                    limit,
                )  # fmt: skip
                overtaken[x, O_SEQ], overtaken[x, O_RECEIVED] = seq[i], received[i]
                overtaken[x, O_ACCOUNT] = account[i]
            if latest != _NULL and latest - received[i] > delta:
                own[C_SEQ], own[C_RECEIVED], own[C_LATE] = seq[i], received[i], late
                own[C_ACCOUNT], own[C_ROLE], own[C_SIDE] = account[i], role[i], side[i]
                own[C_LIMIT] = limit
                own[C_OPEN] = leaves[i] if leaves[i] != _NULL else quantity[i]
                own[C_LAST_SEQ], own[C_LAST_NS] = seq[i], clock[i]
                own[C_FILLS], own[C_DOUBT] = 0, coverage[i]
                own[C_FOK] = 1 if tif[i] == _FOK else 0
                if role[i] != _UNKNOWN and in_complex[i] == 0:
                    overtaken[x, HITS] += _is_hit(own, executions[x], octaves[i], delta)
    return len(kind), written


class Arrivals:
    """The group's latest executions and the client instruction in flight, an instrument each.

    State: about 8 kB an instrument, whatever the traffic. An execution pushed out of the ring
    within `flight_ns` of its arrival is counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    delta_ns : int
        Clock uncertainty; a gap no greater is no inversion, ns.
    flight_ns : int
        How long an instruction is expected to be in flight at most, ns.
    """

    layout: ClassVar[Layout] = {
        "arrivals": ByCode(UNSEEN),
        "executions": ByCode(),
        "fills": ByCode(),
        "overtaken": ByCode(NONE_OVERTAKEN),
        "overtakers": ByCode(),
        "lost": Count(),
    }

    def __init__(self, instruments: int, delta_ns: int, flight_ns: int) -> None:
        self._delta_ns = delta_ns
        self._flight_ns = flight_ns
        self._state = np.full((instruments, FIELDS), UNSEEN, np.int64)
        self._executions = np.zeros((instruments, KEPT, EXECUTION_FIELDS), np.int64)
        self._fills = np.zeros((instruments, KEPT, 2), np.int64)
        self._overtaken = np.full((instruments, OVERTAKEN_FIELDS), NONE_OVERTAKEN, np.int64)
        self._others = np.zeros((instruments, OTHERS, OTHER_FIELDS), np.int64)
        self._lost = np.zeros(1, np.int64)
        self._out = np.zeros((OUT_ROWS, OUT_FIELDS), np.int64)  # room only: kept between calls

    @property
    def overflow(self) -> int:
        """Executions or fills not kept because a bound was reached."""
        return int(self._lost[0])

    def status_ns(self, code: int) -> int:
        """Return the clock of an instrument's last status record; NULL = none yet."""
        return int(self._state[code, STATUS_NS])

    def scan(self, batch: Batch, octaves: Array) -> Iterator[Inversion]:
        """Yield the inversions that the batch completes, in its row order.

        `octaves`: what `Overtaking.scan` returns of the batch.
        """
        columns = tuple(batch[name] for name in COLUMNS)
        out, row = self._out, 0
        while row < len(batch):
            row, written = _scan(
                columns, octaves, row, self._delta_ns, self._flight_ns, self._state,
                self._executions, self._fills, self._overtaken, self._others, self._lost, out,
            )  # fmt: skip
            yield from (Inversion(*found) for found in out[:written].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            "arrivals": self._state.copy(),
            "executions": self._executions.copy(),
            "fills": self._fills.copy(),
            "overtaken": self._overtaken.copy(),
            "overtakers": self._others.copy(),
            "lost": self._lost.copy(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        if snapshot["arrivals"].shape != self._state.shape:
            raise SnapshotError(
                f"arrivals: expected state of {len(self._state)} instruments, "
                f"found {len(snapshot['arrivals'])}"
            )
        self._state = snapshot["arrivals"].copy()
        self._executions, self._fills = snapshot["executions"].copy(), snapshot["fills"].copy()
        self._overtaken = snapshot["overtaken"].copy()
        self._others = snapshot["overtakers"].copy()
        self._lost = snapshot["lost"].copy()
