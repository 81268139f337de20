"""The summariser: which rows go into which summary, and that nothing is lost or told twice."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import polars as pl
import pytest

from detectors.conduct_example import sign
from detectors.examples import batch_of, example_instruments, trade
from detectors.summaries import SMALL, SMALL_TOTAL, SUMMARY, Summariser
from ingest.errors import SnapshotError
from ingest.events import NULL, Kind, Role, concatenate
from ingest.summary import AT_ONCE_NS, encode_rows
from ingest.times import MINUTE

SECOND = 10**9
TABLE = example_instruments(("AAA-USD", "BBB-USD", "CCC-USD"))


def batch(rows):
    """An enriched batch of (instrument, seq, second) trades, raw records included."""
    rows = sorted(rows)
    made = batch_of(
        [trade(1, 2, instrument=i, seq=q, engine_ns=int(s * SECOND)) for i, q, s in rows], TABLE
    )
    made.raw = pl.Series("raw", [f"{i}/{q}".encode() for i, q, _ in rows], dtype=pl.Binary)
    return made


def told(summary):
    return list(zip(summary.rows["instrument"].tolist(), summary.rows["seq"].tolist(), strict=True))


def tape(seed=1, rows=300):
    """Trades in order of time, each instrument's seq counting up, with orders between them."""
    draw = random.Random(seed)
    seqs, made, now = [0, 0, 0], [], 0.0
    for _ in range(rows):
        now += draw.choice([0.0, 0.0, 0.5, 3.0, 90.0])
        code = draw.randrange(3)
        seqs[code] += 1
        made.append((code, seqs[code], now))
    return made


def test_trades_before_a_boundary_come_in_order_of_time_then_name_then_seq():
    summariser = Summariser(TABLE, "p0")
    summariser.take(batch([(0, 1, 30), (0, 2, 59), (1, 1, 30), (1, 2, 60), (2, 1, 5)]))
    assert len(summariser.close(59 * SECOND).rows) == 0
    assert summariser.close(59 * SECOND) is None
    summary = summariser.close(119 * SECOND)
    assert (summary.shard, summary.from_ns, summary.until_ns) == ("p0", 0, MINUTE)
    assert told(summary) == [(2, 1), (0, 1), (1, 1), (0, 2)]
    assert summary.rows.raw.to_list() == [b"2/1", b"0/1", b"1/1", b"0/2"]
    assert set(summary.rows.names) == set(SUMMARY)
    assert len(summariser) == 1
    assert told(summariser.close(120 * SECOND)) == [(1, 2)]


def test_orders_and_other_records_are_left_out_and_columns_are_those_of_the_batch():
    made = batch([(0, q, q) for q in range(1, 9)])
    made["kind"][::2] = Kind.NEW
    made["best_bid"][:] = np.arange(8)
    made["buy_originator"][:] = np.arange(8) + 40
    summariser = Summariser(TABLE, "p0")
    summariser.take(made)
    rows = summariser.close(MINUTE).rows
    assert rows["seq"].tolist() == [2, 4, 6, 8]
    assert all(np.array_equal(rows[name], made[name][1::2]) for name in SUMMARY)
    assert all(rows[name].dtype == SUMMARY[name].dtype for name in SUMMARY)


def test_a_minute_without_trades_is_passed_too_and_several_are_passed_at_once():
    summariser = Summariser(TABLE, "p0")
    assert summariser.close(NULL) is None
    first = summariser.close(61 * SECOND)
    later = summariser.close(500 * SECOND)
    assert (len(first.rows), first.until_ns) == (0, MINUTE)
    assert (later.from_ns, later.until_ns) == (MINUTE, 8 * MINUTE)
    assert summariser.close(400 * SECOND) is None


