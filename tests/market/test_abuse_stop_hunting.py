"""stop_hunting: a burst moves the last price through clients' stops, to trade with them."""

from __future__ import annotations

import statistics

import pytest

from market.abuse.stop_hunting import StopHunting
from market.check import check_clean
from tests.support import legs
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_same_but_for_harm,
    assert_sound,
    every_way,
    tapes_of,
)

KIND = StopHunting.scenario
USUAL_S = StopHunting.every_s
SHORT = {"seed": 117, "hours": 0.35, "instruments": 1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, StopHunting, SHORT, every_s=30.0) as tape:
        yield tape


def parts(tape, truth):
    """Return the stops, and the orders of the burst, those that catch, and those that get out."""
    orders = [records[0] for records in tape.orders(truth)]
    stops = [record for record in orders if record["type"] in ("stop", "stop_limit")]
    [side] = {record["side"] for record in stops}
    own = [record for record in orders if record not in stops]
    burst = [r for r in own if r["tif"] == "IOC"]
    rest = [r for r in own if r["side"] != side and r not in burst]
    return stops, burst, rest


def triggered_ns(tape, truth, stops):
    """Return when each stop triggered."""
    told = [tape.rows[0][truth.instrument, stop["order_id"]] for stop in stops]
    return [next(r["engine_ns"] for r in records if r["action"] == "trigger") for records in told]


def caught(tape, truth, stops):
    ids = {stop["order_id"] for stop in stops}
    return [t for t in tape.trades(truth) if legs.incoming_id(t) in ids]


def last_prices(tape, truth, from_ns, until_ns):
    return [
        legs.price(trade)
        for trade in tape.rows[1].values()
        if trade["instrument"] == truth.instrument and from_ns <= trade["engine_ns"] < until_ns
    ]


@pytest.mark.parametrize(("severity", "evasion"), every_way(StopHunting))
def test_a_burst_goes_through_a_cluster_and_the_group_is_there(tapes, severity, evasion):
    tape = tapes(severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 3
    for truth in tape.truths:
        assert truth.evasion == evasion
        stops, burst, rest = parts(tape, truth)
        assert len(stops) >= 2
        assert {tape.roles[stop["account"]] for stop in stops} == {"client"}
        assert not {stop["account"] for stop in stops} & {*truth.accounts}
        assert {record["side"] for record in burst} == {stops[0]["side"]}
        assert {r["account"] for r in (*burst, *rest)} == {*truth.accounts}
        moments = triggered_ns(tape, truth, stops)
        taken = [t for t in tape.trades(truth) if t["aggressor"] == stops[0]["side"]]
        taken = [t for t in taken if legs.incoming_id(t) in {r["order_id"] for r in burst}]
        side = legs.sign(stops[0])
        far = max(legs.price(trade) * side for trade in taken)
        for stop, moment in zip(stops, moments, strict=True):
            assert truth.start_ns <= moment <= truth.end_ns
            # The group's own trades, or those of what they set off, cross the stop price.
            reached = [p * side for p in last_prices(tape, truth, truth.start_ns, moment + 1)]
            assert max(reached) >= legs.price(stop, "stop_price") * side
        assert any(legs.price(stop, "stop_price") * side <= far for stop in stops)
        met = caught(tape, truth, stops)
        assert met
        catching = {legs.resting_id(trade) for trade in met}
        first = min(record["engine_ns"] for record in burst)
        for record in rest:
            if record["order_id"] in catching:
                assert record["account"] == AFMM
                assert record["engine_ns"] < first


def test_how_it_is_hidden(tapes):
    roles = {"sister": "affiliated", "nominee": "client", "none": "affiliated_mm"}
    for evasion, role in roles.items():
        tape = tapes(severity=0.5, evasion=evasion)
        for truth in tape.truths:
            _, burst, _ = parts(tape, truth)
            assert {tape.roles[record["account"]] for record in burst} == {role}
    for evasion, least in (("split", 2), ("steps", 4)):
        tape = tapes(severity=0.5, evasion=evasion)
        assert max(len(parts(tape, truth)[1]) for truth in tape.truths) >= least


def test_the_price_reverts(tapes):
    back = []
    for severity in (0.5, 0.9):
        tape = tapes(severity=severity, evasion="none")
        for truth in tape.truths:
            stops, burst, _ = parts(tape, truth)
            side = legs.sign(stops[0])
            start = burst[0]["engine_ns"]
            before = last_prices(tape, truth, start - 10 * 10**9, start)
            during = last_prices(tape, truth, start, start + 10**8)
            after = last_prices(tape, truth, start + 3 * 10**9, start + 10 * 10**9)
            if before and after:
                far = max(price * side for price in during)
                moved = far - before[-1] * side
                back.append(float((far - statistics.mean(after) * side) / moved))
    assert statistics.median(back) > 0.5


def test_stops_burst_and_share_grow_with_severity(tapes):
    def typical(severity):
        tape = tapes(severity=severity, evasion="none")
        found = [parts(tape, truth) for truth in tape.truths]
        size = statistics.mean(
            float(legs.filled(t for r in burst for t in legs.fills(tape, r)))
            for _, burst, _ in found
        )
        met = statistics.mean(
            float(legs.filled(caught(tape, truth, stops)))
            for truth, (stops, _, _) in zip(tape.truths, found, strict=True)
        )
        return statistics.mean(len(stops) for stops, _, _ in found), size, met

    faint, blatant = typical(0.1), typical(0.9)
    assert all(much > 1.5 * little for little, much in zip(faint, blatant, strict=True))


def test_clients_pay_for_it_and_the_tape_is_the_same_whether_that_is_measured(tapes, tmp_path):
    tape = Labelled(tmp_path / "t", KIND, severity=0.5, evasion="none", harm=True, **SHORT)
    harms = [truth.client_harm for truth in tape.truths]
    assert min(harms) >= 0
    assert statistics.median(harms) > 0
    other = tapes(severity=0.5, evasion="none")
    assert_same_but_for_harm(other, tape)


def test_whatever_else_is_on_the_tape_is_lawful(tapes):
    assert check_clean(tapes(severity=0.5, evasion="sister").folder).clean


def test_the_pipeline_reads_the_tape_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(severity=0.9, evasion="none"), tmp_path)


def test_several_cases_an_hour_come_about_as_it_is(tapes, tmp_path, monkeypatch):
    monkeypatch.setattr(StopHunting, "every_s", USUAL_S)
    tape = Labelled(tmp_path, KIND, seed=111, hours=0.6, instruments=1, severity=0.5)
    assert len(tape.truths) >= 2
