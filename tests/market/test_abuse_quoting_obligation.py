"""quoting_obligation: whole windows in which the group's maker misses its agreement."""

from __future__ import annotations

from functools import cache

import pytest

from market.abuse import quoting_obligation
from market.abuse.quoting_obligation import QuotingObligation
from market.assembly import START_NS, Settings
from market.reading import table
from market.simulate import simulate
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_same_but_for_harm,
    assert_sound,
)
from tests.support.presence import presence, records

KIND = QuotingObligation.scenario
WINDOW_S = 600
"""In place of the hour, so that tapes can be short; the hour itself is tried once."""
SHORT = {"seed": 113, "hours": 1 / 3, "instruments": 1}
CASES = [
    (0.1, "none"),
    (0.9, "none"),
    *((0.5, way) for way in ("none", *QuotingObligation.evasions)),
]


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    made = {}

    def tape(severity=0.5, evasion="none", **more):
        key = severity, evasion, *more.items()
        if key not in made:
            folder = tmp_path_factory.mktemp("tape")
            made[key] = Labelled(folder, KIND, severity=severity, evasion=evasion, **SHORT | more)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quoting_obligation, "WINDOW_NS", WINDOW_S * 10**9)
        yield tape


@cache
def read(folder, instrument):
    return records(folder, instrument)


def there(folder, instrument, account, count, window_s=WINDOW_S):
    """Return how long an account met its agreement, by window."""
    [terms] = [
        row
        for row in table(folder, "obligations")
        if row["account"] == account and row["instrument"] == instrument
    ]
    found = read(folder, instrument)
    return presence(
        found,
        account,
        terms["min_quantity"],
        terms["max_spread_bps"],
        window_s * 10**9,
        found[-1]["engine_ns"],
        count,
    )


@pytest.mark.parametrize(("severity", "evasion"), CASES)
def test_a_window_of_the_truth_is_missed_and_no_other(tapes, severity, evasion):
    tape = tapes(severity, evasion)
    assert_sound(tape)
    assert {truth.evasion for truth in tape.truths} == {evasion}
    target = 0.78 + (0.1 - 0.78) * severity
    [instrument] = {truth.instrument for truth in tape.truths}
    told = {truth.start_ns // (WINDOW_S * 10**9): truth for truth in tape.truths}
    # Whichever quotes are counted: those at the best price, or all within the spread.
    for count in ("best", "band"):
        found = there(tape.folder, instrument, AFMM, count)
        for begin, window in found.items():
            truth = told.get(begin // (WINDOW_S * 10**9))
            if truth is None:
                assert window.ratio > 0.8
                continue
            assert window.ratio < 0.8
            # How it began weighs more in ten minutes than in an hour.
            assert target * 0.96 - 0.1 < window.ratio < target + (0.02 if severity < 0.9 else 0.1)
            # From the first to the last act, with what the maker's own pace adds to it.
            long = [(b, e) for b, e in window.missed if e - b > 2e9 or evasion == "flicker"]
            assert truth.start_ns <= long[0][1] + 10**9
            assert truth.end_ns >= long[-1][0] - 10**9
            assert begin <= truth.start_ns < truth.end_ns < begin + WINDOW_S * 10**9
            assert truth.accounts == (AFMM,)
            assert not truth.order_ids
            assert truth.client_harm is None


def test_each_way_to_miss_is_what_it_says(tapes):
    def quotes(evasion):
        tape = tapes(0.5, evasion)
        [instrument] = {t.instrument for t in tape.truths}
        return there(tape.folder, instrument, AFMM, "band"), tape

    lengths = {}
    for way in ("none", "flicker"):
        windows, _ = quotes(way)
        missed = [e - b for w in windows.values() for b, e in w.missed]
        lengths[way] = max(missed) / 1e9
    assert lengths["flicker"] < 25 < lengths["none"]
    # Two-sided all the while, and thin or wide: without the term that is missed there is presence.
    for way, terms in (("thin", ("0.001", "20")), ("wide", ("0.1", "60"))):
        _, tape = quotes(way)
        [instrument] = {t.instrument for t in tape.truths}
        found = read(tape.folder, instrument)
        args = (WINDOW_S * 10**9, found[-1]["engine_ns"], "band")
        eased = presence(found, AFMM, *terms, *args)
        assert all(window.ratio > 0.9 for window in eased.values()), way


def test_it_is_connected_all_the_while(tapes):
    """What is missed is missed by its own cancels, or by quotes that are not good enough."""
    tape = tapes(0.9)
    reasons = [
        record["reason"]
        for rows in tape.rows[0].values()
        for record in rows
        if record["account"] == AFMM and record["action"] == "cancel"
        for truth in tape.truths
        if truth.start_ns <= record["engine_ns"] <= truth.end_ns
    ]
    assert reasons.count("user") > 0.5 * len(reasons)


def test_an_hour_is_missed_on_a_tape_of_an_hour(tmp_path, monkeypatch):
    monkeypatch.setattr(quoting_obligation, "WINDOW_NS", 3600 * 10**9)
    tape = Labelled(tmp_path, KIND, seed=113, hours=1, instruments=1, rate=0.5)
    [truth] = tape.truths
    [window] = there(tmp_path, truth.instrument, AFMM, "band", 3600).values()
    assert 0.38 < window.ratio < 0.46
    assert START_NS < truth.start_ns < truth.end_ns < START_NS + 3600 * 10**9


def test_honest_makers_hold_the_agreement_with_room_to_spare(tmp_path):
    simulate(tmp_path, Settings(seed=114, hours=0.5, instruments=1, rate=0.5))
    for account in (AFMM, "XM1"):
        # Lots at the best price alone: whoever counts more finds more.
        [window] = there(tmp_path, "SIMA-USD", account, "best", 1800).values()
        assert window.ratio > 0.87, account


def test_the_pipeline_reads_it_and_nothing_depends_on_measuring_harm(tapes, tmp_path):
    tape = tapes(0.5)
    assert_read_without_fault(tape, tmp_path / "out")
    again = Labelled(
        tmp_path / "again", KIND, severity=0.5, evasion="none", **SHORT | {"harm": True}
    )
    assert_same_but_for_harm(tape, again)
