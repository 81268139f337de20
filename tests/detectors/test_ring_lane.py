"""A lane keeps the latest trades, whatever it forgot before."""

from __future__ import annotations

import numpy as np

from detectors.ring_lane import Lane, Trades

RANK = np.zeros(1, np.int64)


def trades(first, count):
    rows = Trades.room(count)
    rows["time_ns"][:] = rows["seq"][:] = np.arange(first, first + count)
    return rows


def test_what_a_lane_holds_is_what_came_less_what_was_dropped():
    lane, oldest = Lane(unique=False), 0
    for first in range(0, 3_000, 10):
        lane.merge(trades(first, 10), RANK)
        lane.trades["ring"][-1] = first + 10
        if first >= 300:
            lane.drop(10)
            oldest += 10
        expected = np.arange(oldest, first + 10)
        assert lane.times.tolist() == lane.trades["seq"].tolist() == expected.tolist()
        assert lane.trades["ring"][9::10].tolist() == (expected[9::10] + 1).tolist()


def test_room_that_was_dropped_is_used_again():
    lane = Lane(unique=False)
    for first in range(0, 30_000, 10):
        lane.merge(trades(first, 10), RANK)
        lane.drop(10 * (first >= 300))
    assert len(lane._rows) < 1_000
