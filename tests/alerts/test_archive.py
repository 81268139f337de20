"""The archive: what goes in comes out, within bounds, and damage is named."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.archive import Archive
from detectors.base import Ref
from ingest.events import Topic
from ingest.instruments import Instruments
from tests.support.alerts import at, batch, instruments, record


@pytest.fixture
def table():
    return instruments()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def fill(archive, table, first, last, *, code=0, size=10):
    for start in range(first, last + 1, size):
        archive.append(batch(table, range(start, min(start + size, last + 1)), code))


def seqs(archive, wanted, code=0):
    found = archive.fetch([Ref(code, seq) for seq in wanted])
    assert all(found[ref].seq == ref.seq for ref in found)
    assert all(found[ref].raw == record(ref.seq, found[ref].instrument) for ref in found)
    return sorted(ref.seq for ref in found)


def test_an_event_comes_back_as_it_came_from_memory_and_from_disk(table, folder):
    archive = Archive(folder, table, flush_rows=64)
    fill(archive, table, 1, 100)
    fill(archive, table, 1, 100, code=1)
    assert archive.rows == 200
    assert 0 < archive.pending < 64
    for code in (0, 1):
        assert seqs(archive, [1, 33, 99, 100, 101], code) == [1, 33, 99, 100]
    event = archive.fetch([Ref(1, 33)])[Ref(1, 33)]
    assert (event.instrument, event.engine_ns) == ("ETH-USD", at(33))
    assert (event.topic, event.partition, event.offset) == (Topic.TRADES, 0, 11)


def test_a_restart_finds_what_was_flushed_by_name_not_by_code(table, folder):
    archive = Archive(folder, table)
    fill(archive, table, 1, 30, code=1)
    archive.flush()
    fill(archive, table, 31, 40, code=1)  # lost with the process, and read again from the feed
    alone = Instruments([table[1]])
    again = Archive(folder, alone)
    assert seqs(again, range(1, 41)) == list(range(1, 31))
    fill(again, alone, 21, 40, size=5)
    assert seqs(again, range(1, 41)) == list(range(1, 41))


def test_rows_may_come_in_any_order(table, folder):
    archive = Archive(folder, table, flush_rows=1_000)
    order = np.random.default_rng(5).permutation(np.arange(1, 201))
    for part in np.array_split(order, 7):
        archive.append(batch(table, part.tolist(), clock=False))  # late rows have no clock
    assert seqs(archive, range(1, 202)) == list(range(1, 201))
    archive.flush()
    assert seqs(Archive(folder, table), range(1, 202)) == list(range(1, 201))


def test_many_small_flushes_leave_few_segments(table, folder):
    archive = Archive(folder, table, flush_rows=512)
    for start in range(1, 2_000, 8):
        fill(archive, table, start, start + 7)
        archive.flush()
    assert len(archive.segments) < 16
    assert archive.rows == 2_000
    assert len(list(folder.iterdir())) == 2 * len(archive.segments)
    assert archive.deleted_segments == 0
    assert seqs(archive, range(1, 2_001)) == list(range(1, 2_001))


def test_only_segments_that_can_hold_a_seq_are_read(table, folder):
    archive = Archive(folder, table, flush_rows=100)
    fill(archive, table, 1, 1_000)
    again = Archive(folder, table)
    last = again.segments[-1]
    for name in again.segments[:-1]:
        (folder / name).write_bytes(b"would be noticed when read")
    assert seqs(again, [950]) == [950]
    assert again.damaged == {}
    assert last.endswith(".parquet")


def test_the_oldest_go_when_the_size_is_over_its_bound(table, folder):
    archive = Archive(folder, table, flush_rows=100)
    fill(archive, table, 1, 300)
    bound = archive.bytes
    archive = Archive(folder, table, flush_rows=100, max_bytes=bound + 200)
    fill(archive, table, 301, 600)
    assert archive.bytes <= bound + 200
    assert archive.deleted_rows == 100 * archive.deleted_segments > 0
    assert archive.deleted_bytes > 0
    assert archive.rows + archive.deleted_rows == 600
    assert seqs(archive, [1, 600]) == [600]


def test_what_is_older_than_the_bound_goes_and_a_wrong_engine_time_moves_nothing(table, folder):
    archive = Archive(folder, table, flush_rows=100, max_age_s=250)
    fill(archive, table, 1, 300)
    late = batch(table, [5_000_000], clock=False)  # far in the future, and not in event time
    archive.append(late)
    archive.flush()
    assert seqs(archive, [1, 300]) == [1, 300]
    fill(archive, table, 301, 400)
    assert seqs(archive, [1, 100, 101, 400]) == [101, 400]
    assert archive.deleted_rows == 100


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_damaged_segment_is_named_and_the_rest_is_read(table, folder, suffix):
    archive = Archive(folder, table, flush_rows=100)
    fill(archive, table, 1, 300)
    name = archive.segments[1]
    path = (folder / name).with_suffix(suffix)
    content = bytearray(path.read_bytes())
    place = content.index(b'"min_seq":') + 12 if suffix == ".json" else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)
    again = Archive(folder, table, flush_rows=100)
    assert seqs(again, range(1, 301)) == [*range(1, 101), *range(201, 301)]
    assert list(again.damaged) == [name]
    assert "SHA-256" in again.damaged[name]
    fill(again, table, 301, 400)
    assert seqs(again, [350]) == [350]


@pytest.mark.parametrize("missing", [".parquet", ".json"])
def test_half_a_segment_is_named(table, folder, missing):
    archive = Archive(folder, table, flush_rows=100)
    fill(archive, table, 1, 200)
    name = archive.segments[0]
    (folder / name).with_suffix(missing).unlink()
    again = Archive(folder, table)
    assert list(again.damaged) == [name]
    assert seqs(again, [50, 150]) == [150]


def test_verify_reads_every_segment(table, folder):
    archive = Archive(folder, table, flush_rows=100)
    fill(archive, table, 1, 300)
    assert archive.verify() == {}
    path = folder / archive.segments[2]
    path.write_bytes(path.read_bytes()[:-1])
    assert list(archive.verify()) == [path.name]


def test_a_write_that_never_finished_leaves_nothing(table, folder):
    folder.mkdir()
    (folder / "segment-0000000007.parquet.partial").write_bytes(b"half")
    archive = Archive(folder, table)
    fill(archive, table, 1, 10)
    archive.close()
    assert archive.damaged == {}
    assert seqs(Archive(folder, table), [10]) == [10]


def test_nothing_in_nothing_out(table, folder):
    archive = Archive(folder, table)
    archive.append(batch(table, []))
    archive.flush()
    assert archive.fetch([]) == {}
    assert archive.fetch([Ref(0, 1)]) == {}
    assert archive.rows == 0
    bare = batch(table, [1])
    bare.raw = None
    archive.append(bare)
    with pytest.raises(ValueError, match="without raw"):
        archive.flush()
