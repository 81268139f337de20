"""The complex: every account of the platform's own group, with whoever shares an owner or a link.

Membership changes as rows come into force and lapse, so it is a set of intervals of event time,
not a set of accounts. Intervals are half-open pairs of ns, sorted and disjoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ingest.events import GROUP_ROLES
from ingest.registry import RegistryRow

Interval = tuple[int, int]


def complex_intervals(rows: Sequence[RegistryRow]) -> Sequence[Sequence[Interval]]:
    """Return, for each registry row, when it belongs to the complex.

    The smallest set such that a row belongs while it is in force and its role is of the group; or
    while an account with the same non-empty owner belongs; or while an account that it names in
    `linked_to`, or that names it there, belongs. Work grows with the rows that do belong: a
    client's row is touched only when its owner or its link is.

    Parameters
    ----------
    rows : sequence of RegistryRow
        Rows of one account must not overlap.
    """
    validity = [(row.valid_from_ns, row.valid_to_ns) for row in rows]
    by_owner: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        if row.owner:
            by_owner.setdefault(row.owner, []).append(i)
    neighbours = _links(rows)
    member: list[list[Interval]] = [[] for _ in rows]
    owned: dict[str, list[Interval]] = {}
    todo: deque[int] = deque()

    def grow(i: int, when: Sequence[Interval]) -> None:
        grown = union(member[i], clip(when, *validity[i]))
        if grown != member[i]:
            member[i] = grown
            todo.append(i)

    for i, row in enumerate(rows):
        if row.role in GROUP_ROLES:
            grow(i, [validity[i]])
    while todo:
        i = todo.popleft()
        for j in neighbours[i]:
            grow(j, member[i])
        owner = rows[i].owner
        if not owner:
            continue
        grown = union(owned.get(owner, []), member[i])
        if grown != owned.get(owner):
            owned[owner] = grown
            for j in by_owner[owner]:
                grow(j, grown)
    return member


def _links(rows: Sequence[RegistryRow]) -> list[list[int]]:
    by_account: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        by_account.setdefault(row.account, []).append(i)
    neighbours: list[list[int]] = [[] for _ in rows]
    for i, row in enumerate(rows):
        for j in by_account.get(row.linked_to, ()) if row.linked_to else ():
            neighbours[i].append(j)
            neighbours[j].append(i)
    return neighbours


def clip(when: Sequence[Interval], start: int, end: int) -> list[Interval]:
    """Return the parts of intervals within [start, end).

    >>> clip([(0, 5), (8, 9)], 3, 8)
    [(3, 5)]
    """
    cut = ((max(a, start), min(b, end)) for a, b in when)
    return [(a, b) for a, b in cut if a < b]


def union(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    """Return the union of two sets of intervals; intervals that touch become one.

    >>> union([(0, 5)], [(5, 7), (9, 10)])
    [(0, 7), (9, 10)]
    """
    merged: list[Interval] = []
    for start, end in sorted([*left, *right]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
