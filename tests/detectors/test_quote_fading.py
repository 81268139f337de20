"""quote_fading: hits, near misses, one innocent case per look-alike, one xfail per blind spot."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from scipy.stats import kstest

from detectors.book import Books
from detectors.examples import batch_of, example_instruments
from detectors.fading_chance import WEIGHTS, tails
from detectors.fading_state import COMPLEX, HIT_LEVEL, LEVEL, PEERS
from detectors.quote_fading import QuoteFading, QuoteFadingParams
from detectors.statistics import randomised, uniform
from ingest.events import Kind, OrderType, Role, Side, TimeInForce
from tests.support.claims import claims
from tests.support.fading import Spell
from tests.support.matching import Venue
from tests.support.vectors import batches, instruments_of, to_batch

SECOND, MS = 10**9, 10**6
START = 1_763_900_100 * SECOND
"""A full five minutes."""
ROLES = {
    "MM": "affiliated_mm",
    "X1": "external_mm",
    "X2": "external_mm",
    "P1": "client",
    "P2": "client",
}
SISTER = {"MM": "affiliated_mm", "AFF": "affiliated", **ROLES}
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene(Spell):
    """A spell on a venue of its own, and what the detector says of its feed."""

    def __init__(self, roles=ROLES):
        self.roles = roles
        self.row = {
            "instrument": "X-USD", "base": "X", "quote": "USD", "kind": "spot",
            "tick_size": "1", "lot_size": "1", "matching": "price_time",
        }  # fmt: skip
        self.rng = random.Random(7)
        venue = Venue([self.row], roles, {n: n for n in roles}, stp="off", start_ns=START)
        super().__init__(venue, "X-USD", {n: n for n in roles})

    def rounds(self, count=14, **options):
        """Play rounds whose clients come at random."""
        for _ in range(count):
            self.round(**{"phase_ms": self.rng.randrange(1_000), **options})
        return self

    def found(self, size=None, **params):
        """Let the test fall due; return findings over the feed cut every `size` records."""
        self.wait(300_000)
        self.enter("P1", "buy", 1, 9_000)
        table = instruments_of([self.row])
        accounts = [{"account": a, "owner": a, "role": r} for a, r in self.roles.items()]
        books, detector = Books(table), QuoteFading(QuoteFadingParams(**params), table)
        batch = to_batch(self.venue.records, table, accounts)
        return [f for part in batches(batch, size) for f in detector.step(books.apply(part))]


# --- hits -----------------------------------------------------------------------------------------


def test_a_maker_that_fades_before_clients_is_one_alert_with_its_withdrawals_and_clients():
    scene = Scene().rounds(fade=["MM"])
    (hit,) = scene.found()
    assert (hit.scenario, hit.evidence, hit.significant) == ("quote_fade", "supported", True)
    assert not hit.all_legs
    assert hit.features["withdrawals"].value == 14
    assert hit.features["from_buyers"].value == 14
    assert hit.features["peer_rate"].value == 0
    assert hit.detected_ns == START + 300 * SECOND
    cited = [scene.venue.records[ref.seq - 1] for ref in hit.evidence_refs]
    assert {(r["action"], r["account"]) for r in cited} == {("cancel", "MM"), ("new", "P2")}
    assert len(cited) == 28


def test_what_the_client_paid_beyond_the_touch_for_what_was_withdrawn_is_the_harm():
    (hit,) = Scene().rounds(fade=["MM"]).found()
    # Of 15 lots 4 are filled by external makers at the touch, 11 at 10,100 in place of 10,000.
    assert hit.client_harm == 14 * 11 * 100
    assert hit.features["worse_filled"].value == 14 * 11
    assert "touch" in hit.counterfactual


@pytest.mark.parametrize("size", [None, 1, 7])
def test_a_withdrawal_before_several_clients_at_once_counts_once_and_all_of_them_are_cited(size):
    (hit,) = Scene().rounds(fade=["MM"], clients=3, lots=5).found(size)
    assert hit.features["tested_withdrawals"].value == 14
    assert hit.features["withdrawals"].value == 42


@pytest.mark.parametrize("how", ["partial", "move", "replaces", "other"])
def test_reductions_moves_and_replacements_are_withdrawals(how):
    (hit,) = Scene().rounds(fade=["MM"], how=how).found()
    assert hit.features["withdrawals"].value == 14


@pytest.mark.parametrize("hold_ms", [0.4, 3, 40, 900])
def test_it_does_not_matter_for_how_long_the_gate_keeps_the_order(hold_ms):
    (hit,) = Scene().rounds(fade=["MM"], hold_ms=hold_ms, after_ms=hold_ms / 2).found()
    assert hit.features["withdrawals"].value >= 12


def test_a_maker_that_stays_away_for_seconds_is_told_all_the_same():
    (hit,) = Scene().rounds(fade=["MM"], away_ms=2_000).found()
    assert hit.features["withdrawals"].value == 14


def test_one_that_fades_before_sellers_alone_is_told_on_that_side():
    scene = Scene()
    for _ in range(10):
        scene.rounds(1, fade=["MM"], side="sell").rounds(1)
    found = scene.found()
    assert found[-1].features["from_buyers"].value == 0
    assert found[-1].features["withdrawals"].value == 10


def test_fading_by_turns_of_two_accounts_of_the_group_is_one_alert():
    scene = Scene(SISTER)
    for part in ["MM", "AFF"] * 7:
        scene.quote()
        for other in {"MM", "AFF"} - {part}:
            for side in ("buy", "sell"):
                scene.gone(other, side, "cancel")
        scene.rounds(1, fade=["MM", "AFF"])
    (hit,) = scene.found()
    assert len(hit.accounts) == 2


def test_half_of_the_orders_faded_are_enough():
    scene = Scene()
    for number in range(40):
        scene.rounds(1, fade=["MM"] if number % 2 else [])
    found = scene.found()
    assert found[-1].features["withdrawals"].value == 20


def test_a_spell_that_goes_on_is_told_again_by_what_is_new():
    scene = Scene().rounds(90, fade=["MM"])
    found = scene.found()
    assert [f.revision for f in found] == list(range(1, len(found) + 1))
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    refs = [ref for f in found for ref in f.evidence_refs]
    assert len(refs) == len(set(refs)) == 2 * found[-1].features["withdrawals"].value


def test_two_spells_are_two_alerts_and_what_a_maker_does_anyway_joins_none():
    """Forty minutes apart, an ordinary withdrawal between: a test over an hour still passes."""
    scene = Scene().rounds(fade=["MM"])
    scene.wait(1_200_000)
    scene.rounds(1, fade=["MM"])
    scene.wait(1_200_000)
    found = scene.rounds(fade=["MM"]).found()
    first, second = {f.first_seq: f for f in found}.values()
    assert (first.status, first.features["withdrawals"].value) == ("confirmed", 14)
    assert second.window_start_ns >= first.window_end_ns
    refs = [ref for f in found for ref in f.evidence_refs]
    assert len(refs) == len(set(refs))


def test_spells_of_many_withdrawals_are_told_apart_by_a_pause_of_minutes():
    """Twelve minutes apart: at a spell's own rate some forty withdrawals would have come."""
    scene = Scene().rounds(30, fade=["MM"])
    scene.wait(720_000)
    found = scene.rounds(30, fade=["MM"]).found()
    first, second = {f.first_seq: f for f in found}.values()
    assert (first.status, first.features["withdrawals"].value) == ("confirmed", 30)
    assert second.features["withdrawals"].value == 30
    assert second.window_start_ns - first.window_end_ns > 700 * SECOND
    assert first.detected_ns <= second.detected_ns < first.window_end_ns + 1_800 * SECOND


