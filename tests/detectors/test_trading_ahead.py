"""trading_ahead: hits, near misses, one innocent case per look-alike, one xfail per blind spot.

Orders go through the test venue and the book, so that what is judged is what a feed would show.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from detectors import ahead_state
from detectors.ahead_case import case_of
from detectors.ahead_params import TradingAheadParams
from detectors.book import Books
from detectors.examples import batch_of, example_instruments, trade
from detectors.gap_habit import (
    ALL,
    BINS,
    CLASSES,
    FAR,
    FIRST_BIN_NS,
    GAP_FIELDS,
    USUAL,
    bin_of,
    habit,
    learn,
)
from detectors.held_orders import HeldOrders
from detectors.statistics import poisson_tail, randomised, uniform
from detectors.trading_ahead import TradingAhead
from ingest.events import Array, Kind, Role
from tests.support.claims import claims
from tests.support.conformance import revisions_in_order
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND, MS = 10**9, 10**6
START = 1_763_900_000 * SECOND
QUICK = 240
ROLES = {
    "MM": "affiliated_mm",
    "AFF": "affiliated",
    "STAFF": "staff",
    "XM": "external_mm",
    "A": "client",
    "B": "client",
    "S": "client",
    "Q": "client",
}
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """A venue with one instrument, tick and lot 1, whose gateway is quick; and what is found."""

    def __init__(self, roles=ROLES, *, usual_ms=0.02, every_ms=100):
        self.rows = [
            {"instrument": "X-USD", "base": "X", "quote": "USD", "kind": "spot"}
            | {"tick_size": "1", "lot_size": "1", "matching": "price_time"}
        ]
        self.roles, self.usual_ms, self.every_ms = roles, usual_ms, every_ms
        self.venue = Venue(self.rows, roles, {n: n for n in roles}, stp="off", start_ns=START)
        self.new("XM", "buy", 1_000, 50)
        for _ in range(QUICK):
            self.beat()

    def beat(self):
        """Let another client send an order that trades with nobody."""
        self.wait(self.every_ms)
        self.new("Q", "buy", 1, 10)

    def new(self, account, side, lots, price=None, *, came=None, **options):
        """Enter an order that reached the gateway `came` ms ago."""
        came = self.usual_ms if came is None else came
        received = self.venue.now_ns - int(came * MS)
        return self.venue.new("X-USD", account, side, lots, price, received_ns=received, **options)

    def wait(self, ms):
        self.venue.now_ns += int(ms * MS)

    def found(self, size=None, **params):
        """Return findings over the feed, an order at its end, cut every `size` records."""
        if size is None:
            self.wait(1)
            self.new("Q", "buy", 1, 10)
        table = instruments_of(self.rows)
        accounts = [{"account": a, "owner": a, "role": r} for a, r in self.roles.items()]
        books, detector = Books(table), TradingAhead(TradingAheadParams(**params), table)
        batch = to_batch(self.venue.records, table, accounts)
        return [f for part in batches(batch, size) for f in detector.step(books.apply(part))]

    def told(self, **params):
        """Return what is worth an alert of medium or more."""
        return [f for f in self.found(**params) if f.evidence != "weak"
                and (f.all_legs or f.significant)]  # fmt: skip


def gate(*, hold=2_000, group="MM", after=500, price=100, client="A", lots=10, book=10, worse=103,
         scene=None, limit=103, beats=2, **options):  # fmt: skip
    """An ask for 10 at 100, more at 103; the group buys while a client's order is held."""
    scene = scene or Scene()
    scene.new("S", "sell", book, 100)
    scene.new("S", "sell", 50, worse)
    scene.wait(after)
    for one in group if isinstance(group, tuple) else (group,):
        scene.new(one, "buy", lots, price, tif="IOC")
    left = hold - after
    for _ in range(beats):
        scene.wait(left / 4)
        scene.new("Q", "buy", 1, 10)
    scene.wait(left - beats * left / 4)
    scene.new(client, "buy", 10, limit, came=hold, **({"tif": "IOC"} | options))
    return scene


