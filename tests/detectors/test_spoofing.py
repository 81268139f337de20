"""spoofing: hits, near misses, one innocent case per look-alike, one xfail per blind spot.

Orders go through the test venue and the book, so that what is judged is what a feed would show.
"""

from __future__ import annotations

import numpy as np
import pytest

from detectors import layers_kernel, layers_orders, layers_state
from detectors.book import Books
from detectors.spoofing import Spoofing, SpoofingParams
from tests.support.claims import claims
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND, MS = 10**9, 10**6
START = 1_763_900_000 * SECOND
ROLES = {
    "MM": "affiliated_mm",
    "AFF": "affiliated",
    "X1": "external_mm",
    "X2": "external_mm",
    "A": "client",
    "B": "client",
}
BUY, SELL = "buy", "sell"
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """A venue with one instrument, tick and lot 1, on which makers have quoted for a while.

    The affiliated maker shows 10 lots at 100 and a deep ask at 105; two others show 8 and 12.
    """

    def __init__(self, *, instruments=("X-USD",), roles=ROLES, minutes=3, maker="MM"):
        self.rows = [
            {"instrument": name, "base": name[0], "quote": "USD", "kind": "spot"}
            | {"tick_size": "1", "lot_size": "1", "matching": "price_time"}
            for name in instruments
        ]
        self.roles, self.name = roles, instruments[0]
        self.venue = Venue(self.rows, roles, {n: n for n in roles}, stp="off", start_ns=START)
        for name in instruments:
            for account, lots in (("X1", 8), ("X2", 12)):
                self.venue.new(name, account, BUY, lots, 98)
                self.venue.new(name, account, SELL, lots, 106)
            self.bid = self.venue.new(name, maker, BUY, 10, 100)
            self.ask = self.venue.new(name, maker, SELL, 100, 105)
        self.wait(60 * minutes)

    def new(self, account, side, lots, price, *, name=None, **options):
        return self.venue.new(name or self.name, account, side, lots, price, **options)

    def cancel(self, *orders, name=None, **options):
        for order in orders:
            self.venue.cancel(name or self.name, order, **options)

    def wait(self, seconds):
        """Let time pass, with a client's small order far away every ten seconds."""
        end_ns = self.venue.now_ns + int(seconds * SECOND)
        while end_ns - self.venue.now_ns > 10 * SECOND:
            self.venue.now_ns += 10 * SECOND
            for row in self.rows:
                self.new("B", BUY, 1, 2, name=row["instrument"])
        self.venue.now_ns = end_ns

    def layers(self, account="MM", lots=10, count=3, price=99, side=BUY):
        step = 1 if side == BUY else -1
        return [self.new(account, side, lots, price - step * n) for n in range(count)]

    def cycle(self, *, account="MM", lots=10, count=3, buyer="A", delay_s=0.5, pause_s=8.0):
        """Layer the bid, be bought from at the ask, withdraw."""
        layers = self.layers(account, lots, count)
        self.wait(2)
        if buyer:
            self.new(buyer, BUY, 2, 105, tif="IOC")
        self.wait(delay_s)
        self.cancel(*layers)
        self.wait(pause_s)

    def findings(self, size=None, **params):
        """Return what is said of the feed, cut every `size` records, and of the time after it."""
        self.wait(2)
        for row in self.rows:
            self.new("B", BUY, 1, 2, name=row["instrument"])
        table = instruments_of(self.rows)
        accounts = [{"account": a, "owner": a, "role": r} for a, r in self.roles.items()]
        books = Books(table)
        detector = Spoofing(SpoofingParams(**params), table)
        batch = to_batch(self.venue.records, table, accounts)
        return [f for part in batches(batch, size) for f in detector.step(books.apply(part))]

    def cases(self, **params):
        return [f for f in self.findings(**params) if f.all_legs]

    def ids(self, finding):
        records = {r["seq"]: r for r in self.venue.records if r["instrument"] == self.name}
        cited = [records[ref.seq] for ref in finding.evidence_refs]
        return {r.get("order_id") or r["trade_id"] for r in cited}


def slow(stands_s, delay_s):
    """Cycles of layers that stand long, or go long after the fill."""
    scene = Scene(minutes=40)
    for _ in range(4):
        layers = scene.layers()
        scene.wait(stands_s)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(delay_s)
        scene.cancel(*layers)
        scene.wait(8)
    return scene


def after_lone_ones(alone, **size):
    """Four cycles within minutes, after as many as that hours apart, or none for as long."""
    scene = Scene(minutes=3 if alone else 120)
    for _ in range(alone):
        scene.cycle(**size)
        scene.wait(1_200)
    for _ in range(4):
        scene.cycle(pause_s=30, **size)
    return scene


# --- hits -----------------------------------------------------------------------------------------


def test_three_cycles_are_a_case_with_all_its_legs():
    scene = Scene()
    for _ in range(3):
        scene.cycle()
    first, second, third = scene.findings()
    assert {(each.all_legs, each.evidence) for each in (first, second)} == {(False, "weak")}
    assert (third.all_legs, third.evidence, third.evidence_class) == (
        True, "supported", "indicator",
    )  # fmt: skip
    assert third.features["cycles"].value == 3
    assert third.features["side"].value == "buy"
    assert third.features["withdrawn"].value == 90.0
    assert third.features["fill_to_withdrawal"].value == 0.5
    assert third.window_start_ns < first.window_end_ns < third.window_end_ns


def test_two_are_where_external_makers_had_none_for_long():
    scene = Scene(minutes=60)
    scene.cycle(pause_s=3)
    scene.cycle(pause_s=3)
    assert scene.cases()[-1].features["cycles"].value == 2