def test_a_pause_that_the_spells_rate_makes_likely_does_not_end_it():
    scene = Scene().rounds(14, fade=["MM"])
    scene.wait(240_000)
    found = scene.rounds(14, fade=["MM"]).found()
    assert len({f.first_seq for f in found}) == 1
    assert found[-1].features["withdrawals"].value == 28


def test_half_an_hour_of_silence_confirms_it():
    scene = Scene().rounds(fade=["MM"])
    scene.wait(6_000_000)
    found = scene.found()
    assert [f.status for f in found] == ["provisional", "confirmed"]
    assert found[1].detected_ns == found[0].detected_ns + 1_800 * SECOND


def test_without_external_makers_more_is_asked_and_it_is_said():
    roles = {name: role for name, role in ROLES.items() if name[0] != "X"}
    assert Scene(roles).rounds(8, fade=["MM"]).found() == []
    (hit,) = Scene(roles).rounds(14, fade=["MM"]).found()
    assert hit.features["no_peer_control"].value == 0


def alone_at_the_touch(before):
    """Twelve rounds of everybody, `before` fading; then six of a maker that stands alone."""
    scene = Scene().rounds(12, fade=before)
    scene.wait(300_000 - (scene.venue.now_ns - START) // MS)
    scene.behind |= {"X1": 3, "X2": 3}
    scene.quote()
    return scene.rounds(6, fade=["MM"]).found()


def test_where_external_makers_are_behind_the_touch_their_windows_before_are_compared_with():
    (hit,) = alone_at_the_touch([])
    assert hit.features["withdrawals"].value == 6
    assert (hit.features["span"].value, hit.features["peer_span"].value) == (300, 600)
    assert hit.features["peer_rate"].value == 0


def test_and_if_they_faded_then_it_is_no_choice_of_the_group():
    assert alone_at_the_touch(["X1", "X2"]) == []


def test_a_spell_in_which_others_go_as_well_is_no_choice_whatever_they_did_before():
    scene = Scene().rounds(12)
    scene.wait(300_000 - (scene.venue.now_ns - START) // MS)
    scene.rounds(3, fade=["MM", "X1", "X2"])
    scene.behind |= {"X1": 3, "X2": 3}
    scene.quote()
    assert scene.rounds(3, fade=["MM"]).found(least_peer_windows=8) == []


@pytest.mark.parametrize("size", [1, 7, 100])
def test_cuts_change_nothing(size):
    whole = Scene().rounds(fade=["MM"]).found()
    assert Scene().rounds(fade=["MM"]).found(size) == whole


# --- look-alikes ----------------------------------------------------------------------------------


@look_alike("regular re-quoting on a timer")
def test_a_maker_on_its_timer_is_not_told():
    assert Scene().rounds(40).found() == []


@look_alike("a cancel and a new order at the same price")
def test_a_quote_entered_again_at_its_price_is_not_told():
    assert Scene().rounds(fade=["MM"], how="again").found() == []


@look_alike("reaction to an outside price move, by all makers")
def test_a_move_that_all_makers_go_out_of_the_way_of_is_not_told():
    assert Scene().rounds(20, fade=["MM", "X1", "X2"]).found() == []


@look_alike("maker protection, disconnect or kill switch")
@pytest.mark.parametrize("reason", ["mmp", "disconnect", "kill", "stp", "expiry"])
def test_what_the_venue_takes_away_is_not_told(reason):
    assert Scene().rounds(fade=["MM"], how=reason).found() == []


@look_alike("quotes pulled after a fill")
def test_quotes_pulled_after_fills_are_not_told():
    scene = Scene()
    for _ in range(30):
        scene.quote()
        scene.wait(1_500)
        scene.take(scene.venue.now_ns - MS // 100, lots=10)
        fill_ns = scene.venue.now_ns
        pulled_ns = fill_ns + scene.rng.randrange(100, 900) * MS
        came_ns = fill_ns + scene.rng.randrange(100, 900) * MS
        hold_ns = 150 * MS
        for at_ns, what in sorted([(pulled_ns, "pull"), (came_ns + hold_ns, "take")]):
            scene.venue.now_ns = at_ns
            if what == "pull":
                scene.gone("MM", "sell", "cancel")
            else:
                scene.take(came_ns, lots=3)
        scene.wait(1_000)
    assert scene.found() == []


@look_alike("a slow gateway: long windows hold more withdrawals")
def test_long_windows_are_compared_with_long_windows():
    scene = Scene()
    for _ in range(60):
        scene.quote()
        came_ns = scene.venue.now_ns + scene.rng.randrange(1_000, 2_000) * MS
        for _ in range(3):  # withdrawn for a while, at random, about once a second
            scene.wait(scene.rng.randrange(200, 600))
            if scene.venue.now_ns < came_ns + 800 * MS:
                scene.gone("MM", "sell", "cancel")
                scene.wait(30)
                scene.quote(["MM"])
        scene.venue.now_ns = max(scene.venue.now_ns, came_ns + 800 * MS)
        scene.take(came_ns, lots=2)
        scene.wait(1_000)
    assert scene.found() == []


@look_alike("withdrawal within the clock uncertainty")
def test_a_withdrawal_within_the_uncertainty_of_clocks_is_not_told():
    assert within_uncertainty() == []


def within_uncertainty():
    return Scene().rounds(fade=["MM"], after_ms=0.09).found()


@look_alike("a few withdrawals by chance")
def test_a_few_withdrawals_are_not_told():
    scene = Scene().rounds(12)
    assert scene.rounds(3, fade=["MM"]).rounds(12).found() == []


@look_alike("withdrawals in an auction or halt")
@pytest.mark.parametrize("phase", ["auction", "halt"])
def test_outside_continuous_trading_nothing_is_told(phase):
    scene = Scene()
    scene.venue.status("X-USD", phase)
    for _ in range(14):
        scene.wait(5_000)
        came_ns = scene.venue.now_ns
        scene.wait(2)
        scene.gone("MM", "sell", "cancel")
        scene.wait(6)
        scene.enter("P2", "buy", 5, 10_000, received_ns=came_ns)
    assert scene.found() == []


@look_alike("external maker that fades")
def test_an_external_maker_that_fades_is_not_of_the_group():
    assert Scene().rounds(20, fade=["X1"]).found() == []


@look_alike("quote moved between two accounts of the group")
def test_what_a_sister_offers_in_its_place_is_not_gone():
    scene = Scene(SISTER)
    for _ in range(14):
        scene.quote()
        for side in ("buy", "sell"):
            scene.gone("AFF", side, "cancel")
        came_ns = scene.venue.now_ns + 4_000 * MS
        scene.venue.now_ns = came_ns + 2 * MS
        scene.gone("MM", "sell", "sister")
        scene.wait(6)
        scene.take(came_ns)
        scene.wait(1_000)
    assert scene.found() == []


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("withdrawals within δ of the client's arrival")
@pytest.mark.xfail(strict=True)
def test_blind_fading_within_the_uncertainty_of_clocks():
    assert within_uncertainty()


@blind_spot("fading by a nominee: an account registered as a client's")
@pytest.mark.xfail(strict=True)
def test_blind_a_nominee():
    assert Scene({**ROLES, "N": "client"}).rounds(fade=["N"]).found()


@blind_spot("quotes behind the touch that are taken away before a large order reaches them")
@pytest.mark.xfail(strict=True)
def test_blind_deeper_quotes():
    scene = Scene()
    scene.behind["MM"] = 2
    assert scene.rounds(fade=["MM"]).found()


@blind_spot("an order held before the gateway stamps it")
@pytest.mark.xfail(strict=True)
def test_blind_before_the_gateway():
    assert Scene().rounds(fade=["MM"], after_ms=-3).found()


@blind_spot(
    "external makers that fade as often: then it is the venue that leaks, and not the group alone "
    "that uses it"
)
@pytest.mark.xfail(strict=True)
def test_blind_all_makers_fade():
    assert Scene().rounds(20, fade=["MM", "X1", "X2"]).found()


def test_every_look_alike_and_blind_spot_has_its_test():
    assert set(LOOK_ALIKES) == set(QuoteFading.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(QuoteFading.spec.blind_spots)


# --- the test itself ------------------------------------------------------------------------------


def habit(rng, buckets, *, clients=25, window_ms=100):
    """Yield, a bucket each, rows of makers that come and go by chance, and of clients."""
    key = 0
    makers = {1: Role.AFFILIATED_MM, 2: Role.EXTERNAL_MM}
    quoted = dict.fromkeys(makers, 0)
    for bucket in range(buckets):
        begin = START + bucket * 300 * SECOND
        events = []
        for maker in makers:
            at = 0.0
            while (at := at + rng.expovariate(1.2)) < 299:
                events.append((begin + int(at * SECOND), maker))
        events += [(begin + rng.randrange(1, 299 * 1_000) * MS, 0) for _ in range(clients)]
        rows = []
        for at_ns, who in sorted(events):
            row = {
                "engine_ns": at_ns, "received_ns": at_ns - 1_000, "account": who or 3,
                "role": makers.get(who, Role.CLIENT), "in_complex": int(who == 1),
                "type": OrderType.LIMIT, "tif": TimeInForce.GTC, "price": 100, "quantity": 10,
                "leaves": 10, "side": Side.SELL, "best_bid": 99, "best_ask": 100,
            }  # fmt: skip
            if not who:
                row |= {
                    "kind": Kind.NEW, "side": Side.BUY, "tif": TimeInForce.IOC,
                    "received_ns": at_ns - window_ms * MS,
                }  # fmt: skip
            elif quoted[who]:
                row |= {"kind": Kind.CANCEL, "order_lo": quoted[who], "leaves": 0}
                quoted[who] = 0
            else:
                key += 1
                quoted[who] = key
                row |= {"kind": Kind.NEW, "order_lo": key}
            rows.append(row)
        yield rows


def test_p_values_of_a_maker_with_a_habit_are_uniform():
    """Over 240 windows of five minutes, for the group and for external makers."""
    table, rng = example_instruments(), random.Random(5)
    detector = QuoteFading(QuoteFadingParams(), table)
    chances = {COMPLEX: [], PEERS: []}
    seq = 0
    for number, rows in enumerate(habit(rng, 240)):
        numbered = [{**row, "seq": seq + n} for n, row in enumerate(rows, start=1)]
        seq += len(rows)
        assert list(detector.step(batch_of(numbered, table))) == []
        (tallies,) = detector.snapshot()["fading_tallies"]
        bucket = START // (300 * SECOND) + number + 1
        for unit, found in chances.items():
            tally = tallies[bucket % len(tallies), unit].sum(axis=0)
            tail, beyond = tails(tally[LEVEL:HIT_LEVEL], tally[HIT_LEVEL:])
            found.append(randomised(tail, beyond, uniform(number, unit)))
    for found in chances.values():
        assert len(found) == 240
        assert kstest(found, "uniform").pvalue > 0.01
        assert np.mean(np.array(found) < 0.05) < 0.09


def test_the_tail_is_that_of_a_sum_of_unlike_chances():
    levels = np.zeros(40, np.int64)
    levels[[0, 9, 39]] = 3, 2, 1  # chances 1/40 thrice, 1/4 twice, 1
    rng = np.random.default_rng(1)
    rare, usual = rng.binomial(3, 1 / 40, 400_000), rng.binomial(2, 1 / 4, 400_000)
    drawn = WEIGHTS[0] * rare + WEIGHTS[9] * usual
    for here in itertools.product(range(4), range(3)):
        hits = np.zeros(40, np.int64)
        hits[[0, 9, 39]] = *here, 1
        seen = int(WEIGHTS[[0, 9]] @ here)
        assert tails(levels, hits)[0] == pytest.approx((drawn >= seen).mean(), abs=3e-3)
        assert tails(levels, hits)[1] == pytest.approx((drawn > seen).mean(), abs=3e-3)


def test_a_withdrawal_counts_the_more_the_rarer_it_is_in_windows_like_its_own():
    assert WEIGHTS.tolist() == sorted(WEIGHTS, reverse=True)
    levels = np.zeros(40, np.int64)
    levels[[0, 9]] = 4
    in_short, in_long = np.zeros(40, np.int64), np.zeros(40, np.int64)
    in_short[0], in_long[9] = 3, 3
    assert tails(levels, in_short)[0] < 1e-3
    assert tails(levels, in_long)[0] > 0.05
