"""unequal_access by queue: places as the venue states them, and fills against what was disclosed.

What is filled goes through the test venue and the book; stated places are written by hand.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from detectors.access_examples import told, with_terms
from detectors.access_terms import told as numbers_of
from detectors.access_terms import unread
from detectors.book import Books
from detectors.client_priority import ClientPriority, ClientPriorityParams
from detectors.examples import batch_of
from detectors.unequal_access import UnequalAccess
from ingest.events import NULL, Coverage, Kind, Phase, Reason, TimeInForce
from ingest.names import Names
from ingest.terms import Disclosure, Party, Terms
from tests.support.access_scene import (
    MM,
    MS,
    PARAMS,
    SECOND,
    START,
    TABLE,
    US,
    X1,
    X2,
    Scene,
    way_of,
)
from tests.support.claims import claims
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()
IN_TIME = told("queue", "in_time", "place", "rulebook 3.1")
BEHIND = told("queue", "behind_clients", "place", "rulebook 3.1")
KEEPS = told("queue", "keeps_place", "place", "rulebook 3.1")


# --- places that the venue states -----------------------------------------------------------------


def stated(
    ours_us, theirs_us=-12, *, count=90, makers=(X1, X2), moved=True, leaves=None, scene=None,
    **columns,
):  # fmt: skip
    """Have makers enter and amend orders; places are stated so much older than instructions.

    The affiliate's are `ours_us` older where it amends, else as the others' are.
    """
    scene = scene or Scene()
    for _ in range(count):
        for account in (MM, *makers):
            place = {"leaves_before": NULL, "priority_ns": scene.now_ns - 12 * US - theirs_us * US}
            order = scene.act(account, **place)
            scene.wait(10)
            older_us = ours_us if account == MM else theirs_us
            place = {
                "leaves_before": 10, "price": 101 if moved else 100,
                "leaves": leaves or (10 if moved else 6),
                "priority_ns": scene.now_ns - 12 * US - int(older_us * US),
            }  # fmt: skip
            place |= columns if account == MM else {}
            scene.act(account, Kind.REPLACE, fresh=False, order_lo=order, **place)
            scene.wait(10)
    return scene


def places(findings):
    return [f for f in findings if way_of(f) in ("queue, entered", "queue, amended")]


@pytest.mark.parametrize(
    ("disclosures", "word", "class_"),
    [((), "undisclosed", "indicator"), ((IN_TIME,), "in_time", "breach"),
     ((BEHIND,), "behind_clients", "breach")],
)  # fmt: skip
def test_amendments_that_the_venue_states_to_have_kept_their_place_are_told(
    disclosures, word, class_
):
    (hit,) = stated(9_000).found(*disclosures)
    assert (way_of(hit), hit.evidence_class, hit.evidence) == (
        "queue, amended",
        class_,
        "supported",
    )
    assert (hit.accounts, hit.significant) == ((MM,), True)
    assert hit.features["places_stated_ahead"].value == 90
    assert hit.features["most_ahead"].value == 9_000 * US
    assert hit.features["disclosed"].value == word
    assert hit.first_seq == min(hit.evidence_refs).seq == 2


def test_a_place_that_clients_were_told_is_kept_is_no_alert_but_a_new_order_s_is():
    assert stated(9_000).found(KEEPS) == []
    scene = Scene()
    for _ in range(90):
        for account in (MM, X1, X2):
            older_us = 9_000 if account == MM else -12
            scene.act(account, priority_ns=scene.now_ns - 12 * US - older_us * US)
            scene.wait(10)
    (hit,) = scene.found(KEEPS)
    assert (hit.evidence_class, hit.features["places_stated_ahead"].value) == (
        "breach",
        89,
    )  # the first is stated to be older than the feed


def test_an_amendment_to_more_joins_the_back():
    assert places(stated(9_000, moved=False, leaves=14).found())
    assert places(stated(9_000, moved=False, leaves=9).found()) == []


@look_alike("amendments that only make an order smaller and keep its place")
def test_a_smaller_order_keeps_its_place():
    assert stated(9_000, moved=False).found(IN_TIME) == []


@look_alike("a venue whose stated places are older than instructions for all alike")
@pytest.mark.parametrize("older_us", [900, 40])
def test_a_coarse_clock_of_places_does_not_fire(older_us):
    assert stated(older_us, older_us).found(IN_TIME) == []


@pytest.mark.parametrize(
    "columns",
    [{"phase": Phase.AUCTION}, {"coverage": Coverage.INCOMPLETE}, {"reason": Reason.OTHER},
     {"leaves_before": NULL, "price": 100, "leaves": 14}],
)  # fmt: skip
def test_what_is_no_instruction_in_a_book_known_whole_is_not_counted(columns):
    assert places(stated(9_000, **columns).found(IN_TIME)) == []


def test_a_gateway_whose_clock_is_ahead_states_no_place():
    scene = Scene()
    for _ in range(90):
        for account in (MM, X1, X2):
            wait_us = -60 if account == MM else 12
            scene.act(account, wait_us=wait_us, priority_ns=scene.now_ns)
            scene.wait(10)
    assert scene.found(IN_TIME) == []


def test_like_is_held_against_like():
    """All amendments are stated as of the order's entry, and only the affiliate amends."""
    scene = stated(-12, makers=(X1, X2), count=90)
    scene.rows = [r for r in scene.rows if r["kind"] == Kind.NEW or r["account"] == MM]
    for row in scene.rows:
        if row["kind"] == Kind.REPLACE:
            row["priority_ns"] -= 10 * MS
    assert places(scene.found(IN_TIME)) == []


