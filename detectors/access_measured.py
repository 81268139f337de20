"""Access as it was measured, way by way: evidence of compliance where it was equal, no finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from detectors.access_chance import (
    LEAST_PEERS,
    allowed_of_one,
    below,
    leading,
    margin_of,
    quantiles,
)
from detectors.access_params import UnequalAccessParams
from detectors.access_queue import places_of
from detectors.access_state import (
    B_BENT,
    B_ORDERS,
    B_PEER_BENT,
    B_PEER_RULE,
    B_REFUSED,
    B_RULE,
    CLIENTS,
    FEE,
    FILLED,
    KEPT,
    LIQUIDITY,
    M_BASE,
    M_COUNT,
    M_LEAST,
    M_MOST,
    M_SUM,
    OLDER,
    P_LOSSES,
    P_ORDERS,
    P_PAIRS,
    P_REFUSED,
    P_WINS,
    PREVENTION,
    PROTECTION,
    RATE,
    RATES,
    TOLD_LATENCY,
    TOLD_LOTS,
    TOLD_MAKER,
    TOLD_PLACE,
    TOLD_RATE,
    TRIPS,
)
from detectors.base import Feature, rounded
from detectors.statistics import fisher_tail
from ingest.events import Array
from ingest.instruments import Instrument

Word = Literal["compliant", "breach", "undisclosed", "no_peer_control", "not_compared", "not_seen"]
Said = Callable[[Sequence[int]], Mapping[str, Feature]]
"""Returns what clients were told of some kinds of value, as features."""
LIQUIDITIES: Final = ("maker", "taker")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One way of access in one instrument: the affiliate against external makers and clients' word.

    `ours`, `others`, `low` and `high` are in `unit`; None where nothing was seen. `low` and `high`
    bound the difference of medians, others' less the affiliate's (95 %).
    """

    instrument: str
    way: str
    count: int
    """Pairs, orders, fees, acts, instructions or prevented self-trades of the affiliate."""
    ours: float | None
    others: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    disclosed: str
    document: str
    verdict: Word
    """breach: better than disclosed; undisclosed: better than external makers, and nobody was told;
    no_peer_control: fewer than two external makers to compare with; not_compared: nobody was told,
    and what others do says nothing of it."""


def measured(
    instrument: Instrument, kept: Mapping[str, Array], said: Said, params: UnequalAccessParams
) -> Iterator[Measured]:
    """Yield what was measured of an instrument: times and refusals of the last day, else of all.

    Parameters
    ----------
    kept : mapping of name to Array
        The instrument's part of what `unequal_access` keeps.
    """
    for way in (_times, _refusals, _fees, _protection, _rate, _fills, _places, _prevention):
        yield from way(instrument.instrument, kept, said, params)


def _value(told: Mapping[str, Feature]) -> str:
    return str(told["disclosed"].value)


def _document(told: Mapping[str, Feature]) -> str:
    return str(told["document"].value) if "document" in told else ""


def _times(
    name: str, kept: Mapping[str, Array], said: Said, params: UnequalAccessParams
) -> Iterator[Measured]:
    tally = kept["access_peers"].sum(axis=0, dtype=np.int64)
    compared = tally[tally[:, P_PAIRS] >= params.least_pairs]
    pairs, wins, losses = (int(compared[:, n].sum()) for n in (P_PAIRS, P_WINS, P_LOSSES))
    told = said((TOLD_LATENCY,))
    verdict: Word = "compliant"
    found: Mapping[str, int] = {}
    if not pairs:
        verdict = "not_seen"
    else:
        times = kept["access_times"].sum(axis=0, dtype=np.int64)
        found = quantiles(times, 0.5)
        better = below(kept["access_ours"], 0, KEPT, params)
        lead = leading(kept["access_ours"], 0, KEPT, params)
        covered = all(s in better and not better[s] for s in lead)
        if len(compared) < LEAST_PEERS:
            verdict = "no_peer_control"
        elif wins - losses >= params.least_lead_ratio * pairs and not covered:
            sure = margin_of(times) > params.clock_uncertainty_ns
            verdict = "breach" if sure and any(better.get(s) for s in lead) else "undisclosed"
    yield Measured(
        instrument=name,
        way="latency",
        count=pairs,
        ours=found.get("ours"),
        others=found.get("others"),
        unit="ns",
        low=found.get("low"),
        high=found.get("high"),
        disclosed=_value(told),
        document=_document(told),
        verdict=verdict,
    )


def _refusals(
    name: str, kept: Mapping[str, Array], said: Said, params: UnequalAccessParams
) -> Iterator[Measured]:
    tally = kept["access_peers"].sum(axis=0, dtype=np.int64)
    bucket = kept["access_tallies"].sum(axis=0)
    ours, refused = int(bucket[B_ORDERS]), int(bucket[B_REFUSED])
    others, other_refused = int(tally[:, P_ORDERS].sum()), int(tally[:, P_REFUSED].sum())
    verdict: Word = "compliant"
    if not ours:
        verdict = "not_seen"
    elif (tally[:, P_ORDERS] > 0).sum() < LEAST_PEERS:
        verdict = "no_peer_control"
    elif fisher_tail(other_refused, others, refused, ours) <= allowed_of_one(params):
        verdict = "undisclosed"
    yield Measured(
        instrument=name,
        way="reject",
        count=ours,
        ours=rounded(refused / ours) if ours else None,
        others=rounded(other_refused / others) if others else None,
        unit="ratio",
        verdict=verdict,
        disclosed=_value(said(())),
        document=_document(said(())),
    )


