"""The affiliate's place in the queue: as the venue states it, and as its orders are filled.

By the contract a new order, and an amendment of price or to more, goes to the back. Where the feed
has `priority_ns`, the venue itself says which place an order got: one stated before the gateway had
the instruction is ahead of what came in between. Whether its orders are filled before older ones is
`client_priority`'s; here they are held against what clients were told of its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from detectors.access_chance import LEAST_PEERS
from detectors.access_facts import fact
from detectors.access_params import UnequalAccessParams
from detectors.access_rules import CLOCK_NS, disclosed
from detectors.access_state import (
    AFMM,
    B_AHEAD,
    B_JOINED,
    BEHIND_CLIENTS,
    CLIENTS,
    D_KIND,
    D_VALUE,
    ENTERED,
    F_BETTER,
    F_GOT,
    F_LEAST,
    F_PROVED,
    F_SURE,
    KEEPS_PLACE,
    KEPT,
    M_BASE,
    M_COUNT,
    M_SUM,
    OLDER,
    P_AHEAD,
    P_JOINED,
    S_ACCOUNT,
    S_PARTY,
    TOLD_PLACE,
)
from detectors.statistics import fisher_tail
from ingest.compiled import kernel
from ingest.events import Array, Batch, Coverage, Phase, Role
from ingest.instruments import Instruments

_INCIDENT: Final = ("instrument", "done_seq", "group_account", "price")


@kernel()
def joined(  # noqa: PLR0917
    slots: Array, s: int, peers: Array, bucket: Array, facts: Array, told: Array, code: int,
    seq: int, at_ns: int, ahead_ns: int, amended: int, numbers: Array,
) -> None:  # fmt: skip
    """Count an order that joins the back of a queue, and whether its place is stated ahead.

    `ahead_ns` is by how much its place is stated to be older than its instruction. Like is held
    against like: `amended` is 1 for an amendment. What clients were told it may keep does not
    count.
    """
    ahead = ahead_ns > numbers[CLOCK_NS]
    if slots[s, S_PARTY] != AFMM:
        peers[s, P_JOINED + 2 * amended] += 1
        peers[s, P_AHEAD + 2 * amended] += ahead
        return
    row = disclosed(told, slots[s, S_ACCOUNT] - 1, code, TOLD_PLACE, at_ns)
    if row >= 0 and amended and told[row, D_VALUE] == KEEPS_PLACE:
        return
    bucket[B_JOINED + 2 * amended] += 1
    bucket[B_AHEAD + 2 * amended] += ahead
    if not ahead:
        return
    fact_row = facts[ENTERED + amended]
    fact(fact_row, s, seq, at_ns)
    fact_row[F_SURE] += 1
    fact_row[F_BETTER] += row >= 0
    fact_row[F_LEAST] = min(fact_row[F_LEAST], -ahead_ns)


@kernel()
def rested(measured: Array, lots: int) -> None:
    """Count a fill of the affiliate's order at rest."""
    for row in (OLDER, CLIENTS):
        measured[row, M_COUNT] += 1
        measured[row, M_BASE] += lots


class Places(msgspec.Struct, frozen=True):
    """Orders of a day that joined a queue at a place that the venue states, of one action."""

    ours: int
    ahead: int
    others: int
    others_ahead: int
    peers: int
    """External makers with `least_pairs` of them at least."""

    def is_controlled(self, params: UnequalAccessParams) -> bool:
        """Return whether others' show how the venue states places."""
        return self.peers >= LEAST_PEERS and self.others >= params.least_stated

    def are_ahead(self, params: UnequalAccessParams) -> bool:
        """Return whether the affiliate's are stated ahead and external makers' are not."""
        if not self.is_controlled(params):
            return False
        if self.others_ahead > params.unlike_ratio * self.others:
            return False
        chance = fisher_tail(self.ahead, self.ours, self.others_ahead, self.others)
        return chance <= params.daily_false_alarms / KEPT / 2


