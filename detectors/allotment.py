"""Which client orders the quantity that the group got was due to: each lot of it to one, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from detectors.displacement import (
    AFFILIATE_UNKNOWN,
    CLIENT_UNKNOWN,
    CLOSE,
    PROVED,
    TIMING,
    UNORDERED,
    Displacement,
    Due,
)
from ingest.events import PASSED_MOST, Coverage

_BY_PLACE, _BY_ARRIVAL = False, True
_TIERS: Final = (
    {(PROVED, _BY_PLACE)},
    {(each, _BY_ARRIVAL) for each in (PROVED, CLOSE, TIMING, UNORDERED)},
    {(AFFILIATE_UNKNOWN, _BY_PLACE), (AFFILIATE_UNKNOWN, _BY_ARRIVAL)},
    {(CLIENT_UNKNOWN, _BY_PLACE), (CLIENT_UNKNOWN, _BY_ARRIVAL)},
)
"""Claims by how firm they are: (condition, arrived)."""
_INCOMPLETE: Final = int(Coverage.INCOMPLETE)
_CITED: Final = ("done_seq", "group_trade_seq", "group_entry_seq", "client_entry_seq")


class Claim(msgspec.Struct, kw_only=True):
    """What one client order can ask of one account's fills at one price."""

    cell: Mapping[str, int]
    """A row of `PASSED_OVER`."""
    reach: int
    """Lots filled for the account that were due to orders of this one's place."""
    condition: int
    arrived: bool = False
    """It rests on the order's arrival alone, not on its place in the queue."""
    gap_ns: int = 0
    lots: int = 0
    """Allotted to it."""

    @property
    def account(self) -> int:
        """Account that was filled."""
        return self.cell["group_account"]

    @property
    def order(self) -> int:
        """The client's order, by its entry_seq."""
        return self.cell["client_entry_seq"]


class Allotment:
    """Hands out the fills of one price, one incoming order, to the client orders passed over.

    Orders are served by their place in the queue. An order of n lots with r lots of fills in its
    reach gets min(n, r less what was handed out): what the client would have had, had those fills
    gone to the clients first and the group's own order among its fills stayed as it was.

    Examples
    --------
    Two lots shown, then the group's 3, then ten lots, then the group's 3: the first client is due
    2 and the second 1, since of the six lots filled three were the group's before it.

    >>> due = Allotment()
    >>> front = {"group_account": 7, "client_entry_seq": 1, "client_lots": 2}
    >>> behind = {"group_account": 7, "client_entry_seq": 3, "client_lots": 10}
    >>> claims = [
    ...     Claim(cell=front, reach=6, condition=PROVED),
    ...     Claim(cell=behind, reach=3, condition=PROVED),
    ... ]
    >>> due.hand_out(claims)
    >>> [claim.lots for claim in claims]
    [2, 1]

    The same fill is due to nobody else:

    >>> late = Claim(cell=behind | {"client_entry_seq": 5}, reach=3, condition=CLIENT_UNKNOWN)
    >>> due.hand_out([late])
    >>> late.lots
    0
    """

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}
        self._got: dict[int, int] = {}

    def taken(self, account: int) -> int:
        """Return the lots of an account's fills handed out so far."""
        return self._taken.get(account, 0)

    def hand_out(self, claims: Sequence[Claim]) -> None:
        """Set `lots` of claims of one standing, each account's in the order of the queue."""
        accounts = list(dict.fromkeys(claim.account for claim in claims))
        places = {order: at for at, order in enumerate(dict.fromkeys(c.order for c in claims))}
        by_order = sorted(claims, key=lambda claim: places[claim.order])
        for order, same in groupby(by_order, lambda claim: claim.order):
            of_order = list(same)
            reach = sum(claim.reach for claim in of_order)
            free = reach - sum(self.taken(account) for account in accounts)
            due = min(of_order[0].cell["client_lots"] - self._got.get(order, 0), max(free, 0))
            self._got[order] = self._got.get(order, 0) + due
            for claim in of_order:
                claim.lots = min(due, max(claim.reach - self.taken(claim.account), 0))
                self._taken[claim.account] = self.taken(claim.account) + claim.lots
                due -= claim.lots


def incidents(claims: Sequence[Claim]) -> tuple[list[Displacement], int]:
    """Return the incidents of one price and incoming order, and how many queues were cut short.

    Firm claims are served first, so that an unknown account takes nothing from a known client's. An
    account of which nothing is left to hand out is told of once, by the firmest claim on it.

    Parameters
    ----------
    claims : sequence of Claim
        In the order of its rows; `lots` of each is set.
    """
    allotment, told, found = Allotment(), set[int](), list[Displacement]()
    for tier in _TIERS:
        of_tier = [claim for claim in claims if (claim.condition, claim.arrived) in tier]
        if not of_tier:
            continue
        allotment.hand_out(of_tier)
        together: dict[tuple[int, int], list[Claim]] = {}
        for claim in of_tier:
            together.setdefault((claim.account, claim.condition), []).append(claim)
        for (account, _), of_account in together.items():
            due = [claim for claim in of_account if claim.lots]
            if due or account not in told:
                found.append(_incident(due or of_account[:1]))
        told |= {claim.account for claim in of_tier}
    # As many rows as the table holds at most, and fills left: more may have been due.
    rows = Counter((claim.account, claim.condition == CLIENT_UNKNOWN) for claim in claims)
    full = {account for (account, _), number in rows.items() if number == PASSED_MOST}
    short = {
        claim.account
        for claim in claims
        if claim.account in full
        and claim.cell["client_orders"] > PASSED_MOST
        and allotment.taken(claim.account) < claim.reach
    }
    return [
        msgspec.structs.replace(each, incomplete=True) if each.group_account in short else each
        for each in found
    ], len(short)


def _incident(claims: Sequence[Claim]) -> Displacement:
    first = claims[0]
    one = first.cell
    older = int(one["jumped_lots"] > 0)
    gap_ns = max(claim.gap_ns for claim in claims)
    return Displacement(
        instrument=one["instrument"],
        condition=first.condition,
        side=one["side"],
        done_seq=one["done_seq"],
        done_ns=one["done_ns"],
        from_ns=one["done_ns"],
        first_seq=one["group_trade_seq"],
        group_account=one["group_account"],
        dues=tuple(
            Due(
                account=claim.cell["client_account"],
                entry_seq=claim.order,
                leaves=claim.cell["client_leaves"],
                limit=one["price"],
                lots=claim.lots,
                cost=claim.lots * one["price"],
            )
            for claim in claims
        ),
        role=one["group_role"],
        seqs=tuple(claim.cell[name] for claim in claims for name in _CITED),
        context=tuple(claim.cell["incoming_seq"] for claim in claims),
        gap_ns=gap_ns,
        older=older,
        class_time=int(not older and not first.arrived),
        arrival_inversions=int(not older and gap_ns > 0),
        exempt_hidden=one["exempt_hidden"],
        exempt_stp=one["exempt_stp"],
        incomplete=one["coverage"] == _INCOMPLETE,
    )
