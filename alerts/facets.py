"""Facets: when two detectors have seen one fact, and whose alert it is then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from alerts.parts import CLASS_RANK, Part, Place
from ingest.times import SECOND


class Merging(msgspec.Struct, frozen=True, kw_only=True):
    """When a part is a facet of another part's alert.

    A part W is a facet of a part S when all of this holds:

    - S is stronger: class (breach over rule over indicator), then evidence, both of its first
      finding; so a breach never disappears in the alert of a lesser one;
    - they come from different detectors;
    - W's first finding cites a trade that S cites too, and they have an account in common;
    - S saw that trade no later than W opened (give or take `same_moment_ns`), and W opened no
      later than `join_ns` after that.

    A part W is a facet of a part S as strong, both of class rule, when all of this holds: two
    readings of one pair or circle are one fact.

    - S opened before W (of two at one moment, the one whose id comes first);
    - they come from different detectors, and the accounts of one are among those of the other,
      as both opened;
    - of the trades that W's first finding cites and those that S had cited until then (give or take
      `same_moment_ns`, no more than `join_ns` before), one's are mostly the other's.

    Of several, the strongest has it; then the one that opened first. All of it is fixed by the
    findings, so it does not matter which detector reports first, or in which batch.

    Limits: a part whose *later* findings meet a stronger one keeps its alert, and so does one that
    opened clearly before the stronger one saw the trade: an id that people may already work with
    is not taken away. Order records in common are no fact in common: a maker's one order can be
    in many.
    """

    same_moment_ns: int = SECOND
    """Two detectors see one trade at one moment, but one of them may have to wait for the incoming
    order's last fill: a second is far above that, and far below what would be another fact."""
    join_ns: int = 86_400 * SECOND
    """A day: patterns are closed at hour and day boundaries, after the single trades were seen."""


class Citations:
    """Which parts cite which trades; one entry a cited trade and part.

    Parameters
    ----------
    merging : Merging
    """

    def __init__(self, merging: Merging) -> None:
        self._merging = merging
        self._by_trade: dict[Place, list[Part]] = {}
        self._disturbed: dict[str, Part] = {}

    def add(self, trade: Place, part: Part) -> None:
        """Note that a part cites a trade."""
        citing = self._by_trade.setdefault(trade, [])
        if any(other is part for other in citing):
            return
        for other in citing:
            if other.opening.rank <= part.opening.rank and trade in other.opening.trades:
                self._disturbed[other.part_id] = other
        citing.append(part)

    def take_disturbed(self) -> Iterable[Part]:
        """Return the parts whose first trades one no weaker cited since the last call."""
        disturbed = list(self._disturbed.values())
        self._disturbed.clear()
        return disturbed

    def stronger(self, part: Part, at_work: Mapping[str, Part]) -> Part | None:
        """Return the part whose alert this one is a facet of, or None."""
        opening = part.opening
        best: Part | None = None
        peers: dict[str, Part] = {}
        for trade in opening.trades:
            for other in self._by_trade.get(trade, ()):
                if other.opening.detector == opening.detector or other.part_id not in at_work:
                    continue
                if other.opening.rank == opening.rank:
                    peers[other.part_id] = other
                elif (
                    other.opening.rank > opening.rank
                    and self._same_fact(trade, part, other)
                    and (best is None or _precedes(other, best))
                ):
                    best = other
        for other in peers.values():
            if self._same_acts(part, other) and (best is None or _precedes(other, best)):
                best = other
        return best

    def remove(self, part: Part) -> None:
        """Forget a part."""
        for trade in part.cited:
            citing = [other for other in self._by_trade.get(trade, ()) if other is not part]
            if citing:
                self._by_trade[trade] = citing
            else:
                self._by_trade.pop(trade, None)

    def clear(self) -> None:
        """Forget all."""
        self._by_trade.clear()
        self._disturbed.clear()

    def _same_fact(self, trade: Place, part: Part, other: Part) -> bool:
        seen_ns, accounts = other.cited[trade]
        waited_ns = part.opening.detected_ns - seen_ns
        return -self._merging.same_moment_ns <= waited_ns <= self._merging.join_ns and not set(
            accounts
        ).isdisjoint(part.opening.accounts)

    def _same_acts(self, part: Part, other: Part) -> bool:
        """Whether a part tells mostly the same trades as one as strong that opened before it."""
        opening, first = part.opening, other.opening
        names, others = set(opening.accounts), set(first.accounts)
        if (
            opening.rank[0] != CLASS_RANK["rule"]
            or not _precedes(other, part)
            or not (names <= others or others <= names)
        ):
            return False
        until_ns = opening.detected_ns + self._merging.same_moment_ns
        since_ns = opening.detected_ns - self._merging.join_ns
        theirs = {
            trade for trade, (seen_ns, _) in other.cited.items() if since_ns <= seen_ns <= until_ns
        }
        common = len(theirs.intersection(opening.trades))
        return 0 < len(opening.trades) <= 2 * common


def _precedes(part: Part, other: Part) -> bool:
    a, b = part.opening, other.opening
    return (-a.rank[0], -a.rank[1], a.detected_ns, part.part_id) < (
        -b.rank[0],
        -b.rank[1],
        b.detected_ns,
        other.part_id,
    )
