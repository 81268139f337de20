"""Terms: what the maker owes the venue, and what clients were told of how it is treated.

They are part of a version of the register: who stands behind an account, what it agreed to, and
what was said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

DisclosureKind = Literal[
    "latency", "fee", "rate_limit", "queue", "data", "order_type", "protection"
]


class Obligation(msgspec.Struct, frozen=True, kw_only=True):
    """What an account, or an owner's accounts together, must quote in [from, to)."""

    account: str
    """An account, or an owner."""
    instrument: str
    max_spread_bps: Decimal
    """Widest spread that counts as present, basis points of the mid."""
    min_quantity: Decimal
    """Least quantity on each side, display units."""
    min_presence_ratio: Decimal
    """Least share of each window's open time with both sides, 0 to 1."""
    window_s: int
    """Presence is told by windows of so many seconds, aligned to 1970."""
    valid_from_ns: int
    valid_to_ns: int
    line: int = 0
    """Line of the file, for messages; no part of the content."""

    @property
    def content(self) -> tuple[str | int, ...]:
        """What the row says, without where it stands."""
        return (
            self.account,
            self.instrument,
            str(self.max_spread_bps),
            str(self.min_quantity),
            str(self.min_presence_ratio),
            self.window_s,
            self.valid_from_ns,
            self.valid_to_ns,
        )


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that clients were told of an account's treatment, in [from, to)."""

    subject: str
    """An account, or an owner."""
    kind: DisclosureKind
    instrument: str
    """Empty: in every instrument."""
    value: str
    unit: str
    """What `value` counts in, as the document has it: ns, maker_bps, taker_bps, tier, lots,
    per_second …"""
    document: str
    valid_from_ns: int
    valid_to_ns: int
    line: int = 0
    """Line of the file, for messages; no part of the content."""

    @property
    def content(self) -> tuple[str | int, ...]:
        """What the row says, without where it stands."""
        return (
            self.subject,
            self.kind,
            self.instrument,
            self.value,
            self.unit,
            self.valid_from_ns,
            self.valid_to_ns,
            self.document,
        )


class Party(msgspec.Struct, frozen=True):
    """Who a name in the terms is, in codes of one run: the register knows."""

    code: int
    """Of the name itself, be it an account or an owner."""
    accounts: tuple[int, ...] = ()
    """Of the account of that name, or of those that have it as owner at any time, by name."""


class Terms(msgspec.Struct, frozen=True):
    """Every agreement and disclosure of a version of the register, in order of content."""

    obligations: Sequence[Obligation] = ()
    disclosures: Sequence[Disclosure] = ()

    def __bool__(self) -> bool:
        return bool(self.obligations or self.disclosures)

    @property
    def subjects(self) -> Sequence[str]:
        """Every account or owner that the rows name, once, in order of name."""
        agreed = {row.account for row in self.obligations}
        return sorted(agreed | {row.subject for row in self.disclosures})

    @property
    def content(self) -> tuple[object, ...]:
        """What the terms say, whatever the order of the files."""
        return (
            [row.content for row in self.obligations],
            [row.content for row in self.disclosures],
        )


NO_TERMS: Final = Terms()
