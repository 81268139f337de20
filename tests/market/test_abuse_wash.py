"""wash_self, wash_common_owner, wash_affiliate: two sides of a trade that are one."""

from __future__ import annotations

import statistics
from decimal import Decimal
from itertools import chain, pairwise

import msgspec
import pytest

from market.abuse.catalogue import INJECTORS
from market.abuse.pairs import WashPair
from market.population import OMNIBUS
from market.reading import table
from tests.support.labelled import Labelled, assert_read_without_fault, assert_sound
from tests.support.tops import tops

KINDS = ("wash_self", "wash_common_owner", "wash_affiliate")
SHORT = {"seed": 121, "hours": 0.2, "instruments": 1}
GROUP = ("affiliated_mm", "affiliated", "house", "staff")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    """Return a function that makes tapes with more episodes an hour than usual: short ones do."""
    made = {}

    def tape(kind, **settings):
        key = (kind, *sorted(settings.items()))
        if key not in made:
            made[key] = Labelled(tmp_path_factory.mktemp("tape"), kind, **SHORT | settings)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WashPair, "every_s", 40.0)
        yield tape


def is_wash(tape, kind, trade):
    """Whether a trade is of a kind, by the register and the records alone."""
    buyer, seller = trade["buy_account"], trade["sell_account"]
    if "register" not in vars(tape):
        tape.register = {row["account"]: row for row in table(tape.folder, "accounts")}
    rows = tape.register
    if kind == "wash_affiliate":
        return {rows[buyer]["role"], rows[seller]["role"]} <= {*GROUP}
    if kind == "wash_common_owner":
        return rows[buyer]["owner"] == rows[seller]["owner"] and buyer != seller
    if buyer == seller and buyer in OMNIBUS:
        sides = [
            tape.rows[0][trade["instrument"], trade[f"{side}_order_id"]][0].get("originator")
            for side in ("buy", "sell")
        ]
        return sides[0] == sides[1] is not None
    return buyer == seller


def volume(tape, truth):
    return sum(Decimal(trade["quantity"]) for trade in tape.trades(truth))


def cases():
    for kind in KINDS:
        yield from ((kind, severity, "none") for severity in (0.1, 0.5, 0.9))
        yield from ((kind, 0.5, evasion) for evasion in INJECTORS[kind].evasions)


