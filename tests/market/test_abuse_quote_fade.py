"""quote_fade: quotes go while the client's order that would hit them is at the gate."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from itertools import pairwise

import pytest

from market.abuse.quote_fade import QuoteFade
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_sound,
    every_way,
    tapes_of,
)

KIND = QuoteFade.scenario
SHORT = {"seed": 112, "hours": 0.3, "instruments": 1, "rate": 4}
SIGN = {"buy": 1, "sell": -1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(
        tmp_path_factory,
        QuoteFade,
        SHORT | {"evasion": "none"},
        every_s=60.0,
        lasts_s=(300.0, 900.0),
    ) as tape:
        yield tape


def fades(tape, truth):
    """Return each client's order with the quotes that went while it was at the gate.

    A quote is its record before, and the one that took it away.
    """
    clients = [r[0] for r in tape.orders(truth) if r[0]["account"] != AFMM]
    quotes = tape.orders(truth, (AFMM,))
    found = []
    for client in clients:
        gone = []
        for records in quotes:
            for before, record in pairwise(records):
                if (
                    client["received_ns"] < (record["received_ns"] or 0)
                    and record["engine_ns"] < client["engine_ns"]
                    and record["side"] != client["side"]
                ):
                    gone.append((before, record))
        found.append((client, gone))
    return found


@pytest.mark.parametrize(("severity", "evasion"), every_way(QuoteFade))
def test_every_client_named_lost_a_quote_at_the_gate(tapes, severity, evasion):
    tape = tapes(severity, evasion)
    assert_sound(tape)
    named = 0
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert truth.accounts == (AFMM,)
        for client, gone in fades(tape, truth):
            named += 1
            assert tape.roles[client["account"]] == "client"
            assert client["engine_ns"] - client["received_ns"] >= 100_000
            assert gone, client
            for before, record in gone:
                assert record["reason" if record["action"] == "cancel" else "action"] == (
                    "replace" if evasion in ("partial", "masked_as_requote") else "user"
                )
                if evasion == "partial":
                    assert record["price"] == before["price"]
                    assert float(record["leaves"]) < 0.4 * float(before["leaves"])
                if evasion == "masked_as_requote":
                    moved = float(record["price"]) - float(before["price"])
                    assert moved * SIGN[record["side"]] < 0
            if client["price"] is not None:
                # It would have dealt with the first of them.
                first = float(gone[0][0]["price"])
                assert (float(client["price"]) - first) * SIGN[client["side"]] >= 0
            if evasion in ("level_only", "partial", "masked_as_requote"):
                assert len(gone) == 1
        if evasion == "one_sided":
            assert len({client["side"] for client, _ in fades(tape, truth)}) <= 1
    assert named


def back_s(tape):
    """Return how long it took until the maker entered a quote on that side again, the median."""
    entered = {"buy": [], "sell": []}
    for [record, *_] in tape.rows[0].values():
        if record["account"] == AFMM and record["action"] == "new":
            entered[record["side"]].append(record["engine_ns"])
    waits = []
    for truth in tape.truths:
        for _, gone in fades(tape, truth):
            for _, record in gone[:1]:
                times = sorted(entered[record["side"]])
                place = bisect_right(times, record["engine_ns"])
                waits += [(ns - record["engine_ns"]) / 1e9 for ns in times[place : place + 1]]
    return statistics.median(waits)


def test_it_quotes_again_soon_and_later_when_it_hides_by_that(tapes):
    assert back_s(tapes(0.5)) < 1.5
    assert back_s(tapes(0.5, "slow_repost")) > 2


def test_severity_moves_how_many_are_faded_how_small_and_for_how_long(tapes):
    rates, holds, least = [], [], []
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity)
        found = [fade for truth in tape.truths for fade in fades(tape, truth)]
        lasted = sum(truth.end_ns - truth.start_ns for truth in tape.truths) / 1e9
        rates.append(len(found) / lasted)
        holds.append(statistics.median(c["engine_ns"] - c["received_ns"] for c, _ in found))
        least.append(min(float(c["quantity"]) for c, _ in found))
    assert rates[0] < rates[2]
    assert holds == sorted(holds)
    assert least[0] > least[2]


def test_clients_pay_for_it_and_nothing_else_depends_on_measuring_that(tapes):
    told, untold = tapes(0.9, harm=True), tapes(0.9)
    assert sum(truth.client_harm for truth in told.truths) > 0
    differing = {n for n, d in told.digest().items() if untold.digest()[n] != d}
    assert differing == {"truth.json", "README.md"}


def test_the_pipeline_reads_it_and_the_same_seed_gives_the_same_bytes(tapes, tmp_path):
    tape = tapes(0.5)
    assert_read_without_fault(tape, tmp_path / "out")
    again = Labelled(tmp_path / "again", KIND, severity=0.5, evasion="none", **SHORT)
    assert again.digest() == tape.digest()
