"""Weak episodes: which are kept, for how long, and what taking them does."""

from __future__ import annotations

from detectors.episodes import Episode
from detectors.untold import MOST, Untold


def weak(at_ns, code=0):
    return Episode(key=(code,), first_seq=at_ns, first_ns=at_ns, first_accounts=(), last_ns=at_ns)


def test_those_recent_enough_of_an_instrument_are_taken_once():
    untold = Untold(100)
    for at_ns in (0, 50, 90):
        untold.keep(weak(at_ns))
    untold.keep(weak(60, code=1))
    assert [each.first_seq for each in untold.recent(0, 120)] == [50, 90]
    taken = untold.take(0, 120)
    assert [(each.first_seq, each.facts) for each in taken] == [(50, 1), (90, 1)]
    assert untold.take(0, 120) == []
    assert [each.first_seq for each in untold.recent(1, 120)] == [60]


def test_the_latest_are_kept():
    untold = Untold(10_000)
    for at_ns in range(MOST + 5):
        untold.keep(weak(at_ns))
    assert [each.first_seq for each in untold.recent(0, 200)] == list(range(5, MOST + 5))
    again = Untold(10_000)
    again.restore(untold.snapshot())
    assert again.recent(0, 200) == untold.recent(0, 200)
