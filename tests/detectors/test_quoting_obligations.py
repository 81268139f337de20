"""quoting_obligations: hits, near misses, one innocent case per look-alike, blind spots."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest

from detectors.agreements import agreements_of
from detectors.presence import Presence
from detectors.quoting_episode import under
from detectors.quoting_obligations import QuotingObligations, QuotingObligationsParams
from ingest.terms import Party, Terms
from tests.support.claims import claims
from tests.support.quoting import HOUR, SECOND, START, Desk, agreed, presence_by_hand
from tests.support.vectors import instruments_of

LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


def away(desk: Desk, start: float, end: float, reason: str = "user", **options) -> Desk:
    """Have the maker quote from the start of the hour, without a time of it."""
    desk.at(0).quote(**options)
    desk.at(start).leave(reason=reason)
    desk.at(end).quote(**options)
    return desk


# --- hits -----------------------------------------------------------------------------------------


def test_a_missed_hour_is_told_when_it_can_no_longer_be_met_and_again_at_its_end():
    desk = away(Desk(), 600, 2400.25)
    desk.at(3600).enter("buy", 9_000, 1, "P1")
    early, hit = desk.found()
    assert early.detected_ns == START + (600 + 720) * SECOND + 2
    assert early.window_end_ns == early.detected_ns
    assert (hit.detected_ns, hit.revision) == (START + HOUR, 2)
    assert (hit.window_start_ns, hit.window_end_ns) == (START, START + HOUR)
    assert (hit.first_seq, hit.first_accounts) == (early.first_seq, early.first_accounts)
    assert (hit.evidence, hit.all_legs, hit.significant) == ("proved", True, False)
    features = hit.features
    assert (features["presence"].value, features["presence"].baseline) == (0.499930556, 0.8)
    assert (features["missed"].value, features["missed"].baseline) == (1800.25, 720.0)
    assert features["absent"].value == features["longest_absence"].value == 1800.25
    assert features["intervals"].value == "600 to 2400.25 absent"
    assert features["windows"].value == "0 to 3600: 0.4999"
    cited = [desk.venue.records[ref.seq - 1] for ref in (*early.evidence_refs, *hit.evidence_refs)]
    assert {r["action"] for r in cited} == {"cancel", "new"}


def test_one_nanosecond_more_than_is_allowed_is_missed_and_what_is_allowed_is_not():
    assert away(Desk(), 600, 1320 + 4e-9).told() is not None
    assert away(Desk(), 600, 1320).told() is None


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("one_sided", lambda desk: desk.enter("sell", 10_005)),
        ("too_wide", lambda desk: desk.quote(half=40)),
        ("too_small", lambda desk: desk.quote(lots=4)),
        ("too_wide", lambda desk: (desk.quote(lots=5), desk.quote(half=60))),
    ],
    ids=["one_sided", "wide", "thin", "a small quote ahead of a wide one"],
)
def test_ways_to_look_like_quoting_are_told_apart(name, how):
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).leave()
    how(desk)
    desk.at(2400).leave()
    desk.quote()
    assert desk.told().features[name].value == 1800


def test_flickering_quotes_are_measured_between_full_seconds_too():
    desk = Desk()
    desk.at(0).quote()
    for second in range(1, 3600):
        desk.at(second + 0.1).leave()
        desk.at(second + 0.9).quote()
    hit = desk.told()
    assert hit.features["absent"].value == pytest.approx(3599 * 0.8)
    assert hit.features["interval_count"].value == 3599
    assert hit.features["intervals"].value.count(";") == 23
    assert hit.significant


def test_hours_missed_one_after_the_other_are_one_alert():
    desk = away(Desk(), 600, 2 * 3600 + 3000)
    desk.at(4 * 3600 + 1).enter("buy", 9_000, 1, "P1")
    found = desk.found()
    assert len({(f.first_seq, f.first_accounts) for f in found}) == 1
    assert [f.revision for f in found] == [1, 2, 3, 4, 5, 6, 7]
    assert found[-1].status == "confirmed"
    assert found[-1].features["windows_missed"].value == 3
    assert found[-1].detected_ns == START + 4 * HOUR


def test_hours_apart_are_two_alerts():
    desk = away(Desk(), 600, 2400)
    desk.at(7300).leave()
    desk.at(9300).quote()
    assert desk.told()
    assert len({f.first_seq for f in desk.found()}) == 2


def test_minutes_missed_are_one_alert_until_the_maker_has_kept_its_word_for_five():
    desk = Desk(agreed(window_s=60))
    desk.at(0).quote()
    for start, end in ((600, 720), (840, 960), (1_800, 1_920)):
        desk.at(start).leave()
        desk.at(end).quote()
    assert desk.told()
    by_alert = {f.first_seq: f for f in desk.found()}
    assert [f.features["missed"].value for f in by_alert.values()] == [240.0, 120.0]


def test_what_is_decided_is_told_though_the_feed_ends_within_the_window():
    desk = away(Desk(), 600, 2400)
    (early,) = desk.found()
    assert (early.status, early.features["missed"].value) == ("provisional", 720.0)


def test_one_account_of_an_owner_that_owes_for_all_is_not_enough():
    desk = Desk(agreed("owner:Group"))
    desk.at(0).enter("buy", 9_995)
    desk.enter("sell", 10_005, account="MM2")
    desk.at(600).leave("MM2")
    assert desk.told().features["one_sided"].value == 3000


def test_an_external_maker_with_an_agreement_is_held_to_it_too():
    desk = Desk(agreed("X1"))
    desk.at(0).quote("X1")
    desk.at(600).leave("X1")
    assert desk.told().accounts == desk.found()[0].first_accounts


def test_presence_in_restless_minutes_is_told_beside_that_in_calm_ones():
    desk = Desk()
    desk.at(0).quote()
    desk.quote("X1", half=20)
    for minute in range(60):
        for turn in range(4):
            desk.at(60 * minute + 10 + turn).leave("X1")
            step = 3 if minute < 40 else 3 if minute % 2 else 40
            desk.quote("X1", half=25, middle=10_000 + step * (turn % 2))
        if minute >= 40 and not minute % 2:
            desk.at(60 * minute + 20).leave()
            desk.at(60 * minute + 59).quote()
    hit = desk.told(stress_ratio=1.5)
    assert hit.features["presence_stress"].value < hit.features["presence_calm"].value


# --- look-alikes ----------------------------------------------------------------------------------


@look_alike("absence within what the agreement allows")
def test_absence_within_the_agreement():
    assert away(Desk(), 600, 1310).told() is None


@look_alike("quotes moved by cancel and new order at one time")
def test_quotes_that_are_moved():
    desk = Desk()
    for second in range(3600):
        desk.at(second).leave()
        desk.quote(middle=10_000 + second % 7)
    assert desk.told() is None


@look_alike("maker protection, disconnect or kill switch, and a quick return")
@pytest.mark.parametrize("reason", ["mmp", "disconnect", "kill"])
def test_forced_absence(reason):
    desk = away(Desk(), 600, 1250)
    desk.at(2000).leave(reason=reason)
    desk.at(2300).quote()
    assert desk.told() is None
    by_choice = away(Desk(), 600, 1250)
    by_choice.at(2000).leave()
    by_choice.at(2300).quote()
    assert by_choice.told() is not None


@look_alike("halt, auction or maintenance")
@pytest.mark.parametrize("word", ["halt", "auction", "maintenance", "cancel_only"])
def test_interrupted_trading(word):
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).phase(word)
    desk.leave()
    desk.at(2400).quote()
    desk.phase("continuous")
    assert desk.told() is None


@look_alike("size that is reached over several levels")
def test_several_levels():
    desk = Desk()
    desk.at(0)
    for half in (2, 4, 6, 9):
        desk.quote(lots=25, half=half)
    assert desk.told() is None


@look_alike("spread exactly as wide as agreed")
def test_as_wide_as_agreed():
    desk = Desk()
    desk.at(0).quote(half=10)
    assert desk.told() is None
    desk = Desk(agreed(max_spread_bps=Decimal("19.99")))
    desk.at(0).quote(half=10)
    assert desk.told() is not None


@look_alike("two accounts of the owner, one on each side")
def test_two_accounts():
    desk = Desk(agreed("owner:Group"))
    desk.at(0).enter("buy", 9_995)
    desk.enter("sell", 10_005, account="MM2")
    assert desk.told() is None


@look_alike("a coverage gap over most of the window")
def test_a_gap():
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).leave()
    desk.at(1200)
    desk.venue.lose("X-USD", 1)
    desk.enter("buy", 9_000, 1, "P1")
    desk.at(1201).enter("buy", 9_000, 1, "P1")
    desk.at(3500).quote()
    assert desk.told() is None


@look_alike("agreement that ended, or has not begun")
def test_not_in_force():
    desk = Desk(
        agreed(valid_to_ns=START),
        agreed(valid_from_ns=START + 2 * HOUR, valid_to_ns=FAR),
    )
    desk.at(0).enter("buy", 9_000, 1, "P1")
    desk.at(7000).quote()
    assert desk.told() is None


FAR = START + 1_000 * HOUR


@look_alike("a window that is mostly closed")
def test_mostly_closed():
    desk = Desk()
    desk.at(0).phase("halt")
    desk.at(3300).phase("continuous")
    desk.at(3500).quote()
    assert desk.told() is None


@look_alike("uneven sides, both as large as agreed")
def test_uneven():
    desk = Desk()
    desk.at(0).enter("buy", 9_995, 100)
    desk.enter("sell", 10_005, 900)
    assert desk.told() is None


@look_alike("a maker without agreement that leaves")
def test_without_agreement():
    desk = Desk()
    desk.at(0).quote()
    desk.quote("X1")
    desk.at(10).leave("X1")
    assert desk.told() is None


def test_a_window_of_which_the_feed_shows_only_the_last_part_is_not_missed_by_that_part():
    desk = Desk()
    desk.at(2500).enter("buy", 9_000, 1, "P1")
    desk.at(3200).quote()
    assert desk.told() is None


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot(
    "quotes that are always there and are withdrawn when somebody wants to trade (quote_fading)"
)
@pytest.mark.xfail(strict=True)
def test_blind_fading():
    desk = Desk()
    desk.at(0).quote()
    for second in range(10, 3600, 10):
        desk.at(second).leave()
        desk.enter("buy", 10_005, 10, "P1", tif="IOC")
        desk.at(second + 0.5).quote()
    assert desk.told()


@blind_spot("a window that is missed only if what is not known of it was absence")
@pytest.mark.xfail(strict=True)
def test_blind_gap():
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).leave()
    desk.at(1200)
    desk.venue.lose("X-USD", 1)
    desk.enter("buy", 9_000, 1, "P1")
    desk.at(1201).enter("buy", 9_000, 1, "P1")
    assert desk.told()


@blind_spot("protection set so tight that it keeps quotes away, up to excused_ratio of a window")
@pytest.mark.xfail(strict=True)
def test_blind_tight_protection():
    desk = away(Desk(), 600, 1235)
    for second in range(2000, 2360, 36):
        desk.at(second).leave(reason="mmp")
        desk.at(second + 35.9).quote()
    assert desk.told()


@blind_spot("an obligation that has been agreed and is not in obligations.csv")
@pytest.mark.xfail(strict=True)
def test_blind_no_row():
    assert away(Desk(agreed("X1", valid_to_ns=START)), 600, 3000).told()


@blind_spot("an agreement added while quotes may stand, until the book is restated from its start")
@pytest.mark.xfail(strict=True)
def test_blind_added_while_running():
    desk = Desk()
    desk.at(0).enter("buy", 9_000, 1, "P1")
    desk.at(7200.5).enter("buy", 9_000, 1, "P1")
    desk.at(7201).enter("buy", 9_000, 1, "P1")
    waiting(desk, 4 * 3600, 5 * 3600, 6 * 3600)
    assert with_terms(desk, 1, (agreed(),), before=())


def test_every_claim_has_its_test():
    assert set(LOOK_ALIKES) == set(QuotingObligations.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(QuotingObligations.spec.blind_spots)


# --- what is excused and what is not --------------------------------------------------------------


def test_who_does_not_come_back_after_a_forced_cancel_is_excused_for_a_tenth_of_the_window():
    hit = away(Desk(), 600, 2400, reason="mmp").told()
    assert (hit.features["excused"].value, hit.features["absent"].value) == (360, 1440)


def test_a_cancel_by_choice_ends_what_is_excused():
    desk = Desk()
    desk.at(0)
    bid, ask = desk.quote()
    desk.at(600).venue.cancel("X-USD", bid, reason="mmp")
    desk.at(700).venue.cancel("X-USD", ask)
    hit = desk.told()
    assert (hit.features["excused"].value, hit.features["absent"].value) == (100, 2900)


def test_a_gap_that_cannot_matter_leaves_the_miss_and_marks_it():
    desk = Desk()
    desk.at(0).quote()
    desk.at(600).leave()
    desk.at(2000).enter("buy", 9_000, 1, "P1")
    desk.venue.lose("X-USD", 1)
    desk.enter("buy", 9_000, 1, "P1")
    desk.at(2001).enter("buy", 9_000, 1, "P1")
    desk.venue.restate("X-USD")
    hit = desk.told()
    assert (hit.coverage, hit.status) == ("incomplete", "provisional")
    assert hit.features["unknown"].value == 1


def test_fills_take_quotes_away_and_icebergs_show_only_their_tranche():
    desk = Desk()
    desk.at(0).quote(lots=150)
    desk.at(600).enter("buy", 10_005, 60, "P1", tif="IOC")
    assert desk.told().features["too_small"].value == 3000
    desk = Desk()
    desk.at(0).enter("buy", 9_995, 1_000, display=120)
    desk.enter("sell", 10_005, 1_000, display=99)
    assert desk.told().features["too_small"].value == 3600


def with_terms(desk, since, terms, *, before=None, accounts=()):
    """Return findings where other terms are loaded after so many records.

    `before` are the terms until then; `accounts` are the group's from then on.
    """
    table = instruments_of([desk.row])
    detector = QuotingObligations(QuotingObligationsParams(), table)
    found = []
    for number, part in enumerate(desk.batches(1)):
        if before is not None:
            part.terms = Terms(before)
        if number >= since:
            part.terms = Terms(terms)
            part.parties["owner:Group"] = Party(part.parties["owner:Group"].code, accounts)
        found += detector.step(part)
        snapshot = detector.snapshot()
        detector = QuotingObligations(QuotingObligationsParams(), table)
        detector.restore(snapshot)
    return found


def waiting(desk, *seconds):
    """Have something happen at each of these times."""
    for second in seconds:
        desk.at(second).enter("buy", 9_000, 1, "P1")
    return desk


def test_new_terms_apply_to_the_window_that_is_open_when_they_are_loaded():
    desk = away(Desk(), 600, 3000)
    desk.at(3700).enter("buy", 9_000, 1, "P1")
    milder = (agreed(min_presence_ratio=Decimal("0.3")),)
    assert with_terms(desk, 3, milder) == []
    early, last = with_terms(desk, 6, milder)
    assert (early.status, last.status) == ("provisional", "retracted")
    assert (last.revision, last.first_seq) == (2, early.first_seq)


def test_a_run_is_closed_when_its_agreement_is_taken_away():
    desk = away(Desk(), 600, 3000)
    desk.at(3700).enter("buy", 9_000, 1, "P1")
    desk.at(3800).enter("buy", 9_000, 1, "P1")
    found = with_terms(desk, 7, ())
    assert [f.status for f in found] == ["provisional", "provisional", "confirmed"]
    assert found[-1].detected_ns == START + 3700 * SECOND


def test_an_agreement_that_is_added_says_nothing_of_quotes_that_stood_before_it():
    desk = Desk()
    desk.at(0).quote()
    desk.at(10).enter("buy", 9_000, 1, "P1")
    desk.at(7200.5).enter("buy", 9_000, 1, "P1")
    late = agreed()
    desk.terms = (agreed("X1", valid_to_ns=START),)
    assert with_terms(desk, 2, (late,)) == []
    waiting(desk, 3 * 3600, 4 * 3600, 5 * 3600)
    assert with_terms(desk, 2, (late,)) == []


def test_an_agreement_that_is_taken_away_and_added_again_says_nothing_of_quotes_that_stood():
    desk = Desk()
    desk.at(0).quote()
    waiting(desk, *range(10, 1000, 10))
    minute = (agreed(window_s=60),)
    found = []
    detector = QuotingObligations(QuotingObligationsParams(), instruments_of([desk.row]))
    for number, part in enumerate(desk.batches(1)):
        part.terms = Terms(() if 5 <= number < 8 else minute)
        found += detector.step(part)
    assert found == []


@pytest.mark.parametrize("stands", [False, True])
def test_an_agreement_that_is_added_is_judged_from_the_next_restatement_on(stands):
    desk = Desk()
    desk.at(0)
    if stands:
        desk.quote()
    waiting(desk, 10, 20)
    desk.at(3000).venue.restate("X-USD")
    waiting(desk, 3601, 7201)
    found = with_terms(desk, 1, (agreed(),), before=())
    assert bool(found) is not stands
    assert all(f.window_start_ns == START + HOUR for f in found)


def test_an_agreement_that_is_added_within_a_restatement_learns_nothing_of_it():
    desk = Desk()
    desk.at(0).quote()
    desk.at(10).venue.restate("X-USD")
    waiting(desk, 3601, 7201, 10_801)
    assert desk.venue.records[3]["action"] == "book"
    for since in (2, 3, 4, 5):
        assert with_terms(desk, since, (agreed(),), before=()) == []


def test_an_agreement_that_is_added_by_a_reload_in_a_halt_knows_of_it():
    desk = Desk()
    desk.at(0).enter("buy", 9_000, 1, "P1")
    desk.at(10).phase("maintenance")
    desk.at(11).enter("buy", 9_000, 1, "P1")
    desk.at(12).venue.restate("X-USD")
    waiting(desk, 13, 3601, 7201, 10_801)
    assert with_terms(desk, 3, (agreed(),), before=()) == []
    desk.phase("continuous")
    waiting(desk, 4 * 3600 + 1)
    assert with_terms(desk, 3, (agreed(),), before=())


def test_an_agreement_that_is_added_just_before_a_gap_begins_there():
    desk = Desk(agreed("X1", valid_to_ns=START))
    waiting(desk, 0, 10)
    desk.venue.lose("X-USD", 1)
    waiting(desk, 20, 21, 22)
    desk.venue.restate("X-USD")
    waiting(desk, 3601, 7201)
    found = with_terms(desk, 2, (*desk.terms, agreed()))
    assert {f.window_start_ns for f in found} == {START + 21 * SECOND}
    assert found[-1].features["unknown"].value == 22


def test_a_part_of_a_window_that_only_a_reload_ends_is_not_judged():
    desk = Desk()
    desk.at(0).quote()
    desk.at(1).leave()
    desk.at(600).quote()
    waiting(desk, 900, 901, 1800.5, 3600.5, 5400.5)
    shorter = agreed(window_s=1800, min_presence_ratio=Decimal("0.5"))
    assert with_terms(desk, 7, (shorter,)) == []
    assert with_terms(desk, 7, ()) == []


def test_what_was_told_early_is_taken_back_when_the_row_turns_out_to_have_ended_before():
    desk = Desk()
    desk.at(0).quote()
    desk.at(1000).leave()
    waiting(desk, 2900, 2950, 3601, 7201)
    ended = (agreed(valid_to_ns=START + 1000 * SECOND),)
    assert [f.status for f in with_terms(desk, 6, ended)] == ["provisional", "retracted"]
    assert [f.status for f in with_terms(desk, 6, ())] == ["provisional", "retracted"]
    wider = (agreed(window_s=7200, min_presence_ratio=Decimal("0.8")),)
    assert [f.status for f in with_terms(desk, 6, wider)][:2] == ["provisional", "provisional"]
    assert "retracted" not in {f.status for f in with_terms(desk, 6, wider)}


def test_a_row_that_turns_out_to_have_ended_after_the_last_change_is_judged_to_its_end():
    desk = away(Desk(), 600, 1600)
    waiting(desk, 2500, 3601)
    ended = (agreed(valid_to_ns=START + 2000 * SECOND),)
    found = with_terms(desk, 6, ended)
    assert [f.window_end_ns - START for f in found][-1] >= 1600 * SECOND
    assert found[-1].status != "retracted"


def test_an_account_that_leaves_the_owner_takes_its_quotes_away_when_it_cancels_them():
    def told(sold_at):
        desk = Desk(agreed("owner:Group"))
        desk.at(0).quote("MM2")
        desk.at(2000).leave("MM2")
        waiting(desk, 3601)
        return owned(desk, lambda second: second < sold_at)

    assert told(9000)
    assert told(1800) == told(9000)


def test_an_account_that_leaves_the_owner_is_filled_and_enters_nothing_new_for_it():
    desk = Desk(agreed("owner:Group"))
    desk.at(0).quote("MM2", lots=150)
    desk.at(600).enter("buy", 10_005, 60, "P1", tif="IOC")
    desk.at(700).quote("MM2")
    waiting(desk, 3601)
    hit = owned(desk, lambda second: second < 500)[-1]
    assert hit.features["too_small"].value == 3000


def owned(desk, is_group):
    """Return findings where MM2 is the group's at some seconds only."""
    detector = QuotingObligations(QuotingObligationsParams(), instruments_of([desk.row]))
    found = []
    for part in desk.batches(1):
        group = part.parties["owner:Group"].code
        is_sold = not is_group((int(part["engine_ns"][0]) - START) / SECOND)
        owners = {name: part[name] for name in ("owner", "buy_owner", "sell_owner")}
        found += detector.step(
            part.with_columns(
                {
                    name: np.where((owner == group) & is_sold, group + 100, owner)
                    for name, owner in owners.items()
                }
            )
        )
    return found


