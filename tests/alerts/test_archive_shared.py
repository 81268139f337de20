"""One folder, several writers: a takeover, a zombie and a crash add bytes and lose nothing."""

from __future__ import annotations

import os
import threading

import polars as pl
import pytest

import alerts.archive_reader
import alerts.archive_writer
from alerts.archive import Archive
from alerts.archive_files import read_index
from alerts.archive_names import RECENT
from alerts.archive_ranges import hours_between
from alerts.archive_reader import ArchiveReader
from detectors.base import Ref
from tests.support.alerts import batch, instruments, record
from tests.support.archives import fill, old, parts, seqs


@pytest.fixture
def table():
    return instruments()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def kept(folder):
    """Rows that a reader gives of everything, as (instrument, seq)."""
    reader = ArchiveReader(folder)
    return [
        (span.instrument, seq)
        for rows in hours_between(reader, ["BTC-USD", "ETH-USD"], 0, 2**62)
        for span in rows.spans
        for seq in rows.columns["seq"][span.first_row : span.first_row + span.rows].tolist()
    ]


def test_rows_written_again_after_a_crash_are_there_once(table, folder):
    first = Archive(folder, table, flush_rows=1_000)
    fill(first, table, 1, 2_500)
    first.flush()
    second = Archive(folder, table, flush_rows=1_000)  # knows of nothing after 1,500
    fill(second, table, 1_501, 6_000)
    second.flush()
    assert sorted(kept(folder)) == [("BTC-USD", seq) for seq in range(1, 6_001)]
    assert seqs(Archive(folder, table), range(1, 6_002)) == list(range(1, 6_001))


def test_an_hour_written_twice_is_one_file_again(table, folder):
    for _ in range(3):
        archive = Archive(folder, table)
        fill(archive, table, 1, 6_000)
        archive.close()
    hours = parts(folder, "BTC-USD/*")
    assert len(hours) == 1
    assert len(pl.read_parquet(folder / hours[0])) == 2_799
    assert len(parts(folder, RECENT)) == 3  # of 23h, each worker's own


def test_a_dead_workers_recent_files_are_taken_over_when_they_are_stale(table, folder):
    dead = Archive(folder, table)
    fill(dead, table, 1, 500, code=1)
    dead.flush()
    left = parts(folder, RECENT)
    assert len(left) == 1
    alive = Archive(folder, table)
    fill(alive, table, 1, 5_000)
    alive.flush()
    assert set(left) <= set(parts(folder, RECENT))  # the other may be slow, and not dead
    fill(alive, table, 5_001, 9_000)
    alive.flush()
    assert not set(left) & set(parts(folder, RECENT))
    assert [path.split("_")[1] for path in parts(folder, "ETH-USD/*")] == ["1-500"]
    assert seqs(alive, [1, 500], code=1) == [1, 500]


def test_a_crash_between_writing_and_deleting_leaves_no_double(table, folder, monkeypatch):
    archive = Archive(folder, table)
    fill(archive, table, 1, 2_000)
    archive.flush()

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alerts.archive_writer, "remove_part", crash)
        fill(archive, table, 2_001, 4_000)
        with pytest.raises(KeyboardInterrupt):
            archive.flush()
    assert len(set(kept(folder))) == len(kept(folder)) == 4_000
    again = Archive(folder, table)
    fill(again, table, 3_001, 12_000)
    again.flush()
    assert sorted(kept(folder)) == [("BTC-USD", seq) for seq in range(1, 12_001)]
    rows = [int(path.split("_")[2]) for path in parts(folder, "BTC-USD/*")]
    assert rows == [2_799, 3_600, 3_600]  # 22h, 23h, 0h: each once


def test_what_a_zombie_says_differently_is_kept_beside_and_not_preferred_to_what_was_applied(
    table, folder
):
    owner = Archive(folder, table)
    fill(owner, table, 1, 400)
    owner.close()
    zombie = Archive(folder, table)
    other = batch(table, range(300, 350), clock=False)  # as late rows, and with other bytes
    other.raw = pl.Series([b"{}" for _ in range(50)], dtype=pl.Binary)
    zombie.append(other)
    zombie.close()
    heir = Archive(folder, table)
    fill(heir, table, 401, 12_000)
    heir.flush()
    assert seqs(heir, range(1, 12_001)) == list(range(1, 12_001))
    rows = next(iter(hours_between(ArchiveReader(folder), ["BTC-USD"], 0, 2**62)))
    raws = [raw for raw in rows.raw.to_list() if raw == b"{}"]
    assert len(raws) == 50
    assert rows.raw.filter(pl.Series(rows.first_of_seq)).to_list() == [
        record(seq) for seq in range(1, 2_800)
    ]


def test_a_part_that_is_half_deleted_when_it_is_read_is_found_in_what_replaced_it(
    table, folder, monkeypatch
):
    first = Archive(folder, table)
    fill(first, table, 1, 100)
    first.flush()
    (before,) = parts(folder)

    def replaced(*asked):
        monkeypatch.undo()
        first.flush()
        fill(first, table, 101, 200)
        with monkeypatch.context() as patch:
            patch.setattr(alerts.archive_writer, "remove_part", lambda *_: False)
            first.flush()
        (folder / before).with_suffix(".json").unlink()  # and its writer stands still there
        return read_index(*asked)

    reader = Archive(folder, table)
    monkeypatch.setattr(alerts.archive_reader, "read_index", replaced)
    assert seqs(reader, range(1, 101)) == list(range(1, 101))
    assert len(parts(folder)) == 2
    assert not reader.damaged


@pytest.mark.parametrize("quiet", [False, True])
def test_a_listing_that_a_replacement_slipped_through_is_not_trusted(
    table, folder, monkeypatch, quiet
):
    archive = Archive(folder, table)
    fill(archive, table, 1, 100)
    archive.flush()
    if quiet:
        old(folder / RECENT)
    listed, seen = os.listdir, []

    def slipping(path):
        seen.append(path)
        if len(seen) > 1:
            return listed(path)
        os.utime(path)  # what changes a folder renews its time
        return []

    monkeypatch.setattr(alerts.archive_reader.os, "listdir", slipping)
    assert seqs(Archive(folder, table), range(1, 101)) == list(range(1, 101))


def test_readers_see_every_row_while_writers_settle_join_and_replace(table, folder):
    done, problems = threading.Event(), []
    first = Archive(folder, table, flush_rows=400)
    fill(first, table, 1, 100)
    first.flush()

    def read():
        reader = Archive(folder, table)
        while not done.is_set():
            found = {ref.seq for ref in reader.fetch([Ref(0, seq) for seq in range(1, 101)])}
            if found != set(range(1, 101)):
                problems.append(sorted(set(range(1, 101)) - found))
        problems.extend(reader.damaged.values())

    def write(code):
        writer = Archive(folder, table, flush_rows=400)
        for start in range(101 if code == 0 else 1, 9_001, 100):
            fill(writer, table, start, start + 99, code=code)
            writer.flush()

    def again():
        for _ in range(6):
            zombie = Archive(folder, table, flush_rows=400)
            fill(zombie, table, 1, 3_000)
            zombie.flush()

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(code,)) for code in (0, 1)]
    writers.append(threading.Thread(target=again))
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert problems == []
    assert sorted(set(kept(folder))) == sorted(
        [("BTC-USD", seq) for seq in range(1, 9_001)]
        + [("ETH-USD", seq) for seq in range(1, 9_001)]
    )
    assert ArchiveReader(folder).verify() == {}
