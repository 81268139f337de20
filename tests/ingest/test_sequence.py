from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import SnapshotError
from ingest.events import NULL, REGISTRY_CHANGES, TAGS, WIRE, Batch, Kind, Topic, empty
from ingest.instruments import Instrument, Instruments
from ingest.sequence import Sequencer
from tests.ingest.reference_sequencer import ReferenceSequencer, Row

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
T0 = 1_700_000_000 * SECOND
ORDERS, TRADES = 0, 1


def table(*kinds: str) -> Instruments:
    return Instruments(
        Instrument(
            instrument=f"I{i}", base="B", quote="Q", kind=kind, tick_size=Decimal(1),
            lot_size=Decimal(1),
        )
        for i, kind in enumerate(kinds)
    )  # fmt: skip


SPOT = table("spot", "spot", "unique")


def row(seq, at_s=0.0, topic=ORDERS, *, instrument=0, content=0, partition=0, kind=0, offset=0):
    return Row(
        instrument=instrument, seq=seq, engine_ns=T0 + int(at_s * SECOND), topic=topic,
        partition=partition, content=content, kind=kind, offset=offset,
    )  # fmt: skip


def batch(rows, instruments=SPOT) -> Batch:
    columns = empty({**WIRE, **TAGS}, len(rows))
    for name, field in (
        ("instrument", "instrument"), ("seq", "seq"), ("engine_ns", "engine_ns"),
        ("topic", "topic"), ("partition", "partition"), ("price", "content"), ("kind", "kind"),
        ("offset", "offset"),
    ):  # fmt: skip
        columns[name][:] = [getattr(r, field) for r in rows]
    columns["role"][:] = columns["seq"] % 7
    raw = pl.Series("raw", [f"raw {r.offset}".encode() for r in rows], dtype=pl.Binary)
    return Batch(columns, instruments, raw=raw)


class Driver:
    """Pushes rows in cuts; asserts the accounting identity after each, and collects all."""

    def __init__(self, sequencer: Sequencer, instruments=SPOT) -> None:
        self.sequencer, self.instruments = sequencer, instruments
        self.released: dict[int, list] = {}
        self.gaps, self.rejects = [], []
        self.late_offsets: list[int] = []
        self.watermarks: list[int] = []
        self.faults: Counter[str] = Counter()
        self.duplicates = self.late = self.read = self.forgotten = 0

    def push(self, rows, idle=()):
        given = batch(rows, self.instruments)
        out = self.sequencer.push(given, frozenset(idle))
        self.read += len(rows)
        last = -1
        for code, start, end in out.batch.by_instrument():
            assert code > last, "an instrument's rows must be together"
            last = code
            part = self.released.setdefault(code, [])
            for i in range(start, end):
                b = out.batch
                part.append(
                    (int(b["seq"][i]), int(b["offset"][i]), int(b["clock_ns"][i]),
                     int(b["clock_fault"][i]))
                )  # fmt: skip
                assert b.raw[i] == f"raw {b['offset'][i]}".encode()
                assert b["role"][i] == b["seq"][i] % 7
        assert [r[0] for rs in self.released.values() for r in rs] == [
            s for rs in self.released.values() for s in sorted(r[0] for r in rs)
        ]
        self.gaps += out.gaps
        self.rejects += out.rejects
        self.late_offsets += out.late_batch["offset"].tolist()
        self.faults.update(out.clock_faults)
        self.duplicates += out.duplicates
        self.forgotten += out.forgotten
        self.late += out.late
        self.watermarks.append(out.batch.watermark_ns)
        processed = sum(map(len, self.released.values()))
        assert self.read == (
            processed + len(self.rejects) + self.duplicates + self.late + self.sequencer.pending
        )
        return out

    def seqs(self, instrument=0):
        return [r[0] for r in self.released.get(instrument, [])]


def drive(**options) -> Driver:
    return Driver(Sequencer(SPOT, **options))


# ---- order -----------------------------------------------------------------------------------


