"""Snapshots of shards in storage that every worker reaches: a folder, or the store.

A snapshot is ordered by (epoch, number): what a fenced worker still writes lies behind nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from sqlalchemy import delete, select

from alerts.archive_files import write_durably
from alerts.database import reading
from alerts.schema import SNAPSHOTS
from alerts.shards import Claim, FencedError, Shards
from ingest.errors import SnapshotError
from ingest.state import MAGIC, Sections, decode, encode, unpack

SUFFIX: Final = ".ckpt"
STATE: Final = "shard"
"""Section of what a snapshot says of itself."""
_NAME: Final = re.compile(r"(?P<shard>[a-z0-9]+)-(?P<epoch>\d{10})-(?P<number>\d{10})\.ckpt")

_log = structlog.get_logger()

Order = tuple[int, int]
"""Epoch and number."""


class ShardState(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself beside the pipeline's state."""

    shard: str
    positions: tuple[tuple[int, int, int], ...]
    """Source positions that the state has come to: topic, partition, next offset."""
    entry: int
    """Last journal entry that the state knows."""
    registry: str
    """Version of the register in force."""
    handoff_id: int = 0
    partitions: int = 0
    """For how many partitions of each topic it is; 0 where that does not matter."""


class Storage(Protocol):
    """Where encoded snapshots lie."""

    def write(self, claim: Claim, number: int, data: bytes) -> None:
        """Keep a snapshot, durable before it is visible; FencedError when the shard was lost."""

    def orders(self, shard: str) -> Sequence[Order]:
        """Return what there is of a shard, oldest first."""

    def read(self, shard: str, order: Order) -> bytes:
        """Return a snapshot's bytes."""

    def drop(self, claim: Claim, orders: Sequence[Order]) -> None:
        """Let go of snapshots."""


class Snapshots:
    """The snapshots of all shards.

    Parameters
    ----------
    storage : Storage
    keep : int
        How many of a shard's newest are kept, at least 2.
    partitions : int
        For how many partitions of each topic snapshots must be to be used; 0 = any.
    """

    def __init__(self, storage: Storage, *, keep: int = 3, partitions: int = 0) -> None:
        self._storage = storage
        self._keep = keep
        self.partitions = partitions
        self._states: dict[tuple[str, Order], ShardState] = {}
        self.refused = 0
        """Snapshots that `latest` found damaged."""

    def save(self, claim: Claim, sections: Sections, *, alone: bool = True) -> int:
        """Keep a snapshot of a shard; drop those beyond `keep`, if `alone`; return its size, B."""
        orders = self._storage.orders(claim.shard)
        number = max((n for epoch, n in orders if epoch == claim.epoch), default=0) + 1
        data = encode(sections)
        self._storage.write(claim, number, data)
        self._states[claim.shard, (claim.epoch, number)] = state_of(sections)
        kept = [*orders, (claim.epoch, number)]
        if alone:
            self._storage.drop(claim, sorted(kept)[: -self._keep])
        return len(data)

    def latest(self, shard: str) -> Sections | None:
        """Return a shard's newest snapshot that is whole, or None when it has none at all.

        Raises
        ------
        SnapshotError
            There are some and every one is damaged or of another format: starting from nothing
            would hide it.
        """
        orders = self._storage.orders(shard)
        others = 0
        for order in reversed(orders):
            name = f"{shard}-{order[0]}-{order[1]}"
            try:
                sections = decode(self._storage.read(shard, order), name)
                _check(sections, shard, name)
                if state_of(sections).partitions not in {0, self.partitions}:
                    others += 1  # of a migration that was not finished, or from before one
                    continue
            except (OSError, SnapshotError, msgspec.MsgspecError, ValueError, TypeError) as error:
                self.refused += 1
                _log.error("snapshot refused", snapshot=name, error=str(error))
                continue
            return sections
        if orders and others == len(orders):
            raise SnapshotError(
                f"shard {shard} must have a snapshot for {self.partitions} partitions, found "
                f"{others} for another number: run `ringfence migrate`"
            )
        if orders:
            raise SnapshotError(
                f"all {len(orders)} snapshots of shard {shard} are damaged; move them away to "
                "start from the beginning of the feed"
            )
        return None

    def oldest(self, shard: str) -> ShardState | None:
        """Return what the oldest kept snapshot of a shard says of itself.

        None when another process wrote it: it is not read for that, for it may be large.
        """
        orders = self._storage.orders(shard)
        self._states = {
            place: state
            for place, state in self._states.items()
            if place[0] != shard or place[1] in orders
        }
        return self._states.get((shard, orders[0])) if orders else None


