"""wash_trading: hits, near misses, one innocent case per look-alike, one xfail per blind spot."""

from __future__ import annotations

import pytest

from detectors.examples import batch_of, example_instruments, trade
from detectors.wash_trading import WashTrading, WashTradingParams
from ingest.events import Coverage, Kind, Phase, Reason, Role
from ingest.instruments import Instrument, Instruments
from tests.support.claims import claims

SECOND = 10**9
TABLE = example_instruments()
LOOK_ALIKES, look_alike = claims()
BLIND_SPOTS, blind_spot = claims()


def play(*rows, table=TABLE, **params):
    """Return the findings over rows, in one batch."""
    return WashTrading(WashTradingParams(**params), table).step(batch_of(rows, table))


def busting(number, **columns):
    return trade(1, 1, busts_lo=number, trade_lo=900 + number, **columns)


def test_one_account_on_both_sides_is_wash_self():
    (hit,) = play(trade(1, 1))
    assert (hit.scenario, hit.evidence, hit.evidence_class) == ("wash_self", "proved", "rule")
    assert hit.facets == ("wash_common_owner",)
    assert hit.first_accounts == (1,)
    assert hit.features["volume"].value == 0.01
    assert hit.features["notional"].value == 0.5  # 100 ticks of 0.5 for 10 lots of 0.001


def test_one_owner_behind_two_accounts_is_wash_common_owner():
    (hit,) = play(trade(1, 2, buy_owner=7, sell_owner=7))
    assert (hit.scenario, hit.accounts) == ("wash_common_owner", (1, 2))


def test_two_members_of_the_complex_are_wash_affiliate():
    (hit,) = play(trade(1, 2, buy_complex=1, sell_complex=1))
    assert (hit.scenario, hit.facets) == ("wash_affiliate", ())


def test_the_strongest_scenario_names_the_alert_and_the_others_are_facets():
    (hit,) = play(trade(1, 2, buy_owner=7, sell_owner=7, buy_complex=1, sell_complex=1))
    assert hit.scenario == "wash_common_owner"
    assert hit.facets == ("wash_affiliate",)


def test_only_one_side_in_the_complex_is_no_finding():
    assert play(trade(1, 2, buy_complex=1)) == []


def test_a_pair_is_one_episode_in_either_direction():
    there = trade(1, 2, buy_owner=7, sell_owner=7)
    back = trade(2, 1, buy_owner=7, sell_owner=7, engine_ns=5 * SECOND)
    first, second = play(there, back)
    assert (first.first_seq, first.first_accounts) == (second.first_seq, second.first_accounts)
    assert second.revision == 2
    assert second.features["net_ratio"].value == 0.0
    assert first.features["net_ratio"].value == 1.0


def test_silence_longer_than_the_gap_closes_the_episode_at_its_deadline():
    found = play(trade(1, 1), trade(1, 1, engine_ns=901 * SECOND))
    assert [(f.revision, f.status) for f in found] == [
        (1, "provisional"),
        (2, "confirmed"),
        (1, "provisional"),
    ]
    assert found[1].detected_ns == 900 * SECOND
    assert found[2].first_seq == 2


def test_silence_as_long_as_the_gap_does_not_close_it():
    assert [f.revision for f in play(trade(1, 1), trade(1, 1, engine_ns=900 * SECOND))] == [1, 2]


def test_five_percent_of_the_volume_by_three_instructions_is_material():
    rows = [trade(n, n + 50, quantity=95) for n in (10, 11, 12)]
    rows += [trade(1, 1, quantity=5, incoming_seq=n) for n in (101, 102, 103)]
    found = play(*rows)
    assert [f.significant for f in found] == [False, False, True]
    assert found[2].features["volume_share"].value == 0.05


def test_one_sweep_through_own_quotes_is_never_material():
    found = play(*[trade(1, 1, incoming_seq=101) for _ in range(5)])
    assert found[-1].features["instructions"].value == 1
    assert not found[-1].significant


def test_just_below_five_percent_is_not_material():
    rows = [trade(n, n + 50, quantity=96) for n in (10, 11, 12)]
    rows += [trade(1, 1, quantity=5, incoming_seq=n) for n in (101, 102, 103)]
    assert not play(*rows)[-1].significant


def test_the_share_counts_the_hour_before_the_first_trade_and_no_more():
    old = trade(10, 60, quantity=1_000)
    busy = trade(11, 61, quantity=90, engine_ns=5_000 * SECOND)
    hit = trade(1, 1, quantity=10, engine_ns=5_001 * SECOND)
    (found,) = play(old, busy, hit)
    assert found.features["volume_share"].value == 0.1


def test_sums_of_money_do_not_overflow_64_bits():
    big = 2**62
    found = play(trade(1, 1, quantity=big, price=2**61), trade(1, 1, quantity=big, price=2**61))
    assert found[-1].features["notional"].value == pytest.approx(2 * 2.0**123 * 0.0005)
    assert found[-1].features["volume_share"].value == 1.0


