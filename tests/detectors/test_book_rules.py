"""The matching semantics of the wire contract, one rule a test, on records written by hand."""

from __future__ import annotations

import pytest

from detectors.book import Books
from ingest.events import NULL, PASSED_MOST, Conflict, Coverage, Phase
from ingest.names import Names
from tests.support.vectors import batches, instruments_of, to_batch
from tests.support.venue import STP, random_tape

TABLE = instruments_of(
    [
        {"instrument": "A-USD", "base": "A", "quote": "USD", "kind": "spot"}
        | {"tick_size": "1", "lot_size": "1"}
    ]
)
ROLES = {"C1": "client", "C2": "client", "C3": "client", "X1": "external_mm"}
ROLES |= {"MM1": "affiliated_mm", "H1": "house"}
ACCOUNTS = [
    {"account": name, "owner": "O23" if name in ("C2", "C3") else f"O-{name}", "role": role}
    for name, role in ROLES.items()
]


class Feed:
    """Writes records of one instrument and replays them."""

    def __init__(self, first_seq=1):
        self.records, self.seq, self.names = [], first_seq - 1, Names()

    def write(self, **fields):
        self.seq = fields.pop("seq", self.seq + 1)
        base = {"v": 1, "instrument": "A-USD", "seq": self.seq, "engine_ns": self.seq * 1_000}
        self.records.append(base | {k: v for k, v in fields.items() if v is not None})
        return self

    def order(self, action, id_, side="buy", price=None, quantity=None, **fields):
        defaults = {"account": "C1", "type": "limit", "tif": "GTC", "leaves": quantity}
        defaults |= {"received_ns": self.seq * 1_000 + 900}
        texts = {"price": price, "quantity": quantity, "order_id": id_, "side": side}
        return self.write(action=action, **(defaults | texts | fields))

    def new(self, *args, **fields):
        return self.order("new", *args, **fields)

    def cancel(self, id_, **fields):
        return self.order("cancel", id_, **({"leaves": "0"} | fields))

    def trade(self, buy, sell, price, quantity, *, aggressor="buy", accounts=("C1", "C1"), **more):
        ids = {"buy_order_id": buy, "sell_order_id": sell, "trade_id": f"T{self.seq}"}
        ids |= {"buy_account": accounts[0], "sell_account": accounts[1]}
        return self.write(price=price, quantity=quantity, aggressor=aggressor, **(ids | more))

    def replayed(self):
        self.books = Books(TABLE)
        return self.books.apply(to_batch(self.records, TABLE, ACCOUNTS, self.names))

    def last(self):
        """Return the added columns of the last record."""
        got = self.replayed()
        return {name: got[name].tolist()[-1] for name in got.names}

    def passed(self):
        got = self.replayed()
        names = ("group_account", "client_account")
        return [
            {
                n: self.names.name(v) if n in names else v
                for n, v in zip(got.passed_over, row, strict=True)
            }
            for row in zip(*(a.tolist() for a in got.passed_over.values()), strict=True)
        ]


def test_all_trades_of_an_incoming_order_see_the_book_as_it_stood_before_it():
    feed = (
        Feed().new("b", "buy", "9", "4").new("s1", "sell", "10", "2").new("s2", "sell", "11", "5")
    )
    feed.new("in", "buy", "11", "6").trade("in", "s1", "10", "2").trade("in", "s2", "11", "4")
    got = feed.last()
    assert (got["best_bid"], got["bid_lots"], got["best_ask"], got["ask_lots"]) == (9, 4, 10, 2)
    assert (got["incoming_seq"], got["entry_seq"], got["leaves_before"]) == (4, 3, 5)
    assert feed.books.levels(0)["price"].tolist() == [9, 11]


def test_a_remainder_rests_at_the_next_record_of_another_order_and_not_before():
    feed = (
        Feed().new("s", "sell", "10", "2").new("in", "buy", "10", "6").trade("in", "s", "10", "2")
    )
    feed.replayed()
    assert feed.books.levels(0)["price"].tolist() == []
    got = feed.new("b", "buy", "9", "1").last()
    assert (got["best_bid"], got["bid_lots"]) == (10, 4)


