"""Executions in all instruments of one underlying, and client episodes that went on meanwhile."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from detectors.across_kernel import (
    E_ACTOR,
    E_INSTRUMENT,
    EXECUTION_FIELDS,
    KEPT,
    KEPT_OTHERS,
    P_CLIENTS,
    P_DAY,
    P_EXPOSED,
    P_FILLS,
    P_GROUP,
    P_OTHERS,
    P_SINCE,
    P_TRIES,
    P_WINDOWS,
    POOL_FIELDS,
    TRIES,
    rates,
)
from detectors.across_params import FrontRunningAcrossParams
from detectors.across_trades import GROUP
from ingest.events import Array
from ingest.instruments import Instruments
from ingest.times import SECOND

_Ring = tuple[list[str], list[list[int]], list[list[float]]]
"""Executions, oldest first: instruments, the other fields, amounts."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
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
    amount: float
    """Base units."""
    price: int
    """Of its first trade, ticks."""
    first: int
    last: int
    """Seqs of its first and last trade."""
    double_mid: int | None = None
    """Bid plus ask before it, ticks; None where there was none."""
    doubt: bool = False


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A client's orders on one side of an underlying, each within a gap of the next."""

    client: int
    originator: int
    side: int
    amount: float
    """Executed so far, base units."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What sets it apart from the others that go on."""
        return self.client, self.originator, self.side


class Act(msgspec.Struct, frozen=True):
    """An execution that was sent within a client instruction's window, with what chance gives."""

    done: Execution
    client: Execution
    """What the client's instruction executed; habit is what came before the platform had it."""
    rate_as_large: float
    """How often the same executes on that side and at least as much, per ns."""
    hedge: float
    """What it had lately traded, net, on the other side, base units."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A pool in a snapshot: names only, so that it is the same under any table's codes."""

    place: str
    """An instrument of it."""
    fields: list[int]
    usual: float
    group: _Ring
    others: _Ring
    tries: _Ring
    fills: list[list[int]]
    filled: list[float]
    sizes: list[float]
    hits: dict[int, int]
    hits_day: int


class Pools:
    """State of the underlyings that were seen, as the kernel takes it.

    State: 290 kB an underlying.
    """

    def __init__(self) -> None:
        self.all: list[Pool] = []
        self.state: tuple[Array, ...] = _room(0)

    def add(self, place: str, since_ns: int) -> Pool:
        """Return the pool of an underlying of which nothing had been seen."""
        at = len(self.all)
        if at == len(self.state[0]):
            grown = _room(2 * at + 1)
            for old, new in zip(self.state, grown, strict=True):
                new[:at] = old
            self.state = grown
        self.state[0][at, P_SINCE] = since_ns
        self.all.append(Pool(self, at, place))
        return self.all[-1]

    def stored(self, instruments: Instruments) -> list[Stored]:
        """Return all pools by name, for a snapshot."""
        return [p.stored(instruments) for p in sorted(self.all, key=lambda pool: pool.place)]

    def restore(self, stored: Sequence[Stored], instruments: Instruments) -> None:
        """Take over the pools of a snapshot."""
        self.all, self.state = [], _room(len(stored))
        for each in stored:
            self.add(each.place, 0).restore(each, instruments)


