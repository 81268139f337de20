"""An episode of client_priority: what it counts of each incident, and the finding it makes."""

from __future__ import annotations

from typing import Final

from detectors.base import Evidence, Feature, Finding, Ref, Spec, rounded
from detectors.displacement import (
    AFFILIATE_UNKNOWN,
    CLIENT_UNKNOWN,
    CLOSE,
    OFTEN,
    PROVED,
    TIMING,
    UNORDERED,
    Displacement,
)
from detectors.episodes import Episode, accounts_in, meet
from detectors.overtaken import chance_of_hits
from detectors.priority_params import ClientPriorityParams
from detectors.statistics import spent
from detectors.trades import quantity, shown
from ingest.instruments import Instruments

CONDITIONS: Final = {
    CLIENT_UNKNOWN: "breach if client",
    AFFILIATE_UNKNOWN: "breach if affiliate",
    TIMING: "breach if the clocks are right",
    CLOSE: (
        "breach if the clocks are right within the gap: no more than twice their uncertainty, and "
        "others' instructions that came so close are matched in order, as far as was seen"
    ),
    UNORDERED: (
        "breach if the engine is bound to the order of arrival: it matches others' instructions "
        "that came so close after each other either way"
    ),
    OFTEN: (
        "breach by its rate: the engine matches others' instructions that came so close after each "
        "other either way, and the group's before clients' more often than others'"
    ),
}
COUNTERFACTUAL: Final = (
    "the client filled at the group's price when the group was, all else unchanged; what stayed "
    "unfilled marked to mid when the client cancelled or moved it, or after the horizon"
)
MAX_ACCOUNTS: Final = 17
_RATE: Final = ("exposed", "exposed_all", "overtaken", "overtaken_by_others")


def count(sums: dict[str, int], fact: Displacement) -> None:
    """Add an incident to an episode's sums."""
    for name, amount in fact.counts.items():
        sums[name] = sums.get(name, 0) + amount
    for name in ("role", "gap_ns", "held_ns"):
        sums[name] = max(sums.get(name, 0), getattr(fact, name))
    for name, amount in zip(_RATE, fact.overtaken, strict=True):
        sums[name] = max(sums.get(name, 0), amount)
    sums["displaced"] = sums.get("displaced", 0) + fact.lots
    sums["worse"] = sums.get("worse", 0) + fact.worse
    sums["measured"] = sums.get("measured", 0) + (fact.worse > 0)
    meet(sums, (fact.group_account, *(due.account for due in fact.dues)), MAX_ACCOUNTS)


def finding(
    spec: Spec,
    params: ClientPriorityParams,
    instruments: Instruments,
    episode: Episode,
    at_ns: int,
    *,
    refs: tuple[Ref, ...],
    context: tuple[Ref, ...],
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    code, _, condition, _ = episode.key
    sums = episode.sums
    incidents = sums["older"] + sums["younger"] + sums["arrival_inversions"]
    evidence: Evidence = "weak"
    if condition in {PROVED, CLOSE, TIMING, OFTEN}:
        evidence = "proved" if condition == PROVED else "supported"
    jumps = sums["older"] + sums["class_time"]
    facets = [name for name, n in (
        ("queue_jump", jumps), ("arrival_inversion", sums["arrival_inversions"]),
        ("trading_ahead", sums["held_ns"]),
    ) if n]  # fmt: skip
    features = {
        name: Feature(sums[name], "count") for name in ("older", "younger", "arrival_inversions")
    }
    features["incidents"] = Feature(incidents, "count", 0)
    features["displaced"] = quantity(instruments, code, sums["displaced"])
    features["unmeasured"] = quantity(instruments, code, sums.get("unmeasured", 0))
    features["exempt_hidden"] = Feature(
        sums["exempt_hidden"], "orders", "venue rule: hidden quantity has no priority"
    )
    features["exempt_stp"] = Feature(
        sums["exempt_stp"], "orders", "venue rule: self-trade prevention"
    )
    if sums["arrival_inversions"]:
        features["largest_gap"] = Feature(sums["gap_ns"], "ns", params.clock_uncertainty_ns)
        if sums["held_ns"]:
            features["longest_hold"] = Feature(sums["held_ns"], "ns")
    if condition == OFTEN:
        features |= _rate(params, *(sums[name] for name in _RATE))
    if condition != PROVED:
        features["condition"] = Feature(CONDITIONS[condition], "text")
    harm = sums.get("harm", 0) + sums["worse"]
    base_score = {"proved": 0.6, "supported": 0.3, "weak": 0.1}[evidence]
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="client_priority",
        facets=tuple(facets),
        evidence_class="breach",
        evidence=evidence,
        instrument=code,
        first_seq=episode.first_seq,
        first_accounts=episode.first_accounts,
        revision=episode.facts,
        accounts=tuple(accounts_in(sums)),
        window_start_ns=episode.first_ns,
        window_end_ns=episode.last_ns,
        detected_ns=at_ns,
        evidence_refs=refs,
        context_refs=context,
        features=features,
        score=rounded(base_score + 0.4 * incidents / (incidents + 4)),
        systematic=evidence == "proved" and incidents >= params.systematic_incidents,
        all_legs=condition in {PROVED, CLOSE},
        significant=condition == OFTEN,
        client_harm=(shown(instruments.money(code, harm) / 2) if sums.get("measured") else None),
        counterfactual=COUNTERFACTUAL,
        notify_clock="immediate" if evidence == "proved" else "none",
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )


def _rate(
    params: ClientPriorityParams, exposed: int, exposed_all: int, hits: int, others_hits: int
) -> dict[str, Feature]:
    """Return what the rate of inversions says, where the venue keeps no order."""
    share = exposed / max(exposed_all, 1)
    chance = chance_of_hits(exposed, exposed_all, hits, others_hits)
    expected = rounded(share * (hits + others_hits))
    return {
        "overtaken": Feature(hits, "count", expected),
        "overtaken_by_others": Feature(others_hits, "count"),
        "share_of_takes": Feature(rounded(share), "ratio"),
        "rate_p": Feature(rounded(chance), "p", rounded(spent(params.unordered_level, hits))),
    }
