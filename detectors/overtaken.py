"""How often the group overtakes clients where a venue keeps no order, against how often others do.

Where gateways take now longer and now less, anybody's instruction that takes is now and then
matched before a client's that came first, by accident. Instructions that take and such accidents
are counted in a UTC day, the group's and others': were it accident, the group's part of the
accidents would be its part of what takes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.overtaking import is_unordered
from detectors.statistics import binomial_tail, spent
from detectors.takers import (
    ALL_KNOWN,
    OF_GROUP,
    OF_OTHERS,
    OTHERS,
    T_PRICE,
    T_RECEIVED,
    T_SEQ,
    T_SIDE,
    X_ACCOUNT,
    X_FROM,
    X_HIT,
    Client,
    Places,
    is_first,
    took_before,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array, Role
from ingest.times import DAY

# Others' instruction in flight, those made, the latest receipt of one that executed by side; the
# day, and its counts.
O_SEQ, O_RECEIVED, O_ACCOUNT, O_MADE, O_MAX_BUY, O_MAX_SELL, O_DAY = range(7)
TAKES, OTHERS_TAKES, EXPOSED, EXPOSED_ALL, HITS, OTHERS_HITS = range(7, 13)
OVERTAKEN_FIELDS: Final = 13
"""`EXPOSED` and after is what a test is of: the sum over clients' instructions of the group's takes
so far, and of all that could have overtaken them; how many the group overtook, and others."""
UNSEEN: Final = tuple(
    int(NULL) if field in (O_MAX_BUY, O_MAX_SELL) else 0 for field in range(OVERTAKEN_FIELDS)
)
"""State of an instrument of which nothing has been seen."""
LEAST_HITS: Final = 2
"""Of the group: one is no habit, however rare others' are."""
_NULL: Final = int(NULL)
_UNKNOWN: Final = int(Role.UNKNOWN)


@kernel()
def forget(own: Array) -> None:
    """Forget what is in flight: trading has stopped, or has begun again."""
    own[O_SEQ], own[O_MADE] = 0, 0
    own[O_MAX_BUY] = own[O_MAX_SELL] = _NULL


@kernel()
def turn(own: Array, at_ns: int) -> None:
    """Begin to count anew on a new UTC day."""
    own[O_DAY] = at_ns // DAY
    own[TAKES:OVERTAKEN_FIELDS] = 0


@kernel()
def group_took(own: Array, group: Array, made: int, seq: int, role: int, apart: bool) -> None:  # noqa: PLR0917
    """Count the group's instruction in flight at its first trade.

    `apart`: the trade is not within the complex. One whose role is unknown is not counted.
    """
    if role != _UNKNOWN and is_first(group, made, seq):
        own[TAKES] += apart


@kernel()
def took(  # noqa: PLR0917
    own: Array, others: Array, seq: int, side: int, price: int, taken_from: int
) -> None:
    """Keep the first trade of others' instruction in flight."""
    if not is_first(others, own[O_MADE], seq):
        return
    row = others[own[O_MADE] % OTHERS]
    row[T_SEQ], row[T_RECEIVED], row[T_SIDE], row[T_PRICE] = seq, own[O_RECEIVED], side, price
    row[X_ACCOUNT], row[X_FROM], row[X_HIT] = own[O_ACCOUNT], taken_from, 0
    own[O_MADE] += 1
    own[OTHERS_TAKES] += 1
    at = O_MAX_BUY if side > 0 else O_MAX_SELL
    own[at] = max(own[at], own[O_RECEIVED])


@kernel(inline="always")
def enter(  # noqa: PLR0917
    x: int, overtaken: Array, others: Array, executions: Array, made: int, latest_ns: int, seq: int,
    client: Client, octaves: int, delta_ns: int,
) -> None:  # fmt: skip
    """Count a client's instruction and who has overtaken it; it is in flight from now on.

    `latest_ns`: the latest receipt of an execution of the group on its side; NULL = none.
    """
    _expose(x, overtaken, others, client.account)
    after = client.received_ns + delta_ns  # nearly all come in order: asked before any call
    if latest_ns != _NULL and latest_ns > after:
        overtaken[x, HITS] += _overtook(executions[x], made, OF_GROUP, client, octaves, delta_ns)
    latest_ns = overtaken[x, O_MAX_BUY if client.side > 0 else O_MAX_SELL]
    if latest_ns != _NULL and latest_ns > after:
        overtaken[x, OTHERS_HITS] += _overtook(
            others[x], overtaken[x, O_MADE], OF_OTHERS, client, octaves, delta_ns
        )
    overtaken[x, O_SEQ], overtaken[x, O_RECEIVED] = seq, client.received_ns
    overtaken[x, O_ACCOUNT] = client.account


@kernel(inline="always")
def _expose(x: int, overtaken: Array, others: Array, account: int) -> None:
    """Count the group's takes and others' that a client's instruction met, but for its own.

    Its own part of others' is that of the latest ones.
    """
    foreign = overtaken[x, OTHERS_TAKES]
    if foreign > 0:
        held, mine = min(overtaken[x, O_MADE], OTHERS), 0
        for n in range(held):
            mine += others[x, n, X_ACCOUNT] == account
        if mine > 0 or held == 0:
            foreign = foreign * (held - mine) // max(held, 1)
    overtaken[x, EXPOSED] += overtaken[x, TAKES]
    overtaken[x, EXPOSED_ALL] += overtaken[x, TAKES] + foreign


@kernel()
def _overtook(  # noqa: PLR0917
    ring: Array, made: int, at: Places, client: Client, octaves: int, delta_ns: int
) -> bool:
    """Return whether takers came after a client's instruction and were matched before it.

    By so much later as the venue matches either way. Each counts once: several that come at once,
    or before several, are one accident.
    """
    found, last = False, np.int64(0)
    for back in range(min(made, len(ring))):
        taker = ring[(made - 1 - back) % len(ring)]
        if at.role != ALL_KNOWN and taker[at.role] == _UNKNOWN:
            continue
        fresh = taker[at.hit] == 0 or taker[T_SEQ] == last
        if (
            fresh
            and is_unordered(octaves, taker[T_RECEIVED] - client.received_ns)
            and took_before(taker, at, client, delta_ns)
        ):
            found, last, taker[at.hit] = True, taker[T_SEQ], 1
    return found


def chance_of_hits(exposed: int, exposed_all: int, hits: int, others_hits: int) -> float:
    """Return P of as many hits by the group, were each as likely anybody's that takes.

    >>> chance_of_hits(5_000, 100_000, 0, 3)
    1.0
    """
    if not hits or not exposed_all:
        return 1.0
    return binomial_tail(hits, hits + others_hits, min(1.0, exposed / exposed_all))


def is_often(exposed: int, exposed_all: int, hits: int, others_hits: int, level: float) -> bool:
    """Return whether the group's hits are more than its part of what takes explains.

    The level of a UTC day is spent over the group's hits.

    >>> is_often(5_000, 100_000, 4, 2, 0.005), is_often(5_000, 100_000, 4, 60, 0.005)
    (True, False)
    """
    if hits < LEAST_HITS:
        return False
    return chance_of_hits(exposed, exposed_all, hits, others_hits) <= spent(level, hits)
