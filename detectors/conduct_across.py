"""conduct_across: the same conduct in several instruments, in none of them sure by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.base import Detector, Feature, Finding, Params, Ref, Spec, rounded
from detectors.conduct_params import ConductAcrossParams
from detectors.conduct_pool import Part, Pool, Together, together
from detectors.conduct_spec import SPEC
from detectors.episodes import Episode, Episodes, accounts_in, meet
from detectors.statistics import LEAST, spent
from ingest.axes import Count, Entries, Least, Whole
from ingest.events import NULL, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.signs import Measure, Sign
from ingest.state import Snapshot, pack, pack_exact, unpack, unpack_exact
from ingest.times import DAY, SECOND

MOST_ACCOUNTS: Final = 16
PARTS: Final = 10**12
"""What is kept as an integer of so many parts."""
SURE: Final = 30.0
"""Nats from which on a finding is as bad as can be."""


_LEG: Final = "leg "


class Looks(msgspec.Struct, kw_only=True):
    """The looks at cases of one scenario, of a grade or more, in a UTC day."""

    scenario: str
    grade: int
    day: int = 0
    """Since 1970."""
    looks: int = 0
    chance: float = 1.0
    """At the last of them."""
    level: float = 1.0
    """The least level of which a look's share was enough."""


def _most(dealt: Sequence[list[Looks]]) -> list[Looks]:
    """Return, of each scenario, the looks of whoever had most: one shard has them all."""
    found: dict[tuple[str, int], Looks] = {}
    for each in (one for looks in dealt for one in looks):
        key = (each.scenario, each.grade)
        held = found.get(key, each)
        found[key] = max(held, each, key=lambda one: (one.day, one.looks))
    return list(found.values())


