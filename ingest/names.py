"""Names at the door: a string becomes an int32 code, and a code means nothing but its string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
