"""Whose push triggered a stop, and of which run it is: parts of the scan behind stop_hunting."""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.hunt_hedge import beyond
from detectors.hunt_quotes import ADDED, as_many
from detectors.hunt_state import (
    F_ACCOUNT,
    F_ADDED,
    F_ASK,
    F_BID,
    F_COMPLEX,
    F_DOUBT,
    F_EXTREME,
    F_FIRST,
    F_LAST,
    F_LOTS,
    F_MET,
    F_NS,
    F_ROLE,
    F_RUN,
    F_SEQ,
    F_SET,
    F_SIDE,
    FLIGHTS,
    H_FLIGHTS,
    H_LEGS,
    H_OPEN,
    H_RUNS,
    L_ACCOUNT,
    L_FIRST,
    L_KIND,
    L_LAST,
    L_LOTS,
    L_NS,
    L_PRICE,
    L_RUN,
    L_SEQ,
    LEGS,
    PUSH,
    R_ACCOUNT,
    R_ADDED,
    R_ADVANCE,
    R_AGAINST,
    R_ALL,
    R_ASK,
    R_BESIDE,
    R_BEYOND,
    R_BID,
    R_COMPLEX,
    R_DOUBT,
    R_EXTREME,
    R_FIRST_NS,
    R_FROM_NS,
    R_LOTS,
    R_MANY,
    R_NUMBER,
    R_ORDERS,
    R_OWN,
    R_OWN_SEEN,
    R_PEAK,
    R_PUSHED,
    R_ROLE,
    R_SEEN,
    R_SEQ,
    R_SET,
    R_SIDE,
    RUNS,
)
from ingest.compiled import kernel
from ingest.events import NULL, Array

_NULL: Final = int(NULL)


@kernel()
def _advance(flight: Array) -> int:
    """Return how far a flight took the price beyond the touch it found, ticks."""
    touch = flight[F_ASK] if flight[F_SIDE] > 0 else flight[F_BID]
    if touch == _NULL:
        return 0
    return int(max(0, flight[F_SIDE] * (flight[F_EXTREME] - touch)))


@kernel()
def _chain(  # noqa: PLR0917
    ring: Array, made: int, now_ns: int, side: int, account: int, pause_ns: int, push_ns: int
) -> tuple[int, int, int, int, int, int]:
    """Return a party's push up to now: flights to its first, orders, lots, lots against, ticks.

    `account` -1 is the complex. The last figure is the ticks that all flights of that time gained.
    """
    first, orders, lots, against, ticks, since = -1, 0, 0, 0, 0, now_ns
    for back in range(min(made, FLIGHTS)):
        flight = ring[(made - 1 - back) % FLIGHTS]
        if now_ns - flight[F_NS] > push_ns or since - flight[F_NS] > pause_ns:
            break
        if flight[F_RUN] != 0:
            continue
        mine = flight[F_COMPLEX] != 0 if account < 0 else flight[F_ACCOUNT] == account
        if mine and flight[F_SIDE] == side:
            first, since = back, flight[F_NS]
            orders += 1
            lots += flight[F_LOTS]
            ticks += _advance(flight)
    total = 0
    for back in range(first + 1):
        flight = ring[(made - 1 - back) % FLIGHTS]
        if flight[F_RUN] != 0:
            continue
        mine = flight[F_COMPLEX] != 0 if account < 0 else flight[F_ACCOUNT] == account
        if flight[F_SIDE] == side:
            total += _advance(flight)
        elif mine:
            against += flight[F_LOTS]
    return first, orders, lots, against, ticks, total


@kernel()
def run_of(runs: Array, number: int) -> int:
    """Return where an open run is kept, or -1."""
    for at in range(RUNS):
        if number != 0 and runs[at, R_NUMBER] == number:
            return at
    return -1


@kernel()
def leg_of(  # noqa: PLR0917
    own: Array, ring: Array, runs: Array, lost: Array, number: int, kind: int, seq: int,
    first: int, last: np.int64, account: int, lots: int, price: int, at_ns: int,
) -> None:  # fmt: skip
    """Keep a leg of a run; one of an open run whose place it takes is counted as lost."""
    leg = ring[own[H_LEGS] % LEGS]
    if own[H_LEGS] >= LEGS and run_of(runs, leg[L_RUN]) >= 0:
        lost[0] += 1
        runs[run_of(runs, leg[L_RUN]), R_DOUBT] = 1
    leg[L_RUN], leg[L_KIND], leg[L_SEQ], leg[L_FIRST], leg[L_LAST] = number, kind, seq, first, last
    leg[L_ACCOUNT], leg[L_LOTS], leg[L_PRICE], leg[L_NS] = account, lots, price, at_ns
    own[H_LEGS] += 1


