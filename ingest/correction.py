"""A correction of accounts.csv: one account told of differently over a stretch of event time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
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
        It ends before it begins, sets nothing, or sets a role that is none.
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
    reader = csv.DictReader(text.splitlines(), strict=True)
    found = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = found
    if missing := [name for name in REQUIRED if name not in found]:
        raise RegistryError(f"accounts.csv lacks the columns {', '.join(missing)}")
    columns = [*found, *(name for name in correction.sets if name not in found)]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    touched = False
    for row in reader:
        pieces = list(_cut(row, correction))
        touched |= any(inside for _, inside in pieces)
        writer.writerows(
            {**piece, **correction.sets} if inside else piece for piece, inside in pieces
        )
    if not touched:
        raise RegistryError(
            f"accounts.csv has no row of {correction.account} in that time: add one there first"
        )
    return out.getvalue()


def _cut(row: dict[str, str], correction: Correction) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield a row in the pieces that the correction's bounds make, and whether each is within."""
    start = parse_time(row["valid_from"].strip(), ALWAYS, "valid_from")
    end = parse_time(row["valid_to"].strip(), FOREVER, "valid_to")
    first, last = max(start, correction.from_ns), min(end, correction.to_ns)
    if row["account"].strip() != correction.account or first >= last:
        yield row, False
        return
    if start < first:
        yield {**row, "valid_to": format_time(first)}, False
    bounds = {}
    if start < first:
        bounds["valid_from"] = format_time(first)
    if last < end:
        bounds["valid_to"] = format_time(last)
    yield {**row, **bounds}, True
    if last < end:
        yield {**row, "valid_from": format_time(last)}, False
