"""Executions in all instruments of one underlying, and client episodes that went on meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median_low
from typing import Final

import msgspec

from detectors.across_params import FrontRunningAcrossParams

GROUP: Final = -1
"""The group as one who acts; others are their owners' codes."""
SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
KEPT: Final = 512
"""Executions kept of the group, trades of all, and client instructions."""
KEPT_OTHERS: Final = 1024
FEW: Final = 16
"""Client instructions without which no size is usual; also how often it is computed anew."""


class Execution(msgspec.Struct, kw_only=True):
    """All trades of one incoming instruction."""

    instrument: str
    seq: int
    received_ns: int
    clock_ns: int
    """Event time of its first trade, ns."""
    side: int
    account: int
    actor: int
    """`GROUP`, the owner, or, where none is known, a number of the account's own below it."""
    originator: int
    client: bool
    """Whether it may be a client's whose episode somebody runs in front of."""
    amount: float
    """Base units."""
    price: int
    """Of its first trade, ticks."""
    first: int
    last: int
    """Seqs of its first and last trade."""
    double_mid: int | None
    """Bid plus ask before it, ticks; None where there was none."""
    doubt: bool = False


class Fill(msgspec.Struct):
    """What one has traded."""

    clock_ns: int
    actor: int
    amount: float
    """Base units, negative where sold."""


class Parent(msgspec.Struct, kw_only=True):
    """A client's orders on one side of an underlying, each within a gap of the next."""

    client: int
    originator: int
    side: int
    last_ns: int
    amount: float = 0.0
    """Executed so far, base units."""
    exposed_ns: int = 0
    windows: int = 0
    """Of windows that the day does not count yet, because the episode is not large."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What sets it apart from the others that go on."""
        return self.client, self.originator, self.side


class Act(msgspec.Struct, frozen=True):
    """An execution within a client instruction's window, with what chance gives."""

    done: Execution
    at_ns: int
    """When the platform had the client's instruction, ns: habit is what came before."""
    rate_as_large: float
    """How often the same executes on that side and at least as much, per ns."""
    hedge: float
    """What it had lately traded, net, on the other side, base units."""