def test_state_with_sums_beyond_64_bits_survives_a_restart():
    detector = WashTrading(WashTradingParams(), TABLE)
    detector.step(batch_of([trade(1, 1, quantity=2**62, price=2**61, trade_lo=3)], TABLE))
    again = WashTrading(WashTradingParams(), TABLE)
    again.restore(detector.snapshot())
    (found,) = again.step(batch_of([trade(1, 1, seq=2)], TABLE))
    assert found.revision == 2


def test_a_match_in_an_auction_is_supported_not_proved():
    (hit,) = play(trade(1, 1, phase=Phase.AUCTION))
    assert (hit.evidence, hit.all_legs) == ("supported", False)
    assert hit.features["auction_trades"].value == 1


def test_an_episode_with_a_gap_open_is_never_confirmed():
    found = play(trade(1, 1, coverage=Coverage.INCOMPLETE), trade(2, 3, engine_ns=2_000 * SECOND))
    assert [(f.coverage, f.status) for f in found] == [("incomplete", "provisional")] * 2


def test_a_bust_takes_back_its_trade_and_the_last_one_retracts():
    rows = [
        trade(1, 1, trade_lo=1),
        trade(1, 1, trade_lo=2, engine_ns=SECOND),
        busting(1, engine_ns=2 * SECOND),
        busting(2, engine_ns=3 * SECOND),
    ]
    found = play(*rows)
    assert [f.features["trades"].value for f in found] == [1, 2, 1, 0]
    assert [f.status for f in found] == ["provisional"] * 3 + ["retracted"]
    assert [f.revision for f in found] == [1, 2, 3, 4]


def test_a_bust_reaches_an_episode_that_has_closed():
    rows = [trade(1, 1, trade_lo=1), busting(1, engine_ns=5_000 * SECOND)]
    opened, closed, retracted = play(*rows)
    assert (opened.status, closed.status, retracted.status) == (
        "provisional",
        "confirmed",
        "retracted",
    )
    assert retracted.revision == 3
    assert retracted.first_seq == opened.first_seq


def test_a_bust_after_the_horizon_changes_nothing():
    rows = [trade(1, 1, trade_lo=1), busting(1, engine_ns=90_000 * SECOND)]
    assert [f.status for f in play(*rows)] == ["provisional", "confirmed"]


def test_a_trade_forgotten_within_the_horizon_is_counted():
    detector = WashTrading(WashTradingParams(max_trades=2), TABLE)
    detector.step(batch_of([trade(1, 1, trade_lo=n) for n in (1, 2, 3)], TABLE))
    assert detector.overflow == 1


def test_an_omnibus_account_without_originators_is_an_indicator_only():
    orders = [{"kind": Kind.NEW, "account": 9, "originator": n} for n in (1, 2)]
    (hit,) = play(*orders, trade(9, 9))
    assert (hit.evidence_class, hit.evidence) == ("indicator", "weak")


def test_one_originator_ever_seen_makes_no_omnibus_account():
    orders = [{"kind": Kind.NEW, "account": 9, "originator": 1}] * 2
    (hit,) = play(*orders, trade(9, 9))
    assert hit.evidence == "proved"


def test_the_same_originator_on_both_sides_of_an_omnibus_account_is_proved():
    (hit,) = play(trade(9, 9, buy_originator=4, sell_originator=4))
    assert (hit.scenario, hit.evidence) == ("wash_self", "proved")


def test_originators_do_not_excuse_the_complex():
    (hit,) = play(
        trade(9, 9, buy_originator=1, sell_originator=2, buy_complex=1, sell_complex=1),
    )
    assert hit.evidence == "proved"


def test_an_omnibus_account_that_trades_with_itself_materially_is_supported():
    orders = [{"kind": Kind.NEW, "account": 9, "originator": n} for n in (1, 2)]
    found = play(*orders, *[trade(9, 9, incoming_seq=100 + n) for n in range(3)])
    assert [f.evidence for f in found] == ["weak", "weak", "supported"]
    assert found[-1].significant


def test_the_score_rises_with_every_further_trade():
    found = play(*[trade(1, 1, incoming_seq=100 + n) for n in range(20)])
    scores = [f.score for f in found]
    assert scores == sorted(scores)
    assert len(set(scores)) == 20


def test_thousands_of_accounts_with_originators_are_told_apart():
    """The table grows several times within one batch and keeps what it knew."""
    orders = [
        {"kind": Kind.NEW, "account": a, "originator": o} for o in (1, 2) for a in range(3_000)
    ]
    found = play(*orders, trade(2_999, 2_999), trade(5_000, 5_000))
    assert [f.evidence for f in found] == ["weak", "proved"]


