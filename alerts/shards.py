"""Shards in the store: who owns each, under which fencing epoch, and what its passes committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from sqlalchemy import Connection, Engine, delete, select, update

from alerts.database import insert_for, reading, transaction
from alerts.journal import Decisions, Entry, Positions, packed, unpacked
from alerts.schema import (
    BINDINGS,
    FEED,
    HANDOFFS,
    JOURNAL,
    REGISTRY_VERSIONS,
    SHARDS,
)
from ingest.errors import RingfenceError
from ingest.register import Registered
from ingest.registry import RegistryRow
from ingest.source import Position


class FencedError(RingfenceError):
    """Another worker owns the shard now: nothing of this one's is written any more."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, owned from an epoch on, and how far its owners have come before."""

    shard: str
    epoch: int
    entry: int
    """Number of the last journal entry; 0 = none."""
    frontier: Mapping[Position, int]
    """Positions of the last commit; empty = none."""
    handoff_id: int
    """Last hand-off whose findings were committed."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pass has come; written with what it found."""

    positions: Positions
    decisions: Decisions = Decisions()
    handoff_id: int | None = None


class Shards:
    """The shards' rows of the store.

    Parameters
    ----------
    engine : Engine
        Of a store that was migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def claim(self, shard: str, owner: str) -> Claim:
        """Take a shard over: every earlier owner is fenced from here on."""
        with transaction(self.engine, f"claim shard {shard}") as connection:
            insert = insert_for(connection)
            row = {"shard": shard, "epoch": 0, "owner": owner}
            connection.execute(insert(SHARDS).values(row).on_conflict_do_nothing())
            connection.execute(
                update(SHARDS)
                .where(SHARDS.c.shard == shard)
                .values(epoch=SHARDS.c.epoch + 1, owner=owner)
            )
            found = connection.execute(select(SHARDS).where(SHARDS.c.shard == shard)).one()
        rows = msgspec.json.decode(found.frontier, type=list[tuple[int, int, int]])
        return Claim(
            shard=shard,
            epoch=found.epoch,
            entry=found.entry,
            frontier=unpacked(rows),
            handoff_id=found.handoff_id,
        )

    def holds(self, claim: Claim) -> bool:
        """Return whether a claim is still the newest."""
        with reading(self.engine) as connection:
            query = select(SHARDS.c.epoch).where(SHARDS.c.shard == claim.shard)
            return connection.scalar(query) == claim.epoch

    def note_snapshot(self, claim: Claim, number: int) -> None:
        """Note a snapshot that the owner has kept in a folder; FencedError when it is none."""
        with self.fenced(claim, "note a snapshot") as connection:
            values = {"snapshot_epoch": claim.epoch, "snapshot_number": number}
            connection.execute(update(SHARDS).where(SHARDS.c.shard == claim.shard).values(values))

    def noted_snapshot(self, shard: str) -> tuple[int, int]:
        """Return epoch and number of the newest snapshot noted; (0, 0) = none."""
        query = select(SHARDS.c.snapshot_epoch, SHARDS.c.snapshot_number)
        with reading(self.engine) as connection:
            found = connection.execute(query.where(SHARDS.c.shard == shard)).first()
        return (found[0], found[1]) if found else (0, 0)

    @contextmanager
    def fenced(self, claim: Claim, action: str) -> Iterator[Connection]:
        """Yield a transaction that only the shard's owner can commit.

        Raises
        ------
        FencedError
            The shard has been claimed anew; nothing is written.
        """
        with transaction(self.engine, action) as connection:
            query = select(SHARDS.c.epoch).where(SHARDS.c.shard == claim.shard).with_for_update()
            found = connection.scalar(query)
            if found != claim.epoch:
                raise FencedError(
                    f"shard {claim.shard} must be owned under epoch {claim.epoch}, "
                    f"found epoch {found}: another worker has taken it over"
                )
            yield connection

    def advance(self, connection: Connection, claim: Claim, entry: int, done: Progress) -> int:
        """Move the frontier inside a fenced transaction; return the last journal entry's number."""
        values: dict[str, object] = {
            "frontier": msgspec.json.encode(packed(done.positions)).decode()
        }
        if done.handoff_id is not None:
            values["handoff_id"] = done.handoff_id
        if done.decisions:
            entry += 1
            values["entry"] = entry
            line = Entry(number=entry, positions=packed(done.positions), decisions=done.decisions)
            connection.execute(
                JOURNAL.insert().values(
                    shard=claim.shard,
                    entry=entry,
                    epoch=claim.epoch,
                    lasting=int(done.decisions.lasting),
                    record=msgspec.json.encode(line).decode(),
                )
            )
        connection.execute(update(SHARDS).where(SHARDS.c.shard == claim.shard).values(values))
        return entry

    def partitions(self, found: int) -> int:
        """Return for how many partitions the state is; `found` when there is none yet."""
        with transaction(self.engine, "note the number of partitions") as connection:
            row = {"id": 1, "partitions": found}
            connection.execute(insert_for(connection)(FEED).values(row).on_conflict_do_nothing())
            return connection.scalar(select(FEED.c.partitions)) or found

    def deal(
        self,
        connection: Connection,
        partitions: int,
        homes: Mapping[str, str],
        frontiers: Mapping[str, Positions],
    ) -> None:
        """Note, inside a transaction, that state was dealt out to another number of partitions.

        Parameters
        ----------
        connection : Connection
        partitions : int
            The new number.
        homes : mapping of str to str
            The shard of each instrument that was read.
        frontiers : mapping of str to Positions
            Of each new shard, which was claimed before.
        """
        connection.execute(update(FEED).values(partitions=partitions))
        for instrument, shard in homes.items():
            connection.execute(
                update(BINDINGS).where(BINDINGS.c.instrument == instrument).values(shard=shard)
            )
        for shard, positions in frontiers.items():
            connection.execute(
                update(SHARDS)
                .where(SHARDS.c.shard == shard)
                .values(frontier=msgspec.json.encode(packed(positions)).decode())
            )

    def journal(self, shard: str, *, after: int = 0) -> Sequence[Entry]:
        """Return a shard's journal behind an entry, in order."""
        query = (
            select(JOURNAL.c.record)
            .where(JOURNAL.c.shard == shard, JOURNAL.c.entry > after)
            .order_by(JOURNAL.c.entry)
        )
        with reading(self.engine) as connection:
            return [msgspec.json.decode(r, type=Entry) for r in connection.scalars(query)]

    def trim(self, claim: Claim, *, entry: int, handoff_id: int) -> None:
        """Drop what no kept snapshot is older than: boundaries, and hand-offs that were taken."""
        with self.fenced(claim, "trim the journal") as connection:
            connection.execute(
                delete(JOURNAL).where(
                    JOURNAL.c.shard == claim.shard,
                    JOURNAL.c.entry <= entry,
                    JOURNAL.c.lasting == 0,
                )
            )
            connection.execute(
                delete(HANDOFFS).where(HANDOFFS.c.shard == claim.shard, HANDOFFS.c.id <= handoff_id)
            )

    def bind(self, claim: Claim, instruments: Iterable[str]) -> Mapping[str, str]:
        """Bind instruments read for the first time; return those of another shard, with it.

        An instrument belongs to the shard that read it first, for good.
        """
        names = sorted(instruments)
        if not names:
            return {}
        with self.fenced(claim, "bind instruments") as connection:
            insert = insert_for(connection)
            connection.execute(
                insert(BINDINGS).on_conflict_do_nothing(),
                [{"instrument": name, "shard": claim.shard} for name in names],
            )
            query = select(BINDINGS).where(
                BINDINGS.c.instrument.in_(names), BINDINGS.c.shard != claim.shard
            )
            return {row.instrument: row.shard for row in connection.execute(query)}

    def bindings(self) -> Mapping[str, str]:
        """Return the shard of every instrument that has been read."""
        with reading(self.engine) as connection:
            return {row.instrument: row.shard for row in connection.execute(select(BINDINGS))}

    def save_registry(self, connection: Connection, version: str, said: Registered) -> None:
        """Keep a version of the register, inside a transaction."""
        row = {"version": version, "record": msgspec.msgpack.encode(said)}
        insert = insert_for(connection)
        connection.execute(insert(REGISTRY_VERSIONS).values(row).on_conflict_do_nothing())

    def registry(self, version: str) -> Registered | None:
        """Return what a version of the register says, or None when it was never in force."""
        query = select(REGISTRY_VERSIONS.c.record).where(REGISTRY_VERSIONS.c.version == version)
        with reading(self.engine) as connection:
            record = connection.scalar(query)
        if record is None:
            return None
        # A version kept before there were terms is its rows alone.
        said = msgspec.msgpack.decode(record, type=list[RegistryRow] | Registered)
        return said if isinstance(said, Registered) else Registered(rows=said)

    def handoffs(
        self, shard: str, *, after: int, limit: int = 1_000
    ) -> Sequence[tuple[int, bytes]]:
        """Return (id, record) of the hand-offs to a shard behind an id, in order."""
        query = (
            select(HANDOFFS.c.id, HANDOFFS.c.record)
            .where(HANDOFFS.c.shard == shard, HANDOFFS.c.id > after)
            .order_by(HANDOFFS.c.id)
            .limit(limit)
        )
        with reading(self.engine) as connection:
            return [(row.id, bytes(row.record)) for row in connection.execute(query)]

    def hand_over(self, connection: Connection, records: Sequence[tuple[str, bytes]]) -> None:
        """Put (shard, record) pairs where the shards find them, inside a transaction."""
        if records:
            connection.execute(
                HANDOFFS.insert(), [{"shard": s, "record": record} for s, record in records]
            )
