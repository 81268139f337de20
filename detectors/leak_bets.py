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
    COMPLEX,
    EACH,
    FULL,
    GRADES,
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
from ingest.compiled import kernel, njit
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


@kernel()
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
def play(tallies: Array, bets: Array, paid: Array) -> None:
    """Bet on one look of an instrument.

    Parameters
    ----------
    tallies : (RELATED, SCALES, STRATA, TALLY_FIELDS) int64
        Of that look: unsigned ones would not subtract.
    bets : (RELATED, SCALES, GRADES, UNITS, BET_FIELDS) float64
        What was won so far; all 0 = no bet was made.
    paid : (SCALES, GRADES, BET_FIELDS) float64
        To which is added what bets on the complex in the order's own instrument pay, at each of the
        odds, and one for each that was made.
    """
    pays = np.empty(len(_ODDS))
    for related in range(RELATED):
        for grade in range(GRADES):
            large = 0
            for stratum in range(STRATA):
                large += int(tallies[related, 0, stratum, T_LARGE + grade])
            for scale in range(SCALES if large else 0):
                for unit in _TESTED:
                    if _pays(tallies[related, scale], unit, grade, pays):
                        _settle(bets[related, scale, grade, unit], pays)
                        if unit == COMPLEX and related == 0:
                            for n in range(RESERVE):
                                paid[scale, grade, n] += math.exp(min(pays[n], _LOG_MOST))
                            paid[scale, grade, RESERVE] += 1.0


@kernel()
def _pays(tallies: Array, unit: int, grade: int, pays: Array) -> bool:
    """Set the logarithms of what a look pays on a unit; return whether it says anything."""
    every_at = T_KNOWN + EACH * (unit - SUSPECTED) if unit >= SUSPECTED else T_ALL
    some = False
    pays[:] = 0.0
    for stratum in range(STRATA):
        tally = tallies[stratum]
        every = int(tally[every_at])
        drawn = int(tally[every_at + T_LARGE - T_ALL + grade])
        marked = int(tally[T_HITS + EACH * unit])
        if 0 < drawn < every and 0 < marked < every:
            some = True
            pay(every, marked, drawn, int(tally[T_HITS + EACH * unit + 1 + grade]), pays)
    return some


@njit(cache=True)
def play_together(paid: Array, bets: Array) -> None:
    """Bet on one look of all instruments together: an equal part of the stake in each.

    Of those in which the look says anything, which is known before the draw: from how many orders
    there are, were led, and are large. What that pays is the mean of what the bets in them pay, and
    so one on average however their orders hang together: the same ones may be split between a
    perpetual and its spot market. A product of what was won in each would be no such bet.

    Parameters
    ----------
    paid : (SCALES, GRADES, BET_FIELDS) float64
        What the look paid in all instruments at each of the odds, and in how many it said anything.
    bets : (SCALES, GRADES, BET_FIELDS) float64
        What was won so far.
    """
    for scale in range(SCALES):
        for grade in range(GRADES):
            said = paid[scale, grade, RESERVE]
            if said:
                _settle(bets[scale, grade], np.log(paid[scale, grade, :RESERVE] / said))


@kernel()
def _settle(bet: Array, pays: Array) -> None:
    """Take what a look paid, after what is put in at it."""
    begins = bet[RESERVE] == 0.0
    put_in = BEGUN if begins else FOLLOWS * bet[RESERVE]
    bet[RESERVE] = 1.0 - BEGUN if begins else bet[RESERVE] - put_in
    for n in range(RESERVE):
        stake = bet[n] + put_in / RESERVE
        bet[n] = min(stake * math.exp(min(pays[n], _LOG_MOST)), MOST)


def settle(look: Array, span: Array, bets: Array, group: Array) -> None:
    """Bet on the look that is over in each instrument, add it to its span, and empty it.

    Parameters
    ----------
    look, span : (instruments, RELATED, SCALES, STRATA, TALLY_FIELDS) uint16
        What is beyond a tally's room is left out.
    bets : (instruments, RELATED, SCALES, GRADES, UNITS, BET_FIELDS) float64
    group : (SCALES, GRADES, BET_FIELDS) float64
        Those on the complex in all instruments together.
    """
    paid = np.zeros_like(group)
    for code in range(len(look)):
        play(look[code].astype(np.int64), bets[code], paid)
    play_together(paid, group)
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
