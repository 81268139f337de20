"""Snapshots of shards dealt out anew: what follows is what would have followed."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.record import encode as record_of
from detectors.catalogue import DETECTORS
from detectors.examples import batch_of, trade
from detectors.platform import PlatformStage
from detectors.summaries import Summariser
from ingest.errors import SnapshotError
from ingest.events import NULL, Batch
from ingest.names import Names
from ingest.register import read_register
from ingest.sections import Onto, Slice, join, recoded
from ingest.source import Arrivals
from ingest.state import decode, encode, pack, unpack
from ingest.tape import Tape, TapeSource
from monitor.assembly import build_pipeline
from monitor.config import default_config
from monitor.deal import REMOVED, deal, dropped, retabled
from monitor.pipeline import Totals
from monitor.section_layouts import layouts_of
from tests.support.vectors import instruments_of
from tests.support.venue import ABUSES, random_tape

PROPERTY = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Feed:
    """A tape of four instruments with lost records, as arrivals."""

    def __init__(self, folder):
        self.folder = folder
        self.tape = random_tape(21, 5_000, instruments=4, abuse=ABUSES, gaps=3)
        self.names = Names()
        source = TapeSource(self.tape.write(folder / "tape"), self.names, batch_rows=400)
        self.instruments, self.topic_names = source.instruments, source.topic_names
        self.register = read_register(Tape(folder / "tape").accounts_path, self.names)
        self.arrivals = list(iter(lambda: source.poll(0.0), None))


class Shard:
    """A pipeline that takes those records of the feed whose partition it has."""

    def __init__(self, feed, folder, partition, sections=None, table=None):
        self.feed, self.partition, self.folder = feed, partition, folder
        self.table = feed.instruments if table is None else table
        config = default_config(folder)
        sooner = msgspec.structs.replace(config.sequence, gap_timeout_s=1.0)
        self.pipeline = build_pipeline(
            msgspec.structs.replace(config, sequence=sooner),
            instruments=self.table,
            names=feed.names,
            topic_names=feed.topic_names,
            archive_dir=folder,
            store=None,
            shard=f"p{partition}",
        )
        self.summaries, self.summed, self.coverage = [], [], []
        if sections is not None:
            self.pipeline.restore(decode(encode(sections), "dealt"))

    def take(self, arrivals, partition_of):
        batch = arrivals.batch
        then = [row.instrument for row in batch.instruments.rows]
        codes = recoded(then, self.table)
        home = np.array([partition_of(name) for name in then])
        rows = np.flatnonzero(
            (home[batch["instrument"]] == self.partition) & (codes[batch["instrument"]] >= 0)
        )
        mine = batch.take(rows)
        columns = {name: mine[name] for name in mine.names}
        columns["instrument"] = codes[mine["instrument"]].astype(np.int32)
        columns["partition"] = np.full(len(rows), self.partition, mine["partition"].dtype)
        outcome = self.pipeline.take(
            Arrivals(
                batch=Batch(columns, self.table, raw=mine.raw),
                idle=frozenset((topic, self.partition) for topic, _ in arrivals.idle),
            ),
            self.feed.register,
        )
        assert self.pipeline.totals.balanced
        self.coverage += outcome.coverage
        if outcome.summary is not None:
            self.summaries.append(outcome.summary)
            names = [self.table[c].instrument for c in outcome.summary.rows["instrument"].tolist()]
            self.summed += zip(names, outcome.summary.rows["seq"].tolist(), strict=True)

    def alerts(self):
        return self.pipeline.alerts.alerts()


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return Feed(tmp_path_factory.mktemp("deal"))


@pytest.fixture(scope="module")
def whole(feed):
    shard = Shard(feed, feed.folder / "whole", 0)
    for arrivals in feed.arrivals:
        shard.take(arrivals, lambda _: 0)
    assert len(shard.alerts()) > 20
    assert shard.pipeline.totals.gaps >= 3
    return shard


def shown(alerts):
    """Return alerts but for the partitions and offsets that their records came from."""
    records = [json.loads(record_of(alert)) for alert in alerts]
    assert all(record.pop("source") for record in records)
    return sorted(records, key=lambda record: record["alert_id"])


def placed(feed, homes):
    names = [row.instrument for row in feed.instruments.rows]
    return dict(zip(names, homes, strict=True)).__getitem__


def archives(shards, folder):
    """Return one folder with the archives of shards: what all workers reach."""
    for shard in shards:
        shard.pipeline.archive.flush()
        shutil.copytree(shard.folder, folder, dirs_exist_ok=True)
    return folder


homes = st.lists(st.integers(0, 2), min_size=4, max_size=4)
moves = st.tuples(homes, homes)


@PROPERTY
@given(cut=st.integers(1, 12), move=moves)
def test_shards_that_were_dealt_out_anew_go_on_as_one_that_never_was(
    feed, whole, tmp_path_factory, cut, move
):
    folder = tmp_path_factory.mktemp("dealt")
    old, new = (placed(feed, home) for home in move)
    first = [Shard(feed, folder / f"old{p}", p) for p in range(3)]
    for arrivals in feed.arrivals[:cut]:
        for shard in first:
            shard.take(arrivals, old)
    dealt = deal([shard.pipeline.snapshot() for shard in first], feed.instruments, new, 3)
    assert sorted(dealt) == [0, 1, 2]
    archives(first, folder / "archive")
    second = []
    for p, sections in dealt.items():
        shutil.copytree(folder / "archive", folder / f"new{p}")
        second.append(Shard(feed, folder / f"new{p}", p, sections))
    for arrivals in feed.arrivals[cut:]:
        for shard in second:
            shard.take(arrivals, new)
    assert shown(a for s in second for a in s.alerts()) == shown(whole.alerts())
    totals = [shard.pipeline.totals for shard in second]
    for name in Totals.__struct_fields__:
        value = getattr(whole.pipeline.totals, name)
        if isinstance(value, dict):
            assert sum((Counter(getattr(t, name)) for t in totals), Counter()) == value
        else:
            assert sum(getattr(t, name) for t in totals) == value, name
    for shard in (*second, *first):
        assert shard.pipeline.quarantined == {}
    summed = [place for shard in (*first, *second) for place in shard.summed]
    assert len(summed) == len(set(summed))
    waiting = sum(len(shard.pipeline._summariser) for shard in second)
    assert len(summed) + waiting == len(whole.summed) + len(whole.pipeline._summariser)
    gaps = [(c.instrument, c.first_missing_seq, c.closed_ns) for s in (*first, *second)
            for c in s.coverage]  # fmt: skip
    assert sorted(gaps, key=str) == sorted(
        ((c.instrument, c.first_missing_seq, c.closed_ns) for c in whole.coverage), key=str
    )


def at_the_middle(feed, folder, partition_of=lambda _: 0, partition=0):
    shard = Shard(feed, folder, partition)
    for arrivals in feed.arrivals[: len(feed.arrivals) // 2]:
        shard.take(arrivals, partition_of)
    return shard


def test_dealt_to_one_partition_a_snapshot_stays_what_it_is(feed, tmp_path):
    sections = at_the_middle(feed, tmp_path / "a").pipeline.snapshot()
    dealt = deal([sections], feed.instruments, lambda _: 0, 1)
    again = deal([dealt[0]], feed.instruments, lambda _: 0, 1)
    assert encode(again[0]) == encode(dealt[0])
    assert dealt[0].keys() == sections.keys()
    for section in sections.keys() - {"summaries"}:  # those are in the order of the feed
        for name, array in sections[section].items():
            assert np.array_equal(dealt[0][section][name], array), (section, name)


def test_trades_that_wait_to_be_summed_up_wait_in_their_new_shard(feed):
    """The shard that was behind sums up from where it stood; what was told is not told again."""
    minute = 60 * 10**9
    told, states = [], []
    for code, passed in ((0, 1), (1, 3)):
        old = Summariser(feed.instruments, f"p{code}", raw=False)
        rows = [trade(1, 2, engine_ns=at * minute) for at in (0, 2, 5)]
        old.take(batch_of([{**row, "instrument": code} for row in rows], feed.instruments))
        told += summed(old.close(passed * minute))
        states.append(old.snapshot())
    slices = [
        Slice(snapshot=state, codes=np.where(np.arange(4) == code, np.arange(4), -1))
        for code, state in enumerate(states)
    ]
    layout = layouts_of(())["summaries"]
    new = Summariser(feed.instruments, "p7", raw=False)
    new.restore(join(slices, layout, Onto(instruments=feed.instruments)))
    assert len(new) == 3
    later = new.close(2 * minute + 1)
    assert (later.from_ns, later.until_ns) == (minute, 2 * minute)
    told += summed(later) + summed(new.close(6 * minute))
    assert sorted(told) == [(code, at * minute) for code in range(2) for at in (0, 2, 5)]


def test_shards_that_begin_with_nothing_hold_platform_scope_up_no_longer_than_they_are_silent(
    feed, tmp_path
):
    """What a new, empty shard says first must lie behind what the old ones have said."""
    stage = PlatformStage([], feed.instruments, ["p0"])
    shard = at_the_middle(feed, tmp_path / "then")
    for summary in shard.summaries:
        stage.take(summary)
    assert stage.boundary_ns > NULL
    dealt = deal([shard.pipeline.snapshot()], feed.instruments, lambda _: 1, 3)
    names = [f"p{number}" for number in dealt]
    after = PlatformStage([], feed.instruments, names)
    after.restore(stage.snapshot())
    assert after.waits_for == names
    for number, sections in dealt.items():
        summariser = Summariser(feed.instruments, f"p{number}")
        summariser.restore(sections["summaries"])
        after.take(summariser.close(NULL, idle=True))
    assert after.repeated == 0
    assert after.waits_for == []
    assert after.boundary_ns >= stage.boundary_ns


def summed(summary):
    rows = summary.rows
    return list(zip(rows["instrument"].tolist(), rows["engine_ns"].tolist(), strict=True))


def test_another_table_keeps_what_it_lists_and_counts_what_it_does_not(feed, whole, tmp_path):
    shard = at_the_middle(feed, tmp_path / "then")
    archives([shard], tmp_path / "now")
    rows = feed.tape.instruments
    gone = rows[1]["instrument"]
    table = instruments_of([{**rows[0], "instrument": "AAA-USD"}, *rows[:1], *rows[2:]])
    sections = shard.pipeline.snapshot()
    assert dropped([sections], table) == [gone]
    assert dropped([sections], feed.instruments) == []
    moved = retabled({**sections, "register": {"rows": pack([])}}, table)
    assert moved["register"].keys() == {"rows"}
    again = Shard(feed, tmp_path / "now", 0, moved, table)
    assert again.pipeline.totals.balanced
    for arrivals in feed.arrivals[len(feed.arrivals) // 2 :]:
        again.take(arrivals, lambda _: 0)
    expected = [alert for alert in whole.alerts() if alert.instrument != gone]
    assert [record_of(alert) for alert in again.alerts()] == [record_of(a) for a in expected]
    assert len(expected) < len(whole.alerts())


def test_the_same_table_in_another_order_of_rows_changes_nothing(feed, tmp_path):
    sections = at_the_middle(feed, tmp_path / "a").pipeline.snapshot()
    rows = random.Random(1).sample(feed.tape.instruments, 4)
    assert retabled(sections, instruments_of(rows)) is sections


def test_pending_records_of_a_removed_instrument_are_rejects(feed, tmp_path):
    shard = Shard(feed, tmp_path / "a", 0)
    batch = feed.arrivals[0].batch
    name = feed.tape.instruments[0]["instrument"]
    code = feed.instruments.code(name)
    rows = np.flatnonzero(batch["instrument"] == code)
    shard.take(Arrivals(batch=batch.take(rows[1:5])), lambda _: 0)
    waiting = shard.pipeline.totals.pending
    assert waiting > 0
    table = instruments_of(feed.tape.instruments[1:])
    for sections in (
        retabled(shard.pipeline.snapshot(), table),
        deal([shard.pipeline.snapshot()], table, lambda _: 0, 1)[0],
    ):
        totals = unpack(sections["totals"]["totals"], Totals)
        assert totals.rejects == {REMOVED: waiting}
        assert totals.balanced


def test_a_detector_out_of_use_is_out_of_use_where_its_instruments_go(feed, tmp_path):
    old = placed(feed, [0, 0, 1, 1])
    first, second = (at_the_middle(feed, tmp_path / f"{p}", old, p) for p in (0, 1))
    first.pipeline.quarantined["wash_trading"] = "ValueError: broken"
    new = placed(feed, [0, 1, 1, 2])
    dealt = deal([s.pipeline.snapshot() for s in (first, second)], feed.instruments, new, 3)
    version = DETECTORS["wash_trading"].spec.version
    told = [f"detector/wash_trading/{version}" in dealt[p] for p in range(3)]
    assert told == [False, False, True]
    out = [unpack(dealt[p]["totals"]["quarantined"], dict[str, str]) for p in range(3)]
    assert [sorted(each) for each in out] == [["wash_trading"], ["wash_trading"], []]
    for p, sections in dealt.items():
        Shard(feed, tmp_path / f"new{p}", p, sections)


def test_what_cannot_be_dealt_out_is_refused(feed, tmp_path):
    sections = at_the_middle(feed, tmp_path / "a").pipeline.snapshot()
    with pytest.raises(SnapshotError, match="in two snapshots"):
        deal([sections, sections], feed.instruments, lambda _: 0, 1)
    other = {**sections, "names": {"known": pack(["somebody"])}}
    with pytest.raises(SnapshotError, match="one code for each name"):
        deal([sections, other], feed.instruments, lambda _: 0, 1)
    version = DETECTORS["tag_integrity"].spec.version
    newest = sections[f"detector/tag_integrity/{version}"]
    older = {**sections, "detector/tag_integrity/0": newest}
    with pytest.raises(SnapshotError, match=f"of version {version}, was of 0"):
        deal([older], feed.instruments, lambda _: 0, 1)
    without = {name: arrays for name, arrays in sections.items() if name != "book"}
    with pytest.raises(SnapshotError, match="must have the section book"):
        deal([without], feed.instruments, lambda _: 0, 1)
    with pytest.raises(ValueError, match="partitions must be 0 to 1"):
        deal([sections], feed.instruments, lambda _: 2, 2)


def test_a_collection_that_a_platform_detector_holds_is_not_torn_apart(feed, tmp_path):
    rows = [{**row, "kind": "unique", "base": "ITEM"} for row in feed.tape.instruments]
    sections = {
        **Shard(feed, tmp_path / "a", 0).pipeline.snapshot(),
        f"detector/wash_rings/{DETECTORS['wash_rings'].spec.version}": DETECTORS["wash_rings"](
            DETECTORS["wash_rings"].Params(), feed.instruments
        ).snapshot(),
    }
    with pytest.raises(SnapshotError, match="collection ITEM must stay in one partition"):
        deal([sections], instruments_of(rows), placed(feed, [0, 0, 0, 1]), 2)
    deal([sections], instruments_of(rows), lambda _: 1, 2)
