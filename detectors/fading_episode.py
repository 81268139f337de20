"""An episode of quote_fading: what tests that passed add up to, and the finding it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode, accounts_in, meet
from detectors.fading_chance import Verdict, day_tests, rates
from detectors.fading_params import QuoteFadingParams
from detectors.fading_state import (
    COMPLEX,
    DOUBTFUL,
    H_ACCOUNT,
    H_COST,
    H_DOUBT,
    H_LOTS,
    H_NS,
    H_PAID,
    H_RECEIVED,
    H_REF,
    H_SEQ,
    H_SIDE,
    PLACEBOS,
    REFS,
    WINDOWS,
    WITHDRAWN,
)
from detectors.trades import quantity, shown
from ingest.axes import Entries
from ingest.instruments import Instruments
from ingest.times import SECOND

COUNTERFACTUAL: Final = (
    "the client filled at the touch that stood when its order reached the gateway, for what was "
    "withdrawn there, up to its size: the first lots that it got at worse prices; what stayed "
    "unfilled is not counted"
)
MAX_ACCOUNTS: Final = 6
SIDE_WORDS: Final = {0: "both", 1: "buy", -1: "sell"}


def refs_of(code: int, hits: Sequence[Sequence[int]]) -> tuple[Ref, ...]:
    """Return the withdrawals and client orders of hits, in order of seq."""
    seqs = {hit[H_SEQ] for hit in hits}
    seqs |= {hit[H_REF + n] for hit in hits for n in range(REFS)} - {0}
    return tuple(Ref(code, seq) for seq in sorted(seqs))


def accounts_of(hits: Sequence[Sequence[int]]) -> list[int]:
    """Return the accounts that withdrew, in order of their first withdrawal."""
    found = dict.fromkeys(hit[H_ACCOUNT + n] - 1 for hit in hits for n in range(REFS))
    return [account for account in found if account >= 0]


def count(episode: Episode, passed: Verdict, hits: Sequence[Sequence[int]]) -> None:
    """Add client orders withdrawn from to an episode's sums."""
    sums = episode.sums
    for name, amount in (
        ("withdrawals", len(hits)),
        ("lots", sum(hit[H_LOTS] for hit in hits)),
        ("cost", sum(hit[H_COST] for hit in hits)),
        ("paid", sum(hit[H_PAID] for hit in hits)),
        ("buys", sum(hit[H_SIDE] > 0 for hit in hits)),
    ):
        sums[name] = sums.get(name, 0) + amount
    sums["start_ns"] = min([sums.get("start_ns", 2**63 - 1), *(hit[H_RECEIVED] for hit in hits)])
    sums["end_ns"] = max([sums.get("end_ns", 0), *(hit[H_NS] for hit in hits)])
    episode.incomplete |= any(hit[H_DOUBT] for hit in hits) or passed.tally[DOUBTFUL] > 0
    meet(sums, accounts_of(hits), MAX_ACCOUNTS)


def pause_of(episode: Episode, params: QuoteFadingParams) -> tuple[int, float]:
    """Return the silence that ends a spell, and how many withdrawals its rate gives in it.

    Withdrawals come in clusters, so no more are ever asked for than `pause_expected` gives.
    """
    sums = episode.sums
    span_ns = max(sums["end_ns"] - sums["start_ns"], 1)
    rate = sums["withdrawals"] / span_ns
    least, most = 2 * params.bucket_s * SECOND, params.episode_gap_s * SECOND
    pause = min(max(round(params.pause_expected / rate), least), most)
    return pause, min(rate * pause, params.pause_expected)


class Clearest(msgspec.Struct, frozen=True):
    """The clearest test of an instrument's open episode."""

    code: int
    peers_seen: int
    """External makers that there were."""
    passed: Verdict


def under(told: Clearest, code: int) -> Clearest:
    """Return it under another instrument code."""
    return msgspec.structs.replace(told, code=code)


CLEAREST: Final = Entries(kind=Clearest, place=lambda told: told.code, moved=under)
"""Axis of a packed list of them."""


def features_of(told: Clearest, params: QuoteFadingParams) -> dict[str, Feature]:
    """Return what a test says: counts, rates, chances."""
    passed, peers_seen = told.passed, told.peers_seen
    ours, habit = rates(passed.tally)
    theirs, their_habit = rates(passed.peers)
    hits = passed.tally[WITHDRAWN]
    tests = day_tests(params, passed.parts)
    features = {
        "tested_withdrawals": Feature(hits, "count", rounded(passed.expected)),
        "tested_windows": Feature(passed.tally[WINDOWS], "count"),
        "placebo_windows": Feature(passed.tally[PLACEBOS], "count"),
        "withdrawal_rate": Feature(rounded(ours), "ratio", rounded(habit)),
        "excess_rate": Feature(rounded(ours - habit), "ratio", rounded(theirs - their_habit)),
        "surprise": Feature(rounded(passed.surprise), "nats", rounded(passed.usual_surprise)),
        "chance": Feature(rounded(passed.chance), "probability", rounded(passed.allowed)),
        "chance_of_day": Feature(
            rounded(min(1.0, passed.chance * tests)), "probability", params.daily_false_alarms
        ),
        "span": Feature(passed.buckets * params.bucket_s, "s"),
        "clients": Feature(SIDE_WORDS[passed.side], "side"),
        "unit": Feature("complex" if passed.unit == COMPLEX else "account", "tested"),
    }
    if passed.controlled:
        features["peer_rate"] = Feature(rounded(theirs), "ratio", rounded(their_habit))
        features["peer_chance"] = Feature(
            rounded(passed.peer_chance), "probability", params.peer_chance
        )
        features["peer_span"] = Feature(passed.peer_buckets * params.bucket_s, "s")
    else:
        features["no_peer_control"] = Feature(peers_seen, "external makers", 2)
    return features


def finding(
    spec: Spec,
    params: QuoteFadingParams,
    instruments: Instruments,
    episode: Episode,
    told: Clearest,
    *,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    code, sums, hits = episode.key[0], episode.sums, episode.sums["withdrawals"]
    excess = 1 - told.passed.expected / told.passed.tally[WITHDRAWN]
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario=spec.scenarios[0],
        evidence_class="indicator",
        evidence="supported",
        instrument=code,
        first_seq=episode.first_seq,
        first_accounts=episode.first_accounts,
        revision=episode.facts,
        accounts=tuple(accounts_in(sums)),
        window_start_ns=sums["start_ns"],
        window_end_ns=sums["end_ns"],
        detected_ns=at_ns,
        evidence_refs=refs,
        features={
            "withdrawals": Feature(hits, "count"),
            "from_buyers": Feature(sums["buys"], "count"),
            "withdrawn": quantity(instruments, code, sums["lots"]),
            "worse_filled": quantity(instruments, code, sums["paid"]),
            **features_of(told, params),
        },
        score=rounded(0.3 + 0.4 * excess + 0.3 * hits / (hits + 20)),
        significant=True,
        client_harm=shown(instruments.money(code, sums["cost"])) if sums["paid"] else None,
        counterfactual=COUNTERFACTUAL,
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )
