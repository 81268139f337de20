"""The window of a client's order in quote_fading, and the placebo windows it is compared with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.fading_index import OF_EVENTS, OF_STATES, ROOM, above, index_events, index_states
from detectors.fading_state import (
    BUCKET,
    BUCKET_HITS,
    C_HIT,
    C_LEFT,
    C_SEQ,
    C_SIDE,
    C_TOUCH,
    CELL_SHIFT,
    DELTA,
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
    HITS,
    N_EVENTS,
    N_HITS,
    N_STATES,
    PLACEBO_WINDOWS,
    REFS,
    SINCE_NS,
    SLOTS,
    STATES,
    T_ASK,
    T_BID,
    T_MASK,
    T_NS,
)
from detectors.fading_tally import MADE, MADE_WITHDRAWN, NET, OTHER, tally
from detectors.maker_orders import S_ACCOUNT
from ingest.compiled import kernel
from ingest.events import NULL, Array

RETURN_NS: Final = 1_000_000_000
SHORT_RETURN_NS: Final = 100_000_000
"""What came before is alike over these: 1 s and 100 ms (the placebo rule of the product)."""
WIDER: Final = 3
"""Spreads are alike up to this factor: in ticks of a tight market 1 and 3 are one regime."""
_NULL: Final = int(NULL)
_ALL: Final = SLOTS
"""Place of the complex beside the slots in what is counted of one window."""
# Who it is, in one number: two bits a slot, as in the mask of a state, of which the lower is used.
_ALL_BIT: Final = 1 << (2 * SLOTS)
_SLOT_BITS: Final = sum(1 << (2 * slot) for slot in range(SLOTS))
_GROUP_BITS: Final = sum(1 << (2 * slot) for slot in range(GROUP_SLOTS))


@kernel(inline="always")
def draw(seed: int, seq: int, number: int) -> float:
    """Return a number in [0, 1) that is a hash of instrument, client order and draw."""
    z = np.uint64(seed) ^ (np.uint64(seq) * np.uint64(0x9E3779B97F4A7C15))
    z += np.uint64(number + 1) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.float64(np.int64(z >> np.uint64(11))) / 9007199254740992.0


@kernel(inline="always")
def with_all(mask: int) -> int:
    """Return who it is with the complex, where one of its accounts is among them."""
    return mask | _ALL_BIT if mask & _GROUP_BITS else mask


@kernel(inline="always")
def present(mask: int, side: int) -> int:
    """Return who is at the touch of a side, from the mask of a state."""
    return with_all((mask >> 1 if side < 0 else mask) & _SLOT_BITS)


@kernel(inline="always")
def moved(states: Array, x: int, now: int, before: int, direction: int) -> int:
    """Return whether the mid came towards dearer for the client from a state to another; 9 unknown.

    That is what a maker on the other side goes out of the way of. It counts from half a spread on.
    """
    now, then = now & (STATES - 1), before & (STATES - 1)
    was_bid, was_ask = states[x, then, T_BID], states[x, then, T_ASK]
    if was_bid == 0 or was_ask == 0:
        return 9
    bid, ask = states[x, now, T_BID], states[x, now, T_ASK]
    return 1 if direction * (bid + ask - was_bid - was_ask) > ask - bid else 0


@kernel()
def withdrawn(  # noqa: PLR0917
    events: Array, x: int, at: int, upto: int, received: int, side: int, best: int, net: Array
) -> None:
    """Write what each slot withdrew at the touch in a window, less what it posted there, lots.

    The window's events are those from number `at` to before `upto`; a withdrawal counts that was
    received at `received` or later.
    """
    net[:] = 0
    taken = np.int64(0)
    for number in range(at, upto):
        event = events[x, number & (EVENTS - 1)]
        if event[E_SIDE] == side and side * (event[E_PRICE] - best) >= 0:
            if event[E_LOTS] > 0 and event[E_RECEIVED] >= received:
                net[event[E_SLOT]] += event[E_LOTS]
                taken |= np.int64(1) << event[E_SLOT]
            elif event[E_LOTS] < 0:
                net[event[E_SLOT]] += event[E_LOTS]
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


@kernel()
def uncounted(  # noqa: PLR0917
    events: Array, x: int, at: int, upto: int, received: int, side: int, best: int
) -> int:
    """Return who withdrew in a window what no other client's window has had; mark it.

    Clients' windows overlap; a withdrawal in several of them is one decision, and counts once.
    """
    found: Any = np.int64(0)
    for number in range(at, upto):
        event = events[x, number & (EVENTS - 1)]
        there = event[E_SIDE] == side and side * (event[E_PRICE] - best) >= 0
        came = event[E_LOTS] > 0 and event[E_RECEIVED] >= received
        if there and came and not event[E_COUNTED]:
            event[E_COUNTED] = 1
            found |= np.int64(1) << (2 * event[E_SLOT])
    return int(with_all(found))


@kernel(inline="always")
def filled(  # noqa: PLR0917
    events: Array, times: Array, fills: Array, x: int, upto: int, count: int, since: int, side: int
) -> int:
    """Return who was filled on a side from a time on, by events before number `upto`."""
    mask: Any = np.int64(0)
    place = 0 if side > 0 else 1
    oldest = max(-1, count - EVENTS)
    at = fills[x, place, (upto - 1) & (EVENTS - 1)] if upto > 0 else -1
    while at > oldest and times[x, OF_EVENTS, at & (ROOM - 1)] >= since:
        mask |= np.int64(1) << (2 * events[x, at & (EVENTS - 1), E_SLOT])
        at = fills[x, place, (at - 1) & (EVENTS - 1)] if at > 0 else -1
    return int(with_all(mask))


@kernel(inline="always")
def earliest(own: Array, states: Array, events: Array, x: int, since: int) -> int:
    """Return the time at or after `since` from which all that a placebo window needs is kept."""
    oldest = max(0, own[x, N_STATES] - STATES)
    first = max(own[x, SINCE_NS], states[x, oldest & (STATES - 1), T_NS] + RETURN_NS)
    if own[x, N_EVENTS] > EVENTS:
        first = max(first, events[x, own[x, N_EVENTS] & (EVENTS - 1), E_NS] + RETURN_NS)
    return int(max(first, since))


@kernel(inline="always")
def marketable(  # noqa: PLR0917
    numbers: Array, own: Array, states: Array, heads: Array, cells: Array, times: Array, x: int,
    begin: int, end: int, direction: int, limit: int,
) -> int:  # fmt: skip
    """Return the state at `begin` if an order then reached the touch of a whole book, else -1."""
    if begin < own[x, SINCE_NS]:
        return -1
    count, shift = own[x, N_STATES], numbers[CELL_SHIFT]
    index_states(heads, cells, times, states, x, count, end, shift)
    low = max(0, count - STATES)
    at = above(cells, times, x, OF_STATES, low, count, begin, shift) - 1
    if at < low:
        return -1
    bid, ask = states[x, at & (STATES - 1), T_BID], states[x, at & (STATES - 1), T_ASK]
    if bid == 0 or ask == 0 or ask <= bid:
        return -1
    if limit != _NULL and direction * (limit - (ask if direction > 0 else bid)) < 0:
        return -1
    return int(at)


@kernel()
def judge(  # noqa: PLR0917
    numbers: Array, seed: int, own: Array, states: Array, events: Array, slots: Array,
    tallies: Array, hits: Array, heads: Array, cells: Array, times: Array, fills: Array,
    counts: Array, x: int, at: int, seq: int, begin: int, end: int, direction: int, limit: int,
    quantity: int, doubt: int,
) -> None:  # fmt: skip
    """Count one client order's window, its placebos and what was withdrawn from it.

    `at` is the number of the state in which it found the touch.
    """
    length, side, delta, shift = end - begin, -direction, numbers[DELTA], numbers[CELL_SHIFT]
    state, n_states = at & (STATES - 1), own[x, N_STATES]
    bid, ask = states[x, state, T_BID], states[x, state, T_ASK]
    shown_at, spread = ask if direction > 0 else bid, ask - bid
    here = present(states[x, state, T_MASK], side)
    if here == 0:
        return
    low = max(0, n_states - STATES)
    past = above(cells, times, x, OF_STATES, low, n_states, begin - RETURN_NS, shift) - 1
    if past < low:
        return
    recent = above(cells, times, x, OF_STATES, low, n_states, begin - SHORT_RETURN_NS, shift) - 1
    came = moved(states, x, at, past, direction)
    came_short = moved(states, x, at, recent, direction)
    if came == 9 or came_short == 9:
        return
    counts[:] = 0
    n_events = own[x, N_EVENTS]
    index_events(heads, cells, times, fills, events, x, n_events, end, shift)
    low_event = max(0, n_events - EVENTS)
    next_event = above(cells, times, x, OF_EVENTS, low_event, n_events, begin, shift)
    hit_before = filled(events, times, fills, x, next_event, n_events, begin - RETURN_NS, side)
    first_event = _at_or_after(times, x, next_event, low_event, begin)
    end_event = _before(times, x, next_event, n_events, end + 1)
    if first_event < end_event:
        withdrawn(events, x, first_event, end_event, begin + delta, side, shown_at, counts[NET])
    first: Any = earliest(own, states, events, x, begin - numbers[HISTORY_NS])
    last = begin - length
    left: Any = here
    enough = numbers[PLACEBO_WINDOWS]
    for number in range(numbers[DRAWS] if last > first else 0):
        start = first + np.int64(draw(seed, seq, number) * (last - first))
        then = above(cells, times, x, OF_STATES, low, n_states, start, shift) - 1
        if then < low:
            continue
        was = then & (STATES - 1)
        there = present(states[x, was, T_MASK], side) & left
        if there == 0:
            continue
        was_bid, was_ask = states[x, was, T_BID], states[x, was, T_ASK]
        wide = was_ask - was_bid
        if was_bid == 0 or was_ask == 0 or wide <= 0:
            continue
        if wide > WIDER * spread or spread > WIDER * wide:
            continue
        past = above(cells, times, x, OF_STATES, low, n_states, start - RETURN_NS, shift) - 1
        if past < low or moved(states, x, then, past, direction) != came:
            continue
        recent = then
        while times[x, OF_STATES, recent & (ROOM - 1)] > start - SHORT_RETURN_NS:
            recent -= 1  # not below `past`
        if moved(states, x, then, recent, direction) != came_short:
            continue
        next_event = above(cells, times, x, OF_EVENTS, low_event, n_events, start, shift)
        hit_then = filled(events, times, fills, x, next_event, n_events, start - RETURN_NS, side)
        there &= ~(hit_then ^ hit_before)
        if there == 0:
            continue
        from_event = _at_or_after(times, x, next_event, low_event, start)
        upto_event = _before(times, x, next_event, n_events, start + length)
        if from_event < upto_event:
            best = was_ask if direction > 0 else was_bid
            withdrawn(events, x, from_event, upto_event, start + delta, side, best, counts[OTHER])
        for slot in range(SLOTS + 1):
            if there >> 2 * slot & 1:
                counts[MADE, slot] += 1
                if from_event < upto_event and counts[OTHER, slot] > 0:
                    counts[MADE_WITHDRAWN, slot] += 1
                if counts[MADE, slot] == enough:
                    left &= ~(np.int64(1) << 2 * slot)
        if left == 0:
            break
    fresh: Any = np.int64(0)
    if first_event < end_event:
        fresh = uncounted(events, x, first_event, end_event, begin + delta, side, shown_at)
    bucket = own[x, BUCKET] % tallies.shape[1]
    units = tally(tallies[x, bucket], numbers, direction, here, counts, fresh, doubt)
    if units == 0:
        return
    net = counts[NET]
    hit = hits[x, own[x, N_HITS] % HITS]
    hit[:] = 0
    hit[H_NS], hit[H_RECEIVED], hit[H_SEQ], hit[H_SIDE] = end, begin, seq, direction
    hit[H_UNITS], hit[H_DOUBT] = units, doubt
    hit[H_LOTS] = net[_ALL]
    reached = above(cells, times, x, OF_EVENTS, low_event, n_events, begin + delta - 1, shift)
    _cite(hit, events[x], reached, n_events, slots[x], begin + delta, side, direction, limit)
    own[x, C_SEQ], own[x, C_HIT] = seq, own[x, N_HITS]
    own[x, C_SIDE], own[x, C_TOUCH] = direction, shown_at
    own[x, C_LEFT] = min(hit[H_LOTS], quantity)
    own[x, N_HITS] += 1
    own[x, BUCKET_HITS] += 1


@kernel(inline="always")
def _at_or_after(times: Array, x: int, at: int, low: int, ns: int) -> int:
    """Return the first event at `ns` or later, from the first one after it."""
    while at > low and times[x, OF_EVENTS, (at - 1) & (ROOM - 1)] >= ns:
        at -= 1
    return at


@kernel(inline="always")
def _before(times: Array, x: int, at: int, count: int, ns: int) -> int:
    """Return the first event at `ns` or later, from one before it."""
    while at < count and times[x, OF_EVENTS, at & (ROOM - 1)] < ns:
        at += 1
    return at


@kernel()
def _cite(  # noqa: PLR0917
    hit: Array,
    events: Array,
    at: int,
    count: int,
    slots: Array,
    since: int,
    side: int,
    direction: int,
    limit: int,
) -> None:
    """Write the group's withdrawals of a window that the client's order could have reached."""
    cited = 0
    while at < count and cited < REFS:
        event = events[at & (EVENTS - 1)]
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
