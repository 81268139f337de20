"""Clients' fills against makers, and how far the mid moved after each: for client_interaction."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.interaction_quotes import clipped
from detectors.interaction_state import (
    BUCKET,
    DUE,
    DUE_NS,
    F_ACCOUNT,
    F_INCOMING,
    F_LOTS,
    F_MID,
    F_NS,
    F_PRICE,
    F_SEQ,
    F_SIDE,
    F_SLOT,
    F_SPREAD,
    F_SWEPT,
    FILLS,
    LAST_ASK,
    LAST_BID,
    MARKOUT_NS,
    N_DUE,
    N_FILLS,
    P_EFFECTIVE,
    P_FILLS,
    P_KNOWN,
    P_LOTS,
    P_MOVE,
    P_NOTIONAL,
    PHASE,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array, Phase

_NULL: Final = int(NULL)
_NEVER: Final = 2**63 - 1
_CONTINUOUS: Final = int(Phase.CONTINUOUS)
_MARKOUTS: Final = np.array(MARKOUT_NS, np.int64)
MOST_MARKOUT: Final = 3.0
"""Spreads by which a move after a fill counts at most: one jump must not make a mean."""


@kernel(inline="always")
def mark(own: Array, fills: Array, fill_blocks: Array, paid: Array, upto_ns: int) -> None:
    """Complete the markouts whose time has come, with the mid as it stands."""
    if upto_ns < own[DUE_NS]:
        return
    bid, ask = own[LAST_BID], own[LAST_ASK]
    known = bid != 0 and ask > bid and own[PHASE] == _CONTINUOUS
    bucket = own[BUCKET] % paid.shape[0]
    next_ns = _NEVER
    for horizon in range(N_DUE):
        due = max(own[DUE + horizon], own[N_FILLS] - FILLS)
        while due < own[N_FILLS]:
            one = fills[due % FILLS]
            if one[F_NS] + _MARKOUTS[horizon] > upto_ns:
                next_ns = min(next_ns, one[F_NS] + _MARKOUTS[horizon])
                break
            if known and one[F_MID] != 0:
                move = one[F_SIDE] * (bid + ask - one[F_MID])
                slot, side = one[F_SLOT], 0 if one[F_SIDE] > 0 else 1
                if one[F_SPREAD] > 0 and one[F_SWEPT] == 0:
                    fill_blocks[slot, side, horizon, 0] += clipped(
                        move / (2.0 * one[F_SPREAD]), MOST_MARKOUT
                    )
                    fill_blocks[slot, side, horizon, 1] += 1.0
                notional = float(one[F_LOTS]) * one[F_PRICE]
                paid[bucket, slot, P_MOVE + horizon] += notional * (1e4 * move / one[F_MID])
                paid[bucket, slot, P_KNOWN + horizon] += notional
            due += 1
        own[DUE + horizon] = due
    own[DUE_NS] = next_ns


@kernel()
def sweep(own: Array, fills: Array, slot: int, incoming: int) -> None:
    """Mark the fills of an instruction that takes from more than one maker, the newest included.

    Its move is that of all of them: who is filled by such alone is worse off for no treatment.
    """
    newest = own[N_FILLS]
    mixed, number = False, newest - 1
    while number >= max(0, newest - FILLS + 1) and fills[number % FILLS, F_INCOMING] == incoming:
        mixed = mixed or fills[number % FILLS, F_SLOT] != slot
        number -= 1
    if mixed and incoming != 0:
        for each in range(number + 1, newest + 1):
            fills[each % FILLS, F_SWEPT] = 1


@kernel(inline="always")
def filled(  # noqa: PLR0917
    own: Array, fills: Array, paid: Array, slot: int, ns: int, seq: int, side: int, price: int,
    lots: int, bid: int, ask: int, account: int, incoming: int,
) -> None:  # fmt: skip
    """Keep a fill of a client's order against a maker."""
    one = fills[own[N_FILLS] % FILLS]
    known = _NULL not in (bid, ask) and ask > bid
    one[F_NS], one[F_SEQ], one[F_SLOT], one[F_SIDE] = ns, seq, slot, side
    one[F_PRICE], one[F_LOTS], one[F_ACCOUNT], one[F_INCOMING] = price, lots, account, incoming
    one[F_SWEPT] = 0
    one[F_MID], one[F_SPREAD] = (bid + ask, ask - bid) if known else (0, 0)
    sweep(own, fills, slot, incoming)
    own[N_FILLS] += 1
    own[DUE_NS] = min(own[DUE_NS], ns + _MARKOUTS[0])
    sums = paid[own[BUCKET] % paid.shape[0], slot]
    notional = float(lots) * price
    sums[P_FILLS] += 1.0
    sums[P_LOTS] += lots
    if known:
        sums[P_NOTIONAL] += notional
        sums[P_EFFECTIVE] += notional * (2e4 * side * (2 * price - bid - ask) / (bid + ask))
