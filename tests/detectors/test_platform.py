"""The platform stage: when detectors are stepped, with what, and that only lateness matters."""

from __future__ import annotations

import random
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Ref
from detectors.catalogue import DETECTORS
from detectors.conduct_example import sign
from detectors.platform import PlatformStage
from detectors.raw_store import BLOCK_ROWS, RawStore
from detectors.summaries import SUMMARY, Summariser, Summary
from detectors.wash_rings import WashRings, WashRingsParams
from ingest.errors import SourceError
from ingest.events import NULL
from ingest.times import MINUTE
from tests.support.ring_tapes import BORDER, HOUR, WEEK, batch, market, sales_of

PARAMS = WashRingsParams(windows_s=(600, 3_600), episode_gap_s=3_600)
TABLE = market("AAA-USD", "BBB-USD", "ITEM-1", "ITEM-2", "ITEM-3")


class Seen(WashRings):
    """wash_rings that also keeps the batches it is stepped with."""

    def __init__(self, params, instruments):
        super().__init__(params, instruments)
        self.batches = []

    def step(self, batch):
        self.batches.append(batch)
        return super().step(batch)


def with_raw(made):
    names = [TABLE[code].instrument for code in made["instrument"].tolist()]
    made.raw = pl.Series(
        "raw",
        [f"{n}/{q}".encode() for n, q in zip(names, made["seq"].tolist(), strict=True)],
        dtype=pl.Binary,
    )
    made["offset"][:] = made["seq"] + 1000
    return made


def rings(seed=0):
    """Rings in every instrument over three hours, and a crowd around them."""
    draw = random.Random(seed)
    trades = []
    for k, row in enumerate(TABLE.rows):
        members = [10 * k + 1, 10 * k + 2, 10 * k + 3][: 2 + k % 2]
        for turn in range(40):
            at = turn % len(members)
            pair = (members[at], members[(at + 1) % len(members)])
            trades.append((BORDER + k * MINUTE + turn * 3 * MINUTE, row.instrument, *pair, 100))
        for _ in range(60):
            pair = draw.sample(range(100, 140), 2)
            trades.append((BORDER + draw.randrange(3 * HOUR), row.instrument, *pair, 7))
    return sales_of(trades)


def summaries_of(sales, shards=3, step_ns=MINUTE, end_ns=BORDER + 6 * HOUR):
    """Each shard's summaries in order, its instruments dealt out by code."""
    dealt = []
    for k in range(shards):
        mine = [s for s in sales if TABLE.codes[s.instrument] % shards == k]
        summariser = Summariser(TABLE, f"p{k}")
        found, now = [], BORDER
        while now <= end_ns:
            part = [s for s in mine if now - step_ns <= s.time_ns < now]
            summariser.take(with_raw(batch(part, TABLE, now)))
            found.append(summariser.close(now))
            now += step_ns
        assert len(summariser) == 0
        dealt.append([summary for summary in found if summary is not None])
    return dealt


def new_stage(shards=3, detector=None, **settings):
    detector = detector or WashRings(PARAMS, TABLE)
    return PlatformStage([detector], TABLE, [f"p{k}" for k in range(shards)], **settings)


def last_revisions(findings):
    last = {}
    for finding in findings:
        key = (finding.instrument, finding.first_seq, finding.first_accounts)
        assert last.get(key) is None or last[key].revision < finding.revision
        last[key] = finding
    return sorted(msgspec.json.encode(finding) for finding in last.values())


@pytest.fixture(scope="module")
def dealt():
    """What shards that close boundaries of their own, each at other times, send."""
    return [
        summaries_of(rings(), step_ns=step)[k]
        for k, step in enumerate((MINUTE, 5 * MINUTE, 2 * MINUTE))
    ]


@pytest.fixture(scope="module")
def expected(dealt):
    whole = batch(rings(), TABLE, BORDER + 6 * HOUR)
    found = last_revisions(WashRings(PARAMS, TABLE).step(whole))
    assert len(found) >= 5
    return found


