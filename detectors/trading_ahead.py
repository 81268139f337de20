"""trading_ahead: while a client's order is held, the group trades where it would have traded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from detectors.ahead_case import NO_LOSS, PATTERN, STRONG, Case, case_of
from detectors.ahead_episode import count, finding, mark_told
from detectors.ahead_params import TradingAheadParams
from detectors.base import Detector, Finding, Params, Ref, Spec
from detectors.episodes import Episode, Episodes
from detectors.harm import Harm, Settled, Watch, charge
from detectors.held_orders import HeldOrders
from detectors.untold import Untold
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import DAY, SECOND


class TradingAhead(Detector):
    """Executions of the group at prices due to client orders that were held meanwhile.

    State: 80 kB an instrument of what is usual and what was executed; open episodes; a watch for
    each case whose client order stayed open, at most `max_watches` an instrument; 64 episodes of
    the last day that cost nobody.

    Examples
    --------
    >>> from detectors.ahead_example import held
    >>> from detectors.examples import example_instruments
    >>> instruments = example_instruments()
    >>> hit, = TradingAhead(TradingAheadParams(), instruments).step(held(instruments))
    >>> hit.scenario, hit.all_legs, hit.features["longest_hold"].value
    ('trading_ahead', True, 2000000000)

    The group's order stood before the client's came:

    >>> miss, = TradingAhead(TradingAheadParams(), instruments).step(held(instruments, group_ms=-1))
    >>> miss.evidence, miss.all_legs
    ('weak', False)
    """

    spec: ClassVar[Spec] = Spec(
        id="trading_ahead",
        version=8,
        title="Trading ahead of held client orders",
        scope="instrument",
        evidence_class="rule",
        scenarios=("trading_ahead",),
        looks_for=(
            "A client order was held: between gateway and engine (received_ns to engine_ns) longer "
            "than 95 in 100 of its instrument and source, and of all who are not of the group, "
            "are; or a stop, from the trade that reached its stop_price to its `trigger`; "
            "or a request for quote (source rfq). Meanwhile an account of the complex executed on "
            "the same side at a price within the client's limit, aggressively or resting, by an "
            "instruction that came more than δ after the client's; the client was not filled at "
            "once at the same price or better. Where it was held eight times as long as 99 in 100 "
            "are (triggers: as most of them, as three in four of twenty and more), that is a case "
            "with all its legs, if the group took, or was hit in an order that had not stood "
            "elsewhere before (of a large client order, where as large ones are not held as long), "
            "and the client lost by it, or (but for requests for quote) it is "
            "not the first and so many are rare by the group's habit: one in twenty; those "
            "of the last day are then told too, that twentieth spent over all looks. Shorter "
            "ones are told by their rate: how often an aggressive instruction of the group "
            "overtook, against its usual rate and against external makers. Executions of all the "
            "complex's accounts count together, and net is told. An untriggered stop is not "
            "held. Exceptions, each with its evidence: nothing of the client's kind passed it "
            "although some should have (all were held); filled in whole, at the same price or "
            "better, as soon as is usual (not where the group's rate is significant and the "
            "client clearly held); a fill-or-kill that would not have been filled; held by a "
            "speed bump. That a desk knew nothing is a claim for which evidence must be shown, "
            "and no exception here."
        ),
        legal_basis=(
            "FINRA 5320: no trading ahead of a held customer order [S]",
            (
                "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order "
                "received, never withheld [V]"
            ),
            "SFC circular 26EC6 para 7(d): information barriers against leakage [V]",
            "VATP Guidelines 13.1-13.9: client priority, no front-running [V]",
        ),
        look_alikes=(
            "a gateway that is slow for everybody",
            "a maker's quotes that stood before and are hit by both sides",
            "a quote of the group that stood before and is moved while a client is held",
            "a maker's new quotes that are hit while a large order is held, as large ones are",
            "an order held once, whose client loses nothing, beside a group that often trades",
            "an untriggered stop",
            "a venue that triggers stops by another price, late for all",
            "client filled at once at the same price",
            "limit that the group's price does not reach",
            "instruction held by a speed bump",
            "gap within the clock uncertainty",
            "auction or halt",
            "trade within the complex",
            "hedging on the client's other side",
            "large client order beside which the group trades at its base rate",
        ),
        blind_spots=(
            "an order held before the gateway stamps it",
            "an order or stop that is cancelled while it is held, and so never comes out",
            "orders that rested in the book when a halt began, while the group trades in the halt",
            "a nominee registered as a client that trades instead of the group",
            "a bust of the group's trade",
            "a new quote hit while a large order is held, after three were held as long in vain",
        ),
        runbook=(
            (
                "Compare received_ns and engine_ns of the client's order in order_ids with "
                "`features.longest_hold` and its baseline; ask for the gateway's log, 5 s on each "
                "side of window_start_ns."
            ),
            (
                "For `features.held_at_trigger` find the trade that reached stop_price and the "
                "trigger record; look for other stops that triggered within 1 s of either."
            ),
            (
                "List the complex's orders in order_ids by received_ns and algo_id, user and "
                "session: who could have seen the client's order within the window_start_ns to "
                "window_end_ns?"
            ),
            (
                "If a barrier is claimed, ask for the id of its evidence (access log, algo_id's "
                "inputs) for the hour before detected_ns, and note it with the decision."
            ),
            (
                "Read `features.overtaken` and `features.overtaken_by_makers` with their "
                "baselines: is the gateway like this for all, over the day?"
            ),
            (
                "Read `features.displaced` and client_harm; list the clients for restitution by "
                "account from order_ids within the episode."
            ),
        ),
        needs=("account", "side", "price", "quantity", "order_id", "received_ns", "engine_ns"),
        wants=("source", "stop_price", "leaves", "reason"),
    )
    Params: ClassVar[type[Params]] = TradingAheadParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **Untold.layout,
        **HeldOrders.layout,
        **Harm.layout,
    }

    def __init__(self, params: TradingAheadParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._held = HeldOrders(
            len(instruments),
            params.clock_uncertainty_ns,
            params.clear_ratio,
            params.stall_expected,
        )
        self._untold = Untold(DAY)
        self._harm = Harm(params.harm_horizon_s * SECOND, params.max_watches)

    @property
    def overflow(self) -> int:
        """Holds longer than executions are kept, fills not kept, orders not watched."""
        return self._held.overflow + self._harm.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return cases, marks of harm and closings."""
        cases: dict[int, list[Case]] = {}
        for hold in self._held.scan(batch):
            case = case_of(hold, self._params)
            if case is not None:
                cases.setdefault(case.instrument, []).append(case)
        findings: list[Finding] = []
        active = cases.keys() | self._harm.codes()
        if active:
            for code, start, end in batch.by_instrument():
                if code in active:
                    findings.extend(self._run(batch, code, start, end, cases.get(code, [])))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        return findings

    def _run(
        self, batch: Batch, code: int, start: int, end: int, cases: Sequence[Case]
    ) -> Iterator[Finding]:
        """Return one instrument's findings: its cases, clients' own records and marks in order."""
        return self._harm.run(
            batch,
            (code, start, end),
            [(case.hold.done_seq, case.hold.done_ns) for case in cases],
            [case.hold.seq for case in cases],
            take=lambda place: self._case(cases[place]),
            marked=self._marked,
        )

    def _case(self, case: Case) -> Iterator[Finding]:
        hold = case.hold
        key = (case.instrument, case.account, case.standing)
        episode, expired = self._episodes.fact(
            key,
            # Of another standing than the case beside the same execution: not the same alert.
            seq=case.executions[0].seq if case.standing == STRONG else hold.seq,
            at_ns=hold.done_ns,
            accounts=(case.account, case.client),
            incomplete=bool(hold.incomplete),
        )
        if expired is not None:
            yield self._closing(expired)
        episode.first_ns = min(episode.first_ns, hold.from_ns)
        count(episode.sums, case)
        if case.unfilled:
            watch = Watch(
                key=key,
                first_seq=episode.first_seq,
                entry_seq=hold.seq,
                side=hold.side,
                displaced=case.unfilled,
                cost=case.cost,
                leaves=hold.open,
                price=hold.limit,
                deadline_ns=hold.done_ns + self._params.harm_horizon_s * SECOND,
            )
            if not self._harm.watch(case.instrument, watch):
                unmeasured = episode.sums.get("unmeasured", 0)
                episode.sums["unmeasured"] = unmeasured + case.unfilled
        refs = tuple(Ref(case.instrument, seq) for seq in case.seqs)
        yield self._finding(episode, hold.done_ns, refs)
        if case.habitual and case.standing in {STRONG, PATTERN}:
            yield from self._tell_those_without_loss(case)

    def _tell_those_without_loss(self, case: Case) -> Iterator[Finding]:
        """Tell an instrument's holds that might have been chance, now that they are so many."""
        code, at_ns = case.instrument, case.hold.done_ns
        still = [e for e in self._episodes if e.key[0] == code and e.key[2] == NO_LOSS]
        for episode in still:
            if self._episodes.expire(episode.key, at_ns) is not None:
                yield self._closing(episode)
        ended = [e for e in still if self._episodes.end(e.key) is not None]
        for episode in [*self._untold.take(code, at_ns), *ended]:
            mark_told(episode.sums, case)
            yield self._finding(episode, at_ns, (), closed=True)

    def _marked(self, settled: Settled) -> Finding:
        key = settled.watch.key
        episode = self._episodes.get(key)
        # The gap exceeds the horizon, so the episode that opened the watch is still open.
        assert episode is not None  # noqa: S101
        charge(episode, settled)
        context = (Ref(key[0], settled.seq),) if settled.seq else ()
        return self._finding(episode, settled.at_ns, (), context=context)

    def _closing(self, episode: Episode) -> Finding:
        if episode.key[2] == NO_LOSS:
            self._untold.keep(episode)
        return self._finding(episode, self._episodes.deadline_ns(episode), (), closed=True)

    def _finding(
        self,
        episode: Episode,
        at_ns: int,
        refs: tuple[Ref, ...],
        *,
        context: tuple[Ref, ...] = (),
        closed: bool = False,
    ) -> Finding:
        return finding(
            self.spec,
            self._instruments,
            self._params,
            episode,
            at_ns,
            refs=refs,
            context=context,
            closed=closed,
        )

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {
            **self._episodes.snapshot(),
            **self._untold.snapshot(),
            **self._held.snapshot(),
            **self._harm.snapshot(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._held.restore(snapshot)
        self._episodes.restore(snapshot)
        self._untold.restore(snapshot)
        self._harm.restore(snapshot)
