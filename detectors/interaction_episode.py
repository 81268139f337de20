"""An episode of client_interaction: what tests that passed say, and the finding it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode, accounts_in
from detectors.interaction_chance import (
    DRIFT,
    FILLS,
    QUOTES,
    SIDE_WORDS,
    Verdict,
    allowed,
    daily_tests,
)
from detectors.interaction_params import ClientInteractionParams
from detectors.interaction_state import (
    GROUP,
    HORIZONS,
    LOOK_NS,
    MARKOUT_NS,
    P_EFFECTIVE,
    P_FILLS,
    P_KNOWN,
    P_LOTS,
    P_MOVE,
    P_NOTIONAL,
    SLOTS,
    V_LOOKS,
    V_SHARE,
)
from detectors.trades import quantity, shown
from ingest.axes import Entries
from ingest.events import Array
from ingest.instruments import Instruments
from ingest.times import SECOND

COUNTERFACTUAL: Final = (
    "the same volume with the mid moving, in the five seconds after, as it moved after clients' "
    "fills against the external makers of the same time: an estimate of all clients together"
)
KIND_WORDS: Final = {QUOTES: "quotes", FILLS: "fills", DRIFT: "drift"}
HARM_MARKOUT: Final = 2
"""Five seconds: past the fill's own mark on the book, before chance is all there is."""
MAX_ACCOUNTS: Final = 6
MAX_REFS: Final = 128


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The clearest test of an instrument's open episode, with what else was measured over it."""

    code: int
    passed: Verdict
    paid: tuple[float, ...]
    """Of the group, as PAID_FIELDS."""
    peers: tuple[float, ...]
    """Of its peers together."""
    presence: float
    """The group's share of the size at the touch, 0 to 1; below 0 where nothing was seen."""


def told_of(code: int, passed: Verdict, paid: Array, presence: Array) -> Told:
    """Return what a test's time adds up to.

    Parameters
    ----------
    paid : (SLOTS, PAID_FIELDS) float64
    presence : (2,) float64
    """
    looks = float(presence[V_LOOKS])
    return Told(
        code=code,
        passed=passed,
        paid=tuple(paid[GROUP].tolist()),
        peers=tuple(paid[GROUP + 1 : SLOTS].sum(axis=0).tolist()),
        presence=float(presence[V_SHARE]) / looks if looks else -1.0,
    )


def under(told: Told, code: int) -> Told:
    """Return it under another instrument code."""
    return msgspec.structs.replace(told, code=code)


TOLD: Final = Entries(kind=Told, place=lambda told: told.code, moved=under)
"""Axis of a packed list of them."""


def _mean(paid: Sequence[float], sums: int, weights: int) -> float | None:
    return paid[sums] / paid[weights] if paid[weights] > 0 else None


def harm_tick_lots(told: Told) -> float | None:
    """Return what the group's clients lost beside those of others, ticks times lots; >= 0."""
    ours, theirs = (
        _mean(paid, P_MOVE + HARM_MARKOUT, P_KNOWN + HARM_MARKOUT)
        for paid in (told.paid, told.peers)
    )
    if ours is None or theirs is None:
        return None
    return max(0.0, (theirs - ours) * 1e-4 * told.paid[P_KNOWN + HARM_MARKOUT])


def features_of(told: Told, params: ClientInteractionParams) -> dict[str, Feature]:
    """Return what a test says, and how clients fared against the group and its peers."""
    passed, paid, peers = told.passed, told.paid, told.peers
    tests = daily_tests(params, passed.by)
    features = {
        "chance": Feature(rounded(passed.chance), "probability", rounded(passed.allowed)),
        "chance_of_day": Feature(
            rounded(min(1.0, passed.chance * tests)),
            "probability",
            rounded(allowed(params, passed.by) * tests),
        ),
        "blocks": Feature(passed.blocks, "count"),
        "external_makers": Feature(passed.peers, "count"),
        "span": Feature(passed.buckets * params.bucket_s, "s"),
        "tested": Feature(KIND_WORDS[passed.by], "kind"),
    }
    if passed.by == QUOTES:
        begin, end = HORIZONS[passed.horizon][0], HORIZONS[passed.reach][1]
        features["foreseen_share"] = Feature(rounded(passed.effect), "ratio", 0.0)
        features["foreseen_from"] = Feature(begin * LOOK_NS / SECOND, "s")
        features["foreseen_to"] = Feature(end * LOOK_NS / SECOND, "s")
        features["clients"] = Feature(SIDE_WORDS[passed.side], "side")
        features["looks"] = Feature("volatile" if passed.volatile else "all", "kind")
    elif passed.by == DRIFT:
        features["drift"] = Feature(rounded(passed.effect), "deviations", params.drift_bound)
    else:
        features["worse_by"] = Feature(rounded(passed.effect), "spreads", 0.0)
        features["after"] = Feature(MARKOUT_NS[passed.horizon] / SECOND, "s")
        features["clients"] = Feature(SIDE_WORDS[passed.side], "side")
    _add(features, "effective_spread", _pair(paid, peers, P_EFFECTIVE, P_NOTIONAL))
    for place, horizon_ns in enumerate(MARKOUT_NS):
        name = f"markout_{horizon_ns / SECOND:g}s".replace(".", "_")
        _add(features, name, _pair(paid, peers, P_MOVE + place, P_KNOWN + place))
    everything = paid[P_NOTIONAL] + peers[P_NOTIONAL]
    if everything > 0:
        features["share_of_volume"] = Feature(
            rounded(paid[P_NOTIONAL] / everything),
            "ratio",
            rounded(told.presence) if told.presence >= 0 else None,
        )
    return features


def _pair(
    paid: Sequence[float], peers: Sequence[float], sums: int, weights: int
) -> tuple[float | None, float | None]:
    return _mean(paid, sums, weights), _mean(peers, sums, weights)


def _add(features: dict[str, Feature], name: str, pair: tuple[float | None, float | None]) -> None:
    """Add a mean over fills, in basis points, where the group has any."""
    ours, theirs = pair
    if ours is not None:
        features[name] = Feature(rounded(ours), "bps", None if theirs is None else rounded(theirs))


def finding(
    spec: Spec,
    params: ClientInteractionParams,
    instruments: Instruments,
    episode: Episode,
    told: Told,
    *,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    code, sums = episode.key[0], episode.sums
    harm = harm_tick_lots(told)
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
            "passed_tests": Feature(sums["passed"], "count"),
            "client_fills": Feature(round(told.paid[P_FILLS]), "count", round(told.peers[P_FILLS])),
            "client_volume": quantity(instruments, code, round(told.paid[P_LOTS])),
            **features_of(told, params),
        },
        score=rounded(0.4 + 0.6 * min(1.0, max(0.0, told.passed.effect))),
        significant=True,
        client_harm=None if harm is None else shown(instruments.money(code, round(harm))),
        counterfactual=COUNTERFACTUAL,
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )
