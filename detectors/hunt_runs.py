"""Runs of stops: the arrays that the kernel keeps, and each run once its horizon has passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

import msgspec
import numpy as np

from detectors import hunt_hedge as h
from detectors import hunt_quotes as q
from detectors import hunt_state as k
from detectors.hunt_kernel import COLUMNS, scan
from detectors.hunt_reach import REACH_FIELDS
from detectors.kept import Kept
from ingest.axes import ByCode, Count
from ingest.events import NULL, Array, Batch, Role
from ingest.sections import Layout
from ingest.state import Snapshot

OUT_RUNS: Final = 64
OUT_LEGS: Final = 4096


class Push(msgspec.Struct, frozen=True, array_like=True):
    """An aggressive order of the party that ran the stops."""

    seq: int
    first_trade_seq: int
    last_trade_seq: int
    account: int
    lots: int
    extreme: int
    """Furthest price that it traded at, ticks."""
    at_ns: int


class Catch(msgspec.Struct, frozen=True, array_like=True):
    """A trade of the group with a stop that the run triggered."""

    trade_seq: int
    order_seq: int
    entered_ns: int
    """When the group's order was entered; 0 when it was moved since, or took what rested."""
    account: int
    lots: int
    price: int
    at_ns: int


class Stop(msgspec.Struct, frozen=True, array_like=True):
    """A client's stop that the run triggered."""

    trigger_seq: int
    entry_seq: int
    filled: int
    account: int
    caught: int
    """Lots of it that the group took the other side of."""
    cost: int
    """Half ticks times lots that it paid beyond the mid before the push; negative = less."""
    due: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Stops of one side triggered by one party's push, with what came of them."""

    instrument: int
    side: int
    """+1: buy stops, run by buying."""
    group: bool
    """The party is the complex, net over its accounts; else one account."""
    account: int
    """Of the push's first order."""
    client: bool
    """That account is registered as a client's, and not as a maker's."""
    first_seq: int
    from_ns: int
    triggered_ns: int
    """First trigger."""
    last_ns: int
    """Last trigger."""
    known_ns: int
    """Event time of the record by which its horizon had passed."""
    touch: int | None
    """What the push had to take first, before its first order, ticks."""
    extreme: int
    orders: int
    lots: int
    against: int
    """Lots that the party traded the other way meanwhile."""
    peak: int
    """Furthest price of the push and of what it triggered, ticks."""
    advance: int
    """Ticks that its orders gained beyond the touch that each found."""
    all_advance: int
    """The same of everybody's, on that side, in that time."""
    due: int
    filled: int
    caught: int
    back: int | None
    """Least advanced touch seen within the horizon, ticks; None = none was."""
    added: int
    """Orders that the group had added lately on the side that the stops were to meet, net and
    beyond those on the other side, at most, as the push's orders came."""
    seen: int
    """Moments at which its habit of adding was seen."""
    many: tuple[int, ...]
    """Of these, those at which it had added at least 1, 2, ... orders."""
    set_apart: bool
    """What was added was not by number alone: an order is large or far away, or the rest was
    withdrawn."""
    own_seen: int
    """Moments at which the group took, this one too."""
    own_many: tuple[int, ...]
    """Of these, those at which it had so added at least 1, 2, ... orders."""
    reach: tuple[int, ...]
    """Pushes of the day and those that ran stops, others' and the group's, by class of reach."""
    beyond: int
    """Of the group's run: lots that it had taken of late beyond what it had to hedge."""
    beside: int
    """Of another's run: lots that the group pushed with it, net over its accounts; else 0."""
    incomplete: bool
    pushes: tuple[Push, ...]
    catches: tuple[Catch, ...]
    takes: tuple[Catch, ...]
    """Catches by orders that came for a stop-limit, within the longest push of the last trigger."""
    stops: tuple[Stop, ...]
    near: tuple[int, ...]
    """When stops of that side triggered by no push of the party, shortly before the push or during
    it, ns."""

    @property
    def move(self) -> int:
        """Ticks from the touch before the push to the peak of it and of what it triggered."""
        return 0 if self.touch is None else max(0, self.side * (self.peak - self.touch))

    @property
    def pushed(self) -> int:
        """Lots that the party pushed, and the group with it."""
        return self.lots + self.beside

    @property
    def hedges(self) -> bool:
        """Whether half of the push or more may have been a hedge of what it had got of late."""
        return 2 * self.beyond <= self.lots

    @property
    def push_ticks(self) -> int:
        """Ticks from the touch before the push to its furthest trade."""
        return 0 if self.touch is None else max(0, self.side * (self.extreme - self.touch))

    @property
    def reverted(self) -> float:
        """Share of the move to its peak that the touch gave back at best; may pass 1."""
        if self.back is None or not self.move:
            return 0.0
        return self.side * (self.peak - self.back) / self.move

    @property
    def own_share(self) -> float:
        """Share of the ticks gained during the push that were the party's; 1 where none were."""
        return self.advance / self.all_advance if self.all_advance else 1.0

    @property
    def clients(self) -> int:
        """How many accounts the stops were of."""
        return len({stop.account for stop in self.stops})

    @property
    def harm(self) -> int:
        """What clients paid beyond the mid before the push, half ticks times lots; gains apart."""
        return sum(max(0, stop.cost) for stop in self.stops)

    @property
    def taken(self) -> int:
        """Lots that the group took by orders that came for what had triggered."""
        return sum(take.lots for take in self.takes)

    @property
    def turned(self) -> bool:
        """Whether these are half of what it caught or more."""
        return bool(self.takes) and 2 * self.taken >= self.caught

    def fresh(self, lead_ns: int) -> list[Catch]:
        """Return the catches by orders that the group entered within a time before the push's last.

        An order that was moved since is none, nor what takes a stop-limit that rests.
        """
        if not self.pushes:
            return []
        since, until = self.from_ns - lead_ns, max(push.at_ns for push in self.pushes)
        return [catch for catch in self.catches if since <= catch.entered_ns <= until]

    def prepared(self, lead_ns: int) -> int:
        """Return the lots caught by such orders."""
        return sum(catch.lots for catch in self.fresh(lead_ns))

    def cluster(self, lead_ns: int) -> int:
        """Return the stops that the push and others triggered since the group prepared for it."""
        since = min([self.from_ns, *(catch.entered_ns for catch in self.fresh(lead_ns))])
        return len(self.stops) + sum(at_ns >= since for at_ns in self.near)