def places_of(peers: Array, tallies: Array, amended: int, params: UnequalAccessParams) -> Places:
    """Return the day's orders, entered or amended; from the buckets kept of an instrument."""
    by, to = P_JOINED + 2 * amended, B_JOINED + 2 * amended
    theirs = peers.sum(axis=0, dtype=np.int64)[:, by : by + 2]
    ours = tallies[:, to : to + 2].sum(axis=0)
    return Places(
        ours=int(ours[0]),
        ahead=int(ours[1]),
        others=int(theirs[:, 0].sum()),
        others_ahead=int(theirs[:, 1].sum()),
        peers=int((theirs[:, 0] >= params.least_pairs).sum()),
    )


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """Where incoming orders took from accounts of the affiliate while known others stood there.

    All are (n,) int64; a row is what one order took from one account at one price.
    """

    code: Array
    account: Array
    done_ns: Array
    trade_seq: Array
    """Of the first of its fills there that passed somebody over."""
    older_lots: Array
    """Filled before an older order."""
    lots: Array
    """Filled while others showed as much there."""


def filled(batch: Batch) -> Filled:
    """Return where known others were passed over by the affiliate in continuous trading."""
    table = batch.passed_over
    rows = np.flatnonzero(table["group_role"] == Role.AFFILIATED_MM)
    client = table["client_role"][rows]
    rows = rows[
        ((client == Role.CLIENT) | (client == Role.EXTERNAL_MM))
        & (table["phase"][rows] == Phase.CONTINUOUS)
        & (table["coverage"][rows] == Coverage.COMPLETE)
    ]
    begins = np.arange(len(rows)) == 0
    for name in _INCIDENT:  # rows of one account and price stand together
        begins[1:] |= np.diff(table[name][rows]) != 0
    starts = np.flatnonzero(begins)
    jumped = table["jumped_lots"][rows]
    older = np.maximum.reduceat(jumped, starts)
    shown = table["client_lots"][rows]
    stood = np.add.reduceat(shown, starts)
    first = rows[starts]
    return Filled(
        code=table["instrument"][first],
        account=table["group_account"][first],
        done_ns=table["done_ns"][first],
        trade_seq=table["group_trade_seq"][first],
        older_lots=older,
        lots=np.minimum(table["group_lots"][first], stood),
    )


def measure_filled(all_measured: Array, found: Filled) -> None:
    """Add what was filled ahead of others to what is measured from the start."""
    np.add.at(all_measured[:, OLDER, M_SUM], found.code, found.older_lots)
    np.add.at(all_measured[:, CLIENTS, M_SUM], found.code, found.lots)


class BeforeClients(msgspec.Struct, frozen=True, kw_only=True):
    """A fill of an account said to stand behind clients, while younger ones stood there."""

    code: int
    account: int
    done_ns: int
    trade_seq: int
    lots: int


def before_clients(found: Filled, told: Array, instruments: Instruments) -> Iterator[BeforeClients]:
    """Yield fills before younger clients of accounts that were said to stand behind clients.

    Those before older orders are a breach on every venue, and those where the engine is said to
    match clients first likewise: both are `client_priority`'s.
    """
    if not (told[:, D_VALUE][told[:, D_KIND] == TOLD_PLACE] == BEHIND_CLIENTS).any():
        return
    for n in np.flatnonzero(found.older_lots == 0).tolist():
        code, account, at_ns = (int(c[n]) for c in (found.code, found.account, found.done_ns))
        if instruments[code].matching == "price_class_time":
            continue
        row = disclosed(told, account, code, TOLD_PLACE, at_ns)
        if row >= 0 and told[row, D_VALUE] == BEHIND_CLIENTS:
            yield BeforeClients(
                code=code,
                account=account,
                done_ns=at_ns,
                trade_seq=int(found.trade_seq[n]),
                lots=int(found.lots[n]),
            )


def count_filled(fact_row: Array, slots: Array, one: BeforeClients) -> bool:
    """Count a fill as a fact of its bucket; return whether its account has a slot."""
    places = np.flatnonzero(slots[:, S_ACCOUNT] == one.account + 1)
    if not len(places):
        return False
    fact(fact_row, int(places[0]), one.trade_seq, one.done_ns)
    fact_row[F_BETTER] += 1
    fact_row[F_SURE] += 1
    fact_row[F_PROVED] += 1
    fact_row[F_GOT] += one.lots
    return True
