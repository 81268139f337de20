"""The register: who stands behind an account, at the time of each event."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from ingest.compiled import kernel, plain
from ingest.complex import Interval, complex_intervals
from ingest.errors import RegistryError
from ingest.events import NO_CODE, Array, Batch, Role
from ingest.names import Names
from ingest.registry import ALWAYS, FOREVER, RegistryRow, format_time, read_rows
from ingest.terms import NO_TERMS, Party, Terms
from ingest.terms_csv import DISCLOSURES, OBLIGATIONS, read_terms

__all__ = ["Register", "RegisterFile", "Registered", "RegistryRow", "read_register"]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of the register says, as it is kept."""

    rows: Sequence[RegistryRow]
    terms: Terms = NO_TERMS


class Register:
    """One version of the register; never changes.

    Parameters
    ----------
    rows : iterable of RegistryRow
        In any order.
    names : Names
        Gives accounts and owners their codes; shared with the decoder.
    source : str
        What messages call the file.
    terms : Terms
        Agreements and disclosures; they are part of the version.

    Raises
    ------
    RegistryError
        Two rows of one account overlap, or the table of names is full.

    Examples
    --------
    >>> names = Names()
    >>> register = Register([RegistryRow(account="MM1", owner="Group", legal_entity="Group Ltd",
    ...     role=Role.AFFILIATED_MM, valid_from_ns=100, valid_to_ns=200)], names)
    >>> register.row_at(names.find("MM1"), 199).role.name
    'AFFILIATED_MM'
    >>> register.row_at(names.find("MM1"), 200) is None
    True
    """

    def __init__(
        self,
        rows: Iterable[RegistryRow],
        names: Names,
        *,
        source: str = "register",
        terms: Terms = NO_TERMS,
    ) -> None:
        self.rows: Sequence[RegistryRow] = tuple(
            sorted(rows, key=lambda row: (row.account, row.valid_from_ns))
        )
        _refuse_overlaps(self.rows, source)
        said = [row.content for row in self.rows]
        content = msgspec.json.encode([said, terms.content] if terms else said)
        self.version = hashlib.sha256(content).hexdigest()[:16]
        self._member = complex_intervals(self.rows)
        self._names = names
        self._of: dict[str, tuple[int, int]] = {}
        for i, row in enumerate(self.rows):
            self._of[row.account] = (self._of.get(row.account, (i, i))[0], i + 1)
        self._index, self._segments = self._compile(source)
        self.terms = terms
        self.parties: Mapping[str, Party] = self._parties(source)
        """Who the accounts and owners are that the terms name, as batches carry them."""

    def tag(self, batch: Batch) -> Batch:
        """Return the batch with the `TAGS` columns: by the row in force at engine_ns.

        A named account without a row in force is UNKNOWN; where no account is named the role is
        NONE. Cost: about 10 ns a row, whatever the size of the register.
        """
        tags: dict[str, Array] = {}
        for prefix, account in (
            ("", "account"),
            ("buy_", "buy_account"),
            ("sell_", "sell_account"),
        ):
            rows = len(batch)
            role = np.empty(rows, np.int8)
            owner = np.empty(rows, np.int32)
            member = np.empty(rows, np.int8)
            _tag(
                plain(batch[account]),
                plain(batch["engine_ns"]),
                self._index,
                *self._segments,
                role,
                owner,
                member,
            )
            tags[f"{prefix}role"] = role
            tags[f"{prefix}owner"] = owner
            tags["in_complex" if not prefix else f"{prefix}complex"] = member
        return batch.with_columns(tags)

    @property
    def said(self) -> Registered:
        """What this version says, to be kept."""
        return Registered(rows=self.rows, terms=self.terms)

    def row_at(self, account: int, at_ns: int) -> RegistryRow | None:
        """Return the row of an account code in force at a time, or None."""
        rows = self._rows_of(account)
        i = bisect_right(rows, at_ns, key=lambda row: row.valid_from_ns) - 1
        return rows[i] if i >= 0 and at_ns < rows[i].valid_to_ns else None

    def rows_of(self, accounts: Iterable[int]) -> Sequence[RegistryRow]:
        """Return all rows of account codes, whenever in force: by account name, then time."""
        named = sorted({self._names.name(account) for account in accounts})
        return [row for name in named for row in self.rows_of_name(name)]

    def rows_of_name(self, account: str) -> Sequence[RegistryRow]:
        """Return all rows of one account, in order of time."""
        start, end = self._of.get(account, (0, 0))
        return self.rows[start:end]

    def complex_of_name(self, account: str) -> Sequence[Interval]:
        """Return when an account belongs to the complex, as half-open intervals of ns."""
        start, end = self._of.get(account, (0, 0))
        return [interval for i in range(start, end) for interval in self._member[i]]

    def _rows_of(self, account: int) -> Sequence[RegistryRow]:
        return self.rows_of_name(self._names.name(account)) if account >= 0 else ()

    def _compile(self, source: str) -> tuple[Array, tuple[Array, Array, Array, Array]]:
        """Lay the rows out for the kernel: each account's run of segments, each with its tags."""
        self._names.learn(name for row in self.rows for name in (row.account, row.owner) if name)
        segments: list[tuple[int, int, int, int]] = []
        runs: dict[int, tuple[int, int]] = {}
        for account, (start, end) in self._of.items():
            code = self._code(account, source)
            begun = len(segments)
            until = ALWAYS
            for row, member in zip(self.rows[start:end], self._member[start:end], strict=True):
                owner = self._code(row.owner, source) if row.owner else NO_CODE
                if row.valid_from_ns > until:
                    segments.append((until, Role.UNKNOWN, NO_CODE, 0))
                at = row.valid_from_ns
                for member_from, member_to in member:
                    if member_from > at:
                        segments.append((at, row.role, owner, 0))
                    segments.append((member_from, row.role, owner, 1))
                    at = member_to
                if at < row.valid_to_ns:
                    segments.append((at, row.role, owner, 0))
                until = row.valid_to_ns
            if until < FOREVER:
                segments.append((until, Role.UNKNOWN, NO_CODE, 0))
            runs[code] = (begun, len(segments))
        index = np.zeros((max(runs, default=-1) + 1, 2), np.int64)
        for code, run in runs.items():
            index[code] = run
        columns = list(zip(*segments, strict=True)) or [(), (), (), ()]
        dtypes = (np.int64, np.int8, np.int32, np.int8)
        starts, role, owners, members = (
            np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)
        )
        return index, (starts, role, owners, members)

    def _parties(self, source: str) -> dict[str, Party]:
        owned: dict[str, dict[str, None]] = {}
        for row in self.rows:
            owned.setdefault(row.owner, {})[row.account] = None
        return {
            name: Party(
                self._code(name, source),
                tuple(
                    self._code(account, source)
                    for account in ((name,) if name in self._of else owned.get(name, ()))
                ),
            )
            for name in self.terms.subjects
        }

    def _code(self, name: str, source: str) -> int:
        code = self._names.code(name)
        if code == NO_CODE:
            raise RegistryError(
                f"{source}: no room for more names (accounts, owners, sessions) than "
                f"{len(self._names)}"
            )
        return code


