"""The scoreboard: its figures, and that no cheat and no shuffled truth gets a good one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import TapeError
from market.counts import Counts, add_up, count
from market.score import rate, scoreboard, share
from market.span import span
from market.truth import SCENARIOS
from tests.support.scoring import (
    HOUR,
    SECOND,
    START,
    alert,
    oracle,
    shuffled,
    simulated_day,
    truth,
)

DAY = 24 * HOUR


def board(alerts, truths, attempts=(), *, length_ns=DAY, instruments=1, claimed=SCENARIOS):
    counted = count(alerts, truths, attempts, length_ns=length_ns, instruments=instruments)
    return scoreboard(counted, claimed=claimed)


@pytest.fixture(scope="module")
def day():
    return simulated_day()


# --- figures ------------------------------------------------------------------------------------


def test_an_oracle_scores_one(day):
    scored = board(oracle(day.truths), day.truths, instruments=3)
    assert (scored.recall.value, scored.precision.value, scored.f1) == (1.0, 1.0, 1.0)
    assert scored.vague == 0
    assert all(score.recall.value == 1 for score in scored.scenarios.values())
    assert (scored.wrong, scored.missed) == ((), ())


def test_recall_is_by_scenario_and_by_how_a_case_was_hidden():
    cases = [
        truth(order_ids=("o1",), evasion="none"),
        truth(order_ids=("o2",), evasion="sister"),
        truth(order_ids=("o3",), evasion="sister"),
        truth(order_ids=("o4",), scenario="quote_fade"),
    ]
    scored = board([alert("a"), alert("b", order_ids=("o3",))], cases)
    spoofing = scored.scenarios["spoofing"]
    assert (spoofing.recall.count, spoofing.recall.of) == (2, 3)
    assert {k: (s.count, s.of) for k, s in spoofing.by_evasion.items()} == {
        "none": (1, 1),
        "sister": (1, 2),
    }
    assert scored.scenarios["quote_fade"].recall.value == 0
    assert {case.order_ids for case in scored.missed} == {("o2",), ("o4",)}


def test_an_alert_on_what_came_to_nothing_is_neither_right_nor_wrong():
    attempts = [truth(order_ids=("o2",)), truth(order_ids=("o3",), scenario="quote_fade")]
    alerts = [
        alert("case", detector="one"),
        alert("attempt", detector="one", order_ids=("o2",)),
        alert("both", detector="one", order_ids=("o1", "o2")),
        alert("of another kind", detector="one", order_ids=("o3",)),
        alert("vague about it", detector="two", order_ids=("o2", "x1", "x2", "x3")),
        alert("attempt alone", detector="three", order_ids=("o2",)),
    ]
    scored = board(alerts, [truth(order_ids=("o1",))], attempts)
    assert (scored.precision.count, scored.precision.of, scored.attempts) == (2, 4, 2)
    detectors = scored.detectors
    assert {n: (d.precision.of, d.attempts) for n, d in detectors.items()} == {
        "one": (3, 1),
        "two": (1, 0),
        "three": (0, 1),
    }
    assert scored.rate.count == 4
    assert {wrong.alert_id for wrong in scored.wrong} == {"of another kind", "vague about it"}
    assert (scored.recall.count, scored.recall.of) == (1, 1)


def test_an_alert_on_a_case_and_on_what_came_to_nothing_is_not_vague():
    tried = tuple(f"t{i}" for i in range(6))
    told = [alert("together", order_ids=("o1", *tried))]
    assert board(told, [truth(order_ids=("o1",))]).vague == 1
    scored = board(told, [truth(order_ids=("o1",))], [truth(order_ids=tried)])
    assert (scored.precision.count, scored.vague, scored.attempts) == (1, 0, 0)
    assert (scored.recall.count, scored.recall.of) == (1, 1)


def test_precision_is_by_detector_and_wrong_alerts_are_told():
    alerts = [
        alert("a", detector="one"),
        alert("b", detector="one", accounts=("C01",)),
        alert("c", detector="two", order_ids=("o1", "x1", "x2", "x3")),
        alert("d", detector="two", severity="low"),
        alert("e", detector="two", scenario="matching_configuration"),
    ]
    scored = board(alerts, [truth()])
    one, two = scored.detectors["one"], scored.detectors["two"]
    assert (one.precision.count, one.precision.of, one.vague) == (1, 2, 0)
    assert (two.precision.count, two.precision.of, two.vague) == (0, 1, 1)
    assert (scored.unjudged, scored.not_counted, scored.vague) == (1, 1, 1)
    assert [(a.alert_id, a.worth) for a in scored.wrong] == [("b", "wrong"), ("c", "vague")]


def test_what_one_kind_misses_does_not_crowd_out_another():
    many = [truth(order_ids=(f"o{n}",)) for n in range(30)]
    late = truth(scenario="tag_error", start_ns=START + HOUR, end_ns=START + HOUR)
    missed = board([], [*many, late]).missed
    assert [case.scenario for case in missed] == ["spoofing"] * 20 + ["tag_error"]


def test_a_scenario_that_no_detector_looks_for_has_no_recall_and_no_silent_zero():
    scored = board([], [truth(), truth(scenario="tag_error")], claimed={"tag_error"})
    assert scored.scenarios["spoofing"].claimed is False
    assert scored.scenarios["spoofing"].recall.value is None
    assert scored.scenarios["tag_error"].recall.value == 0
    assert (scored.recall_claimed.of, scored.recall.of) == (1, 2)


def test_a_case_told_as_what_it_is_besides_is_counted_apart():
    cases = [truth(scenario="front_running", also=("spoofing",), order_ids=(o,)) for o in "ab"]
    fronts = board([alert(order_ids=("a",))], cases).scenarios["front_running"]
    assert (fronts.recall.count, fronts.otherwise) == (0, 1)
    both = [alert(order_ids=("a",)), alert("f", scenario="front_running", order_ids=("a",))]
    fronts = board(both, cases).scenarios["front_running"]
    assert (fronts.recall.count, fronts.otherwise) == (1, 0)


def test_delay_is_from_a_cases_start_to_the_first_alert_that_finds_it():
    cases = [
        truth(order_ids=(f"o{n}",), start_ns=START + n * SECOND, end_ns=START + 60 * SECOND)
        for n in range(3)
    ]
    alerts = [
        alert("late", order_ids=("o0",), detected_ns=START + 50 * SECOND),
        alert("soon", order_ids=("o0",), detected_ns=START + 5 * SECOND),
        alert("b", order_ids=("o1",), detected_ns=START + 3 * SECOND),
        alert("open already", order_ids=("o2",), detected_ns=START),
    ]
    spoofing = board(alerts, cases).scenarios["spoofing"]
    assert spoofing.delay_median_s == 2.0
    assert spoofing.delay_p95_s == pytest.approx(4.7)
    assert spoofing.alerts_per_found_case == pytest.approx(4 / 3)


def test_alerts_a_case_are_told_two_ways():
    cases = [truth(order_ids=(f"o{n}",)) for n in range(4)]
    alerts = [alert(str(n), order_ids=(f"o{n % 2}",)) for n in range(6)] + [
        alert("w", order_ids=())
    ]
    scored = board(alerts, cases)
    assert scored.alerts_per_case == 7 / 4
    assert scored.right_alerts_per_found_case == 3.0


def test_harm_is_compared_where_both_are_known():
    cases = [
        truth(order_ids=("o1",), client_harm=100.0),
        truth(order_ids=("o2",), client_harm=None),
        truth(order_ids=("o3",), client_harm=40.0),
        truth(order_ids=("o4",), client_harm=7.0),
    ]
    alerts = [
        alert("a", order_ids=("o1",), client_harm=90.0),
        alert("b", order_ids=("o2",), client_harm=5.0),
        alert("c", order_ids=("o3",), client_harm=None),
    ]
    spoofing = board(alerts, cases).scenarios["spoofing"]
    assert (spoofing.harm_truth, spoofing.harm_alerts) == (100.0, 90.0)


def test_the_harm_of_an_alert_about_several_cases_is_taken_once():
    cases = [truth(order_ids=(f"o{n}",), client_harm=10.0) for n in (1, 2)]
    spoofing = board([alert(order_ids=("o1", "o2"), client_harm=21.0)], cases)
    assert spoofing.scenarios["spoofing"].harm_truth == 20.0
    assert spoofing.scenarios["spoofing"].harm_alerts == 21.0


def test_on_a_clean_tape_every_alert_is_a_false_alarm_of_a_platform_day():
    scored = board([alert(str(n)) for n in range(3)], [], length_ns=DAY // 2, instruments=4)
    assert scored.rate.instrument_days == 2.0
    assert scored.rate.per_instrument_day == 1.5
    assert scored.rate.per_platform_day == 45.0
    # Garwood: 3 events, 0.61867 to 8.76727
    assert scored.rate.low == pytest.approx(0.618672 * 15, rel=1e-5)
    assert scored.rate.high == pytest.approx(8.767273 * 15, rel=1e-5)
    assert (scored.recall.value, scored.f1) == (None, None)


def test_no_alert_in_three_platform_days_leaves_more_than_one_a_day_open():
    assert rate(0, 90.0).per_platform_day == 0.0
    assert rate(0, 90.0).high == pytest.approx(3.688879 / 3, rel=1e-5)


def test_intervals_are_wilsons():
    # Newcombe 1998, table I, method 3
    for hits, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
    ):
        got = share(hits, of)
        assert (got.low, got.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_the_counts_of_two_tapes_add_up(day):
    alerts = oracle(day.truths)[::2]
    one = count(alerts, day.truths, length_ns=DAY, instruments=3)
    both = scoreboard(add_up([one, one]), claimed=SCENARIOS)
    alone = scoreboard(one, claimed=SCENARIOS)
    assert both.recall.value == alone.recall.value
    assert both.recall.of == 2 * alone.recall.of
    assert both.rate.instrument_days == 2 * alone.rate.instrument_days
    assert both.scenarios["spoofing"].delay_median_s == alone.scenarios["spoofing"].delay_median_s
    assert add_up([]) == Counts()


def test_counts_survive_their_file(day):
    counted = count(oracle(day.truths)[:50], day.truths, length_ns=DAY, instruments=3)
    assert msgspec.json.decode(msgspec.json.encode(counted), type=Counts) == counted


# --- cheats -------------------------------------------------------------------------------------


def test_shuffled_truth_scores_nothing(day):
    scored = board(oracle(day.truths), shuffled(day.truths), instruments=3)
    assert scored.recall.value <= 0.05
    assert scored.precision.value <= 0.05


@pytest.mark.parametrize("name", simulated_day(hours=1.0).cheats("MM1"))
@pytest.mark.parametrize("hours", [4.0, 24.0])
def test_a_cheat_scores_nothing(name, hours):
    world = simulated_day(seed=2, hours=hours)
    alerts = world.cheats("MM1")[name]
    scored = board(alerts, world.truths, length_ns=world.length_ns, instruments=3)
    assert scored.f1 <= 0.05
    assert scored.recall.value <= 0.05


# --- properties ---------------------------------------------------------------------------------

NAMES = st.sampled_from(("spoofing", "quote_fade", "wash_self"))
ACCOUNTS = st.lists(st.sampled_from(("MM1", "AFF1", "C01")), min_size=1, max_size=2, unique=True)
IDS = st.lists(st.sampled_from(("o1", "o2", "o3", "o4")), max_size=3, unique=True)
SPANS = st.tuples(st.integers(0, 400), st.integers(0, 400)).map(sorted)


@st.composite
def alert_lists(draw):
    return [
        alert(
            str(number),
            detector=draw(st.sampled_from(("one", "two"))),
            scenario=draw(NAMES),
            accounts=tuple(draw(ACCOUNTS)),
            order_ids=tuple(draw(IDS)),
            window_start_ns=START + (window := draw(SPANS))[0] * SECOND,
            window_end_ns=START + window[1] * SECOND,
            detected_ns=START + draw(st.integers(0, 400)) * SECOND,
            client_harm=draw(st.sampled_from((None, 1.0, 2.5))),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


@st.composite
def truth_lists(draw):
    return [
        truth(
            scenario=draw(NAMES),
            also=tuple(draw(st.lists(NAMES, max_size=1))),
            accounts=tuple(draw(ACCOUNTS)),
            order_ids=tuple(draw(IDS)),
            start_ns=START + (window := draw(SPANS))[0] * SECOND,
            end_ns=START + window[1] * SECOND,
            client_harm=draw(st.sampled_from((None, 1.0, 2.5))),
        )
        for _ in range(draw(st.integers(0, 6)))
    ]


@given(alert_lists(), truth_lists(), st.randoms(use_true_random=False))
def test_the_order_of_alerts_and_of_truths_is_nothing(alerts, truths, random):
    before = count(alerts, truths, length_ns=600 * SECOND, instruments=2)
    random.shuffle(alerts)
    random.shuffle(truths)
    assert count(alerts, truths, length_ns=600 * SECOND, instruments=2) == before


@given(alert_lists(), truth_lists())
def test_one_more_wrong_alert_never_raises_precision_nor_recall(alerts, truths):
    before = board(alerts, truths, length_ns=600 * SECOND)
    after = board([*alerts, alert("w", accounts=("X",))], truths, length_ns=600 * SECOND)
    assert after.precision.value <= (
        1 if before.precision.value is None else before.precision.value
    )
    assert after.recall == before.recall


@given(alert_lists(), truth_lists())
def test_an_oracle_beside_any_alerts_finds_everything(alerts, truths):
    scored = board([*alerts, *oracle(truths)], truths, length_ns=600 * SECOND)
    assert scored.recall.value in {None, 1.0}


# --- the span of a tape -------------------------------------------------------------------------


def tape(folder, orders, trades=()):
    folder.mkdir()
    header = "instrument,base,quote,kind,tick_size,lot_size\n"
    (folder / "instruments.csv").write_text(header + "SIMA-USD,SIMA,USD,spot,0.01,0.001\n")
    for name, lines in (("orders", orders), ("trades", trades)):
        (folder / f"{name}.ndjson").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_a_tape_lasts_from_the_first_to_the_last_event_of_either_file(tmp_path):
    orders = [f'{{"engine_ns":{at}}}' for at in (200, 300, 400)]
    trades = [f'{{"engine_ns":{at}}}' for at in (250, 900)]
    assert span(tape(tmp_path / "a", orders, trades)) == (200, 900)


def test_bad_records_at_the_ends_of_a_tape_are_passed_over(tmp_path):
    lines = ["nonsense", '{"engine_ns":null}', '{"engine_ns":5}', '{"engine_ns":7}', "{}"]
    assert span(tape(tmp_path / "a", lines)) == (5, 7)


def test_a_long_tape_is_read_at_its_ends_only(tmp_path):
    lines = [f'{{"engine_ns":{at},"pad":"{"x" * 1000}"}}' for at in range(1, 5001)]
    assert span(tape(tmp_path / "a", lines)) == (1, 5000)


def test_a_tape_without_an_event_cannot_be_scored(tmp_path):
    with pytest.raises(TapeError, match="must hold an event with engine_ns"):
        span(tape(tmp_path / "a", ["nonsense"]))
