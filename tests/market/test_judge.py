"""When an alert is right, vague or wrong: each rule with a hit and its nearest miss."""

from __future__ import annotations

import msgspec
import pytest

from market.judge import Judge, counts
from market.truth import SCENARIOS
from tests.support.scoring import HOUR, SECOND, START, alert, truth

DAY = 24 * HOUR
WHOLE = {"start_ns": START, "end_ns": START + DAY, "order_ids": ()}


def worth(claim, *truths, length_ns=DAY):
    return Judge(truths or (truth(),), length_ns).verdict(claim).worth


def lasting(seconds, **given):
    return alert(window_end_ns=START + int(seconds * SECOND), **given)


def ids(count):
    return tuple(f"o{number}" for number in range(count))


def test_an_alert_that_says_what_a_case_says_is_right():
    assert worth(alert()) == "right"


def test_another_scenario_is_wrong():
    assert worth(alert(scenario="quote_fade")) == "wrong"


def test_a_facet_that_is_the_cases_scenario_finds_it():
    verdict = Judge([truth()], DAY).verdict(alert(scenario="quote_fade", facets=("spoofing",)))
    assert (verdict.worth, verdict.own, verdict.also) == ("right", (0,), ())


@pytest.mark.parametrize("claim", [{"scenario": "stop_hunting"}, {"facets": ("stop_hunting",)}])
def test_what_the_conduct_is_besides_is_right_but_does_not_find_the_case(claim):
    case = truth(scenario="front_running", also=("stop_hunting",))
    verdict = Judge([case], DAY).verdict(alert(**claim))
    assert (verdict.worth, verdict.own, verdict.also) == ("right", (), (0,))


def test_another_instrument_is_wrong():
    assert worth(alert(instrument="SIMA-PERP")) == "wrong"


def test_a_further_instrument_of_a_case_matches():
    assert worth(alert(instrument="SIMA-PERP"), truth(instruments=("SIMA-PERP",))) == "right"


def test_a_case_of_no_one_instrument_matches_in_any():
    assert worth(alert(instrument="SIMZ-USD"), truth(instrument="")) == "right"


def test_one_account_in_common_is_enough_and_none_is_not():
    case = truth(accounts=("MM1", "AFF1"))
    assert worth(alert(accounts=("C07", "AFF1")), case) == "right"
    assert worth(alert(accounts=("C07",)), case) == "wrong"


def test_windows_that_touch_overlap_and_those_a_nanosecond_apart_do_not():
    end_ns = START + 60 * SECOND
    after = {"window_end_ns": end_ns + 60 * SECOND}
    assert worth(alert(window_start_ns=end_ns, **after)) == "right"
    assert worth(alert(window_start_ns=end_ns + 1, **after)) == "wrong"
    before = {"window_start_ns": START - 60 * SECOND}
    assert worth(alert(window_end_ns=START, **before)) == "right"
    assert worth(alert(window_end_ns=START - 1, **before)) == "wrong"


@pytest.mark.parametrize("named", [{"order_ids": ("o1",)}, {"trade_ids": ("t1",)}])
def test_where_a_case_has_ids_one_must_be_named(named):
    nothing = {"order_ids": (), "trade_ids": ()}
    case = truth(order_ids=("o1", "o2"), trade_ids=("t1",))
    assert worth(alert(**(nothing | named)), case) == "right"
    assert worth(alert(**nothing), case) == "wrong"
    assert worth(alert(order_ids=("o9",)), case) == "wrong"


def test_where_cases_name_trades_alone_the_orders_of_an_alert_are_not_held_against_it():
    orders = tuple(f"o{number}" for number in range(20))
    case = truth(order_ids=(), trade_ids=("t1", "t2"))
    assert worth(alert(order_ids=orders, trade_ids=("t1", "t2")), case) == "right"
    many = tuple(f"t{number}" for number in range(20))
    assert worth(alert(order_ids=(), trade_ids=many), case) == "vague"
    both = truth(order_ids=("o1",), trade_ids=("t1",))
    assert worth(alert(order_ids=orders, trade_ids=("t1",)), both) == "vague"


def test_where_a_case_has_no_ids_none_is_asked_for():
    assert worth(alert(), truth(order_ids=())) == "right"


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ({"severity": "medium"}, True),
        ({"severity": "critical", "status": "confirmed"}, True),
        ({"severity": "low"}, False),
        ({"severity": "critical", "status": "retracted"}, False),
    ],
)
def test_only_medium_and_above_counts_and_nothing_retracted(given, counted):
    assert counts(alert(**given)) is counted


def test_scenarios_that_truth_has_no_name_for_are_not_judged():
    judge = Judge([truth()], DAY)
    assert not judge.known(alert(scenario="matching_configuration"))
    assert judge.known(alert(scenario="matching_configuration", facets=("spoofing",)))
    assert judge.known(alert(scenario="tag_error"))


def test_truth_may_bring_a_name_of_its_own():
    judge = Judge([truth(scenario="layering")], DAY)
    assert judge.verdict(alert(scenario="layering")).worth == "right"


