"""wash_common_owner: two accounts of one beneficial owner trade with each other."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Final

from market import population
from market.abuse.pairs import WashPair
from market.abuse.parties import Party, party


def _pairs() -> tuple[tuple[str, str], ...]:
    owned: dict[str, list[str]] = defaultdict(list)
    for member in population.members():
        owned[member.owner].append(member.account)
    return tuple((each[0], each[1]) for each in owned.values() if len(each) == 2)


PAIRS: Final = _pairs()
"""Accounts that share an owner."""


class WashCommonOwner(WashPair):
    """The two accounts of one person trade with each other.

    See `WashPair` for how, and for what severity and the evasions do; who of the two rests and who
    takes, and who buys, is drawn for each meeting.
    """

    scenario = "wash_common_owner"

    def parties(self, evasion: str, rng: random.Random) -> tuple[Party, Party]:
        """Draw a person, whatever the evasion."""
        del evasion
        one, other = rng.choice(PAIRS)
        return party(self.venue, one), party(self.venue, other)
