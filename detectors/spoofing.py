"""spoofing: size that is shown until the other side is filled, and then is gone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from detectors.base import Detector, Evidence, Finding, Params, Ref, Spec, rounded
from detectors.episodes import Episode, Episodes, accounts_in, meet
from detectors.layers import Layers
from detectors.layers_state import PARTS
from detectors.spoofing_aside import Aside
from detectors.spoofing_cycle import Cycle
from detectors.spoofing_features import PLACES, UNKNOWN, features_of
from detectors.spoofing_large import AsLarge, LargeCycles, measure_of, nats_of
from detectors.spoofing_params import SpoofingParams
from detectors.spoofing_rate import (
    OWN_CALM,
    OWN_CALM_GONE,
    OWN_FILLED,
    OWN_FILLED_GONE,
    PEER,
    PEER_CYCLES,
    own_of,
    tails,
)
from detectors.spoofing_spec import SPEC
from detectors.statistics import both_tail, poisson_tail, spent
from detectors.trades import shown
from detectors.untold import MOST, Untold
from ingest.events import Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.signs import MOST_SEQS, Sign
from ingest.state import Snapshot
from ingest.times import SECOND

HOUR_S: Final = 3600.0
MAX_ACCOUNTS: Final = 16
MOST_RATIO: Final = 1e6
"""Told where no size went without a fill."""
COUNTERFACTUAL: Final = (
    "clients filled by the group while the layers stood traded the same quantity at the touch "
    "once the layers were gone"
)


class Spoofing(Detector):
    """Layers of the complex that go once its orders on the other side are filled.

    State: 250 kB an instrument of live orders, habits and tallies; open episodes, one at most an
    instrument, and 64 of the last day that ended as weak.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments
    >>> from detectors.spoofing_example import layered
    >>> instruments = example_instruments()
    >>> rows = layered(cycles=3)
    >>> *_, hit = Spoofing(SpoofingParams(), instruments).step(batch_of(rows, instruments))
    >>> hit.scenario, hit.all_legs, hit.features["cycles"].value
    ('spoofing', True, 3)

    The same, but the size is there again at once, a tick away:

    >>> rows = layered(cycles=3, reposts=True)
    >>> Spoofing(SpoofingParams(), instruments).step(batch_of(rows, instruments))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = SpoofingParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **Untold.layout,
        **Layers.layout,
        **LargeCycles.layout,
        **Aside.layout,
    }

    def __init__(self, params: SpoofingParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._untold = Untold(params.window_s * SECOND)
        self._layers = Layers(len(instruments), params)
        self._large = LargeCycles(params)
        self._aside = Aside(params.window_s * SECOND)
        self._signs: list[Sign] = []

    @property
    def overflow(self) -> int:
        """Orders and parties not followed because a bound was reached."""
        return self._layers.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return cycles and closings."""
        findings: list[Finding] = []
        for cycle in self._layers.scan(batch):
            findings.extend(self._cycle(cycle))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def signs(self) -> Sequence[Sign]:
        """Return what the latest large cycles say of the day's, told or not."""
        signs, self._signs = self._signs, []
        return signs

    def _note_sign(self, cycle: Cycle, episode: Episode) -> None:
        """Keep the sign of a large prompt cycle; of a size that is refuted nothing counts.

        Nor does what tells by itself: other instruments are no part of it.
        """
        if not cycle.size or not self._is_prompt(cycle):
            return
        tests = self._tests(cycle, episode.sums)
        alone = self._tells(episode.sums)
        sign = Sign(
            detector=self.spec.id,
            scenario="spoofing",
            instrument=self._instruments[cycle.instrument].instrument,
            clock_ns=cycle.known_ns,
            measures=tuple(measure_of(test) for test in tests),
            grade=cycle.size if tests else 0,
            told=self._is_case(episode.sums),
            alone=alone,
            incomplete=cycle.incomplete,
            begin_ns=min(cycle.from_ns, episode.first_ns) if alone else cycle.from_ns,
            end_ns=cycle.fall_ns,
            accounts=cycle.accounts,
            seqs=cycle.seqs[:MOST_SEQS],
        )
        self._signs.append(sign)

    def _cycle(self, cycle: Cycle) -> Iterator[Finding]:
        key, place = (cycle.instrument,), PLACES["buy" if cycle.side > 0 else "sell"]
        over = self._episodes.expire(key, cycle.due_ns)
        if over is not None:
            yield self._closing(over)
        known = self._episodes.get(key)
        # Its latest record: an order that was made small, and goes later, has one entry in both.
        name = known.first_seq if known is not None else cycle.seqs[-1]
        self._aside.add(cycle, name)
        if self._is_prompt(cycle):
            self._large.take(cycle, name)
        if known is not None and _is_same(cycle, known.sums, place):
            self._note_sign(cycle, known)
            return
        episode, _ = self._episodes.fact(
            key,
            seq=name,
            at_ns=cycle.due_ns,
            accounts=cycle.accounts[:1],
            incomplete=cycle.incomplete,
        )
        episode.first_ns = min(episode.first_ns, cycle.from_ns)
        sums = episode.sums
        sums[f"{place}_ns"], sums[place] = cycle.due_ns, cycle.fall_ns
        _count(sums, cycle)
        sums.setdefault("prompt", 0)
        if self._is_prompt(cycle):
            sums["prompt"] += 1
            sums["most_size"] = max(sums.get("most_size", 0), self._telling_size(cycle))
            sums.setdefault("first_fall_ns", cycle.fall_ns)
            sums["last_fall_ns"] = cycle.fall_ns
        sums["aside"] = len(self._aside.episodes(cycle.instrument, but=name))
        self._judge(sums, cycle, self._aside.left(cycle, but=name))
        as_large = self._large.telling(self._tests(cycle, sums, name), self._telling_size(cycle))
        if as_large is not None:
            _note(sums, as_large)
        tells = self._tells(sums)
        self._aside.mark(cycle.instrument, name, tells=tells)
        self._note_sign(cycle, episode)
        refs = tuple(Ref(cycle.instrument, seq) for seq in cycle.seqs)
        yield self._finding(episode, episode.last_ns, refs)
        if not tells and (sums["significant"] or as_large is not None):
            least = 0 if sums["significant"] or as_large is None else as_large.size
            for earlier in self._untold.take(
                cycle.instrument,
                episode.last_ns,
                lambda each: each.sums.get("most_size", 0) >= least,
            ):
                earlier.sums |= {name: sums[name] for name in _OF_THE_DAY if name in sums}
                yield self._finding(earlier, episode.last_ns, (), closed=True)

    def _tests(
        self, cycle: Cycle, sums: Mapping[str, int], but: int | None = None
    ) -> Sequence[AsLarge]:
        """Return the tests of the day's large cycles without those set aside, one episode's in.

        Where any size goes as often without a fill, size as large must say that it does not.
        """
        if not self._is_prompt(cycle):
            return []
        aside = self._aside.episodes(cycle.instrument, but)
        tests = self._large.tests(cycle, self._aside.left(cycle, but), aside)
        return [test for test in tests if test.agreed or not sums["refuted"]]

    def _telling_size(self, cycle: Cycle) -> int:
        """Return the class of size as of which a cycle is told with others as large; 0 = none.

        One that went no sooner after its fills than size that goes any time is of no pattern.
        """
        return cycle.size if nats_of(cycle) >= -math.log(self._params.sooner_p) else 0

    def _is_prompt(self, cycle: Cycle) -> bool:
        """Return whether size went soon after the fill, and had not stood long."""
        soon_ns, brief_ns = self._params.soon_s * SECOND, self._params.brief_s * SECOND
        return cycle.fall_ns - cycle.hit_ns <= soon_ns and cycle.fall_ns - cycle.rise_ns <= brief_ns

    def _judge(self, sums: dict[str, int], cycle: Cycle, left: Array) -> None:
        """Hold the episode so far against external makers, and the fills against no fill.

        `left` is the day without the other episodes that tell by themselves: of a pattern is what
        the rest of it shows too.
        """
        tallies = cycle.tallies.sum(axis=1)
        hours = cycle.watched * self._params.sample_s / HOUR_S
        peer_cycles = int(tallies[..., PEER_CYCLES].sum())
        # One cycle and one hour more than seen: external makers are never taken to have none.
        rate = (peer_cycles + 1) / (hours + 1)
        # Where the complex's own come and go alone more often than that, so may these.
        weak = self._untold.recent(cycle.instrument, cycle.due_ns)
        since_ns = cycle.sampled_ns if len(weak) < MOST else cycle.due_ns - weak[0].last_ns
        rate = max(rate, len(weak) / (since_ns / SECOND / HOUR_S + 1))
        lasted_ns = sums.get("last_fall_ns", 0) - sums.get("first_fall_ns", 0)
        lasted = max(0, lasted_ns) / SECOND / HOUR_S
        chance = poisson_tail(sums["prompt"] - 1, rate * lasted)
        measures = [tails(each) for each in tallies]
        p, clearer = min((found.p, n) for n, found in enumerate(measures))
        p, t = min(1.0, p * len(tallies)), tallies[clearer].sum(axis=0).tolist()
        # External makers whose size never goes say how it differs from the complex's, not why.
        own = own_of(tallies[clearer], self._params.own_p, self._params.least_trials)
        together = both_tail(chance, max(p, own.p) if own.known else p)
        could_show = min(found.least for found in measures) * len(tallies) <= self._params.chance
        test = self._layers.count_test(cycle.instrument, cycle.due_ns)
        level = spent(self._params.rate_level, test)
        rest_p, shows = self._of_a_pattern(left.sum(axis=1), level)
        large = sums["size"] >= self._params.plain_size * sums["cycles"] * PARTS
        # What is a case by cycles so large stays one: further, smaller ones take nothing away.
        stays = bool(sums.get("plain")) and self._is_case(sums)
        sums |= {
            "plain": int(large or stays),
            "rate_by_chance": round(rate * PARTS),
            "weak": len(weak),
            "chance": round(chance * PARTS),
            "together": round(together * PARTS),
            "p": round(p * PARTS),
            "rest_p": round(rest_p * PARTS),
            "own_p": round(own.p * PARTS),
            "small": round(both_tail(chance, own.p) * PARTS) if own.known else PARTS,
            "own_ratio": round(min(own.ratio, MOST_RATIO) * PARTS) if own.known else UNKNOWN,
            "significant": sums.get("significant", 0) | int(shows),
            "refuted": int(own.refutes or (could_show and p > self._params.refuting_p)),
            "own": _share(t[OWN_FILLED_GONE], t[OWN_FILLED]),
            "others": _share(t[OWN_CALM_GONE] + t[PEER_CYCLES], t[OWN_CALM] + t[PEER]),
            "trials": t[OWN_FILLED],
            "peer_cycles": peer_cycles,
            "peer_hours": round(hours * PARTS),
            "peers": cycle.peers,
        }

    def _of_a_pattern(self, tallies: Array, level: float) -> tuple[float, bool]:
        """Return p of the rate, and whether size goes after fills as neither else nor others'."""
        p, clearer = min((tails(each).p, n) for n, each in enumerate(tallies))
        p = min(1.0, p * len(tallies))
        own = own_of(tallies[clearer], self._params.own_p, self._params.least_trials)
        if own.known:
            surely = own.p <= self._params.own_level and own.ratio >= self._params.own_ratio
        else:
            surely = tallies[clearer, :, OWN_FILLED].sum() >= self._params.silent_trials
        return p, bool(p <= level and surely)

    def _closing(self, episode: Episode) -> Finding:
        if not self._is_case(episode.sums):
            self._untold.keep(episode)
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _is_case(self, sums: Mapping[str, int]) -> bool:
        """Return whether cycles are rare by themselves, or of a pattern that the day shows."""
        return bool(sums["significant"]) or "as_large" in sums or self._tells(sums)

    def _tells(self, sums: Mapping[str, int]) -> bool:
        """Return whether an episode's cycles are a case by how close they came."""
        params, early = self._params, self._is_early(sums)
        agreed = sums["together"] <= (params.chance if early else params.both) * PARTS
        agreed &= (
            bool(sums["plain"])
            or sums["own_p"] <= params.own_level * PARTS
            or (not early and sums["small"] <= params.small_both * PARTS)
        )
        return self._is_rare(sums) and agreed and not sums["refuted"]

    def _is_early(self, sums: Mapping[str, int]) -> bool:
        """Return whether the instrument has no rate of its own yet."""
        return sums["trials"] < self._params.least_trials

    def _is_rare(self, sums: Mapping[str, int]) -> bool:
        """Return whether an episode's prompt cycles came closer than chance brings them."""
        limit = self._params.early if self._is_early(sums) else self._params.chance
        return sums["prompt"] >= self._params.fewest_cycles and sums["chance"] <= limit * PARTS

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        sums, code = episode.sums, episode.key[0]
        cycles, case = sums["cycles"], self._is_case(sums)
        evidence: Evidence = "supported" if case else "weak"
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario="spoofing",
            evidence_class="indicator",
            evidence=evidence,
            instrument=code,
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=tuple(accounts_in(sums)),
            window_start_ns=episode.first_ns,
            window_end_ns=episode.last_ns,
            detected_ns=at_ns,
            evidence_refs=refs,
            features=features_of(sums, code, self._instruments, self._params),
            score=rounded((0.4 if case else 0.1) + 0.6 * (cycles - 1) / (cycles + 2)),
            all_legs=case,
            significant=case and (bool(sums["significant"]) or "as_large" in sums),
            client_harm=(
                shown(self._instruments.money(code, sums["harm"])) if "harm" in sums else None
            ),
            counterfactual=COUNTERFACTUAL if "harm" in sums else "",
            notify_clock="asap" if case else "none",
            coverage="incomplete" if episode.incomplete else "complete",
            status="confirmed" if closed and not episode.incomplete else "provisional",
        )

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            **self._episodes.snapshot(),
            **self._untold.snapshot(),
            **self._layers.snapshot(),
            **self._large.snapshot(),
            **self._aside.snapshot(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._layers.restore(snapshot)
        self._large.restore(snapshot)
        self._aside.restore(snapshot)
        self._episodes.restore(snapshot)
        self._untold.restore(snapshot)


_OF_THE_DAY: Final = (
    "p",
    "rest_p",
    "aside",
    "own_p",
    "own_ratio",
    "significant",
    "own",
    "others",
    "trials",
    "peer_cycles",
    "peer_hours",
    "peers",
    "large",
    "large_peers",
    "large_size",
    "as_large",
)
"""What an episode's sums say of the day and not of it."""


def _is_same(cycle: Cycle, sums: Mapping[str, int], place: str) -> bool:
    """Return whether it is one withdrawal: of an account and the complex, or in both measures."""
    return cycle.fall_ns <= sums.get(f"{place}_ns", 0) or cycle.on_ns <= sums.get(place, 0)


def _count(sums: dict[str, int], cycle: Cycle) -> None:
    """Add a cycle to an episode's sums."""
    for name, amount in (
        ("cycles", 1),
        ("withdrawn", cycle.withdrawn),
        ("size", round(cycle.size_ratio * PARTS)),
        ("ratio", cycle.ratio),
        ("hits", cycle.hits),
        ("delay_ns", cycle.fall_ns - cycle.hit_ns),
        ("dwell_ns", cycle.fall_ns - cycle.rise_ns),
        ("distance", cycle.distance_ticks),
    ):
        sums[name] = sums.get(name, 0) + amount
    if cycle.harm is not None:
        sums["harm"] = sums.get("harm", 0) + cycle.harm
    meet(sums, cycle.accounts, MAX_ACCOUNTS)


def _note(sums: dict[str, int], found: AsLarge) -> None:
    """Note the clearest test of the day's large cycles."""
    p = round(found.p * PARTS)
    if p <= sums.get("as_large", p):
        sums |= {
            "large": found.cycles,
            "large_peers": found.peer_cycles,
            "large_size": found.size,
            "as_large": p,
        }


def _share(part: int, whole: int) -> int:
    return part * PARTS // whole if whole else 0
