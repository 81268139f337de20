"""The window of a client's order in quote_fading, and the placebo windows it is compared with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.fading_book import after, group_mask, search
from detectors.fading_state import (
    BUCKET_HITS,
    C_HIT,
    C_LEFT,
    C_SEQ,
    C_SIDE,
    C_TOUCH,
    COMPLEX,
    DELTA,
    DOUBTFUL,
    DRAWS,
    E_COUNTED,
    E_LOTS,
    E_NS,
    E_PRICE,
    E_RECEIVED,
    E_SEQ,
    E_SIDE,
    E_SLOT,
    EVENTS,
    GROUP_SLOTS,
    H_ACCOUNT,
    H_DOUBT,
    H_LOTS,
    H_NS,
    H_RECEIVED,
    H_REF,
    H_SEQ,
    H_SIDE,
    H_UNITS,
    HISTORY_NS,
    HIT_LEVEL,
    HITS,
    LEAST_PLACEBOS,
    LEVEL,
    LEVELS,
    N_EVENTS,
    N_HITS,
    N_STATES,
    PEERS,
    PLACEBO_WINDOWS,
    PLACEBO_WITHDRAWN,
    PLACEBOS,
    REFS,
    SINCE_NS,
    SLOTS,
    STATES,
    T_ASK,
    T_BID,
    T_MASK,
    T_NS,
    WINDOWS,
    WITHDRAWN,
)
from detectors.maker_orders import S_ACCOUNT
from ingest.compiled import njit
from ingest.events import NULL, Array

RETURN_NS: Final = 1_000_000_000
SHORT_RETURN_NS: Final = 100_000_000
"""What came before is alike over these: 1 s and 100 ms (the placebo rule of the product)."""
WIDER: Final = 3
"""Spreads are alike up to this factor: in ticks of a tight market 1 and 3 are one regime."""
_NULL: Final = int(NULL)
_ALL: Final = SLOTS
"""Place of the complex beside the slots in what is counted of one window."""


@njit(cache=True)
def draw(seed: int, seq: int, number: int) -> float:
    """Return a number in [0, 1) that is a hash of instrument, client order and draw."""
    z = np.uint64(seed) ^ (np.uint64(seq) * np.uint64(0x9E3779B97F4A7C15))
    z += np.uint64(number + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.float64(z >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True)
def moved(  # noqa: PLR0917
    states: Array, count: int, at: int, begin: int, back: int, direction: int
) -> int:
    """Return whether the mid came towards dearer for the client by a time; 9 unknown.

    That is what a maker on the other side goes out of the way of. It counts from half a spread on.
    """
    before = search(states, count, STATES, begin - back)
    if before < 0:
        return 9
    now, then = states[at % STATES], states[before % STATES]
    if then[T_BID] == 0 or then[T_ASK] == 0:
        return 9
    change = direction * (now[T_BID] + now[T_ASK] - then[T_BID] - then[T_ASK])
    return 1 if change > now[T_ASK] - now[T_BID] else 0


@njit(cache=True)
def withdrawn(  # noqa: PLR0917
    events: Array, count: int, begin: int, end: int, delta: int, side: int, best: int, net: Array
) -> None:
    """Write what each slot withdrew at the touch in a window, less what it posted there, lots."""
    net[:] = 0
    at = after(events, count, EVENTS, begin - 1)
    taken = np.int64(0)
    while at < count:
        event = events[at % EVENTS]
        if event[E_NS] >= end:
            break
        if event[E_SIDE] == side and side * (event[E_PRICE] - best) >= 0:
            if event[E_LOTS] > 0 and event[E_RECEIVED] >= begin + delta:
                net[event[E_SLOT]] += event[E_LOTS]
                taken |= np.int64(1) << event[E_SLOT]
            elif event[E_LOTS] < 0:
                net[event[E_SLOT]] += event[E_LOTS]
        at += 1
    ours = False
    for slot in range(GROUP_SLOTS):
        net[_ALL] += net[slot]
        ours = ours or bool(taken >> slot & 1)
    if not ours:
        net[_ALL] = 0
    for slot in range(SLOTS):
        # What another account of the group offers in its place is not gone for the client.
        if not taken >> slot & 1 or (slot < GROUP_SLOTS and net[_ALL] <= 0):
            net[slot] = 0


@njit(cache=True)
def uncounted(  # noqa: PLR0917
    events: Array, count: int, begin: int, end: int, delta: int, side: int, best: int
) -> int:
    """Return who withdrew in a window what no other client's window has had: a bit each; mark it.

    Clients' windows overlap; a withdrawal in several of them is one decision, and counts once.
    """
    found: Any = np.int64(0)
    at = after(events, count, EVENTS, begin - 1)
    while at < count:
        event = events[at % EVENTS]
        if event[E_NS] >= end:
            break
        there = event[E_SIDE] == side and side * (event[E_PRICE] - best) >= 0
        came = event[E_LOTS] > 0 and event[E_RECEIVED] >= begin + delta
        if there and came and not event[E_COUNTED]:
            event[E_COUNTED] = 1
            found |= np.int64(1) << event[E_SLOT]
        at += 1
    return group_mask(int(found), GROUP_SLOTS, _ALL)


@njit(cache=True)
def filled(events: Array, count: int, begin: int, back: int, side: int) -> int:
    """Return which slots were filled on a side shortly before a time: a bit each."""
    mask: Any = np.int64(0)
    at = search(events, count, EVENTS, begin)
    while at >= 0 and at > count - EVENTS:
        event = events[at % EVENTS]
        if event[E_NS] < begin - back:
            break
        if event[E_LOTS] == 0 and event[E_SIDE] == side:
            mask |= np.int64(1) << event[E_SLOT]
        at -= 1
    return int(mask)


@njit(cache=True)
def present(mask: int, side: int) -> int:
    """Return who is at the touch of a side, from the mask of a state: a bit a slot, then all."""
    found: Any = np.int64(0)
    for slot in range(SLOTS):
        if mask >> (2 * slot + (1 if side < 0 else 0)) & 1:
            found |= np.int64(1) << slot
    if found & ((1 << GROUP_SLOTS) - 1):
        found |= np.int64(1) << _ALL
    return int(found)


@njit(cache=True)
def earliest(own: Array, states: Array, events: Array, since: int) -> int:
    """Return the time at or after `since` from which all that a placebo window needs is kept."""
    oldest = max(0, own[N_STATES] - STATES)
    first = max(own[SINCE_NS], states[oldest % STATES, T_NS] + RETURN_NS)
    if own[N_EVENTS] > EVENTS:
        first = max(first, events[own[N_EVENTS] % EVENTS, E_NS] + RETURN_NS)
    return int(max(first, since))


@njit(cache=True)
def tally(  # noqa: PLR0917
    tallies: Array, numbers: Array, direction: int, here: int, net: Array, fresh: int, made: Array,
    made_withdrawn: Array, doubt: int,
) -> int:  # fmt: skip
    """Count a window with its placebos for each unit; return the group's that withdrew: a bit each.

    `here` says who was at the touch, `net` what each withdrew there, `fresh` who withdrew what had
    not been counted (the window of who did not is left out); `made` how many placebos each has,
    `made_withdrawn` those in which it withdrew.
    """
    units: Any = np.int64(0)
    for slot in range(SLOTS + 1):
        if not here >> slot & 1 or made[slot] < numbers[LEAST_PLACEBOS]:
            continue
        unit = COMPLEX if slot == _ALL else (slot + 1 if slot < GROUP_SLOTS else PEERS)
        counts = tallies[unit, 0 if direction > 0 else 1]
        real = 1 if net[slot] > 0 else 0
        if real and unit != PEERS:
            units |= np.int64(1) << unit
        if real and not fresh >> slot & 1:
            continue
        counts[WINDOWS] += 1
        counts[WITHDRAWN] += real
        counts[PLACEBOS] += made[slot]
        counts[PLACEBO_WITHDRAWN] += made_withdrawn[slot]
        counts[DOUBTFUL] += doubt
        both = made_withdrawn[slot] + real
        if both:
            # Rounded up: a chance is never told smaller than it is.
            level = (LEVELS * both + made[slot]) // (made[slot] + 1) - 1
            counts[LEVEL + level] += 1
            counts[HIT_LEVEL + level] += real
    return int(units)


@njit(cache=True)
def judge(  # noqa: PLR0917
    numbers: Array,
    seed: int,
    own: Array,
    states: Array,
    events: Array,
    slots: Array,
    tallies: Array,
    hits: Array,
    seq: int,
    begin: int,
    end: int,
    direction: int,
    limit: int,
    quantity: int,
    doubt: int,
) -> None:
    """Count one client order's window, its placebos and what was withdrawn from it."""
    length, side = end - begin, -direction
    at = search(states, own[N_STATES], STATES, begin)
    if at < 0 or begin < own[SINCE_NS]:
        return
    state = states[at % STATES]
    shown_at = state[T_ASK] if direction > 0 else state[T_BID]
    spread = state[T_ASK] - state[T_BID]
    if state[T_BID] == 0 or state[T_ASK] == 0 or spread <= 0:
        return
    if limit != _NULL and direction * (limit - shown_at) < 0:
        return
    here = present(state[T_MASK], side)
    came = moved(states, own[N_STATES], at, begin, RETURN_NS, direction)
    came_short = moved(states, own[N_STATES], at, begin, SHORT_RETURN_NS, direction)
    if here == 0 or came == 9 or came_short == 9:
        return
    net, other = np.zeros(SLOTS + 1, np.int64), np.zeros(SLOTS + 1, np.int64)
    made, made_withdrawn = np.zeros(SLOTS + 1, np.int64), np.zeros(SLOTS + 1, np.int64)
    withdrawn(events, own[N_EVENTS], begin, end + 1, numbers[DELTA], side, shown_at, net)
    hit_before = group_mask(
        filled(events, own[N_EVENTS], begin, RETURN_NS, side), GROUP_SLOTS, _ALL
    )
    first: Any = earliest(own, states, events, begin - numbers[HISTORY_NS])
    last = begin - length
    left: Any = here
    for number in range(numbers[DRAWS] if last > first else 0):
        start = first + np.int64(draw(seed, seq, number) * (last - first))
        then = search(states, own[N_STATES], STATES, start)
        if then < 0:
            continue
        was = states[then % STATES]
        wide = was[T_ASK] - was[T_BID]
        there = present(was[T_MASK], side) & left
        if there == 0 or was[T_BID] == 0 or was[T_ASK] == 0:
            continue
        if wide <= 0 or wide > WIDER * spread or spread > WIDER * wide:
            continue
        if moved(states, own[N_STATES], then, start, RETURN_NS, direction) != came:
            continue
        if moved(states, own[N_STATES], then, start, SHORT_RETURN_NS, direction) != came_short:
            continue
        hit_then = group_mask(
            filled(events, own[N_EVENTS], start, RETURN_NS, side), GROUP_SLOTS, _ALL
        )
        there &= ~(hit_then ^ hit_before)
        if there == 0:
            continue
        best = was[T_ASK] if direction > 0 else was[T_BID]
        withdrawn(events, own[N_EVENTS], start, start + length, numbers[DELTA], side, best, other)
        for slot in range(SLOTS + 1):
            if there >> slot & 1:
                made[slot] += 1
                made_withdrawn[slot] += 1 if other[slot] > 0 else 0
                if made[slot] == numbers[PLACEBO_WINDOWS]:
                    left &= ~(np.int64(1) << slot)
        if left == 0:
            break
    fresh = uncounted(events, own[N_EVENTS], begin, end + 1, numbers[DELTA], side, shown_at)
    units = tally(tallies, numbers, direction, here, net, fresh, made, made_withdrawn, doubt)
    if units == 0:
        return
    hit = hits[own[N_HITS] % HITS]
    hit[:] = 0
    hit[H_NS], hit[H_RECEIVED], hit[H_SEQ], hit[H_SIDE] = end, begin, seq, direction
    hit[H_UNITS], hit[H_DOUBT] = units, doubt
    hit[H_LOTS] = net[_ALL] if net[_ALL] > 0 else net[:GROUP_SLOTS].max()
    _cite(hit, events, own[N_EVENTS], slots, begin + numbers[DELTA], side, direction, limit)
    own[C_SEQ], own[C_HIT], own[C_SIDE], own[C_TOUCH] = seq, own[N_HITS], direction, shown_at
    own[C_LEFT] = min(hit[H_LOTS], quantity)
    own[N_HITS] += 1
    own[BUCKET_HITS] += 1


@njit(cache=True)
def _cite(  # noqa: PLR0917
    hit: Array,
    events: Array,
    count: int,
    slots: Array,
    since: int,
    side: int,
    direction: int,
    limit: int,
) -> None:
    """Write the group's withdrawals of a window that the client's order could have reached."""
    cited = 0
    at = after(events, count, EVENTS, since - 1)
    while at < count and cited < REFS:
        event = events[at % EVENTS]
        if (
            event[E_LOTS] > 0
            and event[E_SIDE] == side
            and event[E_SLOT] < GROUP_SLOTS
            and event[E_RECEIVED] >= since
            and (limit == _NULL or direction * (limit - event[E_PRICE]) >= 0)
        ):
            hit[H_REF + cited] = event[E_SEQ]
            hit[H_ACCOUNT + cited] = slots[event[E_SLOT], S_ACCOUNT]
            cited += 1
        at += 1