@pytest.mark.parametrize("columns", [{"tif": TimeInForce.IOC}, {"leaves": 0}])
def test_what_cannot_rest_joins_no_queue(columns):
    scene = Scene()
    for _ in range(90):
        for account in (MM, X1, X2):
            older_us = 9_000 if account == MM else -12
            place = {"priority_ns": scene.now_ns - 12 * US - older_us * US}
            scene.act(account, **place, **columns)
            scene.wait(10)
    assert places(scene.found(IN_TIME)) == []


def test_an_amendment_told_as_a_new_order_keeps_what_was_said_to_be_kept():
    scene = stated(9_000)
    for row in scene.rows:
        if row["kind"] == Kind.REPLACE:
            row |= {
                "kind": Kind.NEW,
                "replaces_lo": row["order_lo"],
                "order_lo": row["order_lo"] + 5_000,
            }
    assert places(scene.found(KEEPS)) == []
    (hit,) = places(scene.found())
    assert way_of(hit) == "queue, amended"


def test_places_before_others_have_shown_the_rule_are_told_once_they_have():
    scene = stated(9_000, count=40)
    scene.now_ns = START + 300 * SECOND
    stated(-12, count=90, scene=scene)
    (hit,) = scene.found(IN_TIME, until_s=600)
    assert hit.features["places_stated_ahead"].value == 40
    assert hit.window_start_ns < START + 300 * SECOND < hit.detected_ns
    assert [hit] == scene.found(IN_TIME, until_s=600, size=1)


def test_a_price_from_before_a_gap_says_nothing():
    """Amendments that were lost in it moved the orders; the next ones only make them smaller."""
    scene = Scene()
    orders = {account: [scene.act(account) for _ in range(60)] for account in (MM, X1, X2)}
    scene.rows.append({**scene.rows[-1], "order_lo": 9_999, "coverage": Coverage.INCOMPLETE})
    scene.wait(1_000)
    for account, each in orders.items():
        for order in each:
            older_us = 9_000 if account == MM else -12
            scene.act(
                account, Kind.REPLACE, fresh=False, order_lo=order, price=101, leaves=6,
                leaves_before=10, priority_ns=scene.now_ns - 12 * US - older_us * US,
            )  # fmt: skip
            scene.wait(10)
    assert places(scene.found(IN_TIME)) == []


def test_within_the_clocks_or_by_chance_it_is_not_told():
    assert stated(9).found(IN_TIME) == []
    few = stated(-12, count=80)
    stated(9_000, count=1, scene=few)
    assert few.found(IN_TIME) == []