@pytest.mark.parametrize("fields", [{"tif": "IOC"}, {"tif": "FOK"}, {"type": "market"}])
def test_the_remainder_of_a_market_ioc_or_fok_order_never_rests(fields):
    feed = Feed().new("s", "sell", "10", "2").new("in", "buy", "12", "6", **fields)
    feed.trade("in", "s", "10", "2").order("expire", "in", leaves="0", quantity="6")
    got = feed.new("b", "buy", "9", "1").last()
    assert (got["best_bid"], got["conflict"]) == (NULL, Conflict.NONE)
    assert len(feed.books) == 1


def test_a_post_only_order_that_would_cross_is_rejected_and_leaves_nothing():
    feed = Feed().new("s", "sell", "10", "2").new("in", "buy", "10", "6", tif="POST_ONLY")
    got = feed.order("reject", "in", leaves="0").new("b", "buy", "9", "1").last()
    assert (got["best_bid"], got["conflict"]) == (NULL, Conflict.NONE)


def test_a_rejected_amendment_leaves_its_order_as_it_stood():
    feed = Feed().new("b", "buy", "9", "4").order("reject", "b", price="12", quantity="9")
    assert feed.new("c", "buy", "9", "1").last()["queue_ahead"] == 4


@pytest.mark.parametrize(
    ("price", "quantity", "ahead"), [("9", "3", 0), ("9", "5", 2), ("9", "4", 2), ("8", "3", 0)]
)
def test_a_replaced_order_keeps_its_place_only_when_its_quantity_alone_falls(
    price, quantity, ahead
):
    feed = Feed().new("a", "buy", "9", "4").new("b", "buy", "9", "2")
    feed.order("replace", "a", price=price, quantity=quantity).cancel("a")
    got = feed.last()
    assert got["queue_ahead"] == ahead
    assert got["entry_seq"] == (1 if (price, quantity) == ("9", "3") else 3)


@pytest.mark.parametrize(("first", "then"), [(None, "GTC"), ("GTC", None), (None, None)])
def test_a_time_in_force_that_one_record_leaves_out_is_no_change(first, then):
    feed = Feed().new("a", "buy", "9", "4", tif=first).new("b", "buy", "9", "2")
    feed.order("replace", "a", price="9", quantity="3", tif=then).cancel("a")
    got = feed.last()
    assert (got["queue_ahead"], got["entry_seq"]) == (0, 1)


def test_another_time_in_force_costs_an_order_its_place():
    feed = Feed().new("a", "buy", "9", "4", tif="GTC").new("b", "buy", "9", "2")
    feed.order("replace", "a", price="9", quantity="3", tif="DAY").cancel("a")
    assert feed.last()["queue_ahead"] == 2


def test_quantity_includes_fills_when_an_order_is_replaced():
    feed = Feed().new("a", "buy", "9", "6").new("in", "sell", "9", "2", tif="IOC")
    feed.trade("a", "in", "9", "2", aggressor="sell")
    feed.order("replace", "a", price="9", quantity="5", leaves="3")
    assert feed.last()["conflict"] == Conflict.NONE
    assert feed.order("replace", "a", price="9", quantity="5", leaves="5").last()["conflict"] == (
        Conflict.LEAVES_MISMATCH
    )


def test_replaces_removes_the_old_order_in_the_same_step():
    feed = Feed().new("a", "buy", "9", "4").new("b", "buy", "9", "2")
    got = feed.new("a2", "buy", "9", "3", replaces="a").last()
    assert (got["queue_ahead"], got["entry_seq"], got["leaves_before"]) == (2, 1, 4)
    assert len(feed.books) == 2


def test_a_stop_is_outside_the_book_until_it_is_triggered_and_then_last_in_the_queue():
    feed = Feed().new("st", "buy", "9", "4", type="stop_limit", stop_price="9")
    feed.new("a", "buy", "9", "2")
    assert feed.last()["queue_ahead"] == 0
    got = feed.order("trigger", "st", price="9", quantity="4", type="stop_limit").last()
    assert (got["queue_ahead"], got["entry_seq"]) == (2, 1)
    assert feed.cancel("st").last()["entry_seq"] == 3


