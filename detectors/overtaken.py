"""How often the group overtakes clients where a venue keeps no order, against how often others do.

Where gateways take now longer and now less, anybody's instruction that takes is now and then
matched before a client's that came first, by accident. Instructions that take and such accidents
are counted in a UTC day, the group's and others': were it accident, the group's part of the
accidents would be its part of what takes.
"""

from __future__ import annotations

from typing import Final

from detectors.overtaking import is_unordered
from detectors.statistics import binomial_tail, spent
from ingest.compiled import njit
from ingest.events import NULL, Array

OTHERS: Final = 32
"""Latest instructions of others that executed, kept an instrument."""
X_SEQ, X_RECEIVED, X_SIDE, X_PRICE, X_ACCOUNT, X_FROM, X_HIT = range(7)
OTHER_FIELDS: Final = 7
"""`X_FROM`: account of whom it took first; `X_HIT`: it has overtaken a client's instruction."""
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
_DAY_NS: Final = 86_400 * 10**9
_NULL: Final = int(NULL)


@njit(cache=True)
def forget(own: Array) -> None:
    """Forget what is in flight: trading has stopped, or has begun again."""
    own[O_SEQ], own[O_MADE] = 0, 0
    own[O_MAX_BUY] = own[O_MAX_SELL] = _NULL


@njit(cache=True)
def turn(own: Array, at_ns: int) -> None:
    """Begin to count anew on a new UTC day."""
    if at_ns // _DAY_NS > own[O_DAY]:
        own[O_DAY] = at_ns // _DAY_NS
        own[TAKES:OVERTAKEN_FIELDS] = 0


@njit(cache=True)
def took(  # noqa: PLR0917
    own: Array, others: Array, seq: int, side: int, price: int, taken: int
) -> None:
    """Keep the first trade of others' instruction in flight."""
    if others[(own[O_MADE] - 1) % OTHERS, X_SEQ] == seq and own[O_MADE] > 0:
        return
    row = others[own[O_MADE] % OTHERS]
    row[X_SEQ], row[X_RECEIVED], row[X_SIDE], row[X_PRICE] = seq, own[O_RECEIVED], side, price
    row[X_ACCOUNT], row[X_FROM], row[X_HIT] = own[O_ACCOUNT], taken, 0
    own[O_MADE] += 1
    own[OTHERS_TAKES] += 1
    at = O_MAX_BUY if side > 0 else O_MAX_SELL
    own[at] = max(own[at], own[O_RECEIVED])


@njit(cache=True)
def expose(own: Array, others: Array, account: int) -> None:
    """Count a client's instruction: the group's takes and others', but for the client's own.

    Its own part of others' is that of the latest ones.
    """
    held, mine = min(own[O_MADE], OTHERS), 0
    for n in range(held):
        mine += others[n, X_ACCOUNT] == account
    foreign = own[OTHERS_TAKES] * (held - mine) // max(held, 1)
    own[EXPOSED] += own[TAKES]
    own[EXPOSED_ALL] += own[TAKES] + foreign


@njit(cache=True)
def overtook(  # noqa: PLR0917
    own: Array, others: Array, octaves: int, delta: int, received: int, account: int, side: int,
    limit: int,
) -> bool:  # fmt: skip
    """Return whether instructions of others came after a client's and were matched before it.

    By so much later as the venue matches either way, on its side, at a price within its limit. Each
    counts once: several that come at once, or before several, are one accident.
    """
    latest = own[O_MAX_BUY] if side > 0 else own[O_MAX_SELL]
    if latest == _NULL or latest - received <= delta:
        return False
    found = False
    for n in range(min(own[O_MADE], OTHERS)):
        row = others[n]
        gap = row[X_RECEIVED] - received
        foreign = account not in (row[X_ACCOUNT], row[X_FROM])
        if row[X_SIDE] == side and gap > delta and foreign and row[X_HIT] == 0:
            within = limit == _NULL or side * (limit - row[X_PRICE]) >= 0
            if within and is_unordered(octaves, gap):
                found, row[X_HIT] = True, 1
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
