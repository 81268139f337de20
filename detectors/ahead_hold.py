"""A held order and what was executed within its hold: parts of the scan behind trading_ahead."""

from __future__ import annotations

import math
from typing import Final

from detectors.ahead_state import (
    BEGAN_NS,
    C_ACCOUNT,
    C_CLASS,
    C_CLEAR,
    C_FILLS,
    C_FROM,
    C_LIMIT,
    C_OF_SIZE,
    C_RELEASED,
    C_SEQ,
    C_SIDE,
    CAME_KEPT,
    E_ACCOUNT,
    E_FROM,
    E_GROUP,
    E_LOTS,
    E_NS,
    E_PRICE,
    E_RECEIVED,
    E_SIDE,
    E_TOOK,
    EXECUTION,
    EXECUTION_FIELDS,
    EXECUTIONS,
    EXPECTED,
    EXPECTED_MAKERS,
    FAST_NS,
    FILL,
    HEAD,
    HOLDS,
    MADE,
    MAKERS,
    OVERTAKEN,
    R_GROUP,
    R_GROUP_FAST,
    R_MAKERS,
    R_MAKERS_FAST,
    RATED_NS,
    SLOW_NS,
    STALLED,
    TESTS,
)
from detectors.rows import write
from ingest.compiled import kernel
from ingest.events import NULL, Array

_NULL: Final = int(NULL)


@kernel()
def satisfies(e: Array, own: Array, delta: int) -> bool:
    """Return whether an execution is within a held order's time, side and limit."""
    return bool(
        e[E_SIDE] == own[C_SIDE]
        and e[E_NS] - own[C_FROM] > delta
        and e[E_ACCOUNT] != own[C_ACCOUNT]
        and e[E_FROM] != own[C_ACCOUNT]
        and (own[C_LIMIT] == _NULL or own[C_SIDE] * (own[C_LIMIT] - e[E_PRICE]) >= 0)
    )


@kernel()
def came_later(e: Array, own: Array, delta: int) -> bool:
    """Return whether the instruction behind an execution came after the held order."""
    return bool(e[E_RECEIVED] != _NULL and e[E_RECEIVED] - own[C_FROM] > delta)


@kernel()
def _oldest(own: Array, ring: Array) -> int:
    """Return the event time from which executions are known, ns."""
    return int(ring[own[MADE] % EXECUTIONS, E_NS]) if own[MADE] >= EXECUTIONS else _NULL


@kernel()
def overtakers(own: Array, came: Array, made: int, delta: int) -> tuple[int, int]:
    """Return instructions of the same kind that came later and passed, and 1,000 × how many would.

    The expectation is the rate before the hold times its length; -1 where there is no rate.
    """
    passed, before = 0, 0
    oldest = own[C_FROM]
    for n in range(min(made, CAME_KEPT)):
        if came[n, 1] != own[C_CLASS]:
            continue
        if came[n, 0] - own[C_FROM] > delta:
            passed += 1
        elif came[n, 0] <= own[C_FROM]:
            before += 1
            oldest = min(oldest, came[n, 0])
    span = own[C_FROM] - oldest
    if before < 5 or span <= 0:
        return passed, -1
    return passed, int(1_000.0 * before / span * (own[C_RELEASED] - own[C_FROM]))


@kernel()
def decay(own: Array, rates: Array, now: int) -> None:
    """Let the rates of aggressive executions fade up to a time, ns."""
    if own[RATED_NS] == _NULL:
        own[RATED_NS] = now
    past = now - own[RATED_NS]
    if past > 0:
        slow, fast = math.exp(-past / SLOW_NS), math.exp(-past / FAST_NS)
        for place in range(EXPECTED):
            rates[place] *= slow if place < R_GROUP_FAST else fast
        own[RATED_NS] = now


@kernel()
def _chance(own: Array, slow: float, fast: float, hold: int) -> float:
    """Return the chance of an aggressive execution on one side within a hold, by habit."""
    known = SLOW_NS * (1.0 - math.exp(-max(own[RATED_NS] - own[BEGAN_NS], 1) / SLOW_NS))
    rate = max(slow / max(known, FAST_NS), fast / FAST_NS)
    return float(1.0 - math.exp(-rate * hold))


@kernel()
def begin(  # noqa: PLR0917
    own: Array, ring: Array, rates: Array, delta: int, lost: Array, gap: int
) -> bool:
    """Count a hold; return whether anything of the group was executed within it."""
    found = group = makers = False
    for back in range(1, min(own[MADE], EXECUTIONS) + 1):
        e = ring[(own[MADE] - back) % EXECUTIONS]
        if e[E_NS] <= own[C_FROM]:
            break
        if not satisfies(e, own, delta):
            continue
        later = came_later(e, own, delta)
        if e[E_GROUP] != 0:
            found = found or later or own[C_CLEAR] != 0
        if later and e[E_TOOK] != 0:
            group = group or e[E_GROUP] != 0
            makers = makers or e[E_GROUP] == 0
    decay(own, rates, own[C_RELEASED])
    s = 1 if own[C_SIDE] > 0 else 0
    for at, slow, fast in (
        (EXPECTED, R_GROUP, R_GROUP_FAST),
        (EXPECTED_MAKERS, R_MAKERS, R_MAKERS_FAST),
    ):
        rates[at] += _chance(own, rates[slow + s], rates[fast + s], gap)
    own[HOLDS] += 1
    own[OVERTAKEN] += group
    own[MAKERS] += makers
    own[TESTS] += found
    if (found or own[C_CLEAR] != 0) and _oldest(own, ring) > own[C_FROM]:
        lost[0] += 1
    return found


@kernel()
def write_out(  # noqa: PLR0917
    x: int,
    own: Array,
    ring: Array,
    fills: Array,
    rates: Array,
    delta: int,
    out: Array,
    written: int,
) -> int:
    """Write a hold whose own fills are done, the group's executions in it, and the fills."""
    head = out[written]
    head[0], head[1] = HEAD, x
    write(head[2:27], own[C_SEQ : C_OF_SIZE + 1])
    head[27], head[28], head[29], head[30], head[31] = (
        own[HOLDS], own[OVERTAKEN], own[MAKERS], own[TESTS], own[STALLED],
    )  # fmt: skip
    head[32] = int(1e6 * rates[EXPECTED])
    head[33] = int(1e6 * rates[EXPECTED_MAKERS])
    written += 1
    net = 0
    within = 0
    while (
        within < min(own[MADE], EXECUTIONS)
        and ring[(own[MADE] - within - 1) % EXECUTIONS, E_NS] > own[C_FROM]
    ):
        within += 1
    for back in range(within, 0, -1):
        e = ring[(own[MADE] - back) % EXECUTIONS]
        if e[E_GROUP] == 0:
            continue
        net += e[E_SIDE] * e[E_LOTS]
        if satisfies(e, own, delta):
            out[written, 0] = EXECUTION
            write(out[written, 1 : 1 + EXECUTION_FIELDS], e)
            out[written, 1 + EXECUTION_FIELDS] = came_later(e, own, delta)
            written += 1
    head[34] = own[C_SIDE] * net
    for n in range(own[C_FILLS]):
        out[written, 0], out[written, 1], out[written, 2] = FILL, fills[n, 0], fills[n, 1]
        written += 1
    return written