def passive(
    *, scene=None, hold=5_000, price=100, account="MM", group_came=None, client_price=100, lots=10
):
    """The group rests at a price where a held client would have rested, and is hit."""
    scene = scene or Scene()
    scene.new("S", "sell", 50, 110)
    scene.new("XM", "buy", 50, 95)
    scene.wait(100)
    if group_came is None:
        scene.new(account, "buy", 5, price)
    else:
        scene.new(account, "buy", 5, price, came=group_came)
    for _ in range(3):
        scene.wait(hold / 5)
        scene.new("Q", "buy", 1, 10)
    scene.new("B", "sell", 5, 90, tif="IOC")
    scene.wait(2 * hold / 5 - 100)
    scene.new("A", "buy", lots, client_price, came=hold)
    return scene


def stops(scene, count=22, *, late_ms=0.0, side="buy"):
    """Let clients' stops trigger, each `late_ms` after the last price has reached it."""
    for n in range(count):
        price = 200 + 2 * n
        stop = withheld(scene, "B", "buy", 1, price)
        scene.new("S", "sell", 2, price)
        scene.new("XM", "buy", 1, price, tif="IOC")
        scene.wait(late_ms)
        release(scene, stop)
        scene.wait(10)
        scene.new("S", "sell", 1, 60)
        scene.new("XM", "buy", 1, 60, tif="IOC")
    return scene


def withheld(scene, account, side, lots, stop_price):
    """Enter a stop that the venue does not trigger by itself."""
    id_ = scene.new(account, side, lots, kind="stop", stop_price=stop_price)
    book = scene.venue.books["X-USD"]
    order = book.orders[id_]
    book.stops.remove(order)
    scene.kept = order
    return order


def release(scene, order):
    """Trigger a stop that was withheld."""
    book = scene.venue.books["X-USD"]
    del book.orders[order.id]
    scene.venue._order(book, "trigger", order, None)
    order.type = "market"
    scene.venue._enter(book, order)


def trigger(*, hold=500, group_came=None, crossed=True, habit_ms=0.0, price=400, count=22):
    """A buy stop at 400 is withheld after the last price reached it; the group buys first."""
    scene = stops(Scene(), count, late_ms=habit_ms)
    order = withheld(scene, "A", "buy", 10, 400)
    scene.new("S", "sell", 11, price)
    scene.new("S", "sell", 50, price + 5)
    if crossed:
        scene.new("XM", "buy", 1, price, tif="IOC")
    scene.wait(hold / 2)
    scene.new("MM", "buy", 10, price, tif="IOC", came=group_came)
    scene.wait(hold / 2)
    if crossed:
        release(scene, order)
    return scene


# --- held at the gateway --------------------------------------------------------------------------


def test_a_group_that_takes_what_a_held_client_would_have_is_a_case():
    (hit,) = gate().found()
    assert (hit.scenario, hit.evidence_class, hit.evidence) == (
        "trading_ahead",
        "rule",
        "supported",
    )
    assert hit.all_legs
    assert not hit.significant
    assert hit.features["longest_hold"].value == 2_000 * MS
    assert hit.features["executions_aggressive"].value == 1
    assert hit.features["displaced"].value == 10.0
    assert hit.client_harm == 30.0
    assert hit.detected_ns - hit.window_start_ns == 2_000 * MS


def test_it_cites_the_client_the_group_and_the_trades_and_nobody_else():
    scene = gate()
    (hit,) = scene.found()
    cited = [r for r in scene.venue.records if r["seq"] in {ref.seq for ref in hit.evidence_refs}]
    assert {r.get("account", "trade") for r in cited} == {"MM", "A", "trade"}
    assert len(cited) == 4


def test_what_the_client_got_later_measures_the_harm_and_is_not_named():
    scene = passive()
    scene.wait(1_000)
    scene.new("B", "sell", 10, 100, tif="IOC")
    later = scene.venue.records[-1]["seq"]
    found = scene.found()
    named = {ref.seq for f in found for ref in f.evidence_refs}
    measured = [ref.seq for f in found for ref in f.context_refs]
    assert measured
    assert min(measured) > max(named)
    assert abs(measured[0] - later) <= 1
    assert found[-1].client_harm == 0.0


@pytest.mark.parametrize("account", ["MM", "AFF", "STAFF"])
def test_every_account_of_the_complex_is_held_to_it(account):
    (hit,) = gate(group=account).found()
    assert hit.all_legs


