"""What stop_hunting says: of one run by the group, and of one client's runs of a day."""

from __future__ import annotations

from typing import Final

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.hunt_chance import Chance
from detectors.hunt_params import StopHuntingParams
from detectors.hunt_rates import Tally
from detectors.hunt_runs import Run
from detectors.hunt_together import MAX_ACCOUNTS
from detectors.statistics import spent
from detectors.trades import quantity, shown
from ingest.instruments import Instruments
from ingest.times import SECOND

COUNTERFACTUAL: Final = (
    "the stops were not run, and what they traded went at the mid before the push's first order; "
    "of each stop only a loss counts"
)
PATTERN_COUNTERFACTUAL: Final = COUNTERFACTUAL + "; summed over the runs of the pattern"


def legs_of(run: Run) -> list[int]:
    """Return the seqs that a run is cited by.

    The pushing orders and the last trade of each; the stops that the group caught, as entered and
    as triggered; its orders that caught, and their trades.
    """
    seqs = {push.seq for push in run.pushes} | {push.last_trade_seq for push in run.pushes}
    for stop in run.stops:
        if stop.caught:
            seqs |= {stop.trigger_seq, stop.entry_seq}
    for catch in (*run.catches, *run.takes):
        seqs |= {catch.trade_seq, catch.order_seq}
    return sorted(seqs - {0})


def others_met(run: Run) -> list[int]:
    """Return the seqs of the stops that ran and that others met: kept as evidence, not named."""
    seqs = {s for stop in run.stops if not stop.caught for s in (stop.trigger_seq, stop.entry_seq)}
    return sorted(seqs - {0, *legs_of(run)})


def movers_of(run: Run) -> list[int]:
    """Return the accounts that pushed and that caught, in that order."""
    pushed = [push.account for push in run.pushes]
    caught = [catch.account for catch in (*run.catches, *run.takes)]
    accounts = dict.fromkeys([run.account, *pushed, *caught])
    return [account for account in accounts if account >= 0]


def people_of(run: Run) -> list[int]:
    """Return the accounts of a run: who pushed, who caught, whose stops; in that order."""
    accounts = dict.fromkeys([*movers_of(run), *(stop.account for stop in run.stops)])
    return [account for account in accounts if account >= 0][:MAX_ACCOUNTS]


def limit_of(run: Run, tally: Tally, params: StopHuntingParams) -> float:
    """Return the chance up to which a run is a case by itself."""
    if run.group:
        called_for = run.hedges or run.reverted < params.reverted_ratio
        of_few = 0.0 if called_for else params.few_chance
        return tally.limit(params.case_chance, params.agreeing_chance, of_few)
    return params.client_chance