def test_a_row_is_released_only_after_the_one_before_it():
    driver = drive()
    driver.push([row(2, 1, offset=2), row(3, 2, offset=3)])
    assert driver.seqs() == []
    assert driver.sequencer.pending == 2
    driver.push([row(1, 0, offset=1)])
    assert driver.seqs() == [1, 2, 3]
    assert driver.sequencer.open_gaps == 0


def test_rows_of_several_instruments_come_out_grouped_and_each_in_order():
    driver = drive()
    driver.push([row(2, instrument=1), row(1), row(1, instrument=1), row(2), row(1, instrument=2)])
    assert {k: driver.seqs(k) for k in range(3)} == {0: [1, 2], 1: [1, 2], 2: [1]}


def test_orders_and_trades_share_one_sequence():
    driver = drive()
    driver.push([row(1), row(3), row(4)])
    driver.push([row(2, topic=TRADES), row(5, topic=TRADES)])
    assert driver.seqs() == [1, 2, 3, 4, 5]


def test_a_batch_that_is_in_order_is_handed_on_with_its_registry_changes():
    given = batch([row(1), row(2)])
    given.registry_changes = {**empty(REGISTRY_CHANGES, 1)}
    out = Sequencer(SPOT).push(given, frozenset())
    assert len(out.batch.registry_changes["account"]) == 1


# ---- gaps ------------------------------------------------------------------------------------


def test_a_gap_is_declared_once_both_topics_have_passed_it_by_the_timeout():
    driver = drive()
    driver.push([row(1), row(3, 1), row(4, 100)])
    assert not driver.gaps, "the trades topic has not got that far"
    driver.push([row(1, 30.9, topic=TRADES, instrument=1)])
    assert not driver.gaps
    driver.push([row(2, 31, topic=TRADES, instrument=1)])
    (gap,) = driver.gaps
    assert (gap.first_missing_seq, gap.last_missing_seq, gap.reason) == (2, 2, "timeout")
    assert gap.decided_ns == T0 + 31 * SECOND
    assert gap.next_ns == T0 + SECOND
    assert driver.seqs() == [1, 3, 4]


def test_a_gap_is_not_declared_because_a_batch_ended():
    driver = drive()
    driver.push([row(1), row(3, 1)])
    for _ in range(5):
        driver.push([])
    assert not driver.gaps
    assert driver.sequencer.open_gaps == 1
    (waiting,) = driver.sequencer.waiting
    assert (waiting.first_missing_seq, waiting.last_missing_seq) == (2, 2)
    driver.push([row(2)])
    assert driver.seqs() == [1, 2, 3]


def test_a_topic_that_was_never_seen_holds_a_gap_open_until_it_is_idle():
    driver = drive()
    driver.push([row(1), row(3, 1), row(4, 500)])
    assert not driver.gaps
    driver.push([], idle=[(Topic.TRADES, 0)])
    assert len(driver.gaps) == 1
    assert driver.seqs() == [1, 3, 4]


def test_the_end_of_a_tape_declares_no_gap_that_time_has_not_passed():
    driver = drive()
    driver.push([row(1), row(3, 1), row(4, 30)], idle=[(Topic.TRADES, 0), (Topic.ORDERS, 0)])
    assert not driver.gaps
    assert driver.sequencer.pending == 2


def test_a_topic_becomes_idle_with_its_last_row_of_the_push_and_not_before():
    """The missing trade comes in this very push, so there is no gap; so it is in finer cuts."""
    rows = [row(1), row(3, 1), row(4, 100), row(2, 0.5, topic=TRADES), row(5, 101)]
    driver = drive()
    driver.push(rows, idle=[(Topic.TRADES, 0)])
    assert not driver.gaps
    assert driver.seqs() == [1, 2, 3, 4, 5]


def test_a_start_in_midstream_is_a_gap_from_one():
    driver = drive()
    driver.push([row(50), row(51, 40), row(1, 40, topic=TRADES, instrument=1)])
    assert [(g.first_missing_seq, g.last_missing_seq) for g in driver.gaps] == [(1, 49)]
    assert driver.seqs() == [50, 51]


