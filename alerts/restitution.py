"""The restitution ledger: what breaches cost each client, by a rematch of each.

A charge is one fill of a client's order that was worse than what the order would have had, or a
quantity of it that was never filled. What another fill gained lowers no charge.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Final, Literal, get_args

import msgspec

from alerts.rematch_fork import Course, Fork, Outcome
from alerts.restitution_breaches import Claim, Standing

ChargeStanding = Literal[Standing, "later"]
"""What a charge rests on, the strongest first; `later` is of orders that no alert names."""
_STANDINGS: Final = get_args(ChargeStanding)
COUNTERFACTUALS: Final = {
    "by_rule": (
        "client priority enforced: the incoming order matched by the venue's rules, all else held "
        "fixed"
    ),
    "in_order": (
        "the client's instruction matched before the first that came later, at the latest before "
        "the group's that overtook it, all else held fixed"
    ),
    "without": (
        "the client's instruction matched first and the group's left out, all else held fixed"
    ),
}
Paid = Literal["fill", "mid"]
Thing = tuple[str, int, int, int]
"""What is charged once: `fill`, instrument, seq of the trade and side; `unfilled`, or `order` for
the whole of it, with the instrument and the first order of a chain of replacements."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What one fill, or one unfilled quantity, of a client's order is owed. Codes and ticks."""

    instrument: int
    account: int
    order: int
    side: int
    lots: int
    root: int = 0
    """The order under its first name, before others replaced it; 0 = `order`."""
    paid_double: int
    """What it paid, half ticks: the fill's price, or the mid."""
    due_double: int
    """What it would have paid, half ticks."""
    paid_as: Paid
    why: str
    """filled | cancelled | reduced | expired | prevented | open."""
    at_seq: int
    """Seq of the trade, or of the record at which it was marked."""
    counterfactual: str
    """One of `COUNTERFACTUALS`."""
    standing: ChargeStanding
    alert_id: str
    also: tuple[str, ...] = ()
    """Other alerts that tell of the same quantity; it is charged here alone."""

    @property
    def half_ticks(self) -> int:
        """Owed, half ticks times lots; above 0."""
        return self.side * (self.paid_double - self.due_double) * self.lots

    @property
    def of(self) -> Thing:
        """What is charged: a fill, or what was not filled of an order, whatever its name."""
        if self.paid_as == "fill":
            return ("fill", self.instrument, self.at_seq, self.side)
        return ("unfilled", self.instrument, self.root or self.order, 0)

    @property
    def whole(self) -> Thing:
        """The order of which it is a part, whatever its name."""
        return ("order", self.instrument, self.root or self.order, 0)


class Unmeasured(msgspec.Struct, frozen=True, kw_only=True):
    """A breach of which it cannot be said what it cost."""

    instrument: int
    alert_ids: tuple[str, ...]
    reason: str


class Piece(msgspec.Struct, frozen=True):
    """Lots of an order: what they came to, and what they would have been filled at."""

    lots: int
    came: Outcome
    due_double: int


def pieces_of(course: Course) -> list[Piece]:
    """Return the lots that only the rematch fills early, each with what it came to.

    Fills that both courses have (the same step and price) are nobody's loss. Of the rest, the
    first lots that the rematch fills are those that came to something else first.

    Examples
    --------
    Five lots would have been filled at 100; three were at 102 later, the rest ended with mid 101:

    >>> course = Course(1, 7, 1, recorded=[Outcome(3, 204, 9, 9), Outcome(4, 202, 12, why="open")],
    ...     rematched=[Outcome(5, 200, 5)])
    >>> [(piece.lots, piece.came.double_price, piece.due_double) for piece in pieces_of(course)]
    [(3, 204, 200), (2, 202, 200)]

    What is filled in both, at the same time and price, is no loss:

    >>> pieces_of(Course(1, 7, 1, recorded=[Outcome(3, 200, 9, 9)], rematched=[Outcome(3, 200, 9)]))
    []
    """
    both: dict[tuple[int, int | None], int] = defaultdict(int)
    for fill in course.rematched:
        both[fill.at_seq, fill.double_price] += fill.lots
    came: deque[tuple[int, Outcome]] = deque()
    common: dict[tuple[int, int | None], int] = defaultdict(int)
    for outcome in course.recorded:
        key, lots = (outcome.at_seq, outcome.double_price), outcome.lots
        if outcome.trade_seq:
            shared = min(lots, both[key])
            both[key] -= shared
            common[key] += shared
            lots -= shared
        if lots:
            came.append((lots, outcome))
    pieces = []
    for fill in course.rematched:
        key = (fill.at_seq, fill.double_price)
        shared = min(fill.lots, common[key])
        common[key] -= shared
        lots = fill.lots - shared
        while lots and came:
            left, outcome = came.popleft()
            taken = min(lots, left)
            assert fill.double_price is not None  # noqa: S101 - a fill has a price
            pieces.append(Piece(taken, outcome, fill.double_price))
            lots -= taken
            if taken < left:
                came.appendleft((left - taken, outcome))
    return pieces