def apart(rounds, *, cycles=True):
    """Size that is sold into twice, and then a cycle (or size withdrawn without a fill)."""
    scene = Scene()
    for _ in range(rounds):
        for _ in range(2):
            scene.layers(price=103)
            scene.wait(2.5)
            scene.new("B", SELL, 30, 101, tif="IOC")
            scene.wait(400)
        scene.cycle(buyer="A" if cycles else None)
        scene.wait(600)
    return scene


def after_a_case(lone):
    """Return the findings of lone cycles, an hour apart, after six within minutes."""
    scene = Scene()
    for _ in range(6):
        scene.cycle(pause_s=30, delay_s=0.01)
    over_ns = scene.venue.now_ns
    for _ in range(lone):
        scene.wait(3_600)
        scene.cycle(pause_s=400, delay_s=0.01)
    findings = scene.findings()
    assert any(each.all_legs and each.features["cycles"].value == 6 for each in findings)
    return [each for each in findings if each.window_start_ns > over_ns]


def test_lone_cycles_are_told_once_the_day_shows_a_pattern_and_those_before_with_them():
    findings = apart(8).findings()
    cases = [f for f in findings if f.all_legs]
    assert all(each.features["cycles"].value == 1 and each.significant for each in cases)
    latest = {f.first_seq: f for f in findings}
    assert len(latest) == 8
    assert all(each.all_legs and each.evidence == "supported" for each in latest.values())
    (at_ns,) = {each.detected_ns for each in cases[:7]}
    assert [each.first_seq for each in cases[1:7]] == sorted(latest)[: len(cases[1:7])]
    assert at_ns > cases[1].window_end_ns + 3_600 * SECOND
    for seq in latest:
        mine = [f.revision for f in findings if f.first_seq == seq]
        assert mine == sorted(set(mine))


def test_a_few_lone_cycles_stay_weak():
    assert apart(3).findings()
    assert apart(3).cases() == []


@pytest.mark.parametrize("size", [1, 50])
def test_cuts_do_not_change_what_the_day_shows(size):
    assert apart(8).findings(size) == apart(8).findings()


def test_the_layers_their_withdrawal_and_the_fill_are_cited():
    scene = Scene()
    layers = scene.layers()
    scene.wait(2)
    scene.new("A", BUY, 2, 105, tif="IOC")
    scene.wait(1)
    scene.cancel(*layers)
    scene.wait(5)
    (lone,) = scene.findings()
    (fill,) = [r["trade_id"] for r in scene.venue.records if "trade_id" in r]
    assert scene.ids(lone) == {*layers, fill}
    assert len(lone.evidence_refs) == 7


def test_a_finding_is_made_when_size_has_stayed_away():
    scene = Scene()
    layers = scene.layers()
    scene.wait(2)
    scene.new("A", BUY, 2, 105, tif="IOC")
    scene.cancel(*layers)
    gone_ns = scene.venue.now_ns
    (lone,) = scene.findings()
    assert lone.detected_ns == gone_ns + 1_000 * MS


def test_harm_beyond_what_price_times_lots_can_hold():
    huge = 5 * 10**16
    scene = Scene()
    for order in (scene.bid, scene.ask):
        scene.cancel(order)
    scene.new("MM", BUY, 10 * huge, 100)
    scene.new("MM", SELL, 10 * huge, 105)
    scene.wait(2_000)
    for _ in range(3):
        layers = scene.layers(lots=10 * huge)
        scene.new("MM", SELL, 2 * huge, 104)
        scene.wait(1)
        scene.new("A", BUY, 2 * huge, 104, tif="IOC")
        scene.cancel(*layers)
        cheap = scene.new("X1", SELL, 5, 103)
        scene.wait(8)
        scene.cancel(cheap)
    assert scene.cases()[-1].client_harm == 6.0 * huge


def test_what_fills_cost_stops_growing_where_integers_end():
    most = layers_state.MOST_COST
    assert layers_kernel._cost(10, 5, -4) == -10
    assert layers_kernel._cost(most - 1, 10**17, 100) == most
    assert layers_kernel._cost(0, 10**18, -1_000) == -most


def test_layers_over_the_ask_are_found_too():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers(side=SELL, price=106, lots=60)
        scene.wait(1)
        scene.new("A", SELL, 1, 100, tif="IOC")
        scene.wait(1)
        scene.cancel(*layers)
        scene.wait(8)
    assert scene.cases()[-1].features["side"].value == "sell"


def test_what_clients_paid_beyond_the_later_touch_is_the_harm():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        scene.new("MM", SELL, 2, 104)
        scene.wait(1)
        scene.new("A", BUY, 2, 104, tif="IOC")
        scene.cancel(*layers)
        cheap = scene.new("X1", SELL, 5, 103)
        scene.wait(8)
        scene.cancel(cheap)
    hit = scene.cases()[-1]
    assert hit.client_harm == 6.0  # three times 2 bought at 104, when the touch is 103 afterwards
    assert "layers were gone" in hit.counterfactual


# --- evasions -------------------------------------------------------------------------------------


def test_layers_of_a_sister_account_are_the_same_case():
    scene = Scene()
    for _ in range(3):
        scene.cycle(account="AFF")
    assert scene.cases()


def test_layers_split_over_accounts_are_netted():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers("AFF", count=2) + scene.layers("MM", count=2, price=97)
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*layers)
        scene.wait(8)
    assert len(scene.cases()[-1].accounts) == 2


def test_layers_withdrawn_one_after_the_other():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        for layer in layers:
            scene.wait(0.7)
            scene.cancel(layer)
        scene.wait(8)
    assert scene.cases()


def test_layers_made_small_where_they_stand():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        for layer in layers:
            scene.venue.replace(scene.name, layer, quantity=1)
        scene.wait(6)
        scene.cancel(*layers)
        scene.wait(8)
    assert scene.cases()


