"""Bounds and holds: the oldest go, what is held stays, and the difference is said."""

from __future__ import annotations

import pytest

from alerts.archive import Archive, Hold
from alerts.archive_bounds import read_dropped
from alerts.archive_names import SHARED
from tests.support.alerts import at, batch, instruments
from tests.support.archives import fill, parts, seqs, table_of

HOURS = {22: (1, 2_799), 23: (2_800, 6_399), 0: (6_400, 9_999)}
"""Seqs by the hour of their time, a second apart from 22:13:20 on."""


@pytest.fixture
def table():
    return instruments()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


def test_what_a_hold_covers_outlives_age_and_size(table, folder):
    holds = [Hold(instrument="BTC-USD", from_ns=at(3_000), to_ns=at(3_001), reason="case 7")]
    archive = Archive(folder, table, max_bytes=1, max_age_s=60, holds=lambda: holds)
    for code in (0, 1):
        fill(archive, table, 1, 16_000, code=code, size=500)
    archive.flush()
    assert seqs(archive, [1, 2_799, 2_800, 6_399, 6_400, 16_000]) == [2_800, 6_399, 16_000]
    assert seqs(archive, [1, 2_800, 6_399, 6_400, 16_000], code=1) == [16_000]
    assert archive.bounds.held_bytes_over == archive.bytes - 1 > 0
    assert archive.bounds.dropped_rows + archive.rows == 32_000
    holds.clear()
    fill(archive, table, 16_001, 20_000, size=500)
    archive.flush()
    assert seqs(archive, [2_800, 6_399]) == []
    told = read_dropped(folder)["BTC-USD"]
    assert told.until_ns > at(6_399)


@pytest.mark.parametrize(
    ("first", "last", "hours"),
    [
        (2_799, 2_799, [22]),
        (2_800, 2_800, [23]),
        (2_799, 2_800, [22, 23]),
        (1, 9_999, [22, 23, 0]),
        (50_000, 60_000, []),
    ],
)
def test_both_ends_of_a_hold_count(table, folder, first, last, hours):
    hold = Hold(instrument="BTC-USD", from_ns=at(first), to_ns=at(last))
    archive = Archive(folder, table, max_age_s=60, holds=lambda: [hold])
    fill(archive, table, 1, 14_000, size=500)
    archive.flush()
    kept = [hour for hour, (low, high) in HOURS.items() if seqs(archive, [low, high])]
    assert kept == hours


def test_of_a_shared_day_only_what_is_held_stays(folder):
    many = table_of(f"ITEM-{i:03d}" for i in range(40))
    hold = Hold(instrument="ITEM-007", from_ns=at(0), to_ns=at(100))
    archive = Archive(folder, many, max_age_s=3_600, holds=lambda: [hold])
    for code in range(40):
        fill(archive, many, 1, 20, code=code)
    fill(archive, many, 200_000, 200_010)
    archive.flush()
    shared = parts(folder, f"{SHARED}/*")
    assert [path.split("_")[-2] for path in shared if "11-14" in path] == ["20"]
    assert seqs(archive, range(1, 21), code=7) == list(range(1, 21))
    assert seqs(archive, range(1, 21), code=8) == []
    assert archive.bounds.dropped_rows == 39 * 20
    assert read_dropped(folder)[SHARED].rows == 39 * 20
    before = parts(folder)
    fill(archive, many, 201_000, 201_010)
    archive.flush()
    assert [path for path in before if "11-14" in path] == [
        path for path in parts(folder) if "11-14" in path
    ]


def test_another_workers_files_count_against_the_size(table, folder):
    other = Archive(folder, table)
    fill(other, table, 1, 12_000, code=1, size=500)
    other.flush()
    size = other.bytes
    mine = Archive(folder, table, max_bytes=size)
    fill(mine, table, 1, 12_000, size=500)
    mine.flush()
    assert mine.bytes <= size
    assert mine.bytes == sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    assert seqs(mine, [1], code=1) == []
    assert seqs(mine, [12_000], code=1) == [12_000]


def test_a_damaged_file_does_not_stop_what_is_dropped(table, folder):
    archive = Archive(folder, table, max_age_s=60)
    fill(archive, table, 1, 2_000, size=500)
    archive.append(batch(table, range(2_001, 5_000)))
    archive.flush()
    for path in folder.rglob("*.parquet"):
        path.write_bytes(b"damaged")
    later = Archive(folder, table, max_age_s=60)
    fill(later, table, 20_000, 21_000, size=500)
    later.flush()
    assert not [path for path in parts(folder, "BTC-USD/*") if "T22Z" in path]
    assert seqs(later, [21_000]) == [21_000]
