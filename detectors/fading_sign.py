"""What quote_fading hands on: withdrawals beside the placebos' and external makers'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from detectors.fading_episode import accounts_of
from detectors.fading_state import (
    COMPLEX,
    H_DOUBT,
    H_NS,
    H_RECEIVED,
    H_REF,
    H_SEQ,
    H_UNITS,
    LEVEL,
    LEVELS,
    PEERS,
    PLACEBO_WITHDRAWN,
    PLACEBOS,
    REFS,
    WINDOWS,
    WITHDRAWN,
)
from ingest.events import Array
from ingest.signs import Measure, Rate, Sign

WITHDRAWAL: Final = 1
"""The only grade."""
MOST_SHARE: Final = 0.95


def measure_of(tallies: Array) -> Measure | None:
    """Return what the complex's windows of the time kept sum up to; None where it never withdrew.

    A client's window and its placebos are a matched set. Given that the complex withdrew in some of
    a set, the client's is one of them with a chance that the sets by `LEVEL` tell; the mean of
    these is the share (a binomial of the mean has the longer tail). Where external makers withdraw
    more often than by their habit too, the complex is taken to do so as much more often.

    Parameters
    ----------
    tallies : (buckets, units, 2, TALLY_FIELDS) int32
    """
    ours, peers = tallies[:, (COMPLEX, PEERS)].sum(axis=(0, 2), dtype=np.int64)
    levels = ours[LEVEL : LEVEL + LEVELS]
    sets = int(levels.sum())
    if not sets:
        return None
    more = 1.0
    if peers[PLACEBO_WITHDRAWN] and peers[WINDOWS]:
        habit = peers[PLACEBO_WITHDRAWN] / peers[PLACEBOS]
        more = max(1.0, float(peers[WITHDRAWN] / peers[WINDOWS] / habit))
    cases = int(ours[WITHDRAWN])
    share = more * float(levels @ np.arange(1, LEVELS + 1)) / LEVELS / sets
    share = min(share, MOST_SHARE)
    return Measure(
        grade=WITHDRAWAL,
        cases=cases,
        expected=(sets + 1) * share,
        legs=(Rate(name="as_many", cases=cases, others=sets - cases, share=share),),
    )


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
