"""The record's JSON Schema (2020-12), for those who read alerts without this code."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from alerts.record import Alert

SCHEMA_ID: Final = "urn:ringfence:alert:1"
BOUNDS: Final[dict[str, dict[str, Any]]] = {
    "alert_id": {"pattern": "^[0-9a-f]{32}$"},
    "params_hash": {"pattern": "^[0-9a-f]{32}$"},
    "revision": {"minimum": 1},
    "detector_version": {"minimum": 1},
    "score": {"minimum": 0, "maximum": 1},
}
"""What the types do not say."""
MEANINGS: Final[dict[str, str]] = {
    "alert_id": "Fixed when the episode opens; hash of its first evidence.",
    "revision": "Grows with every fact; a lower revision never replaces a higher one.",
    "facets": "Other scenarios that the same episode shows, sorted.",
    "evidence_class": "breach is deterministic, rule has stated exceptions, indicator is a rate.",
    "score": "0 to 1, higher is worse.",
    "owners": "Beneficial owner of each account, in the order of accounts; empty where unknown.",
    "roles": "Role of each account, in the order of accounts.",
    "window_start_ns": "UTC nanoseconds since 1970; so are all fields that end in _ns.",
    "detected_ns": "Event time at which the first fact was complete.",
    "client_harm": "In the quote currency; null = not measured.",
    "counterfactual": "What client_harm compares with.",
    "notify_clock": "VATP Guidelines 8.2 (asap) and 16.7(d) (immediate).",
    "order_ids": "In seq order, at most 10,000; feature order_ids_not_listed counts the rest.",
    "trade_ids": "In seq order, at most 10,000; feature trade_ids_not_listed counts the rest.",
    "features": "Numbers behind the alert, by name, each with unit and baseline.",
    "params_hash": "Of the detector's parameters only.",
    "registry_version": "Version of the accounts register when the episode opened.",
    "coverage": "incomplete = records were missing; nothing is then confirmed.",
    "source": "For each topic and partition, the offsets of the first and the last source event; "
    "what lies between need not all be evidence.",
}


def record_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of alerts.ndjson."""
    _, definitions = msgspec.json.schema_components([Alert], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["additionalProperties"] = False
    alert = definitions.pop("Alert")
    for name, bounds in BOUNDS.items():
        alert["properties"][name].update(bounds)
    for name, meaning in MEANINGS.items():
        alert["properties"][name]["description"] = meaning
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **alert,
        "$defs": definitions,
    }
