"""What being passed over cost a client, by one exact counterfactual.

The client would have been filled for the displaced quantity at the group's price, and all else
would have gone as it did. So of a client order with L lots left, of which d were displaced, the
quantity harmed is min(d, L) as L falls by later fills: what a later fill takes out of it is harmed
by the difference in price, and what is still open is marked to mid when the client cancels or
moves the order, or after the horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors.base import Finding
from detectors.episodes import Episode, Key
from ingest.axes import Count, Entries
from ingest.events import NULL, Batch, Kind
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact

Cell = dict[str, int]
READ: Final = ("seq", "clock_ns", "kind", "price", "quantity", "leaves", "leaves_before",
               "best_bid", "best_ask", "coverage")  # fmt: skip

FEW: Final = 8
"""Orders looked for one by one; np.isin has a fixed cost of about so many."""


class Watch(msgspec.Struct, kw_only=True):
    """A client order that was passed over and is still open."""

    key: Key
    """The episode that it belongs to."""
    first_seq: int
    entry_seq: int
    side: int
    displaced: int
    """Lots displaced."""
    cost: int
    """Ticks times lots at which they would have been filled."""
    leaves: int
    """Lots that the order has left."""
    price: int
    """Limit of the order, ticks; NULL = none."""
    deadline_ns: int
    before: int = 0
    """Lots of the order that earlier watches of it speak for: later fills go to those last."""
    spent: bool = False
    """Marked at the horizon: kept so that its quantity is not harmed once more."""
    harm: int = 0
    """So far, half ticks times lots; may be negative until it is settled."""

    @property
    def harmed(self) -> int:
        """Lots displaced and not yet made good by later fills."""
        return min(self.displaced, max(self.leaves - self.before, 0))

    def filled(self, lots: int, price: int) -> None:
        """Take a later fill of the order into account."""
        before = self.harmed
        self.leaves = max(self.leaves - lots, 0)
        self._charge(before - self.harmed, 2 * price)

    def reduced(self, leaves: int, double_mid: int) -> None:
        """Mark what the client gives up by reducing the order."""
        before = self.harmed
        self.leaves = leaves
        self._charge(before - self.harmed, double_mid)

    def _charge(self, lots: int, double_price: int) -> None:
        if self.spent:
            return
        # Twice the cost of the lots at the mean group price, to the nearest half tick.
        reference = (4 * self.cost * lots + self.displaced) // (2 * self.displaced)
        self.harm += self.side * (double_price * lots - reference)


class Settled(msgspec.Struct, frozen=True):
    """A watch that has ended, with what it came to."""

    watch: Watch
    at_ns: int
    seq: int
    """Of the client's own record that ended it; 0 when the horizon did."""
    measured: bool
    """False when the book had no mid to mark to."""
    incomplete: bool


def charge(episode: Episode, settled: Settled) -> None:
    """Add what a watch has come to to its episode: a fact of its own."""
    sums, watch = episode.sums, settled.watch
    if settled.measured:
        sums["harm"] = sums.get("harm", 0) + max(0, watch.harm)
        sums["measured"] = sums.get("measured", 0) + 1
    else:
        sums["unmeasured"] = sums.get("unmeasured", 0) + watch.displaced
    episode.facts += 1
    episode.incomplete |= settled.incomplete


_Open = tuple[int, list[Watch]]
"""An instrument and its open watches."""


def _under(open_: _Open, code: int) -> _Open:
    """Return the watches of an instrument under another code."""
    return code, [msgspec.structs.replace(watch, key=(code, *watch.key[1:])) for watch in open_[1]]


