"""spoofing: large orders that are not meant make others trade with a small one that is."""

from __future__ import annotations

import random
from typing import Final

from ingest.times import SECOND
from market.abuse.base import Injector
from market.abuse.held import around
from market.abuse.layering import Episode, Style
from market.loop import Port
from market.orders import BUY, SELL

HARM_S: Final = 300.0
LAST_S: Final = 60.0
"""What the last cycle may take."""
WITHDRAWN_S: Final = (0.05, 20.0)
"""From the fill to the withdrawal: the blatant is the quick."""


class Spoofing(Injector):
    """The group shows layers on one side, has a small order filled on the other, and withdraws.

    An episode has several such cycles. While layers stand, some clients who would have waited on
    their side cross the spread instead and meet the small order, the best on the other side; no
    honest imbalance moves clients in this market, so that this is modelled here alone, and in
    proportion to what the layers add to the depth. That is also what it costs them. Layers that
    come to the touch are withdrawn at once: they are not meant.

    Severity sets the number of layers (3 to 8), their size (as the maker's own quotes, to five
    times that), how many cycles there are (2 to 6) and how soon the layers go once the small order
    was filled (seconds when faint, a tenth when blatant).

    Evasions: `sister` layers by the account of another company of the group; `staggered` withdraws
    one layer after the other; `partial` first makes them small by amendments; `far` layers away
    from the touch, where they are less looked at; `small_layers` uses more and ordinary ones.
    """

    scenario = "spoofing"
    evasions = ("sister", "staggered", "partial", "far", "small_layers")
    every_s = 300.0

    def attempt(self, port: Port) -> bool:
        """Begin an episode."""
        venue, evasion = self.venue, self.hide()
        small = evasion == "small_layers"
        usual = venue.makers[venue.afmm, port.engine.name].quoting.lots
        style = Style(
            side=self.rng.choice((BUY, SELL)),
            account=venue.sister if evasion == "sister" else venue.afmm,
            evasion=evasion,
            layers=max(3, round(self.between(3, 8))) + (3 if small else 0),
            lots=usual * (self.between(0.4, 0.8) if small else self.between(0.8, 5.0)),
            cycles=max(2, round(self.between(2, 6))),
            stay_s=around(self.rng, WITHDRAWN_S, 1 - self.severity),
        )
        rng = random.Random(self.rng.getrandbits(64))  # noqa: S311 - a simulation
        length_s = 20.0 + style.cycles * 30.0
        if not venue.has_time(length_s + LAST_S):
            return False
        until_ns = venue.loop.now_ns + int(length_s * SECOND)
        venue.reserve(port, length_s)
        case = venue.cases.begin(self.scenario, port, evasion=evasion, harm_s=HARM_S)
        if case is not None:
            Episode(venue, port, case, rng, style, until_ns).cycle()
        return True
