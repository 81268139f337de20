"""What is owed of quotes, and what one window of it came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from ingest.instruments import Instruments
from ingest.terms import Party, Terms
from ingest.times import SECOND

ANY_SPREAD: Final = 1e9
"""Widest spread, bps, where none is agreed."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What a party must quote in an instrument in [from, to), in codes, lots and floats."""

    instrument: int
    party: int
    """Code of an account, or of an owner whose accounts count together."""
    min_lots: int
    max_spread_bps: float
    min_ratio: float
    window_ns: int
    from_ns: int
    to_ns: int
    accounts: tuple[int, ...] = ()
    """That the register has for the party at any time; other ones make what stands unknown."""


class Stretch(msgspec.Struct, frozen=True):
    """An interval in which quotes were owed, known and not there."""

    from_ns: int
    to_ns: int
    kinds: int
    """A bit for each way of it: ABSENT, ONE_SIDED, THIN, WIDE."""
    first_seq: int
    last_seq: int
    """Of the events at its ends; the last before the window where it began or ended with it."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One window of an agreement, or the part of it that the agreement was in force in; ns.

    open = present + absent + one_sided + thin + wide. Beside it: what is unknown, and what was
    excused. Time outside continuous trading is in none.
    """

    instrument: int
    party: int
    accounts: tuple[int, ...]
    """That had quotes, in the order in which they came."""
    in_force: bool
    start_ns: int
    """Of the whole window, aligned to 1970."""
    from_ns: int
    end_ns: int
    until_ns: int
    """When it ends, or was to end."""
    is_over: bool
    """False: told when it could no longer be met, as it stood then; it comes again at its end."""
    window_ns: int
    min_lots: int
    max_spread_bps: float
    min_ratio: float
    open_ns: int
    present_ns: int
    absent_ns: int
    one_sided_ns: int
    thin_ns: int
    wide_ns: int
    uneven_ns: int
    unknown_ns: int
    excused_ns: int
    two_sided_ns: int
    spread_bps: float
    """Mean spread of its best quotes while there were two sides."""
    longest_ns: int
    misses: int
    calm_open_ns: int
    calm_present_ns: int
    stress_open_ns: int
    stress_present_ns: int
    gap: bool
    """Whether a coverage gap was open in it."""
    at_seq: int
    """Of the last event before it; of the first one on the tape, where there is none."""
    stretches: tuple[Stretch, ...]
    """The longest ones, in order of time; `misses` counts all."""
    is_cut: bool = False
    """Whether only a change of the terms ended it: nothing can be said of such a part."""
    has_reasons: bool = True
    """Whether the instrument's feed has ever said why an order left."""


def agreements_of(
    terms: Terms, parties: Mapping[str, Party], instruments: Instruments
) -> tuple[Agreement, ...]:
    """Return the agreements of a version of the register that are about these instruments."""
    found = []
    for row in terms.obligations:
        code = instruments.code(row.instrument)
        if code is not None and row.account in parties:
            lots = Decimal(row.min_quantity) / instruments[code].lot_size
            found.append(
                Agreement(
                    instrument=code,
                    party=parties[row.account].code,
                    min_lots=max(1, math.ceil(lots)),
                    max_spread_bps=float(row.max_spread_bps),
                    min_ratio=float(row.min_presence_ratio),
                    window_ns=row.window_s * SECOND,
                    from_ns=row.valid_from_ns,
                    to_ns=row.valid_to_ns,
                    accounts=parties[row.account].accounts,
                )
            )
    return tuple(sorted(found, key=lambda row: row.instrument))
