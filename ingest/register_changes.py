"""What changed between two versions of the register, and for which event time.

A row that changes over times already traded changes who stood behind those trades; that is a fact
a detector must see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from ingest.complex import Interval, clip
from ingest.events import NO_CODE, REGISTRY_CHANGES, Array, ChangeKind, Role, empty
from ingest.names import Names
from ingest.register import Register
from ingest.registry import ALWAYS, FOREVER, RegistryRow


class RegistryChange(msgspec.Struct, frozen=True, kw_only=True):
    """One account is told of differently, over [from_ns, to_ns) of event time."""

    account: str
    kind: ChangeKind
    from_ns: int
    to_ns: int
    before: RegistryRow | None
    """The row in force there in the old version."""
    after: RegistryRow | None
    """The row in force there in the new version."""
    complex_before: bool
    complex_after: bool


def changes(old: Register, new: Register) -> Sequence[RegistryChange]:
    """Return how a new version differs from an old one, by account name, then time.

    Each account's time line is cut at every bound of both versions; what differs in row content
    or in membership of the complex is a change. A row that says the same but now begins earlier
    is `BACK_DATED` over the time that it gained.
    """
    accounts = sorted({row.account for row in old.rows} | {row.account for row in new.rows})
    return [change for account in accounts for change in _of_account(account, old, new)]


def change_table(found: Sequence[RegistryChange], names: Names) -> Mapping[str, Array]:
    """Return changes as the `REGISTRY_CHANGES` table that a batch carries to the detectors."""
    table = empty(REGISTRY_CHANGES, len(found))
    for i, change in enumerate(found):
        before, after = change.before, change.after
        table["account"][i] = names.code(change.account)
        table["kind"][i] = change.kind
        table["from_ns"][i] = change.from_ns
        table["to_ns"][i] = change.to_ns
        table["role_before"][i] = Role.UNKNOWN if before is None else before.role
        table["role_after"][i] = Role.UNKNOWN if after is None else after.role
        table["owner_before"][i] = _owner(before, names)
        table["owner_after"][i] = _owner(after, names)
        table["complex_before"][i] = change.complex_before
        table["complex_after"][i] = change.complex_after
    return table


def _owner(row: RegistryRow | None, names: Names) -> int:
    return names.code(row.owner) if row is not None and row.owner else NO_CODE


def _of_account(account: str, old: Register, new: Register) -> Sequence[RegistryChange]:
    bounds = sorted({ALWAYS, FOREVER, *_bounds(account, old), *_bounds(account, new)})
    found: list[RegistryChange] = []
    for start, end in pairwise(bounds):
        before, after = _at(account, old, start), _at(account, new, start)
        change = RegistryChange(
            account=account,
            kind=_kind(before, after, old.rows_of_name(account)),
            from_ns=start,
            to_ns=end,
            before=before,
            after=after,
            complex_before=_within(old.complex_of_name(account), start),
            complex_after=_within(new.complex_of_name(account), start),
        )
        if _same(before, after) and change.complex_before == change.complex_after:
            continue
        last = found[-1] if found else None
        if last and last.to_ns == start and _alike(last, change):
            found[-1] = msgspec.structs.replace(last, to_ns=end)
        else:
            found.append(change)
    return found


def _kind(
    before: RegistryRow | None, after: RegistryRow | None, old: Sequence[RegistryRow]
) -> ChangeKind:
    if after is None:
        return ChangeKind.REMOVED if before is not None else ChangeKind.COMPLEX
    if before is None:
        said = any(
            row.identity == after.identity
            and row.valid_from_ns > after.valid_from_ns
            and row.valid_to_ns == after.valid_to_ns
            for row in old
        )
        return ChangeKind.BACK_DATED if said else ChangeKind.ADDED
    return ChangeKind.COMPLEX if before.identity == after.identity else ChangeKind.ALTERED


def _same(before: RegistryRow | None, after: RegistryRow | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.identity == after.identity


def _alike(left: RegistryChange, right: RegistryChange) -> bool:
    return (
        left.kind == right.kind
        and _same(left.before, right.before)
        and _same(left.after, right.after)
        and left.complex_before == right.complex_before
        and left.complex_after == right.complex_after
    )


def _bounds(account: str, register: Register) -> set[int]:
    spans = [(row.valid_from_ns, row.valid_to_ns) for row in register.rows_of_name(account)]
    return {at for span in (*spans, *register.complex_of_name(account)) for at in span}


def _at(account: str, register: Register, at_ns: int) -> RegistryRow | None:
    for row in register.rows_of_name(account):
        if row.valid_from_ns <= at_ns < row.valid_to_ns:
            return row
    return None


def _within(when: Sequence[Interval], at_ns: int) -> bool:
    return bool(clip(when, at_ns, at_ns + 1))
