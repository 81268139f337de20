"""What instruments show of a conduct: the latest sign of each, and what was not cited yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.stats import binom

from detectors.conduct_params import ConductAcrossParams
from detectors.statistics import LEAST, gamma_tail, truncated_tail
from ingest.signs import Measure, Rate, Sign, Surprise

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

    def take(self, sign: Sign, window_ns: int) -> int:
        """Take the next sign; return how many cases were forgotten for want of room."""
        self.last = sign
        if sign.grade and not sign.told:
            self._add(sign)
        self.parts = [each for each in self.parts if each.clock_ns > sign.clock_ns - window_ns]
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
                seqs=seqs,
            )
        )

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
    """Whether each part is beyond chance, and far enough beyond it."""


def together(pools: Sequence[Pool], params: ConductAcrossParams) -> Together | None:
    """Return the clearest test of what the instruments of one scenario show; None where nothing.

    Tests that stand go before those that do not.
    """
    grades = sorted({each.grade for pool in pools for each in pool.last.measures})
    tests = [_test(grade, len(grades), pools, params) for grade in grades]
    return min(tests, key=lambda each: (not each.stands, each.chance, each.grade), default=None)


def _test(grade: int, tried: int, pools: Sequence[Pool], params: ConductAcrossParams) -> Together:
    seen = [one for pool in pools if (one := pool.of(grade)) is not None and one.cases]
    legs = tuple(_legs(one.legs for one in seen))
    cases, expected = sum(one.cases for one in seen), math.fsum(one.expected for one in seen)
    surprises = [leg for one in seen for leg in one.legs if isinstance(leg, Surprise)]
    nats = math.fsum(leg.nats for leg in surprises)
    nats_of_chance = cases * len({leg.name for leg in surprises})
    chance = gamma_tail(len(legs), math.fsum(-math.log(max(p, LEAST)) for _, p in legs))
    return Together(
        grade=grade,
        chance=min(1.0, tried * chance),
        instruments=len(seen),
        cases=cases,
        expected=expected,
        legs=legs,
        stands=cases >= params.least_ratio * expected
        and nats >= params.least_surprise * nats_of_chance
        and all(p <= params.leg_chance for _, p in legs),
    )


def _legs(of_instruments: Iterable[Sequence[Rate | Surprise]]) -> Iterator[tuple[str, float]]:
    """Yield name and p of each leg, over all instruments."""
    found: dict[str, list[Rate | Surprise]] = {}
    for legs in of_instruments:
        for leg in legs:
            found.setdefault(leg.name, []).append(leg)
    for name, legs in found.items():
        rates = [leg for leg in legs if isinstance(leg, Rate)]
        others = [leg for leg in legs if isinstance(leg, Surprise)]
        yield name, rate_tail(rates) if rates else _surprise_tail(others)


def rate_tail(rates: Sequence[Rate]) -> float:
    """Return P(so many cases or more) were own and others' rates alike in each instrument.

    Given all cases of an instrument, own and others', each is own with the chance of its share of
    the time. One of the others' more than was seen in each: they are never taken to have none, and
    only instruments with own cases are looked at.

    >>> alike = Rate(name="", cases=3, others=0, share=0.25)
    >>> round(rate_tail([alike]), 6), round(rate_tail([alike, alike]), 6)
    (0.050781, 0.004227)
    """
    chances = np.ones(1)
    for each in rates:
        trials = each.cases + each.others + 1
        chances = np.convolve(chances, binom.pmf(np.arange(trials + 1), trials, each.share))
    return min(1.0, float(chances[sum(each.cases for each in rates) :].sum()))


def _surprise_tail(surprises: Sequence[Surprise]) -> float:
    tests, most = sum(each.tests for each in surprises), max(each.most for each in surprises)
    return truncated_tail(tests, most, math.fsum(each.nats for each in surprises))
