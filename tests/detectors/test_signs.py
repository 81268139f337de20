"""Signs of detectors of instrument scope: told once, alike however a feed is cut, and true."""

from __future__ import annotations

import pytest

from detectors.book import Books
from detectors.catalogue import DETECTORS
from detectors.examples import batch_of, example_instruments
from detectors.hunt_example import hunted
from detectors.spoofing import Spoofing, SpoofingParams
from detectors.spoofing_example import layered
from detectors.stop_hunting import StopHunting, StopHuntingParams
from ingest.signs import MOST_SEQS
from tests.support.conformance import Heard, conformance_tape, cut, tape_batch

TABLE = example_instruments()
HEARD = sorted({name for kind in DETECTORS.values() for name in kind.hears})


@pytest.fixture(scope="module")
def tape():
    return conformance_tape(acts=True)


def signs_of(tape, size, *, restart=False):
    whole, _ = tape_batch(tape)
    books, heard = Books(tape.table), Heard(HEARD, tape.table)
    found = []
    for piece in cut(whole, [size]):
        found += heard.step(books.apply(piece))
        if restart:
            heard.restart()
    return found


@pytest.fixture(scope="module")
def expected(tape):
    return signs_of(tape, 10**9)


def test_the_conformance_tape_has_signs_of_all_that_are_heard(expected):
    assert {each.detector for each in expected} == set(HEARD)


@pytest.mark.parametrize(("size", "restart"), [(1, False), (7, False), (1_000, False), (50, True)])
def test_signs_are_alike_however_a_feed_is_cut(tape, expected, size, restart):
    assert signs_of(tape, size, restart=restart) == expected


def test_signs_cite_what_was_before_they_were_known(tape, expected):
    whole, _ = tape_batch(tape)
    clocks = {
        (tape.table[code].instrument, seq): at
        for code, seq, at in zip(
            whole["instrument"].tolist(), whole["seq"].tolist(), whole["clock_ns"].tolist(),
            strict=True,
        )
    }  # fmt: skip
    known = set(clocks.values())
    for each in expected:
        assert 0 < len(each.seqs) <= MOST_SEQS
        assert each.clock_ns in known, "the event time of a record"
        assert all(clocks[each.instrument, seq] <= each.clock_ns for seq in each.seqs)
        assert each.begin_ns <= each.end_ns <= each.clock_ns
        assert each.accounts


def test_every_large_cycle_of_layers_is_a_sign_told_or_not():
    detector = Spoofing(SpoofingParams(), TABLE)
    detector.step(batch_of(layered(cycles=3), TABLE))
    signs = detector.signs()
    assert detector.signs() == [], "each comes once"
    assert {each.scenario for each in signs} == {"spoofing"}
    cases = [max(m.cases for m in each.measures) for each in signs if not each.alone]
    assert cases == sorted(cases)
    assert set(cases) == {1, 2}
    told = [each.told for each in signs]
    assert told == [each.alone for each in signs] == sorted(told)
    assert set(told) == {False, True}
    assert (signs[-1].grade, signs[-1].measures) == (0, ()), "what tells by itself is no part"
    assert signs[-1].begin_ns == signs[0].begin_ns
    legs = [measure.legs for each in signs for measure in each.measures]
    assert not any(legs), "without external makers there is nothing to compare with"


def test_cycles_are_told_beside_external_makers(expected):
    compared = [m for e in expected if e.detector == "spoofing" for m in e.measures if m.legs]
    assert compared
    for measure in compared:
        many, soon = measure.legs
        assert (many.cases, soon.tests) == (measure.cases, measure.cases)
        assert 0 < many.share < 1
        assert measure.expected > 0


def test_every_run_of_the_group_is_a_sign():
    detector = StopHunting(StopHuntingParams(), TABLE)
    findings = detector.step(hunted(TABLE))
    (sign,) = detector.signs()
    assert (sign.scenario, sign.told) == ("stop_hunting", bool(findings[-1].all_legs))
    (measure,) = sign.measures
    (leg,) = measure.legs
    assert (leg.tests, leg.most) == (1, StopHuntingParams().strange_chance)
    assert measure.expected == leg.most
