"""Restitution: the harm of a breach put in by hand comes back to the tick, once, and not netted."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rematch_fork import Course, Outcome
from alerts.restitution import Charge, pieces_of, settled
from alerts.restitution_breaches import standing_of
from monitor.config import default_config
from monitor.ledger import ledgers
from tests.support.ledger_tapes import LOT, MS, NAME, SECOND, TICK, Desk, alert, inverted, jumped


@pytest.fixture
def rows(tmp_path):
    """Return the restitution of a desk's tape and alerts."""

    def run(desk, *alerts):
        folder = desk.tape.write(tmp_path / f"tape-{len(list(tmp_path.iterdir()))}")
        return ledgers(folder, alerts, default_config(tmp_path)).restitution

    return run


def money(lots, half_ticks):
    return Decimal(str(TICK)) * Decimal(str(LOT)) * lots * half_ticks / 2


def test_a_jump_is_owed_what_the_mid_at_the_cancel_is_below_the_price(rows):
    desk = Desk()
    orders = jumped(desk)
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(orders[0], ms=1_000)
    found = rows(desk, alert(desk, orders=orders))
    (row,) = found.rows
    # Mid of 90 and 94 when it was cancelled; five of its eight lots were due at 100.
    assert (row.account, row.owner, row.side, row.why) == ("A", "O-A", "sell", "cancelled")
    assert (row.quantity, row.price_paid) == (Decimal("0.05"), Decimal("46"))
    assert (row.counterfactual_price, row.money) == (Decimal("50"), money(5, 2 * 8))
    assert (row.order_id, row.trade_id, row.standing) == (orders[0], "", "proved")
    assert found.identity.departures == 1
    assert found.sums[0].money == row.money


def test_a_jump_that_is_filled_later_is_owed_the_difference_of_the_prices(rows):
    desk = Desk()
    orders = jumped(desk)
    desk.venue.replace("BTC-USD", orders[0], price=98, received_ns=desk.wait(SECOND))
    desk.new("D", "buy", 3, 98)
    desk.new("D", "buy", 5, 98)
    (row,) = rows(desk, alert(desk, orders=orders)).rows
    # In the rematch three are left and filled at 98 by D's first order, as three were.
    assert (row.paid_as, row.trade_id) == ("fill", desk.trades[-1])
    assert (row.quantity, row.money) == (Decimal("0.05"), money(5, 2 * 2))


def test_what_is_open_after_300_s_is_marked_to_the_mid_of_then(rows):
    desk = Desk()
    orders = jumped(desk)
    desk.new("XM2", "sell", 50, 96, ms=100_000)
    desk.new("D", "buy", 1, 80, ms=250_000)
    desk.cancel(orders[0], ms=1_000)
    (row,) = rows(desk, alert(desk, orders=orders)).rows
    assert (row.why, row.paid_as, row.price_paid) == ("open", "mid", Decimal("46.5"))
    assert row.money == money(5, 2 * 7)


def test_a_client_that_fares_no_worse_is_owed_nothing(rows):
    desk = Desk()
    orders = jumped(desk)
    desk.new("D", "buy", 8, 100)
    found = rows(desk, alert(desk, orders=orders))
    assert found.rows == ()
    assert found.identity.departures == 1


def test_where_the_rules_were_kept_nothing_is_owed_whatever_an_alert_says(rows):
    desk = Desk()
    orders = jumped(desk, favoured=None)
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(orders[0])
    found = rows(desk, alert(desk, orders=orders))
    assert (found.rows, found.identity.departures) == ((), 0)


def test_an_inversion_is_owed_the_worse_price_of_what_the_group_took(rows):
    desk = Desk()
    orders = inverted(desk)
    found = rows(desk, alert(desk, orders=orders))
    assert sum(row.quantity for row in found.rows) == Decimal("0.04")
    assert {row.counterfactual_price for row in found.rows} == {Decimal("50")}
    assert {row.account for row in found.rows} == {"B"}
    assert sum(row.money for row in found.rows) == money(4, 2 * 3)
    # The engine matched what came to it by its rules: the inversion was before it.
    assert found.identity.departures == 0


def test_an_instruction_that_came_first_by_less_than_the_clocks_can_tell_is_owed_nothing(rows):
    desk = Desk()
    orders = inverted(desk, held_ns=150_000)
    assert rows(desk, alert(desk, orders=orders)).rows == ()


