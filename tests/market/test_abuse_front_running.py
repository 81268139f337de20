"""Front-running: the group trades on the client's side while the gate keeps the client."""

from __future__ import annotations

import statistics

import pytest

from market.abuse.front_running import FrontRunning
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_same_but_for_harm,
    assert_sound,
    every_way,
    tapes_of,
)

KIND = FrontRunning.scenario
SHORT = {"hours": 0.25, "instruments": 2, "rate": 3}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(
        tmp_path_factory, FrontRunning, SHORT | {"evasion": "none"}, every_s=30.0
    ) as tape:
        yield tape


def legs(tape, truth):
    """Return the client's first child, and the orders of the group: in front of it, and after."""
    clients = [r[0] for r in tape.orders(truth) if r[0].get("parent_order_id")]
    first = min(clients, key=lambda record: record["received_ns"])
    own = [r[0] for r in tape.orders(truth, truth.accounts) if r[0] not in clients]
    before = [r for r in own if r["received_ns"] < first["engine_ns"]]
    return first, before, [r for r in own if r not in before]


def lots(tape, truth, orders):
    ids = {record["order_id"] for record in orders}
    traded = tape.trades(truth)
    return sum(
        float(t["quantity"])
        for t in traded
        if t["buy_order_id"] in ids or t["sell_order_id"] in ids
    )


@pytest.mark.parametrize(("severity", "evasion"), every_way(FrontRunning))
def test_every_case_has_its_legs(tapes, severity, evasion):
    tape = tapes(severity, evasion)
    assert_sound(tape)
    for truth in tape.truths:
        assert truth.evasion == evasion
        first, before, after = legs(tape, truth)
        assert tape.roles[first["account"]] == "client"
        assert before
        for record in before:
            # After the client at the gate, and before the market has the client.
            assert first["received_ns"] < record["received_ns"] < first["engine_ns"]
            assert record["side"] == first["side"]
        assert all(record["side"] != first["side"] for record in after)
        assert lots(tape, truth, before) > 0


def test_who_does_it_and_where(tapes):
    for evasion in ("none", "sister", "nominee", "perpetual"):
        tape = tapes(evasion=evasion)
        for truth in tape.truths:
            [account] = truth.accounts
            role = tape.roles[account]
            assert (account == AFMM) == (evasion in ("none", "perpetual"))
            assert (role == "affiliated") == (evasion == "sister")
            assert (role == "client") == (evasion == "nominee")
            assert bool(truth.instruments) == (evasion == "perpetual")
            _, before, _ = legs(tape, truth)
            where = truth.instruments[0] if truth.instruments else truth.instrument
            assert {record["instrument"] for record in before} == {where}


def test_what_is_done_grows_with_severity(tapes):
    def typical(severity):
        tape = tapes(severity)
        found = [(legs(tape, truth), truth) for truth in tape.truths]
        size = statistics.mean(sum(float(r["quantity"]) for r in b) for (_, b, _), _ in found)
        held = statistics.median(f["engine_ns"] - f["received_ns"] for (f, _, _), _ in found)
        return size, held

    (faint, brief), (blatant, long) = typical(0.1), typical(0.9)
    assert blatant > 2 * faint
    assert long > 5 * brief


def test_it_gets_out_late_or_not_at_all_where_that_is_how_it_hides(tapes):
    tape = tapes(evasion="no_unwind")
    assert not any(legs(tape, truth)[2] for truth in tape.truths)
    tape = tapes(evasion="delayed_unwind")
    waits = [t.end_ns - t.start_ns for t in tape.truths if legs(tape, t)[2]]
    assert min(waits) > 140e9


def test_the_client_pays_for_it_and_the_tape_is_the_same_whether_that_is_measured(tapes, tmp_path):
    tape = Labelled(tmp_path / "t", KIND, severity=0.9, evasion="none", **SHORT | {"harm": True})
    harms = [truth.client_harm for truth in tape.truths]
    assert min(harms) >= 0
    assert statistics.median(harms) > 0
    other = tapes(0.9)
    assert_same_but_for_harm(other, tape)


def test_the_pipeline_reads_the_tape_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(evasion="split"), tmp_path)
