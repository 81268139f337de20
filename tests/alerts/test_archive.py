"""The archive: what goes in comes out, within bounds, and damage is named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from alerts.archive import Archive
from alerts.archive_bounds import read_dropped
from alerts.archive_names import decode_instrument
from detectors.base import Ref
from ingest.events import Topic
from ingest.instruments import Instruments
from tests.support.alerts import at, batch, instruments, record
from tests.support.archives import fill, old, parts, seqs, table_of


@pytest.fixture
def table():
    return instruments()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


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


def test_each_instrument_has_a_file_for_each_hour(table, folder):
    archive = Archive(folder, table)
    fill(archive, table, 1, 9_000)  # two and a half hours from 22:13:20 on, a second apart
    fill(archive, table, 1, 5_000, code=1, size=700)
    archive.flush()
    kept = [path.split("_")[0] for path in parts(folder, "*/*")]
    assert kept == [
        "BTC-USD/2023-11/2023-11-14T22Z",
        "BTC-USD/2023-11/2023-11-14T23Z",
        "ETH-USD/2023-11/2023-11-14T22Z",
        "ETH-USD/2023-11/2023-11-14T23Z",
    ]
    names = {path.split("_")[0]: path.split("_")[1:3] for path in parts(folder, "*/*")}
    assert names["BTC-USD/2023-11/2023-11-14T22Z"] == ["1-2799", "2799"]
    assert names["ETH-USD/2023-11/2023-11-14T23Z"] == ["2800-5000", "2201"]
    assert len(parts(folder, "_recent")) == 1  # from midnight on: an hour that still goes on
    assert archive.rows == 14_000
    frame = pl.read_parquet(folder / parts(folder, "BTC-USD/*")[0])
    assert frame["instrument"].unique().to_list() == ["BTC-USD"]
    assert frame["raw"][0] == record(1)
    assert frame["clock_ns"].is_sorted()
    again = Archive(folder, table)
    assert seqs(again, [1, 2_799, 2_800, 9_000, 9_001]) == [1, 2_799, 2_800, 9_000]
    assert seqs(again, [1, 2_799, 2_800, 5_000, 9_000], code=1) == [1, 2_799, 2_800, 5_000]


def test_instruments_with_little_to_say_share_a_file_a_day(folder):
    many = table_of(f"ITEM-{i:05d}" for i in range(500))
    archive = Archive(folder, many)
    for seq in range(1, 12):
        for code in range(seq % 7, 500, 7):
            archive.append(batch(many, [seq * 9_000], code))  # two and a half hours apart
        archive.flush()
    archive.flush()
    assert parts(folder, "ITEM*/*") == []
    days = {path.split("_")[1].split("/")[-1] for path in parts(folder, "_shared/*")}
    assert days == {"2023-11-15"}
    assert len(parts(folder)) <= 9
    again = Archive(folder, many)
    assert again.rows == sum(len(range(seq % 7, 500, 7)) for seq in range(1, 12))
    assert seqs(again, [9_000, 18_000, 8 * 9_000], code=1) == [9_000, 72_000]


def test_many_small_flushes_leave_few_files(table, folder):
    archive = Archive(folder, table, flush_rows=512)
    for start in range(1, 2_000, 8):
        fill(archive, table, start, start + 7)
        archive.flush()
    assert len(parts(folder)) < 16
    assert archive.rows == 2_000
    assert len(list(folder.rglob("*.*"))) == 2 * len(parts(folder))
    assert archive.bounds.dropped_parts == 0
    assert seqs(archive, range(1, 2_001)) == list(range(1, 2_001))
    assert seqs(Archive(folder, table), range(1, 2_001)) == list(range(1, 2_001))


def test_only_files_that_can_hold_a_seq_are_read(table, folder):
    archive = Archive(folder, table, flush_rows=1_000)
    fill(archive, table, 1, 9_000)
    last = parts(folder, "BTC-USD/*")[-1]
    for name in parts(folder, "BTC-USD/*")[:-1]:
        (folder / name).write_bytes(b"would be noticed when read")
    again = Archive(folder, table)
    assert seqs(again, [9_000]) == [9_000]
    assert again.damaged == {}
    assert "9000_" in last


def test_the_oldest_go_when_the_size_is_over_its_bound(table, folder):
    archive = Archive(folder, table, flush_rows=600)
    fill(archive, table, 1, 3_000)
    bound = archive.bytes
    archive.close()
    archive = Archive(folder, table, flush_rows=600, max_bytes=bound + 200)
    fill(archive, table, 3_001, 9_000)
    assert archive.bytes <= bound + 200
    assert archive.bytes == sum(p.stat().st_size for p in folder.rglob("*.parquet"))
    assert archive.bounds.dropped_rows > 3_000
    assert archive.bounds.dropped_bytes > 0
    assert archive.rows + archive.bounds.dropped_rows == 9_000
    assert seqs(archive, [1, 9_000]) == [9_000]
    told = read_dropped(folder)
    assert told["BTC-USD"].rows == archive.bounds.dropped_rows
    assert at(1) < told["BTC-USD"].until_ns < at(9_000)


def test_what_is_older_than_the_bound_goes_and_a_wrong_engine_time_moves_nothing(table, folder):
    archive = Archive(folder, table, flush_rows=1_000, max_age_s=4_500)
    fill(archive, table, 1, 7_000)
    late = batch(table, [5_000_000], clock=False)  # far in the future, and not in event time
    archive.append(late)
    archive.flush()
    hour = 2_799  # the last seq of the first hour
    assert seqs(archive, [hour, 7_000, 5_000_000]) == [hour, 7_000, 5_000_000]
    fill(archive, table, 7_001, 8_000)
    assert seqs(archive, [hour, hour + 1, 8_000, 5_000_000]) == [hour + 1, 8_000, 5_000_000]
    assert archive.bounds.dropped_rows == hour


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_damaged_file_is_named_and_the_rest_is_read(table, folder, suffix):
    archive = Archive(folder, table, flush_rows=1_000)
    fill(archive, table, 1, 9_000)
    name = next(p for p in parts(folder, "BTC-USD/*") if "T23Z" in p)
    low, high = map(int, name.split("_")[1].split("-"))
    path = (folder / name).with_suffix(suffix)
    content = bytearray(path.read_bytes())
    place = content.index(b'"min_seq":') + 10 if suffix == ".json" else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)
    again = Archive(folder, table, flush_rows=1_000)
    wanted = [*range(1, low), *range(high + 1, 9_001)]
    assert seqs(again, range(1, 9_001)) == wanted
    assert list(again.damaged) == [name]
    assert "SHA-256" in again.damaged[name]
    fill(again, table, 9_001, 10_000)
    assert seqs(again, [low, 9_500]) == [9_500]
    assert (folder / name).exists()


@pytest.mark.parametrize("missing", [".parquet", ".json"])
def test_half_a_part_is_named(table, folder, missing):
    archive = Archive(folder, table, flush_rows=1_000)
    fill(archive, table, 1, 9_000)
    name = parts(folder, "BTC-USD/*")[0]
    old(folder / name)
    (folder / name).with_suffix(missing).unlink()
    assert list(Archive(folder, table).verify()) == [name]
    again = Archive(folder, table)
    assert seqs(again, [50, 8_500]) == [8_500]


def test_a_file_without_index_is_not_trusted_while_it_may_be_being_written(table, folder):
    archive = Archive(folder, table, flush_rows=1_000)
    fill(archive, table, 1, 1_000)
    name = parts(folder)[0]
    (folder / name).with_suffix(".json").unlink()
    again = Archive(folder, table)
    assert seqs(again, [50]) == []
    assert again.damaged == {}
    old(folder / name)
    assert seqs(again, [50]) == []
    assert list(again.damaged) == [name]


def test_verify_reads_every_file(table, folder):
    archive = Archive(folder, table, flush_rows=1_000)
    fill(archive, table, 1, 9_050)
    archive.flush()
    assert archive.verify() == {}
    path = folder / parts(folder, "_recent")[0]
    path.write_bytes(path.read_bytes()[:-1])
    torn = folder / "BTC-USD/2023-11/x.parquet.partial"
    torn.write_bytes(b"half")
    assert list(archive.verify()) == [path.relative_to(folder).as_posix()]
    old(torn)
    assert list(archive.verify()) == [
        "BTC-USD/2023-11/x.parquet.partial",
        path.relative_to(folder).as_posix(),
    ]


def test_a_full_disk_loses_nothing(table, folder, monkeypatch):
    archive = Archive(folder, table)
    fill(archive, table, 1, 500)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("alerts.archive_files.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            archive.flush()
    assert seqs(archive, [1, 500]) == [1, 500]
    archive.flush()
    assert seqs(Archive(folder, table), range(1, 501)) == list(range(1, 501))
    assert Archive(folder, table).verify() == {}


def test_names_of_instruments_are_safe_and_reversible(folder):
    odd = ("../etc", "_shared", "a/b:c*?", "東京", "x" * 500, "x" * 501, "%41", "~", ".", "A B")
    many = table_of(odd)
    archive = Archive(folder, many, flush_rows=300)
    for code in range(len(odd)):
        archive.append(batch(many, range(1, 301), code))
    archive.close()
    again = Archive(folder, many)
    for code in range(len(odd)):
        assert seqs(again, [1, 300, 301], code) == [1, 300]
    tops = [path.name for path in folder.iterdir() if path.is_dir()]
    assert len(tops) == len(odd)
    assert {decode_instrument(top) for top in tops} == {n for n in odd if len(n) < 500} | {None}
    assert all(len(top.encode()) < 255 for top in tops)
    assert {p.parent.parent.parent for p in folder.rglob("*.parquet")} == {folder}


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
