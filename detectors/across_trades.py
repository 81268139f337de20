"""The trades that front_running_across looks at, and the executions that they are parts of.

The end of a client's instruction that was not to rest is a trade of no lots. One of which nothing
was filled, a try, is an execution of these alone: the platform knew of it as well, and who ran
ahead of it may be why nothing was left.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import kernel, njit
from ingest.events import NULL, Array, Batch, Kind, Phase, Role

COLUMNS: Final = (
    "kind", "instrument", "incoming_seq", "incoming_received_ns", "clock_ns", "side", "price",
    "quantity", "seq", "best_bid", "best_ask", "coverage", "phase", "busts_hi", "busts_lo",
    "buy_account", "buy_owner", "buy_complex", "buy_role", "buy_originator",
    "sell_account", "sell_owner", "sell_complex", "sell_role", "sell_originator",
    "account", "owner", "originator", "entry_seq", "entry_received_ns",
)  # fmt: skip
GROUP: Final = -1
"""The group as one who acts; others are their owners' codes."""

# Fields of a trade.
T_INSTRUMENT, T_INCOMING, T_RECEIVED, T_CLOCK, T_SIDE, T_PRICE, T_LOTS, T_SEQ = range(8)
T_MID, T_DOUBT, T_ACCOUNT, T_ACTOR, T_ORIGINATOR, T_CLIENT, T_MAKER = range(8, 15)
TRADE_FIELDS: Final = 15

_CLIENT, _CONTINUOUS = int(Role.CLIENT), int(Phase.CONTINUOUS)
_EXPIRE: Final = int(Kind.EXPIRE)
_NULL: Final = NULL


@kernel()
def actor_of(account: int, owner: int, group: int) -> int:
    """Return who acts: the group, an owner, or, where none is known, a number of the account's."""
    if group:
        return GROUP
    return owner if owner >= 0 else -account - 2


def most_of(batch: Batch) -> int:
    """Return how many rows `collect` may write of a batch."""
    return int(np.count_nonzero(batch["incoming_seq"]) + np.count_nonzero(batch["kind"] == _EXPIRE))


@kernel()
def collect(columns: tuple[Array, ...], out: Array) -> int:
    """Write out the trades of incoming instructions in the continuous phase; return how many.

    With them, as trades of no lots, the ends of clients' instructions.
    """
    (
        kind, instrument, incoming, received, clock, side, price, lots, seq, bid, ask, coverage,
        phase, busts_hi, busts_lo,
        buyer, buy_owner, buy_group, buy_role, buy_originator,
        seller, sell_owner, sell_group, sell_role, sell_originator,
        account, owner, originator, entry, entry_received,
    ) = columns  # fmt: skip
    count = 0
    for i in range(len(incoming)):
        ends = kind[i] == _EXPIRE
        came = entry[i] if ends else incoming[i]
        came_ns = entry_received[i] if ends else received[i]
        if (
            came == 0 or came_ns == _NULL or phase[i] != _CONTINUOUS or side[i] == 0
            or busts_lo[i] != 0 or busts_hi[i] != 0
        ):  # fmt: skip
            continue
        row = out[count]
        row[T_INSTRUMENT], row[T_INCOMING], row[T_RECEIVED] = instrument[i], came, came_ns
        row[T_CLOCK], row[T_SIDE] = clock[i], side[i]
        row[T_PRICE], row[T_SEQ], row[T_DOUBT] = price[i], seq[i], coverage[i] != 0
        row[T_MID] = _NULL if bid[i] == _NULL or ask[i] == _NULL else bid[i] + ask[i]
        count += 1
        if ends:
            row[T_ACCOUNT], row[T_ORIGINATOR] = account[i], originator[i]
            row[T_ACTOR] = row[T_MAKER] = actor_of(account[i], owner[i], 0)
            row[T_LOTS], row[T_CLIENT] = 0, 1
            continue
        row[T_LOTS] = lots[i]
        bought = actor_of(buyer[i], buy_owner[i], buy_group[i])
        sold = actor_of(seller[i], sell_owner[i], sell_group[i])
        if side[i] > 0:
            row[T_ACCOUNT], row[T_ACTOR], row[T_MAKER] = buyer[i], bought, sold
            row[T_ORIGINATOR] = buy_originator[i]
            row[T_CLIENT] = buy_role[i] == _CLIENT and not buy_group[i]
        else:
            row[T_ACCOUNT], row[T_ACTOR], row[T_MAKER] = seller[i], sold, bought
            row[T_ORIGINATOR] = sell_originator[i]
            row[T_CLIENT] = sell_role[i] == _CLIENT and not sell_group[i]
    return count


@kernel()
def last_of(done: Array) -> int:
    """Return the seq of an execution's last trade, or, where nothing was filled, of its end."""
    at = len(done) - 1
    while at > 0 and done[at, T_LOTS] == 0:
        at -= 1
    return int(done[at, T_SEQ])


@njit(cache=True)
def due_of(trades: Array, since_ns: int, until_ns: int, rank: Array) -> tuple[Array, Array, int]:
    """Return the executions that began from `since_ns` to `until_ns`, and what is not due yet.

    Parameters
    ----------
    trades : Array
        Each instrument's together, in seq order.
    rank : Array
        Of instruments, by name: the order of what happened at once.

    Returns
    -------
    spans : Array
        First and end row of each execution, in the order of event time.
    waits : Array
        By trade, whether its execution began later.
    late : int
        Executions that began before.
    """
    count = late = 0
    waits = np.zeros(len(trades), np.bool_)
    spans = np.empty((len(trades), 2), np.int64)
    clock, place = np.empty(len(trades), np.int64), np.empty(len(trades), np.int64)
    end = 0
    while end < len(trades):
        begun, first = end, trades[end]
        while (
            end < len(trades)
            and trades[end, T_INSTRUMENT] == first[T_INSTRUMENT]
            and trades[end, T_INCOMING] == first[T_INCOMING]
        ):
            end += 1
        if first[T_CLOCK] >= until_ns:
            waits[begun:end] = True
        elif first[T_CLOCK] < since_ns:
            late += 1
        else:
            spans[count, 0], spans[count, 1] = begun, end
            clock[count], place[count] = first[T_CLOCK], rank[first[T_INSTRUMENT]]
            count += 1
    by_place = np.argsort(place[:count], kind="mergesort")
    order = by_place[np.argsort(clock[:count][by_place], kind="mergesort")]
    return spans[:count][order], waits, late
