"""quoting_obligations: who owes quotes under an agreement, and was not there for long enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from detectors.agreements import Agreement, Window, agreements_of
from detectors.base import Detector, Finding, Params, Spec
from detectors.presence import Presence
from detectors.quoting_episode import RUNS, Run, add, finding, opened, refs_of, so_far, taken_back
from detectors.quoting_params import QuotingObligationsParams
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot, pack_exact, unpack_exact
from ingest.terms import Terms
from ingest.times import SECOND

TOLD_EACH: Final = 64
"""Missed windows of a run told one by one; after that every power of two, and the closing."""


class QuotingObligations(Detector):
    """Windows of an agreement in which an account, or an owner's accounts, quoted too little.

    State: 13 kB an agreement's account and instrument (128 live orders a side, the 32 longest
    intervals of the window), 0.6 kB an instrument, and the open run of missed windows. Orders
    beyond the room are counted as overflow, and while they might matter presence is unknown.

    Examples
    --------
    >>> from detectors.quoting_example import left, stayed
    >>> from detectors.examples import example_instruments
    >>> instruments = example_instruments()
    >>> def found(batch):
    ...     return QuotingObligations(QuotingObligationsParams(), instruments).step(batch)
    >>> early, hit = found(left(instruments))
    >>> early.features["missed"].value, (early.detected_ns - early.window_start_ns) / 1e9
    (540.0, 2340.000000002)
    >>> hit.features["presence"], hit.features["intervals"].value
    (Feature(value=0.5, unit='ratio', baseline=0.85), '1800 to 3600 one-sided')

    A maker that leaves as well, but is back within what its agreement allows:

    >>> found(stayed(instruments))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="quoting_obligations",
        version=1,
        title="Quoting obligations",
        scope="instrument",
        evidence_class="rule",
        scenarios=("quoting_obligation",),
        looks_for=(
            "Windows of an agreement (obligations.csv) in which the share of open time with firm "
            "two-sided quotes is below min_presence_ratio. Present, to the nanosecond, is an "
            "account (or an owner's accounts together) while min_quantity can be bought from it "
            "and sold to it at prices no further apart than max_spread_bps of their middle: all "
            "its displayed orders count, from the best on, so that a small quote ahead of a large "
            "one neither helps nor harms. Not present is: no quotes, one side only, fewer lots "
            "than agreed on a side, or too wide. Open is the continuous phase; auctions, halts, "
            "cancel-only and maintenance are not. Windows of window_s are aligned to 1970 and "
            "judged by the row in force, at their end or as soon as nothing that is still to come "
            "of them could meet it; where a row begins or ends within, its part is. Time that is "
            "not known (a gap, before the tape, orders from before the agreement was loaded) "
            "counts as present; a part of a window that only a change of the terms ends is not "
            "judged. An order stays its owner's until it leaves, whoever its account is sold to. "
            "Cancels by reason: user, other and none are choices (where a feed never has a reason "
            "a finding is supported, not proved), stp and expiry are the maker's own orders at "
            "work, and count; "
            "after mmp, disconnect and kill the absence is excused, and not open, until its next "
            "quote, up to excused_ratio of the window. Sides of which one shows more than twice "
            "the other are measured (features.uneven) and no miss: no row agrees to it. One alert "
            "an agreement and run of missed windows."
        ),
        legal_basis=(
            (
                "SFC circular 26EC6 para 7(g): preferential treatment of the AFMM disclosed; what "
                "it gives in return is the agreement [V]"
            ),
            "SFC circular 26EC6 para 9(b): effectiveness of controls reported on [V]",
            "VATP Guidelines 7.18-7.21: best available terms, never withheld [V]",
            "MiFID RTS 8: two-way quotes for 50 % of trading hours, sizes within 50 % [M]",
        ),
        look_alikes=(
            "absence within what the agreement allows",
            "quotes moved by cancel and new order at one time",
            "maker protection, disconnect or kill switch, and a quick return",
            "halt, auction or maintenance",
            "size that is reached over several levels",
            "spread exactly as wide as agreed",
            "two accounts of the owner, one on each side",
            "a coverage gap over most of the window",
            "agreement that ended, or has not begun",
            "a window that is mostly closed",
            "uneven sides, both as large as agreed",
            "a maker without agreement that leaves",
        ),
        blind_spots=(
            (
                "quotes that are always there and are withdrawn when somebody wants to trade "
                "(quote_fading)"
            ),
            "a window that is missed only if what is not known of it was absence",
            "protection set so tight that it keeps quotes away, up to excused_ratio of a window",
            "an agreement added while quotes may stand, until the book is restated from its start",
            "an obligation that has been agreed and is not in obligations.csv",
        ),
        runbook=(
            (
                "Read `features.presence` against its baseline, and `features.windows`: one hour, "
                "or every hour of the episode?"
            ),
            (
                "Read `features.absent`, `features.one_sided`, `features.too_small` and "
                "`features.too_wide`: which of them makes up `features.missed`?"
            ),
            (
                "For each of `features.intervals` look at the account's orders in the orders "
                "topic, 5 s on each side: reason, session and algo_id of the cancels that begin it."
            ),
            (
                "Compare `features.presence_stress` with `features.presence_calm` over "
                "window_start_ns to window_end_ns: does it leave when it is needed?"
            ),
            (
                "Read `features.excused` and `features.unknown`, and status records of the window: "
                "did the venue have a fault that the feed does not tell?"
            ),
            (
                "Compare obligations.csv at window_start_ns with the signed agreement; list the "
                "day with `ringfence presence`, and what the agreement provides for a miss."
            ),
        ),
        needs=("account", "side", "price", "quantity", "leaves", "order_id", "engine_ns"),
        wants=("display", "reason", "replaces"),
    )
    Params: ClassVar[type[Params]] = QuotingObligationsParams
    layout: ClassVar[Layout] = {**Presence.layout, "runs": RUNS}

    def __init__(self, params: QuotingObligationsParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._presence = Presence(
            instruments,
            least_open_ratio=params.least_open_ratio,
            excused_ratio=params.excused_ratio,
            stress_ratio=params.stress_ratio,
        )
        self._runs: dict[tuple[int, int], Run] = {}
        self._terms: Terms | None = None
        self._agreements: tuple[Agreement, ...] = ()

    @property
    def overflow(self) -> int:
        """Live orders for which there was no room."""
        return self._presence.lost

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return windows that were missed, and closings."""
        findings: list[Finding] = []
        if batch.terms is not self._terms:
            self._terms = batch.terms
            self._agreements = agreements_of(batch.terms, batch.parties, self._instruments)
        for window in self._presence.take(batch, self._agreements):
            findings.extend(self._judge(window))
        parties = self._presence.parties
        for key in sorted((k for k in self._runs if k not in parties), key=lambda key: key[0]):
            run = self._runs.pop(key)
            at_ns = max(run.end_ns, self._presence.clock_ns(run.code))
            findings.append(self._closing(run, at_ns))
        return findings

    def _judge(self, window: Window) -> Iterator[Finding]:
        """Tell a window that was missed, or can no longer be met; close the run that has ended."""
        key = (window.instrument, window.party)
        run = self._runs.get(key)
        missed = is_missed(window, self._params.least_open_ratio) and not window.is_cut
        if run is not None:
            ends_ns = window.end_ns if window.is_over else window.until_ns
            since_ns = ends_ns - run.end_ns
            if since_ns > run.gap_ns or (since_ns == run.gap_ns and not missed):
                del self._runs[key]
                yield self._closing(run, run.end_ns + run.gap_ns)
                run = None
        if not missed:
            if run is not None and run.pending is not None:
                yield self._met(run, window.end_ns)
            return
        if run is None:
            gap_ns = max(window.window_ns, self._params.episode_gap_s * SECOND)
            run = self._runs[key] = opened(window, gap_ns)
        if not window.is_over:
            if run.windows < TOLD_EACH:
                yield self._finding(so_far(run, window), window.end_ns, window)
            return
        add(run, window)
        if run.windows <= TOLD_EACH or run.windows & (run.windows - 1) == 0:
            yield self._finding(run, window.end_ns, window)

    def _closing(self, run: Run, at_ns: int) -> Finding:
        run.told += 1
        return self._finding(run, at_ns, closed=True)

    def _met(self, run: Run, at_ns: int) -> Finding:
        """Take back a window that was told early and was met after all, by other terms."""
        if run.windows:
            run.pending = None
            run.told += 1
            return self._finding(run, at_ns)
        del self._runs[run.code, run.party]
        return finding(
            self.spec, self._params, self._instruments, taken_back(run),
            at_ns=at_ns, retracted=True,
        )  # fmt: skip

    def _finding(
        self, run: Run, at_ns: int, window: Window | None = None, *, closed: bool = False
    ) -> Finding:
        return finding(
            self.spec, self._params, self._instruments, run,
            at_ns=at_ns, refs=() if window is None else refs_of(window), closed=closed,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return what is kept of agreements and instruments, and the open runs."""
        runs = sorted(self._runs.values(), key=lambda run: run.code)
        return {**self._presence.snapshot(), "runs": pack_exact(runs)}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._presence.restore(snapshot)
        runs = unpack_exact(snapshot["runs"], list[Run])
        self._runs = {(run.code, run.party): run for run in runs}
        self._terms, self._agreements = None, ()


def is_missed(window: Window, least_open_ratio: float) -> bool:
    """Return whether a window was missed: also if all that is not known of it was presence."""
    known_ns = window.open_ns + window.unknown_ns
    return (
        window.in_force
        and window.open_ns >= least_open_ratio * window.window_ns
        and window.present_ns + window.unknown_ns + 1 < window.min_ratio * known_ns
    )