@pytest.mark.parametrize("kind", [Kind.BOOK, Kind.BOOK_END])
def test_a_restatement_as_first_record_starts_there_at_once(kind):
    driver = drive()
    driver.push([row(50, kind=kind), row(51)])
    assert driver.seqs() == [50, 51]
    assert [(g.last_missing_seq, g.reason) for g in driver.gaps] == [(49, "restated")]
    driver.push([row(49, offset=9)])
    assert driver.late_offsets == [9]


def test_a_restatement_later_on_waits_for_its_turn():
    driver = drive()
    driver.push([row(1), row(50, kind=Kind.BOOK)])
    assert driver.seqs() == [1]


def test_a_row_of_a_declared_gap_is_late_archived_and_never_applied():
    driver = drive()
    driver.push([row(1), row(3, 1), row(4, 40), row(1, 40, topic=TRADES, instrument=1)])
    out = driver.push([row(2, 0.5, offset=77)])
    assert driver.seqs() == [1, 3, 4]
    assert out.late == 1
    assert out.late_batch["offset"].tolist() == [77]
    assert out.late_batch.raw.to_list() == [b"raw 77"]


def test_two_gaps_of_one_instrument_are_declared_each_in_its_time():
    driver = drive()
    driver.push([row(1), row(3, 1), row(5, 20), row(1, 35, TRADES, instrument=1), row(6, 35)])
    assert [(g.first_missing_seq, g.last_missing_seq) for g in driver.gaps] == [(2, 2)]
    driver.push([row(2, 50, topic=TRADES, instrument=1), row(7, 50)])
    assert [(g.first_missing_seq, g.last_missing_seq) for g in driver.gaps] == [(2, 2), (4, 4)]
    assert driver.seqs() == [1, 3, 5, 6, 7]


def test_the_gap_that_has_waited_longest_is_declared_when_too_many_rows_wait():
    driver = drive(max_pending=3)
    driver.push([row(9, instrument=1), row(5), row(6)])
    assert driver.sequencer.pending == 3
    driver.push([row(7)])
    assert [(g.instrument, g.last_missing_seq, g.reason) for g in driver.gaps] == [
        (1, 8, "pending_bound")
    ]
    assert driver.sequencer.pending == 3


def test_a_row_may_become_late_by_the_gap_that_made_room_for_it():
    driver = drive(max_pending=1)
    driver.push([row(5), row(3, offset=3)])
    assert driver.seqs() == [5]
    assert driver.late_offsets == [3]


def test_a_wild_engine_time_does_not_declare_gaps_or_hold_one_open():
    driver = drive()
    driver.push([row(1), row(3, 1), row(1, 1, TRADES, instrument=1)])
    driver.push([row(1, 10**6, instrument=2), row(2, 10**6, TRADES, instrument=1)])
    assert not driver.gaps, "one row that jumps moves no progress"
    driver.push([row(2, 20, instrument=2), row(3, 20, TRADES, instrument=1)])
    assert not driver.gaps, "and the next one did not confirm it"
    wild = drive()
    wild.push([row(1), row(3, 10**6), row(4, 2), row(5, 40), row(1, 40, TRADES, instrument=1)])
    assert [g.last_missing_seq for g in wild.gaps] == [2]


def test_room_made_in_another_partition_lets_what_is_due_there_go_at_once():
    """Seq 5 is due at 30 s, but stands behind seq 3, which came later."""
    driver = drive(gap_timeout_ns=30 * SECOND, max_pending=3)
    far = {"instrument": 1, "partition": 5}
    near = {"instrument": 2, "partition": 5}
    driver.push([row(1, 0, **far), row(1, 0, TRADES, **near), row(5, 0, **far)])
    driver.push([row(2, 25, TRADES, **near), row(3, 25, **far), row(3, 40, TRADES, **near)])
    driver.push([row(4, 40, **near)])
    assert not driver.gaps
    driver.push([row(9, 0), row(11, 0), row(13, 0)])
    assert [(g.instrument, g.first_missing_seq, g.reason) for g in driver.gaps] == [
        (1, 2, "pending_bound"), (1, 4, "timeout"),
    ]  # fmt: skip