def of_run(  # noqa: PLR0917 - what a finding is made of
    spec: Spec,
    params: StopHuntingParams,
    instruments: Instruments,
    run: Run,
    tally: Tally,
    chance: Chance,
    *,
    level: float,
    strange: bool,
    often: bool,
    detected_ns: int,
) -> Finding:
    """Return the finding on one run: by the group, by a client, or beside which the group pushed.

    Parameters
    ----------
    tally : Tally
        The group's runs of the day so far, this one counted.
    level : float
        Up to which chance its runs together are told, over all looks.
    strange : bool
        Whether the legs that were seen are so rare together that the run is a case. All legs are
        there when the price came back too.
    often : bool
        Whether the rate of such runs passed its test, and this run is one.
    """
    whole = strange and run.reverted >= params.reverted_ratio
    significant = often or (strange and not whole)
    code, accounts = run.instrument, people_of(run)
    lead_ns = int(params.prepared_s * SECOND)
    limit = limit_of(run, tally, params)
    share = run.caught / run.filled if run.filled else 0.0
    measured = run.touch is not None and run.filled > 0
    others = tally.others_hits / tally.others if tally.others else 0.0
    last_ns = max([run.last_ns, *(catch.at_ns for catch in (*run.catches, *run.takes))])
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="stop_hunting",
        evidence_class="indicator",
        evidence="supported" if strange or often else "weak",
        instrument=code,
        first_seq=run.first_seq,
        first_accounts=(run.account,),
        revision=1,
        accounts=tuple(accounts),
        window_start_ns=run.from_ns,
        window_end_ns=last_ns,
        detected_ns=detected_ns,
        evidence_refs=tuple(Ref(code, seq) for seq in legs_of(run)),
        context_refs=tuple(Ref(code, seq) for seq in others_met(run)),
        features={
            "stops": Feature(len(run.stops), "count", params.min_stops),
            "cluster": Feature(run.cluster(lead_ns), "count", params.min_stops),
            "clients": Feature(run.clients, "count"),
            "triggered": quantity(instruments, code, run.due),
            "filled": quantity(instruments, code, run.filled),
            "caught": quantity(instruments, code, run.caught),
            "caught_share": Feature(rounded(share), "ratio"),
            "worth": Feature(rounded(run.caught / max(1, run.pushed)), "ratio", params.worth_ratio),
            "prepared": quantity(instruments, code, run.prepared(lead_ns)),
            "orders_added": Feature(run.added, "count"),
            "chance_added": Feature(rounded(chance.added), "probability"),
            "chance_caught": Feature(rounded(chance.caught), "probability"),
            "chance_fresh": Feature(rounded(chance.fresh), "probability"),
            "taken": quantity(instruments, code, run.taken),
            "chance_turned": Feature(rounded(chance.turned), "probability"),
            "chance_size": Feature(rounded(chance.size), "probability"),
            "chance_beside": Feature(rounded(chance.beside), "probability"),
            "chance": Feature(rounded(chance.case), "probability", limit),
            "push": Feature(run.push_ticks, "ticks"),
            "push_quantity": quantity(instruments, code, run.lots),
            "push_orders": Feature(run.orders, "count"),
            "beyond_hedge": quantity(instruments, code, run.beyond),
            "push_against": quantity(instruments, code, run.against),
            "pushed_beside": quantity(instruments, code, run.beside),
            "push_share": Feature(rounded(run.own_share), "ratio", params.own_push_ratio),
            "reverted": Feature(rounded(run.reverted), "ratio", params.reverted_ratio),
            "runs": Feature(tally.runs, "count"),
            "runs_caught_share": Feature(
                rounded(tally.hits / max(1, tally.runs - tally.cases)), "ratio", rounded(others)
            ),
            "chance_together": Feature(
                rounded(tally.together),
                "probability",
                rounded(spent(level, max(1, tally.looks))),
            ),
            "p": Feature(rounded(tally.p), "probability", rounded(tally.threshold(params.alpha))),
            "outside_cause": Feature("not excluded", "text"),
        },
        score=rounded((0.4 if strange else 0.1) + 0.3 * share + 0.2 * significant),
        all_legs=whole,
        significant=significant,
        client_harm=shown(instruments.money(code, run.harm) / 2) if measured else None,
        counterfactual=COUNTERFACTUAL if measured else "",
        coverage="incomplete" if run.incomplete else "complete",
        status="provisional" if run.incomplete else "confirmed",
    )


def of_tally(
    spec: Spec,
    instruments: Instruments,
    code: int,
    tally: Tally,
    detected_ns: int,
    *,
    level: float,
    closed: bool = False,
) -> Finding:
    """Return the finding on those runs of a party in a day that are strange, and no cases.

    `level`: up to which chance they are told, over all looks.
    """
    refs, tally.refs = tally.refs, []
    tally.told += 1
    by = "the group" if tally.party < 0 else "registered as a client" if tally.client else "a maker"
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="stop_hunting",
        evidence_class="indicator",
        evidence="supported",
        instrument=code,
        first_seq=tally.first_seq,
        first_accounts=(tally.first_account,),
        # A first strange run by the group has been told as weak: that alert becomes this one.
        revision=tally.told + tally.weak,
        accounts=tuple(tally.people),
        window_start_ns=tally.first_ns,
        window_end_ns=tally.last_ns,
        detected_ns=detected_ns,
        evidence_refs=tuple(Ref(code, seq) for seq in sorted(set(refs))),
        features={
            "runs": Feature(tally.runs, "count"),
            "runs_strange": Feature(tally.kept, "count"),
            "caught": quantity(instruments, code, tally.lots),
            "chance_together": Feature(
                rounded(tally.together), "probability", rounded(spent(level, tally.looks))
            ),
            "initiator": Feature(by, "text"),
        },
        score=rounded(0.4 + 0.5 * tally.kept / (tally.kept + 4)),
        significant=True,
        client_harm=shown(instruments.money(code, tally.harm) / 2) if tally.measured else None,
        counterfactual=PATTERN_COUNTERFACTUAL if tally.measured else "",
        coverage="incomplete" if tally.incomplete else "complete",
        status="confirmed" if closed and not tally.incomplete else "provisional",
    )
