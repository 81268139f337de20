"""How often stops are run and caught: the group's runs and each client's, in one UTC day.

Innocent pushes run stops too, and a maker's quotes are what a stop then meets: how often that is so
is measured on everybody else's runs of the same instrument and day. The group's share of runs that
it catches from is held against theirs by Fisher's exact test; its n-th look spends
alpha / (n (n + 1)). What all runs of one party say of chance is put together by the sum of -ln p of
those that are strange (a truncated product: those that caught nothing show nothing, and only say
how many they are). It is looked at where a run is strange; the n-th look spends likewise.
"""

from __future__ import annotations

import math
from itertools import accumulate, zip_longest
from operator import attrgetter
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.hunt_together import MAX_ACCOUNTS, MAX_REFS, Family, Strange
from detectors.statistics import fisher_tail, spent, truncated_tail
from ingest.axes import Count, Entries
from ingest.events import Array
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

GROUP: Final = -1
"""In place of an account: the complex."""
MAX_WAITING: Final = 64
"""Strange runs of an instrument that wait to be told; of more the least strange is forgotten."""


def quarter(share: float) -> int:
    """Return which quarter of the whole a share above 0 reaches into, from 0.

    >>> quarter(0.1), quarter(0.25), quarter(1.0)
    (0, 1, 3)
    """
    return min(3, int(4 * share))


class Tally(msgspec.Struct, kw_only=True):
    """One party's runs of a day, and what an alert on it tells."""

    party: int
    runs: int = 0
    caught: list[int] = msgspec.field(default_factory=lambda: [0] * 4)
    """Runs in which the group took the other side of what triggered, by quarters of it."""
    fresh: int = 0
    """Those in which it did so by an order just entered."""
    turned: int = 0
    """Those in which it turned on what triggered: took it by orders that came for it."""
    beside: int = 0
    """Of another party than the group: runs with which the group pushed."""
    client: bool = False
    """Registered as a client, and not as a maker."""
    sizes: list[int] = []
    """Its runs by the binary digits of what the push traded, lots."""
    cases: int = 0
    """Of the group: runs that are cases by themselves, which no rate counts."""
    hits: int = 0
    """Of the group: runs that it caught from and that are no cases."""
    surprise: float = 0.0
    """The sum of -ln p over its strange runs."""
    strange: int = 0
    """Runs that were strange enough to look at all of them together."""
    looks: int = 0
    """Those of them at which they were."""
    together: float = 1.0
    """How often chance would say as much, at the last look."""
    level: float = 1.0
    """The least level of which a look's share was enough."""
    kept: int = 0
    """Strange runs that are no cases by themselves: those that an alert on the party tells of."""
    weak: bool = False
    """The first of them has been told as weak: that alert becomes the one on the party."""
    told: int = 0
    """Findings so far."""
    first_seq: int = 0
    first_account: int = -1
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
    movers: list[int] = []
    """Accounts that pushed or caught in the runs told, at most `MAX_ACCOUNTS`."""
    accounts: list[int] = []
    """All of those runs, likewise."""
    refs: list[int] = []
    """Seqs of the runs caught that no finding has cited yet, at most `MAX_REFS`."""

    def look(self, others: tuple[int, int], alpha: float) -> None:
        """Hold the rate against runs and hits of others."""
        self.others, self.others_hits = others
        self.p = fisher_tail(self.hits, self.runs - self.cases, self.others_hits, self.others)
        self.passed |= self.p <= self.threshold(alpha)

    def add(self, chance: float, strange: float, least: int = 1) -> None:
        """Put a run together with those before it, where its chance is at most `strange`.

        Each such run from the `least`-th on is a look, and spends of a level: before, nothing would
        be told.
        """
        if chance <= strange:
            self.surprise -= math.log(chance)
            self.strange += 1
            self.together = truncated_tail(self.runs, strange, self.surprise)
            if self.strange >= least:
                self.looks += 1
                self.level = min(self.level, self.together / spent(1.0, self.looks))

    def systematic(self, level: float) -> bool:
        """Return whether its runs together passed a look of a level."""
        return self.level <= level

    def limit(self, chance: float, agreeing: float, of_few: float) -> float:
        """Return the chance up to which a run of the group, the last one, is a case by itself.

        That of one run where all of them together are rare as well; else the rarest of so many
        must be. To it comes the run's share of what the first few may spend.
        """
        runs = max(1, self.runs)
        return (chance if self.together <= agreeing else chance / runs) + spent(of_few, runs)

    def ran(
        self, lots: int, caught_share: float, *, fresh: bool, turned: bool, beside: bool
    ) -> None:
        """Count a run."""
        self.runs += 1
        self.fresh += fresh
        self.turned += turned
        self.beside += beside
        if caught_share > 0:
            place = quarter(caught_share)
            self.caught = [n + (at == place) for at, n in enumerate(self.caught)]
        size = lots.bit_length()
        sizes = self.sizes + [0] * (size + 1 - len(self.sizes))
        self.sizes = [n + (at == size) for at, n in enumerate(sizes)]

    def remember(self, run: Strange) -> None:
        """Add a strange run to what an alert on the party tells."""
        if not self.kept:
            # Another's run is told as the group's by who caught: its own alert is by who pushed.
            others = self.party == GROUP and not run.group
            self.first_account = run.catcher if others else run.account
            self.first_seq, self.weak = run.first_seq, run.group
        self.first_ns = min(self.first_ns or run.from_ns, run.from_ns)
        self.kept += 1
        self.last_ns = max(self.last_ns, run.last_ns)
        self.harm += run.harm
        self.lots += run.caught
        self.incomplete |= run.incomplete
        self.measured &= run.measured
        self.refs = [*self.refs, *run.refs][:MAX_REFS]
        self.movers = list(dict.fromkeys([*self.movers, *run.movers]))[:MAX_ACCOUNTS]
        self.accounts = list(dict.fromkeys([*self.accounts, *run.people]))[:MAX_ACCOUNTS]

    @property
    def people(self) -> list[int]:
        """Whom an alert names: those that moved in any of its runs before the others."""
        return list(dict.fromkeys([*self.movers, *self.accounts]))[:MAX_ACCOUNTS]

    def threshold(self, alpha: float) -> float:
        """Return the probability at or below which this look passes."""
        return spent(alpha, max(1, self.runs))


