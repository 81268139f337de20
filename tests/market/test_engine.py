"""The matching engine: each rule of the contract, then a book replayed from what it writes."""

from __future__ import annotations

import pytest

from ingest.events import Phase
from ingest.instruments import Instruments
from market.orders import BUY, SELL
from tests.support.agreement import disagreement
from tests.support.engine_drive import Desk, drive, register
from tests.support.reference_book import ReferenceBooks
from tests.support.vectors import batches, id_hash, to_batch

POLICIES = ("off", "cancel_resting", "cancel_incoming", "decrement")


def actions(desk):
    return [told[0] for told in desk.told()]


def sizes(desk):
    return [(r["buy_account"], r["sell_account"], r["quantity"]) for r in trades(desk)]


def trades(desk):
    return [r for r in desk.records if "trade_id" in r]


def test_a_better_price_is_matched_first_then_the_older_order():
    desk = Desk()
    desk.send("C1", SELL, 1, 101)
    desk.send("X1", SELL, 1, 100)
    desk.send("C2", SELL, 1, 100)
    desk.send("MM1", BUY, 3, 101)
    assert [t["sell_account"] for t in trades(desk)] == ["X1", "C2", "C1"]
    assert [t["price"] for t in trades(desk)] == ["50.0", "50.0", "50.5"]


def test_by_class_clients_come_before_an_older_order_of_the_group():
    first = {}
    for matching in ("price_time", "price_class_time"):
        desk = Desk(matching)
        desk.send("MM1", SELL, 1, 100)
        desk.send("X1", SELL, 1, 100)
        desk.send("C2", BUY, 1, 100)
        first[matching] = trades(desk)[0]["sell_account"]
    assert first == {"price_time": "MM1", "price_class_time": "X1"}


def test_only_a_fall_in_quantity_keeps_the_place():
    for change, first in (({"quantity": 2}, "C1"), ({"quantity": 9}, "X1"), ({"price": 100}, "X1")):
        desk = Desk()
        order = desk.send("C1", SELL, 3, 100)
        desk.send("X1", SELL, 3, 100)
        desk.engine.replace(order, now_ns=desk.now, received_ns=desk.now, **change)
        desk.send("C2", BUY, 1, 100)
        assert trades(desk)[0]["sell_account"] == first


def test_a_quantity_counts_fills_so_what_is_filled_already_cancels():
    desk = Desk()
    order = desk.send("C1", SELL, 5, 100)
    desk.send("C2", BUY, 2, 100)
    desk.engine.replace(order, quantity=4, now_ns=desk.now, received_ns=desk.now)
    assert (order.quantity, order.leaves) == (4, 2)
    desk.engine.replace(order, quantity=2, now_ns=desk.now, received_ns=desk.now)
    assert actions(desk)[-1] == "cancel"
    assert desk.records[-1]["leaves"] == "0.000"


def test_an_amended_price_can_trade_at_once():
    desk = Desk()
    order = desk.send("C1", BUY, 5, 98)
    desk.send("X1", SELL, 2, 100)
    desk.engine.replace(order, price=100, now_ns=desk.now, received_ns=desk.now)
    assert actions(desk) == ["new", "new", "replace", "trade"]
    assert desk.engine.bids.best == 100


def test_replaces_takes_the_old_order_away_without_a_record_and_queues_last():
    desk = Desk()
    old = desk.send("C1", SELL, 3, 100)
    desk.send("X1", SELL, 3, 100)
    new = desk.send("C1", SELL, 3, 100, replaces=old)
    assert actions(desk) == ["new"] * 3
    assert desk.records[-1]["replaces"] == old.id
    assert not old.live
    assert [o.id for o in desk.engine.asks.queued()][-1] == new.id
    desk.send("C1", SELL, 1, 101, replaces=old)
    assert "replaces" not in desk.records[-1]


@pytest.mark.parametrize("tif", ["IOC", "FOK"])
def test_a_remainder_that_may_not_rest_expires(tif):
    desk = Desk()
    desk.send("C1", SELL, 3, 100)
    desk.send("C2", BUY, 5, 100, tif=tif)
    assert actions(desk) == ["new", "new", *(["trade"] if tif == "IOC" else []), "expire"]
    assert desk.engine.asks.best == (None if tif == "IOC" else 100)


