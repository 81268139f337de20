"""stop_hunting: hits, near misses, one innocent case per look-alike, one xfail per blind spot.

Orders go through the test venue and the book, so that what is judged is what a feed would show.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from detectors import hunt_rates, hunt_together
from detectors.book import Books
from detectors.examples import example_instruments
from detectors.hunt_chance import as_rare, chance_of
from detectors.hunt_hedge import FILL_FIELDS, FILLS, N_NET, NET_FIELDS, beyond, traded
from detectors.hunt_quotes import ADDED, BY_SIZE, HEAD_OWN, SIZES, USUAL, counted
from detectors.hunt_rates import GROUP, MAX_WAITING, Day, HuntRates, Tally
from detectors.hunt_runs import Catch, Push, Run
from detectors.hunt_together import Family, Strange
from detectors.stop_hunting import StopHunting, StopHuntingParams
from ingest.names import Names
from tests.support.claims import claims
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND, MS = 10**9, 10**6
MOMENTS = 1_500
START = 1_763_900_000 * SECOND
ROLES = {
    "MM": "affiliated_mm",
    "AFF": "affiliated",
    "STAFF": "staff",
    "HOUSE": "house",
    "X1": "external_mm",
    "X2": "external_mm",
    "NOM": "client",
    **{f"C{n}": "client" for n in range(1, 10)},
}
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """A venue with one instrument, tick and lot 1, and what the detector says of its feed.

    `up` = -1 mirrors all prices and sides.
    """

    def __init__(self, up=1, stp="cancel_resting"):
        self.up = up
        self.rows = [
            {"instrument": "X-USD", "base": "X", "quote": "USD", "kind": "spot"}
            | {"tick_size": "1", "lot_size": "1", "matching": "price_time"}
        ]
        self.venue = Venue(self.rows, ROLES, {n: n for n in ROLES}, stp=stp, start_ns=START)

    def side(self, buys):
        return "buy" if buys == (self.up > 0) else "sell"

    def price(self, ticks):
        return 10_000 + self.up * ticks

    def new(self, account, buys, lots, ticks=None, **options):
        price = None if ticks is None else self.price(ticks)
        return self.venue.new("X-USD", account, self.side(buys), lots, price, **options)

    def stop(self, account, ticks, lots=10):
        at = self.price(ticks)
        side = self.side(True)
        return self.venue.new("X-USD", account, side, lots, kind="stop", stop_price=at)

    def stops(self):
        """Two clients' stops, between the touch and where the maker waits."""
        self.stop("C1", 7)
        self.stop("C2", 8)

    def push(self):
        """Let the maker take through the stops soon after, and the price come back."""
        self.wait(50)
        self.new("MM", True, 150, 10, tif="IOC")
        self.back()

    def sells(self, lots=150):
        """Have a client buy of the maker, which so has to hedge, inside the spread."""
        self.new("MM", False, lots, -6)
        self.new("C9", True, lots, -6, tif="IOC")

    def wait(self, ms):
        self.venue.now_ns += int(ms * MS)

    def habit(self, orders=1):
        """Have the maker quote, beyond all that happens, and move its quotes for a while."""
        self.passes(MOMENTS)
        quotes = [self.new("MM", False, 20, 60 + n) for n in range(orders)]
        for move in range(8):
            self.wait(1_000)
            for n, quote in enumerate(quotes):
                self.venue.replace("X-USD", quote, price=self.price(60 + n + move % 2 * 3))
        return quotes

    def passes(self, trades, taker="C9"):
        """Let clients trade with each other within the spread, with nothing added before."""
        for _ in range(trades):
            self.wait(1_000)
            self.new("C8", False, 1, -5)
            self.new(taker, True, 1, -5, tif="IOC")

    def book(self, far=30):
        """Fill the book: 50 lots at 0, 5 and 10 ticks, more at `far`."""
        self.new("X1", True, 400, -10)
        for ticks, account in ((0, "X2"), (5, "X1"), (10, "X2")):
            self.new(account, False, 50, ticks)
        if far:
            self.new("X1", False, 200, far)

    def back(self, ticks=0):
        """Quote where the touch was, and let a minute pass."""
        self.wait(500)
        self.new("X2", False, 50, ticks)
        self.wait(500)
        self.new("C9", True, 1, -50)
        self.wait(90_000)
        self.new("C9", True, 1, -51)

    def found(self, size=None, **params):
        table = instruments_of(self.rows)
        accounts = [{"account": a, "owner": a, "role": r} for a, r in ROLES.items()]
        self.names = Names()
        books = Books(table)
        detector = StopHunting(StopHuntingParams(**params), table)
        batch = to_batch(self.venue.records, table, accounts, self.names)
        found = [f for part in batches(batch, size) for f in detector.step(books.apply(part))]
        self.overflow = detector.overflow
        return found

    def people(self, finding):
        return [self.names.name(code) for code in finding.accounts]


def hunt(scene=None, *, pushers=("MM",), pause_ms=0, catch=15, stops=2, back=0, far=30, lead=50):
    """The maker waits at 12 ticks beyond stops at 7 to 10; `pushers` take what stands before."""
    scene = scene or Scene()
    scene.book(far)
    scene.habit()
    for n in range(stops):
        scene.stop(f"C{n + 1}", 7 + n)
    scene.wait(1_000)
    if catch:
        scene.catch = scene.new("MM", False, catch, 12, tif="POST_ONLY")
    scene.wait(lead)
    for n, account in enumerate(pushers):
        scene.wait(pause_ms if n else 0)
        last = n == len(pushers) - 1
        lots = 150 - 50 * n if last else 50
        scene.new(account, True, lots, 10 if last else 5 * n, tif="IOC")
    if back is not None:
        scene.back(back)
    return scene


# --- hits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", [1, -1])
def test_a_push_through_two_stops_caught_by_a_waiting_order_is_a_case(up):
    scene = hunt(Scene(up))
    (hit,) = scene.found()
    assert (hit.evidence, hit.all_legs, hit.significant) == ("supported", True, False)
    assert scene.people(hit) == ["MM", "C1", "C2"]
    values = {name: feature.value for name, feature in hit.features.items()}
    assert values["stops"] == values["clients"] == 2
    assert (values["filled"], values["caught"], values["prepared"]) == (20.0, 15.0, 15.0)
    assert (values["push"], values["orders_added"]) == (10, 1)
    assert values["chance"] <= hit.features["chance"].baseline
    assert values["reverted"] > 0.5
    # 15 lots at 12 and 5 at 30 ticks; the mid before was -5.
    assert hit.client_harm == 15 * 17 + 5 * 35
    assert hit.detected_ns == hit.window_end_ns + 60 * SECOND
    assert hit.status == "confirmed"


def test_the_case_cites_the_orders_that_pushed_caught_and_triggered():
    scene = hunt()
    (hit,) = scene.found()
    by_seq = {record["seq"]: record for record in scene.venue.records}
    cited = [by_seq[ref.seq] for ref in hit.evidence_refs]
    ids = {record.get("order_id") for record in cited} - {None}
    stops = {r["order_id"] for r in scene.venue.records if r.get("action") == "trigger"}
    assert ids >= {scene.catch, *stops}
    assert len(ids) == 4


