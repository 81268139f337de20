"""stop_hunting: the last price is driven through clients' stops, to trade with what triggers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from detectors.base import Detector, Finding, Params, Spec
from detectors.hunt_findings import legs_of, of_run, of_tally, people_of
from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import GROUP, MAX_ACCOUNTS, MAX_REFS, HuntRates, Tally
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
        params = self._params
        if len(run.stops) < params.min_stops or not run.push_ticks:
            return
        if run.own_share < params.own_push_ratio or 2 * run.against > run.lots:
            return
        open_ = self._rates.of(run.instrument) or self._rates.open(run.instrument, day)
        tally = open_.tally(GROUP if run.group else run.account)
        tally.runs += 1
        tally.caught += run.caught > 0
        reverted = run.reverted >= params.reverted_ratio
        prepared = run.prepared(self._lead_ns)
        if run.group:
            whole = reverted and prepared > 0
            if whole:
                tally.runs -= 1  # a case of its own: the rate is of the others
            else:
                tally.hits += run.caught > 0
                tally.look(open_.others(GROUP), params.alpha)
            if run.caught:
                enough = tally.passed and tally.hits >= params.pattern_runs
                yield of_run(
                    self.spec,
                    params,
                    self._instruments,
                    run,
                    tally,
                    whole=whole,
                    significant=reverted and enough and not whole,
                    detected_ns=deadline_ns,
                )
            return
        if not reverted or 2 * prepared < run.filled or not prepared:
            return
        _remember(tally, run)
        tally.look(open_.others(tally.party), params.alpha)
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