def test_a_late_trade_goes_into_the_next_summary_with_its_true_clock():
    summariser = Summariser(TABLE, "p0")
    summariser.close(2 * MINUTE)
    summariser.take(batch([(0, 1, 61), (1, 1, 130)]))
    summary = summariser.close(3 * MINUTE)
    assert told(summary) == [(0, 1), (1, 1)]
    assert summary.rows["clock_ns"].tolist() == [61 * SECOND, 130 * SECOND]
    assert summary.rows["clock_ns"][0] < summary.from_ns


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("restart", [False, True])
def test_every_trade_is_told_once_however_batches_are_cut(size, restart):
    rows = tape()
    summariser, found = Summariser(TABLE, "p0"), []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        summariser.take(batch(part))
        if restart:
            kept = summariser.snapshot()
            summariser = Summariser(TABLE, "p0")
            summariser.restore(kept)
        found.append(summariser.close(int(part[-1][2] * SECOND)))
    found.append(summariser.close(10**6 * SECOND))
    summaries = [summary for summary in found if summary is not None]
    bounds = [(s.from_ns, s.until_ns) for s in summaries]
    assert [until for _, until in bounds[:-1]] == [since for since, _ in bounds[1:]]
    whole = concatenate([summary.rows for summary in summaries])
    expected = sorted(rows, key=lambda row: (row[2], row[0], row[1]))
    assert list(zip(whole["instrument"], whole["seq"], strict=True)) == [r[:2] for r in expected]
    assert whole.raw.to_list() == [f"{i}/{q}".encode() for i, q, _ in expected]
    assert len(summariser) == 0


