"""The tests of unequal_access: times and refusals of the affiliate against external makers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.stats import binom

from detectors.access_params import UnequalAccessParams
from detectors.access_state import (
    A_BELOW,
    A_LOSSES,
    A_PAIRS,
    A_TOLD,
    A_WINS,
    B_ORDERS,
    B_REFUSED,
    KEPT,
    P_LOSSES,
    P_ORDERS,
    P_PAIRS,
    P_REFUSED,
    P_WINS,
)
from detectors.statistics import binomial_tail, fisher_tail
from ingest.events import Array
from ingest.times import DAY_S

WINDOWS: Final = (1, 2, 4, 12, 48, 288)
"""Buckets that a test looks back over: 5 minutes to a day at the default length."""
TESTED_WAYS: Final = 2
"""Times and refusals; the other ways are facts, not tests."""
LEAST_PEERS: Final = 2
"""External makers without whom there is no control."""
MOST_SHARE: Final = 0.999
"""Of orders refused: a logarithm has to be left."""
CONFIDENCE: Final = 0.95
"""Of intervals: the field's custom."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A test that passed."""

    last: int
    """The last bucket that it looks at."""
    buckets: int
    """How many buckets back it looks, those at its begin that say nothing left out."""
    chance: float
    allowed: float
    peers: int
    """External makers compared with."""
    ours: int
    """Pairs of instructions, or the affiliate's new orders."""
    hits: int
    """Pairs won, or the affiliate's refused ones."""
    others: int
    """Pairs lost, or external makers' new orders."""
    other_hits: int
    """External makers' refused ones; of pairs 0."""

    @property
    def controlled(self) -> bool:
        """Whether there are external makers enough to compare with."""
        return self.peers >= LEAST_PEERS


def day_tests(params: UnequalAccessParams) -> float:
    """Return how many tests an instrument's day holds."""
    return TESTED_WAYS * len(WINDOWS) * DAY_S / params.bucket_s


def allowed_of_one(params: UnequalAccessParams) -> float:
    """Return what one test of times or refusals may spend."""
    return params.daily_false_alarms / day_tests(params)


def below(
    ours: Array, bucket: int, buckets: int, params: UnequalAccessParams
) -> Mapping[int, bool]:
    """Return, by slot of the affiliate, whether its times in a window are better than disclosed.

    False: its times are those disclosed, or longer; True: its median is shorter, and no chance (the
    sign test of a median; a time counts as shorter when its half octave ends below). A slot of
    which nothing was disclosed is none of either and is left out.
    """
    allowed = allowed_of_one(params)
    tally = ours[_places(bucket, buckets)].sum(axis=0)
    return {
        s: bool(binomial_tail(int(row[A_BELOW]), int(row[A_TOLD]), 0.5) <= allowed)
        for s, row in enumerate(tally)
        if row[A_TOLD]
    }


def leading(ours: Array, bucket: int, buckets: int, params: UnequalAccessParams) -> Sequence[int]:
    """Return the slots of the affiliate that have a material lead in a window."""
    tally = ours[_places(bucket, buckets)].sum(axis=0)
    lead = tally[:, A_WINS] - tally[:, A_LOSSES]
    return [
        s
        for s, row in enumerate(tally)
        if row[A_PAIRS] and lead[s] >= params.least_lead_ratio * row[A_PAIRS]
    ]


