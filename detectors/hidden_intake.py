"""Trades as hidden_affiliates takes them in: who took and who rested, by which logins."""

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

# A use: where, which name, by whom; how many trades, the first of them, and whose it was.
L_CODE, L_KIND, L_NAME, L_ACCOUNT, L_GROUP, L_TRADES, L_FIRST_NS, L_FIRST_SEQ, L_OWNER = range(9)
USE_FIELDS: Final = 9
NOBODYS: Final = -1
"""From here down are owners of accounts that have none."""
LOGINS: Final = {"session": W_SESSION, "user": W_USER}
"""Kinds of logins, and which field of who traded they are."""


_COLUMNS: Final = (
    "kind", "phase", "busts_hi", "busts_lo", "clock_ns", "instrument", "seq", "side", "quantity",
    "incoming_seq", "coverage", "buy_account", "buy_role", "buy_complex", "buy_owner",
    "buy_session", "buy_user", "sell_account", "sell_role", "sell_complex", "sell_owner",
    "sell_session", "sell_user",
)  # fmt: skip
_TRADE, _CONTINUOUS = int(Kind.TRADE), int(Phase.CONTINUOUS)
_PLACES: Final = np.array(list(LOGINS.values()), np.int64)
_SPREAD: Final = np.int64(0x9E3779B97F4A7C1)
"""Odd, and of bits that look like chance: 2**60 over the golden ratio."""
_FREE: Final = -1


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


@kernel()
def note(rows: Array, uses: Array, count: int, table: Array) -> tuple[int, int]:
    """Add the logins that trades were made by to the uses of a day.

    Parameters
    ----------
    rows : (n, PENDING_FIELDS) int64
        In event order.
    uses : (room, USE_FIELDS) int64
        The first `count` are known, in the order in which they began.
    table : (a power of two, more than the room) int64
        Finds a use: its place, or -1; see `find`.

    Returns
    -------
    count, lost : int
        How many are known now, and for how many trades there was no place.
    """
    lost = 0
    for i in range(len(rows)):
        for kind in range(len(_PLACES)):
            for who in (TAKER, RESTER):
                name, account = rows[i, who + _PLACES[kind]], rows[i, who + W_ACCOUNT]
                if name < 0:
                    continue
                group = 1 if rows[i, who + W_GROUP] != 0 else 0
                slot = find(uses, table, rows[i, P_CODE], kind, name, account, group)
                if table[slot] != _FREE:
                    uses[table[slot], L_TRADES] += 1
                    continue
                if count == len(uses):
                    lost += 1
                    continue
                table[slot] = count
                use = uses[count]
                use[L_CODE], use[L_KIND], use[L_NAME] = rows[i, P_CODE], kind, name
                use[L_ACCOUNT], use[L_GROUP], use[L_TRADES] = account, group, 1
                use[L_FIRST_NS], use[L_FIRST_SEQ] = rows[i, P_CLOCK], rows[i, P_SEQ]
                # Of an account that is not registered it is not known whose it is: its own.
                owner = rows[i, who + W_OWNER]
                use[L_OWNER] = owner if owner >= 0 else NOBODYS - account
                count += 1
    return count, lost


@kernel()
def find(  # noqa: PLR0917
    uses: Array, table: Array, code: int, kind: int, name: int, account: int, group: int
) -> int:
    """Return where a use stands in the table, or the free place where it would."""
    mask = len(table) - 1
    mixed = ((name * 31 + account) * 31 + code) * 4 + 2 * kind + group
    slot = ((mixed * _SPREAD) >> 20) & mask
    while table[slot] != _FREE:
        use = uses[table[slot]]
        if (
            use[L_NAME] == name
            and use[L_ACCOUNT] == account
            and use[L_CODE] == code
            and use[L_KIND] == kind
            and use[L_GROUP] == group
        ):
            break
        slot = (slot + 1) & mask
    return int(slot)


@kernel()
def index(uses: Array, table: Array) -> None:
    """Write anew where each use stands in the table."""
    table[:] = _FREE
    for at in range(len(uses)):
        use = uses[at]
        slot = find(
            uses, table, use[L_CODE], use[L_KIND], use[L_NAME], use[L_ACCOUNT], use[L_GROUP]
        )
        table[slot] = at