class Day(msgspec.Struct, kw_only=True):
    """One instrument's runs in a UTC day."""

    instrument: int
    day: int
    """Since 1970."""
    tallies: dict[int, Tally] = {}
    group_runs: Family = msgspec.field(default_factory=Family)
    """The group's runs."""
    other_runs: Family = msgspec.field(default_factory=Family)
    """All others' runs."""
    waiting: list[Strange] = []
    """Strange runs that no finding has told yet, at most `MAX_WAITING`."""

    def family(self, *, group: bool) -> Family:
        """Return the runs that one is of."""
        return self.group_runs if group else self.other_runs

    def wait(self, run: Strange) -> bool:
        """Keep a strange run until it may be told; return whether one was forgotten for it."""
        self.waiting.append(run)
        full = len(self.waiting) > MAX_WAITING
        if full:
            self.waiting.remove(max(self.waiting, key=attrgetter("chance", "first_seq")))
        return full

    def due(self, own_share: float, others_share: float) -> list[Strange]:
        """Remove and return the waiting runs that may be told, as many as one finding can cite.

        Parameters
        ----------
        own_share, others_share : float
            Share of chance among the group's runs that are told, and among others'.
        """
        limits = {
            True: self.group_runs.limit(own_share),
            False: self.other_runs.limit(others_share),
        }
        told: list[Strange] = []
        room = MAX_REFS
        for run in self.waiting:
            if run.chance <= limits[run.group] and len(run.refs) <= room:
                told.append(run)
                room -= len(run.refs)
        self.waiting = [run for run in self.waiting if run not in told]
        return told

    def tally(self, party: int) -> Tally:
        """Return a party's, a new one when it has none."""
        return self.tallies.setdefault(party, Tally(party=party))

    def rest(self, party: int) -> list[Tally]:
        """Return the tallies of all but one party and the group."""
        return [t for t in self.tallies.values() if t.party not in (party, GROUP)]

    def sizes(self, party: int) -> list[float]:
        """Return how often other clients' pushes have 0, 1, ... binary digits, or more."""
        rest = [t for t in self.rest(party) if t.client]
        runs = sum(t.runs for t in rest)
        of_digits = (sum(each) for each in zip_longest(*(t.sizes for t in rest), fillvalue=0))
        return [(1 + runs - smaller) / (1 + runs) for smaller in accumulate(of_digits, initial=0)]

    def caught(self, party: int) -> list[int]:
        """Return others' runs in which the group took 0, 1, 2, 3 quarters of it, or more."""
        of_quarter = [sum(each) for each in zip(*(t.caught for t in self.rest(party)), strict=True)]
        return list(accumulate(reversed(of_quarter or [0] * 4)))[::-1]

    def others(self, party: int) -> tuple[int, int]:
        """Return the runs of all but one party and the group, and those that it caught from."""
        rest = self.rest(party)
        return sum(t.runs for t in rest), sum(sum(t.caught) for t in rest)


class HuntRates:
    """The open days.

    State: one `Tally` for each account that ran a cluster of stops in an instrument that day, with
    at most `MAX_REFS` seqs, and at most `MAX_WAITING` strange runs with as many; one forgotten for
    want of room is counted in `overflow`.
    """

    layout: ClassVar[Layout] = {
        "hunt_days": Entries(
            kind=Day,
            place=attrgetter("instrument"),
            moved=lambda day, code: msgspec.structs.replace(day, instrument=code),
        ),
        "hunt_forgotten": Count(),
    }

    def __init__(self) -> None:
        self._days: dict[int, Day] = {}
        self._forgotten: Array = np.zeros(1, np.int64)

    @property
    def overflow(self) -> int:
        """Strange runs that were forgotten before they could be told."""
        return int(self._forgotten[0])

    def wait(self, day: Day, run: Strange) -> None:
        """Keep a strange run of an open day until it may be told."""
        self._forgotten[0] += day.wait(run)

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
        days = sorted(self._days.values(), key=attrgetter("instrument"))
        return {"hunt_days": pack_exact(days), "hunt_forgotten": self._forgotten.copy()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._days = {d.instrument: d for d in unpack_exact(snapshot["hunt_days"], list[Day])}
        self._forgotten = snapshot["hunt_forgotten"].copy()