def state_of(sections: Sections) -> ShardState:
    """Return what a snapshot says of itself."""
    return unpack(sections[STATE]["state"], ShardState)


def _check(sections: Sections, shard: str, name: str) -> None:
    if STATE not in sections:
        raise SnapshotError(f"snapshot {name} has no section {STATE!r}: not one of a shard")
    found = state_of(sections).shard
    if found != shard:
        raise SnapshotError(f"snapshot {name} must be of shard {shard}, was of {found}")


class FolderStorage:
    """Snapshots as files of a folder that all workers share.

    Parameters
    ----------
    directory : Path
        Created when it is absent.
    shards : Shards
        Where a snapshot is noted once its file is durable: one that a worker wrote after it had
        lost the shard is in no owner's notes, and is never read.

    Raises
    ------
    SnapshotError
        The folder holds checkpoints of a version of Ringfence that had no shards.
    """

    def __init__(self, directory: Path, shards: Shards) -> None:
        self._directory = directory
        self._shards = shards
        directory.mkdir(parents=True, exist_ok=True)
        for path in directory.glob(f"*{SUFFIX}"):
            if not _NAME.fullmatch(path.name):
                raise SnapshotError(
                    f"{directory.name}/{path.name} is a checkpoint of an older format (this "
                    f"version reads {MAGIC.decode().strip()!r}, one file a shard); move it away "
                    "to read the feed from its beginning"
                )

    def write(self, claim: Claim, number: int, data: bytes) -> None:
        """Keep a snapshot, durable before it is visible."""
        path = self._path(claim.shard, (claim.epoch, number))
        write_durably(path, data)
        try:
            self._shards.note_snapshot(claim, number)
        except FencedError:
            path.unlink()
            raise

    def orders(self, shard: str) -> Sequence[Order]:
        """Return what there is of a shard and was noted by its owner, oldest first."""
        noted = self._shards.noted_snapshot(shard)
        names = map(_NAME.fullmatch, (path.name for path in self._directory.glob(f"*{SUFFIX}")))
        found = [(int(m["epoch"]), int(m["number"])) for m in names if m and m["shard"] == shard]
        return sorted(order for order in found if order <= noted)

    def read(self, shard: str, order: Order) -> bytes:
        """Return a snapshot's bytes."""
        return self._path(shard, order).read_bytes()

    def drop(self, claim: Claim, orders: Sequence[Order]) -> None:
        """Let go of snapshots."""
        for order in orders:
            self._path(claim.shard, order).unlink(missing_ok=True)

    def _path(self, shard: str, order: Order) -> Path:
        return self._directory / f"{shard}-{order[0]:010d}-{order[1]:010d}{SUFFIX}"


class StoreStorage:
    """Snapshots as rows of the store's database, compressed.

    Parameters
    ----------
    shards : Shards
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def write(self, claim: Claim, number: int, data: bytes) -> None:
        """Keep a snapshot."""
        # The driver sends bytes as text, twice as long: what is mostly small integers shrinks well.
        packed = zlib.compress(data, level=1)
        row = {"shard": claim.shard, "epoch": claim.epoch, "number": number, "data": packed}
        with self._shards.fenced(claim, "keep a snapshot") as connection:
            connection.execute(SNAPSHOTS.insert().values(row))

    def orders(self, shard: str) -> Sequence[Order]:
        """Return what there is of a shard, oldest first."""
        query = select(SNAPSHOTS.c.epoch, SNAPSHOTS.c.number).where(SNAPSHOTS.c.shard == shard)
        with reading(self._shards.engine) as connection:
            return sorted((row.epoch, row.number) for row in connection.execute(query))

    def read(self, shard: str, order: Order) -> bytes:
        """Return a snapshot's bytes."""
        query = select(SNAPSHOTS.c.data).where(*_is(shard, order))
        with reading(self._shards.engine) as connection:
            packed = bytes(connection.scalar(query) or b"")
        try:
            return zlib.decompress(packed)
        except zlib.error as error:
            raise SnapshotError(f"shard {shard}: snapshot cannot be unpacked: {error}") from error

    def drop(self, claim: Claim, orders: Sequence[Order]) -> None:
        """Let go of snapshots."""
        if not orders:
            return
        with self._shards.fenced(claim, "drop snapshots") as connection:
            for order in orders:
                connection.execute(delete(SNAPSHOTS).where(*_is(claim.shard, order)))


def _is(shard: str, order: Order):  # type: ignore[no-untyped-def]
    columns = SNAPSHOTS.c
    return columns.shard == shard, columns.epoch == order[0], columns.number == order[1]
