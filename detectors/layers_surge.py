"""Surges of what is shown: how they begin and end, how they are counted, what is told of cycles.

A surge ends with a *withdrawal* where orders that had come for it went by choice, and these were
most of what went. After a fill on the other side that is a *cycle*. Counted are all surges of the
complex as one, and those of external makers after a fill; of the group's cycles rows are written.
"""

from __future__ import annotations

import numpy as np

from detectors.layers_gone import (
    kept_by_choice,
    ratio_of,
    stood_at_the_fill,
    usual_of,
    withdrawn_of,
    withdraws,
)
from detectors.layers_state import (
    BLOCKS,
    F_NS,
    I_BLOCK,
    I_DUE_NS,
    L_NS,
    LANES,
    LURED,
    NEVER,
    ORDERS_LANE,
    P_ACCOUNT,
    P_GROUP,
    P_STALE,
    PARTIES,
    PARTS,
    QUIET,
    R_ASK,
    R_BID,
    R_DOUBT,
    R_DUE_NS,
    R_FALL_NS,
    R_FILLS,
    R_FIRST_FILL,
    R_FIRST_LAYER,
    R_FIRST_TALLY,
    R_HIT_COST,
    R_HIT_LOTS,
    R_HIT_NS,
    R_HIT_PRICE,
    R_HITS,
    R_INSTRUMENT,
    R_KNOWN_NS,
    R_LAYERS,
    R_MEASURE,
    R_ON_NS,
    R_PEAK,
    R_PEERS,
    R_RATIO,
    R_RISE_NS,
    R_SAMPLED_NS,
    R_SIDE,
    R_SIZE,
    R_STOOD,
    R_USUAL,
    R_WATCHED,
    R_WHOLE,
    R_WITHDRAWN,
    SURGING,
    W_MAKERS,
    W_NS,
    X_AFTER_NS,
    X_DOUBT,
    X_FALL_NS,
    X_FILLED,
    X_FILLED_AT,
    X_FORCED,
    X_FORCED_AT,
    X_HABIT,
    X_HIT_COST,
    X_HIT_LOTS,
    X_HIT_NS,
    X_HIT_PRICE,
    X_HITS,
    X_LOW,
    X_LURES,
    X_MADE,
    X_MADE_GONE,
    X_ON_NS,
    X_OTHER,
    X_OTHER_AT,
    X_PAUSE_NS,
    X_PEAK,
    X_PEAK_SHOWN,
    X_RISE_NS,
    X_RISE_PEAK,
    X_SCALE,
    X_SHOWN,
    X_STATE,
    X_TAKEN_NS,
    X_TWIN,
    X_USUAL,
)  # fmt: skip
from detectors.rows import write
from detectors.spoofing_rate import (
    OWN_CALM,
    OWN_CALM_GONE,
    OWN_FILLED,
    OWN_FILLED_GONE,
    PEER,
    PEER_CYCLES,
    class_of,
    size_class,
)
from ingest.compiled import kernel
from ingest.events import Array


@kernel(inline="always")
def _excess(sides: Array, p: int, s: int) -> int:
    """Return what a lane shows beyond its habit, as the other side stretches it."""
    usual, other = sides[p, s, X_HABIT], sides[p, s ^ 1, X_HABIT]
    if sides[p, s ^ 1, X_SHOWN] > other > 0:
        usual = np.int64(usual * (sides[p, s ^ 1, X_SHOWN] / other))
    return int(sides[p, s, X_SHOWN] - usual)


@kernel(inline="always")
def _mark_peak(sides: Array, p: int, s: int, excess: int) -> None:
    """Remember how things stand at the height of a surge so far."""
    side, other = sides[p, s], sides[p, s ^ 1]
    side[X_PEAK], side[X_PEAK_SHOWN] = excess, side[X_SHOWN]
    side[X_USUAL] = side[X_SHOWN] - excess
    side[X_FILLED_AT], side[X_FORCED_AT] = side[X_FILLED], side[X_FORCED]
    side[X_TWIN] = kept_by_choice(sides[p, s ^ 2])
    side[X_OTHER], side[X_OTHER_AT] = other[X_SHOWN], other[X_FILLED]


@kernel(inline="always")
def look(  # noqa: PLR0917
    own: Array, parties: Array, sides: Array, p: int, clock: int, doubt: int, least: float,
    settle_ns: int,
) -> None:  # fmt: skip
    """Look at a party's lanes after a record of its own, unless nothing has changed since."""
    if parties[p, P_STALE] == 0 and doubt == 0:
        return
    parties[p, P_STALE] = 0
    for s in range(LANES):
        _look(own, sides, p, s, clock, doubt, least, settle_ns)


