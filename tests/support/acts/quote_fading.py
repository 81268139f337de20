"""quote_fading: in a spell the maker's ask goes while a client's order is at the gate."""

from __future__ import annotations

from tests.support.acts import Stage
from tests.support.fading import Spell

MS = 10**6
ROUNDS = 14
EVERY_MS = 6_500


def play(stage: Stage) -> None:
    """Fade before each of fourteen clients, up to a time of tests, and quote on after it."""
    names = {name: stage.account(name) for name in ("MM", "X1", "X2", "P1", "P2")}
    spell = Spell(stage.venue, stage.name, names)
    for number in range(ROUNDS):
        spell.round(every_ms=EVERY_MS, phase_ms=(number * 37 % 100) * 10, fade=["MM"])
    spell.wait(15_000)
    spell.quote()
