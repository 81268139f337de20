"""information_leak: hits, near misses, one innocent case per look-alike, one xfail per gap."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import hypergeom, kstest

from detectors import information_leak
from detectors.examples import batch_of, example_instruments, trade
from detectors.information_leak import InformationLeak, InformationLeakParams
from detectors.leak_chance import strata, verdicts
from detectors.leak_screen import binomial_beyond
from detectors.leak_state import COMPLEX, GRADES, PEERS, SCALES, SUSPECTED, SUSPECTS
from detectors.statistics import binomial_tail, randomised, uniform
from detectors.strata import masses, tails
from ingest.events import Phase, Role, Side
from tests.support.claims import claims

SECOND, MS = 10**9, 10**6
START = 1_763_942_400 * SECOND
"""Midnight."""
LOOK = 2_700 * SECOND
MM, SISTER, NOMINEE, X1, X2, QUIET, FOLLOWED = 1, 2, 3, 4, 5, 6, 7
ROLES = {MM: Role.AFFILIATED_MM, SISTER: Role.AFFILIATED, X1: Role.EXTERNAL_MM,
         X2: Role.EXTERNAL_MM}  # fmt: skip
TABLE = example_instruments(("BTC-PERP", "BTC-USD", "ETH-USD"))
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


class Scene:
    """Clients' orders of 10 lots, some of 400; whoever else takes; all with one side a round."""

    def __init__(self, seed=3):
        self.rng = random.Random(seed)
        self.rows = []
        self.client = 100
        self.next_ns = START + 60 * SECOND
        for n in range(20):
            self.take(START + n * SECOND, self.someone(), 10)

    def someone(self):
        self.client += 1
        return self.client

    def take(self, at_ns, account, lots, side=Side.BUY, **columns):
        """Add an execution by one instruction, received 20 µs before it, against a client's."""
        against = columns.pop("against", QUIET)
        mine, other = ("buy", "sell") if side > 0 else ("sell", "buy")
        pair = (account, against) if side > 0 else (against, account)
        row = trade(*pair) | {
            "engine_ns": at_ns, "quantity": lots, "side": side, "phase": Phase.CONTINUOUS,
            "incoming_received_ns": at_ns - 20_000, "incoming_seq": len(self.rows) + 1,
        }  # fmt: skip
        for name, who in ((mine, account), (other, against)):
            role = ROLES.get(who, Role.CLIENT)
            row[f"{name}_role"] = role
            row[f"{name}_complex"] = int(role in {Role.AFFILIATED_MM, Role.AFFILIATED})
        self.rows.append(row | columns)

    def rounds(self, count=30, *, ahead=(MM,), lead_s=0.4, share=0.8, of=1, lots=20, **columns):
        """Play rounds of 45 s: three orders, the first large; `ahead` takes before one of `of`.

        `of` 0: before all three. Large ones are `big`'s, or each another client's.
        """
        big, large = columns.pop("big", None), columns.pop("large", 400)
        side = columns.pop("side", None)
        other = columns.pop("opposite", False)
        begun_ns = self.pause(45 * count)
        for turn in range(count):
            with_ = side or self.rng.choice((Side.BUY, Side.SELL))
            led = turn < share * count
            for place in range(3):
                at_ns = begun_ns + (45 * turn + 15 * place) * SECOND
                if led and ahead and (not of or place == turn % of):
                    who = ahead[turn % len(ahead)]
                    way = Side(-with_) if other else with_
                    self.take(at_ns - int(lead_s * SECOND), who, lots, way, **columns)
                who = self.someone() if place or not big else big
                self.take(at_ns, who, 10 if place else large, with_)
        return self

    def pause(self, seconds):
        """Return the time that rounds have come to, and leave so much from it."""
        at_ns, self.next_ns = self.next_ns, self.next_ns + seconds * SECOND
        return at_ns

    def makers(self):
        """Let two external makers take at random, so that there is a control."""
        for _ in range(200):
            at_ns = START + int(self.rng.uniform(30, 2_600) * SECOND)
            self.take(at_ns, self.rng.choice((X1, X2)), 10, self.rng.choice((Side.BUY, Side.SELL)))
        return self

    def batch(self):
        rows = sorted(self.rows, key=lambda row: (row.get("instrument", 0), row["engine_ns"]))
        seqs: dict[int, int] = {}
        for row in rows:
            code = row.get("instrument", 0)
            row["seq"] = row["incoming_seq"] = seqs[code] = seqs.get(code, 0) + 1
        made = batch_of(rows, TABLE)
        made.watermark_ns = max(START + 5 * LOOK, max(row["engine_ns"] for row in rows) + LOOK)
        return made

    def found(self, **params):
        detector = InformationLeak(InformationLeakParams(**params), TABLE)
        return list(detector.step(self.batch()))


