"""The check of clean tapes: each kind found where it is, and not beside it."""

from __future__ import annotations

import pytest

from detectors.book import Books
from ingest.instruments import Instruments
from market.check import check_clean
from market.orders import BUY, SELL
from tests.support.engine_drive import Desk, drive, register, write_tape
from tests.support.vectors import batches, to_batch


def found(desk, folder):
    truths = check_clean(write_tape(desk, folder))
    kinds = ("same_account", "same_owner", "within_complex", "overtaken", "out_of_turn")
    return {name for name in kinds if getattr(truths, name)}


@pytest.mark.parametrize(
    ("buyer", "seller", "kind"),
    [
        ("C1", "C1", {"same_account"}),
        ("C2", "C3", {"same_owner"}),
        ("C1", "C2", set()),
    ],
)
def test_trades_with_oneself(tmp_path, buyer, seller, kind):
    desk = Desk(prevention="off")
    desk.send(seller, SELL, 1, 100)
    desk.send(buyer, BUY, 1, 100)
    assert found(desk, tmp_path) == kind


def test_originators_are_compared_behind_one_account(tmp_path):
    for number, second in enumerate(("P1", "P2")):
        desk = Desk(prevention="off")
        desk.send("C1", SELL, 1, 100, text=',"originator":"P1"')
        desk.send("C1", BUY, 1, 100, text=f',"originator":"{second}"')
        expected = {"same_account"} if second == "P1" else set()
        assert found(desk, tmp_path / str(number)) == expected


def test_a_fill_of_the_group_before_an_older_client_is_out_of_turn(tmp_path):
    for name, first, expected in (("a", "C1", {"out_of_turn"}), ("b", "MM1", set())):
        desk = Desk("price_class_time" if name == "b" else "price_time")
        if name == "b":
            # The class queue is obeyed: the client goes first though it came later.
            desk.send("MM1", SELL, 1, 100)
            desk.send("C1", SELL, 1, 100)
            desk.send("C2", BUY, 1, 100)
        else:
            desk.send(first, SELL, 1, 100)
            desk.send("MM1", SELL, 1, 100)
            side = desk.engine.asks.levels[-100]
            side.front = dict(reversed(side.front.items()))
            for order in side.front:
                order.queue = side.front
            desk.send("C2", BUY, 1, 100)
        assert found(desk, tmp_path / name) == expected


def test_by_class_a_younger_client_is_due_too(tmp_path):
    desk = Desk("price_time")
    desk.send("MM1", SELL, 1, 100)
    desk.send("C1", SELL, 1, 100)
    desk.send("C2", BUY, 1, 100)
    assert found(desk, tmp_path / "time") == set()
    text = (tmp_path / "time/instruments.csv").read_text()
    (tmp_path / "time/instruments.csv").write_text(text.replace("price_time", "price_class_time"))
    assert check_clean(tmp_path / "time").out_of_turn == 1


@pytest.mark.parametrize("matching", ["price_time", "price_class_time"])
def test_the_check_agrees_with_the_products_book_on_who_was_passed_over(tmp_path, matching):
    for seed in range(4):
        desk = drive(seed, 2_000, matching, "cancel_resting")
        assert found(desk, tmp_path / str(seed)) <= {"overtaken"}
        batch = to_batch(desk.records, Instruments([desk.engine.instrument]), register())
        passed = Books(batch.instruments).apply(next(iter(batches(batch, None)))).passed_over
        assert not (passed["jumped_lots"] > 0).any()
