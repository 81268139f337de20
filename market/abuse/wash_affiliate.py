"""wash_affiliate: two accounts of the platform's group trade with each other."""

from __future__ import annotations

import random
from typing import Final

from market.abuse.pairs import WashPair
from market.abuse.parties import Party, party

OTHERS: Final = ("AFF1", "HOUSE1", "STAFF1")
"""The group's accounts beside the market maker's."""


class WashAffiliate(WashPair):
    """The affiliated market maker trades with another account of the group, or two others do.

    See `WashPair` for how, and for what severity and the other evasions do. In both_others neither
    side is the market maker, whose trades are the ones that everybody looks at.
    """

    scenario = "wash_affiliate"
    evasions = (*WashPair.evasions, "both_others")

    def parties(self, evasion: str, rng: random.Random) -> tuple[Party, Party]:
        """Draw who it is: mostly the market maker and another."""
        if evasion == "both_others":
            one, other = rng.sample(OTHERS, 2)
        else:
            one, other = self.venue.afmm, rng.choice(OTHERS)
        return party(self.venue, one), party(self.venue, other)
