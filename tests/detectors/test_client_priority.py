"""client_priority: hits, near misses, one innocent case per look-alike, one xfail per blind spot.

Orders go through the test venue and the book, so that what is judged is what a feed would show.
"""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest

from detectors.allotment import Allotment, Claim
from detectors.book import Books
from detectors.client_priority import ClientPriority, ClientPriorityParams
from detectors.displacement import PROVED
from detectors.examples import batch_of, example_instruments, jumped, trade
from ingest.events import PASSED_MOST, Coverage, Kind, Phase, Role
from tests.support.claims import claims
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND, MS = 10**9, 10**6
START = 1_763_900_000 * SECOND
ROLES = {
    "MM": "affiliated_mm",
    "STAFF": "staff",
    "XM": "external_mm",
    "A": "client",
    "B": "client",
    "S": "client",
}
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """A venue with one instrument, tick and lot 1, and what the detector says of its feed."""

    def __init__(self, matching="price_time", stp="off", roles=ROLES):
        self.rows = [
            {
                "instrument": "X-USD",
                "base": "X",
                "quote": "USD",
                "kind": "spot",
                "tick_size": "1",
                "lot_size": "1",
                "matching": matching,
            }
        ]
        self.roles = roles
        self.venue = Venue(self.rows, roles, {n: n for n in roles}, stp=stp, start_ns=START)

    def new(self, account, side, lots, price=None, *, came=0.05, **options):
        """Enter an order that reached the gateway `came` ms ago."""
        received = self.venue.now_ns - int(came * MS)
        return self.venue.new("X-USD", account, side, lots, price, received_ns=received, **options)

    def wait(self, ms):
        self.venue.now_ns += int(ms * MS)

    def found(self, size=None, **params):
        """Return breaches and configuration alerts, over the feed cut every `size` records."""
        table = instruments_of(self.rows)
        accounts = [{"account": a, "owner": a, "role": r} for a, r in self.roles.items()]
        books = Books(table)
        detector = ClientPriority(ClientPriorityParams(**params), table)
        batch = to_batch(self.venue.records, table, accounts)
        found = [f for part in batches(batch, size) for f in detector.step(books.apply(part))]
        return [f for f in found if f.scenario == "client_priority"], [
            f for f in found if f.scenario == "matching_configuration"
        ]


def queue_jump(**options):
    """A client's ask, then the maker's behind it; a buyer for 5 is matched with the maker."""
    scene = Scene(**options)
    scene.new("S", "buy", 50, 90)
    scene.client = scene.new("A", "sell", 20, 100)
    scene.wait(1)
    scene.new("MM", "sell", 5, 100)
    scene.wait(1)
    scene.venue.favoured = "MM"
    scene.new("B", "buy", 5, 100, tif="IOC")
    scene.venue.favoured = None
    scene.wait(1)
    return scene


def uneven(scene, *, reversed_pairs, pairs=100, gap_ms=5):
    """Others' orders arrive `gap_ms` apart; so many pairs are matched the other way round."""
    for n in range(pairs):
        scene.wait(200)
        scene.new("XM", "buy", 1, 70)
        came = 0.05 + (gap_ms if n < reversed_pairs else -gap_ms)
        scene.wait(0 if n < reversed_pairs else 2 * gap_ms)
        scene.new("S", "buy", 1, 70, came=came + (0 if n < reversed_pairs else 2 * gap_ms))


def inversion(gap_ms=5.0, client_tif="IOC", client_lots=10, depth=10, before=None, **client):
    """An ask for 10; the maker's buy is matched first, the client's came `gap_ms` earlier."""
    scene = Scene()
    if before is not None:
        before(scene)
    scene.new("S", "sell", depth, 100)
    scene.new("S", "sell", 10, 103)
    scene.new("XM", "buy", 50, 90)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC", came=0.05)
    scene.new("A", "buy", client_lots, 103, tif=client_tif, came=0.05 + gap_ms, **client)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    return scene


# --- queue jump -----------------------------------------------------------------------------------


@pytest.mark.parametrize("matching", ["price_time", "price_class_time"])
def test_an_older_client_passed_over_is_a_breach_on_every_venue(matching):
    (hit,), _ = queue_jump(matching=matching).found()
    assert (hit.evidence, hit.evidence_class, hit.facets) == ("proved", "breach", ("queue_jump",))
    assert hit.features["older"].value == 1
    assert hit.features["displaced"].value == 5.0
    assert hit.notify_clock == "immediate"
    assert {ref.seq for ref in hit.evidence_refs} == {2, 3, 5}
    assert [ref.seq for ref in hit.context_refs] == [4]  # the buyer's order: nobody's conduct


def test_a_jump_and_an_inversion_are_two_alerts():
    scene = queue_jump()
    scene.new("S", "sell", 10, 103)
    scene.wait(50)
    scene.new("MM", "buy", 20, 100, tif="IOC")
    scene.new("XM", "buy", 10, 103, tif="IOC", came=5)
    scene.wait(1)
    scene.new("S", "buy", 1, 80)
    found, _ = scene.found()
    assert {hit.facets for hit in found} == {
        ("queue_jump",),
        ("arrival_inversion", "trading_ahead"),
    }
    assert len({(hit.first_seq, hit.first_accounts) for hit in found}) == 2


