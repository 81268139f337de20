"""What an alert of information_leak rests on, and what it says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode, accounts_in, meet
from detectors.leak_chance import ALONE, PLATFORM, UNDERLYING, Rate, units_of
from detectors.leak_params import InformationLeakParams
from detectors.leak_state import (
    COMPLEX,
    H_ACCOUNT,
    H_ACT_RECEIVED,
    H_ACT_SEQ,
    H_BEGAN,
    H_DOUBT,
    H_GRADE,
    H_LOTS,
    H_ORIGINATOR,
    H_OWNER,
    H_RELATED,
    H_SEQ,
    H_SIDE,
    H_STATE,
)
from detectors.trades import quantity
from ingest.axes import Entries
from ingest.instruments import Instruments
from ingest.times import SECOND

MOST_ACCOUNTS: Final = 8
_OVER: Final = {ALONE: "instrument", UNDERLYING: "underlying", PLATFORM: "platform"}


class Surest(msgspec.Struct, frozen=True):
    """The test of an open episode that was least likely by chance."""

    code: int
    account: int
    """Of a client, suspected; -1 = the group."""
    rate: Rate

    @property
    def key(self) -> tuple[int, int]:
        """That of its episode."""
        return self.code, self.account


SUREST: Final = Entries(
    kind=Surest,
    place=attrgetter("code"),
    moved=lambda told, code: msgspec.structs.replace(told, code=code),
)
"""Axis of a packed list of them."""


def hits_of(
    hits: Iterable[Sequence[int]], rate: Rate, leads_s: Sequence[int], account: int
) -> list[Sequence[int]]:
    """Return the hits that a test is about.

    Parameters
    ----------
    hits : iterable of rows of the ring of hits
    account : int
        Of the unit tested; -1 when it is the complex as one.
    """
    return [
        hit
        for hit in hits
        if hit[H_RELATED] == rate.related
        and hit[H_GRADE] > rate.grade
        and units_of(hit[H_STATE], rate.scale) >> rate.unit & 1
        and hit[H_BEGAN] - hit[H_ACT_RECEIVED] <= leads_s[rate.scale] * SECOND
        and (rate.unit == COMPLEX or hit[H_ACCOUNT] == account)
    ]


def firsts(hits: Iterable[Sequence[int]]) -> list[Sequence[int]]:
    """Return each execution with the first order that followed it."""
    first: dict[int, Sequence[int]] = {}
    for hit in hits:
        known = first.get(hit[H_ACT_SEQ])
        if known is None or (hit[H_BEGAN], hit[H_SEQ]) < (known[H_BEGAN], known[H_SEQ]):
            first[hit[H_ACT_SEQ]] = hit
    return [first[seq] for seq in sorted(first)]


def clients_of(hits: Iterable[Sequence[int]]) -> Counter[tuple[int, int]]:
    """Return how many of the hits are orders of each client: an owner and originator."""
    return Counter((hit[H_OWNER], hit[H_ORIGINATOR]) for hit in hits)


def is_of_one(clients: Counter[tuple[int, int]], rate: Rate, params: InformationLeakParams) -> bool:
    """Return whether orders of one client are too many of the hits beyond expectation."""
    share = max(clients.values(), default=0) / max(clients.total(), 1)
    return share * rate.hits > params.one_client_ratio * (rate.hits - rate.expected)


def count(episode: Episode, hits: Sequence[Sequence[int]]) -> None:
    """Add hits that no finding has cited yet to an episode."""
    sums = episode.sums
    for hit in hits:
        sums["executions"] = sums.get("executions", 0) + 1
        sums["buys"] = sums.get("buys", 0) + (hit[H_SIDE] > 0)
        sums["lots"] = sums.get("lots", 0) + hit[H_LOTS]
        sums["lead_ns"] = sums.get("lead_ns", 0) + hit[H_BEGAN] - hit[H_ACT_RECEIVED]
        sums["start_ns"] = min(sums.get("start_ns", hit[H_ACT_RECEIVED]), hit[H_ACT_RECEIVED])
        sums["end_ns"] = max(sums.get("end_ns", 0), hit[H_BEGAN])
        episode.incomplete |= bool(hit[H_DOUBT])
    meet(sums, (hit[H_ACCOUNT] for hit in hits), MOST_ACCOUNTS)


def refs_of(code: int, traded: int, hits: Sequence[Sequence[int]], rate: Rate) -> tuple[Ref, ...]:
    """Return the trades to be cited: the group's, and the first of orders that followed soonest.

    Of orders as many, in proportion, as there are beyond expectation: chance put the group before
    the others, and it is the longer leads that chance fills first.
    """
    soonest = sorted(hits, key=lambda hit: (hit[H_BEGAN] - hit[H_ACT_RECEIVED], hit[H_SEQ]))
    beyond = math.ceil(len(hits) * (rate.hits - rate.expected) / rate.hits)
    cited = {Ref(traded, hit[H_ACT_SEQ]) for hit in hits}
    return tuple(sorted(cited | {Ref(code, hit[H_SEQ]) for hit in soonest[:beyond]}))


def finding(
    spec: Spec,
    params: InformationLeakParams,
    instruments: Instruments,
    episode: Episode,
    rate: Rate,
    *,
    traded: int,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    code, sums = episode.key[0], episode.sums
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario=spec.scenarios[0],
        evidence_class=spec.evidence_class,
        evidence="supported",
        instrument=code,
        first_seq=episode.first_seq,
        first_accounts=episode.first_accounts,
        revision=episode.facts,
        accounts=tuple(accounts_in(sums)),
        window_start_ns=sums["start_ns"],
        window_end_ns=min(sums["end_ns"], at_ns),
        detected_ns=at_ns,
        evidence_refs=refs,
        features=_features(params, instruments, episode, rate, traded),
        score=rounded(0.4 + 0.4 * min(1.0, 3 * rate.effect) + 0.2 * rate.hits / (rate.hits + 30)),
        significant=True,
        notify_clock="asap",
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )


def _features(
    params: InformationLeakParams,
    instruments: Instruments,
    episode: Episode,
    rate: Rate,
    traded: int,
) -> dict[str, Feature]:
    sums = episode.sums
    n = max(rate.large, 1)
    features = {
        "n": Feature(rate.large, "large client orders"),
        "hits": Feature(rate.hits, "count", rounded(rate.expected)),
        "rate": Feature(rounded(rate.hits / n), "ratio", rounded(rate.expected / n)),
        "effect": Feature(rounded(rate.effect), "ratio", params.least_effect),
        "p": Feature(rounded(rate.p), "probability"),
        "q": Feature(rounded(rate.q), "probability", rounded(rate.allowed)),
        "family": Feature(rate.tests, "tests"),
        "lead": Feature(params.leads_s[rate.scale], "s"),
        "large_from": Feature(params.large_ratios[rate.grade], "usual orders"),
        "unit": Feature(_unit(rate), "tested"),
        "traded_in": Feature(instruments[traded].instrument, "instrument"),
        "executions": Feature(sums["executions"], "count"),
        "before_buyers": Feature(sums["buys"], "count"),
        "executed": quantity(instruments, traded, sums["lots"]),
        "mean_lead": Feature(rounded(sums["lead_ns"] / sums["executions"] / SECOND), "s"),
    }
    if rate.controlled:
        features["peer_hits"] = Feature(rate.peer_hits, "count", rounded(rate.peer_expected))
        features["peer_p"] = Feature(rounded(rate.peer_p), "probability", params.peer_chance)
    else:
        features["no_peer_control"] = Feature(1, "fewer than 2 external makers", 2)
    if rate.suspected:
        features["crowd_hits"] = Feature(rate.crowd_hits, "count", rounded(rate.crowd_expected))
        features["crowd_p"] = Feature(rounded(rate.crowd_p), "probability", params.peer_chance)
        features["clients"] = Feature(sums["clients"], "clients led")
    features["over"] = Feature(_OVER[rate.over], "orders of")
    return features


def _unit(rate: Rate) -> str:
    if rate.suspected:
        return "client"
    return "complex" if rate.unit == COMPLEX else "account"
