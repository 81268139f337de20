"""What an alert of hidden_affiliates rests on, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from detectors.base import Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode
from detectors.hidden_logins import LOGINS, Shared
from detectors.hidden_measure import FEATURES, LEAST_MAKERS
from detectors.hidden_model import MICRO, Judged
from detectors.hidden_params import HiddenAffiliatesParams
from detectors.hidden_state import CITED, EVENTS, FIRST_SEQ, MET, SEQS, TOLD
from ingest.events import Array

Place = tuple[int, int]
"""An instrument's code, and the account's row in it."""
PLAIN: Final = (
    "rank",
    "crowd",
    "micro_base",
    "micro_probability",
    "micro_by_chance",
    "runs",
    "began_ns",
    "ended_ns",
    "controlled",
)


def busiest(about: Array, places: Sequence[Place]) -> int:
    """Return the instrument in which an account trades most; of several, the first by name."""
    code, _ = max(places, key=lambda place: (about[place][EVENTS], -place[0]))
    return code


def refs_of(about: Array, places: Sequence[Place]) -> tuple[Ref, ...]:
    """Return the telling executions of an account that were not cited, and note that they are.

    Parameters
    ----------
    about : (instruments, ACCOUNTS, ACCOUNT_FIELDS) int64
        Of the latest `CITED` of each instrument.
    """
    refs = []
    for code, row in places:
        mine = about[code, row]
        met, told = int(mine[MET]), int(mine[TOLD])
        refs += [Ref(code, int(mine[SEQS + n % CITED])) for n in range(max(told, met - CITED), met)]
        mine[TOLD] = met
    return tuple(sorted(refs))


def first_ref(about: Array, places: Sequence[Place], code: int) -> Ref:
    """Return the first event of an account in an instrument."""
    row = dict(places)[code]
    return Ref(code, int(about[code, row][FIRST_SEQ]))


def note(episode: Episode, judged: Judged, shared: Shared | None) -> None:
    """Keep what a look found, in place of what the last one did; a login stays one in common."""
    sums = episode.sums
    if shared is not None:
        sums |= {f"{name}_shared": trades for name, trades in shared.trades.items()}
    for name in PLAIN:
        sums[name] = getattr(judged, name)
    for place, name in enumerate(FEATURES):
        sums[name] = judged.micro_deviations[place]
        sums[f"{name}_part"] = judged.micro_parts[place]
    sums["against_scale"], sums["alike_scale"] = judged.scales


def finding(
    spec: Spec,
    params: HiddenAffiliatesParams,
    episode: Episode,
    *,
    at_ns: int,
    refs: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode as it stands at an event time, with what it newly rests on."""
    sums = episode.sums
    probability = sums["micro_probability"] / MICRO
    shares = any(f"{name}_shared" in sums for name in LOGINS)
    sure = shares or (
        probability >= params.sure_probability
        and sums["micro_by_chance"] <= MICRO * params.any_chance
    )
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario=spec.scenarios[0],
        evidence_class=spec.evidence_class,
        evidence="supported" if sure else "weak",
        instrument=episode.key[0],
        first_seq=episode.first_seq,
        first_accounts=episode.first_accounts,
        revision=episode.facts,
        accounts=episode.first_accounts,
        window_start_ns=sums["began_ns"],
        window_end_ns=min(sums["ended_ns"], at_ns),
        detected_ns=at_ns,
        evidence_refs=refs,
        features=_features(params, episode),
        score=rounded(max(probability, params.sure_probability if shares else 0.0)),
        significant=sure,
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )


def _features(params: HiddenAffiliatesParams, episode: Episode) -> dict[str, Feature]:
    sums = episode.sums
    features = {}
    for name in LOGINS:
        if f"{name}_shared" in sums:
            features[f"shared_{name}"] = Feature(sums[f"{name}_shared"], "trades", 0)
    if not sums["rank"]:
        features["probability"] = Feature("not judged: too few runs or accounts", "text")
        return features
    features |= {
        "probability": Feature(
            rounded(sums["micro_probability"] / MICRO), "probability", params.sure_probability
        ),
        "by_chance": Feature(
            rounded(sums["micro_by_chance"] / MICRO), "probability", params.any_chance
        ),
        "rank": Feature(sums["rank"], "of accounts judged", sums["crowd"]),
        "runs": Feature(sums["runs"], "runs of taking", params.least_runs),
        "base": Feature(rounded(sums["micro_base"] / MICRO), "log-odds", params.intercept),
        "model": Feature(params.model_version, "version"),
    }
    for name in FEATURES:
        features[name] = Feature(rounded(sums[name] / MICRO), "deviations", 0)
        features[f"{name}_contribution"] = Feature(
            rounded(sums[f"{name}_part"] / MICRO), "log-odds", 0
        )
    for name in ("against", "alike"):
        half_life = params.half_lives_s[sums[f"{name}_scale"]]
        features[f"{name}_half_life"] = Feature(half_life, "s")
    if not sums["controlled"]:
        features["no_peer_control"] = Feature(1, "fewer than 2 external makers", LEAST_MAKERS)
    return features
