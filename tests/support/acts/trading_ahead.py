"""The gateway keeps clients' orders while the market maker trades; a stop is let go late.

In the perpetual it keeps one that loses nothing; the last record, much later, finds it alone.
"""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
SECOND = 10**9
QUICK = 230
"""Instructions before anything is usual."""
PERPETUAL = True


def play(stage: Stage) -> None:
    """Play two holds at the gateway, the second with a remainder that rests, on a quick venue."""
    Book(stage, stage.perpetual).holds(book=50, times=1)
    Book(stage, stage.name).holds(book=10, times=2)
    stage.venue.now_ns += 1_000 * SECOND
    Book(stage, stage.perpetual).new(stage.account("P1"), "buy", 1, 9_000)


class Book:
    """One instrument of the act."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name

    def new(
        self, who: str, side: str, lots: int, price: int, late_ms: float = 0.02, **options
    ) -> None:
        """Enter an order that reached the gateway a while ago."""
        venue = self.stage.venue
        came_ns = venue.now_ns - int(late_ms * MS)
        venue.new(self.name, who, side, lots, price, received_ns=came_ns, **options)

    def holds(self, *, book: int, times: int) -> None:
        """Let the group buy from an ask of so many lots while a client's order is held."""
        venue, account = self.stage.venue, self.stage.account
        maker = account("X1")
        self.new(maker, "buy", 900, 9_900)
        for turn in range(QUICK):
            venue.now_ns += 100 * MS
            self.new(account(f"P{1 + turn % 6}"), "buy", 1, 9_000 + turn)
        for turn in range(times):
            self.new(maker, "sell", book, 10_000)
            self.new(maker, "sell", 10, 10_005)
            venue.now_ns += 1_500 * MS
            self.new(account("MM"), "buy", 10, 10_000, tif="IOC")
            venue.now_ns += 200 * MS
            self.new(account("P1"), "buy", 1, 9_000)
            venue.now_ns += 500 * MS
            self.new(account("P7"), "buy", 30 if turn else 5, 10_005, late_ms=1_800)
            venue.now_ns += 300 * MS
            self.new(maker, "buy", 1, 9_800)