@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_the_order_in_which_shards_send_changes_no_byte_of_what_is_found(
    dealt, expected, draw, restart
):
    waiting = [list(queue) for queue in dealt]
    detector = WashRings(PARAMS, TABLE)
    stage, found, cited = new_stage(detector=detector), [], {}
    while any(waiting):
        queue = draw.choice([queue for queue in waiting if queue])
        for summary in queue[: draw.randint(1, 40)]:
            findings, evidence = stage.take(summary)
            found += findings
            rows = zip(evidence["instrument"].tolist(), evidence["seq"].tolist(), strict=True)
            cited |= dict(zip(rows, evidence.raw.to_list(), strict=True))
            queue.pop(0)
        if restart:
            told, kept = detector.snapshot(), stage.snapshot()
            detector = WashRings(PARAMS, TABLE)
            detector.restore(told)
            stage = new_stage(detector=detector)
            stage.restore(kept)
    assert last_revisions(found) == expected
    assert stage.late == 0
    assert cited == {
        (ref.instrument, ref.seq): f"{TABLE[ref.instrument].instrument}/{ref.seq}".encode()
        for finding in found
        for ref in finding.evidence_refs
    }


def test_detectors_are_stepped_when_the_slowest_shard_has_passed_and_with_all_before_it(dealt):
    seen = Seen(PARAMS, TABLE)
    stage = new_stage(detector=seen)
    for summary in dealt[0] + dealt[1]:
        stage.take(summary)
    assert seen.batches == []
    assert stage.waits_for == ["p2"]
    assert len(stage) == sum(len(s.rows) for s in dealt[0] + dealt[1])
    stage.take(dealt[2][0])
    stage.take(dealt[2][1])
    assert [b.watermark_ns for b in seen.batches] == [s.until_ns for s in dealt[2][:2]]
    for summary in dealt[2][2:]:
        stage.take(summary)
    clocks = [(b["clock_ns"].min(), b["clock_ns"].max(), b.watermark_ns)
              for b in seen.batches if len(b)]  # fmt: skip
    assert all(last < mark for _, last, mark in clocks)
    assert all(mark <= first for (*_, mark), (first, *_) in pairwise(clocks))
    for each in seen.batches:
        assert set(each.names) == set(SUMMARY)
        pairs = list(zip(each["instrument"].tolist(), each["seq"].tolist(), strict=True))
        assert pairs == sorted(pairs)
    assert sum(len(each) for each in seen.batches) == len(rings())
    assert len(stage) == 0


def test_a_summary_that_was_taken_before_changes_nothing_and_is_counted(dealt, expected):
    stage, found = new_stage(), []
    for queues in zip(*[iter(queue) for queue in dealt], strict=False):
        for summary in queues:
            found += stage.take(summary)[0]
    for queue in dealt:
        for summary in queue:
            found += stage.take(summary)[0]
            assert stage.take(summary)[0] == []
    assert last_revisions(found) == expected
    assert stage.repeated == sum(map(len, dealt)) + min(map(len, dealt)) * 3


def test_a_shard_that_is_not_expected_is_refused(dealt):
    stage = new_stage(shards=2)
    with pytest.raises(SourceError, match="p0, p1, was of p2"):
        stage.take(dealt[2][0])


def quiet(shard, from_ns, until_ns, rows=(), *, idle=False):
    return Summary(
        shard=shard,
        from_ns=from_ns,
        until_ns=until_ns,
        idle=idle,
        rows=with_raw(batch(list(rows), TABLE, until_ns)),
    )


def test_an_idle_shard_is_not_waited_for_until_it_sends_again():
    seen = Seen(PARAMS, TABLE)
    stage = new_stage(shards=2, detector=seen)
    stage.take(quiet("p0", NULL, BORDER + MINUTE))
    assert seen.batches == []
    stage.take(quiet("p1", NULL, 1, idle=True))
    stage.take(quiet("p0", BORDER + MINUTE, BORDER + 2 * MINUTE))
    assert [b.watermark_ns - BORDER for b in seen.batches] == [MINUTE, 2 * MINUTE]
    stage.take(quiet("p1", 1, 2))
    stage.take(quiet("p0", BORDER + 2 * MINUTE, BORDER + 3 * MINUTE))
    assert len(seen.batches) == 2
    assert stage.waits_for == ["p1"]
    stage.take(quiet("p1", 2, BORDER + 4 * MINUTE))
    assert [b.watermark_ns - BORDER for b in seen.batches[2:]] == [3 * MINUTE]