class Pool:
    """One underlying's place in `Pools`, and the day's hits there."""

    def __init__(self, pools: Pools, at: int, place: str) -> None:
        self._pools = pools
        self.at = at
        self.place = place
        self._hits: dict[int, int] = {}
        self._hits_day = 0

    @property
    def _fields(self) -> Array:
        fields: Array = self._pools.state[0][self.at]
        return fields

    @property
    def day(self) -> int:
        """The UTC day that its windows and hits are of."""
        return int(self._fields[P_DAY])

    @property
    def exposed_ns(self) -> list[int]:
        """Length of the day's windows of large episodes: clients selling, buying."""
        exposed: list[int] = self._fields[P_EXPOSED:P_WINDOWS].tolist()
        return exposed

    @property
    def windows(self) -> list[int]:
        """How many those are."""
        windows: list[int] = self._fields[P_WINDOWS:].tolist()
        return windows

    @property
    def usual(self) -> float:
        """Median client instruction, base units; 0 = too few yet."""
        return float(self._pools.state[1][self.at])

    @property
    def hits(self) -> dict[int, int]:
        """Windows of large episodes of the day in which each actor executed."""
        if self._hits_day != self.day:
            self._hits, self._hits_day = {}, self.day
        return self._hits

    def is_large(self, parent: Parent, params: FrontRunningAcrossParams) -> bool:
        """Return whether a client's episode is worth running in front of."""
        return self.usual > 0 and parent.amount >= params.large_ratio * self.usual

    def hedge(
        self, params: FrontRunningAcrossParams, actor: int, received_ns: int, side: int
    ) -> float:
        """Return what who did an act had lately traded, net, on the other side, base units."""
        fills, filled = self._pools.state[6][self.at], self._pools.state[7][self.at]
        age = received_ns - fills[:, 0]
        mine = (fills[:, 1] == actor) & (age > 0) & (age <= params.hedge_s * SECOND)
        return max(math.fsum((-side * filled[mine]).tolist()), 0.0)

    def knows(self, actor: int) -> bool:
        """Return whether one has executed here, as far as is kept."""
        if actor == GROUP:
            return bool(self._fields[P_GROUP])
        count = min(int(self._fields[P_OTHERS]), KEPT_OTHERS)
        return bool((self._pools.state[4][self.at, :count, E_ACTOR] == actor).any())

    def expected(self, params: FrontRunningAcrossParams, actor: int, at_ns: int) -> float:
        """Return how many executions of one chance puts into the day's windows, both sides'."""
        exposed = self.exposed_ns
        if not any(exposed):
            return 0.0
        kept, made = (2, P_GROUP) if actor == GROUP else (4, P_OTHERS)
        found = rates(
            self._pools.state[kept][self.at],
            self._pools.state[kept + 1][self.at],
            self._fields[made],
            self._fields[P_SINCE],
            actor,
            at_ns,
            0.0,
            params.local_s * SECOND,
        )
        return math.fsum(rate * ns for rate, ns in zip(found, exposed, strict=True))

    def stored(self, instruments: Instruments) -> Stored:
        """Return it for a snapshot."""
        fields, state = self._fields, [array[self.at] for array in self._pools.state]
        made = {
            name: int(fields[name]) for name in (P_GROUP, P_OTHERS, P_TRIES, P_FILLS, P_CLIENTS)
        }
        return Stored(
            place=self.place,
            fields=fields.tolist(),
            usual=self.usual,
            group=_named(state[2], state[3], made[P_GROUP], instruments),
            others=_named(state[4], state[5], made[P_OTHERS], instruments),
            tries=_named(state[9], state[10], made[P_TRIES], instruments),
            fills=_in_order(state[6], made[P_FILLS]).tolist(),
            filled=_in_order(state[7], made[P_FILLS]).tolist(),
            sizes=_in_order(state[8], made[P_CLIENTS]).tolist(),
            hits=dict(sorted(self.hits.items())),
            hits_day=self._hits_day,
        )

    def restore(self, stored: Stored, instruments: Instruments) -> None:
        """Take it over from a snapshot."""
        fields, state = self._fields, [array[self.at] for array in self._pools.state]
        fields[:] = stored.fields
        self._pools.state[1][self.at] = stored.usual
        self._hits, self._hits_day = dict(stored.hits), stored.hits_day
        for ring, kept, at in (
            (stored.group, 2, P_GROUP),
            (stored.others, 4, P_OTHERS),
            (stored.tries, 9, P_TRIES),
        ):
            names, rows, amounts = ring
            where = _places(len(names), int(fields[at]), state[kept])
            if len(names):
                codes = [instruments.codes.get(name, -1) for name in names]
                state[kept][where, E_INSTRUMENT] = codes
                state[kept][where, E_INSTRUMENT + 1 :] = rows
                state[kept + 1][where] = amounts
        filled = _places(len(stored.filled), int(fields[P_FILLS]), state[7])
        if len(filled):
            state[6][filled], state[7][filled] = stored.fills, stored.filled
        state[8][_places(len(stored.sizes), int(fields[P_CLIENTS]), state[8])] = stored.sizes


def _room(pools: int) -> tuple[Array, ...]:
    """Return blank state of so many pools.

    Fields, usual size; executions of the group and their amounts, those of others and theirs;
    fills and their amounts; sizes of client instructions; tries and their amounts.
    """
    return (
        np.zeros((pools, POOL_FIELDS), np.int64),
        np.zeros(pools),
        np.zeros((pools, KEPT, EXECUTION_FIELDS), np.int64),
        np.zeros((pools, KEPT, 2)),
        np.zeros((pools, KEPT_OTHERS, EXECUTION_FIELDS), np.int64),
        np.zeros((pools, KEPT_OTHERS, 2)),
        np.zeros((pools, KEPT, 2), np.int64),
        np.zeros((pools, KEPT)),
        np.zeros((pools, KEPT)),
        np.zeros((pools, TRIES, EXECUTION_FIELDS), np.int64),
        np.zeros((pools, TRIES, 2)),
    )


def _places(count: int, made: int, ring: Array) -> Array:
    """Return where the last so many of all that were made stand in a ring, oldest first."""
    places: Array = np.arange(made - count, made) % len(ring)
    return places


def _in_order(ring: Array, made: int) -> Array:
    """Return what a ring holds, oldest first."""
    held: Array = ring[_places(min(made, len(ring)), made, ring)]
    return held


def _named(ring: Array, amounts: Array, made: int, instruments: Instruments) -> _Ring:
    rows = _in_order(ring, made)
    names = [
        instruments[code].instrument if code >= 0 else "" for code in rows[:, E_INSTRUMENT].tolist()
    ]
    return names, rows[:, E_INSTRUMENT + 1 :].tolist(), _in_order(amounts, made).tolist()
