"""client_interaction: clients fare worse with the group's maker than with every other maker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Finding, Params, Ref, Spec
from detectors.episodes import Episode, Episodes, meet
from detectors.interaction_chance import (
    DRIFT,
    DRIFT_MARKOUT,
    LEAST_PEERS,
    QUOTES,
    Verdict,
    begun,
    drift_chance,
    drift_of,
    kind_of,
    latest,
    verdicts,
)
from detectors.interaction_episode import (
    MAX_ACCOUNTS,
    MAX_REFS,
    TOLD,
    Told,
    finding,
    told_of,
)
from detectors.interaction_kernel import COLUMNS, scan
from detectors.interaction_params import ClientInteractionParams
from detectors.interaction_screen import Screen
from detectors.interaction_spec import SPEC
from detectors.interaction_state import (
    BLOCK_FIELDS,
    BLOCK_ROWS,
    BUCKET,
    D_SINCE,
    D_SUM,
    DOUBT,
    F_ACCOUNT,
    F_NS,
    F_SEQ,
    F_SLOT,
    FILL_FIELDS,
    FILLS,
    GROUP,
    HABIT_FIELDS,
    KEPT_BUCKETS,
    KINDS,
    MOVE_FIELDS,
    N_DUE,
    N_FILLS,
    ORDERS,
    OWN_FIELDS,
    PAID_FIELDS,
    PARTS,
    SAMPLE_FIELDS,
    SAMPLES,
    SIDES,
    SLOT_FIELDS,
    SLOTS,
    T_BLOCKS,
    T_MOVES,
    T_SUM,
    TALLY_FIELDS,
    TOLD_UNTIL,
)
from detectors.kept import Kept
from detectors.maker_orders import ORDER_FIELDS
from ingest.axes import ByCode, Count
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import SECOND

WHOLE: Final = {
    "interaction": (OWN_FIELDS,),
    "interaction_slots": (SLOTS, SLOT_FIELDS),
    "interaction_orders": (SLOTS, ORDERS, ORDER_FIELDS),
    "interaction_samples": (SAMPLES, SLOTS + 1, SAMPLE_FIELDS),
    "interaction_fills": (FILLS, FILL_FIELDS),
    "interaction_lots": (SIDES,),
}
"""Arrays of integers kept, by name: the part of one instrument."""
SUMS: Final = {
    "interaction_leans": (SAMPLES, SLOTS, PARTS),
    "interaction_habits": (SLOTS, HABIT_FIELDS),
    "interaction_moves": (MOVE_FIELDS,),
    "interaction_blocks": (SLOTS, BLOCK_ROWS, BLOCK_FIELDS),
    "interaction_tallies": (KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS),
    "interaction_fill_blocks": (SLOTS, SIDES, N_DUE, 2),
    "interaction_fill_tallies": (KEPT_BUCKETS, SLOTS, SIDES, N_DUE, TALLY_FIELDS),
    "interaction_paid": (KEPT_BUCKETS, SLOTS, PAID_FIELDS),
    "interaction_presence": (KEPT_BUCKETS, 2),
    "interaction_drift": (2,),
}
"""Arrays of sums, likewise; floats, added in event order."""


class ClientInteraction(Detector):
    """Quotes of the group's maker that know what comes, and clients' fills that show it.

    State: about 1 MB an instrument, whatever the traffic: seven slots of makers with 64 live
    orders each, 64 looks at their quotes, 2,048 fills of clients until their last markout, two
    hours of sums. Makers, orders and fills beyond that are counted as overflow.

    Examples
    --------
    >>> from detectors.interaction_example import quoted
    >>> from detectors.examples import example_instruments
    >>> instruments = example_instruments()
    >>> dealt = [(20_000 * n, 0, 1) for n in range(1, 12)]
    >>> def found(batch):
    ...     return ClientInteraction(ClientInteractionParams(), instruments).step(batch)
    >>> *_, hit = found(quoted(instruments, ahead_ms=(1_000, 0, 0, 0), fills=dealt))
    >>> hit.scenario, hit.evidence, hit.features["tested"].value, hit.features["foreseen_to"].value
    ('unfair_fills', 'supported', 'quotes', 1.0)

    The same maker, as quick as its peers:

    >>> found(quoted(instruments, fills=dealt))
    []
    """

    spec: ClassVar[Spec] = SPEC
    Params: ClassVar[type[Params]] = ClientInteractionParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **{name: ByCode() for name in (*WHOLE, *SUMS)},
        "interaction_told": TOLD,
        "interaction_lost": Count(),
    }

    def __init__(self, params: ClientInteractionParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._told: dict[int, Told] = {}
        self._screen = Screen(params)
        self._bucket_ns = params.bucket_s * SECOND
        self._numbers = np.array(
            [
                self._bucket_ns,
                params.reaction_ms * SECOND // 1000,
                params.peer_idle_s * SECOND,
                params.habit_s * SECOND,
                params.volatile_s * SECOND,
                params.usual_s * SECOND,
                params.volatile_percent,
            ],
            np.int64,
        )
        rows = len(instruments)
        self._kept = Kept(
            self.spec.id,
            {name: np.zeros((rows, *shape), np.int64) for name, shape in WHOLE.items()}
            | {name: np.zeros((rows, *shape), np.float64) for name, shape in SUMS.items()}
            | {"interaction_lost": np.zeros(1, np.int64)},
        )

    @property
    def overflow(self) -> int:
        """Makers that lost their place, and orders for which there was none."""
        return int(self._kept["interaction_lost"][0])

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return tests that passed, and closings."""
        columns = tuple(batch[name] for name in COLUMNS)
        findings: list[Finding] = []
        kept, row = self._kept, 0
        while row < len(batch):
            row = scan(
                columns, row, self._numbers, kept["interaction"],
                kept["interaction_slots"], kept["interaction_orders"], kept["interaction_samples"],
                kept["interaction_leans"], kept["interaction_habits"], kept["interaction_moves"],
                kept["interaction_blocks"], kept["interaction_tallies"], kept["interaction_fills"],
                kept["interaction_fill_blocks"], kept["interaction_fill_tallies"],
                kept["interaction_paid"], kept["interaction_presence"], kept["interaction_lots"],
                kept["interaction_lost"],
            )  # fmt: skip
            if row < len(batch):
                findings.extend(self._test(int(batch["instrument"][row])))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def _test(self, code: int) -> Iterator[Finding]:
        """Judge an instrument's bucket that is over."""
        kept = self._kept
        bucket = int(kept["interaction"][code, BUCKET])
        tallies = (kept["interaction_tallies"][code], kept["interaction_fill_tallies"][code])
        may = self._screen.may_pass(*tallies, bucket)
        passed = verdicts(*tallies, bucket, self._params) if may else []
        passed += self._drifted(code, bucket)
        if passed:
            yield from self._passed(code, bucket, passed)

    def _drifted(self, code: int, bucket: int) -> list[Verdict]:
        """Take a step of the drift of clients' fills; return a verdict where it is past bound.

        A step is as long as the shortest test, from one whole number of them to the next.
        """
        kept, params = self._kept, self._params
        step = params.scales[0]
        if bucket % step:
            return []
        drift = kept["interaction_drift"][code]
        before = float(drift[D_SUM])
        tally = latest(kept["interaction_fill_tallies"][code], bucket, (step,))[0]
        drift[D_SUM], nearest = drift_of(before, tally, params)
        if not before:
            drift[D_SINCE] = bucket - step + 1
        if not nearest or drift[D_SUM] < params.drift_bound:
            return []
        told = float(drift[D_SUM])
        drift[D_SUM] = 0.0  # begun anew: what is over is told once
        return [
            Verdict(
                by=DRIFT, buckets=min(bucket - int(drift[D_SINCE]) + 1, KEPT_BUCKETS),
                horizon=DRIFT_MARKOUT, side=0, chance=drift_chance(params),
                allowed=drift_chance(params), peers=LEAST_PEERS, nearest=nearest,
                blocks=int(tally[GROUP, :, DRIFT_MARKOUT, T_BLOCKS].sum()),
                effect=told,
            )
        ]  # fmt: skip

    def _passed(self, code: int, bucket: int, passed: Sequence[Verdict]) -> Iterator[Finding]:
        kept = self._kept
        at_ns = bucket * self._bucket_ns
        key = (code,)
        expired = self._episodes.expire(key, at_ns)
        if expired is not None:
            yield self._closing(expired)
        episode = self._episodes.get(key)
        told_until = int(kept["interaction"][code, TOLD_UNTIL])
        since = episode.sums["since"] if episode else told_until
        passed = [one for one in passed if self._is_news(code, bucket, since, one)]
        if not passed:
            return
        best = min(passed, key=lambda one: one.chance)
        tallies = (kept["interaction_tallies"][code], kept["interaction_fill_tallies"][code])
        start_ns = at_ns - begun(*tallies, bucket, best) * self._bucket_ns
        cited = episode.sums["cited"] if episode else 0
        all_fills = self._fills(code, start_ns, at_ns)
        if episode is None and len(all_fills) < self._params.min_fills:
            return
        told = self._clearest(code, bucket, best)
        fills = [row for number, row in all_fills if number >= cited][-MAX_REFS:]
        first = all_fills[0][1] if all_fills else None
        episode, _ = self._episodes.fact(
            key,
            seq=first[F_SEQ] if first else 0,
            at_ns=at_ns,
            accounts=(first[F_ACCOUNT],) if first else (),
            incomplete=bool(kept["interaction"][code, DOUBT] > bucket - best.buckets),
        )
        sums = episode.sums
        sums.setdefault("since", told_until)
        sums["cited"] = int(kept["interaction"][code, N_FILLS])
        sums["passed"] = sums.get("passed", 0) + 1
        sums["start_ns"] = min(sums.get("start_ns", start_ns), start_ns)
        sums["end_ns"] = at_ns
        kept["interaction"][code, TOLD_UNTIL] = bucket
        meet(sums, (row[F_ACCOUNT] for row in fills), MAX_ACCOUNTS)
        yield finding(
            self.spec, self._params, self._instruments, episode, told,
            at_ns=at_ns, refs=tuple(Ref(code, row[F_SEQ]) for row in fills),
        )  # fmt: skip

    def _is_news(self, code: int, bucket: int, since: int, passed: Verdict) -> bool:
        """Return whether a test of what came since an earlier spell shows one that goes on."""
        told = self._told.get(code)
        if passed.buckets > bucket - since:
            return False
        if told is None or not passed.by == told.passed.by == QUOTES:
            return True
        tallies = self._kept["interaction_tallies"][code, :, passed.nearest, kind_of(passed)]
        last = latest(tallies, bucket, self._params.scales[:1])[0]
        held, moves = float(last[T_SUM]), float(last[T_MOVES])
        return moves > 0 and held >= self._params.recent_ratio * told.passed.effect * moves

    def _clearest(self, code: int, bucket: int, best: Verdict) -> Told:
        """Return the clearest test of the episode, a bucket's among them."""
        told = self._told.get(code)
        if told is None or best.chance < told.passed.chance:
            places = np.arange(bucket - best.buckets + 1, bucket + 1) % KEPT_BUCKETS
            told = self._told[code] = told_of(
                code,
                best,
                self._kept["interaction_paid"][code][places].sum(axis=0),
                self._kept["interaction_presence"][code][places].sum(axis=0),
            )
        return told

    def _fills(self, code: int, start_ns: int, end_ns: int) -> list[tuple[int, list[int]]]:
        """Return clients' fills against the group in a time, numbered as they came."""
        ring = self._kept["interaction_fills"][code]
        made = int(self._kept["interaction"][code, N_FILLS])
        numbers = np.arange(max(0, made - FILLS), made)
        rows = ring[numbers % FILLS]
        wanted = (rows[:, F_SLOT] == GROUP) & (rows[:, F_NS] >= start_ns) & (rows[:, F_NS] < end_ns)
        return list(zip(numbers[wanted].tolist(), rows[wanted].tolist(), strict=True))

    def _closing(self, episode: Episode) -> Finding:
        told = self._told.pop(episode.key[0])
        return finding(
            self.spec, self._params, self._instruments, episode, told,
            at_ns=self._episodes.deadline_ns(episode), closed=True,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, and the open episodes."""
        return {
            **self._episodes.snapshot(),
            **self._kept.snapshot(),
            "interaction_told": pack_exact([told for _, told in sorted(self._told.items())]),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        self._episodes.restore(snapshot)
        kept = unpack_exact(snapshot["interaction_told"], list[Told])
        self._told = {told.code: told for told in kept}