@pytest.mark.parametrize("price", [99, 80, 40])
def test_distance_is_no_condition(price):
    scene = Scene()
    for _ in range(3):
        layers = scene.layers(price=price)
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*layers)
        scene.wait(8)
    assert scene.cases()


@pytest.mark.parametrize("delay_s", [0.0001, 0.05, 3, 20])
def test_how_soon_is_no_condition(delay_s):
    scene = Scene()
    for _ in range(4):
        scene.cycle(delay_s=delay_s)
    assert scene.cases()


@pytest.mark.parametrize(("lots", "count"), [(30, 1), (100, 10)])
def test_size_is_a_feature(lots, count):
    scene = Scene()
    for _ in range(3):
        scene.cycle(lots=lots, count=count)
    assert scene.cases()[-1].features["size_ratio"].value >= 1.0


def small(filled, cycles=4):
    """Cycles of small layers, after as small ones that were sold into."""
    scene = Scene()
    for _ in range(filled):
        scene.layers(lots=2, price=103)
        scene.wait(2.5)
        scene.new("B", SELL, 6, 101, tif="IOC")
        scene.wait(30)
    for _ in range(cycles):
        scene.cycle(lots=2)
    return scene


def test_cycles_of_a_makers_usual_size_are_weak_until_its_own_size_agrees():
    assert small(0).findings()[-1].features["cycles"].value == 4
    assert small(0).cases() == []
    case = small(20).cases()[-1]
    assert case.features["size_ratio"].value < 1.0
    assert case.features["own_rate"].value <= SpoofingParams().own_level


@pytest.mark.parametrize(("filled", "cycles", "told"), [(6, 6, True), (6, 5, False), (4, 8, False)])
def test_many_small_cycles_within_minutes_are_told_though_its_own_size_only_agrees(
    filled, cycles, told
):
    """Of five there is no rate yet, and four sizes sold into are none that could tell."""
    scene = small(filled, cycles)
    last = scene.findings()[-1].features
    assert last["size_ratio"].value < 1.0
    assert SpoofingParams().own_level < last["own_rate"].value <= SpoofingParams().own_p
    assert bool(scene.cases()) is told


def test_smaller_cycles_take_nothing_from_a_case_of_large_ones():
    scene = Scene()
    for _ in range(3):
        scene.cycle(lots=10)
    assert scene.cases()
    for _ in range(14):
        scene.cycle(lots=2)
    last = scene.findings()[-1]
    assert last.features["size_ratio"].value < 1.0
    assert last.all_legs


def test_layers_are_more_orders_where_they_are_hardly_more_lots():
    scene = Scene()
    quotes = [scene.new("MM", BUY, 100, 97 - n) for n in range(3)]
    scene.new("MM", SELL, 900, 107)
    scene.wait(400)
    for _ in range(3):
        scene.cycle(lots=15, count=4)
    assert quotes
    hit = scene.cases()[-1]
    assert (hit.features["cycles"].value, hit.features["withdrawn"].value) == (3, 180.0)


def test_layers_that_follow_the_touch_are_still_layers():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        for layer in layers:
            scene.wait(0.4)
            scene.venue.replace(scene.name, layer, price=97)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*layers)
        scene.wait(8)
    assert scene.cases()


def test_layers_on_both_sides_in_turn_are_one_case():
    scene = Scene()
    scene.cycle()
    scene.cycle()
    layers = scene.layers(side=SELL, price=106, lots=60)
    scene.wait(1)
    scene.new("A", SELL, 1, 100, tif="IOC")
    scene.cancel(*layers)
    scene.wait(8)
    assert scene.cases()[-1].features["side"].value == "buy and sell"


# --- look-alikes ----------------------------------------------------------------------------------


@look_alike("regular re-quoting on a timer")
def test_a_maker_that_cancels_and_enters_again():
    scene = Scene()
    bid, ask = scene.bid, scene.ask
    for n in range(60):
        scene.cancel(bid, ask)
        bid = scene.new("MM", BUY, 10 + n % 5, 100 - n % 3)
        ask = scene.new("MM", SELL, 10 + n % 4, 105 + n % 2)
        scene.wait(0.5)
        scene.new("A", BUY, 2, 107, tif="IOC")
        scene.wait(0.5)
    assert scene.findings() == []


@look_alike("a maker's quotes hit on one side and skewed")
def test_a_maker_that_skews_its_bids_after_its_ask_was_hit():
    scene = Scene()
    bid = scene.bid
    for n in range(10):
        scene.new("A", BUY, 5, 105, tif="IOC")
        scene.wait(0.1)
        scene.cancel(bid)
        bid = scene.new("MM", BUY, 8, 101 + n % 3)
        scene.wait(5)
    assert scene.findings() == []


def skewed(after_s, times=8):
    """The bid is filled, the maker offers more, is filled again, and has laid its position off."""
    scene = Scene(minutes=40)
    for _ in range(times):
        scene.new("A", SELL, 2, 100, tif="IOC")
        scene.wait(after_s)
        extra = scene.layers(side=SELL, price=106, lots=100)
        scene.wait(3)
        scene.new("B", SELL, 2, 100, tif="IOC")
        scene.wait(2)
        scene.cancel(*extra)
        scene.bid = scene.new("MM", BUY, 4, 100)
        scene.wait(20)
    return scene


@look_alike("size that answers a fill, and goes once the position is laid off")
def test_a_desk_that_offers_more_of_what_it_has_just_bought():
    assert skewed(0.5).findings() == []
    assert skewed(0.5).cases(answer_s=0.1)
    assert skewed(4).cases()


