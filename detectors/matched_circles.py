"""Pairs whose orders met alike in a UTC day, and circles of them that are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import ClassVar, Final

import msgspec

from detectors.matched_chance import Chance
from detectors.matched_kernel import BIN_NS
from detectors.matched_parties import Late
from detectors.matched_runs import MAX_TURNS_OF_DAY, Turn, joined
from ingest.axes import Entries
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import DAY

MAX_REFS: Final = 192
"""Seqs kept of a pair that is not told: three a meeting, those of the first 64."""


def account_of(key: int) -> int:
    """Return the account of a party's key.

    >>> account_of((8 << 32) | 3)
    7
    """
    return (key >> 32) - 1


class Sums(msgspec.Struct, kw_only=True):
    """What meetings add up to."""

    meetings: int = 0
    lots: int = 0
    """Traded with each other."""
    notional: int = 0
    """Ticks times lots."""
    gap_ns: int = 0
    """From the one order's entry to the trade."""
    soon: int = 0
    """How surprisingly soon the second orders came, in `NATS`."""
    nets: dict[int, int] = {}
    """Lots bought less sold, by party."""
    first_ns: int = 0
    """When the first order was entered."""
    last_ns: int = 0
    """When the last two traded."""
    turns: list[Turn] = []
    """The latest, one by one."""
    incomplete: bool = False

    def add(self, other: Sums) -> None:
        """Take in what others add up to."""
        self.first_ns = min(self.first_ns, other.first_ns) if self.meetings else other.first_ns
        self.last_ns = max(self.last_ns, other.last_ns)
        self.meetings += other.meetings
        self.lots += other.lots
        self.notional += other.notional
        self.gap_ns += other.gap_ns
        self.soon += other.soon
        self.turns = joined(self.turns, other.turns)
        self.incomplete |= other.incomplete
        for party, net in other.nets.items():
            self.nets[party] = self.nets.get(party, 0) + net


class Pair(msgspec.Struct, kw_only=True):
    """Two parties whose orders met alike."""

    parties: tuple[int, int]
    """Who rested and who took when they first did."""
    sums: Sums
    refs: list[int] = []
    """Seqs of both orders and the trade of each meeting that no finding has cited."""
    quarters: list[tuple[int, int, int]] = []
    """The last two quarters of an hour in which they met, of the day's, rising: how often, and how
    surprisingly soon the second orders came."""
    circle: int = 0
    """Number of the circle that tells of it; 0 = none."""

    def note(self, quarter: int, soon: int) -> None:
        """Count a meeting of a quarter of an hour."""
        held = [each for each in self.quarters if each[0] != quarter]
        before = next((each for each in self.quarters if each[0] == quarter), (quarter, 0, 0))
        self.quarters = [*held, (quarter, before[1] + 1, before[2] + soon)][-2:]


class Meetings(msgspec.Struct, frozen=True, kw_only=True):
    """Meetings of a told pair that are to be cited."""

    parties: tuple[int, int]
    sums: Sums
    seqs: Sequence[int]


class Circle(msgspec.Struct, kw_only=True):
    """Parties that are told together, on what was seen of them that day."""

    number: int
    members: list[int]
    chance: Chance
    """Of the set that was told last."""


