"""The gateway keeps clients' orders while the market maker trades; a stop is let go late."""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
QUICK = 230
"""Instructions before anything is usual."""


def play(stage: Stage) -> None:
    """Play two holds at the gateway, the second with a remainder that rests, on a quick venue."""
    venue, name = stage.venue, stage.name
    maker, group = stage.account("X1"), stage.account("MM")

    def new(who: str, side: str, lots: int, price: int, late_ms: float = 0.02, **options) -> str:
        came_ns = venue.now_ns - int(late_ms * MS)
        return venue.new(name, who, side, lots, price, received_ns=came_ns, **options)

    new(maker, "buy", 900, 9_900)
    for turn in range(QUICK):
        venue.now_ns += 100 * MS
        new(stage.account(f"P{1 + turn % 6}"), "buy", 1, 9_000 + turn)
    for turn in range(2):
        new(maker, "sell", 10, 10_000)
        new(maker, "sell", 10, 10_005)
        venue.now_ns += 1_500 * MS
        new(group, "buy", 10, 10_000, tif="IOC")
        venue.now_ns += 200 * MS
        new(stage.account("P1"), "buy", 1, 9_000)
        venue.now_ns += 500 * MS
        new(stage.account("P7"), "buy", 30 if turn else 5, 10_005, late_ms=1_800)
        venue.now_ns += 300 * MS
        new(maker, "buy", 1, 9_800)
