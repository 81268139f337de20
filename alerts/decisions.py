"""Decisions of people about who stands behind an account: kept in the audit log, with reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from alerts.audit import AuditEntry, AuditLog
from ingest.correction import Correction
from ingest.errors import UsageError

CORRECT: Final = "register.correct"
DECLINE: Final = "register.decline"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, as the audit log has it."""

    sequence: int
    """Its number in the audit log."""
    at_ns: int
    """When it was taken, UTC ns, by the clock of who wrote it."""
    by: str
    account: str
    correction: Correction | None
    """What became of the register; None where a proposal was declined."""
    alert_id: str
    """The proposal that was decided; empty where there was none."""
    reason: str
    document: str
    """Where what it rests on can be read."""
    version_before: str
    version: str
    """Of the register before and after."""


class Decisions:
    """Writes decisions into a store's audit log, and reads them there.

    Parameters
    ----------
    engine : Engine
        Of a store whose tables are up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._audit = AuditLog(engine)

    def record(  # one decision, each part by its name
        self,
        account: str,
        correction: Correction | None,
        *,
        by: str,
        reason: str,
        document: str,
        alert_id: str = "",
        version_before: str,
        version: str,
    ) -> Decision:
        """Append a decision to the audit log and return it; it is durable on return.

        Raises
        ------
        UsageError
            It has no reason, no document or nobody who took it.
        StoreError
            The store cannot be written.
        """
        for name, value in (("reason", reason), ("document", document), ("by", by)):
            if not value.strip():
                raise UsageError(f"a decision must have a {name}, was empty")
        detail: Mapping[str, Any] = {
            "alert_id": alert_id,
            "correction": None if correction is None else msgspec.to_builtins(correction),
            "document": document,
            "reason": reason,
            "version": version,
            "version_before": version_before,
        }
        action = DECLINE if correction is None else CORRECT
        return _decision(self._audit.append(by, action, account, detail))

    def all(self, account: str | None = None) -> Sequence[Decision]:
        """Return every decision, or those about an account, oldest first."""
        entries = self._audit.of_actions((CORRECT, DECLINE), subject=account)
        return [_decision(entry) for entry in entries]


def _decision(entry: AuditEntry) -> Decision:
    detail = msgspec.json.decode(entry.detail)
    correction = detail.pop("correction")
    return Decision(
        sequence=entry.sequence,
        at_ns=entry.at_ns,
        by=entry.actor,
        account=entry.subject,
        correction=None if correction is None else msgspec.convert(correction, Correction),
        **detail,
    )