def test_pieces_by_several_accounts_of_the_complex_are_one_case():
    (hit,) = gate(group=("MM", "AFF", "MM", "AFF"), lots=3).found()
    assert hit.features["executions_aggressive"].value == 4
    assert hit.features["complex_net"].value == 10.0
    assert len(hit.accounts) == 3


def test_an_external_maker_that_is_held_is_a_client():
    (hit,) = gate(client="XM").found()
    assert hit.all_legs


def test_an_external_maker_that_overtakes_is_no_finding():
    assert gate(group="XM").found() == []


def test_a_later_quote_at_the_client_s_price_that_is_hit_is_a_case():
    found = passive().found()
    assert found[0].all_legs
    assert found[0].features["executions_passive"].value == 1


def test_a_later_quote_a_tick_behind_is_too():
    assert passive(price=99).told()


def test_a_quote_better_than_the_client_s_price_is_none():
    assert passive(price=101).found() == []


def test_what_stays_unfilled_is_marked_to_mid_after_the_horizon_and_not_before():
    scene = passive()
    scene.wait(299_990)
    assert scene.found()[-1].client_harm is None
    scene.wait(20)
    found = scene.found()
    assert found[-1].client_harm == 25.0  # 5 lots at 100, mid (100 + 110) / 2
    assert found[-1].detected_ns == found[0].detected_ns + 300 * SECOND


def test_a_post_only_order_that_would_trade_by_now_was_held_too():
    scene = passive(client_price=89)
    scene.venue.records.pop()
    assert scene.found() == []
    held = passive()
    record = held.venue.records[-1]
    record.update(action="reject", tif="POST_ONLY", leaves="0")
    assert held.told()


def test_a_client_that_waited_for_seconds_was_not_filled_at_once_at_whatever_price():
    (hit,) = gate(book=50, lots=5).found()
    assert hit.features["displaced"].value == 0.0
    assert hit.client_harm is None


def test_filled_at_once_is_no_longer_than_clients_usually_wait():
    """Orders here take 60 ms; one held for a second waited on after the group, at one price."""

    def slow(after):
        scene = Scene()
        for n in range(200):
            scene.wait(500)
            scene.new("B" if n % 2 else "C", "buy", 1, 10, came=60)
        return gate(scene=scene, book=50, lots=5, hold=1_000, after=after)

    (hit,) = slow(700).found()
    assert hit.features["displaced"].value == 0.0
    assert slow(980).found() == []


def test_clients_held_again_and_again_are_told_though_each_got_the_same_price_at_once():
    scene = Scene()
    for _ in range(2):
        scene.wait(20_000)
        gate(scene=scene, book=50, lots=5, hold=520, after=510)
    assert scene.found() == [], "each by itself is an exception"
    for _ in range(4):
        scene.wait(20_000)
        gate(scene=scene, book=50, lots=5, hold=520, after=510)
    told = scene.told()
    assert told
    assert told[-1].features["displaced"].value == 0.0
    assert told[-1].features["overtaken_p"].value < 0.001


def test_a_fill_or_kill_that_could_not_have_been_filled_lost_nothing():
    assert gate(tif="FOK", lots=3, limit=100).found() == []


def test_an_unknown_account_is_judged_as_weak():
    scene = gate(client="?")
    (hit,) = scene.found()
    assert hit.evidence == "weak"
    assert hit.features["condition"].value == "rule broken if client"


def test_a_received_time_after_the_engine_is_weak():
    scene = gate()
    group = next(r for r in scene.venue.records if r.get("account") == "MM")
    group["received_ns"] = group["engine_ns"] + 1
    (hit,) = scene.found()
    assert hit.evidence == "weak"


def test_what_is_usual_is_not_known_at_first_and_then_nothing_is_clear():
    scene = gate()
    scene.venue.records = [r for r in scene.venue.records if r.get("account") != "Q"]
    assert scene.told() == []


def test_a_request_for_quote_is_held_by_its_nature():
    scene = Scene()
    for _ in range(250):
        scene.wait(100)
        scene.new("Q", "buy", 1, 10, came=50, source="rfq")
    assert gate(hold=20, after=5, source="rfq", scene=scene).told()