class Harm:
    """The watched client orders.

    State: one `Watch` each time that a client order still open was passed over, at most `limit` an
    instrument. One more takes the place of the oldest that was marked at its horizon, else it is
    not measured, and counted.

    Parameters
    ----------
    horizon_ns : int
        After which an unfilled client is marked to mid, event time, ns.
    limit : int
        Watches kept an instrument.
    """

    layout: ClassVar[Layout] = {
        "watches": Entries(kind=_Open, place=lambda each: each[0], moved=_under),
        "unwatched": Count(),
    }

    def __init__(self, horizon_ns: int, limit: int) -> None:
        self._horizon_ns = horizon_ns
        self._limit = limit
        self._open: dict[int, list[Watch]] = {}
        self.overflow = 0

    def codes(self) -> set[int]:
        """Return the instruments with an open watch."""
        return set(self._open)

    def watch(self, code: int, watch: Watch) -> bool:
        """Watch an order; False when it is not measured. Quantity already watched counts once."""
        watches = self._open.get(code, [])
        watch.before = sum(w.harmed for w in watches if w.entry_seq == watch.entry_seq)
        if watch.harmed == 0:
            return True
        if len(watches) >= self._limit:
            spent = next((w for w in watches if w.spent), None)
            if spent is None:
                self.overflow += 1
                return False
            watches.remove(spent)
        watch.cost = watch.cost * watch.harmed // watch.displaced
        watch.displaced = watch.harmed
        self._open.setdefault(code, watches).append(watch)
        return True

    def rows(self, batch: Batch, code: int, start: int, end: int, new: list[int]) -> list[int]:
        """Return the rows of [start, end) that name a watched order, or one of `new`."""
        entries = [w.entry_seq for w in self._open.get(code, ())] + new
        if not entries:
            return []
        seqs = batch["entry_seq"][start:end]
        if len(entries) > FEW:
            found = np.isin(seqs, np.array(entries, np.int64))
        else:
            found = seqs == entries[0]
            for entry in entries[1:]:
                found |= seqs == entry
        return [start + row for row in np.flatnonzero(found).tolist()]

    def due(
        self, batch: Batch, code: int, start: int, end: int, before_ns: int
    ) -> Iterator[Settled]:
        """Settle the watches whose horizon ends before an event time, in order of deadline."""
        open_ = (w for w in self._open.get(code, ()) if not w.spent)
        over = [w for w in open_ if w.deadline_ns < before_ns]
        for watch in sorted(over, key=lambda w: w.deadline_ns):
            clock = batch["clock_ns"][start:end]
            row = start + int(np.searchsorted(clock, watch.deadline_ns, side="right"))
            cell = _cell(batch, row)
            kept = msgspec.structs.replace(watch, displaced=watch.harmed, spent=True)
            self._open[code].append(kept)
            yield self._settle(code, watch, watch.deadline_ns, cell, 0)

    def record(
        self, batch: Batch, code: int, row: int, *, names: str = "entry_seq"
    ) -> Iterator[Settled]:
        """Take a row that names a watched order into account; settle what it ends.

        `names` is the column by which: `incoming_seq` for trades of a watched order in flight.
        """
        cell = _cell(batch, row)
        entry = int(batch[names][row])
        for watch in [w for w in self._open.get(code, ()) if w.entry_seq == entry]:
            ended = False
            if cell["kind"] == Kind.TRADE:
                watch.filled(cell["quantity"], cell["price"])
            elif _keeps_place(cell, watch) and _double_mid(cell) is not None:
                watch.reduced(cell["leaves"], _double_mid(cell) or 0)
            else:
                ended = cell["kind"] != Kind.REJECT
            if ended or watch.harmed == 0:
                settled = self._settle(code, watch, cell["clock_ns"], cell, cell["seq"])
                if not watch.spent:
                    yield settled

    def run(
        self,
        batch: Batch,
        span: tuple[int, int, int],
        facts: Sequence[tuple[int, int]],
        entries: list[int],
        *,
        take: Callable[[int], Iterator[Finding]],
        marked: Callable[[Settled], Finding],
    ) -> Iterator[Finding]:
        """Yield an instrument's findings: facts, clients' own records and marks in order of seq.

        Parameters
        ----------
        span : (int, int, int)
            Instrument, and its rows of the batch: first and end.
        facts : sequence of (seq, event time in ns)
        entries : list of int
            `entry_seq` of the orders that the facts may watch.
        take : callable
            Returns the findings of a fact, by its place in `facts`; may watch orders.
        marked : callable
            Returns the finding of a watch that has ended.
        """
        code, start, end = span
        rows = self.rows(batch, code, start, end, entries)
        events: list[tuple[int, int, int, int]] = [
            (int(batch["seq"][row]), 0, int(batch["clock_ns"][row]), row) for row in rows
        ]
        events += [(seq, 1, at_ns, place) for place, (seq, at_ns) in enumerate(facts)]
        for _, is_fact, at_ns, place in sorted(events):
            yield from map(marked, self.due(batch, code, start, end, at_ns))
            if is_fact:
                yield from take(place)
            else:
                yield from map(marked, self.record(batch, code, place))
        last_ns = int(batch["clock_ns"][end - 1])
        yield from map(marked, self.due(batch, code, start, end, last_ns))

    def _settle(self, code: int, watch: Watch, at_ns: int, cell: Cell, seq: int) -> Settled:
        double_mid = _double_mid(cell)
        measured = double_mid is not None or watch.harmed == 0
        watch.reduced(0, double_mid or 0)
        self._open[code].remove(watch)
        if not self._open[code]:
            del self._open[code]
        return Settled(watch, at_ns, seq, measured, bool(cell["coverage"]))

    def snapshot(self) -> Snapshot:
        """Return the open watches as arrays, by instrument."""
        return {
            "watches": pack_exact(sorted(self._open.items(), key=itemgetter(0))),
            "unwatched": np.array([self.overflow], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""
        self._open = dict(unpack_exact(snapshot["watches"], list[_Open]))
        self.overflow = int(snapshot["unwatched"][0])


def _cell(batch: Batch, row: int) -> Cell:
    return {name: int(batch[name][row]) for name in READ}


def _double_mid(cell: Cell) -> int | None:
    """Return twice the mid before the event, ticks; None when a side is empty."""
    if NULL in (cell["best_bid"], cell["best_ask"]):
        return None
    return cell["best_bid"] + cell["best_ask"]


def _keeps_place(cell: Cell, watch: Watch) -> bool:
    """Return whether a replace only lowers the quantity."""
    return (
        cell["kind"] == Kind.REPLACE
        and cell["price"] in (NULL, watch.price)
        and cell["leaves"] != NULL
        and 0 < cell["leaves"] < cell["leaves_before"]
    )
