"""What instruments show of a conduct: the latest sign of each, and what was not cited yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.stats import binom

from detectors.conduct_params import ConductAcrossParams
from detectors.statistics import LEAST, gamma_tail, q_values, spread, times_habit, truncated_tail
from ingest.signs import Beyond, Measure, Rate, Sign, Surprise

SAME_NS: Final = 1_000_000_000
"""Cases of an instrument that end so near to each other, or that one record is in, are one, seen
in two ways."""
MOST_SEQS: Final = 256
"""Records that wait to be cited, an instrument and scenario; of more the oldest go."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One case that a sign told of."""

    clock_ns: int
    grade: int
    begin_ns: int
    end_ns: int
    accounts: tuple[int, ...]
    seqs: tuple[int, ...]


class Pool(msgspec.Struct, kw_only=True):
    """One instrument's conduct of one scenario, of the last window."""

    scenario: str
    instrument: str
    last: Sign
    """The latest sign."""
    parts: list[Part] = []
    """What has not been cited, as it came."""

    def take(self, sign: Sign) -> int:
        """Take the next sign; return how many cases were forgotten for want of room.

        What the detector has told of a grade it tells itself from then on, those before as well;
        but a case that tells by itself, of the instrument since it began, takes no other with it.
        """
        if sign.clock_ns >= self.last.clock_ns:
            self.last = sign
        if sign.alone:
            self.parts = [each for each in self.parts if each.end_ns < sign.begin_ns]
        elif sign.told:
            self.parts = [each for each in self.parts if each.grade < sign.grade]
        elif sign.grade:
            self._add(sign)
        lost = 0
        while sum(len(each.seqs) for each in self.parts) > MOST_SEQS:
            del self.parts[0]
            lost += 1
        return lost

    def _add(self, sign: Sign) -> None:
        """Add a sign's case, to the one before where it is the same, seen in another way."""
        grade, begin_ns, end_ns = sign.grade, sign.begin_ns, sign.end_ns
        accounts, seqs = sign.accounts, sign.seqs
        same = self.parts[-1] if self.parts else None
        if same is not None and (
            abs(end_ns - same.end_ns) <= SAME_NS or set(seqs) & set(same.seqs)
        ):
            self.parts.pop()
            grade = max(grade, same.grade)
            begin_ns, end_ns = min(begin_ns, same.begin_ns), max(end_ns, same.end_ns)
            accounts = tuple(dict.fromkeys([*same.accounts, *accounts]))
            seqs = tuple(sorted({*same.seqs, *seqs}))
        self.parts.append(
            Part(
                clock_ns=sign.clock_ns,
                grade=grade,
                begin_ns=begin_ns,
                end_ns=end_ns,
                accounts=accounts,
                seqs=seqs[:MOST_SEQS],
            )
        )

    def forget(self, since_ns: int) -> None:
        """Forget the cases that were known before a time."""
        self.parts = [each for each in self.parts if each.clock_ns > since_ns]

    def of(self, grade: int) -> Measure | None:
        """Return what was seen of a grade or more, where anything was."""
        return next((each for each in self.last.measures if each.grade == grade), None)

    def cite(self, grade: int) -> Sequence[Part]:
        """Remove and return the cases of a grade or more."""
        cited = [each for each in self.parts if each.grade >= grade]
        self.parts = [each for each in self.parts if each.grade < grade]
        return cited


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """What all instruments show of cases of a grade or more."""

    grade: int
    chance: float
    """p, over the grades tried."""
    instruments: int
    """Those with cases."""
    cases: int
    expected: float
    legs: tuple[tuple[str, float], ...]
    """Name and p of each part of the test."""
    stands: bool
    """Whether it is of enough instruments, each part beyond chance and far enough beyond it, and
    so without the instrument that shows most."""
    telling: frozenset[str]
    """Instruments that are told, should all together pass."""


def together(pools: Sequence[Pool], params: ConductAcrossParams) -> Sequence[Together]:
    """Return what the instruments of one scenario show, by grade."""
    grades = sorted({each.grade for pool in pools for each in pool.last.measures})
    return [_test(grade, len(grades), pools, params) for grade in grades]


