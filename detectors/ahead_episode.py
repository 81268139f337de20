"""An episode of trading_ahead: what it counts of each case, and the finding it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.ahead_case import CLIENT_UNKNOWN, NO_LOSS, PATTERN, STRONG, WEAK, Case
from detectors.ahead_params import TradingAheadParams
from detectors.base import Evidence, Feature, Finding, Ref, Spec, rounded
from detectors.episodes import Episode, accounts_in, meet
from detectors.trades import quantity, shown
from ingest.instruments import Instruments

CONDITIONS: Final = {
    PATTERN: "by the rate of such holds, no single one is clear",
    WEAK: "neither a clear hold, with a later order and a loss by it, nor a significant rate",
    NO_LOSS: "a clear hold with a later order that cost nobody, as may be by chance",
    CLIENT_UNKNOWN: "rule broken if client",
}
TOLD_LATER: Final = "cost nobody, as may be by chance; by later holds there are too many for that"
COUNTERFACTUAL: Final = (
    "the held client filled at the group's price when the group was, all else unchanged; what "
    "stayed unfilled marked to mid when the client cancelled or moved it, or after the horizon"
)
MAX_ACCOUNTS: Final = 17
MILLION: Final = 1e6


def count(sums: dict[str, int], case: Case) -> None:
    """Add a case to an episode's sums."""
    hold = case.hold
    for name, amount in (case.counts | {"worse": case.worse, "cases": 1}).items():
        sums[name] = sums.get(name, 0) + amount
    if hold.held_ns > sums.get("held_ns", 0):
        sums["held_ns"], sums["usual_ns"] = hold.held_ns, hold.usual_ns
        sums["passed"], sums["expected"] = hold.passed, hold.expected
    _note_rate(sums, case)
    sums["measured"] = sums.get("measured", 0) + (case.worse > 0)
    executed = (each.account for each in case.executions)
    meet(sums, (case.account, case.client, *executed), MAX_ACCOUNTS)


def mark_told(sums: dict[str, int], case: Case) -> None:
    """Make a case of holds that cost nobody: by a later one such holds are more than chance."""
    sums["told"] = 1
    _note_rate(sums, case)


def _note_rate(sums: dict[str, int], case: Case) -> None:
    for name in ("holds", "overtaken", "makers", "stalled", "expected_group", "expected_makers"):
        sums[name] = getattr(case.hold, name)
    sums["chance"] = round(case.chance * 10**15)


def finding(
    spec: Spec,
    instruments: Instruments,
    params: TradingAheadParams,
    episode: Episode,
    at_ns: int,
    *,
    refs: tuple[Ref, ...],
    context: tuple[Ref, ...] = (),
    closed: bool = False,
) -> Finding:
    """Return the episode at an event time, with what it newly rests on and is measured by."""
    code, sums = episode.key[0], episode.sums
    standing = STRONG if "told" in sums else episode.key[2]
    evidence: Evidence = "supported" if standing in (STRONG, PATTERN) else "weak"
    harm = sums.get("harm", 0) + sums["worse"]
    cases = sums["cases"]
    return Finding(
        detector=spec.id,
        detector_version=spec.version,
        scenario="trading_ahead",
        evidence_class="rule",
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
        features=_features(instruments, params, code, standing, sums),
        score=rounded({"supported": 0.5, "weak": 0.1}[evidence] + 0.4 * cases / (cases + 4)),
        all_legs=standing == STRONG,
        significant=standing == PATTERN,
        client_harm=shown(instruments.money(code, harm) / 2) if sums.get("measured") else None,
        counterfactual=COUNTERFACTUAL,
        notify_clock="asap" if evidence == "supported" else "none",
        coverage="incomplete" if episode.incomplete else "complete",
        status="confirmed" if closed and not episode.incomplete else "provisional",
    )


def _features(
    instruments: Instruments,
    params: TradingAheadParams,
    code: int,
    standing: int,
    sums: Mapping[str, int],
) -> dict[str, Feature]:
    features = {"cases": Feature(sums["cases"], "count", 0)}
    for name in ("gateway", "trigger", "rfq"):
        features[f"held_at_{name}"] = Feature(sums.get(name, 0), "orders")
    features["longest_hold"] = Feature(sums["held_ns"], "ns", sums["usual_ns"])
    features["passed_by"] = Feature(
        sums["passed"],
        "instructions",
        rounded(sums["expected"] / 1_000) if sums["expected"] >= 0 else "not known",
    )
    for name in ("aggressive", "passive", "standing"):
        features[f"executions_{name}"] = Feature(sums[name], "count")
    for name in ("executed", "displaced"):
        features[name] = quantity(instruments, code, sums[name])
    features["unmeasured"] = quantity(instruments, code, sums.get("unmeasured", 0))
    features["complex_net"] = quantity(instruments, code, sums["net"])
    features["holds"] = Feature(sums["holds"], "count")
    features["overtaken"] = Feature(
        sums["overtaken"], "count", rounded(sums["expected_group"] / MILLION)
    )
    peers = rounded(sums["expected_makers"] / MILLION) if sums["expected_makers"] else (
        "no_peer_control"
    )  # fmt: skip
    features["overtaken_by_makers"] = Feature(sums["makers"], "count", peers)
    features["overtaken_p"] = Feature(rounded(sums["chance"] / 1e15), "probability", params.alpha)
    features["exempt_stalled"] = Feature(
        sums["stalled"], "orders", "exception: nothing of its kind passed, all were held"
    )
    if "told" in sums:
        features["condition"] = Feature(TOLD_LATER, "text")
    elif standing != STRONG:
        features["condition"] = Feature(CONDITIONS[standing], "text")
    return features
