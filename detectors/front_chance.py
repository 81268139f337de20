"""How probable it is that the group acted in clients' windows by chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from detectors.statistics import poisson_tail, two_rates_tail

if TYPE_CHECKING:
    from detectors.front_case import Case
    from detectors.front_params import FrontRunningParams
    from detectors.knowledge import Known

EPISODES, ORDERS, RESTS, RESTS_ALIKE = range(4)
"""Ways to count a day's windows: all of large episodes' instructions alike; those of orders that
are large by themselves first; or the quiet ones, by what was entered in them to rest, or to rest
and as large, where the others count what was executed. A maker quotes anew after each trade of a
client, so that what rests ahead of its next is an answer; a second later it is none. Each order
counts in one window alone.

Where clients trade without a pause nearly all that they enter belongs to a large episode, and its
windows say little; of an order that is large by itself the platform knows at once."""
WAYS: Final = 4.5
WAYS_TO_REST: Final = 18.0
"""What a probability is multiplied by (Bonferroni, by weights that add up to one): the number of
windows with orders that rest, and that with such as are as large, have a quarter of the weight that
each of the other four has."""


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A day's windows on one side, and in how many of them the group did it."""

    of: int = EPISODES
    hits: int = 0
    windows: int = 0
    expected: float = 0.0
    """Hits that chance gives."""
    other_hits: int = 0
    other_expected: float = 0.0
    """In windows of large episodes beside those; 0 where these are all."""
    p: float = 1.0


NO_RATE: Final = Rate()
NEVER: Final = 1.0
"""A rate per ns that nothing has."""


def rates_of(known: Known) -> tuple[float, float]:
    """Return how often the group does the like, and the like at least as large; per ns.

    Each is the greater of the rate over all that is kept and that of late; of what is as large,
    which is rare, that since the first record too.
    """
    return (
        max((known.acts + 1) / known.span_ns, known.local_acts / known.local_ns),
        max(
            (known.ever_alike + 1) / known.ever_ns,
            known.acts_alike / known.span_ns,
            known.local_alike / known.local_ns,
        ),
    )


def rate_of_rests(known: Known) -> Rate:
    """Return the rate of windows within which the group entered to rest, or to rest as much.

    That of which chance gives less.
    """
    rate, alike = rates_of(known)
    ways = ((RESTS, known.rested, rate), (RESTS_ALIKE, known.rested_alike, alike))
    found = []
    for of, hits, each in ways:
        expected = each * known.quiet_ns
        p = min(1.0, WAYS_TO_REST * poisson_tail(hits, expected))
        found.append(Rate(of=of, hits=hits, windows=known.quiet_windows, expected=expected, p=p))
    return min(found, key=lambda each: each.p)


def judge(params: FrontRunningParams, case: Case) -> None:
    """Note the probability that chance gives what was seen in the day's windows so far.

    Instructions are taken as a Poisson process. There are six ways to be seen: by the number of
    windows with executions, by that with orders that rest, by that with orders as large that rest,
    by the size of one of either, by how many of the group's stood beside one that rests; so each
    probability is multiplied (`WAYS`, `WAYS_TO_REST`), and the least of them counts; the number of
    windows with orders that rest, which every quote may add to, from a significant rate on.

    A case that is ahead of orders large by themselves is judged by the hits of the day in such
    windows and in the others of large episodes, each weighed by how few there should be
    (`two_rates_tail`); any other by all alike.
    """
    case.p_alike = min(1.0, WAYS * _of_one(case))
    if case.hit:
        hits, expected = case.day_hits, case.rate * case.exposed_ns
        p = min(1.0, WAYS * poisson_tail(hits[EPISODES], expected))
        ahead = case.hit_alone and case.alone_ns > 0
        case.rates[EPISODES] = Rate(
            hits=hits[EPISODES], windows=case.windows, expected=expected, p=p
        )
        case.rates[ORDERS] = _of_orders(case) if ahead else NO_RATE
    rests = case.rates[RESTS]
    case.p = min(case.p_hits if case.hit else 1.0, case.p_alike)
    if is_significant(params, rests):
        case.p = min(case.p, rests.p)


def _of_one(case: Case) -> float:
    """Return how probable it is that one instruction is as rare for the windows that it is in.

    Of an order that is large by itself, these are such orders' or all; of two looks at one process,
    at a part of its time and at the whole, what either sees has exactly this probability.
    """
    expected = case.rate_alike * case.exposed_ns
    if case.rate_alone >= NEVER or not case.alone_ns:
        return -math.expm1(-expected)
    expected = min(expected, case.rate_alone * case.alone_ns)
    return -math.expm1(-expected * (2.0 - case.alone_ns / case.exposed_ns))


def _of_orders(case: Case) -> Rate:
    """Return the rate of hits in windows of orders large by themselves, others beside them."""
    alone = case.rate * case.alone_ns
    others = case.rate * (case.exposed_ns - case.alone_ns)
    hits = case.day_hits
    counts = (hits[ORDERS], hits[EPISODES] - hits[ORDERS])
    tail = two_rates_tail(counts, (alone, others))
    return Rate(
        of=ORDERS,
        hits=hits[ORDERS],
        windows=case.alone_windows,
        expected=alone,
        other_hits=counts[1],
        other_expected=others,
        p=min(1.0, WAYS * tail),
    )


def is_significant(params: FrontRunningParams, rate: Rate) -> bool:
    """Return whether a day's hits are more than chance gives."""
    return rate.hits >= params.least_hits and rate.p <= params.rate_chance


def is_rate(params: FrontRunningParams, case: Case) -> bool:
    """Return whether the day's hits are more than chance gives."""
    return any(is_significant(params, rate) for rate in case.rates)


def rate_shown(params: FrontRunningParams, case: Case) -> Rate:
    """Return the rate that a case stands by: its own, or the other where only that is more."""
    own = case.rates[case.way]
    others = (rate for rate in case.rates if is_significant(params, rate))
    return own if is_significant(params, own) else next(others, own)


def shed(params: FrontRunningParams, case: Case, light: Case) -> bool:
    """Note of a case what a later one says of the day's windows; return whether it says anything.

    Where those of orders large by themselves are hit too often, that says nothing of the others. Of
    one ahead of which the group only entered to rest, what it executed ahead of others says as much
    while chance gives few of these beside those.
    """
    every, orders, rests = light.rates
    said = [
        rate
        for rate, hits in ((every, case.counted), (orders, case.counted_alone))
        if is_significant(params, rate) and (hits or _says_of_rests(params, case, light, rate))
    ]
    # What another rate has said of what rested there says nothing further.
    own = rests.of == RESTS or (rests.of == RESTS_ALIKE and case.rate_rests <= light.rate_rests)
    if case.counted_rested and own and is_significant(params, rests):
        said.append(rests)
    if said:
        rate = min(said, key=lambda each: each.p)
        if rate.p < case.p_hits:
            case.rates[case.way] = rate
        case.p = min(case.p, rate.p)
    return bool(said)


def _says_of_rests(params: FrontRunningParams, case: Case, light: Case, rate: Rate) -> bool:
    return bool(
        case.counted_rested
        and case.rate_rests * light.quiet_exposed_ns <= params.rest_share * rate.hits
    )


def is_complete(params: FrontRunningParams, case: Case) -> bool:
    """Return whether a case has all its legs: a gain, or so little chance that none is asked."""
    plain = case.p <= params.plain_chance or is_rate(params, case)
    return case.p <= params.chance and case.lots > 0 and (case.gained or plain)
