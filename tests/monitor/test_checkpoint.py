from __future__ import annotations

import numpy as np
import pytest

from ingest.errors import SnapshotError
from monitor.checkpoint import Checkpoints, decode, encode

SECTIONS = {
    "book": {"price": np.array([[1, -(2**63)], [3, 4]]), "hash": np.array([2**64 - 1], "uint64")},
    "empty": {"nothing": np.zeros(0, "int8")},
}


def same(left, right):
    return left.keys() == right.keys() and all(
        np.array_equal(left[s][k], right[s][k]) and left[s][k].dtype == right[s][k].dtype
        for s in left
        for k in left[s]
    )


def test_what_is_saved_comes_back(tmp_path):
    store = Checkpoints(tmp_path)
    assert store.latest() is None
    store.save(SECTIONS)
    assert same(store.latest(), SECTIONS)


def test_a_restored_array_can_be_written_to(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(SECTIONS)
    store.latest()["book"]["price"][0, 0] = 9


@pytest.mark.parametrize("place", [0, 30, 60, -1])
def test_any_changed_byte_is_refused_and_the_older_checkpoint_used(tmp_path, place):
    store = Checkpoints(tmp_path)
    store.save(SECTIONS)
    newest = store.save({"other": {"a": np.arange(3)}})
    data = bytearray(newest.read_bytes())
    data[place] ^= 1
    newest.write_bytes(bytes(data))
    assert same(store.latest(), SECTIONS)
    assert store.refused == 1


def test_a_truncated_checkpoint_is_refused():
    data = encode(SECTIONS)
    for length in (0, 10, 40, len(data) - 1):
        with pytest.raises(SnapshotError):
            decode(data[:length], "x")


def test_when_every_checkpoint_is_damaged_it_says_so_and_starts_nothing(tmp_path):
    store = Checkpoints(tmp_path)
    store.save(SECTIONS).write_bytes(b"")
    with pytest.raises(SnapshotError, match="all 1 checkpoints"):
        store.latest()


def test_only_the_newest_are_kept_and_a_partial_write_is_not_seen(tmp_path):
    store = Checkpoints(tmp_path, keep=2)
    for n in range(4):
        store.save({"n": {"n": np.array([n])}})
    (tmp_path / "000000000009.partial").write_bytes(b"half")
    assert len(list(tmp_path.glob("*.ckpt"))) == 2
    assert store.latest()["n"]["n"].tolist() == [3]
