"""Rows of accounts: an instrument's 512 of a day, found by a table, the busiest kept."""

from __future__ import annotations

from typing import Final

from detectors.hidden_state import (
    ACCOUNT,
    ACCOUNTS,
    ENDED_NS,
    EVENTS,
    FIRST_SEQ,
    FRESH,
    N_ACCOUNTS,
    SLOTS,
)
from detectors.kept import Kept
from ingest.compiled import kernel, njit
from ingest.events import Array

SPREAD: Final = 2_654_435_761
"""Knuth's multiplicative hash, 2**32 over the golden ratio."""


def rows_of(kept: Kept, code: int) -> tuple[Array, Array, Array, Array, Array]:
    """Return what is kept of an instrument's accounts."""
    return (
        kept["hidden"][code], kept["hidden_accounts"][code], kept["hidden_given"][code],
        kept["hidden_sums"][code], kept["hidden_counts"][code],
    )  # fmt: skip


@kernel()
def _slot(index: Array, accounts: Array, account: int) -> int:
    """Return where an account stands in the table, or the free place where it would."""
    slot = account * SPREAD % SLOTS
    while index[slot] and accounts[index[slot] - 1, ACCOUNT] != account + 1:
        slot = (slot + 1) % SLOTS
    return int(slot)


@kernel()
def index_of(accounts: Array, index: Array) -> None:
    """Fill the table that finds accounts' rows."""
    index[:] = 0
    for row in range(ACCOUNTS):
        if accounts[row, ACCOUNT]:
            index[_slot(index, accounts, accounts[row, ACCOUNT] - 1)] = row + 1


@kernel()
def _least(accounts: Array) -> int:
    """Return the row of the account that traded least; of several, longest ago, or later first."""
    least = 0
    for row in range(1, ACCOUNTS):
        if accounts[row, EVENTS] != accounts[least, EVENTS]:
            less = accounts[row, EVENTS] < accounts[least, EVENTS]
        elif accounts[row, ENDED_NS] != accounts[least, ENDED_NS]:
            less = accounts[row, ENDED_NS] < accounts[least, ENDED_NS]
        else:
            less = accounts[row, FIRST_SEQ] > accounts[least, FIRST_SEQ]
        if less:
            least = row
    return least


@kernel()
def row_of(  # noqa: PLR0917
    own: Array,
    accounts: Array,
    given: Array,
    sums: Array,
    counts: Array,
    index: Array,
    lost: Array,
    account: int,
) -> int:
    """Return an account's row, made for it if it has none."""
    slot = _slot(index, accounts, account)
    if index[slot]:
        return int(index[slot] - 1)
    if own[N_ACCOUNTS] < ACCOUNTS:
        row = own[N_ACCOUNTS]
        own[N_ACCOUNTS] += 1
        accounts[row, ACCOUNT] = account + 1
        index[slot] = row + 1
        return int(row)
    lost[0] += 1
    row = _least(accounts)
    accounts[row] = 0
    given[row] = 0.0
    sums[row] = 0.0
    counts[row] = 0.0
    accounts[row, ACCOUNT] = account + 1
    index_of(accounts, index)
    return int(row)


@njit(cache=True)
def forget(  # noqa: PLR0917
    own: Array,
    accounts: Array,
    given: Array,
    sums: Array,
    counts: Array,
    index: Array,
    account: int,
) -> None:
    """Forget what an account did in an instrument that day, if anything; the last takes its row."""
    slot = _slot(index, accounts, account)
    if index[slot] == 0:
        return
    row = index[slot] - 1
    own[N_ACCOUNTS] -= 1
    last = own[N_ACCOUNTS]
    accounts[row], given[row] = accounts[last], given[last]
    sums[row], counts[row] = sums[last], counts[last]
    accounts[last], given[last], sums[last], counts[last] = 0, 0.0, 0.0, 0.0
    index_of(accounts, index)


@kernel()
def new_day(  # noqa: PLR0917
    own: Array, accounts: Array, given: Array, sums: Array, counts: Array, index: Array
) -> None:
    """Forget the accounts of an instrument; what the group and the makers did fades by itself."""
    own[N_ACCOUNTS] = own[FRESH] = 0
    accounts[:] = 0
    given[:] = 0.0
    sums[:] = 0.0
    counts[:] = 0.0
    index[:] = 0