def test_holds_of_one_group_account_are_one_alert():
    scene = gate()
    for _ in range(3):
        scene.wait(20_000)
        gate(scene=scene)
    found = scene.found()
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    assert found[-1].features["cases"].value == 4


def test_a_hold_that_began_before_an_auction_is_judged_by_what_was_done_before_it():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.wait(500)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.beat()
    scene.venue.status("X-USD", "auction")
    scene.wait(1_000)
    scene.new("A", "buy", 10, 100, came=2_000)
    assert scene.told()


# --- short holds ----------------------------------------------------------------------------------


def shorts(times, account="MM", makers=False):
    """On a gateway with a tail, holds of 6 ms in which somebody of two takes first."""
    scene = Scene()
    for n in range(400):
        scene.wait(50)
        scene.new("B", "buy", 1, 10, came=(2 if n % 8 == 0 else 0.02))
    for _ in range(times):
        scene.wait(5_000)
        gate(scene=scene, hold=6, after=2)
        if makers:
            scene.wait(5_000)
            gate(scene=scene, hold=6, after=2, group="XM")
    return scene


def test_one_short_hold_is_weak_and_many_are_a_rate():
    assert {f.evidence for f in shorts(2).found()} == {"weak"}
    told = shorts(6).told()
    assert told
    assert all(f.significant and not f.all_legs for f in told)
    assert told[-1].features["overtaken"].value == 6
    assert told[-1].features["overtaken_p"].value < 0.001


def test_short_holds_in_which_everybody_overtakes_alike_are_no_rate():
    scene = Scene()
    for n in range(400):
        scene.wait(50)
        scene.new("B", "buy", 1, 10, came=(2 if n % 8 == 0 else 0.02))
    for n in range(40):
        # Both take as often outside holds, and makers overtake as the group does.
        scene.wait(1_000)
        for one in ("MM", "XM"):
            scene.new("S", "sell", 1, 100)
            scene.new(one, "buy", 1, 100, tif="IOC")
        if n % 10 == 9:
            gate(scene=scene, hold=6, after=2, group=("MM", "XM"), lots=5)
    assert scene.told() == []


# --- stops ----------------------------------------------------------------------------------------


def test_a_stop_that_is_let_go_late_after_the_group_has_bought_is_a_case():
    (hit,) = trigger().told()
    assert hit.features["held_at_trigger"].value == 1
    assert hit.features["longest_hold"].value == 500 * MS
    assert hit.client_harm == 50.0


def test_a_stop_that_the_last_price_was_beyond_when_it_came_is_held_from_then():
    scene = stops(Scene())
    scene.new("S", "sell", 11, 400)
    scene.new("XM", "buy", 1, 400, tif="IOC")
    order = withheld(scene, "A", "buy", 10, 390)
    scene.new("S", "sell", 50, 405)
    scene.wait(100)
    scene.new("MM", "buy", 10, 400, tif="IOC")
    scene.wait(300)
    release(scene, order)
    (hit,) = scene.told()
    assert hit.features["longest_hold"].value == 400 * MS


def test_only_the_price_that_an_order_leaves_behind_triggers():
    scene = stops(Scene())
    order = withheld(scene, "A", "sell", 10, 199)
    scene.new("XM", "buy", 20, 60)
    for price in (198, 210):
        scene.new("S", "sell", 1, price)
    scene.new("B", "buy", 2, 210, tif="IOC")  # through 198 to 210: above the stop again
    scene.wait(200)
    scene.new("MM", "sell", 5, 60, tif="IOC")
    release(scene, order)
    assert scene.told() == []


def test_a_price_that_triggered_stops_leave_again_at_once_reaches_no_other():
    """The venue compares stops with the last price once all that it set off is done."""
    scene = stops(Scene())
    other = withheld(scene, "B", "buy", 5, 395)
    kept = withheld(scene, "A", "buy", 10, 400)
    scene.new("S", "sell", 1, 400)
    scene.new("XM", "buy", 1, 400, tif="IOC")
    scene.new("S", "sell", 5, 396)
    release(scene, other)  # in the same instant: the last price is 396 then
    scene.new("S", "sell", 60, 400)
    scene.wait(200)
    scene.new("MM", "buy", 10, 400, tif="IOC")
    scene.wait(200)
    release(scene, kept)
    assert scene.found() == []


