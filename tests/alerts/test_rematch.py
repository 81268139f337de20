"""The rematch: the rules give every trade back, and only a departure from them is a departure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rematch import Replay
from alerts.rematch_book import Book, Order
from alerts.rematch_fork import Repair
from alerts.rematch_steps import Steps, events_of, steps_of
from detectors.book import Books
from tests.support.ledger_tapes import MS, NAME, Desk
from tests.support.venue import ABUSES, STP, random_tape


def replays(tape, *, cut=None):
    """Yield the replay of each instrument of a tape, with its events."""
    for code, events, replay, _ in replays_and_books(tape, cut=cut):
        yield code, events, replay


def replays_and_books(tape, *, cut=None):
    """Yield the same, with what the detectors' book has open at the end, by order."""
    batch = tape.batch()
    rows = np.lexsort((batch["seq"], batch["instrument"]))
    books = Books(tape.table)
    seen = books.apply(batch.take(rows))
    for code, start, end in seen.by_instrument():
        events = events_of(seen, np.arange(start, end))
        by_class = tape.table[code].matching == "price_class_time"
        replay = Replay(Book(by_class=by_class))
        if cut is None:
            replay.run(steps_of(events))
        else:
            steps = Steps()
            for at in range(0, len(events), cut):
                replay.take(steps.take(events[at : at + cut]))
            replay.take(steps.flush())
        live = {name: column.tolist() for name, column in books.live(code).items()}
        keys = [(a << 64) | b for a, b in zip(live["order_hi"], live["order_lo"], strict=True)]
        yield code, events, replay, dict(zip(keys, live["leaves"], strict=True))


@pytest.mark.parametrize("stp", STP)
@pytest.mark.parametrize("seed", range(51, 57))
def test_what_is_open_at_the_end_is_what_another_book_has_open(seed, stp):
    tape = random_tape(seed, 4_000, stp=stp, phases=0.01, busts=False)
    for _, _, replay, open_lots in replays_and_books(tape):
        assert {key: order.leaves for key, order in replay.book.orders.items()} == open_lots


@pytest.mark.parametrize("matching", ["price_time", "price_class_time"])
@pytest.mark.parametrize("stp", STP)
@pytest.mark.parametrize("seed", [31, 32])
def test_the_rules_give_every_trade_of_every_phase_back(seed, stp, matching):
    tape = random_tape(seed, 5_000, stp=stp, matching=matching, phases=0.004)
    kinds = set()
    for _, events, replay in replays(tape):
        assert replay.count.trades == replay.count.reproduced > 200
        assert replay.count.departures == []
        kinds |= {event.kind for event in events}
    assert len(kinds) >= 8  # new, replace, cancel, reject, expire, trigger, status, trade


def test_what_prevention_takes_before_an_uncross_is_gone_whatever_came_just_before():
    desk = Desk()
    desk.quotes()
    desk.venue.status(NAME, "auction")
    mine = desk.new("A", "sell", 5, 100)
    desk.new("A", "buy", 3, 101)
    desk.venue.replace(NAME, mine, quantity=3, received_ns=desk.wait(MS))
    desk.venue.cancel(NAME, mine, reason="stp")
    desk.new("B", "sell", 2, 100)
    desk.venue.status(NAME, "continuous")
    ((_, _, replay, open_lots),) = replays_and_books(desk.tape)
    assert replay.count.trades == replay.count.reproduced == 1
    assert {key: order.leaves for key, order in replay.book.orders.items()} == open_lots
    assert sorted(open_lots.values()) == [1, 50, 50]


@pytest.mark.parametrize(("reason", "why"), [("stp", "prevented"), (None, "reduced")])
def test_what_prevention_takes_off_an_order_in_an_auction_is_not_called_its_owners_doing(
    reason, why, monkeypatch
):
    told = []
    monkeypatch.setattr(Replay, "_marked", lambda *given: told.append(given[-1]))
    desk = Desk()
    desk.quotes()
    desk.venue.status(NAME, "auction")
    mine = desk.new("A", "sell", 5, 100)
    desk.venue.replace(NAME, mine, quantity=2, received_ns=desk.wait(MS))
    if reason:
        desk.venue.records[-1]["reason"] = reason
    desk.venue.status(NAME, "continuous")
    list(replays(desk.tape))
    assert told == [why]


