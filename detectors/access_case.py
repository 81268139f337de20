"""A finding of unequal_access: what an episode of one way says, in figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from detectors.access_chance import LEAST_PEERS, SHARES, Verdict, day_tests, margin_of, quantiles
from detectors.access_params import UnequalAccessParams
from detectors.access_state import (
    AMENDED,
    ENTERED,
    F_BETTER,
    F_COUNT,
    F_DUE,
    F_FIRST_NS,
    F_GOT,
    F_LAST_NS,
    F_LEAST,
    F_PEERS,
    F_PROVED,
    F_SURE,
    F_TOLD,
    FEE,
    FILLED,
    PREVENTION,
    PROTECTION,
    RATE,
    TOLD_LATENCY,
    TOLD_LOTS,
    TOLD_MAKER,
    TOLD_PLACE,
    TOLD_RATE,
    TOLD_TAKER,
)
from detectors.access_waiting import Facts
from detectors.base import Evidence, EvidenceClass, Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode
from ingest.axes import Entries
from ingest.events import Array

WAYS: Final = (
    "fee", "protection", "rate", "queue, filled", "queue, entered", "queue, amended", "stp",
    "latency", "reject",
)  # fmt: skip
"""By their numbers in an episode's key; the first seven as in `access_state`."""
LATENCY, REJECT = 7, 8
TOLD_OF: Final[Mapping[int, tuple[int, ...]]] = {
    FEE: (TOLD_MAKER, TOLD_TAKER),
    PROTECTION: (TOLD_LOTS,),
    RATE: (TOLD_RATE,),
    FILLED: (TOLD_PLACE,),
    ENTERED: (TOLD_PLACE,),
    AMENDED: (TOLD_PLACE,),
    LATENCY: (TOLD_LATENCY,),
}
"""By way: the kinds of value that clients may be told of it."""
NO_TIER: Final = "the feed tells no fee tier: a volume discount may be the cause"
SHOWN: Final = {"fee": (1e-6, "bps"), "protection": (1.0, "lots")}
"""What a unit of a fact's least value is, and is called."""


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """What an open episode says, beside its sums."""

    code: int
    way: int
    accounts: tuple[int, ...]
    start_ns: int
    end_ns: int
    evidence_class: EvidenceClass
    evidence: Evidence
    significant: bool
    score: float
    features: Mapping[str, Feature]
    incomplete: bool = False
    """Whether orders or fills may be missing in what it rests on."""


def stronger(latest: Latest, before: Latest | None) -> Latest:
    """Return what is told of an episode after a test: by the clearest, up to the last."""
    if before is None:
        return latest
    new, old = (
        (one.evidence_class == "breach", one.evidence == "supported", one.score)
        for one in (latest, before)
    )
    if new >= old:
        return latest
    return msgspec.structs.replace(before, end_ns=latest.end_ns, incomplete=latest.incomplete)


def under(latest: Latest, code: int) -> Latest:
    """Return it under another instrument code."""
    return msgspec.structs.replace(latest, code=code)


LATEST: Final = Entries(kind=Latest, place=lambda latest: latest.code, moved=under)
"""Axis of a packed list of them."""


def said_of(verdict: Verdict, params: UnequalAccessParams) -> dict[str, Feature]:
    """Return what every test says: over how long, against whom, with what chance."""
    features = {
        "span": Feature(verdict.buckets * params.bucket_s, "s"),
        "chance": Feature(rounded(verdict.chance), "probability", rounded(verdict.allowed)),
        "chance_of_day": Feature(
            rounded(min(1.0, verdict.chance * day_tests(params))),
            "probability",
            params.daily_false_alarms,
        ),
        "external_makers": Feature(verdict.peers, "count"),
    }
    if not verdict.controlled:
        features["no_peer_control"] = Feature(verdict.peers, "external makers", 2)
    return features


def of_times(verdict: Verdict, times: Array, params: UnequalAccessParams) -> dict[str, Feature]:
    """Return what a test of gateway-to-engine times says; `times` are those of its window."""
    features = {
        "pairs": Feature(verdict.ours, "count"),
        "pairs_faster": Feature(verdict.hits, "count", verdict.others),
        "lead": Feature(rounded((verdict.hits - verdict.others) / verdict.ours), "ratio", 0.0),
    }
    for name, share in SHARES.items():
        found = quantiles(times, share)
        features[f"{name}_time"] = Feature(found["ours"], "ns", found["others"])
        features[f"{name}_difference"] = Feature(found["others"] - found["ours"], "ns", 0)
        features[f"{name}_difference_low"] = Feature(found["low"], "ns")
        features[f"{name}_difference_high"] = Feature(found["high"], "ns")
    features |= said_of(verdict, params)
    margin_ns, limit_ns = margin_of(times), params.clock_uncertainty_ns
    if margin_ns <= limit_ns:
        features["within_clock_uncertainty"] = Feature(margin_ns, "ns", limit_ns)
    return features


def of_refusals(verdict: Verdict, params: UnequalAccessParams) -> dict[str, Feature]:
    """Return what a test of refusals says."""
    theirs = verdict.other_hits / verdict.others
    return {
        "orders": Feature(verdict.ours, "count", verdict.others),
        "refused": Feature(verdict.hits, "count", verdict.other_hits),
        "refused_share": Feature(rounded(verdict.hits / verdict.ours), "ratio", rounded(theirs)),
        **said_of(verdict, params),
    }


