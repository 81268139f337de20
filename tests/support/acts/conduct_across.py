"""conduct_across: the maker fades thrice on the spot and thrice on the perpetual, too seldom to be
told in either.
"""

from __future__ import annotations

from tests.support.acts import Stage
from tests.support.fading import Spell

PERPETUAL = True
ROUNDS = 14
EVERY_MS = 6_500
FADED = (3, 7, 11)


def play(stage: Stage) -> None:
    """Quote for fourteen rounds in one after the other, and fade before three clients in each."""
    names = {name: stage.account(name) for name in ("MM", "X1", "X2", "P1", "P2")}
    for instrument in (stage.name, stage.perpetual):
        spell = Spell(stage.venue, instrument, names)
        for number in range(ROUNDS):
            fade = ["MM"] if number in FADED else []
            spell.round(every_ms=EVERY_MS, phase_ms=(number * 37 % 100) * 10, fade=fade)
        spell.wait(15_000)
        spell.quote()
    stage.venue.now_ns += 500 * 10**9
    for instrument in (stage.name, stage.perpetual):
        stage.venue.new(instrument, names["P1"], "buy", 1, 9_000)
