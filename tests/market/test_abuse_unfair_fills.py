"""unfair_fills: what clients deal against the group's maker moves against them as with no other."""

from __future__ import annotations

import numpy as np
import pytest

from market.abuse.unfair_fills import MOVED_BPS, UnfairFills
from tests.support.labelled import (
    AFMM,
    Labelled,
    assert_read_without_fault,
    assert_same_but_for_harm,
    assert_sound,
)
from tests.support.markouts import fills

KIND = UnfairFills.scenario
SHORT = {"seed": 118, "hours": 0.5, "instruments": 1, "rate": 4}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    made = {}

    def tape(severity=0.5, evasion="none", **more):
        key = severity, evasion, *more.items()
        if key not in made:
            folder = tmp_path_factory.mktemp("tape")
            given = SHORT | more
            made[key] = Labelled(folder, KIND, severity=severity, evasion=evasion, **given)
            assert_sound(made[key])
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnfairFills, "every_s", 30.0)
        yield tape


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The same market without it."""
    folder = tmp_path_factory.mktemp("clean")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnfairFills, "every_s", 1e9)
        Labelled(folder, KIND, **SHORT)
    return folder


def within(tape, found):
    told = np.zeros(found.engine_ns.size, bool)
    for truth in tape.truths:
        told |= (found.engine_ns >= truth.start_ns) & (found.engine_ns <= truth.end_ns)
    return told


def means(folder, tape, keep=None, after_s=1.0):
    """Return (mean, its variance, count) of costs in the spells: the group's, all others'.

    After a second what it foresaw has come, and little else has.
    """
    found = fills(folder, "SIMA-USD", after_s=after_s)
    told = within(tape, found)
    if keep is not None:
        told &= keep(found)
    ours = found.maker == AFMM
    return found.mean(ours & told), found.mean(~ours & told)


def t_value(one, other):
    return (one[0] - other[0]) / np.sqrt(one[1] + other[1])


def test_clients_do_worse_against_it_than_without_it_and_than_against_others(tapes, clean):
    worse = []
    for severity in (0.1, 0.5, 0.9):
        tape = tapes(severity)
        for truth in tape.truths:
            assert truth.accounts == (AFMM,)
            assert not truth.order_ids
            assert truth.client_harm is None
        ours, others = means(tape.folder, tape)
        honest, _ = means(clean, tape)
        worse.append(ours[0] - honest[0])
        if severity >= 0.5:
            assert t_value(ours, honest) > 2
            assert t_value(ours, others) > 2
            later, others_later = means(tape.folder, tape, after_s=5.0)
            assert t_value(later, others_later) > 2
    assert worse[0] < worse[2]
    assert worse[1] > 0.2


@pytest.mark.parametrize("way", UnfairFills.evasions)
def test_each_evasion_hides_it_and_leaves_it(tapes, clean, way):
    tape = tapes(0.9, way)
    assert {truth.evasion for truth in tape.truths} == {way}
    keep = (lambda found: found.moved_bps > MOVED_BPS) if way == "volatile_only" else None
    ours, _ = means(tape.folder, tape, keep)
    honest, _ = means(clean, tape, keep)
    # Hidden, and there.
    assert ours[0] - honest[0] > 0.05
    if way == "short_spells":
        lasted = [(truth.end_ns - truth.start_ns) / 1e9 for truth in tape.truths]
        assert max(lasted) <= 901


def test_one_side_is_one_side(tapes, clean):
    tape = tapes(0.9, "one_side")
    worse = []
    for side in (1, -1):
        ours, _ = means(tape.folder, tape, lambda found, side=side: found.side == side)
        honest, _ = means(clean, tape, lambda found, side=side: found.side == side)
        worse.append(ours[0] - honest[0])
    assert max(worse) > 2 * min(worse)


def test_small_orders_are_small(tapes):
    sizes = []
    for tape in (tapes(0.9), tapes(0.9, "small_orders")):
        at_once = [
            float(rows[0]["quantity"])
            for rows in tape.rows[0].values()
            if rows[0]["account"] == AFMM and rows[0]["tif"] == "POST_ONLY"
        ]
        sizes.append(np.quantile(at_once, 0.1))
    assert sizes[1] < 0.7 * sizes[0]


def test_the_pipeline_reads_it_and_nothing_depends_on_measuring_harm(tapes, tmp_path):
    tape = tapes(0.5)
    assert_read_without_fault(tape, tmp_path / "out")
    again = Labelled(
        tmp_path / "again", KIND, severity=0.5, evasion="none", **SHORT | {"harm": True}
    )
    assert_same_but_for_harm(tape, again)
