"""The store's database: an engine for SQLite or PostgreSQL, and its migrations."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ingest.errors import ConfigurationError, RingfenceError

T = TypeVar("T")
DRIVERS: Final = ("sqlite", "postgresql+pg8000")
MIGRATION_LOCK: Final = 0x52494E47
"""Key of PostgreSQL's advisory lock while tables are migrated: "RING"."""
LOOKED_UP: Final = 500
"""Values in one query; SQLite takes 32,766 of them, PostgreSQL's driver 65,535."""
BUSY_MS: Final = 10_000
"""How long SQLite waits for another reader or writer."""
IDLE_MS: Final = 30_000
"""Time without a word after which PostgreSQL ends a transaction: one of a worker that froze within
it would lock its shard against the next owner for ever. Below a group's session, 45 s."""


class StoreError(RingfenceError):
    """The store cannot be reached, read or written; no password is named."""


def parse_url(url: str, password: str | None = None) -> URL:
    """Return a database URL, with a password that was given apart.

    Raises
    ------
    ConfigurationError
        It is no URL of a database that the store runs on.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "the store's URL must be sqlite:///FILE or postgresql+pg8000://USER@HOST/DATABASE; "
            "it could not be read"
        ) from error
    if parsed.drivername not in DRIVERS:
        raise ConfigurationError(
            f"the store's URL must begin with one of {', '.join(DRIVERS)}, "
            f"was {parsed.drivername!r}"
        )
    return parsed.set(password=password) if password else parsed


def open_engine(url: URL) -> Engine:
    """Return an engine: SQLite in WAL mode with every commit on disk, PostgreSQL as it is set up.

    The folder of an SQLite file is created.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _configure_sqlite)
    else:
        bounds = {"idle_in_transaction_session_timeout": str(IDLE_MS)}
        engine = create_engine(url, pool_pre_ping=True, connect_args={"startup_params": bounds})
        # Many rows a statement also where nothing is returned: evidence comes in thousands.
        engine.dialect.use_insertmanyvalues_wo_returning = True
    return engine


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version; does nothing when they are.

    All or nothing; several workers that start at once take turns.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "alerts:migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
        else:
            # Python's driver opens no transaction for DDL: half a migration would stay.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def transaction(engine: Engine, action: str) -> Iterator[Connection]:
    """Yield a transaction; on SQLite it is a writer's from the start.

    Raises
    ------
    StoreError
        The database cannot be reached or refuses.
    """
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # A reader that turns writer fails at once when another has written.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    except SQLAlchemyError as error:
        raise failure(action, engine, error) from error


@contextmanager
def reading(engine: Engine, action: str = "be read") -> Iterator[Connection]:
    """Yield a connection to read with; raises StoreError when it fails."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise failure(action, engine, error) from error


def in_pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield values in pieces that one query can look up.

    >>> [len(piece) for piece in in_pieces(range(1_200))]
    [500, 500, 200]
    """
    for start in range(0, len(values), LOOKED_UP):
        yield values[start : start + LOOKED_UP]


def insert_for(connection: Connection) -> Any:
    """Return the dialect's `insert`, which knows what to do when a row is there already."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def failure(action: str, engine: Engine, error: SQLAlchemyError) -> StoreError:
    """Return an error in one line that names the database without its password."""
    where = engine.url.render_as_string(hide_password=True)
    cause = getattr(error, "orig", None) or error
    detail = " ".join(str(cause).split())[:300]
    password = engine.url.password
    if password:
        detail = detail.replace(str(password), "***")
    return StoreError(f"the store could not {action} at {where}: {detail}")


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    until = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            # Two that open a new file at once: SQLite does not wait here, whatever the timeout.
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
