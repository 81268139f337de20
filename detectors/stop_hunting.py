"""stop_hunting: the last price is driven through clients' stops, to trade with what triggers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from detectors.base import Detector, Finding, Params, Spec
from detectors.hunt_chance import Chance, chance_of
from detectors.hunt_findings import legs_of, of_run, of_tally, people_of
from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import GROUP, MAX_ACCOUNTS, MAX_REFS, Day, HuntRates, Tally
from detectors.hunt_runs import Run, Runs
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.state import Snapshot

SECOND: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND


class StopHunting(Detector):
    """Runs of clients' stops by the group's own pushes, and by pushes that the group knew of.

    State: about 45 kB an instrument of recent orders, stops, open runs and the group's
    resting orders; one tally for each
    account that ran a cluster of stops in an instrument that day.

    Examples
    --------
    >>> from detectors.examples import example_instruments
    >>> from detectors.hunt_example import hunted
    >>> instruments = example_instruments()
    >>> detector = StopHunting(StopHuntingParams(), instruments)
    >>> hit, = detector.step(hunted(instruments))
    >>> hit.scenario, hit.evidence, hit.all_legs, hit.features["stops"].value
    ('stop_hunting', 'supported', True, 2)

    The same orders, but another is there for what triggers:

    >>> StopHunting(StopHuntingParams(), instruments).step(hunted(instruments, caught=False))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="stop_hunting",
        version=1,
        title="Stop hunting",
        scope="instrument",
        evidence_class="indicator",
        scenarios=("stop_hunting",),
        looks_for=(
            "A push by the group (affiliated_mm, affiliated, house, staff and whoever shares an "
            "owner or a link, net over their accounts; one order or several, with pauses of up to "
            "pause_s, within push_s) moves the last price through a cluster of clients' stops; "
            "orders of the group trade with what triggers; the touch gives back the greater part "
            "of the push within horizon_s. A stop belongs to whoever gained most ticks on its "
            "side up to its trigger; what the fills of a stop trigger belongs to the same run. A "
            "case is whole when there are min_stops or more, the push was the group's own and "
            "net, the price reverted, and an order that caught was entered for it: within "
            "prepared_s before the push, or during it, never moved, and the group had more orders "
            "on that side than it has by habit. Caught by standing quotes alone it is "
            "weak; the share of such runs in the group's others is tested against that of clients' "
            "runs in the instrument and UTC day. Runs by an account registered "
            "as a client, for which the group had prepared and of which it caught the greater "
            "part, are counted an account, instrument and day against those of all other clients: "
            "one alert once their rate passes, none for a single one."
        ),
        legal_basis=(
            (
                "VATP Guidelines 8.1, 8.2, 14.5: controls against manipulation, notice, guard "
                "against falsification [V]"
            ),
            "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
            (
                "SFC circular 26EC6 para 7: the affiliated market maker has no advantage over "
                "clients [S]"
            ),
            (
                "SFO s.274/295, securities and futures only: transactions that create an "
                "artificial price [S]"
            ),
        ),
        look_alikes=(
            "news or an outside move triggers stops, with no push by the group",
            "a maker's standing quotes are what a triggered stop hits",
            "a large client order runs the stops",
            "hedging burst that triggers stops and trades with none of them",
            "price that does not come back",
            "one stop in the way of an order",
            "group's fills against stops that an external maker's hedge ran",
            "auction or halt",
        ),
        blind_spots=(
            "a single hunt by a nominee registered as a client",
            "a push that lasts longer than push_s, or pauses longer than pause_s",
            "catching by a nominee's orders, the group only pushing",
            "liquidations: the feed has no mark for them",
            "a push made in another instrument or venue",
        ),
        runbook=(
            (
                "List the orders of order_ids from 20 s before window_start_ns by engine_ns: which "
                "of the group's orders were entered before the push, and cancelled unfilled after "
                "window_end_ns?"
            ),
            (
                "Read `features.push_quantity`, `features.caught` and `features.prepared` of the "
                "episode: what did the push cost, and what did the catch bring at the mid of "
                "detected_ns?"
            ),
            (
                "Look for a reason of the push: fills of the group's accounts (buy_account, "
                "sell_account) in all instruments of the underlying in the 60 s before "
                "window_start_ns, and the outside price over the same time."
            ),
            (
                "Who could see stop_price of waiting orders? Compare user and session of the "
                "pushing orders with the access list of the hour of window_start_ns."
            ),
            (
                "Compare `features.runs_caught_share` with its baseline over the day; for an "
                "initiator registered as a client look up owner and linked_to in accounts.csv."
            ),
        ),
        needs=(
            "account",
            "side",
            "type",
            "stop_price",
            "price",
            "quantity",
            "order_id",
            "engine_ns",
        ),
        wants=("owner", "linked_to", "leaves"),
    )
    Params: ClassVar[type[Params]] = StopHuntingParams
    layout: ClassVar[Layout] = {**Runs.layout, **HuntRates.layout}

    def __init__(self, params: StopHuntingParams, instruments: Instruments) -> None:
        self._params = params
        self._instruments = instruments
        self._horizon_ns = int(params.horizon_s * SECOND)
        self._lead_ns = int(params.prepared_s * SECOND)
        self._runs = Runs(
            len(instruments),
            int(params.pause_s * SECOND),
            int(params.push_s * SECOND),
            self._lead_ns,
            self._horizon_ns,
        )
        self._rates = HuntRates()

    @property
    def overflow(self) -> int:
        """Legs, stops and runs not kept because a bound was reached."""
        return self._runs.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return runs whose horizon has passed, and days' ends."""
        findings: list[Finding] = []
        for run in self._runs.scan(batch):
            findings.extend(self._judge(run))
        codes, clock = batch["instrument"], batch["clock_ns"]
        for end in batch.ends.tolist():
            findings.extend(self._until(int(codes[end]), int(clock[end]) // DAY_NS))
        return findings

    def _until(self, code: int, day: int) -> Iterator[Finding]:
        """Close an instrument's day when another has begun."""
        open_ = self._rates.of(code)
        if open_ is None or open_.day >= day:
            return
        for tally in self._rates.close(code).tallies.values():
            if tally.told:
                yield of_tally(
                    self.spec,
                    self._params,
                    self._instruments,
                    code,
                    tally,
                    (open_.day + 1) * DAY_NS,
                    closed=True,
                )

    def _judge(self, run: Run) -> Iterator[Finding]:
        """Count a run, and yield what is to be said of it."""
        deadline_ns = run.last_ns + self._horizon_ns
        day = deadline_ns // DAY_NS
        yield from self._until(run.instrument, day)
        params, lead_ns = self._params, self._lead_ns
        if run.cluster(lead_ns) < params.min_stops or not run.push_ticks:
            return
        if run.own_share < params.own_push_ratio or 2 * run.against > run.lots:
            return
        open_ = self._rates.of(run.instrument) or self._rates.open(run.instrument, day)
        chance = chance_of(run, open_, params, lead_ns)
        tally = open_.tally(GROUP if run.group else run.account)
        tally.client = run.client and not run.group
        tally.ran(run.lots, caught=run.caught > 0, fresh=bool(run.fresh(lead_ns)))
        if run.group:
            yield from self._by_group(run, open_, tally, chance, deadline_ns)
        else:
            yield from self._by_other(run, open_, tally, chance, deadline_ns)

    def _by_group(
        self, run: Run, day: Day, tally: Tally, chance: Chance, deadline_ns: int
    ) -> Iterator[Finding]:
        """Yield a run of which the group took the other side: a case, one of many, or weak."""
        params = self._params
        reverted = run.reverted >= params.reverted_ratio
        whole = reverted and run.added > 0 and chance.joint <= params.case_chance
        tally.add(chance.joint if reverted else 1.0, params.worth_chance, params.alpha)
        tally.cases += whole
        if not whole:
            tally.hits += run.caught > 0
            tally.look(day.others(GROUP), params.alpha)
        if not run.caught:
            return
        often = tally.passed and tally.hits >= params.pattern_runs
        together = tally.systematic and chance.joint <= params.worth_chance
        yield of_run(
            self.spec,
            params,
            self._instruments,
            run,
            tally,
            chance,
            whole=whole,
            significant=reverted and (often or together) and not whole,
            detected_ns=deadline_ns,
        )

    def _by_other(
        self, run: Run, day: Day, tally: Tally, chance: Chance, deadline_ns: int
    ) -> Iterator[Finding]:
        """Yield a client's run that the group was there for: a case, or a rate that passed."""
        params = self._params
        prepared = run.prepared(self._lead_ns)
        if run.reverted < params.reverted_ratio or not prepared:
            return
        if run.client and run.added > 0 and chance.joint <= params.client_chance:
            yield of_run(
                self.spec,
                params,
                self._instruments,
                run,
                tally,
                chance,
                whole=True,
                significant=False,
                detected_ns=deadline_ns,
            )
            return
        if not run.added or 2 * prepared < run.filled:
            return
        _remember(tally, run)
        tally.look(day.others(tally.party), params.alpha)
        if tally.passed and tally.hits >= params.pattern_runs:
            yield of_tally(self.spec, params, self._instruments, run.instrument, tally, deadline_ns)

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {**self._runs.snapshot(), **self._rates.snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._runs.restore(snapshot)
        self._rates.restore(snapshot)


def _remember(tally: Tally, run: Run) -> None:
    """Add a run that the group had prepared for to what an alert on its initiator tells."""
    if not tally.hits:
        tally.first_seq, tally.first_ns = run.first_seq, run.from_ns
    tally.hits += 1
    tally.last_ns = max(tally.last_ns, run.last_ns)
    tally.harm += run.harm
    tally.lots += run.caught
    tally.incomplete |= run.incomplete
    tally.measured &= run.touch is not None
    tally.refs = [*tally.refs, *legs_of(run)][:MAX_REFS]
    people = dict.fromkeys([*tally.accounts, *people_of(run)])
    tally.accounts = list(people)[:MAX_ACCOUNTS]
