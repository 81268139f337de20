"""information_leak: the group takes the side of clients' large orders before they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Finding, Params, Ref, Spec
from detectors.episodes import Episode, Episodes
from detectors.kept import Kept
from detectors.leak_bets import settle, won
from detectors.leak_chance import Rate, Tallies, Together, verdicts
from detectors.leak_episode import (
    SUREST,
    Surest,
    clients_of,
    count,
    finding,
    firsts,
    hits_of,
    is_of_one,
    refs_of,
)
from detectors.leak_kernel import over, scan
from detectors.leak_params import InformationLeakParams
from detectors.leak_pending import ordered, waiting
from detectors.leak_release import new_day, release
from detectors.leak_screen import HINTS
from detectors.leak_spec import SPEC
from detectors.leak_state import (
    ACCOUNT,
    COMPLEX,
    H_ACCOUNT,
    H_ACT_SEQ,
    H_CITED,
    H_NS,
    H_RELATED,
    H_SEQ,
    HITS,
    N_HITS,
    NUMBER,
    P_CLOCK,
    P_CODE,
    PENDING_FIELDS,
    SPANS,
    SUSPECTED,
    T_HITS,
    T_LARGE,
    fresh,
    kin_of,
    shapes,
)
from ingest.axes import ByCode, Count, Rows
from ingest.events import NULL, Array, Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import DAY, SECOND

SPAN_NS: Final = DAY // SPANS


class InformationLeak(Detector):
    """Executions of one before large client orders, against those before clients' others.

    One is the group, or an account of a client that `leak_screen` suspects, tested on what comes
    after: at most four at once, an instrument; where all places are taken, a look lets go of the
    one that shows least, if that is nothing.

    Time is the batch's watermark. State: about 400 kB an instrument, whatever the traffic: a day's
    tallies, the last 96 executions of the group and of external makers and 512 of clients, 128
    clients' accounts, 96 open episodes of clients and 512 large orders traded ahead of; and the
    trades that the watermark has not passed. Episodes beyond that and late trades are counted as
    overflow.

    Examples
    --------
    >>> from detectors.examples import example_instruments
    >>> from detectors.leak_example import led
    >>> instruments = example_instruments()
    >>> def found(batch):
    ...     return InformationLeak(InformationLeakParams(), instruments).step(batch)
    >>> *_, hit = found(led(instruments))
    >>> hit.scenario, hit.evidence, hit.features["n"].value, hit.features["hits"].value
    ('information_leak', 'supported', 29, 24)

    The same executions, before ordinary orders as often as before large ones:

    >>> found(led(instruments, of=3))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = InformationLeakParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **{name: ByCode() for name in shapes()},
        "leak_pending": Rows("leak_pending", column=P_CODE),
        "leak_surest": SUREST,
        "leak_lost": Count(),
    }

    def __init__(self, params: InformationLeakParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._surest: dict[tuple[int, int], Surest] = {}
        self._look_ns = params.look_s * SECOND
        if SPAN_NS % self._look_ns:
            raise ValueError(f"look_s must divide {SPAN_NS // SECOND}, was {params.look_s}")
        self._numbers = np.array(
            [
                params.clock_uncertainty_ns, params.parent_gap_s * SECOND,
                round(1_000 * params.most_ratio), params.least_suspected,
                round(1_000_000 * params.suspect_chance),
                *(round(1_000 * ratio) for ratio in params.large_ratios), *params.leads_s,
            ],
            np.int64,
        )  # fmt: skip
        self._kin = kin_of(instruments)
        self._pending: list[Array] = []
        arrays = fresh(len(instruments))
        self._kept = Kept(self.spec.id, arrays | {"leak_lost": np.zeros(1, np.int64)})
        # Where to look first, found anew after a restart: no part of the state.
        self._lowest = np.zeros(len(instruments), np.int64)
        self._screened = np.zeros((len(instruments), HINTS), np.int64)

    @property
    def reach_ns(self) -> int:
        """A day: how far back a look may cite."""
        return DAY

    @property
    def overflow(self) -> int:
        """Clients' episodes for which there was no place, and trades that came late."""
        return int(self._kept["leak_lost"][0])

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next batch; return what the looks that the watermark has passed show."""
        self._add(batch)
        if batch.watermark_ns == NULL:
            return []
        return list(self._advance(batch.watermark_ns))

    def _add(self, batch: Batch) -> None:
        """Keep a batch's trades in continuous trading until their turn."""
        rows, late = waiting(batch, self._until_ns)
        self._kept["leak_lost"][0] += late
        if len(rows):
            self._pending.append(rows)

    @property
    def _until_ns(self) -> int:
        """Event time up to which trades were looked at; 0 = none yet."""
        return int(self._kept["leak_until"].max(initial=0))

    def _advance(self, until_ns: int) -> Iterator[Finding]:
        """Look at all trades before an event time, and make the looks that lie up to it."""
        rows = np.concatenate([np.zeros((0, PENDING_FIELDS), np.int64), *self._pending])
        rows = ordered(rows)
        begun_ns = self._until_ns or (int(rows[0, P_CLOCK]) if len(rows) else until_ns)
        start, look_ns = 0, self._look_ns
        boundary = begun_ns // look_ns * look_ns + look_ns
        while boundary <= until_ns:
            end = int(np.searchsorted(rows[:, P_CLOCK], boundary))
            self._scan(rows[start:end])
            left = self._close_look(boundary)
            yield from self._looked(boundary)
            following = int(rows[end, P_CLOCK]) if end < len(rows) else until_ns
            if boundary % DAY == 0 or (not left and following // DAY > boundary // DAY):
                self._new_day()
            if not left:
                boundary = max(boundary, min(following, until_ns) // look_ns * look_ns)
            start, boundary = end, boundary + look_ns
        end = int(np.searchsorted(rows[:, P_CLOCK], until_ns))
        self._scan(rows[start:end])
        self._pending = [rows[end:]] if end < len(rows) else []
        self._kept["leak_until"][:] = max(until_ns, self._until_ns)
        yield from self._closings(until_ns)

    def _scan(self, rows: Array) -> None:
        if len(rows):
            kept = self._kept
            scan(
                rows, self._numbers, self._kin, kept["leak"], kept["leak_sizes"],
                kept["leak_slots"], kept["leak_acts"], kept["leak_flow"], kept["leak_open"],
                kept["leak_hits"], kept["leak_tallies"], kept["leak_clients"],
                kept["leak_screen"], kept["leak_suspects"], kept["leak_lost"],
                self._lowest, self._screened,
            )  # fmt: skip

    def _close_look(self, at_ns: int) -> int:
        """Count the clients' episodes that are over; return how many are open yet."""
        opened, tallies = self._kept["leak_open"], self._kept["leak_tallies"]
        return sum(
            over(self._numbers, opened[code], tallies[code], at_ns) for code in range(len(opened))
        )

    def _new_day(self) -> None:
        kept = self._kept
        for code in range(len(self._instruments)):
            new_day(
                kept["leak"][code], kept["leak_open"][code], kept["leak_day"][code],
                kept["leak_bets"][code], kept["leak_group"][code], kept["leak_slots"][code],
                kept["leak_clients"][code], kept["leak_screen"][code], kept["leak_suspects"][code],
            )  # fmt: skip

    def _looked(self, at_ns: int) -> Iterator[Finding]:
        """Make the look at an event time: test each instrument that has anything new."""
        yield from self._closings(at_ns)
        kept = self._kept
        large = kept["leak_tallies"][..., T_LARGE:T_HITS].reshape(len(self._instruments), -1)
        fresh_codes = np.flatnonzero(large.any(axis=1)).tolist()
        span = (at_ns - 1) % DAY // SPAN_NS
        group = self._group()
        settle(kept["leak_tallies"], kept["leak_day"][:, :, span], kept["leak_bets"], group)
        kept["leak_group"][:] = group
        together = Together(kept["leak_day"][:, 0], won(group))
        for code in fresh_codes:
            others = [self._tallies(int(n)) for n in self._kin[code, 1:] if n >= 0]
            for rate in verdicts(self._tallies(code), others, together, self._params):
                yield from self._tell(code, rate, at_ns)
        for code in fresh_codes:
            release(
                self._kept,
                self._kin,
                code,
                self._params.nothing_deviations,
                self._params.least_hits,
            )

    def _group(self) -> Array:
        """Return the bets on the complex in all instruments: each keeps them, but a new one."""
        latest = int(np.argmax(self._kept["leak_until"]))
        group: Array = self._kept["leak_group"][latest].copy()
        return group

    def _tallies(self, code: int) -> Tallies:
        kept, kin = self._kept, self._kin[code]
        suspects = np.where((kin >= 0)[:, None, None], kept["leak_suspects"][kin], 0)
        return Tallies(
            kept["leak_day"][code],
            kept["leak"][code],
            suspects[..., ACCOUNT] - 1,
            suspects[..., NUMBER],
            won(kept["leak_bets"][code]),
        )

    def _tell(self, code: int, rate: Rate, at_ns: int) -> Iterator[Finding]:
        account = self._account(code, rate)
        key = (code, account if rate.suspected else -1)
        episode = self._episodes.get(key)
        known = self._hits(code, at_ns)
        cited = {hit[H_ACT_SEQ] for hit in known if hit[H_CITED] and hit[H_RELATED] == rate.related}
        every = hits_of(known, rate, self._params.leads_s, account)
        hits = firsts(hit for hit in every if hit[H_ACT_SEQ] not in cited)
        led = clients_of(every)
        if not hits or (rate.suspected and is_of_one(led, rate, self._params)):
            return
        episode, _ = self._episodes.fact(
            key, seq=min(hit[H_SEQ] for hit in hits), at_ns=at_ns, accounts=(hits[0][H_ACCOUNT],)
        )
        count(episode, hits)
        episode.sums["clients"] = len(led)
        told = self._surest.get(key)
        if told is None or rate.p < told.rate.p:
            told = self._surest[key] = Surest(*key, rate)
        ring = self._kept["leak_hits"][code]
        now = np.isin(ring[:, H_ACT_SEQ], [hit[H_ACT_SEQ] for hit in hits])
        ring[now & (ring[:, H_RELATED] == rate.related), H_CITED] = 1
        traded = int(self._kin[code, rate.related])
        yield self._finding(episode, at_ns, refs_of(code, traded, hits, rate))

    def _account(self, code: int, rate: Rate) -> int:
        """Return the account that a test is of; -1 = the complex as one."""
        if rate.unit == COMPLEX:
            return -1
        traded, slot = self._kin[code, rate.related], rate.unit - SUSPECTED
        if slot >= 0:
            return int(self._kept["leak_suspects"][traded, slot, ACCOUNT]) - 1
        return int(self._kept["leak_slots"][traded, rate.unit - 1]) - 1

    def _hits(self, code: int, at_ns: int) -> list[list[int]]:
        """Return the day's large orders traded ahead of, as far as they are kept."""
        ring, made = self._kept["leak_hits"][code], int(self._kept["leak"][code, N_HITS])
        rows = ring[np.arange(max(made - HITS, 0), made) % HITS]
        day_ns = (at_ns - 1) // DAY * DAY
        day: list[list[int]] = rows[rows[:, H_NS] >= day_ns].tolist()
        return day

    def _closings(self, now_ns: int) -> Iterator[Finding]:
        for episode in self._episodes.close_passed(now_ns):
            yield self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)
            del self._surest[episode.key[0], episode.key[1]]

    def _finding(
        self, episode: Episode, at_ns: int, refs: tuple[Ref, ...], *, closed: bool = False
    ) -> Finding:
        rate = self._surest[episode.key[0], episode.key[1]].rate
        return finding(
            self.spec, self._params, self._instruments, episode, rate,
            traded=int(self._kin[episode.key[0], rate.related]), at_ns=at_ns, refs=refs,
            closed=closed,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, the trades that wait, and the open episodes."""
        rows = np.concatenate([np.zeros((0, PENDING_FIELDS), np.int64), *self._pending])
        return {
            **self._episodes.snapshot(),
            **self._kept.snapshot(),
            "leak_pending": rows[np.argsort(rows[:, P_CODE], kind="stable")],
            "leak_surest": pack_exact([told for _, told in sorted(self._surest.items())]),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._lowest[:] = 0
        self._episodes.restore(snapshot)
        self._pending = [snapshot["leak_pending"].copy()]
        kept = unpack_exact(snapshot["leak_surest"], list[Surest])
        self._surest = {told.key: told for told in kept}