def test_displaced_is_no_more_than_the_client_has_left():
    batch = batch_of([trade(3, 1)], example_instruments(), passed_over=[
        jumped(1, 2, older=1, client_lots=3),
    ])  # fmt: skip
    (hit,) = ClientPriority(ClientPriorityParams(), example_instruments()).step(batch)
    assert hit.features["displaced"].value == 0.003


def test_staff_are_held_to_the_same_test():
    batch = batch_of([trade(3, 1)], example_instruments(), passed_over=[
        jumped(1, 2, older=1, group_role=Role.STAFF),
    ])  # fmt: skip
    (hit,) = ClientPriority(ClientPriorityParams(), example_instruments()).step(batch)
    assert hit.evidence == "proved"


def test_a_younger_client_is_owed_priority_where_matching_is_by_class():
    table = example_instruments(matching="price_class_time")
    rows = [jumped(1, 2, older=0)]
    (hit,) = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([trade(3, 1)], table, passed_over=rows)
    )
    assert (hit.scenario, hit.evidence) == ("client_priority", "proved")
    assert hit.features["younger"].value == 1


def test_a_younger_client_on_a_price_time_venue_is_one_alert_a_day():
    day = 86_400 * SECOND
    table = example_instruments()
    rows = [jumped(1, 2, done_seq=n + 1, done_ns=n * SECOND) for n in range(500)]
    events = [trade(3, 1, engine_ns=n * SECOND) for n in range(500)]
    found = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([*events, trade(3, 4, engine_ns=day)], table, passed_over=rows)
    )
    assert [(f.scenario, f.revision, f.status) for f in found] == [
        ("matching_configuration", 1, "provisional"),
        ("matching_configuration", 2, "confirmed"),
    ]
    assert found[1].features["younger"].value == 500
    assert found[1].detected_ns == day
    assert found[0].evidence_class == "indicator"
    assert not found[0].all_legs


def test_incidents_of_one_group_account_are_one_alert():
    table = example_instruments()
    rows = [
        jumped(1, 2 + n % 3, older=1, done_seq=n + 1, done_ns=n * SECOND, side=1 - 2 * (n % 2))
        for n in range(12)
    ]
    events = [trade(3, 1, engine_ns=n * SECOND) for n in range(12)]
    found = ClientPriority(ClientPriorityParams(), table).step(
        batch_of(events, table, passed_over=rows)
    )
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    assert found[-1].systematic
    assert not found[8].systematic
    assert found[-1].accounts == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("roles", "condition"),
    [
        ({"client_role": Role.UNKNOWN}, "breach if client"),
        ({"group_role": Role.UNKNOWN}, "breach if affiliate"),
    ],
)
def test_unknown_accounts_are_judged_both_ways_as_weak(roles, condition):
    table = example_instruments()
    rows = [jumped(1, 2, older=1, **roles)]
    (hit,) = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([trade(3, 1)], table, passed_over=rows)
    )
    assert (hit.evidence, hit.features["condition"].value) == ("weak", condition)
    assert hit.notify_clock == "none"


def test_a_breach_while_a_gap_is_open_is_never_confirmed():
    table = example_instruments()
    rows = [jumped(1, 2, older=1, coverage=Coverage.INCOMPLETE)]
    found = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([trade(3, 1), trade(3, 4, engine_ns=2_000 * SECOND)], table, passed_over=rows)
    )
    assert {(f.coverage, f.status) for f in found} == {("incomplete", "provisional")}


def test_exemptions_are_counted_and_name_their_rule():
    table = example_instruments()
    rows = [jumped(1, 2, older=1, exempt_hidden=2, exempt_stp=1)]
    (hit,) = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([trade(3, 1)], table, passed_over=rows)
    )
    assert (hit.features["exempt_hidden"].value, hit.features["exempt_stp"].value) == (2, 1)
    assert "venue rule" in hit.features["exempt_hidden"].baseline


# --- several orders at one price ------------------------------------------------------------------


def jump(scene, lots, account="MM", **options):
    """Enter an ask of the group at 100, behind all, and match a buyer with it alone."""
    scene.new(account, "sell", lots, 100, **options)
    scene.venue.favoured = account
    scene.new("S", "buy", lots, 100, tif="IOC")
    scene.venue.favoured = None


def told(found):
    """Return condition (None = proved), lots displaced and accounts beside the group's, of each."""
    return [
        (
            f.features["condition"].value if "condition" in f.features else None,
            f.features["displaced"].value,
            len(f.accounts) - 1,
        )
        for f in found
    ]


