"""client_priority: a client was first, and the group was served first: by queue or by arrival."""

from __future__ import annotations

import statistics
from decimal import Decimal
from itertools import pairwise

import pytest

from market.abuse.client_priority import ClientPriority
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

KIND = ClientPriority.scenario
PLACES = ("new", "trigger")


USUAL_S = ClientPriority.every_s
SHORT = {"seed": 109, "hours": 0.35, "instruments": 1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, ClientPriority, SHORT, every_s=40.0) as tape:
        yield tape


def parts(tape, truth):
    """Return the clients' orders and the group's, each with all records."""
    orders = tape.orders(truth)
    group = [records for records in orders if records[0]["account"] in truth.accounts]
    clients = [records for records in orders if records not in group]
    assert group
    assert clients
    assert {tape.roles[records[0]["account"]] for records in clients} == {"client"}
    return clients, group


def is_inversion(truth):
    return "trading_ahead" in truth.also


def since(records, seq):
    """Return the seq from which an order stood where it does at some seq."""
    places = [r for r in records if r["seq"] < seq and r["action"] in (*PLACES, "replace")]
    since_seq = places[0]["seq"]
    for before, after in pairwise(places):
        grown = Decimal(after["quantity"]) >= Decimal(before["quantity"])
        if grown or after["price"] != before["price"] or after["action"] == "trigger":
            since_seq = after["seq"]
    return since_seq


def displaced(tape, truth):
    """Return what an incoming order left to clients that were due before the group it filled."""
    clients, group = parts(tape, truth)
    [*trades] = tape.trades(truth)
    own = {records[0]["order_id"]: records for records in group}
    incoming = {legs.incoming_id(trade) for trade in trades}
    assert len(incoming) == 1
    assert {legs.resting_id(trade) for trade in trades} <= own.keys()
    [taker] = incoming
    moment = trades[0]["engine_ns"]
    every = [
        trade
        for trade in tape.rows[1].values()
        if trade["instrument"] == truth.instrument
        and trade["engine_ns"] == moment
        and taker in (trade["buy_order_id"], trade["sell_order_id"])
    ]
    last = max(trade["seq"] for trade in every)
    left = Decimal(0)
    for records in clients:
        told = [r for r in records if r["seq"] < trades[0]["seq"]]
        assert told[-1]["price"] == trades[0]["price"]
        assert told[-1]["side"] == group[0][0]["side"]
        if tape.settings.matching == "price_time":
            assert since(records, last) < min(r[0]["seq"] for r in group)
        open_ = legs.open_at(tape, records, last)
        assert open_ > 0
        left += open_
    return min(left, legs.filled(trades))


def missed(tape, truth):
    """Return what the group got that a client, at the gate before it, would have got."""
    [client], group = parts(tape, truth)
    client = client[0]
    taken = tape.trades(truth)
    worst = max(legs.price(trade) * legs.sign(client) for trade in taken) * legs.sign(client)
    for records in group:
        assert records[0]["received_ns"] > client["received_ns"]
        assert records[0]["engine_ns"] < client["engine_ns"]
        assert records[0]["side"] == client["side"]
    assert legs.within(legs.price(client), legs.sign(client), worst)
    if all(legs.resting_id(trade) == group[0][0]["order_id"] for trade in taken[:1]):
        # Both joined: when the group's was hit the client's had not come, or still stood there.
        assert client["price"] == taken[0]["price"]
        if client["seq"] < taken[0]["seq"] and client["action"] != "reject":
            records = tape.rows[0][truth.instrument, client["order_id"]]
            assert legs.open_at(tape, records, taken[0]["seq"]) > 0
        return legs.filled(taken)
    got = [
        trade
        for trade in legs.fills(tape, client)
        if trade["engine_ns"] == client["engine_ns"]
        and legs.within(worst, legs.sign(client), legs.price(trade))
    ]
    less = Decimal(client["quantity"]) - legs.filled(got)
    assert less > 0
    return min(less, legs.filled(taken))


@pytest.mark.parametrize(("severity", "evasion"), every_way(ClientPriority))
def test_every_case_displaces_a_client(tapes, severity, evasion):
    tape = tapes(severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 4
    account = {"sister": "AFF1", "staff": "STAFF1"}.get(evasion, AFMM)
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert truth.accounts == (account,)
        assert (missed if is_inversion(truth) else displaced)(tape, truth) > 0


def test_both_ways_come_about_and_a_split_order_comes_in_pieces(tapes):
    tape = tapes(severity=0.5, evasion="none")
    assert {is_inversion(truth) for truth in tape.truths} == {True, False}
    split = tapes(severity=0.5, evasion="split")
    assert max(len(parts(split, truth)[1]) for truth in split.truths) > 1
    assert {len(parts(tape, truth)[1]) for truth in tape.truths} == {1}


def test_what_is_displaced_and_how_long_the_gate_waits_grow_with_severity(tapes):
    def typical(severity):
        lots, held = [], []
        tape = tapes(severity=severity, evasion="none")
        for truth in tape.truths:
            clients, _ = parts(tape, truth)
            if is_inversion(truth):
                [[client, *_]] = clients
                held.append(client["engine_ns"] - client["received_ns"])
            else:
                lots.append(float(displaced(tape, truth)))
        return statistics.median(lots), statistics.median(held)

    (faint, brief), (blatant, long) = typical(0.1), typical(0.9)
    assert blatant > 2 * faint
    assert long > 20 * brief


def test_a_younger_client_is_passed_over_too_where_the_venue_puts_clients_first(tapes):
    tape = tapes(severity=0.9, evasion="none", matching="price_class_time")
    assert_sound(tape)
    jumps = [truth for truth in tape.truths if not is_inversion(truth)]
    assert jumps
    assert all(displaced(tape, truth) > 0 for truth in jumps)


def test_the_client_pays_for_it_and_the_tape_is_the_same_whether_that_is_measured(tapes, tmp_path):
    tape = Labelled(tmp_path / "t", KIND, severity=0.9, evasion="none", harm=True, **SHORT)
    harms = [truth.client_harm for truth in tape.truths]
    assert min(harms) >= 0
    assert statistics.mean(harms) > 0
    other = tapes(severity=0.9, evasion="none")
    assert_same_but_for_harm(other, tape)


def test_the_pipeline_reads_the_tape_without_a_fault_and_proves_every_jump(tapes, tmp_path):
    tape = tapes(severity=0.9, evasion="none")
    alerts = assert_read_without_fault(tape, tmp_path)
    named = {id_ for a in alerts if a["scenario"] == KIND for id_ in a["trade_ids"]}
    jumps = [truth for truth in tape.truths if not is_inversion(truth)]
    assert all(named & {*truth.trade_ids} for truth in jumps)


def test_several_cases_an_hour_come_about_as_it_is(tapes, tmp_path, monkeypatch):
    monkeypatch.setattr(ClientPriority, "every_s", USUAL_S)
    tape = Labelled(tmp_path, KIND, seed=111, hours=0.5, instruments=1, severity=0.5)
    assert len(tape.truths) >= 3