def test_a_fok_that_the_whole_book_fills_trades():
    desk = Desk()
    desk.send("C1", SELL, 3, 100, display=1)
    desk.send("X1", SELL, 3, 101)
    desk.send("C2", BUY, 5, 101, tif="FOK")
    assert sum(float(t["quantity"]) for t in trades(desk)) == pytest.approx(0.005)
    assert actions(desk)[-1] == "trade"


def test_a_fok_never_counts_its_owners_orders():
    desk = Desk()
    desk.send("C3", SELL, 3, 100)
    desk.send("X1", SELL, 3, 101)
    desk.send("C2", BUY, 5, 101, tif="FOK")
    assert actions(desk)[-1] == "expire"
    assert not trades(desk)


def test_a_market_order_sweeps_and_its_remainder_expires():
    desk = Desk()
    desk.send("C1", SELL, 3, 100)
    desk.send("X1", SELL, 3, 150)
    desk.send("C2", BUY, 8, type_="market", tif="IOC")
    assert actions(desk) == ["new", "new", "new", "trade", "trade", "expire"]


def test_a_post_only_that_would_trade_is_refused_and_what_it_replaced_stands():
    desk = Desk()
    desk.send("C1", SELL, 3, 100)
    old = desk.send("X1", BUY, 1, 98)
    refused = desk.send("X1", BUY, 1, 100, tif="POST_ONLY", replaces=old)
    assert actions(desk)[-1] == "reject"
    assert (old.live, refused.live) == (True, False)
    rested = desk.send("X1", BUY, 1, 99, tif="POST_ONLY")
    assert rested.live
    desk.engine.replace(rested, price=100, now_ns=desk.now, received_ns=desk.now)
    assert actions(desk)[-2:] == ["replace", "reject"]
    assert not rested.live


def test_a_stop_waits_outside_the_book_until_a_trade_passes_its_price():
    desk = Desk()
    stop = desk.send("C1", BUY, 2, type_="stop", stop_price=101)
    assert desk.engine.bids.best is None
    desk.send("X1", SELL, 1, 100)
    desk.send("X1", SELL, 5, 101)
    desk.send("C2", BUY, 1, 100)
    assert stop.live
    desk.send("C2", BUY, 1, 101)
    assert actions(desk)[-3:] == ["trade", "trigger", "trade"]
    assert desk.records[-2]["type"] == "stop"
    assert not stop.live


def test_a_triggered_stop_limit_rests_with_priority_from_its_trigger():
    desk = Desk()
    desk.send("C1", SELL, 2, 99, type_="stop_limit", stop_price=100)
    desk.send("X1", BUY, 1, 100)
    desk.send("X1", SELL, 1, 99 + 2)
    desk.send("C2", SELL, 1, 100)
    assert actions(desk)[-2:] == ["trade", "trigger"]
    assert desk.engine.asks.best == 99


def test_stops_trigger_one_at_a_time_by_stop_price():
    desk = Desk()
    far = desk.send("C1", BUY, 1, type_="stop", stop_price=102)
    near = desk.send("C2", BUY, 1, type_="stop", stop_price=101)
    for price in (101, 102, 103):
        desk.send("X1", SELL, 1, price)
    desk.send("H1", BUY, 1, 101)
    triggered = [told[1] for told in desk.told() if told[0] == "trigger"]
    assert triggered == [near.id, far.id]


def test_only_the_shown_part_of_an_iceberg_has_priority():
    desk = Desk()
    desk.send("C1", SELL, 5, 100, display=2)
    desk.send("X1", SELL, 2, 100)
    desk.send("C2", BUY, 6, 100)
    assert [(a, q) for _, a, q in sizes(desk)] == [
        ("C1", "0.002"),
        ("X1", "0.002"),
        ("C1", "0.002"),
    ]


def test_a_hidden_order_is_matched_after_all_that_is_shown_at_its_price():
    desk = Desk()
    desk.send("C1", SELL, 5, 100, display=0)
    desk.send("X1", SELL, 2, 100)
    desk.send("C2", BUY, 3, 100)
    assert [account for _, account, _ in sizes(desk)] == ["X1", "C1"]