def test_one_alert_may_name_three_scenarios_of_which_one_is_right():
    others = [name for name in SCENARIOS if name != "spoofing"]
    assert worth(alert(facets=tuple(others[:2]))) == "right"
    assert worth(alert(facets=tuple(others[:3]))) == "vague"


def test_five_scenarios_that_one_conduct_is_are_right_and_six_are_too_many():
    names = ("wash_self", "wash_common_owner", "wash_affiliate", "matched_orders", "wash_ring")
    claim = alert(scenario=names[0], facets=names[1:])
    case = truth(scenario=names[0], also=names[1:])
    assert worth(claim, case) == "right"
    more = msgspec.structs.replace(claim, facets=(*names[1:], "spoofing"))
    assert worth(more, msgspec.structs.replace(case, also=(*names[1:], "spoofing"))) == "vague"


def test_facets_of_no_scenario_are_not_counted_as_guesses():
    named = tuple(f"way_{number}" for number in range(20))
    assert worth(alert(facets=named)) == "right"


def test_one_id_in_three_must_be_of_the_cases_that_are_matched():
    assert worth(alert(order_ids=ids(3))) == "right"
    assert worth(alert(order_ids=ids(4))) == "vague"
    both = truth(order_ids=("o1",), trade_ids=("t9",))
    assert worth(alert(order_ids=ids(2), trade_ids=("t1", "t2")), both) == "vague"
    more = truth(order_ids=("o1",), trade_ids=("t2",))
    assert worth(alert(order_ids=ids(4), trade_ids=("t1", "t2")), more) == "right"


def test_an_alert_over_more_than_half_the_tape_must_have_two_ids_in_five_right():
    half = alert(window_end_ns=START + DAY // 2, order_ids=ids(3))
    assert worth(half) == "right"
    more = msgspec.structs.replace(half, window_end_ns=START + DAY // 2 + 1)
    assert worth(more) == "vague"
    assert worth(msgspec.structs.replace(more, order_ids=ids(2))) == "right"


def test_a_pattern_alert_finds_every_case_whose_ids_it_names_and_no_other():
    cases = [
        truth(
            start_ns=START + hour * HOUR,
            end_ns=START + hour * HOUR + SECOND,
            order_ids=(f"spoof-{hour}", f"real-{hour}", f"victim-{hour}"),
        )
        for hour in range(20)
    ]
    named = [f"{kind}-{hour}" for hour in range(15) for kind in ("spoof", "victim")]
    context = [f"innocent-{number}" for number in range(45)]
    claim = alert(window_end_ns=START + DAY, order_ids=(*named, *context))
    assert Judge(cases, DAY).verdict(claim).own == tuple(range(15))


def test_without_ids_an_hourly_window_may_tell_of_six_minutes():
    case = truth(order_ids=(), start_ns=START + 1800 * SECOND, end_ns=START + 2160 * SECOND)
    assert worth(lasting(3600), case) == "right"
    shorter = msgspec.structs.replace(case, end_ns=case.end_ns - 1)
    assert worth(lasting(3600), shorter) == "vague"


def test_without_ids_a_window_of_a_minute_is_never_too_long():
    case = truth(order_ids=(), end_ns=START)
    assert worth(lasting(60), case) == "right"
    assert worth(lasting(60.001), case) == "vague"


def test_several_cases_together_carry_a_longer_window():
    cases = [
        truth(order_ids=(), start_ns=START + k * 900 * SECOND, end_ns=START + k * 900 * SECOND + n)
        for k, n in ((0, 200 * SECOND), (2, 160 * SECOND))
    ]
    assert worth(lasting(3600), *cases) == "right"
    assert worth(lasting(3600), cases[0]) == "vague"


def test_over_more_than_half_the_tape_only_cases_half_as_long_carry_an_alert():
    case = truth(order_ids=(), end_ns=START + DAY // 2)
    assert worth(alert(window_end_ns=START + DAY), case) == "right"
    shorter = msgspec.structs.replace(case, end_ns=case.end_ns - 1)
    assert worth(alert(window_end_ns=START + DAY), shorter) == "vague"


def test_a_case_that_lasts_the_whole_tape_is_found_by_an_alert_of_any_length():
    case = truth(scenario="hidden_affiliate", accounts=("C30",), **WHOLE)
    claim = alert(scenario="hidden_affiliate", accounts=("C30", "MM1"), order_ids=())
    assert worth(claim, case) == "right"
    assert worth(msgspec.structs.replace(claim, window_end_ns=START + DAY), case) == "right"


def test_without_ids_one_account_in_five_must_be_the_cases():
    case = truth(accounts=("C30",), **WHOLE)
    group = ("MM1", "AFF1", "AFF2", "AFF3")
    assert worth(alert(accounts=("C30", *group)), case) == "right"
    assert worth(alert(accounts=("C30", *group, "C01")), case) == "vague"


def test_with_ids_any_number_of_victims_may_be_named():
    victims = tuple(f"C{number:02}" for number in range(80))
    assert worth(alert(accounts=("MM1", *victims))) == "right"