def test_a_row_that_jumped_in_vain_waits_no_longer_than_others():
    """It alone waits, so nothing else brings its time-out about."""
    driver = drive(gap_timeout_ns=30 * SECOND, max_clock_jump_ns=DAY)
    driver.push([row(1), row(1, 0, TRADES, instrument=1), row(5, 100 * 86_400)])
    for k in range(1, 40):
        driver.push([row(k, k, instrument=2), row(k + 1, k, TRADES, instrument=1)])
    assert [(g.first_missing_seq, g.decided_ns) for g in driver.gaps] == [(2, T0 + 31 * SECOND)]


def test_progress_follows_a_jump_that_the_next_row_confirms():
    driver = drive()
    driver.push([row(1), row(3, 1), row(1, 1, TRADES, instrument=1)])
    for at in (1, 2):
        driver.push([row(at, 10**6 + at, instrument=2), row(at + 1, 10**6, TRADES, instrument=1)])
        assert len(driver.gaps) == at - 1
    assert [g.instrument for g in driver.gaps] == [0]


# ---- duplicates and conflicts ----------------------------------------------------------------


def test_a_redelivered_row_is_dropped_and_counted_wherever_it_stands_now():
    driver = drive()
    driver.push([row(1, offset=5), row(3, offset=6)])
    driver.push([row(1, offset=15), row(3, offset=16)])
    assert (driver.duplicates, driver.forgotten, len(driver.rejects)) == (2, 0, 0)
    driver.push([row(2), row(3, offset=26)])
    assert driver.seqs() == [1, 2, 3]
    assert driver.duplicates == 3


@pytest.mark.parametrize("pending", [False, True])
def test_a_second_record_of_a_seq_with_other_content_is_a_conflict(pending):
    driver = drive()
    seq = 3 if pending else 1
    driver.push([row(seq, content=1)])
    driver.push([row(seq, content=2, offset=8)])
    (reject,) = driver.rejects
    assert (reject.reason, reject.offset, reject.raw) == ("conflict", 8, b"raw 8")
    assert reject.detail == f"seq {seq} of I0 was taken before with other content (orders/0@8)"


@pytest.mark.parametrize("field", [name for name in WIRE if name not in ("instrument", "seq")])
def test_any_field_but_the_place_in_the_feed_makes_a_conflict(field):
    first, second = batch([row(1)]), batch([row(1)])
    second[field][0] += 1
    sequencer = Sequencer(SPOT)
    sequencer.push(first, frozenset())
    out = sequencer.push(second, frozenset())
    if field == "offset":
        assert out.duplicates == 1
    elif field == "partition":
        assert [r.reason for r in out.rejects] == ["wrong_partition"]
    else:
        assert [r.reason for r in out.rejects] == ["conflict"]


def test_a_duplicate_older_than_the_memory_is_dropped_uncompared():
    count = 65_536 + 10
    driver = drive()
    driver.push([row(seq, offset=seq) for seq in range(1, count + 1)])
    driver.push([row(10, content=1), row(11), row(12, content=1)])
    assert (driver.duplicates, driver.forgotten) == (2, 1)
    assert [reject.reason for reject in driver.rejects] == ["conflict"]


def test_rows_below_more_gaps_than_are_kept_are_archived_unless_known_to_be_duplicates():
    driver = drive(max_pending=1)
    driver.push([row(seq, offset=seq) for seq in range(1, 400, 3)])
    assert len(driver.gaps) > 64
    driver.push([row(2, offset=900), row(1, offset=1), row(1, content=5, offset=902)])
    assert driver.late_offsets == [900, 902]
    assert driver.duplicates == 1


def test_a_seq_below_one_is_rejected():
    driver = drive()
    driver.push([row(0)])
    assert [r.reason for r in driver.rejects] == ["out_of_range"]


