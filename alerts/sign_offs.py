"""Sign-offs: a person stands for a day's reconciled count of tags, kept in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from alerts.audit import AuditEntry, AuditLog
from ingest.errors import UsageError

SIGN: Final = "tags.sign"


class SignOff(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-off, as the audit log has it."""

    sequence: int
    """Its number in the audit log."""
    at_ns: int
    """When it was given, UTC ns, by the clock of who wrote it."""
    by: str
    day: str
    digest: str
    """Of the record that was signed: another count has another."""
    counts: Mapping[str, int]
    """That record's totals, to be read without it."""
    note: str


class SignOffs:
    """Writes sign-offs into a store's audit log, and reads them there.

    Parameters
    ----------
    engine : Engine
        Of a store whose tables are up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._audit = AuditLog(engine)

    def record(
        self, day: str, digest: str, counts: Mapping[str, int], *, by: str, note: str
    ) -> SignOff:
        """Append a sign-off to the audit log and return it; it is durable on return.

        Raises
        ------
        UsageError
            Nobody signs, or there is no note.
        StoreError
            The store cannot be written.
        """
        for name, value in (("note", note), ("by", by)):
            if not value.strip():
                raise UsageError(f"a sign-off must have a {name}, was empty")
        detail: Mapping[str, Any] = {"counts": dict(counts), "digest": digest, "note": note}
        return _sign_off(self._audit.append(by, SIGN, day, detail))

    def all(self, day: str | None = None) -> Sequence[SignOff]:
        """Return every sign-off, or those of a day, oldest first."""
        return [_sign_off(entry) for entry in self._audit.of_actions((SIGN,), subject=day)]


def _sign_off(entry: AuditEntry) -> SignOff:
    return SignOff(
        sequence=entry.sequence,
        at_ns=entry.at_ns,
        by=entry.actor,
        day=entry.subject,
        **msgspec.json.decode(entry.detail),
    )
