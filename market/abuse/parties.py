"""Who enters the orders of a case, by which gate, and in which pieces."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from market import population
from market.abuse.base import Venue
from market.wire import fields

GATES: Final[Mapping[str, str]] = {m.account: m.gate for m in population.members()}
"""By account: the gate that it comes in by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One who enters orders of a case: an account, perhaps with the client behind it."""

    account: str
    gate: str
    waits: bool = False
    """As the group's instructions have to."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of each of its orders."""


def party(venue: Venue, account: str, originator: str = "") -> Party:
    """Return an account as a party; `originator` is who stands behind an omnibus account."""
    options = {}
    if originator:
        options = {"text": fields(originator=originator), "stp_key": f"{account}/{originator}"}
    waits = venue.accounts[account].in_group
    return Party(account=account, gate=GATES[account], waits=waits, options=options)


def cut_up(lots: int, rng: random.Random, *, pieces: int = 1) -> tuple[int, ...]:
    """Return a quantity cut at random into at most so many pieces, of like order.

    >>> cut_up(100, random.Random(3)), sum(cut_up(100, random.Random(3), pieces=3))
    ((100,), 100)
    """
    if pieces < 2 or lots < 10 * pieces:
        return (lots,)
    weights = [rng.uniform(0.3, 1.0) for _ in range(pieces)]
    cut = [max(1, int(lots * weight / sum(weights))) for weight in weights[1:]]
    return (lots - sum(cut), *cut)
