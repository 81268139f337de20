"""unequal_access: the instructions of all makers but the group's wait before the engine."""

from __future__ import annotations

from tests.support.acts import Stage

MS = 10**6
ROUNDS = 45
EVERY_MS = 4_000
WAITS_US = {"MM": 12, "X1": 400, "X2": 450}


def play(stage: Stage) -> None:
    """Have three makers quote every four seconds, and once more when the tests are due."""
    venue = stage.venue
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
