"""The replayed book agrees with a plain one on every column, wherever it is cut or restored."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.book import Books
from detectors.book_layout import MAX_HEIGHT
from detectors.book_table import height_of
from detectors.examples import batch_of, example_instruments, trade
from ingest.errors import SnapshotError
from ingest.events import (
    BOOK,
    NO_CODE,
    PASSED_MOST,
    PASSED_OVER,
    Conflict,
    Coverage,
    Kind,
    Phase,
    Role,
)
from tests.support.agreement import crowded, disagreement, faulty, half_ids, queues
from tests.support.noise import churn, noise
from tests.support.vectors import batches
from tests.support.venue import random_tape


@pytest.fixture(scope="module")
def tape():
    return random_tape(5, 3_000, instruments=3, gaps=2, phases=0.01, abuse=("queue_jump",)).batch()


def _tape(seed, events=1_500):
    abuse = ("queue_jump", "wash_self")
    return random_tape(seed, events, gaps=seed % 3, phases=0.01, abuse=abuse).batch()


@pytest.mark.parametrize("seed", range(12))
def test_the_book_agrees_with_the_reference_on_clean_tapes(seed):
    assert disagreement(_tape(seed)) is None


@pytest.mark.parametrize("seed", range(40))
def test_the_book_agrees_with_the_reference_on_faulty_tapes(seed):
    batch = faulty(_tape(100 + seed, 1_000), seed, rate=(0.005, 0.02, 0.1)[seed % 3])
    assert disagreement(batch, size=(None, 100)[seed % 2]) is None


@pytest.mark.parametrize("seed", range(30))
def test_the_book_agrees_with_the_reference_on_crowded_and_cheated_tapes(seed):
    batch = crowded(seed, 600)
    batch = half_ids(batch) if seed % 2 else batch
    batch = faulty(batch, seed, rate=0.01) if seed % 3 == 0 else batch
    size = (None, 50, 3)[seed % 3]
    assert disagreement(batch, size=size, restore=range(0, 30, 4)) is None


@pytest.mark.parametrize("seed", range(60))
def test_the_book_agrees_with_the_reference_on_random_records(seed):
    batch = noise(seed, 400, instruments=1 + seed % 3, ids=(4, 12, 40, 120)[seed % 4])
    size = (None, 50, 3)[seed % 3]
    assert disagreement(batch, size=size, restore=range(0, 200, 3)) is None


@pytest.mark.parametrize("seed", range(6))
def test_the_book_agrees_with_the_reference_on_queues_longer_than_it_tells_of(seed):
    batch = queues(seed, 20)
    size = (None, 40)[seed % 2]
    assert disagreement(batch, size=size) is None
    got = Books(batch.instruments).apply(next(batches(batch, None)))
    unknown = got.passed_over["client_role"] == Role.UNKNOWN
    runs = np.stack([got.passed_over[n] for n in ("done_seq", "group_account")])
    for kind in (unknown, ~unknown):
        assert np.unique(runs[:, kind], axis=1, return_counts=True)[1].max() == PASSED_MOST


def test_the_book_agrees_with_the_reference_while_hundreds_of_orders_come_and_go():
    assert disagreement(churn(1, 3_000, live=300), size=500, restore={3}) is None


@pytest.mark.parametrize("size", [1, 7, 1_000, None])
def test_the_book_agrees_with_the_reference_wherever_the_tape_is_cut(tape, size):
    assert disagreement(tape.take(np.arange(1_200)), size=size) is None


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_book_goes_on_as_if_nothing_had_happened(seed):
    batch = _tape(200 + seed, 1_000)
    if seed % 2:
        batch = faulty(batch, seed)
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 60))
    restore = set(rng.integers(0, len(batch) // size + 1, 40).tolist())
    assert disagreement(batch, size=size, restore=restore) is None


def test_a_book_restored_before_every_record_agrees(tape):
    batch = tape.take(np.arange(500))
    assert disagreement(batch, size=1, restore=range(500)) is None


def test_the_tapes_that_are_compared_have_everything_in_them():
    kinds, conflicts, phases, coverages, older = set(), set(), set(), set(), set()
    for seed in range(6):
        batch = _tape(seed)
        for number, one in enumerate((batch, faulty(batch, seed))):
            got = Books(one.instruments).apply(next(batches(one, None)))
            kinds |= set(got["kind"].tolist())
            conflicts |= set(got["conflict"].tolist()) if number else set()
            phases |= set(got["phase"].tolist())
            coverages |= set(got["coverage"].tolist())
            older |= set((got.passed_over["jumped_lots"] > 0).tolist())
    assert kinds == {int(kind) for kind in Kind}
    assert conflicts == {int(conflict) for conflict in Conflict}
    assert {Phase.CONTINUOUS, Phase.AUCTION, Phase.HALT, Phase.CANCEL_ONLY} <= phases
    assert coverages == {int(coverage) for coverage in Coverage}
    assert older == {0, 1}


def test_a_clean_tape_has_no_conflict_and_is_complete():
    batch = random_tape(1, 4_000).batch()
    got = Books(batch.instruments).apply(next(batches(batch, None)))
    assert not got["conflict"].any()
    assert not got["coverage"].any()


def test_columns_have_the_vocabulary_s_types(tape):
    got = Books(tape.instruments).apply(next(batches(tape, 50)))
    for name, column in BOOK.items():
        assert got[name].dtype == column.dtype, name
    for name, column in PASSED_OVER.items():
        assert got.passed_over[name].dtype == column.dtype, name


def test_an_empty_batch_changes_nothing(tape):
    books = Books(tape.instruments)
    books.apply(next(batches(tape, 400)))
    before = books.snapshot()
    got = books.apply(tape.take(np.arange(0)))
    after = books.snapshot()
    assert len(got) == 0
    assert got["best_bid"].dtype == np.int64
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_book_does_not_write_to_its_input(tape):
    part = next(batches(tape, 500))
    before = {name: part[name].copy() for name in part.names}
    for name in part.names:
        part[name].setflags(write=False)
    Books(part.instruments).apply(part)
    assert all(np.array_equal(part[name], before[name]) for name in before)


def test_a_snapshot_is_untouched_by_what_follows_and_restores_to_itself(tape):
    first, second = list(batches(tape, 1_500))[:2]
    books = Books(tape.instruments)
    books.apply(first)
    saved = books.snapshot()
    copy = {name: array.copy() for name, array in saved.items()}
    books.apply(second)
    assert all(np.array_equal(saved[name], copy[name]) for name in saved)
    again = Books(tape.instruments)
    again.restore(saved)
    assert all(np.array_equal(saved[name], array) for name, array in again.snapshot().items())


def test_a_snapshot_of_another_shape_is_refused_with_what_was_expected(tape):
    books = Books(tape.instruments)
    saved = dict(books.snapshot())
    with pytest.raises(SnapshotError, match="needs orders of 24 columns, found none"):
        books.restore({name: array for name, array in saved.items() if name != "orders"})
    with pytest.raises(SnapshotError, match="holds 2 instruments, the table lists 3"):
        books.restore(saved | {"books": saved["books"][:2]})


def entered(order, account, side, **columns):
    """Return the record of an order of an account, by a login of its own."""
    return {"kind": Kind.NEW, "order_lo": order, "account": account, "owner": account, "side": side,
            "type": 1, "tif": 1, "price": 100, "quantity": 5, "leaves": 5, "session": 50 + account,
            "user": 70 + account} | columns  # fmt: skip


@pytest.mark.parametrize("side", [1, -1])
def test_a_trade_tells_by_which_session_and_user_each_order_came(side):
    table = example_instruments()
    ids = {"buy_lo": 1, "sell_lo": 2} if side < 0 else {"buy_lo": 2, "sell_lo": 1}
    names = {1: 3, 2: 4} if side < 0 else {1: 4, 2: 3}
    rows = [entered(1, 3, -side), entered(2, 4, side),
            trade(names[1], names[2], side=side, price=100, quantity=5, **ids)]  # fmt: skip
    got = Books(table).apply(batch_of(rows, table))
    told = {name: int(got[name][-1]) for name in ("buy_session", "sell_session", "buy_user",
                                                  "sell_user")}  # fmt: skip
    buyer, seller = names[1], names[2]
    assert told == {"buy_session": 50 + buyer, "sell_session": 50 + seller,
                    "buy_user": 70 + buyer, "sell_user": 70 + seller}  # fmt: skip
    assert got["buy_session"][:2].tolist() == [NO_CODE, NO_CODE]


def test_orders_of_a_snapshot_from_before_logins_were_kept_have_none():
    table = example_instruments()
    books = Books(table)
    books.apply(batch_of([entered(1, 3, -1)], table))
    saved = dict(books.snapshot())
    assert saved["orders"][:, -2:].tolist() == [[53, 73]]
    again = Books(table)
    again.restore(saved | {"orders": saved["orders"][:, :-2]})
    assert again.snapshot()["orders"][:, -2:].tolist() == [[NO_CODE, NO_CODE]]
    assert np.array_equal(again.snapshot()["orders"][:, :-2], saved["orders"][:, :-2])


def test_state_is_as_large_as_what_is_live_and_no_larger():
    batch = random_tape(3, 12_000, instruments=1).batch()
    books = Books(batch.instruments, capacity=8)
    sizes = []
    for part in batches(batch, 500):
        books.apply(part)
        sizes.append(len(books._memory))
    # What has left makes room for what comes: the second half of the tape adds nothing.
    assert sizes[len(sizes) // 2] == sizes[-1]


def test_levels_and_live_orders_add_up(tape):
    books = Books(tape.instruments)
    books.apply(next(batches(tape, 2_000)))
    total = 0
    for instrument in range(len(tape.instruments)):
        live, levels = books.live(instrument), books.levels(instrument)
        total += len(live["side"])
        resting = live["state"] == 0
        for side in (1, -1):
            own = resting & (live["side"] == side)
            at = levels["side"] == side
            assert levels["lots"][at].sum() == live["shown"][own].sum()
            prices = levels["price"][at] * -side
            assert (np.diff(prices) > 0).all()
            assert set(levels["price"][at]) == set(live["price"][own & (live["shown"] > 0)])
    assert total == len(books)


def test_levels_rise_by_one_in_four_up_to_the_highest():
    heights = np.array([height_of(price) for price in range(-40_000, 40_000)])
    assert heights.min() == 1
    assert heights.max() == MAX_HEIGHT
    for height in range(2, 6):
        assert (heights >= height).mean() == pytest.approx(0.25 ** (height - 1), rel=0.1)