def of_facts(way: int, sums: Mapping[str, int], quote: str) -> dict[str, Feature]:
    """Return what facts say: how many, the plainest, and money where it is of fees."""
    facts = sums["facts"]
    if way == PREVENTION:
        return {"quotes_left_standing": Feature(facts, "count", 0)}
    if way == RATE:
        return {
            "runs_beyond": Feature(facts, "count", 0),
            "instructions": Feature(sums["got"], "count", sums["due"]),
            "most_in_a_second": Feature(-sums["least"], "count", sums["told"]),
        }
    if way == FILLED:
        return {
            "fills_before_clients": Feature(facts, "count", 0),
            "lots_before_clients": Feature(sums["got"], "lots", 0),
        }
    if way in (ENTERED, AMENDED):
        return {
            "places_stated_ahead": Feature(facts, "count", 0),
            "most_ahead": Feature(-sums["least"], "ns", 0),
        }
    name = WAYS[way]
    scale, unit = SHOWN[name]
    least = Feature(rounded(sums["least"] * scale), unit, rounded(sums["told"] * scale))
    if way != FEE:
        return {"acts_of_protection": Feature(facts, "count"), "least_before": least}
    short = sums["due"] - sums["got"]
    return {
        "fees": Feature(facts, "count"),
        "lowest_rate": least,
        "paid": Feature(rounded(sums["got"] * 1e-9), quote, rounded(sums["due"] * 1e-9)),
        "short": Feature(rounded(short * 1e-9), quote, 0.0),
    }


def of_payers(peers: int, *, sure: bool) -> dict[str, Feature]:
    """Return whom an episode's fees were compared with, and what is not known of them."""
    features = {"external_makers": Feature(peers, "count")}
    if peers < LEAST_PEERS:
        features["no_peer_control"] = Feature(peers, "external makers", LEAST_PEERS)
    if not sure:
        features["no_tier_known"] = Feature(NO_TIER, "word")
    return features


def add_facts(sums: dict[str, int], row: Sequence[int]) -> None:
    """Add a bucket's facts to an episode's sums; with the least value, what was told of it."""
    for name, amount in (
        ("facts", row[F_COUNT]),
        ("got", row[F_GOT]),
        ("due", row[F_DUE]),
    ):
        sums[name] = sums.get(name, 0) + amount
    least = row[F_LEAST]
    if least < sums.get("least", least + 1):
        sums["least"], sums["told"] = least, row[F_TOLD]


def latest_of(
    way: int,
    facts: Facts,
    sums: Mapping[str, int],
    before: Latest | None,
    *,
    quote: str,
    said: Mapping[str, Feature],
) -> Latest:
    """Return what an episode says after a bucket's facts, which its sums hold already.

    `quote` is the currency of its fees, `said` what clients were told.
    """
    row, accounts = facts.row, facts.accounts
    breach = bool(row[F_BETTER]) or (before is not None and before.evidence_class == "breach")
    proved = bool(row[F_PROVED]) or (before is not None and before.evidence == "proved")
    sure = bool(row[F_SURE]) or (before is not None and before.evidence != "weak")
    features = {"way": Feature(WAYS[way], "way"), **of_facts(way, sums, quote)}
    if way == FEE:
        features |= of_payers(row[F_PEERS], sure=sure)
    features |= said
    return Latest(
        code=facts.code,
        way=way,
        accounts=accounts if before is None else _joined(before.accounts, accounts),
        start_ns=row[F_FIRST_NS] if before is None else min(before.start_ns, row[F_FIRST_NS]),
        end_ns=row[F_LAST_NS] if before is None else max(before.end_ns, row[F_LAST_NS]),
        evidence_class="breach" if breach else "indicator",
        evidence="proved" if proved else "supported" if sure else "weak",
        significant=sure,
        incomplete=facts.incomplete or (before is not None and before.incomplete),
        score=rounded((0.6 if proved else 0.4) + 0.4 * sums["facts"] / (sums["facts"] + 20)),
        features=features,
    )


def _joined(before: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*before, *more)))


def finding(
    spec: Spec,
    params: UnequalAccessParams,
    episode: Episode,
    latest: Latest,
    *,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    proved = latest.evidence == "proved"
    systematic = episode.sums.get("facts", 0) >= params.systematic_facts
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario=spec.scenarios[0],
        evidence_class=latest.evidence_class,
        evidence=latest.evidence,
        instrument=latest.code,
        first_seq=episode.first_seq,
        first_accounts=episode.first_accounts,
        revision=episode.facts,
        accounts=latest.accounts,
        window_start_ns=latest.start_ns,
        window_end_ns=latest.end_ns,
        detected_ns=at_ns,
        evidence_refs=refs,
        features=latest.features,
        score=latest.score,
        systematic=systematic and proved,
        significant=latest.significant,
        notify_clock="asap" if proved else "none",
        coverage="incomplete" if latest.incomplete else "complete",
        status="confirmed" if closed and not latest.incomplete else "provisional",
    )