def queued(*orders, matching="price_time", fill=5):
    """Asks at 100 in order, then the group's behind them, filled alone; account "?" is unknown."""
    scene = Scene(matching=matching)
    scene.new("S", "buy", 50, 80)
    for account, lots in orders:
        scene.new(account, "sell", lots, 100)
    jump(scene, fill)
    return scene


def test_an_unknown_account_in_front_does_not_hide_a_known_client():
    found, younger = queued(("?", 20), ("A", 20)).found()
    assert told(found) == [(None, 5.0, 1)]
    assert found[0].evidence == "proved"
    assert younger == []


def test_a_crowd_of_unknown_accounts_in_front_does_not_hide_a_known_client():
    found, _ = queued(*[("?", 1)] * 40, ("A", 20), fill=60).found()
    assert told(found) == [(None, 20.0, 1), ("breach if client", 16.0, 1)]
    assert [f.coverage for f in found] == ["incomplete", "incomplete"]


def test_what_is_left_beside_a_known_client_is_a_breach_if_the_unknown_is_a_client():
    found, _ = queued(("?", 20), ("A", 3)).found()
    assert told(found) == [(None, 3.0, 1), ("breach if client", 2.0, 1)]
    assert [f.evidence for f in found] == ["proved", "weak"]


@pytest.mark.parametrize(
    ("matching", "wanted", "days"),
    [
        ("price_time", [("breach if client", 5.0, 1)], 1),
        ("price_class_time", [(None, 5.0, 1)], 0),
    ],
)
def test_an_older_unknown_and_a_younger_client_prove_nothing_by_time_alone(matching, wanted, days):
    scene = Scene(matching=matching)
    scene.new("S", "buy", 50, 80)
    scene.new("?", "sell", 20, 100)
    scene.new("MM", "sell", 5, 100)
    scene.new("A", "sell", 20, 100, came=0.01)
    scene.venue.favoured = "MM"
    scene.new("S", "buy", 5, 100, tif="IOC")
    found, younger = scene.found()
    assert told(found) == wanted
    assert len(younger) == days


def test_fills_of_an_unknown_account_are_due_to_known_clients_after_the_group_s():
    scene = Scene()
    scene.new("S", "buy", 50, 80)
    scene.new("A", "sell", 8, 100)
    scene.new("MM", "sell", 5, 100)
    scene.new("?", "sell", 5, 100)
    scene.venue.favoured = "MM"
    scene.new("S", "buy", 5, 100, tif="IOC")
    scene.venue.favoured = "?"
    scene.new("S", "buy", 5, 100, tif="IOC")
    found, _ = scene.found()
    assert told(found) == [(None, 5.0, 1), ("breach if affiliate", 5.0, 1)]


def test_each_account_of_the_group_is_told_of_and_no_lot_is_displaced_twice():
    table = example_instruments()
    rows = [
        jumped(1, 3, older=1, client_lots=4),
        jumped(2, 3, older=1, client_lots=4, group_role=Role.HOUSE, group_trade_seq=2),
    ]
    found = ClientPriority(ClientPriorityParams(), table).step(
        batch_of([trade(3, 1)], table, passed_over=rows)
    )
    assert [f.accounts for f in found] == [(1, 3), (2, 3)]
    assert [f.features["displaced"].value for f in found] == [0.004, 0.0]


def test_on_a_class_venue_all_that_the_group_got_is_due_to_an_older_client_too():
    rows = [jumped(1, 2, group_lots=8, jumped_lots=3)]
    for matching, lots in (("price_time", 0.003), ("price_class_time", 0.008)):
        table = example_instruments(matching=matching)
        (hit,) = ClientPriority(ClientPriorityParams(), table).step(
            batch_of([trade(3, 1)], table, passed_over=rows)
        )
        assert hit.features["displaced"].value == lots


def test_a_queue_longer_than_the_book_tells_of_is_incomplete_and_counted():
    for clients, incomplete in ((PASSED_MOST, False), (PASSED_MOST + 1, True)):
        scene = queued(*[("A", 1)] * clients, fill=PASSED_MOST + 1)
        table = instruments_of(scene.rows)
        accounts = [{"account": a, "owner": a, "role": r} for a, r in ROLES.items()]
        detector = ClientPriority(ClientPriorityParams(), table)
        (hit,) = detector.step(Books(table).apply(to_batch(scene.venue.records, table, accounts)))
        assert hit.features["displaced"].value == PASSED_MOST
        assert (hit.coverage == "incomplete", detector.overflow == 1) == (incomplete, incomplete)


def test_a_client_that_came_first_is_found_behind_another_that_did_not():
    scene = Scene()
    scene.new("S", "buy", 50, 90)
    scene.wait(50)
    scene.new("MM", "sell", 5, 100, came=0.05)
    scene.new("B", "sell", 20, 100, came=0.01)
    scene.new("A", "sell", 20, 100, came=5)
    scene.new("S", "buy", 5, 100, tif="IOC")
    (hit,), younger = scene.found()
    assert (hit.facets, hit.features["displaced"].value) == (("arrival_inversion",), 5.0)
    assert younger == []


