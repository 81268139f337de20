"""Looks at makers' quotes: what the group's hold beside each peer's, and where the others go.

A quote's distance from a peer's is in part habit: another width, a stock to be got rid of, a slow
model. What it has been of late is taken off, so that only what is new leans anywhere. The mean is
of what came before, so where nothing is foreseen a lean says as little of the next move as ever.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.interaction_state import (
    B_COUNT,
    B_MOVES,
    B_SUM,
    GROUP,
    HORIZONS,
    KNOWN_HABIT,
    LAST_ASK,
    LAST_BID,
    LOOK_NS,
    M_LATELY,
    M_LOOKS,
    M_USUAL,
    N_SAMPLES,
    PARTS,
    Q_ACTED,
    Q_HELD,
    Q_MID,
    Q_MOVED,
    Q_SPREAD,
    Q_VOLATILE,
    S_MOVED,
    SAMPLES,
    SEEN,
    SLOTS,
)
from detectors.maker_orders import S_ASK, S_BID, S_NS
from ingest.compiled import kernel
from ingest.events import Array

BUCKET_NS, REACTION_NS, IDLE_NS, HABIT_NS, LATELY_NS, USUAL_NS, VOLATILE_PERCENT = range(7)
"""Places in the numbers that a scan is given."""
MOST_LEAN: Final = 1.0
"""Spreads by which a quote's lead over another counts at most: one far off is broken, not wise."""
MOST_FAR: Final = 3
"""A maker's own spreads from the market's mid, beyond which its mid is no quote to compare with.
The market's spread is no measure: it is nothing where one maker runs ahead of the others."""
MOST_MOVE: Final = 1.0
"""Spreads by which a move counts at most: a mean of a few large ones says little for its looks."""
KNOWN_RATIO: Final = 10
"""Times LATELY_NS without which it is not known what is usual."""
_AFTER: Final = np.array([end for _, end in HORIZONS], np.int64)
_FROM: Final = np.array([begin for begin, _ in HORIZONS], np.int64)


@kernel()
def clipped(value: float, most: float) -> float:
    """Return a value within [-most, most]."""
    return min(most, max(-most, value))


@kernel()
def newest(looks: float, over_ns: int) -> float:
    """Return the weight of a look in a mean over a time: of the first looks, of each the same."""
    return max(1.0 / looks, 1.0 - math.exp(-LOOK_NS / over_ns))


@kernel(inline="always")
def stir(own: Array, samples: Array, moves: Array, numbers: Array) -> bool:
    """Take how far external makers have moved since the look before; return if that is much.

    It is their own mean mid: the market's flickers by what stands at the touch.
    """
    if own[N_SAMPLES] < 1:
        return False
    now, before = own[N_SAMPLES] % SAMPLES, (own[N_SAMPLES] - 1) % SAMPLES
    total, mids, movers = 0, 0, 0
    for slot in range(GROUP + 1, SLOTS):
        if samples[now, slot, Q_MID] != 0 and samples[before, slot, Q_MID] != 0:
            total += samples[now, slot, Q_MID] - samples[before, slot, Q_MID]
            mids += samples[now, slot, Q_MID]
            movers += 1
    if movers == 0:
        return False
    move = abs(total) / mids
    moves[M_LOOKS] += 1.0
    moves[M_LATELY] += newest(moves[M_LOOKS], numbers[LATELY_NS]) * (move - moves[M_LATELY])
    moves[M_USUAL] += newest(moves[M_LOOKS], numbers[USUAL_NS]) * (move - moves[M_USUAL])
    known = moves[M_LOOKS] * LOOK_NS >= KNOWN_RATIO * numbers[LATELY_NS]
    much = 100.0 * moves[M_LATELY] > numbers[VOLATILE_PERCENT] * moves[M_USUAL]
    return bool(known and much)