# --- hits -----------------------------------------------------------------------------------------


def test_a_group_ahead_of_large_orders_is_one_alert_with_its_executions_and_what_followed():
    scene = Scene().makers().rounds()
    (hit,) = scene.found(look_s=2_700)
    assert (hit.scenario, hit.evidence, hit.significant) == ("information_leak", "supported", True)
    assert hit.accounts == (MM,)
    assert not hit.all_legs
    assert hit.features["n"].value == 30
    assert hit.features["hits"].value == 24
    assert hit.features["executions"].value == 24
    assert hit.features["p"].value <= hit.features["q"].value <= hit.features["q"].baseline
    assert hit.features["peer_p"].value > 0.01
    assert hit.detected_ns == START + LOOK
    by_seq = {row["seq"]: row for row in sorted(scene.rows, key=lambda r: r["engine_ns"])}
    cited = [by_seq[ref.seq] for ref in hit.evidence_refs]
    ours = [row for row in cited if MM in {row["buy_account"], row["sell_account"]}]
    assert len(ours) == 24
    assert all(row["quantity"] == 400 for row in cited if row not in ours)
    assert len(cited) > 36


@pytest.mark.parametrize(("before_s", "looks"), [(40, [1, 0]), (5, [0, 1])])
def test_a_large_order_is_judged_at_the_look_at_which_it_is_over(monkeypatch, before_s, looks):
    scene, look_ns = Scene().makers().rounds(20), 675 * SECOND
    at_ns = (START + 60 * 60 * SECOND) // look_ns * look_ns
    scene.take(at_ns - before_s * SECOND - 400 * MS, MM, 10)
    scene.take(at_ns - before_s * SECOND, scene.someone(), 200)
    scene.take(at_ns + 100 * SECOND, scene.someone(), 10)
    detector, judged = InformationLeak(InformationLeakParams(), TABLE), []
    monkeypatch.setattr(
        information_leak, "verdicts", lambda *given: judged.append(1) or verdicts(*given)
    )
    batch = scene.batch()
    batch.watermark_ns = at_ns - look_ns + SECOND
    detector.step(batch)
    for place, count in enumerate(looks):
        judged.clear()
        over = batch_of([], TABLE)
        over.watermark_ns = at_ns + place * look_ns + 1
        detector.step(over)
        assert len(judged) == count


@pytest.mark.parametrize("lead_s", [0.0005, 0.01, 0.9, 3.0, 6.0])
def test_it_does_not_matter_how_long_before(lead_s):
    assert Scene().makers().rounds(lead_s=lead_s).found()


@pytest.mark.parametrize("ahead", [(SISTER,), (MM, SISTER)])
def test_a_sister_or_accounts_by_turns_are_the_group(ahead):
    (hit,) = Scene().makers().rounds(ahead=ahead).found(look_s=2_700)
    assert set(hit.accounts) == set(ahead)


def test_executions_in_another_instrument_on_the_underlying_are_looked_at():
    scene = Scene()
    for n in range(20):
        scene.take(START + n * SECOND + 1, scene.someone(), 10, instrument=1)
    (hit,) = scene.rounds(instrument=1).found(look_s=2_700)
    assert hit.instrument == 0
    assert hit.features["traded_in"].value == "BTC-USD"
    assert {ref.instrument for ref in hit.evidence_refs} == {0, 1}


