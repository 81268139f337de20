"""What a finding of spoofing says of an episode: its features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.base import Feature, rounded
from detectors.layers_state import PARTS
from detectors.spoofing_params import SpoofingParams
from detectors.trades import quantity
from ingest.instruments import Instruments
from ingest.times import SECOND

UNKNOWN: Final = -1
"""In place of `own_ratio`, where the complex's own size cannot tell."""
PLACES: Final = {"buy": "bought", "sell": "sold"}
"""Where sums keep the latest withdrawal of a side."""
_FEWEST_PEERS: Final = 2


def features_of(
    sums: Mapping[str, int], code: int, instruments: Instruments, params: SpoofingParams
) -> dict[str, Feature]:
    """Return the features of an episode, by its sums.

    Parameters
    ----------
    sums : mapping of str to int
        Of `detectors.spoofing`; ratios and probabilities in `PARTS`, times in ns, sizes in lots.
    code : int
        The instrument.
    """
    cycles = sums["cycles"]
    sides = [name for name in ("buy", "sell") if f"{PLACES[name]}_ns" in sums]
    features = {
        "cycles": Feature(cycles, "count"),
        "prompt_cycles": Feature(sums["prompt"], "count", params.fewest_cycles),
        "side": Feature(" and ".join(sides), "text"),
        "withdrawn": quantity(instruments, code, sums["withdrawn"]),
        "size_ratio": Feature(rounded(sums["size"] / cycles / PARTS), "ratio", 0),
        "withdrawn_ratio": Feature(rounded(sums["ratio"] / cycles / PARTS), "ratio", 0),
        "fills": Feature(sums["hits"], "count"),
        "fill_to_withdrawal": Feature(rounded(sums["delay_ns"] / cycles / SECOND), "s"),
        "dwell": Feature(rounded(sums["dwell_ns"] / cycles / SECOND), "s"),
        "distance": Feature(rounded(sums["distance"] / cycles), "ticks"),
        "rate_by_chance": Feature(rounded(sums["rate_by_chance"] / PARTS), "1/h"),
        "weak_episodes": Feature(sums["weak"], "count"),
        "coincidence": Feature(rounded(sums["chance"] / PARTS), "p", params.chance),
        "both": Feature(rounded(sums["together"] / PARTS), "p", params.both),
        "withdrawn_after_fill": Feature(
            rounded(sums["own"] / PARTS), "ratio", rounded(sums["others"] / PARTS)
        ),
        "own_rate": Feature(rounded(sums["own_p"] / PARTS), "p", params.own_p),
        "surges_with_fill": Feature(sums["trials"], "count"),
        "rate": Feature(rounded(sums["p"] / PARTS), "p", params.rate_level),
        "peer_cycles": Feature(sums["peer_cycles"], "count"),
        "peer_time": Feature(rounded(sums["peer_hours"] / PARTS), "h"),
    }
    if sums["aside"]:
        features["set_aside"] = Feature(sums["aside"], "episodes")
        features["rate_of_rest"] = Feature(rounded(sums["rest_p"] / PARTS), "p", params.rate_level)
    if sums["own_ratio"] != UNKNOWN:
        features["own_ratio"] = Feature(
            rounded(sums["own_ratio"] / PARTS), "ratio", params.own_ratio
        )
    if "as_large" in sums:
        features["large_cycles"] = Feature(sums["large"], "count", sums["large_peers"])
        features["large_from"] = Feature(2 ** (sums["large_size"] - 1), "ratio")
        features["as_large"] = Feature(rounded(sums["as_large"] / PARTS), "p", params.large_level)
    if sums["peers"] < _FEWEST_PEERS:
        features["control"] = Feature("no_peer_control", "text")
    return features