def test_a_stop_that_others_met_is_kept_as_evidence_and_not_named():
    scene = hunt(catch=10)
    (hit,) = scene.found()
    by_seq = {record["seq"]: record for record in scene.venue.records}
    triggers = [r for r in scene.venue.records if r.get("action") == "trigger"]
    stops = {record["order_id"]: record["account"] for record in triggers}
    cited, kept = (
        {stops.get(by_seq[ref.seq].get("order_id")) for ref in refs} - {None}
        for refs in (hit.evidence_refs, hit.context_refs)
    )
    assert (cited, kept) == ({"C1"}, {"C2"})
    assert hit.features["stops"].value == 2


@pytest.mark.parametrize("pushers", [("AFF",), ("STAFF",), ("MM", "AFF", "STAFF"), ("AFF", "MM")])
def test_a_push_is_the_complex_s_whoever_of_it_makes_it(pushers):
    (hit,) = hunt(pushers=pushers, pause_ms=700).found()
    assert hit.all_legs
    assert hit.features["push_orders"].value == len(pushers)


@pytest.mark.parametrize("lead_ms", [0.1, 10, 400, 4_000])
def test_how_long_the_order_waits_does_not_matter_within_seconds(lead_ms):
    (hit,) = hunt(lead=lead_ms).found()
    assert hit.all_legs


@pytest.mark.parametrize("size", [1, 7, 20])
def test_batches_change_nothing(size):
    scene = hunt(pushers=("MM", "AFF"), pause_ms=300)
    assert scene.found(size) == scene.found()


def test_what_a_stop_s_fills_trigger_belongs_to_the_same_run():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.stop("C1", 9, lots=30)
    scene.stop("C2", 30, lots=10)
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found()
    assert hit.features["stops"].value == 2


def test_orders_added_behind_the_quotes_that_catch_are_as_good():
    """What triggers meets the maker's quote, which was moved, before the two that it added."""
    scene = Scene()
    scene.book(far=None)
    quote = scene.new("MM", False, 20, 60)
    for move in range(8):
        scene.wait(1_000)
        scene.venue.replace("X-USD", quote, price=scene.price(11 + move % 2))
    scene.passes(MOMENTS)
    scene.stops()
    for ticks in (13, 14):
        scene.new("MM", False, 15, ticks, tif="POST_ONLY")
    scene.wait(50)
    scene.new("X2", False, 50, 0)
    scene.new("MM", True, 200, 10, tif="IOC")
    scene.back()
    hit = scene.found()[-1]
    assert (hit.evidence, hit.all_legs) == ("supported", True)
    values = {name: feature.value for name, feature in hit.features.items()}
    assert (values["orders_added"], values["prepared"], values["caught"]) == (2, 0.0, 20.0)


def withdrawn(*, again=False, hit=False):
    """The maker withdraws all quotes and waits with one order beyond the stops.

    `again`: it quotes on the other side again; `hit`: there one was filled, and the rest withdrawn.
    """
    scene = Scene()
    scene.book()
    quotes = scene.habit(orders=2)
    bids = [scene.new("MM", True, 20, ticks) for ticks in (-9, -60)]
    scene.wait(6_000)
    scene.stops()
    if hit:
        scene.new("C5", False, 20, -9, tif="IOC")
    for quote in quotes + bids[hit:]:
        scene.venue.cancel("X-USD", quote)
    scene.new("MM", False, 20, 12, tif="POST_ONLY")
    if again:
        scene.new("MM", True, 20, -9)
    scene.push()
    return scene


def test_an_order_that_waits_where_all_other_quotes_were_withdrawn_is_added():
    (hit,) = withdrawn().found()
    assert (hit.evidence, hit.all_legs, hit.features["orders_added"].value) == (
        "supported",
        True,
        1,
    )


def thinned(*, rest="user", both=False, after=None, sized=20, amend=False):
    """The maker, which often takes, leaves one order beyond the stops in place of its three asks.

    `rest`: why they go; `both`: its bids are set anew in the same round; `after`: what it does
    then; `sized`: lots of the order that is left, `amend`: entered small.
    """
    scene = Scene()
    scene.book()
    scene.passes(MOMENTS, taker="MM")
    asks = scene.habit(orders=3)
    bids = [scene.new("MM", True, 20, -9 - n) for n in range(3)]
    for n in range(USUAL):
        scene.wait(1_000)
        for bid in bids:
            scene.venue.replace("X-USD", bid, quantity=20 + n % 2)
    scene.wait(6_000)
    scene.stops()
    lone = scene.new("MM", False, 20 if amend else sized, 12, tif="POST_ONLY")
    if amend:
        scene.venue.replace("X-USD", lone, quantity=sized)
    for ask in asks if rest else ():
        scene.venue.cancel("X-USD", ask, reason=rest)
    if both:
        for n, bid in enumerate(bids):
            scene.venue.cancel("X-USD", bid)
            scene.new("MM", True, 20, -11 - n)
    if after == "cancels a bid":
        scene.wait(500)
        scene.venue.cancel("X-USD", bids[0])
    scene.push()
    return scene


@pytest.mark.parametrize("after", [None, "cancels a bid"])
def test_one_order_in_place_of_the_quotes_of_its_side_is_added(after):
    (hit,) = thinned(after=after).found()
    assert (hit.evidence, hit.all_legs) == ("supported", True)
    assert hit.features["orders_added"].value == 3  # as many as there usually are


@look_alike("quotes of one side taken away by a rule of the venue")
@pytest.mark.parametrize("rest", ["mmp", "stp", "disconnect", "kill", "expiry"])
def test_quotes_taken_away_by_a_rule_of_the_venue_add_nothing(rest):
    (hit,) = thinned(rest=rest).found()
    assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


def test_quotes_of_both_sides_set_anew_in_one_round_add_nothing():
    (hit,) = thinned(both=True).found()
    assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


@pytest.mark.parametrize("amend", [False, True])
@pytest.mark.parametrize(("lots", "added"), [(20, 1), (31, 1), (32, 2), (160, 8)])
def test_an_order_counts_as_as_many_as_it_is_usual_ones(lots, added, amend):
    (hit,) = thinned(rest=None, sized=lots, amend=amend).found()
    # A fourth beside the three that usually are there; 16 to 31 lots are one.
    assert (hit.features["orders_added"].value, hit.evidence) == (added, "supported")


@look_alike("a desk that thins out one side whenever it hedges")
def test_a_side_thinned_out_whenever_the_group_takes_is_no_sign():
    scene = Scene()
    scene.book()
    scene.passes(MOMENTS)
    for n in range(3):
        scene.new("MM", True, 20, -12 - n)
    for round_ in range(12):
        asks = [scene.new("MM", False, 20, 60 + n) for n in range(3)]
        for _ in range(8):
            scene.wait(1_000)
            for n, ask in enumerate(asks):
                scene.venue.replace("X-USD", ask, price=scene.price(70 + n + round_ % 2))
        if round_ == 11:
            scene.stops()
        scene.wait(6_000)
        lone = scene.new("MM", False, 20, 12, tif="POST_ONLY")
        for ask in asks:
            scene.venue.cancel("X-USD", ask)
        scene.wait(500)
        scene.new("MM", True, 150 if round_ == 11 else 40, 10, tif="IOC")
        if round_ < 11:
            scene.new("X2", False, 40, 0)
            scene.venue.cancel("X-USD", lone)
    scene.back()
    hit = scene.found()[-1]
    assert hit.features["orders_added"].value == 3
    assert hit.evidence == "weak"
    assert hit.features["chance_added"].value > 0.05


