"""The fairness differential: who counts as a peer, and which fills count."""

from __future__ import annotations

import numpy as np

from alerts.fairness import differences
from detectors.fairness_measures import FairFills, Fills
from ingest.tape import Tape
from monitor.config import default_config
from monitor.ledger_feed import Feed
from tests.support.ledger_tapes import SECOND, Desk

HOUR = 3600 * SECOND


def test_makers_of_strata_that_are_not_compared_are_no_peers(tmp_path):
    desk = Desk()
    desk.quotes()
    tape = desk.tape.write(tmp_path / "tape")
    # The AFMM and one maker in hour 0; another maker in hour 1, where the AFMM is not.
    at_ns = np.repeat(np.arange(40) * 60 * SECOND, 3) + np.tile([0, 1, HOUR], 40)
    order = np.argsort(at_ns, kind="stable")
    maker = np.tile([1, 2, 3], 40)[order]
    columns = {
        "at_ns": at_ns[order],
        "side": np.ones(120, np.int64),
        "price": np.full(120, 101),
        "lots": np.full(120, 5),
        "mid": np.full(120, 100.0),
        "is_afmm": maker == 1,
        "takes": np.ones(120, np.int64),
        "maker": maker,
    }
    after = {5: np.full(120, 100.0), 30: np.full(120, 100.0)}
    fills = Fills(columns, after, np.full(120, 0.01))
    rows = differences({0: fills}, Tape(tape).instruments)
    assert {(row.makers, row.note) for row in rows if row.stratum == "all"} == {
        (1, "no_peer_control")
    }


def fills_of(desk, folder, config):
    feed = Feed(desk.tape.write(folder), config)
    taken = FairFills(feed.instruments)
    for batch in feed.batches():
        taken.take(feed.books.apply(batch))
    return {code: fills.columns["price"].tolist() for code, fills in taken.fills().items()}


def test_a_fill_that_was_busted_leaves(tmp_path):
    desk = Desk()
    desk.quotes()
    for price in (100, 101):
        desk.new("MM1", "sell", 2, price)
        desk.new("A", "buy", 2, price, tif="IOC")
    config = default_config(tmp_path)
    assert fills_of(desk, tmp_path / "whole", config) == {0: [100, 101]}
    first = next(r for r in desk.venue.records if r.get("trade_id") == desk.trades[0])
    desk.wait(SECOND)
    desk.venue.bust(first)
    assert fills_of(desk, tmp_path / "busted", config) == {0: [101]}