def test_one_that_came_first_by_more_is_owed_where_somebody_is_asked_to_look(rows):
    desk = Desk()
    orders = inverted(desk, held_ns=200_000)
    close = msgspec.structs.replace(alert(desk, orders=orders), evidence="supported")
    asked, low = (msgspec.structs.replace(close, severity=s) for s in ("medium", "low"))
    assert {row.standing for row in rows(desk, asked).rows} == {"supported"}
    assert rows(desk, low).rows == ()


def test_two_clients_overtaken_by_one_instruction_share_its_lots(rows):
    desk = Desk()
    theirs, mine = inverted(desk, lots=3)
    late = desk.venue.now_ns
    other = desk.venue.new("BTC-USD", "C", "buy", 6, 103, tif="IOC", received_ns=late - 8 * MS)
    found = rows(desk, alert(desk, orders=(theirs, mine, other)))
    # Six lots at 100: three to B, who came first, three to C; the group took four of them.
    of = {name: sum(r.quantity for r in found.rows if r.account == name) for name in "BC"}
    assert sum(of.values()) <= Decimal("0.04")
    assert found.sums[0].money == money(4, 2 * 3)


def test_two_alerts_of_one_breach_charge_it_once_and_name_each_other(rows):
    desk = Desk()
    orders = inverted(desk)
    proved = alert(desk, orders=orders)
    ruled = alert(desk, orders=orders, scenario="trading_ahead")
    alone, both = rows(desk, proved), rows(desk, ruled, proved)
    assert [row.money for row in both.rows] == [row.money for row in alone.rows]
    assert {(row.alert_id, row.standing) for row in both.rows} == {(proved.alert_id, "proved")}
    assert {row.also for row in both.rows} == {(ruled.alert_id,)}


def test_two_jumps_of_one_order_never_charge_more_than_it_had(rows):
    desk = Desk()
    desk.quotes()
    mine = desk.new("A", "sell", 8, 100)
    orders = [mine]
    for _ in range(2):
        orders.append(desk.new("MM1", "sell", 5, 100))
        desk.venue.favoured = "MM1"
        orders.append(desk.new("C", "buy", 5, 100, tif="IOC"))
        desk.venue.favoured = None
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(mine)
    found = rows(desk, alert(desk, orders=orders))
    assert sum(row.quantity for row in found.rows) == Decimal("0.08")
    assert found.sums[0].money == money(8, 2 * 8)


def test_a_jump_of_several_pieces_is_one_jump(rows):
    desk = Desk()
    desk.quotes()
    orders = [desk.new("A", "sell", 30, 100)]
    orders += [desk.new("MM1", "sell", 2, 100) for _ in range(3)]
    desk.venue.favoured = "MM1"
    orders.append(desk.new("C", "buy", 6, 100, tif="IOC"))
    desk.venue.favoured = None
    desk.new("XM2", "sell", 50, 94)
    named = alert(desk, orders=orders)
    desk.cancel(orders[0])
    found = rows(desk, named)
    assert sum(row.quantity for row in found.rows) == Decimal("0.06")
    assert found.sums[0].money == money(6, 2 * 8)


def test_a_gain_of_one_client_lowers_nobody_elses_loss(rows):
    loss = Desk()
    orders = inverted(loss)
    alone = rows(loss, alert(loss, orders=orders)).sums
    gain = Desk()
    both = list(inverted(gain))
    # Another client is overtaken and is filled better than it would have been.
    gain.new("A", "sell", 4, 100)
    late = gain.wait(20 * MS)
    both.append(
        gain.venue.new("BTC-USD", "MM1", "buy", 4, 100, tif="IOC", received_ns=late - 50_000)
    )
    gain.new("D", "sell", 9, 97)
    both.append(gain.venue.new("BTC-USD", "C", "buy", 4, 103, tif="IOC", received_ns=late - 9 * MS))
    found = rows(gain, alert(gain, orders=both))
    assert found.sums == alone


