"""The audit log: what people did and read, appended only, each entry chained to the one before."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, LargeBinary, Select, cast, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from alerts.audit_chain import (
    GENESIS,
    AuditEntry,
    AuditHead,
    Verification,
    canonical,
    digest,
    verify_chain,
)
from alerts.database import failure, reading, transaction
from alerts.schema import AUDIT

__all__ = ["AuditEntry", "AuditHead", "AuditLog", "Verification"]

WRITERS_LOCK: Final = 0x41554454
"""Key of PostgreSQL's advisory lock of who appends: "AUDT"."""
PAGE: Final = 10_000
"""Rows fetched at once: a few MB."""
LONGEST: Final = 1_000
"""Characters of a name; what is longer belongs into the detail."""
COLUMNS: Final = tuple(column.name for column in AUDIT.columns)
TEXTS: Final = ("actor", "action", "subject", "detail", "previous", "hash")

TRIGGERS: Final = {
    "sqlite": ("audit_no_update", "audit_no_delete", "audit_continues"),
    "postgresql": ("audit_no_change", "audit_continues"),
}
TRIGGER_NAMES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'",
    "postgresql": "SELECT tgname FROM pg_trigger "
    "WHERE tgrelid = 'audit'::regclass AND tgenabled IN ('O', 'A')",
}
"""What keeps the table append-only, and how to see that it is still there and on."""