class Runs:
    """The kernel's state: flights, triggered stops, legs and open runs of each instrument.

    State: about 55 kB an instrument, whatever the traffic. Legs or stops of an open run that are
    pushed out by newer ones, and runs for which there is no room, are counted in `overflow`.

    Parameters
    ----------
    instruments : int
        How many the table holds.
    times_ns : tuple of int
        Pause, longest push, lead and horizon, as in `StopHuntingParams`, ns.
    least : int
        Stops that make a cluster.
    hedge_ns : int
        Time within which a hedge is made, ns.
    """

    layout: ClassVar[Layout] = {
        "hunt_head": ByCode(),
        "hunt_flights": ByCode(),
        "hunt_stops": ByCode(),
        "hunt_legs": ByCode(),
        "hunt_runs": ByCode(),
        "hunt_quotes": ByCode(),
        "hunt_past": ByCode(),
        "hunt_usual": ByCode(),
        "hunt_sizes": ByCode(),
        "hunt_own": ByCode(),
        "hunt_habit": ByCode(),
        "hunt_reach": ByCode(),
        "hunt_net": ByCode(),
        "hunt_fills": ByCode(),
        "hunt_lost": Count(),
    }

    def __init__(
        self, instruments: int, times_ns: tuple[int, int, int, int], least: int, hedge_ns: int
    ) -> None:
        self._times = np.array([*times_ns, least, hedge_ns], np.int64)
        n = instruments
        arrays: dict[str, Array] = {
            "hunt_head": np.zeros((n, k.HEAD_FIELDS), np.int64),
            "hunt_flights": np.zeros((n, k.FLIGHTS, k.FLIGHT_FIELDS), np.int64),
            "hunt_stops": np.zeros((n, k.STOPS, k.STOP_FIELDS), np.int64),
            "hunt_legs": np.zeros((n, k.LEGS, k.LEG_FIELDS), np.int64),
            "hunt_runs": np.zeros((n, k.RUNS, k.RUN_FIELDS), np.int64),
            "hunt_quotes": np.zeros((n, q.QUOTES, q.QUOTE_FIELDS), np.int64),
            "hunt_past": np.zeros((n, q.PAST, q.PAST_FIELDS), np.int64),
            "hunt_usual": np.zeros((n, 4, q.LIVE + 2), np.int64),
            "hunt_sizes": np.zeros((n, 2, q.SIZES + 1), np.int64),
            "hunt_own": np.zeros((n, q.ADDED + 2), np.int64),
            "hunt_habit": np.zeros((n, q.ADDED + 2), np.int64),
            "hunt_reach": np.zeros((n, REACH_FIELDS), np.int64),
            "hunt_net": np.zeros((n, h.NET_FIELDS), np.int64),
            "hunt_fills": np.zeros((n, h.FILLS, h.FILL_FIELDS), np.int64),
            "hunt_lost": np.zeros(1, np.int64),
        }
        self._kept = Kept("stop_hunting", arrays)
        # Room only: kept between calls.
        self._out = np.zeros((OUT_RUNS, k.RUN_FIELDS), np.int64)
        self._out_legs = np.zeros((OUT_LEGS, k.LEG_FIELDS), np.int64)

    @property
    def overflow(self) -> int:
        """Legs, stops and runs not kept because a bound was reached."""
        return int(self._kept["hunt_lost"][0])

    def scan(self, batch: Batch) -> Iterator[tuple[int, int, Run | None]]:
        """Yield the runs whose horizon the batch passes, in its row order.

        Each with its instrument and last trigger; None for one that can have run no cluster, as
        most.
        """
        columns = tuple(batch[name] for name in COLUMNS)
        row = 0
        s = self._kept
        while row < len(batch):
            row, runs, legs = scan(
                columns, row, self._times, s["hunt_head"], s["hunt_flights"], s["hunt_stops"],
                s["hunt_legs"], s["hunt_runs"], s["hunt_quotes"], s["hunt_past"], s["hunt_usual"],
                s["hunt_sizes"], s["hunt_habit"], s["hunt_own"], s["hunt_reach"], s["hunt_net"],
                s["hunt_fills"], s["hunt_lost"], self._out, self._out_legs,
            )  # fmt: skip
            if runs:
                yield from _read(self._out[:runs], self._out_legs[:legs].tolist())

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return self._kept.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)