@kernel(inline="always")
def _shows_more(sides: Array, p: int, s: int) -> int:
    """Return 1 where the other side shows an order more than its habit."""
    other = sides[p, (s ^ 1) | ORDERS_LANE]
    return int(other[X_SHOWN] > other[X_HABIT])


@kernel(inline="always")
def _after_ns(sides: Array, p: int, s: int, clock: int) -> int:
    """Return how long after a fill of the other side's resting orders it is; 0 = filled always."""
    other = sides[p, (s ^ 1) % ORDERS_LANE]
    after_ns = clock - other[X_TAKEN_NS]
    if 0 < other[X_PAUSE_NS] <= 2 * after_ns:
        return 0
    return int(after_ns)


@kernel(inline="always")
def _look(  # noqa: PLR0917
    own: Array, sides: Array, p: int, s: int, clock: int, doubt: int, least: float, settle_ns: int
) -> None:  # fmt: skip
    """Look whether a surge begins, grows, falls or comes back after a change of what is shown."""
    scale = sides[p, s, X_SCALE]
    if scale <= 0:
        return
    excess = _excess(sides, p, s)
    low = sides[p, s, X_LOW]
    if sides[p, s, X_STATE] == QUIET:
        low = max(0, min(low, excess))
        sides[p, s, X_LOW] = low
        # One order more is a quote that is moved: the new one came before the old one went.
        if excess > low + (least * scale if s < ORDERS_LANE else max(1.0, least * scale)):
            side = sides[p, s]
            side[X_STATE] = SURGING
            side[X_ON_NS], side[X_DOUBT] = clock, doubt
            side[X_RISE_NS], side[X_RISE_PEAK] = clock, excess
            side[X_HITS] = side[X_HIT_LOTS] = side[X_HIT_COST] = side[X_HIT_NS] = 0
            side[X_FALL_NS] = 0
            side[X_LURES] = _shows_more(sides, p, s)
            side[X_AFTER_NS] = _after_ns(sides, p, s, clock)
            _mark_peak(sides, p, s, excess)
        return
    sides[p, s, X_DOUBT] |= doubt
    if clock - sides[p, s, X_ON_NS] <= settle_ns:
        sides[p, s, X_LURES] = _shows_more(sides, p, s)
    if excess > sides[p, s, X_PEAK]:
        _mark_peak(sides, p, s, excess)
        if 4 * excess > 5 * sides[p, s, X_RISE_PEAK]:
            sides[p, s, X_RISE_NS], sides[p, s, X_RISE_PEAK] = clock, excess
            if sides[p, s, X_HIT_NS] == 0:
                sides[p, s, X_AFTER_NS] = _after_ns(sides, p, s, clock)
    if 2 * (excess - low) >= sides[p, s, X_PEAK] - low:
        sides[p, s, X_FALL_NS] = 0
    elif sides[p, s, X_FALL_NS] == 0:
        sides[p, s, X_FALL_NS] = clock
        sides[p, s, X_LURES] = (sides[p, s, X_LURES] & 1) | 2 * _shows_more(sides, p, s)
        own[I_DUE_NS] = min(own[I_DUE_NS], clock + settle_ns)


@kernel()
def _since(ring: Array, made: int, field: int, since_ns: int, row: Array) -> int:
    """Write the rows of a ring from a time on, the latest first; return how many."""
    room, fields = ring.shape
    kept = 0
    while kept < min(made, room) and ring[(made - 1 - kept) % room, field] >= since_ns:
        write(row[kept * fields : (kept + 1) * fields], ring[(made - 1 - kept) % room])
        kept += 1
    return kept


@kernel()
def _tell(  # noqa: PLR0917
    x: int, p: int, s: int, sides: Array, fills: Array, layers: Array, due_ns: int, bid: int,
    ask: int, row: Array,
) -> None:  # fmt: skip
    """Write the row of a surge that has ended, but for what else there is in the instrument."""
    side, of_side = sides[p, s], s % ORDERS_LANE
    row[R_INSTRUMENT], row[R_SIDE], row[R_MEASURE] = x, 1 - 2 * of_side, s // ORDERS_LANE
    row[R_ON_NS], row[R_RISE_NS], row[R_DUE_NS] = side[X_ON_NS], side[X_RISE_NS], due_ns
    row[R_FALL_NS], row[R_WITHDRAWN] = side[X_FALL_NS], withdrawn_of(side)
    row[R_PEAK], row[R_USUAL] = side[X_PEAK] - side[X_LOW], usual_of(side)
    row[R_RATIO] = np.int64(np.rint(ratio_of(side, sides[p, s ^ 1]) * PARTS))
    row[R_HITS], row[R_HIT_LOTS] = side[X_HITS], side[X_HIT_LOTS]
    row[R_HIT_PRICE], row[R_HIT_COST] = side[X_HIT_PRICE], side[X_HIT_COST]
    row[R_HIT_NS] = side[X_HIT_NS]
    row[R_BID], row[R_ASK], row[R_DOUBT] = bid, ask, side[X_DOUBT]
    lane, on_ns = sides[p, of_side], side[X_ON_NS]
    row[R_FILLS] = _since(fills[p, of_side], lane[X_MADE], F_NS, on_ns, row[R_FIRST_FILL:])
    row[R_LAYERS] = _since(layers[p, of_side], lane[X_MADE_GONE], L_NS, on_ns, row[R_FIRST_LAYER:])