@pytest.mark.parametrize("largest", [20, 200])
def test_a_ladder_set_anew_is_no_case_though_its_last_order_is_large(largest):
    """The maker's asks are all there again before it hedges through the stops."""
    scene, sizes = Scene(), (20, 20, largest)
    scene.book()
    scene.passes(MOMENTS, taker="MM")
    asks = [scene.new("MM", False, lots, 60 + n) for n, lots in enumerate(sizes)]
    bids = [scene.new("MM", True, lots, -9 - n) for n, lots in enumerate(sizes)]
    for n in range(2 * USUAL):
        scene.wait(1_000)
        for buys, quotes, ticks in ((False, asks, 60), (True, bids, -10)):
            for rung in range(2):  # the large ones stay
                scene.venue.cancel("X-USD", quotes[rung])
                quotes[rung] = scene.new("MM", buys, 20, ticks + (-rung if buys else rung) + n % 2)
    scene.sells()
    scene.wait(6_000)
    scene.stops()
    for ask in asks:
        scene.venue.cancel("X-USD", ask)
    for n, lots in enumerate(sizes):
        scene.new("MM", False, lots, 12 + n, tif="POST_ONLY")
    scene.push()
    (hit,) = scene.found()
    assert (hit.evidence, hit.features["beyond_hedge"].value) == ("weak", 0.0)


@pytest.mark.parametrize(("sold", "evidence"), [(0, "supported"), (70, "supported"), (80, "weak")])
def test_of_a_first_push_that_no_hedge_calls_for_less_is_asked(sold, evidence):
    """A desk's first run of the day: how often it has such orders is hardly known yet."""
    scene = Scene()
    scene.book()
    scene.habit(orders=3)
    scene.wait(6_000)
    if sold:
        scene.sells(sold)
    scene.stops()
    scene.new("MM", False, 5, 12, tif="POST_ONLY")
    scene.push()
    for few, told in ((0.009, evidence), (0.0, "weak")):
        (hit,) = scene.found(case_chance=1e-6, few_chance=few)
        assert (hit.evidence, hit.features["beyond_hedge"].value) == (told, 150 - sold)


@pytest.mark.parametrize("other", [None, 20, 160])
def test_one_order_on_the_other_side_hides_none_of_those_added(other):
    scene = Scene()
    scene.book(far=None)
    scene.habit(orders=2)
    scene.new("MM", True, 20, -9)
    for n in range(USUAL):  # the maker's sizes are known
        scene.venue.cancel("X-USD", scene.new("MM", True, 20, -20 - n % 2))
    scene.wait(6_000)
    scene.stops()
    if other:
        scene.new("MM", True, other, -500)
    for ticks in (12, 13, 14):
        scene.new("MM", False, 20, ticks, tif="POST_ONLY")
    scene.push()
    (hit,) = scene.found()
    assert (hit.evidence, hit.all_legs) == ("supported", True)
    assert hit.features["orders_added"].value == (2 if other else 3)


def far_behind(*, ticks=12, other=None, moved=False):
    """The maker quotes three ticks behind the touch, takes its ask away, and waits far behind it.

    `other`: ticks at which it buys then too; `moved`: it moves a quote there, and enters none.
    """
    scene = Scene()
    scene.book(far=None)
    scene.passes(MOMENTS, taker="MM")
    ask = scene.new("MM", False, 20, 3)
    for n in range(USUAL):
        scene.venue.cancel("X-USD", ask)
        ask = scene.new("MM", False, 20, 3 + n % 2)
        scene.wait(1_000)
    if not moved:
        scene.venue.cancel("X-USD", ask)
    scene.wait(6_000)
    scene.stops()
    if other:
        scene.new("MM", True, 20, other, tif="POST_ONLY")
    if moved:
        scene.venue.replace("X-USD", ask, price=scene.price(ticks), received_ns=scene.venue.now_ns)
    else:
        scene.new("MM", False, 20, ticks, tif="POST_ONLY")
    scene.push()
    return scene


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize(("ticks", "added"), [(12, 2), (20, 4), (200, 7)])
def test_an_order_far_behind_where_the_maker_quotes_counts_as_many(ticks, added, moved):
    """Though it only takes the place of one that was away: 3 or 4 ticks are usual here."""
    (hit,) = far_behind(ticks=ticks, moved=moved).found()
    assert hit.features["orders_added"].value == added
    assert (hit.evidence, hit.all_legs) == ("supported", True)


def test_an_order_that_is_moved_back_from_far_away_counts_as_one():
    scene = Scene()
    scene.book(far=None)
    scene.passes(MOMENTS, taker="MM")
    for n in range(USUAL):
        scene.venue.cancel("X-USD", scene.new("MM", False, 20, 3 + n % 2))
        scene.wait(1_000)
    scene.wait(6_000)
    scene.stops()
    order = scene.new("MM", False, 20, 200, tif="POST_ONLY")
    scene.venue.replace("X-USD", order, price=scene.price(11), received_ns=scene.venue.now_ns)
    scene.push()
    (hit,) = scene.found()
    assert hit.features["orders_added"].value == 0


@pytest.mark.parametrize("pieces", [3, 300])
def test_a_hedge_that_meets_many_small_orders_is_one(pieces):
    """What it got by its quotes is not forgotten for its own fills."""
    net, fills = np.zeros(NET_FIELDS, np.int64), np.zeros((FILLS, FILL_FIELDS), np.int64)
    for n in range(200):
        traded(net, fills, n, -3, START + n, 60 * SECOND)
    for _ in range(pieces):
        traded(net, fills, 1_000, 600 // pieces, START + 300, 60 * SECOND)
    assert beyond(net, 1, START + 300, 60 * SECOND) == 0
    assert net[N_NET] == 0
    later = START + 61 * SECOND
    traded(net, fills, 1_001, 5, later, 60 * SECOND)
    assert beyond(net, 1, later, 60 * SECOND) == 5


def test_where_more_traded_than_is_kept_any_push_may_be_a_hedge():
    net, fills = np.zeros(NET_FIELDS, np.int64), np.zeros((FILLS, FILL_FIELDS), np.int64)
    for n in range(FILLS + 1):
        traded(net, fills, n, 3, START + n, 60 * SECOND)
    assert net[N_NET] == 3 * FILLS
    assert beyond(net, 1, START + FILLS, 60 * SECOND) == 0
    assert beyond(net, 1, START + 60 * SECOND + 1, 60 * SECOND) == 3 * FILLS


def test_an_order_as_far_away_as_the_makers_usual_ones_takes_the_place_of_a_quote():
    scene = Scene()
    scene.book(far=None)
    scene.passes(MOMENTS, taker="MM")
    for n in range(2 * USUAL):  # one in ten is far away
        scene.venue.cancel("X-USD", scene.new("MM", False, 20, 20 if n % 10 == 0 else 3))
        scene.wait(1_000)
    scene.wait(6_000)
    scene.stops()
    scene.new("MM", False, 20, 20, tif="POST_ONLY")
    scene.push()
    (hit,) = scene.found()
    assert hit.features["orders_added"].value == 0


@pytest.mark.parametrize("options", [{"other": -60}, {"ticks": 11}, {"ticks": 11, "moved": True}])
def test_a_maker_that_steps_back_or_moves_a_quote_a_little_adds_none(options):
    """Nor does one that waits at less than three times its usual distance."""
    (hit,) = far_behind(**{"ticks": 20, **options}).found()
    assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 10**6), max_size=3 * USUAL), st.integers(1, 10**9))
