"""stop_hunting: the last price is driven through clients' stops, to trade with what triggers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from detectors.base import Detector, Finding, Params, Spec
from detectors.hunt_chance import chance_of
from detectors.hunt_findings import legs_of, limit_of, movers_of, of_run, of_tally, people_of
from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import GROUP, Day, HuntRates, Tally
from detectors.hunt_runs import Run, Runs
from detectors.hunt_sign import grade_of, measures_of
from detectors.hunt_together import strange_of
from ingest.events import Batch
from ingest.instruments import Instruments
from ingest.sections import Layout
from ingest.signs import MOST_SEQS, Sign
from ingest.state import Snapshot
from ingest.times import DAY, SECOND


class StopHunting(Detector):
    """Runs of clients' stops by the group's own pushes, and by pushes that the group knew of.

    State: about 55 kB an instrument of recent orders, stops, open runs, and the group's trades and
    resting orders; one tally for each account that ran a cluster of stops in it that day.

    Examples
    --------
    >>> from detectors.examples import example_instruments
    >>> from detectors.hunt_example import hunted
    >>> instruments = example_instruments()
    >>> params = StopHuntingParams(case_chance=0.003)  # the rows are few: nothing is rare yet
    >>> detector = StopHunting(params, instruments)
    >>> hit, = detector.step(hunted(instruments))
    >>> hit.scenario, hit.evidence, hit.all_legs, hit.features["stops"].value
    ('stop_hunting', 'supported', True, 2)

    The same orders, but another is there for what triggers:

    >>> StopHunting(params, instruments).step(hunted(instruments, caught=False))
    []
    """

    spec: ClassVar[Spec] = Spec(
        id="stop_hunting",
        version=13,
        title="Stop hunting",
        scope="instrument",
        evidence_class="indicator",
        scenarios=("stop_hunting",),
        looks_for=(
            "A push by the group (affiliated_mm, affiliated, house, staff and whoever shares an "
            "owner or a link, net over their accounts; one order or several, with pauses of up to "
            "pause_s, within push_s) moves the last price through a cluster of clients' stops; "
            "orders of the group trade with what triggers; the touch gives back some of the move "
            "within horizon_s. A stop belongs to whoever gained most ticks on its side up to its "
            "trigger; what the fills of a stop trigger belongs to the same run. A run is of "
            "min_stops or more, by the push and by others since the group prepared; the push is "
            "the group's own and net; where another finishes it, the run is the other's, and that "
            "the group pushed beside is a leg of it. What is judged is how often all would be met "
            "without a hunt: that the group had so many orders added, within prepared_s, on the "
            "side that the stops were to meet, beyond its habit and what it added on the other, "
            "or has them there alone, having withdrawn all others, or left few there, having "
            "withdrawn the rest of that side alone; an order of the maker's that has more binary "
            "digits than all but one in fifty of its own, or rests so much farther behind the "
            "touch (three times at least, and on one side alone), counts as as many as it is such "
            "ones (against the moments at which anybody's order came, and, of an order that is "
            "large, far or left alone, at which the group took); that it takes as much of what "
            "triggers, when it takes any; with none added and no turn, that it takes any, and by "
            "an order just entered (who has an order there catches: one fact, counted once); "
            "that, after a push of its own beyond the touch, it turns on it: takes half of what "
            "it caught or more by orders that come, within push_s, for stop-limits that rest; "
            "that it pushes beside (against others' runs of the instrument and UTC day). The "
            "chance that all are as rare is exact, over all that might be seen; up to case_chance "
            "(over the group's runs of the day, unless all together are as rare as "
            "agreeing_chance; more for the first few of a day, few_chance, where the price comes "
            "back and most of the push is beyond what the group had to hedge within hedge_s), "
            "with orders added or a turn, and worth_ratio of the push caught, a run is a case; a "
            "price that comes back by less than reverted_ratio weakens it in proportion, down to "
            "lasting_weight, and leaves a leg out. Strange runs that are no case by themselves "
            "are told together, one alert a party, instrument and day, once all its runs have "
            "passed: of the group's and of others', for whom it may have pushed, those that are "
            "so strange among all their runs that at one look own_false_share and false_share of "
            "them are chance, also those that caught less than worth_ratio of the push or with "
            "none added and no turn, once pattern_runs of the group's are strange. Caught by "
            "standing quotes alone a run is weak; the share of such runs in the group's others is "
            "tested against that of others' runs; those worth the push are told once it passes. A "
            "run by an account registered as a client is judged likewise, also by its size "
            "against other clients' pushes, up to client_chance, where min_stops or more are its "
            "own; so is one by an external maker that the group pushed beside."
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
            "one stop in the way of another's order, after others had triggered theirs",
            "large push that catches next to nothing",
            "group's fills against stops that an external maker's hedge ran",
            "quotes withdrawn, and entered again on both sides, or on one where the other was hit",
            "quotes of one side taken away by a rule of the venue",
            "a desk that thins out one side whenever it hedges",
            "what rests of stops and is taken later, or by others, or beside more that was met",
            "a client's run that meets an order which the group happened to enter just before",
            "auction or halt",
        ),
        blind_spots=(
            "a single hunt by a nominee whose push is not larger than almost all other clients'",
            "hunts in the first quarter of an hour of a feed: what is seldom added is not known",
            (
                "a single hunt that only turns on what it triggered, where others ran few clusters "
                "and the group had as much to hedge"
            ),
            "orders that wait in place of quotes that were away, no farther behind the touch",
            "quotes that the kill switch or another rule of the venue took away before a hunt",
            "a large order that waits where the maker entered many as large, and withdrew them",
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
                "Read `features.push_quantity`, `features.caught`, `features.orders_added` and "
                "`features.chance` of the episode: what did the push cost, and what did the catch "
                "bring at the mid of detected_ns?"
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
                "Compare `features.runs_caught_share` and `features.chance_together` with their "
                "baselines over the day; for an "
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
        wants=("owner", "linked_to", "leaves", "reason"),
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
            (
                int(params.pause_s * SECOND),
                int(params.push_s * SECOND),
                self._lead_ns,
                self._horizon_ns,
            ),
            params.min_stops,
            int(params.hedge_s * SECOND),
        )
        self._rates = HuntRates()
        self._signs: list[Sign] = []

    @property
    def overflow(self) -> int:
        """Legs, stops and runs not kept because a bound was reached."""
        return self._runs.overflow + self._rates.overflow

    def step(self, batch: Batch) -> Sequence[Finding]:
        """Take the next enriched batch; return runs whose horizon has passed, and days' ends."""
        findings: list[Finding] = []
        for code, last_ns, run in self._runs.scan(batch):
            findings.extend(self._until(code, (last_ns + self._horizon_ns) // DAY))
            if run is not None:
                findings.extend(self._judge(run))
        codes, clock = batch["instrument"], batch["clock_ns"]
        for end in batch.ends.tolist():
            findings.extend(self._until(int(codes[end]), int(clock[end]) // DAY))
        return findings

    def _until(self, code: int, day: int) -> Iterator[Finding]:
        """Close an instrument's day when another has begun."""
        open_ = self._rates.of(code)
        if open_ is None or open_.day >= day:
            return
        end_ns = (open_.day + 1) * DAY
        day_closed = self._rates.close(code)
        for tally in day_closed.tallies.values():
            if tally.told:
                yield self._told(day_closed, tally, end_ns, closed=True)

    def _judge(self, run: Run) -> Iterator[Finding]:
        """Count a run, and yield what is to be said of it."""
        deadline_ns = run.last_ns + self._horizon_ns
        day = deadline_ns // DAY
        params, lead_ns = self._params, self._lead_ns
        if run.cluster(lead_ns) < params.min_stops or not run.move:
            return
        if run.own_share < params.own_push_ratio or 2 * run.against > run.lots:
            return
        open_ = self._rates.of(run.instrument) or self._rates.open(run.instrument, day)
        chance = chance_of(run, open_, params, lead_ns)
        tally = open_.tally(GROUP if run.group else run.account)
        tally.client = run.client and not run.group
        share = run.caught / run.filled if run.filled else 0.0
        tally.ran(
            run.lots,
            share,
            fresh=bool(run.fresh(lead_ns)),
            turned=run.turned,
            beside=run.beside > 0,
        )
        least = params.pattern_runs if run.group else 1
        tally.add(chance.joint, params.strange_chance, least)
        # Stops that others triggered shortly before are no run of a third party's.
        runs = len(run.stops) >= params.min_stops and (run.client or run.beside > 0)
        strange = (run.group or runs) and chance.case <= limit_of(run, tally, params)
        open_.family(group=run.group).count(chance.joint, self._share(group=run.group))
        often = run.group and self._often(run, open_, tally, case=strange)
        if strange or (run.group and run.caught):
            yield of_run(
                self.spec,
                params,
                self._instruments,
                run,
                tally,
                chance,
                level=self._level(open_, tally),
                strange=strange,
                often=often,
                detected_ns=deadline_ns,
            )
        if not strange:
            yield from self._with_others(run, open_, tally, chance.joint, deadline_ns)
        yield from self._together(open_, deadline_ns)
        if run.group:
            self._signs.append(self._sign(run, tally, chance.joint, told=strange))

    def signs(self) -> Sequence[Sign]:
        """Return what the group's latest runs make of those of the day, told or not."""
        signs, self._signs = self._signs, []
        return signs

    def _sign(self, run: Run, tally: Tally, chance: float, *, told: bool) -> Sign:
        return Sign(
            detector=self.spec.id,
            scenario=self.spec.scenarios[0],
            instrument=self._instruments[run.instrument].instrument,
            clock_ns=run.known_ns,
            measures=measures_of(run, tally, self._params),
            grade=grade_of(run, chance, self._params),
            told=told or tally.told > 0,
            incomplete=run.incomplete,
            begin_ns=run.from_ns,
            end_ns=run.last_ns,
            accounts=tuple(movers_of(run)),
            seqs=tuple(legs_of(run)[:MOST_SEQS]),
        )

    def _with_others(
        self, run: Run, day: Day, tally: Tally, chance: float, now_ns: int
    ) -> Iterator[Finding]:
        """Keep a run that is no case, or tell it with others of the same account."""
        params, told, share = self._params, False, self._share(group=run.group)
        if chance > max(share, params.strange_chance):
            return
        kept = strange_of(run, chance, legs_of(run), movers_of(run), people_of(run))
        if not run.group and chance <= params.strange_chance:
            tally.remember(kept)
            if tally.systematic(self._level(day, tally)):
                told = True
                yield self._told(day, tally, now_ns)
        if not told and chance <= share:
            self._rates.wait(day, kept)

    def _share(self, *, group: bool) -> float:
        """Return the share of chance among the group's, or others', runs told together."""
        return self._params.own_false_share if group else self._params.false_share

    def _level(self, day: Day, tally: Tally) -> float:
        """Return up to which chance a party's runs together are told, over all looks.

        That of an account is higher once the group has been shown to hunt: only who pushes for it
        is then to be told.
        """
        params, group = self._params, day.tallies.get(GROUP)
        if tally.party == GROUP:
            return params.together_alpha
        hunts = group is not None and group.systematic(params.together_alpha)
        return params.alpha if hunts else params.client_chance

    def _told(self, day: Day, tally: Tally, now_ns: int, *, closed: bool = False) -> Finding:
        level = self._level(day, tally)
        return of_tally(
            self.spec, self._instruments, day.instrument, tally, now_ns, level=level, closed=closed
        )

    def _together(self, day: Day, now_ns: int) -> Iterator[Finding]:
        """Tell the strange runs that wait, once all of the group have passed and some are.

        Those of an account that pass by themselves now are its own alert. As many findings as it
        takes to cite the others: nothing is due any more when a day closes.
        """
        group = day.tallies.get(GROUP)
        if group is None or not group.systematic(self._params.together_alpha):
            return
        for tally in day.rest(GROUP):
            if tally.kept and not tally.told and tally.systematic(self._params.alpha):
                yield self._told(day, tally, now_ns)
        while told := day.due(self._share(group=True), self._share(group=False)):
            for run in told:
                group.remember(run)
            yield self._told(day, group, now_ns)

    def _often(self, run: Run, day: Day, tally: Tally, *, case: bool) -> bool:
        """Return whether a run by the group is one of those that it catches from too often."""
        tally.cases += case
        if case:
            return False
        tally.hits += run.caught > 0
        tally.look(day.others(GROUP), self._params.alpha)
        enough = tally.passed and tally.hits >= self._params.pattern_runs
        worth = run.caught >= self._params.worth_ratio * run.pushed
        return enough and worth and run.reverted >= self._params.reverted_ratio

    def snapshot(self) -> Snapshot:
        """Return all state as arrays."""
        return {**self._runs.snapshot(), **self._rates.snapshot()}

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; raises SnapshotError when it is of another instruments table."""
        self._runs.restore(snapshot)
        self._rates.restore(snapshot)