def _in_turn(queue, filled):
    """Return what each of a queue's (is_client, lots) gets of what is filled, front first."""
    gets = []
    for _, lots in queue:
        gets.append(min(lots, filled))
        filled -= gets[-1]
    return gets


@pytest.mark.parametrize("seed", range(40))
def test_the_allotment_is_what_an_engine_by_price_and_time_would_have_given(seed):
    rng = random.Random(seed)
    queue = [(rng.choice((None, None, 7, 8)), rng.randrange(1, 9)) for _ in range(12)]
    total = sum(lots for account, lots in queue if account)
    wanted = [
        gets
        for (account, _), gets in zip(queue, _in_turn(queue, total), strict=True)
        if not account
    ]
    claims = []
    for account in (8, 7):
        for at, (client, shown) in enumerate(queue):
            reach = sum(lots for filled, lots in queue[at:] if filled == account)
            if client is None and reach:
                cell = {"group_account": account, "client_entry_seq": at, "client_lots": shown}
                claims.append(Claim(cell=cell, reach=reach, condition=PROVED))
    Allotment().hand_out(claims)
    got = [
        sum(claim.lots for claim in claims if claim.order == at)
        for at, (account, _) in enumerate(queue) if account is None
    ]  # fmt: skip
    assert got == wanted
    for account in (7, 8):
        all_of_it = sum(lots for filled, lots in queue if filled == account)
        assert sum(c.lots for c in claims if c.account == account) <= all_of_it


# --- arrival inversion ----------------------------------------------------------------------------


def test_a_client_who_came_first_and_was_filled_worse_is_a_breach():
    (hit,), _ = inversion(client_lots=10, client_tif="IOC", depth=10).found()
    # It took 103 instead of 100 for 10 lots: known at once, nothing is left to mark.
    assert (hit.facets, hit.evidence) == (("arrival_inversion", "trading_ahead"), "proved")
    assert hit.features["largest_gap"].value == 5 * MS
    assert hit.client_harm == 30.0
    assert hit.features["displaced"].value == 10.0


def test_the_window_of_an_inversion_holds_the_trade_of_the_group_as_well():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.new("S", "sell", 10, 103)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.wait(20)
    scene.new("A", "buy", 10, 103, tif="IOC", came=30)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    (hit,), _ = scene.found()
    taken, late = (r["engine_ns"] for r in scene.venue.records if "trade_id" in r)
    assert late - taken >= 20 * MS
    assert (hit.window_start_ns, hit.window_end_ns, hit.detected_ns) == (taken, late, late)


def test_only_what_the_group_took_is_displaced():
    scene = Scene()
    scene.new("S", "sell", 12, 100)
    scene.new("S", "sell", 50, 103)
    scene.wait(50)
    scene.new("MM", "buy", 4, 100, tif="IOC")
    scene.new("A", "buy", 20, 103, tif="IOC", came=6)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert found[0].features["displaced"].value == 4.0
    assert found[0].client_harm == 12.0


@pytest.mark.parametrize(("ask", "harm"), [(130, 100.0), (104, 0.0)])
def test_an_unfilled_client_is_marked_to_mid_and_a_gain_is_no_harm(ask, harm):
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.new("S", "sell", 1, ask)
    scene.new("XM", "buy", 1, 90)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 100, tif="IOC", came=6)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    (hit, mark), _ = scene.found()
    assert (hit.client_harm, hit.revision, mark.revision) == (None, 1, 2)
    # It would have bought at 100; mid is 110 (lost 10 on each of 10 lots), or 97 (a gain).
    assert mark.client_harm == harm


def test_two_clients_do_not_claim_the_same_quantity_twice():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 8, 100, tif="IOC", came=6)
    scene.new("B", "buy", 8, 100, tif="IOC", came=7)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert found[-1].features["displaced"].value == 10.0


def test_a_client_filled_in_full_at_the_same_price_lost_nothing():
    assert inversion(depth=20).found() == ([], [])


def test_a_client_whose_limit_does_not_reach_lost_nothing():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 99, tif="IOC", came=6)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    assert scene.found() == ([], [])


def test_a_fill_or_kill_that_could_not_have_been_filled_lost_nothing():
    assert inversion(client_tif="FOK", client_lots=30).found() == ([], [])


def test_a_received_time_after_the_engine_is_downgraded():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.new("S", "sell", 10, 103)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC", came=-1)
    scene.new("A", "buy", 10, 103, tif="IOC", came=6)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert found[0].evidence == "supported"


def test_a_received_time_that_is_not_known_is_no_finding():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.venue.new("X-USD", "A", "buy", 10, 100, tif="IOC")
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    assert scene.found() == ([], [])


def passive(gap_ms, before=None, **client):
    """Both rest at 100: the maker joined first though the client's came `gap_ms` earlier."""
    scene = Scene()
    if before is not None:
        before(scene)
    scene.new("S", "buy", 50, 90)
    scene.wait(50)
    scene.new("MM", "sell", 5, 100, came=0.05)
    scene.new("A", "sell", 20, 100, came=0.05 + gap_ms, **client)
    scene.wait(1)
    scene.new("B", "buy", 5, 100, tif="IOC")
    scene.wait(1)
    return scene