def test_another_underlying_says_nothing():
    scene = Scene()
    for n in range(20):
        scene.take(START + n * SECOND + 1, scene.someone(), 10, instrument=2)
    assert scene.rounds(instrument=2).found() == []


def test_a_fifth_of_large_orders_is_found_within_hours():
    scene = Scene().makers()
    found = scene.rounds(230, share=1, ahead=()).found()
    assert found == []
    scene = Scene().makers()
    for turn in range(230):
        scene.rounds(1, share=int(turn % 5 == 0))
    assert scene.found()


def test_a_slow_parent_is_one_large_order():
    scene = Scene().makers()
    for _ in range(30):
        scene.rounds(1, share=0)
        client, at_ns = scene.someone(), scene.pause(105)
        scene.take(at_ns - 300 * MS, MM, 20)
        for child in range(20):
            scene.take(at_ns + 4 * child * SECOND, client, 12)
    (hit,) = [f for f in scene.found(look_s=2_700) if f.revision == 1]
    assert hit.features["executions"].value > 15


@pytest.mark.parametrize(("large", "least"), [(90, 8.0), (200, 16.0), (700, 32.0)])
def test_what_is_large_is_told_apart_by_size(large, least):
    *_, hit = Scene().makers().rounds(large=large).found(look_s=2_700)
    assert hit.features["large_from"].value <= least
    assert Scene().makers().rounds(large=70).found() == []


def drowned():
    """Orders of ten usual ones, of which none is led, beside a few of forty, which all are."""
    scene = Scene().makers()
    for turn in range(240):
        scene.rounds(1, ahead=(), large=100)
        if turn % 16 == 0:
            scene.rounds(1, share=1)
    for _ in range(600):
        at_ns = START + int(scene.rng.uniform(60, 11_000) * SECOND)
        scene.take(at_ns, MM, 10, scene.rng.choice((Side.BUY, Side.SELL)))
    return scene


def test_large_orders_do_not_drown_in_those_that_are_less_so():
    *_, hit = drowned().found()
    assert hit.features["large_from"].value > 8.0
    assert drowned().found(large_ratios=(8.0, 8.1, 8.2)) == []


