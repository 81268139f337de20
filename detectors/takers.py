"""The latest instructions that took, an instrument: the group's in one ring, others' in another.

Both are asked one question of a client's instruction: who came after it, and took before it what it
would have taken. The rings keep different things beside, so that each says where it has what is
asked for.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ingest.compiled import kernel
from ingest.events import NULL, Array

T_SEQ, T_RECEIVED, T_SIDE, T_PRICE = range(4)
"""What both rings begin with: the instruction, and at which price it took."""

KEPT: Final = 64
"""Executions of the group, kept an instrument: one a price and account of whom it took."""
E_LOTS, E_ACCOUNT, E_ROLE, E_TRADE, E_LATE, E_STOOD = range(4, 10)
E_FROM: Final = 10
"""Account whose order was taken."""
E_NS: Final = 11
"""Event time of its first trade, ns."""
E_HIT: Final = 12
"""1 once its instruction has overtaken a client's (`detectors.overtaken`)."""
EXECUTION_FIELDS: Final = 13

OTHERS: Final = 32
"""Instructions of others, kept an instrument."""
X_ACCOUNT, X_FROM, X_HIT = range(4, 7)
"""`X_FROM`: account of whom it took first; `X_HIT`: it has overtaken a client's instruction."""
OTHER_FIELDS: Final = 7

_NULL: Final = int(NULL)


class Places(NamedTuple):
    """Where a ring has what the other has elsewhere."""

    account: int
    taken_from: int
    hit: int
    role: int
    """`ALL_KNOWN` = it holds no role: none in it is unknown."""


ALL_KNOWN: Final = -1
OF_GROUP: Final = Places(E_ACCOUNT, E_FROM, E_HIT, E_ROLE)
OF_OTHERS: Final = Places(X_ACCOUNT, X_FROM, X_HIT, ALL_KNOWN)


class Client(NamedTuple):
    """A client's instruction, as takers are held against it."""

    received_ns: int
    account: int
    side: int
    limit: int
    """Ticks; NULL = any price."""


@kernel()
def is_first(ring: Array, made: int, seq: int) -> bool:
    """Return whether a trade of an instruction in flight is the first that the ring gets of it."""
    return bool(made == 0 or ring[(made - 1) % len(ring), T_SEQ] != seq)


@kernel()
def took_before(taker: Array, at: Places, client: Client, delta_ns: int) -> bool:
    """Return whether a taker came after a client, and took what was within the client's limit.

    By more than the clocks' uncertainty; not of the client's own account, and not from it: that is
    self-trade prevention.
    """
    return bool(
        taker[T_SIDE] == client.side
        and taker[T_RECEIVED] - client.received_ns > delta_ns
        and taker[at.account] != client.account
        and taker[at.taken_from] != client.account
        and (client.limit == _NULL or client.side * (client.limit - taker[T_PRICE]) >= 0)
    )