def signs_at(*seconds):
    """A sign of CCC-USD and one of AAA-USD at each of some seconds."""
    names = ("CCC-USD", "AAA-USD")
    made = [sign(name, 1, 0) for _ in seconds for name in names]
    at = [second for second in seconds for _ in names]
    return [
        msgspec.structs.replace(each, clock_ns=s * SECOND) for each, s in zip(made, at, strict=True)
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_signs_before_a_boundary_come_in_order_of_time_then_name_each_once(restart):
    summariser = Summariser(TABLE, "p0")
    summariser.note(signs_at(70, 59))
    summariser.note(signs_at(10))
    if restart:
        kept, summariser = summariser.snapshot(), Summariser(TABLE, "p0")
        summariser.restore(kept)
    first, second = summariser.close(60 * SECOND), summariser.close(180 * SECOND)
    assert [(s.clock_ns // SECOND, s.instrument) for s in first.signs] == [
        (10, "AAA-USD"), (10, "CCC-USD"), (59, "AAA-USD"), (59, "CCC-USD"),
    ]  # fmt: skip
    assert [s.clock_ns // SECOND for s in second.signs] == [70, 70]
    assert not summariser.close(240 * SECOND).signs


def test_an_idle_shard_tells_its_signs_too_and_those_that_come_later():
    summariser = Summariser(TABLE, "p0")
    summariser.take(batch([(0, 1, 10)]))
    summariser.note(signs_at(95))
    first = summariser.close(70 * SECOND, idle=True)
    assert first.idle
    assert [s.clock_ns // SECOND for s in first.signs] == [95, 95]
    summariser.note(signs_at(130))
    later = summariser.close(100 * SECOND)
    assert not later.idle, "it is waited for again"
    signs = [*later.signs, *summariser.close(200 * SECOND).signs]
    assert [s.clock_ns // SECOND for s in signs] == [130, 130]


def test_small_batches_that_are_held_whole_and_large_ones_keep_their_order():
    rows = tape(seed=9, rows=2 * SMALL_TOTAL)
    sizes = [3, SMALL, SMALL + 1, 40, 1, 5 * SMALL]
    mixed, whole = Summariser(TABLE, "p0"), Summariser(TABLE, "p0")
    start = 0
    while start < len(rows):
        size = sizes[start % len(sizes)]
        mixed.take(batch(rows[start : start + size]))
        start += size
    whole.take(batch(rows))
    end = int(rows[-1][2] + 60) * SECOND
    one, two = mixed.close(end).rows, whole.close(end).rows
    assert len(one) == len(rows)
    assert encode_rows(one) == encode_rows(two)


def ended(**changes):
    """The end of a client's IOC."""
    row = {"kind": Kind.EXPIRE, "instrument": 0, "seq": 2, "engine_ns": SECOND, "clock_ns": SECOND}
    row |= {"account": 7, "owner": 8, "originator": 9, "role": Role.CLIENT, "side": 1}
    row |= {"entry_seq": 1, "lifetime_ns": 0, "leaves_before": 5}
    return row | changes


@pytest.mark.parametrize("size", [1, SMALL + 1])
@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"lifetime_ns": AT_ONCE_NS}, True),
        ({"lifetime_ns": AT_ONCE_NS + 1}, False),
        ({"lifetime_ns": NULL}, False),
        ({"entry_seq": 0}, False),
        ({"leaves_before": 0}, False),
        ({"leaves_before": NULL}, False),
        ({"in_complex": 1}, False),
        ({"role": Role.EXTERNAL_MM}, False),
        ({"kind": Kind.CANCEL}, False),
        ({"kind": Kind.NEW}, False),
    ],
)
def test_a_clients_instruction_that_came_to_nothing_goes_along(changes, stays, size):
    summariser = Summariser(TABLE, "p0", raw=False)
    summariser.take(batch_of([ended(**changes)] * size, TABLE))
    rows = summariser.close(MINUTE).rows
    assert len(rows) == (size if stays else 0)
    if stays:
        assert {rows[name][0] for name in ("account", "owner", "originator")} == {7, 8, 9}


def test_a_boundary_from_the_journal_repeats_a_closing_to_the_byte():
    rows = tape(seed=4)
    first, again = Summariser(TABLE, "p0"), Summariser(TABLE, "p0")
    closed = 0
    for start in range(0, len(rows), 9):
        part = rows[start : start + 9]
        for each in (first, again):
            each.take(batch(part))
        idle = start % 4 == 0
        summary = first.close(int(part[-1][2] * SECOND), idle=idle)
        if summary is not None:
            repeated = again.close_at(summary.until_ns)
            assert (repeated.shard, repeated.from_ns) == (summary.shard, summary.from_ns)
            assert (repeated.until_ns, repeated.idle) == (summary.until_ns, summary.idle)
            assert encode_rows(repeated.rows) == encode_rows(summary.rows)
            closed += summary.idle
    assert closed > 5


def test_an_idle_shard_says_so_once_with_all_that_it_has_and_tells_when_it_goes_on():
    summariser = Summariser(TABLE, "p0")
    summariser.take(batch([(0, 1, 10), (0, 2, 70)]))
    resting = summariser.close(70 * SECOND, idle=True)
    assert resting.idle
    assert told(resting) == [(0, 1), (0, 2)]
    assert resting.until_ns - 1 == 70 * SECOND
    assert summariser.close(70 * SECOND, idle=True) is None
    assert summariser.close(NULL) is None
    summariser.take(batch([(0, 3, 75)]))
    awake = summariser.close(75 * SECOND)
    assert (awake.idle, told(awake)) == (False, [])
    assert awake.until_ns > resting.until_ns
    assert summariser.close(75 * SECOND) is None
    passed = summariser.close(121 * SECOND)
    assert (passed.idle, told(passed), passed.until_ns) == (False, [(0, 3)], 2 * MINUTE)


def test_a_shard_that_never_had_anything_can_be_idle():
    summary = Summariser(TABLE, "p0").close(NULL, idle=True)
    assert (summary.idle, len(summary.rows), summary.until_ns) == (True, 0, 1)


def test_without_raw_none_is_kept_and_a_batch_without_is_refused_where_it_is_needed():
    made = batch([(0, 1, 1)])
    bare = Summariser(TABLE, "tape", raw=False)
    bare.take(made)
    assert bare.close(MINUTE).rows.raw is None
    made.raw = None
    with pytest.raises(ValueError, match="raw"):
        Summariser(TABLE, "p0").take(made)


def test_a_snapshot_goes_over_to_another_table_and_one_with_other_records_is_refused():
    summariser = Summariser(TABLE, "p0")
    summariser.take(batch([(2, 1, 1)]))
    kept = summariser.snapshot()
    without = Summariser(example_instruments(("AAA-USD",)), "p0")
    without.restore(kept)
    assert len(without) == 0
    with pytest.raises(SnapshotError, match="raw"):
        Summariser(TABLE, "p0", raw=False).restore(kept)
    wider = example_instruments(("AAA-USD", "BBA-USD", "BBB-USD", "CCC-USD"))
    moved = Summariser(wider, "p0")
    moved.restore(kept)
    assert told(moved.close(MINUTE)) == [(3, 1)]


def test_memory_is_bounded_by_the_trades_since_the_last_boundary():
    summariser = Summariser(TABLE, "p0")
    sizes = set()
    for minute in range(200):
        summariser.take(batch([(0, 50 * minute + q, 60 * minute + q) for q in range(1, 51)]))
        summariser.close((minute + 1) * MINUTE)
        sizes.add((len(summariser), len(summariser.snapshot()["rows"])))
    assert len(sizes) == 1
