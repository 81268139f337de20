"""An audit log to write to, and somebody who changes it behind its back."""

from __future__ import annotations

from sqlalchemy import text

COLUMNS = ("sequence", "at_ns", "actor", "action", "subject", "detail", "previous", "hash")
DETAIL = {"reason": 'näher "hingesehen"\n', "alerts": ["a1", "a2"], "four_eyes": True}


class Clock:
    """A time that is one microsecond later at each look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


def fill(log, count):
    """Append entries about case-1, case-2 and so on; return them."""
    return [log.append("ann", "case.note", f"case-{n}", DETAIL) for n in range(1, count + 1)]


def unguard(connection):
    """Switch the triggers off until the end of the transaction, which this begins."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        return []
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = connection.execute(query).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    return [sql for _, sql in triggers]


def tampered(engine, *statements):
    """Run statements as somebody who may switch the triggers off, and does."""
    with engine.begin() as connection:
        triggers = unguard(connection)
        for statement in (*statements, *triggers):
            connection.exec_driver_sql(statement)