def test_a_new_tranche_of_an_iceberg_queues_last():
    feed = Feed().new("ice", "sell", "10", "9", display="2").new("s", "sell", "10", "5")
    feed.new("in", "buy", "10", "4", tif="IOC").trade("in", "ice", "10", "2")
    feed.trade("in", "s", "10", "2").cancel("ice")
    got = feed.last()
    assert (got["queue_ahead"], got["leaves_before"], got["entry_seq"]) == (3, 7, 1)


def test_a_hidden_order_is_in_no_best_price_but_can_be_traded_with():
    feed = Feed().new("h", "sell", "10", "5", display="0").new("s", "sell", "11", "5")
    got = feed.new("in", "buy", "10", "2").last()
    assert (got["best_ask"], got["ask_lots"]) == (11, 5)
    feed.replayed()
    assert feed.books.live(0)["state"].tolist() == [0, 0, 2]


def test_self_trade_prevention_leaves_the_incoming_order_in_flight():
    feed = Feed().new("s1", "sell", "10", "2").new("s2", "sell", "10", "3")
    feed.new("in", "buy", "10", "4").cancel("s1", side="sell", reason="stp")
    feed.trade("in", "s2", "10", "3")
    got = feed.last()
    assert (got["best_ask"], got["ask_lots"], got["incoming_seq"]) == (10, 5, 3)
    feed = feed.order("replace", "in", "buy", "10", "3", leaves="0", reason="stp")
    assert feed.last()["conflict"] == Conflict.NONE
    assert len(feed.books) == 0


def test_a_bust_does_not_restore_the_book():
    feed = Feed().new("s", "sell", "10", "2").new("in", "buy", "10", "2")
    feed.trade("in", "s", "10", "2").trade("in", "s", "10", "2", busts="T2")
    assert feed.new("b", "buy", "9", "1").last()["best_ask"] == NULL


def test_in_an_auction_orders_rest_crossed_and_its_trades_reduce_both():
    feed = Feed().write(action="status", phase="auction").new("s", "sell", "9", "5")
    feed.new("b", "buy", "11", "3").trade("b", "s", "10", "3", accounts=("C1", "MM1"))
    got = feed.write(action="status", phase="continuous").last()
    assert (got["best_bid"], got["best_ask"], got["ask_lots"]) == (NULL, 9, 2)
    assert got["phase"] == Phase.CONTINUOUS
    assert feed.replayed()["incoming_seq"].tolist()[3] == 0
    assert feed.passed() == []


@pytest.mark.parametrize(
    ("write", "conflict"),
    [
        (lambda f: f.cancel("nobody"), Conflict.UNKNOWN_ORDER),
        (lambda f: f.new("a", "buy", "9", "4"), Conflict.DUPLICATE_ORDER),
        (lambda f: f.trade("a", "in", "9", "9", aggressor="sell"), Conflict.OVERFILL),
        (lambda f: f.cancel("a", leaves="2"), Conflict.LEAVES_MISMATCH),
        (lambda f: f.new("b", "buy", "8", "4", leaves="3"), Conflict.LEAVES_MISMATCH),
        (lambda f: f.trade("a", "in", "9", "4", aggressor="sell"), Conflict.NONE),
    ],
)
def test_a_record_that_disagrees_with_the_book_says_how(write, conflict):
    feed = Feed().new("a", "buy", "9", "4").new("in", "sell", "9", "9")
    assert write(feed).last()["conflict"] == conflict


def test_a_remainder_that_rests_across_the_other_side_is_reported_by_the_next_record():
    feed = Feed().new("s", "sell", "10", "2").new("in", "buy", "10", "2")
    assert feed.new("b", "buy", "9", "1").last()["conflict"] == Conflict.CROSSED


def test_a_gap_is_doubted_until_every_order_from_before_it_is_gone():
    feed = Feed().new("a", "buy", "9", "4").new("b", "buy", "9", "4")
    feed.new("c", "buy", "9", "4", seq=9).cancel("a").cancel("b").cancel("c")
    wanted = [Coverage.COMPLETE] * 2 + [Coverage.INCOMPLETE] * 3 + [Coverage.COMPLETE]
    assert feed.replayed()["coverage"].tolist() == wanted


