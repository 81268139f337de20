"""The group's resting orders as the scan keeps them, and what was added to them lately.

A maker has about as many orders on a side whatever happens: it moves them, and enters anew what was
filled. Who is about to run stops has more of them on one side, for seconds. How many were added is
counted beyond what there were some seconds before, beyond the habit, and beyond what was added on
the other side; how often that is so at all is a habit too. Who withdraws all quotes, so as not to
be hit by its own push, and then waits on one side only, or by one order there, has fewer orders
than before: these count as added all the same. An order of the maker's that is many times as large
as its usual ones, or as far behind the touch, counts as many.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.compiled import kernel
from ingest.events import NULL, Array

QUOTES: Final = 128
"""The group's resting orders that are kept an instrument; of more the oldest is forgotten."""
SLOTS: Final = 8
"""Parts of the time before a push in which an order that catches is entered: how finely it is
remembered how many orders the group had."""
PAST: Final = 2 * SLOTS
LIVE, ADDED = 63, 8
"""Orders that the group has on a side, and that it added, from which more are as many."""
USUAL: Final = 50
"""One in so many of the maker's orders may be larger than its usual ones; as many must be known."""
SIZES: Final = 48
"""Sizes of orders that are told apart, in doublings of a lot, and distances, of a tick."""
BY_SIZE, BY_DISTANCE = range(2)
FAR_TIMES: Final = 3
"""How many times as far behind the touch as all but one in fifty an order must rest to count as
more: prices move, and quotes are left behind, by twice as much."""
_NULL: Final = int(NULL)
ANEW_NS: Final = 100_000_000
"""Quotes withdrawn on both sides within such a time are set anew: a maker's round takes less."""
MEMORY: Final = 16_384
"""Moments after which what was seen of the group's habit counts half: some hours."""

# Head of an instrument: how many slots were made; how many orders there are, in the order of
# `place_of`; the place after the last that is taken; when one was last filled, and last taken away,
# in that order too; the largest size and distance of the maker's orders, in doublings of a lot and
# of a tick; how many of its live ones count as more than one by either. The kernel's own follow.
H_PAST, H_LIVE, H_TOP, H_HIT_NS, H_AWAY_NS = 0, 1, 5, 6, 10
H_MOST, H_MANY, HEAD_OWN = 14, 16, 18

# A resting order of the group: Q_ID 0 = a free place; Q_COUNT: as how many orders it counts, by its
# size and by its distance.
Q_ID, Q_SIDE, Q_LOTS, Q_MADE, Q_NS, Q_LANE, Q_COUNT = range(7)
Q_PRICE: Final = Q_COUNT + 2
QUOTE_FIELDS: Final = Q_PRICE + 1

PAST_FIELDS: Final = 5
"""How many orders there were at the end of a slot of time: its number, and as from H_LIVE."""


@kernel()
def place_of(lane: int, side: int) -> int:
    """Return where orders on a side are counted; lane 0 = the affiliated maker's, 1 = others'."""
    return 2 * lane + (0 if side > 0 else 1)


@kernel()
def quote_at(own: Array, quotes: Array, order: np.int64) -> int:
    """Return where a resting order of the group is kept, or -1."""
    for at in range(own[H_TOP]):
        if quotes[at, Q_ID] == order and order != 0:
            return at
    return -1


@kernel()
def _counts(own: Array, quote: Array, by: int, count: int) -> None:
    """Have a resting order count as so many of the usual ones, by its size or its distance."""
    own[H_MANY + by] += (count > 1) - (quote[Q_COUNT + by] > 1)
    quote[Q_COUNT + by] = count


@kernel()
def gone(own: Array, quotes: Array, at: int) -> None:
    """Forget a resting order of the group."""
    if at >= 0:
        own[H_LIVE + place_of(quotes[at, Q_LANE], quotes[at, Q_SIDE])] -= 1
        for by in (BY_SIZE, BY_DISTANCE):
            _counts(own, quotes[at], by, 1)
        quotes[at, Q_ID] = 0
        while own[H_TOP] > 0 and quotes[own[H_TOP] - 1, Q_ID] == 0:
            own[H_TOP] -= 1