@look_alike("a ladder that is entered anew, and smaller, once its other side was filled")
@pytest.mark.parametrize("first", ["old goes", "new comes"])
def test_a_ladder_that_is_entered_anew(first):
    scene = Scene(minutes=40)
    for turn in range(10):
        ladder = scene.layers(lots=12)
        scene.wait(3)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(1)
        if first == "old goes":
            scene.cancel(*ladder)
            scene.wait(0.5)
        newer = scene.layers(lots=10 + turn % 2)
        if first == "new comes":
            scene.wait(0.5)
            scene.cancel(*ladder)
        scene.wait(8)
        scene.cancel(*newer, reason="mmp")
        scene.wait(8)
    assert scene.findings() == []


@look_alike("maker that steps back on both sides after a fill")
def test_a_maker_that_quotes_more_and_then_steps_back_on_both_sides():
    scene = Scene()
    for _ in range(4):
        bids, asks = scene.layers(), scene.layers(side=SELL, price=106, lots=100)
        scene.wait(3)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(0.2)
        scene.cancel(*bids, *asks)
        scene.wait(8)
    assert scene.findings() == []


@look_alike("quotes that go on and off, of which a fill leaves little on one side")
@pytest.mark.parametrize(("taken", "cycles"), [(25, 0), (30, 5)])
def test_a_quote_that_goes_off_on_both_sides(taken, cycles):
    """Where the fill leaves nothing that could go, it is told from layers by nothing."""
    scene = Scene()
    scene.cancel(scene.ask)
    scene.wait(60)
    for _ in range(5):
        asks, bids = scene.layers(side=SELL, price=103), scene.layers()
        scene.wait(3)
        scene.new("A", BUY, taken, 105, tif="IOC")
        scene.wait(0.2)
        scene.cancel(*bids, *asks[taken // 10 :])
        scene.wait(8)
    found = scene.findings()
    assert (found[-1].features["cycles"].value if found else 0) == cycles


@look_alike("maker protection and disconnects")
@pytest.mark.parametrize("reason", ["mmp", "disconnect", "kill"])
def test_a_cancel_that_is_no_choice(reason):
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*layers, reason=reason)
        scene.wait(8)
    assert scene.findings() == []


@look_alike("layers that are filled")
def test_orders_that_were_meant():
    scene = Scene()
    for _ in range(3):
        scene.layers(price=101)
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.new("B", SELL, 30, 99, tif="IOC")
        scene.wait(8)
    assert scene.findings() == []


@look_alike("size withdrawn with no fill on the other side")
def test_no_fill_no_cycle():
    scene = Scene()
    for _ in range(4):
        scene.cycle(buyer=None)
    assert scene.findings() == []


def stayed(scene, times=6):
    """Layer the bid, be bought from, and have the layers go by no choice of the maker's."""
    for _ in range(times):
        layers = scene.layers()
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(0.5)
        scene.cancel(*layers, reason="mmp")
        scene.wait(8)


@look_alike("size that goes as often without a fill")
def test_cycles_of_size_that_comes_and_goes_are_weak():
    def scene(calm):
        made = Scene()
        stayed(made)
        for _ in range(calm):
            made.cycle(buyer=None)
        for _ in range(5):
            made.cycle()
        return made

    assert scene(calm=0).cases()
    assert scene(calm=8).cases() == []
    assert {f.evidence for f in scene(calm=8).findings()} == {"weak"}


def in_vain(*, lured, times=8):
    """Layers that mostly meet no fill and go, with the order that they were for or without one."""
    scene = Scene()
    stayed(scene)
    for _ in range(times):
        lure = scene.new("MM", SELL, 2, 104) if lured else None
        layers = scene.layers()
        scene.wait(4)
        scene.cancel(*layers, *([lure] if lure else []))
        scene.wait(8)
    for _ in range(5):
        scene.cycle()
    return scene


def test_layers_that_lured_in_vain_are_no_habit_of_its_own():
    assert in_vain(lured=True).cases()
    assert in_vain(lured=False).cases() == []


@look_alike("blocks that come and go on a timer, filled or not")
def test_a_desk_whose_block_comes_with_its_quotes_anew():
    """Its other side is entered anew at both ends of each, new before old; some meet a fill."""
    scene = Scene(minutes=40)
    for turn in range(40):
        ask = scene.new("MM", SELL, 100, 105)
        scene.cancel(scene.ask)
        block = scene.layers()
        scene.wait(3)
        if turn > 8 and turn % 3 == 0:
            scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(3)
        scene.ask = scene.new("MM", SELL, 100, 105)
        scene.cancel(ask, *block)
        scene.wait(60)
    assert scene.cases() == []


@pytest.mark.parametrize("then", ["nothing", "decoys", "moved"])
def test_what_comes_after_the_fill_hides_no_layers(then):
    scene = Scene(minutes=40)
    for _ in range(6):
        layers = scene.layers()
        scene.wait(3)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(0.3)
        if then == "decoys":
            scene.cancel(*scene.layers(lots=9, count=4, price=50))
        if then == "moved":
            scene.cancel(*layers)
            layers = scene.layers(count=4, price=98)
        scene.wait(0.3)
        scene.cancel(*layers)
        scene.wait(30)
    assert scene.cases()


def test_layers_of_a_side_that_is_filled_all_the_time_are_seen():
    scene = Scene(minutes=40)
    for turn in range(400):
        layers = scene.layers() if turn % 20 == 5 else []
        scene.wait(0.9)
        scene.new("A", BUY, 1, 105, tif="IOC")
        scene.wait(0.3)
        scene.cancel(*layers)
        scene.wait(0.6)
        if turn % 20 == 0:
            scene.ask = scene.new("MM", SELL, 20, 105)
    assert scene.cases()


def standing(times):
    """Return a scene in which another maker's size stands when it is filled."""
    scene = Scene(minutes=40)
    for _ in range(times):
        scene.new("X1", SELL, 2, 104)
        layers = scene.layers("X1", price=97)
        scene.wait(2)
        scene.new("A", BUY, 2, 104, tif="IOC")
        scene.wait(0.5)
        scene.cancel(*layers, reason="mmp")
        scene.wait(20)
    return scene


def beside_standing(*, goes_calm, times=8):
    """Lone cycles through hours; others' sizes stand when filled, the desk's own go or stand."""
    scene = standing(5 * times)
    for _ in range(times):
        scene.cycle(pause_s=500)
        layers = scene.layers()
        scene.wait(2.5)
        scene.cancel(*layers, reason="user" if goes_calm else "mmp")
        scene.wait(500)
    return scene


def laid_off(*, calm_stays, times=20):
    """A desk whose size stands after half of its fills, and after as many in four without one."""
    scene = standing(40)
    for n in range(2 * times):
        layers = scene.layers()
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(2)
        scene.cancel(*layers, reason="mmp" if n % 2 else "user")
        scene.wait(500)
        layers = scene.layers()
        scene.wait(4)
        scene.cancel(*layers, reason="mmp" if n % calm_stays else "user")
        scene.wait(500)
    return scene


@look_alike("a desk whose size goes twice as often once it is filled, for its position is laid off")
@pytest.mark.parametrize(("calm_stays", "is_case"), [(4, False), (16, True)])
def test_size_that_goes_somewhat_more_often_after_fills_is_a_style(calm_stays, is_case):
    scene = laid_off(calm_stays=calm_stays)
    last = scene.findings()[-1].features
    assert last["rate"].value < 1e-3
    assert last["own_rate"].value < 0.05
    assert (last["own_ratio"].value < last["own_ratio"].baseline) is not is_case
    assert bool(scene.cases()) is is_case


def covered(times, *, calm):
    """Cycles of small layers beside a maker's that stand, and now and then one without a fill."""
    scene = standing(40)
    for n in range(times):
        scene.cycle(lots=2, pause_s=400)
        if calm:
            layers = scene.layers(lots=2)
            scene.wait(2.5)
            scene.cancel(*layers, reason="user" if n % calm == 0 else "mmp")
            scene.wait(400)
    return scene


def test_small_layers_of_a_desk_that_shows_no_other_size_are_told_by_others():
    assert covered(30, calm=0).cases()
    assert "own_ratio" not in covered(10, calm=0).findings()[-1].features


@blind_spot("a dozen cycles of small layers by a desk that shows no other size")
@pytest.mark.xfail(strict=True)
def test_a_dozen_small_layers_alone():
    assert covered(12, calm=0).cases()


@blind_spot("small layers of a desk that withdraws every other size without a fill too")
@pytest.mark.xfail(strict=True)
def test_small_layers_under_cover():
    assert covered(30, calm=2).cases()


def test_small_layers_under_little_cover_are_told():
    assert covered(30, calm=5).cases()


@look_alike("a desk's sizes that come and go beside makers' that stand")
@pytest.mark.parametrize("goes_calm", [True, False])
def test_others_whose_size_never_goes_make_no_pattern(goes_calm):
    scene = beside_standing(goes_calm=goes_calm, times=12)
    last = scene.findings()[-1].features
    assert last["rate"].value < 1.3e-5
    assert (last["own_rate"].value > 0.05) is goes_calm
    assert bool(scene.cases()) is not goes_calm


@look_alike("size that mostly stays when the other side is filled")
def test_two_cycles_among_many_fills_are_weak():
    scene = Scene()
    stayed(scene)
    scene.cycle()
    scene.cycle()
    assert [f.evidence for f in scene.findings()] == ["weak", "weak"]
    for _ in range(3):
        scene.cycle()
    assert scene.cases()


@look_alike("size that had long stood there")
def test_old_orders_withdrawn_once():
    scene = Scene(minutes=1)
    layers = scene.layers()
    scene.wait(1_200)
    scene.new("A", BUY, 2, 105, tif="IOC")
    scene.cancel(*layers)
    scene.wait(8)
    assert scene.cases() == []


@look_alike("size that goes long after the fill, or that stood for minutes")
@pytest.mark.parametrize(("stands_s", "delay_s"), [(2, 40), (100, 2)])
def test_slow_cycles_are_weak(stands_s, delay_s):
    scene = slow(stands_s, delay_s)
    assert [f.features["cycles"].value for f in scene.findings()] == [1, 2, 3, 4]
    assert [f.features["prompt_cycles"].value for f in scene.findings()] == [0] * 4
    assert scene.cases() == []
    assert scene.cases(soon_s=60, brief_s=180)


@look_alike("small cycles of a desk whose lone ones are as frequent")
def test_small_cycles_after_lone_ones():
    assert after_lone_ones(6, lots=10, count=1).cases(least_trials=1) == []


@pytest.mark.parametrize(("alone", "cases"), [(0, True), (6, False)])
def test_cycles_are_held_against_those_that_came_alone(alone, cases):
    scene = after_lone_ones(alone)
    assert bool(scene.cases(least_trials=1, large_level=0.0)) is cases
    told = scene.findings(large_level=0.0)[-1].features
    assert told["weak_episodes"].value == alone
    hours = (scene.venue.now_ns - START) / 3_600 / SECOND
    others = 1 / (2 * hours + 1)
    assert told["rate_by_chance"].value == pytest.approx(max(alone / (hours + 1), others), rel=0.03)


def test_a_slow_cycle_between_takes_nothing_away():
    def prompt_and_slow(*delays_s):
        scene = Scene(minutes=120)
        for delay_s in delays_s:
            scene.cycle(delay_s=delay_s, pause_s=3)
            scene.wait(100 if delay_s > 1 else 0)
        return scene.findings()[-1]

    alone, with_slow = prompt_and_slow(0.5, 0.5), prompt_and_slow(40, 0.5, 0.5, 40)
    assert alone.all_legs
    assert with_slow.all_legs
    assert with_slow.features["cycles"].value == 4
    assert with_slow.features["prompt_cycles"].value == 2


@pytest.mark.parametrize("size", [1, 200])
def test_cuts_do_not_change_which_withdrawal_is_the_same(size):
    """Layers stand on, from before a withdrawal that was told, until that episode is over."""
    scene = Scene(minutes=60)
    for _ in range(2):
        stay = scene.layers()
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(1)
        go = scene.layers("AFF", 20, 4, 97)
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(1)
        scene.cancel(*go)
        scene.wait(450)
        scene.cancel(*stay)
        scene.wait(900)
    for _ in range(3):
        scene.cycle(pause_s=75)
    found = scene.findings()
    assert len({f.first_seq for f in found}) == 5
    assert scene.findings(size) == found


@look_alike("a maker's sizes that come and go")
def test_quotes_entered_again_smaller_at_the_same_number():
    scene = Scene()
    for _ in range(4):
        scene.venue.replace(scene.name, scene.bid, quantity=25)
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.venue.replace(scene.name, scene.bid, price=99, quantity=10)
        scene.wait(8)
        scene.venue.replace(scene.name, scene.bid, price=100)
    assert scene.findings() == []


@look_alike("a quote that is split and whole again")
def test_as_much_in_fewer_orders_is_no_withdrawal():
    scene = Scene()
    for _ in range(4):
        scene.cancel(scene.bid)
        parts = [scene.new("MM", BUY, 3, 100 - n) for n in range(4)]
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*parts)
        scene.bid = scene.new("MM", BUY, 10, 100)
        scene.wait(8)
    assert scene.findings() == []