def test_an_account_that_joins_the_owner_by_a_reload_may_have_quotes():
    desk = Desk(agreed("owner:Group"))
    desk.at(0).quote("MM")
    desk.at(1900).leave("MM")
    waiting(desk, 3601, 7201)
    assert with_terms(desk, 2, desk.terms)
    assert with_terms(desk, 2, desk.terms, accounts=(1,)) == []


def test_on_a_feed_that_never_says_why_orders_leave_nothing_is_proved():
    desk = away(Desk(), 600, 2400)
    waiting(desk, 3601)
    assert {f.evidence for f in desk.found()} == {"proved"}
    assert all("reasons" not in f.features for f in desk.found())
    for record in desk.venue.records:
        record.pop("reason", None)
    assert {f.evidence for f in desk.found()} == {"supported"}
    assert all("none on the feed" in f.features["reasons"].value for f in desk.found())


def test_runs_of_agreements_that_are_taken_away_are_closed_in_order_of_instrument():
    desk = Desk()
    rows = [desk.row | {"instrument": name} for name in ("X-USD", "Y-USD")]
    detector = QuotingObligations(QuotingObligationsParams(), instruments_of(rows))
    part = next(waiting(away(desk, 600, 3000), 3601).batches())
    detector.step(part)
    (run,) = detector._runs.values()
    detector._runs = {(1, run.party): under(run, 1), (0, run.party): run}
    part = part.with_columns({name: part[name][:0] for name in part.names})
    part.terms = Terms(())
    assert [f.instrument for f in detector.step(part)] == [0, 1]