def _test(grade: int, tried: int, pools: Sequence[Pool], params: ConductAcrossParams) -> Together:
    seen = {
        pool.instrument: one for pool in pools if (one := pool.of(grade)) is not None and one.legs
    }
    chance, legs = _chance(list(seen.values()), params)
    cases, expected = sum(o.cases for o in seen.values()), sum(o.expected for o in seen.values())
    surprises = [
        leg for one in seen.values() for leg in one.legs if isinstance(leg, Surprise)
    ]  # fmt: skip
    nats = math.fsum(leg.nats for leg in surprises)
    alone = {name: _chance([one], params)[0] for name, one in seen.items() if one.cases}
    most = min(alone, key=alone.__getitem__, default="")
    rest = [one for name, one in seen.items() if name != most]
    passed = q_values(list(alone.values())) <= params.false_share if alone else ()
    return Together(
        grade=grade,
        chance=min(1.0, tried * chance),
        instruments=len(alone),
        cases=cases,
        expected=expected,
        legs=legs,
        stands=len(alone) >= params.least_instruments
        and cases >= params.least_ratio * expected
        and nats >= params.least_surprise * cases * len({leg.name for leg in surprises})
        and all(p <= params.leg_chance for _, p in legs)
        and _chance(rest, params)[0] <= params.rest_chance,
        telling=frozenset(name for name, told in zip(alone, passed, strict=False) if told),
    )


def _chance(
    seen: Sequence[Measure], params: ConductAcrossParams
) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Return p of all legs of measures together but conditions (Fisher), and of each by name."""
    found: dict[str, list[list[Rate | Surprise | Beyond]]] = {}
    for one in seen:
        mine: dict[str, list[Rate | Surprise | Beyond]] = {}
        for leg in one.legs:
            mine.setdefault(leg.name, []).append(leg)
        for name, legs in mine.items():
            found.setdefault(name, []).append(legs)
    chances, parts = [], []
    for name, of_instruments in found.items():
        every = [leg for legs in of_instruments for leg in legs]
        rates = [[leg for leg in legs if isinstance(leg, Rate)] for legs in of_instruments]
        surprises = [leg for leg in every if isinstance(leg, Surprise)]
        beyond = [leg for leg in every if isinstance(leg, Beyond)]
        if beyond:
            chances.append((name, beyond_tail(beyond)))
            continue
        p = surprise_tail(surprises, params) if surprises else rate_tail(rates, params.usual_ratio)
        chances.append((name, p))
        parts.append(p)
    nats = math.fsum(-math.log(max(p, LEAST)) for p in parts)
    return gamma_tail(len(parts), nats), tuple(chances)


def beyond_tail(legs: Sequence[Beyond]) -> float:
    """Return P of as many cases beyond habit, had the group and others one rate of these.

    Whatever made others go more often than by their habit, in all instruments together, is taken to
    make the group go as many times more often; what is left of its cases is held against all of
    theirs, each instrument by its share of the time.
    """
    more = times_habit(sum(leg.others for leg in legs), sum(leg.others_expected for leg in legs))
    left = [
        Rate(
            name=leg.name,
            cases=max(0, round(leg.cases - more * leg.expected)),
            others=leg.others,
            share=leg.share,
        )
        for leg in legs
    ]
    return rate_tail([[rate] for rate in left], 1.0)


def rate_tail(of_instruments: Sequence[Sequence[Rate]], usual: float) -> float:
    """Return P(cases of so much weight or more) were own rates `usual` times others' everywhere.

    Given all cases of an instrument, own and others', each is own with a chance that its share of
    the time gives; some of the others' more than were seen (`spare`), for they are never taken to
    have none. Who has no case is not looked at, so what is known of an instrument with cases is
    that there is one at least: its count is a binomial above nought.

    >>> alike = [Rate(name="", cases=3, others=0, share=0.25)]
    >>> round(rate_tail([alike], 1.0), 6), round(rate_tail([alike, alike], 1.0), 6)
    (0.074286, 0.009045)
    """
    chances = np.ones(1)
    for rates in of_instruments:
        mine = np.ones(1)
        for each in rates:
            trials = each.cases + each.others + each.spare
            share = usual * each.share / (usual * each.share + 1.0 - each.share)
            of_rate = binom.pmf(np.arange(trials + 1), trials, share)
            mine = np.convolve(mine, spread(of_rate, each.weight))
        if sum(each.cases for each in rates):
            mine[0] = 0.0
            mine /= mine.sum()
        chances = np.convolve(chances, mine)
    cases = sum(each.cases * each.weight for rates in of_instruments for each in rates)
    return min(1.0, float(chances[cases:].sum()))


def surprise_tail(surprises: Sequence[Surprise], params: ConductAcrossParams) -> float:
    """Return P(the sum of -ln p) were cases `usual_surprise` times as strange as by chance.

    Where only strange ones are summed (`most` below 1), were they `usual_ratio` times as many.
    """
    tests, most = sum(each.tests for each in surprises), max(each.most for each in surprises)
    nats = math.fsum(each.nats for each in surprises)
    if most < 1.0:
        return truncated_tail(math.ceil(tests * params.usual_ratio), most, nats)
    return truncated_tail(tests, most, nats / params.usual_surprise)
