"""A cycle of spoofing: what the scan tells of it, read as a withdrawal and its evidence."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors import layers_state as k
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import CLASSES, SIZES, TALLIES
from ingest.events import Array

LOTS, ORDERS = range(2)
"""Measures of what is shown."""
_SHAPE: Final = (k.MEASURES, SIZES, CLASSES, TALLIES)
KEPT_FILLS: Final = 3
"""Fills of a cycle that are cited."""


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """Size beyond habit that was withdrawn after a fill on the other side: how much, and how."""

    instrument: int
    side: int
    on_ns: int
    """From when on more than habit was shown."""
    from_ns: int
    """The same, or since the first of its orders."""
    rise_ns: int
    fall_ns: int
    due_ns: int
    known_ns: int
    """Event time of the instrument's record that showed it."""
    ratio: int
    """What was withdrawn net, beyond what the other side lost likewise, over what is usual; in
    `PARTS`."""
    size_ratio: float
    """What was shown beyond habit at its height, over what is usual there."""
    size: int
    """Class of that, as `spoofing_rate.size_class`."""
    stood: int
    """Class of the time it stood, as `spoofing_rate.class_of`."""
    measure: int
    """`LOTS` or `ORDERS`, in which it was seen."""
    whole: bool
    """Whether it is the complex's as one, and so in the tallies, or one of its accounts'."""
    withdrawn: int
    """Lots."""
    hit_ns: int
    """Event time of the last fill on the other side before the fall."""
    hits: int
    harm: int | None
    """What clients paid beyond the touch once the layers were gone, ticks times lots."""
    distance_ticks: int
    """Median distance of the layers from the touch at which clients bought or sold, ticks."""
    incomplete: bool
    accounts: tuple[int, ...]
    """The group's, layers first."""
    seqs: tuple[int, ...]
    """Of layers, their withdrawal, and fills."""
    watched: int
    """Samples of displayed size in the window, one for each external maker that showed any."""
    sampled_ns: int
    """Time of the window in which displayed size was sampled."""
    peers: int
    """External makers that are followed."""
    tallies: Array
    """The instrument's surges of the window, this one counted: (measures, sizes, classes,
    tallies)."""


def read(told: Array, params: SpoofingParams) -> Cycle:
    """Return what a row of the scan tells."""
    row = told[: k.R_FIRST_TALLY].tolist()
    layers = _came(row, params)
    if row[k.R_MEASURE] == ORDERS:
        layers = list({part[k.L_ENTRY]: part for part in layers}.values())
    cited = _in_lots(row, layers) if row[k.R_MEASURE] == LOTS else _in_orders(row, layers)
    fills = _cited(_parts(row, k.R_FIRST_FILL, row[k.R_FILLS], k.FILL_FIELDS), row[k.R_HIT_NS])
    seqs = {part[at] for part in cited for at in (k.L_ENTRY, k.L_SEQ)}
    seqs |= {fill[k.F_SEQ] for fill in fills}
    own = [part[k.L_ACCOUNT] for part in cited] + [fill[k.F_OWN] for fill in fills]
    touch = row[k.R_BID] if row[k.R_SIDE] > 0 else row[k.R_ASK]
    away = sorted(row[k.R_SIDE] * (touch - part[k.L_PRICE]) for part in cited)
    lots = sum(part[k.L_LOTS] for part in cited)
    return Cycle(
        instrument=row[k.R_INSTRUMENT],
        side=row[k.R_SIDE],
        on_ns=row[k.R_ON_NS],
        from_ns=min([row[k.R_ON_NS], *(part[k.L_SINCE] for part in cited)]),
        rise_ns=row[k.R_RISE_NS],
        fall_ns=row[k.R_FALL_NS],
        due_ns=row[k.R_DUE_NS],
        known_ns=row[k.R_KNOWN_NS],
        ratio=row[k.R_RATIO],
        size_ratio=row[k.R_PEAK] / row[k.R_USUAL],
        size=row[k.R_SIZE],
        stood=row[k.R_STOOD],
        measure=row[k.R_MEASURE],
        whole=bool(row[k.R_WHOLE]),
        withdrawn=lots if row[k.R_MEASURE] == ORDERS else row[k.R_WITHDRAWN],
        hit_ns=row[k.R_HIT_NS],
        hits=row[k.R_HITS],
        harm=_harm(row),
        distance_ticks=away[len(away) // 2] if away and touch != k.ABSENT else 0,
        incomplete=bool(row[k.R_DOUBT]),
        accounts=tuple(dict.fromkeys(own)),
        seqs=tuple(sorted(seqs)),
        watched=row[k.R_WATCHED],
        sampled_ns=row[k.R_SAMPLED_NS],
        peers=row[k.R_PEERS],
        tallies=told[k.R_FIRST_TALLY :].reshape(_SHAPE).copy(),
    )


def _came(row: list[int], params: SpoofingParams) -> list[list[int]]:
    """Return the withdrawn orders that had come for the surge."""
    since_ns = row[k.R_ON_NS] - params.settle_ms * 1_000_000
    gone = _parts(row, k.R_FIRST_LAYER, row[k.R_LAYERS], k.LAYER_FIELDS)
    return [part for part in gone if part[k.L_SINCE] >= since_ns]


def _parts(row: list[int], first: int, count: int, fields: int) -> list[list[int]]:
    return [row[first + n * fields : first + (n + 1) * fields] for n in range(count)]


def _in_orders(row: list[int], layers: list[list[int]]) -> list[list[int]]:
    """Return as many withdrawn orders as went, those next to the fall: layers go together."""
    near = sorted(layers, key=lambda part: (abs(part[k.L_NS] - row[k.R_FALL_NS]), part[k.L_SEQ]))
    return near[: row[k.R_WITHDRAWN]]


def _in_lots(row: list[int], layers: list[list[int]]) -> list[list[int]]:
    """Return the largest withdrawn orders that explain what was withdrawn."""
    taken: list[list[int]] = []
    left = row[k.R_WITHDRAWN]
    for part in sorted(layers, key=lambda each: (-each[k.L_LOTS], each[k.L_SEQ])):
        if left <= 0:
            break
        taken.append(part)
        left -= part[k.L_LOTS]
    return taken


def _cited(fills: list[list[int]], last_ns: int) -> list[list[int]]:
    """Return the latest fills up to the fall, those of orders that came for it before others."""
    seen = [fill for fill in fills if fill[k.F_NS] <= last_ns]
    ranked = sorted(seen, key=lambda fill: (-fill[k.F_FRESH], -fill[k.F_SEQ]))
    if ranked and ranked[0][k.F_FRESH]:
        ranked = [fill for fill in ranked if fill[k.F_FRESH]]
    return ranked[:KEPT_FILLS]


def _harm(row: list[int]) -> int | None:
    touch = row[k.R_ASK] if row[k.R_SIDE] > 0 else row[k.R_BID]
    if touch == k.ABSENT:
        return None
    beyond = (row[k.R_HIT_PRICE] - touch) * row[k.R_HIT_LOTS] + row[k.R_HIT_COST]
    return max(0, row[k.R_SIDE] * beyond)
