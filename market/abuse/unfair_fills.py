"""unfair_fills: the group quotes with a view of the outside price that nobody can have."""

from __future__ import annotations

from collections import deque
from typing import Final

from ingest.times import SECOND
from market.abuse.spell import Spell, behave
from market.loop import Port
from market.makers import Conduct

STEPS: Final = (1, 8)
"""How many steps of 250 ms it sees ahead, at both ends of severity."""
SHARE: Final = (0.1, 0.9)
"""What share of the move to come is in its quotes, at both ends of severity."""
SHORT_S: Final = (240.0, 900.0)
FIRST_SHRINK: Final = (0.3, 0.5)
"""Size of the first level that alone is unfair, beside its habit: the agreement is still held."""
LOOK_S: Final = 0.5
MOVED_BPS: Final = 6.0
"""Move of the outside price within `MOVED_LOOKS` looks, five seconds, that counts as volatile: some
2.5 standard deviations of the calm regime."""
MOVED_LOOKS: Final = 10


class UnfairFills(Spell):
    """In spells the group's quotes lean to where the outside price is about to go.

    What clients deal against it is what it wants to be dealt: prices move against them at once, as
    they do not after fills against external makers. How much of how many steps it foresees grows
    with severity. What that costs is told by paired runs in which it quotes fairly, half a minute
    at a time.

    Evasions: `small_orders`, only its first level, made small, knows, so that large fills are fair
    and volumes hide it; `volatile_only`, only while the price moves much, when markouts are bad
    anyway; `one_side`, only its bids or its offers, so that the two sides' mean halves it;
    `short_spells`, minutes, so that an hour's or a day's mean dilutes it.
    """

    scenario = "unfair_fills"
    evasions = ("small_orders", "volatile_only", "one_side", "short_spells")

    def length_s(self, evasion: str) -> float:
        """Draw how long a spell lasts."""
        return self.log_uniform(*(SHORT_S if evasion == "short_spells" else self.lasts_s))

    def go(self, port: Port, evasion: str, until_ns: int) -> None:
        """Quote unfairly for a while."""
        maker = self.maker(port)
        share = min(1.0, self.jitter(self.between(*SHARE), 0.2))
        steps = max(1, round(self.jitter(self.between(*STEPS), 0.2)))
        side = self.rng.choice((1, -1))
        first_shrink = self.rng.uniform(*FIRST_SHRINK)
        case = self.venue.cases.begin(self.scenario, port, evasion=evasion, listing="nothing")
        if case is None:
            return
        conduct = maker.conduct = Conduct(foresight=share, foresight_steps=steps)
        used = evasion != "volatile_only"
        if evasion == "one_side":
            conduct.foresight_sides = (side,)
        elif evasion == "small_orders":
            conduct.foresight_levels, conduct.first_shrink = 1, first_shrink
        elif evasion == "volatile_only":
            conduct.foresight = 0.0
            seen: deque[float] = deque([maker.outside.price], maxlen=MOVED_LOOKS)

            def look(now_ns: int, _: None) -> None:
                nonlocal used
                if now_ns >= until_ns:
                    return
                price = maker.outside.price
                moved = abs(price / seen[0] - 1) * 1e4 > MOVED_BPS
                seen.append(price)
                conduct.foresight = share if moved or maker.outside.stress > 1 else 0.0
                used = used or conduct.foresight > 0
                self.venue.loop.at(now_ns + int(LOOK_S * SECOND), look)

            look(self.venue.loop.now_ns, None)
        case.act(self.venue.afmm)
        self.measure(port, case, until_ns, lambda: behave(maker))
        self.until(until_ns, case, lambda: behave(maker) and used)
