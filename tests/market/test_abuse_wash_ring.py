"""wash_ring: a position goes round until each member stands where it stood before."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from decimal import Decimal

import pytest

from market.abuse.wash_ring import WashRing
from market.reading import table
from tests.support.labelled import Labelled, assert_read_without_fault, assert_sound, tapes_of
from tests.support.tops import tops

KIND = WashRing.scenario
SHORT = {"seed": 123, "hours": 0.3, "instruments": 1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, WashRing, SHORT, every_s=90.0) as tape:
        yield tape


def nets(trades):
    """Return by account what it bought less what it sold."""
    net = Counter()
    for trade in trades:
        net[trade["buy_account"]] += Decimal(trade["quantity"])
        net[trade["sell_account"]] -= Decimal(trade["quantity"])
    return net


def mean_size(trades):
    return sum(Decimal(trade["quantity"]) for trade in trades) / len(trades)


def is_circle(members, trades):
    """Whether everybody reaches everybody else by what was handed on."""
    onward = defaultdict(set)
    for trade in trades:
        onward[trade["sell_account"]].add(trade["buy_account"])

    def reached(start):
        seen, todo = {start}, [start]
        while todo:
            new = onward[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    return all(reached(member) == set(members) for member in members)


def tape_of(tapes, severity, evasion):
    two = {"instruments": 2} if evasion == "two_instruments" else {}
    return tapes(severity=severity, evasion=evasion, **two)


@pytest.mark.parametrize(
    ("severity", "evasion"),
    [(0.1, "none"), (0.5, "none"), (0.9, "none"), *((0.5, e) for e in WashRing.evasions)],
)
def test_a_position_goes_round_and_nobody_is_left_with_any(tapes, severity, evasion):
    tape = tape_of(tapes, severity, evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 3
    register = {row["account"]: row for row in table(tape.folder, "accounts")}
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert 2 <= len(truth.accounts) <= 8
        rows = [register[account] for account in truth.accounts]
        assert {row["role"] for row in rows} == {"client"}
        assert len({row["owner"] for row in rows}) == len(rows)
        trades = tape.trades(truth)
        net = nets(trades)
        assert net.keys() == {*truth.accounts}
        assert max(map(abs, net.values())) <= Decimal("0.01") * mean_size(trades)
        assert len(trades) >= 2 * (len(truth.accounts) - 1)
        assert is_circle(truth.accounts, trades)
        ids = {trade[f"{side}_order_id"] for trade in trades for side in ("buy", "sell")}
        assert ids <= {*truth.order_ids}
        orders = [records[0] for records in tape.orders(truth)]
        assert {record["type"] for record in orders} == {"limit"}
        assert {record["account"] for record in orders} == {*truth.accounts}


def test_the_price_lies_inside_the_spread(tapes):
    tape = tapes(severity=0.5, evasion="none")
    firsts = []
    for trade in (trade for truth in tape.truths for trade in tape.trades(truth)):
        side = "buy" if trade["aggressor"] == "sell" else "sell"
        firsts.append(tape.rows[0][trade["instrument"], trade[f"{side}_order_id"]][0])
    found = tops(tape.folder, {(first["instrument"], first["seq"]) for first in firsts})
    inside = sum(
        bid < Decimal(first["price"]) < ask
        for first in firsts
        for bid, ask in [found[first["instrument"], first["seq"]]]
    )
    assert inside > 0.8 * len(firsts)  # the market may have moved on the way


def test_more_severe_is_more_laps_larger_and_faster(tapes):
    def shape(severity):
        tape = tapes(severity=severity, evasion="none")
        each = [(truth, tape.trades(truth)) for truth in tape.truths]
        laps = statistics.mean(len(trades) / len(truth.accounts) for truth, trades in each)
        size = statistics.median(mean_size(trades) for _, trades in each)
        hop_s = statistics.median(
            (truth.end_ns - truth.start_ns) / 1e9 / len(trades) for truth, trades in each
        )
        return laps, size, hop_s

    faint, middle, blatant = map(shape, (0.1, 0.5, 0.9))
    assert faint[0] < middle[0] < blatant[0] > 4 * faint[0]
    assert faint[1] < middle[1] < blatant[1]
    assert faint[2] > 2 * middle[2] > 4 * blatant[2]


def test_how_it_is_hidden_shows(tapes):
    plain = tapes(severity=0.5, evasion="none")

    def per_hop(tape):
        return statistics.median(
            (truth.end_ns - truth.start_ns) / len(truth.trade_ids) for truth in tape.truths
        )

    assert per_hop(tapes(severity=0.5, evasion="slow")) > 1.5 * per_hop(plain)
    split = tapes(severity=0.5, evasion="split").truths
    assert min(len(truth.accounts) for truth in split) >= 4
    two = tape_of(tapes, 0.5, "two_instruments").truths
    by_members = defaultdict(set)
    for truth in two:
        by_members[truth.accounts].add(truth.instrument)
    assert any(len(where) == 2 for where in by_members.values())

    def outside(tape):
        ours = {id_ for truth in tape.truths for id_ in truth.order_ids}
        members = {account for truth in tape.truths for account in truth.accounts}
        orders = [records[0] for records in tape.rows[0].values()]
        theirs = [r for r in orders if r["account"] in members and r["order_id"] not in ours]
        assert {record["account"] for record in theirs} == members  # they trade normally too
        return len(theirs) / len(members)

    assert outside(tapes(severity=0.5, evasion="decoys")) > 1.5 * outside(plain)


def test_the_pipeline_reads_it_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(severity=0.9, evasion="none"), tmp_path)


def test_the_same_seed_gives_the_same_bytes_with_harm_and_without(tapes, tmp_path):
    made = tapes(severity=0.5, evasion="split")
    again = Labelled(tmp_path, KIND, severity=0.5, evasion="split", **SHORT, harm=True)
    differing = {n for n, d in again.digest().items() if d != made.digest()[n]}
    assert differing <= {"truth.json", "README.md"}
    assert {truth.client_harm for truth in again.truths} == {0.0}