@kernel()
def behind_touch(side: int, price: int, bid: int, ask: int) -> int:
    """Return how far behind the touch of its side a price is, ticks; -1 where that is not known."""
    touch = bid if side > 0 else ask
    if _NULL in (touch, price) or side == 0:
        return -1
    return int(max(0, side * (touch - price)))


@kernel()
def counted(own: Array, sizes: Array, by: int, much: int) -> int:
    """Return as how many of the maker's usual orders one counts, and count how much it is.

    One, but where its size (its distance) has more binary digits than all but one in fifty have.
    """
    size, left = 0, much >> 1
    while left > 0 and size < SIZES - 1:
        left >>= 1
        size += 1
    own[H_MOST + by] = max(own[H_MOST + by], size)
    usual, larger = own[H_MOST + by], 0
    while usual > 0 and (larger + sizes[by, usual]) * USUAL <= sizes[by, SIZES]:
        larger += sizes[by, usual]
        usual -= 1
    known = sizes[by, SIZES] >= USUAL
    seen(sizes[by], size)
    return int(min(ADDED, much >> usual)) if known and size > usual else 1


@kernel()
def _far(own: Array, sizes: Array, behind: int) -> int:
    """Return as how many of the maker's usual orders one counts by how far behind the touch it is.

    -1: that is not known.
    """
    if behind < 0:
        return 1
    far = counted(own, sizes, BY_DISTANCE, behind)
    return far if far >= FAR_TIMES else 1


@kernel()
def come(  # noqa: PLR0917
    own: Array, quotes: Array, sizes: Array, lane: int, order: np.int64, side: int, lots: int,
    price: int, behind: int, seq: int, now_ns: int,
) -> None:  # fmt: skip
    """Keep a resting order of the group, in place of the oldest where there is no room.

    `behind`: ticks from the touch; -1 = it is not known.
    """
    if order == 0 or lots <= 0 or quote_at(own, quotes, order) >= 0:
        return
    place = 0
    for at in range(QUOTES):
        if quotes[at, Q_ID] == 0:
            place = at
            break
        if quotes[at, Q_MADE] < quotes[place, Q_MADE]:
            place = at
    if quotes[place, Q_ID] != 0:
        gone(own, quotes, place)
    large = counted(own, sizes, BY_SIZE, lots) if lane == 0 else 1
    far = _far(own, sizes, behind) if lane == 0 else 1
    own[H_LIVE + place_of(lane, side)] += 1
    own[H_TOP] = max(own[H_TOP], place + 1)
    quote = quotes[place]
    quote[Q_ID], quote[Q_SIDE], quote[Q_LOTS], quote[Q_MADE] = order, side, lots, seq
    quote[Q_NS], quote[Q_LANE], quote[Q_PRICE] = now_ns, lane, price
    _counts(own, quote, BY_SIZE, large)
    _counts(own, quote, BY_DISTANCE, far)


@kernel()
def away(own: Array, quotes: Array, at: int, now_ns: int) -> None:
    """Forget a resting order that the group took away."""
    if at >= 0:
        own[H_AWAY_NS + place_of(quotes[at, Q_LANE], quotes[at, Q_SIDE])] = now_ns
        gone(own, quotes, at)


@kernel()
def less(own: Array, quotes: Array, order: np.int64, lots: int, now_ns: int) -> None:
    """Take a fill of an order of the group into account."""
    at = quote_at(own, quotes, order)
    if at >= 0:
        own[H_HIT_NS + place_of(quotes[at, Q_LANE], quotes[at, Q_SIDE])] = now_ns
        quotes[at, Q_LOTS] -= lots
        if quotes[at, Q_LOTS] <= 0:
            gone(own, quotes, at)


