"""Two hand-written batches: a group that is ahead of large orders, and one ahead of any order."""

from __future__ import annotations

from typing import Any, Final

from detectors.examples import batch_of, trade
from ingest.events import Batch, Phase, Role, Side
from ingest.instruments import Instruments
from ingest.times import SECOND

START_NS: Final = 1_763_942_400 * SECOND
"""Midnight."""
WARM: Final = 20
ROUNDS: Final = 30
LED: Final = 4
"""Of five rounds, those in which the group is ahead."""
LOOK_NS: Final = 2_700 * SECOND


def led(instruments: Instruments, *, of: int = 1) -> Batch:
    """Return three quarters of an hour of clients' orders, every third one large.

    The group takes 0.4 s before four of five: before a large one, or, by turns, one in `of`.
    """
    rows = [_taken(START_NS + n * SECOND, 50 + n, 10, Side.BUY) for n in range(WARM)]
    for turn in range(ROUNDS):
        side = Side.BUY if turn % 2 else Side.SELL
        begun_ns = START_NS + (40 + 45 * turn) * SECOND
        for place in range(3):
            at_ns = begun_ns + 15 * place * SECOND
            if turn % 5 < LED and place == turn % of:
                rows.append(_taken(at_ns - 4 * SECOND // 10, 1, 20, side, group=True))
            rows.append(_taken(at_ns, 100 + 3 * turn + place, 10 if place else 200, side))
    batch = batch_of([{**row, "incoming_seq": n} for n, row in enumerate(rows, 1)], instruments)
    batch.watermark_ns = START_NS + LOOK_NS
    return batch


def _taken(
    at_ns: int, account: int, lots: int, side: Side, *, group: bool = False
) -> dict[str, Any]:
    mine, other = ("buy", "sell") if side > 0 else ("sell", "buy")
    pair = (account, 2) if side > 0 else (2, account)
    return trade(*pair) | {
        "engine_ns": at_ns, "quantity": lots, "side": side, "phase": Phase.CONTINUOUS,
        "incoming_received_ns": at_ns - 20_000, f"{mine}_complex": int(group),
        f"{mine}_role": Role.AFFILIATED_MM if group else Role.CLIENT,
        f"{other}_role": Role.EXTERNAL_MM,
    }  # fmt: skip