@pytest.mark.parametrize(("kind", "severity", "evasion"), [*cases()])
def test_every_wash_trade_of_a_tape_is_in_the_truth_and_the_truth_has_no_other(
    tapes, kind, severity, evasion
):
    tape = tapes(kind, severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= (4 if evasion == "none" else 2)
    told = {(truth.instrument, id_) for truth in tape.truths for id_ in truth.trade_ids}
    washed = {where for where, trade in tape.rows[1].items() if is_wash(tape, kind, trade)}
    assert told == washed
    for truth in tape.truths:
        assert truth.evasion == evasion
        trades = tape.trades(truth)
        sides = {t[f"{side}_account"] for t in trades for side in ("buy", "sell")}
        assert sides == {*truth.accounts}
        assert all(t["aggressor"] for t in trades)  # none by an auction
        ids = {t[f"{side}_order_id"] for t in trades for side in ("buy", "sell")}
        assert ids <= {*truth.order_ids}


@pytest.mark.parametrize("kind", KINDS)
def test_more_severe_is_more_and_larger(tapes, kind):
    made = [tapes(kind, severity=severity, evasion="none") for severity in (0.1, 0.5, 0.9)]
    counts = [statistics.mean(len(t.trade_ids) for t in tape.truths) for tape in made]
    sums = [statistics.median(volume(tape, t) for t in tape.truths) for tape in made]
    assert counts[0] <= 5
    assert counts == sorted(counts)
    assert counts[2] > 3 * counts[0]
    assert sums[2] > 2 * sums[1] > 4 * sums[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_order_rests_inside_the_spread_and_the_second_takes_it_soon(tapes, kind):
    tape = tapes(kind, severity=0.5, evasion="none")
    pairs = []
    for trade in (trade for truth in tape.truths for trade in tape.trades(truth)):
        sides = ("buy", "sell") if trade["aggressor"] == "sell" else ("sell", "buy")
        legs = [trade["instrument"], trade[f"{sides[0]}_order_id"]]
        pairs.append((tape.rows[0][tuple(legs)][0], trade))
    found = tops(tape.folder, {(first["instrument"], first["seq"]) for first, _ in pairs})
    inside = gaps = 0
    for first, trade in pairs:
        bid, ask = found[first["instrument"], first["seq"]]
        inside += bid < Decimal(first["price"]) < ask
        gaps += trade["engine_ns"] - first["engine_ns"] < 1_500_000_000
    assert inside > 0.8 * len(pairs)  # the market may have moved on the way
    assert gaps > 0.95 * len(pairs)


def test_how_it_is_hidden_shows(tapes):
    def shape(evasion):
        tape = tapes("wash_common_owner", severity=0.5, evasion=evasion)
        trades = [tape.trades(truth) for truth in tape.truths]
        waits = [
            (later["engine_ns"] - earlier["engine_ns"]) / 1e9
            for each in trades
            for earlier, later in pairwise(each)
        ]
        firsts = [
            min(tape.rows[0][t["instrument"], t[f"{side}_order_id"]][0]["engine_ns"]
                for side in ("buy", "sell"))
            for each in trades
            for t in each
        ]  # fmt: skip
        rested = [t["engine_ns"] - ns for t, ns in zip(chain(*trades), firsts, strict=True)]
        return statistics.median(waits), statistics.median(rested) / 1e9

    assert shape("across_minutes")[0] > 30 > shape("none")[0]
    assert shape("broken_size")[0] < 2
    assert shape("passive_first")[1] > 0.9 > shape("none")[1]


def test_what_a_trade_with_oneself_is_besides(tapes):
    for truth in tapes("wash_self", severity=0.5, evasion="none").truths:
        group = {"MM1", "AFF1", "HOUSE1", "STAFF1"}.isdisjoint(truth.accounts)
        assert "wash_common_owner" in truth.also
        assert ("wash_affiliate" in truth.also) is not group
    tape = tapes("wash_common_owner", severity=0.5, evasion="none")
    returned = [truth for truth in tape.truths if "wash_ring" in truth.also]
    assert 0 < len(returned) < len(tape.truths)
    for truth in returned:
        one = truth.accounts[0]
        trades = tape.trades(truth)
        net = sum(Decimal(t["quantity"]) * (1 if t["buy_account"] == one else -1) for t in trades)
        assert abs(net) * len(trades) <= Decimal("0.01") * volume(tape, truth)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pipeline_reads_it_without_a_fault_and_every_case_is_found(tapes, kind, tmp_path):
    tape = tapes(kind, severity=0.5, evasion="none")
    alerts = assert_read_without_fault(tape, tmp_path)
    for truth in tape.truths:
        assert any(
            kind in (alert["scenario"], *alert["facets"])
            and not set(alert["trade_ids"]).isdisjoint(truth.trade_ids)
            for alert in alerts
        ), truth


def test_the_same_seed_gives_the_same_bytes_and_nobody_is_said_to_be_harmed(tapes, tmp_path):
    made = tapes("wash_affiliate", severity=0.5, evasion="both_others")
    again = Labelled(tmp_path / "again", "wash_affiliate", **settings_of(made, harm=True))
    differing = {n for n, d in again.digest().items() if d != made.digest()[n]}
    assert differing <= {"truth.json", "README.md"}
    assert {truth.client_harm for truth in again.truths} == {0.0}
    unmeasured = [
        msgspec.structs.replace(truth, client_harm=None, client_loss=None) for truth in again.truths
    ]
    assert unmeasured == made.truths


def settings_of(tape, **changed):
    names = ("seed", "hours", "instruments", "severity", "evasion")
    return {name: getattr(tape.settings, name) for name in names} | changed
