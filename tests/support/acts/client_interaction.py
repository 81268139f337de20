"""The act of client_interaction: the maker's quotes go where the others' go soon after."""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
MOVES = (4, -7, 9, -3, 6, -8, 2, 7, -5, -6, 3)
"""Of the price, one every ten seconds, ticks."""
ROUNDS = 28


def play(stage: Stage) -> None:
    """Quote for nearly five minutes, one maker ahead of the two others; clients deal with it."""
    venue, name = stage.venue, stage.name
    mids, quotes = {"MM": 10_000, "X1": 10_000, "X2": 10_000}, {}
    for maker in mids:
        for side, price in (("buy", 9_970), ("sell", 10_030)):
            quotes[maker, side] = venue.new(name, stage.account(maker), side, 50, price)

    def move(maker: str, by: int) -> None:
        mids[maker] += by
        # The side that goes out of the way first, so that nothing crosses.
        for side in ("sell", "buy") if by > 0 else ("buy", "sell"):
            away = 30 if side == "sell" else -30
            venue.replace(name, quotes[maker, side], price=mids[maker] + away)

    for number in range(ROUNDS):
        by = MOVES[number % len(MOVES)]
        move("MM", by)
        venue.now_ns += 400 * MS
        for maker in ("X1", "X2"):
            move(maker, 1)
        venue.now_ns += 400 * MS
        for maker in ("X1", "X2"):
            move(maker, by - 1)
        venue.now_ns += 4_200 * MS
        if number % 4 == 0:
            venue.new(name, stage.account("P1"), "buy", 1, mids["MM"] + 30, tif="IOC")
        venue.now_ns += 5_000 * MS
    venue.now_ns += 230_000 * MS
    venue.new(name, stage.account("P2"), "buy", 1, 9_000)
