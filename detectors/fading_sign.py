"""What quote_fading hands on: withdrawals beside the placebos' and external makers'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from detectors.fading_chance import CHANCES, WEIGHTS, expected_by_placebos
from detectors.fading_episode import accounts_of
from detectors.fading_state import (
    COMPLEX,
    H_DOUBT,
    H_NS,
    H_RECEIVED,
    H_REF,
    H_SEQ,
    H_UNITS,
    HIT_LEVEL,
    LEVEL,
    LEVELS,
    PEERS,
    REFS,
    WINDOWS,
    WITHDRAWN,
)
from ingest.events import Array
from ingest.signs import Beyond, Measure, Rate, Sign

WITHDRAWAL: Final = 1
"""The only grade."""
MOST_SHARE: Final = 0.95


def measure_of(tallies: Array) -> Measure | None:
    """Return what the complex's windows of the time kept sum up to; None where it never withdrew.

    A client's window and its placebos are a matched set. Given that the complex withdrew in some of
    a set, the client's is one of them with a chance that the sets by `LEVEL` tell; the mean of
    these gives what is expected, and each counts by how rare it is, as in the test of one
    instrument. As there, what is more than expected is held against external makers.

    Parameters
    ----------
    tallies : (buckets, units, 2, TALLY_FIELDS) int32
    """
    ours, peers = tallies[:, (COMPLEX, PEERS)].sum(axis=(0, 2), dtype=np.int64)
    sets, hits = ours[LEVEL:HIT_LEVEL], ours[HIT_LEVEL:]
    if not sets.any():
        return None
    count, cases = int(sets.sum()), int(hits.sum())
    mean = float(sets @ CHANCES) / count
    legs: list[Rate | Beyond] = [*_habit(sets, hits, mean)]
    if peers[WINDOWS]:
        beyond = Beyond(
            name="beyond_peers",
            cases=cases,
            expected=count * mean,
            others=int(peers[WITHDRAWN]),
            others_expected=expected_by_placebos(peers),
            share=float(ours[WINDOWS] / (ours[WINDOWS] + peers[WINDOWS])),
        )
        legs.append(beyond)
    return Measure(
        grade=WITHDRAWAL, cases=cases, expected=(count + 1) * min(mean, MOST_SHARE),
        legs=tuple(legs),
    )  # fmt: skip


def _habit(sets: Array, hits: Array, mean: float) -> Iterator[Rate]:
    """Yield the sets of each weight, and one more, as chance as all are on average."""
    for weight in range(1, int(WEIGHTS.max()) + 1):
        here = weight == WEIGHTS
        if not sets[here].any():
            continue
        cases, of_all = int(hits[here].sum()), int(sets[here].sum())
        yield _rate(cases, of_all - cases, float(sets[here] @ CHANCES[here]) / of_all, weight)
    weight = int(WEIGHTS[min(round(mean * LEVELS), LEVELS) - 1])
    yield _rate(0, 1, mean, max(1, weight))


def _rate(cases: int, others: int, share: float, weight: int) -> Rate:
    return Rate(
        name="as_many", cases=cases, others=others, share=min(share, MOST_SHARE), spare=0,
        weight=weight,
    )  # fmt: skip


def signs_of(
    detector: str, instrument: str, seen: Measure, hits: Sequence[tuple[list[int], bool]],
    clock_ns: int,
) -> Iterator[Sign]:  # fmt: skip
    """Yield a sign of each client order of a bucket that the complex withdrew from.

    `hits`: its row, and whether a finding has told it.
    """
    for row, told in hits:
        if not row[H_UNITS] >> COMPLEX & 1 or not row[H_REF]:
            continue
        refs = [seq for seq in row[H_REF : H_REF + REFS] if seq]
        yield Sign(
            detector=detector,
            scenario="quote_fade",
            instrument=instrument,
            clock_ns=clock_ns,
            measures=(seen,),
            grade=WITHDRAWAL,
            told=told,
            incomplete=bool(row[H_DOUBT]),
            begin_ns=row[H_RECEIVED],
            end_ns=row[H_NS],
            accounts=tuple(accounts_of([row])),
            seqs=tuple(sorted({row[H_SEQ], *refs})),
        )
