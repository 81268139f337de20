"""The fairness differential: what clients' fills against the AFMM cost beside external makers'.

An estimate with its interval, by instrument and by kind of fill; never by client, and never added
to restitution: a maker's ordinary spread is not harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from detectors.base import rounded
from detectors.fairness_measures import Fills
from detectors.fairness_strata import compare
from ingest.events import Array
from ingest.instruments import Instruments

WORDS: Final[Mapping[str, Mapping[int, str]]] = {
    "size": {0: "small", 1: "ordinary", 2: "large"},
    "volatility": {0: "low", 1: "middle", 2: "high", 3: "unknown"},
    "takes": {0: "client rested", 1: "client took"},
}
FEWEST_FILLS: Final = 10
"""Of each side, below which a kind of fill has no row of its own: it would be about single ones."""
FEWEST_MAKERS: Final = 2
"""External makers below which there is no peer control."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of one instrument's fills: against the AFMM less against external makers."""

    instrument: str
    stratum: str
    """all, or one part of the strata: `hour 09`, `size large`, `volatility high`, `client took`."""
    measure: str
    """effective_spread, realised_spread_30s, markout_5s, markout_30s."""
    difference_bps: float
    low_bps: float | None
    """95 % interval; None = too few blocks of time."""
    high_bps: float | None
    fills_afmm: int
    fills_external: int
    strata: int
    blocks: int
    makers: int
    """External makers among the fills compared."""
    notional: float
    """Of the clients' fills against the AFMM that were compared, quote currency."""
    notional_left_out: float
    """Of those that have no like among external makers' fills."""
    money: float
    """What the difference comes to over that notional; above 0, clients paid more."""
    money_low: float | None
    money_high: float | None
    currency: str
    note: str
    """no_peer_control: fewer than two external makers."""


def differences(fills: Mapping[int, Fills], instruments: Instruments) -> list[Difference]:
    """Return the estimates, by instrument, stratum and measure.

    Parameters
    ----------
    fills : mapping of instrument code to Fills
    instruments : Instruments
    """
    found: list[Difference] = []
    for code, mine in fills.items():
        everything = np.ones(len(mine), np.bool_)
        found += _of(code, mine, instruments, "all", everything)
        for stratum, rows in _kinds(mine):
            found += _of(code, mine, instruments, stratum, rows)
    return found


def _kinds(fills: Fills) -> Iterator[tuple[str, Array]]:
    is_afmm = fills.columns["is_afmm"]
    for part, values in fills.parts.items():
        for value in np.unique(values).tolist():
            rows = values == value
            least = min(np.count_nonzero(rows & is_afmm), np.count_nonzero(rows & ~is_afmm))
            if least >= FEWEST_FILLS:
                words = WORDS.get(part)
                name = f"{part} {value:02d}" if words is None else words[value]
                yield name if part in ("hour", "takes") else f"{part} {name}", rows


def _of(
    code: int, fills: Fills, instruments: Instruments, stratum: str, rows: Array
) -> Iterator[Difference]:
    row, columns = instruments[code], fills.columns
    notional = columns["price"] * columns["lots"] * float(instruments.money(code, 1))
    strata, blocks = fills.strata, fills.blocks
    for measure, values in fills.measures().items():
        kept = rows & ~np.isnan(values)
        found = compare(
            values[kept],
            notional[kept],
            columns["is_afmm"][kept],
            strata[kept],
            blocks[kept],
        )
        if found is None:
            continue
        # Half a spread is paid each way; a markout is what the client has gained.
        per_bps = found.weight * 1e-4 * (-1.0 if measure.startswith("markout") else 0.5)
        money = [
            None if bound is None else rounded(bound * per_bps)
            for bound in (found.difference, found.low, found.high)
        ]
        if per_bps < 0:
            money = [money[0], money[2], money[1]]
        is_afmm = columns["is_afmm"]
        compared = np.intersect1d(strata[kept & is_afmm], strata[kept & ~is_afmm])
        peers = kept & ~is_afmm & np.isin(strata, compared)
        makers = len(np.unique(columns["maker"][peers]))
        yield Difference(
            instrument=row.instrument,
            stratum=stratum,
            measure=measure,
            difference_bps=rounded(found.difference),
            low_bps=None if found.low is None else rounded(found.low),
            high_bps=None if found.high is None else rounded(found.high),
            fills_afmm=found.first,
            fills_external=found.second,
            strata=found.strata,
            blocks=found.clusters,
            makers=makers,
            notional=rounded(found.weight),
            notional_left_out=rounded(found.left_out),
            money=money[0] or 0.0,
            money_low=money[1],
            money_high=money[2],
            currency=row.quote,
            note="no_peer_control" if makers < FEWEST_MAKERS else "",
        )