@look_alike("a few orders of a desk that does not quote")
def test_two_orders_of_an_account_without_a_habit():
    scene = Scene()
    for _ in range(4):
        orders = scene.layers("AFF", lots=1, count=2)
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(orders[0])
        scene.wait(1.5)
        scene.new("MM", BUY, 1, 60)
        scene.cancel(orders[1])
        scene.wait(8)
    assert scene.cases() == []


@look_alike("one withdrawal after a fill")
def test_a_lone_cycle_is_weak():
    scene = Scene()
    scene.cycle()
    scene.wait(400)
    findings = scene.findings()
    assert [(f.evidence, f.all_legs, f.significant) for f in findings] == [
        ("weak", False, False)
    ] * 2
    assert findings[-1].status == "confirmed"
    assert findings[-1].notify_clock == "none"


@look_alike("two trades within the complex")
def test_a_fill_within_the_complex_lures_nobody():
    scene = Scene()
    for _ in range(3):
        scene.cycle(buyer="AFF")
    assert scene.findings() == []


@look_alike("auction or halt")
def test_a_halt_ends_what_was_followed():
    scene = Scene()
    for _ in range(3):
        layers = scene.layers()
        scene.wait(1)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.venue.status(scene.name, "halt")
        scene.cancel(*layers)
        scene.wait(5)
        scene.venue.status(scene.name, "continuous")
        scene.wait(5)
    assert scene.findings() == []