# --- the null -------------------------------------------------------------------------------------


def test_p_values_are_uniform_where_the_group_has_nothing_to_do_with_what_is_held():
    """200 clean instruments: a group that only buys, as it likes; clients' orders held as it may
    be. The p of what was overtaken by the end, not at a hit: it errs upwards, if at all."""
    rng, instruments = np.random.default_rng(6), 200
    table = example_instruments([f"I{n:03d}-USD" for n in range(instruments)])
    rows = [row for code in range(instruments) for row in _clean_hours(rng, code)]
    params = TradingAheadParams()
    held = HeldOrders(
        instruments, params.clock_uncertainty_ns, params.clear_ratio, params.stall_expected
    )
    list(held.scan(batch_of(rows, table)))
    overtaken = held._kept["ahead_state"][:, ahead_state.OVERTAKEN].tolist()
    expected = held._kept["ahead_rates"][:, ahead_state.EXPECTED].tolist()
    assert np.mean(overtaken) > 1
    p_values = [
        randomised(poisson_tail(hits, mean), poisson_tail(hits + 1, mean), uniform(n))
        for n, (hits, mean) in enumerate(zip(overtaken, expected, strict=True))
    ]
    assert stats.kstest(p_values, "uniform", alternative="greater").pvalue > 0.01
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3  # and not far above either


def _clean_hours(rng, code, *, lasts_s=400.0, held=14, hold_s=0.5):
    """Yield rows: quick orders of clients each second, `held` slow ones, purchases of the group."""
    at = [(t, t - 2e-5, False) for t in np.arange(1.0, lasts_s) + rng.uniform(0, 0.5)]
    at += [(t + hold_s, t, False) for t in rng.uniform(0.6 * lasts_s, lasts_s - 1, held).tolist()]
    acts = rng.uniform(0, lasts_s, rng.poisson(0.2 * lasts_s)).tolist()
    at += [(t, t - 2e-5, True) for t in acts]
    seq = 0
    for t, came, of_group in sorted(at):
        seq, engine_ns = seq + 1, START + int(t * SECOND)
        row = {"instrument": code, "side": 1, "price": 100, "quantity": 5, "engine_ns": engine_ns}
        row |= {"kind": Kind.NEW, "seq": seq, "entry_seq": seq, "type": 1, "tif": 2, "leaves": 5}
        row |= {"received_ns": START + int(came * SECOND), "account": 9, "owner": 9}
        if not of_group:
            yield row | {"role": Role.CLIENT}
            continue
        group = {"role": Role.AFFILIATED_MM, "in_complex": 1, "account": 50, "owner": 50}
        yield row | group
        seq += 1
        yield trade(
            50, 3, instrument=code, seq=seq, buy_complex=1, buy_role=Role.AFFILIATED_MM,
            incoming_seq=seq - 1, incoming_received_ns=row["received_ns"], engine_ns=engine_ns,
            entry_seq=1, lifetime_ns=10 * SECOND,
        )  # fmt: skip


# --- evasions -------------------------------------------------------------------------------------


def test_batches_change_nothing():
    for scene in (gate(), passive(), trigger()):
        whole = scene.found()
        assert whole
        assert all(scene.found(size=size) == whole for size in (1, 7))


# --- innocent look-alikes -------------------------------------------------------------------------


@look_alike("a gateway that is slow for everybody")
def test_a_gateway_that_keeps_all_clients_alike_does_not_fire():
    scene = gate(beats=0, scene=Scene(every_ms=50))
    assert scene.found() == []
    assert gate(hold=30, after=10, scene=Scene(usual_ms=30)).found() == []


@look_alike("a maker's quotes that stood before and are hit by both sides")
def test_quotes_that_stood_before_are_no_case_of_their_own():
    assert passive(group_came=8_000).told() == []


