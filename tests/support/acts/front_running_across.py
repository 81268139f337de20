"""A client's purchase waits in the gateway; the maker buys the perpetual meanwhile."""

from __future__ import annotations

from tests.support.acts import Stage

MS, SECOND = 10**6, 10**9
PERPETUAL = True


def play(stage: Stage) -> None:
    """Usual orders, then a large parent whose first child is held while the maker buys."""
    venue, spot, perpetual = stage.venue, stage.name, stage.perpetual
    stage.usual(spot, spot, perpetual)
    waits = venue.now_ns
    venue.now_ns += 8 * MS
    received = waits + 7 * MS
    venue.new(perpetual, stage.account("MM"), "buy", 60, 1_005, tif="IOC", received_ns=received)
    venue.now_ns += 12 * MS
    for child in range(8):
        received = waits if child == 0 else venue.now_ns - 10_000
        venue.new(spot, stage.account("P8"), "buy", 50, 1_039, tif="IOC", received_ns=received)
        venue.now_ns += SECOND // 2
    venue.new(perpetual, stage.account("X1"), "buy", 400, 1_003)
    venue.now_ns += SECOND
    received = venue.now_ns
    venue.new(perpetual, stage.account("MM"), "sell", 60, 1_003, tif="IOC", received_ns=received)