def test_a_restated_book_replaces_the_one_in_doubt():
    feed = Feed().new("a", "buy", "9", "4").new("b", "buy", "9", "4", seq=5)
    feed.order("book", "c", "buy", "8", "3").order("book", "d", "buy", "8", "2")
    feed.write(action="book_end").new("e", "buy", "8", "1")
    got = feed.replayed()
    assert got["coverage"].tolist() == [0, 1, 1, 1, 1, 0]
    assert (got["best_bid"][-1], got["queue_ahead"][-1]) == (8, 5)


def test_a_restatement_that_lost_a_record_does_not_dispel_the_doubt():
    feed = Feed().new("a", "buy", "9", "4").order("book", "c", "buy", "8", "3")
    feed.order("book", "d", "buy", "8", "2", seq=5).write(action="book_end")
    assert feed.new("e", "buy", "8", "1").last()["coverage"] == Coverage.INCOMPLETE


def test_a_feed_that_starts_in_mid_stream_is_incomplete_unless_it_starts_with_the_book():
    assert Feed(7).new("a", "buy", "9", "4").last()["coverage"] == Coverage.INCOMPLETE
    feed = Feed(7).order("book", "a", "buy", "9", "4").write(action="book_end")
    assert feed.new("b", "buy", "9", "4").last()["coverage"] == Coverage.COMPLETE


def test_a_feed_of_trades_alone_has_no_book_and_is_complete():
    feed = Feed().trade(None, None, "10", "2").trade(None, None, "11", "2")
    got = feed.last()
    assert (got["coverage"], got["conflict"], got["best_bid"]) == (0, 0, NULL)


def test_a_gap_in_a_feed_of_trades_alone_is_doubted_at_its_own_record_only():
    feed = Feed().trade(None, None, "10", "2").trade(None, None, "11", "2", seq=5)
    feed.trade(None, None, "11", "2")
    assert feed.replayed()["coverage"].tolist() == [0, 1, 0]


def test_a_restatement_of_no_order_says_that_the_book_is_empty():
    feed = Feed().new("a", "buy", "9", "4").cancel("a").cancel("z", seq=9)
    got = feed.write(action="book_end").new("b", "buy", "9", "1").replayed()
    assert got["coverage"].tolist() == [0, 0, 1, 1, 0]


def _crowd(*resting):
    feed = Feed()
    for number, (account, display) in enumerate(resting):
        feed.new(f"s{number}", "sell", "10", "5", account=account, display=display)
    return feed


def test_a_client_passed_over_by_the_group_is_told_with_who_was_first():
    feed = _crowd(("C1", None), ("MM1", None), ("C3", None))
    feed.new("in", "buy", "10", "5", account="X1")
    feed.trade("in", "s1", "10", "5", accounts=("X1", "MM1"))
    (row,) = feed.passed()
    assert row["group_account"] == "MM1"
    assert row["client_account"] == "C1"
    assert (row["jumped_lots"], row["client_orders"], row["client_lots"]) == (5, 2, 5)
    assert (row["incoming_seq"], row["done_seq"], row["group_lots"]) == (4, 5, 5)


def test_a_client_who_came_later_is_told_as_younger():
    feed = _crowd(("MM1", None), ("C1", None)).new("in", "buy", "10", "5", account="X1")
    (row,) = feed.trade("in", "s0", "10", "5", accounts=("X1", "MM1")).passed()
    assert (row["jumped_lots"], row["client_account"]) == (0, "C1")


def test_only_the_fills_out_of_turn_count_when_the_group_has_an_order_before_and_one_after():
    feed = _crowd(("MM1", None), ("C1", None), ("MM1", None))
    feed.new("in", "buy", "10", "8", account="X1")
    feed.trade("in", "s0", "10", "5", accounts=("X1", "MM1"))
    (row,) = feed.trade("in", "s2", "10", "3", accounts=("X1", "MM1")).passed()
    assert (row["jumped_lots"], row["group_lots"], row["group_entry_seq"]) == (3, 8, 3)