class Day(msgspec.Struct, kw_only=True):
    """One instrument's UTC day."""

    instrument: int
    number: int
    """Since 1970."""
    pairs: dict[int, dict[int, Pair]] = {}
    """By the lower key, then by the higher."""
    beside: dict[int, list[int]] = {}
    """Parties with which each met alike, in the order in which it first did."""
    circles: list[Circle] = []
    open: list[int] = []
    """Numbers of the episodes that the day's meetings may still join."""
    turns: dict[int, list[Turn]] = {}
    """The latest of each open episode, by its number."""
    told: list[Turn] = []
    """The latest of all pairs that are told."""
    waiting: list[Meetings] = []
    """Those of told pairs that no episode has taken up."""

    def pair(self, one: int, other: int) -> Pair | None:
        """Return a pair, if its orders met alike."""
        return self.pairs.get(min(one, other), {}).get(max(one, other))

    def meet(self, rested: int, took: int, sums: Sums, seqs: Iterable[int]) -> Pair:
        """Take in a meeting of orders alike; return its pair."""
        pair = self.pair(rested, took)
        if pair is None:
            pair = Pair(parties=(rested, took), sums=Sums())
            self.pairs.setdefault(min(rested, took), {})[max(rested, took)] = pair
            self.beside.setdefault(rested, []).append(took)
            self.beside.setdefault(took, []).append(rested)
        pair.sums.add(sums)
        pair.note(_quarter(sums.last_ns), sums.soon)
        if not pair.circle and len(pair.refs) < MAX_REFS:
            pair.refs = [*pair.refs, *seqs]
        return pair

    def soon(self, parties: Sequence[int]) -> int:
        """Return how surprisingly soon the second orders of all meetings of parties came."""
        return sum(pair.sums.soon for pair in self._pairs(parties))

    def late(self, parties: Sequence[int], at_ns: int) -> Late:
        """Return their meetings in the quarter of an hour of a time and in the one before."""
        since = max(0, _quarter(at_ns) - 1)
        held = [each for pair in self._pairs(parties) for each in pair.quarters if each[0] >= since]
        return Late(since, sum(each[1] for each in held), sum(each[2] for each in held))

    def widened(self, pair: Pair, least: int, most: int) -> Iterator[tuple[int, ...]]:
        """Yield the two and the party that met them most often alike, then the next, up to `most`.

        The first of several; it ends where none did so `least` times. Who is told with one of them
        already is left out: what is told speaks for nothing else.
        """
        members: tuple[int, ...] = ()
        met: dict[int, int] = {}
        told: set[int] = set()
        for one in pair.parties:
            members = self._joined(members, one, met, told)
        while len(members) < most:
            free = [one for one in met if one not in members and one not in told]
            often = max((met[one] for one in free), default=0)
            if often < least:
                return
            one = next(one for one in free if met[one] == often)
            members = self._joined(members, one, met, told)
            yield members

    def _joined(
        self, members: tuple[int, ...], one: int, met: dict[int, int], told: set[int]
    ) -> tuple[int, ...]:
        """Return members and one; add how often each met it alike, and who is told of with it."""
        told.update(self._told_with(one))
        for other in self.beside[one]:
            pair = self.pair(one, other)
            if pair is not None:
                met[other] = met.get(other, 0) + pair.sums.meetings
        return (*members, one)

    def _told_with(self, one: int) -> Iterator[int]:
        """Yield who is told of with a party."""
        for other in self.beside[one]:
            pair = self.pair(one, other)
            if pair is not None and pair.circle:
                yield other

    def goes_round(self, members: Sequence[int]) -> bool:
        """Return whether each member met two others alike: else one may be all that joins them.

        Others are members, and who is told of with one: of a circle a part may be told already.
        """
        others = {*members, *(other for one in members for other in self._told_with(one))}
        return all(len(others.intersection(self.beside[one])) > 1 for one in members)

    def circle_of(self, two: Iterable[int]) -> Circle | None:
        """Return the oldest circle that both parties are in, or else one of them."""
        wanted = set(two)
        around = [circle for circle in self.circles if not wanted.isdisjoint(circle.members)]
        return next((c for c in around if wanted.issubset(c.members)), next(iter(around), None))

    def go_on(self, numbers: Iterable[int]) -> None:
        """Let these episodes be the open ones."""
        self.open = list(numbers)
        self.turns = {number: self.turns[number] for number in self.open}

    def took_turns(self, number: int, new: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
        """Take in turns of an open episode; return its latest and the day's, these among them."""
        self.turns[number] = joined(self.turns.get(number, []), new)
        self.note(new)
        return self.turns[number], self.told

    def note(self, new: Iterable[Turn]) -> None:
        """Take in turns of told pairs, whether an episode has them or not; each counts once."""
        fresh = [turn for turn in new if turn not in self.told]
        self.told = joined(self.told, fresh, MAX_TURNS_OF_DAY)

    def await_another(self, one: Meetings, gap_ns: int) -> list[Meetings]:
        """Return a meeting and those that waited for one of a party of it; it waits if alone."""
        since_ns = one.sums.last_ns - gap_ns
        waiting = [other for other in self.waiting if other.sums.last_ns >= since_ns]
        found = [other for other in waiting if set(other.parties) & set(one.parties)]
        self.waiting = [other for other in waiting if other not in found]
        if not found:
            self.waiting.append(one)
        return [*found, one]

    def _pairs(self, members: Sequence[int]) -> Iterator[Pair]:
        """Yield the pairs between members that met alike."""
        for place, one in enumerate(members):
            for other in members[:place]:
                pair = self.pair(one, other)
                if pair is not None:
                    yield pair

    def tell(
        self, circle: Circle | None, parties: Iterable[int], chance: Chance
    ) -> tuple[Circle, list[Pair]]:
        """Let parties join a circle, or make one of them; return it and what it newly tells of.

        The pairs are in the order in which they first met, and keep their refs.
        """
        if circle is None:
            circle = Circle(number=len(self.circles) + 1, members=[], chance=chance)
            self.circles = [*self.circles, circle]
        circle.members = list(dict.fromkeys([*circle.members, *parties]))
        circle.chance = chance
        untold = [pair for pair in self._pairs(circle.members) if not pair.circle]
        new = sorted(untold, key=lambda pair: pair.refs[0])
        for pair in new:
            pair.circle = circle.number
        return circle, new


def _quarter(at_ns: int) -> int:
    """Return the quarter of an hour of the day that a time is in."""
    return at_ns % DAY // BIN_NS


def accounts_of(parties: Iterable[int]) -> tuple[int, ...]:
    """Return the accounts of parties, each once, in their order."""
    return tuple(dict.fromkeys(map(account_of, parties)))


class Days:
    """The open days.

    State: about 400 B a pair whose orders met alike in an instrument that day, with at most
    `MAX_REFS` seqs until it is told, and its latest `MAX_TURNS` meetings, of 60 B; as many of each
    open episode; `MAX_TURNS_OF_DAY` of told pairs; the circles.
    """

    layout: ClassVar[Layout] = {
        "matched_days": Entries(
            kind=Day,
            place=attrgetter("instrument"),
            moved=lambda day, code: msgspec.structs.replace(day, instrument=code),
        )
    }

    def __init__(self) -> None:
        self._days: dict[int, Day] = {}

    def of(self, code: int, number: int) -> Day:
        """Return the open day of an instrument; a new one where there is none."""
        day = self._days.get(code)
        if day is None:
            day = self._days[code] = Day(instrument=code, number=number)
        return day

    def close(self, code: int) -> None:
        """Forget the open day of an instrument, if it has one."""
        self._days.pop(code, None)

    def snapshot(self) -> Snapshot:
        """Return the open days, by instrument."""
        return {
            "matched_days": pack_exact(sorted(self._days.values(), key=attrgetter("instrument")))
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        days = unpack_exact(snapshot["matched_days"], list[Day])
        self._days = {day.instrument: day for day in days}