def faster(peers: Array, bucket: int, params: UnequalAccessParams) -> Verdict | None:
    """Return the shortest window in which the affiliate was faster than external makers, or None.

    The shortest with two to compare with; one in which only one had as many pairs has no control,
    and counts where no longer one has.

    Two instructions of one action that came within seconds of one another are a pair; under equal
    access either is as likely to be the slower one by the margin, whatever the load: a sign test,
    exact. It passes when at least two external makers lose too often, and all others lose as well;
    with one to compare with, when that one does, and there is no control. It must still be so:
    half the lead that is material in the last bucket, and all of it in the last quarter of the
    window; else a lead that has ended would be told for the rest of the day.

    Parameters
    ----------
    peers : (KEPT, SLOTS, PEER_FIELDS) int
        Tallies by bucket, at place `bucket % KEPT`.
    bucket : int
        The last bucket, which is over.
    """
    if not _leads(peers[bucket % KEPT], params):
        return None
    allowed = allowed_of_one(params)
    alone = None
    for buckets in WINDOWS:
        of = peers[_places(bucket, buckets)]
        tally = of.sum(axis=0)
        compared = tally[tally[:, P_PAIRS] >= params.least_pairs]
        if not len(compared):
            continue
        lead = (compared[:, P_WINS] - compared[:, P_LOSSES]) / compared[:, P_PAIRS]
        if min(lead) < params.least_lead_ratio / 2:
            continue
        chances = sorted(
            binomial_tail(int(row[P_WINS]), int(row[P_WINS] + row[P_LOSSES]), 0.5)
            for row in compared[lead >= params.least_lead_ratio]
        )
        needed = min(LEAST_PEERS, len(compared))
        if len(chances) < needed or chances[needed - 1] > allowed:
            continue
        begun = next(n for n in range(buckets) if _leads(of[n], params))
        if not _leads(of[begun + 3 * (buckets - begun) // 4 :].sum(axis=0), params, share=1.0):
            continue  # it was so, and is over
        found = Verdict(
            last=bucket,
            buckets=buckets - begun,
            chance=chances[needed - 1],
            allowed=allowed,
            peers=len(compared),
            ours=int(compared[:, P_PAIRS].sum()),
            hits=int(compared[:, P_WINS].sum()),
            others=int(compared[:, P_LOSSES].sum()),
            other_hits=0,
        )
        if found.controlled:
            return found
        alone = alone or found
    return alone


def _leads(tally: Array, params: UnequalAccessParams, share: float = 0.5) -> bool:
    """Return whether a tally alone has a share of the lead that is material: half of it."""
    pairs, wins, losses = (int(tally[:, n].sum()) for n in (P_PAIRS, P_WINS, P_LOSSES))
    return wins > losses and wins - losses >= share * params.least_lead_ratio * pairs


def spared(
    peers: Array, tallies: Array, bucket: int, params: UnequalAccessParams
) -> Verdict | None:
    """Return the shortest window in which others' orders were refused and the affiliate's not.

    Counted are new limit orders that the rules allow. Either the affiliate's share is lower than
    chance leaves it: Fisher's exact test, within the day's allowance. Or refusals of two external
    makers at least have come up, above their habit, and the affiliate has been spared since: a
    likelihood ratio of being refused `spared_ratio` as often as they, against as often. That it
    ever reaches 1 / p has a chance of p at most, however often one looks (Ville 1939).
    """
    allowed = allowed_of_one(params)
    last = bucket
    if not peers[bucket % KEPT, :, P_REFUSED].any():
        last -= 1  # a spell without a past shows against what comes after it
    elif not tallies[bucket % KEPT, B_REFUSED]:
        for buckets in WINDOWS:
            found = _refusals(peers, tallies, bucket, buckets)
            lower = found.hits * found.others < found.other_hits * found.ours
            chance = fisher_tail(found.other_hits, found.others, found.hits, found.ours)
            if lower and chance <= allowed:
                return msgspec.structs.replace(found, chance=chance, allowed=allowed)
    run = 0
    while run < KEPT - 1 and peers[(last - run) % KEPT, :, P_REFUSED].any():
        run += 1
    if not run or tallies[last % KEPT, B_REFUSED]:
        return None
    places = _places(last, run)
    if not _risen(peers, places, params, allowed):
        return None
    found = _refusals(peers, tallies, last, run)
    share = found.other_hits / found.others
    log_ratio = found.hits * math.log(params.spared_ratio) + (found.ours - found.hits) * (
        math.log1p(-params.spared_ratio * share) - math.log1p(-min(share, MOST_SHARE))
    )
    chance = min(1.0, math.exp(-log_ratio))
    if chance > params.spared_chance:
        return None
    return msgspec.structs.replace(found, chance=chance, allowed=params.spared_chance)


def _refusals(peers: Array, tallies: Array, last: int, buckets: int) -> Verdict:
    """Return the counts of a window, of which those buckets before the first refusal are none."""
    places = _places(last, buckets)
    begun = int(np.argmax(peers[places][:, :, P_REFUSED].sum(axis=1) > 0))
    tally = peers[places].sum(axis=0)
    return Verdict(
        last=last,
        buckets=buckets - begun,
        chance=1.0,
        allowed=0.0,
        peers=int((tally[:, P_ORDERS] > 0).sum()),
        ours=int(tallies[places, B_ORDERS].sum()),
        hits=int(tallies[places, B_REFUSED].sum()),
        others=int(tally[:, P_ORDERS].sum()),
        other_hits=int(tally[:, P_REFUSED].sum()),
    )


def _risen(peers: Array, places: Array, params: UnequalAccessParams, allowed: float) -> bool:
    """Return whether external makers are refused more often in a window than in the day around it.

    All together beyond the allowance, two of them at least on their own beyond `risen_chance`, and
    more often than noise; by Fisher's exact test, so that a short past proves little.
    """
    of, around = peers[places].sum(axis=0), np.delete(peers, places, axis=0).sum(axis=0)
    orders, refused = int(of[:, P_ORDERS].sum()), int(of[:, P_REFUSED].sum())
    others, other_refused = int(around[:, P_ORDERS].sum()), int(around[:, P_REFUSED].sum())
    if refused <= params.usual_refused_ratio * orders or not others:
        return False
    if fisher_tail(refused, orders, other_refused, others) > allowed:
        return False
    own = [
        fisher_tail(*(int(row[n]) for row in pair for n in (P_REFUSED, P_ORDERS)))
        for pair in zip(of, around, strict=True)
        if pair[0][P_REFUSED]
    ]
    return sum(p <= params.risen_chance for p in own) >= LEAST_PEERS


def _places(bucket: int, buckets: int) -> Array:
    """Return the places of a bucket and those before it, oldest first."""
    return np.arange(bucket - buckets + 1, bucket + 1) % KEPT


def within(row: Array, rank: float) -> int:
    """Return the latency of a rank, counted from 1, ns: log-linear within its half octave.

    >>> counts = np.zeros(44); counts[4] = 10
    >>> within(counts, 0), within(counts, 5), within(counts, 10)
    (2828, 3363, 4000)
    """
    place, share = _half_octave(row, rank)
    return int(1_000 * 2 ** ((place - 1 + share) / 2))


def _half_octave(row: Array, rank: float) -> tuple[int, float]:
    """Return the half octave of a rank, and which share of what is in it comes up to that rank."""
    reached = np.cumsum(row)
    rank = min(max(rank, 0.0), float(reached[-1]))
    place = int(np.searchsorted(reached, rank)) if rank else int(np.argmax(row > 0))
    return place, float((rank - (reached[place] - row[place])) / row[place])


SHARES: Final = {"median": 0.5, "p90": 0.9}
"""Quantiles of times that are shown, by name."""


def margin_of(times: Array) -> int:
    """Return by how much others are slower at the clearest of the quantiles that are shown, ns.

    What clocks are off moves every quantile alike: where any differs by more, they are not the
    cause, though most instructions may have waited no longer. It is at least so much: others' half
    octave is taken from where it begins, and the affiliate's where it ends.

    Examples
    --------
    >>> times = np.zeros((2, 44), np.int64); times[:, 8] = 80; times[1, 18] = 40
    >>> quantiles(times, 0.5)["others"] - quantiles(times, 0.5)["ours"] < 10_000 < margin_of(times)
    True
    """
    places = [
        [_half_octave(row, float(row.sum() * share))[0] for row in times]
        for share in SHARES.values()
    ]
    return max(int(1_000 * (2 ** ((theirs - 1) / 2) - 2 ** (ours / 2))) for ours, theirs in places)


def quantiles(times: Array, share: float) -> Mapping[str, int]:
    """Return a quantile of both sides' latencies, and of their difference an interval; ns.

    Each is log-linear within its half octave. The interval takes each quantile's own by order
    statistics (binomial, exact), and the worst of both: it holds at least as often as it says.

    Parameters
    ----------
    times : (2, BINS) int, of `access_state`
        Counts of the affiliate's latencies, and of those of external makers they were paired with.

    Examples
    --------
    >>> times = np.zeros((2, 44), np.int64); times[0, 8] = times[1, 18] = 100
    >>> quantiles(times, 0.5)["ours"], quantiles(times, 0.5)["others"]
    (13454, 430538)
    """
    tail = (1 - CONFIDENCE) / 4
    found = []
    for row in times:
        n = int(row.sum())
        ranks = (n * share, binom.ppf(tail, n, share), binom.ppf(1 - tail, n, share) + 1)
        found.append([within(row, float(rank)) for rank in ranks])
    (ours, ours_low, ours_high), (others, others_low, others_high) = found
    return {
        "ours": ours,
        "others": others,
        "low": others_low - ours_high,
        "high": others_high - ours_low,
    }
