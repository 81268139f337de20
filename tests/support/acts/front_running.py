"""A client's purchase waits in the gateway; the maker buys first, and sells when it has risen."""

from __future__ import annotations

from tests.support.acts import Stage

MS, SECOND = 10**6, 10**9
PERPETUAL = True


def play(stage: Stage) -> None:
    """Usual orders, then a large parent whose first child is held while the maker buys.

    Before, in the perpetual, the same by a maker who buys all the time: a case that is not told.
    """
    _by_chance(stage)
    venue, name = stage.venue, stage.name
    stage.usual(name, name)
    waits = venue.now_ns
    venue.now_ns += 8 * MS
    venue.new(name, stage.account("MM"), "buy", 60, 1_005, tif="IOC", received_ns=waits + 7 * MS)
    venue.now_ns += 4 * MS
    venue.new(name, stage.account("P7"), "buy", 5, 1_010, tif="IOC", received_ns=waits + 11 * MS)
    venue.now_ns += 8 * MS
    for child in range(8):
        received = waits if child == 0 else venue.now_ns - 10_000
        venue.new(name, stage.account("P8"), "buy", 50, 1_039, tif="IOC", received_ns=received)
        venue.now_ns += SECOND // 2
    venue.new(name, stage.account("X1"), "buy", 400, 1_003, received_ns=venue.now_ns - 10_000)
    venue.now_ns += SECOND
    venue.new(name, stage.account("MM"), "sell", 60, 1_003, tif="IOC", received_ns=venue.now_ns)


def _by_chance(stage: Stage) -> None:
    venue, name = stage.venue, stage.perpetual
    venue.new(name, stage.account("X1"), "buy", 5_000, 900)
    venue.new(name, stage.account("X2"), "sell", 5_000, 1_000)
    for turn in range(20):
        for account in (stage.account(f"P{1 + turn % 5}"), stage.account("MM")):
            venue.now_ns += SECOND // 2
            received = venue.now_ns - 10_000
            venue.new(name, account, "buy", 5, 1_000, tif="IOC", received_ns=received)
    waits = venue.now_ns
    venue.now_ns += SECOND
    venue.new(name, stage.account("MM"), "buy", 5, 1_000, tif="IOC", received_ns=waits + 3 * MS)
    venue.now_ns += MS
    venue.new(name, stage.account("P8"), "buy", 200, 1_000, tif="IOC", received_ns=waits)
    # It ends untold with the next record after its horizon.
    here = venue.now_ns
    venue.now_ns += 301 * SECOND
    venue.new(name, stage.account("X1"), "buy", 1, 900)
    venue.now_ns = here
