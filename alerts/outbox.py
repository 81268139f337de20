"""The outbox: what has to leave, in the order in which it was committed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, func, select

from alerts.database import insert_for, reading
from alerts.record import Alert, encode
from alerts.schema import OUTBOX, OUTBOX_READ
from alerts.shards import Claim, Shards
from ingest.kafka_relay import OutboxRow


class Outbox:
    """Rows of the outbox, by shard, and how far each consumer is.

    A consumer that keeps its own place, as the Kafka relay does, tells it here only so that rows
    can be dropped. State: one row a revision that not every consumer has read.

    Parameters
    ----------
    engine : Engine
        Of a store that was migrated.
    consumers : sequence of str
        All that must have read a row before it is dropped; with none nothing is kept.
    """

    def __init__(self, engine: Engine, consumers: Sequence[str] = ()) -> None:
        self._engine = engine
        self.consumers = tuple(consumers)

    def add(self, connection: Connection, shard: str, alerts: Sequence[Alert]) -> None:
        """Put alerts into the outbox, inside the transaction that keeps them."""
        if alerts and self.consumers:
            connection.execute(
                OUTBOX.insert(),
                [
                    {
                        "shard": shard,
                        "alert_id": alert.alert_id,
                        "revision": alert.revision,
                        "record": encode(alert),
                    }
                    for alert in alerts
                ],
            )

    def pending(self, shard: str, *, after: int, limit: int = 500) -> Sequence[OutboxRow]:
        """Return a shard's rows behind an id, in order."""
        query = (
            select(OUTBOX)
            .where(OUTBOX.c.shard == shard, OUTBOX.c.id > after)
            .order_by(OUTBOX.c.id)
            .limit(limit)
        )
        with reading(self._engine, "read the outbox") as connection:
            return [
                OutboxRow(id=row.id, key=row.alert_id.encode(), value=bytes(row.record))
                for row in connection.execute(query)
            ]

    def read_by(self, consumer: str, shard: str) -> int:
        """Return the last id of a shard that a consumer has noted; 0 = none."""
        query = select(OUTBOX_READ.c.last_id).where(
            OUTBOX_READ.c.consumer == consumer, OUTBOX_READ.c.shard == shard
        )
        with reading(self._engine, "read the outbox") as connection:
            return connection.scalar(query) or 0

    def waiting(self) -> int:
        """Return how many rows are kept, of all shards."""
        with reading(self._engine, "read the outbox") as connection:
            return connection.scalar(select(func.count()).select_from(OUTBOX)) or 0

    def settle(self, shards: Shards, claim: Claim, consumer: str, last_id: int) -> None:
        """Note how far a consumer is; drop what all have read. Only the shard's owner may."""
        with shards.fenced(claim, "settle the outbox") as connection:
            statement = insert_for(connection)(OUTBOX_READ)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["consumer", "shard"],
                    set_={"last_id": statement.excluded.last_id},
                    where=statement.excluded.last_id > OUTBOX_READ.c.last_id,
                ),
                {"consumer": consumer, "shard": claim.shard, "last_id": last_id},
            )
            read = select(OUTBOX_READ.c.last_id).where(
                OUTBOX_READ.c.shard == claim.shard, OUTBOX_READ.c.consumer.in_(self.consumers)
            )
            places = list(connection.scalars(read))
            if len(places) == len(self.consumers):
                connection.execute(
                    delete(OUTBOX).where(OUTBOX.c.shard == claim.shard, OUTBOX.c.id <= min(places))
                )
