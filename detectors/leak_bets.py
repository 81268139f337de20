"""Bets against chance: what they have won says how sure it is, however often one looks.

Were the large ones of a stratum drawn blindly, the number of them that a unit was ahead of would be
hypergeometric. A bet on odds that are a few times those of chance pays the ratio of the two
probabilities: one, on average, where there is nothing, whatever the unit's habits in that look and
state. All that is won is put on the next look. Such a fortune ever comes to n times the stake with
probability 1/n at most (Ville 1939; Shafer 2021), so looks cost nothing.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.leak_state import (
    FULL,
    ODDS,
    RELATED,
    RESERVE,
    SCALES,
    STRATA,
    SUSPECTED,
    T_ALL,
    T_HITS,
    T_KNOWN,
    T_LARGE,
    TESTED,
)
from ingest.compiled import njit
from ingest.events import Array

BEGUN: Final = 0.75
"""Part of the stake that is bet from the first look on; the rest waits for conduct that begins
later, which would else have to win back what was lost before."""
FOLLOWS: Final = 1 / 16
"""Part of the rest that is put in at each look: half of it within the first three hours."""
MOST: Final = 1e300
"""What a fortune comes to at most."""
_LOG_MOST: Final = 690.0
_ODDS: Final = np.array(ODDS)
_LOG_ODDS: Final = np.log(_ODDS)
_LARGE: Final = 1e200
_LOG_LARGE: Final = math.log(_LARGE)
_SMALL: Final = 1e-18
_TESTED: Final = np.array(TESTED, np.int64)


@njit(cache=True)
def pay(every: int, marked: int, drawn: int, hits: int, pays: Array) -> None:
    """Add the logarithm of what a bet on a stratum pays, at each of the odds.

    Fisher's noncentral hypergeometric probability of the hits at an odds ratio, over the central.
    Terms are products of ratios from the central mode outward, relative to it.

    Parameters
    ----------
    every, marked, drawn, hits : int
        How many there are, how many of them are marked, how many are drawn, and how many are both.
    pays : (odds,) float64
        Of being marked among those drawn, over those of the others: `ODDS`.
    """
    least, most = max(0, drawn + marked - every), min(drawn, marked)
    mode = max(least, min(most, (drawn + 1) * (marked + 1) // (every + 2)))
    neither = every - marked - drawn
    up, down = np.empty(most - mode), np.empty(mode - least)
    for k in range(mode, most):
        up[k - mode] = (marked - k) * (drawn - k) / ((k + 1.0) * (neither + k + 1.0))
    for k in range(mode, least, -1):
        down[mode - k] = k * (neither + k) / ((marked - k + 1.0) * (drawn - k + 1.0))
    central = _log_sum(up, down, 1.0)
    for n in range(len(pays)):
        pays[n] += (hits - mode) * _LOG_ODDS[n] - _log_sum(up, down, _ODDS[n]) + central


@njit(cache=True)
def _log_sum(up: Array, down: Array, odds: float) -> float:
    """Return the logarithm of the sum of all terms, the mode's 1, each step up times the odds."""
    total, term, folded = 1.0, 1.0, 0
    for ratio in up:
        term *= ratio * odds
        total += term
        if total > _LARGE:
            total, term, folded = total / _LARGE, term / _LARGE, folded + 1
        elif term < _SMALL * total and ratio * odds < 1.0:
            break
    term = _LARGE ** -float(folded)
    for ratio in down:
        term *= ratio / odds
        total += term
        if term < _SMALL * total:
            break
    return math.log(total) + folded * _LOG_LARGE


@njit(cache=True)
def play(tallies: Array, bets: Array) -> None:
    """Bet on one look of an instrument.

    Parameters
    ----------
    tallies : (RELATED, SCALES, STRATA, TALLY_FIELDS) int64
        Of that look: unsigned ones would not subtract.
    bets : (RELATED, SCALES, UNITS, BET_FIELDS) float64
        What was won so far; all 0 = no bet was made.
    """
    pays = np.empty(len(_ODDS))
    for related in range(RELATED):
        large = 0
        for stratum in range(STRATA):
            large += int(tallies[related, 0, stratum, T_LARGE])
        for scale in range(SCALES if large else 0):
            for unit in _TESTED:
                every_at = T_KNOWN + 2 * (unit - SUSPECTED) if unit >= SUSPECTED else T_ALL
                some = False
                pays[:] = 0.0
                for stratum in range(STRATA):
                    tally = tallies[related, scale, stratum]
                    every = int(tally[every_at])
                    drawn = int(tally[every_at + T_LARGE - T_ALL])
                    marked = int(tally[T_HITS + 2 * unit])
                    if 0 < drawn < every and 0 < marked < every:
                        some = True
                        hits = int(tally[T_HITS + 2 * unit + 1])
                        pay(every, marked, drawn, hits, pays)
                if some:
                    _settle(bets[related, scale, unit], pays)


@njit(cache=True)
def _settle(bet: Array, pays: Array) -> None:
    """Take what a look paid, after what is put in at it."""
    begins = bet[RESERVE] == 0.0
    put_in = BEGUN if begins else FOLLOWS * bet[RESERVE]
    bet[RESERVE] = 1.0 - BEGUN if begins else bet[RESERVE] - put_in
    for n in range(RESERVE):
        stake = bet[n] + put_in / RESERVE
        bet[n] = min(stake * math.exp(min(pays[n], _LOG_MOST)), MOST)


def settle(look: Array, span: Array, bets: Array) -> None:
    """Bet on the look that is over in each instrument, add it to its span, and empty it.

    Parameters
    ----------
    look, span : (instruments, RELATED, SCALES, STRATA, TALLY_FIELDS) uint16
        What is beyond a tally's room is left out.
    bets : (instruments, RELATED, SCALES, UNITS, BET_FIELDS) float64
    """
    for code in range(len(look)):
        play(look[code].astype(np.int64), bets[code])
    room = span[..., T_ALL] <= FULL - look[..., T_ALL]
    span[room] += look[room]
    look[:] = 0


def won(bets: Array) -> Array:
    """Return by how much the stakes have multiplied: (…) float64 of (…, BET_FIELDS) float64.

    >>> won(np.zeros((2, RESERVE + 1))).tolist()
    [1.0, 1.0]
    """
    total: Array = bets.sum(-1)
    return np.where(bets[..., RESERVE] > 0, total, 1.0)