def _fees(
    name: str,
    kept: Mapping[str, Array],
    said: Said,
    params: UnequalAccessParams,  # noqa: ARG001
) -> Iterator[Measured]:
    facts, better = (int(n) for n in kept["access_told"][FEE])
    for liquidity in range(LIQUIDITY):
        mine, theirs = kept["access_measured"][[liquidity, LIQUIDITY + liquidity]]
        told = said((TOLD_MAKER + liquidity,))
        ours, others = (
            rounded(float(row[M_SUM] / row[M_BASE]) * 1e4) if row[M_BASE] else None
            for row in (mine, theirs)
        )
        verdict: Word = "compliant"
        if ours is None:
            verdict = "not_seen"
        elif facts:
            verdict = "breach" if better else "undisclosed"
        elif others is None and "document" not in told:
            verdict = "no_peer_control"
        yield Measured(
            instrument=name,
            way=f"fee, {LIQUIDITIES[liquidity]}",
            count=int(mine[M_COUNT]),
            ours=ours,
            others=others,
            unit="bps",
            verdict=verdict,
            disclosed=_value(told),
            document=_document(told),
        )


def _protection(
    name: str,
    kept: Mapping[str, Array],
    said: Said,
    params: UnequalAccessParams,  # noqa: ARG001
) -> Iterator[Measured]:
    row, told = kept["access_measured"][TRIPS], said((TOLD_LOTS,))
    count = int(row[M_COUNT])
    verdict: Word = "compliant" if "document" in told else "undisclosed"
    if kept["access_told"][PROTECTION, 0]:
        verdict = "breach"
    yield Measured(
        instrument=name,
        way="protection",
        count=count,
        ours=rounded(float(row[M_LEAST])) if count else None,
        others=None,
        unit="lots, least",
        verdict=verdict if count else "not_seen",
        disclosed=_value(told),
        document=_document(told),
    )


def _rate(
    name: str,
    kept: Mapping[str, Array],
    said: Said,
    params: UnequalAccessParams,  # noqa: ARG001
) -> Iterator[Measured]:
    told = said((TOLD_RATE,))
    ours, others = kept["access_measured"][[RATES, RATES + 1]]
    verdict: Word = "compliant" if "document" in told else "not_compared"
    if kept["access_told"][RATE, 0]:
        verdict = "breach"
    yield Measured(
        instrument=name,
        way="rate",
        count=int(ours[M_COUNT]),
        ours=float(ours[M_MOST]) if ours[M_COUNT] else None,
        others=float(others[M_MOST]) if others[M_COUNT] else None,
        unit="in a second, most",
        verdict=verdict if ours[M_COUNT] else "not_seen",
        disclosed=_value(told),
        document=_document(told),
    )


def _fills(
    name: str,
    kept: Mapping[str, Array],
    said: Said,
    params: UnequalAccessParams,  # noqa: ARG001
) -> Iterator[Measured]:
    told, facts = said((TOLD_PLACE,)), int(kept["access_told"][FILLED, 0])
    row = kept["access_measured"][CLIENTS if facts else OLDER]
    count = int(row[M_COUNT])
    verdict: Word = "compliant"
    if facts:
        verdict = "breach"
    elif row[M_SUM]:
        verdict = "breach" if "document" in told else "undisclosed"
    yield Measured(
        instrument=name,
        way="queue, filled",
        count=count,
        ours=rounded(float(row[M_SUM] / row[M_BASE])) if count else None,
        others=None,
        unit=f"ratio of lots before {'clients' if facts else 'older'}",
        verdict=verdict if count else "not_seen",
        disclosed=_value(told),
        document=_document(told),
    )


def _places(
    name: str, kept: Mapping[str, Array], said: Said, params: UnequalAccessParams
) -> Iterator[Measured]:
    told = said((TOLD_PLACE,))
    for amended, action in enumerate(("entered", "amended")):
        found = places_of(kept["access_peers"], kept["access_tallies"], amended, params)
        verdict: Word = "compliant"
        if not found.ours:
            verdict = "not_seen"
        elif not found.is_controlled(params):
            verdict = "no_peer_control"
        elif found.are_ahead(params):
            verdict = "breach" if "document" in told else "undisclosed"
        yield Measured(
            instrument=name,
            way=f"queue, {action}",
            count=found.ours,
            ours=rounded(found.ahead / found.ours) if found.ours else None,
            others=rounded(found.others_ahead / found.others) if found.others else None,
            unit="ratio stated ahead",
            verdict=verdict,
            disclosed=_value(told),
            document=_document(told),
        )


def _prevention(
    name: str,
    kept: Mapping[str, Array],
    said: Said,
    params: UnequalAccessParams,  # noqa: ARG001
) -> Iterator[Measured]:
    row = kept["access_tallies"].sum(axis=0)
    ours = int(row[B_RULE] + row[B_BENT])
    others = int(row[B_PEER_RULE] + row[B_PEER_BENT])
    verdict: Word = "undisclosed" if kept["access_told"][PREVENTION, 0] else "compliant"
    if not others:
        verdict = "no_peer_control"
    yield Measured(
        instrument=name,
        way="stp",
        count=ours,
        ours=rounded(int(row[B_BENT]) / ours) if ours else None,
        others=rounded(int(row[B_PEER_BENT]) / others) if others else None,
        unit="ratio, incoming",
        verdict=verdict if ours else "not_seen",
        disclosed=_value(said(())),
        document=_document(said(())),
    )