@kernel()
def _open(  # noqa: PLR0917
    own: Array, runs: Array, lost: Array, side: int, party: int, begun: Array, newest: Array,
    now_ns: int, push_ns: int,
) -> int:  # fmt: skip
    """Return where a party's run is kept, begun now if it has none; -1 = no place is left."""
    at = -1
    for place in range(RUNS):
        run = runs[place]
        if (
            run[R_NUMBER] != 0
            and run[R_SIDE] == side
            and (run[R_COMPLEX] != 0) == (party < 0)
            and (party < 0 or run[R_ACCOUNT] == party)
            and now_ns - run[R_FIRST_NS] <= push_ns
        ):
            at = place
    if at >= 0:
        return at
    for place in range(RUNS):
        if runs[place, R_NUMBER] == 0:
            at = place
    if at < 0:
        lost[0] += 1
        return -1
    own[H_RUNS] += 1
    own[H_OPEN] += 1
    run = runs[at]
    run[:] = 0
    run[R_NUMBER], run[R_SIDE] = own[H_RUNS], side
    run[R_COMPLEX], run[R_ACCOUNT] = 1 if party < 0 else 0, begun[F_ACCOUNT]
    run[R_SEQ], run[R_FROM_NS], run[R_FIRST_NS] = begun[F_SEQ], begun[F_NS], now_ns
    run[R_BID], run[R_ASK] = begun[F_BID], begun[F_ASK]
    run[R_ADDED], run[R_ROLE] = -1, begun[F_ROLE]
    run[R_EXTREME] = run[R_PEAK] = newest[F_EXTREME]
    return at


@kernel()
def initiated(  # noqa: PLR0917
    own: Array, flights: Array, runs: Array, legs: Array, habit: Array, own_habit: Array,
    net: Array, lost: Array, side: int, now_ns: int, pause_ns: int, push_ns: int, hedge_ns: int,
) -> int:  # fmt: skip
    """Return where the run is that a stop's trigger belongs to, opened if need be; -1 = nobody's.

    A stop that the fills of another stop trigger belongs to that one's run.
    """
    made = own[H_FLIGHTS]
    if made == 0:
        return -1
    newest = flights[(made - 1) % FLIGHTS]
    number, met = newest[F_RUN], run_of(runs, newest[F_MET])
    if met >= 0 and runs[met, R_SIDE] == side and now_ns - runs[met, R_FIRST_NS] <= push_ns:
        number = newest[F_MET]
    elif newest[F_SIDE] != side or now_ns - newest[F_NS] > pause_ns:
        return -1
    if number != 0:
        return int(run_of(runs, number))
    party, since, beside = -1, -1, 0
    first, orders, lots, against, ticks, total = _chain(
        flights, made, now_ns, side, party, pause_ns, push_ns
    )
    if first < 0 or (newest[F_COMPLEX] == 0 and 2 * ticks < max(1, total)):
        party = newest[F_ACCOUNT]
        if newest[F_COMPLEX] != 0 or party < 0:
            return -1
        if lots > against:
            since, beside = first, lots - against
        first, orders, lots, against, ticks, total = _chain(
            flights, made, now_ns, side, party, pause_ns, push_ns
        )
    begun = flights[(made - 1 - first) % FLIGHTS]
    at = _open(own, runs, lost, side, party, begun, newest, now_ns, push_ns)
    if at < 0:
        return -1
    run = runs[at]
    if party < 0:
        run[R_BEYOND] = max(run[R_BEYOND], beyond(net, side, now_ns, hedge_ns))
    run[R_ORDERS], run[R_LOTS] = max(run[R_ORDERS], orders), max(run[R_LOTS], lots)
    run[R_AGAINST] = max(run[R_AGAINST], against)
    run[R_BESIDE] = max(run[R_BESIDE], beside)
    if ticks >= run[R_ADVANCE]:
        run[R_ADVANCE], run[R_ALL] = ticks, total
    for back in range(max(first, since), -1, -1):
        flight = flights[(made - 1 - back) % FLIGHTS]
        mine = flight[F_COMPLEX] != 0 if party < 0 else flight[F_ACCOUNT] == party
        mine = mine and back <= first
        aside = flight[F_COMPLEX] != 0 and back <= since
        if not (mine or aside) or flight[F_SIDE] != side or flight[F_RUN] != 0:
            continue
        if flight[F_ADDED] > run[R_ADDED]:
            run[R_ADDED], run[R_SEEN] = flight[F_ADDED], habit[ADDED + 1]
            run[R_SET], run[R_OWN_SEEN] = flight[F_SET], own_habit[ADDED + 1]
            for more in range(ADDED):
                run[R_MANY + more] = as_many(habit, more + 1)
                run[R_OWN + more] = as_many(own_habit, more + 1)
        if mine and side * (flight[F_EXTREME] - run[R_EXTREME]) > 0:
            run[R_EXTREME] = flight[F_EXTREME]
            if side * (flight[F_EXTREME] - run[R_PEAK]) > 0:
                run[R_PEAK] = flight[F_EXTREME]
        if flight[F_SEQ] > run[R_PUSHED]:
            run[R_PUSHED] = flight[F_SEQ]
            run[R_DOUBT] |= flight[F_DOUBT]
            leg_of(
                own, legs, runs, lost, run[R_NUMBER], PUSH, flight[F_SEQ], flight[F_FIRST],
                flight[F_LAST], flight[F_ACCOUNT], flight[F_LOTS], flight[F_EXTREME], flight[F_NS],
            )  # fmt: skip
    return at