def charges_of(
    forks: Iterable[Fork], claims: Mapping[str, Claim]
) -> tuple[list[Charge], list[Unmeasured]]:
    """Return what forks come to: a charge for each loss, and breaches that cannot be measured.

    Quantities may be charged by several forks yet: `settled` sees to it that none is twice.
    """
    charges: list[Charge] = []
    unmeasured: list[Unmeasured] = []
    for fork in forks:
        repair = fork.repair
        told = sorted((claims[id_] for id_ in repair.alerts), key=lambda claim: claim.rank)
        kind = "by_rule" if repair.enforced else "without" if repair.omitted else "in_order"
        courses = fork.all_courses
        if fork.incomplete and courses:
            unmeasured.append(_unmeasured(fork, "the book is not known whole there"))
            continue
        for course in courses:
            named = [claim for claim in told if course.order in claim.orders]
            naming = named or told
            # That a later order is part of what was run ahead of is for a person to confirm.
            later = kind == "without" and not named
            for piece in pieces_of(course):
                paid, reason = piece.came.double_price, _obstacle(fork, piece)
                if paid is None or reason:
                    unmeasured.append(_unmeasured(fork, reason))
                    continue
                charge = Charge(
                    instrument=repair.instrument,
                    account=course.account,
                    order=course.order,
                    root=course.root,
                    side=course.side,
                    lots=piece.lots,
                    paid_double=paid,
                    due_double=piece.due_double,
                    paid_as="fill" if piece.came.trade_seq else "mid",
                    why=piece.came.why,
                    at_seq=piece.came.trade_seq or piece.came.at_seq,
                    counterfactual=kind,
                    standing="later" if later else naming[0].standing,
                    alert_id=naming[0].alert_id,
                    also=tuple(claim.alert_id for claim in naming[1:]),
                )
                if charge.half_ticks > 0:
                    charges.append(charge)
    return charges, unmeasured


def _obstacle(fork: Fork, piece: Piece) -> str:
    """Return why it cannot be said what a piece came to; empty where it can."""
    if piece.came.why == "busted":
        return f"a fill of {piece.lots} lots was busted"
    if piece.came.why == "open" and fork.unfinished:
        return "its 300 s are not over"
    return f"no mid to mark {piece.lots} lots to" if piece.came.double_price is None else ""


def _unmeasured(fork: Fork, reason: str) -> Unmeasured:
    return Unmeasured(
        instrument=fork.repair.instrument,
        alert_ids=fork.repair.alerts,
        reason=reason,
    )


def settled(charges: Collection[Charge], lots_of: Mapping[Thing, int]) -> list[Charge]:
    """Return the charges that stand: no lot of a fill, and no unfilled lot, is charged twice.

    Proved ones come first, later orders last; then, of the counterfactuals that see one lot, that
    which owes most for it; then the earlier alert. The charge that stands names the alerts of the
    others.

    Parameters
    ----------
    charges : collection of Charge
    lots_of : mapping
        By `Charge.of`: how many lots there are of it, of what was not filled the most that ever
        was; by `Charge.whole`: of the whole order.
    """
    left = dict(lots_of)
    stands: list[Charge] = []
    beside: dict[Thing, dict[str, None]] = defaultdict(dict)
    for charge in sorted(charges, key=_first):
        whole = charge.whole
        lots = min(charge.lots, left[charge.of], left[whole])
        told = beside[charge.of]
        told |= dict.fromkeys((charge.alert_id, *charge.also))
        if lots > 0:
            left[charge.of] -= lots
            left[whole] -= lots
            stands.append(msgspec.structs.replace(charge, lots=lots))
    return sorted((_named(charge, beside[charge.of]) for charge in stands), key=_shown)


def _named(charge: Charge, told: Iterable[str]) -> Charge:
    others = sorted(set(told) - {charge.alert_id})
    return msgspec.structs.replace(charge, also=tuple(others))


def _first(charge: Charge) -> tuple[int, Fraction, str, int, int, int, int, str, int]:
    """Return the rank of a charge; no two that differ have one, or their order would decide."""
    each = Fraction(charge.half_ticks, charge.lots)
    return (
        _STANDINGS.index(charge.standing), -each, charge.alert_id,
        charge.instrument, charge.at_seq, charge.order, charge.due_double,
        charge.paid_as, -charge.lots,
    )  # fmt: skip


def _shown(charge: Charge) -> tuple[int, int, int, int, int]:
    return (charge.instrument, charge.at_seq, charge.account, charge.order, charge.due_double)


def capacities(forks: Iterable[Fork]) -> dict[Thing, int]:
    """Return how many lots there are of every fill and order that forks followed: see `settled`."""
    found: dict[Thing, int] = {}
    for fork in forks:
        code = fork.repair.instrument
        orders: dict[int, list[Outcome]] = defaultdict(list)
        fills: dict[Thing, int] = defaultdict(int)
        for course in fork.all_courses:
            orders[course.root or course.order] += course.recorded
            for each in course.recorded:
                if each.trade_seq:
                    fills["fill", code, each.trade_seq, course.side] += each.lots
        for root, outcomes in orders.items():
            unfilled = sum(each.lots for each in outcomes if not each.trade_seq)
            whole = sum(each.lots for each in outcomes)
            fills["unfilled", code, root, 0] = unfilled
            fills["order", code, root, 0] = whole
        for thing, lots in fills.items():
            found[thing] = max(lots, found.get(thing, 0))
    return found
