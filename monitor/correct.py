"""A decision about an account put into force: accounts.csv replaced, and the reason kept."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alerts.archive_files import sync_folder
from alerts.decisions import Decision, Decisions
from ingest.correction import Correction, corrected
from ingest.errors import RegistryError
from ingest.names import Names
from ingest.register import Register, read_register
from ingest.registry import RegistryRow


def put_into_force(
    path: Path,
    correction: Correction,
    decisions: Decisions,
    *,
    by: str,
    reason: str,
    document: str,
    alert_id: str,
) -> Decision:
    """Correct a register's file, keep the decision, and return it.

    The decision is durable before the file changes: what is in force always has its reason, and a
    decision that a crash kept from the file is seen by `in_force`. Two at once take turns.

    Raises
    ------
    RegistryError
        The file cannot be read or written, has no such row, already says so, would not hold, or
        has no account of the name that is linked to.
    """
    path = path.resolve()  # a link stays one
    with _turn(path):
        before = read_register(path, Names())
        linked = correction.linked_to
        if linked and not before.rows_of_name(linked):
            raise RegistryError(f"{path.name} has no account {linked} to link to")
        if in_force(before, correction):
            raise RegistryError(f"{path.name} says so already: nothing was changed")
        text = corrected(path.read_text(encoding="utf-8-sig"), correction)
        new = path.with_name(f".{path.name}.new")
        try:
            new.write_text(text, encoding="utf-8", newline="")
            after = read_register(new, Names())
            decision = decisions.record(
                correction.account,
                correction,
                by=by,
                reason=reason,
                document=document,
                alert_id=alert_id,
                version_before=before.version,
                version=after.version,
            )
            _replace(new, path)
        except OSError as error:
            raise RegistryError(f"{path.name} cannot be replaced: {error}") from error
        finally:
            new.unlink(missing_ok=True)
    return decision


def in_force(register: Register, correction: Correction) -> bool:
    """Return whether a register says what was decided wherever it has a row in that time."""
    rows = [row for row in register.rows_of_name(correction.account) if _meets(row, correction)]
    return bool(rows) and all(correction.holds(row) for row in rows)


def _meets(row: RegistryRow, correction: Correction) -> bool:
    return row.valid_from_ns < correction.to_ns and correction.from_ns < row.valid_to_ns


def _replace(new: Path, path: Path) -> None:
    """Put a file in another's place, whole and durable, with its permissions."""
    new.chmod(path.stat().st_mode)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Hold the register's folder for one correction at a time."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise RegistryError(f"register {path.name} cannot be read: {error}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