def test_when_all_are_idle_time_is_what_the_furthest_reached_whoever_says_it_last():
    trades = sales_of([(BORDER + 5 * MINUTE, "AAA-USD", 1, 2, 3)])
    for order in ((0, 1), (1, 0)):
        seen = Seen(PARAMS, TABLE)
        stage = new_stage(shards=2, detector=seen)
        said = [
            quiet("p0", NULL, BORDER + 5 * MINUTE + 1, trades, idle=True),
            quiet("p1", NULL, BORDER + 7 * MINUTE + 8, idle=True),
        ]
        for k in order:
            stage.take(said[k])
        assert [(b.watermark_ns - BORDER, len(b)) for b in seen.batches] == [(7 * MINUTE + 7, 1)]


@pytest.mark.parametrize("restart", [False, True])
def test_signs_wait_for_the_slowest_shard_and_come_in_order_with_the_batch(restart):
    def told(shard, until, *seconds):
        rows = batch([], TABLE, until * MINUTE)
        signs = tuple(
            msgspec.structs.replace(sign(f"{shard}-USD", 1, 0), clock_ns=s * 10**9) for s in seconds
        )
        return Summary(
            shard=shard, from_ns=(until - 1) * MINUTE, until_ns=until * MINUTE, rows=rows,
            signs=signs,
        )  # fmt: skip

    detector = Seen(PARAMS, TABLE)
    stage = new_stage(shards=2, detector=detector)
    for summary in (told("p0", 1, 50, 20), told("p0", 2, 100)):
        stage.take(summary)
    assert not detector.batches
    if restart:
        kept, stage = stage.snapshot(), new_stage(shards=2, detector=detector)
        stage.restore(kept)
    stage.take(told("p1", 1, 30))
    stage.take(told("p1", 2, 15))
    seen = [[each.clock_ns // 10**9 for each in made.signs] for made in detector.batches]
    assert seen == [[20, 30, 50], [15, 100]]
    assert stage.late == 1, "the last one lies before a boundary that was stepped"


def test_a_trade_behind_the_boundary_is_counted_late_and_the_detector_marks_it():
    detector = WashRings(PARAMS, TABLE)
    stage = new_stage(shards=2, detector=detector)
    stage.take(quiet("p1", NULL, 1, idle=True))
    stage.take(quiet("p0", NULL, BORDER + HOUR))
    ring = [(BORDER + (50 + i) * MINUTE, "ITEM-1", 1 + i % 2, 2 - i % 2, 1) for i in range(4)]
    stage.take(quiet("p1", 1, BORDER + HOUR, sales_of(ring)))
    findings, evidence = stage.take(quiet("p0", BORDER + HOUR, BORDER + 4 * HOUR))
    assert findings == []
    findings, evidence = stage.take(quiet("p1", BORDER + HOUR, BORDER + 4 * HOUR))
    assert stage.late == 4
    assert detector.overflow == 4
    assert {f.coverage for f in findings} == {"incomplete"}
    assert sorted(evidence["seq"].tolist()) == [1, 2, 3, 4]
    assert evidence["offset"].tolist() == [1001, 1002, 1003, 1004]


def test_a_fault_of_a_detector_can_be_caught_where_it_is_stepped(dealt):
    stage = new_stage(shards=3)
    stepped = []

    def careful(detector, batch):
        stepped.append((detector.spec.id, batch.watermark_ns))
        return ()

    for queues in zip(*dealt, strict=False):
        for summary in queues:
            assert stage.take(summary, step=careful)[0] == []
    assert stepped
    assert {name for name, _ in stepped} == {"wash_rings"}


def test_only_detectors_of_platform_scope_are_taken():
    kind = DETECTORS["wash_trading"]
    with pytest.raises(ValueError, match="wash_trading"):
        PlatformStage([kind(kind.Params(), TABLE)], TABLE, ["tape"])


@pytest.mark.parametrize(
    "kind", [k for k in DETECTORS.values() if k.spec.scope == "platform"], ids=lambda k: k.spec.id
)
def test_every_platform_detector_needs_the_columns_of_a_summary_alone(kind, dealt):
    stage = PlatformStage([kind(kind.Params(), TABLE)], TABLE, ["p0", "p1", "p2"])
    assert kind(kind.Params(), TABLE).reach_ns > 0
    for queue in dealt:
        for summary in queue:
            stage.take(summary)
    assert stage.boundary_ns == min(queue[-1].until_ns for queue in dealt)


def test_of_a_feed_that_was_dealt_out_anew_every_shard_is_waited_for_again():
    stage = new_stage(shards=2)
    for shard in ("p0", "p1"):
        stage.take(quiet(shard, NULL, 7, idle=True))
    again = new_stage(shards=3)
    again.restore(stage.snapshot())
    assert (again.dealt_anew, list(again.waits_for)) == (True, ["p0", "p1", "p2"])
    for shard in ("p0", "p1", "p2"):
        again.take(quiet(shard, 7, 2 * MINUTE))
    assert again.boundary_ns == 2 * MINUTE


# Raw records


def stored(count, *, max_bytes=10**9, at_ns=lambda seq: seq):
    store = RawStore(TABLE, max_bytes=max_bytes)
    for start in range(1, count + 1, 500):
        seqs = range(start, min(start + 500, count + 1))
        made = batch(
            sales_of([(at_ns(s), TABLE[s % 2].instrument, 1, 2, 1) for s in seqs]), TABLE, NULL
        )
        made["seq"][:] = sorted(seqs, key=lambda s: (s % 2, s))
        store.add(with_raw(made))
    return store


def names(found):
    return list(zip(found["instrument"].tolist(), found["seq"].tolist(), strict=True))


@pytest.mark.parametrize("restart", [False, True])
def test_raw_records_are_found_whether_compressed_or_waiting(restart):
    count = 2 * BLOCK_ROWS + 700
    store = stored(count)
    if restart:
        kept = store.snapshot()
        store = RawStore(TABLE, max_bytes=10**9)
        store.restore(kept)
    wanted = [1, 2, 3, BLOCK_ROWS, 2 * BLOCK_ROWS - 1, count]
    found = store.find([Ref(s % 2, s) for s in wanted] + [Ref(0, 1), Ref(4, 9), Ref(0, 10**9)])
    assert names(found) == sorted((s % 2, s) for s in wanted)
    assert found.raw.to_list() == [f"{TABLE[i].instrument}/{s}".encode() for i, s in names(found)]
    assert found["offset"].tolist() == [s + 1000 for _, s in names(found)]


def test_raw_records_are_let_go_of_by_age_and_when_there_is_no_room():
    store = stored(5 * BLOCK_ROWS)
    whole = store.size
    store.forget(4 * BLOCK_ROWS - 700)
    assert store.size < whole / 2
    assert names(store.find([Ref(1, 1), Ref(1, 5 * BLOCK_ROWS - 1)])) == [(1, 5 * BLOCK_ROWS - 1)]
    assert store.dropped == 0
    small = stored(5 * BLOCK_ROWS, max_bytes=whole // 2)
    assert small.size <= whole // 2
    assert small.dropped > 2 * BLOCK_ROWS
    assert names(small.find([Ref(1, 1), Ref(1, 5 * BLOCK_ROWS - 1)])) == [(1, 5 * BLOCK_ROWS - 1)]


def test_no_raw_records_are_kept_when_an_archive_has_them(dealt):
    stage, found = new_stage(raw_bytes=0), []
    for queue in dealt:
        for summary in queue:
            findings, evidence = stage.take(summary)
            found += findings
            assert len(evidence) == 0
    assert found


def test_raw_records_go_once_no_window_reaches_them():
    stage = new_stage(shards=1)
    end = BORDER + 3 * WEEK
    sales = sales_of([(end - HOUR, "AAA-USD", 1, 2, 1)] * BLOCK_ROWS)
    stage.take(quiet("p0", NULL, end, sales))
    assert stage.raw.size > 0
    stage.take(quiet("p0", end, end + MINUTE))
    assert stage.raw.size == 0


def test_codes_of_another_table_are_recoded_by_name():
    store = stored(100)
    wider = market("AAA-USD", "AAB-USD", "BBB-USD")
    moved = RawStore(wider, max_bytes=10**9)
    moved.restore(store.snapshot())
    found = moved.find([Ref(2, 1), Ref(0, 2), Ref(1, 3)])
    assert names(found) == [(0, 2), (2, 1)]
    assert np.all(found["offset"] > 1000)
