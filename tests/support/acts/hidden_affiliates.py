"""hidden_affiliates: a client's account takes what the maker got off its hands, turn by turn."""

from __future__ import annotations

import random

from tests.support.acts import SECOND, Stage

TURNS = 48
EVERY_NS = 6 * SECOND


def play(stage: Stage) -> None:
    """Seven clients hit the maker by turns and trade at random; the eighth relieves it."""
    venue, name = stage.venue, stage.name
    venue.new(name, stage.account("X1"), "buy", 10**6, 998)
    venue.new(name, stage.account("X2"), "sell", 10**6, 1_002)
    rng = random.Random(5)
    begun_ns = venue.now_ns + SECOND

    def take(at_ns: int, who: str, side: str, lots: int) -> None:
        venue.now_ns = at_ns
        price = 1_003 if side == "buy" else 997
        venue.new(
            name, stage.account(who), side, lots, price, tif="IOC", received_ns=at_ns - 10_000
        )

    for turn in range(TURNS):
        at_ns = begun_ns + turn * EVERY_NS
        side = rng.choice(("buy", "sell"))
        venue.now_ns = at_ns
        if side == "buy":
            venue.new(name, stage.account("MM"), "sell", 20, 1_001)
        else:
            venue.new(name, stage.account("MM"), "buy", 20, 999)
        take(at_ns + SECOND, f"P{2 + turn % 7}", side, 20)
        take(at_ns + 2 * SECOND, "P1", side, 12)
        for n in range(3):
            who = f"P{2 + (turn + 2 * n + 1) % 7}"
            take(at_ns + (3 + n) * SECOND - SECOND // 2, who, rng.choice(("buy", "sell")), 15)
