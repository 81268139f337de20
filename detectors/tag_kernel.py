"""The compiled scan behind tag_integrity: every trade's tape flag against the register's roles."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.wash_kernel import slot
from ingest.compiled import kernel, njit
from ingest.events import NO_CODE, AfmmFlag, Array, Conflict, Kind, Role

OMITTED: Final = 0
FALSE: Final = 1
UNREGISTERED: Final = 2
LAPSED: Final = 3
MISATTRIBUTED: Final = 4
SWAPPED: Final = 5
"""Faults: the tape left the flag out, put it on wrongly; no row in force, none any more; the order
was entered by another account than the trade names; the flag names the counterparty."""

FIRST_NS, LAST_NS, FIRST_SEQ, LAST_SEQ, REGISTERED, STATS = 0, 1, 2, 3, 4, 5
"""What is kept of an account that has traded in an instrument."""

COLUMNS: Final = (
    "kind", "instrument", "seq", "clock_ns", "busts_hi", "busts_lo", "afmm_flag",
    "buy_account", "sell_account", "buy_role", "sell_role", "conflict",
)  # fmt: skip
_TRADE: Final = int(Kind.TRADE)
_ABSENT: Final = int(NO_CODE)
_UNKNOWN: Final = int(Role.UNKNOWN)
_AFMM: Final = int(Role.AFFILIATED_MM)
_BUY, _SELL = int(AfmmFlag.BUY), int(AfmmFlag.SELL)
_OTHER_BUYER, _OTHER_SELLER = int(Conflict.OTHER_BUYER), int(Conflict.OTHER_SELLER)
_OTHER_PARTIES: Final = int(Conflict.OTHER_PARTIES)


@kernel()
def scan(  # noqa: PLR0917
    columns: tuple[Array, ...],
    first: int,
    flagged: Array,
    keys: Array,
    stats: Array,
    used: int,
    out: Array,
) -> tuple[int, int, int]:
    """Scan rows from `first`; return (row to go on from, slots used, faults written).

    It stops early when `keys` is half full or `out` is full. `columns` are the `COLUMNS` of the
    batch; `flagged` says whether an instrument's tape has carried flags; `keys` and `stats` are
    the table of (instrument, account); `out` rows are row, side (+1 buyer, -1 seller), fault.
    """
    (
        kind, instrument, seq, clock, busts_hi, busts_lo, flag,
        buy_account, sell_account, buy_role, sell_role, conflict,
    ) = columns  # fmt: skip
    faults = 0
    for i in range(first, len(kind)):
        if kind[i] != _TRADE or busts_hi[i] != 0 or busts_lo[i] != 0:
            continue
        if 2 * (used + 1) >= len(keys) or faults + 4 > len(out):
            return i, used, faults
        x = instrument[i]
        if flag[i] >= 0:
            flagged[x] = 1
        is_buyer, is_seller = buy_role[i] == _AFMM, sell_role[i] == _AFMM
        swapped = is_buyer != is_seller and flag[i] == (_SELL if is_buyer else _BUY)
        for side in (1, -1):
            account = buy_account[i] if side == 1 else sell_account[i]
            if account == _ABSENT:
                continue
            role = buy_role[i] if side == 1 else sell_role[i]
            key = ((x + np.int64(1)) << 32) | account
            at = slot(keys, key)
            if keys[at] == 0:
                keys[at] = key
                used += 1
                stats[at, FIRST_NS] = clock[i]
                stats[at, FIRST_SEQ] = seq[i]
                stats[at, REGISTERED] = 0
            stats[at, LAST_NS] = clock[i]
            stats[at, LAST_SEQ] = seq[i]
            fault = -1
            if role == _UNKNOWN:
                fault = LAPSED if stats[at, REGISTERED] else UNREGISTERED
            else:
                stats[at, REGISTERED] = 1
                if swapped:
                    fault = SWAPPED if role == _AFMM else -1
                elif flagged[x]:
                    said = flag[i] > 0 and (flag[i] & (1 if side == 1 else 2)) != 0
                    if said != (role == _AFMM):
                        fault = FALSE if said else OMITTED
            other = _OTHER_BUYER if side == 1 else _OTHER_SELLER
            is_other = conflict[i] in (other, _OTHER_PARTIES)
            for told in (fault, MISATTRIBUTED if is_other else -1):
                if told >= 0:
                    out[faults, 0] = i
                    out[faults, 1] = side
                    out[faults, 2] = told
                    faults += 1
    return len(kind), used, faults


@njit(cache=True)
def grown(keys: Array, stats: Array) -> tuple[Array, Array]:
    """Return the table at twice the size, with the same content."""
    bigger = np.zeros(2 * len(keys), np.int64)
    moved = np.zeros((2 * len(keys), STATS), np.int64)
    for i in range(len(keys)):
        if keys[i] != 0:
            at = slot(bigger, keys[i])
            bigger[at] = keys[i]
            moved[at] = stats[i]
    return bigger, moved