def moved(*, rests=True, others=0):
    """A quote of the group is moved to the price of a held client, and is hit there; once.

    `others` is how often another quote of it is moved meanwhile.
    """
    scene = Scene()
    scene.new("S", "sell", 50, 110)
    scene.new("XM", "buy", 50, 95)
    quote = scene.new("MM", "buy", 5, 96) if rests else None
    scene.wait(1_500)
    if quote is None:
        scene.new("MM", "buy", 5, 100)
    else:
        for price in (97, 100):
            now_ns = scene.venue.now_ns
            scene.venue.replace("X-USD", quote, price=price, received_ns=now_ns - 20_000)
            scene.wait(1)
    other = scene.new("MM", "sell", 1, 140) if others else None
    for turn in range(others):
        now_ns = scene.venue.now_ns
        scene.venue.replace("X-USD", other, price=130 + turn % 9, received_ns=now_ns - 20_000)
    for _ in range(3):
        scene.wait(1_000)
        scene.new("Q", "buy", 1, 10)
    scene.new("B", "sell", 5, 90, tif="IOC")
    scene.wait(400)
    scene.new("A", "buy", 10, 100, came=4_900)
    return scene


@look_alike("a quote of the group that stood before and is moved while a client is held")
def test_a_quote_that_stood_before_and_is_moved_is_no_case_of_its_own():
    assert moved().found()
    assert moved().told() == []
    assert moved(rests=False).told()
    assert moved(others=300).told() == []
    assert moved(others=2_500).told() == [], "an entry that is no longer kept is old"


@look_alike("a maker's new quotes that are hit while a large order is held, as large ones are")
@pytest.mark.parametrize(("lots", "cases"), [(10, 0), (2, 1)])
def test_where_large_orders_are_held_a_makers_new_quote_is_no_case_of_its_own(lots, cases):
    scene = Scene()
    for _ in range(30):
        scene.wait(6_000)
        scene.new("B", "buy", 10, 20, came=5_000)
        for _ in range(150):
            scene.new("Q", "buy", 1, 10)
    found = passive(scene=scene, lots=lots).found()
    assert found
    assert len({f.first_seq for f in found if f.all_legs}) == cases


@look_alike("an order held once, whose client loses nothing, beside a group that often trades")
@pytest.mark.parametrize(("often", "times", "cases"), [(True, 2, 0), (False, 1, 0), (False, 2, 2)])
def test_a_hold_by_which_nobody_lost_is_no_case_unless_it_is_seldom_chance(often, times, cases):
    scene = Scene()
    for _ in range(40 if often else 0):
        scene.wait(2_000)
        scene.new("S", "sell", 1, 100)
        scene.new("MM", "buy", 1, 100, tif="IOC")
    for _ in range(times):
        gate(scene=scene, book=50, lots=5)
    assert scene.found()
    assert len({f.first_seq for f in scene.told()}) == cases


@pytest.mark.parametrize("apart_s", [30, 2_000])
def test_the_first_of_several_is_told_once_they_are_no_chance(apart_s):
    scene = Scene()
    gate(scene=scene, book=50, lots=5)
    scene.wait(apart_s * 1_000)
    for _ in range(20):
        scene.beat()
    assert scene.told() == []
    gate(scene=scene, book=50, lots=5)
    second, first = {f.first_seq: f for f in scene.found() if f.all_legs}.values()
    findings = scene.found()
    of_first = [f for f in findings if f.first_seq == findings[0].first_seq]
    assert of_first[0].evidence == "weak"
    assert of_first[-1].all_legs
    assert of_first[-1].evidence == "supported"
    assert [f.revision for f in of_first] == list(range(1, len(of_first) + 1))
    assert first.features["overtaken"] == second.features["overtaken"]
    assert "too many" in first.features["condition"].value
    assert "condition" not in second.features
    for size in (1, 7):
        again = scene.found(size)
        assert sorted(again, key=repr) == sorted(findings, key=repr)


def test_two_orders_held_beside_one_execution_are_alerts_of_their_own():
    scene = Scene()
    scene.new("S", "sell", 50, 100)
    scene.new("S", "sell", 50, 103)
    scene.wait(500)
    scene.new("MM", "buy", 5, 100, tif="IOC")
    for _ in range(2):
        scene.wait(500)
        scene.new("Q", "buy", 1, 10)
    scene.wait(500)
    scene.new("A", "buy", 10, 103, came=2_000, tif="IOC")
    scene.wait(100)
    scene.new("A", "buy", 10, 103, came=2_100, tif="IOC")
    found = scene.found()
    assert len({f.first_seq for f in found}) == 2
    assert revisions_in_order(found)


