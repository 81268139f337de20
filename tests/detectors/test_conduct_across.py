"""conduct_across: what several instruments show together, and what none may be told for."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from detectors.conduct_across import ConductAcross
from detectors.conduct_example import fed, layered_in, sign
from detectors.conduct_params import ConductAcrossParams
from detectors.conduct_pool import MOST_SEQS, Pool, rate_tail, together
from detectors.examples import example_instruments
from detectors.statistics import binomial_tail
from ingest.signs import Measure, Rate, Surprise
from tests.support.ring_tapes import last_of_each

PARAMS = ConductAcrossParams()
NAMES = tuple(f"{letter}-USD" for letter in "ABCDEFGHIJ")
TABLE = example_instruments(NAMES)
DAY_S = 86_400


def found(signs, *, until_s=3_600, params=PARAMS, table=TABLE):
    return list(ConductAcross(params, table).step(fed(signs, table, until_s)))


def measured(cases, others=0, *, mean=2.5, share=0.2, grade=2, expected=None):
    """What was seen of so many cases, each so strange on average."""
    by_rate = (others + 1) * share / (1 - share)
    return Measure(
        grade=grade,
        cases=cases,
        expected=by_rate if expected is None else expected,
        legs=(
            Rate(name="as_many", cases=cases, others=others, share=share),
            Surprise(name="as_soon", tests=cases, most=1.0, nats=mean * cases),
        ),
    )


def shown(of_instruments, **changes):
    """One sign an instrument, with what was measured there."""
    return [
        sign(NAMES[n], each.cases, 60 * (n + 1), measures=(each,), **changes)
        for n, each in enumerate(of_instruments)
    ]


def pools(of_instruments):
    return [
        Pool(scenario=each.scenario, instrument=each.instrument, last=each)
        for each in shown(of_instruments)
    ]


# --- hits -----------------------------------------------------------------------------------------


def test_cycles_of_two_instruments_are_told_in_both():
    batch, table = layered_in((3, 3))
    findings = list(ConductAcross(PARAMS, table).step(batch))
    alerts = last_of_each(findings)
    assert sorted(a.instrument for a in alerts) == [0, 1]
    for alert in alerts:
        assert (alert.scenario, alert.evidence, alert.significant) == (
            "spoofing",
            "supported",
            True,
        )
        assert alert.features["told_here"].value == 3
        cited = {r.seq for f in findings if f.instrument == alert.instrument for r in f.all_refs}
        assert len(cited) == 6, "all three cycles, those before it passed among them"
        assert alert.accounts == (1,)


def test_instruments_whose_cases_chance_gives_are_not_told_beside_others():
    told = found(shown([measured(4), measured(4), measured(1, 5, mean=1.5)]))
    assert {f.instrument for f in told} == {0, 1}


def test_a_case_that_its_own_detector_has_told_counts_and_is_not_told_again():
    signs = shown([measured(4), measured(4)])
    signs[0] = msgspec.structs.replace(signs[0], told=True)
    assert [f.instrument for f in found(signs)] == [1]


def test_later_cases_join_the_alert():
    signs = shown([measured(4), measured(4)])
    later = sign(NAMES[0], 5, 1_000, measures=(measured(5),))
    first, *_, last = [f for f in found([*signs, later]) if f.instrument == 0]
    assert (first.first_seq, first.revision, last.revision) == (last.first_seq, 1, 2)
    assert last.window_end_ns > first.window_end_ns


def test_an_alert_closes_after_a_day():
    signs = shown([measured(4), measured(4)])
    *_, last = found(signs, until_s=3 * DAY_S)
    assert last.status == "confirmed"
    assert last.detected_ns == signs[-1].clock_ns + DAY_S * 10**9


# --- look-alikes ----------------------------------------------------------------------------------


def test_conduct_in_one_instrument_alone_is_for_its_own_detector():
    assert not found(shown([measured(12, mean=3.0)]))


def test_a_maker_that_differs_in_one_way_only_has_a_style():
    assert not found(shown([measured(9, mean=1.0) for _ in NAMES])), "as many, but not as soon"
    assert not found(shown([measured(6, 30, mean=2.5) for _ in NAMES])), "as soon, but not as many"


def test_an_instrument_that_is_strange_by_chance_is_not_told_for_the_others():
    usual = [measured(1, 4, mean=1.0) for _ in NAMES[1:]]
    assert not found(shown([measured(3, mean=2.0), *usual]))


@pytest.mark.parametrize("cycles", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("instruments", [3, 30])
def test_days_without_conduct_pass_as_seldom_as_the_level_says(instruments, cycles):
    draw = np.random.default_rng(instruments)
    days, passed = 2_000, 0
    for _ in range(days):
        seen = []
        for _ in range(instruments):
            own_and_others = draw.poisson(cycles)
            cases = draw.binomial(own_and_others, 0.2)
            if cases:
                mean = draw.gamma(cases) / cases
                seen.append(measured(int(cases), int(own_and_others - cases), mean=float(mean)))
        if len(seen) >= PARAMS.least_instruments:
            table = [
                Pool(scenario="spoofing", instrument=str(n), last=sign(str(n), 1, 1, measures=(m,)))
                for n, m in enumerate(seen)
            ]
            test = together(table, PARAMS)
            passed += test.stands and test.chance <= PARAMS.level
    assert binomial_tail(passed, days, PARAMS.level) > 1e-3


# --- what it adds up ------------------------------------------------------------------------------


def test_one_instruments_rate_is_the_binomial_tail():
    for cases, others, share in ((3, 0, 0.25), (5, 4, 0.1), (1, 9, 0.5)):
        rate = Rate(name="", cases=cases, others=others, share=share)
        expected = binomial_tail(cases, cases + others + 1, share)
        assert math.isclose(rate_tail([rate]), expected)


def test_instruments_add_up_though_their_shares_differ():
    rates = [Rate(name="", cases=3, others=1, share=s) for s in (0.1, 0.4)]
    draw = np.random.default_rng(5)
    own = draw.binomial(5, 0.1, 10**6) + draw.binomial(5, 0.4, 10**6)
    assert math.isclose(rate_tail(rates), (own >= 6).mean(), rel_tol=0.05)


def test_the_clearest_grade_that_stands_is_told():
    both = (measured(30, 200, mean=1.0, grade=1), measured(4, grade=3))
    signs = [sign(NAMES[n], 4, 60, measures=both, grade=3) for n in range(2)]
    assert {f.features["grade"].value for f in found(signs)} == {3}
    low = [msgspec.structs.replace(each, grade=1) for each in signs]
    assert not found(low), "cases of a lesser grade are not those that were tested"


def test_a_case_seen_in_two_ways_is_one():
    one = sign(NAMES[0], 1, 60, seqs=(5, 6), grade=1)
    again = msgspec.structs.replace(one, seqs=(6, 7), grade=3, accounts=(2,))
    pool = Pool(scenario="spoofing", instrument=NAMES[0], last=one)
    for each in (one, again):
        pool.take(each, 10**15)
    (part,) = pool.parts
    assert (part.seqs, part.grade, part.accounts) == ((5, 6, 7), 3, (1, 2))


# --- bounds and faults ----------------------------------------------------------------------------


def test_what_waits_is_bounded_and_what_is_forgotten_is_counted():
    many = [sign(NAMES[0], 1, 9 * n, seqs=tuple(range(100 * n, 100 * n + 60))) for n in range(1, 7)]
    detector = ConductAcross(PARAMS, TABLE)
    detector.step(fed(many, TABLE, 3_600))
    assert detector.overflow == 2
    assert 60 * 4 <= MOST_SEQS < 60 * 5


def test_a_sign_of_an_instrument_that_is_not_listed_is_counted():
    detector = ConductAcross(PARAMS, TABLE)
    assert not list(detector.step(fed([sign("ZZZ-USD", 3, 60)], TABLE, 3_600)))
    assert detector.overflow == 1


def test_it_does_not_matter_in_how_many_batches_signs_come():
    signs = shown([measured(4), measured(4), measured(4)])
    detector = ConductAcross(PARAMS, TABLE)
    by_turns = [
        each
        for n, one in enumerate(signs)
        for each in detector.step(fed([one], TABLE, 60 * (n + 1) + 1))
    ]
    assert by_turns == found(signs)


@pytest.mark.parametrize(
    "changes", [{"leg_chance": 0.0}, {"level": 1.0}, {"least_ratio": 0.5}, {"window_s": 0}]
)
def test_parameters_that_would_tell_nothing_or_anything_are_refused(changes):
    with pytest.raises(ValueError, match="must"):
        ConductAcrossParams(**changes)


# --- blind spots ----------------------------------------------------------------------------------


@pytest.mark.xfail(strict=True)
def test_blind_to_conduct_of_a_different_kind_in_each():
    layers, hunts = shown([measured(3), measured(3)])
    assert found([layers, msgspec.structs.replace(hunts, scenario="stop_hunting")])


@pytest.mark.xfail(strict=True)
def test_blind_to_what_no_detector_of_one_instrument_sees():
    assert found([])