def test_a_client_that_came_first_and_was_queued_last_is_a_breach():
    (hit,), younger = passive(5).found()
    assert (hit.facets, hit.evidence) == (("arrival_inversion",), "proved")
    assert hit.features["largest_gap"].value == 5 * MS
    assert younger == []


def test_a_passive_client_that_came_later_is_only_configuration():
    found, younger = passive(-0.02).found()
    assert found == []
    assert len(younger) == 1


# --- harm -----------------------------------------------------------------------------------------


def last_harm(scene, **params):
    found, _ = scene.found(**params)
    return found[-1].client_harm


def test_a_client_filled_later_at_its_own_price_lost_nothing():
    scene = queue_jump()
    scene.new("B", "buy", 20, 100, tif="IOC")
    assert last_harm(scene) == 0.0


def test_what_stays_open_is_marked_to_mid_when_the_client_cancels():
    scene = queue_jump()
    scene.new("S", "sell", 5, 110)
    scene.new("S", "buy", 5, 94)
    scene.wait(1)
    scene.venue.cancel("X-USD", scene.client, received_ns=scene.venue.now_ns)
    # Sold at 100 it would have been; mid is (94 + 100) / 2 = 97: 5 lots lost 3 each.
    assert last_harm(scene) == 15.0


def test_what_stays_open_is_marked_to_mid_after_the_horizon_and_not_before():
    scene = queue_jump()
    scene.new("S", "buy", 5, 96)
    scene.wait(299_990)
    scene.new("XM", "buy", 1, 80)
    assert last_harm(scene) is None
    scene.wait(20)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert found[-1].client_harm == 10.0  # 5 lots at 100 less the mid 98
    assert found[-1].detected_ns == found[0].detected_ns + 300 * SECOND


def test_later_fills_go_first_to_what_was_not_displaced():
    scene = queue_jump()
    scene.new("B", "buy", 15, 100, tif="IOC")  # leaves 5 of 20: all that was displaced
    scene.new("S", "buy", 5, 96)
    scene.wait(1)
    scene.venue.cancel("X-USD", scene.client, received_ns=scene.venue.now_ns)
    found, _ = scene.found()
    assert found[-1].client_harm is not None
    assert found[-1].client_harm == 10.0


def test_a_client_who_moves_the_order_gives_up_the_price():
    scene = queue_jump()
    scene.new("S", "buy", 5, 99)
    scene.venue.replace("X-USD", scene.client, price=120, received_ns=scene.venue.now_ns)
    assert last_harm(scene) == 2.5  # 5 lots at 100 less the mid 99.5


def test_a_client_who_only_reduces_the_order_is_marked_for_what_it_gives_up():
    scene = queue_jump()
    scene.new("S", "buy", 5, 96)
    scene.venue.replace("X-USD", scene.client, quantity=2, received_ns=scene.venue.now_ns)
    assert last_harm(scene) is None  # 2 are still open
    scene.new("B", "buy", 2, 100, tif="IOC")
    assert last_harm(scene) == 6.0  # 3 lots at 100 less the mid 98; 2 were filled after all


def test_one_quantity_jumped_twice_is_harmed_once():
    scene = queue_jump()
    scene.new("B", "buy", 17, 100, tif="IOC")  # the client has 3 left
    scene.new("MM", "sell", 5, 100)
    scene.venue.favoured = "MM"
    scene.new("B", "buy", 5, 100, tif="IOC")
    scene.venue.favoured = None
    scene.new("S", "buy", 5, 90)
    scene.wait(1)
    scene.venue.cancel("X-USD", scene.client, received_ns=scene.venue.now_ns)
    found, _ = scene.found()
    assert found[-1].features["older"].value == 2
    assert found[-1].client_harm == 15.0  # 3 lots, not 8: (100 − 95) × 3


def test_harm_of_several_clients_is_each_one_s_own_by_place_in_the_queue():
    scene = Scene()
    scene.new("S", "buy", 50, 90)
    front = scene.new("A", "sell", 2, 100)
    behind = scene.new("B", "sell", 20, 100)
    jump(scene, 5)
    scene.new("S", "buy", 5, 96)
    scene.wait(1)
    scene.venue.cancel("X-USD", behind, received_ns=scene.venue.now_ns)
    found, _ = scene.found()
    assert len(found[0].accounts) == 3
    assert found[0].accounts[:2] == found[0].first_accounts
    assert found[0].features["displaced"].value == 5.0
    assert found[0].features["unmeasured"].value == 0.0
    assert found[-1].client_harm == 6.0  # 3 of the second: (100 − 98) × 3; the first's 2 are open
    scene.venue.cancel("X-USD", front, received_ns=scene.venue.now_ns)
    assert last_harm(scene) == 10.0


