"""Trades as hidden_affiliates takes them in: who took, who rested, by which logins."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.hidden_state import (
    P_CLOCK,
    P_CODE,
    P_DOUBT,
    P_INCOMING,
    P_LOTS,
    P_SEQ,
    P_SIDE,
    PENDING_FIELDS,
    RESTER,
    TAKER,
    W_ACCOUNT,
    W_GROUP,
    W_OWNER,
    W_ROLE,
    W_SESSION,
    W_USER,
)
from ingest.compiled import kernel
from ingest.events import Array, Batch, Kind, Phase

_COLUMNS: Final = (
    "kind", "phase", "busts_hi", "busts_lo", "clock_ns", "instrument", "seq", "side", "quantity",
    "incoming_seq", "coverage", "buy_account", "buy_role", "buy_complex", "buy_owner",
    "buy_session", "buy_user", "sell_account", "sell_role", "sell_complex", "sell_owner",
    "sell_session", "sell_user",
)  # fmt: skip
_TRADE, _CONTINUOUS = int(Kind.TRADE), int(Phase.CONTINUOUS)


def pending_of(batch: Batch) -> Array:
    """Return a batch's trades of continuous trading that tell who took, as rows that wait."""
    most = int(np.count_nonzero(batch["kind"] == _TRADE))
    rows = np.empty((most, PENDING_FIELDS), np.int64)
    return rows[: _traded(tuple(batch[name] for name in _COLUMNS), rows)]


@kernel()
def _traded(columns: tuple[Array, ...], rows: Array) -> int:
    """Write a row for each trade that tells who took; return how many there are."""
    (
        kind, phase, busts_hi, busts_lo, clock, instrument, seq, side, quantity, incoming, coverage,
        buyer, buy_role, buy_complex, buy_owner, buy_session, buy_user,
        seller, sell_role, sell_complex, sell_owner, sell_session, sell_user,
    ) = columns  # fmt: skip
    written = 0
    for i in range(len(kind)):
        if (
            kind[i] != _TRADE
            or side[i] == 0
            or phase[i] != _CONTINUOUS
            or busts_hi[i] != 0
            or busts_lo[i] != 0
            or buyer[i] < 0
            or seller[i] < 0
        ):
            continue
        row = rows[written]
        row[P_CLOCK], row[P_CODE], row[P_SEQ], row[P_SIDE] = (
            clock[i],
            instrument[i],
            seq[i],
            side[i],
        )
        row[P_LOTS], row[P_INCOMING] = max(quantity[i], 0), incoming[i]
        row[P_DOUBT] = coverage[i]
        bought, sold = (TAKER, RESTER) if side[i] > 0 else (RESTER, TAKER)
        row[bought + W_ACCOUNT], row[sold + W_ACCOUNT] = buyer[i], seller[i]
        row[bought + W_ROLE], row[sold + W_ROLE] = buy_role[i], sell_role[i]
        row[bought + W_GROUP], row[sold + W_GROUP] = buy_complex[i], sell_complex[i]
        row[bought + W_OWNER], row[sold + W_OWNER] = buy_owner[i], sell_owner[i]
        row[bought + W_SESSION], row[sold + W_SESSION] = buy_session[i], sell_session[i]
        row[bought + W_USER], row[sold + W_USER] = buy_user[i], sell_user[i]
        written += 1
    return written
