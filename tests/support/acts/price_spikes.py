"""price_spikes: minutes of trading about one price, then a client sweeps the book."""

from __future__ import annotations

from tests.support.acts import Stage

SECOND = 10**9


def play(stage: Stage) -> None:
    """Trade once a second, then through forty levels."""
    venue, name = stage.venue, stage.name
    venue.new(name, stage.account("X1"), "buy", 10**6, 1_000)
    venue.new(name, stage.account("X2"), "sell", 1_000, 1_001)
    for tick in range(1_002, 1_042):
        venue.new(name, stage.account("X2"), "sell", 50, tick)
    for turn in range(200):
        venue.now_ns += SECOND
        side, price = (("buy", 1_001), ("sell", 1_000))[turn % 2]
        venue.new(name, stage.account(f"P{1 + turn % 8}"), side, 5, price, tif="IOC")
    venue.now_ns += SECOND
    venue.new(name, stage.account("P3"), "buy", 2_400, 1_041, tif="IOC")
    for _ in range(5):
        venue.now_ns += SECOND
        venue.new(name, stage.account("P4"), "sell", 5, 1_000, tif="IOC")
