"""How far each account's trading leans on the group's: deviations that chance explains, or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.special import log_ndtr

from detectors.hidden_state import (
    ABSENT,
    ACCOUNT,
    AGAINST,
    ALIKE,
    BEGAN_NS,
    DAY_NS,
    ENDED_NS,
    EVER,
    GROUP,
    KIND_OF,
    MAKER,
    MEASURES,
    QUICK,
    RUN_G,
    RUN_M,
    RUN_N,
    RUNS,
    SCALES,
    SUM_G,
    SUM_GG,
    SUM_GM,
    SUM_GN,
    SUM_M,
    SUM_MM,
    SUM_MN,
    SUM_N,
    SUM_NN,
    TAKES,
    TRADED,
)
from detectors.kept import Kept
from ingest.events import Array

FEATURES: Final = ("against", "alike", "quick", "absent")
_KINDS: Final = np.array(KIND_OF)
LEAST_MAKERS: Final = 2
"""External makers without which there is no control."""
_NOTHING: Final = 1e-9
_TRIED: Final = np.array([SCALES, 2 * SCALES, 1, 1])
"""Of how many deviations each feature is the largest."""


def surprise(strongest: Array) -> Array:
    """Return features as surprise: minus the logarithm of the chance of as large a deviation.

    Nats, 0 or more, after Bonferroni over those of which it is the largest: 7 is one in a thousand,
    14 one in a million.

    >>> surprise(np.array([[0.0, 2.0, 4.0, 6.0]])).round(2).tolist()
    [[0.0, 1.99, 10.36, 20.74]]
    """
    nats: Array = np.maximum(-log_ndtr(-strongest) - np.log(_TRIED), 0.0)
    return nats


class Leaning(msgspec.Struct, frozen=True):
    """What the day so far shows of each account, over all instruments."""

    accounts: Array
    runs: Array
    """Runs of taking: executions on one side without a pause."""
    deviations: Array
    """(accounts, MEASURES): beyond the other clients, and beyond what leans on makers alike."""
    times: Array
    """(accounts, 2): the first and the last event of each, ns."""
    controlled: Array
    """Whether two external makers at least traded that day in an instrument that each does."""

    @property
    def strongest(self) -> Array:
        """(accounts, FEATURES), in deviations: at the half-life at which each is largest."""
        largest = [each.max(1) for each in self._by_half_life]
        return np.stack([*largest, self.deviations[:, QUICK], self.deviations[:, ABSENT]], axis=1)

    @property
    def scales(self) -> Array:
        """(accounts, 2): the half-life, by place, at which `against` and `alike` are largest."""
        return np.stack([each.argmax(1) for each in self._by_half_life], axis=1)

    @property
    def _by_half_life(self) -> tuple[Array, Array]:
        """`against` and `alike`, (accounts, SCALES) each, in deviations."""
        against = self.deviations[:, AGAINST : AGAINST + SCALES]
        return against, np.maximum(self.deviations[:, ALIKE : ALIKE + SCALES], -against)


def _moments(sums: Array, counts: Array) -> tuple[Array, ...]:
    """Return an instrument's sums over all runs, the open ones with them, a row an account."""
    n = counts[:, _KINDS, RUN_N]
    g, m = sums[..., RUN_G], sums[..., RUN_M]
    return (
        counts[:, _KINDS, SUM_N] + n,
        counts[:, _KINDS, SUM_NN] + n * n,
        sums[..., SUM_G] + g,
        sums[..., SUM_M] + m,
        sums[..., SUM_GG] + g * g,
        sums[..., SUM_GM] + g * m,
        sums[..., SUM_MM] + m * m,
        sums[..., SUM_GN] + g * n,
        sums[..., SUM_MN] + m * n,
    )


def _residuals(sums: Array, counts: Array, *, controlled: bool) -> tuple[Array, Array]:
    """Return sums of what an account shows beyond the others, and of its squares run by run.

    Its events are held against the mean of the other accounts' events, and, where there are
    external makers, what it shows of them is taken off twice over: in the part that clients' runs
    have in common (least squares over all accounts), and whole. The first is the sharper; but it
    leaves some of a lean that is on all makers alike, where single runs are noisy.

    Returns
    -------
    beyond, squares : (2, accounts, MEASURES)
        Less the common part, and less the whole.
    """
    n, nn, g, m, gg, gm, mm, gn, mn = _moments(sums, counts)
    others = n.sum(0) - n
    others = np.where(others > 0, others, 1.0)
    mean_g, mean_m = (g.sum(0) - g) / others, (m.sum(0) - m) / others
    beyond_g, beyond_m = g - mean_g * n, m - mean_m * n
    square_g = gg - 2 * mean_g * gn + mean_g**2 * nn
    square_m = mm - 2 * mean_m * mn + mean_m**2 * nn
    product = gm - mean_g * mn - mean_m * gn + mean_g * mean_m * nn
    part = np.zeros((2, 1, n.shape[1]))
    if controlled:
        part[0] = np.clip(product.sum(0) / np.maximum(square_m.sum(0), _NOTHING), 0.0, 1.0)
        part[1] = 1.0
    squares = square_g - 2 * part * product + part**2 * square_m
    return beyond_g - part * beyond_m, np.maximum(squares, 0.0)


