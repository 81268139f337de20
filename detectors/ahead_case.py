"""What a hold with executions of the group comes to: a case with its legs, or an exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from detectors.ahead_params import TradingAheadParams
from detectors.ahead_state import GATE, RFQ, TRIGGER
from detectors.held_orders import Execution, Hold
from detectors.statistics import binomial_tail, poisson_tail, spent
from ingest.events import NULL, Role
from ingest.times import MILLI

STRONG, PATTERN, WEAK, CLIENT_UNKNOWN, NO_LOSS = range(5)
"""A case of its own; one of a significant rate; neither; the held account is not registered; one
that cost nobody anything and may be chance, until others show that it was none."""
NO_HABIT: Final = 0.05
"""Chance of as many overtaken by the group's own habit, up to which a second one is no accident."""
NO_PEER: Final = 0.05
"""Chance under which external makers' share does not explain the group's: one test, by itself."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One held order and what the group executed before it."""

    instrument: int
    standing: int
    side: int
    account: int
    """Of the group's first execution."""
    client: int
    hold: Hold
    executions: tuple[Execution, ...]
    displaced: int
    """Lots that the client did not get, or got worse, of what the group executed."""
    unfilled: int
    """Lots of it that the client still has open or lost."""
    cost: int
    """Ticks times lots at which the group executed the unfilled."""
    worse: int
    """Half ticks times lots that the client paid more on the rest."""
    chance: float
    """Of so many overtaken holds by habit."""
    habitual: bool
    """Whether they are too many for the group's habit, over all looks."""
    seqs: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """What an episode adds up."""
        of_way = {GATE: "gateway", TRIGGER: "trigger", RFQ: "rfq"}[self.hold.way]
        took = sum(each.aggressive for each in self.executions)
        return {
            of_way: 1,
            "aggressive": took,
            "passive": len(self.executions) - took,
            "standing": sum(not each.later for each in self.executions),
            "displaced": self.displaced,
            "executed": sum(each.lots for each in self.executions),
            "net": self.hold.net,
        }


def case_of(hold: Hold, params: TradingAheadParams) -> Case | None:
    """Return the case that a hold makes; None where an exception holds.

    Exceptions: nothing but quotes that stood before the order came, and the client lost nothing by
    them; a request for quote beside which only resting orders were filled; a fill-or-kill that the
    group's executions would not have filled; a client filled in whole, at the same price or better,
    no longer after the group's first execution than clients wait without being clearly held. The
    last is of a lone one: a client that was clearly held has no exception where the rate at which
    the group overtakes is significant, since that the group traded just then is no chance.

    A clear hold is strong by itself where the group took, or was hit in an order that is new, and
    the client lost by it, or such overtaking is more than chance. Else it may be an accident: weak,
    and one that is strong but for that is told once overtaking has turned out to be more.
    """
    later = hold.later
    if hold.way == RFQ:
        later = [each for each in later if each.aggressive]
        if not later:
            return None
    counted = later or hold.executions
    if not counted or (hold.fok and hold.open and _lots(counted) < hold.lots):
        return None
    unfilled, cost, filled, worse = _displaced(hold, counted)
    first_ns = min(each.at_ns for each in counted)
    at_once_ns = max(hold.at_once_ns, params.at_once_ms * MILLI)
    chance = poisson_tail(hold.overtaken, hold.expected_group / 1e6)
    rated = _significant(hold, params, chance)
    often = rated or (hold.overtaken > 1 and chance <= NO_HABIT)
    kept_waiting = bool(hold.clear) and (rated or hold.done_ns - first_ns > at_once_ns)
    if unfilled + filled == 0 and not (later and kept_waiting):
        return None
    standing = WEAK
    doubt = any(each.late for each in counted) or bool(hold.late)
    delta = params.clock_uncertainty_ns
    if hold.role == Role.UNKNOWN:
        standing = CLIENT_UNKNOWN
    elif later and not doubt:
        if hold.clear and _new(hold, later, delta):
            # A request for quote waits with somebody who knows of it, no order by accident.
            told = unfilled + filled or often or hold.way == RFQ
            standing = STRONG if told else NO_LOSS
        elif rated:
            standing = PATTERN
    return Case(
        instrument=hold.instrument,
        standing=standing,
        side=hold.side,
        account=counted[0].account,
        client=hold.account,
        hold=hold,
        executions=tuple(counted),
        displaced=unfilled + filled,
        unfilled=unfilled,
        cost=cost,
        worse=worse,
        chance=chance,
        habitual=rated or (hold.overtaken > 1 and chance <= spent(NO_HABIT, hold.tests)),
        seqs=_seqs(hold, counted),
    )


def _new(hold: Hold, later: Sequence[Execution], delta: int) -> bool:
    """Return whether the group took, or was hit in an order that had not stood elsewhere before.

    A maker moves its quotes all the time; that it did while an order was held is no sign. Nor is
    that it was hit in a new one, where orders as large as the held one are held as long.
    """
    return any(
        each.aggressive
        or each.since_ns == NULL
        or (hold.clear_of_size and each.since_ns - hold.from_ns > delta)
        for each in later
    )


def _significant(hold: Hold, params: TradingAheadParams, chance: float) -> bool:
    """Return whether holds are overtaken more often than by habit, and than makers overtake."""
    if hold.overtaken < params.least_overtaken or chance > spent(params.alpha, hold.tests):
        return False
    both = hold.expected_group + hold.expected_makers
    share = hold.expected_group / both if both else 1.0
    peers = binomial_tail(hold.overtaken, hold.overtaken + hold.makers, share)
    return hold.expected_makers == 0 or peers <= NO_PEER


def _displaced(hold: Hold, counted: Sequence[Execution]) -> tuple[int, int, int, int]:
    """Return unfilled lots, their cost, lots filled worse, and by how much, half ticks times lots.

    What the group executed at the best prices is set against what the client lacks, then against
    what it got at the worst prices.
    """
    side = hold.side
    got = sorted(([side * fill.price, fill.lots] for fill in hold.fills), reverse=True)
    left, unfilled, cost, filled, worse = hold.open, 0, 0, 0, 0
    for each in sorted(counted, key=lambda e: (side * e.price, e.seq)):
        lots = min(left, each.lots)
        left, unfilled, cost = left - lots, unfilled + lots, cost + lots * each.price
        rest = each.lots - lots
        while rest and got and got[0][0] > side * each.price:
            lots = min(rest, got[0][1])
            filled, worse = filled + lots, worse + 2 * lots * (got[0][0] - side * each.price)
            rest -= lots
            got[0][1] -= lots
            if not got[0][1]:
                del got[0]
    return unfilled, cost, filled, worse


def _lots(executions: Sequence[Execution]) -> int:
    return sum(each.lots for each in executions)


def _seqs(hold: Hold, counted: Sequence[Execution]) -> tuple[int, ...]:
    """Return the records that prove it: the order, its last fill, instructions and executions."""
    found = {hold.seq, hold.done_seq, hold.crossed_seq}
    for each in counted:
        found |= {each.seq, each.entry_seq}
    return tuple(sorted(found - {0, NULL}))
