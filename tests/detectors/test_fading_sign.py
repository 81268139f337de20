"""What quote_fading hands on: its sums, that chance is told no oftener, and who told what."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.conduct_example import sign
from detectors.conduct_params import ConductAcrossParams
from detectors.conduct_pool import Pool, rate_tail, together
from detectors.fading_sign import measure_of, signs_of
from detectors.fading_state import (
    COMPLEX,
    H_ACCOUNT,
    H_DOUBT,
    H_NS,
    H_RECEIVED,
    H_REF,
    H_SEQ,
    H_UNITS,
    HIT_FIELDS,
    HIT_LEVEL,
    LEVEL,
    LEVELS,
    PEERS,
    PLACEBO_WITHDRAWN,
    PLACEBOS,
    TALLY_FIELDS,
    UNITS,
    WINDOWS,
    WITHDRAWN,
)
from detectors.statistics import binomial_tail

K = 39


def tallied(windows, *, unit=COMPLEX, tallies=None):
    """Sums of matched sets: whether the client's window had a withdrawal, and how many of 39."""
    tallies = np.zeros((2, UNITS, 2, TALLY_FIELDS), np.int32) if tallies is None else tallies
    for n, (real, placebos) in enumerate(windows):
        row = tallies[n % 2, unit, n % 2]
        row[WINDOWS] += 1
        row[WITHDRAWN] += real
        row[PLACEBOS] += K
        row[PLACEBO_WITHDRAWN] += placebos
        both = real + placebos
        if both:
            level = (LEVELS * both + K) // (K + 1) - 1
            row[LEVEL + level] += 1
            row[HIT_LEVEL + level] += real
    return tallies


def test_a_complex_that_never_withdrew_has_none():
    assert measure_of(tallied([(0, 0)] * 9)) is None


def of_name(seen, name):
    return [leg for leg in seen.legs if leg.name == name]


def test_sets_with_a_withdrawal_count_by_their_chance():
    seen = measure_of(tallied([(1, 0)] * 4 + [(0, 1)] * 2 + [(0, 0)] * 90))
    rare, spare = of_name(seen, "as_many")
    assert (seen.cases, rare.cases, rare.others, spare.cases, spare.others) == (4, 4, 2, 0, 1)
    assert rare.share == pytest.approx(1 / 40)
    assert seen.expected == pytest.approx(7 / 40)
    one_or_more = binomial_tail(1, 7, 1 / 40)
    many = binomial_tail(4, 7, 1 / 40) / one_or_more
    assert rate_tail([[rare, spare]], 1.0) == pytest.approx(many)


def test_a_withdrawal_in_a_quiet_window_says_more_than_one_in_a_busy_window():
    usual = [(0, 1)] * 4 + [(0, 10)] * 4
    quiet = measure_of(tallied([(1, 0)] * 3 + [(0, 10)] * 3 + usual))
    busy = measure_of(tallied([(0, 1)] * 3 + [(1, 9)] * 3 + usual))
    assert quiet.cases == busy.cases == 3
    assert quiet.expected == pytest.approx(busy.expected)
    chances = [rate_tail([of_name(seen, "as_many")], 1.0) for seen in (quiet, busy)]
    assert chances[0] < 0.01
    assert chances[1] > 0.3


def test_what_is_beyond_habit_is_held_against_external_makers():
    tallies = tallied([(1, 0)] * 4 + [(0, 1)] * 4 + [(0, 0)] * 2)
    assert not of_name(measure_of(tallies), "beyond_peers")
    beside = tallied([(1, 1)] * 5 + [(0, 1)] * 5 + [(0, 0)] * 20, unit=PEERS, tallies=tallies)
    (leg,) = of_name(measure_of(beside), "beyond_peers")
    assert (leg.cases, leg.others, leg.share) == (4, 5, 10 / 40)
    assert leg.expected == pytest.approx(8 / 40)
    assert leg.others_expected == pytest.approx(30 * 10 / (30 * K))


def windows(draw, count, habit, times):
    """Windows of a maker that goes so many times as often as by its habit."""
    sets = draw.random((count, K + 1)) < habit * np.array([times, *[1.0] * K])
    return [(int(row[0]), int(row[1:].sum())) for row in sets]


@pytest.mark.parametrize("times_of_peers", [1.0, 5.0])
def test_makers_that_all_go_more_often_are_not_told_though_their_habits_differ(times_of_peers):
    told = 0
    for n in range(20):
        draw, pools = np.random.default_rng(n), []
        for name in ("A-USD", "B-USD", "C-USD"):
            tallies = tallied(windows(draw, 60, 0.1, 5.0))
            peers = windows(draw, 240, 0.02, times_of_peers)
            seen = measure_of(tallied(peers, unit=PEERS, tallies=tallies))
            last = sign(name, 1, 60, scenario="quote_fade", measures=(seen,), grade=1)
            pools.append(Pool(scenario="quote_fade", instrument=name, last=last))
        (found,) = together(pools, ConductAcrossParams())
        told += found.stands and found.chance < 1e-3
    assert told >= 18 if times_of_peers == 1.0 else told <= 1


@pytest.mark.parametrize("rate", [0.002, 0.02, 0.2])
def test_without_fading_small_chances_come_no_oftener_than_they_say(rate):
    draw = np.random.default_rng(7)
    chances = []
    for _ in range(1_500):
        sets = draw.random((300, K + 1)) < rate * draw.gamma(2.0, 0.5, (300, 1))
        seen = measure_of(tallied([(int(w[0]), int(w[1:].sum())) for w in sets]))
        chances.append(rate_tail([of_name(seen, "as_many")], 1.0) if seen is not None else 1.0)
    for level in (0.2, 0.05, 0.01):
        hits = int((np.array(chances) <= level).sum())
        assert binomial_tail(hits, len(chances), level) > 1e-3, (level, hits)


def hit(seq, *, unit=COMPLEX, doubt=0, account=3):
    row = [0] * HIT_FIELDS
    row[H_RECEIVED], row[H_NS], row[H_SEQ], row[H_DOUBT] = seq * 100, seq * 100 + 50, seq, doubt
    row[H_UNITS] = 1 << unit
    row[H_REF], row[H_ACCOUNT] = seq - 1, account + 1
    return row


def test_each_client_order_that_the_complex_withdrew_from_is_a_sign():
    seen = measure_of(tallied([(1, 0)] * 4))
    rows = [(hit(20), True), (hit(30, unit=COMPLEX + 1), False), (hit(40, doubt=1), False)]
    first, second = signs_of("quote_fading", "A-USD", seen, rows, 9_000)
    assert (first.seqs, first.accounts, first.told, first.incomplete) == (
        (19, 20),
        (3,),
        True,
        False,
    )
    assert (second.seqs, second.told, second.incomplete) == ((39, 40), False, True)
    assert (second.begin_ns, second.end_ns, second.clock_ns) == (4_000, 4_050, 9_000)
    assert first.measures == second.measures == (seen,)
