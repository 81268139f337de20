"""How often who takes runs stops, by reach: counts, and what stop_hunting makes of them."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest

from detectors.conduct_pool import rate_tail
from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Tally
from detectors.hunt_reach import CHAIN_NS, CLASSES, REACH_FIELDS, TALLY, told, took, triggered
from detectors.hunt_sign import CAUGHT, STRANGE, grade_of, measures_of
from detectors.statistics import binomial_tail
from ingest.times import DAY

MS = 10**6
LEAST = 2
PARAMS = StopHuntingParams()


class Feed:
    """Orders that take, and stops that they trigger, one after the other."""

    def __init__(self):
        self.reach = np.zeros(REACH_FIELDS, np.int64)
        self.now_ns, self.seq = 20_000 * DAY + 1, 0

    def order(self, ticks, *, stops=0, group=False, side=1, price=1_000, after_ns=MS):
        """Take so many ticks far from a price; stops trigger meanwhile and trade beyond."""
        self.seq += 1
        self.now_ns += 10 * CHAIN_NS
        took(self.reach, LEAST, 10**6 + self.seq, -side, False, True, price, self.now_ns)
        for at in (price, price + side * ticks):
            took(self.reach, LEAST, self.seq, side, group, False, at, self.now_ns)
        for n in range(stops):
            self.now_ns += after_ns
            triggered(self.reach, side, self.now_ns)
            stop = price + side * (ticks + n + 1)
            took(self.reach, LEAST, 10**7 + n, side, False, True, stop, self.now_ns)

    def tally(self):
        """Return the tally as (others' pushes, hits, the group's pushes, hits) by class."""
        out = np.zeros(TALLY, np.int64)
        self.now_ns += 10 * CHAIN_NS
        told(self.reach, LEAST, self.now_ns, out)
        return out.reshape(CLASSES, 4).tolist()


def test_orders_count_by_whose_they_are_how_far_they_reach_and_whether_they_ran_stops():
    feed, expected = Feed(), np.zeros((CLASSES, 4), int)
    rng = random.Random(4)
    for _ in range(400):
        ticks, stops, group = (
            rng.choice((0, 1, 2, 3, 4, 9, 300)),
            rng.randrange(4),
            rng.random() < 0.3,
        )
        feed.order(ticks, stops=stops, group=group, side=rng.choice((1, -1)))
        if ticks:
            row = expected[min(int(math.log2(ticks)), CLASSES - 1)]
            row[2 * group] += 1
            row[2 * group + 1] += stops >= LEAST
    assert feed.tally() == expected.tolist()


def test_what_stops_trade_moves_no_order_farther():
    feed = Feed()
    feed.order(1, stops=3, group=True)
    assert feed.tally()[0] == [0, 0, 1, 1]


@pytest.mark.parametrize(("after_ns", "hits"), [(CHAIN_NS, 1), (CHAIN_NS + 1, 0)])
def test_a_stop_that_triggers_later_is_not_the_orders(after_ns, hits):
    feed = Feed()
    feed.order(4, stops=2, after_ns=after_ns)
    assert feed.tally()[2] == [1, hits, 0, 0]


def test_stops_of_the_other_side_are_not_the_orders():
    feed = Feed()
    feed.order(4)
    for _ in range(3):
        triggered(feed.reach, -1, feed.now_ns)
    assert feed.tally()[2] == [1, 0, 0, 0]


def test_a_day_is_counted_by_itself():
    feed = Feed()
    feed.order(4, stops=2, group=True)
    feed.now_ns += DAY
    feed.order(1)
    feed.order(1)
    tally = feed.tally()
    assert (tally[0], tally[2]) == ([2, 0, 0, 0], [0, 0, 0, 0])


def run_of(classes, *, caught=5, pushed=10):
    reach = [0] * TALLY
    for place, row in classes.items():
        reach[4 * place : 4 * place + 4] = row
    return SimpleNamespace(reach=tuple(reach), caught=caught, pushed=pushed)


def test_the_groups_orders_are_held_against_others_that_reach_as_far():
    tally = Tally(party=-1, runs=4, strange=1, surprise=4.0)
    often, strange = measures_of(run_of({0: (90, 1, 10, 0), 3: (8, 1, 4, 3)}), tally, PARAMS)
    assert (often.grade, often.cases, strange.grade, strange.cases) == (CAUGHT, 3, STRANGE, 1)
    assert often.expected == pytest.approx(10 / 90 + 4 * 1.5 / 8)
    assert [(leg.cases, leg.others, leg.share, leg.spare) for leg in often.legs] == [
        (0, 1, 0.1, 0), (3, 1, pytest.approx(1 / 3), 1),
    ]  # fmt: skip
    assert strange.expected == pytest.approx(4 * PARAMS.strange_chance)


def test_a_class_in_which_nobody_else_reaches_as_far_is_no_comparison():
    (only,) = measures_of(run_of({5: (0, 0, 4, 4)}), Tally(party=-1), PARAMS)
    assert only.grade == STRANGE


def test_without_hunts_small_chances_come_no_oftener_than_they_say():
    draw, chances = np.random.default_rng(2), []
    pushes = {0: (300, 30), 1: (150, 20), 3: (20, 6)}
    for _ in range(800):
        rates = draw.uniform(0.001, 0.3, 3)
        classes = {
            place: (n, int(draw.binomial(n, p)), g, int(draw.binomial(g, p)))
            for (place, (n, g)), p in zip(pushes.items(), np.sort(rates), strict=True)
        }
        often = measures_of(run_of(classes), Tally(party=-1), PARAMS)[0]
        chances.append(rate_tail([often.legs], 1.0) if often.grade == CAUGHT else 1.0)
    for level in (0.2, 0.05, 0.01):
        hits = int((np.array(chances) <= level).sum())
        assert binomial_tail(hits, len(chances), level) > 1e-3, (level, hits)


@pytest.mark.parametrize(
    ("caught", "chance", "grade"),
    [(0, 1e-9, 0), (5, 0.5, CAUGHT), (5, 0.01, STRANGE)],
)
def test_a_run_that_caught_nothing_is_nothing_to_be_told(caught, chance, grade):
    assert grade_of(run_of({}, caught=caught), chance, PARAMS) == grade
