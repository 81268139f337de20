"""What several detectors need of trades: exact money, words for prices and quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from detectors.base import Feature, rounded
from ingest.instruments import Instruments

LIMB: Final = 2**62
"""Two int64 limbs of this base hold the exact sums that kernels keep."""


def wide(high: int, low: int) -> int:
    """Return the integer of two limbs.

    >>> wide(1, 5) - LIMB
    5
    """
    return int(high) * LIMB + int(low)


def shown(value: Decimal) -> float:
    """Return a decimal as it is emitted: a float of 9 significant digits.

    >>> shown(Decimal("0.1") * 3)
    0.3
    """
    return rounded(float(value))


def quantity(instruments: Instruments, code: int, lots: int) -> Feature:
    """Return lots as a feature in display units of the instrument's base."""
    return Feature(shown(instruments.quantity(code, lots)), instruments[code].base)


def money(instruments: Instruments, code: int, tick_lots: int) -> Feature:
    """Return ticks times lots as a feature in the quote currency."""
    return Feature(shown(instruments.money(code, tick_lots)), instruments[code].quote)
