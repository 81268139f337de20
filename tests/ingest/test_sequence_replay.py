"""What a journal says is followed, and what only looks late is waited for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.released import Gap
from ingest.sequence import Sequencer
from tests.ingest.test_sequence import DAY, ORDERS, SECOND, SPOT, T0, TRADES, batch, row


def released(out):
    return out.batch["seq"].tolist()


def test_a_silence_longer_than_a_clock_may_jump_makes_no_gap_of_what_is_only_behind():
    """After more than a day, trades come before the orders that they belong to."""
    sequencer, later = Sequencer(SPOT), DAY // SECOND + 3_600
    before = [row(1), row(2, 1, TRADES)]
    trades = [row(4, later, TRADES), row(5, later + 1, TRADES)]
    orders = [row(3, later), row(6, later + 2)]
    steps = [sequencer.push(batch(rows)) for rows in (before, trades, orders)]
    assert [list(step.gaps) for step in steps] == [[], [], []]
    assert released(steps[2]) == [3, 4, 5, 6]


def test_a_wrong_clock_that_the_next_row_takes_back_does_not_hold_a_gap_open():
    sequencer = Sequencer(SPOT)
    sequencer.push(batch([row(1), row(2, 1, TRADES)]))
    sequencer.push(batch([row(4, 900 * 86_400, TRADES)]))
    out = sequencer.push(batch([row(5, 2, TRADES), row(6, 40), row(7, 40, TRADES)]))
    assert [(gap.first_missing_seq, gap.last_missing_seq) for gap in out.gaps] == [(3, 3)]


def gap(first, last):
    return Gap(
        instrument=0,
        first_missing_seq=first,
        last_missing_seq=last,
        decided_ns=T0,
        next_ns=T0,
        reason="timeout",
    )


def test_a_journal_is_followed_whatever_comes_first_and_nothing_else_is_declared():
    sequencer = Sequencer(SPOT, gap_timeout_ns=SECOND)
    sequencer.follow([gap(2, 3)])
    out = sequencer.push(batch([row(4, 4), row(8, 900, TRADES), row(9, 901)]))
    assert (released(out), list(out.gaps)) == ([], [])
    out = sequencer.push(batch([row(3, 3, TRADES), row(1, 1)]))
    assert (released(out), out.late, list(out.gaps)) == ([1, 4], 1, [gap(2, 3)])
    sequencer.decide()
    out = sequencer.push(batch([row(11, 990, TRADES), row(12, 991)]))
    assert [(g.first_missing_seq, g.last_missing_seq) for g in out.gaps] == [(5, 7)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_with_a_journal_any_order_of_arrival_releases_what_the_first_life_released(data):
    """Rows of one topic stay in order; how topics interleave and where polls cut is free."""
    draw = data.draw
    count = draw(st.integers(5, 40))
    lost = draw(st.sets(st.integers(1, count), max_size=6))
    late = draw(st.sets(st.integers(1, count), max_size=3)) - lost
    topic = [draw(st.sampled_from([ORDERS, TRADES])) for _ in range(count + 1)]
    rows = [
        row(seq, seq * 20, topic[seq], offset=seq)
        for seq in range(1, count + 1)
        if seq not in lost | late
    ]
    rows += [row(count + n, 20 * (count + n), n % 2) for n in (1, 2, 3, 4)]
    rows += [row(seq, seq * 20, topic[seq], offset=seq) for seq in sorted(late)]
    first = Sequencer(SPOT)
    out = [first.push(batch([each])) for each in rows]
    expected = [seq for step in out for seq in released(step)]
    gaps = [each for step in out for each in step.gaps]

    again = Sequencer(SPOT)
    again.follow(gaps)
    lanes = [[r for r in rows if r.topic == t] for t in (ORDERS, TRADES)]
    seen, found = [], []
    while any(lanes):
        lane = draw(st.sampled_from([lane for lane in lanes if lane]))
        taken = [lane.pop(0) for _ in range(draw(st.integers(1, len(lane))))]
        step = again.push(batch(taken))
        seen += released(step)
        found += step.gaps
    assert seen == expected
    assert sorted(found, key=lambda g: g.first_missing_seq) == sorted(
        gaps, key=lambda g: g.first_missing_seq
    )
