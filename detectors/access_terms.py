"""What clients were told of the affiliate's access, as numbers that can be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np

from detectors.access_rules import disclosed
from detectors.access_state import (
    BEHIND_CLIENTS,
    D_ROW,
    D_VALUE,
    IN_TIME,
    KEEPS_PLACE,
    TOLD_FIELDS,
    TOLD_LATENCY,
    TOLD_LOTS,
    TOLD_MAKER,
    TOLD_PLACE,
    TOLD_RATE,
    TOLD_TAKER,
)
from detectors.base import Feature
from ingest.events import Array
from ingest.instruments import Instruments
from ingest.terms import Disclosure, Party, Terms

MOST_RATE: Final = 10**9
"""Of instructions a second: more than one a nanosecond is no limit."""
UNDISCLOSED: Final = "undisclosed"
MEASURED: Final[Mapping[tuple[str, str], tuple[int, int]]] = {
    ("latency", "ns"): (TOLD_LATENCY, 1),
    ("latency", "us"): (TOLD_LATENCY, 1_000),
    ("latency", "ms"): (TOLD_LATENCY, 1_000_000),
    ("latency", "s"): (TOLD_LATENCY, 1_000_000_000),
    ("fee", "maker_bps"): (TOLD_MAKER, 1),
    ("fee", "taker_bps"): (TOLD_TAKER, 1),
    ("protection", "lots"): (TOLD_LOTS, 1),
    ("rate_limit", "per_second"): (TOLD_RATE, 1),
    ("queue", "place"): (TOLD_PLACE, 1),
}
"""Kinds and units that are compared: what each tells, and what one unit is of the measure's own. A
fee's tier is told by its rates."""
PLACES: Final[Mapping[str, int]] = {
    "in_time": IN_TIME,
    "behind_clients": BEHIND_CLIENTS,
    "keeps_place": KEEPS_PLACE,
}
"""What may be said of its orders' place in a queue: by time as everybody's, behind clients' at the
same price, or as everybody's but kept when an order is amended."""


def value_of(row: Disclosure) -> float | None:
    """Return the number that a row says, in the measure's own unit; None where it says none.

    >>> from ingest.registry import ALWAYS, FOREVER
    >>> def said(value, unit):
    ...     return value_of(Disclosure(subject="MM", kind="fee", instrument="", value=value,
    ...         unit=unit, document="", valid_from_ns=ALWAYS, valid_to_ns=FOREVER))
    >>> said("0.5", "maker_bps"), said("low", "maker_bps"), said("maker", "tier")
    (0.5, None, None)

    A rate limit is a whole number of instructions, from one to a billion. A latency may be in ns,
    us, ms or s. A place in the queue is one of `PLACES`.
    """
    if (row.kind, row.unit) not in MEASURED:
        return None
    kind, scale = MEASURED[row.kind, row.unit]
    if kind == TOLD_PLACE:
        return PLACES.get(row.value)
    try:
        value = Decimal(row.value)
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    if row.kind == "rate_limit" and not (1 <= value <= MOST_RATE and value == int(value)):
        return None
    return float(value * scale)


def unread(terms: Terms, parties: Mapping[str, Party]) -> Sequence[Disclosure]:
    """Return the disclosures that are not compared with: of another kind, unit or subject."""
    return [
        row
        for row in terms.disclosures
        if (value_of(row) is None and (row.kind, row.unit) != ("fee", "tier"))
        or row.subject not in parties
        or not parties[row.subject].accounts
    ]


def told(terms: Terms, parties: Mapping[str, Party], instruments: Instruments) -> Array:
    """Return what was disclosed as rows of numbers, an account each; (n, TOLD_FIELDS) float64.

    A row of an instrument that is not in the table says nothing here.
    """
    rows = [
        (
            account,
            instruments.codes[row.instrument] if row.instrument else -1,
            MEASURED[row.kind, row.unit][0],
            value,
            row.valid_from_ns,
            row.valid_to_ns,
            place,
        )
        for place, row in enumerate(terms.disclosures)
        if (value := value_of(row)) is not None
        and (not row.instrument or row.instrument in instruments.codes)
        for account in (parties[row.subject].accounts if row.subject in parties else ())
    ]
    return np.array(rows, np.float64).reshape(-1, TOLD_FIELDS)


class Disclosed:
    """What clients were told of the affiliate's access, by account, instrument and time.

    Parameters
    ----------
    terms : Terms
    parties : mapping of str to Party
        Who the terms' subjects are.
    instruments : Instruments
        The table that codes index.
    """

    def __init__(
        self, terms: Terms, parties: Mapping[str, Party], instruments: Instruments
    ) -> None:
        self.terms = terms
        self.numbers = told(terms, parties, instruments)

    def rows(self, code: int, accounts: Sequence[int], kinds: Sequence[int], at_ns: int) -> Array:
        """Return the rows of `numbers` in force for accounts and kinds; (n, TOLD_FIELDS)."""
        found = (
            disclosed(self.numbers, account, code, kind, at_ns)
            for account in accounts
            for kind in kinds
        )
        return self.numbers[[row for row in found if row >= 0]]

    def features(
        self, code: int, accounts: Sequence[int], kinds: Sequence[int], at_ns: int
    ) -> dict[str, Feature]:
        """Return what clients were told, and where; that nothing was, where that is so."""
        rows = self.rows(code, accounts, kinds, at_ns)
        if not len(rows):
            return {"disclosed": Feature(UNDISCLOSED, "word")}
        said = [self.terms.disclosures[int(place)] for place in rows[:, D_ROW]]
        texts = (_text(row, value) for value, row in zip(rows[:, D_VALUE], said, strict=True))
        values = " / ".join(dict.fromkeys(texts))
        documents = dict.fromkeys(row.document for row in said)
        return {
            "disclosed": Feature(values, "as disclosed"),
            "document": Feature("; ".join(documents), "document"),
        }


def _text(row: Disclosure, value: float) -> str:
    """Return what a row says, in the measure's own unit where the row is in that."""
    kind, scale = MEASURED[row.kind, row.unit]
    if kind == TOLD_PLACE:
        return row.value
    return f"{value:g}" if scale == 1 else f"{row.value} {row.unit}"
