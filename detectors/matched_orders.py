"""matched_orders: strangers' orders that are made for each other, again and again."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, Final

from detectors.base import Detector, Feature, Finding, Params, Ref, Spec, rounded
from detectors.episodes import Episode, Episodes, accounts_in, meet
from detectors.matched_chance import Chance
from detectors.matched_circles import Circle, Day, Days, Meetings, Pair, Sums, accounts_of
from detectors.matched_params import MatchedOrdersParams
from detectors.matched_parties import Met, Parties
from detectors.matched_runs import Turn, ring_of
from detectors.matched_spec import SPEC
from detectors.statistics import spent
from detectors.trades import money, quantity
from ingest.events import Batch, Coverage
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY, SECOND

MAX_ACCOUNTS: Final = 32
NET, PAIR, AT = "net", "pair", "at"
"""In an episode's sums, before a party's or a pair's keys: net lots; it is in; when it last met."""
WAYS: Final = 3
"""In which a circle comes about: two parties, more, or one joins: each has its share of alpha."""
FEW: Final = 3
"""Parties beyond which a set might be all that one party of strange habits met: then it must go
round, and each trades with others as often as inside, which shows its habits."""


class MatchedOrders(Detector):
    """Orders of strangers that meet inside the spread, alike in size, more often than by chance.

    State: see `Parties` and `Days`: what parties did in an instrument's UTC day; an open episode
    for each circle that met within `episode_gap_s`, of 100 B a party and pair.

    Examples
    --------
    >>> from detectors.examples import example_instruments
    >>> from detectors.matched_example import arranged
    >>> instruments = example_instruments()
    >>> detector = MatchedOrders(MatchedOrdersParams(), instruments)
    >>> *_, hit = detector.step(arranged(instruments))
    >>> hit.scenario, hit.evidence, hit.accounts, hit.features["meetings"].value
    ('matched_orders', 'supported', (1, 2), 8)

    They meet as often, but in sizes that are their own:

    >>> MatchedOrders(MatchedOrdersParams(), instruments).step(arranged(instruments, like=False))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = MatchedOrdersParams
    layout: ClassVar[Layout] = {**Parties.layout, **Days.layout, **Episodes.layout}

    def __init__(self, params: MatchedOrdersParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._parties = Parties(len(instruments), params)
        self._days = Days()
        self._episodes = Episodes(params.episode_gap_s * SECOND)

    @property
    def overflow(self) -> int:
        """Meetings not followed because a bound was reached."""
        return self._parties.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return meetings of circles, and closings."""
        findings: list[Finding] = []
        for met in self._parties.scan(batch):
            code = int(batch["instrument"][met.row])
            if met.rested:
                findings.extend(self._met(batch, met, code))
            else:
                self._days.close(code)
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def _met(self, batch: Batch, met: Met, code: int) -> Iterator[Finding]:
        """Count a meeting of orders alike, and yield what is to be said of it."""
        cell = {name: int(batch[name][met.row]) for name in _TRADED}
        at_ns, side, lots = cell["clock_ns"], cell["side"], cell["quantity"]
        seqs = (cell["entry_seq"], cell["incoming_seq"], cell["seq"])
        seller, buyer = (met.rested, met.took) if side > 0 else (met.took, met.rested)
        sums = Sums(
            meetings=1,
            lots=lots,
            notional=lots * cell["price"],
            gap_ns=cell["lifetime_ns"],
            soon=met.soon,
            nets={met.took: side * lots, met.rested: -side * lots},
            first_ns=at_ns - cell["lifetime_ns"],
            last_ns=at_ns,
            turns=[(cell["seq"], seller, buyer, lots)],
            incomplete=cell["coverage"] == Coverage.INCOMPLETE,
        )
        day = self._days.of(code, at_ns // DAY)
        pair = day.meet(met.rested, met.took, sums, seqs)
        if pair.circle:
            one = Meetings(parties=pair.parties, sums=sums, seqs=seqs)
            yield from self._tell(day, day.circles[pair.circle - 1], [one])
        elif (told := self._tested(day, pair)) is not None:
            circle, new = day.tell(*told)
            yield from self._tell(
                day, circle, [Meetings(parties=p.parties, sums=p.sums, seqs=p.refs) for p in new]
            )
            for each in new:
                each.refs = []

    def _tested(self, day: Day, pair: Pair) -> tuple[Circle | None, Sequence[int], Chance] | None:
        """Return the circle and the parties that are to be told of, and what chance says.

        Without a circle they make one; None = nobody is told of.
        """
        params, two = self._params, pair.parties
        if pair.sums.meetings < params.joining_meetings:
            return None
        count = self._parties.count(day.instrument)
        circle = day.circle_of(two)
        known = circle.members if circle else []
        beside = [one for one in known if one not in two]
        chance = self._chance(day, two, beside, pair.sums.last_ns)
        if circle is not None:
            inside = set(two) <= set(known)
            family = count * len(known)
            if inside or self._passes(chance, params.joining_meetings, family):
                return circle, two, chance
        if self._passes(chance, params.least_meetings, math.comb(count, 2)):
            return circle, two, chance
        for parties in day.widened(pair, params.joining_meetings, params.max_circle):
            beside = [one for one in known if one not in parties]
            chance = self._chance(day, parties, beside, pair.sums.last_ns)
            if len(parties) > FEW and not (chance.apart >= 0 and day.goes_round(parties)):
                continue
            family = math.comb(count, len(parties))
            least = params.joining_meetings * len(parties)
            if self._passes(chance, least, family, wider=len(parties) - 2):
                return None, parties, chance
        return None

    def _chance(
        self, day: Day, parties: Sequence[int], beside: Sequence[int], at_ns: int
    ) -> Chance:
        return self._parties.chance(
            day.instrument, parties, beside, day.soon(parties), day.late(parties, at_ns)
        )

    def _passes(self, chance: Chance, least: int, family: float, *, wider: int = 0) -> bool:
        """Return whether a look at a set passes, one of a family of as many sets.

        `wider` is by how many parties the set is more than a pair.
        """
        look = chance.alike - least + 1
        by_number = min(chance.by_number, chance.late_by_number)
        if look < 1 or max(chance.of_sizes, by_number) > self._params.size_chance:
            return False
        share = spent(self._params.alpha / WAYS, wider) if wider else self._params.alpha / WAYS
        return chance.p * max(1.0, family) <= spent(share, look)

    def _tell(self, day: Day, circle: Circle, new: Sequence[Meetings]) -> Iterator[Finding]:
        """Add meetings of a circle's pairs to an episode, and yield what it is then.

        Told for the first time, or in an episode that goes on, they are told at once; a further
        episode begins once there are two of them, or with one by which a ring comes back.
        """
        at_ns = max(each.sums.last_ns for each in new)
        number = self._goes_on(day, new, at_ns)
        if number is None:
            if len(new) == 1 and new[0].sums.meetings == 1:
                alone = new[0].sums.turns
                day.note(alone)
                if not self._ring((alone, day.told), alone):
                    new = day.await_another(new[0], self._params.episode_gap_s * SECOND)
                    if len(new) == 1:
                        return
            number = new[0].seqs[-1]
            day.open = [*day.open, number]
        episode, _ = self._episodes.fact(
            (day.instrument, number),
            seq=new[0].seqs[0],
            at_ns=at_ns,
            accounts=accounts_of(new[0].parties),
            incomplete=any(each.sums.incomplete for each in new),
        )
        told = episode.sums
        turns = sorted(turn for each in new for turn in each.sums.turns)
        for each in new:
            episode.first_ns = min(episode.first_ns, each.sums.first_ns)
            meet(told, accounts_of(each.parties), MAX_ACCOUNTS)
            told[f"{PAIR}{min(each.parties)}-{max(each.parties)}"] = 1
            for party in each.parties:
                told[f"{AT}{party}"] = max(told.get(f"{AT}{party}", 0), each.sums.last_ns)
            for name, amount in _amounts(each.sums):
                told[name] = told.get(name, 0) + amount
        self._mark(day, self._ring(day.took_turns(number, turns), turns))
        told |= circle.chance.sums()
        refs = sorted({seq for each in new for seq in each.seqs})
        yield self._finding(episode, at_ns, tuple(Ref(day.instrument, seq) for seq in refs))

    def _ring(self, looks: Sequence[list[Turn]], new: Sequence[Turn]) -> frozenset[int]:
        """Return the parties of a ring that new turns of an episode complete.

        Looked at are its own turns and all of the day: the mean of both odds must pass, as if
        either had been chosen beforehand as likely. The parties are those of the greater odds.
        """
        params = self._params
        found = [ring_of(turns, new, params.ring_turns, params.balance_ratio) for turns in looks]
        if sum(odds for _, odds in found) < len(found) / params.ring_chance:
            return frozenset()
        return max(found, key=lambda each: each[1])[0]

    def _mark(self, day: Day, members: Collection[int]) -> None:
        """Let open episodes in which members of a ring met say so from their next finding on."""
        met = {f"{PAIR}{one}-{other}" for one in members for other in members if one < other}
        for number in day.open:
            episode = self._episodes.get((day.instrument, number))
            if episode is not None and not met.isdisjoint(episode.sums):
                episode.sums["ring"] = 1

    def _goes_on(self, day: Day, new: Sequence[Meetings], at_ns: int) -> int | None:
        """Return the number of the episode that meetings belong to; None = of none that goes on.

        That of one of their pairs, or in which one of their parties has met another just now.
        """
        gap_ns = self._params.episode_gap_s * SECOND
        recent_ns = at_ns - self._params.joining_gap_s * SECOND
        held = {n: self._episodes.get((day.instrument, n)) for n in day.open}
        alive = {n: e.sums for n, e in held.items() if e and at_ns - e.last_ns <= gap_ns}
        day.go_on(alive)
        pairs = [f"{PAIR}{min(each.parties)}-{max(each.parties)}" for each in new]
        parties = [f"{AT}{party}" for each in new for party in each.parties]
        for number, sums in alive.items():
            if any(name in sums for name in pairs):
                return number
        for number, sums in alive.items():
            if any(sums.get(name, recent_ns - 1) >= recent_ns for name in parties):
                return number
        return None

    def _closing(self, episode: Episode) -> Finding:
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        sums, code = episode.sums, episode.key[0]
        meetings, lots = sums["meetings"], sums["lots"]
        accounts = tuple(accounts_in(sums))
        turned = sum(abs(sums[name]) for name in sums if name.startswith(NET)) / 2
        chance = Chance.of(sums)
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario="matched_orders",
            facets=("wash_ring",) if "ring" in sums else (),
            evidence_class="rule",
            evidence="supported",
            instrument=code,
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=accounts,
            window_start_ns=episode.first_ns,
            window_end_ns=episode.last_ns,
            detected_ns=at_ns,
            evidence_refs=refs,
            features={
                "meetings": Feature(meetings, "count"),
                "told_on": Feature(chance.alike, "count", rounded(chance.expected)),
                "told_late": Feature(chance.late, "count", rounded(chance.late_expected)),
                "chance": Feature(rounded(chance.p), "p"),
                "alike_share": Feature(
                    rounded(chance.alike / max(1, chance.meetings)), "ratio", rounded(chance.share)
                ),
                "gap": Feature(rounded(sums["gap_ns"] / meetings / SECOND), "s"),
                "gap_chance": Feature(rounded(chance.by_gaps), "p"),
                "volume": quantity(self._instruments, code, lots),
                "notional": money(self._instruments, code, sums["notional"]),
                "net_ratio": Feature(rounded(turned / lots), "ratio"),
            },
            score=rounded(0.4 + 0.6 * meetings / (meetings + 10)),
            significant=True,
            notify_clock="asap",
            coverage="incomplete" if episode.incomplete else "complete",
            status="confirmed" if closed and not episode.incomplete else "provisional",
        )

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            **self._parties.snapshot(),
            **self._days.snapshot(),
            **self._episodes.snapshot(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._parties.restore(snapshot)
        self._days.restore(snapshot)
        self._episodes.restore(snapshot)


_TRADED: Final = (
    "clock_ns", "side", "quantity", "price", "entry_seq", "incoming_seq", "seq", "lifetime_ns",
    "coverage",
)  # fmt: skip


def _amounts(sums: Sums) -> Iterator[tuple[str, int]]:
    """Yield what meetings add to an episode's sums."""
    yield "meetings", sums.meetings
    yield "lots", sums.lots
    yield "notional", sums.notional
    yield "gap_ns", sums.gap_ns
    for party, net in sums.nets.items():
        yield f"{NET}{party}", net
