"""unequal_access: the instructions of all makers but the group's wait before the engine.

Its self-trades are prevented in two ways, while the venue's rule is not known.
"""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
ROUNDS = 45
EVERY_MS = 4_000
WAITS_US = {"MM": 12, "X1": 400, "X2": 450}


def play(stage: Stage) -> None:
    """Have three makers quote every four seconds, and once more when the tests are due."""
    venue, maker = stage.venue, stage.account("MM")
    for venue.stp in ("cancel_resting", "cancel_incoming"):
        quote = venue.new(stage.name, maker, "sell", 1, 510)
        came = venue.new(stage.name, maker, "buy", 1, 510)
        venue.now_ns += EVERY_MS * MS
        venue.cancel(stage.name, came if venue.stp == "cancel_resting" else quote)
        venue.now_ns += EVERY_MS * MS
    for number in range(ROUNDS + 1):
        for turn, (name, wait_us) in enumerate(WAITS_US.items()):
            venue.new(
                stage.name,
                stage.account(name),
                "buy",
                1,
                500 + turn,
                received_ns=venue.now_ns - wait_us * 1_000,
            )
            venue.now_ns += 5 * MS
        venue.now_ns += (EVERY_MS if number < ROUNDS - 1 else 300_000) * MS