@pytest.mark.parametrize(
    ("policy", "expected", "left"),
    [
        ("off", ["trade", "trade"], (0, 0)),
        ("cancel_resting", ["cancel", "trade"], (0, 1)),
        ("cancel_incoming", ["cancel"], (2, 0)),
        ("decrement", ["cancel", "replace", "trade"], (0, 0)),
    ],
)
def test_self_trade_prevention_by_owner(policy, expected, left):
    desk = Desk(prevention=policy)
    own = desk.send("C2", SELL, 2, 100)
    desk.send("X1", SELL, 2, 100)
    incoming = desk.send("C3", BUY, 3, 100)
    assert actions(desk)[3:] == expected
    assert own.leaves * own.live == left[0]
    assert incoming.leaves * incoming.live == left[1]
    assert all(r["reason"] == "stp" for r in desk.records[3:] if "trade_id" not in r)


def test_originators_behind_one_account_may_trade_with_each_other():
    desk = Desk()
    desk.send("C1", SELL, 1, 100, stp_key="C1/P1", text=',"originator":"P1"')
    desk.send("C1", BUY, 1, 100, stp_key="C1/P2", text=',"originator":"P2"')
    assert actions(desk) == ["new", "new", "trade"]
    assert [r.get("originator") for r in desk.records] == ["P1", "P2", None]


def test_maker_protection_takes_the_rest_away_once_the_incoming_order_is_done():
    desk = Desk(X1={"protection_lots": 4, "protection_ns": 10**9})
    desk.send("X1", SELL, 2, 100)
    desk.send("X1", SELL, 2, 101)
    desk.send("X1", SELL, 2, 102)
    desk.send("C1", BUY, 9, 101, tif="IOC")
    assert actions(desk)[3:] == ["new", "trade", "trade", "expire", "cancel"]
    assert desk.records[-1]["reason"] == "mmp"
    assert desk.records[-1]["received_ns"] is None


def test_hits_further_apart_than_the_window_do_not_trip_protection():
    desk = Desk(X1={"protection_lots": 4, "protection_ns": 500})
    desk.send("X1", SELL, 9, 100)
    desk.send("C1", BUY, 2, 100)
    desk.send("C1", BUY, 2, 100)
    assert "cancel" not in actions(desk)


def test_a_disconnect_cancels_all_of_one_account_alone():
    desk = Desk()
    desk.send("X1", SELL, 2, 100)
    desk.send("X1", BUY, 2, type_="stop", stop_price=110)
    kept = desk.send("C1", BUY, 2, 98)
    assert desk.engine.cancel_all("X1", now_ns=desk.now, reason="disconnect") == 2
    assert list(desk.engine.live_orders()) == [kept]


def test_an_auction_uncrosses_at_the_price_of_most_volume():
    desk = Desk()
    desk.engine.set_phase("auction", now_ns=desk.now)
    desk.send("C1", BUY, 5, 102)
    desk.send("C2", BUY, 5, 100)
    desk.send("X1", SELL, 4, 99)
    desk.send("MM1", SELL, 4, 101)
    desk.send("C1", BUY, 1, type_="market", tif="IOC")
    desk.send("C1", BUY, 1, 102, tif="IOC")
    assert actions(desk)[-1] == "reject"
    assert not trades(desk)
    desk.engine.set_phase("continuous", now_ns=desk.now)
    assert {t["price"] for t in trades(desk)} == {"50.5"}
    assert sum(float(t["quantity"]) for t in trades(desk)) == pytest.approx(0.006)
    assert all(t["aggressor"] is None for t in trades(desk))
    assert trades(desk)[0]["buy_order_id"].endswith("-5")
    assert (desk.engine.bids.best, desk.engine.asks.best) == (100, 101)
    assert desk.records[-1]["phase"] == "continuous"


def test_self_trade_prevention_acts_before_an_auction_is_priced():
    desk = Desk()
    desk.engine.set_phase("auction", now_ns=desk.now)
    desk.send("C2", BUY, 5, 102)
    younger = desk.send("C3", SELL, 5, 99)
    desk.send("X1", SELL, 5, 100)
    desk.engine.set_phase("continuous", now_ns=desk.now)
    assert not younger.live
    assert sizes(desk) == [("C2", "X1", "0.005")]


def test_what_each_phase_refuses():
    taken = {}
    for phase in ("auction", "halt", "cancel_only", "maintenance"):
        desk = Desk()
        order = desk.send("C1", SELL, 5, 105)
        desk.engine.set_phase(phase, now_ns=desk.now)
        stands = [desk.send("C2", BUY, 1, 100).live, desk.send("C2", BUY, 1, 100, tif="IOC").live]
        desk.engine.replace(order, price=106, now_ns=desk.now, received_ns=desk.now)
        desk.engine.cancel(order, now_ns=desk.now, received_ns=desk.now)
        taken[phase] = (*stands, order.price == 106, not order.live)
    assert taken == {
        "auction": (True, False, True, True),
        "halt": (True, False, True, True),
        "cancel_only": (False, False, False, True),
        "maintenance": (False, False, False, False),
    }