def test_windows_are_what_plain_arithmetic_makes_of_the_records():
    """Presence in a market of random quotes, amendments, fills and halts, to the nanosecond."""
    rng = random.Random(5)
    desk = Desk()
    desk.at(0)
    book = desk.venue.books["X-USD"]
    for _ in range(4_000):
        desk.venue.now_ns += rng.randrange(4 * SECOND)
        mine = [o for o in book.orders.values() if o.account == "MM"]
        draw = rng.random()
        side = rng.choice(("buy", "sell"))
        price = 10_000 + (-1 if side == "buy" else 1) * rng.randrange(1, 25)
        if draw < 0.01:
            desk.phase("halt" if book.phase == "continuous" else "continuous")
        elif draw < 0.4 or not mine:
            desk.enter(side, price, rng.randrange(1, 90))
        elif draw < 0.7:
            desk.venue.cancel("X-USD", rng.choice(mine).id)
        elif draw < 0.85:
            order = rng.choice(mine)
            price = order.price + rng.choice((-1, 1))
            desk.venue.replace("X-USD", order.id, price=price, quantity=order.quantity + 5)
        elif book.phase == "continuous":
            desk.enter(side, 10_000 + (30 if side == "buy" else -30), 40, "P1", tif="IOC")
        for order in list(book.orders.values()) if len(book.orders) > 16 else ():
            desk.venue.cancel("X-USD", order.id)
    table = instruments_of([desk.row])
    presence = Presence(table, least_open_ratio=0.2, excused_ratio=0.1, stress_ratio=2.0)
    windows = []
    for part in desk.batches(97):
        windows += [
            w
            for w in presence.take(part, agreements_of(part.terms, part.parties, table))
            if w.is_over
        ]
    end_ns = windows[-1].end_ns
    records = [r for r in desk.venue.records if r["engine_ns"] < end_ns]
    by_hand = presence_by_hand(records, "MM", end_ns)
    assert len(windows) >= 2
    assert {w.start_ns // HOUR: (w.open_ns, w.present_ns) for w in windows} == by_hand
    assert any(0.05 < w.present_ns / w.open_ns < 0.95 for w in windows)
    assert all(
        w.open_ns == w.present_ns + w.absent_ns + w.one_sided_ns + w.thin_ns + w.wide_ns
        for w in windows
    )
