"""A cycle of spoofing: what the scan tells of a surge, read as a withdrawal and its evidence."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors import layers_kernel as k
from detectors.spoofing_params import SpoofingParams

LOTS, ORDERS = range(2)
"""Measures of what is shown."""
KEPT_FILLS: Final = 3
"""Fills of a cycle that are cited."""
FEWEST_ORDERS: Final = 2
"""Of a withdrawal that is seen by number alone: one order is no layers."""


class Surge(msgspec.Struct, frozen=True, kw_only=True):
    """Size beyond habit that is gone: whose, how much, and how it went."""

    instrument: int
    party: int
    """0 is the complex as one."""
    in_group: bool
    measure: int
    side: int
    on_ns: int
    """From when on more than habit was shown."""
    from_ns: int
    """The same, or since the first of its orders."""
    rise_ns: int
    fall_ns: int
    fall_seq: int
    due_ns: int
    ratio: float
    """What was withdrawn net, beyond what the other side lost likewise, over what is usual."""
    size_ratio: float
    """What was shown beyond habit at its height, over what is usual there."""
    withdrawn: int
    """Lots."""
    hit_ns: int
    """Event time of the last fill on the other side before the fall; 0 = none."""
    hits: int
    hit_lots: int
    harm: int | None
    """What clients paid beyond the touch once the layers were gone, ticks times lots."""
    withdraws: bool
    """Whether orders that had come for the surge went by choice and did not come back."""
    distance_ticks: int
    """Median distance of the layers from the touch at which clients bought or sold, ticks."""
    incomplete: bool
    accounts: tuple[int, ...]
    """The group's, layers first."""
    seqs: tuple[int, ...]
    """Of layers, their withdrawal, and fills."""

    @property
    def cycle(self) -> bool:
        """Whether it is a net withdrawal after an own fill on the other side."""
        return self.withdraws and self.hit_ns > 0


def read(row: list[int], params: SpoofingParams) -> Surge:
    """Return what a row of the scan tells."""
    before, after = row[k.R_OTHER_BEFORE], row[k.R_OTHER_AFTER] + row[k.R_OTHER_FILLED]
    stays = min(1.0, after / before) if before > 0 else 1.0
    usual = max(row[k.R_SCALE], row[k.R_USUAL], 1)
    ratio = (row[k.R_WITHDRAWN] - row[k.R_PEAK_SHOWN] * (1 - stays)) / usual
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
    return Surge(
        instrument=row[k.R_INSTRUMENT],
        party=row[k.R_PARTY],
        in_group=bool(row[k.R_GROUP]),
        measure=row[k.R_MEASURE],
        side=row[k.R_SIDE],
        on_ns=row[k.R_ON_NS],
        from_ns=min([row[k.R_ON_NS], *(part[k.L_SINCE] for part in cited)]),
        rise_ns=row[k.R_RISE_NS],
        fall_ns=row[k.R_FALL_NS],
        fall_seq=row[k.R_FALL_SEQ],
        due_ns=row[k.R_DUE_NS],
        ratio=ratio,
        size_ratio=row[k.R_PEAK] / usual,
        withdrawn=_lots(cited) if row[k.R_MEASURE] else row[k.R_WITHDRAWN],
        hit_ns=row[k.R_HIT_NS],
        hits=row[k.R_HITS],
        hit_lots=row[k.R_HIT_LOTS],
        harm=_harm(row),
        withdraws=ratio >= params.least_ratio and _withdraws(row, layers, cited, params),
        distance_ticks=away[len(away) // 2] if away and touch != k.ABSENT else 0,
        incomplete=bool(row[k.R_DOUBT]),
        accounts=tuple(dict.fromkeys(own)),
        seqs=tuple(sorted(seqs)),
    )


def _withdraws(
    row: list[int], came: list[list[int]], cited: list[list[int]], params: SpoofingParams
) -> bool:
    """Return whether most of what went was taken back, had come for it, and is less in all."""
    withdrawn, most = row[k.R_WITHDRAWN], params.majority_ratio
    fallen = max(1, row[k.R_PEAK_SHOWN] - row[k.R_AFTER])
    if row[k.R_MEASURE] == LOTS:
        # An account beside the complex as one must have layers: one order of its own is no pattern.
        orders = 1 if row[k.R_PARTY] == 0 or not row[k.R_GROUP] else 2
        new, is_less = _lots(came), row[k.R_TWIN] >= orders
    else:
        # As much in fewer orders is not less: a quote that was split, and is whole again.
        new, is_less = len(came), row[k.R_TWIN] >= max(1.0, most * _lots(cited))
        is_less = is_less and withdrawn >= FEWEST_ORDERS
    return withdrawn >= most * fallen and new >= most * withdrawn and is_less


def _came(row: list[int], params: SpoofingParams) -> list[list[int]]:
    """Return the withdrawn orders that had come for the surge."""
    since_ns = row[k.R_ON_NS] - params.settle_ms * 1_000_000
    gone = _parts(row, k.R_FIRST_LAYER, row[k.R_LAYERS], k.LAYER_FIELDS)
    return [part for part in gone if part[k.L_SINCE] >= since_ns]


def _lots(layers: list[list[int]]) -> int:
    return sum(part[k.L_LOTS] for part in layers)


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
    return max(0, row[k.R_SIDE] * (row[k.R_HIT_COST] - touch * row[k.R_HIT_LOTS]))