def test_what_crossed_in_a_halt_is_uncrossed_before_trading_goes_on():
    desk = Desk()
    desk.engine.set_phase("halt", now_ns=desk.now)
    desk.send("C1", BUY, 2, 101)
    desk.send("C2", SELL, 2, 100)
    desk.engine.set_phase("continuous", now_ns=desk.now)
    assert actions(desk) == ["status", "new", "new", "trade", "status"]


def test_day_orders_expire_and_others_stay():
    desk = Desk()
    desk.send("C1", BUY, 2, 99, tif="DAY")
    kept = desk.send("C1", BUY, 2, 98)
    assert desk.engine.end_day(now_ns=desk.now) == 1
    assert desk.records[-1]["reason"] == "expiry"
    assert list(desk.engine.live_orders()) == [kept]


def test_an_amendment_or_cancel_that_comes_too_late_is_refused_and_changes_nothing():
    desk = Desk()
    order = desk.send("C1", SELL, 1, 100)
    desk.send("C2", BUY, 1, 100)
    desk.engine.replace(order, price=99, now_ns=desk.now, received_ns=desk.now)
    desk.engine.cancel(order, now_ns=desk.now, received_ns=desk.now)
    assert actions(desk)[-2:] == ["reject", "reject"]


def test_a_restatement_lists_every_live_order_in_queue_order():
    desk = Desk()
    a = desk.send("C1", BUY, 2, 99)
    b = desk.send("C2", BUY, 2, 100)
    stop = desk.send("C1", BUY, 2, type_="stop", stop_price=110)
    desk.engine.restate(now_ns=desk.now)
    assert desk.told()[3:] == [
        ("book", b.id),
        ("book", a.id),
        ("book", stop.id),
        ("book_end", None),
    ]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("matching", ["price_time", "price_class_time"])
def test_the_book_replayed_from_its_records_is_the_engines_own(matching, policy):
    for seed in (11, 12):
        desk = drive(seed, 1_500, matching, policy)
        table = Instruments([desk.engine.instrument])
        batch = to_batch(desk.records, table, register())
        assert disagreement(batch) is None
        reference = ReferenceBooks()
        rows, passed = reference.apply(next(iter(batches(batch, None))))
        assert not [row["conflict"] for row in rows if row["conflict"]]
        assert not [row for row in passed if row["jumped_lots"] > 0]
        if matching == "price_class_time":
            assert not [row for row in passed if row["phase"] == Phase.CONTINUOUS]
        (book,) = reference.books.values()
        book.land()
        queued = [*desk.engine.bids.queued(), *desk.engine.asks.queued()]
        resting = {id_hash(order.id): (order.leaves, order.shown, order.price) for order in queued}
        assert {o.id: (o.leaves, o.shown, o.price) for o in book.resting} == resting
        ranks = {o.id: o.joined for o in book.resting}
        for level in [*desk.engine.bids.levels.values(), *desk.engine.asks.levels.values()]:
            for queue in (level.front, level.behind, level.hidden):
                places = [ranks[id_hash(order.id)] for order in queue]
                assert places == sorted(places)


def test_the_drive_reaches_every_action_and_reason():
    desk = drive(11, 1_500, "price_time", "decrement")
    assert {
        "new",
        "replace",
        "cancel",
        "reject",
        "expire",
        "trigger",
        "status",
        "book",
        "book_end",
    } <= (set(actions(desk)))
    reasons = {r.get("reason") for r in desk.records}
    assert {"user", "mmp", "disconnect", "kill", "stp", "expiry", "other"} <= reasons
    assert {r.get("aggressor", "none") for r in desk.records if "trade_id" in r} == {
        "buy",
        "sell",
        None,
    }


def test_prices_are_rendered_in_display_units_without_an_exponent():
    desk = Desk()
    desk.send("C1", BUY, 1_000_000_000, 7)
    assert desk.records[-1]["price"] == "3.5"
    assert desk.records[-1]["quantity"] == "1000000.000"