def test_a_stop_that_is_triggered_late_is_owed_what_it_would_have_got_in_time(rows):
    desk = Desk()
    desk.quotes()
    desk.new("D", "buy", 4, 94)
    desk.new("D", "buy", 6, 93)
    stop = desk.venue.new(NAME, "A", "sell", 5, kind="stop", stop_price=95)
    book = desk.venue.books[NAME]
    (held,) = book.stops
    book.stops = []
    desk.new("C", "sell", 1, 94)  # The last price reaches the stop price.
    theirs = desk.new("MM1", "sell", 3, 94, tif="IOC")
    book.stops = [held]
    desk.wait(SECOND)
    desk.venue._trigger(book)
    found = rows(desk, alert(desk, orders=(stop, theirs), scenario="trading_ahead"))
    assert {(row.account, row.counterfactual_price) for row in found.rows} == {("A", Decimal("47"))}
    assert sum(row.money for row in found.rows) == money(3, 2 * 1)
    assert found.identity.reproduced == found.identity.trades > 0


def test_a_stop_that_was_reached_before_it_came_is_due_at_once(rows):
    desk = Desk()
    desk.quotes()
    desk.new("D", "buy", 4, 94)
    desk.new("D", "buy", 6, 93)
    desk.new("C", "sell", 1, 94)
    book = desk.venue.books[NAME]
    desk.wait(MS)
    stop = desk.venue.new(NAME, "A", "sell", 5, kind="stop", stop_price=95)
    (held,) = book.stops
    book.stops = []
    theirs = desk.new("MM1", "sell", 3, 94, tif="IOC")
    book.stops = [held]
    desk.wait(SECOND)
    desk.venue._trigger(book)
    found = rows(desk, alert(desk, orders=(stop, theirs), scenario="trading_ahead"))
    assert sum(row.money for row in found.rows) == money(3, 2 * 1)


def test_a_held_order_is_supported_until_a_person_has_confirmed_it(rows):
    desk = Desk()
    orders = inverted(desk)
    found = rows(desk, alert(desk, orders=orders, scenario="trading_ahead"))
    assert {row.standing for row in found.rows} == {"supported"}


def ran_ahead(*, account="B", side="buy", after_s=1, between_s=(), rests=False):
    """The maker takes 4 of 6 lots at 100 ahead of B's first two; four more are bought later."""
    desk = Desk()
    orders = inverted(desk, lots=2)
    if side == "sell":
        desk.new("XM1", "buy", 4, 95)
    for wait_s in between_s:
        desk.new("B", "buy", 1, 95, ms=wait_s * 1_000, tif="IOC")
    price = {"buy": 100 if rests else 103, "sell": 95}[side]
    tif = "GTC" if rests else "IOC"
    later = desk.new(account, side, 4, price, ms=after_s * 1_000, tif=tif)
    if rests:
        desk.cancel(later, ms=50)
    named = alert(desk, orders=orders, facets=("arrival_inversion", "front_running"))
    desk.new("D", "buy", 1, 80, ms=310_000)
    return desk, named, later


@pytest.mark.parametrize(
    ("later", "owed"),
    [
        ({}, True),
        ({"account": "C"}, False),  # another client's
        ({"side": "sell"}, False),
        ({"after_s": 59}, True),
        ({"after_s": 62}, False),  # a decision of its own
        ({"after_s": 50, "between_s": (50, 50)}, True),
        ({"after_s": 59, "between_s": (59,) * 5}, False),  # beyond the horizon
        ({"after_s": 1, "rests": True}, False),  # what rests is no part of what it took for
    ],
)
def test_later_parts_of_an_order_that_was_run_ahead_of_are_followed_unnamed(rows, later, owed):
    desk, named, order = ran_ahead(**later)
    found = rows(desk, named).rows
    expected = [(order, money(4, 2 * 3), "later")] * owed
    assert [(row.order_id, row.money, row.standing) for row in found] == expected


def test_a_later_order_that_the_venue_refused_stays_refused(rows):
    desk = Desk()
    orders = inverted(desk, lots=2)
    desk.new("XM1", "buy", 1, 99)
    entered = desk.venue._enter

    def refuse(book, order):
        order.leaves = 0
        desk.venue._order(book, "reject", order, desk.venue.now_ns)

    desk.venue._enter = refuse
    desk.new("B", "buy", 4, 103, ms=1_000, tif="IOC")
    desk.venue._enter = entered
    named = alert(desk, orders=orders, facets=("arrival_inversion", "front_running"))
    desk.new("D", "buy", 1, 80, ms=310_000)
    assert rows(desk, named).rows == ()


