"""tag_error: the tape says of a trade what the register does not, or nobody stands behind it."""

from __future__ import annotations

import statistics

import pytest

from market.abuse.tag_error import TagError
from market.population import CLOSED
from market.reading import table
from tests.support.labelled import AFMM, Labelled, assert_read_without_fault, assert_sound, tapes_of

KIND = TagError.scenario
SHORT = {"seed": 124, "hours": 0.35, "instruments": 1}
FLAGS = {(False, False): "none", (True, False): "buy", (False, True): "sell", (True, True): "both"}
ROWS = ("no_row", "expired_row")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, TagError, SHORT, every_s=60.0) as tape:
        yield tape


def true_flag(trade):
    return FLAGS[trade["buy_account"] == AFMM, trade["sell_account"] == AFMM]


def in_force(tape):
    """Return the accounts that have a row in force on the tape's day."""
    rows = table(tape.folder, "accounts")
    return {row["account"] for row in rows if not row["valid_to"] or row["valid_to"] > "2026-01-05"}


def sides(trade):
    return {trade["buy_account"], trade["sell_account"]}


@pytest.mark.parametrize("severity", [0.1, 0.5, 0.9])
def test_every_wrong_trade_of_a_tape_is_in_the_truth_and_no_other(tapes, severity):
    tape = tapes(severity=severity)
    assert_sound(tape)
    assert len(tape.truths) >= 5
    known = in_force(tape)
    wrong = {
        where
        for where, trade in tape.rows[1].items()
        if trade["afmm_flag"] != true_flag(trade) or not sides(trade) <= known
    }
    told = [(truth.instrument, id_) for truth in tape.truths for id_ in truth.trade_ids]
    assert {*told} == wrong
    assert all(truth.trade_ids for truth in tape.truths)


@pytest.mark.parametrize("evasion", TagError.evasions)
def test_each_kind_is_what_it_says(tapes, evasion):
    tape = tapes(severity=0.5, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 2
    known = in_force(tape)
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert not truth.also
        for trade in tape.trades(truth):
            flag, right = trade["afmm_flag"], true_flag(trade)
            if evasion in ROWS:
                [account] = truth.accounts
                assert account == ("GHOST1" if evasion == "no_row" else CLOSED)
                assert account in sides(trade) - known
                assert flag == right
            elif evasion == "missing_flag":
                assert truth.accounts == (AFMM,)
                assert (flag, AFMM in sides(trade)) == ("none", True)
            elif evasion == "wrong_side":
                assert {flag, right} == {"buy", "sell"}
                assert {AFMM, trade[f"{flag}_account"]} <= {*truth.accounts}
            else:
                assert AFMM not in sides(trade)
                assert truth.accounts == (trade[f"{flag}_account"],)


def test_wrong_flags_are_consecutive(tapes):
    tape = tapes(severity=0.5, evasion="missing_flag")
    for truth in tape.truths:
        seqs = [trade["seq"] for trade in tape.trades(truth)]
        between = [
            trade
            for trade in tape.rows[1].values()
            if AFMM in sides(trade) and min(seqs) <= trade["seq"] <= max(seqs)
        ]
        assert len(between) == len(seqs)


def test_an_account_without_a_row_sends_small_orders_of_ordinary_kinds(tapes):
    tape = tapes(severity=0.9, evasion="no_row")
    orders = [records[0] for truth in tape.truths for records in tape.orders(truth)]
    assert {record["account"] for record in orders} == {"GHOST1"}
    assert {record["type"] for record in orders} == {"limit", "market"}
    assert {record["side"] for record in orders} == {"buy", "sell"}
    assert {record["tif"] for record in orders} == {"IOC", "GTC"}
    assert max(float(record["quantity"]) for record in orders) <= 1.0


def test_more_severe_is_more_trades(tapes):
    counts = [
        statistics.mean(len(truth.trade_ids) for truth in tapes(severity=severity).truths)
        for severity in (0.1, 0.5, 0.9)
    ]
    assert 1 <= counts[0] < 4 < counts[1] < 16 < counts[2]


def test_the_pipeline_reads_it_without_a_fault_and_every_case_is_found(tapes, tmp_path):
    tape = tapes(severity=0.5)
    alerts = assert_read_without_fault(tape, tmp_path)
    for truth in tape.truths:
        assert any(
            alert["scenario"] == KIND
            and not set(alert["trade_ids"]).isdisjoint(truth.trade_ids)
            and not set(alert["accounts"]).isdisjoint(truth.accounts)
            for alert in alerts
        ), truth


def test_the_same_seed_gives_the_same_bytes_with_harm_and_without(tapes, tmp_path):
    made = tapes(severity=0.5)
    again = Labelled(tmp_path, KIND, severity=0.5, **SHORT, harm=True)
    differing = {n for n, d in again.digest().items() if d != made.digest()[n]}
    assert differing <= {"truth.json", "README.md"}
    assert {truth.client_harm for truth in again.truths} == {0.0}
