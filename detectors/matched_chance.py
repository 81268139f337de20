"""How often parties' orders would meet, and be alike, if nobody had arranged it.

Meetings: in each quarter of an hour, who rested and who took are two margins of one table; were
they independent, the parties of a set would meet as often as the margins say. Where their orders of
unlike sizes meet more often than that, by whatever cause, those alike may do so as well. Sizes: two
meeting orders are alike as often as a member's orders are with others', or as a member's other
orders have the sizes at hand, or as all orders are, whichever is most. Gaps: the second order comes
as soon as a share of those of other meetings did. All of it is asked of the day and of its last two
quarters of an hour: in a day busy accounts meet often anyway. None needs to know what is usual on a
venue, in an instrument, at an hour or of an account.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from detectors import matched_kernel as k
from detectors.matched_kernel import ONE, P_ALIKE, P_KEY, P_MET, P_NOTED, SIZES, alike, pair_key
from detectors.statistics import binomial_tail, gamma_tail
from detectors.wash_kernel import slot
from ingest.compiled import kernel, njit
from ingest.events import Array

E_MET, E_ALIKE, E_EXPECTED, E_SHARE, E_MOST, E_APART = range(6)
E_LATE, E_LATE_MOST = range(6, 8)
PARTS: Final = 10**12
"""Numbers expected are kept in an episode as integers of so many parts."""


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """What chance says of a set of parties in an instrument and day."""

    meetings: int
    """Of two of them."""
    alike: int
    expected: float
    """Meetings of orders alike that chance would give."""
    share: float
    """Of their meetings, those that would be alike by chance."""
    most: int
    """Meetings that there could be, by how often each rested and took."""
    apart: int
    """Least, over the members, of its meetings with others less those with members."""
    soon: float
    """How surprisingly soon the second orders of meetings alike came: the sum of -ln of chances."""
    late: int = 0
    """Meetings alike in the last two quarters of an hour."""
    late_expected: float = 0.0
    late_most: int = 0
    late_soon: float = 0.0

    @property
    def p(self) -> float:
        """P(as much against chance as this): four times the least of four.

        Of the number and of both together, of the day and of late; of late it might have been in
        any quarter of the day. How many there are and how soon each came are independent, so that
        Fisher's method joins them; by number alone they are told who take their time.
        """
        day = min(self.by_number, _both(self.by_number, self.by_gaps))
        gaps = gamma_tail(self.late, self.late_soon) if self.late else 1.0
        late = min(self.late_by_number, _both(self.late_by_number, gaps))
        return min(1.0, 4.0 * min(day, k.BINS * late))

    @property
    def by_number(self) -> float:
        """P(so many alike or more): binomial, of as many trials as there could be meetings.

        Given the margins, the number of meetings of two is a sum of independent trials, as many as
        the lesser margin (Vatutin, Mikhailov 1982); above its mean no such sum has a heavier tail
        than the binomial of that mean (Hoeffding 1956).
        """
        return _tail(self.alike, self.most, self.expected)

    @property
    def late_by_number(self) -> float:
        """The same of the last two quarters."""
        return _tail(self.late, self.late_most, self.late_expected) if self.late else 1.0

    @property
    def by_gaps(self) -> float:
        """P(so many came so soon): each chance is uniform, so that -ln of it is exponential."""
        return gamma_tail(self.alike, self.soon)

    @property
    def of_sizes(self) -> float:
        """P(so many alike or more, of so many meetings): binomial."""
        return binomial_tail(self.alike, self.meetings, self.share)

    def sums(self) -> dict[str, int]:
        """Return all of it in integers, for an episode's sums.

        >>> found = {"meetings": 4, "alike": 3, "most": 9, "apart": 2}
        >>> chance = Chance(**found, expected=0.25, share=0.5, soon=1.5)
        >>> Chance.of(chance.sums()) == chance
        True
        """
        told = msgspec.structs.asdict(self)
        told["met"] = told.pop("meetings")
        return {
            name: round(number * PARTS) if name in _IN_PARTS else number
            for name, number in told.items()
        }

    @classmethod
    def of(cls, sums: Mapping[str, int]) -> Chance:
        """Return what an episode's sums hold."""
        held: dict[str, Any] = {
            name: sums[name] / PARTS if name in _IN_PARTS else sums[name]
            for name in cls.__struct_fields__
            if name != "meetings"
        }
        return cls(meetings=sums["met"], **held)


_IN_PARTS: Final = ("expected", "share", "soon", "late_expected", "late_soon")


def _both(one: float, other: float) -> float:
    """Return the joint P of two independent ones (Fisher)."""
    return gamma_tail(2, -math.log(max(one * other, sys.float_info.min)))


def _tail(hits: int, most: int, mean: float) -> float:
    """P(so many or more) of a number of at most so many, and of that mean."""
    return binomial_tail(hits, most, min(1.0, mean / max(1, most)))


@kernel()
def _member(keys: Array, key: int) -> bool:
    """Return whether a key is one of a few."""
    found = False
    for one in keys:
        found |= one == key
    return bool(found)