def test_a_restated_book_is_taken_over_and_trades_go_on():
    tape = random_tape(12, 8_000, gaps=3)
    for _, _, replay in replays(tape):
        assert replay.count.reproduced >= replay.count.trades - 5


def test_only_the_jumps_that_were_put_in_depart_from_the_rules():
    tape = random_tape(21, 9_000, abuse=ABUSES, stp="off", matching="price_time", busts=False)
    jumps = [each for each in tape.injected if each["scenario"] == "queue_jump"]
    assert len(jumps) > 2
    for code, _, replay in replays(tape):
        name = tape.table[code].instrument
        mine = [each for each in jumps if each["instrument"] == name]
        departures = replay.count.departures
        assert len(departures) == len(mine)
        for jump, seq in zip(mine, departures, strict=True):
            assert jump["first_seq"] <= seq <= jump["last_seq"]


def test_the_last_price_of_a_tape_cut_anywhere_is_the_same():
    tape = random_tape(33, 2_500)
    whole = [replay.count for _, _, replay in replays(tape)]
    for cut in (1, 7, 1_000):
        assert [replay.count for _, _, replay in replays(tape, cut=cut)] == whole


def test_a_fork_without_a_difference_ends_as_the_record_did():
    tape = random_tape(34, 3_000)
    for code, events, _ in replays(tape):
        by_class = tape.table[code].matching == "price_class_time"
        first = next(event for event in events if event.trade and not event.busts)
        repair = Repair(
            instrument=code,
            first_seq=first.seq,
            first_ns=first.clock_ns,
            omitted=frozenset({-1}),
            last_seq=events[-1].seq + 1,
        )
        replay = Replay(Book(by_class=by_class), [repair])
        replay.run(steps_of(events))
        (fork,) = replay.forks
        recorded, forked = replay.book.orders, fork.book.orders
        assert {k: (o.leaves, o.shown) for k, o in recorded.items()} == {
            k: (o.leaves, o.shown) for k, o in forked.items()
        }


orders = st.builds(
    lambda side, price, lots, display: (side, price, lots, display),
    st.sampled_from((1, -1)),
    st.integers(95, 105),
    st.integers(1, 30),
    st.one_of(st.none(), st.integers(0, 10)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(orders, max_size=25), orders, st.booleans())
def test_a_plan_conserves_quantity_and_takes_the_best_price_first(resting, coming, by_class):
    book = Book(by_class=by_class)
    for key, (side, price, lots, display) in enumerate(resting, start=1):
        order = Order(key, side, price, lots, display=display, in_group=key % 3 == 0)
        if not book.crosses(side, price):
            book.join(order)
    side, price, lots, _ = coming
    incoming = Order(99, side, price, lots)
    before = {key: order.leaves for key, order in book.orders.items()}
    fills = book.plan(incoming, lots)
    assert {key: order.leaves for key, order in book.orders.items()} == before
    assert sum(fill.lots for fill in fills) <= lots
    assert all(fill.lots > 0 and side * (price - fill.price) >= 0 for fill in fills)
    assert [side * fill.price for fill in fills] == sorted(side * fill.price for fill in fills)
    book.take(fills, incoming)
    after = {key: order.leaves for key, order in book.orders.items()}
    assert sum(before.values()) - sum(after.values()) == sum(fill.lots for fill in fills)
    assert incoming.leaves == lots - sum(fill.lots for fill in fills)
    if incoming.leaves:
        assert not book.crosses(side, price)


def test_hidden_quantity_waits_for_all_that_is_shown_and_a_tranche_queues_last():
    book = Book()
    book.join(Order(1, -1, 100, 9, display=0))
    book.join(Order(2, -1, 100, 6, display=2))
    book.join(Order(3, -1, 100, 3))
    fills = book.plan(Order(9, 1, 100, 20), 20)
    assert [(fill.resting, fill.lots) for fill in fills] == [(2, 2), (3, 3), (2, 2), (2, 2), (1, 9)]


def test_the_group_stands_behind_clients_only_where_matching_is_by_class():
    for by_class, first in ((False, 1), (True, 2)):
        book = Book(by_class=by_class)
        book.join(Order(1, -1, 100, 5, in_group=True))
        book.join(Order(2, -1, 100, 5))
        assert book.plan(Order(9, 1, 100, 5), 5)[0].resting == first