@kernel()
def turn(own: Array, tallies: Array, watched: Array, block: int) -> None:
    """Forget what has left the window when a block of it has begun."""
    for new in range(max(own[I_BLOCK] + 1, block - BLOCKS + 1), block + 1):
        tallies[new % BLOCKS] = 0
        watched[new % BLOCKS] = 0
    own[I_BLOCK] = max(own[I_BLOCK], block)


@kernel()
def _next_due(parties: Array, sides: Array, settle_ns: int) -> tuple[int, int, int]:
    """Return when the next fall has lasted, and of which party and lane; NEVER = there is none.

    Of several at the same time the complex comes first, then who came to the instrument first.
    """
    due, of_party, of_lane = NEVER, 0, 0
    for p in range(PARTIES):
        if p > 0 and parties[p, P_ACCOUNT] == 0:
            break
        for s in range(LANES):
            fall_ns = sides[p, s, X_FALL_NS]
            if fall_ns != 0 and fall_ns + settle_ns < due:
                due, of_party, of_lane = fall_ns + settle_ns, p, s
    return due, of_party, of_lane


@kernel()
def settle(  # noqa: PLR0917
    x: int, own: Array, parties: Array, sides: Array, fills: Array, layers: Array, tallies: Array,
    watched: Array, before_ns: int, block_ns: int, settle_ns: int, answer_ns: int, least: float,
    majority: float, bid: int, ask: int, out: Array, written: int,
) -> int:  # fmt: skip
    """End and count the surges whose fall has lasted when an event comes; return rows written.

    Each is counted as of its own deadline: when the event comes that shows it passed says nothing.
    """
    while True:
        deadline, p, s = _next_due(parties, sides, settle_ns)
        own[I_DUE_NS] = deadline
        if deadline >= before_ns:
            return written
        turn(own, tallies, watched, deadline // block_ns)
        side, group = sides[p, s], p == 0 or parties[p, P_GROUP] != 0
        hit = side[X_HIT_NS] != 0
        # Who has just bought asks to sell: such size answers a fill, and is no layer. (One that
        # begins with a fill did not come then: the other side shows less.)
        answers = 0 < side[X_AFTER_NS] <= answer_ns
        in_vain = not hit and side[X_LURES] == LURED
        # Without a fill, only what the complex does as one is ever asked for.
        if (p == 0 or hit) and not answers and not in_vain:
            went = withdraws(parties, sides, layers, p, s, least, majority, settle_ns)
            gone = went and (not hit or stood_at_the_fill(sides, layers, p, s, majority, settle_ns))
            stood = class_of(side[X_FALL_NS] - side[X_ON_NS])
            size = size_class(side[X_PEAK] - side[X_LOW], usual_of(side))
            tally = tallies[own[I_BLOCK] % BLOCKS, s // ORDERS_LANE, size, stood]
            # What was entered anew says neither.
            if went != gone:
                pass
            elif not group:
                tally[PEER] += 1
                tally[PEER_CYCLES] += 1 if gone else 0
            elif p == 0:
                tally[OWN_FILLED if hit else OWN_CALM] += 1
                tally[OWN_FILLED_GONE if hit else OWN_CALM_GONE] += 1 if gone else 0
            if group and hit and gone:
                row = out[written]
                row[:] = 0
                _tell(x, p, s, sides, fills, layers, deadline, bid, ask, row)
                row[R_SIZE], row[R_STOOD], row[R_WHOLE] = size, stood, p == 0
                row[R_KNOWN_NS] = before_ns
                row[R_WATCHED] = watched[:, W_MAKERS].sum()
                row[R_SAMPLED_NS] = watched[:, W_NS].sum()
                for peer in range(1, PARTIES):
                    if parties[peer, P_ACCOUNT] != 0 and parties[peer, P_GROUP] == 0:
                        row[R_PEERS] += 1
                for each in range(BLOCKS):
                    of_block = tallies[each].reshape(-1)
                    for place in range(len(of_block)):
                        row[R_FIRST_TALLY + place] += of_block[place]
                written += 1
        side[X_STATE], side[X_FALL_NS] = QUIET, 0
        side[X_LOW] = max(np.int64(0), _excess(sides, p, s))
        parties[p, P_STALE] = 1
