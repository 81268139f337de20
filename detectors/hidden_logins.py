"""Logins that an account of a client has in common with the group: the day's sessions and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.base import Ref
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_rows import SPREAD
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
from ingest.compiled import kernel
from ingest.events import Array
from ingest.sections import Layout
from ingest.state import Snapshot

# A use: where, which name, by whom; how many trades, the first of them, and whose it was.
L_CODE, L_KIND, L_NAME, L_ACCOUNT, L_GROUP, L_TRADES, L_FIRST_NS, L_FIRST_SEQ, L_OWNER = range(9)
USE_FIELDS: Final = 9
NOBODYS: Final = -1
"""From here down are owners of accounts that have none."""
LOGINS: Final = {"session": W_SESSION, "user": W_USER}
"""Kinds of logins, and which field of who traded they are."""
_PLACES: Final = np.array(list(LOGINS.values()), np.int64)
_FREE: Final = -1
MOST: Final = 65_536
"""Uses kept of a day: of one name by one account in one instrument; more is overflow."""

FEWEST: Final = 1024
"""Places for uses that are made at first; twice as many each time they are full."""


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
        self._room = np.zeros((FEWEST, USE_FIELDS), np.int64)
        self._table = np.full(2 * FEWEST, _FREE, np.int64)
        self._count = 0
        self.lost = 0
        """Trades by a use for which there was no place."""

    @property
    def _uses(self) -> Array:
        """What is known, in the order in which it began."""
        return self._room[: self._count]

    def take(self, rows: Array) -> None:
        """Take trades in event order, as `hidden_intake.pending_of` returns them."""
        self._hold(self._uses, self._count + 2 * len(LOGINS) * len(rows))
        self._count, lost = note(rows, self._room, self._count, self._table)
        self.lost += lost

    def forget(self, account: int) -> None:
        """Forget what an account did as a client's."""
        gone = (self._uses[:, L_ACCOUNT] == account) & (self._uses[:, L_GROUP] == 0)
        if gone.any():
            self._become(self._uses[~gone])

    def clear(self) -> None:
        """Forget the day."""
        self._become(self._uses[:0])

    def _become(self, uses: Array) -> None:
        """Know these uses, each of which is there once, and no others."""
        known = uses.copy()
        self._count = len(known)
        self._hold(known, len(known))
        self._room[: len(known)] = known
        index(self._uses, self._table)

    def _hold(self, uses: Array, most: int) -> None:
        """See to it that there is room for so many uses, `MOST` at the most."""
        room = len(self._room)
        if room >= min(most, MOST):
            return
        while room < min(most, MOST):
            room *= 2
        self._room = np.zeros((room, USE_FIELDS), np.int64)
        self._room[: len(uses)] = uses
        self._table = np.full(2 * room, _FREE, np.int64)
        index(self._room[: len(uses)], self._table)

    def shared(self, params: HiddenAffiliatesParams) -> dict[int, Shared]:
        """Return the accounts of others whose logins are the group's, by account.

        A name counts that at most `most_owners` others use, on a platform where few names are
        used by more than one owner.
        """
        found: dict[int, dict[str, int]] = {}
        refs: dict[int, set[Ref]] = {}
        for kind, name in enumerate(LOGINS):
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
        order = (L_NAME, L_ACCOUNT, L_KIND, L_GROUP, L_FIRST_SEQ, L_FIRST_NS, L_CODE)
        return {
            "hidden_logins": self._uses[np.lexsort([self._uses[:, field] for field in order])],
            "hidden_logins_lost": np.array([self.lost], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        uses = snapshot["hidden_logins"]
        uses = uses[np.lexsort((uses[:, L_FIRST_SEQ], uses[:, L_FIRST_NS]))]
        self._become(uses[:MOST])
        # Of several workers' there may be more than one keeps.
        self.lost = int(snapshot["hidden_logins_lost"].sum() + uses[MOST:, L_TRADES].sum())


@kernel()
def note(rows: Array, uses: Array, count: int, table: Array) -> tuple[int, int]:
    """Add the logins that trades were made by to the uses of a day.

    Parameters
    ----------
    rows : (n, PENDING_FIELDS) int64
        In event order.
    uses : (room, USE_FIELDS) int64
        The first `count` are known, in the order in which they began.
    table : (a power of two, more than the room) int64
        Finds a use: its place, or -1; see `find`.

    Returns
    -------
    count, lost : int
        How many are known now, and for how many trades there was no place.
    """
    lost = 0
    for i in range(len(rows)):
        for kind in range(len(_PLACES)):
            for who in (TAKER, RESTER):
                name, account = rows[i, who + _PLACES[kind]], rows[i, who + W_ACCOUNT]
                if name < 0:
                    continue
                group = 1 if rows[i, who + W_GROUP] != 0 else 0
                slot = find(uses, table, rows[i, P_CODE], kind, name, account, group)
                if table[slot] != _FREE:
                    uses[table[slot], L_TRADES] += 1
                    continue
                if count == len(uses):
                    lost += 1
                    continue
                table[slot] = count
                use = uses[count]
                use[L_CODE], use[L_KIND], use[L_NAME] = rows[i, P_CODE], kind, name
                use[L_ACCOUNT], use[L_GROUP], use[L_TRADES] = account, group, 1
                use[L_FIRST_NS], use[L_FIRST_SEQ] = rows[i, P_CLOCK], rows[i, P_SEQ]
                # Of an account that is not registered it is not known whose it is: its own.
                owner = rows[i, who + W_OWNER]
                use[L_OWNER] = owner if owner >= 0 else NOBODYS - account
                count += 1
    return count, lost


@kernel()
def find(  # noqa: PLR0917
    uses: Array, table: Array, code: int, kind: int, name: int, account: int, group: int
) -> int:
    """Return where a use stands in the table, or the free place where it would."""
    mask = len(table) - 1
    mixed = ((name * 31 + account) * 31 + code) * 4 + 2 * kind + group
    slot = ((mixed * SPREAD) >> 20) & mask
    while table[slot] != _FREE:
        use = uses[table[slot]]
        if (
            use[L_NAME] == name
            and use[L_ACCOUNT] == account
            and use[L_CODE] == code
            and use[L_KIND] == kind
            and use[L_GROUP] == group
        ):
            break
        slot = (slot + 1) & mask
    return int(slot)


@kernel()
def index(uses: Array, table: Array) -> None:
    """Write anew where each use stands in the table."""
    table[:] = _FREE
    for at in range(len(uses)):
        use = uses[at]
        slot = find(
            uses, table, use[L_CODE], use[L_KIND], use[L_NAME], use[L_ACCOUNT], use[L_GROUP]
        )
        table[slot] = at