def test_no_order_counts_as_less_than_one_and_only_unusual_ones_as_more(sizes, lots):
    head, seen = np.zeros(HEAD_OWN, np.int64), np.zeros((2, SIZES + 1), np.int64)
    for each in sizes:
        counted(head, seen, BY_SIZE, each)
    count = counted(head, seen, BY_SIZE, lots)
    assert 1 <= count <= ADDED
    assert seen[BY_SIZE, -1] == seen[BY_SIZE, :-1].sum() == len(sizes) + 1
    larger = sum(each.bit_length() >= lots.bit_length() for each in sizes)
    assert (count > 1) == (len(sizes) >= USUAL and larger * USUAL <= len(sizes))


def turned(*, after_ms=300, taker="MM", met=0, pusher="MM", sold=0):
    """The maker pushes through stop-limits that rest then, and sells to them.

    `met`: lots of another stop that meet the maker's standing quotes; `sold`: what it has to hedge.
    """
    scene = Scene()
    scene.book(far=None if met else 30)
    scene.habit(orders=2)
    if met:
        scene.stop("C3", 6, lots=met)
    for n, client in enumerate(("C1", "C2")):
        options = {"kind": "stop_limit", "stop_price": scene.price(7 + n)}
        scene.new(client, True, 5, 8 + n, **options)
    if sold:
        scene.sells(sold)
    scene.wait(1_000)
    scene.new(pusher, True, 150, 10, tif="IOC")
    scene.wait(after_ms)
    scene.new(taker, False, 10, 8, tif="IOC")
    scene.back()
    return scene


def test_a_push_that_turns_and_takes_the_stop_limits_it_triggered_is_a_case():
    """Where it takes of others' runs so seldom that turning on one is rare too."""
    scene = turned()
    (hit,) = scene.found(usual_caught_ratio=0.1)
    assert (hit.evidence, hit.all_legs) == ("supported", True)
    assert scene.people(hit) == ["MM", "C1", "C2"]
    values = {name: feature.value for name, feature in hit.features.items()}
    assert (values["caught"], values["taken"], values["orders_added"]) == (10.0, 10.0, 0)
    assert (values["chance_turned"], values["chance_fresh"]) == (0.001, 1.0)
    (hit,) = scene.found(few_chance=0.0)
    assert (hit.evidence, hit.features["chance_turned"].value) == ("weak", 0.008)
    cited = {ref.seq for ref in hit.evidence_refs}
    (take,) = [
        r["seq"]
        for r in scene.venue.records
        if r.get("action") == "new" and r["account"] == "MM" and r["side"] == "sell"
        and r["tif"] == "IOC"
    ]  # fmt: skip
    assert take in cited


def test_a_stop_that_the_fill_of_a_resting_stop_limit_triggers_belongs_to_the_same_run():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.new("C1", True, 10, 12, kind="stop_limit", stop_price=scene.price(7))
    scene.stop("C2", 11, lots=1)
    scene.wait(1_000)
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.wait(300)
    scene.new("MM", False, 10, 12, tif="IOC")
    scene.back()
    (hit,) = scene.found(usual_caught_ratio=0.1)
    assert (hit.all_legs, hit.features["stops"].value) == (True, 2)


@pytest.mark.parametrize(("ordinary", "least"), [(0, 3e-4), (1, 3e-4), (20, 3e-4 / 21)])
def test_one_strange_run_among_many_that_are_not_must_be_as_rare_as_the_rarest_of_them(
    ordinary, least
):
    tally, params = Tally(party=GROUP), StopHuntingParams()
    for chance in [*[0.6] * ordinary, 2e-4]:
        tally.ran(10, 0.0, fresh=False, turned=False, beside=False)
        tally.add(chance, params.strange_chance)
    assert tally.limit(3e-4, params.agreeing_chance, 0.0) == least
    runs = ordinary + 1
    few = tally.limit(3e-4, params.agreeing_chance, 0.009) - least
    assert few == pytest.approx(0.009 / (runs * (runs + 1)))


def test_several_strange_ones_among_them_need_not_be():
    tally, params = Tally(party=GROUP), StopHuntingParams()
    for chance in [*[0.6] * 20, *[2e-4] * 4]:
        tally.ran(10, 0.0, fresh=False, turned=False, beside=False)
        tally.add(chance, params.strange_chance)
    assert tally.limit(3e-4, params.agreeing_chance, 0.0) == 3e-4


def test_stops_that_others_run_after_the_group_prepared_belong_to_the_cluster():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.stop("C1", 0, lots=1)
    scene.stop("C2", 7)
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.wait(20)
    scene.new("C5", True, 1, 0, tif="IOC")
    scene.wait(20)
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found(case_chance=1e-3)
    assert (hit.all_legs, hit.features["stops"].value, hit.features["cluster"].value) == (
        True,
        1,
        2,
    )


@pytest.mark.parametrize("account", ["AFF", "HOUSE"])
def test_what_another_of_the_group_takes_away_hides_nothing_that_was_added(account):
    scene = Scene()
    scene.book()
    other = scene.new(account, False, 5, 80)
    scene.habit()
    scene.stops()
    scene.venue.cancel("X-USD", other)
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.push()
    (hit,) = scene.found()
    assert hit.all_legs


def test_orders_added_on_both_sides_are_no_preparation():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.new("MM", True, 20, -60)
    scene.wait(6_000)
    scene.stops()
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    for ticks in (-61, -62):
        scene.new("MM", True, 15, ticks, tif="POST_ONLY")
    scene.push()
    (hit,) = scene.found()
    assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


def finished(beside):
    """A client takes the last of what stands before the stops; the group, perhaps, the first."""
    scene = Scene()
    scene.book()
    scene.new("X1", False, 80, 0)
    scene.habit()
    scene.stops()
    scene.new("MM", False, 20, 12, tif="POST_ONLY")
    scene.wait(50)
    if beside:
        scene.new("AFF", True, 130, 0, tif="IOC")
        scene.wait(50)
    scene.new("C5", True, 230 - 130 * beside, 10, tif="IOC")
    scene.back()
    return scene


def test_a_run_that_another_finishes_is_a_case_where_the_group_pushed_beside():
    scene = finished(beside=True)
    (hit,) = scene.found(client_chance=1e-4)
    assert (hit.evidence, hit.all_legs) == ("supported", True)
    assert scene.people(hit)[:3] == ["C5", "AFF", "MM"]
    values = {name: feature.value for name, feature in hit.features.items()}
    assert (values["pushed_beside"], values["chance_beside"]) == (130.0, 0.2)
    assert finished(beside=False).found(client_chance=1e-4) == []