@kernel()
def _tag(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    account, engine_ns, index, starts, roles, owners, members, role, owner, member
):
    for i in range(account.shape[0]):
        code = account[i]
        role[i] = 1  # Role.UNKNOWN
        owner[i] = -1
        member[i] = 0
        if code < 0:
            role[i] = 0  # Role.NONE
            continue
        if code >= index.shape[0]:
            continue
        low, high = index[code, 0], index[code, 1]
        begun = low
        at = engine_ns[i]
        while low < high:  # the first segment that begins after `at`
            middle = (low + high) // 2
            if starts[middle] <= at:
                low = middle + 1
            else:
                high = middle
        if low > begun:
            role[i] = roles[low - 1]
            owner[i] = owners[low - 1]
            member[i] = members[low - 1]


def read_register(path: Path, names: Names) -> Register:
    """Return the register in an accounts.csv, with the terms that lie beside it.

    Raises
    ------
    RegistryError
        A file or a row cannot be used (see `read_rows` and `read_terms`), or two rows of one
        account overlap.
    """
    return Register(read_rows(path), names, source=path.name, terms=read_terms(path.parent))


class RegisterFile:
    """An accounts.csv, and the terms beside it, that may change while they are in use.

    Parameters
    ----------
    path : Path
        The file; it must be usable now.
    names : Names
        Shared with the decoder.
    """

    def __init__(self, path: Path, names: Names) -> None:
        self._path = path
        self._names = names
        self._seen = self._stamp()
        self.current = read_register(path, names)
        """The version in force."""

    def reload_if_changed(self) -> Register | None:
        """Return the new version when the files' content has changed, else None.

        Raises
        ------
        RegistryError
            A changed file cannot be used; `current` stays in force, and the error is raised once
            for each state of the files.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        found = read_register(self._path, self._names)
        if found.version == self.current.version:
            return None
        self.current = found
        return found

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        beside = (self._path.with_name(name) for name in (OBLIGATIONS, DISCLOSURES))
        return tuple(_stamp(path) for path in (self._path, *beside))


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _refuse_overlaps(rows: Sequence[RegistryRow], source: str) -> None:
    for row, following in pairwise(rows):
        if row.account == following.account and following.valid_from_ns < row.valid_to_ns:
            raise RegistryError(
                f"{source}: rows of account {row.account} must not overlap, but line {row.line} "
                f"(account {row.account}, {_span(row)}) and line {following.line} "
                f"(account {following.account}, {_span(following)}) do"
            )


def _span(row: RegistryRow) -> str:
    return f"{format_time(row.valid_from_ns) or 'ever'} to {format_time(row.valid_to_ns) or 'open'}"
