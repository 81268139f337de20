"""The rate test of spoofing under the null: size that goes for reasons that are not the fills."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from detectors.examples import batch_of, example_instruments, trade
from detectors.layers import Layers
from detectors.spoofing import SpoofingParams
from detectors.spoofing_rate import tails
from detectors.statistics import randomised, uniform
from ingest.events import Kind, OrderType, Role, Side

SECOND = 10**9
OF = {1: (Role.AFFILIATED_MM, 1), 5: (Role.EXTERNAL_MM, 0)}
"""The affiliated maker, and an external one."""


class Window:
    """Half an hour in which either maker bids more from time to time; its ask is hit at random."""

    def __init__(self, number, *, spoofs=False, stays=1.0):
        self.rng = np.random.default_rng([17, number])
        self.spoofs, self.stays = spoofs, stays
        self.rows = []
        self.names = 0
        for account in OF:
            self.new(account, Side.BUY, 100, 0.0)
            self.new(account, Side.SELL, 100_000, 0.0)
        for at_s in np.arange(20.0, 120.0, 16.0):
            self.new(9, Side.BUY, 1, at_s)

    def row(self, account, at_s, **values):
        role, group = OF.get(account, (Role.CLIENT, 0))
        of = {"account": account, "role": role, "in_complex": group, "type": OrderType.LIMIT}
        at = {"best_bid": 100, "best_ask": 102, "engine_ns": SECOND + int(at_s * SECOND)}
        self.rows.append({**of, **at, **values})

    def new(self, account, side, lots, at_s):
        self.names += 1
        of_order = {"order_lo": self.names, "side": side, "price": 100 if side == Side.BUY else 102}
        self.row(account, at_s, kind=Kind.NEW, quantity=lots, leaves=lots, **of_order)
        return self.names

    def trade(self, account, side, name, lots, at_s):
        role, group = OF[account]
        mine, theirs = ("buy", "sell") if side == Side.BUY else ("sell", "buy")
        parties = {f"{mine}_account": account, f"{theirs}_account": 9}
        own = {f"{mine}_role": role, f"{mine}_complex": group, f"{mine}_lo": name}
        base = trade(parties["buy_account"], parties["sell_account"], **own)
        at = {"engine_ns": SECOND + int(at_s * SECOND), "quantity": lots}
        self.rows.append({**base, **at, "price": 100 if side == Side.BUY else 102})

    def surges(self, account, count):
        """Bid more, and take it back or have it filled; the ask is hit every nine seconds.

        What is taken back stood `stays` times as long as what was filled.
        """
        rng, at_s, ask = self.rng, 130.0, 2 if account == 1 else 4
        hits = np.cumsum(rng.exponential(9.0, 400)) + 125.0
        for at in hits[hits < 1_600.0]:
            self.trade(account, Side.SELL, ask, 1, at)
        for _ in range(count):
            name = self.new(account, Side.BUY, 60, at_s)
            goes = rng.random() < 0.4
            end_s = at_s + rng.exponential(6.0 * (self.stays if goes else 1.0))
            is_hit = ((hits > at_s) & (hits < end_s)).any()
            if goes or (self.spoofs and account == 1 and is_hit and rng.random() < 0.75):
                gone = {"kind": Kind.CANCEL, "side": Side.BUY, "leaves": 0, "order_lo": name}
                self.row(account, end_s, **gone)
            else:
                self.trade(account, Side.BUY, name, 60, end_s)
            at_s = end_s + 6.0 + rng.exponential(9.0)

    def tallies(self):
        """Return what the scan counts of lots."""
        for account in OF:
            self.surges(account, 60)
        instruments = example_instruments()
        layers = Layers(len(instruments), SpoofingParams())
        self.rows.sort(key=lambda row: row["engine_ns"])
        for _ in layers.scan(batch_of(self.rows, instruments)):
            pass
        return layers.snapshot()["tallies"][0].sum(axis=(0, 2))[0]


def p_of(tallies, number):
    """Return the p of a window's rate test, made uniform over what a count cannot say."""
    found = tails(tallies)
    return randomised(found.p, found.beyond, uniform(number))


@pytest.mark.parametrize("stays", [1.0, 3.0])
def test_p_values_are_uniform_where_what_goes_has_nothing_to_do_with_fills(stays):
    seen = [Window(number, stays=stays).tallies() for number in range(240)]
    p_values = [p_of(tallies, number) for number, tallies in enumerate(seen)]
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert kstest([tails(t).p for t in seen], "uniform", alternative="greater").pvalue > 0.01


def test_they_are_not_where_size_goes_because_of_fills():
    p_values = [p_of(Window(number, spoofs=True).tallies(), number) for number in range(40)]
    assert kstest(p_values, "uniform", alternative="greater").pvalue < 1e-6


def test_they_would_not_be_if_all_times_stood_were_one_class():
    seen = [np.sum(Window(number, stays=3.0).tallies(), axis=0) for number in range(240)]
    p_values = [tails(t[None]).p for t in seen]
    assert kstest(p_values, "uniform", alternative="greater").pvalue < 1e-6


def test_the_tail_is_that_of_hypergeometric_counts_added_up():
    rng = np.random.default_rng(3)
    rows = np.array([[7, 4, 9, 3, 5, 1], [3, 1, 8, 2, 0, 0], [2, 2, 0, 0, 0, 0]])
    drawn = rng.hypergeometric(8, 13, 7, 400_000) + rng.hypergeometric(
        3, 8, 3, 400_000
    )  # the third row has nothing to be held against
    assert tails(rows).p == pytest.approx((drawn >= 5).mean(), abs=3e-3)
    assert tails(rows).beyond == pytest.approx((drawn > 5).mean(), abs=3e-3)