@pytest.mark.parametrize("between", [{"price": 80, "tif": "GTC"}, {"price": 95, "tif": "IOC"}])
def test_a_parent_begins_as_it_reaches_the_engine_and_any_order_carries_it_on(rows, between):
    desk = Desk()
    orders = inverted(desk, lots=2, held_ns=59 * SECOND)
    desk.new("B", "buy", 1, between["price"], ms=40_000, tif=between["tif"])
    later = desk.new("B", "buy", 4, 103, ms=40_000, tif="IOC")
    named = alert(desk, orders=orders, facets=("arrival_inversion", "front_running"))
    desk.new("D", "buy", 1, 80, ms=310_000)
    assert [(row.order_id, row.standing) for row in rows(desk, named).rows] == [(later, "later")]


def test_where_nothing_was_run_ahead_of_only_what_was_overtaken_counts(rows):
    desk, named, _ = ran_ahead()
    assert rows(desk, msgspec.structs.replace(named, facets=("arrival_inversion",))).rows == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "retracted"},
        {"evidence": "weak"},
        {"scenario": "front_running", "evidence_class": "indicator", "evidence": "supported"},
        {
            "scenario": "trading_ahead",
            "evidence_class": "rule",
            "evidence": "supported",
            "severity": "low",
        },
    ],
)
def test_what_proves_nothing_claims_nothing(fields):
    assert standing_of(alert(Desk(), orders=(), **fields)) is None


def test_a_gap_is_told_and_not_guessed_at(rows):
    desk = Desk()
    desk.quotes()
    desk.venue.lose("BTC-USD", 1)
    desk.new("D", "sell", 3, 105)
    orders = jumped(desk)
    named = alert(desk, orders=orders)
    desk.cancel(orders[0])
    for _ in range(9):
        desk.new("D", "sell", 1, 100, ms=10_000)
        desk.new("B", "buy", 1, 100)
    found = rows(desk, named)
    assert found.rows == ()
    assert [each.reason for each in found.not_measured] == ["the book is not known whole there"]


def test_an_order_under_two_names_is_charged_no_more_than_it_had(rows):
    desk = Desk()
    desk.quotes()
    alerts, name = [], ""
    for at, price in enumerate((100, 98)):
        name = desk.new("A", "sell", 8, price, **({"replaces": name} if name else {}))
        theirs = desk.new("MM1", "sell", 5, price)
        desk.venue.favoured = "MM1"
        came = desk.new("C", "buy", 5, price, tif="IOC")
        desk.venue.favoured = None
        alerts.append(alert(desk, orders=(name, theirs, came), alert_id=f"jump-{at}"))
    desk.venue.replace(NAME, name, price=95, received_ns=desk.wait(SECOND))
    desk.new("D", "buy", 8, 95)
    found = rows(desk, *alerts)
    assert sum(row.quantity for row in found.rows) == Decimal("0.08")
    assert found.sums[0].money == money(5, 2 * 5) + money(3, 2 * 3)


def trade_of(desk, name):
    return next(r for r in desk.venue.records if r.get("trade_id") == name)


def test_a_client_fill_that_was_busted_is_not_measured(rows):
    desk = Desk()
    orders = inverted(desk)
    names = list(desk.trades)
    desk.wait(SECOND)
    desk.venue.bust(trade_of(desk, names[-1]))
    found = rows(desk, alert(desk, orders=orders, trades=names))
    assert found.rows == ()
    assert [each.reason for each in found.not_measured] == ["a fill of 4 lots was busted"]


def test_a_jump_whose_trade_was_busted_claims_nothing(rows):
    desk = Desk()
    orders = jumped(desk)
    names = list(desk.trades)
    desk.wait(SECOND)
    desk.venue.bust(trade_of(desk, names[0]))
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(orders[0], ms=1_000)
    found = rows(desk, alert(desk, orders=orders, trades=names))
    assert found.rows == ()
    assert [each.reason for each in found.not_measured] == ["its trades were busted"]


