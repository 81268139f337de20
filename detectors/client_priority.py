"""client_priority: at one price level, client orders come before the group's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from detectors.arrivals import Arrivals
from detectors.base import Detector, Finding, Params, Ref, Spec
from detectors.configuration_days import ConfigurationDays
from detectors.displacement import Displacement, of_inversions
from detectors.episodes import Episode, Episodes, Key
from detectors.harm import Harm, Settled, Watch, charge
from detectors.overtaking import Overtaking
from detectors.passed_over import PassedOver
from detectors.priority_episode import count, finding
from detectors.priority_params import ClientPriorityParams
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot
from ingest.times import SECOND


class ClientPriority(Detector):
    """Fills of the group's orders that were due to clients.

    State: open episodes; a watch each time an open order was passed over; 6 kB an instrument of
    recent executions; held and late instructions of the last `entry_horizon_s`.

    Examples
    --------
    >>> from detectors.examples import batch_of, example_instruments, jumped, trade
    >>> instruments = example_instruments()
    >>> batch = batch_of([trade(3, 1)], instruments, passed_over=[jumped(1, 2, older=1)])
    >>> hit, = ClientPriority(ClientPriorityParams(), instruments).step(batch)
    >>> hit.scenario, hit.evidence, hit.facets, hit.features["displaced"].value
    ('client_priority', 'proved', ('queue_jump',), 0.005)

    The client joined the queue later, on a venue that matches by price and time:

    >>> batch = batch_of([trade(3, 1)], instruments, passed_over=[jumped(1, 2, older=0)])
    >>> hit, = ClientPriority(ClientPriorityParams(), instruments).step(batch)
    >>> hit.scenario, hit.evidence_class
    ('matching_configuration', 'indicator')
    """

    spec: ClassVar[Spec] = Spec(
        id="client_priority",
        version=6,
        title="Client priority",
        scope="instrument",
        evidence_class="breach",
        scenarios=("client_priority", "matching_configuration"),
        looks_for=(
            "queue_jump: once an incoming order is done, an order of the group (affiliated_mm, "
            "affiliated, house, staff) was filled at a price where an eligible client order still "
            "shows quantity. A client order of earlier priority makes it a breach on every venue, "
            "a younger one where the instrument's matching is price_class_time; on a price_time "
            "venue the engine gives clients no priority, which is one matching_configuration "
            "alert an instrument and UTC day. arrival_inversion: a client instruction reached "
            "the gateway more than δ before a group instruction for the same side, the group's "
            "was matched first and took quantity that the client's would have taken, and the "
            "client was filled less or worse; both aggressive (the client's was held in the "
            "gateway's queue, so that is trading_ahead too), or both resting at one price. "
            "Each lot so filled is due to one client order, by place in the queue. Unknown "
            "accounts are judged both ways, as weak, after the known. Exempt, each by a rule of "
            "the venue, and counted: hidden quantity (never owed priority), the incoming owner's "
            "own orders (self-trade prevention), instructions held by a speed bump. Minimum "
            "quantity is not in the contract. Auctions are not judged. Where the engine matches "
            "pairs of others' instructions that reached the gateway as close after each other "
            "either way (`unordered_ratio`), arrival is no order on that venue: such an inversion "
            "is weak, with its condition said, until the group's instructions that take have "
            "overtaken clients' so more often that UTC day than others' that take have "
            "(binomial, `unordered_level` spent over the group's). A gap up to 2 δ makes it "
            "supported at most, and low where more than one in a hundred of others' pairs that "
            "came so close were matched reversed, or there are too few (`order_pairs`; closer "
            "ones count then too)."
        ),
        legal_basis=(
            (
                "SFC circular 26EC6 para 7(e): client orders always have priority over AFMM orders "
                "at the same price level [V]"
            ),
            "VATP Guidelines 7.18-7.21: orders handled promptly, fairly, in the order received [V]",
            "VATP Guidelines 13.1-13.9: client priority over staff [V]",
            "VATP Guidelines 16.7(d): notify immediately of a material or suspected breach [V]",
        ),
        look_alikes=(
            "a maker's quotes hit by both sides",
            "client order younger than the group's on a price_time venue",
            "self-trade-prevention skip",
            "hidden against displayed quantity",
            "client amending after the match",
            "instruction held by a speed bump",
            "gap within the clock uncertainty",
            "gateways so uneven that others' instructions overtake each other as well",
            "auction or halt",
            "iceberg tranche that queued again",
        ),
        blind_spots=(
            "allocation at an uncross",
            (
                "an aggressive group instruction that takes what a passive client instruction, "
                "still in the gateway, would have waited for"
            ),
            "an instruction held before the gateway stamps it (quote_fading looks at its effects)",
        ),
        runbook=(
            (
                "Read seq and priority_ns of both orders in order_ids from an hour before "
                "window_start_ns: was the client's order amended, and when?"
            ),
            (
                "Read `features.older`, `features.younger`, `features.arrival_inversions` over "
                "window_start_ns to window_end_ns; compare matching in instruments.csv with the "
                "venue's rulebook."
            ),
            (
                "For arrival_inversion compare received_ns and engine_ns of both instructions, 1 s "
                "on "
                "each side of detected_ns, with the gateway's own log and its clock report."
            ),
            (
                "Read `features.displaced` and client_harm for the window; list the clients for "
                "restitution by account from trade_ids and order_ids."
            ),
            (
                "Decide on suspending the AFMM (26EC6 10(b)) within the hour of detected_ns if "
                "client "
                "impact is significant; record its live orders at that time."
            ),
        ),
        needs=("account", "side", "price", "quantity", "leaves", "order_id", "engine_ns"),
        wants=("received_ns", "display", "reason", "matching"),
    )
    Params: ClassVar[type[Params]] = ClientPriorityParams
    layout: ClassVar[Layout] = {
        **Episodes.layout,
        **Arrivals.layout,
        **Overtaking.layout,
        **PassedOver.layout,
        **Harm.layout,
        **ConfigurationDays.layout,
    }

    def __init__(self, params: ClientPriorityParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._episodes = Episodes(params.episode_gap_s * SECOND)
        self._arrivals = Arrivals(
            len(instruments), params.clock_uncertainty_ns, params.flight_s * SECOND
        )
        self._overtaking = Overtaking(
            len(instruments),
            params.unordered_ratio,
            params.unordered_pairs,
            params.order_pairs,
        )
        self._passed = PassedOver(
            instruments, params.clock_uncertainty_ns, params.entry_horizon_s * SECOND
        )
        self._harm = Harm(params.harm_horizon_s * SECOND, params.max_watches)
        self._days = ConfigurationDays(self.spec.id, self.spec.version, len(instruments))

    @property
    def overflow(self) -> int:
        """Executions pushed out of the ring in flight, orders not watched, queues cut short."""
        return self._arrivals.overflow + self._harm.overflow + self._passed.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return incidents, marks of harm and closings."""
        octaves = self._overtaking.scan(batch)
        inversions = list(self._arrivals.scan(batch, octaves))
        displaced, younger = self._passed.judge(batch, self._overtaking)
        delta_ns, level = self._params.clock_uncertainty_ns, self._params.unordered_level
        displaced.extend(of_inversions(inversions, delta_ns, level))
        findings: list[Finding] = []
        active = {fact.instrument for fact in displaced} | self._harm.codes()
        if active:
            facts: dict[int, list[Displacement]] = {}
            for fact in displaced:
                facts.setdefault(fact.instrument, []).append(fact)
            for code, start, end in batch.by_instrument():
                if code in active:
                    findings.extend(self._run(batch, code, start, end, facts.get(code, [])))
        findings.extend(self._closing(episode) for episode in self._episodes.close_before(batch))
        findings.extend(self._days.step(batch, younger))
        return findings

    def _run(
        self, batch: Batch, code: int, start: int, end: int, facts: Sequence[Displacement]
    ) -> Iterator[Finding]:
        """Return one instrument's findings, its facts, clients' own records and marks in order."""
        return self._harm.run(
            batch,
            (code, start, end),
            [(fact.done_seq, fact.done_ns) for fact in facts],
            [due.entry_seq for fact in facts for due in fact.dues],
            take=lambda place: self._incident(facts[place]),
            marked=self._marked,
        )

    def _incident(self, fact: Displacement) -> Iterator[Finding]:
        key = self._key(fact)
        episode, expired = self._episodes.fact(
            key,
            seq=fact.first_seq,
            at_ns=fact.done_ns,
            accounts=_first_accounts(fact),
            incomplete=fact.incomplete,
        )
        if expired is not None:
            yield self._closing(expired)
        episode.first_ns = min(episode.first_ns, fact.from_ns)
        count(episode.sums, fact)
        deadline_ns = fact.done_ns + self._params.harm_horizon_s * SECOND
        for due in fact.dues:
            watch = Watch(
                key=key,
                first_seq=episode.first_seq,
                entry_seq=due.entry_seq,
                side=fact.side,
                displaced=due.lots,
                cost=due.cost,
                leaves=due.leaves,
                price=due.limit,
                deadline_ns=deadline_ns,
            )
            if not self._harm.watch(fact.instrument, watch):
                unmeasured = episode.sums.get("unmeasured", 0)
                episode.sums["unmeasured"] = unmeasured + due.lots
        seqs = set(fact.seqs) - {0}
        yield self._finding(
            episode,
            fact.done_ns,
            refs=tuple(Ref(fact.instrument, seq) for seq in sorted(seqs)),
            context=tuple(
                Ref(fact.instrument, seq) for seq in sorted(set(fact.context) - seqs - {0})
            ),
        )

    def _key(self, fact: Displacement) -> Key:
        """Return the episode's key: jumps in the queue and inversions of arrival are told apart.

        Unless they begin with one fact: an alert's identity is that fact.
        """
        of_kind = [(fact.instrument, fact.group_account, fact.condition, kind) for kind in (0, 1)]
        mine, other = of_kind if not fact.arrival_inversions else reversed(of_kind)
        begun = self._episodes.get(other)
        if (
            begun is not None
            and begun.first_seq == fact.first_seq
            and begun.first_accounts == _first_accounts(fact)
        ):
            return begun.key
        return mine

    def _marked(self, settled: Settled) -> Finding:
        key = settled.watch.key
        episode = self._episodes.get(key)
        # The gap exceeds the horizon, so the episode that opened the watch is still open.
        assert episode is not None  # noqa: S101
        charge(episode, settled)
        refs = (Ref(key[0], settled.seq),) if settled.seq else ()
        return self._finding(episode, settled.at_ns, context=refs)

    def _closing(self, episode: Episode) -> Finding:
        return self._finding(episode, self._episodes.deadline_ns(episode), closed=True)

    def _finding(
        self,
        episode: Episode,
        at_ns: int,
        *,
        refs: tuple[Ref, ...] = (),
        context: tuple[Ref, ...] = (),
        closed: bool = False,
    ) -> Finding:
        return finding(
            self.spec,
            self._params,
            self._instruments,
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
            **self._arrivals.snapshot(),
            **self._overtaking.snapshot(),
            **self._passed.snapshot(),
            **self._harm.snapshot(),
            **self._days.snapshot(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._arrivals.restore(snapshot)
        self._overtaking.restore(snapshot)
        self._episodes.restore(snapshot)
        self._passed.restore(snapshot)
        self._harm.restore(snapshot)
        self._days.restore(snapshot)


def _first_accounts(fact: Displacement) -> tuple[int, int]:
    return fact.group_account, fact.dues[0].account
