"""Two clients' orders meet inside the spread again and again, among others whose orders do not."""

from __future__ import annotations

from typing import Final

from tests.support.acts import Stage

SECOND: Final = 10**9
CROWD: Final = ("P3", "P4", "P5", "P6", "P7", "P8", "X1", "X2")


def play(stage: Stage) -> None:
    """Let a crowd trade inside the spread, and every seventh time the two."""
    venue, name = stage.venue, stage.name
    venue.new(name, stage.account("X1"), "buy", 9_000, 900)
    venue.new(name, stage.account("X2"), "sell", 9_000, 1_100)
    for turn in range(84):
        venue.now_ns += 2 * SECOND
        first, second = CROWD[turn % 8], CROWD[(turn + 1 + turn // 8 % 7) % 8]
        lots, taken = 100 + 17 * (turn * 5 % 23), 90 + 13 * (turn * 11 % 29)
        if turn % 7 == 6:
            first, second = ("P1", "P2") if turn % 2 else ("P2", "P1")
            lots = taken = 301 + turn
        price = 1_000 + turn % 5
        rests = venue.new(name, stage.account(first), "buy", lots, price)
        venue.now_ns += SECOND // 8
        venue.new(name, stage.account(second), "sell", taken, price, tif="IOC")
        venue.now_ns += SECOND // 8
        if rests in venue.books[name].orders:
            venue.cancel(name, rests)
