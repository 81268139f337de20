from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ingest.content import FEW, content
from ingest.events import WIRE, Batch, concatenate, empty
from ingest.held import FEW as GATHERED_FEW
from ingest.held import gather
from tests.support.venue import random_tape


@pytest.fixture(scope="module")
def batch():
    batch = random_tape(5, 2_000, abuse=("tag_error",)).batch()
    batch.raw = pl.Series("raw", [f"record {i}".encode() for i in range(len(batch))], pl.Binary)
    return batch


def part(batch, start, end):
    return batch.take(np.arange(start, end))


def test_a_record_has_one_content_in_however_small_a_push_it_comes(batch):
    assert len(batch) > 4 * FEW
    whole = content(batch)
    for size in (1, 7, FEW, FEW + 1, 2 * FEW):
        cuts = range(0, len(batch) - size, size * 3)
        for start in cuts:
            got = content(part(batch, start, start + size))
            assert got.tolist() == whole[start : start + size].tolist()


def test_one_changed_field_changes_the_content_of_a_small_push(batch):
    few = part(batch, 100, 110)
    before = content(few)
    for name in set(WIRE) - {"instrument", "seq", "partition", "offset"}:
        column = few[name].copy()
        column[3] ^= column.dtype.type(1)
        changed = content(few.with_columns({name: column})) != before
        assert np.flatnonzero(changed).tolist() == [3], name


def test_rows_are_gathered_alike_from_small_and_large_batches(batch):
    rng = np.random.default_rng(1)
    for size in (2, GATHERED_FEW, GATHERED_FEW + 1, len(batch)):
        source = part(batch, 0, size)
        for count in (0, 1, size // 2, size):
            rows = rng.permutation(size)[:count]
            got = gather(source, rows)
            for name in source.names:
                assert got[name].tolist() == source[name][rows].tolist(), (name, size, count)
            assert got.raw.to_list() == [f"record {row}".encode() for row in rows]


def test_a_batch_does_not_share_its_empty_tables_with_another():
    table = concatenate([random_tape(1, 10).batch()]).instruments
    first, second = (Batch(empty(WIRE), table) for _ in range(2))
    first.passed_over["client_lots"] = np.ones(1, np.int64)
    assert len(second.passed_over["client_lots"]) == 0
