"""Sets to try: those that bursts and parcels show, with a member more or less."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from detectors.ring_sieve import excess
from detectors.ring_tallies import Market, done, place_of
from detectors.ring_trials import Tests, among, chance
from ingest.compiled import njit
from ingest.events import Array

_FREE: Final = np.uint64(0)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads neighbouring keys


@njit(cache=True)
def joins(  # noqa: PLR0917 - a kernel
    who: Array, first: int, end: int, market: Market, log_p: float, seen: Array, barred: int
) -> int:
    """Return the node that meets a set's members most surprisingly often in a while, or -1.

    Parameters
    ----------
    who : (k,) int64
        Nodes of the set, ascending.
    first, end : int
        The while: meetings first to end - 1.
    log_p : float
        The least surprise.
    seen : (nodes, 2) int64
        Zeros, and left so.
    barred : int
        Node that may not join; -1 = none.
    """
    touched = np.empty(64, np.int64)
    count, members_rested, members_took = 0, 0, 0
    for node in who:
        for k in range(place_of(node, first, market), place_of(node, end, market)):
            t = market.at[k]
            other = market.dst[t] if market.src[t] == node else market.src[t]
            at = np.searchsorted(who, other)
            if at < len(who) and who[at] == other:
                continue
            if seen[other, 0] + seen[other, 1] == 0:
                if count == len(touched):
                    touched = np.concatenate((touched, np.empty_like(touched)))
                touched[count] = other
                count += 1
            if (market.dst[t] == node) == market.bought[t]:
                seen[other, 0] += 1  # rested while a member took
                members_took += 1
            else:
                seen[other, 1] += 1
                members_rested += 1
    best, most = -1, log_p
    for other in touched[:count]:
        x, y = seen[other, 0], seen[other, 1]
        seen[other] = 0
        met = x + y
        if met < 2 or other == barred:
            continue
        rested, took, _, _ = done(other, first, end, market)
        by_chance = (
            (rested - x + 1.0) * (members_took - x + 1.0)
            + (took - y + 1.0) * (members_rested - y + 1.0)
        ) / (end - first - met + 2.0)
        surprise = excess(float(met), by_chance)
        if surprise < most or (surprise == most and other < best):
            best, most = other, surprise
    return best


class Tried(NamedTuple):
    """Sets noted so far, by a hash of their nodes; `keys` and `places` are one open table."""

    sets: Array
    """(room, max_members) int64: nodes, ascending; -1 fills up."""
    spans: Array
    """(room, 2) int64: first meeting to look at, and the one after the last."""
    keys: Array
    places: Array
    size: Array
    """(1,) int64: how many there are."""


@njit(cache=True)
def _room(size: int, max_members: int) -> Tried:
    return Tried(
        np.full((size, max_members), -1, np.int64),
        np.zeros((size, 2), np.int64),
        np.zeros(4 * size, np.uint64),
        np.zeros(4 * size, np.int64),
        np.zeros(1, np.int64),
    )


@njit(cache=True)
def _note(who: Array, first: int, end: int, noted: Tried) -> bool:
    """Note a set and a while; return whether the set is new. One that is known lasts for both."""
    key = np.uint64(len(who))
    for node in who:
        key = (key + np.uint64(node) + np.uint64(1)) * _MIX
        key ^= key >> np.uint64(29)
    key |= np.uint64(1)
    mask = len(noted.keys) - 1
    at = np.int64(key >> np.uint64(32)) & mask
    while noted.keys[at] != _FREE and noted.keys[at] != key:
        at = (at + 1) & mask
    if noted.keys[at] == key:
        span = noted.spans[noted.places[at]]
        span[0], span[1] = min(first, span[0]), max(end, span[1])
        return False
    place = noted.size[0]
    noted.keys[at], noted.places[at] = key, place
    noted.sets[place, : len(who)] = who
    noted.spans[place, 0], noted.spans[place, 1] = first, end
    noted.size[0] += 1
    return True


@njit(cache=True)
def _wider(noted: Tried) -> Tried:
    wider = _room(2 * len(noted.sets), noted.sets.shape[1])
    for place in range(noted.size[0]):
        who = noted.sets[place]
        _note(who[who >= 0], noted.spans[place, 0], noted.spans[place, 1], wider)
    return wider


@njit(cache=True)
def variants(market: Market, seeds: Array, spans: Array, tests: Tests) -> tuple[Array, Array, bool]:
    """Return the different sets that seeds grow to, and what is left of those without one member.

    To each set that meets in a burst the account is added that meets it most surprisingly often
    while it lasts, again and again. Where a set meets as often as a circle has to, each member is
    left out in turn, for whoever met it by chance breaks its laps, and the growing goes on without
    a member that does not belong, and once more in a while three times as long.

    Parameters
    ----------
    seeds : (seeds, max_members) int64
        Nodes, ascending; -1 fills up.
    spans : (seeds, 2) int64
        First meeting of each, and the one after the last.

    Returns
    -------
    sets : (sets, max_members) int64
    spans : (sets, 2) int64
        The while that shows each.
    left_out : bool
        Whether there were more than `max_sets`.
    """
    noted = _room(256, tests.max_members)
    seen = np.zeros((len(market.begin) - 1, 2), np.int64)
    left_out = False
    for seed in range(len(seeds)):
        if noted.size[0] >= tests.max_sets:
            left_out = True
            break
        first, end = spans[seed]
        who = seeds[seed][seeds[seed] >= 0]
        barred, widened = -1, False
        while True:
            if noted.size[0] + tests.max_members + 2 > len(noted.sets):
                noted = _wider(noted)
            log_p, weakest = _meets(who, first, end, market, tests)
            if log_p > 0.0 or not (_note(who, first, end, noted) or widened):
                break
            hot = len(who) > 2 and log_p <= tests.log_probability
            for k in range(len(who) if hot else 0):
                _note(np.concatenate((who[:k], who[k + 1 :])), first, end, noted)
            if len(who) > 2 and weakest >= 0 and barred < 0:
                barred = who[weakest]
                who = np.concatenate((who[:weakest], who[weakest + 1 :]))
            if len(who) == tests.max_members or log_p > tests.log_burst:
                break
            other = joins(who, first, end, market, tests.log_join, seen, barred)
            if other >= 0:
                who = np.sort(np.append(who, other))
            elif hot and not widened:
                widened = True
                first, end = max(0, 2 * first - end), min(len(market.src), 2 * end - first)
            else:
                break
    count = noted.size[0]
    return noted.sets[:count].copy(), noted.spans[:count].copy(), left_out


@njit(cache=True)
def _meets(who: Array, first: int, end: int, market: Market, tests: Tests) -> tuple[float, int]:
    """Return the surprise of a set's meetings in a while, and the place of who does not belong.

    That is the member whose own meetings are the least surprising, or -1 where even they are. A
    surprise of 1 stands for many meetings that are too few for a circle: makers', who meet all day.
    """
    rows = among(who, first, end, market, tests.max_set_trades)
    by_chance, weakest, surprise, _ = chance(who, rows, first, end, market)
    if len(rows) > tests.max_long and len(rows) < tests.min_excess_ratio * by_chance:
        return 1.0, -1
    return excess(float(len(rows)), by_chance), weakest if surprise > tests.log_member else -1
