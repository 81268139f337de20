"""Logins that an account of a client has in common with the group: the day's sessions and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.base import Ref
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_state import (
    P_CLOCK,
    P_CODE,
    P_SEQ,
    RESTER,
    TAKER,
    W_ACCOUNT,
    W_GROUP,
    W_OWNER,
    W_SESSION,
    W_USER,
)
from ingest.axes import Count, Rows
from ingest.events import Array
from ingest.sections import Layout
from ingest.state import Snapshot

KINDS: Final = {"session": W_SESSION, "user": W_USER}
MOST: Final = 65_536
"""Uses kept of a day: of one name by one account in one instrument; more is overflow."""

# A use: where, which name, by whom; how many trades, the first of them, and whose it was.
L_CODE, L_KIND, L_NAME, L_ACCOUNT, L_GROUP, L_TRADES, L_FIRST_NS, L_FIRST_SEQ, L_OWNER = range(9)
FIELDS: Final = 9
_KEY: Final = L_GROUP + 1
NOBODYS: Final = -1
"""From here down are owners of accounts that have none."""


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has in common with the group."""

    trades: dict[str, int]
    """Its trades of the day by logins that the group uses: by session, by user."""
    refs: tuple[Ref, ...]
    """The first of them, and of the group's, in each instrument."""


class Logins:
    """Who used which session and user that UTC day.

    State: 72 B a name, account and instrument, at most `MOST` of them.
    """

    layout: ClassVar[Layout] = {
        "hidden_logins": Rows("hidden_logins", column=L_CODE),
        "hidden_logins_lost": Count(),
    }

    def __init__(self) -> None:
        self._uses = np.zeros((0, FIELDS), np.int64)
        self.lost = 0
        """Uses for which there was no place."""

    def take(self, rows: Array) -> None:
        """Take trades as `hidden_state.pending_of` returns them."""
        parts = [
            _uses(rows, kind, who, place)
            for kind, place in enumerate(KINDS.values())
            for who in (TAKER, RESTER)
        ]
        new = np.concatenate(parts)
        if not len(new):
            return
        uses = _summed(np.concatenate([self._uses, new]))
        self.lost += max(0, len(uses) - MOST)
        self._uses = uses[:MOST]

    def forget(self, account: int) -> None:
        """Forget what an account did as a client's."""
        gone = (self._uses[:, L_ACCOUNT] == account) & (self._uses[:, L_GROUP] == 0)
        self._uses = self._uses[~gone]

    def clear(self) -> None:
        """Forget the day."""
        self._uses = self._uses[:0]

    def shared(self, params: HiddenAffiliatesParams) -> dict[int, Shared]:
        """Return the accounts of others whose logins are the group's, by account.

        A name counts that at most `most_owners` others use, on a platform where few names are
        used by more than one owner.
        """
        found: dict[int, dict[str, int]] = {}
        refs: dict[int, set[Ref]] = {}
        for kind, name in enumerate(KINDS):
            for account, trades, cited in self._of_kind(kind, params):
                found.setdefault(account, {})[name] = trades
                refs.setdefault(account, set()).update(cited)
        return {
            account: Shared(trades=trades, refs=tuple(sorted(refs[account])))
            for account, trades in found.items()
        }

    def _of_kind(
        self, kind: int, params: HiddenAffiliatesParams
    ) -> Iterator[tuple[int, int, Sequence[Ref]]]:
        uses = self._uses[self._uses[:, L_KIND] == kind]
        ours = uses[:, L_GROUP] != 0
        others = np.unique(uses[~ours][:, [L_NAME, L_OWNER]], axis=0)
        names, owners = np.unique(others[:, 0], return_counts=True)
        if len(names) < params.least_names:
            return
        held = np.isin(names, uses[ours][:, L_NAME])
        apart = owners[~held]
        if (apart > 1).sum() > params.most_common * len(names):
            return
        for name in names[held & (owners <= params.most_owners)].tolist():
            here = uses[uses[:, L_NAME] == name]
            by_us = here[here[:, L_GROUP] != 0]
            for account in np.unique(here[here[:, L_GROUP] == 0][:, L_ACCOUNT]).tolist():
                mine = here[(here[:, L_ACCOUNT] == account) & (here[:, L_GROUP] == 0)]
                theirs = by_us[by_us[:, L_ACCOUNT] != account]
                trades = int(mine[:, L_TRADES].sum())
                if min(trades, int(theirs[:, L_TRADES].sum())) >= params.least_shared:
                    both = np.concatenate([mine, theirs]).tolist()
                    yield account, trades, [Ref(row[L_CODE], row[L_FIRST_SEQ]) for row in both]

    def snapshot(self) -> Snapshot:
        """Return the uses, by instrument."""
        by_code = np.argsort(self._uses[:, L_CODE], kind="stable")
        return {
            "hidden_logins": self._uses[by_code],
            "hidden_logins_lost": np.array([self.lost], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._uses = _summed(snapshot["hidden_logins"])
        self.lost = int(snapshot["hidden_logins_lost"].sum())


def _uses(rows: Array, kind: int, who: int, place: int) -> Array:
    """Return the uses of names of a kind, a row a trade of a side."""
    named = rows[rows[:, who + place] >= 0]
    made = np.empty((len(named), FIELDS), np.int64)
    made[:, L_CODE], made[:, L_KIND] = named[:, P_CODE], kind
    made[:, L_NAME], made[:, L_ACCOUNT] = named[:, who + place], named[:, who + W_ACCOUNT]
    # Of an account that is not registered it is not known whose it is: its own.
    owner = named[:, who + W_OWNER]
    made[:, L_OWNER] = np.where(owner >= 0, owner, NOBODYS - made[:, L_ACCOUNT])
    made[:, L_GROUP], made[:, L_TRADES] = named[:, who + W_GROUP] != 0, 1
    made[:, L_FIRST_NS], made[:, L_FIRST_SEQ] = named[:, P_CLOCK], named[:, P_SEQ]
    return made


def _summed(uses: Array) -> Array:
    """Return each use once, with all its trades; in the order in which they began."""
    fields = (L_FIRST_SEQ, L_FIRST_NS, *reversed(range(_KEY)))
    uses = uses[np.lexsort(tuple(uses[:, field] for field in fields))]
    differs = (uses[1:, :_KEY] != uses[:-1, :_KEY]).any(1)
    first = np.flatnonzero(np.concatenate([np.ones(min(1, len(uses)), bool), differs]))
    once = uses[first]
    if len(uses):
        once[:, L_TRADES] = np.add.reduceat(uses[:, L_TRADES], first)
    began = (L_KIND, L_GROUP, L_FIRST_SEQ, L_CODE, L_FIRST_NS)
    return once[np.lexsort(tuple(once[:, field] for field in began))]
