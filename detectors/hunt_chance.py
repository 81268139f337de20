"""How often the group stands as it does where stops are run, were there no hunt: one statistic.

The legs of a run that may each be innocent are not cut one by one. How often each is met without a
hunt is measured on the same instrument, and what is judged is how often all would be met together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Day, quarter
from detectors.hunt_runs import Run

RUNS: Final = 10
"""Runs, and hits, that what is taken for usual counts as, until the day has shown what is."""
TURNS: Final = 250
"""Runs that the share in which it turns counts as likewise: of so rare a thing a few dozen of them
say little."""
MOMENTS: Final = 100
"""Moments that count as seen before any was; at one of them the group had added orders."""
LEAST: Final = 1e-300
"""A p-value above 0: its logarithm is summed."""
ROUNDING: Final = 1e-9
"""Share by which products of the same factors may differ by the order of multiplication."""


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """How often each leg of a run is met without a hunt, 0 to 1, and how often all are."""

    added: float = 1.0
    """That the group has as many orders added on that side, when anybody's order comes."""
    caught: float = 1.0
    """That it takes as much of what triggers, when others run stops; where it had orders added, or
    turned, when it takes any: who has an order there catches, so the two are one fact."""
    fresh: float = 1.0
    """That it does so by an order just entered, when it takes any, had none added and did not
    turn: an order added is one just entered."""
    turned: float = 1.0
    """That it takes most of it by orders that come for what rests, when others run stops."""
    size: float = 1.0
    """Of a client's run: that other clients' pushes are as large."""
    beside: float = 1.0
    """Of another's run: that the group pushes with it."""
    joint: float = 1.0
    """That what is seen of all of them is as rare: a p-value."""
    case: float = 1.0
    """That it is as rare and the group had added orders, or that it is and the group turned on
    what rested: the lesser, each judged by itself. 1 where it did neither, and where what was
    caught was not worth the push."""


def as_rare(seen: Sequence[float], tails: Sequence[Sequence[float]]) -> float:
    """Return how often the product of independent p-values is at most that of those seen.

    Exact where each p-value takes few values: all of what could be seen is gone through.

    Parameters
    ----------
    seen : sequence of float
        The p-value of each test.
    tails : sequence of sequence of float
        The p-values that each test can give, downward from 1: P(X >= x) for each x.

    >>> as_rare([0.5, 0.1], [[1.0, 0.5], [1.0, 0.1]]), as_rare([0.5, 1.0], [[1.0, 0.5], [1.0, 0.1]])
    (0.05, 0.55)
    """
    product = math.prod(seen)
    if product >= 1:
        return 1.0
    products, weights = np.ones(1), np.ones(1)
    for each in tails:
        if len(each) == 1 and each[0] == 1.0:
            continue
        values = np.array(each)
        chances = values.copy()
        chances[:-1] -= values[1:]
        products = (products[:, None] * values).ravel()
        weights = (weights[:, None] * chances).ravel()
    return min(1.0, float(weights[products <= product * (1 + ROUNDING)].sum()))


def chance_of(run: Run, day: Day, params: StopHuntingParams, lead_ns: int) -> Chance:
    """Return how often what is seen of a run is met without a hunt.

    1 where nothing was caught. A price that does not come back weakens what both p-values say.
    """
    if not run.caught:
        return Chance()
    rest, usual = day.rest(run.account), params.usual_caught_ratio
    runs, caught = RUNS + sum(t.runs for t in rest), day.caught(run.account)
    hits = RUNS * usual + caught[0]
    shares = [
        (RUNS * usual * (1 - least / 4) + as_much) / runs for least, as_much in enumerate(caught)
    ]
    new = (RUNS * usual**2 + sum(t.fresh for t in rest)) / hits
    turned = (TURNS * usual**3 + sum(t.turned for t in rest)) / (TURNS - RUNS + runs)
    many = [(1 + seen) / (MOMENTS + run.seen) for seen in run.many]
    if run.set_apart:
        # A desk that thins out a side before it hedges does so when it takes, and at no other time.
        when = [max(1, seen) / (MOMENTS + run.own_seen) for seen in run.own_many]
        many = [max(each) for each in zip(many, when, strict=True)]
    sizes = day.sizes(run.account) if run.client and not run.group else [1.0]
    often = 1.0 if run.group else (RUNS * usual + sum(t.beside for t in rest)) / runs
    added = many[run.added - 1] if run.added else 1.0
    # Of a push of its own that moved the price: on what a client's triggers, or an order at the
    # touch, anybody may come seconds later.
    turns = run.turned and run.group and run.push_ticks > 0
    took = turned if turns else 1.0
    # Who has an order there or comes for what rests does catch: how much is all that it says more.
    came = run.added > 0 or turns
    given = [share * runs / hits for share in shares]
    legs_of_it = given if came else shares
    fresh = new if run.fresh(lead_ns) and not came else 1.0
    legs = [
        legs_of_it[quarter(run.caught / run.filled)],
        sizes[min(run.lots.bit_length(), len(sizes) - 1)],
        often if run.beside else 1.0,
    ]
    alike = [sizes, [1.0, often]]
    case = 1.0
    if run.caught >= params.worth_ratio * run.pushed:
        for there, way, tail in ((run.added > 0, added, many), (turns, took, [turned])):
            case = min(case, as_rare([way, *legs], [tail, given, *alike]) if there else 1.0)
    joint = _together([added, took, fresh, *legs], many, turned, new, shares, given, alike)
    weight = min(1.0, max(run.reverted / params.reverted_ratio, params.lasting_weight))
    return Chance(
        added=added,
        caught=legs[0],
        fresh=fresh,
        turned=took,
        size=legs[1],
        beside=legs[2],
        joint=min(1.0, joint / weight),
        case=min(1.0, case / weight),
    )


def _together(  # noqa: PLR0917 - the legs, and what each could be
    seen: Sequence[float],
    many: Sequence[float],
    turned: float,
    new: float,
    shares: Sequence[float],
    given: Sequence[float],
    alike: Sequence[Sequence[float]],
) -> float:
    """Return how often all legs seen are as rare, whether or not orders were added or it turned.

    Where neither, the order just entered is a leg and how much is caught is not known to be any.
    """
    neither = (1.0 - many[0]) * (1.0 - turned)
    joint = as_rare(seen, [[1.0, *many], [1.0, turned], given, *alike])
    joint -= neither * as_rare(seen, [given, *alike])
    joint += neither * as_rare(seen, [[1.0, new], shares, *alike])
    return min(1.0, max(joint, LEAST))
