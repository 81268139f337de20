"""A hand-written batch: a group that is hit by clients, and is relieved of what it got."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of, trade
from ingest.events import Batch, Phase, Role, Side
from ingest.instruments import Instruments
from ingest.times import SECOND

START_NS: Final = 1_763_942_400 * SECOND
"""Midnight."""
GROUP: Final = 1
MAKER: Final = 2
OTHER: Final = 3
TURNS: Final = 60
CROWD: Final = 10
LOOK_NS: Final = 600 * SECOND


def relieved(instruments: Instruments, *, by: int | None = None) -> Batch:
    """Return ten minutes: every 9 s the group is hit, and 2 s later an account takes its side off.

    That account is `by`, or one of ten clients by turns; three others take at random beside it.
    """
    rows, state = [], 7
    for turn in range(TURNS):
        begun_ns = START_NS + (turn * 9 + 1) * SECOND
        state = (1_103_515_245 * state + 12_345) % 2**31
        side = Side.BUY if state >> 16 & 1 else Side.SELL
        rows.append(_taken(begun_ns, 100 + turn % CROWD, GROUP, 10, side))
        who = 200 + turn % CROWD if by is None else by
        rows.append(_taken(begun_ns + 2 * SECOND, who, MAKER, 10, side))
        for n in range(3):
            state = (1_103_515_245 * state + 12_345) % 2**31
            way = Side.BUY if state >> 16 & 1 else Side.SELL
            other = _taken(begun_ns + (3 + n) * SECOND, 200 + (turn + n) % CROWD, OTHER, 10, way)
            rows.append(other)
    batch = batch_of([{**row, "incoming_seq": n} for n, row in enumerate(rows, 1)], instruments)
    batch.watermark_ns = START_NS + LOOK_NS
    return batch


def _taken(at_ns: int, account: int, against: int, lots: int, side: Side) -> dict[str, Any]:
    mine, other = ("buy", "sell") if side > 0 else ("sell", "buy")
    pair = (account, against) if side > 0 else (against, account)
    group = against == GROUP
    return trade(*pair) | {
        "engine_ns": at_ns, "quantity": lots, "side": side, "phase": Phase.CONTINUOUS,
        f"{mine}_role": Role.CLIENT, f"{other}_complex": int(group),
        f"{other}_role": Role.AFFILIATED_MM if group else Role.EXTERNAL_MM,
    }  # fmt: skip
