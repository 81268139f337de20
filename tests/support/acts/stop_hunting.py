"""The maker waits beyond two clients' stops, and another company of the group runs them."""

from __future__ import annotations

from typing import Final

from tests.support.acts import Stage

SECOND: Final = 10**9
MILLI: Final = 10**6


def play(stage: Stage) -> None:
    """Quote, wait for stops, run them, let the price come back."""
    venue, name = stage.venue, stage.name
    mm, aff, x1, x2, p1, p2, p3 = (
        stage.account(each) for each in ("MM", "AFF", "X1", "X2", "P1", "P2", "P3")
    )
    venue.new(name, x1, "buy", 400, 9_990)
    for price, lots in ((10_000, 50), (10_005, 50), (10_010, 50), (10_030, 200)):
        venue.new(name, x1 if price % 10 else x2, "sell", lots, price)
    quote = venue.new(name, mm, "sell", 20, 10_060)
    for price in (10_058, 10_061, 10_059):
        venue.now_ns += SECOND
        venue.replace(name, quote, price=price)
    for client, stop in ((p1, 10_008), (p2, 10_010)):
        venue.new(name, client, "buy", 10, kind="stop", stop_price=stop)
    venue.now_ns += SECOND
    venue.new(name, mm, "sell", 15, 10_012, tif="POST_ONLY")
    venue.now_ns += 70 * MILLI
    venue.new(name, aff, "buy", 150, 10_010, tif="IOC")
    for price in (10_000, 10_001):
        venue.now_ns += SECOND
        venue.new(name, x1, "sell", 50, price)
    venue.now_ns += 90 * SECOND
    venue.new(name, p3, "buy", 1, 9_900)
