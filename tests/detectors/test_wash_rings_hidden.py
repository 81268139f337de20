"""Rings whose members trade with everybody ten times as much as in the ring."""

from __future__ import annotations

import random

import pytest

from tests.detectors.test_wash_rings import COIN, alerts, circle
from tests.support.ring_tapes import BORDER, HOUR, run, sales_of

MAKERS = (90, 91, 92)


def market_day(seed, members, *, busy):
    """An hour of strangers who mostly meet three makers; members trade `busy` times each."""
    draw = random.Random(seed)
    clients = [*members] * busy + [draw.randrange(100, 160) for _ in range(2400)]
    made = []
    for client in clients:
        other = draw.choice(MAKERS) if draw.random() < 0.9 else draw.randrange(100, 160)
        pair = [client, other] if other != client else [client, 90]
        draw.shuffle(pair)
        made.append((BORDER + draw.randrange(HOUR), "BTC-USD", *pair, draw.randint(1, 900)))
    return made


@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_a_burst_is_found_though_members_trade_ten_times_as_much_with_makers(size):
    members = list(range(1, size + 1))
    ring = circle(members, 8, start=BORDER + HOUR // 3, step=5 * 10**9, lots=437)
    found = alerts(market_day(size, members, busy=160) + ring)
    assert [set(a.accounts) for a in found] == [set(members)]
    assert found[0].features["laps"].value >= 3


def test_a_burst_is_told_within_minutes():
    ring = circle([1, 2, 3], 8, start=BORDER + HOUR // 3, step=5 * 10**9, lots=437)
    first, *_ = run(
        sales_of(market_day(1, [1, 2, 3], busy=160) + ring), COIN, until_ns=BORDER + HOUR
    )
    assert first.detected_ns <= BORDER + HOUR // 2


@pytest.mark.parametrize("seed", range(6))
def test_strangers_and_makers_are_no_ring(seed):
    assert alerts(market_day(seed, [1, 2, 3, 4], busy=160)) == []


def test_a_client_in_pieces_against_one_maker_is_no_ring():
    slices = [(BORDER + HOUR // 3 + i * 10**9, "BTC-USD", 90, 1, 50) for i in range(60)]
    assert alerts(market_day(1, [1], busy=160) + slices) == []
