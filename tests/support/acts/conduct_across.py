"""The act of conduct_across: layers on the spot and on the perpetual, three times each by turns.

Each time a client buys from the ask meanwhile, and the layers go soon after. The last records, much
later, find them over.
"""

from __future__ import annotations

from tests.support.acts import Stage

SECOND = 10**9
PERPETUAL = True
CYCLES = 3


def play(stage: Stage) -> None:
    """Quote for two minutes, then layer one bid after the other while a client buys."""
    venue, names = stage.venue, (stage.name, stage.perpetual)
    maker, client = stage.account("MM"), stage.account("P1")
    for name in names:
        for other, lots in (("X1", 8), ("X2", 12)):
            venue.new(name, stage.account(other), "buy", lots, 9_998)
            venue.new(name, stage.account(other), "sell", lots, 10_006)
        venue.new(name, maker, "buy", 10, 10_000)
        venue.new(name, maker, "sell", 1_000, 10_005)
    for _ in range(8):
        venue.now_ns += 16 * SECOND
        for name in names:
            venue.new(name, client, "buy", 1, 9_000)
    for _ in range(CYCLES):
        for name in names:
            layers = [venue.new(name, maker, "buy", 40, 9_999 - n) for n in range(3)]
            venue.now_ns += 2 * SECOND
            venue.new(name, client, "buy", 3, 10_005)
            venue.now_ns += SECOND // 20
            for layer in layers:
                venue.cancel(name, layer)
            venue.now_ns += 5 * SECOND
            venue.new(name, client, "buy", 1, 9_000)
    venue.now_ns += 500 * SECOND
    for name in names:
        venue.new(name, client, "buy", 1, 9_000)
