"""Episodes that tell by themselves, set aside: which, what is left of a day, what is kept."""

from __future__ import annotations

import numpy as np

from detectors.spoofing_aside import MOST, Aside
from detectors.spoofing_cycle import Cycle
from detectors.spoofing_rate import CLASSES, OWN_FILLED, OWN_FILLED_GONE, SIZES, TALLIES

SECOND, HOUR = 10**9, 3_600 * 10**9
WINDOW_NS = 24 * HOUR


def cycle(at_s, *, code=0, whole=True, measure=0, size=2, counted=9):
    """Return a cycle that stood ten seconds, in a day with `counted` in each class and tally."""
    fall_ns = int(at_s * SECOND)
    return Cycle(
        instrument=code, side=1, on_ns=fall_ns - 10 * SECOND, from_ns=0, rise_ns=0,
        fall_ns=fall_ns, due_ns=fall_ns + SECOND, known_ns=fall_ns + SECOND, ratio=0,
        size_ratio=3.0, size=size, stood=4, measure=measure, whole=whole, withdrawn=1,
        hit_ns=fall_ns, hits=1, harm=None, distance_ticks=0, incomplete=False, accounts=(),
        seqs=(1,), watched=0, sampled_ns=HOUR, peers=2,
        tallies=np.full((2, SIZES, CLASSES, TALLIES), counted, np.int64),
    )  # fmt: skip


def held(*cycles, tells=()):
    """Return what holds cycles of episodes named by their place, some of which tell."""
    aside = Aside(WINDOW_NS)
    for episode, each in enumerate(cycles):
        aside.add(each, episode)
    for episode in tells:
        aside.mark(0, episode, tells=True)
    return aside


def test_the_cycles_of_other_episodes_that_tell_are_taken_off():
    now = cycle(300)
    aside = held(cycle(100), cycle(200, measure=1, size=1), now, tells=(0, 1, 2))
    taken = now.tallies - aside.left(now, but=2)
    assert taken.sum() == 4
    assert taken[0, 2, :, [OWN_FILLED, OWN_FILLED_GONE]].sum() == 2
    assert taken[1, 1, :, [OWN_FILLED, OWN_FILLED_GONE]].sum() == 2
    assert aside.episodes(0, but=2) == {0, 1}
    assert aside.episodes(0) == {0, 1, 2}
    assert (now.tallies == 9).all()


def test_what_does_not_tell_any_more_stays_in_the_day():
    now = cycle(300)
    aside = held(cycle(100), now, tells=(0,))
    aside.mark(0, 0, tells=False)
    assert (aside.left(now, but=1) == now.tallies).all()


def test_an_account_by_itself_and_another_instrument_take_nothing_off():
    now = cycle(300)
    aside = held(cycle(100, whole=False), cycle(200, code=1), now, tells=(0, 1))
    aside.mark(1, 1, tells=True)
    assert (aside.left(now, but=2) == now.tallies).all()


def test_what_the_tallies_have_forgotten_is_not_taken_off_but_still_set_aside():
    """They forget a block of four hours at once, a large cycle counts for a day."""
    first = 4 * 3_600 - 10
    for hours, taken, set_aside in ((19, 2, {0}), (21, 0, {0}), (23, 0, {0}), (29, 0, set())):
        for whole in (True, False):
            later = cycle(first + hours * 3_600, whole=whole)
            aside = held(cycle(first), later, tells=(0,))
            assert (later.tallies - aside.left(later, but=1)).sum() == taken
            assert aside.episodes(0, but=1) == set_aside


def test_an_account_by_itself_is_set_aside_too():
    aside = held(cycle(100, whole=False), cycle(200), tells=(0,))
    assert aside.episodes(0, but=1) == {0}


def test_what_is_kept_is_bounded_and_comes_back():
    aside = held(*[cycle(n + 1) for n in range(MOST + 5)], tells=(MOST,))
    kept = aside.snapshot()["aside"]
    assert len(kept) == MOST
    again = Aside(WINDOW_NS)
    again.restore({"aside": kept})
    now = cycle(MOST + 6)
    assert np.array_equal(again.left(now), aside.left(now))
    assert again.episodes(0) == {MOST}