def test_an_id_that_the_group_bears_after_a_client_is_no_clients(rows):
    desk = Desk()
    desk.quotes()
    first = desk.new("A", "sell", 3, 104)
    orders = [first, desk.new("MM1", "sell", 3, 104)]
    desk.venue.favoured = "MM1"
    orders.append(desk.new("C", "buy", 3, 104, tif="IOC"))
    desk.venue.favoured = None
    mine = desk.new("A", "sell", 8, 103)
    desk.cancel(mine)
    desk.cancel(first)
    again = desk.new("XM1", "sell", 8, 100)
    orders += [mine, desk.new("MM1", "sell", 5, 100)]
    desk.venue.favoured = "MM1"
    orders.append(desk.new("C", "buy", 5, 100, tif="IOC"))
    desk.venue.favoured = None
    desk.new("XM2", "sell", 50, 94)
    desk.cancel(again, ms=1_000)
    for record in desk.venue.records:
        for key in ("order_id", "sell_order_id"):
            if record.get(key) == again:
                record[key] = mine
                if key == "order_id":
                    record["account"] = "MM1"
    found = rows(desk, alert(desk, orders=orders))
    assert {row.order_id for row in found.rows} == {first}


def test_what_is_open_where_the_tape_ends_too_early_is_not_measured(rows):
    desk = Desk()
    orders = jumped(desk)
    desk.new("XM2", "sell", 50, 94)
    found = rows(desk, alert(desk, orders=orders))
    assert found.rows == ()
    assert [each.reason for each in found.not_measured] == ["its 300 s are not over"]


def test_a_step_may_span_any_number_of_batches(tmp_path):
    desk = Desk()
    desk.quotes()
    desk.new("A", "sell", 6, 100)
    for price in (101, 102, 103, 104):
        desk.new("D", "sell", 3, price)
    late = desk.wait(20 * MS)
    theirs = desk.venue.new(NAME, "MM1", "buy", 6, 100, tif="IOC", received_ns=late - 50_000)
    mine = desk.venue.new(NAME, "B", "buy", 12, 104, tif="IOC", received_ns=late - 9 * MS)
    desk.new("XM1", "buy", 1, 80)
    folder = desk.tape.write(tmp_path / "tape")
    whole = default_config(tmp_path)
    cut = msgspec.structs.replace(
        whole, service=msgspec.structs.replace(whole.service, batch_rows=1)
    )
    named = [alert(desk, orders=(theirs, mine))]
    found = ledgers(folder, named, cut).restitution
    assert len(found.rows) == 2
    assert found == ledgers(folder, named, whole).restitution


outcomes = st.builds(
    lambda lots, price, seq, filled: Outcome(lots, price, seq, seq if filled else 0),
    st.integers(1, 9), st.integers(190, 210), st.integers(1, 6), st.booleans(),
)  # fmt: skip
fills = st.builds(Outcome, st.integers(1, 9), st.integers(190, 210), st.integers(1, 6))


@settings(max_examples=300, deadline=None)
@given(st.lists(outcomes, max_size=6), st.lists(fills, max_size=6))
def test_pieces_never_hold_more_than_either_course(recorded, rematched):
    pieces = pieces_of(Course(1, 7, 1, recorded=recorded, rematched=rematched))
    assert all(piece.lots > 0 for piece in pieces)
    assert sum(piece.lots for piece in pieces) <= sum(each.lots for each in rematched)
    for at, outcome in enumerate(recorded):
        taken = sum(piece.lots for piece in pieces if piece.came is outcome)
        assert taken <= outcome.lots, at


charges = st.builds(
    lambda order, lots, over, filled, seq, proved, name: Charge(
        instrument=0, account=order, order=order, side=1, lots=lots, paid_double=200 + over,
        due_double=200, paid_as="fill" if filled else "mid", why="filled", at_seq=seq,
        counterfactual="by_rule", standing="proved" if proved else "supported", alert_id=name,
    ),
    st.integers(1, 2), st.integers(1, 9), st.integers(1, 20), st.booleans(), st.integers(1, 3),
    st.booleans(), st.sampled_from("abc"),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(charges, max_size=12), st.randoms())
def test_no_lot_is_charged_twice_in_whatever_order_charges_come(found, rng):
    room = {}
    for charge in found:
        room[charge.of] = 6
        room[charge.whole] = 10
    stands = settled(found, room)
    for key, lots in room.items():
        mine = [c for c in stands if key in (c.of, c.whole)]
        assert sum(charge.lots for charge in mine) <= lots
    assert all(charge.half_ticks > 0 and charge.lots > 0 for charge in stands)
    shuffled = list(found)
    rng.shuffle(shuffled)
    again = settled(shuffled, room)
    plain = [msgspec.structs.replace(c, standing="proved") for c in stands]
    assert sum(c.half_ticks for c in again) == sum(c.half_ticks for c in plain)
