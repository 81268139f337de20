"""unequal_access: the rules of access are bent for the group, one way a spell."""

from __future__ import annotations

import statistics
from collections import defaultdict
from itertools import pairwise

import pytest

from market.abuse.unequal_access import UnequalAccess
from market.population import FEES_BPS, PROTECTION, PROTECTION_NS
from market.reading import records, table
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_same_but_for_harm,
    assert_sound,
)

KIND = UnequalAccess.scenario
SHORT = {"seed": 115, "hours": 0.2, "instruments": 1, "rate": 4}
OFTEN = {"hours": 0.5, "rate": 6, "seed": 116}
"""More that a maker is hit by."""
GROUP = ("MM1", "AFF1", "HOUSE1", "STAFF1")


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    made = {}

    def tape(severity=0.5, evasion="latency", **more):
        key = severity, evasion, *more.items()
        if key not in made:
            folder = tmp_path_factory.mktemp("tape")
            made[key] = Labelled(folder, KIND, severity=severity, evasion=evasion, **SHORT | more)
            assert_sound(made[key])
            for truth in made[key].truths:
                assert truth.evasion == evasion
                assert truth.accounts == (AFMM,)
                assert not truth.order_ids
                assert truth.client_harm is None
                assert ("client_priority" in truth.also) == (evasion == "latency")
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnequalAccess, "every_s", 30.0)
        patch.setattr(UnequalAccess, "lasts_s", (300.0, 900.0))
        yield tape


def split(tape):
    """Return the records within the spells of a tape, and the others."""
    parts = [], []
    for record in records(tape.folder):
        told = any(t.start_ns <= record["engine_ns"] <= t.end_ns for t in tape.truths)
        parts[not told].append(record)
    return parts


def wait_us(rows, *, of_group):
    waits = [
        (r["engine_ns"] - r["received_ns"]) / 1e3
        for r in rows
        if r.get("received_ns") and (r["account"] in GROUP) == of_group
    ]
    return statistics.median(waits)


def test_latency_makes_all_others_wait(tapes):
    extra = []
    for severity in (0.1, 0.5, 0.9):
        inside, outside = split(tapes(severity))
        extra.append(wait_us(inside, of_group=False) - wait_us(outside, of_group=False))
        assert abs(wait_us(inside, of_group=True) - wait_us(outside, of_group=True)) < 10
    assert 15 < extra[0] < extra[1] < extra[2]
    # 20 us * 250 ** severity
    assert all(
        0.6 < got / (20 * 250**s) < 1.5 for got, s in zip(extra, (0.1, 0.5, 0.9), strict=True)
    )


def refused(rows, *, of_group):
    """Return the share of ordinary limit orders that were refused, which no rule does."""
    entered = [
        r["action"]
        for r in rows
        if r["action"] in ("new", "reject")
        and (r["type"], r["tif"]) == ("limit", "GTC")
        and (r["account"] in GROUP) == of_group
    ]
    return entered.count("reject") / len(entered)


def entered_in(tape, *, inside):
    """Return the orders entered in continuous trading, in the spells or outside them."""
    found, phase = [], "continuous"
    known = set()
    for record in records(tape.folder):
        phase = record.get("phase", phase)
        if record.get("action") in ("new", "reject") and record["order_id"] not in known:
            known.add(record["order_id"])
            told = any(t.start_ns <= record["engine_ns"] <= t.end_ns for t in tape.truths)
            found += [record] * (told == inside and phase == "continuous")
    return found


def test_orders_of_all_others_are_refused(tapes):
    shares = []
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity, "reject")
        inside = entered_in(tape, inside=True)
        shares.append(refused(inside, of_group=False))
        assert refused(inside, of_group=True) == 0
        assert refused(entered_in(tape, inside=False), of_group=False) == 0
    assert 0 < shares[0] < shares[1] < shares[2]


def fees(tape, rows):
    """Return, by account, what each fee was beside that of its tier."""
    tiers = {}
    for orders in tape.rows[0].values():
        tiers[orders[0]["account"]] = orders[0].get("fee_tier")
    found = defaultdict(list)
    for r in rows:
        if "trade_id" in r:
            for side in ("buy", "sell"):
                account = r[f"{side}_account"]
                rate = FEES_BPS[tiers[account]][r["aggressor"] == side]
                due = float(r["price"]) * float(r["quantity"]) * rate * 1e-4
                found[account].append(float(r[f"{side}_fee"]) / due)
    return found