@pytest.mark.parametrize(("makers", "count"), [((X1,), 200), ((X1, X2), 20)])
def test_without_others_enough_to_compare_with_nothing_is_told(makers, count):
    assert stated(9_000, makers=makers, count=count).found(IN_TIME) == []


@blind_spot("a place that the venue does not state, until an order is filled there")
@pytest.mark.xfail(strict=True)
def test_blind_a_place_that_is_not_stated():
    scene = stated(9_000)
    for row in scene.rows:
        row["priority_ns"] = NULL
    assert scene.found(IN_TIME)


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_cuts_change_nothing_of_stated_places(size):
    scene = stated(9_000)
    assert scene.found(IN_TIME, size=size) == scene.found(IN_TIME) != []


@pytest.mark.parametrize(
    ("scene", "disclosures", "verdict", "ours"),
    [(stated(-12), (IN_TIME,), "compliant", 0.0), (stated(9_000), (IN_TIME,), "breach", 1.0),
     (stated(9_000), (), "undisclosed", 1.0), (stated(9_000), (KEEPS,), "not_seen", None),
     (stated(-12, makers=(X1,)), (), "no_peer_control", 0.0), (Scene(), (), "not_seen", None)],
)  # fmt: skip
def test_stated_places_are_measured(scene, disclosures, verdict, ours):
    detector = UnequalAccess(PARAMS, TABLE)
    ends = {"kind": Kind.STATUS, "engine_ns": START + 300 * SECOND}
    detector.step(with_terms(batch_of([*scene.rows, ends], TABLE), *disclosures))
    (row,) = (row for row in detector.measured() if row.way == "queue, amended")
    assert (row.verdict, row.ours) == (verdict, ours)


# --- fills, against what was disclosed ------------------------------------------------------------

MINUTE = 60 * SECOND


