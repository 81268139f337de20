"""Severity: how soon a person must look, from what was found and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from alerts.record import Severity
from detectors.base import Evidence, EvidenceClass

DEFAULT_HARM_LIMITS: Final[Mapping[str, float]] = {
    # About USD 1,000: what one displaced order of a retail client comes to; above it "client
    # impact" (26EC6 10(b)) is more than rounding. No Hong Kong text sets a figure: it is ours.
    "USD": 1_000.0,
    "USDT": 1_000.0,  # pegged to USD
    "USDC": 1_000.0,  # pegged to USD
    "HKD": 8_000.0,  # USD 1,000 at the peg of 7.75 to 7.85, rounded
    "EUR": 1_000.0,  # same order as USD 1,000, rounded
    "BTC": 0.01,  # USD 1,000 at USD 100,000, the order of its price in 2025 and 2026
    "ETH": 0.3,  # USD 1,000 at USD 3,000 to 4,000, likewise
}
"""Client harm above which it counts as material, by quote currency, in that currency."""


class SeverityParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the severity rule takes from configuration.

    Harm in a currency that neither table names is over the limit as soon as it is above zero: an
    unknown scale is no reason to look later.

    Examples
    --------
    >>> SeverityParams().over_limit(1_000.0, "USD"), SeverityParams().over_limit(1_000.01, "USD")
    (False, True)
    >>> SeverityParams(harm_limits={"USD": 50.0}).over_limit(51.0, "USD")
    True
    >>> SeverityParams().over_limit(0.01, "DOGE"), SeverityParams().over_limit(None, "DOGE")
    (True, False)
    """

    harm_limits: Mapping[str, float] = {}
    """Quote currency to limit in that currency; laid over `DEFAULT_HARM_LIMITS`."""

    def over_limit(self, harm: float | None, currency: str) -> bool:
        """Return whether a measured harm is over its currency's limit."""
        if harm is None:
            return False
        return harm > self.harm_limits.get(currency, DEFAULT_HARM_LIMITS.get(currency, 0.0))


def severity_of(
    params: SeverityParams,
    *,
    evidence_class: EvidenceClass,
    evidence: Evidence,
    client_harm: float | None,
    currency: str,
    systematic: bool,
    all_legs: bool,
    significant: bool,
) -> Severity:
    """Return the severity of one detector's episode.

    - weak evidence: low.
    - a proved breach: critical when harm is over the limit or the conduct is systematic, else high;
      zero harm never cures it.
    - anything else: high when it is material (harm over the limit, or significant with all its
      legs), medium when it is significant or a single case with all its legs, else low.

    Examples
    --------
    >>> case = dict(client_harm=0.0, currency="USD", systematic=False, all_legs=False,
    ...     significant=False)
    >>> severity_of(SeverityParams(), evidence_class="breach", evidence="proved", **case)
    'high'
    >>> severity_of(SeverityParams(), evidence_class="rule", evidence="proved", **case)
    'low'
    >>> severity_of(SeverityParams(), evidence_class="rule", evidence="proved",
    ...     **case | {"significant": True})
    'medium'
    """
    if evidence == "weak":
        return "low"
    over = params.over_limit(client_harm, currency)
    if evidence_class == "breach" and evidence == "proved":
        return "critical" if over or systematic else "high"
    if over or (significant and all_legs):
        return "high"
    return "medium" if significant or all_legs else "low"