def test_a_client_behind_that_would_have_had_nothing_lost_nothing():
    scene = Scene()
    scene.new("S", "buy", 50, 90)
    scene.new("A", "sell", 20, 100)
    behind = scene.new("B", "sell", 20, 100)
    jump(scene, 5)
    scene.wait(1)
    scene.venue.cancel("X-USD", behind, received_ns=scene.venue.now_ns)
    found, _ = scene.found()
    assert [len(f.accounts) for f in found] == [2]
    assert found[0].client_harm is None


def test_later_fills_are_counted_once_for_an_order_jumped_twice():
    scene = queue_jump()  # 5 of the client's 20
    jump(scene, 5)
    scene.new("B", "buy", 12, 100, tif="IOC")  # leaves 8: of the 10 displaced, 2 are made good
    scene.new("S", "buy", 5, 98)
    scene.wait(1)
    scene.venue.cancel("X-USD", scene.client, received_ns=scene.venue.now_ns)
    assert last_harm(scene) == 8.0  # 8 lots at 100 less the mid 99


def test_quantity_marked_at_the_horizon_is_not_harmed_once_more():
    scene = queue_jump()
    scene.new("B", "buy", 15, 100, tif="IOC")  # the client has the displaced 5 left
    scene.new("S", "buy", 5, 96)
    scene.wait(300_010)
    jump(scene, 5)
    scene.wait(300_010)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert found[-1].features["older"].value == 2
    assert found[-1].client_harm == 10.0  # 5 lots at 100 less the mid 98, once
    assert scene.found(size=1)[0] == found


def test_what_an_iceberg_still_hides_is_filled_before_what_was_displaced():
    scene = Scene()
    scene.new("S", "buy", 50, 90)
    client = scene.new("A", "sell", 20, 100, display=5)
    jump(scene, 5)
    scene.new("B", "buy", 15, 100, tif="IOC")  # the client has 5 of 20 left
    scene.new("S", "buy", 5, 98)
    scene.wait(1)
    assert last_harm(scene) is None
    scene.venue.cancel("X-USD", client, received_ns=scene.venue.now_ns)
    assert last_harm(scene) == 5.0


def test_parameters_that_let_harm_outlive_its_episode_are_refused():
    with pytest.raises(ValueError, match="greater than harm_horizon_s 300, was 300"):
        ClientPriorityParams(episode_gap_s=300)


# --- innocent look-alikes -------------------------------------------------------------------------


@look_alike("a maker's quotes hit by both sides")
def test_a_maker_hit_by_both_sides_does_not_fire():
    scene = Scene()
    for _ in range(20):
        scene.new("MM", "sell", 5, 101)
        scene.new("MM", "buy", 5, 99)
        scene.new("A", "buy", 5, 101, tif="IOC")
        scene.new("B", "sell", 5, 99, tif="IOC")
        scene.wait(20)
    assert scene.found() == ([], [])


@look_alike("client order younger than the group's on a price_time venue")
def test_a_younger_client_is_no_breach_on_a_price_time_venue():
    found, younger = passive(-0.02).found()
    assert found == []
    assert younger[0].evidence_class == "indicator"


@look_alike("self-trade-prevention skip")
def test_an_order_skipped_because_it_is_the_incoming_owners_does_not_fire():
    scene = Scene(stp="off")
    scene.new("A", "sell", 20, 100)
    scene.wait(1)
    scene.new("MM", "sell", 5, 100)
    scene.wait(1)
    scene.venue.favoured = "MM"
    scene.new("A", "buy", 5, 100, tif="IOC")
    scene.venue.favoured = None
    assert scene.found() == ([], [])


@pytest.mark.parametrize(("own_price", "fires"), [(100, False), (101, True)])
def test_what_the_group_took_from_the_clients_own_order_was_not_its_to_have(own_price, fires):
    """At 100 the client would have met its own order; at 101 it was overtaken, then stopped."""
    scene = Scene(stp="cancel_incoming")
    scene.new("A" if own_price == 100 else "S", "sell", 10, 100)
    scene.new("A", "sell", 10, 101)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 101, tif="IOC", came=6)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert bool(found) == fires


def test_a_clients_own_order_cancelled_on_the_way_is_a_step_of_its_flight():
    scene = Scene(stp="cancel_resting")
    scene.new("S", "sell", 10, 100)
    scene.new("A", "sell", 5, 100)
    scene.new("S", "sell", 10, 100)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 100, tif="IOC", came=6)  # past its own order, filled in full
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    assert scene.found() == ([], [])


@look_alike("hidden against displayed quantity")
def test_hidden_client_quantity_is_owed_nothing():
    scene = Scene()
    scene.new("A", "sell", 20, 100, display=0)
    scene.wait(1)
    scene.new("MM", "sell", 5, 100)
    scene.wait(1)
    scene.new("B", "buy", 5, 100, tif="IOC")
    assert scene.found() == ([], [])


