"""Identity: what one alert is called, and which parameters it was found with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from detectors.base import Params

ID_DIGITS: Final = 32
"""Hex digits kept of SHA-256: 128 bits, so that no two of any real number of alerts collide."""


def alert_id(
    detector: str,
    version: int,
    scenario: str,
    *,
    instrument: str,
    first_seq: int,
    first_accounts: Iterable[str],
) -> str:
    """Return the id of the alert that an episode opens, 32 hex digits.

    It depends on names and on the first evidence alone: never on codes, floats, offsets, batches,
    or on what joins later. The hash is over a JSON array, so no two inputs have one encoding.

    Examples
    --------
    >>> same = dict(instrument="BTC-USD", first_seq=7)
    >>> alert_id("wash_trading", 1, "wash_self", first_accounts=["B", "A"], **same)
    '66d2e6ecde1a3371a2048ea873d496be'
    >>> alert_id("wash_trading", 1, "wash_self", first_accounts=["A", "B"], **same)
    '66d2e6ecde1a3371a2048ea873d496be'
    >>> alert_id("wash_trading", 1, "wash_self", first_accounts=["A,B"], **same)[:8]
    'e34e2404'
    """
    parts = [
        "ringfence alert 1",
        detector,
        version,
        scenario,
        instrument,
        first_seq,
        sorted(first_accounts),
    ]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:ID_DIGITS]


def params_hash(params: Params) -> str:
    """Return the hash of a detector's parameters, 32 hex digits; field order does not matter."""
    return hashlib.sha256(msgspec.json.encode(params, order="sorted")).hexdigest()[:ID_DIGITS]
