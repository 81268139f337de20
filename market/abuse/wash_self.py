"""wash_self: one account is on both sides of a trade."""

from __future__ import annotations

import random
from typing import Final

from market import population
from market.abuse.pairs import WashPair
from market.abuse.parties import Party, party
from market.orders import GROUP

_OPEN: Final = [m for m in population.members() if not m.valid_to]
WHO: Final = (
    (0.8, [m.account for m in _OPEN if m.role == "client" and m.account not in population.OMNIBUS]),
    (0.1, [m.account for m in _OPEN if m.role == "external_mm"]),
    (0.1, [m.account for m in _OPEN if m.role in GROUP]),
)
"""Shares of the episodes that are clients', external makers' and the group's."""


class WashSelf(WashPair):
    """One account trades with itself, time and again: a client's mostly, a maker's, the group's.

    See `WashPair` for how, and for what severity and the other evasions do; omnibus: behind an
    account in which many people trade with each other lawfully, one originator is on both sides.
    """

    scenario = "wash_self"
    evasions = (*WashPair.evasions, "omnibus")

    def parties(self, evasion: str, rng: random.Random) -> tuple[Party, Party]:
        """Draw an account; the two parties are one and the same."""
        if evasion == "omnibus":
            account, person = rng.choice(population.OMNIBUS), rng.choice(population.ORIGINATORS)
            both = party(self.venue, account, person)
        else:
            (names,) = rng.choices([who for _, who in WHO], [share for share, _ in WHO])
            both = party(self.venue, rng.choice(names))
        return both, both

    def also(self, parties: tuple[Party, Party]) -> tuple[str, ...]:
        """Return that the owner is one, and that both are of the group where one is."""
        group = self.venue.accounts[parties[0].account].in_group
        return ("wash_common_owner", "wash_affiliate") if group else ("wash_common_owner",)
