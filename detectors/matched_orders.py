"""matched_orders: strangers' orders that are made for each other, again and again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from detectors.base import Detector, Feature, Finding, Params, Ref, Spec, rounded
from detectors.episodes import Episode, Episodes, accounts_in, meet
from detectors.matched_chance import Chance
from detectors.matched_circles import Circle, Day, Days, Meetings, Pair, Sums, accounts_of
from detectors.matched_kernel import DAY_NS
from detectors.matched_params import MatchedOrdersParams
from detectors.matched_parties import Met, Parties
from detectors.matched_runs import came_back, passed_on
from detectors.statistics import log_odds_uneven, spent
from detectors.trades import money, quantity
from ingest.events import Batch, Coverage
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

SECOND: Final = 1_000_000_000
MAX_ACCOUNTS: Final = 32
NET, PAIR, AT = "net", "pair", "at"
"""In an episode's sums, before a party's or a pair's keys: net lots; it is in; when it last met."""
WAYS: Final = 3
"""In which a circle comes about: two parties, three, or one more: each has its share of alpha."""


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

    spec: ClassVar[Spec] = Spec(
        id="matched_orders",
        version=3,
        title="Matched orders",
        scope="instrument",
        evidence_class="rule",
        scenarios=("matched_orders",),
        looks_for=(
            "A limit order betters its own side's best price (or that side is empty), so that it "
            "stands alone; within within_s an order of another owner takes it, and the sizes of "
            "both as entered differ by no more than alike_ratio. Two parties, or three, do so at "
            "least least_meetings times in a UTC day and instrument, and more often than by "
            "chance: how often their orders would meet at all follows from how often each rested "
            "and took in the same quarters of an hour (margins of one table), and from how often "
            "those of unlike sizes did, if that is more; how often sizes would be alike is the "
            "most of: the share of all other meetings, the share of each party's with others (a "
            "taker that always takes all that is shown is like everyone), and how often each "
            "party's other orders have the sizes at hand (who always enters one size meets it "
            "often). How soon the second order of each comes is ranked among the instrument's "
            "latest meetings, and among those of each of the two with others (who always takes at "
            "once is like itself): the larger share counts. The tail of the number, or number and "
            "gaps by Fisher's method, must pass, doubled, over all pairs or threes of the parties "
            "of the day; so must the binomial tail of sizes alike among their meetings, and the "
            "number's by itself (size_chance). The number's is binomial, of as many trials as "
            "there could be meetings by how often each rested and took. "
            "Whoever then meets one of a circle likewise joins it. One alert a "
            "circle and episode, with the orders and trades of meetings alike; the first of a day "
            "cites those from before it was told, each further one begins with a second meeting "
            "within episode_gap_s; who met one of an episode within joining_gap_s belongs to it. "
            "Where a run of its meetings, ring_turns a party or more and begun anywhere, brings "
            "the position of all who are linked in it back within balance_ratio of the mean size, "
            "and who bought last sells next more often than chance gives (ring_chance), it shows "
            "wash_ring too (facet). A party is an account, or an originator where the "
            "order names one. Accounts of one owner, or both of the complex, are wash_trading's "
            "and do not count here. Only the continuous phase. "
            "A bust takes nothing back: the orders had been entered. Order is that of seq, gaps "
            "are by the engine's clock: no gateway clock decides, so δ does not bear on it."
        ),
        legal_basis=(
            "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
            (
                "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, guard "
                "against falsification [V]"
            ),
            (
                "SFO s.274(5)/295(5), securities and futures only: matched orders presumed false "
                "trading [S]"
            ),
            (
                "SFC AML Guideline 12.16.4: pre-arranged and matching orders, groups with one "
                "pattern [V]"
            ),
        ),
        look_alikes=(
            "round sizes that everybody enters",
            "maker and taker that both always enter one size",
            "taker that takes exactly what is shown, of everybody",
            "taker that takes all within milliseconds",
            "maker whose offers are all taken at once",
            "minutes in which everybody trades at once",
            "two busy accounts that meet often",
            "two external makers crossing at a tight spread",
            "two accounts active in the same minutes only",
            "accounts of one owner or of the complex",
            "two orders alike, once or twice",
            "order that had long stood there",
            "auction or halt",
        ),
        blind_spots=(
            "an order taken by several that add up to its size",
            "orders that queue behind others at the touch",
            "a pair that meets twice a day",
            "a pair in the first minutes of a feed or day, before others' habits are known",
            "circles of which no three meet often enough (wash_rings looks for those)",
        ),
        runbook=(
            (
                "List order_ids by engine_ns from window_start_ns to window_end_ns, two by two: "
                "who entered first, how long until the other, and is price where nobody stood?"
            ),
            (
                "Read `features.told_on` against its baseline, and `features.alike_share` against "
                "its: meetings alike of the day that chance would give, and sizes alike; "
                "`gap_chance`: of second orders that came so soon."
            ),
            (
                "Compare session, user, algo_id and client_order_id of order_ids over the episode: "
                "one hand behind the accounts?"
            ),
            (
                "Look up owner, legal_entity and linked_to of the accounts in accounts.csv as in "
                "force at window_start_ns; who opened them, on which day, who funds them?"
            ),
            (
                "Read `features.net_ratio` over the episode: near 0 the position came back, near "
                "1 it was moved. Was price away from the mid of the hour before?"
            ),
        ),
        needs=(
            "account", "side", "price", "quantity", "buy_account", "sell_account", "buy_order_id",
            "sell_order_id", "engine_ns",
        ),
        wants=("owner", "originator", "linked_to", "leaves"),
    )  # fmt: skip
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
        day = self._days.of(code, at_ns // DAY_NS)
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

    def _tested(self, day: Day, pair: Pair) -> tuple[Sequence[int], Chance] | None:
        """Return the parties that are to be told of and what chance says; None = nobody is."""
        params, two = self._params, pair.parties
        if pair.sums.meetings < params.joining_meetings:
            return None
        count = self._parties.count(day.instrument)
        circle = day.circle_of(two)
        beside = [one for one in circle.members if one not in two] if circle else []
        chance = self._parties.chance(day.instrument, two, beside, day.soon(two))
        if circle is not None:
            inside = set(two) <= set(circle.members)
            if inside or self._passes(chance, params.joining_meetings, count):
                return two, chance
        if self._passes(chance, params.least_meetings, count * (count - 1) / 2):
            return two, chance
        third = day.third(pair, params.joining_meetings)
        if circle is None and third is not None:
            three = (*two, third)
            chance = self._parties.chance(day.instrument, three, soon=day.soon(three))
            family = count * (count - 1) * (count - 2) / 6
            if self._passes(chance, params.least_meetings, family):
                return three, chance
        return None

    def _passes(self, chance: Chance, least: int, family: float) -> bool:
        """Return whether a look at a set passes, one of a family of as many sets."""
        look = chance.alike - least + 1
        if look < 1 or max(chance.of_sizes, chance.by_number) > self._params.size_chance:
            return False
        return chance.p * max(1.0, family) <= spent(self._params.alpha / WAYS, look)

    def _tell(self, day: Day, circle: Circle, new: Sequence[Meetings]) -> Iterator[Finding]:
        """Add meetings of a circle's pairs to an episode, and yield what it is then.

        Told for the first time, or in an episode that goes on, they are told at once; a further
        episode begins once there are two of them.
        """
        at_ns = max(each.sums.last_ns for each in new)
        number = self._goes_on(day, new, at_ns)
        if number is None:
            if len(new) == 1 and new[0].sums.meetings == 1:
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
        latest = day.took_turns(number, turns)
        if came_back(latest, turns, self._params.ring_turns, self._params.balance_ratio):
            told["back"] = 1
        theirs, sold = passed_on(latest)
        if log_odds_uneven(sold, theirs) >= -math.log(self._params.ring_chance):
            told["passed_on"] = 1
        told |= circle.chance.sums()
        refs = sorted({seq for each in new for seq in each.seqs})
        yield self._finding(episode, at_ns, tuple(Ref(day.instrument, seq) for seq in refs))

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
            facets=("wash_ring",) if "back" in sums and "passed_on" in sums else (),
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