@look_alike("client amending after the match")
def test_a_client_who_amends_after_the_match_does_not_fire():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    resting = scene.new("A", "buy", 10, 95)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.wait(1)
    scene.venue.replace("X-USD", resting, price=100, received_ns=scene.venue.now_ns - 50_000)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    assert scene.found() == ([], [])


@look_alike("instruction held by a speed bump")
@pytest.mark.parametrize("scene", [inversion, passive])
def test_a_held_instruction_does_not_fire(scene):
    made = inversion(reason="speed_bump") if scene is inversion else passive(5, reason="speed_bump")
    found, _ = made.found()
    assert found == []


@look_alike("gap within the clock uncertainty")
@pytest.mark.parametrize("make", [inversion, passive])
def test_a_gap_within_the_uncertainty_does_not_fire(make):
    found, _ = make(gap_ms=0.1).found()
    assert found == []
    found, _ = make(gap_ms=5).found(clock_uncertainty_ns=5 * MS)
    assert found == []


@look_alike("gateways so uneven that others' instructions overtake each other as well")
@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("make", [inversion, passive])
def test_where_others_overtake_each_other_by_as_much_there_is_no_order_of_arrival(make, size):
    found, _ = make(gap_ms=5, before=partial(uneven, reversed_pairs=20)).found(size)
    assert {hit.evidence for hit in found} == {"weak"}
    assert not any(hit.all_legs or hit.systematic for hit in found)
    assert "either way" in found[-1].features["condition"].value


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("make", [inversion, passive])
@pytest.mark.parametrize(
    ("reversed_pairs", "others_ms", "told"),
    [(0, 0.15, True), (4, 0.15, False), (4, 0.08, True), (4, 5, True)],
    ids=["in order", "some reversed", "nearer pairs only", "farther pairs only"],
)
def test_a_gap_near_the_uncertainty_is_no_proof_and_says_so(
    make, reversed_pairs, others_ms, told, size
):
    """A case with its legs where the venue keeps the order of arrival, as far as was seen."""

    def before(scene):
        uneven(scene, reversed_pairs=0, gap_ms=0.15)
        uneven(scene, reversed_pairs=reversed_pairs, gap_ms=others_ms)

    found, _ = make(gap_ms=0.15, before=before).found(size)
    assert {hit.evidence for hit in found} == {"supported"}
    assert {hit.all_legs for hit in found} == {told}
    assert found[-1].features["condition"].value.startswith("breach if the clocks are right")
    assert not any(hit.systematic or hit.notify_clock != "none" for hit in found)


@pytest.mark.parametrize(("make", "held"), [(inversion, True), (passive, False)])
def test_to_overtake_a_client_held_in_the_gateway_s_queue_is_to_trade_ahead_of_it_too(make, held):
    found, _ = make(gap_ms=5).found()
    assert {"trading_ahead" in hit.facets for hit in found} == {held}
    assert ("longest_hold" in found[-1].features) == held


@pytest.mark.parametrize("make", [inversion, passive])
@pytest.mark.parametrize(
    ("reversed_pairs", "others_ms", "gap_ms"),
    [(0, 5, 5), (4, 5, 5), (20, 0.3, 5), (20, 5, 40)],
    ids=["in order", "a few held orders", "closer pairs only", "much farther apart"],
)
def test_an_inversion_is_a_breach_where_others_are_matched_in_order(
    make, reversed_pairs, others_ms, gap_ms
):
    before = partial(uneven, reversed_pairs=reversed_pairs, gap_ms=others_ms)
    found, _ = make(gap_ms=gap_ms, before=before).found()
    assert found[-1].evidence == "proved"


def overtakers(*turns):
    """Who takes by turns where the venue keeps no order; some before a client who came first."""
    scene = Scene(roles=ROLES | dict.fromkeys("CDE", "client"))
    uneven(scene, reversed_pairs=20)
    for taker, overtakes in turns:
        scene.new("S", "sell", 1, 100)
        scene.new("S", "sell", 1, 103)
        scene.wait(600)
        scene.new(taker, "buy", 1, 100, tif="IOC", came=0.05)
        if overtakes:
            scene.new("A", "buy", 1, 103, tif="IOC", came=5.05)
        scene.wait(1)
        scene.new("XM", "buy", 1, 80)
    return scene


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize(("group", "others", "told"), [(5, 0, True), (5, 9, False), (1, 0, False)])
def test_where_there_is_no_order_a_group_that_overtakes_more_often_is_told_by_its_rate(
    group, others, told, size
):
    honest = [("C", False), ("D", False), ("E", False), ("C", False), ("D", False), ("MM", False)]
    turns = [*honest * 8, *[("B", True)] * others, *[("MM", True)] * group]
    found, _ = overtakers(*turns).found(size)
    assert found
    assert any(hit.significant for hit in found) == told
    assert {hit.evidence for hit in found} == {"weak", *(["supported"] if told else [])}
    for hit in found:
        if hit.significant:
            assert hit.features["overtaken"].value >= 2 > hit.features["overtaken"].baseline
            assert hit.features["rate_p"].value <= hit.features["rate_p"].baseline