@look_alike("an untriggered stop")
def test_an_untriggered_stop_is_not_held():
    assert trigger(crossed=False).found() == []


@look_alike("a venue that triggers stops by another price, late for all")
def test_stops_that_are_late_for_all_do_not_fire():
    assert trigger(habit_ms=400).told() == []


@pytest.mark.parametrize("count", [5, 12])
def test_a_few_triggers_tell_what_is_usual(count):
    (hit,) = trigger(count=count).told()
    assert hit.features["held_at_trigger"].value == 1
    assert trigger(count=count, habit_ms=400).told() == []


def test_before_five_triggers_it_is_not_known_what_is_usual():
    assert trigger(count=4).told() == []


@look_alike("client filled at once at the same price")
def test_a_client_filled_right_after_at_the_same_price_does_not_fire():
    assert gate(book=50, lots=5, hold=520, after=510).found() == []


@look_alike("limit that the group's price does not reach")
def test_a_client_whose_limit_does_not_reach_does_not_fire():
    assert gate(limit=99).found() == []


@look_alike("instruction held by a speed bump")
def test_a_speed_bump_does_not_fire():
    assert gate(reason="speed_bump").found() == []


@look_alike("gap within the clock uncertainty")
def test_a_gap_within_the_uncertainty_does_not_fire():
    assert gate(hold=0.19, after=0.11).found() == []
    scene = gate()
    group = next(r for r in scene.venue.records if r.get("account") == "MM")
    client = next(r for r in scene.venue.records if r.get("account") == "A")
    group["received_ns"] = client["received_ns"] + 100_000
    assert scene.told() == []
    group["received_ns"] += 1  # more than δ: by the definition
    assert {f.evidence for f in scene.found()} == {"supported"}


@look_alike("auction or halt")
def test_what_the_group_gets_at_an_uncross_does_not_fire():
    scene = Scene()
    scene.venue.status("X-USD", "auction")
    scene.new("MM", "buy", 10, 100)
    scene.new("S", "sell", 10, 100)
    scene.beat()
    scene.wait(500)
    scene.venue.status("X-USD", "continuous")
    scene.beat()
    scene.new("A", "buy", 10, 103, came=1_500)
    assert scene.found() == []


@look_alike("trade within the complex")
def test_a_trade_within_the_complex_takes_nothing_from_anybody():
    scene = Scene()
    scene.new("AFF", "sell", 10, 100)
    scene.wait(500)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.beat()
    scene.wait(900)
    scene.new("A", "buy", 10, 103, came=1_500)
    assert scene.found() == []


@look_alike("hedging on the client's other side")
def test_the_other_side_does_not_fire():
    scene = Scene()
    scene.new("B", "buy", 10, 99)
    scene.wait(500)
    scene.new("MM", "sell", 10, 99, tif="IOC")
    scene.beat()
    scene.wait(900)
    scene.new("A", "buy", 10, 103, came=1_500)
    assert scene.found() == []


@look_alike("large client order beside which the group trades at its base rate")
def test_children_that_are_not_held_do_not_fire():
    scene = Scene()
    scene.new("S", "sell", 500, 100)
    for _ in range(50):
        scene.wait(200)
        scene.new("A", "buy", 5, 100, tif="IOC")
        scene.wait(50)
        scene.new("MM", "buy", 5, 100, tif="IOC")
    assert scene.found() == []


# --- blind spots ----------------------------------------------------------------------------------


def in_vain(before):
    """A large order is held while a new quote is hit, after so many that were held for nothing."""
    scene = Scene()
    for n in range(40):
        scene.wait(6_000)
        scene.new("B", "buy", 10, 20, **({"came": 5_000} if n < before else {}))
        for _ in range(20):
            scene.new("Q", "buy", 1, 10)
    return passive(scene=scene)


@blind_spot("a new quote hit while a large order is held, after three were held as long in vain")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_holds_in_vain_are_no_cover():
    assert in_vain(3).told()


@pytest.mark.parametrize("before", [0, 2])
def test_one_or_two_holds_in_vain_are_no_habit(before):
    assert in_vain(before).told()


