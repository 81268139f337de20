"""quote_fading: the group's maker is gone from the touch while a client's order is on its way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from detectors.base import Detector, Finding, Params, Spec
from detectors.episodes import Episode, Episodes
from detectors.fading_chance import Verdict, verdict
from detectors.fading_episode import (
    CLEAREST,
    Clearest,
    accounts_of,
    count,
    finding,
    pause_of,
    refs_of,
)
from detectors.fading_index import INDEX_SHAPES, cell_shift
from detectors.fading_kernel import COLUMNS, scan
from detectors.fading_params import KEPT_BUCKETS, QuoteFadingParams
from detectors.fading_sign import measure_of, signs_of
from detectors.fading_state import (
    BUCKET,
    BUCKET_HITS,
    EVENT_FIELDS,
    EVENTS,
    H_NS,
    H_REF,
    H_SEQ,
    H_SIDE,
    H_UNITS,
    HIT_FIELDS,
    HITS,
    N_HITS,
    ORDERS,
    OWN_FIELDS,
    PEERS_SEEN,
    SLOTS,
    STATE_FIELDS,
    STATES,
    TALLY_FIELDS,
    UNITS,
)
from detectors.kept import Kept
from detectors.maker_orders import ORDER_FIELDS, ORDERED_SLOT_FIELDS
from ingest.axes import ByCode, Count
from ingest.events import Array, Batch
from ingest.hashing import hash_id
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.signs import Sign
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.times import MILLI, SECOND

SHAPES: Final = {
    "fading": (OWN_FIELDS,),
    "fading_slots": (SLOTS, ORDERED_SLOT_FIELDS),
    "fading_orders": (SLOTS, ORDERS, ORDER_FIELDS),
    "fading_states": (STATES, STATE_FIELDS),
    "fading_events": (EVENTS, EVENT_FIELDS),
    "fading_tallies": (KEPT_BUCKETS, UNITS, 2, TALLY_FIELDS),
    "fading_hits": (HITS, HIT_FIELDS),
}
"""Arrays kept, by name: the part of one instrument."""
MASK_63: Final = (1 << 63) - 1


class QuoteFading(Detector):
    """Withdrawals at the touch while marketable client orders are on their way.

    State: about 230 kB an instrument, whatever the traffic: the last 512 changes of the touch and
    of who is at it, as many withdrawals and postings, 32 live orders of each of 12 accounts, two
    hours of tallies and 128 client orders withdrawn from; and about 30 kB of index, which follows
    from these and is in no snapshot. Accounts and orders beyond that are
    counted as overflow.

    Examples
    --------
    >>> from detectors.fading_examples import faded, quoted
    >>> from detectors.examples import example_instruments
    >>> instruments = example_instruments()
    >>> def found(batch):
    ...     return QuoteFading(QuoteFadingParams(), instruments).step(batch)
    >>> hit, = found(faded(instruments))
    >>> hit.scenario, hit.evidence, hit.features["withdrawals"].value
    ('quote_fade', 'supported', 12)

    The same maker, which moves its quotes as often, but on its own timer:

    >>> found(quoted(instruments))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="quote_fading",
        version=7,
        title="Quote fading",
        scope="instrument",
        evidence_class="indicator",
        scenarios=("quote_fade",),
        looks_for=(
            "Accounts of the complex that withdraw from the touch while a marketable client order "
            "is between gateway and engine. The window is [t0 + δ, t1): from the received_ns of "
            "the client's instruction to its engine_ns. Withdrawn is what an account (and the "
            "complex as one) takes away there by choice, by a cancel, a reduction or a move "
            "away, at the price that stood at t0 or better, less what it posts there in the "
            "window. Cancels with reason mmp, disconnect, kill, stp or expiry are no choice. "
            "What lies in the windows of several clients counts once. "
            "Each window is compared with up to 39 windows of its length in the minute before "
            "t0, drawn by a hash of instrument and order: the account at the touch, spread "
            "within a factor of three, the mid's move against the maker over 1 s and 100 ms "
            "alike, and filled or not in the last second alike. Tests are made every 5 minutes "
            "over the last 5 to 120, for buying and selling clients apart and together; a "
            "withdrawal counts the more the rarer it is in windows like its own (-ln of its "
            "chance). They pass when the exact chance of the sum under the account's own habit is "
            "within its part of what an instrument's day may spend (half is the complex's, its "
            "accounts share the rest; `tests_alike` of the tests hang together and "
            "count as one), and external makers do not do the same in the same windows, or over "
            "up to 120 minutes where they had too few there and withdrew in none. One alert an "
            "instrument and spell: it ends where in a time for which its own rate gives a dozen "
            "withdrawals too few come (pause_expected), ten minutes at least, and no later test "
            "reaches back into it. A single withdrawal is never told."
        ),
        legal_basis=(
            (
                "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders "
                "at the same price level [V]"
            ),
            "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
            "VATP Guidelines 13.1-13.9: no use of client order information by the group [V]",
            "IOSCO pre-hedging report, November 2025: use of information on client orders [S]",
        ),
        look_alikes=(
            "regular re-quoting on a timer",
            "a cancel and a new order at the same price",
            "reaction to an outside price move, by all makers",
            "maker protection, disconnect or kill switch",
            "quotes pulled after a fill",
            "a slow gateway: long windows hold more withdrawals",
            "withdrawal within the clock uncertainty",
            "a few withdrawals by chance",
            "withdrawals in an auction or halt",
            "external maker that fades",
            "quote moved between two accounts of the group",
        ),
        blind_spots=(
            "withdrawals within δ of the client's arrival",
            "fading by a nominee: an account registered as a client's",
            "quotes behind the touch that are taken away before a large order reaches them",
            "an order held before the gateway stamps it",
            (
                "external makers that fade as often: then it is the venue that leaks, and not the "
                "group alone that uses it"
            ),
        ),
        runbook=(
            (
                "Read `features.withdrawal_rate` with its baseline (the account's own placebo "
                "windows) and `features.peer_rate` over window_start_ns to window_end_ns: how much "
                "more than habit, and than others? `features.surprise`: in windows in which it "
                "seldom goes, or in long and busy ones?"
            ),
            (
                "For each client order of order_ids compare received_ns and engine_ns with the "
                "received_ns of the withdrawal, 1 s on each side: what held the order at the "
                "gateway meanwhile?"
            ),
            (
                "Read reason, session and algo_id of the withdrawals in the orders topic over the "
                "episode: one algorithm, one side (`features.from_buyers`), certain clients?"
            ),
            (
                "Ask who of the maker's staff and systems can see the gateway or its queue in the "
                "hours of the episode (access logs from window_start_ns on)."
            ),
            (
                "Read client_harm and `features.worse_filled` over window_start_ns to "
                "window_end_ns; list the clients from order_ids for the fairness ledger."
            ),
        ),
        needs=("account", "side", "price", "quantity", "leaves", "order_id", "received_ns",
               "engine_ns"),
        wants=("reason", "replaces", "display"),
    )  # fmt: skip
    Params: ClassVar[type[Params]] = QuoteFadingParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **{name: ByCode() for name in SHAPES},
        "fading_cited": ByCode(),
        "fading_ended": ByCode(),
        "fading_clearest": CLEAREST,
        "fading_lost": Count(),
    }

    def __init__(self, params: QuoteFadingParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._clearest: dict[int, Clearest] = {}
        self._signs: list[Sign] = []
        self._bucket_ns = params.bucket_s * SECOND
        self._numbers = np.array(
            [
                params.clock_uncertainty_ns, self._bucket_ns, params.history_s * SECOND,
                params.max_window_ms * MILLI, params.placebos, params.placebo_draws,
                params.least_placebos,
                cell_shift(params.history_s * SECOND + params.max_window_ms * MILLI + SECOND),
            ],
            np.int64,
        )  # fmt: skip
        self._seeds = np.array(
            [hash_id(row.instrument)[1] & MASK_63 for row in instruments.rows], np.int64
        )
        arrays = {
            name: np.zeros(
                (len(instruments), *shape), np.int32 if name == "fading_tallies" else np.int64
            )
            for name, shape in SHAPES.items()
        }
        for name in ("fading_cited", "fading_ended"):
            arrays[name] = np.zeros(len(instruments), np.int64)
        self._kept = Kept(self.spec.id, arrays | {"fading_lost": np.zeros(1, np.int64)})
        self._index = tuple(
            np.zeros((len(instruments), *shape), np.int64) for shape in INDEX_SHAPES
        )
        self._counts = np.zeros((4, SLOTS + 1), np.int64)

    @property
    def overflow(self) -> int:
        """Accounts that lost their place, and orders for which there was none."""
        return int(self._kept["fading_lost"][0])

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return tests that passed, and closings."""
        columns = tuple(batch[name] for name in COLUMNS)
        findings: list[Finding] = []
        kept, row = self._kept, 0
        while row < len(batch):
            row = scan(
                columns, row, self._numbers, self._seeds, kept["fading"], kept["fading_slots"],
                kept["fading_orders"], kept["fading_states"], kept["fading_events"],
                kept["fading_tallies"], kept["fading_hits"], kept["fading_lost"], self._index,
                self._counts,
            )  # fmt: skip
            if row < len(batch):
                code = int(batch["instrument"][row])
                new = int(kept["fading"][code, BUCKET_HITS])
                findings.extend(self._test(code))
                self._signs += self._new_signs(code, new, int(batch["clock_ns"][row]))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def signs(self) -> Sequence[Sign]:
        """Return what the latest client orders withdrawn from make of those of late."""
        signs, self._signs = self._signs, []
        return signs

    def _new_signs(self, code: int, new: int, known_ns: int) -> Iterator[Sign]:
        """Return those of a bucket's client orders that were withdrawn from, told or not."""
        ring: Array = self._kept["fading_hits"][code]
        made = int(self._kept["fading"][code, N_HITS])
        cited = int(self._kept["fading_cited"][code])
        hits = [(ring[n % HITS].tolist(), n < cited) for n in range(made - min(new, HITS), made)]
        seen = measure_of(self._kept["fading_tallies"][code])
        if seen is not None:
            name = self._instruments[code].instrument
            yield from signs_of(self.spec.id, name, seen, hits, known_ns)

    def _test(self, code: int) -> Iterator[Finding]:
        """Judge an instrument's bucket that is over."""
        own = self._kept["fading"][code]
        own[BUCKET_HITS] = 0
        bucket, key = int(own[BUCKET]), (code,)
        at_ns = bucket * self._bucket_ns
        expired = self._episodes.expire(key, at_ns)
        if expired is not None:
            yield self._closing(expired)
        episode = self._episodes.get(key)
        told = self._tested(code, bucket, episode)
        if told is not None and episode is not None and not self._goes_on(episode, *told, at_ns):
            if at_ns - episode.sums["end_ns"] < pause_of(episode, self._params)[0]:
                return
            self._episodes.end(key)
            yield self._closing(episode, at_ns)
            episode, told = None, self._tested(code, bucket, None)
        if told is None or (episode is None and not self._begins(*told, at_ns)):
            return
        yield self._told(code, bucket, *told)

    def _tested(
        self, code: int, bucket: int, episode: Episode | None
    ) -> tuple[Verdict, list[list[int]]] | None:
        """Return the clearest test of what came since an earlier spell, and what is new in it."""
        ended = int(self._kept["fading_ended"][code])
        since = episode.sums["since"] if episode is not None else ended
        seen = int(self._kept["fading"][code, PEERS_SEEN])
        passed = verdict(self._kept["fading_tallies"][code], bucket, since, seen, self._params)
        if passed is None:
            return None
        return passed, self._hits(code, passed, bucket * self._bucket_ns)

    def _told(
        self, code: int, bucket: int, passed: Verdict, hits: Sequence[Sequence[int]]
    ) -> Finding:
        own, ended = self._kept["fading"][code], self._kept["fading_ended"]
        at_ns = bucket * self._bucket_ns
        episode, _ = self._episodes.fact(
            (code,), seq=min(hits[0][H_REF], hits[0][H_SEQ]), at_ns=at_ns,
            accounts=tuple(accounts_of(hits)[:1]),
        )  # fmt: skip
        episode.sums.setdefault("since", int(ended[code]))
        ended[code] = bucket
        self._kept["fading_cited"][code] = own[N_HITS]
        count(episode, passed, hits)
        told = self._clearest.get(code)
        if told is None or passed.chance < told.passed.chance:
            told = self._clearest[code] = Clearest(code, int(own[PEERS_SEEN]), passed)
        return finding(
            self.spec, self._params, self._instruments, episode, told,
            at_ns=at_ns, refs=refs_of(code, hits),
        )  # fmt: skip

    def _begins(self, passed: Verdict, hits: Sequence[Sequence[int]], at_ns: int) -> bool:
        """Return whether a spell begins, as the fresh withdrawals of late say."""
        span_ns = self._params.episode_gap_s * SECOND
        late = sum(hit[H_NS] >= at_ns - span_ns for hit in hits)
        return late >= self._params.least_fresh and late > self._beside(passed, span_ns)

    def _goes_on(
        self, episode: Episode, passed: Verdict, hits: Sequence[Sequence[int]], at_ns: int
    ) -> bool:
        """Return whether a spell goes on, as the withdrawals since its last one say.

        A test over hours passes for hours after a spell, and the maker's ordinary withdrawals
        would be told as its continuation.
        """
        pause, usual = pause_of(episode, self._params)
        last_ns = episode.sums["end_ns"]
        span_ns = min(pause, at_ns - last_ns)
        since = sum(last_ns < hit[H_NS] <= last_ns + span_ns for hit in hits)
        least = max(self._params.pause_ratio * usual, self._params.least_fresh) * span_ns / pause
        return since > 0 and since >= least and since > self._beside(passed, span_ns)

    def _beside(self, passed: Verdict, span_ns: int) -> float:
        """Return the placebos' withdrawals in a time, `fresh_ratio` times."""
        whole_ns = passed.buckets * self._bucket_ns
        return self._params.fresh_ratio * passed.expected * min(1.0, span_ns / whole_ns)

    def _hits(self, code: int, passed: Verdict, at_ns: int) -> list[list[int]]:
        """Return the client orders that a test is about and that no earlier finding cited."""
        ring: Array = self._kept["fading_hits"][code]
        made = int(self._kept["fading"][code, N_HITS])
        cited = int(self._kept["fading_cited"][code])
        since_ns = at_ns - passed.buckets * self._bucket_ns
        rows = [ring[n % HITS].tolist() for n in range(max(cited, made - HITS, 0), made)]
        return [
            row
            for row in rows
            if row[H_NS] >= since_ns
            and row[H_REF]
            and row[H_UNITS] >> passed.unit & 1
            and passed.side in (0, row[H_SIDE])
        ]

    def _closing(self, episode: Episode, at_ns: int | None = None) -> Finding:
        """Return an episode's end: at its deadline, or where a pause says that it was over."""
        code = episode.key[0]
        told = self._clearest.pop(code)
        return finding(
            self.spec, self._params, self._instruments, episode, told,
            at_ns=self._episodes.deadline_ns(episode) if at_ns is None else at_ns, closed=True,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return what is kept of each instrument, and the open episodes."""
        return {
            **self._episodes.snapshot(),
            **self._kept.snapshot(),
            "fading_clearest": pack_exact([told for _, told in sorted(self._clearest.items())]),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._kept.restore(snapshot)
        for part in self._index:
            part[:] = 0
        self._episodes.restore(snapshot)
        kept = unpack_exact(snapshot["fading_clearest"], list[Clearest])
        self._clearest = {told.code: told for told in kept}