def in_all(led=(0, 1, 2), *, there=(0, 1, 2), shared=False):
    """Play rounds in three instruments; in those led the group is ahead of one large in twelve."""
    scene = Scene()
    scene.rows = []
    for code in there:
        part = Scene(seed=11 + code)
        part.next_ns += 7_500 * code * MS
        for n, maker in enumerate((X1, X2)):
            part.take(START + (30 + n) * SECOND, part.someone(), 10, against=maker)
        for turn in range(110):
            part.rounds(1, share=int(code in led and turn % 12 == 0))
            if shared and turn % 12 == 0:
                at_ns = part.next_ns - 45 * SECOND - 300 * MS
                part.take(at_ns, (X1, X2)[turn % 24 // 12], 10, part.rows[-1]["side"])
        for _ in range(140):
            at_ns = START + int(part.rng.uniform(60, 5_000) * SECOND)
            part.take(at_ns, MM, 10, part.rng.choice((Side.BUY, Side.SELL)))
        for row in part.rows:
            sides = [side for side in ("buy", "sell") if row[f"{side}_account"] > 100]
            new = {f"{side}_account": row[f"{side}_account"] + 5_000 * code for side in sides}
            scene.rows.append(row | {"instrument": code} | new)
    return scene


def test_what_is_little_in_each_instrument_is_told_of_all_together():
    found = in_all().found()
    assert {hit.instrument for hit in found} == {0, 1, 2}
    assert {hit.features["over"].value for hit in found} == {"platform"}
    assert {hit.features["unit"].value for hit in found} == {"complex"}
    for hit in found:
        assert {ref.instrument for ref in hit.evidence_refs} == {hit.instrument}
        assert hit.features["hits"].value > hit.features["executions"].value
    alone = [in_all((code,), there=(code,)).found() for code in range(3)]
    assert alone == [[], [], []]


def test_an_instrument_without_is_not_told_because_others_are():
    found = in_all((0, 2)).found(daily_false_alarms=0.5)
    assert {hit.instrument for hit in found} == {0, 2}


def test_what_external_makers_do_as_well_in_all_together_is_not_told():
    assert in_all(shared=True).found(daily_false_alarms=0.5) == []


def test_what_all_together_have_won_outlives_restarts_and_does_not_depend_on_batches():
    whole = in_all().batch()
    expected = list(InformationLeak(InformationLeakParams(), TABLE).step(whole))
    said, kept, until_ns = [], None, START
    while until_ns < whole.watermark_ns:
        rows = (whole["clock_ns"] >= until_ns) & (whole["clock_ns"] < until_ns + 400 * SECOND)
        until_ns += 400 * SECOND
        piece = whole.take(rows)
        piece.watermark_ns = min(until_ns, whole.watermark_ns)
        detector = InformationLeak(InformationLeakParams(), TABLE)
        if kept is not None:
            detector.restore(kept)
        said += detector.step(piece)
        kept = detector.snapshot()
    assert expected
    assert said == expected


def test_without_external_makers_more_is_asked_and_it_is_said():
    (hit,) = Scene().rounds().found(look_s=2_700)
    assert "no_peer_control" in hit.features
    less = {"uncontrolled_ratio": 1e-20}
    assert Scene().rounds().found(**less) == []
    assert Scene().makers().rounds().found(**less)


def test_external_makers_who_only_rest_are_there_as_well():
    scene = Scene()
    for n, maker in enumerate((X1, X2)):
        scene.take(START + (30 + n) * SECOND, scene.someone(), 10, against=maker)
    (hit,) = scene.rounds().found(look_s=2_700)
    assert (hit.features["peer_hits"].value, hit.features["peer_p"].value) == (0, 1.0)
    scene = Scene()
    for n in range(2):
        scene.take(START + (30 + n) * SECOND, scene.someone(), 10, against=X1)
    (hit,) = scene.rounds().found(look_s=2_700)
    assert "no_peer_control" in hit.features


def test_it_is_told_at_the_look_after_which_it_is_sure():
    first, *_ = Scene().makers().rounds().found()
    assert first.detected_ns == START + InformationLeakParams().look_s * SECOND
    assert first.features["q"].value <= first.features["q"].baseline


def test_a_fifth_of_large_orders_from_the_fifth_hour_on_is_found_within_hours():
    scene = Scene().makers().rounds(400, ahead=())
    for turn in range(230):
        scene.rounds(1, share=int(turn % 5 == 0))
    begun_ns = START + 60 * SECOND + 400 * 45 * SECOND
    first, *_ = scene.found()
    assert begun_ns < first.detected_ns < begun_ns + 4 * 3_600 * SECOND


def test_the_day_goes_on_in_one_alert_and_its_end_confirms_it():
    scene = Scene().makers().rounds(90)
    detector = InformationLeak(InformationLeakParams(), TABLE)
    found = list(detector.step(scene.batch()))
    later = batch_of([], TABLE)
    later.watermark_ns = START + 40 * LOOK
    found += detector.step(later)
    assert [f.revision for f in found] == list(range(1, len(found) + 1))
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    assert [f.status for f in found][-2:] == ["provisional", "confirmed"]
    refs = [ref for f in found for ref in f.evidence_refs]
    assert len(refs) == len(set(refs))


def test_a_late_trade_is_counted_and_left_out():
    scene = Scene().makers().rounds()
    detector = InformationLeak(InformationLeakParams(), TABLE)
    detector.step(scene.batch())
    again = scene.batch()
    assert list(detector.step(again)) == []
    assert detector.overflow == len(again)


def test_a_clients_account_ahead_of_others_large_orders_is_told_apart_from_the_group():
    *_, hit = Scene().makers().rounds(45, ahead=(NOMINEE,)).found()
    assert (hit.scenario, hit.evidence, hit.significant) == ("information_leak", "supported", True)
    assert (hit.accounts, hit.first_accounts) == ((NOMINEE,), (NOMINEE,))
    assert hit.features["unit"].value == "client"
    assert hit.features["clients"].value == hit.features["executions"].value
    assert hit.features["crowd_p"].value > 0.01
    both = Scene().makers().rounds(45, ahead=(MM, NOMINEE)).found()
    assert {found.accounts for found in both} == {(MM,), (NOMINEE,)}


def test_what_made_a_clients_account_suspected_is_not_counted_against_it():
    *_, hit = Scene().makers().rounds(45, ahead=(NOMINEE,)).found()
    assert hit.features["hits"].value <= 36 - InformationLeakParams().least_suspected
    *_, hit = Scene().makers().rounds(60, ahead=(NOMINEE,)).found(least_suspected=12)
    assert hit.features["hits"].value <= 48 - 12


def test_a_clients_account_that_trades_another_instrument_on_the_underlying_is_found():
    scene = Scene().makers()
    for n in range(20):
        scene.take(START + n * SECOND + 1, scene.someone(), 10, instrument=1)
    for n in range(100):
        scene.take(START + (60 + 24 * n) * SECOND, scene.someone(), 10, instrument=1)
    (hit,) = scene.rounds(50, ahead=(NOMINEE,), instrument=1).found(look_s=2_700)
    assert (hit.accounts, hit.features["traded_in"].value) == ((NOMINEE,), "BTC-USD")


def after_others():
    """Four accounts are ahead for a while and then by chance only; another is from then on."""
    scene = Scene().makers().rounds(24, ahead=(10, 11, 12, 13), share=1)
    for at_s in scene.rng.choices(range(1_200, 8_000), k=400):
        side = scene.rng.choice((Side.BUY, Side.SELL))
        scene.take(START + at_s * SECOND, scene.rng.choice((10, 11, 12, 13)), 10, side)
    return scene.rounds(160, ahead=(NOMINEE,))


def test_suspects_of_whom_nothing_is_seen_make_room_for_others():
    assert NOMINEE in {hit.first_accounts[0] for hit in after_others().found()}
    assert after_others().found(nothing_deviations=-1e9) == []


@pytest.mark.parametrize("every_s", [400, 2_700])
def test_suspicion_outlives_restarts_and_does_not_depend_on_batches(every_s):
    scene = after_others()
    whole, said, kept = scene.batch(), [], None
    expected = list(InformationLeak(InformationLeakParams(), TABLE).step(whole))
    assert {hit.first_accounts for hit in expected} == {(NOMINEE,)}
    until_ns = START
    while until_ns < whole.watermark_ns:
        rows = (whole["clock_ns"] >= until_ns) & (whole["clock_ns"] < until_ns + every_s * SECOND)
        until_ns += every_s * SECOND
        piece = whole.take(rows)
        piece.watermark_ns = min(until_ns, whole.watermark_ns)
        detector = InformationLeak(InformationLeakParams(), TABLE)
        if kept is not None:
            detector.restore(kept)
        said += detector.step(piece)
        kept = detector.snapshot()
    assert said == expected


def in_both(rounds, *, only=False):
    """Play rounds in both instruments on an underlying, ahead by one account; or in one only."""
    scene = Scene().makers()
    for _ in range(100):
        at_ns = START + int(scene.rng.uniform(30, 2_600) * SECOND)
        scene.take(at_ns, scene.rng.choice((X1, X2)), 10, instrument=1)
    there = Scene(seed=5).rounds(rounds, ahead=() if only else (NOMINEE,), share=0.3)
    scene.rounds(rounds, ahead=(NOMINEE,), share=0.3)
    for row in there.rows:
        sides = [side for side in ("buy", "sell") if row[f"{side}_account"] > 100]
        new = {f"{side}_account": row[f"{side}_account"] + 5_000 for side in sides}
        scene.rows.append(row | {"instrument": 1} | new)
    return scene.found(daily_false_alarms=0.15)


def test_instruments_on_one_underlying_are_tested_together_for_a_suspect():
    found = in_both(56)
    assert {(hit.instrument, hit.features["over"].value) for hit in found} == {
        (0, "underlying"), (1, "underlying")
    }  # fmt: skip
    assert all({ref.instrument for ref in hit.evidence_refs} == {hit.instrument} for hit in found)
    assert in_both(56, only=True) == []


# --- look-alikes ----------------------------------------------------------------------------------


@look_alike("large client orders that the group trades beside at its base rate")
def test_a_group_that_takes_at_random_is_not_told():
    scene = Scene().makers().rounds(55, ahead=())
    for _ in range(300):
        at_ns = START + int(scene.rng.uniform(30, 2_600) * SECOND)
        scene.take(at_ns, MM, 20, scene.rng.choice((Side.BUY, Side.SELL)))
    assert scene.found() == []


@look_alike("news that makes the group and clients buy at once")
def test_news_is_before_ordinary_orders_as_well():
    assert Scene().makers().rounds(50, of=0, share=0.3, side=Side.BUY).found() == []


@look_alike("hedging bursts larger than a client's order")
def test_hedges_of_a_whole_position_are_not_counted():
    assert big_leads() == []


def big_leads():
    return Scene().makers().rounds(lots=1_000).found()


@look_alike("a maker that takes all day, before every order")
def test_a_maker_ahead_of_every_order_is_not_told():
    assert Scene().makers().rounds(50, of=0, share=1).found() == []


@look_alike("external makers that are ahead as often")
def test_what_external_makers_do_as_well_is_not_told():
    scene = Scene().rounds()
    for row in [r for r in scene.rows if MM in {r["buy_account"], r["sell_account"]}]:
        for maker in (X1, X2):
            scene.take(row["engine_ns"] - MS, maker, 10, row["side"])
    assert scene.found() == []


@look_alike("executions after the client's order came, or within the clock uncertainty")
@pytest.mark.parametrize("lead_s", [0.00005, -0.01, -1.0])
def test_what_comes_with_or_after_the_order_is_not_told(lead_s):
    assert Scene().makers().rounds(lead_s=lead_s).found() == []


@look_alike("executions on the other side")
def test_executions_on_the_other_side_are_not_told():
    assert Scene().makers().rounds(opposite=True).found() == []


@look_alike("a few executions by chance")
def test_a_few_are_not_told():
    assert Scene().makers().rounds(share=0.15).found() == []


@look_alike("a client who takes all day, before every order")
def test_a_client_ahead_of_every_order_is_not_told():
    assert Scene().makers().rounds(50, ahead=(NOMINEE,), of=0, share=1).found() == []


@look_alike("news that makes clients buy at once, the large ones after the others")
@pytest.mark.parametrize("count", [4, 12, 20])
def test_clients_who_are_quick_at_news_are_not_told(count):
    """News at a third of rounds, at which some buy at once; the large order takes its time."""
    scene = Scene(seed=1).makers()
    for turn in range(200):
        quick = scene.rng.sample(range(10, 10 + count), 0 if turn % 3 else count)
        for place, who in enumerate(quick):
            scene.take(scene.next_ns - (900 - 800 * place // count) * MS, who, 10)
        scene.rounds(1, ahead=(), side=Side.BUY)
    assert scene.found() == []
    assert {hit.features["unit"].value for hit in scene.found(least_alike=9)} == {"client"}


@look_alike("two clients who follow the same signal, one quicker")
def test_a_client_who_is_ahead_of_one_other_is_not_told():
    assert ahead_of_one() == []
    assert ahead_of_one(one_client_ratio=9.0)


def ahead_of_one(**params):
    return Scene().makers().rounds(45, ahead=(NOMINEE,), big=FOLLOWED).found(**params)


@look_alike("clients whose large orders are worked in slices beside each other")
def test_clients_who_split_their_orders_are_not_told():
    scene = Scene().makers()
    rng, slices = scene.rng, []
    for _ in range(60):
        client, side = 10 + rng.randrange(8), rng.choice((Side.BUY, Side.SELL))
        at_s = rng.uniform(60, 2_500)
        slices += [(at_s + rng.uniform(2, 8) * n, client, side) for n in range(rng.randint(4, 15))]
    slices += [
        (rng.uniform(60, 2_600), None, rng.choice((Side.BUY, Side.SELL))) for _ in range(300)
    ]
    for at_s, client, side in slices:
        at_ns = START + int(at_s * SECOND)
        scene.take(at_ns, client or scene.someone(), 20 if client else 10, side)
    assert scene.found() == []


@look_alike("auction or halt")
def test_outside_continuous_trading_nothing_counts():
    assert Scene().makers().rounds(phase=Phase.AUCTION).found() == []


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("a client's account that is ahead of one client's orders only")
@pytest.mark.xfail(strict=True)
def test_blind_ahead_of_one_client():
    assert ahead_of_one()


@blind_spot("accounts of clients that take turns, each ahead of a few orders")
@pytest.mark.xfail(strict=True)
def test_blind_many_nominees():
    assert Scene().makers().rounds(45, ahead=tuple(range(10, 30))).found()


@blind_spot("three or more accounts of clients that are ahead as much as each other")
@pytest.mark.xfail(strict=True)
def test_blind_several_nominees():
    assert Scene().makers().rounds(150, ahead=(10, 11, 12)).found()


@blind_spot("an external maker that is ahead")
@pytest.mark.xfail(strict=True)
def test_blind_an_external_maker():
    assert Scene().makers().rounds(45, ahead=(X1,)).found()


@blind_spot("orders of the group that rest, and are hit")
@pytest.mark.xfail(strict=True)
def test_blind_resting_orders():
    scene = Scene().makers().rounds(ahead=(900,), against=MM, opposite=True)
    assert scene.found()


@blind_spot("a client whose large order rests before it takes")
@pytest.mark.xfail(strict=True)
def test_blind_a_large_order_that_rests():
    scene = Scene().makers()
    for _ in range(30):
        scene.rounds(1, share=0)
        at_ns = scene.pause(30)
        scene.take(at_ns, MM, 20)
        scene.take(at_ns + SECOND // 2, scene.someone(), 200, Side.SELL, against=scene.someone())
    assert scene.found()


@blind_spot("a large order in the midst of a busy client's others on its side")
@pytest.mark.xfail(strict=True)
def test_blind_amid_others_of_a_busy_client():
    scene = Scene().makers()
    for turn in range(240):
        scene.take(START + (60 + 10 * turn) * SECOND, 99, 10)
        if turn % 8 == 4:
            scene.take(START + (64 + 10 * turn) * SECOND, MM, 20)
            scene.take(START + (65 + 10 * turn) * SECOND, 99, 400)
        scene.take(START + (67 + 10 * turn) * SECOND, scene.someone(), 10)
    assert scene.found()


@blind_spot("knowledge from more than 50 s before")
@pytest.mark.xfail(strict=True)
def test_blind_long_leads():
    scene = Scene().makers()
    for turn in range(30):
        at_ns = START + (100 + 80 * turn) * SECOND
        scene.take(at_ns - 55 * SECOND, MM, 20)
        scene.take(at_ns, scene.someone(), 200)
        scene.take(at_ns + SECOND, scene.someone(), 10)
    assert scene.found()


@blind_spot("leads of more than most_ratio usual orders")
@pytest.mark.xfail(strict=True)
def test_blind_large_leads():
    assert big_leads()


def test_every_look_alike_and_blind_spot_has_its_test():
    assert set(LOOK_ALIKES) == set(InformationLeak.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(InformationLeak.spec.blind_spots)


# --- the test itself ------------------------------------------------------------------------------


def test_the_masses_are_those_of_a_sum_of_hypergeometrics():
    every, marked, drawn = (np.array(n, np.int64) for n in ([40, 9, 5], [11, 9, 2], [7, 3, 4]))
    expected = np.ones(1)
    for n, m, d in zip(every, marked, drawn, strict=True):
        expected = np.convolve(expected, hypergeom.pmf(np.arange(min(d, m) + 1), n, m, d))
    assert np.allclose(masses(every, marked, drawn), expected)


def test_p_values_are_uniform_where_nobody_knows_anything():
    """Over 240 looks: trends, bursts and habits, but no knowledge; the group's and the makers'."""
    rng = np.random.default_rng(8)
    found = {
        (unit, scale, grade): []
        for unit in (COMPLEX, PEERS) for scale in range(SCALES) for grade in range(GRADES)
    }  # fmt: skip
    detector = InformationLeak(InformationLeakParams(daily_false_alarms=1e-9, look_s=2_700), TABLE)
    looks = 240
    for look in range(looks):
        scene = Scene.__new__(Scene)
        scene.rows, scene.client = [], 100 + 1_000 * look
        begun_ns = START + look * LOOK
        drift = rng.uniform(-0.3, 0.3)
        for account, count in ((None, 260), (MM, 60), (X1, 60), (X2, 60)):
            for at_s in rng.uniform(20, 2_650, count):
                lots = 10 if account else int(rng.choice([10, 10, 10, 10, 10, 80, 160, 320]))
                side = Side.BUY if rng.random() < 0.5 + drift * np.sin(at_s / 300) else Side.SELL
                scene.take(begun_ns + int(at_s * SECOND), account or scene.someone(), lots, side)
        made = scene.batch()
        made.watermark_ns = begun_ns + LOOK - 1
        assert list(detector.step(made)) == []
        kept = detector.snapshot()
        after = batch_of([], TABLE)
        after.watermark_ns = begun_ns + LOOK
        for (unit, scale, grade), of_unit in found.items():
            part = kept["leak_tallies"][0, 0, scale]
            every, marked, drawn, hits = strata(part, unit, grade)
            assert len(every)
            tail = tails(every, marked, drawn, hits)
            of_unit.append(randomised(tail.p, tail.beyond, uniform(look, unit, scale, grade)))
        detector.step(after)
    for found_ in found.values():
        assert len(found_) == looks
        assert kstest(found_, "uniform").pvalue > 0.005
        assert np.mean(np.array(found_) < 0.05) < 0.09


@pytest.mark.parametrize(("hits", "trials", "chance"), [(3, 9, 0.02), (4, 5, 0.5), (30, 900, 0.01)])
def test_the_screens_tail_is_the_binomials(hits, trials, chance):
    assert np.isclose(binomial_beyond(hits, trials, chance), binomial_tail(hits, trials, chance))


def test_p_values_of_suspects_are_uniform_however_they_were_chosen():
    """Each look anew, who was ahead of a large order first is suspected: by luck alone."""
    rng = np.random.default_rng(5)
    units = range(SUSPECTED, SUSPECTED + SUSPECTS)
    found = {(unit, scale): [] for unit in units for scale in range(SCALES)}
    for look in range(120):
        scene = Scene.__new__(Scene)
        scene.rows, scene.client = [], 1_000
        for account, count in ((None, 260), *((who, 40) for who in range(10, 16))):
            for at_s in rng.uniform(20, 2_650, count):
                lots = 10 if account else int(rng.choice([10, 10, 10, 10, 200]))
                side = Side.BUY if rng.random() < 0.5 + 0.2 * np.sin(at_s / 300) else Side.SELL
                scene.take(START + int(at_s * SECOND), account or scene.someone(), lots, side)
        made = scene.batch()
        made.watermark_ns = START + LOOK - 1
        chosen = InformationLeakParams(least_suspected=1, suspect_chance=0.5, look_s=2_700)
        detector = InformationLeak(chosen, TABLE)
        assert list(detector.step(made)) == []
        kept = detector.snapshot()
        assert kept["leak_suspects"][0, :, 0].all()
        for (unit, scale), of_unit in found.items():
            every, marked, drawn, hits = strata(kept["leak_tallies"][0, 0, scale], unit, 1)
            assert len(every)
            tail = tails(every, marked, drawn, hits)
            of_unit.append(randomised(tail.p, tail.beyond, uniform(look, unit, scale)))
    for found_ in found.values():
        assert kstest(found_, "uniform").pvalue > 0.003
        assert np.mean(np.array(found_) < 0.05) < 0.12


@pytest.mark.parametrize(
    ("name", "values"),
    [("leads_s", (1, 50, 7)), ("leads_s", (0, 7, 50)), ("large_ratios", (8.0, 8.0, 32.0))],
)
def test_leads_and_sizes_that_do_not_rise_are_refused(name, values):
    with pytest.raises(ValueError, match=f"{name} must be positive and rise"):
        InformationLeakParams(**{name: values})