class AuditLog:
    """Appends to and checks the table `audit`; several writers at once keep one chain.

    Parameters
    ----------
    engine : Engine
        Of a store whose tables are up to date.
    clock : callable
        Returns UTC nanoseconds. A clock that steps back changes no order: that is the sequence's.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._engine = engine
        self._clock = clock

    def append(
        self, actor: str, action: str, subject: str, detail: Mapping[str, Any]
    ) -> AuditEntry:
        """Append an entry in a transaction of its own; it is durable on return.

        Raises
        ------
        StoreError, TypeError, ValueError
            As of `append_in`.
        """
        with transaction(self._engine, "append to the audit log") as connection:
            return self.append_in(connection, actor, action, subject, detail)

    def append_in(
        self,
        connection: Connection,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any],
    ) -> AuditEntry:
        """Append an entry in a transaction that the caller has open: both commit or neither.

        From here to the commit nobody else can append: do it last, and commit soon. On PostgreSQL
        the transaction must be READ COMMITTED, its default. On SQLite one that has read and not
        yet written fails when another has written meanwhile.

        Parameters
        ----------
        connection : Connection
            Of the same database; nothing is committed here.
        actor, action, subject : str
            Who did what to what; at most 1,000 characters, none of them NUL; no actor and no
            action is empty.
        detail : mapping
            What else is worth knowing, as JSON.

        Raises
        ------
        StoreError
            The database refused; the caller's transaction is lost.
        TypeError, ValueError
            A value that cannot be kept as it is; nothing was written.
        """
        names = {"actor": actor, "action": action, "subject": subject}
        for name, value in names.items():
            _require_text(name, value, empty=name == "subject")
        kept = canonical(detail)
        kept.encode()  # half a surrogate pair would be refused later, less clearly
        try:
            self._take_turn(connection)
            last = _head(connection)
            sequence, at_ns = last.sequence + 1, self._clock()
            entry = AuditEntry(
                sequence=sequence,
                at_ns=at_ns,
                **names,
                detail=kept,
                previous=last.hash,
                hash=digest(
                    sequence, at_ns, actor, action, subject, detail=kept, previous=last.hash
                ),
            )
            connection.execute(insert(AUDIT), {name: getattr(entry, name) for name in COLUMNS})
        except SQLAlchemyError as error:
            raise failure("append to the audit log", self._engine, error) from error
        return entry

    def head(self) -> AuditHead:
        """Return the last entry's number and hash, to be kept elsewhere; 0 and zeros when empty."""
        with reading(self._engine, "read the audit log") as connection:
            return _head(connection)

    def verify(
        self,
        expected_head: AuditHead | None = None,
        *,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Verification:
        """Check every entry, in one reading that sees the log as of one moment, and the triggers.

        Parameters
        ----------
        expected_head : AuditHead, optional
            What `head` or `verify` gave before: without it a log whose end was cut off, or that
            was written anew by somebody who can compute hashes, looks intact.
        progress : callable, optional
            Is given the number of entries read, every `PAGE`, and None for how many there are.
        """
        # As bytes: a text that is not UTF-8 any more is a finding, not an error of the driver.
        sqlite = self._engine.dialect.name == "sqlite"
        columns = [
            cast(AUDIT.c[name], LargeBinary) if sqlite and name in TEXTS else AUDIT.c[name]
            for name in COLUMNS
        ]
        query = select(*columns).order_by(AUDIT.c.sequence)

        def rows(connection: Connection) -> Iterator[tuple[Any, ...]]:
            found = connection.execution_options(yield_per=PAGE).execute(query)
            read = 0
            for page in found.partitions():
                yield from map(tuple, page)
                read += len(page)
                if progress is not None:
                    progress(read, None)

        with reading(self._engine, "read the audit log") as connection:
            verified = verify_chain(rows(connection), expected_head)
            gone = _missing_triggers(connection)
        problems = (*verified.problems, *(f"trigger {name} is gone or off" for name in gone))
        return msgspec.structs.replace(verified, problems=problems)

    def latest(
        self, limit: int, *, actor: str | None = None, subject: str | None = None
    ) -> Sequence[AuditEntry]:
        """Return the newest entries, newest first: all, or of an actor, or about a subject."""
        query = select(AUDIT).order_by(AUDIT.c.sequence.desc()).limit(limit)
        if actor is not None:
            query = query.where(AUDIT.c.actor == actor)
        return self._entries(query, subject)

    def of_actions(
        self, actions: Collection[str], *, subject: str | None = None
    ) -> Sequence[AuditEntry]:
        """Return every entry of some actions, or those of them about a subject, oldest first."""
        query = select(AUDIT).where(AUDIT.c.action.in_(actions)).order_by(AUDIT.c.sequence)
        return self._entries(query, subject)

    def _entries(self, query: Select[Any], subject: str | None) -> Sequence[AuditEntry]:
        if subject is not None:
            query = query.where(AUDIT.c.subject == subject)
        with reading(self._engine, "read the audit log") as connection:
            return [AuditEntry(**row._mapping) for row in connection.execute(query)]

    def _take_turn(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS_LOCK})
            return
        driver: Any = connection.connection.dbapi_connection
        if not driver.in_transaction:
            # Python's driver would begin one that takes the lock only when it writes.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Changes nothing, and yet makes the caller's transaction the one that writes.
            connection.exec_driver_sql("UPDATE audit SET sequence = sequence WHERE 1 = 0")


def _head(connection: Connection) -> AuditHead:
    query = select(AUDIT.c.sequence, AUDIT.c.hash).order_by(AUDIT.c.sequence.desc()).limit(1)
    row = connection.execute(query).first()
    return AuditHead(sequence=row[0], hash=row[1]) if row else AuditHead(sequence=0, hash=GENESIS)


def _missing_triggers(connection: Connection) -> Sequence[str]:
    dialect = connection.dialect.name
    found = {row[0] for row in connection.exec_driver_sql(TRIGGER_NAMES[dialect])}
    return [name for name in TRIGGERS[dialect] if name not in found]


def _require_text(name: str, value: object, *, empty: bool) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, was of type {type(value).__name__}")
    if (not value and not empty) or len(value) > LONGEST or "\0" in value:
        least = 0 if empty else 1
        raise ValueError(
            f"{name} must have {least} to {LONGEST} characters and no NUL, was {value[:50]!r}"
        )
    value.encode()
