"""Rings whose parcels go round though the venue swaps meetings, or one is not seen."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import ring_rounds
from tests.detectors.test_ring_circles import columns, random_meetings
from tests.detectors.test_wash_rings import alerts, circle
from tests.detectors.test_wash_rings_hidden import market_day
from tests.support import circle_reference as plain
from tests.support.ring_tapes import BORDER, HOUR

STEP = 8 * 10**9
START = BORDER + HOUR // 3


@pytest.mark.parametrize("seed", range(40))
def test_hand_overs_are_those_of_trying_every_run(seed):
    members, pieces = 3 + seed % 3, 1 + seed % 3
    sizes = ((1, 2), (1, 2, 3, 5), (50, 100, 150, 300))[seed % 3]
    meetings = random_meetings(seed, accounts=members, count=4 + seed, sizes=sizes)
    seller, buyer, lots, _ = columns(meetings)
    inside, laps = ring_rounds.handed_round(seller, buyer, lots, members, pieces)
    expected, expected_laps = plain.handed_round(meetings, members, pieces)
    assert set(np.flatnonzero(inside).tolist()) == expected
    assert laps == expected_laps


def test_two_hand_nothing_round():
    one, two = np.array([0, 1] * 5), np.array([1, 0] * 5)
    inside, laps = ring_rounds.handed_round(one, two, np.full(10, 7), 2, 4)
    assert (inside.any(), laps) == (False, 0)


def test_a_lap_is_not_made_up_by_members_who_hand_on_more_often_than_others():
    """Of three, two of whom trade in and out all the time, the third once."""
    one = np.array([0, 1, 2, 0, 1, 0, 1, 0, 1, 0])
    two = np.array([1, 2, 0, 1, 0, 1, 0, 1, 0, 1])
    assert ring_rounds.handed_round(one, two, np.full(10, 7), 3, 4)[1] < 3


def swapped(ring, places):
    """Return a ring's trades with some changed for the one after, as a venue may match them."""
    made = list(ring)
    for place in places:
        (at, *one), (later, *other) = made[place : place + 2]
        made[place : place + 2] = [(at, *other), (later, *one)]
    return made


@pytest.mark.parametrize("members", [[1, 2, 3], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("lost", [None, 5, 7])
def test_three_laps_are_found_though_meetings_are_swapped_and_one_is_not_seen(members, lost):
    laps = 4 if len(members) == 3 else 3
    ring = swapped(circle(members, laps, start=START, step=STEP, lots=437), (2, 5))
    ring = [trade for place, trade in enumerate(ring) if place != lost]
    found = alerts(market_day(1, members, busy=8) + ring)
    assert [set(a.accounts) for a in found] == [set(members)]
    assert found[0].features["laps"].value >= 3
    assert found[0].evidence == "supported"


def test_pieces_among_six_members_are_hand_overs_too():
    members, ring = [1, 2, 3, 4, 5, 6], []
    for lap in range(4):
        for hop in range(6):
            cut = 100 + 31 * lap + 7 * hop
            for piece, part in enumerate(
                (cut, 500 + 60 * lap - cut) if hop % 2 else (500 + 60 * lap,)
            ):
                at = START + (lap * 12 + hop * 2 + piece) * STEP // 2
                ring.append((at, "BTC-USD", members[hop], members[(hop + 1) % 6], part))
    ring.pop(7)
    found = alerts(market_day(3, members, busy=20) + ring)
    assert [set(a.accounts) for a in found] == [set(members)]


def test_what_is_handed_on_along_a_chain_and_never_back_is_no_ring():
    chain = [
        (START + (4 * turn + hop) * STEP, "BTC-USD", hop + 1, hop + 2, 437)
        for turn in range(6)
        for hop in range(3)
    ]
    assert alerts(market_day(4, [1, 2, 3, 4], busy=20) + chain) == []


def test_two_laps_of_three_are_not_yet_a_ring():
    ring = circle([1, 2, 3], 2, start=START, step=STEP, lots=437)
    assert alerts(market_day(5, [1, 2, 3], busy=20) + ring) == []
