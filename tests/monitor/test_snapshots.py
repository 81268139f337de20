from __future__ import annotations

import msgspec
import numpy as np
import pytest

from alerts.database import insert_for
from alerts.schema import REGISTRY_VERSIONS
from alerts.shards import FencedError, Shards
from alerts.store import AlertStore
from ingest.errors import SnapshotError
from ingest.events import Role
from ingest.names import Names
from ingest.register import Register, Registered, RegistryRow
from ingest.registry import ALWAYS, FOREVER
from ingest.state import decode, encode, pack
from ingest.terms import Disclosure, Terms
from monitor.snapshots import STATE, FolderStorage, ShardState, Snapshots, StoreStorage, state_of

ARRAYS = {
    "book": {"price": np.array([[1, -(2**63)], [3, 4]]), "hash": np.array([2**64 - 1], "uint64")},
    "empty": {"nothing": np.zeros(0, "int8")},
}


def sections(number=0, shard="p0"):
    state = ShardState(shard=shard, positions=((0, 0, number),), entry=number, registry="r")
    return {**ARRAYS, STATE: {"state": pack(state)}}


def same(left, right):
    return left.keys() == right.keys() and all(
        np.array_equal(left[s][k], right[s][k]) and left[s][k].dtype == right[s][k].dtype
        for s in left
        for k in left[s]
    )


@pytest.fixture
def shards(tmp_path):
    store = AlertStore(f"sqlite:///{tmp_path}/store.sqlite")
    store.migrate()
    yield Shards(store.engine)
    store.close()


@pytest.fixture(params=["folder", "store"])
def storage(request, tmp_path, shards):
    if request.param == "folder":
        return FolderStorage(tmp_path / "snapshots", shards)
    return StoreStorage(shards)


def test_what_is_saved_comes_back_and_can_be_written_to(storage, shards):
    snapshots, claim = Snapshots(storage), shards.claim("p0", "one")
    assert snapshots.latest("p0") is None
    assert snapshots.save(claim, sections()) == len(encode(sections()))
    found = snapshots.latest("p0")
    assert same(found, sections())
    found["book"]["price"][0, 0] = 9
    assert snapshots.latest("p1") is None


@pytest.mark.parametrize("place", [0, 30, 60, -1])
def test_any_changed_byte_is_refused_and_the_older_snapshot_used(tmp_path, shards, place):
    snapshots = Snapshots(FolderStorage(tmp_path / "s", shards))
    claim = shards.claim("p0", "one")
    snapshots.save(claim, sections(1))
    snapshots.save(claim, sections(2))
    newest = max((tmp_path / "s").glob("*.ckpt"))
    data = bytearray(newest.read_bytes())
    data[place] ^= 1
    newest.write_bytes(bytes(data))
    assert state_of(snapshots.latest("p0")).entry == 1
    assert snapshots.refused == 1


def test_a_truncated_snapshot_is_refused():
    data = encode(ARRAYS)
    for length in (0, 10, 40, len(data) - 1):
        with pytest.raises(SnapshotError):
            decode(data[:length], "x")


def test_when_every_snapshot_is_damaged_it_says_so_and_starts_nothing(tmp_path, shards):
    snapshots = Snapshots(FolderStorage(tmp_path / "s", shards))
    snapshots.save(shards.claim("p0", "one"), sections())
    next((tmp_path / "s").glob("*.ckpt")).write_bytes(b"")
    with pytest.raises(SnapshotError, match="all 1 snapshots of shard p0 are damaged"):
        snapshots.latest("p0")


def test_a_snapshot_of_another_shard_is_refused(storage, shards):
    snapshots = Snapshots(storage)
    snapshots.save(shards.claim("p1", "one"), sections(shard="p0"))
    with pytest.raises(SnapshotError, match="damaged"):
        snapshots.latest("p1")


def test_only_the_newest_are_kept_and_a_partial_write_is_not_seen(tmp_path, storage, shards):
    snapshots, claim = Snapshots(storage, keep=2), shards.claim("p0", "one")
    for number in range(4):
        snapshots.save(claim, sections(number))
    (tmp_path / "snapshots").mkdir(exist_ok=True)
    (tmp_path / "snapshots" / "p0-0000000001-0000000009.partial").write_bytes(b"half")
    assert storage.orders("p0") == [(1, 3), (1, 4)]
    assert state_of(snapshots.latest("p0")).entry == 3
    assert snapshots.oldest("p0").entry == 2


def test_a_fenced_worker_keeps_no_snapshot(storage, shards):
    snapshots, old = Snapshots(storage), shards.claim("p0", "one")
    new = shards.claim("p0", "two")
    with pytest.raises(FencedError):
        snapshots.save(old, sections(1))
    assert snapshots.latest("p0") is None
    snapshots.save(new, sections(2))
    assert state_of(snapshots.latest("p0")).entry == 2


def test_a_late_write_of_an_older_epoch_lies_behind_a_newer_one(tmp_path, shards):
    storage = FolderStorage(tmp_path / "s", shards)
    snapshots, old = Snapshots(storage), shards.claim("p0", "one")
    for number in range(3):
        snapshots.save(old, sections(number))
    new = shards.claim("p0", "two")
    snapshots.save(new, sections(7))
    # A worker that was stopped between its look at the epoch and the file's appearing.
    (tmp_path / "s" / "p0-0000000001-0000000009.ckpt").write_bytes(encode(sections(5)))
    assert state_of(snapshots.latest("p0")).entry == 7


def test_a_file_that_no_owner_noted_is_never_read(tmp_path, shards):
    """A worker froze before its snapshot's file appeared, lost the shard, and woke."""
    snapshots = Snapshots(FolderStorage(tmp_path / "s", shards))
    old = shards.claim("p0", "one")
    snapshots.save(old, sections(1))
    shards.claim("p0", "two")
    (tmp_path / "s" / "p0-0000000001-0000000002.ckpt").write_bytes(encode(sections(2)))
    assert state_of(snapshots.latest("p0")).entry == 1


def test_checkpoints_of_a_version_without_shards_are_refused_in_one_line(tmp_path, shards):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "000000000001.ckpt").write_bytes(b"ringfence checkpoint 1\n")
    with pytest.raises(SnapshotError, match="checkpoint of an older format") as caught:
        FolderStorage(tmp_path / "old", shards)
    assert "\n" not in str(caught.value)


def test_a_version_of_the_register_comes_back_with_its_terms(shards):
    rows = [RegistryRow(account="C1", owner="C1", legal_entity="", role=Role.CLIENT)]
    disclosure = Disclosure(
        subject="MM1", kind="fee", instrument="", value="0.5", unit="maker_bps",
        document="fees", valid_from_ns=ALWAYS, valid_to_ns=FOREVER,
    )  # fmt: skip
    said = Registered(rows=rows, terms=Terms((), (disclosure,)))
    with shards.engine.begin() as connection:
        shards.save_registry(connection, "new", said)
        # As it was kept before there were terms: the rows alone.
        old = {"version": "old", "record": msgspec.msgpack.encode(rows)}
        connection.execute(insert_for(connection)(REGISTRY_VERSIONS).values(old))
    assert shards.registry("none") is None
    assert shards.registry("old") == Registered(rows=rows)
    found = shards.registry("new")
    assert (found.rows, found.terms.content) == (rows, said.terms.content)
    assert (
        Register(found.rows, Names(), terms=found.terms).version != Register(rows, Names()).version
    )
