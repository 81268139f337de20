"""How often who takes runs clients' stops, by how far it moves the price: the group and all others.

A desk's orders meet stops now and then, the more of them the farther they reach. Whoever goes for
stops meets more of them than others do who reach as far.
"""

from __future__ import annotations

from typing import Final

from detectors.rows import write
from ingest.compiled import kernel
from ingest.events import Array
from ingest.times import DAY

CLASSES: Final = 8
"""Of reach: 1 tick, 2 to 3, 4 to 7, and so on."""
CHAIN_NS: Final = 50_000_000
"""Longest time between a trade of an order, or a trigger that it caused, and the next trigger."""
OTHERS, GROUP = range(2)
PUSHES, HITS = range(2)
TALLY: Final = CLASSES * 4
"""Pushes and those that ran stops, others' and the group's, by class of reach."""
# The order that takes: its seq (0 = none), side, whose it is, the price before it and the furthest,
# stops that it triggered, when it traded or triggered last; the last price; the UTC day.
Z_SEQ, Z_SIDE, Z_GROUP, Z_FROM, Z_EXTREME, Z_STOPS, Z_NS, Z_LAST, Z_DAY = range(9)
Z_TALLY: Final = 9
REACH_FIELDS: Final = Z_TALLY + TALLY


@kernel()
def _turned(reach: Array, at_ns: int) -> None:
    """Begin a new day where one has begun."""
    if at_ns // DAY > reach[Z_DAY]:
        reach[Z_DAY] = at_ns // DAY
        reach[Z_TALLY:] = 0


@kernel()
def ended(reach: Array, least: int, now_ns: int) -> None:
    """Count the order that takes, which triggers no more, on its own day."""
    ticks = abs(reach[Z_EXTREME] - reach[Z_FROM])
    if reach[Z_SEQ] != 0 and ticks > 0:
        _turned(reach, reach[Z_NS])
        place = 0
        while place < CLASSES - 1 and ticks >= 2 << place:
            place += 1
        at = Z_TALLY + 4 * place + 2 * reach[Z_GROUP]
        reach[at + PUSHES] += 1
        if reach[Z_STOPS] >= least:
            reach[at + HITS] += 1
    _turned(reach, now_ns)
    reach[Z_SEQ] = 0


@kernel()
def took(  # noqa: PLR0917
    reach: Array, least: int, seq: int, side: int, group: bool, stop: bool, price: int, now_ns: int
) -> None:
    """Note a trade of an incoming order; a stop's own says only where the price is."""
    if not stop:
        if reach[Z_SEQ] != seq:
            ended(reach, least, now_ns)
            reach[Z_SEQ], reach[Z_SIDE], reach[Z_STOPS] = seq, side, 0
            reach[Z_GROUP] = 1 if group else 0
            reach[Z_FROM] = reach[Z_LAST] if reach[Z_LAST] != 0 else price
            reach[Z_EXTREME] = reach[Z_FROM]
        if side * (price - reach[Z_EXTREME]) > 0:
            reach[Z_EXTREME] = price
        reach[Z_NS] = now_ns
    reach[Z_LAST] = price


@kernel()
def triggered(reach: Array, side: int, now_ns: int) -> None:
    """Note that a client's stop triggers."""
    if reach[Z_SEQ] != 0 and side == reach[Z_SIDE] and now_ns - reach[Z_NS] <= CHAIN_NS:
        reach[Z_STOPS] += 1
        reach[Z_NS] = now_ns


@kernel()
def told(reach: Array, least: int, now_ns: int, out: Array) -> None:
    """Write the day's tally, with the order that is over by now."""
    if now_ns - reach[Z_NS] > CHAIN_NS:
        ended(reach, least, now_ns)
    write(out, reach[Z_TALLY:])
