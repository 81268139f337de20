"""States beside the archive: kept, found before a time, bounded, and damage named."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.archive_holds import Hold
from alerts.states import States
from ingest.errors import SnapshotError
from tests.support.archives import old

HOUR = 3_600 * 10**9


def sections(n):
    return {"book": {"orders": np.arange(n), "names": np.frombuffer(b"BTC", np.uint8)}}


def save(states, hour, *, shard="p0", instruments=("BTC-USD",), n=10):
    seqs = {name: 100 * hour + i for i, name in enumerate(instruments)}
    return states.save(shard, hour * HOUR, sections(n), seqs)


def test_the_last_state_with_nothing_after_a_time_is_found(tmp_path):
    states = States(tmp_path)
    for hour in (1, 2, 5):
        save(states, hour, n=hour)
    again = States(tmp_path)
    assert again.before("p0", "BTC-USD", HOUR - 1) is None
    assert again.before("p0", "BTC-USD", HOUR).at_ns == HOUR
    assert again.before("p0", "BTC-USD", 5 * HOUR - 1).at_ns == 2 * HOUR
    found = again.before("p0", "BTC-USD", 99 * HOUR)
    assert (found.at_ns, found.seqs, found.shard) == (5 * HOUR, {"BTC-USD": 500}, "p0")
    loaded = again.load(found)
    np.testing.assert_array_equal(loaded["book"]["orders"], np.arange(5))
    assert again.before("p0", "ETH-USD", 99 * HOUR) is None
    assert again.before("p1", "BTC-USD", 99 * HOUR) is None


def test_an_instrument_that_moved_is_found_in_whichever_shard_had_it_last(tmp_path):
    states = States(tmp_path)
    save(states, 1, shard="p0", instruments=("A", "B"))
    save(states, 2, shard="p0", instruments=("A",))
    save(states, 3, shard="p/1", instruments=("B",))
    assert states.before(None, "B", 2 * HOUR).shard == "p0"
    assert states.before(None, "B", 2 * HOUR).at_ns == HOUR
    assert states.before(None, "B", 3 * HOUR).shard == "p/1"


@pytest.mark.parametrize("suffix", [".ckpt", ".json"])
def test_a_damaged_state_is_named_and_the_one_before_is_used(tmp_path, suffix):
    states = States(tmp_path)
    for hour in (1, 2):
        save(states, hour)
    last = states.before("p0", "BTC-USD", 9 * HOUR)
    path = (tmp_path / last.path).with_suffix(suffix)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = States(tmp_path)
    assert again.before("p0", "BTC-USD", 9 * HOUR).at_ns == HOUR
    assert list(again.damaged) == [last.path]
    assert list(States(tmp_path).verify()) == [last.path]
    path.unlink()
    assert States(tmp_path).before("p0", "BTC-USD", 9 * HOUR).at_ns == HOUR
    (tmp_path / last.path).unlink(missing_ok=True)
    with pytest.raises(SnapshotError, match="state"):
        again.load(last)


def test_the_oldest_states_go_by_age_and_by_size_but_never_a_shards_last(tmp_path):
    states = States(tmp_path / "age", max_age_s=3 * 3_600)
    save(states, 1, shard="quiet")
    for hour in range(1, 10):
        save(states, hour)
    assert [states.before("p0", "BTC-USD", h * HOUR) is None for h in range(1, 10)] == [
        *[True] * 5,
        *[False] * 4,
    ]
    assert states.before("quiet", "BTC-USD", 9 * HOUR).at_ns == HOUR
    assert states.dropped == 5
    size = save(States(tmp_path / "one"), 1).bytes
    states = States(tmp_path / "size", max_bytes=3 * size)
    for hour in range(1, 10):
        save(states, hour)
    kept = list((tmp_path / "size").rglob("*.ckpt"))
    assert len(kept) == 3
    assert states.dropped_bytes == 6 * size
    assert states.before("p0", "BTC-USD", 6 * HOUR) is None


def test_the_state_that_a_held_window_starts_from_stays(tmp_path):
    holds = [Hold(instrument="BTC-USD", from_ns=3 * HOUR + 5, to_ns=4 * HOUR)]
    states = States(tmp_path, max_bytes=1, holds=lambda: holds)
    for hour in range(1, 10):
        save(states, hour)
        save(states, hour, shard="p1", instruments=("ETH-USD",))
    assert states.before("p0", "BTC-USD", 3 * HOUR + 5).at_ns == 3 * HOUR
    assert states.before("p0", "BTC-USD", 8 * HOUR).at_ns == 3 * HOUR
    assert states.before("p1", "ETH-USD", 8 * HOUR) is None
    assert states.held_bytes_over > 0
    holds.clear()
    save(states, 10)
    assert states.before("p0", "BTC-USD", 9 * HOUR) is None
    assert len(list(tmp_path.rglob("*.ckpt"))) == len(list(tmp_path.rglob("*.json"))) == 2


def test_a_state_half_written_is_not_trusted(tmp_path):
    states = States(tmp_path)
    save(states, 1)
    half = tmp_path / "_states/p0/0000007200000000000_abc-000001.ckpt"
    half.write_bytes(b"half")
    old(half)
    assert states.before("p0", "BTC-USD", 9 * HOUR).at_ns == HOUR
    assert list(states.damaged) == [half.relative_to(tmp_path).as_posix()]
