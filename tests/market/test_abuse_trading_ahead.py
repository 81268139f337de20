"""trading_ahead: a client's order was held, and the group executed on its side meanwhile."""

from __future__ import annotations

import statistics
from decimal import Decimal

import pytest

from market.abuse.trading_ahead import TradingAhead
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

KIND = TradingAhead.scenario
USUAL_S = TradingAhead.every_s
SHORT = {"seed": 113, "hours": 0.35, "instruments": 1}
GROUP = ("affiliated_mm", "affiliated")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, TradingAhead, SHORT, every_s=40.0) as tape:
        yield tape


def client_of(tape, truth):
    [records] = [r for r in tape.orders(truth) if tape.roles[r[0]["account"]] == "client"]
    return records


def way(tape, truth):
    first = client_of(tape, truth)[0]
    if "stop_price" in first:
        return "trigger"
    passive = [
        t for t in tape.trades(truth) if legs.incoming_id(t) not in truth.order_ids
    ] == tape.trades(truth)
    return "passive" if passive and first["type"] == "limit" else "gate"


def held(tape, truth):
    """Return from when until when the client's order could have traded and was held, ns."""
    records = client_of(tape, truth)
    first = records[0]
    if way(tape, truth) != "trigger":
        return first["received_ns"], first["engine_ns"]
    stop, side = legs.price(first, "stop_price"), legs.sign(first)
    mine = [trade for (place, _), trade in tape.rows[1].items() if place == truth.instrument]
    before = [trade for trade in mine if trade["seq"] < first["seq"]]
    # The last price may have crossed it when it came in.
    told = [trade for trade in mine if trade["seq"] > first["seq"]]
    crossings = [
        max(trade["engine_ns"], first["engine_ns"])
        for trade in (*before[-1:], *told)
        if legs.price(trade) * side >= stop * side
    ]
    ends = [r["engine_ns"] for r in records if r["action"] in ("trigger", "cancel")]
    return min(crossings), min(ends)


def side_of(trade, accounts):
    return "buy" if trade["buy_account"] in accounts else "sell"


@pytest.mark.parametrize(("severity", "evasion"), every_way(TradingAhead))
def test_the_group_executes_while_the_client_is_held(tapes, severity, evasion):
    tape = tapes(severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 4
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert {tape.roles[account] for account in truth.accounts} <= {*GROUP}
        assert evasion == "sister" or truth.accounts == (AFMM,)
        client = client_of(tape, truth)[0]
        from_ns, until_ns = held(tape, truth)
        trades = tape.trades(truth)
        assert trades
        for trade in trades:
            assert from_ns <= trade["engine_ns"] < until_ns
            assert side_of(trade, truth.accounts) == client["side"]
            assert legs.within(legs.price(client), legs.sign(client), legs.price(trade))
        best = min(legs.price(t) * legs.sign(client) for t in trades) * legs.sign(client)
        got = [
            t
            for t in legs.fills(tape, client)
            if t["engine_ns"] <= until_ns and legs.within(best, legs.sign(client), legs.price(t))
        ]
        late = until_ns - from_ns >= 100_000_000
        assert late or legs.filled(got) < Decimal(client["quantity"])


def test_what_came_to_nothing_is_told_apart_from_what_did(tapes):
    """The group took ahead of what it held, and the client was filled all the same."""
    tape = tapes(severity=0.5, evasion="short_hold")
    assert tape.attempts
    told = f"{len(tape.attempts):,} attempts that came to nothing (`attempts.json`)"
    assert told in (tape.folder / "README.md").read_text()
    assert {attempt.scenario for attempt in tape.attempts} == {"trading_ahead"}
    of_cases = {name for truth in tape.truths for name in truth.order_ids}
    for attempt in tape.attempts:
        own = [r for r in tape.orders(attempt) if r[0]["account"] in attempt.accounts]
        assert [r[0]["order_id"] for r in own] == list(attempt.order_ids)
        assert tape.trades(attempt)
        assert not of_cases & {r[0]["order_id"] for r in own}


def test_every_way_comes_about_and_a_late_trigger_is_all_that_tells_of_a_held_stop(tapes):
    found = {}
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity=severity, evasion="none")
        for truth in tape.truths:
            found.setdefault(way(tape, truth), []).append((tape, truth))
    assert found.keys() == {"gate", "trigger", "passive"}
    for tape, truth in found["trigger"]:
        triggers = [r for r in client_of(tape, truth) if r["action"] == "trigger"]
        assert [record["received_ns"] for record in triggers] == [None]
        assert "client_priority" not in truth.also
    for _, truth in found["gate"] + found["passive"]:
        assert "client_priority" in truth.also


def test_how_it_is_hidden(tapes):
    for truth in tapes(severity=0.5, evasion="sister").truths:
        assert "AFF1" in truth.accounts or truth.accounts == (AFMM,)
    brief = tapes(severity=0.5, evasion="short_hold")
    for truth in brief.truths:
        from_ns, until_ns = held(brief, truth)
        assert until_ns - from_ns < 100_000_000
    apart = tapes(severity=0.5, evasion="other_price")
    for truth in apart.truths:
        client = client_of(apart, truth)[0]
        assert all(trade["price"] != client["price"] for trade in apart.trades(truth))
    split = tapes(severity=0.5, evasion="split")
    most = max(len(split.orders(truth, (AFMM,))) for truth in split.truths)
    assert most > 5


def test_how_long_and_how_much_grow_with_severity(tapes):
    def typical(severity):
        tape = tapes(severity=severity, evasion="none")
        spans = [held(tape, truth) for truth in tape.truths]
        lots = [float(legs.filled(tape.trades(truth))) for truth in tape.truths]
        return statistics.median(b - a for a, b in spans), statistics.mean(lots)

    (brief, little), (long, much) = typical(0.1), typical(0.9)
    assert long > 5 * brief
    assert much > 2 * little


def test_the_client_pays_for_it_and_the_tape_is_the_same_whether_that_is_measured(tapes, tmp_path):
    tape = Labelled(tmp_path / "t", KIND, severity=0.9, evasion="none", harm=True, **SHORT)
    harms = [truth.client_harm for truth in tape.truths]
    assert min(harms) >= 0
    assert statistics.mean(harms) > 0
    other = tapes(severity=0.9, evasion="none")
    assert_same_but_for_harm(other, tape)


def test_the_pipeline_reads_the_tape_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(severity=0.9, evasion="none"), tmp_path)


def test_several_cases_an_hour_come_about_as_it_is(tapes, tmp_path, monkeypatch):
    monkeypatch.setattr(TradingAhead, "every_s", USUAL_S)
    tape = Labelled(tmp_path, KIND, seed=111, hours=0.5, instruments=1, severity=0.5)
    assert len(tape.truths) >= 3
