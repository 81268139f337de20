"""The bets of information_leak: fair where there is nothing, however often one looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom, nchypergeom_fisher

from detectors.leak_bets import BEGUN, FOLLOWS, pay, play, won
from detectors.leak_state import (
    BET_FIELDS,
    COMPLEX,
    ODDS,
    PEERS,
    RELATED,
    RESERVE,
    SCALES,
    STRATA,
    SUSPECTED,
    T_ALL,
    T_HITS,
    T_KNOWN,
    TALLY_FIELDS,
    UNITS,
)

MARGINS = [(40, 11, 7), (9, 9, 3), (30, 1, 1), (12, 6, 8), (500, 240, 60), (20, 5, 19)]
MARGINS += [(4_000, 1_900, 1_500)]


def log_pay(every, marked, drawn, hits, odds):
    pays = np.zeros(len(ODDS))
    pay(every, marked, drawn, hits, pays)
    return pays[ODDS.index(odds)]


def tallies(cells, unit=COMPLEX):
    """Return a look's, of (stratum, every, marked, drawn, hits), in the first instrument and L."""
    made = np.zeros((RELATED, SCALES, STRATA, TALLY_FIELDS), np.int64)
    first = T_ALL if unit < SUSPECTED else T_KNOWN + 2 * (unit - SUSPECTED)
    for stratum, every, marked, drawn, hits in cells:
        for place in (T_ALL, first):
            made[0, 0, stratum, place : place + 2] = every, drawn
        made[0, 0, stratum, T_HITS + 2 * unit : T_HITS + 2 * unit + 2] = marked, hits
    return made


def no_bets():
    return np.zeros((RELATED, SCALES, UNITS, BET_FIELDS))


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("odds", ODDS)
def test_a_bet_pays_the_ratio_of_fishers_noncentral_probability_to_the_central(margins, odds):
    every, marked, drawn = margins
    for hits in range(max(0, marked + drawn - every), min(marked, drawn) + 1):
        shifted = nchypergeom_fisher.logpmf(hits, every, marked, drawn, odds)
        central = hypergeom.logpmf(hits, every, marked, drawn)
        if min(central, shifted) > -400:
            found = log_pay(every, marked, drawn, hits, odds)
            assert found == pytest.approx(shifted - central, abs=1e-6)


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("odds", ODDS)
def test_a_bet_pays_one_on_average_where_there_is_nothing(margins, odds):
    every, marked, drawn = margins
    hits = range(max(0, marked + drawn - every), min(marked, drawn) + 1)
    pays = [log_pay(every, marked, drawn, k, odds) for k in hits]
    weighed = np.exp(pays + hypergeom.logpmf(hits, every, marked, drawn))
    assert weighed.sum() == pytest.approx(1.0)


def reference(looks, unit):
    """What `play` makes of some looks, in plain Python."""
    bet, rest, begun = np.zeros(len(ODDS)), 1.0, False
    for cells in looks:
        said = [cell[1:] for cell in cells if 0 < cell[3] < cell[1] and 0 < cell[2] < cell[1]]
        if not said:
            continue
        put_in = FOLLOWS * rest if begun else BEGUN
        begun, rest = True, rest - put_in
        pays = [sum(log_pay(*cell, odds) for cell in said) for odds in ODDS]
        bet = (bet + put_in / len(ODDS)) * np.exp(pays)
    return bet.sum() + rest


@pytest.mark.parametrize("unit", [COMPLEX, 3, SUSPECTED, UNITS - 1])
def test_the_kernel_plays_as_the_reference(unit):
    looks = [
        [(0, 40, 11, 7, 4), (3, 25, 6, 5, 1)],
        [(1, 10, 0, 4, 0), (2, 10, 3, 0, 0)],  # says nothing
        [(5, 30, 4, 6, 3)],
        [(0, 12, 6, 8, 4), (1, 9, 9, 3, 3), (4, 60, 20, 11, 9)],
    ]
    bets = no_bets()
    for cells in looks:
        play(tallies([(s, n, m, d, h) for s, n, m, d, h in cells], unit), bets)
    assert won(bets)[0, 0, unit] == pytest.approx(reference(looks, unit))
    others = np.delete(won(bets)[0, 0], unit)
    assert (others == 1.0).all()


def test_what_says_nothing_is_no_bet_and_a_control_is_none():
    bets = no_bets()
    play(tallies([(0, 10, 0, 4, 0), (1, 10, 10, 4, 4), (2, 10, 3, 0, 0), (3, 6, 3, 6, 3)]), bets)
    play(tallies([(0, 40, 11, 7, 6)], PEERS), bets)
    assert not bets.any()


def test_a_fortune_stays_finite_however_sure_it_is():
    bets = no_bets()
    for _ in range(2_000):
        play(tallies([(0, 200, 20, 20, 20)]), bets)
    assert np.isfinite(bets).all()
    assert won(bets)[0, 0, COMPLEX] > 1e290


def null_days(days, looks=96, seed=4):
    """Return what the bets on one unit had won after each look of days without knowledge."""
    rng = np.random.default_rng(seed)
    fortunes = np.ones((days, looks))
    for day in range(days):
        bets = no_bets()
        for look in range(looks):
            cells = []
            for stratum in range(STRATA):
                every = int(rng.integers(2, 40))
                marked, drawn = (int(n) for n in rng.integers(0, every // 2 + 1, 2))
                hits = int(rng.hypergeometric(marked, every - marked, drawn))
                cells.append((stratum, every, marked, drawn, hits))
            play(tallies(cells), bets)
            fortunes[day, look] = won(bets)[0, 0, COMPLEX]
    return fortunes


def test_looking_all_day_long_costs_nothing():
    """Over 1,500 days: whoever looks 96 times a day sees n times the stake in one of n at most."""
    fortunes = null_days(1_500)
    best = fortunes.max(1)
    for times in (2, 5, 10, 20, 33):
        assert (best >= times).mean() <= 1 / times + 2 * np.sqrt(1 / times / len(best))
    assert (best >= 5).mean() > 0.02  # it does play


def test_what_begins_late_need_not_win_back_what_was_lost_before():
    bets = no_bets()
    for _ in range(32):  # eight hours of a unit that is ahead of none
        play(tallies([(0, 60, 4, 10, 0)]), bets)
    assert won(bets)[0, 0, COMPLEX] > (1 - BEGUN) * (1 - FOLLOWS) ** 32
    for _ in range(5):
        play(tallies([(0, 60, 4, 10, 3)]), bets)
    assert won(bets)[0, 0, COMPLEX] > 300
    assert bets[0, 0, COMPLEX, RESERVE] > 0