def _read(runs: Array, legs: list[list[int]]) -> Iterator[tuple[int, int, Run | None]]:
    """Yield what the kernel wrote out."""
    kept: dict[tuple[int, int], list[list[int]]] = {}
    for leg in legs:
        kept.setdefault((leg[k.L_RUN], leg[k.L_KIND]), []).append(leg[k.L_SEQ :])
    clustered = {place for place, _ in kept}
    when = zip(runs[:, k.R_INSTRUMENT].tolist(), runs[:, k.R_LAST_NS].tolist(), strict=True)
    for place, (code, last_ns) in enumerate(when):
        read = _run(runs[place].tolist(), place, kept) if place in clustered else None
        yield code, last_ns, read


def _run(run: list[int], place: int, kept: Mapping[tuple[int, int], list[list[int]]]) -> Run:
    """Return a run with its legs, which are kept by its place and their kind."""
    touch = run[k.R_ASK] if run[k.R_SIDE] > 0 else run[k.R_BID]
    back = run[k.R_BACK]
    return Run(
        instrument=run[k.R_INSTRUMENT],
        side=run[k.R_SIDE],
        group=bool(run[k.R_COMPLEX]),
        account=run[k.R_ACCOUNT],
        client=run[k.R_ROLE] == Role.CLIENT,
        first_seq=run[k.R_SEQ],
        from_ns=run[k.R_FROM_NS],
        triggered_ns=run[k.R_FIRST_NS],
        last_ns=run[k.R_LAST_NS],
        known_ns=run[k.R_KNOWN_NS],
        touch=None if touch == NULL else touch,
        extreme=run[k.R_EXTREME],
        orders=run[k.R_ORDERS],
        lots=run[k.R_LOTS],
        against=run[k.R_AGAINST],
        peak=run[k.R_PEAK],
        advance=run[k.R_ADVANCE],
        all_advance=run[k.R_ALL],
        due=run[k.R_DUE],
        filled=run[k.R_FILLED],
        caught=run[k.R_CAUGHT],
        back=None if back == k.FAR else run[k.R_SIDE] * back,
        added=max(0, run[k.R_ADDED]),
        seen=run[k.R_SEEN],
        many=tuple(run[k.R_MANY : k.R_OWN]),
        set_apart=bool(run[k.R_SET]),
        own_seen=run[k.R_OWN_SEEN],
        own_many=tuple(run[k.R_OWN : k.R_BEYOND]),
        beyond=run[k.R_BEYOND],
        reach=tuple(run[k.R_REACH :]),
        beside=run[k.R_BESIDE],
        incomplete=bool(run[k.R_DOUBT]),
        pushes=tuple(Push(*leg) for leg in kept.get((place, k.PUSH), ())),
        catches=tuple(Catch(*leg) for leg in kept.get((place, k.CATCH), ())),
        takes=tuple(Catch(*leg) for leg in kept.get((place, k.TAKE), ())),
        stops=tuple(Stop(*leg) for leg in kept.get((place, k.STOP), ())),
        near=tuple(leg[0] for leg in kept.get((place, k.NEAR), ())),
    )
