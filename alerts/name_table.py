"""The table of names in the store: one code for an account, owner or session, in every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Engine, func, select, text

from alerts.database import in_pieces, insert_for, reading, transaction
from alerts.schema import NAMES

NAMES_LOCK: Final = 0x4E414D45
"""Key of PostgreSQL's advisory lock while codes are given: "NAME"."""


class StoreNames:
    """Gives codes from 0 on, without holes, in the order of asking.

    Parameters
    ----------
    engine : Engine
        Of a store that was migrated.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, names: Sequence[str]) -> None:
        """Give a code to every name that has none: the next ones, without holes."""
        with transaction(self._engine, "give names their codes") as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": NAMES_LOCK})
            known = _known(connection, names)
            new = [name for name in names if name not in known]
            first = connection.scalar(select(func.coalesce(func.max(NAMES.c.code), -1))) or 0
            if new:
                rows = [
                    {"code": first + 1 + i, "digest": _digest(name), "name": name.encode()}
                    for i, name in enumerate(new)
                ]
                connection.execute(insert_for(connection)(NAMES), rows)

    def since(self, code: int) -> Sequence[str]:
        """Return the names from a code on, in the order of codes."""
        query = select(NAMES.c.name).where(NAMES.c.code >= code).order_by(NAMES.c.code)
        with reading(self._engine) as connection:
            return [bytes(name).decode() for name in connection.scalars(query)]


def _known(connection: Connection, names: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for piece in in_pieces(names):
        digests = [_digest(name) for name in piece]
        query = select(NAMES.c.name).where(NAMES.c.digest.in_(digests))
        known.update(bytes(name).decode() for name in connection.scalars(query))
    return known


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
