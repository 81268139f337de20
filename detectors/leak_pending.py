"""Trades that wait until the watermark has passed them, a row each, and their order then."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.leak_state import (
    P_ACCOUNT,
    P_CLOCK,
    P_CODE,
    P_DOUBT,
    P_GROUP,
    P_INCOMING,
    P_LOTS,
    P_ORIGINATOR,
    P_OWNER,
    P_RECEIVED,
    P_RESTING,
    P_RESTING_ROLE,
    P_ROLE,
    P_SEQ,
    P_SIDE,
    PENDING_FIELDS,
)
from ingest.compiled import kernel, plain
from ingest.events import Array, Batch, Kind, Phase

COLUMNS: Final = (
    "kind", "phase", "busts_hi", "busts_lo", "clock_ns", "instrument", "seq", "side", "quantity",
    "incoming_received_ns", "incoming_seq", "coverage",
)  # fmt: skip
_OF_PARTY: Final = ("account", "owner", "originator", "role", "complex")
BUYERS: Final = tuple(f"buy_{name}" for name in _OF_PARTY)
SELLERS: Final = tuple(f"sell_{name}" for name in _OF_PARTY)
_TRADE, _CONTINUOUS = int(Kind.TRADE), int(Phase.CONTINUOUS)


@kernel()
def _take(
    columns: tuple[Array, ...],
    buyers: tuple[Array, ...],
    sellers: tuple[Array, ...],
    until_ns: int,
    out: Array,
) -> tuple[int, int]:
    """Write the trades that may count; return how many, and how many are late.

    They are those in continuous trading whose aggressor is known, busts apart.
    """
    (
        kind, phase, busts_hi, busts_lo, clock, instrument, seq, side, quantity, received,
        incoming, coverage,
    ) = columns  # fmt: skip
    written, late = 0, 0
    for i in range(len(kind)):
        if (
            kind[i] != _TRADE
            or side[i] == 0
            or incoming[i] == 0
            or phase[i] != _CONTINUOUS
            or busts_hi[i] != 0
            or busts_lo[i] != 0
        ):
            continue
        if clock[i] < until_ns:
            late += 1
            continue
        row = out[written]
        row[P_CLOCK], row[P_CODE], row[P_SEQ], row[P_SIDE] = (
            clock[i],
            instrument[i],
            seq[i],
            side[i],
        )
        row[P_LOTS] = max(quantity[i], 0)
        row[P_RECEIVED], row[P_INCOMING], row[P_DOUBT] = received[i], incoming[i], coverage[i]
        account, owner, originator, role, group = buyers if side[i] > 0 else sellers
        row[P_ACCOUNT], row[P_OWNER], row[P_ORIGINATOR] = account[i], owner[i], originator[i]
        row[P_ROLE], row[P_GROUP] = role[i], group[i]
        account, _, _, role, _ = sellers if side[i] > 0 else buyers
        row[P_RESTING], row[P_RESTING_ROLE] = account[i], role[i]
        written += 1
    return written, late


def waiting(batch: Batch, until_ns: int) -> tuple[Array, int]:
    """Return a batch's trades from an event time on, a row each, and how many lie before it."""
    out = np.empty((np.count_nonzero(batch["kind"] == _TRADE), PENDING_FIELDS), np.int64)
    columns, buyers, sellers = (
        tuple(plain(batch[name]) for name in names) for names in (COLUMNS, BUYERS, SELLERS)
    )
    written, late = _take(columns, buyers, sellers, until_ns, out)
    return out[:written], late


def ordered(rows: Array) -> Array:
    """Return rows by event time, instrument and seq.

    Most are of a time of their own: a look at the others is quicker than three sorts.
    """
    rows = rows[np.argsort(rows[:, P_CLOCK], kind="stable")]
    clock, code, seq = rows[:, P_CLOCK], rows[:, P_CODE], rows[:, P_SEQ]
    same = clock[1:] == clock[:-1]
    behind = (code[1:] < code[:-1]) | ((code[1:] == code[:-1]) & (seq[1:] < seq[:-1]))
    if (same & behind).any():
        return rows[np.lexsort((seq, code, clock))]
    return rows
