"""Real order flow of 2015 through the book: 50,414 order events and 575 prints of one venue."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.book import Books
from ingest.events import NULL, Conflict, Kind
from tests.support.bitstamp import TABLE, read_flow
from tests.support.vectors import batches

WINDOW_NS = 3_000_000_000
"""How far a print's time may lie from its orders' own; the feeds are two, each with its delay."""


@pytest.fixture(scope="module")
def flow(real_data):
    return read_flow(real_data)


@pytest.fixture(scope="module")
def replayed(flow):
    return Books(TABLE).apply(flow.batch)


def test_the_file_is_the_one_that_was_looked_at(flow):
    kinds = flow.batch["kind"]
    assert (kinds == Kind.TRADE).sum() == 575
    orders = np.isin(kinds, [Kind.NEW, Kind.REPLACE, Kind.CANCEL]).sum()
    assert orders + sum(flow.left_out.values()) == 50_414
    assert flow.left_out == {"said of an order after its end": 22, "order made after its end": 5}


def test_the_best_prices_are_the_source_s_own_but_for_the_order_in_flight(flow, replayed):
    bid, ask = (np.where(replayed[n] == NULL, 0, replayed[n]) for n in ("best_bid", "best_ask"))
    different = (bid != flow.best[:, 0]) | (ask != flow.best[:, 1])
    # The source shows an order in its book before it says that it was filled at once; here it is
    # in flight, and never in the book, when its own end is the next thing said.
    ended_in_flight = (
        (replayed["kind"] == Kind.CANCEL)
        & (replayed["queue_ahead"] == NULL)
        & (replayed["conflict"] == Conflict.NONE)
    )
    assert np.array_equal(different, ended_in_flight)
    assert different.sum() == 104


def test_the_book_is_never_crossed_except_where_the_source_is(flow, replayed):
    two_sided = (replayed["best_bid"] != NULL) & (replayed["best_ask"] != NULL)
    crossed = two_sided & (replayed["best_bid"] >= replayed["best_ask"])
    source = (flow.best > 0).all(axis=1) & (flow.best[:, 0] >= flow.best[:, 1])
    assert not (crossed & ~source).any()
    # The source says that an order came before it says what that took: crossed for milliseconds.
    assert (int(crossed.sum()), int(source.sum())) == (1_084, 1_188)


def test_what_disagrees_with_the_book_is_counted(replayed):
    found, counts = np.unique(replayed["conflict"], return_counts=True)
    # Unknown: orders older than the file, or never said to be made, of which only the end is said.
    # Crossed: what the source states as resting across the other side, before the fills.
    expected = {Conflict.NONE: 50_817, Conflict.UNKNOWN_ORDER: 27, Conflict.CROSSED: 279}
    assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == expected


def test_every_print_is_explained_by_a_fall_in_a_resting_order_s_volume(flow, replayed):
    explained, unexplained = _explain(replayed)
    listed = "\n".join(f"{id_}: {lots} lots at {price}" for id_, price, lots in unexplained)
    assert unexplained == [(8_111_073, 23_472, 93_658_002)], listed
    assert explained == {
        "a fall of its volume": 558,
        "the end of an order older than the file": 16,
    }


def _falls(replayed):
    """Return falls of volume that the book saw: (engine_ns, price, lots), lots None if unknown."""
    falls = []
    for at in np.flatnonzero(np.isin(replayed["kind"], [Kind.REPLACE, Kind.CANCEL])).tolist():
        before, stated = int(replayed["leaves_before"][at]), int(replayed["quantity"][at])
        if replayed["kind"][at] == Kind.REPLACE:
            lots = before - int(replayed["leaves"][at])
        elif stated > 0:
            continue  # cancelled with volume left: nothing fell
        else:
            lots = None if before == NULL else before
        if lots is None or lots > 0:
            falls.append((int(replayed["engine_ns"][at]), int(replayed["price"][at]), lots))
    return falls


def _explain(replayed):
    """Match each print with a fall at its price, of its volume, near its time; each fall once."""
    falls = _falls(replayed)
    used, unexplained = set(), []
    counts = {"a fall of its volume": 0, "the end of an order older than the file": 0}
    for at in np.flatnonzero(replayed["kind"] == Kind.TRADE).tolist():
        ns, price, lots = (int(replayed[name][at]) for name in ("engine_ns", "price", "quantity"))
        near = [
            (fall[2] is None, abs(fall[0] - ns), number)
            for number, fall in enumerate(falls)
            if number not in used
            and fall[1] == price
            and abs(fall[0] - ns) <= WINDOW_NS
            # The file's own volumes are off by one satoshi at times.
            and (fall[2] is None or abs(fall[2] - lots) <= 1)
        ]
        if near:
            unknown, _, number = min(near)
            used.add(number)
            counts[list(counts)[unknown]] += 1
        else:
            unexplained.append((int(replayed["trade_lo"][at]), price, lots))
    return counts, unexplained


@pytest.mark.parametrize("size", [1, 1_000])
def test_the_cuts_change_nothing(flow, replayed, size):
    books = Books(TABLE, capacity=8)
    rows = np.arange(5_000) if size == 1 else np.arange(len(flow.batch))
    parts = [books.apply(part) for part in batches(flow.batch.take(rows), size)]
    for name in ("best_bid", "queue_ahead", "leaves_before", "conflict"):
        assert np.array_equal(np.concatenate([p[name] for p in parts]), replayed[name][: len(rows)])
