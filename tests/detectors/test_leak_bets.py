"""The bets of information_leak: fair where there is nothing, however often one looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom, nchypergeom_fisher

from detectors.leak_bets import BEGUN, FOLLOWS, pay, play, play_together, won
from detectors.leak_state import (
    BET_FIELDS,
    COMPLEX,
    EACH,
    GRADES,
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


def tallies(cells, unit=COMPLEX, grade=0):
    """Return a look's, of (stratum, every, marked, drawn, hits), in the first instrument and L."""
    made = np.zeros((RELATED, SCALES, STRATA, TALLY_FIELDS), np.int64)
    first = T_ALL if unit < SUSPECTED else T_KNOWN + EACH * (unit - SUSPECTED)
    at = T_HITS + EACH * unit
    for stratum, every, marked, drawn, hits in cells:
        for place in (T_ALL, first):
            made[0, 0, stratum, [place, place + 1 + grade]] = every, drawn
        made[0, 0, stratum, [at, at + 1 + grade]] = marked, hits
    return made


def no_bets():
    return np.zeros((RELATED, SCALES, GRADES, UNITS, BET_FIELDS))


def none_paid():
    return np.zeros((SCALES, GRADES, BET_FIELDS))


def bet(tallies_, bets):
    play(tallies_, bets, none_paid())


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


def reference(looks):
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
@pytest.mark.parametrize("grade", range(GRADES))
def test_the_kernel_plays_as_the_reference(unit, grade):
    looks = [
        [(0, 40, 11, 7, 4), (3, 25, 6, 5, 1)],
        [(1, 10, 0, 4, 0), (2, 10, 3, 0, 0)],  # says nothing
        [(5, 30, 4, 6, 3)],
        [(0, 12, 6, 8, 4), (1, 9, 9, 3, 3), (4, 60, 20, 11, 9)],
    ]
    bets = no_bets()
    for cells in looks:
        bet(tallies(cells, unit, grade), bets)
    assert won(bets)[0, 0, grade, unit] == pytest.approx(reference(looks))
    others = np.delete(won(bets)[0, 0, grade], unit)
    assert (others == 1.0).all()
    assert (np.delete(won(bets)[0, 0], grade, 0) == 1.0).all()


def test_what_says_nothing_is_no_bet_and_a_control_is_none():
    bets = no_bets()
    bet(tallies([(0, 10, 0, 4, 0), (1, 10, 10, 4, 4), (2, 10, 3, 0, 0), (3, 6, 3, 6, 3)]), bets)
    bet(tallies([(0, 40, 11, 7, 6)], PEERS), bets)
    assert not bets.any()


def test_a_fortune_stays_finite_however_sure_it_is():
    bets = no_bets()
    for _ in range(2_000):
        bet(tallies([(0, 200, 20, 20, 20)]), bets)
    assert np.isfinite(bets).all()
    assert won(bets)[0, 0, 0, COMPLEX] > 1e290


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
            bet(tallies(cells), bets)
            fortunes[day, look] = won(bets)[0, 0, 0, COMPLEX]
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
        bet(tallies([(0, 60, 4, 10, 0)]), bets)
    assert won(bets)[0, 0, 0, COMPLEX] > (1 - BEGUN) * (1 - FOLLOWS) ** 32
    for _ in range(5):
        bet(tallies([(0, 60, 4, 10, 3)]), bets)
    assert won(bets)[0, 0, 0, COMPLEX] > 300
    assert bets[0, 0, 0, COMPLEX, RESERVE] > 0


def test_all_together_are_paid_the_mean_of_what_each_pays():
    cells = [(0, 40, 11, 7, 4)], [(3, 25, 6, 5, 0)]
    paid, bets, together = none_paid(), no_bets(), none_paid()
    for each in cells:
        play(tallies(each, COMPLEX, 1), bets, paid)
    play(tallies([(0, 10, 0, 4, 0)], COMPLEX, 1), bets, paid)  # says nothing, and has no part
    play(tallies([(0, 40, 11, 7, 7)], 3, 1), bets, paid)  # an account's
    play_together(paid, together)
    pays = [[np.exp(log_pay(*cell[1:], odds)) for odds in ODDS] for (cell,) in cells]
    expected = 1 - BEGUN + BEGUN * np.mean(pays)
    assert won(together)[0, 1] == pytest.approx(expected)
    assert (np.delete(won(together).ravel(), 1) == 1.0).all()


def days_together(days=400, looks=16, instruments=3):
    """Return the most won on days in which all instruments draw the very same orders.

    By a bet on all together; and by the product of what was won in each.
    """
    rng, best = np.random.default_rng(6), np.ones((2, days))
    for day in range(days):
        bets, together = no_bets(), none_paid()
        for _ in range(looks):
            every, paid = int(rng.integers(20, 60)), none_paid()
            marked, drawn = (int(n) for n in rng.integers(1, every // 3, 2))
            hits = int(rng.hypergeometric(marked, every - marked, drawn))
            play(tallies([(0, every, marked, drawn, hits)]), bets, paid)
            play_together(instruments * paid, together)
            fortunes = won(together)[0, 0], won(bets)[0, 0, 0, COMPLEX] ** instruments
            best[:, day] = np.maximum(best[:, day], fortunes)
    return best


def test_all_together_it_does_not_matter_that_their_orders_are_the_same():
    """As where one order is split over a perpetual and its spot market: a product would cheat."""
    mean, product = days_together()
    limits = {times: 1 / times + 2 * np.sqrt(1 / times / len(mean)) for times in (5, 10, 33)}
    assert all((mean >= times).mean() <= limit for times, limit in limits.items())
    assert (product >= 33).mean() > limits[33]