def test_every_order_that_some_of_the_fill_can_have_been_due_to_is_told_of():
    queue = (("G1", None), ("C1", None), ("X1", "2"), ("C3", None), ("C2", None), ("MM1", None))
    feed = _crowd(*queue).new("in", "buy", "10", "6", account="S1")
    feed.trade("in", "s5", "10", "6", accounts=("S1", "MM1"))
    rows = [(r["client_account"], r["client_lots"], r["client_leaves"]) for r in feed.passed()]
    # Six lots: of an unknown account the first, of clients those with less than six before them.
    assert rows == [("G1", 5, 5), ("C1", 5, 5), ("X1", 2, 5)]
    assert {r["client_orders"] for r in feed.passed()} == {5}


def test_no_more_rows_are_told_of_one_fill_than_the_bound():
    feed = _crowd(*[("C1", "1")] * 20).new("mm", "sell", "10", "40", account="MM1")
    feed.new("in", "buy", "10", "40", account="X1")
    feed.trade("in", "mm", "10", "40", accounts=("X1", "MM1"))
    assert len(feed.passed()) == PASSED_MOST
    assert {r["client_orders"] for r in feed.passed()} == {20}


def test_an_order_that_reached_the_gateway_first_is_told_of_however_far_behind():
    feed = _crowd(("MM1", None), ("C1", None))
    feed.new("late", "sell", "10", "5", account="C3", received_ns=10)
    feed.new("in", "buy", "10", "5", account="X1")
    feed.trade("in", "s0", "10", "5", accounts=("X1", "MM1"))
    assert [r["client_account"] for r in feed.passed()] == ["C1", "C3"]


def test_nobody_is_passed_over_when_the_client_is_filled_in_the_same_sweep():
    feed = _crowd(("C1", None), ("MM1", None)).new("in", "buy", "10", "10", account="X1")
    feed.trade("in", "s1", "10", "5", accounts=("X1", "MM1"))
    assert feed.trade("in", "s0", "10", "5", accounts=("X1", "C1")).passed() == []


def test_hidden_quantity_and_the_incoming_order_s_own_are_exempt_and_counted():
    feed = _crowd(("C1", "0"), ("C2", None), ("X1", None), ("MM1", None))
    feed.new("in", "buy", "10", "5", account="C3")
    (row,) = feed.trade("in", "s3", "10", "5", accounts=("C3", "MM1")).passed()
    assert (row["exempt_hidden"], row["exempt_stp"], row["client_orders"]) == (1, 1, 1)
    assert row["client_account"] == "X1"


def test_a_client_order_that_stp_removes_after_the_last_trade_was_not_passed_over():
    feed = _crowd(("C2", None), ("MM1", None)).new("in", "buy", "10", "9", account="X1")
    feed.trade("in", "s1", "10", "5", accounts=("X1", "MM1"))
    feed.cancel("s0", side="sell", reason="stp").new("b", "buy", "9", "1")
    assert feed.passed() == []


def test_an_unknown_account_counts_on_either_side_but_never_against_another_unknown():
    feed = _crowd(("G1", None), ("G2", None)).new("in", "buy", "10", "5", account="X1")
    assert feed.trade("in", "s1", "10", "5", accounts=("X1", "G2")).passed() == []
    feed = _crowd(("G1", None), ("MM1", None)).new("in", "buy", "10", "5", account="X1")
    (row,) = feed.trade("in", "s1", "10", "5", accounts=("X1", "MM1")).passed()
    assert row["client_account"] == "G1"


@pytest.mark.parametrize("stp", STP)
def test_the_replayed_levels_are_the_venue_s_own(stp):
    tape = random_tape(11, 4_000, instruments=3, stp=stp, phases=0.01)
    batch = tape.batch()
    books = Books(batch.instruments)
    got = books.apply(next(batches(batch, None)))
    assert not got["conflict"].any()
    for name, venue in tape.venue.books.items():
        levels = books.levels(batch.instruments.code(name))
        replayed = set(zip(*(levels[n].tolist() for n in ("side", "price", "lots")), strict=True))
        shown = {
            (1 if side == "buy" else -1, abs(key), sum(order.shown for order in queues[0]))
            for side in ("buy", "sell")
            for key, queues in venue.levels[side].items()
            if queues[0]
        }
        flying = books.live(batch.instruments.code(name))["state"].tolist().count(2)
        assert len(replayed ^ shown) <= 2 * flying
        assert len(books.live(batch.instruments.code(name))["side"]) == len(venue.orders)
