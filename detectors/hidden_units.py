"""What the complex and external makers did lately, and what of it was with, or for, an account."""

from __future__ import annotations

import math
from typing import Final

from detectors.hidden_state import (
    BEFORE,
    BOUGHT,
    COUNTED,
    FOR,
    GIVEN_NS,
    GROUP,
    HIT_BY,
    HIT_SIDE,
    LAST_NS,
    MAKER,
    MAKERS,
    NET,
    OWED,
    RESTED,
    SCALES,
    SOLD,
    TAKEN,
    TRADED,
    UNITS,
    W_ACCOUNT,
    W_GROUP,
    W_ROLE,
)
from ingest.compiled import kernel
from ingest.events import Array, Role

RUN_GAP, QUICK_NS, ABSENT_NS, HALF_LIVES = range(4)
"""Places in the numbers that a pass is given, ns; the half-lives come last."""
EXTERNAL_MM: Final = int(Role.EXTERNAL_MM)
NOBODY: Final = -1
TYPICAL: Final = 2_000.0
"""Instructions over which the usual size of a unit's remembered trading is averaged, at most."""


@kernel()
def unit_of(own: Array, who: Array) -> int:
    """Return the unit that somebody belongs to; `NOBODY` for a client."""
    if who[W_GROUP]:
        return GROUP
    if who[W_ROLE] != EXTERNAL_MM:
        return NOBODY
    for maker in range(MAKERS):
        if own[MAKER + maker] == 0:
            own[MAKER + maker] = who[W_ACCOUNT] + 1
        if own[MAKER + maker] == who[W_ACCOUNT] + 1:
            return 1 + maker
    return NOBODY


@kernel()
def makers_of(own: Array) -> int:
    """Return how many external makers have a place in an instrument."""
    makers = 0
    while makers < MAKERS and own[MAKER + makers]:
        makers += 1
    return makers


@kernel()
def fade(numbers: Array, own: Array, flow: Array, now_ns: int) -> None:
    """Let what is remembered fade up to an event time."""
    if own[LAST_NS]:
        for scale in range(SCALES):
            left = 0.5 ** ((now_ns - own[LAST_NS]) / numbers[HALF_LIVES + scale])
            for unit in range(UNITS):
                flow[unit, NET, scale] *= left
                flow[unit, TAKEN, scale] *= left
    own[LAST_NS] = now_ns


@kernel()
def note_usual(own: Array, flow: Array, size: Array) -> None:
    """Note how large what is remembered of each unit usually is, instruction by instruction."""
    own[COUNTED] += 1
    weight = 1.0 / min(float(own[COUNTED]), TYPICAL)
    for unit in range(UNITS):
        for what in range(2):
            for scale in range(SCALES):
                value = abs(flow[unit, what, scale])
                size[unit, what, scale] += weight * (value - size[unit, what, scale])


@kernel()
def traded(mine: Array, whom: int, now_ns: int) -> None:
    """Note a trade and for whom it was, account + 1; last times are his, and others'."""
    if whom != mine[FOR]:
        mine[BEFORE], mine[FOR] = mine[TRADED], whom
    mine[TRADED] = now_ns


@kernel()
def unit_trades(  # noqa: PLR0917
    flow: Array, times: Array, unit: int, other: int, signed_lots: int, took: bool, now_ns: int
) -> None:
    """Note that a unit trades with somebody; signed lots are what it gets."""
    for scale in range(SCALES):
        flow[unit, NET, scale] += signed_lots
        if took:
            flow[unit, TAKEN, scale] += signed_lots
    # Who takes the other side of what it was last given lays that off: this is for the giver.
    mine, side = times[unit], 1 if signed_lots > 0 else -1
    traded(mine, mine[HIT_BY] if took and mine[HIT_SIDE] == -side else other + 1, now_ns)
    if not took:
        mine[RESTED] = now_ns
        mine[HIT_BY], mine[HIT_SIDE] = other + 1, side


@kernel()
def give(  # noqa: PLR0917
    numbers: Array,
    about: Array,
    given: Array,
    unit: int,
    signed_lots: int,
    took: bool,
    now_ns: int,
) -> None:
    """Note what a unit got from an account."""
    fade_given(numbers, about, given, now_ns)
    about[GIVEN_NS] = now_ns
    for scale in range(SCALES):
        given[unit, NET, scale] += signed_lots
        if took:
            given[unit, TAKEN, scale] += signed_lots
    given[unit, OWED, BOUGHT if signed_lots > 0 else SOLD] += abs(signed_lots)


@kernel()
def fade_given(numbers: Array, about: Array, given: Array, now_ns: int) -> None:
    """Let what units got from an account fade up to an event time."""
    if about[GIVEN_NS]:
        left = 1.0
        for scale in range(SCALES):
            left = 0.5 ** ((now_ns - about[GIVEN_NS]) / numbers[HALF_LIVES + scale])
            for unit in range(len(given)):
                for kind in range(OWED):
                    given[unit, kind, scale] *= left
        for unit in range(len(given)):
            for place in range(given.shape[2]):
                given[unit, OWED, place] *= left
        about[GIVEN_NS] = now_ns


@kernel()
def apart(whole: float, mine: float, owed: Array) -> float:
    """Return what is remembered of a unit apart from an account and from what is owed to it.

    That is, less the unit's trades with the account; and what is left less what the unit got from
    it the other way: who lays off what he got from somebody follows him.
    """
    rest = whole - mine
    left = abs(rest) - owed[SOLD if rest > 0.0 else BOUGHT]
    return math.copysign(max(left, 0.0), rest)


@kernel()
def is_quick(numbers: Array, mine: Array, account: int, now_ns: int) -> bool:
    """Return whether it is right after a trade, that was for another than an account, + 1."""
    last_ns = mine[BEFORE if mine[FOR] == account else TRADED]
    return bool(last_ns > 0 and now_ns - last_ns <= numbers[QUICK_NS])