@kernel(inline="always")
def look(  # noqa: PLR0917
    own: Array, slots: Array, samples: Array, leans: Array, habits: Array, moves: Array,
    at_ns: int, numbers: Array,
) -> None:  # fmt: skip
    """Keep what each maker quotes, and the market, as they stand; and how the group leans."""
    now = own[N_SAMPLES] % SAMPLES
    for slot in range(SLOTS):
        bid, ask = slots[slot, S_BID], slots[slot, S_ASK]
        samples[now, slot, Q_MID] = bid + ask if bid != 0 and ask > bid else 0
        samples[now, slot, Q_ACTED] = slots[slot, S_NS]
        samples[now, slot, Q_MOVED] = slots[slot, S_MOVED]
        samples[now, slot, Q_HELD] = 0
    bid, ask = own[LAST_BID], own[LAST_ASK]
    known = bid != 0 and ask > bid
    samples[now, SLOTS, Q_MID] = bid + ask if known else 0
    samples[now, SLOTS, Q_SPREAD] = ask - bid if known else 0
    samples[now, SLOTS, Q_VOLATILE] = 1 if stir(own, samples, moves, numbers) else 0
    own[N_SAMPLES] += 1
    if not known or samples[now, GROUP, Q_MID] == 0:
        return
    share = newest(math.inf, numbers[HABIT_NS])
    for slot in range(GROUP + 1, SLOTS):
        theirs, width = samples[now, slot, Q_MID], slots[slot, S_ASK] - slots[slot, S_BID]
        if theirs == 0 or slots[slot, S_NS] < at_ns - numbers[IDLE_NS]:
            continue
        if abs(theirs - samples[now, SLOTS, Q_MID]) > 2 * MOST_FAR * width:
            continue
        samples[now, slot, Q_HELD] = 1
        asks = (slots[GROUP, S_ASK] - slots[slot, S_ASK]) / (ask - bid)
        bids = (slots[GROUP, S_BID] - slots[slot, S_BID]) / (ask - bid)
        for part in range(PARTS):
            lean = (asks + bids) / 2.0 if part == 0 else (asks if part == 1 else bids)
            lean = clipped(lean, MOST_LEAN)
            if habits[slot, KNOWN_HABIT] == 0:
                habits[slot, part] = lean
            leans[now, slot, part] = lean - habits[slot, part]
            habits[slot, part] += share * (lean - habits[slot, part])
        habits[slot, KNOWN_HABIT] = 1.0


@kernel(inline="always")
def compare(  # noqa: PLR0917
    own: Array, samples: Array, leans: Array, blocks: Array, at_ns: int, numbers: Array
) -> None:
    """Count how far the group led each peer where the others were about to go."""
    count = own[N_SAMPLES]
    now = (count - 1) % SAMPLES
    for horizon in range(len(_AFTER)):
        end = _AFTER[horizon]
        if count <= end:
            return
        then = (count - 1 - end) % SAMPLES
        middle = (count - 1 - end + _FROM[horizon]) % SAMPLES
        # A maker's move counts where it had seen what was public.
        since = at_ns - end * LOOK_NS + numbers[REACTION_NS]
        strata = 1 + samples[then, SLOTS, Q_VOLATILE]
        for kind in range(SEEN):
            seen = Q_ACTED if kind == 0 else Q_MOVED
            total, movers, who = 0, 0, 0
            for slot in range(GROUP + 1, SLOTS):
                if samples[middle, slot, seen] >= since:
                    before, after = samples[middle, slot, Q_MID], samples[now, slot, Q_MID]
                    if before != 0 and after != 0:
                        total += after - before
                        movers += 1
                        who |= 1 << slot
            if movers == 0:
                continue
            spread = samples[then, SLOTS, Q_SPREAD]
            for slot in range(GROUP + 1, SLOTS):
                if samples[then, slot, Q_HELD] == 0:
                    continue
                moved, others = total, movers
                if who & (1 << slot):
                    moved -= samples[now, slot, Q_MID] - samples[middle, slot, Q_MID]
                    others -= 1
                if others == 0:
                    continue
                move = clipped(moved / (2.0 * spread * others), MOST_MOVE)
                for stratum in range(strata):
                    row = horizon + len(_AFTER) * (kind + SEEN * stratum)
                    blocks[slot, row, B_COUNT] += 1.0
                    blocks[slot, row, B_MOVES] += move * move
                    for part in range(PARTS):
                        blocks[slot, row, B_SUM + part] += leans[then, slot, part] * move