def _weight(counts: Array, runs: Array) -> Array:
    """Return what a run weighs in the mean, by measure."""
    total = (counts[..., SUM_N] + counts[..., RUN_N]).sum(0)
    weight: Array = (total / np.maximum(runs.sum(0), 1.0))[_KINDS]
    return np.where(weight > 0, weight, 1.0)


def _flat(both: Array) -> Array:
    """Return (2, accounts, MEASURES) as (accounts, 2 * MEASURES)."""
    return np.concatenate(list(both), axis=1)


def _nearer(one: Array, other: Array) -> Array:
    """Return of two the one nearer to 0; 0 where they are on its two sides."""
    sure: Array = np.where(one * other > 0, np.sign(one), 0.0)
    return sure * np.minimum(np.abs(one), np.abs(other))


def leaning(
    kept: Kept | Mapping[str, Array], codes: Sequence[int], *, least_crowd: int, usual_runs: float
) -> Leaning:
    """Return how far accounts lean on the group, over instruments.

    Parameters
    ----------
    kept : Kept or mapping of str to Array
        `hidden_state.shapes`, a row an instrument.
    codes : sequence of int
        Instruments that count.
    least_crowd : int
        Accounts in an instrument without which nobody can be held against the others.
    usual_runs : float
        Runs of usual spread that each account is credited with: who trades little shows little.
    """
    parts, times = [], []
    for code in codes:
        own, about = kept["hidden"][code], kept["hidden_accounts"][code]
        rows = np.flatnonzero(about[:, ACCOUNT])
        if len(rows) <= least_crowd:
            continue
        day_ns = about[rows, ENDED_NS].max() // DAY_NS * DAY_NS
        seen_ns = kept["hidden_times"][code, GROUP + 1 :, TRADED]
        # Who made a market on an earlier day keeps his place, and is no control today.
        here = bool(((own[MAKER:] != 0) & (seen_ns >= day_ns)).sum() >= LEAST_MAKERS)
        times.append(about[rows, BEGAN_NS : ENDED_NS + 1])
        counts = kept["hidden_counts"][code, rows]
        beyond, squares = _residuals(kept["hidden_sums"][code, rows], counts, controlled=here)
        runs = counts[..., RUNS] + (counts[..., RUN_N] > 0)
        usual = squares.sum(1, keepdims=True) / np.maximum(runs[:, _KINDS].sum(0), 1.0)
        # Weights are roots of lots: in units of what a run weighs, instruments can be added up.
        weight = _weight(counts, runs)
        beyond, squares, usual = beyond / weight, squares / weight**2, usual / weight**2
        spread = (squares, runs[:, _KINDS] * usual)
        control = np.full((len(rows), 1), float(here))
        parts.append((about[rows, ACCOUNT] - 1, runs, _flat(beyond), *map(_flat, spread), control))
    if not parts:
        nothing = np.zeros((0, len(_KINDS)))
        none = np.zeros(0, np.int64)
        return Leaning(none, none, nothing, np.zeros((0, 2), np.int64), none > 0)
    accounts, places = np.unique(np.concatenate([p[0] for p in parts]), return_inverse=True)

    def total(at: int) -> Array:
        each = np.concatenate([p[at] for p in parts])
        summed = np.zeros((len(accounts), each.shape[1]))
        np.add.at(summed, places, each)
        return summed

    runs, beyond, squares, usual, control = (total(at) for at in range(1, 6))
    credit = usual_runs * usual / np.maximum(np.tile(runs[:, _KINDS], 2), 1.0)
    spread = np.sqrt(squares + credit)
    both = np.divide(beyond, spread, out=np.zeros_like(beyond), where=spread > 0)
    deviations = _nearer(both[:, :MEASURES], both[:, MEASURES:])
    span = np.zeros((len(accounts), 2), np.int64)
    span[:, 0] = EVER
    each = np.concatenate(times)
    np.minimum.at(span[:, 0], places, each[:, 0])
    np.maximum.at(span[:, 1], places, each[:, 1])
    taking = runs[:, TAKES].astype(np.int64)
    return Leaning(accounts, taking, deviations, span, control[:, 0] > 0)