def test_volumes_of_two_instruments_are_kept_apart():
    table = example_instruments(("A-USD", "B-USD"))
    rows = [trade(5, 6, quantity=990), trade(1, 1, quantity=10)]
    rows += [trade(1, 1, quantity=10, instrument=1)]
    found = play(*rows, table=table)
    assert [f.features["volume_share"].value for f in found] == [0.01, 1.0]


# --- innocent look-alikes -------------------------------------------------------------------------


@look_alike("omnibus account with two originators")
def test_two_clients_behind_one_omnibus_account_do_not_fire():
    assert play(trade(9, 9, buy_originator=1, sell_originator=2)) == []


@look_alike("unknown owners on both sides")
def test_unknown_owners_never_match():
    assert play(trade(1, 2, buy_owner=-1, sell_owner=-1)) == []


@look_alike("two external makers crossing at a tight spread")
def test_two_external_makers_do_not_fire():
    assert play(*[trade(1, 2, buy_role=Role.EXTERNAL_MM, sell_role=Role.EXTERNAL_MM)] * 50) == []


@look_alike("a maker's quotes hit by both sides")
def test_a_maker_hit_by_both_sides_does_not_fire():
    rows = [trade(3, n) for n in range(10, 40)] + [trade(n, 3) for n in range(10, 40)]
    assert play(*rows) == []


@look_alike("self-trade-prevention skip")
def test_an_order_cancelled_by_self_trade_prevention_does_not_fire():
    cancel = {"kind": Kind.CANCEL, "account": 1, "reason": Reason.STP, "leaves": 0}
    assert play(cancel, trade(1, 2)) == []


def by_employee(n, lots, leaves, age_s=2):
    return trade(
        1, 2, buy_complex=1, sell_complex=1, buy_role=Role.STAFF, sell_role=Role.AFFILIATED_MM,
        quantity=lots, leaves_before=leaves, lifetime_ns=age_s * SECOND,
        incoming_seq=n + 1, engine_ns=n * SECOND,
    )  # fmt: skip


@look_alike("an employee who happens to meet the group's quotes")
def test_an_employee_who_takes_a_part_of_the_group_s_quote_is_weak():
    *_, hit = play(by_employee(1, 3, 50), by_employee(2, 4, 47))
    assert (hit.scenario, hit.evidence, hit.all_legs) == ("wash_affiliate", "weak", False)
    assert (hit.notify_clock, hit.significant) == ("none", False)


def test_an_employee_whose_order_takes_the_whole_of_the_group_s_is_proved():
    (hit,) = play(by_employee(1, 50, 50))
    assert (hit.evidence, hit.features["employee_whole_orders"].value) == ("proved", 1)


def test_an_employee_whose_order_stood_long_before_the_group_took_it_is_weak():
    (hit,) = play(by_employee(1, 50, 50, age_s=40))
    assert hit.evidence == "weak"


def test_an_employee_who_meets_the_group_again_and_again_is_proved():
    *_, hit = play(*(by_employee(n, 3, 50) for n in range(3)))
    assert hit.evidence == "proved"


def test_an_employee_of_one_owner_with_the_group_is_no_other_beneficial_owner():
    (hit,) = play({**by_employee(1, 3, 50), "buy_owner": 7, "sell_owner": 7})
    assert (hit.scenario, hit.evidence) == ("wash_common_owner", "proved")


@look_alike("trade that was busted")
def test_a_busted_trade_ends_retracted_and_without_score():
    last = play(trade(1, 1, trade_lo=1), busting(1, engine_ns=SECOND))[-1]
    assert (last.status, last.score) == ("retracted", 0.0)


# --- blind spots ----------------------------------------------------------------------------------


@blind_spot("nominees: accounts of one owner registered under two")
@pytest.mark.xfail(strict=True, reason="the register is taken at its word")
def test_nominees_fire():
    assert play(*[trade(1, 2), trade(2, 1)] * 20)


@blind_spot("circles through a third account (wash_rings looks for those)")
@pytest.mark.xfail(strict=True, reason="pairs only")
def test_a_circle_through_a_third_account_fires():
    assert play(*[trade(1, 2), trade(2, 3), trade(3, 1)] * 20)


@blind_spot("false originators declared on an omnibus account")
@pytest.mark.xfail(strict=True, reason="originators are taken at their word")
def test_false_originators_fire():
    assert play(*[trade(9, 9, buy_originator=1, sell_originator=2)] * 50)


def test_every_look_alike_and_blind_spot_of_the_spec_has_its_test():
    assert set(LOOK_ALIKES) == set(WashTrading.spec.look_alikes)
    assert set(BLIND_SPOTS) == set(WashTrading.spec.blind_spots)


def test_instruments_have_their_own_units():
    row = TABLE[0]
    odd = Instruments(
        [Instrument(**{f: getattr(row, f) for f in row.__struct_fields__} | {"base": "DOGE"})]
    )
    (hit,) = play(trade(1, 1), table=odd)
    assert hit.features["volume"].unit == "DOGE"