def test_legs_rare_enough_make_a_case_though_the_price_stays():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.stops()
    scene.new("MM", False, 20, 12, tif="POST_ONLY")
    scene.wait(50)
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back(30)
    (hit,) = scene.found(case_chance=1e-3, lasting_weight=0.2)
    assert (hit.evidence, hit.all_legs, hit.significant) == ("supported", False, True)
    assert hit.features["reverted"].value <= 0


def test_a_push_that_takes_the_touch_alone_is_one_where_others_had_swept_the_rest():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.new("C5", True, 100, 5, tif="IOC")
    scene.stop("C1", 9)
    scene.stop("C2", 10)
    scene.new("MM", True, 50, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found(case_chance=1e-3)
    assert (hit.all_legs, hit.features["push"].value, hit.features["stops"].value) == (True, 0, 2)


def test_a_gap_marks_the_case_incomplete():
    scene = Scene()
    scene.venue.new("X-USD", "C8", "sell", 5, 10_900)
    scene.venue.lose("X-USD", 2)
    scene.venue.new("X-USD", "C8", "sell", 5, 10_901)
    scene.venue.new("X-USD", "C8", "sell", 5, 10_902)
    found = hunt(scene).found()
    assert [(f.coverage, f.status) for f in found] in (
        [("incomplete", "provisional")],
        [("complete", "confirmed")],  # where the feed is not told of the loss
    )


# --- near misses and what innocence looks like ----------------------------------------------------


def test_opposite_orders_of_the_complex_net_a_push_out():
    scene = Scene(stp="off")
    scene.book()
    scene.habit()
    scene.stops()
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.new("AFF", True, 50, 0, tif="IOC")
    scene.new("STAFF", False, 300, -10, tif="IOC")
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    assert scene.found() == []


@look_alike("news or an outside move triggers stops, with no push by the group")
def test_stops_that_the_market_triggers_are_nobody_s():
    scene = hunt(pushers=("C5", "C6"), pause_ms=100)
    assert scene.found() == []


@look_alike("a large client order runs the stops")
def test_a_large_client_order_is_no_hunt_of_the_group():
    assert hunt(pushers=("C5",)).found() == []


@look_alike("group's fills against stops that an external maker's hedge ran")
def test_an_external_maker_s_hedge_is_no_hunt_of_the_group():
    assert hunt(pushers=("X2",), catch=20).found() == []


@look_alike("a maker's standing quotes are what a triggered stop hits")
def test_standing_quotes_are_weak():
    scene = Scene()
    scene.book(far=None)
    scene.habit(orders=2)
    scene.stops()
    scene.wait(1_000)
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found()
    assert (hit.evidence, hit.all_legs, hit.significant) == ("weak", False, False)
    assert hit.features["caught"].value == 20.0
    assert hit.features["prepared"].value == 0.0


def test_quotes_entered_again_are_no_prepared_orders():
    scene = Scene()
    scene.book(far=None)
    quote = scene.new("MM", False, 20, 60)
    for _ in range(6):
        scene.wait(1_000)
        scene.venue.cancel("X-USD", quote)
        quote = scene.new("MM", False, 20, 20)
    scene.stops()
    scene.wait(100)
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found()
    assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


@look_alike("quotes withdrawn, and entered again on both sides, or on one where the other was hit")
def test_quotes_withdrawn_and_entered_again_are_no_added_orders():
    for options in ({"again": True}, {"hit": True}):
        (hit,) = withdrawn(**options).found()
        assert (hit.evidence, hit.features["orders_added"].value) == ("weak", 0)


@look_alike("what rests of stops and is taken later, or by others, or beside more that was met")
def test_what_rests_of_stops_may_be_taken_for_other_reasons():
    for options in ({"after_ms": 11_000}, {"met": 20}):
        (hit,) = turned(**options).found()
        assert (hit.evidence, hit.features["chance_turned"].value) == ("weak", 1.0)
    assert turned(taker="X2").found() == []
    for hit in turned(pusher="NOM").found():
        assert (hit.evidence, hit.features["chance_turned"].value) == ("weak", 1.0)


def test_an_order_that_went_no_further_than_the_touch_turns_on_nothing(monkeypatch):
    monkeypatch.setattr(Run, "push_ticks", 0)
    for hit in turned().found():
        assert (hit.evidence, hit.features["chance_turned"].value) == ("weak", 1.0)


@look_alike("hedging burst that triggers stops and trades with none of them")
def test_a_hedging_burst_that_catches_nothing_is_nothing():
    assert hunt(catch=0).found() == []


@look_alike("price that does not come back")
def test_a_price_that_does_not_come_back_is_weak():
    (hit,) = hunt(back=30).found()
    assert (hit.evidence, hit.all_legs) == ("weak", False)


@look_alike("one stop in the way of an order")
def test_one_stop_is_no_cluster():
    assert hunt(stops=1).found() == []


@look_alike("large push that catches next to nothing")
def test_a_push_that_catches_less_than_a_hundredth_of_it_is_weak():
    def scene_of(before):
        scene = Scene()
        scene.book()
        scene.new("X1", False, before, 10)
        scene.habit()
        scene.stop("C1", 7, lots=1)
        scene.stop("C2", 8, lots=1)
        scene.wait(1_000)
        scene.new("MM", False, 15, 12, tif="POST_ONLY")
        scene.wait(50)
        scene.new("MM", True, 150 + before, 10, tif="IOC")
        scene.back()
        return scene

    (hit,) = scene_of(40).found()
    assert hit.all_legs
    (hit,) = scene_of(60).found()
    assert (hit.evidence, hit.all_legs, hit.significant) == ("weak", False, False)


@look_alike("auction or halt")
def test_triggers_outside_continuous_trading_are_not_judged():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.stops()
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.venue.status("X-USD", "auction")
    scene.new("MM", True, 400, 12)
    scene.venue.status("X-USD", "continuous")
    scene.back()
    assert scene.found() == []


# --- a nominee ------------------------------------------------------------------------------------


def nominee(hunts, others=40, pusher="NOM", lots=150, refilled=False):
    """Runs by clients that nobody waits for, then some by one for whom the maker does.

    `pusher`: who runs the stops then, or one after the other; `refilled`: what waits comes in place
    of a quote.
    """
    pushers = [pusher] * hunts if isinstance(pusher, str) else pusher
    scene = Scene()
    (quote,) = scene.habit()
    for n in range(others + hunts):
        for ticks, account in ((0, "X2"), (5, "X1"), (10, "X2"), (20, "X1")):
            size = 50 if n < others else lots // 3
            scene.new(account, False, size, ticks, order_id=f"A{n}-{ticks}")
        scene.new("X1", True, 1, -10)
        scene.new("C9", False, 1, -10, tif="IOC")  # the last price is low again
        scene.stop("C1", 7)
        scene.stop("C2", 8)
        scene.wait(100)
        caught = n >= others
        if caught:
            if refilled:
                scene.venue.cancel("X-USD", quote)
            waits = scene.new("MM", False, 20, 12)
        size = lots if caught else 150
        scene.new(pushers[n - others] if caught else f"C{3 + n % 6}", True, size, 10, tif="IOC")
        scene.back()
        for order in (f"A{n}-20", *([waits] if caught else [])):
            if order in scene.venue.books["X-USD"].orders:
                scene.venue.cancel("X-USD", order)
        keys = scene.venue.books["X-USD"].orders
        for order in [o for o in keys.values() if o.account == "X2"]:
            scene.venue.cancel("X-USD", order.id)
        if caught and refilled:
            quote = scene.new("MM", False, 20, 60)
        scene.wait(20_000)
    return scene


def test_a_client_for_whom_the_group_waits_again_and_again_is_one_alert():
    scene = nominee(8, others=16)
    found = scene.found()
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    assert [f.revision for f in found] == list(range(1, len(found) + 1))
    assert all(f.significant and not f.all_legs for f in found)
    assert scene.people(found[-1])[:2] == ["NOM", "MM"]
    assert found[-1].features["runs_strange"].value > 2
    chance = found[-1].features["chance_together"]
    assert chance.value <= chance.baseline


@pytest.mark.parametrize(
    ("pushers", "others"), [([*["MM"] * 4, *["NOM"] * 3], 16), ([*["NOM"] * 3, *["MM"] * 5], 50)]
)
def test_less_is_asked_of_who_pushes_for_a_group_that_has_been_shown_to_hunt(pushers, others):
    """Before or after: the account's three runs are an alert of its own."""
    scene = nominee(len(pushers), others, pushers, refilled=pushers[0] == "NOM")
    told = [f for f in scene.found() if scene.people(f)[0] == "NOM" and f.evidence == "supported"]
    assert [(f.features["runs_strange"].value, f.significant) for f in told] == [(3, True)]
    chance = told[0].features["chance_together"]
    params = StopHuntingParams()
    assert chance.baseline == pytest.approx(params.alpha / 12)
    assert params.client_chance / 12 < chance.value <= params.alpha / 12


def test_what_waits_for_a_client_s_pushes_three_times_is_no_alert_by_itself():
    assert nominee(3, others=50, refilled=True).found() == []


def test_a_client_s_run_is_a_case_where_its_push_is_larger_than_other_clients_too():
    scene = nominee(1, others=200, lots=600)
    (hit,) = scene.found()
    assert (hit.evidence, hit.all_legs, hit.significant) == ("supported", True, False)
    assert scene.people(hit)[:2] == ["NOM", "MM"]
    asked = StopHuntingParams().client_chance / 2
    assert hit.features["chance_together"].baseline == pytest.approx(asked)


def one_of_two(account):
    """The maker waits; another client triggers the first of two stops, `account` the second."""
    scene = nominee(0)
    for ticks, maker in ((0, "X2"), (5, "X1"), (10, "X2"), (20, "X1")):
        scene.new(maker, False, 200, ticks)
    scene.stop("C1", 3)
    scene.stop("C2", 8)
    scene.wait(100)
    scene.new("MM", False, 20, 12)
    scene.new("C4" if account != "C4" else "C5", True, 201, 5, tif="IOC")
    scene.wait(20)
    scene.new(account, True, 600, 10, tif="IOC")
    scene.back()
    return scene


@look_alike("one stop in the way of another's order, after others had triggered theirs")
def test_a_third_party_s_run_has_its_own_stops():
    assert not any(f.all_legs for f in one_of_two("NOM").found())
    assert one_of_two("MM").found()


def test_an_external_maker_s_run_is_no_case_by_itself():
    assert nominee(1, lots=600, pusher="X2").found() == []


def test_all_runs_of_a_party_together_pass_where_few_are_strange():
    tally = Tally(party=1)
    for chance in (1.0, 0.008, 1.0, 0.008):
        tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
        tally.add(chance, 0.01)
    assert (tally.looks, tally.systematic(0.002)) == (2, False)
    tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
    tally.add(0.002, 0.01)
    assert tally.systematic(0.002)


def test_runs_that_can_show_nothing_do_not_drown_those_that_are_strange():
    tally = Tally(party=GROUP)
    for chance in [1.0] * 10 + [0.2, 0.5] + [0.018, 0.002, 0.005, 0.01, 0.015, 0.003]:
        tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
        tally.add(chance, 0.02)
    assert tally.systematic(0.002)


def test_hunts_are_seen_together_where_the_group_adds_orders_all_day():
    """None is rarer than that, about one in thirty; half of the group's runs are hunts."""
    tally, params, family = Tally(party=GROUP), StopHuntingParams(), Family()
    for number in range(20):
        chance = 1.0 if number % 2 else 0.045
        tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
        tally.add(chance, params.strange_chance, params.pattern_runs)
        family.count(chance, params.own_false_share)
    assert tally.systematic(0.002)
    assert (family.limit(params.own_false_share), family.limit(params.false_share)) == (0.045, 0.0)


def test_looks_are_spent_from_the_run_on_at_which_something_may_be_told():
    tally = Tally(party=GROUP)
    for number in range(1, 5):
        tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
        tally.add(0.04, 0.05, 3)
        assert (tally.strange, tally.looks) == (number, max(0, number - 2))


@pytest.mark.parametrize("runs", [20, 60])
def test_a_false_pattern_comes_a_little_more_often_than_alpha(runs):
    """Looks come where a run is strange: of uniform chances 1.3 times as many days pass."""
    rng, passed, alpha, days = np.random.default_rng(3), 0, 0.05, 1_500
    for _ in range(days):
        tally = Tally(party=GROUP)
        for chance in rng.random(runs).tolist():
            tally.runs += 1
            tally.add(chance, 0.05, 3)
        passed += tally.systematic(alpha)
    assert alpha * 0.8 <= passed / days <= alpha * 1.8


def test_a_party_whose_runs_are_ordinary_never_passes():
    tally = Tally(party=1)
    for number in range(1, 200):
        tally.ran(10, 0.5, fresh=False, turned=False, beside=False)
        tally.add((number * 0.618) % 1, 0.01)
    assert tally.looks > 0
    assert not tally.systematic(0.002)


def test_strange_runs_of_the_group_are_told_together_once_all_its_runs_pass():
    """An order just entered catches each time, in place of another: none is added."""
    scene = nominee(5, pusher="MM", refilled=True)
    found = scene.found()
    told = [f for f in found if "runs_strange" in f.features]
    assert told
    assert all(f.significant and not f.all_legs for f in told)
    assert [f.revision for f in told] == list(range(2, len(told) + 2))
    first = next(f for f in found if f.features.get("chance") and f.revision == 1)
    identity = (first.first_seq, first.first_accounts)
    assert {(f.first_seq, f.first_accounts) for f in told} == {identity}


def strange(number, chance, *, group=True, refs=20):
    """Return a strange run of the group, or of a client, with as many seqs."""
    run = dict.fromkeys(Strange.__struct_fields__, number)
    people, cited = (number,), tuple(range(1_000 * number, 1_000 * number + refs))
    run |= {"chance": chance, "group": group, "people": people, "refs": cited, "catcher": 0}
    run |= {"movers": people}
    return Strange(**run | {"incomplete": False, "measured": True})


def test_of_the_runs_that_wait_those_are_told_that_are_rare_among_their_own_kind():
    day = Day(instrument=0, day=0)
    for group, chances in ((True, (1e-4, 1e-4, 0.03)), (False, (0.03, *[0.6] * 20))):
        for number, chance in enumerate(chances, start=1):
            day.family(group=group).count(chance, 0.05)
            if chance == 0.03:
                day.wait(strange(number + 10 * group, chance, group=group))
    told = day.due(0.05, 0.05)
    assert [(run.group, run.chance) for run in told] == [(True, 0.03)]
    assert [run.group for run in day.waiting] == [False]
    day.family(group=False).count(0.001, 0.05)
    assert day.due(0.05, 0.05) == []


def test_another_s_run_told_with_the_group_s_is_not_taken_for_that_account_s_own_alert():
    both = Tally(party=-1), Tally(party=5)
    for tally in both:
        tally.remember(strange(5, 0.01, group=False))
    assert [(t.first_seq, t.first_account, t.weak) for t in both] == [(5, 0, False), (5, 5, False)]


def test_an_alert_on_many_runs_names_who_pushed_in_each_before_whose_stops_they_were():
    tally = Tally(party=-1)
    for number in (1, 2):
        people = (number, *range(100 * number, 100 * number + 16))
        run = strange(number, 0.01)
        tally.remember(msgspec.structs.replace(run, people=people))
    assert tally.people[:2] == [1, 2]
    assert len(tally.people) == hunt_together.MAX_ACCOUNTS


def test_what_one_finding_cannot_cite_waits_for_the_next():
    day = Day(instrument=0, day=0)
    for number in range(1, 4):
        day.family(group=True).count(0.01, 0.05)
        day.wait(strange(number, 0.01, refs=100))
    assert [run.first_seq for run in day.due(0.05, 0.05)] == [1, 2]
    assert [run.first_seq for run in day.due(0.05, 0.05)] == [3]


def test_runs_beyond_what_one_finding_can_cite_are_told_at_once_in_others(monkeypatch):
    """Each finding can cite one run: when the day ends none is left unsaid."""
    for module in (hunt_rates, hunt_together):
        monkeypatch.setattr(module, "MAX_REFS", 8)
    found = nominee(5, pusher="MM", refilled=True).found()
    told = [f for f in found if "runs_strange" in f.features]
    assert [f.features["runs_strange"].value for f in told] == [1, 2, 3, 4, 5]
    assert {len(f.evidence_refs) for f in told} == {8}


def test_of_more_runs_than_may_wait_the_least_strange_is_forgotten_and_counted():
    rates = HuntRates()
    day = rates.open(0, 0)
    for number in range(1, MAX_WAITING + 2):
        assert rates.overflow == 0
        rates.wait(day, strange(number, 0.01 if number == 7 else 0.001))
    assert len(day.waiting) == MAX_WAITING
    assert 7 not in {run.first_seq for run in day.waiting}
    restored = HuntRates()
    restored.restore(rates.snapshot())
    assert restored.overflow == rates.overflow == 1


def test_forgotten_runs_are_part_of_the_detector_s_overflow(monkeypatch):
    monkeypatch.setattr(hunt_rates, "MAX_WAITING", 1)
    scene = nominee(2, pusher="MM", refilled=True)
    scene.found()
    assert scene.overflow > 0


@pytest.mark.parametrize(("together_alpha", "told"), [(0.02, 1), (0.005, 0)])
def test_the_group_s_runs_together_are_told_at_a_level_of_their_own(together_alpha, told):
    """Where an account's, at a lower one, are not."""
    params = StopHuntingParams(together_alpha=together_alpha)
    day = Day(instrument=0, day=0)
    for party in (GROUP, 5):
        day.tally(party).level, day.tally(party).looks = 0.01, 1
        day.tally(party).kept = 1
    for number in range(1, 4):
        day.group_runs.count(1e-4, params.own_false_share)
        day.wait(strange(number, 1e-4))
    found = list(StopHunting(params, example_instruments())._together(day, 0))
    assert [f.features["runs_strange"].value for f in found] == [4] * told
    assert not day.tally(5).told


def test_looks_after_every_run_are_not_paid_for():
    """Of uniform chances one is told on 19 % of days of 30 runs; with one look, on 4 %."""
    rng, each, last = np.random.default_rng(1), 0, 0
    for _ in range(1_000):
        family, told = Family(), 0.0
        for chance in rng.random(30).tolist():
            family.count(chance, 0.05)
            told = max(told, family.limit(0.05))
        each += told > 0
        last += family.limit(0.05) > 0
    assert each / 1_000 == pytest.approx(0.19, abs=0.03)
    assert last / 1_000 == pytest.approx(0.04, abs=0.02)


@pytest.mark.parametrize("found_before", [1, 2])
def test_pushes_that_catch_next_to_nothing_are_told_where_the_group_hunts_besides(found_before):
    """A run like any of its hunts, but for the size of the push."""
    scene = Scene()
    scene.habit()
    for number in range(found_before + 1):
        scene.book()
        before, lots = (0, 10) if number < found_before else (60, 1)
        scene.new("X1", False, 200, 0)
        scene.new("X1", False, before + 1, 10)
        scene.stop("C1", 7, lots)
        scene.stop("C2", 8, lots)
        scene.wait(1_000)
        waits = scene.new("MM", False, 2 * lots, 12, tif="POST_ONLY")
        scene.wait(50)
        scene.new("MM", True, 351 + before, 10, tif="IOC")
        scene.back()
        for order in list(scene.venue.books["X-USD"].orders.values()):
            if order.account != "MM" or order.id == waits:
                scene.venue.cancel("X-USD", order.id)
        scene.wait(5_000)
    told = [f for f in scene.found() if "runs_strange" in f.features]
    assert bool(told) == (found_before == 2)


def test_the_rate_of_the_group_is_held_against_that_of_all_others():
    tally = Tally(party=1, runs=3, hits=3)
    tally.look((100, 50), 0.002)
    assert not tally.passed
    tally.look((100, 0), 0.002)
    assert tally.passed


# --- the null -------------------------------------------------------------------------------------


def clean_windows(number=400, others=40, seed=11):
    """Yield the chance of a run in each of so many windows where nothing is known of it.

    A client's and the group's by turns.

    In each: how often the group adds, catches, does so anew and pushes beside is drawn; the habit
    and others' runs are seen, and then one run more of the same kind.
    """
    rng, params = np.random.default_rng(seed), StopHuntingParams()
    for window in range(number):
        group = window % 2 > 0
        adds, share, anew, turns, beside = rng.uniform(
            (0.05, 0.2, 0.1, 0.0, 0.05), (0.3, 0.6, 0.5, 0.2, 0.3)
        )
        added = rng.binomial(3, adds, 1_001)
        many = tuple(int((added[1:] >= n).sum()) for n in range(1, 9))
        day = Day(instrument=0, day=0)
        for n in range(others + 1):
            legs = {
                "caught_share": rng.uniform(0.01, 1) if rng.random() < share else 0.0,
                "lots": int(rng.lognormal(5, 1)) + 1,
                "fresh": rng.random() < anew,
                "turned": rng.random() < turns,
                "beside": rng.random() < beside,
            }
            came = n == others and (added[0] or (group and legs["turned"]))
            if came and not legs["caught_share"]:  # who has an order there catches
                legs["caught_share"] = rng.uniform(0.01, 1)
            for leg in ("fresh", "turned"):
                legs[leg] = legs[leg] and legs["caught_share"] > 0
            if n < others:
                day.tally(n % 7).client = True
                day.tally(n % 7).ran(**legs)
        filled = 1_000
        catch = Catch(1, 2, START, 3, filled, 100, START)
        run = Run(
            **dict.fromkeys((f for f in Run.__struct_fields__), 0)
            | {"group": group, "client": not group, "account": 99, "incomplete": False}
            | {"touch": 100, "peak": 110, "extreme": 110, "back": 100, "side": 1, "from_ns": START}
            | {"lots": legs["lots"], "beside": int(legs["beside"]), "filled": filled}
            | {"caught": round(filled * legs["caught_share"])}
            | {"pushes": (Push(1, 1, 1, 99, 1, 110, START + 1),), "stops": (), "near": ()}
            | {"catches": (catch,) if legs["fresh"] else ()}
            | {"takes": (catch,) if legs["turned"] else ()}
            | {"added": int(added[0]), "many": many, "seen": 1_000},
        )
        yield chance_of(run, day, params, 4 * SECOND)


def test_no_p_value_is_smaller_than_a_uniform_one_where_nobody_hunts():
    """400 clean windows. The p-values take few values: above uniform is allowed, below is not."""
    chances = list(clean_windows())
    for which in ("joint", "case"):
        found = [getattr(chance, which) for chance in chances]
        # A case may be one in two ways, each at its own chance.
        found = [min(1.0, 2 * p) for p in found] if which == "case" else found
        assert stats.kstest(found, "uniform", alternative="greater").pvalue > 0.01
    assert sum(chance.joint <= 0.1 for chance in chances) > 0.02 * len(chances)  # it does say some
    plain = [c.added * c.caught * c.fresh * c.turned * c.size * c.beside for c in chances]
    assert stats.kstest(plain, "uniform", alternative="greater").pvalue < 1e-4


def test_the_chance_of_legs_as_rare_is_exact():
    """Against draws: three tests, each of few values."""
    rng = np.random.default_rng(3)
    tails = [[1.0, 0.3, 0.1], [1.0, 0.2], [1.0, 0.6, 0.5, 0.05]]
    drawn = [
        [min(p for p in each if at <= p) for each, at in zip(tails, row, strict=True)]
        for row in rng.uniform(size=(20_000, 3)).tolist()
    ]
    for seen in ([0.1, 0.2, 0.6], [1.0, 1.0, 0.05], [0.3, 0.2, 1.0]):
        often = np.mean([np.prod(row) <= np.prod(seen) * (1 + 1e-9) for row in drawn])
        assert as_rare(seen, tails) == pytest.approx(often, abs=0.01)


# --- bounds ---------------------------------------------------------------------------------------


def test_more_stops_than_are_kept_are_counted_and_mark_coverage():
    scene = Scene()
    scene.new("X1", True, 400, -10)
    scene.new("X2", False, 10, 0)
    scene.new("X2", False, 50, 10)
    scene.new("X1", False, 5_000, 20)
    scene.habit()
    for n in range(140):
        scene.stop(f"C{n % 9 + 1}", 8, lots=1)
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.new("MM", True, 60, 10, tif="IOC")
    scene.back()
    (hit,) = scene.found()
    assert hit.coverage == "incomplete"
    assert scene.overflow > 0


# --- registries -----------------------------------------------------------------------------------


@look_alike("a client's run that meets an order which the group happened to enter just before")
def _an_order_by_chance():
    """Entered, and there, and filled: one fact, however seldom the group does so."""
    scene = nominee(1, pusher="C3")
    assert not any(finding.all_legs for finding in scene.found())


@blind_spot("a single hunt by a nominee whose push is not larger than almost all other clients'")
def _single_nominee():
    assert nominee(1).found()


@blind_spot(
    "a single hunt that only turns on what it triggered, where others ran few clusters and the "
    "group had as much to hedge"
)
def _turned_alone():
    assert any(f.all_legs for f in turned(sold=150).found())


@blind_spot("hunts in the first quarter of an hour of a feed: what is seldom added is not known")
def _first_seconds():
    scene = Scene()
    scene.book()
    scene.stops()
    scene.wait(1_000)
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    assert any(f.all_legs for f in scene.found())


@blind_spot("orders that wait in place of quotes that were away, no farther behind the touch")
def _away():
    scene = Scene()
    scene.book()
    (quote,) = scene.habit()
    scene.venue.cancel("X-USD", quote)
    scene.wait(6_000)
    scene.stops()
    scene.new("MM", False, 15, 12, tif="POST_ONLY")
    scene.push()
    assert any(f.all_legs for f in scene.found())


@blind_spot("quotes that the kill switch or another rule of the venue took away before a hunt")
def _killed():
    assert any(f.all_legs for f in thinned(rest="kill").found())


@blind_spot("a large order that waits where the maker entered many as large, and withdrew them")
def _padded():
    scene = Scene()
    scene.book()
    scene.passes(MOMENTS, taker="MM")
    scene.habit(orders=3)
    for n in range(USUAL):
        scene.venue.cancel("X-USD", scene.new("MM", True, 160, -400 - n))
    scene.wait(6_000)
    scene.stops()
    scene.new("MM", False, 160, 12, tif="POST_ONLY")
    scene.push()
    assert any(f.features["orders_added"].value > 1 for f in scene.found())


@blind_spot("a push that lasts longer than push_s, or pauses longer than pause_s")
def _slow_push():
    scene = hunt(pushers=("MM", "AFF", "C7"), pause_ms=4_000)
    assert any(f.all_legs for f in scene.found())


@blind_spot("catching by a nominee's orders, the group only pushing")
def _nominee_catches():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.stops()
    scene.new("NOM", False, 20, 12, tif="POST_ONLY")
    scene.new("MM", True, 150, 10, tif="IOC")
    scene.back()
    assert scene.found()


@blind_spot("liquidations: the feed has no mark for them")
def _liquidations():
    scene = Scene()
    scene.book()
    scene.habit()
    scene.new("MM", False, 20, 12, tif="POST_ONLY")
    scene.new("MM", True, 150, 10, tif="IOC")
    for client in ("C1", "C2"):
        scene.new(client, True, 10, kind="market", tif="IOC", source="internal")
    scene.back()
    assert scene.found()


@blind_spot("a push made in another instrument or venue")
def _elsewhere():
    scene = hunt(pushers=("C5",), catch=20)
    assert any(f.all_legs for f in scene.found())


def test_every_look_alike_and_blind_spot_of_the_spec_is_here():
    assert set(LOOK_ALIKES) == set(StopHunting.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(StopHunting.spec.blind_spots)


@pytest.mark.xfail(strict=True, raises=AssertionError)
@pytest.mark.parametrize("text", StopHunting.spec.blind_spots)
def test_blind_spot(text):
    BLIND_SPOTS[text]()
