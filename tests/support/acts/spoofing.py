"""The act of spoofing: two cycles of layers, a fill on the other side, and their withdrawal.

The last record, much later, finds them over.
"""

from __future__ import annotations

from tests.support.acts import Stage

SECOND = 10**9


def play(stage: Stage) -> None:
    """Quote for two minutes, then layer the bid twice while a client buys from the ask."""
    venue, name = stage.venue, stage.name
    maker, client = stage.account("MM"), stage.account("P1")
    for other, lots in (("X1", 8), ("X2", 12)):
        venue.new(name, stage.account(other), "buy", lots, 9_998)
        venue.new(name, stage.account(other), "sell", lots, 10_006)
    venue.new(name, maker, "buy", 10, 10_000)
    venue.new(name, maker, "sell", 1_000, 10_005)
    for _ in range(8):
        venue.now_ns += 16 * SECOND
        venue.new(name, client, "buy", 1, 9_000)
    for _ in range(2):
        layers = [venue.new(name, maker, "buy", 10, 9_999 - n) for n in range(3)]
        venue.now_ns += 2 * SECOND
        venue.new(name, client, "buy", 3, 10_005)
        venue.now_ns += SECOND // 2
        for layer in layers:
            venue.cancel(name, layer)
        venue.now_ns += 5 * SECOND
        venue.new(name, client, "buy", 1, 9_000)
    venue.now_ns += 500 * SECOND
    venue.new(name, client, "buy", 1, 9_000)