@kernel(inline="always")
def noted(own: Array, past: Array, x: int, now_ns: int, lead_ns: int) -> None:
    """Remember how many orders the group has on either side, for the slot of time that it is."""
    at = (own[H_PAST] - 1) % PAST
    since = now_ns * SLOTS - past[x, at, 0] * lead_ns
    if own[H_PAST] == 0 or not 0 <= since < lead_ns:
        at = own[H_PAST] % PAST
        own[H_PAST] += 1
        past[x, at, 0] = now_ns * SLOTS // lead_ns
    for place in range(PAST_FIELDS - 1):
        past[x, at, 1 + place] = own[H_LIVE + place]


@kernel()
def _median(usual: Array, place: int) -> int:
    """Return the median of the numbers seen on a side; their sum is in the last place."""
    below = 0
    for at in range(LIVE + 1):
        below += usual[place, at]
        if 2 * below >= usual[place, LIVE + 1]:
            return at
    return LIVE


@kernel()
def _fresh(own: Array, quotes: Array, lane: int, side: int, since_ns: int) -> int:
    """Return how many orders one of the group has on a side that were entered since a time."""
    fresh = 0
    for at in range(own[H_TOP]):
        if (
            quotes[at, Q_ID] != 0
            and quotes[at, Q_LANE] == lane
            and quotes[at, Q_SIDE] == side
            and quotes[at, Q_NS] >= since_ns
        ):
            fresh += 1
    return fresh


@kernel()
def _extra(  # noqa: PLR0917
    own: Array, quotes: Array, usual: Array, then: int, lane: int, side: int, since_ns: int
) -> int:
    """Return how many orders one of the group has on a side beyond its habit, entered lately.

    `then`: how many there were at `since_ns`.
    """
    place = place_of(lane, side)
    live = own[H_LIVE + place]
    more = min(live - then, ADDED)
    if more > 0:
        more = min(more, live - _median(usual, place))
    if more <= 0:
        return 0
    return int(min(more, _fresh(own, quotes, lane, side, since_ns)))


@kernel()
def _alone(own: Array, quotes: Array, lane: int, side: int, since_ns: int) -> int:
    """Return how many orders one of the group has on a side alone, all of them entered lately.

    0 unless it withdrew the last on the other lately, and none was filled there meanwhile: who has
    been hit is on one side alone by what others did.
    """
    away = place_of(lane, -side)
    live = own[H_LIVE + place_of(lane, side)]
    if live == 0 or own[H_LIVE + away] > 0:
        return 0
    if own[H_AWAY_NS + away] < since_ns or own[H_HIT_NS + away] >= since_ns:
        return 0
    return int(min(live, ADDED)) if _fresh(own, quotes, lane, side, since_ns) == live else 0


@kernel()
def amended(  # noqa: PLR0917
    own: Array, quotes: Array, sizes: Array, at: int, lots: int, price: int, behind: int,
    now_ns: int,
) -> None:  # fmt: skip
    """Take an amendment of a resting order of the group into account.

    One made large is new, and so is one moved far behind the touch; one that is there no longer
    counts as one.
    """
    if at < 0:
        return
    quote = quotes[at]
    if quote[Q_LANE] == 0:
        large = counted(own, sizes, BY_SIZE, lots) if lots > quote[Q_LOTS] else 1
        if large > quote[Q_COUNT + BY_SIZE]:
            _counts(own, quote, BY_SIZE, large)
            quote[Q_NS] = now_ns
        if price != quote[Q_PRICE]:
            far = _far(own, sizes, behind)
            if far > quote[Q_COUNT + BY_DISTANCE]:
                quote[Q_NS] = now_ns
            _counts(own, quote, BY_DISTANCE, far)
            quote[Q_PRICE] = price
    quote[Q_LOTS] = lots


