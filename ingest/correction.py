"""A correction of accounts.csv: one account told of differently over a stretch of event time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from ingest.errors import RegistryError
from ingest.registry import ALWAYS, FOREVER, REQUIRED, ROLES, RegistryRow, format_time, parse_time

CORRECTED: Final = ("role", "owner", "linked_to")
"""Columns that a correction may set."""


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is to be over [from_ns, to_ns) of event time; None leaves as it is.

    Raises
    ------
    RegistryError
        It ends before it begins, sets nothing, sets a role that is none, or has a name with spaces
        around it or a line break in it: it would read back as another.
    """

    account: str
    from_ns: int = ALWAYS
    to_ns: int = FOREVER
    role: str | None = None
    owner: str | None = None
    linked_to: str | None = None

    def __post_init__(self) -> None:
        if self.to_ns <= self.from_ns:
            raise RegistryError("a correction must end after it begins")
        if not self.sets:
            raise RegistryError(f"a correction must set one of {', '.join(CORRECTED)}")
        if self.role is not None and self.role not in ROLES:
            raise RegistryError(f"role must be one of {', '.join(ROLES)}, was {self.role!r}")
        for name, value in self.sets.items():
            if value != " ".join(value.split()):
                raise RegistryError(f"{name} must have no spaces around it, was {value!r}")

    @property
    def sets(self) -> dict[str, str]:
        """Columns that change, and to what."""
        named = {name: getattr(self, name) for name in CORRECTED}
        return {name: value for name, value in named.items() if value is not None}

    def holds(self, row: RegistryRow) -> bool:
        """Return whether a row says what the correction set."""
        says = {"role": row.role.name.lower(), "owner": row.owner, "linked_to": row.linked_to}
        return all(says[name] == value for name, value in self.sets.items())


def corrected(text: str, correction: Correction) -> str:
    r"""Return an accounts.csv with a correction applied; all other rows and columns stay.

    A row of the account that reaches beyond the correction's bounds is cut there, so that what it
    said before and after is said still.

    Raises
    ------
    RegistryError
        The text has no such columns, or no row of the account in that time.

    Examples
    --------
    >>> rows = "account,owner,legal_entity,role,valid_from,valid_to\nC1,O,L,client,,\n"
    >>> print(corrected(rows, Correction(account="C1", from_ns=10**9, linked_to="MM1")), end="")
    account,owner,legal_entity,role,valid_from,valid_to,linked_to
    C1,O,L,client,,1970-01-01T00:00:01Z,
    C1,O,L,client,1970-01-01T00:00:01Z,,MM1
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = next(reader, [])
    found = [name.strip() for name in header]
    if missing := [name for name in REQUIRED if name not in found]:
        raise RegistryError(f"accounts.csv lacks the columns {', '.join(missing)}")
    added = [name for name in correction.sets if name not in found]
    columns = {name: at for at, name in enumerate([*found, *added])}
    if twice := [name for name in (*REQUIRED, *correction.sets) if found.count(name) > 1]:
        raise RegistryError(f"accounts.csv has the column {twice[0]} more than once")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *added])
    touched = False
    for row in reader:
        if not row:
            continue
        for piece, inside in _cut([*row, *("" for _ in added)], columns, correction):
            if inside:
                touched = True
                for name, value in correction.sets.items():
                    piece[columns[name]] = value
            writer.writerow(piece)
    if not touched:
        raise RegistryError(
            f"accounts.csv has no row of {correction.account} in that time: add one there first"
        )
    return out.getvalue()


def _cut(
    row: list[str], columns: Mapping[str, int], correction: Correction
) -> Iterator[tuple[list[str], bool]]:
    """Yield a row in the pieces that the correction's bounds make, and whether each is within."""
    begin, finish = columns["valid_from"], columns["valid_to"]
    start = parse_time(row[begin].strip(), ALWAYS, "valid_from")
    end = parse_time(row[finish].strip(), FOREVER, "valid_to")
    first, last = max(start, correction.from_ns), min(end, correction.to_ns)
    if row[columns["account"]].strip() != correction.account or first >= last:
        yield row, False
        return
    within = list(row)
    if start < first:
        before = list(row)
        before[finish] = within[begin] = format_time(first)
        yield before, False
    if last < end:
        within[finish] = format_time(last)
    yield within, True
    if last < end:
        rest = list(row)
        rest[begin] = format_time(last)
        yield rest, False
