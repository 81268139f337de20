"""Migration: the shards' state dealt out anew, by instrument, when the partition count changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from alerts.database import transaction
from alerts.journal import packed, unpacked
from alerts.outbox import Outbox
from alerts.shards import Claim, Shards
from ingest.errors import SnapshotError, UsageError
from ingest.events import Topic
from ingest.instruments import Instruments
from ingest.source import Position
from ingest.state import Sections, pack
from monitor.deal import deal, dropped
from monitor.snapshots import STATE, ShardState, Snapshots, state_of


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration came to."""

    partitions_before: int
    partitions: int
    instruments: int
    """Instruments that had state."""
    moved: int
    """Of these, how many come from another partition now."""
    dropped: tuple[str, ...]
    """Instruments with state that instruments.csv no longer lists."""


def migrate(
    shards: Shards,
    outbox: Outbox,
    snapshots: Snapshots,
    instruments: Instruments,
    *,
    partitions: int,
    ends: Mapping[Position, int],
    partition_of: Callable[[str], int],
    owner: str,
) -> Migrated:
    """Deal the state of all shards out to another number of partitions.

    Every worker is fenced first. It takes effect in one transaction at the end: until then, and
    after a crash, the old state stands and the migration can be run again.

    Parameters
    ----------
    shards : Shards
    outbox : Outbox
    snapshots : Snapshots
    instruments : Instruments
    partitions : int
        Of each topic, as they are now.
    ends : mapping of Position to int
        End offset of every partition that the state is of.
    partition_of : callable
        The partition from which an instrument comes from now on.
    owner : str
        What the claims call this process.

    Raises
    ------
    UsageError
        The state is for so many partitions already.
    SnapshotError
        Something is not yet processed, or two shards have different versions of the register:
        workers must drain the feed first.
    """
    before = shards.partitions(partitions)
    if before == partitions:
        raise UsageError(f"the state is for {partitions} partitions already")
    if before > partitions:
        raise UsageError(
            f"the topics must have at least the {before} partitions that the state is for, found "
            f"{partitions}: read topics that were made anew under another kafka.group and store"
        )
    claims = {name: shards.claim(name, owner) for name in _names(max(before, partitions))}
    olds = [_drained(claims[name], snapshots, shards, outbox, ends) for name in _names(before)]
    registries = {state_of(old).registry for old in olds}
    if len(registries) > 1:
        raise SnapshotError(
            f"all shards must have one version of the register, had {len(registries)}: start the "
            "workers, let them come to the end of the feed, and stop them"
        )
    homes = shards.bindings()
    listed = {row.instrument for row in instruments.rows}
    new = {name: f"p{partition_of(name)}" for name in homes if name in listed}
    dealt = deal(olds, instruments, partition_of, partitions)
    frontiers: dict[str, dict[Position, int]] = {}
    for number, sections in dealt.items():
        claim = claims[f"p{number}"]
        positions = {(topic, number): ends.get((topic, number), 0) for topic in Topic}
        frontiers[claim.shard] = positions
        state = ShardState(
            shard=claim.shard,
            positions=packed(positions),
            entry=claim.entry,
            registry=next(iter(registries)),
            handoff_id=claim.handoff_id,
            partitions=partitions,
        )
        snapshots.save(claim, {**sections, STATE: {"state": pack(state)}}, alone=False)
    with transaction(shards.engine, "deal out the state") as connection:
        shards.deal(connection, partitions, new, frontiers)
    return Migrated(
        partitions_before=before,
        partitions=partitions,
        instruments=len(homes),
        moved=sum(new.get(name, shard) != shard for name, shard in homes.items()),
        dropped=tuple(dropped(olds, instruments)),
    )


def _names(partitions: int) -> Sequence[str]:
    return [f"p{number}" for number in range(partitions)]


def _drained(
    claim: Claim,
    snapshots: Snapshots,
    shards: Shards,
    outbox: Outbox,
    ends: Mapping[Position, int],
) -> Sections:
    """Return a shard's newest snapshot; nothing must have come behind it."""
    sections = snapshots.latest(claim.shard)
    if sections is None:
        raise SnapshotError(f"shard {claim.shard} must have a snapshot, found none")
    state = state_of(sections)
    at = unpacked(state.positions)
    number = int(claim.shard[1:])
    for topic in Topic:
        left = ends.get((topic, number), 0) - at.get((topic, number), 0)
        if left > 0:
            raise SnapshotError(
                f"partition {number} must have been read to its end, {left} records of "
                f"{topic.name.lower()} are left: let the workers drain the feed, and stop them"
            )
    if state.entry != claim.entry or shards.handoffs(claim.shard, after=state.handoff_id, limit=1):
        raise SnapshotError(
            f"shard {claim.shard} has decided or been handed something behind its snapshot: start "
            "the workers once more, and stop them"
        )
    if outbox.pending(claim.shard, after=outbox.read_by("kafka", claim.shard), limit=1):
        raise SnapshotError(
            f"alerts of shard {claim.shard} have not left yet: start the workers once more"
        )
    return sections
