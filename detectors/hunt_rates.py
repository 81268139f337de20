"""How often stops are run and caught: the group's runs and each client's, in one UTC day.

Innocent pushes run stops too, and a maker's quotes are what a stop then meets: how often that is so
is measured on everybody else's runs of the same instrument and day, and held against a party's own
by Fisher's exact test. A party's n-th look spends alpha / (n (n + 1)). What several runs by the
group say of chance is put together as Fisher did (1932): the sum of their -ln p.
"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import ClassVar, Final

import msgspec

from detectors.statistics import fisher_tail, gamma_tail, spent
from ingest.axes import Entries
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

GROUP: Final = -1
"""In place of an account: the complex."""
MAX_REFS: Final = 256
MAX_ACCOUNTS: Final = 17


class Tally(msgspec.Struct, kw_only=True):
    """One party's runs of a day, and what an alert on it tells."""

    party: int
    runs: int = 0
    cases: int = 0
    """Of the group: its runs that are cases by themselves, which no rate counts."""
    caught: int = 0
    """Runs in which the group took the other side of anything that triggered."""
    fresh: int = 0
    """Those in which it did so by an order just entered."""
    client: bool = False
    """Registered as a client, and not as a maker."""
    sizes: list[int] = []
    """Its runs by the binary digits of what the push traded, lots."""
    surprise: float = 0.0
    """Of the group: the sum of -ln p over its runs."""
    strange: int = 0
    """Of the group: runs that were looked at together."""
    together: float = 1.0
    """Of the group: how often chance would say as much over all its runs, at the last look."""
    systematic: bool = False
    """It passed."""
    hits: int = 0
    """What the party is tested on. Of the group: runs that it caught from by standing quotes, of
    those that are no case of their own; of a client: runs that the group had prepared for."""
    told: int = 0
    """Findings so far."""
    first_seq: int = 0
    first_ns: int = 0
    last_ns: int = 0
    harm: int = 0
    lots: int = 0
    """Caught."""
    incomplete: bool = False
    measured: bool = True
    p: float = 1.0
    others: int = 0
    others_hits: int = 0
    """Runs and hits of others at the last look."""
    passed: bool = False
    """Its rate passed a look."""
    accounts: list[int] = []
    refs: list[int] = []
    """Seqs of the runs caught that no finding has cited yet, at most `MAX_REFS`."""

    def look(self, others: tuple[int, int], alpha: float) -> None:
        """Hold the rate against runs and hits of others."""
        self.others, self.others_hits = others
        self.p = fisher_tail(self.hits, self.runs - self.cases, self.others_hits, self.others)
        self.passed |= self.p <= self.threshold(alpha)

    def add(self, chance: float, worth: float, alpha: float) -> None:
        """Put a run by the group together with those before it.

        `worth`: a run is a reason to look when its chance is at most so much.
        """
        self.surprise -= math.log(chance)
        if chance <= worth:
            self.strange += 1
            self.together = gamma_tail(self.runs, self.surprise)
            self.systematic |= self.together <= spent(alpha, self.strange)

    def ran(self, lots: int, *, caught: bool, fresh: bool) -> None:
        """Count a run."""
        self.runs += 1
        self.caught += caught
        self.fresh += fresh
        size = lots.bit_length()
        if len(self.sizes) <= size:
            self.sizes = [*self.sizes, *[0] * (size + 1 - len(self.sizes))]
        self.sizes[size] += 1

    def threshold(self, alpha: float) -> float:
        """Return the probability at or below which this look passes."""
        return spent(alpha, max(1, self.runs))


class Day(msgspec.Struct, kw_only=True):
    """One instrument's runs in a UTC day."""

    instrument: int
    day: int
    """Since 1970."""
    tallies: dict[int, Tally] = {}

    def tally(self, party: int) -> Tally:
        """Return a party's, a new one when it has none."""
        return self.tallies.setdefault(party, Tally(party=party))

    def rest(self, party: int) -> list[Tally]:
        """Return the tallies of all but one party and the group."""
        return [t for t in self.tallies.values() if t.party not in (party, GROUP)]

    def as_large(self, party: int, lots: int) -> tuple[int, int]:
        """Return the runs of other clients whose push had as many binary digits, and all of them."""
        rest = [t for t in self.rest(party) if t.client]
        return sum(sum(t.sizes[lots.bit_length() :]) for t in rest), sum(t.runs for t in rest)

    def others(self, party: int) -> tuple[int, int]:
        """Return runs and hits of all clients but one party; against the group, all they caught."""
        rest = self.rest(party)
        hits = (t.caught if party == GROUP else t.hits for t in rest)
        return sum(t.runs for t in rest), sum(hits)


class HuntRates:
    """The open days.

    State: one `Tally` for each account that ran a cluster of stops in an instrument that day, with
    at most `MAX_REFS` seqs.
    """

    layout: ClassVar[Layout] = {
        "hunt_days": Entries(
            kind=Day,
            place=attrgetter("instrument"),
            moved=lambda day, code: msgspec.structs.replace(day, instrument=code),
        )
    }

    def __init__(self) -> None:
        self._days: dict[int, Day] = {}

    def of(self, code: int) -> Day | None:
        """Return the open day of an instrument."""
        return self._days.get(code)

    def open(self, code: int, day: int) -> Day:
        """Begin a day of an instrument; the one before must be closed."""
        self._days[code] = Day(instrument=code, day=day)
        return self._days[code]

    def close(self, code: int) -> Day:
        """Remove and return the open day of an instrument."""
        return self._days.pop(code)

    def snapshot(self) -> Snapshot:
        """Return the open days as arrays, by instrument."""
        return {"hunt_days": pack_exact(sorted(self._days.values(), key=attrgetter("instrument")))}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._days = {d.instrument: d for d in unpack_exact(snapshot["hunt_days"], list[Day])}
