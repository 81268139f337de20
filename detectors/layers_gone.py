"""What went from a side at the end of a surge: whether it was taken back, and had come for it.

What was filled, or taken away by the venue, was not withdrawn; nor what had stood before; nor, once
the other side was filled, what came since that fill, or is there again.
"""

from __future__ import annotations

import numpy as np

from detectors.layers_state import (
    FEWEST_ORDERS,
    L_ENTRY,
    L_LOTS,
    L_NS,
    L_SEQ,
    L_SINCE,
    LAYER_FIELDS,
    LAYERS,
    NEVER,
    ORDERS_LANE,
    P_GROUP,
    X_FALL_NS,
    X_FILLED,
    X_FILLED_AT,
    X_FORCED,
    X_FORCED_AT,
    X_HIT_KEPT,
    X_HIT_NS,
    X_MADE_GONE,
    X_ON_NS,
    X_OTHER,
    X_OTHER_AT,
    X_PEAK_SHOWN,
    X_SCALE,
    X_SHOWN,
    X_TWIN,
    X_USUAL,
)  # fmt: skip
from ingest.compiled import kernel, njit
from ingest.events import Array


@kernel()
def kept_by_choice(lane: Array) -> int:
    """Return what a lane would show had nothing been filled or taken away."""
    return int(lane[X_SHOWN] + lane[X_FILLED] + lane[X_FORCED])


@kernel()
def withdrawn_of(side: Array) -> int:
    """Return what went from a lane by choice since the height of its surge."""
    fallen = side[X_PEAK_SHOWN] - side[X_SHOWN]
    filled = side[X_FILLED] - side[X_FILLED_AT]
    return int(max(0, fallen - filled - (side[X_FORCED] - side[X_FORCED_AT])))


@kernel()
def usual_of(side: Array) -> int:
    """Return what is usual of a lane, with which a surge is compared."""
    return int(max(side[X_SCALE], side[X_USUAL], 1))


@kernel()
def ratio_of(side: Array, other: Array) -> float:
    """Return what was withdrawn beyond what the other side lost likewise, over what is usual.

    The other side loses of what its fills left: whose quote goes off on both sides takes no more
    away than that.
    """
    left = side[X_OTHER] - (other[X_FILLED] - side[X_OTHER_AT])
    stays = min(1.0, other[X_SHOWN] / left) if left > 0 else 1.0
    return float((withdrawn_of(side) - side[X_PEAK_SHOWN] * (1 - stays)) / usual_of(side))


@kernel()
def _by_the_fill(
    made: int, layers: Array, since_ns: int, hit_ns: int, by_number: bool
) -> tuple[int, int]:
    """Return what was withdrawn after the last fill: of what stood at it and had come, and since.

    In lots, or in records of orders withdrawn.
    """
    stood = since = np.int64(0)
    for back in range(min(made, LAYERS)):
        layer = layers[(made - 1 - back) % LAYERS]
        if layer[L_NS] < hit_ns:
            break
        amount = np.int64(1) if by_number else layer[L_LOTS]
        if layer[L_SINCE] > hit_ns:
            since += amount
        elif layer[L_SINCE] >= since_ns:
            stood += amount
    return int(stood), int(since)


@kernel()
def _in_lots(made: int, layers: Array, on_ns: int, since_ns: int) -> int:
    """Return the lots withdrawn in a surge by orders that had come for it."""
    lots = np.int64(0)
    for back in range(min(made, LAYERS)):
        layer = layers[(made - 1 - back) % LAYERS]
        if layer[L_NS] < on_ns:
            break
        if layer[L_SINCE] >= since_ns:
            lots += layer[L_LOTS]
    return int(lots)


@njit(cache=True)
def _in_orders(  # noqa: PLR0917
    made: int, layers: Array, on_ns: int, since_ns: int, fall_ns: int, most: int
) -> tuple[int, int]:
    """Return how many orders were withdrawn, and the lots of the `most` next to the fall.

    An order that went in parts counts once, as its first part.
    """
    kept = np.empty((LAYERS, LAYER_FIELDS), np.int64)
    count = 0
    for back in range(min(made, LAYERS)):
        layer = layers[(made - 1 - back) % LAYERS]
        if layer[L_NS] < on_ns:
            break
        if layer[L_SINCE] < since_ns:
            continue
        at = 0
        while at < count and kept[at, L_ENTRY] != layer[L_ENTRY]:
            at += 1
        kept[at] = layer
        count = max(count, at + 1)
    lots = np.int64(0)
    for _ in range(min(most, count)):
        near, best = -1, np.int64(NEVER)
        for n in range(count):
            away = abs(kept[n, L_NS] - fall_ns)
            first = away == best and kept[n, L_SEQ] < kept[near, L_SEQ]
            if kept[n, L_LOTS] >= 0 and (away < best or first):
                near, best = n, away
        lots += kept[near, L_LOTS]
        kept[near, L_LOTS] = -1
    return count, int(lots)


@kernel()
def withdraws(  # noqa: PLR0917
    parties: Array, sides: Array, layers: Array, p: int, s: int, least: float, majority: float,
    settle_ns: int,
) -> bool:  # fmt: skip
    """Return whether most of what went was taken back, had come for it, and is less in all."""
    side = sides[p, s]
    withdrawn = withdrawn_of(side)
    fallen = max(1, side[X_PEAK_SHOWN] - side[X_SHOWN])
    if withdrawn < majority * fallen or ratio_of(side, sides[p, s ^ 1]) < least:
        return False
    twin = side[X_TWIN] - kept_by_choice(sides[p, s ^ 2])
    of_side = s % ORDERS_LANE
    made, gone = sides[p, of_side, X_MADE_GONE], layers[p, of_side]
    on_ns = side[X_ON_NS]
    if s < ORDERS_LANE:
        # An account beside the complex as one must have layers: one order of its own is no pattern.
        orders = 1 if p == 0 or parties[p, P_GROUP] == 0 else 2
        came = _in_lots(made, gone, on_ns, on_ns - settle_ns)
        return bool(twin >= orders and came >= majority * withdrawn)
    # As much in fewer orders is not less: a quote that was split, and is whole again.
    came, lots = _in_orders(made, gone, on_ns, on_ns - settle_ns, side[X_FALL_NS], withdrawn)
    return bool(
        twin >= max(1.0, majority * lots)
        and withdrawn >= FEWEST_ORDERS
        and came >= majority * withdrawn
    )


@kernel()
def stood_at_the_fill(  # noqa: PLR0917
    sides: Array, layers: Array, p: int, s: int, majority: float, settle_ns: int
) -> bool:  # fmt: skip
    """Return whether most of what a surge withdrew stood at its last fill, and is not there again.

    As much as when it was filled: then it was entered anew.
    """
    side, of_side = sides[p, s], s % ORDERS_LANE
    withdrawn = withdrawn_of(side)
    stood, since = _by_the_fill(
        sides[p, of_side, X_MADE_GONE], layers[p, of_side], side[X_ON_NS] - settle_ns,
        side[X_HIT_NS], s >= ORDERS_LANE,
    )  # fmt: skip
    less = side[X_HIT_KEPT] - kept_by_choice(side)
    return bool(
        stood >= majority * (withdrawn - since) and less >= majority * min(withdrawn, stood)
    )