class ConductAcross(Detector):
    """Conduct of the complex that several instruments show together beyond chance.

    It is fed with signs: what detectors of instrument scope measured. Time is the batch's
    watermark. State: an instrument and scenario one sign and at most 256 cited records, and one
    open episode where it was told.

    Examples
    --------
    >>> from detectors.conduct_example import layered_in
    >>> def found(cycles):
    ...     batch, instruments = layered_in(cycles)
    ...     return ConductAcross(ConductAcrossParams(), instruments).step(batch)
    >>> *_, last = found((6, 6))
    >>> last.scenario, last.features["instruments"].value, last.features["cases"].value
    ('spoofing', 2, 12)

    One alone is for its own detector to tell:

    >>> found((12,))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = ConductAcrossParams
    hears: ClassVar[Sequence[str]] = ("quote_fading", "spoofing", "stop_hunting")
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        "conduct_pools": Entries(kind=Pool, place=attrgetter("instrument")),
        "conduct_looks": Whole(kind=list[Looks], joined=_most),
        "conduct_until": Least(NULL),
        "conduct_lost": Count(),
    }

    def __init__(self, params: ConductAcrossParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._window_ns = params.window_s * SECOND
        self._episodes = Episodes(self._window_ns)
        self._pools: dict[tuple[str, str], Pool] = {}
        self._looks: dict[tuple[str, int], Looks] = {}
        self._until_ns = NULL
        self._lost = 0

    @property
    def reach_ns(self) -> int:
        """A window: how far back a finding may cite."""
        return self._window_ns

    @property
    def overflow(self) -> int:
        """Pieces of conduct that were forgotten before they could be told."""
        return self._lost

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the signs of a batch, all before its watermark, by event time."""
        findings = [found for sign in batch.signs for found in self._take(sign)]
        self._until_ns = max(self._until_ns, batch.watermark_ns)
        over = self._episodes.close_passed(batch.watermark_ns)
        findings += [self._closing(episode) for episode in over]
        return sorted(findings, key=lambda found: found.detected_ns)

    def _take(self, sign: Sign) -> Iterator[Finding]:
        """Take the next sign; return what is now to be told of any instrument of its scenario.

        One that is late, of a time that has been looked at, is told as of now and in doubt.
        """
        if sign.clock_ns < self._until_ns:
            sign = msgspec.structs.replace(sign, clock_ns=self._until_ns, incomplete=True)
        if sign.instrument not in self._instruments.codes or not sign.seqs:
            self._lost += 1
            return
        key = (sign.scenario, sign.instrument)
        new = Pool(scenario=sign.scenario, instrument=sign.instrument, last=sign)
        pool = self._pools.setdefault(key, new)
        self._lost += pool.take(sign)
        since_ns = sign.clock_ns - self._window_ns
        for each in self._pools.values():
            each.forget(since_ns)
        pools = [
            self._pools[each]
            for each in sorted(self._pools)
            if each[0] == sign.scenario and self._pools[each].last.clock_ns > since_ns
        ]
        for found in together(pools, self._params):
            if not found.stands:
                continue
            looks = self._look(sign, found)
            if looks.level > self._params.level:
                continue
            for each in pools:
                here = each.of(found.grade)
                if (
                    here is not None
                    and each.instrument in found.telling
                    and here.expected <= self._params.false_share * here.cases
                ):
                    yield from self._tell(each, here, found, looks, sign.clock_ns)

    def _look(self, sign: Sign, found: Together) -> Looks:
        """Count a look at cases of a grade or more; return those of its day."""
        key = (sign.scenario, found.grade)
        looks = self._looks.setdefault(key, Looks(scenario=key[0], grade=key[1]))
        day = sign.clock_ns // DAY
        if day > looks.day:
            looks.day, looks.looks, looks.chance, looks.level = day, 0, 1.0, 1.0
        if found.chance == looks.chance:
            return looks  # one withdrawal is seen in up to four ways: nothing new was looked at
        looks.looks, looks.chance = looks.looks + 1, found.chance
        looks.level = min(looks.level, found.chance / spent(1.0, looks.looks))
        return looks

    def _tell(
        self, pool: Pool, here: Measure, found: Together, looks: Looks, at_ns: int
    ) -> Iterator[Finding]:
        """Tell what an instrument showed and no finding has cited yet."""
        parts = pool.cite(found.grade)
        if not parts:
            return
        code = self._instruments.codes[pool.instrument]
        key = (code, SPEC.scenarios.index(pool.scenario))
        over = self._episodes.expire(key, at_ns)
        if over is not None:
            yield self._closing(over)
        episode, _ = self._episodes.fact(
            key,
            seq=parts[0].seqs[0],
            at_ns=at_ns,
            accounts=parts[0].accounts[:1],
            incomplete=pool.last.incomplete,
        )
        _count(episode, parts, here, found, looks)
        seqs = sorted({seq for part in parts for seq in part.seqs})
        yield self._finding(episode, at_ns, tuple(Ref(code, seq) for seq in seqs))

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        """Return an episode as it stands, with what it newly rests on."""
        sums, params = episode.sums, self._params
        features = {
            "instruments": Feature(sums["instruments"], "count", params.least_instruments),
            "told_here": Feature(sums["told"], "count"),
            "cases_here": Feature(sums["here"], "count", rounded(sums["here_expected"] / PARTS)),
            "cases": Feature(sums["cases"], "count", rounded(sums["expected"] / PARTS)),
            "grade": Feature(sums["grade"], "class"),
            "chance": Feature(_p(sums["chance"]), "p", params.level),
            "looks": Feature(sums["looks"], "count"),
        }
        legs = sorted(name for name in sums if name.startswith(_LEG))
        for name in legs:
            features[f"chance_{name.removeprefix(_LEG)}"] = Feature(
                _p(sums[name]), "p", params.leg_chance
            )
        return Finding(
            detector=SPEC.id,
            detector_version=SPEC.version,
            scenario=SPEC.scenarios[episode.key[1]],
            evidence_class=SPEC.evidence_class,
            evidence="supported",
            instrument=episode.key[0],
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=tuple(accounts_in(sums)),
            window_start_ns=sums["begin_ns"],
            window_end_ns=sums["end_ns"],
            detected_ns=at_ns,
            evidence_refs=refs,
            features=features,
            score=rounded(0.4 + 0.6 * min(1.0, sums["chance"] / PARTS / SURE)),
            significant=True,
            coverage="incomplete" if episode.incomplete else "complete",
            status="confirmed" if closed and not episode.incomplete else "provisional",
        )

    def _closing(self, episode: Episode) -> Finding:
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def snapshot(self) -> Snapshot:
        """Return the pools, the signs that wait, the looks and the open episodes."""
        pools = sorted(self._pools.values(), key=attrgetter("instrument", "scenario"))
        return {
            **self._episodes.snapshot(),
            "conduct_pools": pack_exact(pools),
            "conduct_looks": pack([looks for _, looks in sorted(self._looks.items())]),
            "conduct_until": np.array([self._until_ns], np.int64),
            "conduct_lost": np.array([self._lost], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._episodes.restore(snapshot)
        pools = unpack_exact(snapshot["conduct_pools"], list[Pool])
        self._pools = {(each.scenario, each.instrument): each for each in pools}
        looks = unpack(snapshot["conduct_looks"], list[Looks])
        self._looks = {(each.scenario, each.grade): each for each in looks}
        self._until_ns = int(snapshot["conduct_until"][0])
        self._lost = int(snapshot["conduct_lost"][0])


def _count(
    episode: Episode, parts: Sequence[Part], here: Measure, found: Together, looks: Looks
) -> None:
    """Add to an episode what is newly told of it, and how its scenario stands."""
    sums = episode.sums
    sums["begin_ns"] = min([sums.get("begin_ns", parts[0].begin_ns), *(p.begin_ns for p in parts)])
    sums["end_ns"] = max([sums.get("end_ns", 0), *(p.end_ns for p in parts)])
    sums["told"] = sums.get("told", 0) + len(parts)
    sums |= {
        "here": here.cases,
        "here_expected": round(here.expected * PARTS),
        "instruments": found.instruments,
        "cases": found.cases,
        "expected": round(found.expected * PARTS),
        "grade": found.grade,
        "chance": _nats(found.chance),
        "looks": looks.looks,
    }
    sums |= {f"{_LEG}{name}": _nats(p) for name, p in found.legs}
    meet(sums, (account for part in parts for account in part.accounts), MOST_ACCOUNTS)


def _nats(p: float) -> int:
    return round(-math.log(max(p, LEAST)) * PARTS)


def _p(nats: int) -> float:
    return rounded(math.exp(-nats / PARTS))