class Market:
    """A venue with an affiliated maker, an external maker and clients, and the real book."""

    def __init__(self, matching="price_time"):
        self.rows = [
            {"instrument": "X-USD", "base": "X", "quote": "USD", "kind": "spot", "tick_size": "1",
             "lot_size": "1", "matching": matching}
        ]  # fmt: skip
        self.roles = {"MM": "affiliated_mm", "XM": "external_mm", "A": "client", "B": "client"}
        own = {name: name for name in self.roles}
        self.venue = Venue(self.rows, self.roles, own, stp="off", start_ns=START)

    def new(self, account, side, lots, price, **options):
        self.venue.now_ns += MS
        return self.venue.new(
            "X-USD", account, side, lots, price, received_ns=self.venue.now_ns - 50 * US, **options
        )

    def filled(self, behind="A", *, favoured=None):
        """Have the maker's ask filled while one of another stands at its price."""
        first, second = ("MM", behind) if favoured is None else (behind, "MM")
        self.new(first, "sell", 5, 100)
        self.new(second, "sell", 5, 100)
        self.venue.favoured = favoured
        self.new("B", "buy", 5, 100, tif="IOC")
        self.venue.favoured = None
        self.new("B", "buy", 5, 100, tif="IOC")
        return self

    def over(self):
        """Go on to the next five minutes."""
        self.venue.now_ns = -(-self.venue.now_ns // (5 * MINUTE)) * 5 * MINUTE
        self.new("XM", "buy", 1, 80)
        return self

    def run(self, detector_of, *disclosures, size=None):
        table, names = instruments_of(self.rows), Names()
        accounts = [{"account": a, "owner": a, "role": r} for a, r in self.roles.items()]
        batch = to_batch(self.venue.records, table, accounts, names)
        detector, books = detector_of(table), Books(table)
        terms = Terms((), disclosures)
        code = names.code("MM")
        found = []
        for part in batches(batch, size):
            enriched = books.apply(part)
            enriched.terms, enriched.parties = terms, {"MM": Party(code, (code,))}
            found += detector.step(enriched)
        return detector, found

    def found(self, *disclosures, size=None):
        return self.run(lambda table: UnequalAccess(PARAMS, table), *disclosures, size=size)[1]


@pytest.mark.parametrize("behind", ["A", "XM"])
def test_a_fill_before_a_younger_client_is_a_breach_where_it_was_said_to_stand_behind(behind):
    (hit,) = Market().filled(behind).over().found(BEHIND)
    assert (way_of(hit), hit.evidence_class, hit.evidence) == ("queue, filled", "breach", "proved")
    assert hit.features["fills_before_clients"].value == 1
    assert hit.features["lots_before_clients"].value == 5
    assert hit.features["disclosed"].value == "behind_clients"
    assert hit.notify_clock == "asap"
    assert [ref.seq for ref in hit.evidence_refs] == [4]


def test_no_more_is_told_than_clients_could_have_had():
    market = Market()
    market.new("MM", "sell", 5, 100)
    market.new("A", "sell", 2, 100)
    market.new("B", "buy", 5, 100, tif="IOC")
    (hit,) = market.over().found(BEHIND)
    assert hit.features["lots_before_clients"].value == 2


@look_alike("fills before younger clients, where the affiliate was said to queue by time")
def test_a_fill_by_time_does_not_fire():
    assert Market().filled().over().found(IN_TIME) == []
    assert Market().filled().over().found() == []


def test_what_client_priority_tells_is_not_told_twice():
    for market in (
        Market().filled(favoured="MM").over(),
        Market("price_class_time").filled(favoured="MM").over(),
    ):
        assert market.found(BEHIND) == []
        _, told_there = market.run(lambda table: ClientPriority(ClientPriorityParams(), table))
        assert {hit.facets for hit in told_there} == {("queue_jump",)}


def test_a_disclosure_counts_while_it_is_in_force_for_this_instrument():
    market = Market().filled().over()
    later = {"valid_from_ns": START + 10 * MINUTE}
    assert market.found(msgspec.structs.replace(BEHIND, **later)) == []
    assert market.found(BEHIND, told("queue", "in_time", "place", instrument="X-USD")) == []


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_cuts_change_nothing_of_fills(size):
    market = Market()
    for _ in range(3):
        market.filled().filled("XM").over()
    whole = market.found(BEHIND)
    assert [hit.features["fills_before_clients"].value for hit in whole] == [2, 4, 6]
    assert market.found(BEHIND, size=size) == whole


def test_a_fill_in_the_last_moment_of_five_minutes_is_told_with_them():
    market = Market().filled().over().over()
    market.venue.now_ns = START + 15 * MINUTE - 4 * MS
    market.new("MM", "sell", 5, 100)
    market.new("A", "sell", 5, 100)
    market.new("B", "buy", 5, 100, tif="IOC")
    whole = market.over().found(BEHIND)
    assert len(whole) == 2
    assert market.found(BEHIND, size=1) == whole


@pytest.mark.parametrize(
    ("favoured", "disclosures", "verdict", "ours"),
    [(None, (IN_TIME,), "compliant", 0.0), (None, (BEHIND,), "breach", 1.0),
     (None, (), "compliant", 0.0), ("MM", (IN_TIME,), "breach", 1.0),
     ("MM", (), "undisclosed", 1.0)],
)  # fmt: skip
def test_fills_are_measured(favoured, disclosures, verdict, ours):
    market = Market().filled(favoured=favoured).over()
    detector, _ = market.run(lambda table: UnequalAccess(PARAMS, table), *disclosures)
    (row,) = (row for row in detector.measured() if row.way == "queue, filled")
    assert (row.verdict, row.ours, row.count) == (verdict, ours, 1)


def test_a_place_is_read_as_a_word_of_the_table():
    rows = [("in_time", "place"), ("first", "place"), ("1", "place"), ("50", "ns")]
    batch = with_terms(batch_of([], TABLE), *(told("queue", *row) for row in rows))
    assert np.array_equal(numbers_of(batch.terms, batch.parties, TABLE)[:, 3], [0])
    left = unread(batch.terms, batch.parties)
    assert all(isinstance(row, Disclosure) for row in left)
    assert [(row.value, row.unit) for row in left] == rows[1:]