def test_external_makers_that_do_it_are_the_control_and_no_finding():
    scene = Scene()
    for _ in range(4):
        layers = scene.layers("X1", price=97)
        scene.wait(1)
        scene.cancel(scene.ask)
        scene.ask = scene.new("MM", SELL, 100, 107)
        scene.new("A", BUY, 1, 106, tif="IOC")
        scene.cancel(*layers)
        scene.wait(4)
    assert scene.findings() == []


def test_size_that_is_back_within_a_second_was_moved():
    scene = Scene()
    layers = scene.layers()
    for _ in range(4):
        scene.wait(2)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.cancel(*layers)
        scene.wait(0.8)
        layers = scene.layers(price=97)
    assert scene.cases() == []


def test_an_instrument_without_external_makers_says_so():
    roles = {name: "client" if name in ("X1", "X2") else role for name, role in ROLES.items()}
    scene = Scene(roles=roles)
    for _ in range(3):
        scene.cycle()
    hit = scene.cases()[-1]
    assert hit.features["control"].value == "no_peer_control"


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("layers by an account registered as a client's (hidden_affiliates)")
@pytest.mark.xfail(strict=True)
def test_layers_of_a_nominee():
    scene = Scene()
    for _ in range(3):
        scene.cycle(account="B")
    assert scene.cases()


@blind_spot("layers in another instrument than the fill")
@pytest.mark.xfail(strict=True)
def test_layers_elsewhere():
    scene = Scene(instruments=("X-USD", "X-PERP"))
    for _ in range(3):
        layers = scene.layers()
        scene.wait(1)
        scene.new("A", BUY, 2, 105, name="X-PERP", tif="IOC")
        scene.cancel(*layers)
        scene.wait(8)
    assert scene.cases()


@blind_spot("a few cycles a day, hours apart: each is told as weak")
@pytest.mark.xfail(strict=True)
def test_cycles_far_apart():
    scene = Scene()
    for _ in range(4):
        scene.cycle()
        scene.wait(3_600)
    assert scene.cases()


def test_the_rate_of_a_day_is_asked_without_a_case_that_tells_by_itself():
    """Of small layers, so that none is large; size as small that was sold into had stayed."""
    scene = small(20, cycles=6)
    over_ns = scene.venue.now_ns
    scene.wait(3_600)
    scene.cycle(lots=2, pause_s=400)
    findings = scene.findings()
    assert any(each.all_legs for each in findings)
    late = [each for each in findings if each.window_start_ns > over_ns]
    assert {each.evidence for each in late} == {"weak"}
    for each in late:
        assert each.features["rate"].value < 1e-4 < each.features["rate_of_rest"].value


