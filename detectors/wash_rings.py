"""wash_rings: circles of accounts that trade until each stands where it stood before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from detectors.base import (
    Detector,
    Finding,
    Params,
    Ref,
    Spec,
    Status,
    rounded,
)
from detectors.episodes import Episode, Episodes, Key
from detectors.ring_episode import count, features, measure, score
from detectors.ring_lane import Lane, Trades, windows_of
from detectors.ring_params import WashRingsParams
from detectors.ring_search import Limits, Ring, rings_of
from detectors.ring_store import TradeStore
from ingest.axes import ByCode, Count, Entries
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import SECOND

_Numbered = tuple[int, Key]
"""A ring's number in its group, and its key."""


def _under(ring: _Numbered, code: int) -> _Numbered:
    """Return a ring under another instrument code."""
    return ring[0], (code, *ring[1][1:])


class WashRings(Detector):
    """Rings of 2 to 8 accounts whose trades with each other balance.

    Time is the batch's watermark: a window is judged once every instrument has passed its end, so
    nothing depends on batches, and what has no end yet is not reported. State is one row of 100 B
    a trade of the longest window, at most `max_trades` + 1 for an instrument or collection, and
    one open episode a ring. Windows cut short, lighter layers skipped, sets not tried and late
    trades are counted as overflow, and mark coverage.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, trade
    >>> instruments = example_instruments()
    >>> day = 86_400 * 10**9
    >>> def run(pairs):
    ...     batch = batch_of([trade(b, s, engine_ns=i) for i, (s, b) in enumerate(pairs)],
    ...                      instruments)
    ...     batch.watermark_ns = day
    ...     return WashRings(WashRingsParams(), instruments).step(batch)
    >>> outsiders = [(10 + i, 40 + i) for i in range(20)]
    >>> hit, *_ = run([(1, 2), (2, 3), (3, 1)] * 10 + outsiders)
    >>> hit.accounts, hit.features["trades"].value, hit.evidence
    ((1, 2, 3), 30, 'supported')

    A maker that many clients trade with both ways is no ring:

    >>> run([pair for c in range(10, 30) for pair in ((1, c), (c, 1)) * 3])
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="wash_rings",
        version=7,
        title="Wash trading in rings",
        scope="platform",
        evidence_class="rule",
        scenarios=("wash_ring",),
        looks_for=(
            "Sets of 2 to 8 accounts that form a closed circle of sellers and buyers (a layered "
            "strongly-connected component) within an hour, a day or a week, and runs of trades "
            "among them after which every member's position is back within 1 % of the mean size. "
            "Of unique items the same item must come back. Prints of one instruction against one "
            "account are one meeting. Each trade counts for the smallest set "
            "that explains it. In fungible instruments members must meet min_excess_ratio times as "
            "often as chance gives by everyone's activity, hour by hour (feature window_trades and "
            "its baseline), and surely so, for at least three turns. Members who also trade with "
            "everybody never stand alone; they are looked for in bursts of an hour or less: pairs "
            "that meet far more often than both are then active, or parcels of one size that go "
            "round, and at least three laps "
            "of their trades, of three or more also where the venue swapped some or one was not "
            "seen, more than chance gives of the circle as a whole: that members meet "
            "so often, hand on whole what they bought of members more than other purchases, and, "
            "of three or more, sell to a member next where they bought of one last more than they "
            "do with others. "
            "One there-and-back is weak evidence, so are meetings that are nearly all of an "
            "external maker's standing quotes with who took them, a client or another maker "
            "(quoted_ratio), where the venue chose who meets, and so is a set that leaves too few "
            "others to tell chance by (feature few_outsiders)."
        ),
        legal_basis=(
            "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
            (
                "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, guard "
                "against falsification [V]"
            ),
            "SFC AML Guideline 12.16.4: same-owner trades in close sequence [V]",
            "FINRA 5210.02, for its 5 % mark: self-trades as a pattern [S]",
        ),
        look_alikes=(
            "a maker's quotes hit by both sides",
            "two external makers crossing at a tight spread",
            "busy accounts that trade both ways with everyone",
            "a day trader in the hours of one maker",
            "an arbitrageur who takes from the slowest maker, both ways",
            "one maker that trades with everybody",
            "two makers who hand on inventory",
            "a client who trades round trips with different people",
            "an iceberg whose tranches one instruction takes",
            "an item sold on and never returned",
            "trade that was busted",
        ),
        blind_spots=(
            (
                "members who trade more with a common maker than with each other, in every window, "
                "and who neither meet in a burst nor hand on parcels of one size"
            ),
            (
                "a ring that is nearly all of its market in every window is told as weak only: it "
                "leaves nobody to tell chance by"
            ),
            (
                "a circle of which less than three laps lie before the last boundary that was "
                "passed: the end of a tape closes no window"
            ),
            "a ring that hands more than 1 % of the mean size to outsiders on every turn",
            "a turn that takes longer than a week",
            "rings of more than 8 accounts",
            "external makers who wash by taking each other's standing quotes: weak only",
        ),
        runbook=(
            (
                "Read `features.turns`, `features.volume_share` and `features.net_ratio` over "
                "window_start_ns to window_end_ns: how often did the position come back?"
            ),
            (
                "Read accounts.csv rows (owner, linked_to) of `accounts` in force at "
                "window_start_ns: is there one owner, or one source of funds?"
            ),
            (
                "Read price of `trade_ids` from window_start_ns to window_end_ns against the mid: "
                "are they off the market, or at prices that others could have had?"
            ),
            (
                "Compare received_ns, session and user of `order_ids` within 60 s of each trade: "
                "one hand or several?"
            ),
            (
                "For unique items follow the item through `trade_ids` from window_start_ns, and "
                "after window_end_ns to the next outside buyer: did the ring's price hold?"
            ),
        ),
        needs=("buy_account", "sell_account", "price", "quantity", "engine_ns"),
        wants=("owner", "linked_to", "busts"),
    )
    Params: ClassVar[type[Params]] = WashRingsParams
    layout: ClassVar[Layout] = {
        **TradeStore.layout,
        **Episodes.layout,
        "rings": ByCode(),
        "ring_keys": Entries(kind=_Numbered, place=lambda ring: ring[1][0], moved=_under),
        "lost": Count(),
    }

    def __init__(self, params: WashRingsParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._sizes = [size * SECOND for size in params.windows_s]
        self._burst_ns = params.burst_s * SECOND
        self._grid_ns = math.gcd(self._burst_ns // 2, *(size // 2 for size in self._sizes))
        self._store = TradeStore(
            instruments, reach_ns=max(self._sizes), max_trades=params.max_trades
        )
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        # Numbered in each group apart: one group's rings do not depend on which others are here.
        self._rings = np.zeros(len(self._store.settled_ns), np.int64)
        self._keys: dict[tuple[int, int], Key] = {}
        self._cited_ns: dict[tuple[int, int], int] = {}
        """Event time of the last trade that each ring cites."""
        self._overflow = 0

    @property
    def reach_ns(self) -> int:
        """The longest window, ns."""
        return max(self._sizes)

    @property
    def overflow(self) -> int:
        """Windows cut short, rings judged on a part of their trades, and late trades."""
        return self._overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next batch; return what the windows that the watermark has passed show."""
        self._overflow += self._store.add(batch)
        if batch.watermark_ns == NULL:
            return []
        until_ns = batch.watermark_ns // self._grid_ns * self._grid_ns
        return list(self._settle(until_ns)) if (self._store.settled_ns < until_ns).any() else []

    def _settle(self, until_ns: int) -> Iterator[Finding]:
        """Yield all that the event times up to a boundary close, in that order."""
        windows = []
        for rank, lane in self._store.settle():
            for end, size, first, last in windows_of(
                lane.times,
                self._sizes if lane.unique else [*self._sizes, self._burst_ns],
                after_ns=int(self._store.settled_ns[rank]),
                until_ns=until_ns,
            ):
                windows.append(((end, rank, size), lane, first, last))
        for (end, rank, size), lane, first, last in sorted(windows, key=lambda each: each[0]):
            yield from self._advance(end)
            yield from self._window(end, rank, size, lane, first, last)
        yield from self._advance(until_ns)
        self._store.trim(until_ns)
        self._forget()

    def _forget(self) -> None:
        """Forget the rings that no trade still there is cited by."""
        for ring, last_ns in list(self._cited_ns.items()):
            oldest_ns = self._store.oldest_ns(ring[0])
            if oldest_ns is None or last_ns < oldest_ns:
                del self._cited_ns[ring], self._keys[ring]

    def _window(  # noqa: PLR0917 - one window
        self, end_ns: int, group: int, size_ns: int, lane: Lane, first: int, last: int
    ) -> Iterator[Finding]:
        cut = last - first > self._params.max_trades
        self._overflow += cut
        here = lane.trades.part(max(first, last - self._params.max_trades), last)
        dead = here["dead"].any()
        alive = np.flatnonzero(here["dead"] == 0) if dead else np.arange(len(here))
        for ring in rings_of(
            here.take(alive) if dead else here,
            unique=lane.unique,
            limits=self._limits(unique=lane.unique),
            params=self._params,
            rings=lambda rows: here["ring"][alive[rows]],
            members_of=lambda number: self._keys[group, number][1:],
            peels=size_ns in self._sizes,
            circles=not lane.unique and size_ns <= max(min(self._sizes), self._burst_ns),
        ):
            self._overflow += ring.cut
            covered = alive[ring.rows]
            fresh = here["ring"][covered] == 0
            new = covered[fresh]
            here["again"][new] = ring.again[fresh]
            if len(new):
                yield self._fact(end_ns, ring, here, new, incomplete=cut or ring.cut)

    def _limits(self, *, unique: bool) -> Limits:
        params = self._params
        return Limits(
            max_members=params.max_members,
            tolerance_ratio=params.tolerance_ratio,
            min_layers=params.min_layers_unique if unique else params.min_layers,
            min_turns=params.min_turns,
            min_excess_ratio=params.min_excess_ratio,
            max_probability=params.max_probability,
            hour_ns=min(self._sizes),
            max_edges=params.max_edges,
            max_set_trades=params.max_set_trades,
        )

    def _fact(
        self, end_ns: int, ring: Ring, here: Trades, new: Array, *, incomplete: bool
    ) -> Finding:
        """Count what a window newly found of a ring, mark it as cited, and return it."""
        trades = here.take(new)
        code = int(trades["instrument"][0])
        group = int(self._store.group[code])
        episode, _ = self._episodes.fact(
            (code, *sorted(ring.accounts)),
            seq=int(trades["seq"][0]),
            at_ns=end_ns,
            accounts=ring.accounts,
            incomplete=incomplete or bool(trades["incomplete"].any()),
        )
        sums = episode.sums
        if episode.facts == 1:
            self._rings[group] += 1
            sums["ring"] = int(self._rings[group])
        number = (group, sums["ring"])
        self._keys[number] = episode.key
        self._cited_ns[number] = max(self._cited_ns.get(number, NULL), int(trades["time_ns"][-1]))
        here["ring"][new] = sums["ring"]
        count(episode, trades, 1)
        sums["windows"] = sums.get("windows", 0) + 1
        sums["layers"] = max(sums.get("layers", 0), ring.layers)
        sums["laps"] = max(sums.get("laps", 0), ring.laps)
        sums["window_trades"], sums["milli_chance"] = ring.met, round(1000 * ring.by_chance)
        sums["sure"] = max(sums.get("sure", 0), int(ring.sure))
        refs = tuple(Ref(code, seq) for seq in trades["seq"].tolist())
        return self._finding(episode, end_ns, refs)

    def _advance(self, now_ns: int) -> Iterator[Finding]:
        """Yield the busts and closings that lie before an event time."""
        while len(self._store.busts) and int(self._store.busts["time_ns"][0]) < now_ns:
            bust, self._store.busts = self._store.busts[0], self._store.busts[1:]
            yield from self._close(int(bust["time_ns"]))
            yield from self._bust(bust)
        yield from self._close(now_ns)

    def _close(self, now_ns: int) -> Iterator[Finding]:
        for episode in self._episodes.close_passed(now_ns):
            yield self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _bust(self, bust: Array) -> Iterator[Finding]:
        code = int(bust["instrument"])
        found = self._store.find(code, int(bust["trade_hi"]), int(bust["trade_lo"]))
        if found is None or found[0]["dead"][found[1]]:
            return
        trades, row = found
        trades["dead"][row] = 1
        trade = trades.part(row, row + 1)
        ring = int(trade["ring"][0])
        group = int(self._store.group[code])
        episode = self._episodes.get(self._keys[group, ring]) if ring else None
        if episode is not None and episode.sums["ring"] == ring:
            count(episode, trade, -1)
            episode.sums["busted"] = episode.sums.get("busted", 0) + 1
            episode.facts += 1
            yield self._finding(episode, int(bust["time_ns"]), (Ref(code, int(bust["seq"])),))

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        params, sums, code = self._params, episode.sums, episode.key[0]
        size = measure(episode)
        chosen = size.quoted_ratio < params.quoted_ratio
        legs = size.turns >= params.supported_turns and sums["sure"] > 0 and chosen
        material = size.share_ratio >= params.material_share_ratio
        status: Status = "provisional"
        if sums["trades"] == 0:
            status = "retracted"
        elif closed and not episode.incomplete:
            status = "confirmed"
        return Finding(
            detector=self.spec.id,
            detector_version=self.spec.version,
            scenario="wash_ring",
            evidence_class="rule",
            evidence="supported" if legs else "weak",
            instrument=code,
            first_seq=episode.first_seq,
            first_accounts=episode.first_accounts,
            revision=episode.facts,
            accounts=episode.first_accounts,
            window_start_ns=sums["from_ns"],
            window_end_ns=sums["to_ns"],
            detected_ns=at_ns,
            evidence_refs=refs,
            features=features(episode, size, params, self._instruments),
            score=rounded(
                score(size.turns, size.share_ratio / params.material_share_ratio, size.net_ratio)
            ),
            all_legs=legs,
            significant=legs and material and size.turns >= params.significant_turns,
            coverage="incomplete" if episode.incomplete else "complete",
            status=status,
        )

    def snapshot(self) -> Snapshot:
        """Return trades, open episodes and which ring has which trade."""
        keys = sorted(self._keys.items(), key=lambda each: (each[1][0], each[0]))
        return {
            **self._store.snapshot(),
            **self._episodes.snapshot(),
            "rings": self._rings[self._store.group],
            "ring_keys": pack_exact([(ring, key) for (_, ring), key in keys]),
            "lost": np.array([self._overflow], np.int64),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._store.restore(snapshot)
        self._episodes.restore(snapshot)
        self._rings[...] = 0
        np.maximum.at(self._rings, self._store.group, snapshot["rings"])
        keys = unpack_exact(snapshot["ring_keys"], list[_Numbered])
        group = self._store.group
        self._cited_ns = {}
        for code, number, time_ns in self._store.cited():
            ring = (code, number)
            self._cited_ns[ring] = max(self._cited_ns.get(ring, NULL), time_ns)
        named = {(int(group[key[0]]), number): tuple(key) for number, key in keys}
        self._keys = {ring: key for ring, key in named.items() if ring in self._cited_ns}
        self._overflow = int(snapshot["lost"][0])