class Pool(msgspec.Struct, kw_only=True):
    """State of one underlying; names only, so that it is the same under any table's codes."""

    place: str
    """An instrument of it."""
    since_ns: int
    day: int = 0
    exposed_ns: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    """Length of the day's windows of large episodes: clients selling, buying."""
    windows: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    usual: float = 0.0
    made: int = 0
    amounts: list[float] = []
    parents: list[Parent] = []
    group: list[Execution] = []
    others: list[Execution] = []
    fills: list[Fill] = []
    hits: dict[int, int] = {}
    """Windows of large episodes of the day in which each actor executed."""

    def add(
        self, done: Execution, params: FrontRunningAcrossParams
    ) -> tuple[Parent | None, list[Act]]:
        """Take the next instruction; return its parent episode, and what others did meanwhile."""
        if done.clock_ns // DAY != self.day:
            self.day = done.clock_ns // DAY
            self.exposed_ns, self.windows, self.hits = [0, 0], [0, 0], {}
        parent, acts = None, []
        kept, most = (self.group, KEPT) if done.actor == GROUP else (self.others, KEPT_OTHERS)
        for other in reversed(kept[-FEW:]):
            if (other.instrument, other.seq) == (done.instrument, done.seq):  # the rest of it
                other.amount += done.amount
                return (self._parent(done, params) if done.client else None), []
        if done.client:
            parent = self._parent(done, params)
            window_ns = done.clock_ns - done.received_ns - params.clock_uncertainty_ns
            if window_ns > 0:
                parent.exposed_ns += window_ns
                parent.windows += 1
                acts = list(self._meanwhile(done, params))
            if self.is_large(parent, params):
                s = done.side > 0
                self.exposed_ns[s] += parent.exposed_ns
                self.windows[s] += parent.windows
                parent.exposed_ns = parent.windows = 0
            self._note(done.amount)
        kept.append(done)
        if len(kept) > most:
            del kept[0]
        return parent, acts

    def traded(self, fill: Fill) -> None:
        """Take in what somebody has traded."""
        self.fills.append(fill)
        if len(self.fills) > KEPT:
            del self.fills[0]

    def is_large(self, parent: Parent, params: FrontRunningAcrossParams) -> bool:
        """Return whether a client's episode is worth running in front of."""
        return self.usual > 0 and parent.amount >= params.large_ratio * self.usual

    def _parent(self, done: Execution, params: FrontRunningAcrossParams) -> Parent:
        oldest = done.clock_ns - params.parent_gap_s * SECOND
        self.parents = [parent for parent in self.parents if parent.last_ns >= oldest]
        key = (done.actor, done.originator, done.side)
        found = next((parent for parent in self.parents if parent.key == key), None)
        if found is None:
            found = Parent(
                client=done.actor,
                originator=done.originator,
                side=done.side,
                last_ns=done.clock_ns,
            )
            self.parents.append(found)
        found.last_ns = done.clock_ns
        found.amount += done.amount
        return found

    def _note(self, amount: float) -> None:
        self.amounts.append(amount)
        if len(self.amounts) > KEPT:
            del self.amounts[0]
        self.made += 1
        if self.made >= FEW and self.made % FEW == 0:
            self.usual = median_low(self.amounts)

    def _meanwhile(self, done: Execution, params: FrontRunningAcrossParams) -> Iterator[Act]:
        """Yield what others executed on its side between δ after its arrival and its matching.

        The group in the client's own instrument is another detector's.
        """
        from_ns = done.received_ns + params.clock_uncertainty_ns
        for kept in (self.group, self.others):
            for other in reversed(kept):
                if other.clock_ns < done.received_ns:
                    break
                if (
                    other.side == done.side
                    and from_ns < other.received_ns < done.clock_ns
                    and other.actor != done.actor
                    and not (other.actor == GROUP and other.instrument == done.instrument)
                ):
                    yield self._act(other, done, params)

    def _act(self, act: Execution, done: Execution, params: FrontRunningAcrossParams) -> Act:
        hedge = math.fsum(
            -done.side * fill.amount
            for fill in self.fills
            if fill.actor == act.actor
            and 0 < act.received_ns - fill.clock_ns <= params.hedge_s * SECOND
        )
        return Act(
            done=act,
            at_ns=done.received_ns,
            rate_as_large=self.rates(params, act.actor, done.received_ns, act.amount)[act.side > 0],
            hedge=max(hedge, 0.0),
        )

    def rates(
        self, params: FrontRunningAcrossParams, actor: int, at_ns: int, least: float = 0.0
    ) -> tuple[float, float]:
        """Return how often one executes at least so much, selling and buying, per ns.

        The greater of the rate over all that is kept and that of the last `local_s`.
        """
        kept, most = (self.group, KEPT) if actor == GROUP else (self.others, KEPT_OTHERS)
        since_ns = kept[0].clock_ns if len(kept) == most else self.since_ns
        span_ns, local_ns = max(at_ns - since_ns, 1), params.local_s * SECOND
        counts, lately = [0, 0], [0, 0]
        for other in kept:
            if other.actor == actor and other.clock_ns < at_ns and other.amount >= least:
                counts[other.side > 0] += 1
                lately[other.side > 0] += at_ns - other.clock_ns <= local_ns
        sell, buy = (
            max((all_time + 1) / span_ns, recent / local_ns)
            for all_time, recent in zip(counts, lately, strict=True)
        )
        return sell, buy

    def knows(self, actor: int) -> bool:
        """Return whether one has executed here, as far as is kept."""
        return bool(self.group) if actor == GROUP else any(o.actor == actor for o in self.others)

    def expected(self, params: FrontRunningAcrossParams, actor: int, at_ns: int) -> float:
        """Return how many executions of one chance puts into the day's windows, both sides'."""
        if not any(self.exposed_ns):
            return 0.0
        rates = self.rates(params, actor, at_ns)
        return math.fsum(rate * ns for rate, ns in zip(rates, self.exposed_ns, strict=True))
