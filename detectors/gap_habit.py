"""How long instructions usually take between gateway and engine: rolling, compiled histograms."""

from __future__ import annotations

from typing import Final

from detectors.quarter_octaves import halve_when_full, quarter_of, upper_edge
from ingest.compiled import kernel
from ingest.events import Array

CLASSES: Final = 8
"""Of gateway-to-engine time: five origins of clients, all but the group, triggers, large orders of
clients."""
ALL, TRIGGERS, LARGE = 5, 6, 7
BINS: Final = 136
FIRST_BIN_NS: Final = 1_000.0
TOTAL, USUAL, FAR, SINCE = BINS, BINS + 1, BINS + 2, BINS + 3
GAP_FIELDS: Final = BINS + 4
REFRESH: Final = 32
"""Gaps of a class between two readings of its quantile."""
ENOUGH: Final = 200
"""Gaps of a class before anything is usual: its 99th percentile then rests on two of them."""
FEWEST_AS_LONG: Final = 3
"""Gaps as long without which none is usual for its class: two may be what is looked for."""
ENOUGH_TRIGGERS: Final = 20
"""The same of triggers, which are few: their third quartile then rests on five of them."""
FEW_TRIGGERS: Final = 5
"""Triggers from which on it is known what most of them take, which is usual until there are
enough; where instructions take longer, that is: an engine is no slower than the gateway."""
USUAL_TAIL: Final = 0.05
FAR_TAIL: Final = 0.01
TRIGGER_TAIL: Final = 0.25
"""Shares of gaps that are longer than usual, than far; a trigger waits for nothing but the engine,
so that its tail is no queue and must not hide what is in it."""
FEW_TAIL: Final = 0.4
"""The same of few triggers: two of five may be late without lateness being usual."""


@kernel()
def bin_of(gap_ns: int) -> int:
    """Return the bin of a gap: quarters of each doubling from 1 µs."""
    return quarter_of(gap_ns / FIRST_BIN_NS, BINS)


@kernel()
def learn(gaps: Array, bin_: int, triggers: bool) -> None:
    """Take a gap, by its bin, into its class's rolling distribution."""
    gaps[bin_] += 1
    gaps[TOTAL] += 1
    gaps[SINCE] += 1
    if gaps[SINCE] < REFRESH and gaps[USUAL] > 0 and not triggers:
        return
    gaps[SINCE] = 0
    halve_when_full(gaps, BINS)
    usual, far = USUAL_TAIL, FAR_TAIL
    if triggers:
        usual = far = TRIGGER_TAIL if gaps[TOTAL] >= ENOUGH_TRIGGERS else FEW_TAIL
    gaps[FAR] = _beyond(gaps, far)
    gaps[USUAL] = _beyond(gaps, usual)


@kernel()
def _beyond(gaps: Array, tail: float) -> int:
    """Return the gap that no more than a share of all exceed, to a quarter of an octave, ns."""
    beyond, b = 0, BINS - 1
    while b > 0 and beyond + gaps[b] <= tail * gaps[TOTAL]:
        beyond += gaps[b]
        b -= 1
    return int(FIRST_BIN_NS * upper_edge(b))


@kernel()
def habit(gaps: Array, kind: int, at: int) -> int:
    """Return what is usual (or far) for a class, for all where that is longer; 0 = not known."""
    if kind == TRIGGERS and gaps[TRIGGERS, TOTAL] >= ENOUGH_TRIGGERS:
        return int(gaps[TRIGGERS, at])
    if gaps[ALL, TOTAL] < ENOUGH or (kind == TRIGGERS and gaps[TRIGGERS, TOTAL] < FEW_TRIGGERS):
        return 0
    if kind == TRIGGERS:
        return int(max(gaps[TRIGGERS, at], gaps[ALL, at]))
    longest = gaps[ALL, at]
    if gaps[kind, TOTAL] >= ENOUGH:
        longest = max(longest, gaps[kind, at])
    return int(longest)


@kernel()
def is_as_usual(gaps: Array, gap_ns: int) -> bool:
    """Return whether at least three of a class, and one in a hundred, are at least as long."""
    as_long = gaps[bin_of(gap_ns) : BINS].sum()
    return bool(as_long >= FEWEST_AS_LONG and as_long > FAR_TAIL * gaps[TOTAL])
