"""Axes, and the sequencer's state split and joined by instrument."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.axes import ByCode, Count, Entries, InstrumentNames, Least, Rows, Runs
from ingest.errors import SnapshotError
from ingest.events import NULL
from ingest.instruments import Instrument, Instruments
from ingest.sections import Onto, Slice, join, merge, recoded, select, undeclared
from ingest.sequence import Sequencer
from ingest.sequence_layout import remember, remembered
from ingest.sequence_state import new_lanes
from ingest.state import pack, pack_exact, unpack, unpack_exact
from tests.ingest.test_sequence import (
    DAY,
    ORDERS,
    SECOND,
    SPOT,
    T0,
    TRADES,
    Driver,
    batch,
    feeds,
    row,
)


def table(*names):
    return Instruments(
        Instrument(
            instrument=name, base="B", quote="Q", kind="unique" if name == "I2" else "spot",
            tick_size=Decimal(1), lot_size=Decimal(1),
        )
        for name in names
    )  # fmt: skip


ABC = table("A", "B", "C")


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


# --- axes -----------------------------------------------------------------------------------------


def test_every_kind_of_axis_follows_its_instruments_to_another_table():
    layout = {
        "volume": ByCode((0, NULL)),
        "rows": Rows("rows", column=1),
        "value": Rows("rows", column=1),
        "keys": Rows("keys", high=True),
        "length": ByCode(),
        "run": Runs("length"),
        "texts": Rows("texts_of"),
        "texts_of": Rows("texts_of"),
        "text": Runs("texts"),
        "open": Entries(kind=tuple[int, str], place=lambda e: e[0], moved=lambda e, c: (c, e[1])),
        "named": Entries(kind=tuple[str, int], place=lambda e: e[0], exact=False),
        "lost": Count(),
        "time": Least(0),
        "names": InstrumentNames(),
    }
    snapshot = {
        "volume": np.array([[1, 10], [2, 20], [3, 30]]),
        "rows": np.array([[7, 0], [8, 2], [9, 2]]),
        "value": np.array([70, 80, 90]),
        "keys": np.array([1 << 32 | 5, 2 << 32 | 5, 3 << 32 | 6]),
        "length": np.array([1, 0, 2]),
        "run": np.array([100, 300, 301]),
        "texts": np.array([2, 1, 3]),
        "texts_of": np.array([0, 1, 2]),
        "text": np.array([1, 1, 2, 3, 3, 3]),
        "open": pack_exact([(0, "a"), (1, "b"), (2, "c")]),
        "named": pack([("A", 1), ("B", 2), ("C", 3)]),
        "lost": np.array([4]),
        "time": np.array([50]),
        "names": pack(["A", "B", "C"]),
    }
    onto = table("AA", "C", "A-0", "A")  # by name: A, A-0, AA, C
    codes = np.where(np.array([True, False, True]), recoded(["A", "B", "C"], onto), -1)
    moved = select(snapshot, layout, codes, Onto(instruments=onto))
    assert moved["volume"].tolist() == [[1, 10], [0, NULL], [0, NULL], [3, 30]]
    assert moved["rows"].tolist() == [[7, 0], [8, 3], [9, 3]]
    assert moved["value"].tolist() == [70, 80, 90]
    assert moved["keys"].tolist() == [1 << 32 | 5, 4 << 32 | 6]
    assert moved["length"].tolist() == [1, 0, 0, 2]
    assert moved["run"].tolist() == [100, 300, 301]
    assert moved["texts"].tolist() == [2, 3]
    assert moved["text"].tolist() == [1, 1, 3, 3, 3]
    assert unpack_exact(moved["open"], list[tuple[int, str]]) == [(0, "a"), (3, "c")]
    assert unpack(moved["named"], list[tuple[str, int]]) == [("A", 1), ("C", 3)]
    assert (moved["lost"].tolist(), moved["time"].tolist()) == ([4], [50])
    assert unpack(moved["names"], list[str]) == ["A", "A-0", "AA", "C"]


def test_rows_of_several_snapshots_stand_by_instrument_and_counters_add_up():
    layout = {"of": Rows("of"), "value": Rows("of"), "number": Rows("of", renumber=True),
              "lost": Count(), "time": Least(0)}  # fmt: skip
    one = {"of": np.array([0, 2]), "value": np.array([1, 2]), "number": np.array([0, 3]),
           "lost": np.array([1]), "time": np.array([9])}  # fmt: skip
    two = {"of": np.array([1, 1]), "value": np.array([3, 4]), "number": np.array([1, 2]),
           "lost": np.array([10]), "time": np.array([8])}  # fmt: skip
    joined = merge([one, two], layout, np.array([0, 1, 0]), Onto(instruments=ABC))
    assert joined["of"].tolist() == [0, 1, 1, 2]
    assert joined["value"].tolist() == [1, 3, 4, 2]
    assert joined["number"].tolist() == [0, 1, 2, 3]
    assert (joined["lost"].tolist(), joined["time"].tolist()) == ([11], [8])


def test_numbers_of_rows_from_snapshots_that_share_them_are_told_apart_again():
    layout = {"of": Rows("of"), "number": Rows("of", renumber=True)}
    one = {"of": np.array([0, 0]), "number": np.array([0, 1])}
    two = {"of": np.array([1, 1]), "number": np.array([0, 1])}
    joined = merge([one, two], layout, np.array([0, 1, -1]), Onto(instruments=ABC))
    assert sorted(joined["number"].tolist()) == [0, 1, 2, 3]
    assert joined["number"][0] < joined["number"][1]
    assert joined["number"][2] < joined["number"][3]


@pytest.mark.parametrize(
    ("axis", "array", "says"),
    [
        (ByCode(), np.zeros(2), "one row for each of 3 instruments, found 2"),
        (Rows("x"), np.array([0, 3]), "codes of 3 instruments, found 0 to 3"),
        (Rows("x"), np.array([-1, 0]), "found -1 to 0"),
        (Entries(kind=int, place=lambda e: e, exact=False), pack([5]), "3 instruments, found 5"),
    ],
)
def test_an_array_that_does_not_fit_its_axis_is_refused(axis, array, says):
    with pytest.raises(SnapshotError, match=says):
        select({"x": array}, {"x": axis}, np.arange(3), Onto(instruments=ABC))


def test_runs_that_do_not_fit_their_lengths_are_refused():
    layout = {"length": ByCode(), "run": Runs("length")}
    state = {"length": np.array([1, 1, 1]), "run": np.zeros(2)}
    with pytest.raises(SnapshotError, match="expected 3 values"):
        select(state, layout, np.arange(3), Onto(instruments=ABC))


# --- the sequencer --------------------------------------------------------------------------------


def over(snapshot, then, now, *, counts=True, partition=None):
    onto = Onto(instruments=now, partition=partition)
    return select(snapshot, Sequencer.layout, recoded(then, now), onto, counts=counts)


def recoded_rows(rows, then, now):
    codes = recoded([each.instrument for each in then.rows], now)
    return [
        replace(r, instrument=int(codes[r.instrument])) for r in rows if codes[r.instrument] >= 0
    ]


def names_of(instruments):
    return [each.instrument for each in instruments.rows]


def life(now, state=None, **options):
    driver = Driver(Sequencer(now, **options), now)
    if state is not None:
        driver.sequencer.restore(state)
        driver.read = driver.sequencer.pending
    return driver


def test_its_layout_tells_of_every_array():
    driver = life(SPOT)
    assert undeclared(driver.sequencer.snapshot(), Sequencer.layout) == []
    driver.push([row(1), row(3, 1), row(3, 1, TRADES, instrument=1)])
    state = driver.sequencer.snapshot()
    assert undeclared(state, Sequencer.layout) == []
    assert Sequencer.layout.keys() == state.keys()
    assert {n for n in state if n.startswith("rows/held/")} == {
        f"rows/held/{n}" for n in batch([row(1)]).names
    }


@settings(max_examples=40, deadline=None)
@given(feeds(), st.integers(0, 60), st.permutations([0, 1, 2]))
def test_split_and_joined_at_any_row_it_releases_what_the_whole_would(feed, at, deal):
    """Two groups apart on no row, then joined: the state is the same, to the byte."""
    rows, _ = feed
    whole = life(SPOT, gap_timeout_ns=30 * SECOND, max_clock_jump_ns=DAY)
    whole.push(rows[:at])
    state = whole.sequencer.snapshot()
    groups = [deal[:1], deal[1:]]
    parts = []
    for place, codes in enumerate(groups):
        now = table("0", *(names_of(SPOT)[code] for code in codes), "I11")
        part = over(state, names_of(SPOT), now, counts=place == 0)
        Sequencer(now).restore(part)
        parts.append(over(part, names_of(now), SPOT, counts=place == 0))
    owner = np.array([0 if code in groups[0] else 1 for code in range(3)])
    joined = merge(parts, Sequencer.layout, owner, Onto(instruments=SPOT))
    assert equal(joined, state)
    again = life(SPOT, joined, gap_timeout_ns=30 * SECOND, max_clock_jump_ns=DAY)
    assert equal(again.sequencer.snapshot(), state)
    for driver in (whole, again):
        driver.released.clear()
        driver.read = driver.sequencer.pending
        driver.gaps, driver.rejects, driver.late_offsets = [], [], []
        driver.duplicates = driver.late = 0
        driver.push(rows[at:])
    assert again.released == whole.released
    assert again.gaps == whole.gaps
    assert again.rejects == whole.rejects
    assert again.late_offsets == whole.late_offsets


def three_partitions(seed, count=400):
    """Rows of three instruments, each in a partition of its own, out of order, two lost."""
    rng = np.random.default_rng(seed)
    rows, following = [], [1, 1, 1]
    for i in range(count):
        k = int(rng.integers(3))
        rows.append(row(following[k], i / 2, i % 2, instrument=k, partition=k, offset=i))
        following[k] += 1
    lost = set(rng.choice(count - 50, 2, replace=False).tolist())
    order = np.argsort(np.arange(count) + rng.random(count) * 6)
    return [rows[i] for i in order if i not in lost]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 400), st.integers(0, 2))
def test_partitions_that_go_apart_release_what_they_would_have_together(seed, at, alone):
    rows = three_partitions(seed)
    whole = life(SPOT)
    whole.push(rows[:at])
    state = whole.sequencer.snapshot()
    whole.push(rows[at:])
    released, gaps = {}, []
    for codes in ([alone], [code for code in range(3) if code != alone]):
        now = table(*(names_of(SPOT)[code] for code in codes))
        driver = life(now, over(state, names_of(SPOT), now, counts=codes == [alone]))
        assert set(np.flatnonzero(driver.sequencer._feed.progress_ns[0] != NULL)) <= set(codes)
        driver.push(recoded_rows(rows[at:], SPOT, now))
        released |= {now[code].instrument: part for code, part in driver.released.items()}
        gaps += [(now[g.instrument].instrument, g.first_missing_seq, g.decided_ns, g.reason)
                 for g in driver.gaps]  # fmt: skip
    before = dict.fromkeys(range(3), 0)
    first = life(SPOT)
    first.push(rows[:at])
    before |= {code: len(part) for code, part in first.released.items()}
    expected = {
        SPOT[code].instrument: part[before[code] :]
        for code, part in whole.released.items()
        if part[before[code] :]
    }
    assert released == expected
    assert sorted(gaps) == sorted(
        (SPOT[g.instrument].instrument, g.first_missing_seq, g.decided_ns, g.reason)
        for g in whole.gaps[len(first.gaps) :]
    )


def test_an_instrument_is_taken_from_its_new_partition_and_time_waits_for_the_slower():
    one, two = life(SPOT), life(SPOT)
    one.push([row(1, 10), row(3, 11, offset=5), row(1, 12, TRADES, instrument=1)])
    two.push([row(1, 40, instrument=2, partition=7), row(3, 41, instrument=2, partition=7)])
    owner = np.array([0, 0, 1])
    states = [
        over(each.sequencer.snapshot(), names_of(SPOT), SPOT, partition=np.array([0, 3, 3]))
        for each in (one, two)
    ]
    slices = [
        Slice(snapshot=state, codes=np.where(owner == at, np.arange(3), -1))
        for at, state in enumerate(states)
    ]
    joined = join(slices, Sequencer.layout, Onto(instruments=SPOT))
    assert joined["lanes/partition"].tolist() == [0, 3, 3]
    assert joined["feed/progress_ns"][ORDERS].tolist() == [
        T0 + 11 * SECOND, NULL, NULL, T0 + 11 * SECOND,
    ]  # fmt: skip
    assert joined["watermark_ns"].tolist() == [min(one.watermarks[-1], two.watermarks[-1])]
    assert joined["rows/arrivals"].tolist() == joined["pending/arrival"].tolist() == [0, 1]
    driver = life(SPOT, joined)
    driver.push([row(2, 10, offset=1), row(2, 40, instrument=2, partition=3)])
    assert (driver.seqs(0), driver.seqs(2)) == ([2, 3], [2, 3])
    driver.push([row(4, 42, instrument=2, partition=7)])
    assert [r.reason for r in driver.rejects] == ["wrong_partition"]


def leap_of(state):
    return [
        (int(state["feed/leap_ns"][at]), int(state["feed/leap_code"][at]), int(seq))
        for at, seq in np.ndenumerate(state["feed/leap_seq"])
        if state["feed/leap_ns"][at] != NULL
    ]


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_jump_goes_with_the_row_that_made_it(confirmed):
    """Its row waits; the next row of the position says what it waits from, under its new code."""
    driver = life(SPOT, max_clock_jump_ns=DAY)
    driver.push([row(1, instrument=1), row(1, 0, TRADES, instrument=1), row(1)])
    driver.push([row(5, 3 * 86_400, instrument=1)])
    now = table("0", "1", "2", "I1")
    state = over(driver.sequencer.snapshot(), names_of(SPOT), now)
    assert leap_of(state) == [(T0 + 3 * DAY, 3, 5)]
    other = over(driver.sequencer.snapshot(), names_of(SPOT), table("I0"))
    assert leap_of(other) == [(T0 + 3 * DAY, 0, 0)]
    again = life(now, state, max_clock_jump_ns=DAY)
    at_s = 3 * 86_400 + 1 if confirmed else 1
    again.push([row(6, at_s, instrument=3), row(1, at_s, TRADES, instrument=2)])
    held = again.sequencer.snapshot()
    (since,) = held["pending/held_ns"][held["pending/seq"] == 5]
    assert since == T0 + (3 * DAY if confirmed else SECOND)
    again.push([row(7, at_s + 31, instrument=3), row(8, at_s + 35, TRADES, instrument=3)])
    assert [g.first_missing_seq for g in again.gaps] == [2]


def test_of_two_jumps_that_meet_in_a_partition_the_later_is_taken_for_no_progress():
    states = []
    for code, days in ((0, 9), (1, 3)):
        driver = life(SPOT, max_clock_jump_ns=DAY)
        first = [row(1, code, topic, instrument=k, partition=code, offset=topic)
                 for topic, k in ((ORDERS, code), (TRADES, code))][:1]  # fmt: skip
        driver.push([*first, row(5, days * 86_400, instrument=code, partition=code, offset=7)])
        states.append(driver.sequencer.snapshot())
    slices = [
        Slice(snapshot=state, codes=np.where(np.arange(3) == code, np.arange(3), -1))
        for code, state in enumerate(states)
    ]
    onto = Onto(instruments=SPOT, partition=np.array([2, 2, 2]))
    joined = join(slices, Sequencer.layout, onto)
    assert leap_of(joined) == [(T0 + 3 * DAY, 1, 5)]
    assert joined["pending/held_ns"].tolist() == [T0, T0 + 3 * DAY]
    assert joined["feed/deadline_ns"][2] <= T0 + 30 * SECOND


def test_an_instrument_that_was_never_seen_takes_the_partition_of_its_first_row():
    state = over(life(SPOT).sequencer.snapshot(), names_of(SPOT), SPOT, partition=np.full(3, 4))
    assert state["lanes/partition"].tolist() == [-1, -1, -1]
    driver = life(SPOT, state)
    driver.push([row(1, partition=2)])
    assert driver.seqs() == [1]


def test_a_removed_instrument_takes_its_pending_rows_with_it():
    driver = life(SPOT)
    driver.push([row(3), row(3, 1, instrument=1), row(2, 2, instrument=1), row(5, 3, instrument=2)])
    now = table("I0", "I2")
    kept = life(now, over(driver.sequencer.snapshot(), names_of(SPOT), now))
    assert kept.sequencer.pending == 2
    kept.push([row(1, 4), row(2, 4)])
    assert kept.seqs(0) == [1, 2, 3]


def lanes_of(size, seqs):
    lanes = new_lanes(table("A"))._replace(memory=np.zeros((1, size), np.uint64))
    for seq in range(1, seqs + 1):
        lanes.memory[0, (seq - 1) & (size - 1)] = 1000 + seq
    lanes.next_seq[0] = seqs + 1
    return lanes


@pytest.mark.parametrize("seqs", [0, 1, 3, 8, 9, 13, 16, 29])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_memory_of_content_fits_a_table_of_another_size(size, seqs):
    before, after = lanes_of(8, seqs), lanes_of(size, 0)
    after.next_seq[0] = seqs + 1
    remember(after, *remembered(before))
    for seq in range(max(1, seqs + 1 - min(8, size)), seqs + 1):
        assert after.memory[0, (seq - 1) & (size - 1)] == 1000 + seq
    # What the smaller memory had forgotten is late, never a conflict with nothing.
    assert after.floor[0] == (seqs - 8 if size > 8 and seqs > 8 else 0)
