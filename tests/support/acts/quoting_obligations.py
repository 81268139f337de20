"""quoting_obligations: a maker owes quotes by the half minute, and has one side for most of two."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from tests.support.acts import SECOND, Stage

PERPETUAL = True
TERMS: Final = {
    "max_spread_bps": Decimal(50),
    "min_quantity": Decimal("0.005"),
    "min_presence_ratio": Decimal("0.7"),
    "window_s": 30,
}
LATER = 2 * 3600 * SECOND


def play(stage: Stage) -> None:
    """Quote, leave the bid out for 70 s with a touch of it now and then, come back, and stay."""
    venue, name = stage.venue, stage.name
    for account in ("MM", "X1"):
        for instrument in (name, stage.perpetual):
            stage.agree(account, instrument, **TERMS)
        venue.new(stage.perpetual, stage.account(account), "sell", 10, 1_002)
        venue.new(stage.perpetual, stage.account(account), "buy", 10, 999)
    for account in ("MM", "X1"):
        venue.new(name, stage.account(account), "sell", 10, 1_002)
    venue.new(name, stage.account("X1"), "buy", 10, 999)
    bid = venue.new(name, stage.account("MM"), "buy", 10, 1_000)
    for _ in range(7):
        venue.now_ns += 2 * SECOND
        venue.cancel(name, bid)
        venue.now_ns += 10 * SECOND
        bid = venue.new(name, stage.account("MM"), "buy", 10, 1_000)
    venue.now_ns += 60 * SECOND
    venue.new(name, stage.account("P1"), "buy", 1, 998)
    venue.now_ns += LATER
    venue.new(name, stage.account("P1"), "buy", 1, 998)
