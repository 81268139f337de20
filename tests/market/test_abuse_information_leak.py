"""information_leak: the group trades ahead of large client orders that are planned yet."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from market.abuse.information_leak import InformationLeak
from market.parents import PLANNED_S
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_sound,
    every_way,
)

KIND = InformationLeak.scenario
SHORT = {"seed": 111, "hours": 0.3, "instruments": 1, "rate": 4}
LONGEST_NS = int((PLANNED_S[1] + 1) * 1e9)


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    made = {}

    def tape(severity=0.5, evasion="none", **more):
        key = severity, evasion, *more.items()
        if key not in made:
            folder = tmp_path_factory.mktemp("tape")
            settings = SHORT | {"instruments": 1 + (evasion == "perpetual")} | more
            made[key] = Labelled(folder, KIND, severity=severity, evasion=evasion, **settings)
        return made[key]

    return tape


def parents(tape, instrument):
    """Return the first child of each large client order of an instrument."""
    firsts = {}
    for (where, _), [record, *_] in tape.rows[0].items():
        name = record.get("parent_order_id")
        if where == instrument and name and record["received_ns"]:
            known = firsts.get(name, record)
            firsts[name] = min(known, record, key=lambda r: r["received_ns"])
    return firsts


def acts(tape, truth):
    """Return the orders that took the side of a planned one, by its name, and those to get out."""
    firsts = parents(tape, truth.instrument)
    children = [r[0] for r in tape.orders(truth) if r[0].get("parent_order_id")]
    own = [r[0] for r in tape.orders(truth, truth.accounts) if r[0] not in children]
    wronged = {child["parent_order_id"] for child in children}
    ahead, after = {}, []
    for record in own:
        of = [
            name
            for name in wronged
            if firsts[name]["side"] == record["side"]
            and 0 < firsts[name]["received_ns"] - record["engine_ns"] < LONGEST_NS
        ]
        if of:
            ahead.setdefault(min(of), []).append(record)
        else:
            after.append(record)
    return ahead, after, wronged


def quantity(records):
    return sum(float(r["quantity"]) for r in records)


@pytest.mark.parametrize(("severity", "evasion"), every_way(InformationLeak))
def test_every_case_has_its_legs(tapes, severity, evasion):
    tape = tapes(severity, evasion)
    assert_sound(tape)
    for truth in tape.truths:
        assert truth.evasion == evasion
        ahead, after, wronged = acts(tape, truth)
        assert ahead
        assert wronged
        assert {tape.roles[parents(tape, truth.instrument)[n]["account"]] for n in wronged} == {
            "client"
        }
        in_first = [record for records in ahead.values() for record in records]
        for record in after:
            # What does not take a side beforehand gives back what one before it took.
            before = [r for r in in_first if r["engine_ns"] < record["engine_ns"]]
            assert any(r["side"] != record["side"] for r in before), record
        assert quantity(after) <= quantity(in_first) + 1e-9
        assert bool(after) != (evasion == "no_unwind") or evasion == "passive"
        tifs = {record["tif"] for record in (*in_first, *after)}
        assert tifs == ({"GTC"} if evasion == "passive" else {"IOC"})


def test_who_does_it_and_where(tapes):
    for evasion in ("none", "sister", "nominee", "perpetual"):
        tape = tapes(0.5, evasion)
        for truth in tape.truths:
            [account] = truth.accounts
            assert (account == AFMM) == (evasion in ("none", "perpetual"))
            assert (tape.roles[account] == "affiliated") == (evasion == "sister")
            assert (tape.roles[account] == "client") == (evasion == "nominee")
            assert len(truth.instruments) == (evasion == "perpetual")
            ahead, after, _ = acts(tape, truth)
            places = {r["instrument"] for r in (*after, *(o for os in ahead.values() for o in os))}
            assert places == {(truth.instruments or (truth.instrument,))[0]}


def test_a_delayed_unwind_is_later(tapes):
    def wait_s(tape):
        waits = []
        for truth in tape.truths:
            ahead, after, _ = acts(tape, truth)
            entries = sorted(r["engine_ns"] for records in ahead.values() for r in records)
            exits = sorted(r["engine_ns"] for r in after)
            waits += [(out - into) / 1e9 for into, out in zip(entries, exits, strict=False)]
        return statistics.mean(waits)

    assert wait_s(tapes(0.5, "delayed_unwind")) > wait_s(tapes(0.5, "none")) + 60


def test_the_rate_is_what_severity_says_and_so_is_the_size(tapes):
    shares, sizes = [], []
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity)
        found = total = 0
        for truth in tape.truths:
            ahead, _, wronged = acts(tape, truth)
            found += len(wronged)
            firsts = parents(tape, truth.instrument).values()
            total += sum(f["received_ns"] > truth.start_ns for f in firsts)
            sizes.append((severity, quantity([r for o in ahead.values() for r in o]) / len(ahead)))
        shares.append(found / total)
        # r is 0.05 + 0.3 severity; three standard deviations of a share of so many.
        rate = 0.05 + 0.3 * severity
        assert abs(shares[-1] - rate) < 3 * (rate * (1 - rate) / total) ** 0.5 + 0.03
    assert shares == sorted(shares)
    by_severity = [statistics.mean(q for s, q in sizes if s == level) for level in (0.1, 0.5, 0.9)]
    assert all(low < high for low, high in pairwise(by_severity))


def test_clients_pay_for_it_and_nothing_else_depends_on_measuring_that(tapes):
    told, untold = tapes(0.9, harm=True), tapes(0.9)
    assert sum(truth.client_harm for truth in told.truths) > 0
    assert {truth.client_harm for truth in untold.truths} == {None}
    differing = {n for n, d in told.digest().items() if untold.digest()[n] != d}
    assert differing == {"truth.json", "README.md"}


def test_the_pipeline_reads_it_and_the_same_seed_gives_the_same_bytes(tapes, tmp_path):
    tape = tapes(0.5)
    assert_read_without_fault(tape, tmp_path / "out")
    again = Labelled(tmp_path / "again", KIND, severity=0.5, evasion="none", **SHORT)
    assert again.digest() == tape.digest()