def test_the_group_pays_less_than_its_tier(tapes):
    paid = []
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity, "fee")
        inside, outside = (fees(tape, rows) for rows in split(tape))
        for account, ratios in (*inside.items(), *outside.items()):
            if account != AFMM:
                assert ratios == pytest.approx([1.0] * len(ratios), rel=1e-4)
        assert outside[AFMM] == pytest.approx([1.0] * len(outside[AFMM]), rel=1e-4)
        paid.append(statistics.mean(inside[AFMM]))
    assert 0.99 > paid[0] > paid[1] > paid[2] > 0


def trips(tape):
    """Return, for each time the maker's protection acted: when, and the lots hit before."""
    hits, found, last = [], [], 0
    for r in records(tape.folder):
        now_ns = r["engine_ns"]
        if "trade_id" in r and r["aggressor"]:
            resting = "sell" if r["aggressor"] == "buy" else "buy"
            if r[f"{resting}_account"] == AFMM:
                hits.append((now_ns, round(float(r["quantity"]) * 1000)))
        elif r.get("reason") == "mmp" and r["account"] == AFMM and now_ns != last:
            last = now_ns
            found.append(
                (now_ns, sum(q for ns, q in hits if now_ns - PROTECTION_NS < ns <= now_ns))
            )
            hits.clear()
    return found


def test_protection_acts_before_what_was_disclosed(tapes):
    [row] = [r for r in table(tapes(0.5).folder, "disclosures") if r["kind"] == "protection"]
    assert int(row["value"]) == PROTECTION[AFMM]
    least = []
    for severity in (0.1, 0.9):
        tape = tapes(severity, "protection", **OFTEN)
        early = [(ns, lots) for ns, lots in trips(tape) if lots < PROTECTION[AFMM]]
        assert early
        for truth in tape.truths:
            assert any(truth.start_ns <= ns <= truth.end_ns for ns, _ in early)
        for ns, _ in early:
            assert any(truth.start_ns <= ns <= truth.end_ns for truth in tape.truths)
        least.append(min(lots for _, lots in early))
    assert least[0] > least[1]
    assert all(lots >= PROTECTION[AFMM] for _, lots in trips(tapes(0.9)))


def spared(tape):
    """Return, for each self-trade of the group's maker that was prevented: when, and who left."""
    found = []
    for rows in tape.rows[0].values():
        for before, record in pairwise(rows):
            if record.get("reason") == "stp" and record["account"] in GROUP:
                incoming = before["action"] in ("new", "replace", "trigger") and (
                    before["engine_ns"] == record["engine_ns"]
                )
                found.append((record["engine_ns"], incoming))
    return found


def test_its_quotes_stand_where_others_are_taken_away(tapes):
    for severity in (0.1, 0.9):
        tape = tapes(severity, "stp", instruments=2)
        kept = [ns for ns, incoming in spared(tape) if incoming]
        assert kept
        for truth in tape.truths:
            assert any(truth.start_ns <= ns <= truth.end_ns for ns in kept)
        for ns in kept:
            assert any(truth.start_ns <= ns <= truth.end_ns for truth in tape.truths)
    assert not any(incoming for _, incoming in spared(tapes(0.9)))


@pytest.mark.parametrize("way", UnequalAccess.evasions)
def test_the_pipeline_reads_it(tapes, tmp_path, way):
    more = {"stp": {"instruments": 2}, "protection": OFTEN}.get(way, {})
    alerts = assert_read_without_fault(tapes(0.9, way, **more), tmp_path)
    claimed = [alert for alert in alerts if alert["severity"] != "low"]
    told = {"client_priority", "matching_configuration", "unequal_access"}
    assert {a["scenario"] for a in claimed} <= told


def test_the_same_seed_gives_the_same_bytes_whether_harm_is_measured_or_not(tapes, tmp_path):
    tape = tapes(0.5, "reject")
    settings = SHORT | {"harm": True}
    again = Labelled(tmp_path, KIND, severity=0.5, evasion="reject", **settings)
    assert_same_but_for_harm(tape, again)
