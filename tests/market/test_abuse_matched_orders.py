"""matched_orders: accounts that seem to be strangers enter orders that are made for each other."""

from __future__ import annotations

import statistics
from decimal import Decimal

import pytest

from market.abuse.matched_orders import MatchedOrders
from market.reading import table
from tests.support.labelled import Labelled, assert_read_without_fault, assert_sound, tapes_of
from tests.support.tops import tops

KIND = MatchedOrders.scenario
SHORT = {"seed": 122, "hours": 0.3, "instruments": 1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, MatchedOrders, SHORT, every_s=60.0) as tape:
        yield tape


def matches(tape, truth):
    """Return (first order, second order, trade) of each trade of a truth, as it came in."""
    found = []
    for trade in tape.trades(truth):
        both = [
            tape.rows[0][truth.instrument, trade[f"{side}_order_id"]][0] for side in ("buy", "sell")
        ]
        found.append((*sorted(both, key=lambda record: record["seq"]), trade))
    return found


def gaps_s(tape):
    return [
        (trade["engine_ns"] - first["engine_ns"]) / 1e9
        for truth in tape.truths
        for first, _, trade in matches(tape, truth)
    ]


def off(first, second):
    one, other = Decimal(first["quantity"]), Decimal(second["quantity"])
    return abs(one - other) / max(one, other)


@pytest.mark.parametrize(
    ("severity", "evasion"),
    [
        (0.1, "none"),
        (0.5, "none"),
        (0.9, "none"),
        *((0.5, evasion) for evasion in MatchedOrders.evasions),
    ],
)
def test_opposite_orders_of_two_owners_at_one_price_and_of_like_size_meet_again_and_again(
    tapes, severity, evasion
):
    tape = tapes(severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 3
    register = {row["account"]: row for row in table(tape.folder, "accounts")}
    for truth in tape.truths:
        assert truth.evasion == evasion
        rows = [register[account] for account in truth.accounts]
        assert {row["role"] for row in rows} == {"client"}
        assert len({row["owner"] for row in rows}) == len(rows)
        assert len(truth.accounts) <= (3 if evasion == "three_accounts" else 2)
        met = matches(tape, truth)
        assert len({trade["trade_id"] for _, _, trade in met}) >= 2
        for first, second, trade in met:
            assert {first["account"], second["account"]} <= {*truth.accounts}
            assert first["account"] != second["account"]
            assert {first["side"], second["side"]} == {"buy", "sell"}
            assert first["price"] == second["price"] == trade["price"]
            assert off(first, second) <= Decimal("0.01")
            assert trade["engine_ns"] - first["engine_ns"] < 8_000_000_000


def test_the_price_lies_inside_the_spread(tapes):
    tape = tapes(severity=0.5, evasion="none")
    firsts = [first for truth in tape.truths for first, _, _ in matches(tape, truth)]
    found = tops(tape.folder, {(first["instrument"], first["seq"]) for first in firsts})
    inside = sum(
        bid < Decimal(first["price"]) < ask
        for first in firsts
        for bid, ask in [found[first["instrument"], first["seq"]]]
    )
    assert inside > 0.8 * len(firsts)  # the market may have moved on the way


def test_more_severe_is_more_larger_and_closer_together(tapes):
    made = [tapes(severity=severity, evasion="none") for severity in (0.1, 0.5, 0.9)]
    counts = [statistics.mean(len(t.trade_ids) for t in tape.truths) for tape in made]
    sums = [
        statistics.median(
            sum(Decimal(trade["quantity"]) for trade in tape.trades(truth)) for truth in tape.truths
        )
        for tape in made
    ]
    gaps = [statistics.median(gaps_s(tape)) for tape in made]
    assert 2 <= counts[0] <= 6
    assert counts == sorted(counts)
    assert counts[2] > 3 * counts[0]
    assert sums[2] > 2 * sums[1] > 4 * sums[0]
    assert gaps == sorted(gaps, reverse=True)


def test_how_it_is_hidden_shows(tapes):
    by_three = tapes(severity=0.5, evasion="three_accounts").truths
    assert any(len(truth.accounts) == 3 for truth in by_three)
    plain = tapes(severity=0.5, evasion="none")
    assert statistics.median(gaps_s(tapes(severity=0.5, evasion="slow_gap"))) > 1.5
    assert statistics.median(gaps_s(plain)) < 1.0

    def offs(tape):
        return [off(*pair[:2]) for truth in tape.truths for pair in matches(tape, truth)]

    near = offs(tapes(severity=0.5, evasion="near_one_percent"))
    assert statistics.median(near) > Decimal("0.004") > statistics.median(offs(plain))
    to_and_fro = tapes(severity=0.5, evasion="alternating").truths
    assert any("wash_ring" in truth.also for truth in to_and_fro)
    assert not any("wash_ring" in truth.also for truth in plain.truths)


def test_the_same_few_accounts_work_together_for_the_whole_tape(tapes):
    truths = tapes(severity=0.1, evasion="none").truths
    assert len({truth.accounts for truth in truths}) < len(truths)


def test_the_members_trade_with_others_too(tapes):
    tape = tapes(severity=0.5, evasion="none")
    ours = {id_ for truth in tape.truths for id_ in truth.order_ids}
    members = {account for truth in tape.truths for account in truth.accounts}
    others = [
        records[0]
        for (_, id_), records in tape.rows[0].items()
        if id_ not in ours and records[0]["account"] in members
    ]
    assert {record["account"] for record in others} == members


def test_the_pipeline_reads_it_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(severity=0.9, evasion="none"), tmp_path)


def test_the_same_seed_gives_the_same_bytes_with_harm_and_without(tapes, tmp_path):
    made = tapes(severity=0.5, evasion="alternating")
    again = Labelled(tmp_path, KIND, severity=0.5, evasion="alternating", **SHORT, harm=True)
    differing = {n for n, d in again.digest().items() if d != made.digest()[n]}
    assert differing <= {"truth.json", "README.md"}
    assert {truth.client_harm for truth in again.truths} == {0.0}