@pytest.mark.parametrize("pause_s", [20, 100])
def test_a_pair_that_is_a_case_by_the_days_pattern_alone_takes_the_lone_ones_with_it(pause_s):
    """Closer, they came oftener than chance, but the instrument's own rate does not agree."""
    scene = Scene(minutes=40)
    for _ in range(6):
        scene.layers(lots=10, price=103)
        scene.wait(2.5)
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(1)
        scene.new("B", SELL, 30, 101, tif="IOC")
        scene.wait(30)
    scene.wait(1_000)
    for _ in range(2):
        scene.cycle(delay_s=0.01)
        scene.wait(3_600)
    for _ in range(2):
        scene.cycle(delay_s=0.01, pause_s=pause_s)
    latest = {each.first_seq: each for each in scene.findings()}
    told = [each for each in latest.values() if each.all_legs]
    assert sum(each.features["cycles"].value for each in told) == 4


def test_layers_of_an_account_by_itself_are_set_aside_too():
    """The complex as one shows too much for its sister's layers to be beyond its habit."""
    scene = Scene()
    for n in range(60):
        scene.new("MM", BUY, 10, 40 - n % 20)
    scene.wait(1_500)
    for _ in range(6):
        scene.cycle(account="AFF", pause_s=30, delay_s=0.01)
    over_ns = scene.venue.now_ns
    scene.wait(3_600)
    scene.cycle(account="AFF", pause_s=400, delay_s=0.01)
    findings = scene.findings()
    assert any(each.all_legs for each in findings)
    late = [each for each in findings if each.window_start_ns > over_ns]
    assert {each.evidence for each in late} == {"weak"}


def test_an_order_made_small_and_withdrawn_later_is_two_alerts():
    """Both cite its entry, which names neither."""
    scene = Scene()
    layers = scene.layers(lots=30, count=1)
    scene.wait(2)
    scene.new("A", BUY, 2, 105, tif="IOC")
    scene.venue.replace(scene.name, layers[0], quantity=12)
    scene.wait(1_500)
    scene.new("A", BUY, 2, 105, tif="IOC")
    scene.cancel(*layers)
    scene.wait(1_500)
    findings = scene.findings()
    named = {(each.first_seq, each.first_accounts, each.revision) for each in findings}
    assert len(named) == len(findings)


@look_alike("one withdrawal after a fill, hours after a clear case")
def test_a_lone_cycle_is_weak_whatever_else_the_day_showed():
    findings = after_a_case(lone=1)
    assert {each.evidence for each in findings} == {"weak"}
    assert {each.features["set_aside"].value for each in findings} == {1}
    assert {each.features["rate_of_rest"].value for each in findings} == {1.0}


@blind_spot("up to three lone cycles of a day with a clear case: told as weak")
@pytest.mark.xfail(strict=True)
def test_three_lone_cycles_after_a_case():
    assert any(each.all_legs for each in after_a_case(lone=3))


def test_lone_cycles_after_a_case_are_told_once_they_are_a_pattern_without_it():
    findings = after_a_case(lone=4)
    latest = {each.first_seq: each for each in findings}
    assert [each.all_legs for each in latest.values()] == [True] * 4
    assert {each.features["large_cycles"].value for each in latest.values()} == {4}


@blind_spot("a few cycles that stand minutes, or half a minute after the fill: told as weak")
@pytest.mark.xfail(strict=True)
@pytest.mark.parametrize(("stands_s", "delay_s"), [(2, 40), (100, 2)])
def test_a_few_slow_cycles(stands_s, delay_s):
    assert slow(stands_s, delay_s).cases()


@blind_spot("small cycles after as many lone ones, which are then the desk's habit")
@pytest.mark.xfail(strict=True)
def test_small_lone_cycles_are_cover():
    assert after_lone_ones(6, lots=10, count=1).cases(least_trials=1)


@blind_spot("layers that come within seconds of a fill on the other side")
@pytest.mark.xfail(strict=True)
def test_layers_right_after_a_fill():
    scene = Scene(minutes=40)
    for _ in range(8):
        scene.new("B", BUY, 2, 105, tif="IOC")
        scene.wait(1)
        scene.cycle()
    assert scene.cases()


@blind_spot("one order a cycle that is small beside the sizes its maker shows")
@pytest.mark.xfail(strict=True)
def test_one_small_order():
    scene = Scene()
    for _ in range(3):
        scene.cycle(lots=2, count=1)
    assert scene.cases()


@blind_spot("two cycles among an instrument's first filled surges of a day: mostly told as weak")
@pytest.mark.xfail(strict=True)
def test_two_cycles_before_there_is_a_rate():
    scene = Scene()
    scene.cycle()
    scene.cycle()
    assert scene.cases()


