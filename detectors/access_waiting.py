"""Facts of unequal_access by bucket, and those that wait for the rule: prevented self-trades.

They break a rule once others' have shown what the venue's is, and are no choice of their account
once it has done otherwise: either may come later in the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.access_params import UnequalAccessParams
from detectors.access_state import (
    A_BENT,
    A_RULE,
    B_PEER_BENT,
    B_PEER_RULE,
    F_COUNT,
    F_FIRST_SEQ,
    F_LAST_NS,
    F_REFS,
    F_SURE,
    KEPT,
    REFS,
)
from ingest.axes import Entries
from ingest.events import Array
from ingest.state import pack_exact, unpack_exact


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket's facts of one way.

    `row` is that of `access_facts`; `accounts` are kept by code, since slots are given to others.
    `incomplete`: whether records may be missing in the bucket.
    """

    code: int
    bucket: int
    row: tuple[int, ...]
    accounts: tuple[int, ...]
    incomplete: bool


def under(one: Facts, code: int) -> Facts:
    """Return it under another instrument code."""
    return msgspec.structs.replace(one, code=code)


WAITING: Final = Entries(kind=Facts, place=lambda one: one.code, moved=under)
"""Axis of a packed list of them."""


class Waiting:
    """Prevented self-trades that wait, by instrument and account; those of a day at most."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, int], list[Facts]] = {}

    def put(self, one: Facts) -> None:
        """Have an account's facts of a bucket wait; those of a day before go."""
        (account,) = one.accounts
        key = one.code, account
        self._of[key] = [*self._since(key, one.bucket), one]

    def take(self, code: int, bucket: int, accounts: Iterable[int]) -> Facts | None:
        """Return what waited of an instrument's accounts, as of a bucket: no choice of theirs."""
        taken: list[Facts] = []
        for account in accounts:
            taken += self._since((code, account), bucket)
            self._of.pop((code, account), None)
        taken.sort(key=lambda one: (one.bucket, one.row[F_FIRST_SEQ]))
        return _together(taken) if taken else None

    def _since(self, key: tuple[int, int], bucket: int) -> list[Facts]:
        return [one for one in self._of.get(key, ()) if one.bucket > bucket - KEPT]

    def packed(self) -> Array:
        """Return all that wait, packed."""
        return pack_exact([one for _, waiting in sorted(self._of.items()) for one in waiting])

    def restore(self, packed: Array) -> None:
        """Take over what was packed."""
        self._of = {}
        for one in unpack_exact(packed, list[Facts]):
            self._of.setdefault((one.code, one.accounts[0]), []).append(one)


def _together(facts: Sequence[Facts]) -> Facts:
    """Return facts of several buckets and accounts, in their order, as those of the last."""
    joined: Array = np.array(facts[0].row, np.int64)
    for field in (F_COUNT, F_SURE):
        joined[field] = sum(one.row[field] for one in facts)
    joined[F_LAST_NS] = max(one.row[F_LAST_NS] for one in facts)
    cited = [seq for one in facts for seq in one.row[F_REFS:] if seq][:REFS]
    joined[F_REFS : F_REFS + len(cited)] = cited
    return Facts(
        code=facts[-1].code,
        bucket=facts[-1].bucket,
        row=tuple(joined.tolist()),
        accounts=tuple(dict.fromkeys(account for one in facts for account in one.accounts)),
        incomplete=any(one.incomplete for one in facts),
    )


def has_rule(tallies: Array, params: UnequalAccessParams) -> bool:
    """Return whether self-trade prevention takes the resting order of all others."""
    kept, bent = int(tallies[:, B_PEER_RULE].sum()), int(tallies[:, B_PEER_BENT].sum())
    least, unlike = params.least_prevented, params.unlike_ratio
    return kept >= least and bent <= unlike * (kept + bent)


def keeping(ours: Array, params: UnequalAccessParams) -> list[int]:
    """Return the slots of the group that keep to the rule too, and so did not choose to break it.

    Who hardly ever gives up what rests has chosen to give up what comes in.
    """
    day = ours.sum(axis=0, dtype=np.int64)
    rule, bent = day[:, A_RULE], day[:, A_BENT]
    slots: list[int] = np.flatnonzero(rule > params.unlike_ratio * (rule + bent)).tolist()
    return slots
