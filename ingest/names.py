"""Names at the door: a string becomes an int32 code, and a code means nothing but its string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ingest.events import NO_CODE


class Names:
    """A two-way table of strings and codes for accounts, owners, sessions, users, originators.

    State grows by one entry a distinct string, up to `limit`; further strings get `NO_CODE` and
    are counted in `overflowed`. Codes depend on the order of arrival, so nothing is ever ordered
    by one.

    Examples
    --------
    >>> names = Names()
    >>> names.code("MM1"), names.code("C7"), names.code("MM1")
    (0, 1, 0)
    >>> names.name(1), names.name(-1)
    ('C7', '')
    """

    def __init__(self, known: Iterable[str] = (), *, limit: int = 5_000_000) -> None:
        self._names: list[str] = list(known)
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._limit = limit
        self.overflowed = 0

    def __len__(self) -> int:
        return len(self._names)

    def learn(self, names: Iterable[str]) -> None:
        """Give codes to strings that are new, all at once."""
        for name in names:
            self.code(name)

    def code(self, name: str) -> int:
        """Return the code of a string, giving it one when it is new."""
        found = self._codes.get(name)
        if found is not None:
            return found
        if len(self._names) >= self._limit:
            self.overflowed += 1
            return NO_CODE
        self._codes[name] = len(self._names)
        self._names.append(name)
        return len(self._names) - 1

    def find(self, name: str) -> int:
        """Return the code of a string, or `NO_CODE` when it has none."""
        return self._codes.get(name, NO_CODE)

    def name(self, code: int) -> str:
        """Return the string of a code; empty for `NO_CODE`."""
        return self._names[code] if code >= 0 else ""

    @property
    def known(self) -> Sequence[str]:
        """All strings, in code order: what a snapshot keeps."""
        return tuple(self._names)

    @property
    def all(self) -> Sequence[str]:
        """All strings that are known here, in code order: what a state for elsewhere carries."""
        return tuple(self._names)


class NameTable(Protocol):
    """Where several workers get their codes: `alerts.name_table`."""

    def add(self, names: Sequence[str]) -> None:
        """Give a code to every name that has none: the next ones, without holes."""

    def since(self, code: int) -> Sequence[str]:
        """Return the names from a code on, in the order of codes."""


class SharedNames(Names):
    """Names whose codes are the same for every worker: a table that all share gives them.

    A string costs one question to the table the first time that this worker meets it, or those
    that came with it; state as of `Names`, of all workers together.

    Parameters
    ----------
    table : NameTable
    limit : int
        As of `Names`.
    """

    def __init__(self, table: NameTable, *, limit: int = 5_000_000) -> None:
        super().__init__(table.since(0), limit=limit)
        self._table = table

    def learn(self, names: Iterable[str]) -> None:
        """Give codes to strings that are new, all at once."""
        new = [name for name in dict.fromkeys(names) if name and name not in self._codes]
        room = self._limit - len(self._names)
        if len(new) > room:
            self._catch_up()
            new = [name for name in new if name not in self._codes]
            room = max(0, self._limit - len(self._names))
            self.overflowed += max(0, len(new) - room)
        if new[:room]:
            self._table.add(new[:room])
            self._catch_up()

    def code(self, name: str) -> int:
        """Return the code of a string, giving it one when it is new."""
        if name not in self._codes:
            self.learn([name])
        return self._codes.get(name, NO_CODE)

    def name(self, code: int) -> str:
        """Return the string of a code, also of one that another worker was given."""
        if code >= len(self._names):
            self._catch_up()
        return super().name(code)

    @property
    def known(self) -> Sequence[str]:
        """Nothing: the table keeps them."""
        return ()

    def _catch_up(self) -> None:
        for name in self._table.since(len(self._names)):
            self._codes[name] = len(self._names)
            self._names.append(name)
