"""Signs: what a detector measured in one instrument that may be no case there by itself.

They travel with the trades of a summary to the detectors of platform scope, which put together what
the same conduct shows in several instruments. A sign holds sums and no verdict: sums of instruments
add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

MOST_SEQS: Final = 64
"""Records that a sign may cite: an alert names 256 ids of all signs together."""


class Rate(msgspec.Struct, frozen=True, kw_only=True, tag="rate"):
    """How many cases there were, beside others' in the same time."""

    name: str
    cases: int
    others: int
    share: float
    """Part of the time in which a case could have been seen, own and others', that is own."""
    spare: int = 1
    """Cases of others more than were seen: they are never taken to have none."""
    weight: int = 1
    """What a case counts beside those of other rates of its name: more where it is rarer."""


class Beyond(msgspec.Struct, frozen=True, kw_only=True, tag="beyond"):
    """How many cases there were beyond the own habit, to be held against others' likewise.

    It is of the same cases as another leg, so it is a condition and no part of the chance.
    """

    name: str
    cases: int
    expected: float
    """What the own habit gives."""
    others: int
    others_expected: float
    share: float
    """Part of the time in which a case could have been seen, own and others', that is own."""


class Surprise(msgspec.Struct, frozen=True, kw_only=True, tag="surprise"):
    """How strange cases were in one way: the sum of -ln p over those of p up to `most`."""

    name: str
    tests: int
    """All of them, strange or not."""
    most: float
    nats: float


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of cases of a grade or more, in a time."""

    grade: int
    cases: int
    expected: float
    """How many chance, or others' rate, gives."""
    legs: tuple[Rate | Surprise | Beyond, ...]
    """Told apart by name; independent of each other where nothing is wrong, but for conditions."""


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """What one detector has seen in one instrument of late, and its newest case."""

    detector: str
    scenario: str
    instrument: str
    clock_ns: int
    """Event time of the record by which it was known, ns: signs are put in order by it."""
    measures: tuple[Measure, ...]
    """By grade."""
    grade: int
    """Of the newest, 0 = nothing to be told; what it is of, the detector says."""
    told: bool
    """Whether the newest is told as a case by the detector itself."""
    incomplete: bool
    alone: bool = False
    """Whether that case tells by itself, from `begin_ns` on; others of its grade it does not."""
    begin_ns: int
    end_ns: int
    """When the newest began and ended, ns."""
    accounts: tuple[int, ...]
    """The complex's, of the newest."""
    seqs: tuple[int, ...]
    """Records of the newest in its instrument, `MOST_SEQS` at most."""


def passed(signs: Iterable[Sign], until_ns: int) -> tuple[tuple[Sign, ...], list[Sign]]:
    """Return the signs before an event time, and those that wait for a later one, as they came.

    The former by event time, instrument and detector; of each of these as they came.
    """
    ready: list[Sign] = []
    waiting: list[Sign] = []
    for each in signs:
        (ready if each.clock_ns < until_ns else waiting).append(each)
    ready.sort(key=lambda each: (each.clock_ns, each.instrument, each.detector))
    return tuple(ready), waiting
