"""conduct_across: what several instruments show together, and what none may be told for."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from detectors.conduct_across import ConductAcross
from detectors.conduct_example import START_NS, fed, layered_in, sign
from detectors.conduct_params import ConductAcrossParams
from detectors.conduct_pool import MOST_SEQS, Pool, rate_tail
from detectors.examples import example_instruments
from detectors.statistics import binomial_tail
from ingest.signs import Beyond, Measure, Rate, Surprise
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


def test_a_case_that_tells_by_itself_takes_no_other_with_it():
    lone, own = sign(NAMES[0], 1, 100), sign(NAMES[0], 2, 4_000)
    begin_ns = own.begin_ns - 60 * 10**9
    pool = Pool(scenario="spoofing", instrument=NAMES[0], last=lone)
    for each in (lone, own):
        pool.take(each)
    told = sign(NAMES[0], 2, 4_060, told=True, grade=0, measures=(), begin_ns=begin_ns)
    pool.take(msgspec.structs.replace(told, alone=True))
    assert [part.seqs for part in pool.parts] == [lone.seqs]
    pool.take(msgspec.structs.replace(told, clock_ns=told.clock_ns + 1, grade=1))
    assert pool.parts == []


def test_cycles_of_two_instruments_are_told_in_both():
    batch, table = layered_in((6, 6))
    findings = list(ConductAcross(PARAMS, table).step(batch))
    alerts = last_of_each(findings)
    assert sorted(a.instrument for a in alerts) == [0, 1]
    for alert in alerts:
        assert (alert.scenario, alert.evidence, alert.significant) == (
            "spoofing",
            "supported",
            True,
        )
        assert alert.features["told_here"].value == 6
        cited = {r.seq for f in findings if f.instrument == alert.instrument for r in f.all_refs}
        assert len(cited) == 12, "all six cycles, those before it passed among them"
        assert alert.accounts == (1,)


def test_instruments_whose_cases_chance_gives_are_not_told_beside_others():
    told = found(shown([measured(4), measured(4), measured(1, 5, mean=1.5)]))
    assert {f.instrument for f in told} == {0, 1}


def test_a_case_that_its_own_detector_has_told_counts_and_is_not_told_again():
    signs = shown([measured(4), measured(4)])
    signs[0] = msgspec.structs.replace(signs[0], told=True)
    assert [f.instrument for f in found(signs)] == [1]


def test_what_its_own_detector_tells_later_is_left_to_it():
    first, second = (sign(NAMES[n], 4, 60 * (n + 1), measures=(measured(2),)) for n in (0, 1))
    told = sign(NAMES[0], 4, 200, measures=(measured(6),), told=True)
    last = sign(NAMES[1], 4, 260, measures=(measured(6),))
    assert {f.instrument for f in found([first, second, told, last])} == {1}


def test_one_instrument_that_shows_much_proves_nothing_of_another():
    assert not found(shown([measured(12, mean=3.0), measured(1, mean=1.0)]))


def test_an_instrument_without_peers_neither_counts_nor_hides_others():
    alone = Measure(grade=2, cases=9, expected=9.0, legs=())
    told = found(shown([measured(4), measured(4), alone]))
    assert {f.instrument for f in told} == {0, 1}


def test_what_is_refuted_no_longer_counts():
    signs = shown([measured(4), measured(4)])
    early = msgspec.structs.replace(signs[0], clock_ns=signs[0].clock_ns - 2, seqs=(1,))
    refuted = msgspec.structs.replace(signs[0], measures=(), grade=0)
    assert not found([early, refuted, signs[1]])


def test_what_is_older_than_a_day_is_not_cited():
    old = sign(NAMES[0], 4, 60, measures=(measured(4),), seqs=(7,))
    late = [sign(NAMES[n], 4, DAY_S + 60 * (n + 1), measures=(measured(4),)) for n in (0, 1)]
    told = found([old, *late], until_s=3 * DAY_S)
    assert {f.instrument for f in told} == {0, 1}
    assert all(ref.seq != 7 for f in told for ref in f.all_refs)


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


def clean_day(draw, kind):
    """Signs of a day of thirty instruments without conduct, as the detectors make them."""
    signs = []
    for name in (f"I{n:02d}-USD" for n in range(30)):
        cases, others, runs, nats = 0, 0, 0, 0.0
        for at_s in np.sort(draw.uniform(1, 86_000, draw.poisson(4))).astype(int).tolist():
            if kind == "stop_hunting":
                runs, p = runs + 1, draw.uniform()
                cases, nats = cases + (p <= 0.05), nats - math.log(p) * (p <= 0.05)
                leg = Surprise(name="as_strange", tests=runs, most=0.05, nats=nats)
                seen = Measure(grade=1, cases=cases, expected=0.05 * runs, legs=(leg,))
                hit = p <= 0.05
            else:
                hit = draw.uniform() < 0.2
                cases, others = cases + hit, others + (not hit)
                if not hit:
                    continue
                nats += draw.exponential() if kind == "spoofing" else 0.0
                seen = measured(cases, others, mean=nats / cases, grade=1)
                if kind == "quote_fade":
                    seen = msgspec.structs.replace(seen, legs=seen.legs[:1])
            signs.append(sign(name, 1, at_s, scenario=kind, measures=(seen,), grade=int(hit)))
    return signs


@pytest.mark.parametrize("kind", ["spoofing", "stop_hunting", "quote_fade"])
def test_clean_days_are_told_no_oftener_than_the_level_says(kind):
    table = example_instruments([f"I{n:02d}-USD" for n in range(30)])
    days = 120
    told = sum(
        bool(found(clean_day(np.random.default_rng(n), kind), until_s=DAY_S, table=table))
        for n in range(days)
    )
    assert binomial_tail(told, days, PARAMS.level) > 1e-3, told


# --- what it adds up ------------------------------------------------------------------------------


def test_one_instruments_rate_is_the_binomial_tail():
    for cases, others, share in ((3, 0, 0.25), (5, 4, 0.1), (1, 9, 0.5)):
        rate = Rate(name="", cases=cases, others=others, share=share)
        trials = cases + others + 1
        above = binomial_tail(1, trials, share)
        expected = binomial_tail(cases, trials, share) / above
        assert math.isclose(rate_tail([[rate]], 1.0), expected)


def test_instruments_add_up_though_their_shares_differ():
    rates = [Rate(name="", cases=3, others=1, share=s) for s in (0.1, 0.4)]
    draw = np.random.default_rng(5)
    each = [draw.binomial(5, share, 10**6) for share in (0.1, 0.4)]
    known = (each[0] > 0) & (each[1] > 0)
    expected = ((each[0] + each[1])[known] >= 6).mean()
    assert math.isclose(rate_tail([[r] for r in rates], 1.0), expected, rel_tol=0.05)


def test_a_style_is_allowed_for():
    rate = Rate(name="", cases=6, others=4, share=0.2)
    chances = [rate_tail([[rate]], usual) for usual in (1.0, 1.5, 3.0)]
    assert chances == sorted(chances)
    assert chances[0] < 0.05 < chances[2]


def test_classes_of_one_instrument_are_one_count():
    rates = [Rate(name="", cases=c, others=9, share=0.2, spare=0) for c in (3, 0)]
    together_ = Rate(name="", cases=3, others=18, share=0.2, spare=0)
    assert math.isclose(rate_tail([rates], 1.0), rate_tail([[together_]], 1.0))


def test_what_is_rarer_counts_more():
    rare, usual = (Rate(name="", cases=0, others=4, share=s, weight=w, spare=0)
                   for s, w in ((0.025, 8), (0.25, 3)))  # fmt: skip
    of_rare = [msgspec.structs.replace(rare, cases=2, others=2), usual]
    of_usual = [rare, msgspec.structs.replace(usual, cases=2, others=2)]
    draw = np.random.default_rng(6)
    sums = 8 * draw.binomial(4, 0.025, 10**6) + 3 * draw.binomial(4, 0.25, 10**6)
    for rates, weight in ((of_rare, 16), (of_usual, 6)):
        expected = (sums[sums > 0] >= weight).mean()
        assert math.isclose(rate_tail([rates], 1.0), expected, rel_tol=0.05)


def conditioned(others):
    """What was seen of four cases, and of so many of others in an equal time."""
    seen = measured(4)
    asked = Beyond(
        name="beyond_others", cases=4, expected=0.2, others=others, others_expected=0.2, share=0.5
    )
    return msgspec.structs.replace(seen, legs=(*seen.legs, asked))


def test_what_others_do_as_well_is_not_told_however_rare_it_was_before():
    assert found(shown([conditioned(0)] * 3))
    assert not found(shown([conditioned(4)] * 3))


def test_a_condition_is_no_part_of_the_chance_and_is_shown():
    plain, asked = (found(shown([each] * 3))[-1] for each in (measured(4), conditioned(0)))
    assert plain.features["chance"] == asked.features["chance"]
    assert asked.features["chance_beyond_others"].value < PARAMS.leg_chance


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
        pool.take(each)
    (part,) = pool.parts
    assert (part.seqs, part.grade, part.accounts) == ((5, 6, 7), 3, (1, 2))


# --- bounds and faults ----------------------------------------------------------------------------


def test_what_waits_is_bounded_and_what_is_forgotten_is_counted():
    many = [sign(NAMES[0], 1, 9 * n, seqs=tuple(range(100 * n, 100 * n + 60))) for n in range(1, 7)]
    detector = ConductAcross(PARAMS, TABLE)
    detector.step(fed(many, TABLE, 3_600))
    assert detector.overflow == 2
    assert 60 * 4 <= MOST_SEQS < 60 * 5


def test_a_sign_of_an_instrument_that_is_not_listed_or_without_records_is_counted():
    detector = ConductAcross(PARAMS, TABLE)
    useless = [sign("ZZZ-USD", 3, 60), sign(NAMES[0], 3, 60, seqs=())]
    assert not list(detector.step(fed(useless, TABLE, 3_600)))
    assert detector.overflow == 2


def test_a_sign_that_is_late_is_told_as_of_now_and_in_doubt():
    signs = shown([measured(6), measured(6)])
    detector = ConductAcross(PARAMS, TABLE)
    assert not detector.step(fed([signs[1]], TABLE, 600))
    told = detector.step(fed([signs[0]], TABLE, 660))
    assert {f.instrument for f in told} == {0, 1}
    assert {f.detected_ns for f in told} == {START_NS + 600 * 10**9}
    assert {f.instrument: f.coverage for f in told} == {0: "incomplete", 1: "complete"}


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
    "changes",
    [
        {"leg_chance": 0.0},
        {"level": 1.0},
        {"least_ratio": 0.5},
        {"window_s": 0},
        {"least_ratio": math.nan},
        {"least_surprise": math.inf},
        {"least_instruments": 1},
    ],
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