@kernel()
def _usual(  # noqa: PLR0917
    keys: Array, one: int, other: int, sizes: Array, partners: Array, parties: Array, ratio: float
) -> tuple[float, int]:
    """Return how many of one's sizes with outsiders are like a size at hand, and of how many.

    Sizes at hand are those of the other's orders that met one of the set; the mean over them.
    """
    outside, hits, at_hand = 0, 0, 0
    noted = min(SIZES, parties[one, P_NOTED])
    for i in range(noted):
        outside += not _member(keys, partners[one, i])
    for j in range(min(SIZES, parties[other, P_NOTED])):
        if not _member(keys, partners[other, j]):
            continue
        at_hand += 1
        for i in range(noted):
            if not _member(keys, partners[one, i]):
                hits += alike(sizes[one, i], sizes[other, j], ratio)
    return hits / max(1, at_hand), outside


@kernel()
def _meetings(met: Array, rests: Array, takes: Array) -> float:
    """Return how often one party's orders would be taken by another's, by activity alone.

    Nobody meets himself: rests × takes / total, divided by the shares of takes that are not the
    one's and of rests that are not the other's; the caller multiplies by what all have left for
    others (quasi-independence, shares by the margins).
    """
    mean = 0.0
    for t in range(len(met)):
        rested, took = rests[0, t], takes[1, t]
        if rested > 0 and took > 0:
            mean += rested * took * met[t] / ((met[t] - rests[1, t]) * (met[t] - takes[0, t]))
    return mean


@njit(cache=True)
def expected(  # noqa: PLR0917
    rows: Array,
    members: int,
    ratio: float,
    weight: float,
    head: Array,
    met: Array,
    parties: Array,
    bins: Array,
    sizes: Array,
    partners: Array,
    pairs: Array,
    pair_counts: Array,
    since: int,
) -> Array:
    """Return what chance says of a set: `E_MET` to `E_LATE_MOST`; see `Chance`.

    Parameters
    ----------
    rows : (n,) int64
        Where the members of the set are, then others that are no outsiders either.
    members : int
    ratio, weight : float
        As in the parameters: `alike_ratio`, `habit_meetings`.
    head, met : (HEAD,), (BINS,) int64
        Of the instrument.
    parties, bins, sizes, partners, pairs, pair_counts
        As in `scan`.
    """
    n = len(rows)
    between = np.zeros((n, n), np.int64)
    both = np.zeros((n, n), np.int64)
    keys = np.zeros(n, np.int64)
    for i in range(n):
        keys[i] = parties[rows[i], P_KEY]
        for j in range(n):
            key = pair_key(rows[i], rows[j])
            at = slot(pairs, key)
            if i != j and pairs[at] == key:
                between[i, j] = pair_counts[at] & ONE
                both[i, j] = pair_counts[at] >> 32
    meetings, hits = between[:members, :members].sum() // 2, both[:members, :members].sum() // 2
    others = max(0, head[k.H_MET] - meetings)
    usual = (head[k.H_ALIKE] - hits + 1.0) / (others + 2.0)
    own = np.zeros(members, np.float64)
    apart = np.iinfo(np.int64).max
    for i in range(members):
        apart = min(apart, parties[rows[i], P_MET] - 2 * between[i, :members].sum())
        outside = max(0, parties[rows[i], P_MET] - between[i].sum())
        like = max(0, parties[rows[i], P_ALIKE] - both[i].sum())
        own[i] = max(usual, (like + weight * usual) / (outside + weight))
    left = 1.0 - head[k.H_SELF] / max(1.0, float(head[k.H_MET])) ** 2
    by_chance, ordinary, shares, most = 0.0, 0.0, 0.0, 0
    late, late_most = 0.0, 0
    for i in range(members):
        for j in range(i):
            a, b = rows[i], rows[j]
            share = max(own[i], own[j])
            for mine, its in ((a, b), (b, a)):
                like, outside = _usual(keys, mine, its, sizes, partners, parties, ratio)
                share = max(share, (like + weight * usual) / (outside + weight))
            share = min(1.0, share)
            mean = _meetings(met, bins[a], bins[b]) + _meetings(met, bins[b], bins[a])
            by_chance += mean * share * left
            ordinary += mean * (1.0 - share) * left
            shares += between[i, j] * share
            most += np.minimum(bins[a, 0], bins[b, 1]).sum()
            most += np.minimum(bins[b, 0], bins[a, 1]).sum()
            one, other = bins[a, :, since:], bins[b, :, since:]
            late += share * left * _meetings(met[since:], one, other)
            late += share * left * _meetings(met[since:], other, one)
            late_most += np.minimum(one[0], other[1]).sum() + np.minimum(other[0], one[1]).sum()
    if ordinary > 0.0:
        more = max(1.0, (meetings - hits) / ordinary)
        by_chance, late = by_chance * more, late * more
    told = [meetings, hits, by_chance, shares / max(1, meetings), most, apart]
    return np.array([*told, late, late_most])