def test_every_look_alike_and_blind_spot_of_the_spec_has_its_test():
    assert set(LOOK_ALIKES) == set(Spoofing.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(Spoofing.spec.blind_spots)


# --- the window ---------------------------------------------------------------------------------


def test_surges_older_than_the_window_are_forgotten():
    def trials(wait_s):
        scene = Scene()
        stayed(scene)
        scene.wait(wait_s)
        scene.cycle()
        return scene.findings(window_s=3_600)[0].features["surges_with_fill"].value

    assert trials(600) == 7
    assert trials(3_700) == 1


@pytest.mark.parametrize("hours", [2, 30])
def test_when_the_next_event_comes_says_nothing_of_a_cycle(hours):
    """The blocks of the window that are counted are those up to the cycle's own deadline."""

    def findings(early):
        scene = Scene()
        for _ in range(2):
            scene.cycle()
        scene.cycle(pause_s=0)
        if early:
            scene.venue.now_ns += 3 * SECOND
            scene.new("B", BUY, 1, 2)
        scene.venue.now_ns += hours * 3_600 * SECOND
        return scene.findings(window_s=3_600)

    assert findings(early=True) == findings(early=False)


def test_surges_that_an_event_finds_over_are_counted_in_order_of_their_deadlines():
    """A maker's ends before the group's, though the complex comes first among the parties."""

    def findings(between):
        scene = Scene()
        for _ in range(2):
            scene.cycle()
        others, layers = scene.layers("X1", price=97), scene.layers()
        scene.new("X1", SELL, 2, 104)
        scene.wait(2)
        scene.new("A", BUY, 2, 104, tif="IOC")
        scene.new("A", BUY, 2, 105, tif="IOC")
        scene.wait(0.5)
        scene.cancel(*others)
        scene.wait(0.4)
        scene.cancel(*layers)
        if between:
            scene.wait(0.8)
            scene.new("B", BUY, 1, 2)
        scene.wait(5 - 0.8 * between)
        scene.new("B", BUY, 1, 2)
        return scene.findings()

    assert findings(between=True) == findings(between=False)
    assert findings(between=False)[-1].features["peer_cycles"].value > 0


def test_external_makers_count_for_as_long_as_they_show_anything():
    scene = Scene(roles=ROLES | {"X3": "external_mm"}, minutes=30)
    scene.new("X3", BUY, 9, 97)
    scene.cycle()
    (lone,) = scene.findings()
    assert lone.features["peer_time"].value == pytest.approx(2 * 0.5, rel=0.05)


def test_external_makers_time_is_that_of_the_window():
    scene = Scene(minutes=200)
    scene.cycle()
    (lone,) = scene.findings(window_s=3_600)
    assert 2 * 5 / 6 <= lone.features["peer_time"].value <= 2.0


# --- state ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 50])
def test_cuts_change_nothing(size):
    scene = Scene()
    scene.cycle()
    scene.cycle()
    whole, cuts = Scene(), Scene()
    for each in (whole, cuts):
        each.cycle(account="AFF")
        each.cycle()
    assert whole.findings() == cuts.findings(size)


def test_orders_beyond_the_bound_are_counted():
    scene = Scene(minutes=0)
    for n in range(layers_state.FULL):
        scene.new("MM", BUY, 1, 3 + n % 90)
    table = instruments_of(scene.rows)
    accounts = [{"account": a, "owner": a, "role": r} for a, r in scene.roles.items()]
    detector = Spoofing(SpoofingParams(), table)
    detector.step(Books(table).apply(to_batch(scene.venue.records, table, accounts)))
    assert detector.overflow == 6


def test_the_median_is_that_of_sorted_values_whatever_the_guess():
    rng = np.random.default_rng(4)
    for _ in range(300):
        values = rng.integers(0, int(rng.integers(1, 60)), int(rng.integers(1, 97)))
        guess = int(rng.integers(-5, 70))
        assert layers_kernel.median(values, guess) == np.sort(values)[len(values) // 2]


def test_the_table_of_orders_agrees_with_a_dictionary():
    """Linear probing with the gap closed behind what leaves, against a plain dict."""
    rng = np.random.default_rng(5)
    table = np.zeros((layers_state.ORDERS, layers_state.ORDER_FIELDS), np.int64)
    held = {}
    for _ in range(5_000):
        key = int(rng.integers(1, 500))
        at = layers_orders.find(table, key)
        assert (table[at, 0] == key) == (key in held)
        if key in held and rng.random() < 0.6:
            assert table[at, 1] == held.pop(key)
            layers_orders.drop(table, at)
        elif len(held) < layers_state.FULL:
            held[key] = int(rng.integers(1, 99))
            table[at, 0], table[at, 1] = key, held[key]
    assert int((table[:, 0] != 0).sum()) == len(held)


# --- large cycles of a day ------------------------------------------------------------------------


def test_lone_cycles_as_large_as_nobody_else_s_are_told_with_those_before():
    scene = Scene(minutes=3)
    for _ in range(6):
        scene.cycle(delay_s=0.05)
        scene.wait(1_200)
    told = scene.cases()
    assert len({hit.first_seq for hit in told}) == 6
    last = told[-1].features
    assert (last["large_cycles"].value, last["large_cycles"].baseline) == (6, 0)
    assert last["large_from"].value in (1, 2, 4)
    assert last["as_large"].value <= last["as_large"].baseline
    assert scene.cases(large_level=0.0) == []


def test_a_cycle_that_went_no_sooner_than_not_is_no_part_of_the_pattern():
    scene = Scene(minutes=3)
    late = (2, 6)
    for n in range(7):
        scene.cycle(delay_s=6.0 if n in late else 0.05)
        scene.wait(1_200)
    told, with_all = (
        {hit.first_seq for hit in scene.cases(**options)} for options in ({}, {"sooner_p": 1.0})
    )
    assert (len(told), len(with_all)) == (5, 7)
    assert told < with_all


def test_size_that_goes_at_any_time_is_no_pattern():
    """As large, as often, but half of the time that it stood after the fill: by chance."""
    scene = Scene(minutes=3)
    for _ in range(6):
        scene.cycle(delay_s=6.0)
        scene.wait(1_200)
    assert scene.cases() == []


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_cuts_change_nothing_of_large_cycles(size):
    scene = Scene(minutes=3)
    for _ in range(5):
        scene.cycle(delay_s=0.05)
        scene.wait(1_200)
    assert scene.findings(size=size) == scene.findings()
