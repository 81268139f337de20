"""A cycle of spoofing: what the scan tells of a surge, read as a withdrawal and its evidence."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors import layers_kernel as k
from detectors.spoofing_params import SpoofingParams

KEPT_FILLS: Final = 3
"""Fills of a cycle that are cited."""


class Surge(msgspec.Struct, frozen=True, kw_only=True):
    """Size beyond habit that is gone: whose, how much, and how it went."""

    instrument: int
    party: int
    """0 is the complex as one."""
    in_group: bool
    side: int
    from_ns: int
    rise_ns: int
    fall_ns: int
    fall_seq: int
    due_ns: int
    ratio: float
    """Lots withdrawn net, beyond what the other side lost likewise, over what is usual there."""
    size_ratio: float
    """Size shown beyond habit at its height, over what is usual there."""
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
    fallen = max(1, row[k.R_PEAK_SHOWN] - row[k.R_AFTER])
    withdrawn = row[k.R_WITHDRAWN]
    before, after = row[k.R_OTHER_BEFORE], row[k.R_OTHER_AFTER] + row[k.R_OTHER_FILLED]
    stays = min(1.0, after / before) if before > 0 else 1.0
    usual = max(row[k.R_SCALE], row[k.R_USUAL], 1)
    ratio = (withdrawn - row[k.R_PEAK_SHOWN] * (1 - stays)) / usual
    gone = _parts(row, k.R_FIRST_LAYER, row[k.R_LAYERS], k.LAYER_FIELDS)
    since_ns = row[k.R_ON_NS] - params.settle_ms * 1_000_000
    layers = [part for part in gone if part[k.L_SINCE] >= since_ns]
    came = sum(part[k.L_LOTS] for part in layers)
    # An account beside the complex as one must have layers: one order of its own is no pattern.
    orders = 1 if row[k.R_PARTY] == 0 or not row[k.R_GROUP] else 2
    withdraws = (
        withdrawn >= params.majority_ratio * fallen
        and came >= params.majority_ratio * withdrawn
        and row[k.R_GONE] >= orders
        and ratio >= params.least_ratio
    )
    layers = _largest(layers, withdrawn)
    fills = _cited(_parts(row, k.R_FIRST_FILL, row[k.R_FILLS], k.FILL_FIELDS), row[k.R_HIT_NS])
    seqs = {part[at] for part in layers for at in (k.L_ENTRY, k.L_SEQ)}
    seqs |= {fill[k.F_SEQ] for fill in fills}
    own = [part[k.L_ACCOUNT] for part in layers] + [fill[k.F_OWN] for fill in fills]
    touch = row[k.R_BID] if row[k.R_SIDE] > 0 else row[k.R_ASK]
    away = sorted(row[k.R_SIDE] * (touch - part[k.L_PRICE]) for part in layers)
    return Surge(
        instrument=row[k.R_INSTRUMENT],
        party=row[k.R_PARTY],
        in_group=bool(row[k.R_GROUP]),
        side=row[k.R_SIDE],
        from_ns=min([row[k.R_ON_NS], *(part[k.L_SINCE] for part in layers)]),
        rise_ns=row[k.R_RISE_NS],
        fall_ns=row[k.R_FALL_NS],
        fall_seq=row[k.R_FALL_SEQ],
        due_ns=row[k.R_DUE_NS],
        ratio=ratio,
        size_ratio=row[k.R_PEAK] / usual,
        withdrawn=withdrawn,
        hit_ns=row[k.R_HIT_NS],
        hits=row[k.R_HITS],
        hit_lots=row[k.R_HIT_LOTS],
        harm=_harm(row),
        withdraws=withdraws,
        distance_ticks=away[len(away) // 2] if away and touch != k.ABSENT else 0,
        incomplete=bool(row[k.R_DOUBT]),
        accounts=tuple(dict.fromkeys(own)),
        seqs=tuple(sorted(seqs)),
    )


def _parts(row: list[int], first: int, count: int, fields: int) -> list[list[int]]:
    return [row[first + n * fields : first + (n + 1) * fields] for n in range(count)]


def _largest(layers: list[list[int]], withdrawn: int) -> list[list[int]]:
    """Return the largest withdrawn orders that explain what was withdrawn."""
    taken: list[list[int]] = []
    left = withdrawn
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