@kernel()
def _lone(  # noqa: PLR0917
    own: Array, quotes: Array, usual: Array, lane: int, side: int, since_ns: int
) -> int:  # fmt: skip
    """Return how many orders usually are on a side from which all but a few were withdrawn.

    0 unless all that are there were entered lately, none was filled there since the withdrawal, and
    they are no more than half of what there usually are; nor where there are none on the other side
    (see `_alone`), or some were withdrawn there in the same round: set anew.
    """
    here, there = place_of(lane, side), place_of(lane, -side)
    orders = own[H_LIVE + here]
    if orders == 0 or own[H_LIVE + there] == 0:
        return 0
    if own[H_AWAY_NS + here] < max(since_ns, own[H_HIT_NS + here]):
        return 0
    if abs(own[H_AWAY_NS + there] - own[H_AWAY_NS + here]) < ANEW_NS:
        return 0
    usually = _median(usual, here)
    few = 2 * orders <= usually and _fresh(own, quotes, lane, side, since_ns) == orders
    return int(min(usually, ADDED)) if few else 0


@kernel()
def _beyond(own: Array, quotes: Array, by: int, side: int, since_ns: int) -> int:
    """Return as how many more than they are the maker's orders entered lately on a side count."""
    more = 0
    for at in range(own[H_TOP] if own[H_MANY + by] > 0 else 0):
        if quotes[at, Q_ID] != 0 and quotes[at, Q_LANE] == 0 and quotes[at, Q_SIDE] == side:
            more += quotes[at, Q_COUNT + by] - 1 if quotes[at, Q_NS] >= since_ns else 0
    return int(min(more, ADDED))


@kernel()
def added_to(  # noqa: PLR0917
    own: Array, quotes: Array, past: Array, usual: Array, side: int, now_ns: int, lead_ns: int
) -> tuple[int, int]:
    """Return how many orders the group added lately on a side, beyond those on the other.

    And 1 where that is not by their number alone, but by what is missing or by size. Quotes that
    are moved, entered again after a fill or set anew add none. The maker and the others
    of the group are looked at apart: what one takes away hides nothing that the other added.
    """
    if own[H_LIVE + place_of(0, side)] == 0 and own[H_LIVE + place_of(1, side)] == 0:
        return 0, 0
    slot = now_ns * SLOTS // lead_ns - SLOTS
    for back in range(1, min(own[H_PAST], PAST) + 1):
        at = (own[H_PAST] - back) % PAST
        if past[at, 0] < slot:
            most, lone, since_ns = 0, 0, now_ns - lead_ns
            for lane in range(2):
                if own[H_LIVE + place_of(lane, side)] == 0:
                    continue
                then = past[at, 1 + place_of(lane, side)]
                extra = _extra(own, quotes, usual, then, lane, side, since_ns)
                if extra > most:
                    then = past[at, 1 + place_of(lane, -side)]
                    extra -= _extra(own, quotes, usual, then, lane, -side, since_ns)
                    most = max(most, extra)
                most = max(most, _alone(own, quotes, lane, side, since_ns))
                lone = max(lone, _lone(own, quotes, usual, lane, side, since_ns))
            large = _beyond(own, quotes, BY_SIZE, side, since_ns)
            # Who steps back does so on both sides.
            far = _beyond(own, quotes, BY_DISTANCE, side, since_ns)
            far -= _beyond(own, quotes, BY_DISTANCE, -side, since_ns)
            added = min(max(most, lone) + max(large, far), ADDED)
            return added, 1 if added > most else 0
    return 0, 0


@kernel()
def seen(habit: Array, number: int) -> None:
    """Count a number seen; the last place is the sum of the others."""
    most = len(habit) - 2
    habit[min(number, most)] += 1
    habit[most + 1] += 1
    if habit[most + 1] >= MEMORY:
        total = 0
        for at in range(most + 1):
            habit[at] //= 2
            total += habit[at]
        habit[most + 1] = total


@kernel()
def as_many(habit: Array, added: int) -> int:
    """Return at how many of the moments seen the group had added as many orders, or more."""
    total = 0
    for at in range(added, ADDED + 1):
        total += habit[at]
    return total
