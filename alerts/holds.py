"""Holds in the store: an alert's evidence, and what a person has put on hold."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Engine, Row, select, update

from alerts.archive_holds import Hold
from alerts.audit import AuditLog
from alerts.database import reading, transaction
from alerts.schema import HOLDS
from ingest.errors import UsageError

HoldKind = Literal["alert", "legal"]
BOUND: Final = 2**63


class StoredHold(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table `holds`; times are UTC ns, both ends of the range count."""

    hold_id: str
    kind: HoldKind
    subject: str
    """The alert, or the matter that a person named."""
    instrument: str
    from_ns: int
    to_ns: int
    reason: str
    placed_by: str
    placed_ns: int
    released_ns: int | None = None

    @property
    def active(self) -> bool:
        """Whether it has not been released."""
        return self.released_ns is None


class Holds:
    """The holds that the store keeps; a released one stays as a row, and holds nothing.

    Alerts place theirs in the transaction that they are committed in (`alerts.commit`). What
    people do is written into the audit log in the same transaction.

    Parameters
    ----------
    engine : Engine
        Of a store whose tables are up to date.
    audit : AuditLog, optional
        Default: the store's.
    """

    def __init__(self, engine: Engine, *, audit: AuditLog | None = None) -> None:
        self._engine = engine
        self._audit = audit or AuditLog(engine)

    def place(
        self,
        instrument: str,
        from_ns: int,
        to_ns: int,
        *,
        reason: str,
        placed_by: str,
        placed_ns: int,
        subject: str = "",
    ) -> StoredHold:
        """Put archived events on legal hold and return it; in force once this has returned.

        Raises
        ------
        UsageError
            The range is empty or no time, or nothing is said of why or by whom.
        StoreError
            The store cannot be written.
        """
        if not -BOUND < from_ns <= to_ns < BOUND:
            raise UsageError(f"a hold must end at or after its beginning {from_ns}, was {to_ns}")
        for name, said in (("instrument", instrument), ("reason", reason), ("name", placed_by)):
            if not said.strip():
                raise UsageError(f"a hold must have a {name}: it was empty")
        hold = StoredHold(
            hold_id=f"legal-{secrets.token_hex(8)}",
            kind="legal",
            subject=subject,
            instrument=instrument,
            from_ns=from_ns,
            to_ns=to_ns,
            reason=reason,
            placed_by=placed_by,
            placed_ns=placed_ns,
        )
        row = msgspec.structs.asdict(hold)
        with transaction(self._engine, "place a hold") as connection:
            connection.execute(HOLDS.insert().values(row))
            self._audit.append_in(connection, placed_by, "hold placed", hold.hold_id, row)
        return hold

    def release(self, hold_id: str, *, released_by: str, released_ns: int) -> StoredHold:
        """End a hold and return it as it is now.

        Raises
        ------
        UsageError
            There is no such hold, or it was released before.
        StoreError
            The store cannot be written.
        """
        if not released_by.strip():
            raise UsageError("a hold must be released by somebody: the name was empty")
        with transaction(self._engine, "release a hold") as connection:
            changed = connection.execute(
                update(HOLDS)
                .where(HOLDS.c.hold_id == hold_id, HOLDS.c.released_ns.is_(None))
                .values(released_ns=released_ns)
            ).rowcount
            found = connection.execute(select(HOLDS).where(HOLDS.c.hold_id == hold_id)).first()
            if found is None:
                raise UsageError(f"there is no hold {hold_id!r}; `ringfence archive holds`")
            if not changed:
                raise UsageError(f"hold {hold_id} was released before")
            hold = _stored(found)
            detail = msgspec.structs.asdict(hold)
            self._audit.append_in(connection, released_by, "hold released", hold_id, detail)
        return hold

    def active(self) -> Sequence[Hold]:
        """Return what may not be dropped now: what `Archive` and `States` are given as `holds`."""
        columns = (HOLDS.c.instrument, HOLDS.c.from_ns, HOLDS.c.to_ns, HOLDS.c.reason)
        query = select(*columns).where(HOLDS.c.released_ns.is_(None))
        with reading(self._engine, "read the holds") as connection:
            return [Hold(**row) for row in connection.execute(query).mappings()]

    def all(self, *, released: bool = True) -> Sequence[StoredHold]:
        """Return the holds, oldest first; without `released` only those in force."""
        query = select(HOLDS).order_by(HOLDS.c.placed_ns, HOLDS.c.hold_id)
        if not released:
            query = query.where(HOLDS.c.released_ns.is_(None))
        with reading(self._engine, "read the holds") as connection:
            return [_stored(row) for row in connection.execute(query)]


def _stored(row: Row[Any]) -> StoredHold:
    return StoredHold(**{str(name): value for name, value in row._mapping.items()})