@blind_spot("an order held before the gateway stamps it")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_an_order_that_is_stamped_late_fires():
    scene = gate()
    scene.venue.records[-1 - 1]["received_ns"] = None
    client = next(r for r in scene.venue.records if r.get("account") == "A")
    client["received_ns"] = client["engine_ns"] - 20_000
    assert scene.found()


@blind_spot("an order or stop that is cancelled while it is held, and so never comes out")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_a_stop_cancelled_while_it_is_held_fires():
    scene = trigger(crossed=True)
    at = next(n for n, r in enumerate(scene.venue.records)
              if r.get("action") == "trigger" and r["account"] == "A")  # fmt: skip
    scene.venue.records = scene.venue.records[: at + 1]
    scene.venue.books["X-USD"].seq = at + 1
    scene.venue.records[at] |= {"action": "cancel", "leaves": "0", "reason": "user"}
    assert scene.found()


@blind_spot("orders that rested in the book when a halt began, while the group trades in the halt")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_a_trade_of_the_group_in_a_halt_fires():
    scene = Scene()
    scene.new("A", "buy", 10, 100)
    scene.venue.status("X-USD", "halt")
    book = scene.venue.books["X-USD"]
    scene.new("MM", "buy", 10, 99)
    scene.new("S", "sell", 10, 99)
    scene.venue.phase = "halt"
    sell, buy = (next(o for o in book.orders.values() if o.account == a) for a in ("S", "MM"))
    scene.venue._trade(book, sell, buy, 99, "sell", quantity=10)
    scene.wait(1_000)
    scene.venue.status("X-USD", "continuous")
    assert scene.found()


@blind_spot("a nominee registered as a client that trades instead of the group")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_a_nominee_fires():
    assert gate(group="B").found()


@blind_spot("a bust of the group's trade")
@pytest.mark.xfail(strict=True, reason="blind spot")
def test_a_bust_retracts():
    scene = gate()
    trade = next(r for r in scene.venue.records if r.get("buy_account") == "MM")
    scene.wait(1_000)
    scene.venue.bust(trade)
    assert scene.found()[-1].status == "retracted"


def test_every_look_alike_and_blind_spot_of_the_spec_has_its_test():
    assert set(LOOK_ALIKES) == set(TradingAhead.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(TradingAhead.spec.blind_spots)


# --- the kernel -----------------------------------------------------------------------------------


def test_parameters_that_let_harm_outlive_its_episode_are_refused():
    with pytest.raises(ValueError, match="greater than harm_horizon_s 300, was 300"):
        TradingAheadParams(episode_gap_s=300)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_usual_is_the_percentile_to_a_quarter_of_a_doubling(seed):
    rng = np.random.default_rng(seed)
    waits = (np.exp(rng.normal(11, 1.5, 5_000)) + FIRST_BIN_NS).astype(np.int64)
    gaps: Array = np.zeros((CLASSES, GAP_FIELDS), np.int64)
    for wait in waits.tolist():
        learn(gaps[ALL], bin_of(wait), False)
    for at, share in ((USUAL, 0.95), (FAR, 0.99)):
        exact = float(np.quantile(waits, share))
        assert 0.9 * exact <= habit(gaps, ALL, at) <= 1.35 * exact
    assert gaps[ALL, :BINS].sum() == 5_000


def test_a_hold_longer_than_its_executions_are_known_is_counted():
    scene = Scene()
    scene.new("S", "sell", 2_000, 100)
    start = scene.venue.now_ns
    for n in range(600):
        scene.wait(10)
        scene.new("MM", "buy", 1, 100, tif="IOC")
        if n % 50 == 0:
            scene.new("Q", "buy", 1, 10)
    scene.new("A", "buy", 10, 103, came=(scene.venue.now_ns - start) / MS)
    scene.new("Q", "buy", 1, 10)
    table = instruments_of(scene.rows)
    accounts = [{"account": a, "owner": a, "role": r} for a, r in ROLES.items()]
    batch = Books(table).apply(to_batch(scene.venue.records, table, accounts))
    detector = TradingAhead(TradingAheadParams(), table)
    detector.step(batch)
    assert detector.overflow == 1
    holds = list(HeldOrders(1, 100_000, 8, 4.6).scan(batch))
    assert case_of(holds[-1], TradingAheadParams()) is not None
    assert len(example_instruments()) == 1
