"""What the group takes beyond what it had to hedge: a push that no position calls for.

A maker that takes lays a position off: what it got by its quotes of late. What it has taken beyond
that is a position that it goes into.
"""

from __future__ import annotations

from typing import Final

from ingest.compiled import kernel
from ingest.events import Array

FILLS: Final = 256
"""Trades of the group kept an instrument; of more within the time the oldest count no more."""
# Net of the trades that are kept, how many were made, and how many of these have left.
N_NET, N_MADE, N_LEFT = range(3)
NET_FIELDS: Final = 3


@kernel()
def traded(net: Array, fills: Array, lots: int, now_ns: int, hedge_ns: int) -> None:
    """Take in a trade of the group, lots bought less sold; let go of what is older than a hedge."""
    while net[N_LEFT] < net[N_MADE] and (
        fills[net[N_LEFT] % FILLS, 0] < now_ns - hedge_ns or net[N_MADE] - net[N_LEFT] >= FILLS
    ):
        net[N_NET] -= fills[net[N_LEFT] % FILLS, 1]
        net[N_LEFT] += 1
    fill = fills[net[N_MADE] % FILLS]
    fill[0], fill[1] = now_ns, lots
    net[N_NET] += lots
    net[N_MADE] += 1


@kernel()
def beyond(net: Array, side: int) -> int:
    """Return what the group has bought (sold) of late beyond what it sold (bought), lots."""
    return int(max(0, side * net[N_NET]))
