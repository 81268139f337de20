"""Rows of accounts.csv: what they say, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ingest.csv_table import Line, read_table
from ingest.errors import RegistryError
from ingest.events import NULL, Role
from ingest.times import SECOND

REQUIRED: Final = ("account", "owner", "legal_entity", "role", "valid_from", "valid_to")
ALWAYS: Final = NULL
"""`valid_from_ns` of a row that has always been in force."""
FOREVER: Final = 2**63 - 1
"""`valid_to_ns` of a row without an end."""
ROLES: Final[Mapping[str, Role]] = {
    role.name.lower(): role for role in Role if role not in (Role.NONE, Role.UNKNOWN)
}
"""The roles that a register may give, by their word in accounts.csv."""


class RegistryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of accounts.csv: who an account is, in [valid_from_ns, valid_to_ns)."""

    account: str
    owner: str
    """Beneficial owner; empty when unknown, and then it matches nobody."""
    legal_entity: str
    role: Role
    valid_from_ns: int = ALWAYS
    valid_to_ns: int = FOREVER
    group: str = ""
    desk: str = ""
    lei: str = ""
    linked_to: str = ""
    """Another account; a link counts both ways while this row is in force."""
    line: int = 0
    """Line of the file, for messages; no part of the content."""

    @property
    def content(self) -> tuple[str | int, ...]:
        """What the row says, without where it stands."""
        return (self.account, self.valid_from_ns, self.valid_to_ns, *self.identity)

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What the row says of its account, whenever that is."""
        return (
            int(self.role),
            self.owner,
            self.legal_entity,
            self.group,
            self.desk,
            self.lei,
            self.linked_to,
        )


def read_rows(path: Path) -> list[RegistryRow]:
    """Return the rows of an accounts.csv, each checked by itself.

    Raises
    ------
    RegistryError
        The file cannot be read, lacks a column or lists no account; a row has an unknown role, a
        date that is no ISO-8601 UTC time, or ends before it begins. The line is named.
    """
    rows = [_row(line) for line in read_table(path, REQUIRED, what="register")]
    if not rows:
        raise RegistryError(f"{path.name} lists no account")
    return rows


def _row(line: Line) -> RegistryRow:
    fields, where = line.fields, line.where
    account = fields["account"]
    if not account:
        raise RegistryError(f"{where}: account must not be empty")
    role = ROLES.get(fields["role"])
    if role is None:
        raise RegistryError(
            f"{where}: role of {account} must be one of {', '.join(ROLES)}, was {fields['role']!r}"
        )
    start = parse_time(fields["valid_from"], ALWAYS, f"{where}: valid_from of {account}")
    end = parse_time(fields["valid_to"], FOREVER, f"{where}: valid_to of {account}")
    if end <= start:
        raise RegistryError(
            f"{where}: valid_to of {account} must be after valid_from {fields['valid_from']!r}, "
            f"was {fields['valid_to']!r}"
        )
    return RegistryRow(
        account=account,
        owner=fields["owner"],
        legal_entity=fields["legal_entity"],
        role=role,
        valid_from_ns=start,
        valid_to_ns=end,
        group=fields.get("group", ""),
        desk=fields.get("desk", ""),
        lei=fields.get("lei", ""),
        linked_to=fields.get("linked_to", ""),
        line=line.number,
    )


_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def parse_time(text: str, absent: int, where: str) -> int:
    """Return an ISO-8601 UTC time as ns since 1970; `absent` for an empty string.

    >>> parse_time("1970-01-01T00:00:01.5Z", 0, "")
    1500000000

    Raises
    ------
    RegistryError
        The text is no such time, or lies outside the years 1678 to 2261.
    """
    if not text:
        return absent
    parts = _TIME.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{parts[1]}+00:00") if parts else None
    except ValueError:
        moment = None
    if parts is None or moment is None or not 1678 <= moment.year <= 2261:
        raise RegistryError(
            f"{where} must be a UTC time like 2026-01-31T00:00:00Z (or empty), was {text!r}"
        )
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    whole = since.days * 86_400 + since.seconds
    return whole * SECOND + int((parts[2] or "").ljust(9, "0"))


def format_time(at_ns: int) -> str:
    """Return a row's bound as in accounts.csv: ISO-8601 UTC, empty when open.

    >>> format_time(1_500_000_000), format_time(FOREVER)
    ('1970-01-01T00:00:01.500000000Z', '')
    """
    if at_ns in (ALWAYS, FOREVER):
        return ""
    seconds, fraction = divmod(at_ns, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{fraction:09d}Z" if fraction else f"{moment}Z"