def test_an_instrument_in_different_partitions_of_the_topics_is_refused():
    driver = drive()
    driver.push([row(1, partition=3), row(2, topic=TRADES, partition=4, offset=6)])
    (reject,) = driver.rejects
    assert (reject.reason, reject.topic, reject.partition) == ("wrong_partition", Topic.TRADES, 4)
    assert "I0 must come from partition 3" in reject.detail
    driver.push([row(2, topic=TRADES, partition=3)])
    assert driver.seqs() == [1, 2]


# ---- clock -----------------------------------------------------------------------------------


def clocks(driver, instrument=0):
    return [((c - T0) // SECOND, fault) for _, _, c, fault in driver.released[instrument]]


def test_a_step_back_is_a_fault_and_the_clock_stays():
    driver = drive()
    driver.push([row(1, 10), row(2, 4), row(3, 11)])
    assert clocks(driver) == [(10, 0), (10, 1), (11, 0)]
    assert driver.faults == {"step_back": 1}


def test_records_of_one_moment_are_no_fault():
    driver = drive()
    driver.push([row(1, 10), row(2, 10), row(3, 10)])
    assert [fault for _, fault in clocks(driver)] == [0, 0, 0]


def test_a_jump_is_a_fault_until_the_next_row_confirms_it():
    day = DAY // SECOND
    driver = drive()
    driver.push([row(1, 0), row(2, 3 * day), row(3, 3 * day + 5), row(4, 3 * day + 6)])
    assert clocks(driver) == [(0, 0), (0, 2), (3 * day + 5, 0), (3 * day + 6, 0)]
    assert driver.faults == {"jump": 1}


def test_a_jump_that_the_next_row_does_not_confirm_is_forgotten():
    day = DAY // SECOND
    driver = drive()
    driver.push([row(1, 0), row(2, 3 * day), row(3, 5), row(4, 6)])
    assert clocks(driver) == [(0, 0), (0, 2), (5, 0), (6, 0)]


def test_unique_items_may_rest_for_weeks():
    day = DAY // SECOND
    driver = drive()
    driver.push([row(1, 0, instrument=2), row(2, 30 * day, instrument=2)])
    assert clocks(driver, 2) == [(0, 0), (30 * day, 0)]


def test_a_jump_of_exactly_the_limit_is_no_fault():
    driver = drive(max_clock_jump_ns=5 * SECOND)
    driver.push([row(1, 0), row(2, 5), row(3, 10.000000001)])
    assert [fault for _, fault in clocks(driver)] == [0, 0, 2]


# ---- watermark -------------------------------------------------------------------------------


def test_the_watermark_is_what_both_topics_have_passed_less_what_waits():
    driver = drive()
    driver.push([row(1, 5)])
    assert driver.watermarks[-1] == NULL, "nothing is known of the trades"
    driver.push([row(1, 3, TRADES, instrument=1)])
    assert driver.watermarks[-1] == T0 + 3 * SECOND
    driver.push([row(3, 6), row(2, 20, TRADES, instrument=1), row(4, 20)])
    assert driver.watermarks[-1] == T0 + 6 * SECOND - 1, "seq 3 still waits"
    driver.push([row(2, 6)])
    assert driver.watermarks[-1] == T0 + 20 * SECOND


def test_an_idle_topic_does_not_hold_the_watermark_and_it_never_falls():
    driver = drive()
    driver.push([row(1, 5)], idle=[(Topic.TRADES, 0)])
    assert driver.watermarks[-1] == T0 + 5 * SECOND
    driver.push([row(1, 1, TRADES, instrument=1)])
    assert driver.watermarks[-1] == T0 + 5 * SECOND
    driver.push([], idle=[(Topic.TRADES, 0), (Topic.ORDERS, 0)])
    assert driver.watermarks[-1] == T0 + 5 * SECOND


@pytest.mark.parametrize("cuts", [1, 2, 4])
def test_a_row_that_lags_by_no_more_than_the_lateness_is_never_behind_the_watermark(cuts):
    driver = drive(lateness_ns=10 * SECOND)
    rows = [
        row(1, 1),
        row(1, 2, TRADES, instrument=1),
        row(2, 60),
        row(2, 61, TRADES, instrument=1),
        row(1, 51, instrument=2),
        row(3, 62),
    ]
    for start in range(0, len(rows), cuts):
        before = driver.watermarks[-1] if driver.watermarks else NULL
        driver.push(rows[start : start + cuts])
        assert all(r[2] > before for rs in driver.released.values() for r in rs[-1:])
    assert driver.watermarks[-1] == T0 + 51 * SECOND


# ---- the same whatever the cuts --------------------------------------------------------------


@st.composite
def feeds(draw):
    """Two topics of three instruments, interleaved, with rows lost, doubled, altered, displaced."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(1, 120))
    step = draw(st.sampled_from([0.0, 0.05, 1.0, 4.0]))
    rows = []
    following = [draw(st.sampled_from([1, 1, 7])) for _ in range(3)]
    for i in range(count):
        k = int(rng.integers(3))
        at = i * step
        if rng.random() < 0.03:
            at += float(rng.choice([-50.0, 10**6, 200.0]))
        rows.append(
            row(following[k], at, int(rng.random() < 0.4), instrument=k,
                partition=int(k == 1), kind=int(rng.choice([0, 0, 0, 7])), content=i)
        )  # fmt: skip
        following[k] += 1
    lost = draw(st.sampled_from([0.0, 0.05, 0.3]))
    doubled = draw(st.sampled_from([0.0, 0.1]))
    arrivals = []
    for r in rows:
        if rng.random() < lost:
            continue
        delay = rng.random() * draw(st.sampled_from([0.0, 0.0, 5.0, 60.0]))
        arrivals.append((r.engine_ns / SECOND + delay + 3 * r.topic, r))
        if rng.random() < doubled:
            twin = row(0)
            twin.__dict__.update(r.__dict__)
            twin.content += int(rng.random() < 0.3)
            twin.partition ^= int(rng.random() < 0.1)
            arrivals.append((r.engine_ns / SECOND + rng.random() * 20, twin))
    arrivals.sort(key=lambda pair: pair[0])
    out = []
    for offset, (_, r) in enumerate(arrivals):
        r.offset = offset
        out.append(r)
    idle = {}
    for topic in (0, 1):
        for partition in (0, 1):
            where = [i for i, r in enumerate(out) if (r.topic, r.partition) == (topic, partition)]
            idle[topic, partition] = where[-1] if where else -1
    return out, idle


def compare(driver: Driver, reference: ReferenceSequencer) -> None:
    assert driver.released == reference.released
    fates = Counter(reference.fates)
    assert driver.duplicates == fates["duplicate"]
    assert driver.late == fates["late"]
    assert Counter(r.reason for r in driver.rejects) == Counter(
        {k: fates[k] for k in ("conflict", "wrong_partition") if fates[k]}
    )
    assert driver.sequencer.pending == reference.pending
    assert sorted(
        (g.instrument, g.first_missing_seq, g.last_missing_seq, g.reason) for g in driver.gaps
    ) == sorted(reference.gaps)


@settings(max_examples=60, deadline=None)
@given(feeds(), st.sampled_from([3, 20, 10_000]), st.booleans())
def test_it_agrees_with_the_reference_at_every_cut_with_restarts(feed, max_pending, ends):
    rows, last = feed
    options = {"gap_timeout_ns": 30 * SECOND, "max_pending": max_pending, "max_clock_jump_ns": DAY}
    reference = ReferenceSequencer(30 * SECOND, max_pending, DAY, unique=[2])
    reference.idle = {p for p, i in last.items() if ends and i < 0}
    for i, r in enumerate(rows):
        reference.take(r, {p for p, at in last.items() if ends and at == i})
    every = []
    for size in (1, 7, 1_000):
        driver = drive(**options)
        for start in range(0, max(len(rows), 1), size):
            part = rows[start : start + size]
            idle = [(Topic(t), p) for (t, p), i in last.items() if ends and i < start + len(part)]
            driver.push(part, idle)
            snapshot = driver.sequencer.snapshot()
            driver.sequencer = Sequencer(SPOT, **options)
            driver.sequencer.restore(snapshot)
        compare(driver, reference)
        assert driver.watermarks == sorted(driver.watermarks)
        every.append((driver.late_offsets, driver.faults))
    assert every[0] == every[1] == every[2]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_no_row_comes_out_at_or_before_the_watermark_of_a_feed_in_order(size):
    """Trades reach us 3 s after orders, so rows wait all the time; none is lost."""
    rng = np.random.default_rng(3)
    following, rows = [1, 1, 1], []
    for i in range(600):
        k = int(rng.integers(3))
        rows.append(row(following[k], i / 10, int(rng.random() < 0.4), instrument=k, offset=i))
        following[k] += 1
    rows.sort(key=lambda r: r.engine_ns + 3 * SECOND * r.topic)
    driver = drive()
    for start in range(0, 600, size):
        before = driver.watermarks[-1] if driver.watermarks else NULL
        out = driver.push(rows[start : start + size])
        assert (out.batch["clock_ns"] > before).all()
    assert driver.watermarks[-1] > T0 + 50 * SECOND


def test_a_deep_disorder_is_put_right_in_small_pushes():
    """Rows held for long in many pieces, released in other orders than they came."""
    rng = np.random.default_rng(7)
    rows = [row(i // 2 + 1, i / 1000, i % 2, instrument=i % 2, offset=i) for i in range(6_000)]
    order = np.argsort(np.arange(6_000) + rng.random(6_000) * 3_000)
    driver = drive()
    for start in range(0, 6_000, 50):
        driver.push([rows[i] for i in order[start : start + 50]])
    assert driver.seqs(0) == driver.seqs(1) == list(range(1, 3_001))
    assert not driver.gaps


def test_rows_in_reverse_order_are_put_right():
    driver = drive()
    for start in range(20_000, 0, -5_000):
        driver.push([row(seq, offset=seq) for seq in range(start, start - 5_000, -1)])
    assert driver.seqs() == list(range(1, 20_001))


def test_a_snapshot_is_not_written_to_by_later_pushes():
    driver = drive()
    driver.push([row(1), row(3), row(5)])
    snapshot = driver.sequencer.snapshot()
    before = {name: array.copy() for name, array in snapshot.items()}
    driver.push([row(2), row(4), row(9, 100)])
    assert all(np.array_equal(array, before[name]) for name, array in snapshot.items())


def test_a_snapshot_remembers_content_gaps_and_raw_records():
    driver = drive()
    driver.push([row(1, content=4), row(3, 1, offset=33), row(1, 40, TRADES, instrument=1)])
    driver.push([row(2, 40, instrument=1), row(9, 40, offset=99)])
    snapshot = driver.sequencer.snapshot()
    driver.sequencer = Sequencer(SPOT)
    driver.sequencer.restore(snapshot)
    driver.push([row(1, content=4), row(1, content=5), row(2)])
    assert driver.duplicates == 1
    assert [r.reason for r in driver.rejects] == ["conflict"]
    assert driver.late == 1
    driver.push([row(seq, 41) for seq in range(4, 9)])
    assert driver.seqs() == [1, *range(3, 10)]


def test_a_snapshot_of_another_instruments_table_is_refused():
    snapshot = Sequencer(SPOT).snapshot()
    with pytest.raises(SnapshotError, match=r"another instruments\.csv"):
        Sequencer(table("spot")).restore(snapshot)
    with pytest.raises(SnapshotError, match="does not hold together"):
        Sequencer(SPOT).restore({"instruments": snapshot["instruments"]})


def test_partitions_are_independent():
    driver = drive()
    driver.push(
        [
            row(1, partition=5), row(3, 1, partition=5), row(1, instrument=1),
            row(4, 100, partition=5), row(2, 100, instrument=1), row(3, 100, TRADES, instrument=1),
        ]
    )  # fmt: skip
    assert not driver.gaps, "the trades of partition 5 have not got that far"
    driver.push([row(1, 100, TRADES, instrument=2, partition=5)])
    assert [g.instrument for g in driver.gaps] == [0]
