"""An incident of client_priority: quantity that the group got and a client should have had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import msgspec

from detectors.arrivals import Inversion
from detectors.overtaken import is_often
from detectors.overtaking import EITHER_WAY, IN_ORDER
from ingest.events import NULL, Role

PROVED, CLIENT_UNKNOWN, AFFILIATE_UNKNOWN, TIMING, UNORDERED, OFTEN, CLOSE = range(7)
"""What a displacement's standing as a breach depends on. `TIMING`: a clock that is surely wrong, or
a gap up to twice the uncertainty at which some of others' are matched reversed, or few were seen;
`CLOSE`: such a gap where the venue is seen to keep the order of arrival."""


def by_arrival(gap_ns: int, delta_ns: int, order: int) -> int:
    """Return what an inversion stands on by how far apart both came, and the venue's order so far.

    `order`: see `overtaking.order_of`.
    """
    if gap_ns <= 2 * delta_ns:
        return CLOSE if order == IN_ORDER else TIMING
    return UNORDERED if order == EITHER_WAY else PROVED


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What one client order should have had and did not get while the incoming order lived."""

    account: int
    entry_seq: int
    leaves: int
    """Lots that the order has left, hidden included."""
    limit: int
    """Its limit, ticks; NULL = none."""
    lots: int
    cost: int
    """Ticks times lots at which they would have been filled."""


class Displacement(msgspec.Struct, frozen=True, kw_only=True):
    """One incident: quantity that the group got and a client should have had."""

    instrument: int
    condition: int
    side: int
    """Of the client's order: +1 buy, -1 sell."""
    done_seq: int
    done_ns: int
    from_ns: int
    """Event time from which it can be seen, ns: of the group's trade, where that came before."""
    first_seq: int
    """Seq of the group's first fill: the first evidence."""
    group_account: int
    dues: tuple[Due, ...]
    """By place in the queue, at least one; lots may be 0."""
    role: int
    seqs: tuple[int, ...]
    """Records that prove it; 0 = unknown."""
    context: tuple[int, ...] = ()
    """Further ones that are no conduct of the group's nor of a client that it hurt."""
    filled_lots: int = 0
    """Lots displaced that the client got after all, at a worse price."""
    worse: int = 0
    """Half ticks times lots lost on those."""
    gap_ns: int = 0
    """By how much the client's instruction arrived first; 0 when that is not the point."""
    held_ns: int = 0
    """From the arrival of the client's instruction to its matching, likewise."""
    older: int = 0
    class_time: int = 0
    arrival_inversions: int = 0
    exempt_hidden: int = 0
    exempt_stp: int = 0
    incomplete: bool = False
    overtaken: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of the rate that it is told by: see `detectors.overtaken`; 0 where it stands by itself."""

    @property
    def lots(self) -> int:
        """Lots displaced."""
        return self.filled_lots + sum(due.lots for due in self.dues)

    @property
    def counts(self) -> Mapping[str, int]:
        """What an episode adds up."""
        return {
            "older": self.older,
            "younger": int(self.class_time and not self.arrival_inversions),
            "class_time": self.class_time,
            "arrival_inversions": self.arrival_inversions,
            "exempt_hidden": self.exempt_hidden,
            "exempt_stp": self.exempt_stp,
        }


def of_inversions(
    found: Sequence[Inversion], delta_ns: int, level: float
) -> Iterator[Displacement]:
    """Yield one displacement a client instruction and group instruction, in order.

    `level`: false alarms of an instrument's day that the rate of inversions may make.
    """
    for _, of_client in groupby(found, lambda row: (row.instrument, row.client_seq)):
        taken: dict[int, list[Inversion]] = {}
        for row in of_client:
            taken.setdefault(row.group_seq, []).append(row)
        for rows in taken.values():
            yield _displacement(rows, delta_ns, level)


def _displacement(rows: Sequence[Inversion], delta_ns: int, level: float) -> Displacement:
    one = rows[0]
    gap_ns = one.group_received_ns - one.client_received_ns
    unfilled = [row for row in rows if row.client_price == NULL]
    condition = by_arrival(gap_ns, delta_ns, one.order)
    if one.client_role == Role.UNKNOWN:
        condition = CLIENT_UNKNOWN
    elif one.group_role == Role.UNKNOWN:
        condition = AFFILIATE_UNKNOWN
    elif one.late:
        condition = TIMING
    elif condition == UNORDERED:
        counts = (one.exposed, one.exposed_all, one.hits, one.others_hits)
        condition = OFTEN if is_often(*counts, level) else UNORDERED
    return Displacement(
        instrument=one.instrument,
        condition=condition,
        side=one.side,
        done_seq=one.done_seq,
        done_ns=one.done_ns,
        from_ns=min(row.group_trade_ns for row in rows),
        first_seq=one.group_trade_seq,
        group_account=one.group_account,
        dues=(
            Due(
                account=one.client_account,
                entry_seq=one.client_seq,
                leaves=one.client_open,
                limit=one.client_limit,
                lots=sum(row.lots for row in unfilled),
                cost=sum(row.lots * row.group_price for row in unfilled),
            ),
        ),
        role=one.group_role,
        seqs=tuple(
            {one.client_seq, one.group_seq, one.done_seq, *(row.group_trade_seq for row in rows)}
        ),
        filled_lots=sum(row.lots for row in rows if row.client_price != NULL),
        worse=sum(
            2 * row.side * (row.client_price - row.group_price) * row.lots
            for row in rows
            if row.client_price != NULL
        ),
        gap_ns=gap_ns,
        held_ns=one.done_ns - one.client_received_ns,
        arrival_inversions=1,
        incomplete=bool(one.incomplete),
        overtaken=(one.exposed, one.exposed_all, one.hits, one.others_hits),
    )
