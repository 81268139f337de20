"""Whether any test of client_interaction can pass: a bound that costs little, asked before them.

Student's tail is the normal one's or heavier: below the normal score of its level no test passes,
whatever was counted. What remains is tested in full (`interaction_chance.verdicts`).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import ndtri

from detectors.interaction_chance import (
    FILLS,
    LEAST_PEERS,
    QUOTES,
    ROUNDING,
    SHORTER,
    TESTED_MARKOUTS,
    allowed,
)
from detectors.interaction_params import ClientInteractionParams
from detectors.interaction_state import (
    GROUP,
    KINDS,
    N_DUE,
    SEEN,
    SIDES,
    SLOTS,
    T_BLOCKS,
    T_SQUARES,
    T_SUM,
    TALLY_FIELDS,
    TESTS,
)
from ingest.compiled import kernel
from ingest.events import Array

_MARGIN: Final = 1e-9
"""Share of a score that the order of a sum's terms is at most worth, and more."""
_ALL_ONE: Final = (1.0 - 1e-3) * ROUNDING
"""What is told as rounding here is so by far, in whatever order it was summed."""
_MARKOUTS: Final = np.array(TESTED_MARKOUTS, np.int64)


class Screen:
    """Asks of an instrument's latest buckets whether a test can pass.

    Examples
    --------
    >>> from detectors.interaction_state import KEPT_BUCKETS
    >>> screen = Screen(ClientInteractionParams())
    >>> quotes = np.zeros((KEPT_BUCKETS, SLOTS, KINDS, TALLY_FIELDS))
    >>> fills = np.zeros((KEPT_BUCKETS, SLOTS, SIDES, N_DUE, TALLY_FIELDS))
    >>> screen.may_pass(quotes, fills, 9)
    False
    >>> quotes[:, 1, :, T_BLOCKS], quotes[:, 1, :, T_SUM] = 60, 30
    >>> quotes[:, 1, :, T_SQUARES] = 20
    >>> screen.may_pass(quotes, fills, 9)
    True
    """

    def __init__(self, params: ClientInteractionParams) -> None:
        self._scales = np.array(params.scales, np.int64)
        self._least = np.array([params.min_quote_blocks, params.min_fill_blocks], np.float64)
        levels = (allowed(params, QUOTES), allowed(params, FILLS))
        self._scores = np.array([(1 - _MARGIN) * -ndtri(level) for level in levels])
        self._quotes = np.zeros((SLOTS, KINDS, TALLY_FIELDS))
        self._fills = np.zeros((SLOTS, SIDES, N_DUE, TALLY_FIELDS))

    def may_pass(self, tallies: Array, fill_tallies: Array, bucket: int) -> bool:
        """Return whether a test at the end of a bucket can pass; arrays as `verdicts` takes."""
        of_quotes = _quotes_may(
            tallies, bucket, self._scales, self._least[0], self._scores[0], self._quotes
        )
        return bool(of_quotes) or bool(
            _fills_may(
                fill_tallies, bucket, self._scales, self._least[1], self._scores[1], self._fills
            )
        )


@kernel()
def _quotes_may(  # noqa: PLR0917
    tallies: Array, bucket: int, scales: Array, least: float, score: float, sums: Array
) -> bool:
    """Return whether quotes may have led every peer, in a test of makers that have acted."""
    taken = 0
    for scale in scales:
        taken = _upto(sums, tallies, bucket, taken, scale)
        for stratum in range(0, KINDS, SEEN * TESTS):
            for kind in range(stratum, stratum + TESTS):
                if _led(sums[:, kind : kind + 1], least, score, SHORTER[kind]):
                    return True
    return False


@kernel()
def _upto(sums: Array, tallies: Array, bucket: int, taken: int, scale: int) -> int:
    """Bring the sums of the latest buckets from so many of them to so many more; return those."""
    into = sums.reshape(-1)
    if not taken:
        into[:] = 0.0
    for back in range(taken, scale):
        of_bucket = tallies[(bucket - back) % len(tallies)].reshape(-1)
        for place in range(len(into)):
            into[place] += of_bucket[place]
    return scale


@kernel()
def _led(sums: Array, least: float, score: float, shorter: float) -> bool:
    """Return whether what was held of others' moves is much for every peer, and there is one."""
    most = 0.0
    for slot in range(GROUP + 1, SLOTS):
        most = max(most, sums[slot, 0, T_BLOCKS])
    peers = 0
    for slot in range(GROUP + 1, SLOTS):
        n, mean, variance = _mean_of(sums, slot)
        if n < least or (2 * n < most and n < least * shorter):
            continue
        peers += 1
        if variance == math.inf or mean < score * math.sqrt(variance):
            return False
    return peers > 0


@kernel()
def _fills_may(  # noqa: PLR0917
    tallies: Array, bucket: int, scales: Array, least: float, score: float, sums: Array
) -> bool:
    """Return whether clients may have lost more with the group than with every peer."""
    taken = 0
    for scale in scales:
        taken = _upto(sums, tallies, bucket, taken, scale)
        for markout in _MARKOUTS:
            for side in range(-1, SIDES):  # -1: both
                first, end = (0, SIDES) if side < 0 else (side, side + 1)
                if _lost(sums[:, first:end, markout], least, score):
                    return True
    return False


@kernel()
def _lost(sums: Array, least: float, score: float) -> bool:
    """Return whether moves against the group are much worse than against every peer."""
    ours, mean, spread = _mean_of(sums, GROUP)
    if ours < least:
        return False
    peers = 0
    for slot in range(GROUP + 1, SLOTS):
        n, other, other_spread = _mean_of(sums, slot)
        if n < least:
            continue
        peers += 1
        if spread + other_spread == math.inf or other - mean < score * math.sqrt(
            spread + other_spread
        ):
            return False
    return peers >= LEAST_PEERS


@kernel()
def _mean_of(sums: Array, slot: int) -> tuple[float, float, float]:
    """Return the blocks of a slot, their mean and its variance, of all sides given.

    The variance is infinite where it is not known: of fewer than two, or of one number alone.
    """
    n, total, squares = 0.0, 0.0, 0.0
    for side in range(sums.shape[1]):
        n += sums[slot, side, T_BLOCKS]
        total += sums[slot, side, T_SUM]
        squares += sums[slot, side, T_SQUARES]
    if n < 2:
        return n, 0.0, math.inf
    mean = total / n
    variance = max(squares - n * mean * mean, 0.0) / (n - 1) / n
    return n, mean, variance if variance > _ALL_ONE * mean * mean else math.inf
