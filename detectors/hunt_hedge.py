"""What the group takes beyond what it had to hedge: a push that no position calls for.

A maker that takes lays a position off: what it got by its quotes of late. What it has taken beyond
that is a position that it goes into.
"""

from __future__ import annotations

from typing import Final

from ingest.compiled import kernel
from ingest.events import Array

FILLS: Final = 256
"""Instructions that traded with the group kept an instrument. Where more did within the time it is
not known what there was to hedge, and any push may be one."""
# Net of the trades that are kept, how many instructions were, how many of these have left, and when
# the last left that had not yet grown old.
N_NET, N_MADE, N_LEFT, N_LOST_NS = range(4)
NET_FIELDS: Final = 4
# An instruction that traded with the group, or of the group with others: its seq, when it first
# did, lots that the group bought less those that it sold.
I_SEQ, I_NS, I_LOTS = range(3)
FILL_FIELDS: Final = 3


@kernel()
def _let_go(net: Array, fills: Array) -> int:
    """Let the oldest instruction leave; return when it traded, ns."""
    oldest = fills[net[N_LEFT] % FILLS]
    net[N_NET] -= oldest[I_LOTS]
    net[N_LEFT] += 1
    return int(oldest[I_NS])


@kernel()
def traded(  # noqa: PLR0917
    net: Array, fills: Array, seq: int, lots: int, now_ns: int, hedge_ns: int
) -> None:  # fmt: skip
    """Take in a trade of the group with others; let go of what is older than a hedge."""
    while net[N_LEFT] < net[N_MADE] and fills[net[N_LEFT] % FILLS, I_NS] < now_ns - hedge_ns:
        _let_go(net, fills)
    net[N_NET] += lots
    latest = fills[(net[N_MADE] - 1) % FILLS]
    if net[N_LEFT] < net[N_MADE] and latest[I_SEQ] == seq:
        latest[I_LOTS] += lots
        return
    if net[N_MADE] - net[N_LEFT] >= FILLS:
        net[N_LOST_NS] = _let_go(net, fills)
    fill = fills[net[N_MADE] % FILLS]
    fill[I_SEQ], fill[I_NS], fill[I_LOTS] = seq, now_ns, lots
    net[N_MADE] += 1


@kernel()
def beyond(net: Array, side: int, now_ns: int, hedge_ns: int) -> int:
    """Return what the group has bought (sold) of late beyond what it sold (bought), lots.

    0 where that is not known.
    """
    if net[N_LOST_NS] > 0 and net[N_LOST_NS] >= now_ns - hedge_ns:
        return 0
    return int(max(0, side * net[N_NET]))