def test_several_overtaken_at_once_or_by_several_at_once_are_one_accident():
    scene = overtakers(*[("C", False), ("D", False), ("E", False), ("MM", False)] * 12)
    for _ in range(4):
        scene.new("S", "sell", 1, 100)
    for _ in range(3):
        scene.new("S", "sell", 1, 103)
    scene.wait(600)
    for _ in range(4):
        scene.new("MM", "buy", 1, 100, tif="IOC", came=0.05)
    for _ in range(3):
        scene.new("A", "buy", 1, 103, tif="IOC", came=5.05)
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    found, _ = scene.found()
    assert {hit.evidence for hit in found} == {"weak"}


@look_alike("auction or halt")
def test_nothing_is_judged_across_an_auction_or_halt():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.venue.status("X-USD", "halt")
    scene.wait(50)
    scene.venue.status("X-USD", "continuous")
    scene.wait(1)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 100, tif="IOC", came=20)  # came while the instrument was halted
    scene.wait(1)
    scene.new("XM", "buy", 1, 80)
    assert scene.found() == ([], [])
    table = example_instruments()
    batch = batch_of([trade(3, 1)], table, passed_over=[jumped(1, 2, older=1, phase=Phase.AUCTION)])
    assert ClientPriority(ClientPriorityParams(), table).step(batch) == []


@look_alike("iceberg tranche that queued again")
def test_a_further_tranche_queues_last_without_a_finding():
    scene = Scene()
    scene.new("A", "sell", 20, 100, display=5)
    scene.wait(10)
    scene.new("MM", "sell", 5, 100)
    scene.wait(10)
    scene.new("B", "buy", 5, 100, tif="IOC")  # the first tranche; the next stands behind the maker
    scene.wait(10)
    scene.new("B", "buy", 5, 100, tif="IOC")
    scene.wait(1)
    found, _ = scene.found()
    assert found == []


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("allocation at an uncross")
@pytest.mark.xfail(strict=True, reason="auctions are not judged")
def test_a_client_passed_over_at_the_uncross_fires():
    scene = Scene()
    scene.venue.status("X-USD", "auction")
    scene.new("A", "sell", 20, 100)
    scene.new("MM", "sell", 5, 100)
    scene.new("B", "buy", 5, 100)
    scene.venue.favoured = "MM"
    scene.venue.status("X-USD", "continuous")
    scene.venue.favoured = None
    assert scene.found()[0]


@blind_spot(
    "an aggressive group instruction that takes what a passive client instruction, "
    "still in the gateway, would have waited for"
)
@pytest.mark.xfail(strict=True, reason="only like instructions are compared")
def test_a_passive_client_overtaken_by_an_aggressive_group_order_fires():
    scene = Scene()
    scene.new("S", "sell", 10, 100)
    scene.wait(50)
    scene.new("MM", "buy", 10, 100, tif="IOC")
    scene.new("A", "buy", 10, 99, came=6)
    scene.wait(1)
    scene.new("S", "sell", 5, 101)
    assert scene.found()[0]


@blind_spot("an instruction held before the gateway stamps it (quote_fading looks at its effects)")
@pytest.mark.xfail(strict=True, reason="received_ns is taken at its word")
def test_an_instruction_stamped_late_fires():
    assert inversion(gap_ms=-0.02).found()[0]


def test_every_look_alike_and_blind_spot_of_the_spec_has_its_test():
    assert set(LOOK_ALIKES) == set(ClientPriority.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(ClientPriority.spec.blind_spots)


def test_held_instructions_are_remembered_only_for_the_horizon():
    """Ten thousand late instructions an hour; what is kept is those of the last hour."""
    table = example_instruments()
    detector = ClientPriority(ClientPriorityParams(), table)
    sizes = []
    for hour in range(6):
        at = hour * 3_600 * SECOND
        rows = [
            {"kind": Kind.NEW, "account": 1, "seq": 1 + hour * 6_000 + n, "engine_ns": at + n}
            | {"received_ns": at + n + 1, "role": Role.CLIENT}
            for n in range(6_000)
        ]
        detector.step(batch_of(rows, table))
        sizes.append(len(detector.snapshot()["late"]))
    assert max(sizes) <= 18_000


def test_executions_pushed_out_of_the_ring_in_flight_are_counted():
    scene = Scene()
    for n in range(70):
        scene.new("S", "sell", 1, 100 + n)
    scene.wait(1)
    scene.new("MM", "buy", 70, 200, tif="IOC")
    table = instruments_of(scene.rows)
    batch = Books(table).apply(to_batch(scene.venue.records, table, []))
    tagged = batch.with_columns(
        {"role": np.where(batch["account"] >= 0, int(Role.AFFILIATED_MM), 0).astype(np.int8)}
    )
    detector = ClientPriority(ClientPriorityParams(), table)
    detector.step(tagged)
    assert detector.overflow == 6
