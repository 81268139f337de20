"""spoofing: layers that are withdrawn once a small order on the other side was filled."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from market.abuse.spoofing import LAST_S, Spoofing
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

KIND = Spoofing.scenario
USUAL_S = Spoofing.every_s
SHORT = {"seed": 119, "hours": 0.35, "instruments": 1}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    with tapes_of(tmp_path_factory, Spoofing, SHORT, every_s=20.0) as tape:
        yield tape


def parts(tape, truth):
    """Return the cycles: each small order's records, and those of the layers it stood against."""
    own = [r for r in tape.orders(truth, truth.accounts) if r[0]["action"] == "new"]
    [side] = {r[0]["side"] for r in own[:1]}  # Layers come first.
    small = [records for records in own if records[0]["side"] != side]
    layers = [records for records in own if records[0]["side"] == side]
    starts = sorted({records[0]["received_ns"] for records in layers})
    begins = [starts[0]] + [b for a, b in pairwise(starts) if b - a > 5 * 10**8]
    ends = [*begins[1:], truth.end_ns + 60 * 10**9]
    return [
        (
            [r for r in small if begin <= r[0]["received_ns"] < end],
            [r for r in layers if begin <= r[0]["received_ns"] < end],
        )
        for begin, end in zip(begins, ends, strict=True)
    ]


def completed(tape, truth):
    """Return of each cycle with a fill: the fill's time, the layers that stood, when they went."""
    found = []
    for small, layers in parts(tape, truth):
        fills = [t for records in small for t in legs.fills(tape, records[0])]
        if not fills:
            continue
        first = min(trade["engine_ns"] for trade in fills)
        gone = [r[-1]["engine_ns"] for r in layers if r[-1]["action"] == "cancel"]
        after = [ns for ns in gone if ns > first]
        if after:
            found.append((first, layers, after))
    return found


@pytest.mark.parametrize(("severity", "evasion"), every_way(Spoofing))
def test_layers_go_after_the_small_order_was_filled_again_and_again(tapes, severity, evasion):
    tape = tapes(severity=severity, evasion=evasion)
    assert_sound(tape)
    assert len(tape.truths) >= 3
    for truth in tape.truths:
        assert truth.evasion == evasion
        assert truth.accounts == (("AFF1", AFMM) if evasion == "sister" else (AFMM,))
        cycles = completed(tape, truth)
        assert len(cycles) >= 2
        for first, layers, after in cycles:
            assert len(layers) >= 3
            assert max(after) - first < 45 * 10**9
        every = [records for _, layers in parts(tape, truth) for records in layers]
        posted = sum(float(records[0]["quantity"]) for records in every)
        traded = sum(float(legs.filled(legs.fills(tape, records[0]))) for records in every)
        assert traded < 0.3 * posted
        small = [records[0] for orders, _ in parts(tape, truth) for records in orders]
        assert all(float(record["quantity"]) <= 0.4 for record in small)
        # Every cycle that it makes ends with no layer left.
        assert all(records[-1]["action"] in ("cancel", "new", "replace") for records in every)
        live = [r for r in every if legs.open_at(tape, r, 10**12) > 0]
        assert not live


def test_how_it_is_hidden(tapes):
    def layers_of(evasion):
        tape = tapes(severity=0.5, evasion=evasion)
        return [r for t in tape.truths for _, layers in parts(tape, t) for r in layers]

    assert {records[0]["account"] for records in layers_of("sister")} == {"AFF1"}
    plain = statistics.mean(float(r[0]["quantity"]) for r in layers_of("none"))
    assert statistics.mean(float(r[0]["quantity"]) for r in layers_of("small_layers")) < plain / 2
    partial = [r for r in layers_of("partial") if any(x["action"] == "replace" for x in r)]
    assert len(partial) > 5
    tape = tapes(severity=0.5, evasion="staggered")
    spans = [max(a) - min(a) for t in tape.truths for _, _, a in completed(tape, t) if len(a) > 2]
    assert statistics.median(spans) > 10**8

    def away(evasion):
        tape, found = tapes(severity=0.5, evasion=evasion), []
        for truth in tape.truths:
            for small, layers in parts(tape, truth):
                if small:
                    inside = float(small[0][0]["price"])
                    found += [abs(float(r[0]["price"]) / inside - 1) * 1e4 for r in layers]
        return statistics.median(found)

    assert away("far") > 2 * away("none")


def test_layers_sizes_cycles_and_haste_grow_with_severity(tapes):
    def typical(severity):
        tape = tapes(severity=severity, evasion="none")
        cycles = [cycle for truth in tape.truths for cycle in completed(tape, truth)]
        sizes = [float(r[0]["quantity"]) for _, layers, _ in cycles for r in layers]
        return (
            statistics.mean(len(layers) for _, layers, _ in cycles),
            statistics.mean(sizes),
            len(cycles) / len(tape.truths),
            1 / statistics.median(min(after) - first for first, _, after in cycles),
        )

    faint, blatant = typical(0.1), typical(0.9)
    assert all(much > 1.5 * little for little, much in zip(faint, blatant, strict=True))


def test_clients_pay_for_it_and_the_tape_is_the_same_whether_that_is_measured(tapes, tmp_path):
    tape = Labelled(tmp_path / "t", KIND, severity=0.9, evasion="none", harm=True, **SHORT)
    harms = [truth.client_harm for truth in tape.truths]
    assert min(harms) >= 0
    assert statistics.mean(harms) > 0
    other = tapes(severity=0.9, evasion="none")
    assert_same_but_for_harm(other, tape)


def test_whatever_else_is_on_the_tape_is_lawful(tapes):
    assert check_clean(tapes(severity=0.5, evasion="sister").folder).clean


def test_the_pipeline_reads_the_tape_without_a_fault(tapes, tmp_path):
    assert_read_without_fault(tapes(severity=0.9, evasion="none"), tmp_path)


def test_several_cases_an_hour_come_about_as_it_is(tapes, tmp_path, monkeypatch):
    monkeypatch.setattr(Spoofing, "every_s", USUAL_S)
    tape = Labelled(tmp_path, KIND, seed=111, hours=0.6, instruments=1, severity=0.5)
    assert len(tape.truths) >= 2
    assert all(t.end_ns - t.start_ns < (20 + 5 * 30 + LAST_S) * 10**9 for t in tape.truths)
