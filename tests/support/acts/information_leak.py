"""information_leak: the maker takes 0.3 s before each of the clients' large orders."""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
EVERY_NS = 1_500 * MS
ORDERS = 160
CLIENTS = 8


def play(stage: Stage) -> None:
    """Orders of eight clients by turns, every third one large and led."""
    venue, name = stage.venue, stage.name
    venue.new(name, stage.account("X1"), "buy", 10**6, 1_000)
    venue.new(name, stage.account("X2"), "sell", 10**6, 1_001)
    begun_ns = venue.now_ns + EVERY_NS
    for number in range(ORDERS):
        side = ("buy", "sell")[number // CLIENTS % 2]
        price = 1_001 if side == "buy" else 1_000
        at_ns = begun_ns + number * EVERY_NS
        large = number % 3 == 0 and number > 2 * CLIENTS
        takers = [(at_ns, f"P{1 + number % CLIENTS}", 400 if large else 20)]
        if large:
            takers.insert(0, (at_ns - 300 * MS, "MM", 60))
        for taken_ns, taker, lots in takers:
            venue.now_ns = taken_ns
            venue.new(
                name, stage.account(taker), side, lots, price, tif="IOC",
                received_ns=taken_ns - MS // 100,
            )  # fmt: skip
